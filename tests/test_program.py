"""A command that is forked is seen as a command that is started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.program import shplan

pytestmark = pytest.mark.skipif(os.name == "nt", reason="starts commands there")
STARTED = [sys.executable, "-m", "shplan"]
MANIFEST = "apiVersion: shplan/v1\nkind: ByocCollection\nmetadata: {name: a}\nspec: {name: ä, s3Bucket: b-b}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shplan.yaml").write_text(
        "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: demo}\nspec: {}\n"
    )
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "all.yaml").write_text(MANIFEST)
    return tmp_path


def ran(
    words: list[str], root: Path, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*words, *arguments],
        cwd=root,
        env={"PYTHONPATH": str(Path(__file__).parents[1]), "HOME": str(root), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=100,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--format", "json"),
        ("plan", "--detailed-exitcode", "--log", "json"),
        ("plan", "--select", "ByocCollection/ä"),
        ("plam",),
        ("show", "Ä\udcff"),
        ("--version",),
        (),
    ],
    ids=" ".join,
)
def test_it_says_the_same_and_leaves_with_the_same_code(
    project: Path, arguments: tuple[str, ...]
) -> None:
    one, other = ran(STARTED, project, *arguments), ran(shplan(), project, *arguments)
    assert (one.returncode, one.stdout, one.stderr) == (
        other.returncode,
        other.stdout,
        other.stderr,
    )


def test_each_has_its_own_directory_and_environment(project: Path) -> None:
    """Each sees what it was given, and nothing of the one before."""
    inner = project / "inner"
    inner.mkdir()
    undeclared = ran(shplan(), inner, "validate", SHPLAN_VAR_X="1")
    assert undeclared.returncode == 1
    assert b"`X: {type: string}`" in undeclared.stderr
    assert ran(shplan(), inner, "validate").returncode == 0
    outer = ran(shplan(), project.parent, "validate")
    assert outer.returncode == 1
    assert b"there is no shplan.yaml here" in outer.stderr


def test_who_kills_what_was_started_kills_what_works(project: Path) -> None:
    command = [*shplan(), "sandbox", "serve", "--port", "0", "--data", str(project / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as serving:
        assert serving.stdout is not None
        assert serving.stdout.readline()
        serving.kill()
        # Both hold the pipe, which ends when both have ended.
        serving.stdout.read()
        assert serving.wait(60) == -signal.SIGKILL
