"""The ledger is lost and the service has forgotten the task: what lies in the bucket decides."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shplan.core.change import Action, Change, Reason
from shplan.core.value import Reference, Unknown
from shplan.engine.runs import plan
from shplan.providers.steps import Fetch, Look
from shplan.sandbox.settings import Settings as SandboxSettings
from shplan.storage.directory import DirectoryStorage
from tests.support.bench import Bench
from tests.support.jobs import job, tasks

Scenario = Callable[[Bench], Awaitable[None]]
PLACES = [
    "s3://results/x",
    "s3://results",
    "s3://results/x/<tileName>.tif",
    "s3://results/x/<requestId>/<tileName>.tif",
    "s3://results/{{ run.key }}/<tileName>.tif",
]


def on_bench(home: Path, scenario: Scenario, **settings: Any) -> None:
    async def run() -> None:
        bench = Bench(home, settings=SandboxSettings(seed="witness", **settings))
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


async def lost(world: Bench) -> None:
    """Time passes, the service forgets, and the ledger is gone."""
    await world.clock.sleep(7200.0)
    assert await tasks(world) == []
    shutil.rmtree(world.root / world.ledger_name)


FORGETFUL = {f"expire_{name}_s": 600.0 for name in ("created", "done", "failed", "stopped")}


@pytest.mark.parametrize("url", PLACES)
def test_what_ran_is_found_by_the_copy_of_its_request(tmp_path: Path, url: str) -> None:
    async def scenario(world: Bench) -> None:
        await world.apply(job(url=url))
        await lost(world)
        change = await only(world, job(url=url))
        assert (change.action, change.reason) == (Action.ADOPT, Reason.NOT_RECORDED)
        applied = await world.apply(job(url=url))
        assert applied.report is not None
        assert applied.report.exit_code() == 0
        assert (await only(world, job(url=url))).action is Action.NOOP
        assert await starts(world) == 1

    on_bench(tmp_path, scenario, **FORGETFUL)


@pytest.mark.parametrize("url", PLACES)
def test_another_request_in_the_same_place_is_not_it(tmp_path: Path, url: str) -> None:
    async def scenario(world: Bench) -> None:
        await world.apply(job(url=url))
        await lost(world)
        for other in (
            job(url=url, day="2024-01-01"),
            job(url=url, run={"generation": 2}),
            job(url=url, run={"triggers": {"a": 1}}),
        ):
            assert (await only(world, other)).action is Action.RUN

    on_bench(tmp_path, scenario, **FORGETFUL)


def test_a_copy_alone_is_a_task_that_was_never_started(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await world.apply(job(run={"start": "manual"}))
        await lost(world)
        assert (await only(world, job())).action is Action.RUN

    on_bench(tmp_path, scenario, **FORGETFUL)


def test_one_that_was_started_and_did_not_finish_is_for_a_person_to_decide(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await world.apply(job(), wait=False)
        await world.clock.sleep(30.0)
        (task,) = await tasks(world)
        await world.call("POST", f"/batch/v2/process/{task['id']}/stop")
        await lost(world)
        planned = (await world.plan(job())).plan
        assert planned.exit_code() == 7
        assert planned.changes[0].reason is Reason.OUTCOME_UNKNOWN
        assert (await world.apply(job())).report is None
        assert (await only(world, job(run={"generation": 2}))).action is Action.RUN

    on_bench(tmp_path, scenario, batch_processing_s=600.0, **FORGETFUL)


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_key_that_is_learnt_on_the_way_finds_its_witnesses_as_well(
    tmp_path: Path, is_stopped: bool
) -> None:
    """What a job refers to is adopted in the same apply: the plan could not ask for its key."""

    async def scenario(world: Bench) -> None:
        first = job("first", url="s3://results/first")
        reference = Reference(first.address, ("key",))
        key = Unknown("{{ ref('BatchProcess/first').key }}", "BatchProcess/second", (reference,))
        second = job("second", url="s3://results/second", run={"triggers": {"after": key}})
        second = replace(second, references=(reference,))
        await world.apply(first)
        await world.apply(first, second, wait=not is_stopped)
        await world.clock.sleep(30.0)
        if is_stopped:
            (task,) = [one for one in await tasks(world) if one["status"] == "PROCESSING"]
            await world.call("POST", f"/batch/v2/process/{task['id']}/stop")
        await lost(world)
        planned = (await world.plan(first, second)).plan
        assert [one.action for one in planned.changes] == [Action.ADOPT, Action.RUN]
        applied = await world.apply(first, second)
        assert applied.report is not None
        assert applied.report.exit_code() == (7 if is_stopped else 0)
        assert await starts(world) == 2
        again = (await world.plan(first, second)).plan
        assert again.exit_code() == (7 if is_stopped else 0)
        assert not is_stopped or again.changes[1].reason is Reason.OUTCOME_UNKNOWN

    on_bench(tmp_path, scenario, batch_processing_s=60.0, **FORGETFUL)


def test_a_partial_run_is_found_partial(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await world.call("POST", "/_sandbox/batch", {"share": 1.0})
        await world.apply(job())
        await lost(world)
        await world.apply(job())
        change = await only(world, job())
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.PARTLY_DONE)
        assert await starts(world) == 1

    on_bench(tmp_path, scenario, unhealthy_share=1.0, **FORGETFUL)


def test_where_the_bucket_cannot_be_read_nothing_is_known(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await world.apply(job())
        await lost(world)
        shutil.rmtree(world.buckets / "results")
        assert (await only(world, job())).action is Action.RUN

    on_bench(tmp_path, scenario, **FORGETFUL)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"request": 1}', b'{"request": {}}'])
def test_a_damaged_witness_says_nothing(tmp_path: Path, content: bytes) -> None:
    async def scenario(world: Bench) -> None:
        await world.apply(job())
        await lost(world)
        (copy,) = (world.buckets / "results").rglob("request-*.json")
        copy.write_bytes(content)
        assert (await only(world, job())).action is Action.RUN

    on_bench(tmp_path, scenario, **FORGETFUL)


def test_a_database_that_holds_no_features_says_nothing_of_success(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        await world.apply(job())
        await lost(world)
        (database,) = (world.buckets / "results").rglob("execution-*.sqlite")
        with sqlite3.connect(database) as connection:
            connection.execute("update features set status = 'PENDING'")
        connection.close()
        assert (await world.plan(job())).plan.exit_code() == 7

    on_bench(tmp_path, scenario, **FORGETFUL)


class _Counting(DirectoryStorage):
    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: list[Any] = []

    async def list(self, bucket: str, prefix: str) -> Any:
        self.asked.append(Look(bucket, prefix))
        return await super().list(bucket, prefix)

    async def get(self, bucket: str, key: str) -> bytes:
        self.asked.append(Fetch(bucket, key))
        return await super().get(bucket, key)


def test_a_place_is_listed_once_and_what_is_known_is_not_read(tmp_path: Path) -> None:
    """A hundred new jobs in three places, beside ten that ran: three listings, nothing read."""

    async def scenario(world: Bench) -> None:
        there = "s3://results/{}/<tileName>.tif"
        ran = [
            job(f"ran{n}", day=f"2024-01-{n + 1:02}", url=there.format(n % 3), overwrite=True)
            for n in range(10)
        ]
        await world.apply(*ran)
        fresh = [
            job(f"new{n}", day=f"20{n:02}-01-01", url=there.format(n % 3), overwrite=True)
            for n in range(30, 90)
        ]
        storage = _Counting(world.buckets)
        async with world.exchange() as exchange:
            session = world.session(exchange, (*ran, *fresh))
            watched = replace(session, world=replace(session.world, storage=storage))
            planned = (await plan(watched)).plan
        assert planned.counts[Action.RUN] == 60
        assert sorted(one.prefix for one in storage.asked) == [f"{n}/request-" for n in range(3)]

    on_bench(tmp_path, scenario)
