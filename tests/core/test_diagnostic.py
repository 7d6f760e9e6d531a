"""The same faults read the same, in the order of their places."""

from __future__ import annotations

from shplan.core.diagnostic import Diagnostic, Severity, SourceSpan, has_errors, ordered


def found(
    code: str, span: SourceSpan | None = None, severity: Severity = Severity.ERROR
) -> Diagnostic:
    return Diagnostic(code, "Summary", "what", span=span, severity=severity)


def test_diagnostics_are_sorted_by_place_and_told_once() -> None:
    first, second = SourceSpan("a.yaml", 2, 1, 3), SourceSpan("a.yaml", 10, 1, 3)
    other = SourceSpan("b.yaml", 1, 1, 2)
    given = [
        found("z", other),
        found("b", second),
        found("c", first),
        found("a", second),
        found("x"),
        found("c", first),
    ]
    assert [one.code for one in ordered(given)] == ["x", "c", "a", "b", "z"]
    assert ordered(reversed(given)) == ordered(given)
    assert str(first) == "a.yaml:2:1"


def test_warnings_stop_nothing() -> None:
    assert not has_errors([found("w", severity=Severity.WARNING)])
    assert has_errors([found("w", severity=Severity.WARNING), found("e")])
