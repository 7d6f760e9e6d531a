"""Hundreds of jobs: requests grow with pages of a list, or not at all, never with looks at a task."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from shplan.core.change import Action, Reason
from shplan.core.resource import Desired
from shplan.sandbox.settings import Settings as SandboxSettings
from tests.support.bench import Bench
from tests.support.jobs import body, job

TASKS = "/batch/v2/process"


def on_bench(home: Path, scenario: Callable[[Bench], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        bench = Bench(home, settings=SandboxSettings(seed="many", **settings))
        try:
            await scenario(bench)
        finally:
            bench.close()

    asyncio.run(run())


def many(count: int, **more: Any) -> tuple[Desired, ...]:
    """So many instances of one job, as `forEach` over days makes them."""
    days = (date(2024, 1, 1) + timedelta(days=at) for at in range(count))
    return tuple(job(key=str(day), day=str(day), **more) for day in days)


async def asked(world: Bench) -> Counter[str]:
    """What was asked of the batch API since the last time: lists, and what is about one task."""
    counted: Counter[str] = Counter()
    for one in (await world.call("GET", "/_sandbox/requests"))["requests"]:
        _, found, below = one["path"].partition(TASKS)
        if found:
            about = "one" if below.partition("?")[0] else "all"
            counted[f"{one['method']} {about}"] += 1
    await world.call("DELETE", "/_sandbox/requests")
    return counted


@pytest.mark.parametrize("processing_s", [10.0, 3600.0])
def test_watching_reads_lists_and_no_task_by_itself(tmp_path: Path, processing_s: float) -> None:
    """However long fifty jobs take: each is created, looked at twice around its START, started."""
    jobs = many(50)

    async def scenario(world: Bench) -> None:
        await asked(world)
        applied = await world.apply(*jobs)
        assert applied.report is not None
        assert applied.report.exit_code() == 0
        counted = await asked(world)
        lists = counted.pop("GET all")
        assert counted == {"POST all": 50, "POST one": 50, "GET one": 100}
        # Fifty that look each for itself would read far more lists than that.
        assert lists < 2 * 50 + processing_s / 20

        planned = await world.plan(*jobs)
        assert {change.reason for change in planned.plan.changes} == {Reason.RAN}
        assert await asked(world) == {}

    on_bench(tmp_path, scenario, batch_processing_s=processing_s)


@pytest.mark.parametrize("shared", [False, True], ids=["own places", "one template"])
def test_a_lost_ledger_costs_one_page_for_a_hundred_tasks(tmp_path: Path, shared: bool) -> None:
    """Without ledger and markers, by their requests alone."""
    more = {"url": "s3://results/<requestId>/<tileName>.tif"} if shared else {}
    jobs = many(230, **more)

    async def scenario(world: Bench) -> None:
        made = {}
        for one in jobs:
            day = str(one.address.key)
            made[one.address] = (await world.call("POST", TASKS, body(day, **more)))["id"]
        await asked(world)
        planned = await world.plan(*jobs)
        assert await asked(world) == {"GET all": ceil(len(jobs) / 100)}
        assert {change.action for change in planned.plan.changes} == {Action.RESUME}
        assert {change.address: change.id for change in planned.plan.changes} == made

    on_bench(tmp_path, scenario)


def test_each_job_reads_an_echo_by_its_own_manifest(tmp_path: Path) -> None:
    """What one job states, and another leaves to the server to fill in, is told apart."""
    place = "s3://results/<requestId>/<tileName>.tif"
    first, second = "2024-01-01", "2024-01-02"
    silent: Any = copy.deepcopy(body(second, url=place))
    del silent["processRequest"]["output"]["responses"][0]["identifier"]
    jobs = (job("a", spec=body(first, url=place)), job("b", spec=silent))

    async def scenario(world: Bench) -> None:
        # The server shows both with the identifier.
        made = [
            (await world.call("POST", TASKS, body(d, url=place)))["id"] for d in (first, second)
        ]
        planned = await world.plan(*jobs)
        assert [change.id for change in planned.plan.changes] == made

    on_bench(tmp_path, scenario)
