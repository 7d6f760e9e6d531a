"""The digest of a plan: it changes with everything that matters, and with nothing else."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from shplan.core.address import Address
from shplan.core.change import Action, Change, FieldChange, MemberChange, Reason
from shplan.core.cost import calls
from shplan.core.plan import Plan, PlanInputs, addresses, plan_json
from shplan.core.planner import assemble
from shplan.core.request import ApiRequest, Effect
from shplan.core.value import SecretReference, Sensitive, canonical

A, B, C = (Address("ByocCollection", name) for name in "abc")
TILES = Address("ByocTiles", "a")
PUT = ApiRequest("update", "PUT", "/c/{id}", Effect.UPDATE, {"id": "c1"}, body={"name": "x"})
MEMBER = MemberChange("t", Action.UPDATE, Reason.DIFFERS, id="t1", request=PUT, operation="update")
CHANGE = Change(A, Action.UPDATE, Reason.DIFFERS, requests=(PUT,), members=(MEMBER,), id="c1")
INPUTS = PlanInputs("p", "sandbox", "sandbox", "head", "0")


def digest(change: Change = CHANGE, inputs: PlanInputs = INPUTS) -> str:
    return Plan(inputs, (change,)).digest


@pytest.mark.parametrize(
    "other",
    [
        replace(CHANGE, address=B),
        replace(CHANGE, action=Action.REPLACE),
        replace(CHANGE, deposed=True),
        replace(CHANGE, prevent_destroy=True),
        replace(CHANGE, requests=(replace(PUT, body={"name": "y"}),)),
        replace(CHANGE, requests=(replace(PUT, parameters={"id": "c2"}),)),
        replace(CHANGE, requests=(replace(PUT, query=(("a", "b"),)),)),
        replace(CHANGE, requests=(PUT, PUT)),
        replace(CHANGE, members=()),
        replace(CHANGE, members=(replace(MEMBER, key="u"),)),
        replace(CHANGE, members=(replace(MEMBER, operation="reingest"),)),
        replace(CHANGE, members=(replace(MEMBER, request=None),)),
    ],
)
def test_what_would_be_done_is_in_the_digest(other: Change) -> None:
    assert digest(other) != digest()


@pytest.mark.parametrize("field", ["environment", "deployment", "ledger_head"])
def test_where_it_would_be_done_is_in_the_digest(field: str) -> None:
    assert digest(inputs=replace(INPUTS, **{field: "other"})) != digest()


def test_what_is_adopted_is_in_the_digest() -> None:
    """Nothing is sent that would name it: another object of that name would pass for it."""
    adopted = replace(CHANGE, action=Action.ADOPT, requests=(), members=())
    assert digest(adopted) != digest(replace(adopted, id="c2"))
    member = replace(MEMBER, action=Action.ADOPT, request=None, operation="adopt")
    one, two = (replace(CHANGE, members=(replace(member, id=tile),)) for tile in ("t1", "t2"))
    assert digest(one) != digest(two)


@pytest.mark.parametrize(
    "other",
    [
        replace(CHANGE, reason=Reason.MEMBERS_DIFFER),
        replace(CHANGE, notes=("note",)),
        replace(CHANGE, cost=calls(3, label="x")),
        replace(CHANGE, fields=(FieldChange(("a",), 1, 2, Reason.DIFFERS),)),
        replace(CHANGE, counts={"declared": 1}),
        replace(CHANGE, observed="sha256:0"),
        replace(CHANGE, requests=(replace(PUT, columns=("id",)),)),
    ],
)
def test_what_only_informs_is_not(other: Change) -> None:
    assert digest(other) == digest()


def test_quiet_changes_and_the_commit_are_not() -> None:
    quiet = Change(B, Action.NOOP, Reason.UP_TO_DATE)
    assert Plan(replace(INPUTS, commit="abc"), (CHANGE, quiet)).digest == digest()


def test_the_order_of_the_input_is_not() -> None:
    changes = [
        CHANGE,
        replace(CHANGE, address=B, depends_on=(A,)),
        replace(CHANGE, address=TILES, depends_on=(B,)),
        Change(C, Action.DELETE, Reason.NO_LONGER_DECLARED, record={"name": "c"}),
    ]
    documents = set()
    for seed in range(20):
        random.Random(seed).shuffle(changes)
        plan = Plan(INPUTS, assemble(changes, moved={}))
        documents.add(canonical(plan_json(plan)))  # type: ignore[arg-type]
        assert addresses(plan) == (A, B, TILES, C)
    assert len(documents) == 1


def test_a_secret_is_no_part_of_a_plan() -> None:
    secret = Sensitive(("Bearer ", SecretReference("env:TOKEN")))
    body: Any = {"key": secret}
    shown = canonical(
        plan_json(Plan(INPUTS, (replace(CHANGE, requests=(replace(PUT, body=body),)),)))
    )  # type: ignore[arg-type]
    assert b"Bearer {{ secret('env:TOKEN') }}" in shown


@pytest.mark.parametrize(
    ("change", "can"),
    [
        (CHANGE, True),
        (Change(A, Action.NOOP, Reason.UP_TO_DATE), False),
        (Change(A, Action.NOOP, Reason.UP_TO_DATE, records=True), True),
        (Change(A, Action.NOOP, Reason.UP_TO_DATE, waits=True), True),
    ],
)
def test_a_plan_can_be_applied_when_there_is_something_to_do(change: Change, can: bool) -> None:
    assert Plan(INPUTS, (change,)).can_apply() is can
