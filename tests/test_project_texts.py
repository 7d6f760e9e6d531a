"""What the project says of itself is true."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from shplan.cli import docs
from shplan.sandbox.faults import Kind
from shplan.sandbox.settings import Settings
from shplan.sandbox.testing import Sandbox

ROOT = Path(__file__).parents[1]


def test_the_readme_opens_with_the_two_commands() -> None:
    first = [line for line in (ROOT / "README.md").read_text().splitlines() if line][:4]
    assert first[0] == "# shplan"
    assert [line.split("#")[0].strip() for line in first[2:]] == ["make demo", "make test"]


def test_every_direct_dependency_says_why() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = [*project["dependencies"], *project["optional-dependencies"]["sandbox"]]
    names = {re.split(r"[<>=\[]", one)[0] for one in listed}
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert {name for name in names if name not in text} == set()


def test_the_reference_of_commands_is_up_to_date() -> None:
    """`make docs` writes it."""
    assert (ROOT / "docs" / "cli.md").read_text() == docs.reference()


def test_the_settings_on_the_page_of_the_sandbox_are_up_to_date() -> None:
    """`make docs` writes them."""
    page = (ROOT / "docs" / "sandbox.md").read_text()
    assert page == docs.sandbox_page(page)
    assert all(f"| `{name}` |" in page for name in Settings.__dataclass_fields__)


def test_the_page_of_the_sandbox_names_all_that_a_test_can_use() -> None:
    page = (ROOT / "docs" / "sandbox.md").read_text()
    names = {name for name in vars(Sandbox) if not name.startswith("_")} - {"address"}
    assert {name for name in names if f"`{name}" not in page} == set()
    assert {kind for kind in get_args(Kind) if f"`{kind}`" not in page} == set()


def test_every_example_is_listed() -> None:
    text = (ROOT / "examples" / "README.md").read_text()
    for path in (ROOT / "examples").iterdir():
        if path.is_dir() and path.name != "__pycache__":
            assert f"]({path.name})" in text
            assert len((path / "README.md").read_text().strip().splitlines()) <= 8


@pytest.mark.parametrize("pattern", [r"/home/\w+/", r"/root/", r"C:\\Users"])
def test_no_file_names_a_machine(pattern: str) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.yaml", "*.toml", "Makefile", "*.sh", ".ci/*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    here = Path(__file__).relative_to(ROOT).as_posix()
    found = [
        n
        for n in tracked
        if n != here and re.search(pattern, (ROOT / n).read_text(errors="replace"))
    ]
    assert found == []
