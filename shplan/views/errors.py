"""
Diagnostics for programs: as JSON, and as the annotations that a code host shows beside a line.

For people they are worded by `snippet`.
"""

from __future__ import annotations

from collections.abc import Iterable

from shplan.core.diagnostic import Diagnostic, Severity, SourceSpan
from shplan.core.value import JsonValue

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.HINT: "notice"}


def diagnostics_json(diagnostics: Iterable[Diagnostic]) -> list[JsonValue]:
    """Return diagnostics as JSON, in their order."""
    return [
        {
            "code": one.code,
            "severity": one.severity.value,
            "summary": one.summary,
            "what": one.what,
            "why": one.why,
            "hint": one.hint,
            "address": one.address,
            "place": _place(one.span),
            "related": [_place(span) for span in one.related],
        }
        for one in diagnostics
    ]


def github_annotations(diagnostics: Iterable[Diagnostic]) -> str:
    """
    Return one workflow command a diagnostic, each on a line of its own, in their order.

    Source: GitHub's documentation, "Workflow commands for GitHub Actions": `::error
    file=...,line=...,col=...,endColumn=...,title=...::message`, or `warning` or `notice`, with `%`, carriage return and
    line feed escaped everywhere, `:` and `,` in properties.
    """
    return "".join(f"{_annotation(one)}\n" for one in diagnostics)


def _annotation(one: Diagnostic) -> str:
    properties = {"title": f"{one.summary} [{one.code}]"}
    if one.span is not None:
        properties |= {
            "file": one.span.file,
            "line": str(one.span.line),
            "col": str(one.span.column),
            "endColumn": str(one.span.end_column),
        }
    shown = ",".join(f"{name}={_property(value)}" for name, value in sorted(properties.items()))
    hint = f"hint: {one.hint}" if one.hint else ""
    message = "\n".join(part for part in (one.what, one.why, hint) if part)
    return f"::{_COMMANDS[one.severity]} {shown}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _place(span: SourceSpan | None) -> JsonValue:
    if span is None:
        return None
    return {
        "file": span.file,
        "line": span.line,
        "column": span.column,
        "endColumn": span.end_column,
    }
