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
from shplan.core.fingerprint import Fingerprint
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


DONE = History(touched=frozenset({A, TILES}), made=frozenset({"c1"}))


def member(operation: str, action: Action = Action.UPDATE, **more: Any) -> MemberChange:
    return replace(tile("c1"), operation=operation, action=action, **more)


def test_a_move_stands_beside_the_change_of_its_address() -> None:
    move = Change(A, Action.MOVE, Reason.RENAMED, current={"from": "ByocCollection/old"})
    made = plan(move, replace(create(), action=Action.UPDATE))
    assert review(plan_json(made), made, History()).moved == ()


@pytest.mark.parametrize("action", [Action.ADOPT, Action.UPDATE])
def test_what_is_adopted_must_be_what_was_reviewed(action: Action) -> None:
    adoption = Change(A, action, Reason.SAME_KEY, id="c1")
    if action is Action.UPDATE:
        adopts = member("adopt", Action.ADOPT, id="t1", request=None)
        adoption = replace(adoption, members=(adopts,))
        other = replace(adoption, members=(replace(adopts, id="t2"),))
    else:
        other = replace(adoption, id="c2")
    reviewed = plan_json(plan(adoption))
    assert review(reviewed, plan(adoption), History()).moved == ()
    assert len(review(reviewed, plan(other), History()).moved) == 1


def test_what_our_own_create_made_is_bound_and_a_strangers_is_not() -> None:
    """Leaving it out would close the intent and lose whose it is."""
    reviewed = plan_json(plan(create(), tiles(HOLE, "t")))
    adopted = member("adopt", Action.ADOPT, id="t1", request=None)
    now = replace(tiles("c1", action=Action.UPDATE), members=(adopted,))
    found = review(reviewed, plan(now), DONE)
    assert (found.moved, found.changes[0].members) == ((), (adopted,))
    theirs = replace(now, members=(replace(adopted, owned=False),))
    assert review(reviewed, plan(theirs), DONE).moved == ("ByocTiles/a: adopt t was not reviewed",)


def test_an_own_collection_that_was_not_recorded_is_bound() -> None:
    own = Change(A, Action.ADOPT, Reason.OWN_INTENT, id="c1")
    assert review(plan_json(plan(create())), plan(own), DONE).moved == ()
    assert review(plan_json(plan(create())), plan(own), History()).moved


def test_a_tile_whose_ingestion_failed_stays_failed_and_is_not_sent_again() -> None:
    reviewed = plan_json(plan(create(), tiles(HOLE, "t")))
    again = member("reingest", detail="no file")
    now = replace(tiles("c1", action=Action.UPDATE), members=(again,))
    found = review(reviewed, plan(now), DONE)
    assert (found.moved, found.changes[0].members) == ((), (replace(again, request=None),))


def test_what_holds_something_that_could_not_be_removed_is_not_removed() -> None:
    inner = Change(TILES, Action.DELETE, Reason.NO_LONGER_DECLARED, depends_on=(A,))
    outer = Change(A, Action.DELETE, Reason.NO_LONGER_DECLARED)
    made = plan(inner, outer)
    past = History(touched=frozenset({TILES}), failed=frozenset({TILES}))
    found = review(plan_json(made), made, past)
    assert [change.action for change in found.changes] == [Action.BLOCKED, Action.BLOCKED]
    assert [c.action for c in review(plan_json(made), made, History()).changes] == [
        Action.DELETE
    ] * 2


def test_what_a_reviewed_replacement_left_behind_is_deleted() -> None:
    post, delete = (
        ApiRequest(name, "X", "/c", Effect.DELETE, parameters={"id": "c0"})
        for name in ("post", "delete")
    )
    replacement = Change(A, Action.REPLACE, Reason.CANNOT_UPDATE, requests=(post, delete), id="c0")
    left = Change(A, Action.DELETE, Reason.CANNOT_UPDATE, requests=(delete,), id="c0", deposed=True)
    assert review(plan_json(plan(replacement)), plan(left), DONE).moved == ()
    other = replace(left, requests=(replace(delete, parameters={"id": "c9"}),))
    for reviewed, now in ((replacement, other), (create(), left)):
        (moved,) = review(plan_json(plan(reviewed)), plan(now), DONE).moved
        assert moved == "ByocCollection/a: deleting c0 was not in the reviewed plan"
    both = plan_json(plan(left))
    assert review(both, plan(left), History()).moved == ()


def test_a_hole_inside_a_body_is_filled_like_one_in_a_path() -> None:
    def nested(value: Any) -> Plan:
        request = ApiRequest("x", "POST", "/x", Effect.CREATE, body={"list": [{"id": value}, 1]})
        return plan(replace(create(), requests=(request,)))

    reviewed = plan_json(nested(HOLE))
    assert review(reviewed, nested("byoc-c1"), DONE).moved == ()
    assert review(reviewed, nested("byoc-c2"), DONE).moved
    assert review(reviewed, nested(HOLE), History()).moved == ()


def removal(held: str) -> Change:
    request = ApiRequest("delete", "DELETE", "/c", Effect.DELETE, parameters={"id": "c1"})
    reason = Reason.NO_LONGER_DECLARED
    return Change(A, Action.DELETE, reason, requests=(request,), id="c1", held=held)


@pytest.mark.parametrize(
    ("reviewed", "now", "passes"),
    [
        (("t1", "t2"), ("t2", "t1"), True),
        (("t1", "t2"), (), True),
        ((), (), True),
        (("t1", "t2"), ("t1", "t3"), False),
        (("t1", "t2"), ("t1", "t2", "t3"), False),
        ((), ("t1",), False),
    ],
)
def test_what_goes_with_a_collection_must_be_what_was_reviewed(
    reviewed: tuple[str, ...], now: tuple[str, ...], *, passes: bool
) -> None:
    """Also a file of before there were fingerprints says nothing of any tile."""
    then = removal(Fingerprint(reviewed).text)
    saved = load_plan(save_plan(plan(then)), name="plan.json").document
    moved = review(saved, plan(removal(Fingerprint(now).text)), History()).moved
    assert (not moved) is passes
    assert passes or moved == ("ByocCollection/a: what would go with it is not what was reviewed",)
