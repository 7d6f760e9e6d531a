"""What is asked while planning may be paid as well: it is asked once, and only where a price is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from shplan.core.selection import Selection
from shplan.engine.runs import plan
from shplan.sandbox.settings import Settings as SandboxSettings
from tests.support.bench import Bench
from tests.support.immediate import numbers, statistics

# Another year, so that each has a search of its own.
LATER = numbers(year=2024)


def on_bench(home: Path, scenario: Callable[[Bench], Awaitable[None]]) -> None:
    async def run() -> None:
        world = Bench(home, settings=SandboxSettings(seed="questions"))
        world.project.mkdir()
        try:
            await scenario(world)
        finally:
            world.close()

    asyncio.run(run())


async def searches(world: Bench) -> int:
    requests = (await world.call("GET", "/_sandbox/requests"))["requests"]
    return sum(one["path"].endswith("/search") for one in requests)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, 2),
        ({"priced": frozenset()}, 0),
        ({"priced": frozenset({"Statistics/ndvi"})}, 1),
        ({"priced": frozenset({"Statistics/months"})}, 1),
        ({"priced": frozenset({"Statistics/months[past]"})}, 1),
        ({"selection": Selection(("Statistics/ndvi",))}, 1),
        ({"selection": Selection((), ("Statistics/*",))}, 0),
        ({"selection": Selection(("state:changed",))}, 2),
    ],
)
def test_the_catalogue_is_asked_where_a_price_is_wanted(
    tmp_path: Path, more: dict[str, Any], expected: int
) -> None:
    wanted = (
        statistics("out/june.csv"),
        statistics("out/past.csv", name="months", key="past", spec=LATER),
    )

    async def scenario(world: Bench) -> None:
        planned = await world.plan(*wanted, asks_catalogue=True, **more)
        assert await searches(world) == expected
        labels = [
            factor.label
            for change in planned.plan.changes
            for term in change.cost.terms
            for factor in term.factors
        ]
        assert sum("as listed" in label for label in labels) == expected

    on_bench(tmp_path, scenario)


def test_planning_again_in_one_command_pays_no_search_again(tmp_path: Path) -> None:
    async def scenario(world: Bench) -> None:
        async with world.exchange() as exchange:
            session = world.session(exchange, (statistics(),), asks_catalogue=True)
            first = await plan(session)
            again = await plan(session)
            assert again.plan.digest == first.plan.digest
        assert await searches(world) == 1
        await world.plan(statistics(), asks_catalogue=True)
        assert await searches(world) == 2

    on_bench(tmp_path, scenario)
