"""
How much of a fixed sample is tried: a few by default, all where laws are thorough.

`make slow`, or `pytest --hypothesis-profile=thorough` with the name of a test, tries all.
"""

from __future__ import annotations

from hypothesis import settings


def is_thorough() -> bool:
    """Whether somebody has time."""
    return settings.default is not None and settings.default.max_examples >= 100


def some(few: int, *, thorough: int) -> int:
    """A number of examples, or a step from one to the next."""
    return thorough if is_thorough() else few
