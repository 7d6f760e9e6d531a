"""
Dates for expressions: the ends of days, months and years, steps, and series.

Ends are the last second, because the API's time ranges include their end. Nothing here knows what
day it is: the same manifest must mean the same tomorrow.
Source: the Process API's `dataFilter.timeRange`; RFC 3339 for the forms.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

MAX_SERIES = 10_000
_YEAR = re.compile(r"\d{4}")
_MONTH = re.compile(r"\d{4}-\d{2}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_DIRECTIVES = re.compile(r"%(.)", re.DOTALL)
_ALLOWED = "YmdHMSjyGVu%"

Moment: TypeAlias = str | int


class DateError(ValueError):
    """A value is no date, or a date leaves the calendar; the message is a sentence."""


def day_start(value: Moment) -> str:
    """Return the first second of a day."""
    return _instant(_parse(value))


def day_end(value: Moment) -> str:
    """Return the last second of a day."""
    return _instant(_parse(value), last=True)


def month_start(value: Moment) -> str:
    """Return the first second of the month of a date."""
    return _instant(_parse(value).replace(day=1))


def month_end(value: Moment) -> str:
    """Return the last second of the month of a date."""
    day = _parse(value)
    return _instant(day.replace(day=calendar.monthrange(day.year, day.month)[1]), last=True)


def year_start(value: Moment) -> str:
    """Return the first second of the year of a date."""
    return _instant(_parse(value).replace(month=1, day=1))


def year_end(value: Moment) -> str:
    """Return the last second of the year of a date."""
    return _instant(_parse(value).replace(month=12, day=31), last=True)


def add_days(value: Moment, days: int) -> str:
    """Return a date or instant so many days later, in the form it was given in."""
    moment = _moment(value)
    try:
        return _like(value, moment + timedelta(days=_whole(days)))
    except OverflowError as error:
        raise DateError(_LEAVES) from error


def add_months(value: Moment, months: int) -> str:
    """Return a month, date or instant so many months later; the 31st becomes the month's last."""
    moment = _moment(value)
    index = moment.year * 12 + moment.month - 1 + _whole(months)
    year, month = divmod(index, 12)
    if not 1 <= year <= 9999:
        raise DateError(_LEAVES)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return _like(value, moment.replace(year=year, month=month + 1, day=day))


def add_years(value: Moment, years: int) -> str:
    """Return a year, month, date or instant so many years later."""
    return add_months(value, 12 * _whole(years))


def days(first: Moment, last: Moment) -> list[str]:
    """Return the dates from one to another, both included."""
    start, end = _parse(first), _parse(last)
    count = _counted((end - start).days + 1)
    return [(start + timedelta(days=index)).isoformat() for index in range(count)]


def months(first: Moment, last: Moment) -> list[str]:
    """Return the months from one to another, both included, as `YYYY-MM`."""
    start, end = _parse(first), _parse(last)
    count = _counted((end.year - start.year) * 12 + end.month - start.month + 1)
    indices = range(start.year * 12 + start.month - 1, start.year * 12 + start.month - 1 + count)
    return [f"{index // 12:04d}-{index % 12 + 1:02d}" for index in indices]


def years(first: Moment, last: Moment) -> list[str]:
    """Return the years from one to another, both included, as texts."""
    start, end = _parse(first).year, _parse(last).year
    return [f"{start + index:04d}" for index in range(_counted(end - start + 1))]


def date_format(value: Moment, form: str) -> str:
    """
    Return a date in another form, as `strftime` has it, with the directives that are the same everywhere.

    Raises:
        DateError: no date, or a directive that depends on language or machine
    """
    for directive in _DIRECTIVES.findall(form):
        if directive not in _ALLOWED:
            msg = f"%{directive} depends on language or machine; use %Y %m %d %H %M %S %j %G %V."
            raise DateError(msg)
    return _moment(value).strftime(form)


FUNCTIONS: dict[str, Callable[..., str | list[str]]] = {
    function.__name__: function
    for function in (
        day_start,
        day_end,
        month_start,
        month_end,
        year_start,
        year_end,
        add_days,
        add_months,
        add_years,
        days,
        months,
        years,
        date_format,
    )
}

_LEAVES = "the date would leave the calendar (years 1 to 9999)."


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    msg = "the number of steps must be an integer."
    raise DateError(msg)


def _counted(count: int) -> int:
    if count > MAX_SERIES:
        msg = f"the series would have {count} members; at most {MAX_SERIES} are allowed."
        raise DateError(msg)
    return max(count, 0)


def _parse(value: Moment) -> date:
    return _moment(value).date()


def _moment(value: Moment) -> datetime:
    text = f"{value:04d}" if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        msg = "a date is a text such as 2025, 2025-06, 2025-06-30 or 2025-06-30T10:00:00Z."
        raise DateError(msg)
    text = text.strip()
    if _YEAR.fullmatch(text):
        text += "-01-01"
    elif _MONTH.fullmatch(text):
        text += "-01"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f'"{text[:40]}" is no date; write 2025, 2025-06, 2025-06-30 or 2025-06-30T10:00:00Z.'
        raise DateError(msg) from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _like(value: Moment, moment: datetime) -> str:
    text = f"{value:04d}" if isinstance(value, int) else value.strip()
    if _YEAR.fullmatch(text):
        return f"{moment:%Y}" if moment.month == 1 and moment.day == 1 else f"{moment:%Y-%m-%d}"
    if _MONTH.fullmatch(text):
        return f"{moment:%Y-%m}" if moment.day == 1 else f"{moment:%Y-%m-%d}"
    if _DAY.fullmatch(text):
        return f"{moment:%Y-%m-%d}"
    return moment.isoformat().replace("+00:00", "Z")


def _instant(day: date, *, last: bool = False) -> str:
    return f"{day.isoformat()}T{'23:59:59' if last else '00:00:00'}Z"
