"""
Token buckets: how many requests and processing units an account has left.

An allowance refills evenly and never holds more than one period's worth. Pure: the caller
stores what remains. Source: the service's page on rate limiting.
"""

from __future__ import annotations

from dataclasses import dataclass

PERIOD_MS = 60_000
# A limit of next to nothing refills in more milliseconds than there are numbers for.
MOST_WAIT_MS = 1e12


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a limit at one instant."""

    tokens: float
    at_ms: int


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer to a wish: what is left, and how long to wait if it was refused."""

    left: Allowance
    wait_ms: int | None


def refill(allowance: Allowance | None, *, per_minute: float, now_ms: int) -> Allowance:
    """Return what is there now; a new account starts with a full minute's worth."""
    if allowance is None:
        return Allowance(tokens=per_minute, at_ms=now_ms)
    gained = max(0, now_ms - allowance.at_ms) * per_minute / PERIOD_MS
    return Allowance(tokens=min(per_minute, allowance.tokens + gained), at_ms=now_ms)


def take(allowance: Allowance | None, *, wanted: float, per_minute: float, now_ms: int) -> Grant:
    """Take `wanted` if it is there; else say after how many milliseconds it will be."""
    full = refill(allowance, per_minute=per_minute, now_ms=now_ms)
    if full.tokens >= wanted:
        return Grant(left=Allowance(full.tokens - wanted, now_ms), wait_ms=None)
    missing = min(wanted, per_minute) - full.tokens
    wait_ms = min(missing * PERIOD_MS / per_minute, MOST_WAIT_MS)
    return Grant(left=full, wait_ms=max(1, int(wait_ms) + 1))
