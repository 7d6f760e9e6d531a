"""
How many values a JSON text can hold, counted before it is read: each costs memory of its own.

A small packed answer may unpack to a hundred million empty lists, which take gigabytes once read.
"""

from __future__ import annotations

import json
from typing import Final

# What the largest answers hold a hundredth of; a gigabyte at most, once read.
MOST_VALUES: Final = 10_000_000


def values_at_most(content: bytes) -> int:
    """Return a number of values that a text does not exceed: one for each comma and each opening bracket."""
    return 1 + sum(map(content.count, (b",", b"[", b"{")))


def holds_too_much(content: bytes, *, most: int = MOST_VALUES) -> bool:
    """Tell whether a text may hold more values than are read."""
    return len(content) > most and values_at_most(content) > most


def read_bounded(content: bytes) -> object:
    """
    Read a JSON text that anybody may have written.

    Raises:
        ValueError: it is none, or holds more than is read
        RecursionError: it is nested too deeply
    """
    if holds_too_much(content):
        message = "it holds more values than any answer does"
        raise ValueError(message)
    return json.loads(content)
