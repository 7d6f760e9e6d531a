"""
Every wrong project in `tests/golden/invalid` with the exact messages that it must give.

`SHPLAN_GOLDEN=1 pytest tests/manifest/test_invalid.py` writes the messages anew; the difference is reviewed as code.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from shplan.core.diagnostic import has_errors
from shplan.manifest.load import load
from shplan.manifest.variables import VariableFile, VariableInputs
from shplan.providers.registry import PROVIDERS
from shplan.views.snippet import render_all

INVALID = Path(__file__).parents[1] / "golden" / "invalid"
CASES = sorted(path.name for path in INVALID.iterdir())


def options(directory: Path) -> dict:
    file = directory / "options.json"
    return json.loads(file.read_text()) if file.exists() else {}


def messages(directory: Path) -> str:
    given = options(directory)
    loaded = load(
        directory,
        registry=PROVIDERS,
        environment=given.get("environment"),
        ci=given.get("ci", False),
        variables=VariableInputs(
            given.get("var", {}),
            given.get("env", {}),
            tuple(VariableFile(name, text) for name, text in given.get("files", {}).items()),
        ),
        version="0.1.0",
    )
    assert has_errors(loaded.diagnostics), "this project must be wrong"
    return render_all(loaded.diagnostics, loaded.texts)


@pytest.mark.parametrize("case", CASES)
def test_messages_are_exactly_these(case: str) -> None:
    told = messages(INVALID / case)
    golden = INVALID / case / "expected.txt"
    if os.environ.get("SHPLAN_GOLDEN"):
        golden.write_text(told)
    assert told == golden.read_text()


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("case", CASES)
def test_no_message_shows_a_secret(case: str) -> None:
    told = (INVALID / case / "expected.txt").read_text()
    assert "AKIAIOSFODNN7EXAMPLE" not in told
    assert "wJalrXUtnFEMIK7MDENG" not in told
