"""
The status of every address, as one line each: a reading of a plan, for operators.
"""

from __future__ import annotations

from dataclasses import dataclass

from shplan.core.address import Address
from shplan.core.change import Action, Change, Reason
from shplan.core.drift import has_drifted
from shplan.core.plan import Plan
from shplan.core.resource import Receipt
from shplan.core.value import JsonObject


@dataclass(frozen=True, slots=True)
class Status:
    """
    Where one address stands.

    Args:
        state: `up to date`, `drifted`, `pending`, `absent`, `blocked`, `ingesting` or `unmanaged`;
            of a job also `not run`, `running`, `waiting` and `done`, of data `read`, `not read`,
            and `differs` where the service says something else than what is pinned or published
        detail: what is different, in few words
        id: the server's id, empty where there is none
        counts: of the members of a set
        waits: something runs on the server that ends by itself
        receipt: of a run that has ended, which says what it has cost; None for others
    """

    address: Address
    state: str
    detail: str
    id: str
    counts: JsonObject
    waits: bool = False
    receipt: Receipt | None = None


def statuses(plan: Plan) -> tuple[Status, ...]:
    """Return one status for each address, in the order of addresses."""
    shown = {change.address: _status(change) for change in plan.changes if not change.deposed}
    return tuple(shown[address] for address in sorted(shown))


def _status(change: Change) -> Status:
    return Status(
        change.address,
        _state(change),
        _detail(change),
        change.id,
        {**change.counts},
        waits=change.waits and change.action is not Action.READ,
        receipt=change.receipt,
    )


_STATES_OF_DATA = {
    Reason.READ: "read",
    Reason.ANSWER_DIFFERS: "differs",
    Reason.READ_LATER: "not read",
}


def _state(change: Change) -> str:
    if change.action is Action.BLOCKED or change.refusals:
        return "blocked"
    if change.action is Action.READ:
        return _STATES_OF_DATA.get(change.reason, "unmanaged")
    if change.action is Action.CREATE:
        return "absent"
    if change.key or change.action in (Action.RUN, Action.RESUME):
        return _state_of_job(change)
    if change.action.changes:
        return "drifted" if has_drifted(change) else "pending"
    return "ingesting" if change.waits else "up to date"


def _state_of_job(change: Change) -> str:
    if change.drifted:
        return "drifted"
    if change.action is Action.RUN:
        return "not run"
    if change.reason in (Reason.RUNNING, Reason.SAME_RUN) or change.waits:
        return "running"
    if change.reason in (Reason.START_WAITS, Reason.NOT_STARTED):
        return "waiting"
    return "pending" if change.action.changes else "done"


def _detail(change: Change) -> str:
    if change.reason in _STATES_OF_DATA:
        return "; ".join(change.notes)
    if change.action is Action.NOOP:
        return "; ".join(change.notes)
    names = [one.dotted for one in change.fields]
    if change.action is Action.CREATE or not names:
        return change.reason.value
    return f"{change.action.value}: {', '.join(names)}"
