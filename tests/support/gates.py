"""
Appliers that take turns: each passes a gate at every request, wait and touch of the lease.

A schedule says how many gates one may pass before the other goes on, so that every interleaving
can be written down, drawn and repeated. One may die at a gate, and then writes nothing any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from shplan.ledger.backends.directory import DirectoryBackend
from shplan.ledger.backends.s3 import S3Backend
from shplan.ledger.journal import Journal
from shplan.ledger.port import Backend, Holder
from tests.ledger.backends.memory import Bucket, MemoryObjects
from tests.support.bench import Bench
from tests.support.clock import ManualClock
from tests.support.dying import Death

_FAIR = 40
_A_MOMENT_S = 0.001
Visit = Callable[[int, str], Awaitable[bool | None]]


class Gate:
    """
    Lets one applier go on at a time.

    Args:
        number: of appliers, 0, 1, ...
        schedule: how many gates the first passes, then the next, and so on round; at the end
            a fair number each
        deaths: at which of its gates an applier dies
        visit: awaited at every gate that is passed; the others stand still meanwhile. False: not
            yet, it is asked again
    """

    def __init__(
        self,
        number: int,
        schedule: Iterable[int] = (),
        deaths: dict[int, int] | None = None,
        visit: Visit | None = None,
    ) -> None:
        self._left = [*schedule, _FAIR]
        self._number = number
        self._deaths = deaths or {}
        self._ended: set[int] = set()
        self._moved = asyncio.Condition()
        self.current = 0
        self.passed = [0] * number
        self._visit = visit
        self.dead: set[int] = set()

    def live(self, who: int) -> None:
        if who in self.dead:
            raise Death

    async def passes(self, who: int, where: str) -> None:
        self.live(who)
        # What else this applier does at the same time goes first.
        while self._visit is not None and not await self._visited(self._visit, who, where):  # noqa: ASYNC110 - whoever lets go of a lock tells nobody
            await asyncio.sleep(_A_MOMENT_S)
        async with self._moved:
            await self._moved.wait_for(lambda: self.current == who)
            self.live(who)
            self.passed[who] += 1
            if self._deaths.get(who) == self.passed[who]:
                self.dead.add(who)
                raise Death
            self._left[0] -= 1
            if self._left[0] < 1:
                self._next()

    async def _visited(self, visit: Visit, who: int, where: str) -> bool:
        async with self._moved:
            await self._moved.wait_for(lambda: self.current == who)
            self.live(who)
            return await visit(who, where) is not False

    async def ends(self, who: int) -> None:
        async with self._moved:
            self._ended.add(who)
            if self.current == who:
                self._next()

    def _next(self) -> None:
        self._left = self._left[1:] or [_FAIR]
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
        await self._gate.passes(self._who, "the lease")
        other = await super().acquire(holder)
        try:
            await self._gate.passes(self._who, "taken" if other is None else "held by another")
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
class Sharer(Bench):
    """Somebody with a ledger that others use as well: a directory, or a bucket."""

    bucket: Bucket | None = None

    def backend(self) -> Backend:
        if self.bucket is not None:
            return S3Backend(MemoryObjects(self.bucket), "ledger")
        return DirectoryBackend(self.root / self.ledger_name)

    def journal(self) -> Journal:
        return Journal(self.backend(), clock=self.clock, actor={"user": self.user})

    @property
    def user(self) -> str:
        return "nobody"

    def session(self, exchange: Any, resources: Any, **more: Any) -> Any:
        made = super().session(exchange, resources, **more)
        settings = replace(made.world.settings, private_ledger=self.bucket is None)
        return replace(made, world=replace(made.world, settings=settings))


@dataclass
class GatedApplier(Sharer):
    """One of several that apply to one sandbox, with one ledger."""

    gate: Gate = field(default_factory=lambda: Gate(1))
    who: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.clock = _GatedClock(self.clock, self.gate, self.who)

    @property
    def user(self) -> str:
        return f"applier {self.who}"

    def transport(self) -> Any:
        return _GatedTransport(super().transport(), self.gate, self.who)

    def backend(self) -> Backend:
        if self.bucket is None:
            return _GatedBackend(self.root / self.ledger_name, self.gate, self.who)
        turn = partial(self.gate.passes, self.who, "the bucket")
        return S3Backend(MemoryObjects(self.bucket, turn=turn), "ledger")


def appliers(world: Sharer, gate: Gate, number: int) -> list[GatedApplier]:
    return [GatedApplier(**world.__dict__, gate=gate, who=who) for who in range(number)]
