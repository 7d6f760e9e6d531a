from __future__ import annotations

import calendar
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox import aggregation
from shplan.sandbox.aggregation import (
    EXTEND,
    SHORTEN,
    SKIP,
    Duration,
    DurationError,
    duration_of,
    intervals,
)
from shplan.sandbox.wire import instant, parse_instant

DAY_MS = 86_400_000


def cut(begin: str, end: str, of: str, last: str = SKIP) -> list[tuple[str, str]]:
    found = intervals(parse_instant(begin), parse_instant(end), of=duration_of(of), last=last)
    return [(aggregation.told(one.from_ms), aggregation.told(one.to_ms)) for one in found]


def days(*found: str) -> list[str]:
    return [f"{one}T00:00:00Z" for one in found]


@pytest.mark.parametrize(
    ("last", "ends"),
    [
        (SKIP, ["2025-07-06", "2025-07-11"]),
        (SHORTEN, ["2025-07-06", "2025-07-11", "2025-07-15"]),
        (EXTEND, ["2025-07-06", "2025-07-11", "2025-07-16"]),
    ],
)
def test_the_last_interval_is_skipped_shortened_or_extended(last: str, ends: list[str]) -> None:
    """Source: the example of the pages, 1 to 15 July by five days."""
    found = cut("2025-07-01T00:00:00Z", "2025-07-15T00:00:00Z", "P5D", last)
    assert [end for _, end in found] == days(*ends)
    assert [begin for begin, _ in found] == days("2025-07-01", *ends[:-1])


def test_a_day_that_ends_a_second_early_is_no_day() -> None:
    begin, end = "2025-07-01T00:00:00Z", "2025-07-02T23:59:59Z"
    assert cut(begin, end, "P1D") == [("2025-07-01T00:00:00Z", "2025-07-02T00:00:00Z")]
    assert cut(begin, end, "P1D", SHORTEN)[1] == ("2025-07-02T00:00:00Z", end)
    assert cut(begin, end, "P1D", EXTEND)[1][1] == "2025-07-03T00:00:00Z"


def test_months_are_those_of_the_calendar_and_do_not_drift() -> None:
    found = cut("2025-01-31T06:00:00Z", "2025-05-31T06:00:00Z", "P1M")
    assert [begin[:10] for begin, _ in found] == [
        "2025-01-31",
        "2025-02-28",
        "2025-03-31",
        "2025-04-30",
    ]
    assert found[-1][1] == "2025-05-31T06:00:00Z"


def test_offsets_are_told_in_utc() -> None:
    found = cut("2025-07-01T02:00:00+02:00", "2025-07-03T00:00:00Z", "P1D")
    assert found[0] == ("2025-07-01T00:00:00Z", "2025-07-02T00:00:00Z")


def test_fractions_of_a_second_are_told() -> None:
    found = cut("2025-07-01T00:00:00.250Z", "2025-07-02T00:00:00.250Z", "P1D")
    assert found == [("2025-07-01T00:00:00.250Z", "2025-07-02T00:00:00.250Z")]


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("P1D", Duration(0, DAY_MS)),
        ("P2W", Duration(0, 14 * DAY_MS)),
        ("P1M", Duration(1, 0)),
        ("P1Y2M3D", Duration(14, 3 * DAY_MS)),
        ("PT24H", Duration(0, DAY_MS)),
        ("PT1440M", Duration(0, DAY_MS)),
        ("PT47H59M60.5S", Duration(0, 2 * DAY_MS + 500)),
    ],
)
def test_durations_are_read(text: str, duration: Duration) -> None:
    assert duration_of(text) == duration


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "1D", "P1", "P-1D", "P1DT12H", "PT12H", "P0D", "P1.5D", "p1d", "P1D ", "P١D"],
)
def test_what_is_no_duration_of_a_day_is_refused(text: str) -> None:
    with pytest.raises(DurationError):
        duration_of(text)


def test_more_intervals_than_anybody_needs_are_refused() -> None:
    with pytest.raises(DurationError, match="more than 20000 intervals"):
        cut("1900-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "P1D")


@pytest.mark.parametrize("of", ["P999999Y", "P12M", "P800000D"])
def test_where_the_calendar_ends_so_does_the_interval(of: str) -> None:
    begin, end = "9999-06-01T00:00:00Z", "9999-12-01T00:00:00Z"
    assert cut(begin, end, of) == []
    assert cut(begin, end, of, SHORTEN) == [(begin, end)]
    assert cut(begin, end, of, EXTEND) == [(begin, "9999-12-31T23:59:59.999Z")]


def test_a_range_without_length_has_no_interval() -> None:
    for last in (SKIP, SHORTEN, EXTEND):
        assert cut("2025-07-01T00:00:00Z", "2025-07-01T00:00:00Z", "P1D", last) == []


INSTANTS = st.integers(parse_instant("1990-01-01T00:00:00Z"), parse_instant("2060-01-01T00:00:00Z"))
LENGTHS = st.integers(0, 400 * DAY_MS)
DURATIONS = st.builds(
    Duration, months=st.integers(0, 14), ms=st.integers(DAY_MS, 90 * DAY_MS)
) | st.builds(Duration, months=st.integers(1, 14), ms=st.just(0))


@given(INSTANTS, LENGTHS, DURATIONS)
def test_intervals_follow_each_other_and_differ_in_the_last_alone(
    begin: int, length: int, of: Duration
) -> None:
    end = begin + length
    skipped, shortened, extended = (
        intervals(begin, end, of=of, last=last) for last in (SKIP, SHORTEN, EXTEND)
    )
    for found in (skipped, shortened, extended):
        assert all(one.to_ms == other.from_ms for one, other in zip(found, found[1:], strict=False))
        assert all(one.from_ms < one.to_ms for one in found)
        assert not found or found[0].from_ms == begin
    assert [one.from_ms for one in shortened] == [one.from_ms for one in extended]
    whole = [one for one in extended if one.to_ms <= end]
    assert list(skipped) == whole
    assert len(extended) - len(whole) <= 1
    if length:
        assert shortened[-1].to_ms == end
        assert extended[-1].to_ms >= end


@given(INSTANTS, st.integers(1, 40), st.integers(1, 12))
def test_a_month_later_is_the_same_day_or_the_last_of_its_month(
    begin: int, count: int, months: int
) -> None:
    end = parse_instant("2199-01-01T00:00:00Z")
    found = intervals(begin, end, of=Duration(months, 0))[count]
    first = dt.datetime.fromisoformat(instant(begin))
    then = dt.datetime.fromisoformat(instant(found.from_ms))
    passed = (then.year - first.year) * 12 + then.month - first.month
    assert passed == count * months
    assert then.day == min(first.day, calendar.monthrange(then.year, then.month)[1])
    assert then.timetz() == first.timetz()
