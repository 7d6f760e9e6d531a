"""Collections: what an update carries, what is adopted, and what is never touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shplan.core.address import Address
from shplan.core.change import Action, Change, Reason
from shplan.core.entry import Event, Result
from shplan.core.errors import NoAnswerError, PlanError, RefusedError
from shplan.core.fingerprint import Fingerprint
from shplan.core.request import Answer
from shplan.core.resource import Desired, PendingIntent, Recorded
from shplan.core.value import Object, Reference, Unknown
from shplan.providers.base import ChangeFailedError, Settings, Surroundings, Wanted
from shplan.providers.byoc_collection import _COLUMNS, ByocCollection
from shplan.providers.observation import Absent, Ambiguous, Binding, LeftBehind, Observed
from shplan.providers.steps import Act, Note, Read, Scan, Together, Wait
from tests.providers.support import (
    COLLECTIONS,
    ByHand,
    apply_after,
    codes,
    collections,
    done,
    imported,
    listed_tiles,
    meter_pu,
    on_sandbox,
    only_collection,
    rows_of,
    settled,
    strangers_collection,
    strangers_tile,
    the,
    unmanaged,
)
from tests.support.bench import Bench, collection, tiles

FIELDS = Address("ByocCollection", "fields")
BYOC = ByocCollection()
B04: Object = {"source": "B04", "bandIndex": 1, "bitDepth": 16, "sampleFormat": "UINT"}
B08: Object = {"source": "B08", "bandIndex": 1, "bitDepth": 16, "sampleFormat": "UINT"}


def bands(**named: Object) -> Object:
    return {"bands": dict(named)}


def stating(*, ignore: tuple[str, ...] = (), **fields: Any) -> Desired:
    """The collection of every test, with other fields."""
    base = collection(ignore=ignore)
    return replace(base, spec={**base.spec, **fields})


def observed(members: int | None = None, foreign: int | None = None, **fields: Any) -> Observed:
    attributes: Object = {"id": "c1", "name": "Field imagery", "s3Bucket": "fields", **fields}
    return Observed("c1", attributes, Binding.RECORDED, members=members, foreign_members=foreign)


def known(desired: Desired, **more: Any) -> Recorded:
    return Recorded(desired.address, id="c1", owned=True, spec=desired.spec, **more)


def decided(desired: Desired, found: Any, record: Recorded | None = None) -> Change:
    record = known(collection()) if record is None else record
    (change, *_) = BYOC.decide(Wanted(desired.address, desired, record), found, Surroundings())
    return change


def put(change: Change) -> Any:
    (request,) = change.requests
    assert request.method == "PUT"
    return request.body


# --- what a PUT carries -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "there", "body"),
    [
        # Name and bucket always; an omitted noData would be deleted, so the observed one goes along.
        ({"name": "New"}, {"noData": 7}, {"name": "New", "s3Bucket": "fields", "noData": 7}),
        ({"name": "New"}, {}, {"name": "New", "s3Bucket": "fields"}),
        (
            {"name": "New", "noData": 5},
            {"noData": 7},
            {"name": "New", "s3Bucket": "fields", "noData": 5},
        ),
        # Bands that nobody changes stay out of the body, so they stay as they are.
        (
            {"name": "New"},
            {"additionalData": bands(B04=B04)},
            {"name": "New", "s3Bucket": "fields"},
        ),
        ({"noData": None}, {"noData": 7}, {"name": "Field imagery", "s3Bucket": "fields"}),
        (
            {"additionalData": bands(RED=B04)},
            {"additionalData": {**bands(B04=B04), "extent": {"type": "Polygon"}}, "noData": 1},
            {
                "name": "Field imagery",
                "s3Bucket": "fields",
                "noData": 1,
                "additionalData": {"bands": {"RED": B04}},
            },
        ),
        (
            {"additionalData": bands(B04=B04)},
            {"additionalData": bands(B04=B04, B08=B08)},
            {"name": "Field imagery", "s3Bucket": "fields", "additionalData": bands(B04=B04)},
        ),
        (
            {"additionalData": bands(B04={"bitDepth": 16, "noData": 0})},
            {"additionalData": bands(B04=B04)},
            {
                "name": "Field imagery",
                "s3Bucket": "fields",
                "additionalData": bands(B04={**B04, "noData": 0}),
            },
        ),
        # Bands that the manifest does not state go along when something beside them changes.
        (
            {"additionalData": {"storageIdentifier": "eodata"}},
            {"additionalData": bands(B04={**B04, "aliases": ["x"]})},
            {
                "name": "Field imagery",
                "s3Bucket": "fields",
                "additionalData": {"bands": {"B04": B04}, "storageIdentifier": "eodata"},
            },
        ),
        # No-data stands on one level only: setting it on one clears it on the other.
        (
            {"additionalData": bands(B04={"bitDepth": 16, "noData": 3})},
            {"noData": 0, "additionalData": bands(B04=B04)},
            {
                "name": "Field imagery",
                "s3Bucket": "fields",
                "additionalData": bands(B04={**B04, "noData": 3}),
            },
        ),
        (
            {"noData": 3},
            {"additionalData": bands(B04={**B04, "noData": 0})},
            {
                "name": "Field imagery",
                "s3Bucket": "fields",
                "noData": 3,
                "additionalData": bands(B04=B04),
            },
        ),
    ],
)
def test_an_update_erases_nothing_by_silence(stated: Any, there: Any, body: Any) -> None:
    change = decided(stating(**stated), observed(members=3, foreign=0, **there))
    assert change.action is Action.UPDATE
    assert put(change) == body
    assert change.cost.maximum_pu == 1


def test_what_ignore_changes_lists_is_sent_as_it_was_observed() -> None:
    desired = stating(
        name="New",
        noData=5,
        ignore=("noData", "additionalData.bands.B08"),
        additionalData=bands(B04={**B04, "noData": 1}, B08={"bitDepth": 8}),
    )
    there = observed(members=1, foreign=0, noData=9, additionalData=bands(B04=B04, B08=B08))
    body = put(
        decided(
            replace(desired, spec={k: v for k, v in desired.spec.items() if k != "additionalData"}),
            there,
        )
    )
    assert body == {"name": "New", "s3Bucket": "fields", "noData": 9}
    whole = put(
        decided(desired, observed(members=1, foreign=0, additionalData=bands(B04=B04, B08=B08)))
    )
    assert whole["additionalData"]["bands"] == {"B04": {**B04, "noData": 1}, "B08": B08}


@pytest.mark.parametrize(
    ("before", "stated", "there", "cleared"),
    [
        ({"noData": 5}, {}, {"noData": 5}, ["noData"]),
        ({"noData": 5}, {}, {}, []),
        (
            {"additionalData": bands(B04={**B04, "noData": 1})},
            {"additionalData": bands(B04=B04)},
            {"additionalData": bands(B04={**B04, "noData": 1})},
            ["additionalData.bands.B04.noData"],
        ),
        # A structure that is no longer stated is left to the server; it never replaces anything.
        (
            {"additionalData": bands(B04=B04)},
            {"additionalData": bands(B04={"bitDepth": 16})},
            {"additionalData": bands(B04=B04)},
            [],
        ),
        ({"additionalData": bands(B04=B04)}, {}, {"additionalData": bands(B04=B04)}, []),
    ],
)
def test_a_field_no_longer_stated_is_reset_only_where_the_api_can(
    before: Any, stated: Any, there: Any, cleared: list[str]
) -> None:
    change = decided(
        stating(**stated), observed(members=1, foreign=0, **there), known(stating(**before))
    )
    assert [field.dotted for field in change.fields if field.cleared] == cleared
    assert change.action is (Action.UPDATE if cleared else Action.NOOP)
    assert change.reason is (Reason.NO_LONGER_STATED if cleared else Reason.UP_TO_DATE)


# --- bands: what is frozen once there are tiles ---------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "tiles_there", "action", "forced"),
    [
        (bands(RED=B04, B08=B08), 3, Action.UPDATE, []),
        (bands(B04=B04), 3, Action.UPDATE, []),
        (bands(B04=B04, B08={**B08, "noData": 0}), 3, Action.UPDATE, []),
        (
            bands(B04=B04, B08={**B08, "bitDepth": 8}),
            3,
            Action.REPLACE,
            ["additionalData.bands.B08.bitDepth"],
        ),
        (bands(B04=B04, B08={**B08, "bitDepth": 8}), 0, Action.UPDATE, []),
        (
            bands(B04=B04, B08={**B08, "source": "x"}),
            3,
            Action.REPLACE,
            ["additionalData.bands.B08.source"],
        ),
        (bands(B04=B04, B08={**B08, "bandIndex": 2}), 0, Action.UPDATE, []),
        (
            bands(B04=B04, B08={**B08, "sampleFormat": "INT"}),
            0,
            Action.REPLACE,
            ["additionalData.bands.B08.sampleFormat"],
        ),
        (
            bands(B04=B04, B08=B08, B11={**B08, "source": "B11"}),
            3,
            Action.REPLACE,
            ["additionalData.bands.B11"],
        ),
        (bands(B04=B04, B08=B08, B11={**B08, "source": "B11"}), 0, Action.UPDATE, []),
    ],
)
def test_what_tiles_freeze_forces_a_replacement_only_once_there_are_tiles(
    stated: Object, tiles_there: int, action: Action, forced: list[str]
) -> None:
    there = observed(tiles_there, 0, additionalData=bands(B04=B04, B08=B08))
    # What was recorded makes no difference: the same without a word in the ledger.
    for record in (known(collection()), known(collection(additionalData=bands(B04=B04, B08=B08)))):
        change = decided(collection(additionalData=stated), there, record)
        assert change.action is action
        assert [field.dotted for field in change.fields if field.forces] == forced


def test_a_sample_format_may_be_set_once() -> None:
    bare = {key: value for key, value in B04.items() if key != "sampleFormat"}
    there = observed(3, 0, additionalData=bands(B04=bare))
    assert decided(collection(additionalData=bands(B04=B04)), there).action is Action.UPDATE


def test_a_band_is_renamed_from_the_one_with_its_source_and_index() -> None:
    """Two bands of one file differ by their index only."""
    first, second = {**B04, "source": "f"}, {**B04, "source": "f", "bandIndex": 2, "noData": 4}
    there = observed(3, 0, additionalData=bands(f_1=first, f_2=second))
    change = decided(collection(additionalData=bands(b={**second}, a={**first})), there)
    assert change.action is Action.UPDATE
    assert put(change)["additionalData"]["bands"] == {"a": first, "b": second}


@pytest.mark.parametrize("tiles_there", [0, 2])
def test_the_bucket_moves_only_while_the_collection_is_empty(tiles_there: int) -> None:
    change = decided(collection(s3Bucket="other"), observed(tiles_there, 0))
    assert change.action is (Action.REPLACE if tiles_there else Action.UPDATE)
    if not tiles_there:
        assert put(change)["s3Bucket"] == "other"


def test_a_collection_without_bands_may_still_have_tiles() -> None:
    """All of them may have failed: no bands says nothing about the bucket."""
    change = decided(collection(s3Bucket="other"), observed(2, 0, isConfigured=False))
    assert change.action is Action.REPLACE
    assert change.counts == {"tiles deleted with the old collection": 2}


def test_everything_that_may_replace_is_counted_first() -> None:
    """A replacement whose tiles nobody counted could take a stranger's with it."""
    for stated in (
        {"s3Bucket": "other"},
        {"additionalData": bands(B04=B04, B08=B08)},
        {"additionalData": bands(RED=B04)},
        {"additionalData": bands(B04={**B04, "bitDepth": 8})},
    ):
        desired = stating(**stated)
        listed = {
            "id": "c1",
            "name": "Field imagery",
            "s3Bucket": "fields",
            "additionalData": bands(B04=B04),
        }
        hand = ByHand(BYOC.refresh((Wanted(FIELDS, desired, known(collection())),), Surroundings()))
        hand.rows(*rows_of(listed, columns=_COLUMNS))
        assert isinstance(hand.step, Together), stated
        (scan,) = hand.step.steps
        scan.sink((("t1",), ("t2",)))
        hand.reply((2,))
        assert (hand.result[FIELDS].members, hand.result[FIELDS].foreign_members) == (2, 2)
        change = decided(desired, hand.result[FIELDS])
        if any(field.forces for field in change.fields):
            assert change.action is Action.BLOCKED
            assert change.reason is Reason.FOREIGN_MEMBERS
            assert not change.requests


def test_a_protected_collection_is_not_replaced() -> None:
    change = decided(collection(s3Bucket="other", prevent=True), observed(2, 0))
    assert [refusal.diagnostic.code for refusal in change.refusals] == ["plan/prevent-destroy"]


# --- on the sandbox ------------------------------------------------------------------------------


@on_sandbox()
async def test_a_no_data_that_ingestion_set_survives_a_rename(world: Bench) -> None:
    world.write_tiles("a")
    await done(world, collection(), tiles("a"))
    assert (await only_collection(world))["noData"] == 0
    renamed = stating(name="Renamed")
    await done(world, renamed, tiles("a"))
    now = await only_collection(world)
    assert (now["name"], now["noData"]) == ("Renamed", 0)
    await settled(world, renamed, tiles("a"))


@on_sandbox()
async def test_bands_are_renamed_and_removed_in_place(world: Bench) -> None:
    world.write_tiles("a", bands=("B04", "B08"))
    await done(world, collection(additionalData=bands(B04=B04, B08=B08)), tiles("a"))
    before = await only_collection(world)
    changed = collection(additionalData=bands(RED={**B04, "noData": 2}))
    await done(world, changed, tiles("a"))
    now = await only_collection(world)
    assert now["id"] == before["id"]
    assert now["additionalData"]["bands"] == {"RED": {**B04, "noData": 2}}
    await settled(world, changed, tiles("a"))


@on_sandbox()
async def test_a_band_added_to_a_collection_with_a_strangers_tile_is_blocked(world: Bench) -> None:
    world.write_tiles("a", "theirs")
    await done(world, collection(additionalData=bands(B04=B04)), tiles("a"))
    home = (await only_collection(world))["id"]
    await strangers_tile(world, home, "theirs")
    grown = collection(additionalData=bands(B04=B04, B08=B08))
    applied = await world.apply(grown, tiles("a"))
    change = the(applied, "ByocCollection")
    assert (change.action, change.reason) == (Action.BLOCKED, Reason.FOREIGN_MEMBERS)
    (note,) = change.notes
    stranger = (await listed_tiles(world, home))["theirs/(BAND).tiff"]["id"]
    assert note.startswith(f"it holds 1 member that is not ours ({stranger}): delete what is there")
    assert note.endswith("or list it under `forget`, and it stays")
    assert set(await listed_tiles(world, home)) == {"a/(BAND).tiff", "theirs/(BAND).tiff"}


@on_sandbox()
async def test_a_second_project_adopts_and_never_deletes(world: Bench) -> None:
    world.write_tiles("a")
    await done(world, collection(), tiles("a"))
    other = world.second("theirs")
    planned = await other.plan(collection())
    assert (the(planned, "ByocCollection").action, the(planned, "ByocCollection").reason) == (
        Action.ADOPT,
        Reason.SAME_KEY,
    )
    await done(other, collection())
    await settled(other, collection())
    destroyed = await other.apply()
    assert the(destroyed, "ByocCollection").reason is Reason.NOT_OWNED
    assert destroyed.report is None or destroyed.report.exit_code() == 3
    assert set(await listed_tiles(world, (await only_collection(world))["id"])) == {"a/(BAND).tiff"}
    await settled(world, collection(), tiles("a"))


@on_sandbox()
async def test_an_adopted_collection_is_replaced_only_once_it_is_confirmed(world: Bench) -> None:
    home = await strangers_collection(world)
    world.write_tiles("a")
    await done(world, collection(), tiles("a"))
    moved = collection(s3Bucket="other")
    blocked = await world.plan(moved, tiles("a"))
    assert the(blocked, "ByocCollection").reason is Reason.NOT_OWNED
    await imported(world, collection(), home)
    planned = await world.plan(moved, tiles("a"))
    assert the(planned, "ByocCollection").action is Action.REPLACE


@on_sandbox()
async def test_an_import_owns_and_then_deletes(world: Bench) -> None:
    home = await strangers_collection(world)
    await imported(world, collection(), home)
    await settled(world, collection())
    await done(world)
    assert await collections(world) == []


@on_sandbox()
async def test_importing_what_another_address_binds_is_refused(world: Bench) -> None:
    """Deleting the one would delete the other."""
    await done(world, collection())
    home = (await only_collection(world))["id"]
    second = replace(collection("second"), spec={"name": "Second", "s3Bucket": "fields"})
    with pytest.raises(PlanError, match="is ByocCollection/fields already"):
        await imported(world, second, home, collection())


@on_sandbox()
async def test_importing_what_does_not_exist_is_an_error(world: Bench) -> None:
    with pytest.raises(ChangeFailedError, match="there is no collection"):
        await imported(world, collection(), "6b8a8f0e-0000-0000-0000-000000000000")


@on_sandbox()
async def test_two_candidates_are_a_question_for_a_person(world: Bench) -> None:
    ids = {await strangers_collection(world) for _ in range(2)}
    applied = await world.apply(collection())
    assert codes(applied) == ["plan/ambiguous"]
    assert applied.planned.plan.exit_code() == 7
    assert {one["id"] for one in await collections(world)} == ids


@on_sandbox()
async def test_what_one_address_binds_is_no_candidate_for_another(world: Bench) -> None:
    await done(world, collection())
    await done(world, collection(), collection("second"))
    first, second = await collections(world)
    assert first["id"] != second["id"]
    await settled(world, collection(), collection("second"))


@on_sandbox()
async def test_two_new_resources_of_one_name_and_bucket_are_refused(world: Bench) -> None:
    applied = await world.apply(collection(), collection("second"))
    assert codes(applied) == ["plan/same-key", "plan/same-key"]
    assert applied.planned.plan.exit_code() == 5
    assert await collections(world) == []
    theirs = await strangers_collection(world)
    assert codes(await world.plan(collection(), collection("second"))) == ["plan/same-key"] * 2
    assert (await only_collection(world))["id"] == theirs


@on_sandbox()
async def test_a_replacement_does_not_bind_a_strangers_older_collection(world: Bench) -> None:
    """It has the new name and bucket, and nobody here said that it should be adopted."""
    theirs = await strangers_collection(world, bucket="other")
    world.write_tiles("a")
    world.write_tiles("a", bucket="other")
    await done(world, collection(), tiles("a"))
    await world.clock.sleep(60)
    moved = collection(s3Bucket="other")
    await done(world, moved, tiles("a"))
    there = {one["id"]: one for one in await collections(world)}
    assert len(there) == 2
    assert await listed_tiles(world, theirs) == {}
    (ours,) = there.keys() - {theirs}
    assert set(await listed_tiles(world, ours)) == {"a/(BAND).tiff"}
    await settled(world, moved, tiles("a"))


@on_sandbox()
async def test_a_strangers_tile_that_came_after_the_plan_stops_the_delete(world: Bench) -> None:
    world.write_tiles("a", "theirs")
    await done(world, collection(), tiles("a"))
    home = (await only_collection(world))["id"]

    async def meanwhile() -> None:
        await strangers_tile(world, home, "theirs")

    applied = await apply_after(world, meanwhile)
    assert applied.report is not None
    assert applied.report.exit_code() == 3
    assert any("holds more tiles than" in one.message for one in applied.report.results)
    assert "theirs/(BAND).tiff" in await listed_tiles(world, home)
    again = await world.plan()
    assert the(again, "ByocCollection").reason is Reason.FOREIGN_MEMBERS


@on_sandbox()
async def test_a_strangers_tile_that_came_during_a_replacement_stops_the_delete(
    world: Bench,
) -> None:
    world.write_tiles("a", "theirs")
    world.write_tiles("a", bucket="other")
    await done(world, collection(), tiles("a"))
    home = (await only_collection(world))["id"]

    async def meanwhile() -> None:
        await strangers_tile(world, home, "theirs")

    moved = (collection(s3Bucket="other"), tiles("a"))
    applied = await apply_after(world, meanwhile, *moved)
    assert applied.report is not None
    assert applied.report.exit_code() == 3
    assert "theirs/(BAND).tiff" in await listed_tiles(world, home)
    planned = (await world.plan(*moved)).plan
    assert [c.reason for c in planned.blocked] == [Reason.FOREIGN_MEMBERS]


@on_sandbox(unique_collection_names=True)
async def test_a_conflict_on_create_is_looked_up_and_adopted_without_owning(world: Bench) -> None:
    async def meanwhile() -> None:
        await strangers_collection(world)

    applied = await apply_after(world, meanwhile, collection())
    assert applied.report is not None
    assert applied.report.exit_code() == 0
    assert len(await collections(world)) == 1
    await settled(world, collection())
    destroyed = await world.plan()
    assert the(destroyed, "ByocCollection").reason is Reason.NOT_OWNED


@on_sandbox(unique_collection_names=True)
async def test_a_conflict_with_another_bucket_is_the_servers_refusal(world: Bench) -> None:
    async def meanwhile() -> None:
        await strangers_collection(world, bucket="elsewhere")

    applied = await apply_after(world, meanwhile, collection())
    assert applied.report is not None
    assert applied.report.exit_code() == 3
    assert (await only_collection(world))["s3Bucket"] == "elsewhere"


@on_sandbox(list_lag_s=10.0, get_lag_s=8.0)
async def test_a_404_right_after_a_create_means_not_yet(world: Bench) -> None:
    """Neither the list nor a GET shows it: believing them would make a second one."""
    world.write_tiles("a")
    await done(world, collection())
    home = (await only_collection(world))["id"]
    await world.call("POST", "/_sandbox/settings", {"list_lag_s": 15.0, "get_lag_s": 15.0})
    planned = await world.plan(collection())
    assert [c.action for c in planned.plan.changes] == [Action.NOOP]
    assert planned.plan.changes[0].id == home


@on_sandbox(list_lag_s=10.0)
async def test_a_recorded_collection_that_is_gone_is_made_again(world: Bench) -> None:
    await done(world, collection())
    await world.call("DELETE", f"{COLLECTIONS}/{(await only_collection(world))['id']}")
    change = the(await world.plan(collection()), "ByocCollection")
    assert (change.action, change.reason) == (Action.CREATE, Reason.GONE)
    await done(world, collection())
    await settled(world, collection())


@on_sandbox()
async def test_a_gone_collection_that_nobody_declares_is_only_forgotten(world: Bench) -> None:
    await done(world, collection())
    await world.call("DELETE", f"{COLLECTIONS}/{(await only_collection(world))['id']}")
    spent = await meter_pu(world)
    change = the(await world.plan(), "ByocCollection")
    assert (change.action, change.requests) == (Action.FORGET, ())
    await done(world)
    await settled(world)
    assert await meter_pu(world) == spent


@on_sandbox()
async def test_a_protection_outlives_the_manifest_and_is_lifted_by_a_change_of_its_own(
    world: Bench,
) -> None:
    await done(world, collection(prevent=True))
    refused = await world.apply()
    assert codes(refused) == ["plan/prevent-destroy"]
    assert refused.planned.plan.exit_code() == 5
    # Declaring it without the protection and deleting in one go is not possible either.
    lifted = await done(world, collection(prevent=False))
    change = the(lifted, "ByocCollection")
    assert (change.action, change.reason) == (Action.UPDATE, Reason.PROTECTION_CHANGED)
    assert not change.requests
    await done(world)
    assert await collections(world) == []


@on_sandbox()
async def test_an_unmanaged_collection_is_only_read(world: Bench) -> None:
    home = await strangers_collection(world, noData=3)
    world.write_tiles("a")
    by_name = unmanaged(collection(), name="Field imagery")
    spent = await meter_pu(world)
    applied = await done(world, by_name, tiles("a"))
    assert the(applied, "ByocCollection").action is Action.READ
    assert set(await listed_tiles(world, home)) == {"a/(BAND).tiff"}
    assert await meter_pu(world) == spent + 1
    await done(world, by_name)
    await done(world)
    assert (await only_collection(world))["id"] == home


@on_sandbox()
async def test_an_unmanaged_name_must_be_unique_and_exist(world: Bench) -> None:
    by_name = unmanaged(collection(), name="Field imagery")
    absent = the(await world.plan(by_name), "ByocCollection")
    assert (absent.action, absent.reason) == (Action.BLOCKED, Reason.NOT_FOUND)
    first = await strangers_collection(world)
    await strangers_collection(world, bucket="elsewhere")
    planned = await world.plan(by_name)
    assert codes(planned) == ["plan/ambiguous"]
    assert "state `id: " in planned.plan.refusals[0].diagnostic.hint
    by_id = unmanaged(collection(), id=first)
    assert the(await world.plan(by_id), "ByocCollection").id == first
    unknown = unmanaged(collection(), id="6b8a8f0e-0000-0000-0000-000000000000")
    assert the(await world.plan(unknown), "ByocCollection").action is Action.BLOCKED


@on_sandbox()
async def test_a_dependent_of_something_blocked_is_blocked(world: Bench) -> None:
    by_name = unmanaged(collection(), name="Field imagery")
    planned = await world.plan(by_name, tiles("a"))
    assert the(planned, "ByocTiles").reason is Reason.DEPENDENCY_BLOCKED


@on_sandbox()
async def test_the_same_collection_under_another_name_of_ours_is_a_probable_rename(
    world: Bench,
) -> None:
    await done(world, collection())
    applied = await world.apply(collection("renamed"))
    assert codes(applied) == ["plan/probable-rename"]
    assert applied.planned.plan.exit_code() == 5
    moved = {FIELDS: Address("ByocCollection", "renamed")}
    spent = await meter_pu(world)
    await done(world, collection("renamed"), moved=moved)
    await settled(world, collection("renamed"))
    assert await meter_pu(world) == spent


# --- by hand: lost answers and races ------------------------------------------------------------


def created(desired: Desired | None = None, **current: Any) -> Change:
    change = decided(desired or collection(), Absent(), Recorded(FIELDS))
    return replace(change, current={**change.current, **current})


def listed(number: int, *, at: str = "2026-01-01T00:00:00Z", **fields: Any) -> dict[str, Any]:
    return {
        "id": f"c{number}",
        "name": "Field imagery",
        "s3Bucket": "fields",
        "created": at,
        **fields,
    }


def made(number: int) -> Answer:
    return Answer(201, {"data": listed(number)})


def settlement(step: Any) -> Any:
    assert isinstance(step, Note), step
    return step.settlement


def test_the_intent_names_what_existed_before() -> None:
    hand = ByHand(BYOC.apply(created(others=["c0"]), Settings()))
    assert isinstance(hand.step, Act)
    assert hand.step.data == {"name": "Field imagery", "s3Bucket": "fields", "others": ["c0"]}


def test_a_lost_create_is_looked_for_after_the_lag_and_not_repeated() -> None:
    hand = ByHand(BYOC.apply(created(others=["c0"]), Settings(list_lag_s=20)))
    act = hand.step
    assert act.settle((NoAnswerError("lost"),)).result is Result.UNKNOWN
    assert isinstance(hand.reply((NoAnswerError("lost"),)), Wait)
    assert hand.step.seconds == 20
    assert isinstance(hand.reply(), Scan)
    note = hand.rows(*rows_of(listed(0), listed(1), columns=_COLUMNS))
    assert (note.event, settlement(note).id, settlement(note).owned) == (Event.OUTCOME, "c1", True)
    hand.reply()
    assert hand.ended
    assert hand.result["id"] == "c1"


def test_a_lost_create_that_did_not_happen_is_sent_again() -> None:
    hand = ByHand(BYOC.apply(created(), Settings(list_lag_s=0)))
    for _ in range(2):
        assert isinstance(hand.step, Act)
        assert isinstance(hand.reply((NoAnswerError("lost"),)), Scan)
        assert settlement(hand.rows()).result is Result.FAILED
        hand.reply()
    assert isinstance(hand.step, Act)
    assert isinstance(hand.reply((made(1),)), Wait)
    hand.reply()
    assert settlement(hand.rows(*rows_of(listed(1), columns=_COLUMNS))).id == "c1"


def test_answers_that_never_come_end_in_a_failure() -> None:
    hand = ByHand(BYOC.apply(created(), Settings(list_lag_s=0)))
    for _ in range(3):
        hand.reply((NoAnswerError("lost"),))
        note = hand.rows()
        assert settlement(note).result is Result.FAILED
        if _ < 2:
            hand.reply()
    with pytest.raises(ChangeFailedError, match="3 times"):
        hand.reply()


def test_of_two_that_may_be_ours_after_a_lost_answer_the_oldest_is_bound_and_not_owned() -> None:
    hand = ByHand(BYOC.apply(created(), Settings(list_lag_s=0)))
    hand.reply((NoAnswerError("lost"),))
    older = listed(2, at="2025-01-01T00:00:00Z")
    note = hand.rows(*rows_of(listed(1), older, columns=_COLUMNS))
    assert (settlement(note).id, settlement(note).owned) == ("c2", False)


def race(*rivals: dict[str, Any]) -> ByHand:
    hand = ByHand(BYOC.apply(created(), Settings(list_lag_s=20)))
    learnt = hand.step.settle((made(5),))
    assert (learnt.result, learnt.data, learnt.id) == (Result.UNKNOWN, {"made": "c5"}, "")
    assert isinstance(hand.reply((made(5),)), Wait)
    hand.reply()
    hand.rows(*rows_of(*rivals, columns=_COLUMNS))
    return hand


def test_the_winner_of_a_race_keeps_its_own() -> None:
    hand = race(listed(7), listed(5), listed(9, at="2026-01-02T00:00:00Z"))
    learnt = settlement(hand.step)
    assert (learnt.id, learnt.owned, learnt.data.get("loser")) == ("c5", True, None)
    hand.reply()
    assert hand.ended


def test_the_loser_binds_the_smallest_and_deletes_its_own_while_it_is_empty() -> None:
    hand = race(listed(3, at="2025-12-31T23:59:59Z"), listed(5), listed(4))
    learnt = settlement(hand.step)
    # Until it is deleted the ledger knows that it is to be: a crash here leaves nothing behind.
    assert (learnt.id, learnt.owned, learnt.data["loser"]) == ("c3", False, "c5")
    assert isinstance(hand.reply(), Scan)
    act = hand.rows()
    assert act.requests[0].parameters == {"collectionId": "c5"}
    assert act.settle((Answer(204),)).data == {"loser": ""}
    hand.reply((Answer(204),))
    assert hand.ended
    assert hand.result["id"] == "c3"


def test_a_loser_that_somebody_uses_already_stays() -> None:
    hand = race(listed(3, at="2025-12-31T23:59:59Z"), listed(5))
    hand.reply()
    note = hand.rows(("theirs",))
    assert settlement(note).data == {"loser": ""}
    hand.reply()
    assert hand.ended


def test_what_lost_a_race_and_was_not_deleted_is_deleted_by_the_next_run() -> None:
    record = Recorded(FIELDS, id="c3", owned=False, spec=collection().spec, data={"loser": "c5"})
    hand = ByHand(BYOC.refresh((Wanted(FIELDS, collection(), record),), Surroundings()))
    hand.rows(*rows_of(listed(3), listed(5), columns=_COLUMNS))
    assert isinstance(hand.step, Scan)
    hand.rows()
    found = hand.result[FIELDS]
    assert found.left == LeftBehind("c5", exists=True)
    _, left = BYOC.decide(Wanted(FIELDS, collection(), record), found, Surroundings())
    assert (left.action, left.id, left.deposed) == (Action.DELETE, "c5", True)
    hand = ByHand(BYOC.apply(left, Settings()))
    assert hand.rows().settle((Answer(204),)).data == {"loser": ""}


def test_a_left_over_with_a_strangers_tile_is_blocked() -> None:
    record = Recorded(
        FIELDS, id="c3", spec=collection().spec, data={"deposed": "c1", "deposedTiles": 1}
    )
    hand = ByHand(BYOC.refresh((Wanted(FIELDS, collection(), record),), Surroundings()))
    hand.rows(*rows_of(listed(3), listed(1), columns=_COLUMNS))
    hand.rows(("t1",), ("t2",))
    _, left = BYOC.decide(Wanted(FIELDS, collection(), record), hand.result[FIELDS], Surroundings())
    assert (left.action, left.reason) == (Action.BLOCKED, Reason.FOREIGN_MEMBERS)


@pytest.mark.parametrize(
    ("listed_now", "is_deleted"),
    [
        (("t1", "t2"), True),
        (("t2", "t1"), True),
        ((), True),
        (("t1", "stranger"), False),
        (("stranger",), False),
        (("t1", "t2", "stranger"), False),
    ],
)
def test_a_left_over_is_deleted_only_with_what_the_replacement_saw(
    listed_now: tuple[str, ...], *, is_deleted: bool
) -> None:
    """A number alone would not tell a stranger's tile from the one of ours that is gone."""
    planned = Fingerprint(("t1", "t2")).text
    record = Recorded(
        FIELDS, id="c3", spec=collection().spec, data={"deposed": "c1", "deposedTiles": planned}
    )
    hand = ByHand(BYOC.refresh((Wanted(FIELDS, collection(), record),), Surroundings()))
    hand.rows(*rows_of(listed(3), listed(1), columns=_COLUMNS))
    hand.rows(*((one,) for one in listed_now))
    _, left = BYOC.decide(Wanted(FIELDS, collection(), record), hand.result[FIELDS], Surroundings())
    assert (left.action is Action.DELETE) is is_deleted


@pytest.mark.parametrize(
    ("listed_now", "told"),
    [
        (
            ("t1", "stranger"),
            "c1 holds other tiles than when the plan was made; nothing of it was deleted: plan again",
        ),
        (
            ("t1",),
            "c1 holds other tiles than when the plan was made; nothing of it was deleted: plan again",
        ),
        (
            ("t1", "t2", "stranger"),
            "c1 holds more tiles than when the plan was made: 3, not 2; nothing of it was deleted: plan again",
        ),
    ],
)
def test_a_collection_is_not_deleted_with_others_than_the_plan_saw(
    listed_now: tuple[str, ...], told: str
) -> None:
    change = deleting("t1", "t2")
    hand = ByHand(BYOC.apply(change, Settings()))
    with pytest.raises(ChangeFailedError, match=told):
        hand.rows(*((one,) for one in listed_now))


@pytest.mark.parametrize("listed_now", [("t1", "t2"), ("t2", "t1"), ()])
def test_a_collection_goes_with_what_the_plan_saw_or_with_nothing(
    listed_now: tuple[str, ...],
) -> None:
    hand = ByHand(BYOC.apply(deleting("t1", "t2"), Settings()))
    assert isinstance(hand.rows(*((one,) for one in listed_now)), Act)


def deleting(*tiles: str) -> Change:
    """Plan to delete a collection of ours with these tiles."""
    record = Recorded(FIELDS, id="c1", owned=True, spec=collection().spec)
    ours = Surroundings(own_members={"c1": frozenset(tiles)})
    wanted = Wanted(FIELDS, None, record)
    hand = ByHand(BYOC.refresh((wanted,), ours))
    hand.rows(*rows_of(listed(1), columns=_COLUMNS))
    assert isinstance(hand.step, Together)
    (scan,) = hand.step.steps
    scan.sink(tuple((one,) for one in tiles))
    hand.reply()
    (change,) = BYOC.decide(wanted, hand.result[FIELDS], ours)
    assert change.action is Action.DELETE
    return change


def pending(**more: Any) -> Recorded:
    data = {"name": "Field imagery", "s3Bucket": "fields", "others": ["c1"]}
    intent = PendingIntent(3, "create", data, "", "plan")
    return Recorded(FIELDS, pending=(intent,), **more)


def test_a_replacements_lost_create_is_waited_for_though_the_old_one_is_listed() -> None:
    """Old and new have the same name and bucket: seeing the old one says nothing of the new."""
    record = pending(id="c1", owned=True, spec=collection().spec)
    wanted = (Wanted(FIELDS, collection(additionalData=bands(B04=B04)), record),)
    hand = ByHand(BYOC.refresh(wanted, Surroundings(list_lag_s=20)))
    assert isinstance(hand.rows(*rows_of(listed(1), columns=_COLUMNS)), Wait)
    hand.reply()
    hand.rows(*rows_of(listed(1), listed(2), columns=_COLUMNS))
    hand.rows(("t1",))
    found = hand.result[FIELDS]
    assert (found.id, found.binding, found.left.id) == ("c2", Binding.INTENT, "c1")


def test_the_tiles_of_what_was_replaced_are_remembered_when_the_new_one_is_bound() -> None:
    record = pending(id="c1", owned=True, spec=collection().spec)
    held = Fingerprint(("t1", "t2", "t3", "t4")).text
    left = LeftBehind("c1", exists=True, members=4, held=held)
    found = Observed(
        "c2",
        {"name": "Field imagery", "s3Bucket": "fields"},
        Binding.INTENT,
        left=left,
        detail="own",
    )
    change, _ = BYOC.decide(Wanted(FIELDS, collection(), record), found, Surroundings())
    learnt = settlement(ByHand(BYOC.apply(change, Settings())).step)
    assert learnt.data == {"deposed": "c1", "deposedTiles": held, "loser": "", "made": ""}


def test_an_intent_is_ours_only_when_it_certainly_is() -> None:
    surroundings = Surroundings()
    for candidates, own in (((2,), True), ((2, 3), False)):
        hand = ByHand(BYOC.refresh((Wanted(FIELDS, collection(), pending()),), surroundings))
        hand.rows(*rows_of(*(listed(n) for n in candidates), columns=_COLUMNS))
        change, *_ = BYOC.decide(
            Wanted(FIELDS, collection(), pending()), hand.result[FIELDS], surroundings
        )
        assert change.action is Action.ADOPT
        assert settlement(ByHand(BYOC.apply(change, Settings())).step).owned is own


def test_reading_binds_nothing_even_when_an_intent_is_open() -> None:
    change = Change(FIELDS, Action.READ, Reason.UNMANAGED, id="theirs", records=True)
    assert ByHand(BYOC.apply(change, Settings())).ended


def update(**stated: Any) -> Change:
    return decided(
        stating(**stated), observed(noData=7, additionalData=bands(B04={**B04, "noData": 1}))
    )


@pytest.mark.parametrize(
    ("stated", "recorded_as", "now", "happened"),
    [
        ({"name": "New"}, {}, {"name": "New", "noData": 7}, True),
        ({"name": "New"}, {}, {"noData": 7}, False),
        ({}, {"noData": 7}, {}, True),
        ({}, {"noData": 7}, {"noData": 7}, False),
        (
            {"additionalData": bands(B04=B04)},
            {"additionalData": bands(B04={**B04, "noData": 1})},
            {"additionalData": bands(B04={**B04, "noData": 1})},
            False,
        ),
        (
            {"additionalData": bands(B04=B04)},
            {"additionalData": bands(B04={**B04, "noData": 1})},
            {"additionalData": bands(B04=B04)},
            True,
        ),
    ],
)
def test_a_lost_update_is_repeated_only_if_it_did_not_happen(
    stated: Any, recorded_as: Any, now: Any, happened: bool
) -> None:
    there = observed(noData=7, additionalData=bands(B04={**B04, "noData": 1}))
    change = decided(stating(**stated), there, known(stating(**recorded_as)))
    hand = ByHand(BYOC.apply(change, Settings()))
    assert isinstance(hand.reply((NoAnswerError("lost"),)), Read)
    seen = {"id": "c1", "name": "Field imagery", "s3Bucket": "fields", **now}
    assert settlement(hand.reply(Answer(200, {"data": seen}))).result is (
        Result.DONE if happened else Result.FAILED
    )
    hand.reply()
    assert hand.ended is happened


def test_a_delete_that_finds_nothing_has_happened() -> None:
    change, *_ = BYOC.decide(
        Wanted(FIELDS, None, known(collection())), observed(0, 0), Surroundings()
    )
    hand = ByHand(BYOC.apply(change, Settings()))
    act = hand.rows()
    gone = RefusedError("not found", status=404)
    assert act.settle((gone,)).gone
    hand.reply((gone,))
    assert hand.ended


def test_a_lost_delete_is_looked_for() -> None:
    change, *_ = BYOC.decide(
        Wanted(FIELDS, None, known(collection())), observed(0, 0), Surroundings()
    )
    hand = ByHand(BYOC.apply(change, Settings()))
    hand.rows()
    assert isinstance(hand.reply((NoAnswerError("lost"),)), Read)
    note = hand.reply(RefusedError("not found", status=404))
    assert settlement(note).gone


def test_a_refusal_is_recorded_and_raised() -> None:
    hand = ByHand(BYOC.apply(update(name="New"), Settings()))
    refusal = RefusedError("no", status=400)
    learnt = hand.step.settle((refusal,))
    assert (learnt.result, learnt.status, learnt.message) == (Result.REFUSED, 400, "no")
    with pytest.raises(RefusedError):
        hand.reply((refusal,))


def test_an_answer_without_an_id_leaves_the_intent_open() -> None:
    """The next run looks for it, as for a lost answer."""
    hand = ByHand(BYOC.apply(created(), Settings(private_ledger=False)))
    assert hand.step.settle((Answer(201, None),)).result is Result.UNKNOWN
    with pytest.raises(NoAnswerError, match="run again"):
        hand.reply((Answer(201, None),))


def test_with_a_shared_ledger_nobody_races() -> None:
    hand = ByHand(BYOC.apply(created(), Settings(private_ledger=False)))
    assert hand.step.settle((made(5),)).id == "c5"
    hand.reply((made(5),))
    assert hand.ended


def test_a_collection_is_read_once_before_it_counts_as_gone() -> None:
    wanted = (Wanted(FIELDS, collection(), known(collection())),)
    hand = ByHand(BYOC.refresh(wanted, Surroundings()))
    read = hand.rows()
    assert isinstance(read, Read)
    hand.reply(Answer(200, {"data": listed(1)}))
    assert hand.result[FIELDS].binding is Binding.RECORDED


def test_addresses_bound_elsewhere_are_no_candidates() -> None:
    bound = Surroundings(bound_ids={"c1": Address("ByocCollection", "other")})
    hand = ByHand(BYOC.refresh((Wanted(FIELDS, collection(), None),), bound))
    hand.rows(*rows_of(listed(1), columns=_COLUMNS))
    assert hand.result[FIELDS] == Absent(others=("c1",))


def test_a_rival_in_a_later_level_is_a_rival() -> None:
    other = collection("second")
    hand = ByHand(
        BYOC.refresh((Wanted(FIELDS, collection(), None),), Surroundings(declared=(other,)))
    )
    hand.rows()
    assert hand.result[FIELDS] == Ambiguous((), rivals=(other.address,))


# --- checks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"additionalData": bands(B04=B04)}, []),
        ({"additionalData": bands(**{"Höhe_2": B04, "$x": B04})}, []),
        ({"additionalData": bands(**{"a-b": B04})}, ["manifest/band-name"]),
        ({"additionalData": bands(**{"4": B04})}, ["manifest/band-name"]),
        ({"additionalData": bands(**{"for": B04})}, ["manifest/band-name"]),
        (
            {"noData": 0, "additionalData": bands(B04={**B04, "noData": 0})},
            ["manifest/no-data-twice"],
        ),
        ({"noData": None, "additionalData": bands(B04={**B04, "noData": 0})}, []),
    ],
)
def test_what_a_schema_cannot_say_is_checked(stated: Any, expected: list[str]) -> None:
    assert [found.code for found in BYOC.check(stating(**stated), {})] == expected


def named(address: str, name: Unknown, *references: Reference) -> Desired:
    body = {"name": name, "s3Bucket": address}
    return replace(collection(address), spec=body, references=references)


@on_sandbox()
async def test_what_only_apply_knew_is_recorded_and_referred_to_as_it_became(world: Bench) -> None:
    """Recorded as a hole it would look like another name: a rename would go unnoticed."""
    reference = Reference(Address("ByocCollection", "fields"), ("id",))
    hole = Unknown("{{ ref('ByocCollection/fields').id }}", "ByocCollection/other", (reference,))
    other = named("other", hole, reference)
    name = Reference(Address("ByocCollection", "other"), ("name",))
    second = Unknown("{{ ref('ByocCollection/other').name }}", "ByocCollection/third", (name,))
    third = named("third", second, name)
    await done(world, collection(), other, third)
    recorded = await world.journal().recorded("sandbox")
    home = recorded[Address("ByocCollection", "fields")].id
    for address in ("other", "third"):
        assert recorded[Address("ByocCollection", address)].spec["name"] == home
    plan = (await world.plan(collection(), other, third)).plan
    assert not any(change.records for change in plan.changes)
    renamed = replace(other, address=Address("ByocCollection", "renamed"))
    assert set(codes(await world.plan(collection(), renamed))) == {"plan/probable-rename"}
