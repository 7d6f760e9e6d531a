"""
Whatever disturbs an apply, the next one ends where an undisturbed one ends, at the same price.

Two deaths in a row, interrupts, and the sandbox's own misfortunes, with the client's real patience. In
each phase some requests are struck, others in each; `make slow` strikes more.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from shplan.engine.performer import Interrupt
from tests.support.bench import Bench
from tests.support.dying import Fate, Moment
from tests.support.phases import PHASES, ended, ready, struck, undisturbed
from tests.support.samples import some

pytestmark = pytest.mark.sampled


def places(last: int, *, every: int, first: int) -> list[int]:
    return list(range(1, last + 1))[first % every :: every]


def shift(phase: str) -> int:
    return sorted(PHASES).index(phase)


# --- two deaths -----------------------------------------------------------------------------


def twice(home: Path, phase: str, setting: str, *, every: int) -> None:
    async def scenario() -> None:
        wanted, seen = await undisturbed(home, phase, setting)
        for first in places(seen, every=every, first=shift(phase)):
            for second in places(seen, every=every, first=shift(phase) + first):
                for one, other in (
                    (Moment.SERVED, Moment.ANSWERED),
                    (Moment.ANSWERED, Moment.SERVED),
                ):
                    fates = Fate(first, one), Fate(second, other)
                    where = home / f"{first}-{second}-{one.name}"
                    state = await struck(where, phase, setting, *fates)
                    assert state == wanted, f"died {one.value} {first}, {other.value} {second}"

    asyncio.run(scenario())


@pytest.mark.parametrize("phase", PHASES)
def test_dying_in_the_run_after_a_death_changes_nothing(tmp_path: Path, phase: str) -> None:
    twice(tmp_path, phase, "plain", every=some(19, thorough=14))


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["plain", "lagging lists"])
@pytest.mark.parametrize("phase", PHASES)
def test_dying_twice_anywhere_changes_nothing(tmp_path: Path, phase: str, setting: str) -> None:
    twice(tmp_path, phase, setting, every=some(17, thorough=11))


# --- interrupts -----------------------------------------------------------------------------


@dataclass
class Stop:
    """When the n-th request is about to leave, somebody wants to stop: once, or twice."""

    at: int
    times: int
    interrupt: Interrupt
    seen: int = 0
    task: asyncio.Task[Any] | None = None

    def strike(self) -> None:
        self.seen += 1
        if self.seen == self.at:
            self.interrupt.event.set()
            if self.times == 2 and self.task is not None:
                self.task.cancel()


class _StoppingTransport:
    def __init__(self, inner: Any, stop: Stop) -> None:
        self._inner = inner
        self._stop = stop

    async def send(self, method: str, url: str, **more: Any) -> Any:
        if not url.endswith("/token"):
            self._stop.strike()
        # The second interrupt arrives while the request is under way.
        await asyncio.sleep(0)
        return await self._inner.send(method, url, **more)

    async def close(self) -> None:
        await self._inner.close()


class _Stopping(Bench):
    def __init__(self, *, stop: Stop, **fields: Any) -> None:
        self.stop = stop
        super().__init__(**fields)

    def transport(self) -> Any:
        return _StoppingTransport(super().transport(), self.stop)


async def interrupted(home: Path, phase: str, at: int, times: int) -> tuple[Any, Stop]:
    world = await ready(home, phase, "plain")
    try:
        last = PHASES[phase][-1]
        stop = Stop(at, times, Interrupt())
        stopping = _Stopping(**world.__dict__, stop=stop)
        apply = stopping.apply(*last.wanted, **last.more, interrupt=stop.interrupt)
        stop.task = asyncio.ensure_future(apply)
        with contextlib.suppress(asyncio.CancelledError):
            applied = await stop.task
            if stop.interrupt.wanted and applied.report is not None:
                assert applied.report.exit_code() == 130
        return await ended(world, last), stop
    finally:
        world.close()


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("phase", PHASES)
def test_an_interrupt_at_any_request_changes_nothing(
    tmp_path: Path, phase: str, times: int
) -> None:
    async def scenario() -> None:
        wanted, calm = await interrupted(tmp_path / "calm", phase, 0, times)
        for at in places(calm.seen, every=some(7, thorough=4), first=shift(phase) + times):
            state, _ = await interrupted(tmp_path / str(at), phase, at, times)
            assert state == wanted, f"interrupted at request {at}"

    asyncio.run(scenario())


# --- the service's misfortunes --------------------------------------------------------------

API = "/byoc/.*"
MISFORTUNES: dict[str, dict[str, Any]] = {
    "429 on every second request": {"kind": "429", "path": ".*", "count": None, "every": 2},
    "429 that says when": {
        "kind": "429",
        "path": ".*",
        "count": None,
        "every": 2,
        "retry_after_ms": 1500,
    },
    "500 on every third": {"kind": "500", "path": API, "count": None, "every": 3, "nth": 2},
    "503 on every third": {"kind": "503", "path": API, "count": None, "every": 3, "nth": 3},
    "every third answer lost": {
        "kind": "lost-answer",
        "path": API,
        "count": None,
        "every": 3,
        "nth": 2,
    },
    "every third request dropped": {"kind": "before", "path": API, "count": None, "every": 3},
    "every fourth effect unheard": {
        "kind": "lost-answer",
        "method": "POST|PUT|DELETE",
        "path": API,
        "count": None,
        "every": 4,
    },
    "slow answers": {"kind": "latency", "path": API, "count": None, "every": 5, "seconds": 3.0},
}


async def control(world: Bench, method: str, path: str, body: Any = None) -> None:
    """Program the sandbox, without a token, so that no misfortune is in the way."""
    transport = httpx.ASGITransport(world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        (await client.request(method, path, json=body)).raise_for_status()


async def unlucky(home: Path, phase: str, setting: str, fault: dict[str, Any] | None) -> Any:
    world = await ready(home, phase, setting)
    try:
        last = PHASES[phase][-1]
        if fault is not None:
            await control(world, "POST", "/_sandbox/faults", fault)
        # The exchange's own patience may end; then the same command resumes.
        with contextlib.suppress(Exception):
            await world.apply(*last.wanted, **last.more)
        await control(world, "DELETE", "/_sandbox/faults")
        return await ended(world, last)
    finally:
        world.close()


# The same whoever asks.
_LUCKY: dict[tuple[str, str], Any] = {}


async def lucky(home: Path, phase: str, setting: str) -> Any:
    """How a run ends that no misfortune meets; it is run but once."""
    if (phase, setting) not in _LUCKY:
        _LUCKY[phase, setting] = await unlucky(home / f"lucky-{phase}", phase, setting, None)
    return _LUCKY[phase, setting]


def misfortune(home: Path, name: str, setting: str, phases: list[str]) -> None:
    async def scenario() -> None:
        for phase in phases:
            wanted = await lucky(home, phase, setting)
            state = await unlucky(home / phase, phase, setting, MISFORTUNES[name])
            assert state == wanted, phase

    asyncio.run(scenario())


@pytest.mark.parametrize("name", MISFORTUNES)
def test_misfortunes_change_neither_the_result_nor_the_price(tmp_path: Path, name: str) -> None:
    misfortune(tmp_path, name, "plain", list(PHASES)[sorted(MISFORTUNES).index(name) % 4 :: 4])


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["plain", "lagging lists"])
@pytest.mark.parametrize("name", MISFORTUNES)
def test_misfortunes_change_nothing_in_any_phase(tmp_path: Path, name: str, setting: str) -> None:
    misfortune(tmp_path, name, setting, list(PHASES)[sorted(MISFORTUNES).index(name) % 3 :: 3])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lost-answer", "before", "500", "503", "429"])
@pytest.mark.parametrize("phase", PHASES)
def test_a_misfortune_at_any_request_changes_nothing(tmp_path: Path, phase: str, kind: str) -> None:
    async def scenario() -> None:
        _, seen = await undisturbed(tmp_path, phase, "plain")
        wanted = await lucky(tmp_path, phase, "plain")
        for at in places(seen, every=some(7, thorough=3), first=shift(phase)):
            fault = {"kind": kind, "path": API, "nth": at}
            state = await unlucky(tmp_path / str(at), phase, "plain", fault)
            assert state == wanted, at

    asyncio.run(scenario())
