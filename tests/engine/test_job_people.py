"""What people do to jobs beside applying: import, select, move, forget, destroy."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from shplan.core.address import Address
from shplan.core.change import Action, Reason
from shplan.core.errors import ManifestError
from shplan.core.resource import Lifecycle
from shplan.core.selection import Selection
from shplan.core.value import Reference, Unknown
from shplan.providers.base import ChangeFailedError
from shplan.providers.batch_process import BatchProcess
from shplan.sandbox.settings import Settings as SandboxSettings
from shplan.schema.store import tables
from tests.support.bench import Bench, collection
from tests.support.delivered import FIELDS, statistics, write_fields
from tests.support.jobs import body, job, tasks

Scenario = Callable[[Bench], Awaitable[None]]


def on_bench(home: Path, scenario: Scenario, **settings: Any) -> None:
    async def run() -> None:
        bench = Bench(home, settings=SandboxSettings(seed="people", **settings))
        try:
            await scenario(bench)
        finally:
            bench.close()

    asyncio.run(run())


async def starts(world: Bench) -> int:
    return sum(one["starts"] for one in (await world.call("GET", "/_sandbox/batch"))["tasks"])


async def actions(world: Bench, *wanted: Any, **more: Any) -> dict[str, Action]:
    changes = (await world.plan(*wanted, **more)).plan.changes
    return {str(one.address): one.action for one in changes}


def of_area(content: bytes, **run: Any) -> Any:
    """A job on a grid of one's own in a file, and what the file is known by."""
    spec = body()
    spec["input"] = {
        "type": "geopackage",
        "features": {"s3": {"url": "s3://results/aoi.gpkg", "iamRoleARN": "arn:aws:iam::1:role/r"}},
    }
    stated = {"s3://results/aoi.gpkg": hashlib.sha256(content).hexdigest()}
    return job(spec=spec, run=run | ({} if run.get("files") == {} else {"files": stated}))


def test_a_task_that_a_person_names_is_the_run_with_its_attempt_and_its_account(
    tmp_path: Path,
) -> None:
    async def scenario(world: Bench) -> None:
        await world.apply(job())
        (task,) = await tasks(world)
        shutil.rmtree(tmp_path / "ledger")
        await world.confirm("BatchProcess/ndvi", task["id"], job())
        (run,) = (await world.journal().runs("sandbox")).values()
        assert run.receipt is not None
        told = (run.receipt.id, run.receipt.attempt, run.receipt.cost_pu)
        assert told == (task["id"], 1, 100.0)
        assert run.receipt.account
        assert await actions(world, job()) == {"BatchProcess/ndvi": Action.NOOP}

    on_bench(tmp_path, scenario)


def test_one_run_may_be_confirmed_for_each_of_its_addresses(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await world.apply(job("a"))
        (task,) = await tasks(world)
        await world.confirm("BatchProcess/b", task["id"], job("a"), job("b"))
        assert set((await actions(world, job("a"), job("b"))).values()) == {Action.NOOP}
        assert await starts(world) == 1

    on_bench(tmp_path, scenario)


def test_a_task_that_asks_for_something_else_is_not_taken(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        other = await world.call("POST", "/batch/v2/process", body(day="2024-01-01"))
        with pytest.raises(ChangeFailedError, match="something else"):
            await world.confirm("BatchProcess/ndvi", other["id"], job())

    on_bench(tmp_path, scenario)


def test_what_was_imported_while_it_ran_is_never_run_again_when_it_is_gone(tmp_path: Path) -> None:
    """The ledger has started nothing, and yet it says that this run was started and is paid."""

    async def scenario(world: Bench) -> None:
        made = await world.call("POST", "/batch/v2/process", body())
        await world.call("POST", f"/batch/v2/process/{made['id']}/start")
        await world.confirm("BatchProcess/ndvi", made["id"], job())
        await world.clock.sleep(600.0)
        assert await tasks(world) == []
        shutil.rmtree(world.buckets / "results")
        (change,) = (await world.plan(job())).plan.changes
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.OUTCOME_UNKNOWN)
        await world.confirm("BatchProcess/ndvi", made["id"], job())
        assert await actions(world, job()) == {"BatchProcess/ndvi": Action.NOOP}

    on_bench(tmp_path, scenario, expire_done_s=60.0)


def test_what_had_failed_when_it_was_imported_has_failed_when_it_is_gone(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        wrong = job(
            script="//VERSION=3\nfunction setup() { return {}; }\nfunction evaluatePixel() {}"
        )
        made = await world.call("POST", "/batch/v2/process", dict(wrong.spec))
        await world.call("POST", f"/batch/v2/process/{made['id']}/start")
        await world.clock.sleep(30.0)
        await world.confirm("BatchProcess/ndvi", made["id"], wrong)
        await world.clock.sleep(600.0)
        assert await tasks(world) == []
        (change,) = (await world.plan(wrong)).plan.changes
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.RUN_FAILED)

    on_bench(tmp_path, scenario, expire_failed_s=120.0)


def test_a_job_whose_file_nobody_stated_is_confirmed_by_reading_it(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        silent = of_area(b"cells", files={})
        made = await world.call("POST", "/batch/v2/process", {**body()})
        with pytest.raises(ManifestError):
            await world.confirm("BatchProcess/ndvi", made["id"], silent)
        world.write_tiles("a", bucket="results")
        (world.buckets / "results" / "aoi.gpkg").write_bytes(b"cells")
        with pytest.raises(ChangeFailedError, match="something else"):
            await world.confirm("BatchProcess/ndvi", made["id"], silent)

    on_bench(tmp_path, scenario)


def test_what_needs_a_run_that_was_not_selected_waits_for_it(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        after = job("after", day="2025-08-01", depends_on=(Address("BatchProcess", "ndvi"),))
        only = Selection(select=("BatchProcess/after",))
        wanted = (job(run={"maxPu": 200}), after)
        assert await actions(world, *wanted, selection=only) == {
            "BatchProcess/after": Action.BLOCKED
        }
        await world.apply(*wanted, selection=only)
        assert await tasks(world) == []
        # Nor while it runs, nor before it is recorded.
        await world.apply(wanted[0], wait=False)
        for _ in range(2):
            assert await actions(world, *wanted, selection=only) == {
                "BatchProcess/after": Action.BLOCKED
            }
            await world.clock.sleep(600.0)
        await world.apply(*wanted, selection=Selection(select=("BatchProcess/ndvi",)))
        assert await actions(world, *wanted, selection=only) == {"BatchProcess/after": Action.RUN}

    on_bench(tmp_path, scenario)


def test_a_moved_job_keeps_its_run_and_its_protection(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        old, new = Address("BatchProcess", "old"), Address("BatchProcess", "new")
        await world.apply(job("old", run={"onRemove": "stop"}, prevent=True), wait=False)
        moved = {old: new}
        wanted = job("new", run={"onRemove": "stop"}, prevent=True)
        changes = (await world.plan(wanted, moved=moved)).plan.changes
        assert [one.action for one in changes] == [Action.MOVE, Action.NOOP]
        await world.apply(wanted, moved=moved)
        assert not (await world.plan(wanted)).plan.can_apply()
        assert await starts(world) == 1

    on_bench(tmp_path, scenario)


def test_a_forgotten_job_is_let_go_of_while_it_runs(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        wanted = job(run={"onRemove": "stop"}, prevent=True)
        await world.apply(wanted, wait=False)
        await world.clock.sleep(30.0)
        await world.apply(forget=frozenset({wanted.address}))
        (task,) = await tasks(world)
        assert task["status"] == "PROCESSING"
        assert await actions(world) == {}
        # And taken up again, without another START.
        await world.apply(wanted)
        assert await starts(world) == 1

    on_bench(tmp_path, scenario, batch_processing_s=600.0)


@pytest.mark.parametrize(("on_remove", "status"), [("keep", "PROCESSING"), ("stop", "STOPPED")])
def test_destroying_stops_what_was_to_be_stopped_and_deletes_no_result(
    tmp_path: Path, on_remove: str, status: str
) -> None:
    async def scenario(world: Bench) -> None:
        wanted = (job("a", run={"onRemove": on_remove}), job("b", run={"onRemove": on_remove}))
        await world.apply(*wanted, wait=False)
        await world.clock.sleep(30.0)
        await world.apply()
        (task,) = await tasks(world)
        assert task["status"] == status
        assert await actions(world) == {}
        assert list((world.buckets / "results").rglob("request-*.json"))

    on_bench(tmp_path, scenario, batch_processing_s=600.0)


def test_what_a_job_ignores_is_said_to_mean_nothing() -> None:
    ignoring = replace(job(), lifecycle=Lifecycle(ignore_changes=("description",)))
    (found,) = BatchProcess().check(ignoring, tables())
    assert found.code == "run/ignore-changes"
    assert BatchProcess().check(job(), tables()) == []


def test_a_strangers_task_that_failed_is_the_run_and_is_said_so(tmp_path: Path) -> None:
    """A task without a marker is the first attempt of the same request: whoever made it."""

    async def scenario(world: Bench) -> None:
        wrong = "//VERSION=3\nfunction setup() { return {}; }\nfunction evaluatePixel() {}"
        made = await world.call("POST", "/batch/v2/process", body(script=wrong))
        await world.call("POST", f"/batch/v2/process/{made['id']}/start")
        await world.clock.sleep(60.0)
        (change,) = (await world.plan(job(script=wrong))).plan.changes
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.RUN_FAILED)
        assert change.id == made["id"]
        again = job(script=wrong, run={"generation": 2})
        assert (await actions(world, again)) == {"BatchProcess/ndvi": Action.RUN}
        again = job(script=wrong, run={"onFailure": "rerun"})
        (change,) = (await world.plan(again)).plan.changes
        assert (change.action, change.attempt) == (Action.RUN, 2)

    on_bench(tmp_path, scenario)


def test_a_trigger_that_is_learnt_on_the_way_is_in_the_key(tmp_path: Path) -> None:
    """Else the next plan would see another key, and the run would be paid again."""

    async def scenario(world: Bench) -> None:
        first = job("first", url="s3://results/first")
        reference = Reference(first.address, ("key",))
        key = Unknown("{{ ref('BatchProcess/first').key }}", "BatchProcess/second", (reference,))
        second = job("second", url="s3://results/second", run={"triggers": {"after": key}})
        second = replace(second, references=(reference,))
        await world.apply(first, second)
        assert set((await actions(world, first, second)).values()) == {Action.NOOP}
        assert await starts(world) == 2

    on_bench(tmp_path, scenario)


@pytest.mark.parametrize("is_stated", [False, True])
def test_areas_in_a_file_on_a_collection_of_the_same_plan_are_one_run(
    tmp_path: Path, is_stated: bool
) -> None:
    """The key is learnt on the way: with the digest of the file that the plan has read."""

    async def scenario(world: Bench) -> None:
        write_fields(world)
        world.write_tiles("a")
        content = (world.buckets / "areas" / "fields.gpkg").read_bytes()
        stated = {"files": {FIELDS: hashlib.sha256(content).hexdigest()}} if is_stated else {}
        unknown = "byoc-{{ ref('ByocCollection/fields').id }}"
        reference = Reference(Address("ByocCollection", "fields"), ("id",))
        wanted = statistics(run=stated)
        data = [{"type": Unknown(unknown, "BatchStatistics/fields", (reference,))}]
        asked = {**cast("dict[str, Any]", wanted.spec["input"]), "data": data}
        wanted = replace(wanted, spec={**wanted.spec, "input": asked}, references=(reference,))
        planned = await world.plan(collection(), wanted)
        assert planned.plan.changes[-1].reason is Reason.KEY_UNKNOWN
        await world.apply(collection(), wanted)
        (run,) = (await world.journal().runs("sandbox")).values()
        assert run.receipt is not None
        (change,) = [
            one
            for one in (await world.plan(collection(), wanted)).plan.changes
            if one.address == wanted.address
        ]
        assert change.key == run.key
        assert await starts(world) == 1

    on_bench(tmp_path, scenario)
