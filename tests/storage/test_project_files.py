"""Files of the project: whole or not at all, never through a link, never over somebody's."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from shplan.core.errors import OutputError
from shplan.core.files import FileDraft, Inspect, Prepare, Write
from shplan.storage.project_files import ProjectFiles


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def draft(path: str, content: bytes = b"new", *replaces: bytes) -> FileDraft:
    folder, _, name = path.rpartition("/")
    part = f"{folder}/.{name}.part".lstrip("/")
    return FileDraft(path, part, content, frozenset(map(sha256, replaces)))


def write(root: Path, *drafts: FileDraft) -> None:
    ProjectFiles(root).write(Write(drafts))


def test_a_file_is_written_with_its_directories_and_no_part_is_left(tmp_path: Path) -> None:
    write(tmp_path, draft("a/b/c.png"), draft("d.png", b""))
    assert (tmp_path / "a/b/c.png").read_bytes() == b"new"
    assert (tmp_path / "d.png").read_bytes() == b""
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["c.png", "d.png"]


def test_only_what_may_be_replaced_is(tmp_path: Path) -> None:
    place = tmp_path / "a.png"
    place.write_bytes(b"old")
    write(tmp_path, draft("a.png", b"new", b"old"))
    assert place.read_bytes() == b"new"
    # The same bytes are no loss.
    write(tmp_path, draft("a.png", b"new"))
    with pytest.raises(OutputError, match="not written over"):
        write(tmp_path, draft("a.png", b"newer", b"old"))
    assert place.read_bytes() == b"new"


def test_witnesses_are_in_place_before_the_files(tmp_path: Path) -> None:
    """So that what could not be put in its place is known, and waits beside it."""
    (tmp_path / "a.png").write_bytes(b"somebody's")
    with pytest.raises(OutputError):
        ProjectFiles(tmp_path).write(Write((draft("a.png"),), (draft("a.receipt"),)))
    assert (tmp_path / "a.receipt").exists()
    assert (tmp_path / ".a.png.part").read_bytes() == b"new"
    assert (tmp_path / "a.png").read_bytes() == b"somebody's"


def test_a_part_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    """It may be all that there is of an answer: who dies now must not lose it."""
    part = tmp_path / ".a.png.part"
    part.write_bytes(b"new")
    before = part.stat().st_ino
    write(tmp_path, draft("a.png"))
    assert (tmp_path / "a.png").stat().st_ino == before


def test_looking_tells_digest_size_and_what_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.png").write_bytes(b"bytes")
    (tmp_path / "out/link").symlink_to(tmp_path / "out/a.png")
    (tmp_path / "below").symlink_to(tmp_path / "out", target_is_directory=True)
    os.mkfifo(tmp_path / "pipe")
    asked = ("out/a.png", "out/absent", "out", "out/link", "below/a.png", "pipe", "out/a.png/x")
    found = ProjectFiles(tmp_path).inspect(Inspect(asked, frozenset({"out/a.png"})))
    assert found["out/a.png"].sha256 == sha256(b"bytes")
    assert (found["out/a.png"].size_bytes, found["out/a.png"].content) == (5, b"bytes")
    assert "out/absent" not in found
    for path in asked[2:]:
        assert found[path].obstacle, path
        assert found[path].sha256 == ""
    assert found["out/a.png/x"].obstacle == "lies below out/a.png, which is a file"


def test_what_is_longer_than_wanted_is_not_read_into_memory(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    (found,) = ProjectFiles(tmp_path).inspect(Inspect(("a",), frozenset({"a"}), 9)).values()
    assert (found.content, found.size_bytes) == (None, 10)
    assert found.sha256 == sha256(b"0123456789")


@pytest.mark.parametrize("path", ["../a", "a/../../b", "/etc/a", "a//b", "a/./b", ""])
def test_no_path_leads_out(tmp_path: Path, path: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    with pytest.raises(OutputError):
        write(project, draft(path))
    assert sorted(tmp_path.rglob("*")) == [project]


@pytest.mark.parametrize("what", ["out", "out/a.png", ".a.png.part"])
def test_no_link_is_followed(tmp_path: Path, what: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.png").write_bytes(b"outside")
    project = tmp_path / "project"
    (project / "out").mkdir(parents=True)
    if what == "out":
        (project / "out").rmdir()
        (project / "out").symlink_to(outside, target_is_directory=True)
    elif what == "out/a.png":
        (project / what).symlink_to(outside / "a.png")
    else:
        (project / "out" / what).symlink_to(outside / "a.png")
    with pytest.raises(OutputError):
        write(project, draft("out/a.png", b"new", b"outside"))
    assert (outside / "a.png").read_bytes() == b"outside"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(OutputError, match=r"out/a.png cannot be written"):
        write(tmp_path, draft("out/a.png"))


def test_a_name_that_the_system_does_not_take_is_said(tmp_path: Path) -> None:
    long = "x" * 300
    (found,) = ProjectFiles(tmp_path).inspect(Inspect((long,))).values()
    assert found.obstacle
    with pytest.raises(OutputError):
        write(tmp_path, draft(long))


def test_a_place_is_tried_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    prepare(tmp_path, "a/b/c.png", "a/b/d.png", "e.png")
    prepare(tmp_path, "a/b/c.png")
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")) == ["a", "a/b"]


@pytest.mark.parametrize("failing", ["open", "write", "mkdir"])
def test_a_place_that_cannot_be_written_is_told_before(
    tmp_path: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, or one that may only be read; what lay there is untouched."""
    (tmp_path / "kept.png").write_bytes(b"kept")
    refuse(monkeypatch, failing)
    with pytest.raises(OutputError, match=r"a/b\.png cannot be written: No space left on device"):
        prepare(tmp_path, "kept.png" if failing == "mkdir" else "a/b.png", "a/b.png")
    monkeypatch.undo()
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["kept.png"]


def test_no_half_of_a_file_is_left_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, "write")
    with pytest.raises(OutputError, match="No space left"):
        write(tmp_path, draft("a.png"))
    assert not list(tmp_path.iterdir())


def prepare(root: Path, *paths: str) -> None:
    ProjectFiles(root).prepare(Prepare(paths))


def refuse(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the system refuse to make, open or write anything, for lack of room."""
    opened = os.open

    def full(*arguments: object, **_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def open_only_what_is_read(path: Path, flags: int, *mode: int, **more: int) -> int:
        return full() if flags & os.O_CREAT else opened(path, flags, *mode, **more)

    if name == "mkdir":
        monkeypatch.setattr(os, "mkdir", full)
    elif name == "write":
        monkeypatch.setattr(os, "write", full)
    else:
        monkeypatch.setattr(os, "open", open_only_what_is_read)


def test_the_files_below_a_directory_are_listed_and_no_link_is_followed(tmp_path: Path) -> None:
    for path in ("r/a/1.json", "r/2.json", "r/.b/3.json", "s/4.json"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"{}")
    (tmp_path / "r/link").symlink_to(tmp_path / "s")
    (tmp_path / "r/5.json").symlink_to(tmp_path / "s/4.json")
    (tmp_path / "t").symlink_to(tmp_path / "r")
    files = ProjectFiles(tmp_path)
    assert files.below("r") == ("r/.b/3.json", "r/2.json", "r/5.json", "r/a/1.json", "r/link")
    assert files.below("t") == files.below("t/a") == files.below("absent/here") == ()
