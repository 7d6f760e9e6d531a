"""
A range of time cut into the intervals over which statistics are made.

Pure. Source: the statistics pages: `of` is a period or a time of ISO 8601, never both, of at least one day;
the end of an interval is the beginning of the next; what the last one does is `lastIntervalBehavior`.
Assumptions: months and years are those of the calendar in UTC, counted from the beginning of the range, so
that 31 January and a month is the last of February, and two months are 31 March; an instant that is the end
of an interval is not in it.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shplan.sandbox.wire import instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shplan.sandbox.wire import JsonObject

SKIP, SHORTEN, EXTEND = "SKIP", "SHORTEN", "EXTEND"
# Our own bound: a day each for more than half a century.
MOST_INTERVALS = 20_000

_DAY_MS = 86_400_000
_PERIOD = re.compile(
    r"P(?=.)(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})W)?(?:(\d{1,6})D)?", re.ASCII
)
_TIME = re.compile(r"PT(?=.)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Where the calendar ends.
_END_MS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


class DurationError(ValueError):
    """A duration that no range can be cut by, in the words of the answer."""


@dataclass(frozen=True, slots=True)
class Duration:
    """So many months of the calendar, and so many milliseconds."""

    months: int
    ms: int


@dataclass(frozen=True, slots=True)
class Interval:
    """From an instant up to another, which is not in it; milliseconds since 1970."""

    from_ms: int
    to_ms: int

    def as_json(self) -> JsonObject:
        """The interval as answers show it."""
        return {"from": told(self.from_ms), "to": told(self.to_ms)}


def told(at_ms: int) -> str:
    """An instant as the statistics pages print it: without a fraction where there is none."""
    return instant(at_ms).replace(".000Z", "Z")


def duration_of(text: str) -> Duration:
    """
    Read a duration.

    Raises:
        DurationError: it is none, has a period and a time, or is shorter than a day
    """
    if match := _PERIOD.fullmatch(text):
        years, months, weeks, days = (int(part or 0) for part in match.groups())
        found = Duration(12 * years + months, (7 * weeks + days) * _DAY_MS)
    elif match := _TIME.fullmatch(text):
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        found = Duration(0, round((hours * 3600 + minutes * 60 + seconds) * 1000))
    else:
        msg = "must be a duration of ISO 8601, with a period or a time, as P10D or PT48H"
        raise DurationError(msg)
    if not found.months and found.ms < _DAY_MS:
        msg = "must be at least one day"
        raise DurationError(msg)
    return found


def intervals(from_ms: int, to_ms: int, *, of: Duration, last: str = SKIP) -> tuple[Interval, ...]:
    """
    Cut a range into intervals.

    Args:
        last: what becomes of an interval that would reach beyond the range

    Raises:
        DurationError: there would be too many
    """
    found: list[Interval] = []
    for one in _endless(from_ms, of):
        if one.from_ms >= to_ms:
            break
        if one.to_ms > to_ms and last == SKIP:
            break
        if len(found) == MOST_INTERVALS:
            msg = f"makes more than {MOST_INTERVALS} intervals of the time range"
            raise DurationError(msg)
        found.append(Interval(one.from_ms, to_ms) if one.to_ms > to_ms and last == SHORTEN else one)
    return tuple(found)


def _endless(from_ms: int, of: Duration) -> Iterator[Interval]:
    """One interval after the other, as far as the calendar goes."""
    begin, count = from_ms, 0
    while True:
        count += 1
        try:
            end = _after(from_ms, of, count)
        except OverflowError:
            yield Interval(begin, _END_MS)
            return
        yield Interval(begin, end)
        begin = end


def _after(from_ms: int, of: Duration, count: int) -> int:
    """The instant that lies so many durations after another."""
    at = _EPOCH + timedelta(milliseconds=from_ms)
    if of.months:
        month = at.year * 12 + at.month - 1 + of.months * count
        year, month = divmod(month, 12)
        if year > MAXYEAR:
            msg = "beyond the calendar"
            raise OverflowError(msg)
        day = min(at.day, calendar.monthrange(year, month + 1)[1])
        at = at.replace(year=year, month=month + 1, day=day)
    at += timedelta(milliseconds=of.ms * count)
    return (at - _EPOCH) // timedelta(milliseconds=1)
