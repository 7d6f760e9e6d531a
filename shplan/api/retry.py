"""
Decides whether a failed request is repeated, and when. Pure; the caller sleeps.

The service has no idempotency keys, so a request with an effect is repeated only
when it is certain that nothing happened. Everything else is the engine's: it
looks for what may have been made before it asks again.
"""

from __future__ import annotations

import math
from enum import Enum

from shplan.core.frozen import dataclass
from shplan.core.request import Effect


class Failure(Enum):
    """What went wrong with one attempt; the value is for people."""

    THROTTLED = "the server asked to come back later"
    EXPIRED = "the token was refused"
    UNREACHABLE = "the request could not leave"
    IMPOSSIBLE = "the request cannot leave"
    LOST = "no answer came"
    BROKEN = "the server failed"
    REFUSED = "the server answered no"


# After these it is certain that the request had no effect.
NOTHING_HAPPENED = frozenset(
    {Failure.THROTTLED, Failure.EXPIRED, Failure.UNREACHABLE, Failure.IMPOSSIBLE, Failure.REFUSED}
)
_FINAL = frozenset({Failure.REFUSED, Failure.IMPOSSIBLE})


@dataclass(frozen=True, slots=True)
class Policy:
    """
    The limits of patience.

    Args:
        attempts: in all, where the way or the server fails
        throttled_attempts: in all, where the server asks to come back later
        total_s: from the first failure on, waiting included
        first_wait_s: doubled with each attempt where the server names no time
        longest_wait_s: the most of such a wait
    """

    attempts: int = 5
    throttled_attempts: int = 100
    total_s: float = 600.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Tally:
    """How often one request failed so far, this time included, and since when."""

    throttled: int = 0
    expired: int = 0
    other: int = 0
    elapsed_s: float = 0.0

    def plus(self, failure: Failure, *, elapsed_s: float) -> Tally:
        """Count one more failure."""
        return Tally(
            throttled=self.throttled + (failure is Failure.THROTTLED),
            expired=self.expired + (failure is Failure.EXPIRED),
            other=self.other + (failure not in {Failure.THROTTLED, Failure.EXPIRED}),
            elapsed_s=elapsed_s,
        )

    @property
    def attempts(self) -> int:
        """All attempts so far."""
        return self.throttled + self.expired + self.other


@dataclass(frozen=True, slots=True)
class Wait:
    """Repeat after this long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not repeat, and why."""

    reason: str


def decide(
    failure: Failure,
    *,
    effect: Effect,
    tally: Tally,
    policy: Policy,
    retry_after_s: float | None = None,
    jitter: float = 1.0,
) -> Wait | GiveUp:
    """
    Decide what follows a failed attempt.

    Args:
        failure: what went wrong
        effect: what the request does on the server
        tally: with this failure counted
        policy: the limits
        retry_after_s: what the server asked for, None where it did not say
        jitter: from 0 to 1, spreads the waits of several clients
    """
    if failure in _FINAL:
        return GiveUp(failure.value)
    if effect is not Effect.READ and failure not in NOTHING_HAPPENED:
        return GiveUp("it may have been carried out, so it is not repeated")
    if (limit := _exhausted(failure, tally, policy)) is not None:
        return GiveUp(limit)
    wait_s = _wait_s(failure, tally, policy, retry_after_s=retry_after_s, jitter=jitter)
    if tally.elapsed_s + wait_s > policy.total_s:
        return GiveUp(f"{policy.total_s:g} s are the limit, and the next wait is {wait_s:.1f} s")
    return Wait(wait_s)


def retry_after_s(header: str | None, *, unit_s: float) -> float | None:
    """
    Read `Retry-After`; None where it is absent or no number.

    Source: service documentation, "Rate limiting": a number of milliseconds, may be absent.
    """
    try:
        seconds = float(header or "") * unit_s
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _exhausted(failure: Failure, tally: Tally, policy: Policy) -> str | None:
    if failure is Failure.EXPIRED:
        # A fresh token that is refused as well is not a matter of time.
        return "a fresh token was refused as well" if tally.expired > 1 else None
    if failure is Failure.THROTTLED:
        reached = tally.throttled >= policy.throttled_attempts
    else:
        reached = tally.other >= policy.attempts
    return f"{tally.attempts} attempts were made" if reached else None


def _wait_s(
    failure: Failure,
    tally: Tally,
    policy: Policy,
    *,
    retry_after_s: float | None,
    jitter: float,
) -> float:
    if failure is Failure.EXPIRED:
        return 0.0
    if failure is Failure.THROTTLED and retry_after_s is not None:
        return retry_after_s
    count = tally.throttled if failure is Failure.THROTTLED else tally.other
    full_s = min(policy.first_wait_s * 2.0 ** min(count - 1, 60), policy.longest_wait_s)
    return full_s * (0.5 + jitter / 2.0)
