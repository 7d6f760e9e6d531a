"""Every example: valid, planned as its golden says, applied, and then nothing is left to do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from examples.prepare import IMAGERY, main, prepare, run_shplan
from tests.support.program import shplan

EXAMPLES = Path(__file__).parents[2] / "examples"
# What a person may have left there by trying an example.
# Their results have millions of pixels, or they have many; what their kind is asked is asked by others.
LARGE = {"08-evalscript-and-batch", "10-many-jobs", "11-rerun-and-limits"}
LEFTOVERS = shutil.ignore_patterns(".shplan", "out")


def test_every_example_has_imagery() -> None:
    """A new example is not forgotten by the tests."""
    found = {path.parent.name for path in EXAMPLES.glob("[0-9]*/shplan.yaml")}
    assert found == set(IMAGERY)


def test_every_example_is_listed() -> None:
    text = (EXAMPLES / "README.md").read_text()
    assert [name for name in IMAGERY if f"[{name}]({name})" not in text] == []


@pytest.mark.parametrize("name", sorted(IMAGERY))
def test_its_readme_has_five_lines(name: str) -> None:
    lines = (EXAMPLES / name / "README.md").read_text().splitlines()
    assert lines[0].startswith("# ")
    assert len([line for line in lines if line]) <= 5


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.prepare.SHPLAN", shplan())


def laid_out(name: str, tmp_path: Path) -> Path:
    home = tmp_path / name
    shutil.copytree(EXAMPLES / name, home, ignore=LEFTOVERS)
    prepare(name, home)
    return home


@pytest.mark.parametrize("name", sorted(IMAGERY))
def test_it_is_valid_and_planned_as_its_golden_says(name: str, tmp_path: Path) -> None:
    home = laid_out(name, tmp_path)
    run_shplan(home, "validate")
    run_shplan(home, "fmt", "--check")
    text = run_shplan(home, "plan")
    golden = EXAMPLES / name / "plan.golden.txt"
    if os.environ.get("SHPLAN_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE)) for name in sorted(IMAGERY)],
)
def test_once_applied_nothing_is_left_to_do(name: str, tmp_path: Path) -> None:
    home = laid_out(name, tmp_path)
    run_shplan(home, "apply", "--auto-approve")
    again = run_shplan(home, "plan", "--detailed-exitcode")
    assert again.startswith("No changes.")
    run_shplan(home, "ledger", "verify")


def test_a_wrong_name_is_answered_with_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["99-none"]) == 1
    assert "01-first-collection" in capsys.readouterr().err
