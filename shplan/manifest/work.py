"""
How much expressions may do: what they make is weighed, what they work on is counted.

No clock decides, so that the same files fail or pass everywhere. A character weighs one, a member
of a container ten; a value that stands in many places weighs as if it were written out in each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

MEMBER = 10
# Of one value that an expression makes: a hundred thousand members, or two million characters.
MAX_WEIGHT = 2_000_000
# Of all that the expressions of one scalar touch, and of those of one project while it is loaded.
MAX_SCALAR_WORK = 20_000_000
MAX_PROJECT_WORK = 300_000_000
# One operation, beside what it works on; one scalar, beside its operations.
OPERATION = 50
SCALAR = 300
# What a scalar keeps is checked, encoded and compared later: a character of it costs so much.
KEPT = 3
MAX_DEPTH = 100


class WorkError(Exception):
    """An expression makes or does more than it may; what it says depends on who counts."""


class TooDeepError(WorkError):
    """A value is nested deeper than any manifest."""


class Meter:
    """
    Counts the work of expressions up to a limit.

    Args:
        most: where it ends
    """

    __slots__ = ("_most", "spent")

    def __init__(self, most: int) -> None:
        self._most = most
        self.spent = 0

    def spend(self, work: int) -> None:
        """
        Count some work before it is done.

        Raises:
            WorkError: it would be too much
        """
        self.spent += work
        if self.spent > self._most:
            raise WorkError


def weight(value: Any) -> int:
    """
    Return the weight of a value, every repetition included, in time of what it holds once.

    Raises:
        TooDeepError: it is nested too deeply
    """
    if isinstance(value, str):
        return len(value)
    if isinstance(value, int):
        return 1 + value.bit_length() // 8
    return _weight(value, 0, {}) if isinstance(value, dict | list | tuple) else 1


def _weight(value: dict[Any, Any] | list[Any] | tuple[Any, ...], depth: int, known: Any) -> int:
    if id(value) in known:
        weighed: int = known[id(value)]
        return weighed
    if depth >= MAX_DEPTH:
        raise TooDeepError
    total = MEMBER * len(value)
    members: Iterable[Any] = value
    if isinstance(value, dict):
        total += sum(len(key) for key in value if isinstance(key, str))
        members = value.values()
    for member in members:
        if isinstance(member, str):
            total += len(member)
        elif isinstance(member, dict | list | tuple):
            total += _weight(member, depth + 1, known)
    known[id(value)] = total
    return total
