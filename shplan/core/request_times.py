"""
Times of a request: ranges that are empty, turned round or older than a mission, and intervals of statistics.

Source: API reference, `dataFilter.timeRange` (both ends included) and `aggregation` (intervals of whole days;
`lastIntervalBehavior` is SKIP by default); launches of the missions: table `missions`.
"""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta
from typing import Final

from shplan.core.compare import instant
from shplan.core.frozen import dataclass
from shplan.core.request_faults import Fault, Faults, at
from shplan.core.value import JsonObject, Path, Value

_PERIOD = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?")
_CLOCK = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?")
# Longer than any archive; more is no number of months that a calendar could add.
_MOST_UNITS: Final = 100_000
# An instant by its form, be there such a day or not; other words are judged by the schema.
_WRITTEN = re.compile(r"\d{4}-\d\d-\d\dT", re.IGNORECASE)
_SECOND: Final = timedelta(seconds=1)
# Of an interval: less than that at the end of a time range is not told.
_WORTH_TELLING: Final = 0.25


@dataclass(frozen=True, slots=True)
class Span:
    """An interval of a calendar: months and days, or seconds."""

    months: int = 0
    days: int = 0
    seconds: int = 0

    def after(self, moment: datetime, times: int) -> datetime | None:
        """Return the instant so many spans later, None where the calendar has none."""
        months = moment.month - 1 + self.months * times
        year, month = moment.year + months // 12, months % 12 + 1
        try:
            day = min(moment.day, calendar.monthrange(year, month)[1])
            return moment.replace(year=year, month=month, day=day) + timedelta(
                days=self.days * times, seconds=self.seconds * times
            )
        except (ValueError, OverflowError):
            return None


def range_faults(within: Value, path: Path) -> Faults:
    """Return what is wrong with a time range by itself."""
    since, until = ends_of(within)
    for name, read in (("from", since), ("to", until)):
        stated = at(within, name)
        if isinstance(stated, str) and read is None and _WRITTEN.match(stated):
            yield Fault(
                (*path, name),
                "time",
                "No such instant",
                f"`{name}` is `{stated[:40]}`, which no calendar has.",
                "The service refuses a time that it cannot read.",
                'write an instant, e.g. "2025-06-30T23:59:59Z"',
            )
    if since is None or until is None:
        return
    if since > until:
        yield Fault(
            path,
            "time",
            "Time range turned round",
            "`from` is later than `to`.",
            hint="exchange them",
        )
    elif since == until:
        yield Fault(
            path,
            "time",
            "Time range of an instant",
            "`from` and `to` are the same instant.",
            "Only what was sensed in that very millisecond lies inside.",
            "end the range later, e.g. with the last second of the day",
            sure=False,
        )


def mission_faults(within: Value, collection: Value, table: JsonObject, path: Path) -> Faults:
    """Say that a range lies before the mission or after it, so that nothing can be in it."""
    entry = mission_of(collection, table)
    since, until = ends_of(within)
    if entry is None or (since is None and until is None):
        return
    if at(within) is not None and entry.get("timeless"):
        if path[:1] == ("aggregation",):
            # Statistics have to state one, whatever they are of.
            return
        yield Fault(
            path,
            "time",
            "Time range without a meaning",
            f"{collection} has no time, and the range is ignored.",
            hint="leave `timeRange` out",
            sure=False,
        )
        return
    begins = entry.get("since")
    launched = instant(f"{begins}T00:00:00Z") if isinstance(begins, str) else None
    if launched is not None and until is not None and until < launched:
        yield Fault(
            path,
            "time",
            "Time range before the mission",
            f"the range ends before {begins}, when {collection} began.",
            "Nothing was sensed then: the result holds no data, and is paid.",
            "correct the years",
            sure=False,
        )
    ends = entry.get("until")
    ended = instant(f"{ends}T23:59:59Z") if isinstance(ends, str) else None
    if ended is not None and since is not None and since > ended:
        yield Fault(
            path,
            "time",
            "Time range after the mission",
            f"the range begins after {ends}, when the last satellite of {collection} was switched off.",
            "Nothing was sensed since: the result holds no data, and is paid.",
            "correct the years, or read another collection",
            sure=False,
        )


def mission_of(collection: Value, table: JsonObject) -> JsonObject | None:
    """Return the entry of a public collection in the table of missions."""
    listed = table.get("missions")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and one.get("type") == collection:
            return one
    return None


def ends_of(within: Value) -> tuple[datetime | None, datetime | None]:
    """Return both ends of a range; None for one that is open, unknown or no instant."""
    since, until = at(within, "from"), at(within, "to")
    return (
        instant(since) if isinstance(since, str) else None,
        instant(until) if isinstance(until, str) else None,
    )


# --- intervals of statistics ---------------------------------------------------------------


def aggregation_faults(aggregation: Value, path: Path) -> Faults:
    """Return what is wrong with the times of a request for statistics."""
    within = at(aggregation, "timeRange")
    yield from range_faults(within, (*path, "timeRange"))
    stated = at(aggregation, "aggregationInterval", "of")
    if not isinstance(stated, str):
        return
    place = (*path, "aggregationInterval", "of")
    span = span_of(stated)
    if span is None:
        yield _no_interval(stated, place)
    elif span.seconds and span.seconds < 86_400:
        yield Fault(
            place,
            "time",
            "Interval shorter than a day",
            f"the interval is {stated}; the shortest is a day.",
            "Statistics are made of whole days, or more.",
            "write `of: P1D`",
        )
    else:
        yield from _left_over(aggregation, span, stated, place)


def span_of(text: str) -> Span | None:
    """Read a duration of ISO 8601 that is a period or a time; None for any other, and for both at once."""
    period, clock = _PERIOD.fullmatch(text), _CLOCK.fullmatch(text)
    found = period or clock
    if found is None or not any(found.groups()):
        return None
    numbers = [int(one or 0) for one in found.groups() if len(one or "") <= 6]
    if len(numbers) < len(found.groups()) or max(numbers) > _MOST_UNITS or not sum(numbers):
        return None
    if period is not None:
        years, months, weeks, days = numbers
        return Span(12 * years + months, 7 * weeks + days)
    hours, minutes, seconds = numbers
    return Span(seconds=3600 * hours + 60 * minutes + seconds)


def _no_interval(stated: str, place: Path) -> Fault:
    both = re.fullmatch(r"P\d+[YMWD].*T\d+[HMS].*", stated) is not None
    return Fault(
        place,
        "time",
        "Not an interval",
        f"`{stated[:60]}` is "
        + ("a period with a time." if both else "no duration that intervals can have."),
        "It is an ISO 8601 duration of days or more: P1D, P10D, P1M; a period or a time, never both.",
        "write `of: P1D`",
    )


def _left_over(aggregation: Value, span: Span, stated: str, place: Path) -> Faults:
    """Say what the last interval loses. An end at 23:59:59 is meant as the end of the day."""
    since, until = ends_of(at(aggregation, "timeRange"))
    if since is None or until is None or since >= until:
        return
    behaviour = at(aggregation, "aggregationInterval", "lastIntervalBehavior") or "SKIP"
    first = span.after(since, 1)
    if behaviour != "SKIP" or first is None:
        return
    if first > until + _SECOND:
        yield Fault(
            place,
            "time",
            "Interval longer than the time range",
            f"the interval {stated} is longer than the time range: there is no interval in it.",
            "An interval that does not fit is skipped, unless `lastIntervalBehavior` says otherwise.",
            "write `lastIntervalBehavior: SHORTEN`, or a shorter interval",
        )
        return
    left = _rest(since, until, span)
    # A day that does not fit is hardly ever missed.
    if left is not None and left > _SECOND and left >= (first - since) * _WORTH_TELLING:
        yield Fault(
            place,
            "time",
            "End of the time range left out",
            f"intervals of {stated} do not fill the time range: its last {_told(left)} are in none.",
            "An interval that does not fit is skipped, unless `lastIntervalBehavior` says otherwise.",
            "write `lastIntervalBehavior: SHORTEN` if they are wanted",
            sure=False,
        )


def _rest(since: datetime, until: datetime, span: Span) -> timedelta | None:
    """Return what no whole interval covers, found by halving, not by counting."""
    low, high = 1, 2
    while (reached := span.after(since, high)) is not None and reached <= until + _SECOND:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        reached = span.after(since, middle)
        fits = reached is not None and reached <= until + _SECOND
        low, high = (middle, high) if fits else (low, middle)
    last = span.after(since, low)
    return None if last is None else until - last


def _told(left: timedelta) -> str:
    days = round(left / timedelta(days=1))
    return f"{days} days" if days > 1 else f"{max(round(left.total_seconds() / 3600), 1)} hours"
