"""Sets of tiles: what an update carries, whose a tile is, and what is deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shplan.core.address import Address
from shplan.core.change import Action, Change, MemberChange, Reason
from shplan.core.compare import same
from shplan.core.fields import Sameness
from shplan.core.resource import Desired, Lifecycle
from shplan.core.selection import Selection
from shplan.core.value import Object
from shplan.providers.base import ChangeFailedError
from shplan.providers.byoc_tiles import ByocTiles
from tests.providers.support import (
    COLLECTIONS,
    apply_after,
    codes,
    done,
    imported,
    listed_tiles,
    meter_pu,
    on_sandbox,
    only_collection,
    settled,
    strangers_collection,
    strangers_tile,
    the,
    unmanaged,
)
from tests.support.bench import Bench, collection, tiles
from tests.support.cogs import cog_bytes

JUNE = "2025-06-01T10:00:00Z"
JULY = "2025-07-01T10:00:00Z"
COVER: Object = {
    "type": "Polygon",
    "coordinates": [[[15.0, 46.0], [15.05, 46.0], [15.05, 46.03], [15.0, 46.03], [15.0, 46.0]]],
}


def tile(path: str, time: str | None = JUNE, **more: Any) -> Object:
    return {"path": path, "sensingTime": time, **more}


def bare(path: str) -> Object:
    return {"path": path}


def ignoring(desired: Desired, *paths: str) -> Desired:
    return replace(desired, lifecycle=Lifecycle(ignore_changes=paths))


def operations(change: Change) -> list[tuple[str, str]]:
    return sorted((member.operation, member.key) for member in change.members)


async def home_of(world: Bench) -> str:
    return (await only_collection(world))["id"]


async def listed(world: Bench) -> dict[str, Any]:
    return await listed_tiles(world, await home_of(world))


# --- what a PUT carries --------------------------------------------------------------------------


@on_sandbox()
async def test_an_update_of_the_time_carries_the_observed_cover(world: Bench) -> None:
    world.write_tiles("a")
    await done(world, collection(), tiles(tile("a", coverGeometry=COVER)))
    before = (await listed(world))["a/(BAND).tiff"]["coverGeometry"]
    # Left to the server from now on: nobody states it, nobody clears it.
    ignored = ignoring(tiles(tile("a", JULY)), "tiles.*.coverGeometry")
    await done(world, collection(), ignored)
    now = (await listed(world))["a/(BAND).tiff"]
    assert same(now["coverGeometry"], before, Sameness.GEOMETRY)
    assert now["sensingTime"] == "2025-07-01T10:00:00.000Z"


@on_sandbox()
async def test_a_cover_that_ingestion_set_survives_an_update_of_the_time(world: Bench) -> None:
    world.write_tiles("a")
    await done(world, collection(), tiles("a"))
    before = (await listed(world))["a/(BAND).tiff"]["coverGeometry"]
    change = the(await done(world, collection(), tiles(tile("a", JULY))), "ByocTiles")
    (member,) = change.members
    assert member.request is not None
    assert member.request.body == {"sensingTime": JULY, "coverGeometry": before}


@on_sandbox()
async def test_many_updates_fetch_their_covers_by_one_list(world: Bench) -> None:
    world.write_tiles("a", "b", "c")
    await done(world, collection(), tiles("a", "b", "c"))
    before = {path: one["coverGeometry"] for path, one in (await listed(world)).items()}
    await done(world, collection(), tiles(*(tile(path, JULY) for path in "abc")))
    for path, one in (await listed(world)).items():
        assert same(one["coverGeometry"], before[path], Sameness.GEOMETRY)
        assert one["sensingTime"] == "2025-07-01T10:00:00.000Z"


@on_sandbox()
async def test_an_update_of_the_cover_carries_the_observed_time(world: Bench) -> None:
    world.write_tiles("a")
    await strangers_tile(world, await strangers_collection(world), "a", sensingTime=JULY)
    await done(world, collection(), tiles({"path": "a", "coverGeometry": COVER}))
    assert (await listed(world))["a/(BAND).tiff"]["sensingTime"] == "2025-07-01T10:00:00.000Z"


@on_sandbox()
async def test_what_is_no_longer_stated_is_taken_away_once(world: Bench) -> None:
    world.write_tiles("a")
    await done(world, collection(), tiles(tile("a", coverGeometry=COVER)))
    await done(world, collection(), tiles(bare("a")))
    now = (await listed(world))["a/(BAND).tiff"]
    assert now["sensingTime"] is None
    assert now["coverGeometry"] == now["tileGeometry"]
    await settled(world, collection(), tiles(bare("a")))


@on_sandbox()
async def test_an_explicit_null_takes_the_time_away(world: Bench) -> None:
    world.write_tiles("a")
    await done(world, collection(), tiles("a"))
    await done(world, collection(), tiles(tile("a", None)))
    assert (await listed(world))["a/(BAND).tiff"]["sensingTime"] is None
    await settled(world, collection(), tiles(tile("a", None)))


@on_sandbox()
async def test_a_time_that_was_never_stated_belongs_to_the_server(world: Bench) -> None:
    world.write_tiles("a")
    await strangers_tile(world, await strangers_collection(world), "a", sensingTime=JULY)
    await done(world, collection(), tiles(bare("a")))
    await settled(world, collection(), tiles(bare("a")))
    assert (await listed(world))["a/(BAND).tiff"]["sensingTime"] == "2025-07-01T10:00:00.000Z"


@on_sandbox()
async def test_a_field_in_ignore_changes_stays_through_an_update_of_another(world: Bench) -> None:
    world.write_tiles("a")
    await done(world, collection(), tiles("a"))
    ignored = ignoring(tiles(tile("a", JULY, coverGeometry=COVER)), "tiles.*.sensingTime")
    await done(world, collection(), ignored)
    assert (await listed(world))["a/(BAND).tiff"]["sensingTime"] == "2025-06-01T10:00:00.000Z"
    await settled(world, collection(), ignored)


@pytest.mark.parametrize(
    "time", ["2025-06-01T12:00:00+02:00", "2025-06-01T10:00:00.000Z", "2025-06-01T10:00:00.000400Z"]
)
def test_the_same_instant_in_another_spelling_is_no_change(tmp_path: Any, time: str) -> None:
    @on_sandbox()
    async def scenario(world: Bench) -> None:
        world.write_tiles("a")
        await done(world, collection(), tiles("a"))
        await settled(world, collection(), tiles(tile("a", time)))

    scenario(tmp_path)


# --- whose a tile is -----------------------------------------------------------------------------


@on_sandbox()
async def test_a_strangers_tile_stays_a_strangers_whatever_is_updated(world: Bench) -> None:
    """An update is no intent that made it: adopted, changed, no longer declared, and still there."""
    world.write_tiles("theirs", "a")
    home = await strangers_collection(world)
    await strangers_tile(world, home, "theirs")
    await done(world, collection(), tiles(tile("theirs")))
    await done(world, collection(), tiles(tile("theirs", JULY)))
    await settled(world, collection(), tiles(tile("theirs", JULY)))
    applied = await done(world, collection(), tiles("a"))
    change = the(applied, "ByocTiles")
    assert operations(change) == [("create", "a")]
    assert change.counts["not confirmed"] == 1
    assert "theirs/(BAND).tiff" in await listed_tiles(world, home)
    await done(world, collection())
    assert "theirs/(BAND).tiff" in await listed_tiles(world, home)


@on_sandbox()
async def test_a_strangers_failed_tile_stays_a_strangers_when_it_is_sent_round(
    world: Bench,
) -> None:
    home = await strangers_collection(world)
    await strangers_tile(world, home, "theirs")
    assert (await listed_tiles(world, home))["theirs"]["status"] == "FAILED"
    world.write_tiles("theirs")
    applied = await done(world, collection(), tiles("theirs"))
    assert operations(the(applied, "ByocTiles")) == [
        ("adopt", "theirs"),
        ("reingest", "theirs"),
        ("update", "theirs"),
    ]
    await done(world, collection(), tiles())
    assert "theirs/(BAND).tiff" in await listed_tiles(world, home)


@on_sandbox()
async def test_an_import_confirms_the_tiles_declared_at_that_moment(world: Bench) -> None:
    world.write_tiles("one", "two")
    home = await strangers_collection(world)
    for path in ("one", "two"):
        await strangers_tile(world, home, path, sensingTime=JUNE)
    await done(world, collection(), tiles("one"))
    await imported(world, tiles("one"), home, collection())
    await done(world, collection(), tiles("one", "two"))
    await done(world, collection(), tiles())
    assert set(await listed_tiles(world, home)) == {"two/(BAND).tiff"}


@on_sandbox()
async def test_importing_another_collection_owns_nothing(world: Bench) -> None:
    """Its tiles of the same paths would be ours, and deleted as left behind by the next apply."""
    world.write_tiles("a")
    await done(world, collection(), tiles("a"))
    theirs = await strangers_collection(world, name="Theirs")
    await strangers_tile(world, theirs, "a")
    with pytest.raises(ChangeFailedError, match="belongs to collection"):
        await imported(world, tiles("a"), theirs, collection())
    await settled(world, collection(), tiles("a"))
    assert set(await listed_tiles(world, theirs)) == {"a/(BAND).tiff"}


@on_sandbox(folder_path_collides=True)
async def test_a_path_that_somebody_takes_after_the_plan_is_bound_without_owning(
    world: Bench,
) -> None:
    world.write_tiles("a", "b")
    await done(world, collection())
    home = await home_of(world)

    async def meanwhile() -> None:
        await strangers_tile(world, home, "a", sensingTime=JUNE)

    applied = await apply_after(world, meanwhile, collection(), tiles("a", "b"))
    assert applied.report is not None
    assert applied.report.exit_code() == 0
    await settled(world, collection(), tiles("a", "b"))
    await done(world, collection(), tiles())
    assert set(await listed_tiles(world, home)) == {"a/(BAND).tiff"}


@on_sandbox()
async def test_where_spellings_do_not_collide_ours_stays_ours_beside_theirs(world: Bench) -> None:
    """Theirs is older and listed first; the ledger knows which is ours."""
    world.write_tiles("a")
    await done(world, collection())
    home = await home_of(world)
    theirs = []

    async def meanwhile() -> None:
        theirs.append(await strangers_tile(world, home, "a", sensingTime=JULY))

    await apply_after(world, meanwhile, collection(), tiles("a"))
    found = (await world.call("GET", f"{COLLECTIONS}/{home}/tiles"))["data"]
    assert len(found) == 2
    await settled(world, collection(), tiles("a"))
    await done(world, collection(), tiles())
    found = (await world.call("GET", f"{COLLECTIONS}/{home}/tiles"))["data"]
    assert [one["id"] for one in found] == theirs


@on_sandbox()
async def test_nobodys_tiles_are_counted_and_left_alone(world: Bench) -> None:
    world.write_tiles("a", "theirs")
    await done(world, collection(), tiles("a"))
    home = await home_of(world)
    await strangers_tile(world, home, "theirs")
    planned = await world.plan(collection(), tiles("a"))
    assert the(planned, "ByocTiles").counts == {"declared": 1, "unmanaged": 1}
    await settled(world, collection(), tiles("a"))
    await done(world, collection(), tiles())
    assert set(await listed_tiles(world, home)) == {"theirs/(BAND).tiff"}


@on_sandbox()
async def test_exclusive_deletes_what_nobody_in_the_project_declares(world: Bench) -> None:
    world.write_tiles("a", "b", "c", "theirs")
    home = await strangers_collection(world)
    await strangers_tile(world, home, "c", sensingTime=JUNE)
    await strangers_tile(world, home, "theirs")
    # `later` is refreshed after the exclusive set, and what it adopts is not ours.
    later = replace(tiles("b", "c", name="later"), depends_on=(Address("ByocTiles", "fields"),))
    everything = (collection(), tiles("a", exclusive=True), later)
    await imported(world, collection(), home)
    planned = await world.plan(*everything)
    assert operations(the(planned, "ByocTiles")) == [
        ("create", "a"),
        ("delete", "theirs/(BAND).tiff"),
    ]
    await done(world, *everything)
    assert set(await listed_tiles(world, home)) == {f"{one}/(BAND).tiff" for one in "abc"}
    await settled(world, *everything)


@on_sandbox()
async def test_a_protected_set_loses_no_tile(world: Bench) -> None:
    world.write_tiles("a", "b", "theirs")
    await done(world, collection(), tiles("a", "b", prevent=True))
    await strangers_tile(world, await home_of(world), "theirs")
    for wanted in (tiles("a", prevent=True), tiles("a"), tiles("a", "b", exclusive=True)):
        applied = await world.apply(collection(), wanted)
        assert codes(applied) == ["plan/prevent-destroy"]
        assert applied.planned.plan.exit_code() == 5
    assert codes(await world.plan(collection())) == ["plan/prevent-destroy"]
    assert codes(await world.plan()) == ["plan/prevent-destroy"]
    assert len(await listed(world)) == 3
    await done(world, collection(), tiles("a", "b"))
    await done(world, collection(), tiles("a"))
    assert len(await listed(world)) == 2


# --- tiles that change their set, or their set its collection ------------------------------------


def one_set_or_two(second: str) -> tuple[Desired, ...]:
    return (collection(), tiles("a"), tiles("b", name=second))


@pytest.mark.parametrize("late", [False, True])
def test_a_tile_that_moves_to_another_set_is_neither_deleted_nor_paid_for(
    tmp_path: Any, late: bool
) -> None:
    """Whether both sets are planned together or one after the other."""

    @on_sandbox()
    async def scenario(world: Bench) -> None:
        world.write_tiles("a", "b")
        await done(world, collection(), tiles("a", "b"))
        before = {path: one["id"] for path, one in (await listed(world)).items()}
        spent = await meter_pu(world)
        second = tiles("b/(BAND).tiff" if late else "b", name="second")
        if late:
            second = replace(second, depends_on=(Address("ByocTiles", "fields"),))
        split = (collection(), tiles("a"), second)
        planned = await world.plan(*split)
        assert not the(planned, "ByocTiles").members
        await done(world, *split)
        await settled(world, *split)
        assert {path: one["id"] for path, one in (await listed(world)).items()} == before
        assert await meter_pu(world) == spent
        # It is ours still: the other set may delete it.
        await done(world, collection(), tiles("a"))
        assert set(await listed(world)) == {"a/(BAND).tiff"}

    scenario(tmp_path)


@on_sandbox()
async def test_the_same_path_in_another_collection_is_another_tile(world: Bench) -> None:
    world.write_tiles("a", "b")
    other = collection("other")
    other = replace(other, spec={**other.spec, "name": "Other"})
    second = tiles("a", name="second", of="other")
    await done(world, collection(), other, tiles("a", "b"), second)
    change = the(await done(world, collection(), other, tiles("b"), second), "ByocTiles")
    assert operations(change) == [("delete", "a")]
    await settled(world, collection(), other, tiles("b"), second)


@on_sandbox()
async def test_a_set_that_changes_its_collection_takes_its_tiles_out_of_the_former(
    world: Bench,
) -> None:
    world.write_tiles("a", "theirs")
    await done(world, collection(), tiles("a"))
    former = await home_of(world)
    await strangers_tile(world, former, "theirs")
    other = collection("other")
    other = replace(other, spec={**other.spec, "name": "Other"})
    moved = tiles("a", of="other")
    await done(world, collection(), other, moved)
    assert set(await listed_tiles(world, former)) == {"theirs/(BAND).tiff"}
    await settled(world, collection(), other, moved)


@on_sandbox()
async def test_a_protected_set_whose_collection_is_gone_is_made_again(world: Bench) -> None:
    """Nothing is left to protect, and nothing is deleted that is not there."""
    world.write_tiles("a", "b")
    await done(world, collection(), tiles("a", "b", prevent=True))
    await world.call("DELETE", f"{COLLECTIONS}/{await home_of(world)}")
    planned = await world.plan(collection(), tiles("a", "b", prevent=True))
    assert operations(the(planned, "ByocTiles")) == [("create", "a"), ("create", "b")]
    await done(world, collection(), tiles("a", "b", prevent=True))
    await settled(world, collection(), tiles("a", "b", prevent=True))


@on_sandbox()
async def test_a_collection_and_its_set_go_with_one_request(world: Bench) -> None:
    world.write_tiles("a", "b")
    await done(world, collection(), tiles("a", "b"))
    planned = await world.plan()
    assert the(planned, "ByocTiles").counts == {"deleted with the collection": 2}
    assert the(planned, "ByocCollection").counts == {"tiles deleted with it": 2}
    assert planned.plan.cost.maximum_pu == 1
    spent = await meter_pu(world)
    await done(world)
    assert await meter_pu(world) == spent + 1
    await settled(world)


@on_sandbox()
async def test_a_set_that_goes_with_its_collection_is_not_forgotten_alone(world: Bench) -> None:
    """Its tiles would be nobody's, and the collection could never be deleted again."""
    world.write_tiles("a")
    await done(world, collection(), tiles("a"))
    applied = await world.apply(selection=Selection(select=("ByocTiles/fields",)))
    assert the(applied, "ByocTiles").action is Action.BLOCKED
    await done(world)
    await settled(world)


@on_sandbox()
async def test_an_unmanaged_set_changes_nothing_even_where_it_was_managed(world: Bench) -> None:
    world.write_tiles("a")
    await done(world, collection(), tiles("a"))
    reference = unmanaged(tiles("a"), collection=tiles("a").spec["collection"])
    reference = replace(reference, members=())
    applied = await done(world, collection(), reference)
    assert the(applied, "ByocTiles").action is Action.READ
    assert set(await listed(world)) == {"a/(BAND).tiff"}


# --- ingestion -----------------------------------------------------------------------------------


@on_sandbox()
async def test_a_failed_ingestion_is_a_failed_change_with_its_cause(world: Bench) -> None:
    world.write_tiles("a")
    applied = await world.apply(collection(), tiles("a", "missing"))
    assert applied.report is not None
    assert applied.report.exit_code() == 3
    (failed,) = [one for one in applied.report.results if one.faults]
    (fault,) = failed.faults
    assert fault.path == ("spec", "tiles", 1)
    assert fault.what.startswith("missing: ingestion failed: ")
    planned = await world.plan(collection(), tiles("a", "missing"))
    change = the(planned, "ByocTiles")
    assert (change.action, change.reason) == (Action.UPDATE, Reason.INGESTION_FAILED)
    assert operations(change) == [("reingest", "missing")]
    world.write_tiles("missing")
    await done(world, collection(), tiles("a", "missing"))
    await settled(world, collection(), tiles("a", "missing"))


@on_sandbox()
async def test_a_tile_whose_file_changed_is_sent_round_again(world: Bench) -> None:
    world.write_tiles("a", "b")
    await done(world, collection(), tiles("a", "b"))
    (world.buckets / "fields" / "a" / "B04.tiff").write_bytes(cog_bytes(east=500_010.0))
    change = the(await world.plan(collection(), tiles("a", "b")), "ByocTiles")
    assert [(m.operation, m.key, m.reason) for m in change.members] == [
        ("reingest", "a", Reason.FILE_CHANGED)
    ]
    await done(world, collection(), tiles("a", "b"))
    await settled(world, collection(), tiles("a", "b"))


@on_sandbox()
async def test_what_a_viewer_leaves_beside_a_file_costs_nothing(world: Bench) -> None:
    world.write_tiles("a", "b")
    pattern = tile("b/(BAND).tiff")
    await done(world, collection(), tiles("a", pattern))
    for folder in "ab":
        (world.buckets / "fields" / folder / "B04.tiff.aux.xml").write_text("<PAMDataset/>")
    await settled(world, collection(), tiles("a", pattern))


@on_sandbox()
async def test_a_changed_file_of_an_adopted_tile_is_noticed(world: Bench) -> None:
    world.write_tiles("a")
    await strangers_tile(world, await strangers_collection(world), "a", sensingTime=JUNE)
    await done(world, collection(), tiles("a"))
    (world.buckets / "fields" / "a" / "B04.tiff").write_bytes(cog_bytes(east=500_010.0))
    change = the(await world.plan(collection(), tiles("a")), "ByocTiles")
    assert operations(change) == [("reingest", "a")]


@on_sandbox()
async def test_a_tile_that_the_server_lost_is_made_again(world: Bench) -> None:
    world.write_tiles("a")
    await done(world, collection(), tiles("a"))
    home = await home_of(world)
    (one,) = (await listed_tiles(world, home)).values()
    await world.call("DELETE", f"{COLLECTIONS}/{home}/tiles/{one['id']}")
    change = the(await world.plan(collection(), tiles("a")), "ByocTiles")
    assert [(m.operation, m.reason) for m in change.members] == [("create", Reason.GONE)]
    await done(world, collection(), tiles("a"))
    await settled(world, collection(), tiles("a"))


@on_sandbox()
async def test_a_tile_that_somebody_made_again_is_theirs(world: Bench) -> None:
    world.write_tiles("a")
    await done(world, collection(), tiles("a"))
    home = await home_of(world)
    (one,) = (await listed_tiles(world, home)).values()
    await world.call("DELETE", f"{COLLECTIONS}/{home}/tiles/{one['id']}")
    await strangers_tile(world, home, "a", sensingTime=JUNE)
    await done(world, collection(), tiles("a"))
    await settled(world, collection(), tiles("a"))
    await done(world, collection(), tiles())
    assert set(await listed_tiles(world, home)) == {"a/(BAND).tiff"}


@on_sandbox()
async def test_a_tile_of_ours_that_is_gone_and_no_longer_declared_is_let_go(world: Bench) -> None:
    world.write_tiles("a", "b")
    await done(world, collection(), tiles("a", "b"))
    home = await home_of(world)
    one = (await listed_tiles(world, home))["a/(BAND).tiff"]
    await world.call("DELETE", f"{COLLECTIONS}/{home}/tiles/{one['id']}")
    await settled(world, collection(), tiles("b"))
    await done(world, collection(), tiles("b"))
    await strangers_tile(world, home, "a")
    await settled(world, collection(), tiles("b"))
    assert "a/(BAND).tiff" in await listed_tiles(world, home)


@on_sandbox()
async def test_what_the_server_refuses_is_placed_on_the_manifest_and_the_rest_is_done(
    world: Bench,
) -> None:
    world.write_tiles("a")
    wrong = {"path": "b", "sensingTime": "yesterday"}
    applied = await world.apply(collection(), tiles("a", wrong))
    assert applied.report is not None
    (failed,) = [one for one in applied.report.results if one.faults]
    assert failed.faults[0].path[:3] == ("spec", "tiles", 1)
    assert set(await listed(world)) == {"a/(BAND).tiff"}
    await done(world, collection(), tiles("a"))
    await settled(world, collection(), tiles("a"))


# --- checks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("points", "expected"), [(100, []), (101, ["manifest/cover-geometry"])])
def test_a_cover_has_at_most_a_hundred_points(points: int, expected: list[str]) -> None:
    ring: Any = [[15 + n / 1000, 46 + n % 7 / 100] for n in range(points - 1)]
    cover: Any = {"type": "MultiPolygon", "coordinates": [[[*ring, ring[0]]]]}
    found = ByocTiles().check(tiles("a", tile("b", coverGeometry=cover)), {})
    assert [one.code for one in found] == expected


def test_the_rules_say_what_silence_does() -> None:
    rules = ByocTiles.rules
    assert rules.rule(("tiles", 3, "coverGeometry")).clearable
    assert rules.rule(("tiles", 3, "path")).immutable


def test_a_member_change_is_ours_unless_it_says_otherwise() -> None:
    assert MemberChange("a", Action.CREATE, Reason.NOT_FOUND).owned
