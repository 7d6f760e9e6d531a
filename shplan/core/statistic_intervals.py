"""
The intervals over which statistics are made: how many, and how many days each of them holds.

Source: the Statistical API's documentation: `of` is a period or a time of ISO 8601 of at least one
day, the end of an interval is the beginning of the next, and `lastIntervalBehavior` says what
becomes of one that reaches beyond the range: SKIP (default), SHORTEN or EXTEND. That months and
years are those of the calendar, counted from the beginning of the range, is an assumption.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, date, datetime, timedelta

# No request has more; what would is refused elsewhere, and has no price here.
_MOST = 20_000
_DAY = timedelta(days=1)
# Ranges are written to their last second; whether such an end is skipped is not published.
_SECOND = timedelta(seconds=1)
_PERIOD = re.compile(
    r"P(?=\d)(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})W)?(?:(\d{1,6})D)?", re.ASCII
)
_TIME = re.compile(r"PT(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Intervals:
    """
    What a time range is cut into.

    Args:
        count: intervals
        days: of UTC that they touch; one that two intervals share counts for both
        begin, end: of the first and of the last, None where there is none
        spans: of each the first and the last day that it touches, `2025-06-01`
    """

    count: int
    days: int
    begin: datetime | None = None
    end: datetime | None = None
    spans: tuple[tuple[str, str], ...] = ()


def cut(since: datetime, until: datetime, *, of: str, last: str) -> Intervals | None:
    """
    Cut a time range; None where it cannot be cut.

    Args:
        since, until: the range; its end is not in it
        of: the duration of an interval, ISO 8601
        last: SKIP, SHORTEN or EXTEND
    """
    duration = _duration(of)
    if duration is None:
        return None
    count = days = 0
    end = None
    spans = []
    for begin, over in _endless(since.astimezone(UTC), *duration):
        if begin >= until or (over > until + _SECOND and last not in ("SHORTEN", "EXTEND")):
            break
        if count == _MOST:
            return None
        end = until.astimezone(UTC) if over > until and last == "SHORTEN" else over
        count += 1
        first, last_day = _touched(begin, end)
        days += (last_day - first).days + 1
        spans.append((first.isoformat(), last_day.isoformat()))
    return Intervals(count, days, since.astimezone(UTC) if count else None, end, tuple(spans))


def _duration(text: str) -> tuple[int, timedelta] | None:
    """Read months of the calendar and an exact time; None where it is no duration of a day."""
    months, exact = 0, timedelta()
    if match := _PERIOD.fullmatch(text):
        years, months, weeks, days = (int(part or 0) for part in match.groups())
        months += 12 * years
        exact = timedelta(days=7 * weeks + days)
    elif match := _TIME.fullmatch(text):
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        try:
            exact = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        except OverflowError:
            return None
    else:
        return None
    return (months, exact) if months or exact >= _DAY else None


def _endless(since: datetime, months: int, exact: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """Yield one interval after the other, as far as the calendar goes."""
    begin, count = since, 0
    while True:
        count += 1
        try:
            end = _after(since, months * count, exact * count)
        except OverflowError:
            return
        yield begin, end
        begin = end


def _after(since: datetime, months: int, exact: timedelta) -> datetime:
    year, month = divmod(since.year * 12 + since.month - 1 + months, 12)
    if year > MAXYEAR:
        message = "beyond the calendar"
        raise OverflowError(message)
    day = min(since.day, calendar.monthrange(year, month + 1)[1])
    return since.replace(year=year, month=month + 1, day=day) + exact


def _touched(begin: datetime, end: datetime) -> tuple[date, date]:
    """Return the first and the last day of UTC that an interval touches, whose end is not in it."""
    return begin.date(), max((end - timedelta(milliseconds=1)).date(), begin.date())
