"""Batch collections: found and changed like others, and kept while a batch request refers to them."""

from __future__ import annotations

from typing import Any

import pytest

from shplan.core.address import Address
from shplan.core.change import Action, Change, Reason
from shplan.core.errors import NoAnswerError
from shplan.core.request import Answer
from shplan.core.resource import Desired, Lifecycle, Recorded
from shplan.core.value import Object, Sensitive
from shplan.providers.base import ChangeFailedError, Settings, Surroundings, Wanted
from shplan.providers.batch_collection import BatchCollection
from shplan.providers.observation import Binding, LeftBehind, Observed
from shplan.providers.steps import Act, Read
from tests.providers.support import (
    ByHand,
    codes,
    done,
    imported,
    meter_pu,
    on_sandbox,
    settled,
    the,
    unmanaged,
)
from tests.sandbox.batches_v1 import COLLECTIONS, REQUESTS, body
from tests.support.bench import Bench, FlatSource

KIND = "BatchCollection"
RESULTS = BatchCollection()
OUT = Address(KIND, "fields")
BODY: Object = {"name": "Results", "s3Bucket": "results"}


def out(*, prevent: bool = False, **spec: Any) -> Desired:
    return Desired(
        OUT, {**BODY, **spec}, FlatSource(), lifecycle=Lifecycle(prevent_destroy=prevent)
    )


async def listed(world: Bench) -> list[Any]:
    return (await world.call("GET", COLLECTIONS))["data"]


async def by_hand(world: Bench, **fields: Any) -> str:
    return (await world.call("POST", COLLECTIONS, {**BODY, **fields}))["data"]["id"]


async def filled(world: Bench, collection: str) -> str:
    """A request of somebody's that fills a collection."""
    content = body(output={"cogOutput": True, "collectionId": collection})
    return (await world.call("POST", REQUESTS, content))["id"]


@on_sandbox()
async def test_it_is_made_renamed_and_deleted_and_costs_nothing(world: Bench) -> None:
    assert the(await done(world, out()), KIND).cost.maximum_pu == 0
    await settled(world, out())
    change = the(await done(world, out(name="New")), KIND)
    assert [one.body for one in change.requests] == [{"name": "New"}]
    assert [one["name"] for one in await listed(world)] == ["New"]
    await settled(world, out(name="New"))
    await done(world)
    assert await listed(world) == []
    assert await meter_pu(world) == 0


@on_sandbox()
async def test_what_a_request_makes_of_it_is_no_difference(world: Bench) -> None:
    await done(world, out())
    (one,) = await listed(world)
    request = await filled(world, one["id"])
    await world.call("POST", f"{REQUESTS}/{request}/start")
    await world.clock.sleep(3600)
    (one,) = await listed(world)
    assert one["additionalData"]["bands"]
    await settled(world, out())
    assert (await world.plan(out())).attributes[OUT]["batchData"] == one["batchData"]


@on_sandbox()
async def test_what_a_request_refers_to_is_neither_deleted_nor_replaced(world: Bench) -> None:
    await done(world, out())
    (one,) = await listed(world)
    request = await filled(world, one["id"])
    for resources in ((), (out(s3Bucket="other"),)):
        change = the(await world.plan(*resources), KIND)
        assert (change.action, change.reason) == (Action.BLOCKED, Reason.IN_USE)
        assert request in change.notes[-1]
        assert "forget" in change.notes[-1]
    await world.call("POST", f"{REQUESTS}/{request}/cancel")
    await done(world, out(s3Bucket="other"))
    assert [one["s3Bucket"] for one in await listed(world)] == ["other"]


@on_sandbox()
async def test_others_requests_are_asked_for_only_when_something_may_go(world: Bench) -> None:
    await done(world, out())
    await filled(world, (await listed(world))[0]["id"])

    async def asked() -> int:
        made = (await world.call("GET", "/_sandbox/requests"))["requests"]
        return sum(1 for one in made if one["path"].startswith(REQUESTS) and one["method"] == "GET")

    before = await asked()
    await world.plan(out(name="New"))
    assert await asked() == before
    await world.plan()
    assert await asked() > before


@on_sandbox()
async def test_a_bucket_replaces_unless_it_is_protected(world: Bench) -> None:
    await done(world, out(prevent=True))
    change = the(await world.plan(out(prevent=True, s3Bucket="other")), KIND)
    assert [one.diagnostic.code for one in change.refusals] == ["plan/prevent-destroy"]
    change = the(await world.plan(out(s3Bucket="other")), KIND)
    assert change.action is Action.REPLACE
    assert change.counts == {}
    assert "keeps its bucket" in change.fields[0].forces


@on_sandbox()
async def test_adoption_is_not_ownership(world: Bench) -> None:
    made = await by_hand(world)
    change = the(await done(world, out()), KIND)
    assert (change.action, change.id) == (Action.ADOPT, made)
    blocked = the(await world.plan(), KIND)
    assert (blocked.action, blocked.reason) == (Action.BLOCKED, Reason.NOT_OWNED)
    await imported(world, out(), made)
    await done(world)
    assert await listed(world) == []


@on_sandbox()
async def test_two_of_one_name_and_bucket_are_a_question_for_a_person(world: Bench) -> None:
    await by_hand(world)
    await by_hand(world)
    assert codes(await world.plan(out())) == ["plan/ambiguous"]
    by_name = await world.plan(unmanaged(out(), name="Results"))
    assert codes(by_name) == ["plan/ambiguous"]


@on_sandbox()
async def test_an_unmanaged_collection_is_only_read(world: Bench) -> None:
    made = await by_hand(world)
    for reference in ({"name": "Results"}, {"id": made}):
        planned = await world.plan(unmanaged(out(), **reference))
        assert the(planned, KIND).action is Action.READ
        assert planned.attributes[OUT]["id"] == made


@on_sandbox(list_lag_s=10.0, get_lag_s=8.0)
async def test_a_404_right_after_a_create_means_not_yet(world: Bench) -> None:
    world.list_lag_s = 12.0
    await done(world, out())
    await settled(world, out())
    assert len(await listed(world)) == 1


def decided(found: Any, desired: Desired | None) -> tuple[Change, ...]:
    record = Recorded(OUT, id="c1", owned=True, spec=BODY)  # type: ignore[arg-type]
    return RESULTS.decide(Wanted(OUT, desired, record), found, Surroundings())


def test_what_a_replacement_left_behind_stays_while_a_request_refers_to_it() -> None:
    left = LeftBehind("c0", exists=True, users=("r1", "r2"))
    found = Observed("c1", {"id": "c1", **BODY}, Binding.RECORDED, left=left)
    _, change = decided(found, out())
    assert (change.action, change.reason, change.id) == (Action.BLOCKED, Reason.IN_USE, "c0")
    assert "(r1 and 1 more)" in change.notes[-1]


def test_one_that_a_request_has_filled_since_the_plan_is_not_deleted() -> None:
    """As it was planned it held nothing; what requests have put there is somebody's."""
    empty = {"id": "c1", **BODY, "additionalData": {"bands": {}}}
    found = Observed("c1", empty, Binding.RECORDED, held=RESULTS.api.held(empty))
    (change, *_) = decided(found, None)
    assert change.action is Action.DELETE
    hand = ByHand(RESULTS.apply(change, Settings()))
    assert isinstance(hand.step, Read)
    filled = {**empty, "additionalData": {"bands": {"B04": {}}}}
    with pytest.raises(ChangeFailedError, match="holds something else than when the plan was made"):
        hand.reply(Answer(200, {"data": filled}))
    hand = ByHand(RESULTS.apply(change, Settings()))
    assert isinstance(hand.reply(Answer(200, {"data": {**empty, "name": "New"}})), Act)


@pytest.mark.parametrize("content", [{"data": {"id": "c5", **BODY}}, {"id": "c5", **BODY}])
def test_an_answer_may_be_bare_or_in_data(content: Any) -> None:
    create = decided(Observed("c1", {"id": "c1", **BODY}, Binding.RECORDED), out(s3Bucket="b"))[0]
    hand = ByHand(RESULTS.apply(create, Settings(private_ledger=False)))
    assert isinstance(hand.step, Act)
    assert hand.step.settle((Answer(201, content),)).id == "c5"
    assert hand.step.settle((Answer(201, {}),)).id == ""
    hand.reply((Answer(201, content),))
    assert hand.result["id"] == "c5"


def test_a_lost_rename_is_repeated_only_if_it_did_not_happen() -> None:
    found = Observed("c1", {"id": "c1", **BODY}, Binding.RECORDED)
    (change,) = decided(found, out(name="New"))
    hand = ByHand(RESULTS.apply(change, Settings()))
    hand.reply((NoAnswerError("lost"),))
    hand.reply(Answer(200, {"data": {"id": "c1", **BODY}}))
    assert isinstance(hand.reply(), Act)
    hand.reply((NoAnswerError("lost"),))
    hand.reply(Answer(200, {"data": {"id": "c1", **BODY, "name": "New"}}))
    hand.reply()
    assert hand.ended


def test_nobody_is_found_by_a_secret() -> None:
    secret = out(name=Sensitive("env:NAME"))
    assert [one.code for one in RESULTS.check(secret, {})] == ["manifest/secret-key"]
