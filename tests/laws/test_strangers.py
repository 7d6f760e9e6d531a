"""Nothing of a stranger's is lost: what others made, what the service set, what was protected."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shplan.core.address import Address
from shplan.core.change import Action, Reason
from shplan.core.errors import PlanError
from shplan.core.resource import Lifecycle
from tests.support.bench import Bench, collection, tiles

BODY = {"name": "Field imagery", "s3Bucket": "fields"}
WANTED = (collection(), tiles("a", "b"))


def on_bench(home: Path, play: Callable[[Bench], Awaitable[None]]) -> None:
    async def scenario() -> None:
        bench = Bench(home)
        bench.write_tiles("a", "b", "c", "d")
        bench.write_tiles("a", "b", bucket="other")
        try:
            await play(bench)
        finally:
            bench.close()

    asyncio.run(scenario())


async def made(bench: Bench, **more: Any) -> str:
    answer = await bench.call("POST", "/byoc/v1/collections", {**BODY, **more})
    return str(answer["data"]["id"])


async def add_tile(bench: Bench, collection_id: str, path: str) -> str:
    where = f"/byoc/v1/collections/{collection_id}/tiles"
    answer = await bench.call("POST", where, {"path": path})
    await bench.clock.sleep(60)
    return str(answer["data"]["id"])


async def holdings(bench: Bench) -> dict[str, set[str]]:
    """The ids of all tiles by the id of their collection."""
    await bench.clock.sleep(120)
    found = {}
    for one in (await bench.call("GET", "/byoc/v1/collections"))["data"]:
        listed = await bench.call("GET", f"/byoc/v1/collections/{one['id']}/tiles")
        found[one["id"]] = {tile["id"] for tile in listed["data"]}
    return found


async def only(bench: Bench) -> dict[str, Any]:
    (one,) = (await bench.call("GET", "/byoc/v1/collections"))["data"]
    return dict(one)


async def apply(bench: Bench, *wanted: Any, **more: Any) -> Any:
    applied = await bench.apply(*wanted, **more)
    assert not applied.planned.plan.refusals
    if applied.report is not None:
        assert applied.report.exit_code() == 0, applied.report.results
    return applied


def change_of(planned: Any, address: str) -> Any:
    (found,) = (c for c in planned.plan.changes if str(c.address) == address)
    return found


def test_a_second_project_with_a_collection_of_the_same_name_takes_nothing_away(
    tmp_path: Path,
) -> None:
    """It binds the collection without owning it: to destroy the one leaves the other whole."""

    async def play(bench: Bench) -> None:
        await apply(bench, *WANTED)
        before = await holdings(bench)
        second = bench.second("second")
        await apply(second, collection(), tiles("c"))
        gone = await second.apply()
        assert gone.report is not None
        assert gone.report.exit_code() == 3
        after = await holdings(bench)
        assert after.keys() == before.keys()
        (one,) = before
        assert before[one] <= after[one]
        assert not (await bench.plan(*WANTED)).plan.pending

    on_bench(tmp_path, play)


def test_a_tile_that_nobody_declares_is_left_alone_and_counted(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await apply(bench, *WANTED)
        one = (await only(bench))["id"]
        stranger = await add_tile(bench, one, "d")
        planned = await bench.plan(*WANTED)
        assert not planned.plan.pending
        assert change_of(planned, "ByocTiles/fields").counts["unmanaged"] == 1
        await apply(bench, collection(), tiles("a"))
        await apply(bench, collection())
        assert (await holdings(bench))[one] == {stranger}

    on_bench(tmp_path, play)


def test_an_update_of_the_name_keeps_the_no_data_value_that_ingestion_set(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await apply(bench, *WANTED)
        await bench.clock.sleep(120)
        before = await only(bench)
        assert before["noData"] == 0
        await apply(bench, replace(WANTED[0], spec={**BODY, "name": "Renamed"}), WANTED[1])
        after = await only(bench)
        assert (after["name"], after["noData"]) == ("Renamed", 0)
        assert after["additionalData"]["bands"] == before["additionalData"]["bands"]

    on_bench(tmp_path, play)


def test_an_update_of_the_time_keeps_the_cover_geometry_that_somebody_drew(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await apply(bench, *WANTED)
        where = f"/byoc/v1/collections/{(await only(bench))['id']}/tiles"
        tile = (await bench.call("GET", where))["data"][0]
        ring = [[15.0, 46.0], [15.05, 46.0], [15.05, 46.03], [15.0, 46.03], [15.0, 46.0]]
        cover = {"type": "Polygon", "coordinates": [ring]}
        body = {"sensingTime": tile["sensingTime"], "coverGeometry": cover}
        await bench.call("PUT", f"{where}/{tile['id']}", body)
        drawn = (await bench.call("GET", f"{where}/{tile['id']}"))["data"]["coverGeometry"]
        path = tile["path"].partition("/")[0]
        later = {"path": path, "sensingTime": "2025-07-01T00:00:00Z"}
        await apply(bench, collection(), tiles(later, "b" if path == "a" else "a"))
        after = (await bench.call("GET", f"{where}/{tile['id']}"))["data"]
        assert after["sensingTime"] == "2025-07-01T00:00:00.000Z"
        for here, there in zip(
            after["coverGeometry"]["coordinates"][0], drawn["coordinates"][0], strict=True
        ):
            assert here == pytest.approx(there, abs=0.01)

    on_bench(tmp_path, play)


def test_a_renamed_manifest_is_refused_with_the_entry_to_paste(tmp_path: Path) -> None:
    """With the entry nothing is made again, and the protection goes along."""

    async def play(bench: Bench) -> None:
        guarded = (collection(prevent=True), WANTED[1])
        await apply(bench, *guarded)
        await apply(bench, *WANTED)
        before = await holdings(bench)
        new = (collection("new"), tiles("a", "b", of="new"))
        refused = await bench.apply(*new)
        assert refused.report is None
        assert refused.planned.plan.exit_code() == 5
        hints = [refusal.diagnostic.hint for refusal in refused.planned.plan.refusals]
        assert hints == ["moved: [{from: ByocCollection/fields, to: ByocCollection/new}]"]
        assert await holdings(bench) == before
        moved = {Address("ByocCollection", "fields"): Address("ByocCollection", "new")}
        meter = await bench.call("GET", "/_sandbox/meter")
        await apply(bench, *new, moved=moved)
        assert await holdings(bench) == before
        assert await bench.call("GET", "/_sandbox/meter") == meter
        assert not (await bench.plan(*new, moved=moved)).plan.pending

    on_bench(tmp_path, play)


def test_a_move_takes_the_protection_along(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await apply(bench, collection(prevent=True))
        moved = {Address("ByocCollection", "fields"): Address("ByocCollection", "new")}
        await apply(bench, collection("new", prevent=True), moved=moved)
        before = await holdings(bench)
        refused = await bench.apply()
        assert refused.planned.plan.exit_code() == 5
        assert await holdings(bench) == before

    on_bench(tmp_path, play)


def test_removing_the_file_with_the_protection_deletes_nothing(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await apply(bench, collection(prevent=True), tiles("a", "b", prevent=True))
        before = await holdings(bench)
        refused = await bench.apply()
        assert refused.report is None
        assert refused.planned.plan.exit_code() == 5
        assert await holdings(bench) == before
        # Without the line, too: it is taken away by a change of its own, first.
        refused = await bench.apply(collection(), tiles("a"))
        assert refused.planned.plan.exit_code() == 5
        assert await holdings(bench) == before
        await apply(bench, *WANTED)
        assert await holdings(bench) == before
        await apply(bench)
        assert await holdings(bench) == {}

    on_bench(tmp_path, play)


@pytest.mark.parametrize("how", ["delete", "replace", "empty"])
def test_what_was_adopted_and_not_imported_is_never_lost(tmp_path: Path, how: str) -> None:
    async def play(bench: Bench) -> None:
        one = await made(bench)
        for path in ("a", "b"):
            await add_tile(bench, one, path)
        before = await holdings(bench)
        adopted = await apply(bench, *WANTED)
        assert change_of(adopted.planned, "ByocCollection/fields").action is Action.ADOPT
        wanted = {
            "delete": (),
            "replace": (collection(s3Bucket="other"), WANTED[1]),
            "empty": (collection(), replace(WANTED[1], members=[])),
        }[how]
        tried = await bench.apply(*wanted)
        assert await holdings(bench) == before
        if how == "empty":
            counts = change_of(tried.planned, "ByocTiles/fields").counts
            assert counts["not confirmed"] == 2
        else:
            blocked = change_of(tried.planned, "ByocCollection/fields")
            assert (blocked.action, blocked.reason) == (Action.BLOCKED, Reason.NOT_OWNED)
            assert any("shplan import" in note for note in blocked.notes)
            assert tried.report is None or tried.report.exit_code() == 3

    on_bench(tmp_path, play)


@pytest.mark.parametrize("how", ["delete", "replace"])
def test_a_collection_with_a_strangers_tile_is_blocked_with_their_count(
    tmp_path: Path, how: str
) -> None:
    async def play(bench: Bench) -> None:
        await apply(bench, *WANTED)
        one = (await only(bench))["id"]
        await add_tile(bench, one, "c")
        await add_tile(bench, one, "d")
        before = await holdings(bench)
        wanted = {"delete": (), "replace": (collection(s3Bucket="other"), WANTED[1])}[how]
        tried = await bench.apply(*wanted)
        blocked = change_of(tried.planned, "ByocCollection/fields")
        assert (blocked.action, blocked.reason) == (Action.BLOCKED, Reason.FOREIGN_MEMBERS)
        assert any("2 " in note for note in blocked.notes)
        assert tried.report is None or tried.report.exit_code() == 3
        after = await holdings(bench)
        assert after.keys() == before.keys()
        assert before[one] - after[one] <= before[one] - {"c", "d"}
        listed = await bench.call("GET", f"/byoc/v1/collections/{one}/tiles")
        left = {tile["path"].partition("/")[0] for tile in listed["data"]}
        assert {"c", "d"} <= left

    on_bench(tmp_path, play)


def test_two_candidates_stop_and_ask(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        ids = {await made(bench), await made(bench)}
        before = await holdings(bench)
        asked = await bench.apply(*WANTED)
        assert asked.report is None
        assert asked.planned.plan.exit_code() == 7
        (refusal,) = asked.planned.plan.refusals
        assert all(one in refusal.diagnostic.what for one in ids)
        assert refusal.diagnostic.hint.startswith("shplan import ByocCollection/fields ")
        assert await holdings(bench) == before

    on_bench(tmp_path, play)


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_tile_matched_by_its_path_without_an_intent_of_ours_is_never_deleted(
    tmp_path: Path, exclusive: bool
) -> None:
    """Not even where nothing else may be there: adoption is not ownership."""

    async def play(bench: Bench) -> None:
        await apply(bench, collection(), tiles("a"))
        one = (await only(bench))["id"]
        stranger = await add_tile(bench, one, "b")
        await apply(bench, *WANTED)
        less = (collection(), tiles("a", exclusive=exclusive))
        planned = await bench.plan(*less)
        assert change_of(planned, "ByocTiles/fields").counts["not confirmed"] == 1
        await apply(bench, *less)
        assert stranger in (await holdings(bench))[one]

    on_bench(tmp_path, play)


def test_exclusive_does_not_empty_a_collection_that_was_adopted(tmp_path: Path) -> None:
    """Neither in the apply that adopts it nor in a later one; `import` of it gives the right."""

    async def play(bench: Bench) -> None:
        one = await made(bench)
        stranger = await add_tile(bench, one, "c")
        wanted = (collection(), tiles("a", exclusive=True))
        for _ in range(2):
            await apply(bench, *wanted)
            assert stranger in (await holdings(bench))[one]
        more = (collection(), tiles("a", "b", exclusive=True))
        (note,) = change_of(await bench.plan(*more), "ByocTiles/fields").notes
        assert "import" in note
        await bench.confirm("ByocCollection/fields", one, *wanted)
        await apply(bench, *wanted)
        assert stranger not in (await holdings(bench))[one]

    on_bench(tmp_path, play)


def test_where_names_are_unique_a_replacement_fails_and_nothing_is_lost(tmp_path: Path) -> None:
    """The new object cannot have the old one's name while that still exists."""

    async def play(bench: Bench) -> None:
        await bench.call("POST", "/_sandbox/settings", {"unique_collection_names": True})
        await apply(bench, *WANTED)
        before = await holdings(bench)
        tried = await bench.apply(collection(s3Bucket="other"), WANTED[1])
        assert tried.report is not None
        assert tried.report.exit_code() == 3
        assert any("already exists" in result.message for result in tried.report.results)
        assert await holdings(bench) == before
        assert not (await bench.plan(*WANTED)).plan.pending

    on_bench(tmp_path, play)


def test_what_is_only_referred_to_cannot_be_imported(tmp_path: Path) -> None:
    """Bound and owned it would be deleted with its manifest."""

    async def play(bench: Bench) -> None:
        one = await made(bench)
        shared = replace(collection(), spec={"id": one}, lifecycle=Lifecycle(managed=False))
        with pytest.raises(PlanError, match="managed: false"):
            await bench.confirm("ByocCollection/fields", one, shared)
        assert not (await bench.plan()).plan.changes
        assert one in await holdings(bench)

    on_bench(tmp_path, play)


def literal(collection_id: str, *paths: str, **more: Any) -> Any:
    """A second set that names the collection by its id."""
    return replace(
        tiles(*paths, name="literal", **more),
        spec={"collection": collection_id, "exclusive": more.get("exclusive", False)},
        references=(),
    )


def test_two_sets_that_name_one_collection_differently_cannot_declare_one_path(
    tmp_path: Path,
) -> None:
    """Offline nobody could see it; whoever gave the tile up would delete it under the other."""

    async def play(bench: Bench) -> None:
        await apply(bench, *WANTED)
        (one,) = await holdings(bench)
        planned = await bench.plan(*WANTED, literal(one, "b/(BAND).tiff", "c"))
        refused = {c.diagnostic.code for c in planned.plan.refusals}
        assert refused == {"plan/duplicate-path"}
        assert planned.plan.exit_code() == 5

    on_bench(tmp_path, play)


def test_a_tile_goes_to_the_set_that_declares_it_however_that_names_its_collection(
    tmp_path: Path,
) -> None:
    """The set that gives it up is read before the other's collection, and must not delete it."""

    async def play(bench: Bench) -> None:
        await apply(bench, collection(), tiles("a"))
        (one,) = await holdings(bench)
        await apply(bench, collection(), tiles("a"), literal(one, "b"))
        before = (await holdings(bench))[one]
        await apply(bench, collection(), tiles("a", "b"))
        assert (await holdings(bench))[one] == before
        await apply(bench, collection(), literal(one, "a", "b"))
        assert (await holdings(bench))[one] == before
        await apply(bench, collection(), tiles("a"), literal(one, "b", exclusive=True))
        assert (await holdings(bench))[one] == before
        assert not (
            await bench.plan(collection(), tiles("a"), literal(one, "b", exclusive=True))
        ).plan.pending

    on_bench(tmp_path, play)


def test_a_set_sees_those_of_a_collection_that_is_only_referred_to(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        one = await made(bench)
        shared = replace(collection(), spec={"id": one}, lifecycle=Lifecycle(managed=False))
        await apply(bench, shared, tiles("a"), literal(one, "b"))
        before = (await holdings(bench))[one]
        await apply(bench, shared, tiles("a", "b"))
        assert (await holdings(bench))[one] == before
        refused = (await bench.plan(shared, tiles("a", "b"), literal(one, "b"))).plan.refusals
        assert {c.diagnostic.code for c in refused} == {"plan/duplicate-path"}

    on_bench(tmp_path, play)
