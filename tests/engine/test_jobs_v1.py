"""Jobs of Batch V1: one START, the service's own estimate, failed tiles alone repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from shplan.core.change import Action, Change, Reason
from shplan.engine.executor import Ending
from shplan.sandbox.settings import Settings as SandboxSettings
from tests.support.bench import Bench
from tests.support.jobs import TWO_TILES, job_v1, tasks_v1

EAST = "33N_24_254"
Scenario = Callable[[Bench], Awaitable[None]]


def on_bench(home: Path, scenario: Scenario, **settings: Any) -> None:
    async def run() -> None:
        bench = Bench(home, settings=SandboxSettings(seed="older", **settings))
        try:
            await scenario(bench)
        finally:
            bench.close()

    asyncio.run(run())


async def only(world: Bench, *wanted: Any, **more: Any) -> Change:
    (change,) = (await world.plan(*wanted, **more)).plan.changes
    return change


async def paid(world: Bench) -> float:
    return float((await world.call("GET", "/_sandbox/meter"))["pu"])


async def applied(world: Bench, *wanted: Any, **more: Any) -> tuple[int, list[str]]:
    """The exit code of an apply, and what those that failed say."""
    found = await world.apply(*wanted, **more)
    assert found.report is not None
    said = [one.message for one in found.report.results if one.ending is Ending.FAILED]
    return found.report.exit_code(), said


async def sent(world: Bench, end: str) -> int:
    asked = (await world.call("GET", "/_sandbox/requests"))["requests"]
    return sum(one["method"] == "POST" and one["path"].endswith(end) for one in asked)


def test_it_is_analysed_estimated_started_once_and_done(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        change = await only(world, job_v1())
        assert (change.action, change.reason) == (Action.RUN, Reason.NEVER_RUN)
        assert [one.operation for one in change.requests] == [
            "createNewBatchProcessingRequest",
            "batchAnalyse",
            "batchStartProcessRequest",
        ]
        before = await paid(world)
        assert await applied(world, job_v1()) == (0, [])
        assert await paid(world) - before == change.cost.maximum_pu == 100.0
        (task,) = await tasks_v1(world)
        assert (task["status"], task["userAction"]) == ("DONE", "START")
        assert (await sent(world, "/analyse"), await sent(world, "/start")) == (1, 1)
        assert (await only(world, job_v1())).action is Action.NOOP
        assert (await world.apply(job_v1())).report is None

    on_bench(tmp_path, scenario)


async def with_a_failed_tile(world: Bench, **more: Any) -> Any:
    """A run of two tiles, of which one has failed; the manifest that tries again."""
    wanted = job_v1(area=TWO_TILES, **more)
    await world.call("POST", "/_sandbox/batch", {"features": [EAST], "cause": "no imagery"})
    code, (message,) = await applied(world, wanted)
    assert code == 3
    assert "1 tile failed" in message
    assert "at 480960, 5090160 EPSG:32633: no imagery" in message
    await world.call("DELETE", "/_sandbox/batch")
    return job_v1(area=TWO_TILES, run={"onFailure": "rerun"}, **more)


def test_failed_tiles_are_named_and_repeated_alone(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        before = await paid(world)
        again = await with_a_failed_tile(world)
        half = await paid(world) - before
        change = await only(world, job_v1(area=TWO_TILES))
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.PARTLY_DONE)
        assert "no imagery" in change.notes[0]
        change = await only(world, again)
        assert (change.action, change.attempt) == (Action.RUN, 2)
        assert [one.operation for one in change.requests] == ["batchRestartPartialProcessRequest"]
        assert change.cost.maximum_pu == half == 50.0
        assert await applied(world, again) == (0, [])
        assert await paid(world) - before == 2 * half
        (task,) = await tasks_v1(world)
        assert task["status"] == "DONE"
        assert (await only(world, again)).action is Action.NOOP

    on_bench(tmp_path, scenario)
