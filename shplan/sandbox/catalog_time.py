"""
When a search looks: `datetime` as a closed range of milliseconds, and how instants are printed.

Source: RFC 3339; the `datetime` parameter of OGC API Features: an instant, or an interval whose
open side is `..` or nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shplan.sandbox.errors import ApiError, bad_payload
from shplan.sandbox.wire import instant, parse_instant

_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,12})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """A closed range of instants, milliseconds since 1970; None: open on that side."""

    from_ms: int | None = None
    to_ms: int | None = None

    def has(self, at_ms: int) -> bool:
        """Whether an instant lies in the range."""
        return (self.from_ms is None or self.from_ms <= at_ms) and (
            self.to_ms is None or at_ms <= self.to_ms
        )


def span_of(text: str) -> Span:
    """
    The range that a text describes.

    Raises:
        ApiError: 400
    """
    sides = text.split("/")
    if len(sides) == 1:
        at_ms = _instant(text)
        return Span(at_ms, at_ms)
    if len(sides) != 2:
        raise _refused()
    first, last = (None if side in ("", "..") else _instant(side) for side in sides)
    if first is not None and last is not None and first > last:
        msg = "datetime must not end before it starts."
        raise bad_payload(msg)
    return Span(first, last)


def _instant(text: str) -> int:
    try:
        if not _DATE_TIME.fullmatch(text):
            raise _refused()
        return parse_instant(text)
    except (ValueError, OverflowError) as error:
        raise _refused() from error


def _refused() -> ApiError:
    msg = "datetime must be an RFC 3339 date-time with an offset, or two of them, separated by /."
    return bad_payload(msg)


def shown(at_ms: int) -> str:
    """An instant as items show it: without digits that say nothing."""
    return instant(at_ms).replace(".000Z", "Z")


def day_of(at_ms: int) -> str:
    """The day of an instant, in UTC."""
    return instant(at_ms)[:10]


def day_start_ms(at_ms: int) -> int:
    """The first millisecond of the day of an instant."""
    return at_ms - at_ms % 86_400_000


def months_of(span: Span, *, now_ms: int, first_ms: int) -> int:
    """
    Started months of a range, at least one.

    A month is one of the calendar, so that January is one whole month. Open sides end where the
    collection begins and now.
    """
    start_ms = max(span.from_ms if span.from_ms is not None else first_ms, first_ms)
    end_ms = min(span.to_ms if span.to_ms is not None else now_ms, now_ms)
    if end_ms <= start_ms:
        return 1
    start, end = (_EPOCH + timedelta(milliseconds=ms) for ms in (start_ms, end_ms))
    whole = (end.year - start.year) * 12 + end.month - start.month
    into = (end.day, end.timetz()) > (start.day, start.timetz())
    return max(1, whole + into)
