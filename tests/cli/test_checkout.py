"""The commit of a checkout, as Git itself names it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from shplan.cli.checkout import commit

GIT = shutil.which("git")


def git(*arguments: str, where: Path) -> str:
    assert GIT is not None
    named = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(  # noqa: S603 - Git itself is the witness
        [GIT, *named, *arguments], cwd=where, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.mark.skipif(GIT is None, reason="Git is the witness")
def test_the_commit_is_gits_own(tmp_path: Path) -> None:
    home = tmp_path / "repository"
    (home / "project").mkdir(parents=True)
    assert commit(home) == ""
    git("init", "-q", where=home)
    assert commit(home) == ""
    git("commit", "-q", "--allow-empty", "-m", "one", where=home)
    head = git("rev-parse", "HEAD", where=home)
    assert commit(home / "project") == head
    git("pack-refs", "--all", where=home)
    assert commit(home) == head
    git("worktree", "add", "-q", "-b", "other", "../linked", where=home)
    git("commit", "-q", "--allow-empty", "-m", "two", where=tmp_path / "linked")
    assert (
        commit(tmp_path / "linked") == git("rev-parse", "HEAD", where=tmp_path / "linked") != head
    )
    git("checkout", "-q", "--detach", where=home)
    assert commit(home) == head
