"""Attempts of one run: which one counts, and that no step is taken or paid twice."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shplan.core.change import Action, Change, Reason
from shplan.core.marker import Marker, with_marker
from shplan.core.run_key import RunInput, run_key
from shplan.engine.executor import Ending
from shplan.engine.performer import Interrupt
from shplan.engine.runs import apply
from shplan.sandbox.settings import Settings as SandboxSettings
from tests.support.bench import Bench, collection, tiles
from tests.support.dying import Death, Fate, Moment
from tests.support.jobs import IMAGERY, job, job_on, tasks
from tests.support.phases import dying, never

Scenario = Callable[[Bench], Awaitable[None]]
THERE = "s3://results/x/<tileName>.tif"
WRONG = "//VERSION=3\nfunction setup() { return {}; }\nfunction evaluatePixel() {}"


def on_bench(home: Path, scenario: Scenario, **settings: Any) -> None:
    async def run() -> None:
        bench = Bench(home, settings=SandboxSettings(seed="attempts", **settings))
        bench.write_tiles("a", "b", bands=("B04", "B08"))
        try:
            await scenario(bench)
        finally:
            bench.close()

    asyncio.run(run())


async def only(world: Bench, *wanted: Any) -> Change:
    (change,) = (await world.plan(*wanted)).plan.changes
    return change


async def starts(world: Bench) -> int:
    return sum(one["starts"] for one in (await world.call("GET", "/_sandbox/batch"))["tasks"])


async def until(world: Bench, fate: Fate, *wanted: Any) -> None:
    """Apply until the process dies, if it does."""
    with contextlib.suppress(Death):
        await dying(world, fate).apply(*wanted)


async def place(home: Path, end: str, **settings: Any) -> int:
    """The number of the first POST of an apply whose path ends so."""
    world = Bench(home, settings=SandboxSettings(seed="attempts", **settings))
    calm = never()
    await dying(world, calm).apply(job(), wait=False)
    world.close()
    return 1 + next(
        n for n, one in enumerate(calm.sent) if one.startswith("POST") and one.endswith(end)
    )


async def code(world: Bench, *wanted: Any, **more: Any) -> int:
    applied = await world.apply(*wanted, **more)
    assert applied.report is not None
    return applied.report.exit_code()


async def partly_done(world: Bench) -> Any:
    """A run of which every feature has failed, and the manifest that tries again."""
    await world.call("POST", "/_sandbox/batch", {"share": 1.0, "cause": "no imagery there"})
    assert await code(world, job(url=THERE)) == 3
    await world.call("DELETE", "/_sandbox/batch")
    return job(url=THERE, run={"onFailure": "rerun"})


def key_of(spec: Any) -> str:
    return run_key(RunInput("BatchProcess", "v2", "sandbox", spec)).short


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("at", range(1, 9))
def test_another_attempt_that_dies_anywhere_is_gone_on_with(
    tmp_path: Path, at: int, moment: Moment
) -> None:
    """The partial receipt of the attempt before does not stand for it."""

    async def scenario(world: Bench) -> None:
        again = await partly_done(world)
        await until(world, Fate(at, moment), again)
        await world.apply(again)
        assert (await only(world, again)).action is Action.NOOP
        assert await starts(world) == 2

    on_bench(tmp_path, scenario, unhealthy_share=1.0)


@pytest.mark.parametrize("at", range(1, 9))
def test_the_same_with_the_ledger_lost(tmp_path: Path, at: int) -> None:
    """A partial run is found partly done again, and its second attempt goes on."""

    async def scenario(world: Bench) -> None:
        again = await partly_done(world)
        await until(world, Fate(at, Moment.SERVED), again)
        shutil.rmtree(tmp_path / "ledger")
        for _ in range(3):
            await world.apply(again)
        assert (await only(world, again)).action is Action.NOOP
        assert await starts(world) == 2

    on_bench(tmp_path, scenario, unhealthy_share=1.0)


def test_a_partial_attempt_whose_task_is_gone_is_not_an_unknown_outcome(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        again = await partly_done(world)
        await world.clock.sleep(3600.0)
        assert await tasks(world) == []
        change = await only(world, again)
        assert (change.action, change.attempt) == (Action.RUN, 2)
        # Created, and not started.
        await until(world, Fate(5, Moment.BEFORE), again)
        change = await only(world, again)
        assert (change.action, change.attempt) == (Action.RESUME, 2)
        assert await code(world, again) == 0
        assert await starts(world) == 2

    on_bench(tmp_path, scenario, unhealthy_share=1.0, expire_done_s=600.0)


def test_a_task_that_waits_is_no_second_try_of_an_attempt_that_failed(tmp_path: Path) -> None:
    """Another applier has left its own task of the same attempt unstarted."""

    async def scenario(world: Bench) -> None:
        wanted = job(script=WRONG)
        assert await code(world, wanted) == 3
        marker = str(Marker("other", wanted.address, key_of(wanted.spec), 1))
        left = {**wanted.spec, "description": with_marker("", marker)}
        await world.call("POST", "/batch/v2/process", left)
        change = await only(world, wanted)
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.RUN_FAILED)
        # Nor after the service has forgotten the one that failed.
        await world.clock.sleep(3600.0)
        assert len(await tasks(world)) == 1
        change = await only(world, wanted)
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.RUN_FAILED)
        assert await starts(world) == 1

    on_bench(tmp_path, scenario, expire_failed_s=600.0)


def test_an_attempt_that_failed_and_is_forgotten_is_not_counted_again(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        again = job(script=WRONG, run={"onFailure": "rerun"})
        attempts = []
        for _ in range(3):
            attempts.append((await only(world, again)).attempt)
            assert await code(world, again) == 3
            await world.clock.sleep(3600.0)
        assert attempts == [1, 2, 3]

    on_bench(tmp_path, scenario, expire_failed_s=600.0)


@pytest.mark.parametrize("speed", [0.0, 1.0, 30.0])
def test_a_task_that_stops_by_itself_is_not_started_again_by_the_same_apply(
    tmp_path: Path, speed: float
) -> None:
    async def scenario(world: Bench) -> None:
        await world.call("POST", "/_sandbox/batch", {"share": 1.0})
        wanted = job(run={"onFailure": "rerun"})
        assert await code(world, wanted) == 3
        (task,) = await tasks(world)
        assert (task["status"], task["stoppedStatusReason"]) == ("STOPPED", "UNHEALTHY")
        assert await starts(world) == 1

    times = ("batch_queued_s", "batch_analysing_s", "batch_processing_s")
    on_bench(tmp_path, scenario, unhealthy_share=0.1, **dict.fromkeys(times, speed))


def test_addresses_whose_key_is_known_late_do_not_try_one_after_the_other(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        wanted = (
            collection(),
            tiles("a", "b"),
            job_on(name="a", depends_on=IMAGERY, script=WRONG),
            job_on(name="b", depends_on=IMAGERY, script=WRONG),
        )
        assert await code(world, *wanted) == 3
        assert (await starts(world), len(await tasks(world))) == (1, 1)

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("kind", ["latency", "lost-answer", "before", "500"])
def test_a_stop_is_believed_when_it_is_seen(tmp_path: Path, kind: str) -> None:
    """One that came too late changes nothing: the task has finished, and has its receipt."""

    async def scenario(world: Bench) -> None:
        # Any fault may come late; only the one that is nothing but late does here.
        late = 3600.0 if kind == "latency" else 0.0
        fault = {"kind": kind, "path": ".*/stop", "count": 1, "seconds": late}
        await world.call("POST", "/_sandbox/faults", fault)
        # Several tiles, so that some are billed before the rest.
        ring = [[[14, 46], [15, 46], [15, 47], [14, 47], [14, 46]]]
        area = {"geometry": {"type": "Polygon", "coordinates": ring}}
        wanted = job(run={"maxPu": 1})
        wanted.spec["processRequest"]["input"]["bounds"] = area  # type: ignore[index, call-overload]
        made = await world.call("POST", "/batch/v2/process", wanted.spec)
        await world.call("POST", f"/batch/v2/process/{made['id']}/start")
        await world.clock.sleep(200.0)
        ended = await code(world, wanted)
        (task,) = [one for one in await tasks(world) if one["id"] == made["id"]]
        change = await only(world, wanted)
        if kind == "latency":
            assert (task["status"], ended, change.action) == ("DONE", 0, Action.NOOP)
        else:
            assert (task["status"], ended, change.action) == ("STOPPED", 3, Action.BLOCKED)

    on_bench(tmp_path, scenario, batch_processing_s=600.0)


@pytest.mark.parametrize("lost", [False, True])
def test_a_restart_and_a_lost_ledger_are_one_task_and_one_price(tmp_path: Path, lost: bool) -> None:
    """The marker counts one attempt, the ledger two: it is the same task, paid once."""

    async def scenario(world: Bench) -> None:
        before = (await world.call("GET", "/_sandbox/meter"))["pu"]
        again = job(run={"onFailure": "rerun"})
        assert await code(world, again, wait=False) == 0
        for _ in range(2):
            await world.clock.sleep(30.0)
            (task,) = await tasks(world)
            await world.call("POST", f"/batch/v2/process/{task['id']}/stop")
            if lost:
                shutil.rmtree(tmp_path / "ledger")
            await world.clock.sleep(1900.0)
            change = await only(world, again)
            assert (change.action, change.id) == (Action.RUN, task["id"])
            assert await code(world, again, wait=False) == 0
        if lost:
            shutil.rmtree(tmp_path / "ledger")
        assert await code(world, again) == 0
        assert (await only(world, again)).action is Action.NOOP
        assert len(await tasks(world)) == 1
        assert (await world.call("GET", "/_sandbox/meter"))["pu"] - before == 100.0

    on_bench(tmp_path, scenario, batch_processing_s=600.0)


@pytest.mark.parametrize("moment", Moment)
def test_a_start_that_was_written_down_and_may_not_have_left_is_asked_about(
    tmp_path: Path, moment: Moment
) -> None:
    """The task expires meanwhile: nobody can tell, and it is never run again silently."""

    async def scenario(world: Bench) -> None:
        at = await place(tmp_path / "calm", "/start")
        await until(world, Fate(at, moment), job())
        await world.clock.sleep(3600.0)
        assert await tasks(world) == []
        shutil.rmtree(world.buckets / "results")
        planned = (await world.plan(job())).plan
        assert planned.exit_code() == 7
        assert (await world.apply(job())).report is None

    on_bench(tmp_path, scenario, expire_created_s=600.0, expire_done_s=600.0)


def test_a_task_that_was_created_and_never_started_simply_runs_when_it_is_gone(
    tmp_path: Path,
) -> None:
    async def scenario(world: Bench) -> None:
        at = await place(tmp_path / "calm", "/process")
        for moment in Moment:
            await until(world, Fate(at, moment), job())
            await world.clock.sleep(3600.0)
            assert (await only(world, job())).action is Action.RUN
        assert await code(world, job()) == 0
        assert await starts(world) == 1

    on_bench(tmp_path, scenario, expire_created_s=600.0)


def test_a_plan_of_a_twin_respects_the_limit_of_each(tmp_path: Path) -> None:
    """Two addresses with one key are one run: it may not cost more than either allows."""

    async def scenario(world: Bench) -> None:
        wanted = (job("a"), job("b", run={"maxPu": 50}))
        planned = (await world.plan(*wanted)).plan
        assert planned.exit_code() == 5
        assert (await world.apply(*wanted)).report is None
        assert await tasks(world) == []

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_a_task_started_by_hand_while_the_plan_is_read_is_the_run(
    tmp_path: Path, chosen: int
) -> None:
    """The plan showed the oldest of three, and a person has started one since."""

    async def scenario(world: Bench) -> None:
        for _ in range(3):
            await world.call("POST", "/batch/v2/process", job().spec)
            await world.clock.sleep(1.0)
        made = await tasks(world)

        async def by_hand(planned: Any) -> bool:
            assert planned.plan.changes[0].id == made[0]["id"]
            await world.call("POST", f"/batch/v2/process/{made[chosen]['id']}/start")
            return True

        async with world.exchange() as exchange:
            session = world.session(exchange, (job(),))
            await apply(session, by_hand, lock_timeout_s=0.0, interrupt=Interrupt())
        assert await starts(world) == 1
        change = await only(world, job())
        assert (change.action, change.id) == (Action.NOOP, made[chosen]["id"])

    on_bench(tmp_path, scenario)


def test_what_was_started_and_is_gone_is_not_made_again_where_its_key_is_known_late(
    tmp_path: Path,
) -> None:
    """The first of two addresses starts it, the service loses it, and the second comes to it."""

    async def scenario(world: Bench) -> None:
        twins = (job_on(name=name, depends_on=IMAGERY) for name in ("a", "b"))
        wanted = (collection(), tiles("a", "b"), *twins)
        assert await code(world, *wanted) == 3
        assert (await starts(world), len(await tasks(world))) == (1, 0)

    on_bench(tmp_path, scenario, expire_done_s=0.0, batch_processing_s=0.0)


def test_a_removed_twin_does_not_stop_the_run_of_the_one_that_stays(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        old = job("old", run={"onRemove": "stop"})
        assert await code(world, old, wait=False) == 0
        await world.clock.sleep(30.0)
        new = replace(old, address=job("new").address)
        planned = (await world.plan(new)).plan
        assert {str(c.address): c.action for c in planned.changes} == {
            "BatchProcess/old": Action.FORGET,
            "BatchProcess/new": Action.NOOP,
        }
        assert all(not c.requests for c in planned.changes)
        applied = await world.apply(new)
        assert applied.report is not None
        assert {r.ending for r in applied.report.results} == {Ending.DONE}
        (task,) = await tasks(world)
        assert task["status"] == "DONE"

    on_bench(tmp_path, scenario, batch_processing_s=600.0)
