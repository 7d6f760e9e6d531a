"""Diagnostics for programs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.diagnostic import Diagnostic, Severity, SourceSpan
from shplan.views.errors import diagnostics_json, github_annotations

PLACE = SourceSpan("manifests/fields, old.yaml", 14, 36, 38)
WRONG = Diagnostic(
    code="manifest/value",
    summary="Value not allowed",
    what="bitDepth of band B08 is 12; it must be 8, 16 or 32.",
    why="Samples are stored in whole bytes, 100% of them.",
    hint="write `bitDepth: 16`",
    span=PLACE,
    address="ByocCollection/fields",
)


def test_a_diagnostic_as_json_has_every_part() -> None:
    related = SourceSpan("a.yaml", 1, 2, 3)
    (shown,) = diagnostics_json(
        [Diagnostic("c/d", "s", "w", related=(related,), severity=Severity.WARNING)]
    )
    assert shown == {
        "code": "c/d",
        "severity": "warning",
        "summary": "s",
        "what": "w",
        "why": "",
        "hint": "",
        "address": "",
        "place": None,
        "related": [{"file": "a.yaml", "line": 1, "column": 2, "endColumn": 3}],
    }


def test_an_annotation_stands_at_its_place() -> None:
    assert github_annotations([WRONG]) == (
        "::error col=36,endColumn=38,file=manifests/fields%2C old.yaml,line=14,"
        "title=Value not allowed [manifest/value]"
        "::bitDepth of band B08 is 12; it must be 8, 16 or 32.%0A"
        "Samples are stored in whole bytes, 100%25 of them.%0Ahint: write `bitDepth: 16`\n"
    )


@pytest.mark.parametrize(
    ("severity", "command"),
    [(Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.HINT, "notice")],
)
def test_an_annotation_without_a_place_is_one_of_the_run(severity: Severity, command: str) -> None:
    one = Diagnostic("c/d", "s", "w", severity=severity)
    assert github_annotations([one]) == f"::{command} title=s [c/d]::w\n"


@given(st.text(), st.text())
def test_no_text_breaks_out_of_its_annotation(what: str, file: str) -> None:
    """A name in a manifest must not become a command to the code host."""
    one = Diagnostic("c/d", "s", what, span=SourceSpan(file, 1, 1, 2))
    shown = github_annotations([one])
    command, _, message = shown.removeprefix("::").partition("::")
    assert shown.count("\n") == 1
    assert "\r" not in shown
    assert command.count(",") == 4
    unescaped = message[:-1].replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
    assert unescaped == what
