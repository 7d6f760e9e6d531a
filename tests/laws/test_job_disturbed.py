"""
Whatever disturbs a run, the next apply ends where an undisturbed one ends, at the same price.

The sandbox's own misfortunes (more of them in `make slow`) with the client's real patience, tokens that expire, interrupts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from shplan.core.marker import read_marker
from shplan.engine.executor import Ending
from shplan.engine.performer import Interrupt
from shplan.sandbox.settings import Settings as SandboxSettings
from tests.support.bench import Bench, collection, tiles
from tests.support.jobs import IMAGERY, job, job_on, tasks
from tests.support.samples import some

pytestmark = pytest.mark.sampled

ON = (collection(), tiles("a", "b"), job_on(depends_on=IMAGERY, run={"maxPu": 500}))
CASES = {
    "two": (job("a"), job("b", day="2025-07-01")),
    "twins": (job("a"), job("b")),
    "on a new collection": ON,
}
SETTINGS: dict[str, tuple[dict[str, Any], float]] = {
    "plain": ({}, 0.0),
    "lists late": ({"list_lag_s": 8.0, "path_lag_s": 8.0}, 10.0),
    "a second START is ignored": ({"second_start": "ignore"}, 0.0),
    "tokens of a minute": ({"expires_in_s": 60.0}, 0.0),
}
API = "/(byoc|batch)/.*"
MISFORTUNES: dict[str, dict[str, Any]] = {
    "429 on every second request": {"kind": "429", "path": ".*", "every": 2},
    "429 that says when": {"kind": "429", "path": ".*", "every": 2, "retry_after_ms": 1500},
    "500 on every third": {"kind": "500", "path": API, "every": 3, "nth": 2},
    "503 on every third": {"kind": "503", "path": API, "every": 3, "nth": 3},
    "every third answer lost": {"kind": "lost-answer", "path": API, "every": 3, "nth": 2},
    "every third request dropped": {"kind": "before", "path": API, "every": 3},
    "every second effect unheard": {
        "kind": "lost-answer",
        "method": "POST|PUT|DELETE",
        "path": API,
        "every": 2,
    },
    "no START is answered": {"kind": "lost-answer", "path": ".*/start", "every": 1},
    "no create is answered": {
        "kind": "lost-answer",
        "method": "POST",
        "path": "/batch/v2/process",
        "every": 1,
    },
    "slow answers": {"kind": "latency", "path": API, "every": 5, "seconds": 3.0},
    "very slow answers": {"kind": "latency", "path": API, "every": 3, "seconds": 90.0},
}


def world_of(home: Path, setting: str) -> Bench:
    settings, lag_s = SETTINGS[setting]
    made = Bench(home, settings=SandboxSettings(seed="unlucky", **settings), list_lag_s=lag_s)
    made.write_tiles("a", "b", bands=("B04", "B08"))
    return made


async def control(world: Bench, method: str, path: str, body: Any = None) -> None:
    """Program the sandbox, without a token, so that no misfortune is in the way."""
    transport = httpx.ASGITransport(world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        (await client.request(method, path, json=body)).raise_for_status()


async def ended(world: Bench, *wanted: Any) -> Any:
    """Apply until it is done, calmly; what ran, how often, and what was paid."""
    again = await world.apply(*wanted)
    if again.report is not None:
        failed = [(str(r.change.address), r.message) for r in again.report.results]
        assert again.report.exit_code() == 0, failed
    assert not (await world.plan(*wanted)).plan.pending
    assert (await world.journal().verify()).damage is None
    dump = (await world.call("GET", "/_sandbox/batch"))["tasks"]
    starts = {one["id"]: one["starts"] for one in dump}
    ran = [one for one in await tasks(world) if starts[one["id"]]]
    keys = [read_marker(one["request"]["description"]) for one in ran]
    assert len({(key.key, key.attempt) for key in keys if key}) == len(ran)
    shown = sorted((one["status"], one["costPU"], starts[one["id"]]) for one in ran)
    return shown, (await world.call("GET", "/_sandbox/meter"))["pu"]


async def unlucky(home: Path, name: str, setting: str, fault: dict[str, Any] | None) -> Any:
    world = world_of(home, setting)
    try:
        if fault is not None:
            await control(world, "POST", "/_sandbox/faults", {"count": None, **fault})
        # The exchange's own patience may end; then the same command resumes.
        with contextlib.suppress(Exception):
            await world.apply(*CASES[name])
        await control(world, "DELETE", "/_sandbox/faults")
        return await ended(world, *CASES[name])
    finally:
        world.close()


# The same whoever asks.
_LUCKY: dict[tuple[str, str], Any] = {}


async def lucky(home: Path, name: str, setting: str) -> Any:
    """How a run ends that no misfortune meets; it is run but once."""
    if (name, setting) not in _LUCKY:
        _LUCKY[name, setting] = await unlucky(home / f"lucky-{name}", name, setting, None)
    return _LUCKY[name, setting]


def misfortune(home: Path, name: str, setting: str, cases: list[str]) -> None:
    async def scenario() -> None:
        for case in cases:
            found = await unlucky(home / case, case, setting, MISFORTUNES[name])
            assert found == await lucky(home, case, setting), case

    asyncio.run(scenario())


@pytest.mark.parametrize("name", MISFORTUNES)
def test_misfortunes_change_neither_the_result_nor_the_price(tmp_path: Path, name: str) -> None:
    at = sorted(MISFORTUNES).index(name)
    misfortune(tmp_path, name, list(SETTINGS)[at % len(SETTINGS)], ["two", list(CASES)[1 + at % 2]])


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", MISFORTUNES)
def test_misfortunes_change_nothing_in_any_case(tmp_path: Path, name: str, setting: str) -> None:
    first = sorted(MISFORTUNES).index(name) + list(SETTINGS).index(setting)
    misfortune(tmp_path, name, setting, list(CASES)[first % 4 :: 4])


# --- interrupts -----------------------------------------------------------------------------


class _Stopping(Bench):
    """Somebody wants to stop when the n-th request is about to leave: once, or twice."""

    def __init__(self, *, at: int, times: int, **fields: Any) -> None:
        self.at, self.times = at, times
        self.seen = 0
        self.interrupt = Interrupt()
        self.task: asyncio.Task[Any] | None = None
        super().__init__(**fields)

    def transport(self) -> Any:
        inner, world = super().transport(), self

        class Transport:
            async def send(self, method: str, url: str, **more: Any) -> Any:
                if not url.endswith("/token"):
                    world.strike()
                # The second interrupt arrives while the request is under way.
                await asyncio.sleep(0)
                return await inner.send(method, url, **more)

            async def close(self) -> None:
                await inner.close()

        return Transport()

    def strike(self) -> None:
        self.seen += 1
        if self.seen == self.at:
            self.interrupt.event.set()
            if self.times == 2 and self.task is not None:
                self.task.cancel()


async def interrupted(home: Path, name: str, at: int, times: int) -> tuple[Any, int]:
    world = world_of(home, "plain")
    try:
        stopping = _Stopping(**world.__dict__, at=at, times=times)
        apply = stopping.apply(*CASES[name], interrupt=stopping.interrupt)
        stopping.task = asyncio.ensure_future(apply)
        with contextlib.suppress(asyncio.CancelledError):
            applied = await stopping.task
            if stopping.interrupt.wanted and applied.report is not None:
                assert applied.report.exit_code() == 130
        return await ended(world, *CASES[name]), stopping.seen
    finally:
        world.close()


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_an_interrupt_at_any_request_changes_nothing(tmp_path: Path, name: str, times: int) -> None:
    async def scenario() -> None:
        undisturbed, seen = await interrupted(tmp_path / "calm", name, 0, times)
        for at in range(1 + times, seen + 1, some(4, thorough=3)):
            found, _ = await interrupted(tmp_path / str(at), name, at, times)
            assert found == undisturbed, f"interrupted at request {at}"

    asyncio.run(scenario())


# --- time -----------------------------------------------------------------------------------


def test_who_waits_no_longer_than_he_said_leaves_the_task_running(tmp_path: Path) -> None:
    async def scenario() -> None:
        settings = SandboxSettings(seed="unlucky", batch_processing_s=3600.0)
        world = Bench(tmp_path, settings=settings)
        applied = await world.apply(job(run={"timeout": "1m"}))
        assert applied.report is not None
        assert applied.report.exit_code() == 3
        (result,) = applied.report.results
        assert "timeout" in result.message
        (task,) = await tasks(world)
        assert task["status"] == "PROCESSING"
        # The same command goes on waiting, and so does one that has no limit.
        again = await world.apply(job(run={"timeout": "1m"}))
        assert again.report is not None
        assert again.report.exit_code() == 3
        await ended(world, job())
        world.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_decides_nothing(tmp_path: Path, jump_s: float) -> None:
    """The machine's own clock, between two applies and while one waits."""

    class Jumping(Bench):
        async def jumped(self, *wanted: Any, **more: Any) -> Any:
            clock = self.clock
            self.clock = replace_clock(clock, jump_s)
            try:
                return await self.apply(*wanted, **more)
            finally:
                self.clock = clock

    async def scenario() -> None:
        world = Jumping(tmp_path, settings=SandboxSettings(seed="unlucky", list_lag_s=8.0))
        world.list_lag_s = 10.0
        applied = await world.jumped(job(), wait=False)
        assert {r.ending for r in applied.report.results} == {Ending.RUNNING}
        await world.jumped(job())
        shown, _ = await ended(world, job())
        assert shown == [("DONE", 100.0, 1)]
        world.close()

    asyncio.run(scenario())


def replace_clock(inner: Any, jump_s: float) -> Any:
    """A client's clock that is wrong; the server's is not."""

    class Wrong(type(inner)):  # type: ignore[misc]
        def now(self) -> Any:
            return type(inner)(inner.at_s + jump_s).now()

        def monotonic(self) -> float:
            return float(inner.at_s)

        sleep: Callable[[float], Any] = staticmethod(inner.sleep)

    return Wrong()
