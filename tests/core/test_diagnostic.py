"""The same faults read the same, in the order of their places."""

from __future__ import annotations

from shplan.core.diagnostic import (
    Diagnostic,
    Severity,
    SourceSpan,
    has_errors,
    of_all_instances,
    ordered,
)


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


def of(key: str, what: str = "is wrong", *, line: int = 2, hint: str = "") -> Diagnostic:
    span = SourceSpan("a.yaml", line, 1, 3)
    return Diagnostic("c", "S", f"BatchProcess/n[{key}] {what}", span=span, hint=hint)


def test_what_is_wrong_with_every_instance_is_said_once() -> None:
    months = ("north,05", "north,06", "south,05", "south,06", "west,05")
    given = [of(key, hint=f"write {key.replace(',', '/')}") for key in months]
    (one,) = of_all_instances(given)
    assert one.hint == "write north/05"
    assert one.what.splitlines() == [
        "BatchProcess/n[north,05] is wrong",
        "The same in 4 other instances: [north,06], [south,05], [south,06], ...",
    ]


def test_what_differs_in_more_than_the_key_is_said_of_each() -> None:
    plain = (found("z"), found("z", SourceSpan("a.yaml", 1, 1, 2)))
    given = (*plain, of("a"), of("b", line=3), of("c", "is worse"), of("d", hint="another"))
    assert of_all_instances(given) == given
