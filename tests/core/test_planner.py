"""Decisions that are the same for every kind, and the order of a whole plan."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from shplan.core.address import Address
from shplan.core.change import Action, Change, FieldChange, Reason, RefusalKind
from shplan.core.cost import calls
from shplan.core.diagnostic import SourceSpan
from shplan.core.plan import Plan, PlanInputs
from shplan.core.planner import (
    Found,
    assemble,
    judge_existing,
    judge_undeclared,
    steps_of,
)
from shplan.core.policy import Policies, apply_policies
from shplan.core.refusals import same_key
from shplan.core.request import ApiRequest, Effect
from shplan.core.resource import Desired, Lifecycle, Recorded
from shplan.core.value import Object, Unknown
from tests.support.bench import FlatSource

A = Address("ByocCollection", "a")
B = Address("ByocCollection", "b")
TILES = Address("ByocTiles", "a")
FORCED = FieldChange(("bucket",), "x", "y", Reason.DIFFERS, forces="it stays")
PLAIN = FieldChange(("name",), "x", "y", Reason.DIFFERS)
OURS = Found(by_ledger=True, by_intent=False, owned=True)


def desired(*, prevent: bool = False) -> Desired:
    return Desired(A, {"name": "y"}, FlatSource(), lifecycle=Lifecycle(prevent_destroy=prevent))


@pytest.mark.parametrize(
    ("found", "fields", "action", "reason"),
    [
        (OURS, (), Action.NOOP, Reason.UP_TO_DATE),
        (OURS, (PLAIN,), Action.UPDATE, Reason.DIFFERS),
        (OURS, (FORCED,), Action.REPLACE, Reason.CANNOT_UPDATE),
        (replace(OURS, owned=False), (FORCED,), Action.BLOCKED, Reason.NOT_OWNED),
        (replace(OURS, foreign_members=3), (FORCED,), Action.BLOCKED, Reason.FOREIGN_MEMBERS),
        (Found(by_ledger=False, by_intent=True, owned=True), (), Action.ADOPT, Reason.OWN_INTENT),
        (Found(by_ledger=False, by_intent=False, owned=False), (), Action.ADOPT, Reason.SAME_KEY),
        (
            Found(by_ledger=False, by_intent=False, owned=False),
            (FORCED,),
            Action.BLOCKED,
            Reason.NOT_OWNED,
        ),
    ],
)
def test_an_object_that_is_declared_and_exists(found, fields, action, reason) -> None:
    verdict = judge_existing(
        desired(), Recorded(A, spec={"name": "y"}), found, fields, stated={"name": "y"}
    )
    assert (verdict.action, verdict.reason) == (action, reason)


@pytest.mark.parametrize("where", ["manifest", "ledger"])
def test_a_protection_in_either_place_forbids_replacing(where: str) -> None:
    recorded = Recorded(A, prevent_destroy=where == "ledger")
    verdict = judge_existing(
        desired(prevent=where == "manifest"), recorded, OURS, (FORCED,), stated={}
    )
    assert [refusal.kind for refusal in verdict.refusals] == [RefusalKind.PROTECTED]


def test_taking_a_protection_away_is_a_change_of_its_own() -> None:
    recorded = Recorded(A, prevent_destroy=True, spec={"name": "y"})
    verdict = judge_existing(desired(), recorded, OURS, (), stated={"name": "y"})
    assert (verdict.action, verdict.reason) == (Action.UPDATE, Reason.PROTECTION_CHANGED)


def test_the_protection_outlives_the_manifest() -> None:
    verdict = judge_undeclared(Recorded(A, prevent_destroy=True, owned=True), OURS)
    assert verdict.action is Action.DELETE
    assert [refusal.kind for refusal in verdict.refusals] == [RefusalKind.PROTECTED]


def change(address: Address, action: Action, **more: object) -> Change:
    reason = Reason.NO_LONGER_DECLARED if action is Action.DELETE else Reason.NOT_FOUND
    return replace(Change(address, action, reason), **more)


def test_a_probable_rename_is_refused_with_the_entry_to_paste() -> None:
    gone = change(A, Action.DELETE, record={"name": "x", "s3Bucket": "one"})
    new = change(B, Action.CREATE, record={"name": "x", "s3Bucket": "two"})
    (refused,) = [c for c in assemble((gone, new), moved={}) if c.refusals]
    assert refused.address == A
    assert f"from: {A}, to: {B}" in refused.refusals[0].diagnostic.hint


def test_different_objects_are_no_rename() -> None:
    gone = change(A, Action.DELETE, record={"name": "x"})
    new = change(B, Action.CREATE, record={"name": "y"})
    assert not any(c.refusals for c in assemble((gone, new), moved={}))


def test_what_depends_on_something_blocked_is_blocked() -> None:
    blocked = change(A, Action.BLOCKED)
    tiles = change(TILES, Action.CREATE, depends_on=(A,))
    found = {c.address: c for c in assemble((tiles, blocked), moved={})}
    assert found[TILES].action is Action.BLOCKED
    assert found[TILES].reason is Reason.DEPENDENCY_BLOCKED


def test_building_comes_first_and_deletes_run_backwards() -> None:
    changes = (
        change(A, Action.DELETE),
        change(TILES, Action.DELETE, depends_on=(A,)),
        change(B, Action.CREATE, record={"name": "b"}),
    )
    for seed in range(6):
        shuffled = random.Random(seed).sample(changes, len(changes))
        assert [c.address for c in assemble(shuffled, moved={})] == [B, TILES, A]


def test_a_replacement_creates_first_and_deletes_the_old_one_last() -> None:
    post = ApiRequest("create", "POST", "/c", Effect.CREATE)
    delete = ApiRequest("delete", "DELETE", "/c/1", Effect.DELETE)
    new, old = steps_of(change(A, Action.REPLACE, requests=(post, delete), id="1"))
    assert (new.requests, new.deposed) == ((post,), False)
    assert (old.requests, old.deposed, old.action) == ((delete,), True, Action.DELETE)


def plan(*changes: Change, head: str = "h") -> Plan:
    return Plan(PlanInputs("p", "sandbox", "sandbox", head, "0"), changes)


def test_the_digest_names_what_would_be_done_and_nothing_else() -> None:
    one = change(
        A, Action.CREATE, requests=(ApiRequest("c", "POST", "/c", Effect.CREATE, body={"n": 1}),)
    )
    other = replace(one, requests=(ApiRequest("c", "POST", "/c", Effect.CREATE, body={"n": 2}),))
    told = replace(
        one, notes=("a note",), source=SourceSpan("f", 1, 1, 2), cost=calls(3, label="x")
    )
    assert plan(one).digest == plan(told).digest
    assert plan(one).digest != plan(other).digest
    assert plan(one).digest != plan(one, head="i").digest
    assert plan(one).digest != plan(replace(one, prevent_destroy=True)).digest


@pytest.mark.parametrize(
    ("policies", "code"),
    [
        (Policies(), None),
        (Policies(budget_max_pu=5), None),
        (Policies(budget_max_pu=4.9), "plan/budget"),
        (Policies(most_deletions=3), None),
        (Policies(most_deletions=2), "plan/deletions"),
        (Policies(most_deleted_share=0.0), "plan/deletions"),
        (Policies(most_deleted_share=1.0), None),
    ],
)
def test_policies_refuse_with_five(policies: Policies, code: str | None) -> None:
    delete = ApiRequest("d", "DELETE", "/c/1", Effect.DELETE)
    gone = change(
        A,
        Action.DELETE,
        requests=(delete,),
        counts={"tiles deleted with it": 2},
        cost=calls(1, label="d"),
    )
    made = change(B, Action.CREATE, cost=calls(4, label="c"))
    found = plan(*apply_policies((made, gone), policies))
    assert [refusal.diagnostic.code for refusal in found.refusals] == ([code] if code else [])
    assert found.exit_code() == (5 if code else 0)


def test_a_rename_is_found_by_name_or_by_everything_else_and_in_any_order() -> None:
    old = Change(A, Action.DELETE, Reason.NO_LONGER_DECLARED, record={"name": "x", "s3Bucket": "b"})
    named = Change(B, Action.CREATE, Reason.NOT_FOUND, record={"name": "x", "s3Bucket": "other"})
    for changes in ((old, named), (named, old)):
        (refused,) = [c for c in assemble(changes, moved={}) if c.refusals]
        assert refused.address == A
    equal = {"collection": "c1", "paths": "sha256:0"}
    gone = Change(TILES, Action.DELETE, Reason.NO_LONGER_DECLARED, record=equal)
    new = Change(Address("ByocTiles", "b"), Action.ADOPT, Reason.SAME_KEY, record=dict(equal))
    assert [c.address for c in assemble((gone, new), moved={}) if c.refusals] == [TILES]


def test_what_moved_names_is_not_deleted_because_its_new_address_is_taken() -> None:
    old = change(A, Action.DELETE, record={"name": "x"})
    for action in (Action.NOOP, Action.UPDATE, Action.CREATE):
        (refused,) = [c for c in assemble((old, change(B, action)), moved={A: B}) if c.refusals]
        assert refused.address == A
        assert refused.refusals[0].diagnostic.code == "plan/moved-onto"
    both = (old, change(B, Action.DELETE, record={"name": "y"}))
    assert not any(c.refusals for c in assemble(both, moved={A: B}))


KEYS = {"ByocCollection": ("name", "s3Bucket")}


@pytest.mark.parametrize("first", [Action.CREATE, Action.REPLACE])
@pytest.mark.parametrize("second", [Action.CREATE, Action.REPLACE])
def test_two_that_make_one_object_are_both_refused(first: Action, second: Action) -> None:
    record = {"name": "x", "s3Bucket": "b"}
    one = replace(change(A, first), record=record)
    other = replace(change(B, second, depends_on=(A,)), record=record)
    found = assemble((one, other), moved={}, natural_keys=KEYS)
    said = {c.address: [r.diagnostic.what for r in c.refusals] for c in found}
    assert [str(B) in what for what in said[A]] == [True]
    assert [str(A) in what for what in said[B]] == [True]
    assert {r.kind for c in found for r in c.refusals} == {RefusalKind.PROTECTED}


@pytest.mark.parametrize(
    ("action", "record"),
    [
        (Action.UPDATE, {"name": "x", "s3Bucket": "b"}),
        (Action.NOOP, {"name": "x", "s3Bucket": "b"}),
        (Action.CREATE, {"name": "x", "s3Bucket": "c"}),
        (Action.CREATE, {"name": "x"}),
        (Action.CREATE, {"name": Unknown("{{ a }}", "x", ()), "s3Bucket": "b"}),
    ],
)
def test_what_binds_an_object_of_its_own_makes_none(action: Action, record: Object) -> None:
    one = replace(change(A, Action.CREATE), record={"name": "x", "s3Bucket": "b"})
    other = replace(change(B, action), record=record)
    found = assemble((one, other), moved={}, natural_keys=KEYS)
    assert not any(c.refusals for c in found)


def test_what_a_replacement_left_behind_and_what_says_nothing_is_no_rename() -> None:
    left = Change(A, Action.DELETE, Reason.CANNOT_UPDATE, record={"name": "x"}, deposed=True)
    empty = Change(A, Action.DELETE, Reason.NO_LONGER_DECLARED)
    new = Change(B, Action.CREATE, Reason.NOT_FOUND, record={"name": "x"})
    for old in (left, empty):
        assert not any(c.refusals for c in assemble((old, new), moved={}))


@pytest.mark.timeout(20)
def test_renames_are_looked_for_in_linear_time() -> None:
    many = [
        Change(
            Address("ByocCollection", f"{action.value}-{n}"),
            action,
            Reason.DIFFERS,
            record={"name": f"{action.value}-{n}"},
        )
        for n in range(3000)
        for action in (Action.DELETE, Action.CREATE)
    ]
    assert len(assemble(many, moved={})) == 6000


def test_new_dependencies_are_recorded_for_the_order_of_a_later_delete() -> None:
    for before, records in (((), True), ((B,), False)):
        known = Recorded(A, spec={"name": "y"}, depends_on=before)
        wanted = replace(desired(), depends_on=(B,))
        verdict = judge_existing(wanted, known, OURS, (), stated={"name": "y"})
        assert (verdict.action, verdict.records) == (Action.NOOP, records)


def test_an_adopted_object_that_nobody_declares_says_what_to_do() -> None:
    verdict = judge_undeclared(Recorded(A), replace(OURS, owned=False))
    assert verdict.action is Action.BLOCKED
    assert "shplan import" in verdict.notes[0]
    assert "forget" in verdict.notes[0]


def test_two_resources_of_one_key_name_each_other() -> None:
    refusal = same_key(A, [B])
    assert refusal.kind is RefusalKind.PROTECTED
    assert refusal.diagnostic.what.startswith("ByocCollection/a and ByocCollection/b ")
