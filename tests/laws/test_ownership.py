"""Nothing of a stranger's is lost: each test says what the service would have lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shplan.core.address import Address
from shplan.core.change import Action, Reason
from tests.support.bench import Bench, collection, tiles

FIELDS = Address("ByocCollection", "fields")
Scenario = Callable[[Bench], Awaitable[None]]


@pytest.fixture
def on_the_sandbox(tmp_path: Path) -> Callable[[Scenario], None]:
    def run(scenario: Scenario) -> None:
        async def running() -> None:
            bench = Bench(tmp_path)
            bench.write_tiles("a", "b", "c")
            try:
                await scenario(bench)
            finally:
                bench.close()

        asyncio.run(running())

    return run


async def collections(bench: Bench) -> list[dict[str, Any]]:
    return (await bench.call("GET", "/byoc/v1/collections"))["data"]


async def tiles_of(bench: Bench, made: str) -> set[str]:
    listed = await bench.call("GET", f"/byoc/v1/collections/{made}/tiles")
    return {tile["path"].partition("/(")[0] for tile in listed["data"]}


def actions(planned: Any) -> dict[str, Action]:
    return {str(change.address): change.action for change in planned.plan.changes}


def test_a_second_project_with_the_same_collection(on_the_sandbox) -> None:
    """Lost otherwise: the first project's collection, by the second one's destroy."""

    async def scenario(bench: Bench) -> None:
        await bench.apply(collection(), tiles("a"))
        other = bench.second("other")
        adopted = await other.plan(collection(), tiles("b"))
        assert actions(adopted)["ByocCollection/fields"] is Action.ADOPT
        await other.apply(collection(), tiles("b"))
        (one,) = await collections(bench)
        destroyed = await other.apply()
        assert destroyed.report is not None
        assert destroyed.report.exit_code() == 3
        assert (await collections(bench))[0]["id"] == one["id"]
        assert await tiles_of(bench, one["id"]) == {"a"}

    on_the_sandbox(scenario)


def test_an_unmanaged_tile(on_the_sandbox) -> None:
    """Lost otherwise: a tile that somebody ingested by hand."""

    async def scenario(bench: Bench) -> None:
        await bench.apply(collection(), tiles("a"))
        (one,) = await collections(bench)
        await bench.call("POST", f"/byoc/v1/collections/{one['id']}/tiles", {"path": "c"})
        planned = await bench.plan(collection(), tiles("a"))
        counts = {str(c.address): c.counts for c in planned.plan.changes}
        assert counts["ByocTiles/fields"]["unmanaged"] == 1
        assert not planned.plan.pending
        destroyed = await bench.apply()
        blocked = [c for c in destroyed.planned.plan.changes if c.action is Action.BLOCKED]
        assert [(c.address, c.reason) for c in blocked] == [(FIELDS, Reason.FOREIGN_MEMBERS)]
        assert "c" in await tiles_of(bench, one["id"])

    on_the_sandbox(scenario)


def test_a_no_data_value_that_ingestion_set(on_the_sandbox) -> None:
    """Lost otherwise: `noData`, which a PUT without it deletes."""

    async def scenario(bench: Bench) -> None:
        await bench.apply(collection(), tiles("a"))
        (one,) = await collections(bench)
        assert one["noData"] == 0
        renamed = replace(collection(), spec={"name": "New", "s3Bucket": "fields"})
        await bench.apply(renamed, tiles("a"))
        (one,) = await collections(bench)
        assert (one["name"], one["noData"]) == ("New", 0)

    on_the_sandbox(scenario)


def test_a_renamed_manifest(on_the_sandbox) -> None:
    """Lost otherwise: the collection and its tiles, deleted and created again."""

    async def scenario(bench: Bench) -> None:
        await bench.apply(collection(), tiles("a"))
        (one,) = await collections(bench)
        renamed = (collection("meadows"), tiles("a", of="meadows"))
        refused = await bench.apply(*renamed)
        assert refused.report is None
        assert refused.planned.plan.exit_code() == 5
        hints = [refusal.diagnostic.hint for refusal in refused.planned.plan.refusals]
        assert any("from: ByocCollection/fields, to: ByocCollection/meadows" in h for h in hints)
        moved = {FIELDS: Address("ByocCollection", "meadows")}
        applied = await bench.apply(*renamed, moved=moved)
        assert applied.report is not None
        assert applied.report.exit_code() == 0
        assert applied.report.cost_pu == 0
        assert [c["id"] for c in await collections(bench)] == [one["id"]]
        assert not (await bench.plan(*renamed, moved=moved)).plan.pending

    on_the_sandbox(scenario)


def test_a_removed_prevent_destroy(on_the_sandbox) -> None:
    """Lost otherwise: what the protection protected, with the file that declared it."""

    async def scenario(bench: Bench) -> None:
        await bench.apply(collection(prevent=True), tiles("a"))
        refused = await bench.apply()
        assert refused.report is None
        assert refused.planned.plan.exit_code() == 5
        freed = await bench.plan(collection(), tiles("a"))
        (change,) = freed.plan.pending
        assert (change.action, change.reason) == (Action.UPDATE, Reason.PROTECTION_CHANGED)
        await bench.apply(collection(), tiles("a"))
        destroyed = await bench.apply()
        assert destroyed.report is not None
        assert destroyed.report.exit_code() == 0
        assert await collections(bench) == []

    on_the_sandbox(scenario)


def test_prevent_destroy_on_tiles_keeps_each_tile(on_the_sandbox) -> None:
    """Lost otherwise: a tile whose line was removed by mistake."""

    async def scenario(bench: Bench) -> None:
        await bench.apply(collection(), tiles("a", "b", prevent=True))
        refused = await bench.plan(collection(), tiles("a", prevent=True))
        assert refused.plan.exit_code() == 5

    on_the_sandbox(scenario)


def test_two_candidates(on_the_sandbox) -> None:
    """Lost otherwise: the certainty which of two equal collections is meant."""

    async def scenario(bench: Bench) -> None:
        for _ in range(2):
            await bench.call(
                "POST", "/byoc/v1/collections", {"name": "Field imagery", "s3Bucket": "fields"}
            )
        undecided = await bench.apply(collection())
        assert undecided.report is None
        assert undecided.planned.plan.exit_code() == 7
        assert len(await collections(bench)) == 2

    on_the_sandbox(scenario)


def test_a_tile_that_was_there_before(on_the_sandbox) -> None:
    """Lost otherwise: a tile at a declared path that no intent of ours made."""

    async def scenario(bench: Bench) -> None:
        await bench.apply(collection())
        (one,) = await collections(bench)
        await bench.call("POST", f"/byoc/v1/collections/{one['id']}/tiles", {"path": "b"})
        await bench.clock.sleep(30)
        await bench.apply(collection(), tiles("a", "b"))
        await bench.apply(collection(), tiles("a"))
        assert await tiles_of(bench, one["id"]) == {"a", "b"}

    on_the_sandbox(scenario)


def test_exclusive_takes_what_nobody_in_the_project_declares(on_the_sandbox) -> None:
    """Lost otherwise: the tiles of another set of the same project."""

    async def scenario(bench: Bench) -> None:
        second = tiles("b", name="second")
        await bench.apply(collection(), tiles("a"), second)
        (one,) = await collections(bench)
        await bench.call("POST", f"/byoc/v1/collections/{one['id']}/tiles", {"path": "c"})
        await bench.apply(collection(), tiles("a", exclusive=True), second)
        assert await tiles_of(bench, one["id"]) == {"a", "b"}

    on_the_sandbox(scenario)


def test_what_somebody_deleted_is_made_again_and_said_so(on_the_sandbox) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.apply(collection(), tiles("a"))
        (one,) = await collections(bench)
        await bench.call("DELETE", f"/byoc/v1/collections/{one['id']}")
        planned = await bench.plan(collection(), tiles("a"))
        found = {str(c.address): (c.action, c.reason) for c in planned.plan.pending}
        assert found["ByocCollection/fields"] == (Action.CREATE, Reason.GONE)
        await bench.apply(collection(), tiles("a"))
        assert not (await bench.plan(collection(), tiles("a"))).plan.pending

    on_the_sandbox(scenario)


def test_a_failed_tile_is_sent_round_again_once_its_file_is_mended(on_the_sandbox) -> None:
    async def scenario(bench: Bench) -> None:
        wanted = (collection(), tiles("a", "missing"))
        failed = await bench.apply(*wanted)
        assert failed.report is not None
        assert failed.report.exit_code() == 3
        planned = await bench.plan(*wanted)
        members = [m for c in planned.plan.pending for m in c.members]
        assert [(m.key, m.operation) for m in members] == [("missing", "reingest")]
        assert members[0].detail != "no cause given"
        bench.write_tiles("missing")
        mended = await bench.apply(*wanted)
        assert mended.report is not None
        assert mended.report.exit_code() == 0
        assert not (await bench.plan(*wanted)).plan.pending

    on_the_sandbox(scenario)


@pytest.mark.parametrize("lag_s", [0.0, 8.0])
def test_two_appliers_without_a_common_ledger_end_with_one_collection(
    tmp_path: Path, lag_s: float
) -> None:
    """Lost otherwise: half of the tiles, in a collection that one of them does not know."""
    from shplan.sandbox.settings import Settings

    async def scenario() -> None:
        bench = Bench(
            tmp_path,
            settings=Settings(seed="race", list_lag_s=lag_s, path_lag_s=lag_s),
            list_lag_s=10.0 if lag_s else 0.0,
        )
        bench.write_tiles("a", "b")
        other = bench.second("other")
        await asyncio.gather(bench.apply(collection()), other.apply(collection()))
        await bench.clock.sleep(30)
        (one,) = await collections(bench)
        for who in (bench, other):
            recorded = await who.journal().recorded("sandbox")
            assert recorded[FIELDS].id == one["id"]
            assert not (await who.plan(collection())).plan.pending
        bench.close()

    asyncio.run(scenario())
