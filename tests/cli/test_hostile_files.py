"""Files that a command line names, and what lies where shplan keeps its own, can be anybody's."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from shplan.cli.checkout import commit
from tests.cli.conftest import Project


@pytest.mark.parametrize("linked", [".shplan", ".shplan/ledger", ".shplan/sandbox"])
def test_what_is_kept_is_not_kept_where_a_link_leads(
    linked: str, project: Project, tmp_path: Path
) -> None:
    """Git keeps links, so that a pull request can bring one."""
    outside = tmp_path / "outside"
    outside.mkdir()
    link = project.root / linked
    link.parent.mkdir(exist_ok=True)
    if link.exists():
        link.rename(tmp_path / "before")
    link.symlink_to(outside)
    for command in (("plan",), ("apply", "--auto-approve"), ("ledger", "show")):
        said = project.run(*command)
        if command[0] != "ledger" or linked != ".shplan/sandbox":
            assert said.code == 1, said
            assert "a link that leads out of the project" in said.err
    assert list(outside.iterdir()) == []


def test_a_link_within_the_project_is_followed(project: Project) -> None:
    (project.root / ".shplan").rename(project.root / "kept")
    (project.root / ".shplan").symlink_to("kept")
    assert project.run("apply", "--auto-approve").code == 0
    assert (project.root / "kept" / "ledger").is_dir()


def sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(20 << 30)


LARGE: tuple[Callable[[Path], None], ...] = (sparse, lambda path: path.symlink_to("/dev/zero"))


@pytest.mark.parametrize("make", LARGE, ids=["sparse", "device"])
@pytest.mark.parametrize(
    "command", [("apply", "x"), ("plan", "--var-file", "x")], ids=["apply", "plan"]
)
def test_a_file_without_an_end_is_not_held_in_memory(
    make: Callable[[Path], None], command: tuple[str, ...], project: Project
) -> None:
    make(project.root / "x")
    said = project.run(*command)
    assert said.code == 1
    assert "x is larger than 256 MB" in said.err


def test_a_file_of_variables_that_is_no_text_is_said(project: Project) -> None:
    (project.root / "x").write_bytes(b"a: \xff\n")
    said = project.run("plan", "--var-file", "x")
    assert said.code == 1
    assert "x is not UTF-8" in said.err


@pytest.mark.parametrize(
    "head",
    [
        "ref: ../../outside.txt",
        "ref: refs/../../../outside.txt",
        "ref: /etc/hostname",
        "ref: refs/heads/main",
        "\x1b]0;owned\x07",
        "canary-outside",
        "../outside.txt",
    ],
)
def test_nothing_but_a_commit_is_taken_from_a_repository(head: str, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("outside\n")
    git = tmp_path / "project" / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "refs" / "heads" / "main").symlink_to(tmp_path / "outside.txt")
    (git / "HEAD").write_text(head)
    assert commit(tmp_path / "project") == ""
    (git / "refs" / "heads" / "main").unlink()
    (git / "refs" / "heads" / "main").write_text("a" * 40 + "\n")
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert commit(tmp_path / "project") == "a" * 40
    (git / "HEAD").unlink()
    (git / "HEAD").symlink_to("/dev/zero")
    assert commit(tmp_path / "project") == ""


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
@pytest.mark.parametrize("version", ["2", "4"])
@pytest.mark.parametrize("named", [".shplan/ledger/sandbox", "kept/here"])
def test_a_ledger_that_came_with_the_repository_is_not_believed(
    named: str, version: str, project: Project
) -> None:
    """It could say that anything on the server is ours, and no manifest declares it: delete."""
    settings = project.root / "shplan.yaml"
    if not named.startswith("."):
        more = f"  environments: {{sandbox: {{deployment: sandbox, ledger: {named}}}}}\n"
        settings.write_text(settings.read_text() + more)
    assert project.run("apply", "--auto-approve").code == 0
    for arguments in (["init", "-q"], ["add", "shplan.yaml", "manifests"]):
        subprocess.run(["git", *arguments], cwd=project.root, check=True, timeout=60)
    assert project.run("plan").code == 0
    for arguments in (["add", "-f", named], ["update-index", "--index-version", version]):
        subprocess.run(["git", *arguments], cwd=project.root, check=True, timeout=60)
    for command in (("plan",), ("apply", "--auto-approve"), ("destroy", "--auto-approve")):
        said = project.run(*command)
        assert said.code == 1, said
        assert f"the ledger in {named} is committed to Git" in said.err
