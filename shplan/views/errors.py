"""
Diagnostics for programs: as JSON, and as the annotations that code hosts show beside a line.
"""

from __future__ import annotations

from collections.abc import Iterable

from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.value import JsonValue


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


def _place(span: SourceSpan | None) -> JsonValue:
    if span is None:
        return None
    return {
        "file": span.file,
        "line": span.line,
        "column": span.column,
        "endColumn": span.end_column,
    }
