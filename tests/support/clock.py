"""One clock for client and sandbox: time passes only when somebody sleeps."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime


class ManualClock:
    """Starts on the first of January 2026 and moves by sleeping."""

    def __init__(self, at_s: float = 1_767_225_600.0) -> None:
        self.at_s = at_s

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at_s, tz=UTC)

    def monotonic(self) -> float:
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        self.at_s += seconds
        await asyncio.sleep(0)


class SandboxClock:
    """The same clock, as the sandbox wants to see it."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.at_s
