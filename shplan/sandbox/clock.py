"""
Time as the sandbox sees it.

A `Clock` is injected and gives seconds since 1970. The sandbox's own time runs from an
anchor that the data directory keeps, so every process that opens the directory sees the
same time, also after a tick or a change of speed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """A source of time."""

    def now(self) -> float:
        """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The computer's clock, moved by `offset_s`."""

    offset_s: float = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time() + self.offset_s


@dataclass(frozen=True, slots=True)
class StoppedClock:
    """A clock that stands still: sandbox time then moves by `/_sandbox/tick` only."""

    at_s: float = 1_735_689_600.0

    def now(self) -> float:
        """Always the same second, by default the first of 2025."""
        return self.at_s


@dataclass(frozen=True, slots=True)
class Anchor:
    """
    Where sandbox time stood when the clock showed `clock_s`, and how fast it goes since.

    Args:
        clock_s: what the injected clock showed, seconds since 1970
        sandbox_s: sandbox time at that moment, seconds since 1970
        speed: sandbox seconds for each second of the clock
    """

    clock_s: float
    sandbox_s: float
    speed: float

    def at(self, clock_s: float) -> float:
        """Sandbox time when the clock shows `clock_s`."""
        return self.sandbox_s + (clock_s - self.clock_s) * self.speed

    def moved(self, *, clock_s: float, by_s: float = 0.0, speed: float | None = None) -> Anchor:
        """The anchor that continues from now on, `by_s` later, at another speed if given."""
        return Anchor(
            clock_s=clock_s,
            sandbox_s=self.at(clock_s) + by_s,
            speed=self.speed if speed is None else speed,
        )
