"""
Appliers that share no ledger make one run of one request, whoever is first at each request.

Each has a transport that lets the others go first as often as a seeded generator says; some die
on the way. One START for each key and attempt, one payment, and every ledger ends with the same
receipt, or with the same failure. A few seeds by default, and more in `make slow`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from shplan.core.marker import read_marker
from shplan.sandbox.settings import Settings as SandboxSettings
from tests.support.bench import Bench
from tests.support.dying import Death, DyingLedger, DyingTransport, Fate, Moment
from tests.support.jobs import body, job, tasks
from tests.support.samples import some

pytestmark = pytest.mark.sampled

SETTINGS: dict[str, tuple[dict[str, Any], float]] = {
    "lists at once": ({}, 0.0),
    "lists late": ({"list_lag_s": 8.0}, 10.0),
    "lists very late": ({"list_lag_s": 20.0, "get_lag_s": 5.0}, 25.0),
    "a second START is ignored": ({"second_start": "ignore"}, 0.0),
    "ignored, lists late": ({"second_start": "ignore", "list_lag_s": 8.0}, 10.0),
    "over at once": ({"batch_queued_s": 0.0, "batch_analysing_s": 0.0, "batch_processing_s": 0.0}, 0.0),
}  # fmt: skip
WRONG = "//VERSION=3\nfunction setup() { return {}; }\nfunction evaluatePixel() {}"


class _Polite:
    """Lets others go first, before a request is served and before its answer is heard."""

    def __init__(self, inner: Any, dice: random.Random) -> None:
        self._inner = inner
        self._dice = dice

    async def _yield(self) -> None:
        for _ in range(self._dice.choice((0, 0, 1, 3, 10, 40, 120))):
            await asyncio.sleep(0)

    async def send(self, method: str, url: str, **more: Any) -> Any:
        await self._yield()
        answer = await self._inner.send(method, url, **more)
        await self._yield()
        return answer

    async def close(self) -> None:
        await self._inner.close()


@dataclass
class Applier(Bench):
    """One project with a ledger of its own; it may die at a request."""

    dice: random.Random = field(default_factory=random.Random)
    fate: Fate | None = None

    def transport(self) -> Any:
        polite = _Polite(super().transport(), self.dice)
        return polite if self.fate is None else DyingTransport(polite, self.fate)

    def session(self, exchange: Any, resources: Any, **more: Any) -> Any:
        made = super().session(exchange, resources, **more)
        return (
            made if self.fate is None else replace(made, ledger=DyingLedger(made.ledger, self.fate))
        )

    async def until_dead(self, *wanted: Any) -> Any:
        with contextlib.suppress(Death):
            return await self.apply(*wanted)
        return None


@dataclass
class Race:
    """A sandbox, and those who apply to it."""

    world: Bench
    rivals: list[Applier]
    dice: random.Random

    async def run(self, *wanted: Any) -> list[Any]:
        return list(await asyncio.gather(*(one.until_dead(*wanted) for one in self.rivals)))

    async def resurrected(self, *wanted: Any) -> None:
        """Whoever died applies again."""
        for rival in self.rivals:
            if rival.fate is not None:
                rival.fate = None
                await rival.apply(*wanted)


def race(home: Path, setting: str, seed: int, *, number: int = 2, fates: Any = None) -> Race:
    settings, lag_s = SETTINGS[setting]
    world = Bench(home, settings=SandboxSettings(seed=f"race{seed}", **settings), list_lag_s=lag_s)
    dice = random.Random(seed)
    fields = {**world.__dict__}
    rivals = [
        Applier(
            **{**fields, "ledger_name": f"ledger{n}"},
            dice=dice,
            fate=None if fates is None else fates(dice),
        )
        for n in range(number)
    ]
    return Race(world, rivals, dice)


async def started(world: Bench) -> Counter[tuple[str, int]]:
    """How often something was started, by key and attempt; the payer is not asked who he was."""
    dump = (await world.call("GET", "/_sandbox/batch"))["tasks"]
    shown = {one["id"]: one for one in await tasks(world)}
    found: Counter[tuple[str, int]] = Counter()
    for one in dump:
        marker = read_marker(shown[one["id"]]["request"].get("description", ""))
        named = ("", 1) if marker is None else (marker.key, marker.attempt)
        found[named] += one["starts"]
    return found


async def receipts(ran: Race) -> set[tuple[str, str, int]]:
    found = set()
    for rival in ran.rivals:
        for run in (await rival.journal().runs("sandbox")).values():
            assert run.receipt is not None
            found.add((run.receipt.id, run.receipt.status, run.receipt.attempt))
    return found


async def ends_as_one(ran: Race, before: float, *wanted: Any) -> None:
    assert sum((await started(ran.world)).values()) == 1, await started(ran.world)
    assert (await ran.world.call("GET", "/_sandbox/meter"))["pu"] - before == 100.0
    assert len(await receipts(ran)) == 1
    for rival in ran.rivals:
        assert not (await rival.plan(*wanted)).plan.can_apply()


def together(
    home: Path,
    setting: str,
    seeds: range,
    *,
    number: int = 2,
    fates: Callable[[random.Random], Fate | None] | None = None,
) -> set[str]:
    async def scenario() -> set[str]:
        orders = set()
        for seed in seeds:
            ran = race(home / str(seed), setting, seed, number=number, fates=fates)
            before = (await ran.world.call("GET", "/_sandbox/meter"))["pu"]
            for applied in await ran.run(job()):
                if applied is not None and applied.report is not None:
                    told = [(str(r.change.address), r.message) for r in applied.report.results]
                    assert applied.report.exit_code() == 0, (seed, told)
            await ran.resurrected(job())
            await ends_as_one(ran, before, job())
            asked = (await ran.world.call("GET", "/_sandbox/requests"))["requests"]
            orders.add(repr([r["path"][-6:] for r in asked if r["method"] == "POST"]))
            ran.world.close()
        return orders

    return asyncio.run(scenario())


def anywhere(dice: random.Random) -> Fate | None:
    """One in three lives."""
    where = dice.randrange(1, 24)
    return None if where > 16 else Fate(where, dice.choice(list(Moment)))


@pytest.mark.parametrize("setting", SETTINGS)
def test_two_appliers_without_a_common_ledger_start_one_task(tmp_path: Path, setting: str) -> None:
    orders = together(tmp_path, setting, range(some(4, thorough=10)))
    assert len(orders) > 1, "the seeds gave no two interleavings"


@pytest.mark.parametrize("setting", SETTINGS)
def test_three_appliers_start_one_task(tmp_path: Path, setting: str) -> None:
    together(tmp_path, setting, range(some(2, thorough=6)), number=3)


@pytest.mark.parametrize("setting", SETTINGS)
def test_appliers_that_die_on_the_way_start_one_task(tmp_path: Path, setting: str) -> None:
    together(tmp_path, setting, range(some(4, thorough=8)), number=3, fates=anywhere)


@pytest.mark.slow
@pytest.mark.parametrize("fates", [None, anywhere])
@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("setting", SETTINGS)
def test_many_interleavings(tmp_path: Path, setting: str, number: int, fates: Any) -> None:
    seeds = range(100, some(105, thorough=110))
    together(tmp_path, setting, seeds, number=number, fates=fates)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_run_that_fails_fails_for_everybody(tmp_path: Path, setting: str) -> None:
    """What failed was started: nobody starts his own task in its place."""

    async def scenario() -> None:
        for seed in range(some(3, thorough=8)):
            wanted = job(script=WRONG)
            ran = race(tmp_path / str(seed), setting, seed)
            for applied in await ran.run(wanted):
                assert applied.report is None or applied.report.exit_code() == 3
            # Nor does the next apply, nor the one after it.
            for rival in ran.rivals * 2:
                await rival.apply(wanted)
            assert sum((await started(ran.world)).values()) == 1
            ran.world.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_task_that_somebody_starts_by_hand_is_the_run(tmp_path: Path, setting: str) -> None:
    """A person starts, in the dashboard, a task that need not be the oldest."""

    async def scenario() -> None:
        for seed in range(some(3, thorough=8)):
            ran = race(tmp_path / str(seed), setting, seed)
            before = (await ran.world.call("GET", "/_sandbox/meter"))["pu"]
            dice = random.Random(seed)
            for _ in range(2):
                await ran.world.call("POST", "/batch/v2/process", body())
            await ran.world.clock.sleep(60.0)
            planned = [await rival.plan(job()) for rival in ran.rivals]
            assert all(one.plan.pending for one in planned)
            chosen = dice.choice(await tasks(ran.world))

            async def by_hand(chosen: Any = chosen, dice: Any = dice, ran: Any = ran) -> None:
                for _ in range(dice.randrange(4)):
                    await asyncio.sleep(0)
                await ran.world.call("POST", f"/batch/v2/process/{chosen['id']}/start")

            await by_hand()
            await ran.run(job())
            await ends_as_one(ran, before, job())
            ran.world.close()

    asyncio.run(scenario())
