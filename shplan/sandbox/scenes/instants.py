"""
Instants as names of products spell them: `20201229T101329`, days, days of the year.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COMPACT = re.compile(r"\d{8}T\d{6}")


@cache
def ms(text: str) -> int:
    """Milliseconds since 1970 of an ISO date or a date and a time, in UTC."""
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def moment(at_ms: int) -> datetime:
    """The instant as a date and a time in UTC."""
    return _EPOCH + timedelta(milliseconds=at_ms)


def compact(at_ms: int) -> str:
    """Date and time without signs between, to the second."""
    at = moment(at_ms)
    return f"{at.year:04d}{at.month:02d}{at.day:02d}T{at.hour:02d}{at.minute:02d}{at.second:02d}"


def parse_compact(text: str) -> int | None:
    """The instant of such a text; none if there is no such day or time."""
    if not _COMPACT.fullmatch(text):
        return None
    try:
        found = datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return (found - _EPOCH) // timedelta(milliseconds=1)


def day(at_ms: int) -> str:
    """Year, month and day as directories are called after them, without zeros in front."""
    at = moment(at_ms)
    return f"{at.year}/{at.month}/{at.day}"


def compact_day(at_ms: int) -> str:
    """The day without signs between."""
    return compact(at_ms)[:8]


def parse_day(text: str) -> int | None:
    """The first instant of such a day; none if there is no such day."""
    return parse_compact(f"{text}T000000")
