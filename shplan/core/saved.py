"""
Applying a saved plan: is what would be done now what was reviewed?

One rule refuses the stale, the foreign and the tampered, and lets the same command resume:
every remaining change is in the file with the same address, action, protections and
requests. An id that was made under this plan counts as the hole that the file has there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias, cast

from shplan.core.address import Address
from shplan.core.change import Action, Change, MemberChange, Reason
from shplan.core.cost import pu_text, total
from shplan.core.entry import EntryDraft, Event, LedgerEntry, Result, Settlement
from shplan.core.fingerprint import Fingerprint
from shplan.core.plan import Plan, change_essence, member_essence
from shplan.core.runs import PAYMENTS
from shplan.core.value import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class History:
    """
    What the ledger has under the digest of a saved plan.

    Args:
        touched: addresses with an intent or an outcome
        failed: addresses of which something was refused, or failed
        made: ids of objects that were made
        started: addresses of which a run was started, or may have been
        spent_pu: processing units that requests have cost so far, by address
    """

    touched: frozenset[Address] = frozenset()
    failed: frozenset[Address] = frozenset()
    made: frozenset[str] = frozenset()
    started: frozenset[Address] = frozenset()
    spent_pu: Mapping[Address, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Review:
    """
    The comparison of a saved plan with what would be done now.

    Args:
        changes: what may be carried out, in order; what failed before is blocked
        moved: what is not as it was reviewed, one sentence each; empty if nothing is
        spent_pu: what this saved plan has started already, at most, in processing units
    """

    changes: tuple[Change, ...]
    moved: tuple[str, ...]
    spent_pu: float = 0.0


def history(entries: Iterable[LedgerEntry], digest: str) -> History:
    """Gather what was done under a digest."""
    told = Telling(digest)
    for entry in entries:
        told.hear(entry)
    return told.history()


class Telling:
    """
    What the entries so far have said of one saved plan.

    Args:
        digest: of the plan
    """

    def __init__(self, digest: str) -> None:
        self._digest = digest
        self._touched: set[Address] = set()
        self._failed: set[Address] = set()
        self._made: set[str] = set()
        self._started: set[Address] = set()
        self._spent_pu: defaultdict[Address, float] = defaultdict(float)

    def hear(self, entry: LedgerEntry) -> None:
        """Take in the next entry."""
        draft = entry.draft
        if draft.plan != self._digest or draft.address is None:
            return
        self._touched.add(draft.address)
        self._hear_of_start(draft, draft.address)
        settlement = draft.settlement
        if settlement is None:
            return
        if settlement.id:
            self._made.add(settlement.id)
        self._made.update(member.id for member in settlement.members.values())
        if settlement.cost_pu:
            self._spent_pu[draft.address] += settlement.cost_pu
        if _is_failure(draft.event, settlement):
            self._failed.add(draft.address)

    def history(self) -> History:
        """Return what was heard."""
        return History(
            frozenset(self._touched),
            frozenset(self._failed),
            frozenset(self._made),
            frozenset(self._started),
            dict(self._spent_pu),
        )

    def _hear_of_start(self, draft: EntryDraft, address: Address) -> None:
        if draft.operation not in PAYMENTS or not draft.key:
            return
        result = None if draft.settlement is None else draft.settlement.result
        if result in (Result.REFUSED, Result.FAILED):
            self._started.discard(address)
            return
        self._started.add(address)
        if result is Result.DONE:
            # Refused because it was started already, which a look has shown: no failure.
            self._failed.discard(address)


def _is_failure(event: Event, settlement: Settlement) -> bool:
    """A refusal, or a run that has ended without success: another attempt is another plan's."""
    if settlement.receipt is not None:
        return settlement.receipt.status != "DONE"
    refused = settlement.result is Result.REFUSED or "ended" in settlement.data
    return event is Event.OUTCOME and refused


def review(saved: JsonObject, plan: Plan, past: History) -> Review:
    """
    Compare a saved plan with the plan of now.

    Args:
        saved: the document of `plan_json`, checked for its form
        past: what the ledger has under its digest
    """
    reviewed = _Reviewed.of(saved)
    # What an intent under this digest has made, and nobody could write down.
    found = {
        change.id
        for change in plan.changes
        if change.reason is Reason.OWN_INTENT and change.id and change.address in past.touched
    }
    past = replace(past, made=past.made | found)
    moved: list[str] = []
    admitted: list[Change] = []
    if saved_text(saved, "deployment") != plan.inputs.deployment:
        moved.append(
            f"the plan is for {saved_text(saved, 'deployment')}, this is {plan.inputs.deployment}"
        )
    for change in plan.changes:
        kept, differing = _admit(change, reviewed, past)
        moved += differing
        admitted.append(kept)
    spent_pu = _spent_pu(reviewed, admitted, past)
    cost_pu = spent_pu + total(one.cost for one in admitted if one.action.changes).maximum_pu
    if cost_pu > reviewed.maximum_pu * _ROUNDING:
        moved.append(
            f"the cost is {pu_text(cost_pu)} PU now; {pu_text(reviewed.maximum_pu)} were reviewed"
        )
    return Review(_with_removals_blocked(tuple(admitted), past), tuple(moved), spent_pu)


# Sums of the same numbers in another order differ in their last digits.
_ROUNDING = 1 + 1e-9


def _spent_pu(reviewed: _Reviewed, changes: Iterable[Change], past: History) -> float:
    """Return what was started under this digest, at most: what of the reviewed cost is not left."""
    left: defaultdict[str, float] = defaultdict(float)
    for change in changes:
        if change.action.changes:
            left[str(change.address)] += change.cost.maximum_pu
    spent = 0.0
    for address, then_pu in reviewed.costs_pu.items():
        used = max(then_pu - left[str(address)], 0.0)
        spent += used if address in past.started else min(used, past.spent_pu.get(address, 0.0))
    return spent


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
    """
    The changes of a saved plan by address; a replacement's left-over stands beside it.

    Args:
        later: data that was to be read during apply: what depends on it was reviewed as a hole
    """

    changes: Mapping[_Place, JsonObject]
    maximum_pu: float
    members: Mapping[_Place, Mapping[tuple[str, str], JsonObject]]
    costs_pu: Mapping[Address, float]
    later: frozenset[str]

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
        costs: defaultdict[Address, float] = defaultdict(float)
        for one in listed:
            own = cast("JsonObject", one["cost"])
            costs[Address.parse(str(one["address"]))] += float(cast("float", own["maximum"]))
        later = frozenset(str(one["address"]) for one in listed if _is_read_later(one))
        return cls(by_place, float(cast("float", cost["maximum"])), members, costs, later)


def _is_read_later(change: JsonObject) -> bool:
    reason = change.get("reason")
    code = reason.get("code") if isinstance(reason, dict) else None
    return code == Reason.READ_LATER.name.lower()


@dataclass(frozen=True, slots=True)
class _Holes:
    """
    What a hole of the file may have become.

    Args:
        made: ids that were made under its digest
        later: data that is read during apply
    """

    made: frozenset[str]
    later: frozenset[str]

    def take(self, hole: JsonObject, now: JsonValue) -> bool:
        if hole == now or (isinstance(now, str) and any(one in now for one in self.made)):
            return True
        template = str(hole["$unknown"])
        return any(f"'{one}'" in template or f'"{one}"' in template for one in self.later)


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
    place = _place(str(change.address), change.action.value, deposed=change.deposed)
    then = reviewed.changes.get(place)
    if touched and _settles(change, then):
        return change, []
    if touched and then is not None and change.action is Action.RUN:
        reviewed_attempt = then.get("attempt")
        if isinstance(reviewed_attempt, int) and change.attempt > reviewed_attempt:
            # The attempt that was reviewed has ended, while nobody was there to write it down.
            note = f"attempt {reviewed_attempt} of this saved plan failed; another needs another"
            return change.blocked(Reason.DEPENDENCY_BLOCKED, note=note), []
    if then is None and change.deposed:
        return change, _compare_left_over(change, reviewed)
    if then is None:
        return change, [f"{change.address}: {change.action.value} was not in the reviewed plan"]
    holes = _Holes(past.made, reviewed.later)
    moved = _compare(change, then, holes, touched=touched)
    kept, found = _admit_members(change, reviewed.members[place], holes, touched=touched)
    return kept, moved + found


def _settles(change: Change, then: JsonObject | None) -> bool:
    """Tell whether a change only records, or goes on with, what an earlier apply of ours made."""
    if change.action in (Action.RESUME, Action.ADOPT) and change.key:
        # A task may be started only where its START was reviewed.
        requests = cast("list[JsonObject]", [] if then is None else then["requests"])
        reviewed = {request["operation"] for request in requests}
        return all(request.operation in reviewed for request in change.requests)
    return change.reason is Reason.OWN_INTENT and not change.requests


def _compare(change: Change, then: JsonObject, holes: _Holes, *, touched: bool) -> list[str]:
    now = change_essence(change)
    moved = []
    resumed = touched and then["action"] == Action.CREATE.value and now["action"] == "update"
    if now["action"] != then["action"] and not resumed:
        moved.append(f"{change.address}: {then['action']} was reviewed, now {now['action']}")
    elif now["attempt"] != then["attempt"]:
        moved.append(
            f"{change.address}: attempt {then['attempt']} was reviewed, now {now['attempt']}"
        )
    elif now["adopts"] != then["adopts"]:
        moved.append(f"{change.address}: adopting {then['adopts']} was reviewed, now {change.id}")
    if now["preventDestroy"] != then["preventDestroy"]:
        moved.append(f"{change.address}: its protection is another one now")
    if not _fits(then["requests"], now["requests"], holes):
        moved.append(f"{change.address}: its request is another one now")
    return moved + _compare_held(change, then)


def _compare_held(change: Change, then: JsonObject) -> list[str]:
    """What goes with an object was reviewed as well; a file without it says nothing of any."""
    reviewed = Fingerprint.read(then.get("held"))
    if not Fingerprint.read(change.held).beyond(reviewed):
        return []
    return [f"{change.address}: what would go with it is not what was reviewed"]


def _admit_members(
    change: Change,
    reviewed: Mapping[tuple[str, str], JsonObject],
    holes: _Holes,
    *,
    touched: bool,
) -> tuple[Change, list[str]]:
    kept: list[MemberChange] = []
    moved: list[str] = []
    for member in change.members:
        then = reviewed.get((member.key, member.operation))
        now = member_essence(member)
        own = touched and member.operation == "adopt" and member.owned
        if own or (then is not None and _is_as_reviewed(then, now, holes)):
            kept.append(member)
        elif touched and member.operation == "reingest":
            # Its ingestion failed under this plan. It stays failed, and is said so.
            kept.append(replace(member, request=None))
        else:
            moved.append(f"{change.address}: {member.operation} {member.key} was not reviewed")
    return replace(change, members=tuple(kept)), moved


def _is_as_reviewed(then: JsonObject, now: JsonObject, holes: _Holes) -> bool:
    same_request = _fits(then["request"], now["request"], holes)
    return same_request and then["adopts"] == now["adopts"]


def _compare_left_over(change: Change, reviewed: _Reviewed) -> list[str]:
    """A replacement that was cut off leaves one request: the last one that was reviewed."""
    then = reviewed.changes.get((str(change.address), "", False))
    requests = [] if then is None else cast("list[JsonValue]", then["requests"])
    left = [request.as_json() for request in change.requests]
    if then is not None and then["action"] == Action.REPLACE.value and requests[-1:] == left:
        return _compare_held(change, then)
    return [f"{change.address}: deleting {change.id} was not in the reviewed plan"]


def _fits(then: JsonValue, now: JsonValue, holes: _Holes) -> bool:
    """Compare two requests; a hole of the file fits what was made, or read, since."""
    if isinstance(then, dict) and set(then) == {"$unknown"}:
        return holes.take(then, now)
    if isinstance(then, dict) and isinstance(now, dict):
        return then.keys() == now.keys() and all(
            _fits(member, now[key], holes) for key, member in then.items()
        )
    if isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now) and all(
            _fits(one, other, holes) for one, other in zip(then, now, strict=True)
        )
    return then == now
