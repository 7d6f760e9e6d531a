"""A saved plan: one rule refuses the stale, the foreign and the tampered, and lets it resume."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shplan.core.address import Address
from shplan.core.change import Action, Change, MemberChange, Reason
from shplan.core.cost import calls
from shplan.core.entry import EntryDraft, Event, LedgerEntry, Result, Settlement
from shplan.core.errors import PlanError
from shplan.core.plan import Plan, PlanInputs, plan_json
from shplan.core.request import ApiRequest, Effect
from shplan.core.saved import History, history, review
from shplan.core.value import Reference, Unknown
from shplan.views.saved_plan import load_plan, save_plan

A = Address("ByocCollection", "a")
TILES = Address("ByocTiles", "a")
HOLE = Unknown("{{ ref('ByocCollection/a').id }}", "ByocTiles/a", (Reference(A, ("id",)),))


def tile(collection: Any, key: str = "t") -> MemberChange:
    request = ApiRequest(
        "createByocCollectionTile",
        "POST",
        "/t",
        Effect.CREATE,
        parameters={"collectionId": collection},
        body={"path": key},
    )
    return MemberChange(key, Action.CREATE, Reason.NOT_FOUND, request=request, operation="create")


def create(name: str = "x") -> Change:
    request = ApiRequest("createByocCollection", "POST", "/c", Effect.CREATE, body={"name": name})
    return Change(A, Action.CREATE, Reason.NOT_FOUND, requests=(request,), cost=calls(1, label="c"))


def tiles(collection: Any, *keys: str, action: Action = Action.CREATE) -> Change:
    members = tuple(tile(collection, key) for key in keys)
    return Change(TILES, action, Reason.NOT_FOUND, members=members, depends_on=(A,))


def plan(*changes: Change, deployment: str = "sandbox") -> Plan:
    return Plan(PlanInputs("p", "sandbox", deployment, "h", "0"), changes)


def test_save_then_load_is_identity() -> None:
    made = plan(create(), tiles(HOLE, "t"))
    assert load_plan(save_plan(made), name="p").document == plan_json(made)


def test_the_same_plan_passes() -> None:
    made = plan(create(), tiles(HOLE, "t", "u"))
    assert review(plan_json(made), made, History()).moved == ()


@pytest.mark.parametrize(
    ("now", "moved"),
    [
        (plan(create("y")), "its request is another one now"),
        (plan(replace(create(), prevent_destroy=True)), "its protection is another one now"),
        (plan(replace(create(), action=Action.ADOPT)), "create was reviewed, now adopt"),
        (plan(create(), tiles(HOLE, "t")), "ByocTiles/a: create was not in the reviewed plan"),
        (plan(replace(create(), cost=calls(2, label="c"))), "2 PU"),
        (plan(create(), deployment="cdse"), "this is cdse"),
    ],
)
def test_what_moved_is_refused_and_named(now: Plan, moved: str) -> None:
    (found,) = review(plan_json(plan(create())), now, History()).moved
    assert moved in found


def test_what_is_done_already_is_left_out() -> None:
    assert review(plan_json(plan(create(), tiles(HOLE, "t"))), plan(), History()).moved == ()


def test_an_id_made_under_the_digest_fits_the_hole_and_no_other_does() -> None:
    saved = plan_json(plan(create(), tiles(HOLE, "t", "u")))
    now = plan(tiles("id-1", "u", action=Action.UPDATE))
    ours = History(touched=frozenset({A, TILES}), made=frozenset({"id-1"}))
    assert review(saved, now, ours).moved == ()
    stranger = History(touched=frozenset({A, TILES}), made=frozenset({"id-2"}))
    assert review(saved, now, stranger).moved


def test_a_member_that_was_not_reviewed_is_refused() -> None:
    saved = plan_json(plan(create(), tiles(HOLE, "t")))
    (found,) = review(saved, plan(create(), tiles(HOLE, "t", "v")), History()).moved
    assert "create v was not reviewed" in found


def test_what_failed_under_a_plan_stays_failed() -> None:
    made = plan(create())
    past = History(touched=frozenset({A}), failed=frozenset({A}))
    reviewed = review(plan_json(made), made, past)
    assert reviewed.moved == ()
    assert reviewed.changes[0].action is Action.BLOCKED


def test_the_history_of_a_digest_is_read_from_the_ledger() -> None:
    def entry(draft: EntryDraft) -> LedgerEntry:
        return LedgerEntry(0, 1, "t", {}, "p", draft)

    done = Settlement(Result.DONE, id="id-1")
    refused = Settlement(Result.REFUSED, status=400)
    found = history(
        [
            entry(EntryDraft(Event.INTENT, A, plan="d")),
            entry(EntryDraft(Event.OUTCOME, A, plan="d", intent=0, settlement=done)),
            entry(EntryDraft(Event.OUTCOME, TILES, plan="d", intent=0, settlement=refused)),
            entry(
                EntryDraft(
                    Event.OUTCOME, TILES, plan="other", settlement=Settlement(Result.DONE, id="x")
                )
            ),
        ],
        "d",
    )
    assert found == History(frozenset({A, TILES}), frozenset({TILES}), frozenset({"id-1"}))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": 2}', b"\xff"])
def test_what_is_no_plan_is_refused(content: bytes) -> None:
    with pytest.raises(PlanError) as caught:
        load_plan(content, name="plan.json")
    assert caught.value.diagnostics[0].code == "plan/not-a-plan"


def test_any_change_of_the_file_is_found() -> None:
    text = save_plan(plan(create(), tiles(HOLE, "t"))).decode()
    for old, new in (
        ('"name": "x"', '"name": "y"'),
        ('"path": "t"', '"path": "u"'),
        ('"create"', '"delete"'),
        ("sandbox", "cdse"),
    ):
        with pytest.raises(PlanError):
            load_plan(text.replace(old, new).encode(), name="plan.json")
