"""Where an address stands, and what of a plan somebody else has caused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shplan.core.address import Address
from shplan.core.change import (
    Action,
    Change,
    FieldChange,
    MemberChange,
    Reason,
    Refusal,
    RefusalKind,
)
from shplan.core.diagnostic import Diagnostic
from shplan.core.drift import drifted, has_drifted
from shplan.core.plan import Plan, PlanInputs
from shplan.core.status import statuses

A = Address("ByocCollection", "a")
NAME = FieldChange(("name",), "x", "y", Reason.DIFFERS)
REFUSAL = Refusal(RefusalKind.PROTECTED, Diagnostic("plan/x", "X", "x"))
NOOP = Change(A, Action.NOOP, Reason.UP_TO_DATE, id="c1")


def member(reason: Reason) -> MemberChange:
    return MemberChange("t", Action.UPDATE, reason)


def plan(*changes: Change) -> Plan:
    return Plan(PlanInputs("p", "sandbox", "sandbox", "h", "0"), changes)


@pytest.mark.parametrize(
    ("change", "state", "detail"),
    [
        (NOOP, "up to date", ""),
        (replace(NOOP, waits=True), "ingesting", ""),
        (
            replace(NOOP, action=Action.READ, reason=Reason.UNMANAGED),
            "unmanaged",
            "`managed: false`",
        ),
        (
            replace(NOOP, action=Action.CREATE, reason=Reason.NOT_FOUND, fields=(NAME,)),
            "absent",
            "no such object exists",
        ),
        (replace(NOOP, action=Action.UPDATE, fields=(NAME,)), "pending", "update: name"),
        (
            replace(NOOP, action=Action.UPDATE, fields=(NAME,), drifted=True),
            "drifted",
            "update: name",
        ),
        (
            replace(NOOP, action=Action.UPDATE, reason=Reason.INGESTION_FAILED),
            "drifted",
            "a tile's ingestion failed",
        ),
        (
            replace(NOOP, action=Action.BLOCKED, reason=Reason.FOREIGN_MEMBERS),
            "blocked",
            "it holds members that are not ours",
        ),
        (
            replace(
                NOOP, action=Action.DELETE, reason=Reason.NO_LONGER_DECLARED, refusals=(REFUSAL,)
            ),
            "blocked",
            "no manifest declares it",
        ),
    ],
)
def test_the_status_of_an_address(change: Change, state: str, detail: str) -> None:
    (status,) = statuses(plan(change))
    assert (status.address, status.state, status.detail, status.id) == (A, state, detail, "c1")


def test_each_address_has_one_status_in_the_order_of_addresses() -> None:
    first = replace(NOOP, address=Address("ByocCollection", "0"))
    left = replace(NOOP, action=Action.DELETE, deposed=True)
    found = statuses(plan(NOOP, first, left))
    assert [status.address for status in found] == [first.address, A]
    assert found[1].state == "up to date"


@pytest.mark.parametrize(
    ("change", "drift"),
    [
        (NOOP, False),
        (replace(NOOP, action=Action.CREATE, reason=Reason.GONE), True),
        (replace(NOOP, action=Action.CREATE, reason=Reason.NOT_FOUND), False),
        (replace(NOOP, action=Action.UPDATE, fields=(NAME,)), False),
        (replace(NOOP, action=Action.UPDATE, fields=(NAME,), drifted=True), True),
        (replace(NOOP, members=(member(Reason.FILE_CHANGED),)), True),
        (replace(NOOP, members=(member(Reason.DIFFERS),)), False),
    ],
)
def test_drift_is_what_the_server_did(change: Change, drift: bool) -> None:
    assert has_drifted(change) is drift
    assert drifted(plan(change)).changes == ((change,) if drift else ())
