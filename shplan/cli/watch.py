"""
Looking again until nothing is in progress any more, or until it has taken too long.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shplan.core.status import Status

if TYPE_CHECKING:
    from shplan.engine.ports import Clock
    from shplan.views.watching import Watching

# On the service a look costs requests of everybody's rate limit; on this machine nothing.
SERVICE_INTERVAL_S = 10.0
NEAR_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How often one looks, and how long at most."""

    interval_s: float
    timeout_s: float


async def watch(
    look: Callable[[], Awaitable[Sequence[Status]]],
    watching: Watching,
    *,
    clock: Clock,
    pace: Pace,
) -> tuple[Status, ...]:
    """
    Look and show, until nothing is in progress or the time is up.

    A look begins the interval after the one before it has ended, however long it took.

    Returns:
        what is still in progress; empty where all has come to an end
    """
    end_s = clock.monotonic() + pace.timeout_s
    while True:
        rows = await look()
        watching.show(rows)
        running = tuple(row for row in rows if row.waits)
        if not running or clock.monotonic() + pace.interval_s > end_s:
            watching.close()
            return running
        await clock.sleep(pace.interval_s)
