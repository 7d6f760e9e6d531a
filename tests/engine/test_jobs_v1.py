"""Jobs of Batch V1: one START, the service's own estimate, failed tiles alone repeated."""

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
from shplan.core.job_input import ScriptInput
from shplan.core.policy import Policies
from shplan.engine.executor import Ending
from shplan.sandbox.settings import Settings as SandboxSettings
from tests.support.bench import Bench, collection, tiles
from tests.support.dying import Death, Fate, Moment
from tests.support.jobs import OLDER, SHAPE, TWO_TILES, job, job_v1, tasks, tasks_v1
from tests.support.phases import dying

ANALYSIS_S = 600.0
EAST = "33N_24_254"
# Which request of an apply restarts the failed tiles: after two lists and the task itself, twice.
RESTART = 4
# Tens of tiles, so that a price is above the least.
WIDE = {
    "type": "Polygon",
    "coordinates": [[[14.1, 45.1], [14.9, 45.1], [14.9, 45.9], [14.1, 45.9], [14.1, 45.1]]],
}
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


async def begin(world: Bench, *wanted: Any) -> None:
    """Have them started by who never waits: their analysis first, then the payment."""
    await world.apply(*wanted, wait=False)
    await world.clock.sleep(60.0)
    await world.apply(*wanted, wait=False)


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


@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.SERVED, Moment.ANSWERED])
@pytest.mark.parametrize("lost", [False, True])
def test_a_restart_that_is_cut_off_is_paid_once(
    tmp_path: Path, moment: Moment, *, lost: bool
) -> None:
    """The process dies around the request of the restart, with its ledger kept or lost."""

    async def scenario(world: Bench) -> None:
        before = await paid(world)
        again = await with_a_failed_tile(world)
        with contextlib.suppress(Death):
            await dying(world, Fate(RESTART, moment)).apply(again)
        if lost:
            shutil.rmtree(world.root / world.ledger_name)
        for _ in range(3):
            if (await world.apply(again)).report is None:
                break
        assert (await only(world, again)).action is Action.NOOP
        assert await paid(world) - before == 100.0
        assert await sent(world, "/restartpartial") == 1

    on_bench(tmp_path, scenario)


def test_what_somebody_else_has_restarted_is_adopted(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        again = await with_a_failed_tile(world)
        (task,) = await tasks_v1(world)
        await world.call("POST", f"{OLDER}/{task['id']}/restartpartial")
        change = await only(world, again)
        assert (change.action, change.attempt, change.requests) == (Action.NOOP, 2, ())
        await world.clock.sleep(60.0)
        assert (await only(world, again)).action is Action.RESUME
        assert await applied(world, again) == (0, [])
        assert await sent(world, "/restartpartial") == 1

    on_bench(tmp_path, scenario)


def test_tiles_that_fail_again_are_another_attempt(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        again = await with_a_failed_tile(world)
        await world.call("POST", "/_sandbox/batch", {"features": [EAST], "cause": "still none"})
        code, (message,) = await applied(world, again)
        assert (code, "still none" in message) == (3, True)
        assert (await only(world, again)).attempt == 3
        await world.call("DELETE", "/_sandbox/batch")
        assert await applied(world, again) == (0, [])
        assert await sent(world, "/restartpartial") == 2

    on_bench(tmp_path, scenario)


def test_where_the_partial_task_is_gone_another_leaves_alone_what_is_there(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        again = await with_a_failed_tile(world, url="s3://results/x/<tileName>.tif")
        await world.clock.sleep(3600.0)
        assert await tasks_v1(world) == []
        change = await only(world, again)
        assert (change.action, change.attempt) == (Action.RUN, 2)
        assert change.requests[0].body["output"]["skipExisting"] is True  # type: ignore[index, call-overload]
        assert await applied(world, again) == (0, [])

    on_bench(tmp_path, scenario, expire_done_s=600.0)


DEARER = replace(SHAPE, inputs=(ScriptInput(None, ("B04",), "SIMPLE"),))


def test_the_estimate_of_the_service_is_compared_before_the_start(tmp_path: Path) -> None:
    """What we priced is half of what the service estimates: nobody has seen that, so it waits."""

    async def scenario(world: Bench) -> None:
        wanted = replace(job_v1(area=WIDE, resolution=10), script=DEARER)
        ours = (await only(world, wanted)).cost.maximum_pu
        code, (message,) = await applied(world, wanted)
        assert (code, "was not started" in message) == (3, True)
        (task,) = await tasks_v1(world)
        assert task["status"] == "ANALYSIS_DONE"
        change = await only(world, wanted)
        assert (change.action, change.reason) == (Action.RESUME, Reason.NOT_STARTED)
        assert change.cost.maximum_pu == pytest.approx(task["valueEstimate"] / 3)
        assert change.cost.maximum_pu > ours
        dear = replace(wanted, run={"api": "v1", "maxPu": ours})
        (refusal,) = (await only(world, dear)).refusals
        assert refusal.diagnostic.code == "run/max-pu"
        before = await paid(world)
        assert await applied(world, wanted) == (0, [])
        assert await paid(world) - before == pytest.approx(change.cost.maximum_pu)

    on_bench(tmp_path, scenario)


def test_a_limit_is_compared_with_the_estimate_also_where_nobody_could_price_it(
    tmp_path: Path,
) -> None:
    async def scenario(world: Bench) -> None:
        wanted = replace(job_v1(), script=None)
        assert (await only(world, wanted)).unpriced
        low = replace(wanted, run={"api": "v1", "maxPu": 99})
        code, (message,) = await applied(world, low)
        assert (code, "`maxPu` is 99" in message) == (3, True)
        assert await sent(world, "/start") == 0
        high = replace(wanted, run={"api": "v1", "maxPu": 100})
        assert await applied(world, high) == (0, [])

    on_bench(tmp_path, scenario)


def test_an_analysis_that_fails_is_a_failed_run(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        spec = job_v1().spec
        process = {**spec["processRequest"], "evalscript": "//VERSION=3\nfunction setup() {}"}  # type: ignore[dict-item]
        wrong = job_v1(spec={**spec, "processRequest": process})
        assert (await applied(world, wrong))[0] == 3
        assert await sent(world, "/start") == 0
        change = await only(world, wrong)
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.RUN_FAILED)
        assert change.notes[0].startswith("it ended: ")

    on_bench(tmp_path, scenario)


def test_a_cancelled_task_is_never_taken_up_again(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        wanted = job_v1(area=TWO_TILES, url="s3://results/x/<tileName>.tif")
        await begin(world, wanted)
        (task,) = await tasks_v1(world)
        await world.call("POST", f"{OLDER}/{task['id']}/cancel")
        await world.clock.sleep(60.0)
        change = await only(world, wanted)
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.RUN_STOPPED)
        again = replace(wanted, run={"api": "v1", "onFailure": "rerun"})
        change = await only(world, again)
        assert (change.action, change.attempt) == (Action.RUN, 2)
        assert change.requests[0].operation == "createNewBatchProcessingRequest"
        assert change.requests[0].body["output"]["skipExisting"] is True  # type: ignore[index, call-overload]
        assert await applied(world, again) == (0, [])
        assert [one["status"] for one in await tasks_v1(world)] == ["CANCELED", "DONE"]

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("start", ["manual", "analyse"])
def test_a_task_that_was_never_started_is_deleted_with_its_manifest(
    tmp_path: Path, start: str
) -> None:
    async def scenario(world: Bench) -> None:
        wanted = job_v1(run={"start": start, "onRemove": "delete"})
        await world.apply(wanted)
        await world.clock.sleep(60.0)
        change = await only(world)
        assert (change.action, change.notes[0]) == (
            Action.DELETE,
            "its task is deleted: `onRemove: delete`",
        )
        assert await applied(world) == (0, [])
        assert await tasks_v1(world) == []
        # Wanted again, it is the first attempt of a run that never was.
        change = await only(world, job_v1())
        assert (change.action, change.attempt) == (Action.RUN, 1)
        assert await applied(world, job_v1()) == (0, [])

    on_bench(tmp_path, scenario)


def test_a_running_task_is_cancelled_and_stays_if_tiles_were_processed(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        wanted = job_v1(area=TWO_TILES, run={"onRemove": "delete"})
        await begin(world, wanted)
        await world.clock.sleep(8.0)
        assert "deleted if no tile" in (await only(world)).notes[0]
        assert await applied(world) == (0, [])
        found = await tasks_v1(world)
        assert [one["status"] for one in found] in ([], ["CANCELED"])
        assert (await world.plan()).plan.changes == ()
        # What was started is never run again by itself.
        assert (await only(world, wanted)).action is Action.BLOCKED

    on_bench(tmp_path, scenario)


def test_a_finished_task_is_let_go_of(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        wanted = job_v1(run={"onRemove": "delete"})
        assert await applied(world, wanted) == (0, [])
        assert (await only(world)).action is Action.FORGET
        assert await applied(world) == (0, [])
        assert len(await tasks_v1(world)) == 1

    on_bench(tmp_path, scenario)


def test_both_versions_stand_side_by_side_and_are_two_runs(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        wanted = (job_v1("older"), job("newer", url="s3://results/newer"))
        assert await applied(world, *wanted) == (0, [])
        assert (len(await tasks_v1(world)), len(await tasks(world))) == (1, 1)
        assert {one.action for one in (await world.plan(*wanted)).plan.changes} == {Action.NOOP}

    on_bench(tmp_path, scenario)


def test_two_appliers_without_a_common_ledger_start_one_task(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        other = world.second("other")
        await asyncio.gather(world.apply(job_v1()), other.apply(job_v1()))
        started = [one for one in await tasks_v1(world) if one["userAction"] == "START"]
        assert len(started) == 1
        for bench in (world, other):
            if (await only(bench, job_v1())).action is not Action.NOOP:
                assert await applied(bench, job_v1()) == (0, [])
            assert (await only(bench, job_v1())).action is Action.NOOP
        told = (await world.call("GET", "/_sandbox/batch"))["tasks"]
        assert sum(one["starts"] for one in told) == 1

    on_bench(tmp_path, scenario)


def test_who_does_not_wait_does_not_wait_for_the_analysis(tmp_path: Path) -> None:
    """Its price is not known before, so that it is the next apply that starts it."""

    async def scenario(world: Bench) -> None:
        before = world.clock.now()
        report = (await world.apply(job_v1(), wait=False)).report
        assert report is not None
        assert [one.ending for one in report.results] == [Ending.RUNNING]
        assert (report.exit_code(), await sent(world, "/start")) == (0, 0)
        assert "the next apply starts it" in report.results[0].message
        # The list of tasks has its lag; nothing else was waited for.
        assert (world.clock.now() - before).total_seconds() < ANALYSIS_S
        # Still under way: nothing is sent again.
        assert await applied(world, job_v1(), wait=False) == (0, [])
        assert (await sent(world, "/analyse"), await sent(world, "/start")) == (1, 0)
        await world.clock.sleep(2 * ANALYSIS_S)
        change = await only(world, job_v1())
        assert (change.action, change.reason) == (Action.RESUME, Reason.NOT_STARTED)
        assert await applied(world, job_v1(), wait=False) == (0, [])
        assert (len(await tasks_v1(world)), await sent(world, "/start")) == (1, 1)
        assert await applied(world, job_v1()) == (0, [])
        assert (await only(world, job_v1())).action is Action.NOOP

    on_bench(tmp_path, scenario, batch_analysing_s=ANALYSIS_S)


def test_within_a_budget_what_has_no_price_is_analysed_first(tmp_path: Path) -> None:
    """Nobody can compute it here; the service's estimate tells whether the budget holds it."""

    async def scenario(world: Bench) -> None:
        silent = replace(job_v1(), script=None)
        planned = await world.plan(silent, policies=Policies(1000.0))
        assert [one.diagnostic.code for one in planned.plan.refusals] == ["plan/budget-unknown"]
        assert "`run: {start: analyse}`" in planned.plan.changes[0].notes[-1]
        analysed = replace(job_v1(run={"start": "analyse"}), script=None)
        assert await applied(world, analysed, policies=Policies(1000.0)) == (0, [])
        await world.clock.sleep(60.0)
        change = await only(world, silent, policies=Policies(1000.0))
        assert (change.unpriced, change.cost.maximum_pu > 0, change.refusals) == (False, True, ())
        price = change.cost.maximum_pu
        refused = (await world.plan(silent, policies=Policies(price - 1))).plan.refusals
        assert [one.diagnostic.code for one in refused] == ["plan/budget"]
        assert await applied(world, silent, policies=Policies(price)) == (0, [])
        assert await sent(world, "/start") == 1

    on_bench(tmp_path, scenario)


FORGETFUL = {f"expire_{name}_s": 600.0 for name in ("created", "analysed", "done", "failed")}


WANTED = job_v1(area=TWO_TILES)


async def run_and_forgotten(world: Bench) -> str:
    """A task that was started, ended while nobody looked, and was cleared away."""
    await begin(world, WANTED)
    (task,) = await tasks_v1(world)
    await world.clock.sleep(60.0)
    await tasks_v1(world)
    await world.clock.sleep(7200.0)
    assert await tasks_v1(world) == []
    return str(task["id"])


@pytest.mark.parametrize("lost", [False, True])
def test_what_has_delivered_every_tile_and_is_gone_is_done(tmp_path: Path, lost: bool) -> None:
    """With the ledger the START is known; without it, the files that were delivered."""

    async def scenario(world: Bench) -> None:
        task = await run_and_forgotten(world)
        if lost:
            shutil.rmtree(world.root / world.ledger_name)
        change = await only(world, WANTED)
        assert (change.action, change.reason) == (Action.ADOPT, Reason.NOT_RECORDED)
        assert (change.id, change.cost.maximum_pu) == (task, 0)
        before = await paid(world)
        assert await applied(world, WANTED) == (0, [])
        (run,) = (await world.journal().runs("sandbox")).values()
        assert run.receipt is not None
        assert (run.receipt.id, run.receipt.status, run.receipt.cost_pu) == (task, "DONE", None)
        assert run.receipt.outputs["files"] == 2
        assert (await paid(world), await tasks_v1(world)) == (before, [])
        assert (await only(world, WANTED)).action is Action.NOOP

    on_bench(tmp_path, scenario, **FORGETFUL)


def test_what_was_started_and_is_gone_is_decided_by_a_person(tmp_path: Path) -> None:
    """A tile that is not there may have failed, or was taken away: nobody knows."""

    async def scenario(world: Bench) -> None:
        task = {"id": await run_and_forgotten(world)}
        (tile, *_) = sorted((world.buckets / "results").rglob(f"{EAST}/*.tif"))
        tile.unlink()
        change = await only(world, WANTED)
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.OUTCOME_UNKNOWN)
        hint = change.refusals[0].diagnostic.hint
        assert f"shplan import BatchProcess/ndvi {task['id']}" in hint
        shutil.rmtree(world.root / world.ledger_name)
        change = await only(world, WANTED)
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.OUTCOME_UNKNOWN)

    on_bench(tmp_path, scenario, **FORGETFUL)


def test_what_was_only_created_and_is_forgotten_runs(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await world.apply(job_v1(run={"start": "analyse"}))
        await world.clock.sleep(7200.0)
        assert await tasks_v1(world) == []
        shutil.rmtree(world.root / world.ledger_name)
        assert (await only(world, job_v1())).action is Action.RUN

    on_bench(tmp_path, scenario, **FORGETFUL)


def test_the_receipt_keeps_estimate_tiles_and_causes(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await with_a_failed_tile(world)
        (run,) = (await world.journal().runs("sandbox")).values()
        receipt = run.receipt
        assert receipt is not None
        assert (receipt.status, receipt.cost_pu) == ("PARTIAL", 50.0)
        assert receipt.outputs["valueEstimate"] == 100.0
        assert (receipt.outputs["parts"], receipt.outputs["failed"]) == (2, 1)
        ((name, cause),) = receipt.failed.items()
        assert name.endswith("EPSG:32633")
        assert cause == "no imagery"

    on_bench(tmp_path, scenario)


def test_the_collection_that_is_made_is_known_to_others(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        made = {"cogOutput": True, "createCollection": True}
        older, newer = job_v1("older", **made), job("newer", url="s3://results/newer", **made)
        planned = await world.plan(older, newer)
        assert planned.attributes.get(older.address) is None
        assert await applied(world, older, newer) == (0, [])
        planned = await world.plan(older, newer)
        found = {
            one.address.name: planned.attributes[one.address]["collectionId"]
            for one in planned.plan.changes
        }
        batch = (await world.call("GET", "/api/v1/batch/collections"))["data"]
        byoc = (await world.call("GET", "/byoc/v1/collections"))["data"]
        assert found == {"older": batch[0]["id"], "newer": byoc[0]["id"]}
        # The service may forget the tasks: the receipts know.
        await world.clock.sleep(7200.0)
        assert await tasks(world) == []
        again = await world.plan(older, newer)
        assert {one.action for one in again.plan.changes} == {Action.NOOP}
        assert again.attributes[newer.address]["collectionId"] == byoc[0]["id"]

    on_bench(tmp_path, scenario, **FORGETFUL)


def test_an_exclusive_set_leaves_alone_what_a_run_has_produced(tmp_path: Path) -> None:
    """The tiles are declared by nobody, and a receipt of ours says where they come from."""

    async def scenario(world: Bench) -> None:
        fields = collection(s3Bucket="results")
        assert await applied(world, fields) == (0, [])
        (there,) = (await world.call("GET", "/byoc/v1/collections"))["data"]
        filling = job(url="s3://results/made", cogOutput=True, collectionId=there["id"])
        none = tiles(exclusive=True)
        assert await applied(world, fields, filling) == (0, [])
        await world.clock.sleep(60.0)
        where = f"/byoc/v1/collections/{there['id']}/tiles"
        (made,) = (await world.call("GET", where))["data"]
        assert made["path"].startswith("made/")
        await world.call("POST", where, {"path": "by-hand"})
        found = await world.apply(fields, filling, none)
        assert found.report is not None
        left = [one["path"] for one in (await world.call("GET", where))["data"]]
        assert left == [made["path"]]
        assert (await world.plan(fields, filling, none)).attributes[filling.address][
            "collectionId"
        ] == there["id"]

    on_bench(tmp_path, scenario)


def test_a_person_confirms_a_task_by_its_id(tmp_path: Path) -> None:
    """One that lives is believed by its echo; one that is gone, if the ledger has started it."""

    async def scenario(world: Bench) -> None:
        await begin(world, job_v1())
        (task,) = await tasks_v1(world)
        await world.clock.sleep(60.0)
        await world.confirm("BatchProcess/ndvi", task["id"], job_v1())
        assert (await only(world, job_v1())).action is Action.NOOP
        other = job_v1("other", day="2025-07-01")
        await begin(world, job_v1(), other)
        gone = next(one for one in await tasks_v1(world) if one["id"] != task["id"])
        await world.clock.sleep(7200.0)
        assert await tasks_v1(world) == []
        await world.confirm("BatchProcess/other", gone["id"], job_v1(), other)
        changes = (await world.plan(job_v1(), other)).plan.changes
        assert {one.action for one in changes} == {Action.NOOP}
        run = next(
            one
            for one in (await world.journal().runs("sandbox")).values()
            if one.receipt is not None and one.receipt.id == gone["id"]
        )
        assert run.receipt is not None
        assert run.receipt.cost_pu is None

    on_bench(tmp_path, scenario, **FORGETFUL)


def test_progress_and_cost_are_read_from_the_tiles(tmp_path: Path) -> None:
    """What a task has cost passes its limit while it runs: it is cancelled, and stays blocked."""

    async def scenario(world: Bench) -> None:
        wanted = job_v1(area=WIDE)
        await begin(world, wanted)
        await world.clock.sleep(40.0)
        limited = replace(wanted, run={"api": "v1", "maxPu": 5})
        code, (message,) = await applied(world, limited)
        assert (code, "was stopped" in message) == (3, True)
        assert [one["status"] for one in await tasks_v1(world)] == ["CANCELED"]
        change = await only(world, limited)
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.RUN_STOPPED)
        assert "passed `maxPu: 5`" in change.notes[1]

    on_bench(tmp_path, scenario, batch_processing_s=400.0)


def test_the_receipt_has_the_estimate_of_the_service_beside_the_cost(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        wanted = job_v1(area=WIDE, resolution=10)
        assert await applied(world, wanted) == (0, [])
        (task,) = await tasks_v1(world)
        (run,) = (await world.journal().runs("sandbox")).values()
        assert run.receipt is not None
        estimated = task["valueEstimate"] / 3
        assert run.receipt.estimate_pu == pytest.approx((estimated, estimated, estimated))
        assert run.receipt.cost_pu == pytest.approx(estimated)

    on_bench(tmp_path, scenario)
