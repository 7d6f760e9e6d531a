"""Saved plans with jobs: the same file resumes what it began, and begins nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from shplan.core.change import Action
from shplan.core.errors import StalePlanError
from shplan.core.policy import Policies
from shplan.core.saved import history
from shplan.engine.performer import Interrupt
from shplan.engine.runs import Applied, apply_saved
from shplan.sandbox.settings import Settings as SandboxSettings
from shplan.views.saved_plan import load_plan, save_plan
from tests.support.bench import Bench, collection, tiles
from tests.support.dying import Death, Fate, Moment
from tests.support.jobs import IMAGERY, job, job_on, tasks
from tests.support.phases import dying, never
from tests.support.samples import some

Scenario = Callable[[Bench], Awaitable[None]]
THERE = "s3://results/x/<tileName>.tif"
WRONG = "//VERSION=3\nfunction setup() { return {}; }\nfunction evaluatePixel() {}"
RERUN = {"onFailure": "rerun"}


@dataclass
class Reviewed:
    """A saved plan, and the manifests that it stands beside."""

    document: Any
    wanted: tuple[Any, ...]

    async def apply(self, world: Bench, *, wanted: Any = None, **more: Any) -> Applied:
        async with world.exchange() as exchange:
            session = world.session(exchange, self.wanted if wanted is None else wanted, **more)
            # Read as the next process would, whoever writes and dies.
            journal = Bench.journal(world)

            async def past() -> Any:
                return history([one async for one in journal.entries()], self.document["digest"])

            return await apply_saved(
                session, self.document, past, lock_timeout_s=0.0, interrupt=Interrupt()
            )

    async def code(self, world: Bench, **more: Any) -> int:
        applied = await self.apply(world, **more)
        refused = applied.planned.plan.exit_code()
        return refused or (0 if applied.report is None else applied.report.exit_code())


async def reviewed(world: Bench, *wanted: Any, **more: Any) -> Reviewed:
    plan = (await world.plan(*wanted, **more)).plan
    return Reviewed(load_plan(save_plan(plan), name="plan.json").document, wanted)


def on_bench(home: Path, scenario: Scenario, **settings: Any) -> None:
    async def run() -> None:
        bench = Bench(home, settings=SandboxSettings(seed="saved", **settings))
        bench.write_tiles("a", "b", bands=("B04", "B08"))
        try:
            await scenario(bench)
        finally:
            bench.close()

    asyncio.run(run())


async def starts(world: Bench) -> int:
    return sum(one["starts"] for one in (await world.call("GET", "/_sandbox/batch"))["tasks"])


def test_the_same_file_twice_runs_once(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        file = await reviewed(world, job("a"), job("b"), job("c", day="2025-07-01"))
        assert [await file.code(world) for _ in range(3)] == [0, 0, 0]
        assert await starts(world) == 2

    on_bench(tmp_path, scenario)


WANTED = {
    "one": (job(),),
    "on a new collection": (
        collection(),
        tiles("a", "b"),
        job_on(
            url="s3://results/{{ run.key }}/<tileName>.tif",
            depends_on=IMAGERY,
            run={"maxPu": 500},
        ),
    ),
}


@pytest.mark.sampled
@pytest.mark.parametrize("name", WANTED)
def test_a_file_that_was_cut_off_anywhere_is_applied_again(tmp_path: Path, name: str) -> None:
    """
    What it made is looked up, adopted and waited for; it is never stale by its own doing.

    Every second request by default, and each in `make slow`.
    """

    async def struck(home: Path, fate: Fate) -> None:
        world = Bench(home, settings=SandboxSettings(seed="saved"))
        world.write_tiles("a", "b", bands=("B04", "B08"))
        before = (await world.call("GET", "/_sandbox/meter"))["pu"]
        file = await reviewed(world, *WANTED[name])
        with contextlib.suppress(Death):
            await file.apply(dying(world, fate))
        assert await file.code(world) == 0, f"died {fate.moment.value}: {fate.sent[-1:]}"
        assert await starts(world) == 1
        assert not (await world.plan(*WANTED[name])).plan.pending
        paid = (await world.call("GET", "/_sandbox/meter"))["pu"] - before
        assert paid == (103.0 if name != "one" else 100.0)
        world.close()

    async def scenario() -> None:
        calm = never()
        await struck(tmp_path / "calm", calm)
        for at in range(1, calm.seen + 1, some(2, thorough=1)):
            moment = list(Moment)[at % 3]
            await struck(tmp_path / f"{at}", Fate(at, moment))

    asyncio.run(scenario())


def test_a_run_left_running_is_collected_by_the_same_file(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        file = await reviewed(world, job())
        assert await file.code(world, wait=False) == 0
        await world.clock.sleep(60.0)
        assert await file.code(world) == 0
        assert not (await world.plan(job())).plan.can_apply()
        assert await starts(world) == 1

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("watched", [True, False])
def test_a_run_that_failed_stays_failed_under_its_file(tmp_path: Path, watched: bool) -> None:
    """Also where it failed while nobody was there: another attempt is another plan's."""

    async def scenario(world: Bench) -> None:
        wanted = job(script=WRONG, run=RERUN)
        after = job("after", day="2025-08-01", depends_on=(wanted.address,))
        file = await reviewed(world, wanted, after)
        assert await file.code(world, wait=watched) == (3 if watched else 0)
        await world.clock.sleep(60.0)
        assert [await file.code(world) for _ in range(2)] == [3, 3]
        assert await starts(world) == 1
        another = await reviewed(world, wanted, after)
        assert await another.code(world) == 3
        assert await starts(world) == 2

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("watched", [True, False])
@pytest.mark.parametrize("url", [THERE, "s3://results/<requestId>/<tileName>.tif"])
def test_a_run_that_was_partly_done_is_not_tried_again_by_its_file(
    tmp_path: Path, url: str, watched: bool
) -> None:
    async def scenario(world: Bench) -> None:
        await world.call("POST", "/_sandbox/batch", {"share": 1.0})
        file = await reviewed(world, job(url=url, run=RERUN))
        await file.code(world, wait=watched)
        await world.clock.sleep(60.0)
        assert [await file.code(world) for _ in range(3)] == [3, 3, 3]
        assert await starts(world) == 1

    on_bench(tmp_path, scenario, unhealthy_share=1.0)


def test_a_start_that_was_not_reviewed_is_not_sent(tmp_path: Path) -> None:
    """The manifest let it wait when it was reviewed, and does not any more."""

    async def scenario(world: Bench) -> None:
        file = await reviewed(world, job(run={"start": "manual"}))
        assert await file.code(world) == 0
        with pytest.raises(StalePlanError):
            await file.apply(world, wanted=(job(),))
        assert await starts(world) == 0

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda change: change["requests"][0]["body"]["input"].update(resolution=30),
        lambda change: change.update(address="BatchProcess/other"),
        lambda change: change.update(action="resume"),
        lambda change: change.update(preventDestroy=True),
        lambda change: change.update(attempt=2),
        lambda change: change["requests"].pop(),
    ],
)
def test_a_file_that_somebody_changed_is_refused(tmp_path: Path, tamper: Any) -> None:
    async def scenario(world: Bench) -> None:
        file = await reviewed(world, job())
        (change,) = file.document["changes"]
        tamper(change)
        with pytest.raises(StalePlanError):
            await file.apply(world)
        assert await tasks(world) == []

    on_bench(tmp_path, scenario)


def test_a_file_that_was_reviewed_before_somebody_else_ran_it_is_stale(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        file = await reviewed(world, job())
        await world.second("theirs").apply(job(), wait=False)
        with pytest.raises(StalePlanError):
            await file.apply(world)
        assert await starts(world) == 1

    on_bench(tmp_path, scenario)


def test_the_budget_counts_what_the_file_has_started(tmp_path: Path) -> None:
    """Two runs within the budget; it is lowered when one of them has been started."""

    async def scenario(world: Bench) -> None:
        wanted = (job("a"), job("b", day="2025-07-01"))
        file = await reviewed(world, *wanted)
        calm = never()
        twin = Bench(tmp_path / "twin", settings=SandboxSettings(seed="saved"))
        await (await reviewed(twin, *wanted)).apply(dying(twin, calm))
        twin.close()
        at = 1 + next(n for n, one in enumerate(calm.sent) if one.endswith("/start"))
        with contextlib.suppress(Death):
            await file.apply(dying(world, Fate(at, Moment.SERVED)), policies=Policies(200.0))
        assert await starts(world) == 1
        # Each of the two fits into it alone.
        assert await file.code(world, policies=Policies(150.0)) == 5
        assert await starts(world) == 1
        assert await file.code(world, policies=Policies(200.0)) == 0
        assert await starts(world) == 2

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("planned", ["run", "resume"])
def test_what_has_no_price_is_within_no_budget(tmp_path: Path, planned: str) -> None:
    async def scenario(world: Bench) -> None:
        wanted = replace(job(), script=None)
        if planned == "resume":
            await world.call("POST", "/batch/v2/process", wanted.spec)
        plan = (await world.plan(wanted, policies=Policies(1e9))).plan
        assert plan.changes[0].action is Action(planned)
        assert [one.diagnostic.code for one in plan.refusals] == ["plan/budget-unknown"]
        assert plan.exit_code() == 5
        assert (await world.apply(wanted, policies=Policies(1e9))).report is None
        assert await starts(world) == 0
        assert not (await world.plan(wanted)).plan.refusals

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("limits", [{"run": {"maxPu": 99}}, {"policies": Policies(99.0)}])
def test_a_task_that_somebody_else_made_is_started_within_the_limits_only(
    tmp_path: Path, limits: dict[str, Any]
) -> None:
    async def scenario(world: Bench) -> None:
        wanted = job(run=limits.get("run"))
        await world.call("POST", "/batch/v2/process", wanted.spec)
        plan = (await world.plan(wanted, policies=limits.get("policies", Policies()))).plan
        assert plan.exit_code() == 5
        assert plan.changes[0].action is Action.RESUME
        await world.apply(wanted, policies=limits.get("policies", Policies()))
        assert await starts(world) == 0

    on_bench(tmp_path, scenario)
