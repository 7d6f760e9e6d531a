"""Secrets are read at the moment of a request, from places, and no message repeats one."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from shplan.api import secrets
from shplan.api.git_index import is_tracked, names
from shplan.api.secrets import MOST_BYTES, SecretSources
from shplan.core.errors import CredentialsError
from shplan.core.secret_places import SecretPlaceError, in_project, read_secret_place
from shplan.core.value import SecretReference, Sensitive
from tests.support.canaries import planted

CANARY = "canary-0d31b7-secret"
CREDENTIALS = f"""\
[default]
aws_access_key_id = default-id
[acme]
aws_access_key_id = acme-id
aws_secret_access_key = {CANARY}
aws_session_token=
[program]
aws_access_key_id = {CANARY}
aws_secret_access_key = {CANARY}
"""
CONFIG = """\
[profile program]
credential_process = touch {mark}
[profile browser]
sso_session = x
[profile role]
role_arn = arn:aws:iam::1:role/x
source_profile = acme
[profile both]
aws_access_key_id = from-config
"""


@pytest.fixture
def sources(tmp_path: Path) -> SecretSources:
    home = planted(tmp_path) / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "credentials").write_text(CREDENTIALS)
    (home / ".aws" / "config").write_text(CONFIG.format(mark=tmp_path / "ran"))
    (tmp_path / "project").mkdir()
    return SecretSources({"NAME": CANARY}, home=home, root=tmp_path / "project")


def revealed(sources: SecretSources, place: str) -> str:
    return sources.reveal(Sensitive(("<", SecretReference(place), ">")))


def refused(sources: SecretSources, place: str) -> str:
    with pytest.raises(CredentialsError) as caught:
        revealed(sources, place)
    (diagnostic,) = caught.value.diagnostics
    said = f"{caught.value} {diagnostic.what} {diagnostic.why} {diagnostic.hint}"
    assert CANARY not in said
    assert caught.value.__cause__ is None
    return said


def test_each_place_gives_its_secret(sources: SecretSources, tmp_path: Path) -> None:
    (tmp_path / "home" / "key").write_text(CANARY + "\n")
    (tmp_path / "elsewhere").write_text(CANARY + "\r\n")
    (tmp_path / "project" / "key").write_text("first\nsecond\n\n")
    assert revealed(sources, "env:NAME") == f"<{CANARY}>"
    assert revealed(sources, "file:~/key") == f"<{CANARY}>"
    assert revealed(sources, f"file:{tmp_path}/elsewhere") == f"<{CANARY}>"
    # One line break is the editor's; what else is there is the secret's.
    assert revealed(sources, "file:key") == "<first\nsecond\n>"
    assert revealed(sources, "aws:acme/secretAccessKey") == f"<{CANARY}>"
    assert revealed(sources, "aws:acme/aws_secret_access_key") == f"<{CANARY}>"
    assert revealed(sources, "aws:default/accessKeyId") == "<default-id>"
    assert revealed(sources, "aws:both/accessKey") == "<from-config>"


def test_a_secret_that_is_rotated_is_used_at_once(sources: SecretSources, tmp_path: Path) -> None:
    path = tmp_path / "home" / "key"
    for text in ("one", "two"):
        path.write_text(text)
        assert revealed(sources, "file:~/key") == f"<{text}>"


def test_aws_files_are_found_where_the_variables_say(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("[x]\naws_access_key_id = own\n")
    named = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "own")}
    sources = SecretSources(named, home=tmp_path, root=tmp_path)
    assert revealed(sources, "aws:x/accessKeyId") == "<own>"


def test_no_profile_runs_a_program(sources: SecretSources, tmp_path: Path) -> None:
    """Not even where it has keys as well: who wrote the profile wanted the program's."""
    assert "runs a program (credential_process)" in refused(sources, "aws:program/accessKeyId")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("env:OTHER", "export OTHER="),
        ("aws:acne/secretAccessKey", "did you mean `acme`?"),
        ("aws:acme/sessionToken", "has no aws_session_token"),
        ("aws:browser/accessKeyId", "signs in through a browser"),
        ("aws:role/accessKeyId", "assumes a role"),
        ("file:~/none", "no such file"),
        ("file:.", "is a directory"),
        ("file:/dev/zero", "is no regular file"),
    ],
)
def test_what_is_not_there_is_missed_by_its_name(
    sources: SecretSources, place: str, said: str
) -> None:
    assert said in refused(sources, place)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (CANARY.encode() * 10_000, "is larger than"),
        (b"\xff\xfe" + CANARY.encode("utf-16-le"), "is not UTF-8"),
    ],
)
def test_a_file_that_holds_no_secret(
    sources: SecretSources, tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "home" / "key").write_bytes(content)
    assert said in refused(sources, "file:~/key")


def test_a_pipe_is_not_waited_for(sources: SecretSources, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "home" / "key")
    assert "is no regular file" in refused(sources, "file:~/key")


def test_a_broken_file_of_profiles_is_not_quoted(sources: SecretSources, tmp_path: Path) -> None:
    (tmp_path / "home" / ".aws" / "credentials").write_text(f"{CANARY}\n[x]\n")
    assert "no file of AWS profiles" in refused(sources, "aws:x/accessKeyId")


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_a_file_that_git_tracks_is_no_place_for_a_secret(
    sources: SecretSources, tmp_path: Path
) -> None:
    root = tmp_path / "project"
    for name in ("tracked", "ignored"):
        (root / name).write_text(CANARY)
    for arguments in (["init", "-q"], ["add", "tracked"]):
        subprocess.run(["git", *arguments], cwd=root, check=True, timeout=60)
    assert "Git tracks" in refused(sources, "file:tracked")
    assert "Git tracks" in refused(sources, f"file:{root}/tracked")
    (root / "link").symlink_to("tracked")
    assert "Git tracks" in refused(sources, "file:link")
    assert revealed(sources, "file:ignored") == f"<{CANARY}>"


def git(*arguments: str, at: Path) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    command = ["git", *who, *arguments]
    done = subprocess.run(command, cwd=at, check=True, timeout=60, capture_output=True, text=True)
    return done.stdout


FORMS = {
    "2": (),
    "3": ("update-index", "--skip-worktree", "b"),
    "4": ("update-index", "--index-version", "4"),
}


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
@pytest.mark.parametrize("version", FORMS)
@pytest.mark.parametrize("hashes", ["sha1", "sha256"])
def test_an_index_is_read_as_git_reads_it(tmp_path: Path, version: str, hashes: str) -> None:
    git("init", "-q", f"--object-format={hashes}", at=tmp_path)
    for name in ("b", "ba", "baa", "c/" + "long" * 60, "c/a", "ü", "x" * 2000):
        path = tmp_path / "/".join(name[at : at + 200] for at in range(0, len(name), 200))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    git("add", ".", at=tmp_path)
    if FORMS[version]:
        git(*FORMS[version], at=tmp_path)
    content = (tmp_path / ".git" / "index").read_bytes()
    assert content[7] == int(version)
    listed = git("ls-files", "-z", at=tmp_path).encode().split(b"\0")[:-1]
    assert list(names(content)) == listed
    assert len(listed) == 7


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_the_index_of_a_second_work_tree_counts_as_well(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    git("init", "-q", at=first)
    (first / "tracked").touch()
    git("add", ".", at=first)
    git("commit", "-qm", "a", at=first)
    git("worktree", "add", "-q", str(second), at=first)
    (second / "other").touch()
    assert is_tracked(second / "tracked")
    assert not is_tracked(second / "other")


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
@pytest.mark.parametrize("damage", ["cut", "split", "other"])
def test_a_secret_stays_where_it_is_when_an_index_cannot_be_read(
    sources: SecretSources, tmp_path: Path, damage: str
) -> None:
    root = tmp_path / "project"
    for name in ("a", "b", "ignored"):
        (root / name).write_text(CANARY)
    git("init", "-q", at=root)
    git("add", "a", "b", at=root)
    index = root / ".git" / "index"
    if damage == "split":
        git("update-index", "--split-index", at=root)
    else:
        content = index.read_bytes()
        index.write_bytes(content[:100] if damage == "cut" else b"DIRX" + content[4:])
    assert "lies in a Git repository" in refused(sources, "file:ignored")


@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        "",
        "env",
        "env:",
        "env:a b",
        "env:A;rm",
        "evn:NAME",
        "vault:x",
        "cmd:cat x",
        "exec:cat x",
        "file:",
        "file:a\0b",
        "file:a\nb",
        "file: a",
        "file:~root/x",
        "file:dir/",
        "file://host/x",
        "aws:acme",
        "aws:/secretAccessKey",
        "aws:acme/",
        "aws:acme/region",
        "aws:acme/secretAcessKey",
        "aws:a\nb/accessKeyId",
    ],
)
def test_a_text_that_is_no_place_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(SecretPlaceError) as caught:
        read_secret_place(text)
    if len(text) > 8:
        assert text not in f"{caught.value} {caught.value.hint}"
    if text in ("evn:NAME", "aws:acme/secretAcessKey"):
        assert "did you mean" in caught.value.hint


def test_a_relative_path_leads_from_the_manifest_and_stays_in_the_project() -> None:
    place = in_project(read_secret_place("file:../secrets/key"), "manifests")
    assert place.name == "secrets/key"
    assert in_project(read_secret_place("file:~/key"), "manifests").name == "~/key"
    with pytest.raises(SecretPlaceError, match="leaves it"):
        in_project(read_secret_place("file:../../key"), "manifests")


def test_the_bound_of_a_file_is_small() -> None:
    assert MOST_BYTES <= 1 << 20


@pytest.mark.parametrize("name", ["loop", "loop/x", "dir/x", "closed/x"])
def test_a_file_that_cannot_be_reached_is_said(
    name: str, sources: SecretSources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project" / "loop").symlink_to("loop")

    def looked(path: Path) -> bool:
        if "closed" in path.parts:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return False

    monkeypatch.setattr(secrets, "is_tracked", looked)
    assert "cannot be read" in refused(sources, f"file:{name}")
