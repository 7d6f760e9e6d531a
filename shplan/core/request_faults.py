"""
What can be wrong with a request to the service, as values: a place in its body, and sentences.

The checks beside this module (`request_area`, `request_times`, `request_sizes`, `request_places`) read bodies
and never kinds, so that every kind with such a body has them. What is unknown while planning is no fault.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeAlias

from shplan.core.frozen import dataclass
from shplan.core.value import Path, Sensitive, Unknown, Value


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One thing that is wrong with a request, or probably is.

    Args:
        path: from the root of the body
        code: area of the rule, e.g. `area`
        what: without the resource's name, which whoever tells it puts in front
        sure: the service refuses it, or nothing could come of it; else it is a warning
    """

    path: Path
    code: str
    summary: str
    what: str
    why: str = ""
    hint: str = ""
    sure: bool = True


Faults: TypeAlias = Iterator[Fault]


def at(value: Value, *path: str | int) -> Value:
    """Return the member at a path; None where there is none, or it is not known yet."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return None if isinstance(value, Unknown | Sensitive) else value


def number(value: Value) -> float | None:
    """Return a finite number; None for anything else, `true` included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def numbers(value: Value) -> list[float] | None:
    """Return a list of numbers, None where one of them is something else or unknown."""
    if not isinstance(value, list):
        return None
    found = [number(one) for one in value]
    return None if None in found else [one for one in found if one is not None]
