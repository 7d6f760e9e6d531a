"""Zarr collections: what an import does by itself is waited for, and what fails is done once more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shplan.core.address import Address
from shplan.core.change import Action, Change, Reason
from shplan.core.drift import has_drifted
from shplan.core.entry import Event, Result
from shplan.core.errors import NoAnswerError, UndecidedError
from shplan.core.request import Answer
from shplan.core.resource import Desired, Lifecycle, Recorded
from shplan.core.status import statuses
from shplan.core.value import Object, Reference, Sensitive, Unknown, digest
from shplan.engine.runs import Applied
from shplan.providers.base import ChangeFailedError, Settings, Surroundings, Wanted
from shplan.providers.observation import Absent, Binding, Observed
from shplan.providers.steps import Act, Note, Read, Scan, Wait
from shplan.providers.zarr_collection import ZarrCollection
from tests.providers.support import (
    ByHand,
    apply_after,
    codes,
    done,
    imported,
    meter_pu,
    on_sandbox,
    settled,
    the,
    unmanaged,
)
from tests.sandbox.zarrs import PATH, write_array, write_group
from tests.support.bench import Bench, FlatSource, collection

KIND = "ZarrCollection"
ZARRS = "/zarr/v1/collections"
ZARR = ZarrCollection()
CUBE = Address(KIND, "fields")
BODY: Object = {"name": "Cube", "s3Bucket": "cubes", "path": PATH, "crs": "EPSG:32633"}


def cube(*, prevent: bool = False, **spec: Any) -> Desired:
    return Desired(
        CUBE,
        {**BODY, **spec},
        FlatSource(),
        lifecycle=Lifecycle(prevent_destroy=prevent),
    )


def group(world: Bench, path: str = PATH) -> Path:
    return write_group(world.buckets / "cubes", path=path)


async def cubes(world: Bench) -> list[Any]:
    return (await world.call("GET", ZARRS))["data"]


async def by_hand(world: Bench, **fields: Any) -> str:
    return (await world.call("POST", ZARRS, {**BODY, **fields}))["data"]["id"]


def messages(applied: Applied) -> list[str]:
    assert applied.report is not None
    return [result.message for result in applied.report.results if result.message]


# --- on the sandbox -------------------------------------------------------------------------------


@on_sandbox()
async def test_a_create_waits_until_the_group_is_ingested(world: Bench) -> None:
    group(world)
    applied = await done(world, cube())
    assert the(applied, KIND).cost.maximum_pu == 1
    assert [one["status"] for one in await cubes(world)] == ["INGESTED"]
    assert await meter_pu(world) == 1
    await settled(world, cube())


@on_sandbox()
async def test_what_refers_to_the_arrays_waits_for_them(world: Bench) -> None:
    group(world)
    reference = Reference(CUBE, ("arrays",))
    names = Unknown("{{ ref('ZarrCollection/fields').arrays }}", "x", (reference,))
    beside = replace(collection("beside"), references=(reference,))
    beside = replace(beside, spec={"name": names, "s3Bucket": "b"})
    planned = await world.plan(cube(), beside)
    assert the(planned, "ByocCollection", "beside").record["name"] == names
    # A list is no name: the service refuses it, which shows that it was filled.
    applied = await world.apply(cube(), beside)
    assert applied.report is not None
    assert applied.planned.attributes == {}
    assert (await world.plan(cube())).attributes[CUBE]["arrays"] == ["B04", "B08"]


@on_sandbox()
async def test_a_failed_import_is_a_failed_change_and_the_next_one_repeats_it(world: Bench) -> None:
    applied = await world.apply(cube())
    assert applied.report is not None
    assert applied.report.exit_code() == 3
    assert "ingestion failed: The bucket cubes does not exist" in messages(applied)[0]
    planned = await world.plan(cube())
    change = the(planned, KIND)
    assert (change.action, change.reason) == (Action.UPDATE, Reason.IMPORT_FAILED)
    assert [request.operation for request in change.requests] == ["reingestZarrCollectionById"]
    assert change.cost.maximum_pu == 1
    assert has_drifted(change)
    assert "does not exist" in change.notes[0]
    assert "Repair the group" in change.notes[1]
    # Nothing is known that a reference could ask for but its id.
    assert CUBE not in planned.attributes
    group(world)
    await done(world, cube())
    assert await meter_pu(world) == 2
    assert len(await cubes(world)) == 1
    await settled(world, cube())


@on_sandbox()
async def test_a_rename_of_a_failed_import_repeats_it_as_well(world: Bench) -> None:
    await world.apply(cube())
    group(world)
    change = the(await world.plan(cube(name="New")), KIND)
    assert [one.operation for one in change.requests] == [
        "updateZarrCollectionById",
        "reingestZarrCollectionById",
    ]
    assert change.cost.maximum_pu == 2
    await done(world, cube(name="New"))
    (one,) = await cubes(world)
    assert (one["name"], one["status"]) == ("New", "INGESTED")
    assert await meter_pu(world) == 3


@on_sandbox()
async def test_an_import_under_way_is_waited_for_and_not_sent_round_again(world: Bench) -> None:
    group(world)
    await by_hand(world)
    planned = await world.plan(cube())
    change = the(planned, KIND)
    assert (change.action, change.waits) == (Action.ADOPT, True)
    assert CUBE not in planned.attributes
    await done(world, cube())
    assert [one["status"] for one in await cubes(world)] == ["INGESTED"]
    assert await meter_pu(world) == 1
    await settled(world, cube())


@on_sandbox(zarr_ingesting_s=60.0)
async def test_what_is_not_over_in_time_is_resumed_by_the_same_command(world: Bench) -> None:
    group(world)
    await done(world, cube())
    (one,) = await cubes(world)
    await world.call("PUT", f"{ZARRS}/{one['id']}/reingest")
    planned = await world.plan(cube())
    change = the(planned, KIND)
    assert (change.action, change.waits) == (Action.NOOP, True)
    assert [status.state for status in statuses(planned.plan)] == ["ingesting"]
    # What was ingested before stays known.
    assert planned.attributes[CUBE]["arrays"] == ["B04", "B08"]
    await done(world, cube())
    assert [one["status"] for one in await cubes(world)] == ["INGESTED"]


@on_sandbox()
async def test_what_the_service_left_out_of_an_import_is_told(world: Bench) -> None:
    folder = group(world)
    write_array(folder, "B11", [[1, 2], [3, 4]], dimensions=["y", "x"])
    await done(world, cube())
    planned = await world.plan(cube())
    assert the(planned, KIND).action is Action.NOOP
    (status,) = statuses(planned.plan)
    assert status.state == "up to date"
    assert "B11" in status.detail
    assert planned.attributes[CUBE]["arrays"] == ["B04", "B08"]


@pytest.mark.parametrize("field", ["s3Bucket", "path", "crs"])
def test_everything_but_the_name_replaces(field: str) -> None:
    other = {"s3Bucket": "other", "path": "other.zarr/", "crs": "EPSG:3857"}
    change = decided(cube(**{field: other[field]}))
    assert (change.action, change.reason) == (Action.REPLACE, Reason.CANNOT_UPDATE)
    assert change.cost.maximum_pu == 2
    assert change.counts == {}
    kept = decided(cube(prevent=True, **{field: other[field]}))
    assert [one.diagnostic.code for one in kept.refusals] == ["plan/prevent-destroy"]


@pytest.mark.parametrize(
    "spelled",
    ["http://www.opengis.net/def/crs/EPSG/0/32633", "urn:ogc:def:crs:EPSG::32633", "EPSG:32633"],
)
def test_a_crs_may_be_spelled_in_any_way(spelled: str) -> None:
    assert decided(cube(crs=spelled)).action is Action.NOOP
    assert codes_of(cube(crs=spelled)) == []


def test_an_update_carries_the_name_alone() -> None:
    (put,) = decided(cube(name="New")).requests
    assert (put.method, put.body) == ("PUT", {"name": "New"})


@on_sandbox()
async def test_a_replacement_imports_the_new_group_and_then_deletes_the_old_one(
    world: Bench,
) -> None:
    group(world)
    await done(world, cube())
    (old,) = await cubes(world)
    group(world, "other.zarr/")
    await done(world, cube(path="other.zarr/"))
    (new,) = await cubes(world)
    assert new["id"] != old["id"]
    assert (new["path"], new["status"]) == ("other.zarr/", "INGESTED")
    assert await meter_pu(world) == 3
    await settled(world, cube(path="other.zarr/"))


@on_sandbox()
async def test_a_replacement_whose_import_fails_keeps_what_can_be_read(world: Bench) -> None:
    group(world)
    await done(world, cube())
    (old,) = await cubes(world)
    applied = await world.apply(cube(path="other.zarr/"))
    assert applied.report is not None
    assert applied.report.exit_code() == 3
    assert {one["status"] for one in await cubes(world)} == {"INGESTED", "FAILED"}
    group(world, "other.zarr/")
    await done(world, cube(path="other.zarr/"))
    (new,) = await cubes(world)
    assert new["id"] != old["id"]
    assert new["status"] == "INGESTED"
    await settled(world, cube(path="other.zarr/"))


@on_sandbox()
async def test_adoption_is_not_ownership(world: Bench) -> None:
    group(world)
    made = await by_hand(world)
    change = the(await done(world, cube()), KIND)
    assert (change.action, change.reason, change.id) == (Action.ADOPT, Reason.SAME_KEY, made)
    for resources in ((), (cube(path="other.zarr/"),)):
        blocked = the(await world.plan(*resources), KIND)
        assert (blocked.action, blocked.reason) == (Action.BLOCKED, Reason.NOT_OWNED)
    await imported(world, cube(), made)
    await done(world)
    assert await cubes(world) == []


@on_sandbox()
async def test_only_name_bucket_and_path_together_are_the_same_collection(world: Bench) -> None:
    group(world)
    group(world, "other.zarr/")
    await by_hand(world, path="other.zarr/")
    assert the(await done(world, cube()), KIND).action is Action.CREATE
    await by_hand(world)
    await done(world)
    assert len(await cubes(world)) == 2
    await by_hand(world)
    assert codes(await world.plan(cube())) == ["plan/ambiguous"]


@on_sandbox()
async def test_a_protection_forbids_the_delete(world: Bench) -> None:
    group(world)
    await done(world, cube(prevent=True))
    planned = await world.plan()
    assert codes(planned) == ["plan/prevent-destroy"]
    await done(world, cube())
    await done(world)
    assert await cubes(world) == []


@on_sandbox()
async def test_an_unmanaged_collection_is_only_read(world: Bench) -> None:
    group(world)
    made = await by_hand(world)
    spent = await meter_pu(world)
    await world.clock.sleep(10)
    for reference in ({"name": "Cube"}, {"id": made}):
        planned = await world.plan(unmanaged(cube(), **reference))
        assert the(planned, KIND).action is Action.READ
        assert planned.attributes[CUBE]["arrays"] == ["B04", "B08"]
        await done(world, unmanaged(cube(), **reference))
    assert await meter_pu(world) == spent
    missing = the(await world.plan(unmanaged(cube(), name="Nobody")), KIND)
    assert (missing.action, missing.reason) == (Action.BLOCKED, Reason.NOT_FOUND)


@on_sandbox()
async def test_an_unmanaged_collection_is_waited_for_and_never_sent_round(world: Bench) -> None:
    made = await by_hand(world)
    reference = unmanaged(cube(), id=made)
    planned = await world.plan(reference)
    assert (the(planned, KIND).action, the(planned, KIND).waits) == (Action.READ, True)
    assert CUBE not in planned.attributes
    applied = await world.apply(reference)
    assert applied.report is not None
    assert applied.report.exit_code() == 3
    failed = the(await world.plan(reference), KIND)
    assert (failed.action, failed.reason) == (Action.BLOCKED, Reason.IMPORT_FAILED)
    assert "never repeats an ingestion" in failed.notes[-1]
    group(world)
    await world.call("PUT", f"{ZARRS}/{made}/reingest")
    await done(world, reference)
    assert [one["status"] for one in await cubes(world)] == ["INGESTED"]
    assert await meter_pu(world) == 2
    assert not await world.journal().recorded("sandbox")


@on_sandbox(list_lag_s=10.0, get_lag_s=8.0)
async def test_a_404_right_after_a_create_means_not_yet(world: Bench) -> None:
    world.list_lag_s = 12.0
    group(world)
    await done(world, cube())
    await settled(world, cube())
    assert len(await cubes(world)) == 1


@on_sandbox()
async def test_what_somebody_deletes_meanwhile_is_told(world: Bench) -> None:
    group(world)
    await done(world, cube())
    (one,) = await cubes(world)
    renamed = cube(name="New")

    async def gone() -> None:
        await world.call("DELETE", f"{ZARRS}/{one['id']}")

    applied = await apply_after(world, gone, renamed)
    assert applied.report is not None
    assert applied.report.exit_code() == 3
    await done(world, renamed)
    assert [one["name"] for one in await cubes(world)] == ["New"]


async def imported_meanwhile(world: Bench, *, replaced: bool) -> None:
    """Delete or replace a collection that somebody adds an array to after the plan."""
    group(world)
    group(world, "other.zarr/")
    await done(world, cube())
    (one,) = await cubes(world)
    wanted = [cube(path="other.zarr/")] if replaced else []

    async def imported_more() -> None:
        write_group(world.buckets / "cubes", bands=("B04", "B08", "B12"))
        await world.call("PUT", f"{ZARRS}/{one['id']}/reingest")
        await world.clock.sleep(60.0)

    applied = await apply_after(world, imported_more, *wanted)
    assert applied.report is not None
    assert applied.report.exit_code() == 3
    assert (
        f"collection {one['id']} holds something else than when the plan was made"
        in (messages(applied)[-1])
    )
    assert one["id"] in [left["id"] for left in await cubes(world)]
    if replaced:
        # The new one is there; of the old one the next plan says what is the matter, and no more.
        left = (await world.plan(*wanted)).plan.changes[-1]
        assert (left.action, left.reason) == (Action.BLOCKED, Reason.CONTENTS_CHANGED)
        assert "delete it there by hand" in left.notes[-1]
        await world.call("DELETE", f"{ZARRS}/{one['id']}")
        await done(world, *wanted)
    else:
        await done(world)
    assert len(await cubes(world)) == len(wanted)
    await settled(world, *wanted)


@on_sandbox()
async def test_what_somebody_imports_meanwhile_is_not_deleted(world: Bench) -> None:
    """The plan showed that these arrays go, and no others."""
    await imported_meanwhile(world, replaced=False)


@on_sandbox()
async def test_nor_with_what_replaces_it(world: Bench) -> None:
    await imported_meanwhile(world, replaced=True)


# --- by hand --------------------------------------------------------------------------------------


def observed(status: str = "INGESTED", **fields: Any) -> Observed:
    attributes: Object = {"id": "c1", **BODY, "status": status, **fields}
    return Observed("c1", attributes, Binding.RECORDED)


def decided(desired: Desired, found: Any = None) -> Change:
    record = Recorded(desired.address, id="c1", owned=True, spec=BODY)  # type: ignore[arg-type]
    found = observed() if found is None else found
    (change, *_) = ZARR.decide(Wanted(desired.address, desired, record), found, Surroundings())
    return change


def answer(status: str, **fields: Any) -> Answer:
    return Answer(200, {"data": {"id": "c1", **BODY, "status": status, **fields}})


CAUSE = "no group there"


def repeating() -> ByHand:
    change = decided(cube(), observed("FAILED", ingestionErrors=CAUSE))
    hand = ByHand(ZARR.apply(change, Settings(list_lag_s=0)))
    # What is recorded is told first: nothing of it is lost if the request is.
    assert isinstance(hand.step, Note)
    assert isinstance(hand.reply(), Act)
    assert hand.step.operation == "reingest"
    assert hand.step.data == {"id": "c1", "failed": digest({"cause": CAUSE})}
    return hand


@pytest.mark.parametrize("status", ["CREATED", "INGESTING", "INGESTED"])
def test_a_lost_answer_is_looked_for_and_paid_once(status: str) -> None:
    hand = repeating()
    assert hand.step.settle((NoAnswerError("lost"),)).result is Result.UNKNOWN
    assert isinstance(hand.reply((NoAnswerError("lost"),)), Read)
    note = hand.reply(answer(status))
    assert (note.event, note.settlement.result) == (Event.OUTCOME, Result.DONE)
    assert isinstance(hand.reply(), Read)


def test_another_cause_shows_that_it_was_tried_again() -> None:
    hand = repeating()
    hand.reply((NoAnswerError("lost"),))
    note = hand.reply(answer("FAILED", ingestionErrors="an array is broken"))
    assert (note.event, note.settlement.result) == (Event.OUTCOME, Result.DONE)
    hand.reply()
    with pytest.raises(ChangeFailedError, match="an array is broken"):
        hand.reply(answer("FAILED", ingestionErrors="an array is broken"))


def test_one_that_fails_as_before_is_not_sent_again_but_asked_about() -> None:
    hand = repeating()
    hand.reply((NoAnswerError("lost"),))
    failed = answer("FAILED", ingestionErrors=CAUSE)
    assert isinstance(hand.reply(failed), Wait)
    assert isinstance(hand.reply(), Read)
    with pytest.raises(UndecidedError, match="shplan import 'ZarrCollection/fields' c1"):
        hand.reply(failed)


@on_sandbox(zarr_ingesting_s=0.0)
async def test_a_lost_repetition_that_fails_again_is_paid_once_and_then_decided(
    world: Bench,
) -> None:
    """The answer is lost and the group is broken still: nothing is sent until a person has looked."""
    await world.apply(cube())
    await world.call("POST", "/_sandbox/faults", {"kind": "lost-answer", "path": ".*/reingest"})
    applied = await world.apply(cube())
    assert applied.report is not None
    assert applied.report.exit_code() == 7
    assert await meter_pu(world) == 2
    for _ in range(2):
        planned = await world.plan(cube())
        change = the(planned, KIND)
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.REPEAT_UNKNOWN)
        assert (planned.plan.exit_code(), change.requests, change.cost.maximum_pu) == (7, (), 0)
        await world.apply(cube())
    assert await meter_pu(world) == 2
    (one,) = await cubes(world)
    group(world)
    await imported(world, cube(), one["id"])
    assert the(await world.plan(cube()), KIND).reason is Reason.IMPORT_FAILED
    await done(world, cube())
    assert await meter_pu(world) == 3
    await settled(world, cube())


def test_who_waits_for_an_import_lets_go_of_the_ledger() -> None:
    hand = repeating()
    hand.reply((answer("INGESTING"),))
    assert isinstance(hand.step, Read)
    hand.reply(answer("INGESTING"))
    wait = hand.reply()
    assert isinstance(wait, Wait)
    assert wait.looks
    hand.reply()
    hand.reply(answer("INGESTED", additionalData={"bands": {"B04": {}}}))
    hand.reply()
    assert hand.ended
    assert (hand.result["id"], hand.result["arrays"]) == ("c1", ["B04"])


def test_an_import_without_end_is_given_up_and_can_be_resumed() -> None:
    change = decided(cube(), observed("INGESTING"))
    hand = ByHand(ZARR.apply(change, Settings(timeout_s=4, poll_s=2)))
    for _ in range(2):
        hand.reply(answer("INGESTING"))
        hand.reply()
        hand.reply()
    with pytest.raises(ChangeFailedError, match="the same command resumes"):
        hand.reply(answer("INGESTING"))


def test_a_collection_that_vanishes_is_not_waited_for_for_ever() -> None:
    change = decided(cube(), observed("INGESTING"))
    hand = ByHand(ZARR.apply(change, Settings(list_lag_s=2, poll_s=2)))
    for _ in range(2):
        hand.reply(Answer(200, {}))
        hand.reply()
        hand.reply()
    with pytest.raises(ChangeFailedError, match="is gone"):
        hand.reply(Answer(200, {}))


def test_the_intent_of_a_create_names_bucket_and_path() -> None:
    hand = ByHand(ZARR.apply(decided(cube(), Absent(others=("c0",))), Settings()))
    named = {name: BODY[name] for name in ("name", "s3Bucket", "path")}
    assert hand.step.data == {**named, "others": ["c0"]}
    hand.reply((NoAnswerError("lost"),))
    hand.reply()
    assert isinstance(hand.step, Scan)


# --- checks ---------------------------------------------------------------------------------------


def codes_of(desired: Desired) -> list[str]:
    return [one.code for one in ZARR.check(desired, {})]


@pytest.mark.parametrize(
    ("stated", "code", "hint"),
    [
        ({"path": "fields.zarr"}, "manifest/zarr-path", "write `path: fields.zarr/`"),
        ({"path": "/fields.zarr/"}, "manifest/zarr-path", "write `path: fields.zarr/`"),
        ({"path": "s3://cubes/a/b.zarr"}, "manifest/zarr-path", "write `path: a/b.zarr/`"),
        ({"crs": "EPSG:31370"}, "manifest/zarr-crs", "state the CRS that the group is stored in"),
        ({"crs": "32633"}, "manifest/zarr-crs", "write `crs: EPSG:32633`"),
        ({"crs": "WGS 84"}, "manifest/zarr-crs", "state the CRS that the group is stored in"),
        ({"path": Sensitive("env:P")}, "manifest/secret-key", "use a variable"),
    ],
)
def test_what_a_schema_cannot_say_is_checked(stated: dict[str, Any], code: str, hint: str) -> None:
    (found,) = ZARR.check(cube(**stated), {})
    assert (found.code, found.hint) == (code, hint)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:3035", "EPSG:32760", "OGC:CRS84"])
def test_every_crs_that_is_imported_is_accepted(crs: str) -> None:
    assert codes_of(cube(crs=crs)) == []


def test_what_is_not_known_yet_is_not_judged() -> None:
    unknown = Unknown("{{ ref('ByocCollection/a').id }}/", "x", ())
    assert codes_of(cube(path=unknown, crs=unknown)) == []
