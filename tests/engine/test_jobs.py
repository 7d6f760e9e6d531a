"""Jobs against the real sandbox: what the plan shows, and that nothing is paid twice."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shplan.core.address import Address
from shplan.core.change import Action, Change, Reason
from shplan.core.errors import ManifestError
from shplan.core.job_input import ScriptInput, ScriptShape
from shplan.engine.executor import Ending
from shplan.engine.runs import confirm
from shplan.providers.base import ChangeFailedError
from shplan.sandbox.settings import Settings as SandboxSettings
from tests.support import geopackages
from tests.support.bench import Bench, collection, tiles
from tests.support.jobs import IMAGERY, SHAPE, body, job, job_on, tasks

Scenario = Callable[[Bench], Awaitable[None]]
TILE = 23.0  # more than enough seconds for the sandbox to analyse and process a task
NDVI = Address("BatchProcess", "ndvi")


def on_bench(home: Path, scenario: Scenario, **settings: Any) -> None:
    async def run() -> None:
        bench = Bench(home, settings=SandboxSettings(seed="jobs", **settings))
        bench.write_tiles("a", "b", bands=("B04", "B08"))
        try:
            await scenario(bench)
        finally:
            bench.close()

    asyncio.run(run())


async def only(world: Bench, *wanted: Any, **more: Any) -> Change:
    (change,) = (await world.plan(*wanted, **more)).plan.changes
    return change


async def starts(world: Bench) -> int:
    return sum(one["starts"] for one in (await world.call("GET", "/_sandbox/batch"))["tasks"])


async def paid(world: Bench) -> float:
    return (await world.call("GET", "/_sandbox/meter"))["pu"]


async def done(world: Bench, *wanted: Any, **more: Any) -> None:
    applied = await world.apply(*wanted, **more)
    assert applied.report is not None
    assert applied.report.exit_code() == 0, [r.message for r in applied.report.results]


async def failed(world: Bench, *wanted: Any, **more: Any) -> str:
    """Apply, expecting one change to fail; its message."""
    applied = await world.apply(*wanted, **more)
    assert applied.report is not None
    assert applied.report.exit_code() == 3
    (message,) = [r.message for r in applied.report.results if r.ending is Ending.FAILED]
    return message


def test_a_job_runs_once_and_stays_done_after_the_server_has_forgotten_it(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        before = await paid(world)
        change = await only(world, job())
        assert (change.action, change.reason) == (Action.RUN, Reason.NEVER_RUN)
        await done(world, job())
        cost = await paid(world) - before
        assert cost == change.cost.maximum_pu == 100.0
        await world.clock.sleep(3600.0)
        assert await tasks(world) == []
        change = await only(world, job())
        assert (change.action, change.reason, change.records) == (Action.NOOP, Reason.RAN, False)
        assert (await world.apply(job())).report is None
        assert (await paid(world) - before, await starts(world)) == (cost, 1)

    on_bench(tmp_path, scenario, expire_done_s=60.0)


def test_a_job_with_its_receipt_is_asked_of_nobody(tmp_path: Path) -> None:
    """A thousand of them cost a plan no request."""

    async def scenario(world: Bench) -> None:
        await done(world, job())
        await world.call("DELETE", "/_sandbox/requests")
        await world.plan(job())
        asked = (await world.call("GET", "/_sandbox/requests"))["requests"]
        assert [one for one in asked if "/batch/" in one["path"]] == []

    on_bench(tmp_path, scenario)


def test_an_edited_request_is_another_run_and_the_old_one_stays(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, job())
        edited = job(day="2025-07-01")
        change = await only(world, edited)
        assert (change.action, change.former["kind"]) == (Action.RUN, "BatchProcess")
        await done(world, edited)
        assert await starts(world) == 2
        # Back to what ran before: its receipt still counts.
        change = await only(world, job())
        assert (change.action, change.records) == (Action.NOOP, True)
        await world.apply(job())
        assert await starts(world) == 2

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize(
    "output",
    [
        {"overwrite": True, "url": "s3://results/<tileName>.tif"},
        {"skipExisting": True, "url": "s3://results/<tileName>.tif"},
        {"url": "s3://results/<requestId>/<tileName>.tif"},
        {"url": "s3://results"},
        {"url": "s3://results/{{ run.key }}/<tileName>.tif"},
    ],
)
def test_places_that_a_run_has_filled_are_not_delivered_to_again(
    tmp_path: Path, output: dict[str, Any]
) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, job(url="s3://results/<tileName>.tif"))
        again = job(url="s3://results/<tileName>.tif", run={"generation": 2})
        planned = (await world.plan(again)).plan
        (refusal,) = planned.refusals
        assert refusal.diagnostic.code == "run/places-taken"
        assert planned.exit_code() == 5
        assert not (await world.plan(job(run={"generation": 2}, **output))).plan.refusals

    on_bench(tmp_path, scenario)


def test_a_renamed_job_runs_nothing(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, job("old"))
        planned = (await world.plan(job("new"))).plan
        assert {str(c.address): c.action for c in planned.changes} == {
            "BatchProcess/old": Action.FORGET,
            "BatchProcess/new": Action.NOOP,
        }
        await done(world, job("new"))
        assert not (await world.plan(job("new"))).plan.pending
        assert await starts(world) == 1

    on_bench(tmp_path, scenario)


def test_a_removed_job_is_let_go_of_and_its_receipt_stays(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, job())
        await done(world)
        assert (await world.plan()).plan.changes == ()
        assert (await only(world, job())).action is Action.NOOP
        await world.apply(job())
        assert await starts(world) == 1

    on_bench(tmp_path, scenario)


def test_a_removed_job_is_stopped_if_that_was_asked_for(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, job(run={"onRemove": "stop"}), wait=False)
        await world.clock.sleep(30.0)
        change = await only(world)
        assert change.action is Action.DELETE
        assert [one.operation for one in change.requests] == ["batchV2StopProcessRequest"]
        await done(world)
        await world.clock.sleep(30.0)
        (task,) = await tasks(world)
        assert (task["status"], task["stoppedStatusReason"]) == ("STOPPED", "USER_ACTION")
        assert (await world.plan()).plan.changes == ()

    on_bench(tmp_path, scenario, batch_processing_s=600.0)


def test_another_on_remove_is_recorded_and_told_as_what_it_is(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, job())
        stop = job(run={"onRemove": "stop"})
        change = await only(world, stop)
        assert (change.action, change.reason) == (Action.UPDATE, Reason.REMOVAL_CHANGED)
        assert change.notes[-1] == "onRemove: keep -> stop"
        await done(world, stop)
        assert (await only(world, stop)).action is Action.NOOP
        assert await starts(world) == 1

    on_bench(tmp_path, scenario)


def test_a_protected_job_is_not_stopped(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, job(run={"onRemove": "stop"}, prevent=True), wait=False)
        planned = (await world.plan()).plan
        assert planned.exit_code() == 5
        assert planned.refusals[0].diagnostic.code == "plan/prevent-destroy"

    on_bench(tmp_path, scenario, batch_processing_s=600.0)


def test_a_job_left_running_is_collected_later(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        after = job("after", day="2025-09-01", depends_on=(NDVI,))
        applied = await world.apply(job(), after, wait=False)
        assert applied.report is not None
        endings = {str(r.change.address): r.ending for r in applied.report.results}
        assert endings == {"BatchProcess/ndvi": Ending.RUNNING, "BatchProcess/after": Ending.LEFT}
        assert applied.report.exit_code() == 0
        change = (await world.plan(job(), after)).plan.changes[0]
        assert (change.action, change.reason, change.waits) == (Action.NOOP, Reason.RUNNING, True)
        await world.clock.sleep(600.0)
        change = (await world.plan(job(), after)).plan.changes[0]
        assert (change.action, change.reason) == (Action.RESUME, Reason.NOT_RECORDED)
        assert change.cost.maximum_pu == 0.0
        await done(world, job(), after)
        assert await starts(world) == 2

    on_bench(tmp_path, scenario)


def test_a_stopped_job_is_blocked_and_then_started_again(tmp_path: Path) -> None:
    """The service takes no restart for half an hour; what was done is not paid again."""

    async def scenario(world: Bench) -> None:
        before = await paid(world)
        await done(world, job(), wait=False)
        await world.clock.sleep(30.0)
        (task,) = await tasks(world)
        await world.call("POST", f"/batch/v2/process/{task['id']}/stop")
        await world.clock.sleep(5.0)
        change = await only(world, job())
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.RUN_STOPPED)
        again = job(run={"onFailure": "rerun"})
        change = await only(world, again)
        assert change.action is Action.BLOCKED
        assert "no restart before" in change.notes[-1]
        await world.clock.sleep(1800.0)
        change = await only(world, again)
        assert (change.action, change.attempt) == (Action.RUN, 2)
        assert [one.operation for one in change.requests] == ["batchV2StartProcessRequest"]
        await done(world, again)
        assert len(await tasks(world)) == 1
        assert (await only(world, again)).action is Action.NOOP
        assert (await paid(world) - before, await starts(world)) == (100.0, 2)

    on_bench(tmp_path, scenario, batch_processing_s=600.0)


def test_a_job_that_failed_is_blocked_and_run_again_when_asked(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        wrong = job(
            script="//VERSION=3\nfunction setup() { return {}; }\nfunction evaluatePixel() {}"
        )
        message = await failed(world, wrong)
        assert "FAILED" in message
        change = await only(world, wrong)
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.RUN_FAILED)
        again = replace(wrong, run={"onFailure": "rerun"})
        change = await only(world, again)
        assert (change.action, change.attempt) == (Action.RUN, 2)
        await failed(world, again)
        assert len(await tasks(world)) == 2
        assert await paid(world) == 0.0

    on_bench(tmp_path, scenario)


def test_failed_features_are_named_and_another_attempt_skips_what_is_there(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await world.call("POST", "/_sandbox/batch", {"share": 1.0, "cause": "no imagery there"})
        there = "s3://results/x/<tileName>.tif"
        message = await failed(world, job(url=there))
        assert "no imagery there" in message
        change = await only(world, job(url=there))
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.PARTLY_DONE)
        await world.call("DELETE", "/_sandbox/batch")
        again = job(url=there, run={"onFailure": "rerun"})
        change = await only(world, again)
        assert (change.action, change.attempt) == (Action.RUN, 2)
        assert change.requests[0].body["output"]["skipExisting"] is True  # type: ignore[index, call-overload]
        await done(world, again)
        assert (await only(world, again)).action is Action.NOOP

    on_bench(tmp_path, scenario, unhealthy_share=1.0)


def test_another_attempt_into_a_place_of_its_own_pays_everything_again_and_says_so(
    tmp_path: Path,
) -> None:
    async def scenario(world: Bench) -> None:
        await world.call("POST", "/_sandbox/batch", {"share": 1.0})
        wanted = job(url="s3://results/<requestId>/<tileName>.tif", run={"onFailure": "rerun"})
        await failed(world, wanted)
        change = await only(world, wanted)
        assert any("paid again" in note for note in change.notes)
        assert "skipExisting" not in change.requests[0].body["output"]  # type: ignore[index, call-overload, operator]

    on_bench(tmp_path, scenario, unhealthy_share=1.0)


def test_a_job_dearer_than_its_limit_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        planned = (await world.plan(job(run={"maxPu": 99}))).plan
        assert planned.exit_code() == 5
        assert planned.refusals[0].diagnostic.code == "run/max-pu"
        assert (await world.apply(job(run={"maxPu": 99}))).report is None
        assert await tasks(world) == []
        assert not (await world.plan(job(run={"maxPu": 100}))).plan.refusals

    on_bench(tmp_path, scenario)


def test_a_running_task_that_passes_its_limit_is_stopped_and_stays_blocked(tmp_path: Path) -> None:
    """Where the service bills more than the formula gave, the limit still holds."""

    async def scenario(world: Bench) -> None:
        script = body()["processRequest"]["evalscript"].replace(  # type: ignore[index, union-attr, call-overload]
            "return {", 'return {mosaicking: "ORBIT", '
        )
        cheap = ScriptShape(inputs=(ScriptInput(None, ("B04",), "SIMPLE"),), outputs=SHAPE.outputs)
        area = {
            "type": "Polygon",
            "coordinates": [[[14, 46], [16, 46], [16, 47], [14, 47], [14, 46]]],
        }
        wanted = replace(job(script=script, run={"maxPu": 400}), script=cheap)
        wanted.spec["processRequest"]["input"]["bounds"] = {"geometry": area}  # type: ignore[index, call-overload]
        year = {"from": "2005-06-01T00:00:00Z", "to": "2006-05-31T00:00:00Z"}
        wanted.spec["processRequest"]["input"]["data"][0]["dataFilter"] = {"timeRange": year}  # type: ignore[index, call-overload]
        before = await paid(world)
        stopped = (await world.apply(wanted)).report
        assert stopped is not None
        assert "was stopped" in stopped.results[0].message
        # What it has cost all the same is spent.
        assert stopped.cost_pu == pytest.approx(await paid(world) - before)
        assert stopped.cost_pu > 400
        again = replace(wanted, run={"maxPu": 400, "onFailure": "rerun"})
        change = await only(world, again)
        assert change.action is Action.BLOCKED
        assert "raise that" in change.notes[-1]
        await world.clock.sleep(1900.0)
        raised = replace(wanted, run={"maxPu": 40_000, "onFailure": "rerun"})
        assert (await only(world, raised)).action is Action.RUN
        goes_on = (await world.apply(raised)).report
        assert goes_on is not None
        # And no part of it is spent again.
        both = stopped.cost_pu + goes_on.cost_pu
        assert both == pytest.approx(await paid(world) - before)

    on_bench(tmp_path, scenario, batch_processing_s=3600.0)


def test_a_lost_ledger_is_found_again_and_nothing_is_started(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, job())
        shutil.rmtree(tmp_path / "ledger")
        change = await only(world, job())
        assert (change.action, change.reason) == (Action.ADOPT, Reason.OTHERS_TASK)
        await done(world, job())
        assert (await only(world, job())).action is Action.NOOP
        assert await starts(world) == 1

    on_bench(tmp_path, scenario)


def test_a_task_that_is_gone_is_judged_by_what_it_left(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, job(), wait=False)
        await world.clock.sleep(30.0)
        (task,) = await tasks(world)
        await world.clock.sleep(600.0)
        assert await tasks(world) == []
        change = await only(world, job())
        assert (change.action, change.reason, change.id) == (
            Action.ADOPT,
            Reason.NOT_RECORDED,
            task["id"],
        )
        await done(world, job())
        assert (await only(world, job())).action is Action.NOOP
        assert await starts(world) == 1

    on_bench(tmp_path, scenario, expire_done_s=60.0)


def test_a_task_that_is_gone_and_left_nothing_is_for_a_person_to_decide(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, job(), wait=False)
        (task,) = await tasks(world)
        await world.clock.sleep(600.0)
        assert await tasks(world) == []
        shutil.rmtree(world.buckets / "results")
        planned = (await world.plan(job())).plan
        assert planned.exit_code() == 7
        assert (await world.apply(job())).report is None
        assert await starts(world) == 1
        async with world.exchange() as exchange:
            session = world.session(exchange, (job(),))
            with pytest.raises(ChangeFailedError, match="did not start"):
                await confirm(session, NDVI, "another", lock_timeout_s=0.0)
            settled = await confirm(session, NDVI, task["id"], lock_timeout_s=0.0)
        assert settled.receipt is not None
        # Nobody can say what it was billed; what it would be estimated to cost is said all the same.
        assert settled.receipt.cost_pu is None
        assert settled.receipt.estimate_pu == (100, 100, 100)
        assert settled.receipt.estimate_terms
        assert (await only(world, job())).action is Action.NOOP

    on_bench(tmp_path, scenario, expire_done_s=60.0)


def test_two_addresses_with_one_key_are_one_run(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        wanted = (job("a"), job("b"))
        changes = (await world.plan(*wanted)).plan.changes
        assert [(c.action, c.reason) for c in changes] == [
            (Action.RUN, Reason.NEVER_RUN),
            (Action.NOOP, Reason.SAME_RUN),
        ]
        await done(world, *wanted)
        assert (await starts(world), len(await tasks(world))) == (1, 1)
        assert not (await world.plan(*wanted)).plan.can_apply()

    on_bench(tmp_path, scenario)


def test_two_addresses_whose_key_is_known_late_are_one_run(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        twins = (job_on(name=name, depends_on=IMAGERY) for name in ("a", "b"))
        wanted = (collection(), tiles("a", "b"), *twins)
        await done(world, *wanted)
        assert (await starts(world), len(await tasks(world))) == (1, 1)
        assert not (await world.plan(*wanted)).plan.pending

    on_bench(tmp_path, scenario)


def test_a_task_with_the_same_request_is_adopted_whoever_made_it(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        made = await world.call("POST", "/batch/v2/process", body())
        await world.call("POST", "/batch/v2/process", body(day="2024-01-01"))
        change = await only(world, job())
        assert (change.action, change.reason, change.id) == (
            Action.RESUME,
            Reason.NOT_STARTED,
            made["id"],
        )
        assert (await only(world, job(run={"triggers": {"a": 1}}))).action is Action.RUN
        await done(world, job())
        assert await starts(world) == 1

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize(("start", "status"), [("manual", "CREATED"), ("analyse", "ANALYSIS_DONE")])
def test_a_job_that_is_not_to_be_started_is_not(tmp_path: Path, start: str, status: str) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, job(run={"start": start}))
        await world.clock.sleep(30.0)
        (task,) = await tasks(world)
        assert task["status"] == status
        change = await only(world, job(run={"start": start}))
        assert (change.action, change.reason) == (Action.NOOP, Reason.START_WAITS)
        assert await starts(world) == 0
        await done(world, job())
        assert await starts(world) == 1

    on_bench(tmp_path, scenario)


def test_another_generation_is_the_reviewed_way_to_say_again(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, job(overwrite=True))
        again = job(run={"generation": 2}, overwrite=True)
        assert (await only(world, again)).action is Action.RUN
        await done(world, again)
        assert await starts(world) == 2

    on_bench(tmp_path, scenario)


def test_a_job_waits_for_what_it_needs(tmp_path: Path) -> None:
    """Its tiles are ingested before it is created, and a failed one leaves it alone."""

    async def scenario(world: Bench) -> None:
        needs = (Address("ByocTiles", "fields"),)
        wanted = (collection(), tiles("a", "missing"), replace(job_on(), depends_on=needs))
        applied = await world.apply(*wanted)
        assert applied.report is not None
        endings = {r.change.address.kind: r.ending for r in applied.report.results}
        assert endings["ByocTiles"] is Ending.FAILED
        assert endings["BatchProcess"] is Ending.SKIPPED
        assert await tasks(world) == []

    on_bench(tmp_path, scenario)


def test_the_features_of_a_geopackage_decide_what_a_run_may_cost(tmp_path: Path) -> None:
    """The file is part of the key; its features are counted where the bucket can be read."""

    async def scenario(world: Bench) -> None:
        box = (500_000, 5_150_000, 520_000, 5_170_000)
        features = [{"identifier": f"f{n}", "box": box, "resolution": 10.0} for n in range(40)]
        geopackages.write(world.buckets / "input" / "fields.gpkg", features)
        spec = body(overwrite=True)
        spec["input"] = {
            "type": "geopackage",
            "features": {"s3": {"url": "s3://input/fields.gpkg"}},
        }
        wanted = job(spec=spec, run={"maxPu": 1000})
        change = await only(world, wanted)
        assert change.cost.maximum_pu > 200
        dear = await world.plan(job(spec=spec, run={"maxPu": 200}))
        assert dear.plan.refusals[0].diagnostic.code == "run/max-pu"
        geopackages.write(world.buckets / "input" / "fields.gpkg", features[:20])
        assert (await only(world, wanted)).key != change.key
        (world.buckets / "input" / "fields.gpkg").unlink()
        with pytest.raises(ManifestError, match=r"fields\.gpkg"):
            await world.plan(wanted)
        stated = job(spec=spec, run={"files": {"s3://input/fields.gpkg": "0" * 64}})
        assert (await only(world, stated)).action is Action.RUN
        limited = replace(stated, run={**stated.run, "maxPu": 5000})
        assert (await only(world, limited)).reason is Reason.COST_UNKNOWN

    on_bench(tmp_path, scenario)


def test_imagery_that_changed_since_a_run_is_noted_and_triggers_run_it_again(
    tmp_path: Path,
) -> None:
    async def scenario(world: Bench) -> None:
        needs = (Address("ByocTiles", "fields"),)
        world.write_tiles("c", bands=("B04", "B08"))
        await done(world, collection(), tiles("a", "b"), replace(job_on(), depends_on=needs))
        wanted = (collection(), tiles("a", "b", "c"), replace(job_on(), depends_on=needs))
        change = (await world.plan(*wanted)).plan.changes[-1]
        assert not any("changed since" in note for note in change.notes)
        await done(world, *wanted)
        change = (await world.plan(*wanted)).plan.changes[-1]
        assert change.action is Action.NOOP
        assert any("input ByocTiles/fields changed since this run" in note for note in change.notes)
        again = replace(job_on(run={"triggers": {"imagery": 2}}), depends_on=needs)
        assert (await world.plan(*wanted[:2], again)).plan.changes[-1].action is Action.RUN

    on_bench(tmp_path, scenario)
