"""
Two appliers that share no ledger end with one collection, whoever is first at each request.

Each has a transport that lets the other go first as often as a seeded generator says: for a few seeds by
default, and for more in `make slow`.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from shplan.core.compare import tile_folder
from shplan.sandbox.settings import Settings as SandboxSettings
from tests.support.bench import Bench, collection, tiles
from tests.support.samples import some

pytestmark = pytest.mark.sampled

WANTED = (collection(), tiles("a", "b"))
LAGS = {
    "lists at once": ({}, 0.0),
    "lists late": ({"list_lag_s": 8.0, "path_lag_s": 8.0}, 10.0),
    "lists very late": ({"list_lag_s": 20.0, "path_lag_s": 20.0, "get_lag_s": 5.0}, 25.0),
    "names unique": ({"unique_collection_names": True}, 0.0),
    "names unique, lists late": ({"unique_collection_names": True, "list_lag_s": 8.0}, 10.0),
}


class _Polite:
    """Lets others go first, before a request is served and before its answer is heard."""

    def __init__(self, inner: Any, dice: random.Random) -> None:
        self._inner = inner
        self._dice = dice

    async def _yield(self) -> None:
        for _ in range(self._dice.choice((0, 0, 1, 3, 10, 40, 120))):
            await asyncio.sleep(0)

    async def send(self, method: str, url: str, **more: Any) -> Any:
        await self._yield()
        answer = await self._inner.send(method, url, **more)
        await self._yield()
        return answer

    async def close(self) -> None:
        await self._inner.close()


class _Applier(Bench):
    def __init__(self, *, dice: random.Random, **fields: Any) -> None:
        self.dice = dice
        super().__init__(**fields)

    def transport(self) -> Any:
        return _Polite(super().transport(), self.dice)


async def race(home: Path, lag: str, seed: int, wanted: tuple[Any, Any]) -> tuple[Bench, list[Any]]:
    settings, lag_s = LAGS[lag]
    world = Bench(home, settings=SandboxSettings(seed=f"race{seed}", **settings), list_lag_s=lag_s)
    world.write_tiles("a", "b", "c")
    dice = random.Random(seed)
    fields = dict(world.__dict__)
    rivals = [_Applier(**{**fields, "ledger_name": name}, dice=dice) for name in ("one", "two")]
    both = zip(rivals, wanted, strict=True)
    applied = await asyncio.gather(*(rival.apply(*what) for rival, what in both))
    for one in applied:
        assert one.report is not None
        failures = [(str(r.change.address), r.message) for r in one.report.results if r.message]
        assert one.report.exit_code() == 0, failures
    return world, rivals


async def bound_to_one(world: Bench, rivals: list[Any]) -> str:
    """The id that both ledgers bind; there is no other collection."""
    await world.clock.sleep(120)
    (left,) = (await world.call("GET", "/byoc/v1/collections"))["data"]
    for rival in rivals:
        recorded = await rival.journal().recorded("sandbox")
        bound = {r.id for r in recorded.values() if r.address.kind == "ByocCollection"}
        assert bound == {left["id"]}
    return str(left["id"])


async def folders(world: Bench, one: str) -> set[tuple[str, str]]:
    """What is there; whether a folder can be there under both its spellings is not known."""
    listed = (await world.call("GET", f"/byoc/v1/collections/{one}/tiles"))["data"]
    return {(tile_folder(tile["path"]), tile["status"]) for tile in listed}


def together(home: Path, lag: str, seeds: range) -> set[str]:
    async def scenario() -> set[str]:
        orders = set()
        for seed in seeds:
            world, rivals = await race(home / str(seed), lag, seed, (WANTED, WANTED))
            one = await bound_to_one(world, rivals)
            assert await folders(world, one) == {("a", "INGESTED"), ("b", "INGESTED")}
            for rival in rivals:
                assert not (await rival.plan(*WANTED)).plan.pending
            asked = (await world.call("GET", "/_sandbox/requests"))["requests"]
            told = [(r["method"], r["path"]) for r in asked if r["method"] in ("POST", "DELETE")]
            orders.add(repr([method for method, path in told if "/byoc/" in path]))
            deleted = [path for method, path in told if method == "DELETE"]
            assert not any(path.endswith(one) or "/tiles/" in path for path in deleted)
            world.close()
        return orders

    return asyncio.run(scenario())


@pytest.mark.parametrize("lag", LAGS)
def test_two_appliers_without_a_common_ledger_end_with_one_collection(
    tmp_path: Path, lag: str
) -> None:
    orders = together(tmp_path, lag, range(some(5, thorough=8)))
    assert len(orders) > 1, "the seeds gave no two interleavings"


@pytest.mark.slow
@pytest.mark.parametrize("lag", LAGS)
def test_two_appliers_in_many_interleavings(tmp_path: Path, lag: str) -> None:
    together(tmp_path, lag, range(100, some(106, thorough=110)))


@pytest.mark.parametrize("lag", LAGS)
def test_nothing_is_deleted_that_holds_the_tiles_of_the_other(tmp_path: Path, lag: str) -> None:
    """Both declare tiles of their own: the one collection ends with those of both."""

    async def scenario() -> None:
        for seed in range(4):
            other = (collection(), tiles("b", "c"))
            world, rivals = await race(tmp_path / str(seed), lag, seed, (WANTED, other))
            one = await bound_to_one(world, rivals)
            assert await folders(world, one) == {(path, "INGESTED") for path in "abc"}
            world.close()

    asyncio.run(scenario())
