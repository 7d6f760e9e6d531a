"""
Values for people: short, on one line, and never a secret.
"""

from __future__ import annotations

import orjson

from shplan.core.value import KNOWN_AFTER_APPLY, SENSITIVE, Sensitive, Unknown, Value, printable

LONGEST = 60


def brief(value: Value, *, longest: int = LONGEST) -> str:
    """Return a value on one line, a geometry as what it is, a long one shortened."""
    if isinstance(value, Unknown):
        return KNOWN_AFTER_APPLY
    if isinstance(value, Sensitive):
        return SENSITIVE
    if value is None:
        return "(none)"
    if isinstance(value, dict) and "coordinates" in value:
        return f"{value.get('type')}, {_points(value['coordinates'])} points"
    text = orjson.dumps(printable(value), option=orjson.OPT_SORT_KEYS).decode()
    return text if len(text) <= longest else text[: longest - 3] + "..."


def pu(number: float) -> str:
    """Word processing units, as exactly as they are billed: `1.5 PU`, `200,001 PU`."""
    return f"{number:,.3f}".rstrip("0").rstrip(".") + " PU"


def amount(number: int, noun: str) -> str:
    """Count a thing: `1 tile`, `12,000 tiles`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _points(coordinates: Value) -> int:
    waiting: list[Value] = [coordinates]
    count = 0
    while waiting:
        value = waiting.pop()
        if not isinstance(value, list) or not value:
            continue
        if isinstance(value[0], list):
            waiting.extend(value)
        else:
            count += 1
    return count
