"""
Applying a saved plan: is what would be done now what was reviewed?

One rule refuses the stale, the foreign and the tampered, and lets the same command resume:
every remaining change is in the file with the same address, action, protections and
requests. An id that was made under this plan counts as the hole that the file has there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

from shplan.core.address import Address
from shplan.core.change import Action, Change, MemberChange, Reason
from shplan.core.entry import Event, LedgerEntry, Result, Settlement
from shplan.core.plan import Plan, change_essence, member_essence
from shplan.core.value import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class History:
    """
    What the ledger has under the digest of a saved plan.

    Args:
        touched: addresses with an intent or an outcome
        failed: addresses of which something was refused, or failed
        made: ids of objects that were made
    """

    touched: frozenset[Address] = frozenset()
    failed: frozenset[Address] = frozenset()
    made: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Review:
    """
    The comparison of a saved plan with what would be done now.

    Args:
        changes: what may be carried out, in order; what failed before is blocked
        moved: what is not as it was reviewed, one sentence each; empty if nothing is
    """

    changes: tuple[Change, ...]
    moved: tuple[str, ...]


def history(entries: Iterable[LedgerEntry], digest: str) -> History:
    """Gather what was done under a digest."""
    touched: set[Address] = set()
    failed: set[Address] = set()
    made: set[str] = set()
    for entry in entries:
        draft = entry.draft
        if draft.plan != digest or draft.address is None:
            continue
        touched.add(draft.address)
        settlement = draft.settlement
        if settlement is None:
            continue
        if settlement.id:
            made.add(settlement.id)
        made.update(member.id for member in settlement.members.values())
        if draft.event is Event.OUTCOME and _is_failure(settlement):
            failed.add(draft.address)
    return History(frozenset(touched), frozenset(failed), frozenset(made))


def _is_failure(settlement: Settlement) -> bool:
    """A refusal, or a run that has ended without success: another attempt is another plan's."""
    return settlement.result is Result.REFUSED or "ended" in settlement.data


def review(saved: JsonObject, plan: Plan, past: History) -> Review:
    """
    Compare a saved plan with the plan of now.

    Args:
        saved: the document of `plan_json`, checked for its form
        past: what the ledger has under its digest
    """
    reviewed = _Reviewed.of(saved)
    moved: list[str] = []
    admitted: list[Change] = []
    if saved_text(saved, "deployment") != plan.inputs.deployment:
        moved.append(
            f"the plan is for {saved_text(saved, 'deployment')}, this is {plan.inputs.deployment}"
        )
    for change in plan.changes:
        kept, found = _admit(change, reviewed, past)
        moved += found
        admitted.append(kept)
    if plan.cost.maximum_pu > reviewed.maximum_pu:
        moved.append(
            f"the cost is {plan.cost.maximum_pu:g} PU now; {reviewed.maximum_pu:g} were reviewed"
        )
    return Review(_with_removals_blocked(tuple(admitted), past), tuple(moved))


def _with_removals_blocked(changes: tuple[Change, ...], past: History) -> tuple[Change, ...]:
    """Block the removal of what something is in that could not be removed."""
    held = {
        on
        for change in changes
        if change.action is Action.BLOCKED and change.address in past.failed
        for on in change.depends_on
    }
    note = "what depends on it failed under this saved plan"
    return tuple(
        change.blocked(Reason.DEPENDENCY_BLOCKED, note=note)
        if change.action is Action.DELETE and change.address in held
        else change
        for change in changes
    )


def saved_text(saved: JsonObject, name: str) -> str:
    """Return one of the texts that a saved plan was computed from."""
    inputs = saved.get("inputs")
    value = inputs.get(name) if isinstance(inputs, dict) else None
    return value if isinstance(value, str) else ""


_Place: TypeAlias = tuple[str, str, bool]


@dataclass(frozen=True, slots=True)
class _Reviewed:
    """The changes of a saved plan by address; a replacement's left-over stands beside it."""

    changes: Mapping[_Place, JsonObject]
    maximum_pu: float
    members: Mapping[_Place, Mapping[tuple[str, str], JsonObject]]

    @classmethod
    def of(cls, saved: JsonObject) -> _Reviewed:
        listed = [cast("JsonObject", one) for one in cast("list[JsonValue]", saved["changes"])]
        by_place = {
            _place(str(one["address"]), str(one["action"]), deposed=bool(one["deposed"])): one
            for one in listed
        }
        cost = cast("JsonObject", cast("JsonObject", saved["summary"])["costPU"])
        members = {
            place: {
                (str(m["key"]), str(m["operation"])): m
                for m in cast("list[JsonObject]", one["members"])
            }
            for place, one in by_place.items()
        }
        return cls(by_place, float(cast("float", cost["maximum"])), members)


def _place(address: str, action: str, *, deposed: bool) -> _Place:
    """Tell apart what one address may have side by side: a move, a change, a left-over."""
    return (address, "move" if action == Action.MOVE.value else "", deposed)


def _admit(change: Change, reviewed: _Reviewed, past: History) -> tuple[Change, list[str]]:
    if not change.action.changes:
        return change, []
    touched = change.address in past.touched
    if change.address in past.failed:
        note = "it failed under this saved plan; another attempt needs another plan"
        return change.blocked(Reason.DEPENDENCY_BLOCKED, note=note), []
    if touched and _settles(change):
        return change, []
    place = _place(str(change.address), change.action.value, deposed=change.deposed)
    then = reviewed.changes.get(place)
    if then is None and change.deposed:
        return change, _compare_left_over(change, reviewed)
    if then is None:
        return change, [f"{change.address}: {change.action.value} was not in the reviewed plan"]
    moved = _compare(change, then, past, touched=touched)
    kept, found = _admit_members(change, reviewed.members[place], past, touched=touched)
    return kept, moved + found


def _settles(change: Change) -> bool:
    """Tell whether a change only records, or goes on with, what an earlier apply of ours made."""
    goes_on = change.action is Action.RESUME and bool(change.key)
    return goes_on or (change.reason is Reason.OWN_INTENT and not change.requests)


def _compare(change: Change, then: JsonObject, past: History, *, touched: bool) -> list[str]:
    now = change_essence(change)
    moved = []
    resumed = touched and then["action"] == Action.CREATE.value and now["action"] == "update"
    if now["action"] != then["action"] and not resumed:
        moved.append(f"{change.address}: {then['action']} was reviewed, now {now['action']}")
    elif now["adopts"] != then["adopts"]:
        moved.append(f"{change.address}: adopting {then['adopts']} was reviewed, now {change.id}")
    if now["preventDestroy"] != then["preventDestroy"]:
        moved.append(f"{change.address}: its protection is another one now")
    if not _fits(then["requests"], now["requests"], past.made):
        moved.append(f"{change.address}: its request is another one now")
    return moved


def _admit_members(
    change: Change,
    reviewed: Mapping[tuple[str, str], JsonObject],
    past: History,
    *,
    touched: bool,
) -> tuple[Change, list[str]]:
    kept: list[MemberChange] = []
    moved: list[str] = []
    for member in change.members:
        then = reviewed.get((member.key, member.operation))
        now = member_essence(member)
        own = touched and member.operation == "adopt" and member.owned
        if own or (then is not None and _is_as_reviewed(then, now, past)):
            kept.append(member)
        elif touched and member.operation == "reingest":
            # Its ingestion failed under this plan. It stays failed, and is said so.
            kept.append(replace(member, request=None))
        else:
            moved.append(f"{change.address}: {member.operation} {member.key} was not reviewed")
    return replace(change, members=tuple(kept)), moved


def _is_as_reviewed(then: JsonObject, now: JsonObject, past: History) -> bool:
    same_request = _fits(then["request"], now["request"], past.made)
    return same_request and then["adopts"] == now["adopts"]


def _compare_left_over(change: Change, reviewed: _Reviewed) -> list[str]:
    """A replacement that was cut off leaves one request: the last one that was reviewed."""
    then = reviewed.changes.get((str(change.address), "", False))
    requests = [] if then is None else cast("list[JsonValue]", then["requests"])
    left = [request.as_json() for request in change.requests]
    if then is not None and then["action"] == Action.REPLACE.value and requests[-1:] == left:
        return []
    return [f"{change.address}: deleting {change.id} was not in the reviewed plan"]


def _fits(then: JsonValue, now: JsonValue, made: frozenset[str]) -> bool:
    """Compare two requests; a hole of the file fits an id that was made under its digest."""
    if isinstance(then, dict) and set(then) == {"$unknown"}:
        return now == then or (isinstance(now, str) and any(one in now for one in made))
    if isinstance(then, dict) and isinstance(now, dict):
        return then.keys() == now.keys() and all(
            _fits(member, now[key], made) for key, member in then.items()
        )
    if isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now) and all(
            _fits(one, other, made) for one, other in zip(then, now, strict=True)
        )
    return then == now
