"""Batch statistics: the rules of jobs, with a marker in the script and results that tell of failures."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shplan.core.change import Action, Reason
from shplan.core.errors import ManifestError
from tests.engine.test_jobs import done, failed, on_bench, only, paid, starts
from tests.support import geopackages
from tests.support.bench import Bench
from tests.support.delivered import STATISTICS_SCRIPT, statistics, write_fields
from tests.support.dying import Death, Fate, Moment
from tests.support.jobs import SHAPE
from tests.support.phases import dying, never

ADDRESS = "BatchStatistics/fields"


def on_fields(home: Path, scenario: Callable[[Bench], Awaitable[None]], **settings: Any) -> None:
    async def run(world: Bench) -> None:
        write_fields(world)
        await scenario(world)

    on_bench(home, run, **settings)


async def tasks(world: Bench) -> list[dict[str, Any]]:
    found = (await world.call("GET", "/statistics/batch/v1?count=100"))["data"]
    return sorted(found, key=lambda one: (one["created"], one["id"]))


def lose(world: Bench) -> None:
    shutil.rmtree(world.root / world.ledger_name, ignore_errors=True)


def script_in_a_bucket(world: Bench, **more: Any) -> Any:
    (world.buckets / "areas" / "red.js").write_text(STATISTICS_SCRIPT)
    wanted = statistics(**more)
    place = {"s3": {"url": "s3://areas/red.js", "iamRoleARN": "arn:aws:iam::1:role/r"}}
    aggregation = {**wanted.spec["aggregation"], "evalscriptReference": place}  # type: ignore[dict-item]
    del aggregation["evalscript"]
    return replace(wanted, spec={**wanted.spec, "aggregation": aggregation})


def test_a_script_in_a_bucket_has_no_price_and_the_plan_says_what_gives_it_one(
    tmp_path: Path,
) -> None:
    async def scenario(world: Bench) -> None:
        wanted = replace(script_in_a_bucket(world), script=None)
        change = await only(world, wanted)
        assert change.unpriced
        assert any("as `evalscript` it has a price" in note for note in change.notes)

    on_fields(tmp_path, scenario)


def test_it_runs_once_and_is_paid_once(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        change = await only(world, statistics())
        assert (change.action, change.reason) == (Action.RUN, Reason.NEVER_RUN)
        assert "2 features of the GeoPackage, " in change.notes[0]
        assert [one.operation for one in change.requests] == [
            "createNewBatchStatisticsRequest",
            "batchStartStatisticalRequest",
        ]
        before = await paid(world)
        await done(world, statistics())
        assert (await paid(world) - before, await starts(world)) == (100.0, 1)
        (task,) = await tasks(world)
        last = task["request"]["aggregation"]["evalscript"].splitlines()[-1]
        assert last.startswith("// [shplan project=test address=BatchStatistics/fields key=")
        change = await only(world, statistics())
        assert (change.action, change.reason) == (Action.NOOP, Reason.RAN)
        assert change.notes[0] == "attempt 1 is done: 100 PU, 2 files"
        await world.clock.sleep(3600.0)
        assert await tasks(world) == []
        assert (await only(world, statistics())).reason is Reason.RAN

    on_fields(tmp_path, scenario, expire_done_s=60.0)


def test_other_areas_are_another_run(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, statistics())
        write_fields(world, count=3)
        change = await only(world, statistics())
        assert (change.action, change.reason) == (Action.RUN, Reason.NEVER_RUN)
        (world.buckets / "areas" / "fields.gpkg").unlink()
        with pytest.raises(ManifestError, match="cannot be read"):
            await world.plan(statistics())

    on_fields(tmp_path, scenario)


@pytest.mark.parametrize("partial", [False, True])
def test_features_that_failed_are_named_and_another_attempt_pays_for_all(
    tmp_path: Path, partial: bool
) -> None:
    async def scenario(world: Bench) -> None:
        first = await only(world, replace(statistics(), script=SHAPE))
        await world.call(
            "POST", "/_sandbox/batch", {"features": ["f1"], "cause": "no imagery there"}
        )
        message = await failed(world, statistics())
        assert "f1: " in message
        assert "no imagery there" in message
        change = await only(world, statistics())
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.PARTLY_DONE)
        assert change.notes[0].startswith("1 feature failed: f1 (no imagery there)")
        await world.call("DELETE", "/_sandbox/batch")
        again = statistics(run={"onFailure": "rerun"})
        change = await only(world, again)
        assert (change.action, change.attempt) == (Action.RUN, 2)
        assert "everything is made and paid again" in " ".join(change.notes)
        known = await only(world, replace(again, script=SHAPE))
        assert known.cost.maximum_pu == first.cost.maximum_pu > 0
        await done(world, again)
        assert (await only(world, again)).action is Action.NOOP
        assert await starts(world) == 2

    on_fields(tmp_path, scenario, unhealthy_share=1.0, statistics_partial=partial)


def test_a_task_that_expired_is_decided_by_its_results(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, statistics(), wait=False)
        await world.clock.sleep(600.0)
        await tasks(world)
        await world.clock.sleep(3600.0)
        assert await tasks(world) == []
        change = await only(world, statistics())
        assert (change.action, change.reason) == (Action.ADOPT, Reason.NOT_RECORDED)
        await done(world, statistics())
        assert (await only(world, statistics())).reason is Reason.RAN
        assert await starts(world) == 1

    on_fields(tmp_path, scenario, expire_done_s=60.0)


@pytest.mark.parametrize("lacks", [False, True])
@pytest.mark.parametrize(
    "path", ["<ID>.json", "<REQUEST_ID>/<ID>.json", "of-<REQUEST_ID>-<ID>.json"]
)
def test_results_in_a_place_of_the_key_tell_of_a_run_that_nobody_else_knows(
    tmp_path: Path, path: str, lacks: bool
) -> None:
    """The ledger is lost and the task is gone: the results are the last witnesses."""

    async def scenario(world: Bench) -> None:
        wanted = statistics(url="s3://results/{{ run.key }}/" + path)
        await done(world, wanted, wait=False)
        await world.clock.sleep(600.0)
        await tasks(world)
        await world.clock.sleep(3600.0)
        assert await tasks(world) == []
        if lacks:
            min((world.buckets / "results").rglob("*.json")).unlink()
        lose(world)
        planned = (await world.plan(wanted)).plan
        if lacks:
            assert (planned.exit_code(), planned.changes[0].reason) == (7, Reason.OUTCOME_UNKNOWN)
            return
        assert planned.changes[0].action is Action.ADOPT
        await done(world, wanted)
        assert (await only(world, wanted)).reason is Reason.RAN
        assert await starts(world) == 1
        other = statistics(url="s3://results/{{ run.key }}/" + path, run={"generation": 2})
        assert (await only(world, other)).action is Action.RUN

    on_fields(tmp_path, scenario, expire_done_s=60.0)


@pytest.mark.parametrize("url", ["s3://results/<ID>.json", "s3://results/<REQUEST_ID>/<ID>.json"])
def test_results_that_may_be_others_or_lack_some_decide_nothing(tmp_path: Path, url: str) -> None:
    async def scenario(world: Bench) -> None:
        wanted = statistics(url=url)
        await done(world, wanted, wait=False)
        await world.clock.sleep(600.0)
        await tasks(world)
        await world.clock.sleep(3600.0)
        if "REQUEST_ID" in url:
            min((world.buckets / "results").rglob("*.json")).unlink()
        planned = (await world.plan(wanted)).plan
        assert (planned.exit_code(), planned.changes[0].reason) == (7, Reason.OUTCOME_UNKNOWN)
        run = (await world.journal().runs("sandbox"))[planned.changes[0].key]
        (task,) = run.started
        await world.confirm(ADDRESS, task, wanted)
        assert (await only(world, wanted)).reason is Reason.RAN
        assert await starts(world) == 1

    on_fields(tmp_path, scenario, expire_done_s=60.0)


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_death_at_any_request_starts_it_once(tmp_path: Path, is_lost: bool) -> None:
    async def scenario(world: Bench) -> None:
        calm = never()
        await dying(world, calm).apply(statistics(url="s3://results/calm"))
        at = 0
        for at in range(1, calm.seen + 1, 2):
            moment = list(Moment)[at % 3]
            wanted = statistics(url=f"s3://results/{at}")
            with contextlib.suppress(Death):
                await dying(world, Fate(at, moment)).apply(wanted)
            if is_lost:
                lose(world)
            await done(world, wanted)
        runs = (calm.seen + 1) // 2 + 1
        assert (await starts(world), await paid(world)) == (runs, 100.0 * runs)

    on_fields(tmp_path, scenario)


def test_who_comes_later_adopts_what_another_has_started(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, statistics(), wait=False)
        change = await only(world.second("other"), statistics())
        assert (change.action, change.reason) == (Action.ADOPT, Reason.OTHERS_TASK)
        await done(world.second("other"), statistics())
        assert await starts(world) == 1

    on_fields(tmp_path, scenario)


def test_a_script_in_a_bucket_carries_no_marker_and_runs_all_the_same(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        wanted = script_in_a_bucket(world)
        await done(world, wanted)
        assert (await only(world, wanted)).reason is Reason.RAN
        again = replace(wanted, run={"generation": 2})
        await done(world, again)
        assert await starts(world) == 2

    on_fields(tmp_path, scenario)


def test_the_key_in_the_path_names_a_task_without_a_marker(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        wanted = script_in_a_bucket(world, url="s3://results/{{ run.key }}/<ID>.json")
        await done(world, wanted, wait=False)
        lose(world)
        change = await only(world, wanted)
        assert (change.action, change.reason) == (Action.ADOPT, Reason.OTHERS_TASK)
        await done(world, wanted)
        assert await starts(world) == 1

    on_fields(tmp_path, scenario)


def test_a_script_that_the_marker_makes_too_long_goes_without(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        filler = "// " + "x" * (32 * 1024 - len(STATISTICS_SCRIPT) - 10) + "\n"
        wanted = statistics(script=STATISTICS_SCRIPT + filler)
        await done(world, wanted)
        (task,) = await tasks(world)
        assert "[shplan" not in task["request"]["aggregation"]["evalscript"]
        assert (await only(world, wanted)).reason is Reason.RAN

    on_fields(tmp_path, scenario)


def test_it_is_stopped_with_its_manifest_if_that_was_asked_for(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await done(world, statistics(run={"onRemove": "stop"}), wait=False)
        await world.clock.sleep(30.0)
        change = await only(world)
        assert [one.operation for one in change.requests] == ["batchStopStatisticalRequest"]
        await done(world)
        await world.clock.sleep(30.0)
        (task,) = await tasks(world)
        assert (task["status"], task["stoppedStatusReason"]) == ("STOPPED", "USER_ACTION")

    on_fields(tmp_path, scenario, batch_processing_s=600.0)


def test_areas_of_several_layers_are_counted(tmp_path: Path) -> None:
    from shplan.providers.geopackage import count_features

    content = geopackages.write(tmp_path / "a.gpkg", [{"box": (0, 0, 1, 1)}] * 3)
    assert count_features(content) == 3
    assert count_features(b"") is None
    assert count_features(b"not a database") is None


def test_who_ran_out_of_units_starts_again_after_an_hour(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        again = statistics(run={"onFailure": "rerun"})
        # Days on which there was imagery, so that the first feature costs something.
        period = {"from": "2025-06-01T00:00:00Z", "to": "2025-06-11T00:00:00Z"}
        aggregation = {**again.spec["aggregation"], "timeRange": period}  # type: ignore[dict-item]
        again = replace(again, spec={**again.spec, "aggregation": aggregation})
        assert "OUT_OF_PU" in await failed(world, again)
        change = await only(world, again)
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.RUN_STOPPED)
        assert "no restart before" in change.notes[-1]
        await world.clock.sleep(2400.0)
        assert (await only(world, again)).action is Action.BLOCKED
        await world.clock.sleep(1200.0)
        await world.call("POST", "/_sandbox/settings", {"account_pu": 5000.0})
        change = await only(world, again)
        assert [one.operation for one in change.requests] == ["batchStartStatisticalRequest"]
        await done(world, again)
        assert (len(await tasks(world)), await starts(world)) == (1, 2)

    on_fields(tmp_path, scenario, account_pu=1000.0)
