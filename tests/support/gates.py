"""
Appliers that take turns: each passes a gate at every request, wait and touch of the lease.

A schedule says how many gates one may pass before the other goes on, so that every interleaving
can be written down, drawn and repeated. One may die at a gate, and then writes nothing any more.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from shplan.ledger.backends.directory import DirectoryBackend
from shplan.ledger.journal import Journal
from shplan.ledger.port import Holder
from tests.support.bench import Bench
from tests.support.clock import ManualClock
from tests.support.dying import Death


class Gate:
    """
    Lets one applier go on at a time.

    Args:
        number: of appliers, 0, 1, ...
        schedule: how many gates the first passes, then the next, and so on round; at the end
            each goes on until it has ended
        deaths: at which of its gates an applier dies
    """

    def __init__(
        self, number: int, schedule: Iterable[int], deaths: dict[int, int] | None = None
    ) -> None:
        self._left = [float(one) for one in schedule]
        self._number = number
        self._deaths = deaths or {}
        self._ended: set[int] = set()
        self._moved = asyncio.Condition()
        self.current = 0
        self.passed = [0] * number
        self.told: list[str] = []
        self.dead: set[int] = set()

    def live(self, who: int) -> None:
        if who in self.dead:
            raise Death

    async def passes(self, who: int, where: str) -> None:
        self.live(who)
        async with self._moved:
            await self._moved.wait_for(lambda: self.current == who)
            self.live(who)
            self.passed[who] += 1
            self.told.append(f"{who}: {where}")
            if self._deaths.get(who) == self.passed[who]:
                self.dead.add(who)
                raise Death
            left = self._left[0] if self._left else math.inf
            if left <= 1:
                self._next()
            elif self._left:
                self._left[0] -= 1

    async def ends(self, who: int) -> None:
        async with self._moved:
            self._ended.add(who)
            if self.current == who:
                self._next()

    def _next(self) -> None:
        self._left = self._left[1:]
        alive = [n for n in range(self._number) if n not in self._ended]
        if alive:
            later = [n for n in alive if n > self.current]
            self.current = later[0] if later else alive[0]
        self._moved.notify_all()


class _GatedTransport:
    def __init__(self, inner: Any, gate: Gate, who: int) -> None:
        self._inner = inner
        self._gate = gate
        self._who = who

    async def send(self, method: str, url: str, **more: Any) -> Any:
        if url.endswith("/token"):
            return await self._inner.send(method, url, **more)
        where = f"{method} {url.partition('//')[2].partition('/')[2]}"
        await self._gate.passes(self._who, where)
        answer = await self._inner.send(method, url, **more)
        await self._gate.passes(self._who, f"heard {where}")
        return answer

    async def close(self) -> None:
        await self._inner.close()


class _GatedClock(ManualClock):
    def __init__(self, inner: ManualClock, gate: Gate, who: int) -> None:
        self._inner = inner
        self._gate = gate
        self._who = who

    def now(self) -> datetime:
        return self._inner.now()

    def monotonic(self) -> float:
        return self._inner.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)
        await self._gate.passes(self._who, f"slept {seconds:g}")


class _GatedBackend(DirectoryBackend):
    def __init__(self, path: Path, gate: Gate, who: int) -> None:
        super().__init__(path)
        self._gate = gate
        self._who = who

    async def acquire(self, holder: Holder) -> Holder | None:
        await self._gate.passes(self._who, "acquire")
        other = await super().acquire(holder)
        try:
            await self._gate.passes(self._who, "acquired" if other is None else "held by another")
        except Death:
            self._lock.release()
            raise
        return other

    async def release(self) -> None:
        if self._who in self._gate.dead:
            # The operating system lets go of what a dead process held.
            self._lock.release()
            return
        await super().release()

    async def append(self, lines: Any, **more: Any) -> Any:
        self._gate.live(self._who)
        return await super().append(lines, **more)


@dataclass
class GatedApplier(Bench):
    """One of several that apply to one sandbox, with one ledger."""

    gate: Gate = field(default_factory=lambda: Gate(1, ()))
    who: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.clock = _GatedClock(self.clock, self.gate, self.who)

    def transport(self) -> Any:
        return _GatedTransport(super().transport(), self.gate, self.who)

    def journal(self) -> Journal:
        backend = _GatedBackend(self.root / self.ledger_name, self.gate, self.who)
        return Journal(backend, clock=self.clock, actor={"user": f"applier {self.who}"})


def appliers(world: Bench, gate: Gate, number: int) -> list[GatedApplier]:
    return [GatedApplier(**world.__dict__, gate=gate, who=who) for who in range(number)]
