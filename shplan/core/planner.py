"""
Desired, observed and recorded become a plan: the decisions that are the same for every kind.

A provider asks `decide_reconciled` what to do with one object; `assemble` then looks
at all changes together: renames, what is blocked by what, the order of things.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from shplan.core.address import Address
from shplan.core.change import Action, Change, FieldChange, Reason, Refusal
from shplan.core.cost import Cost
from shplan.core.frozen import dataclass
from shplan.core.graph import order, reverse
from shplan.core.refusals import protected
from shplan.core.resource import Desired, Recorded
from shplan.core.twins import with_makers_refused, with_renames_refused


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done with one object, before its provider words the requests."""

    action: Action
    reason: Reason
    fields: tuple[FieldChange, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
    records: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """
    The facts about one observed object that a verdict needs.

    Args:
        by_ledger: the ledger binds it to this address
        by_intent: an intent of ours made it, and no outcome was recorded
        owned: made by us, or confirmed by `shplan import`
        foreign_members: members that are not ours, 0 where the kind has none
        strangers: the first of them, where they are known
    """

    by_ledger: bool
    by_intent: bool
    owned: bool
    foreign_members: int = 0
    strangers: tuple[str, ...] = ()


def judge_existing(
    desired: Desired,
    recorded: Recorded | None,
    found: Found,
    fields: tuple[FieldChange, ...],
    *,
    stated: Mapping[str, object],
) -> Verdict:
    """Decide about an object that is declared and exists."""
    forced = [change for change in fields if change.forces]
    if not found.by_ledger:
        return _judge_adoption(found, fields, forced=bool(forced))
    if forced:
        return _judge_replace(desired, recorded, found, fields)
    if fields:
        unstated = all(change.reason is Reason.NO_LONGER_STATED for change in fields)
        reason = Reason.NO_LONGER_STATED if unstated else Reason.DIFFERS
        return Verdict(Action.UPDATE, reason, fields, records=True)
    if recorded is not None and recorded.prevent_destroy != desired.lifecycle.prevent_destroy:
        return Verdict(Action.UPDATE, Reason.PROTECTION_CHANGED, records=True)
    return Verdict(
        Action.NOOP, Reason.UP_TO_DATE, records=_is_recorded_otherwise(desired, recorded, stated)
    )


def judge_undeclared(recorded: Recorded, found: Found) -> Verdict:
    """Decide about an object that the ledger knows and no manifest declares any more."""
    refusals = () if not recorded.prevent_destroy else (protected(recorded.address, "deleted"),)
    verdict = Verdict(Action.DELETE, Reason.NO_LONGER_DECLARED, refusals=refusals, records=True)
    return _unless_foreign(verdict, found)


def with_verdict(change: Change, verdict: Verdict) -> Change:
    """Put a verdict into a change."""
    return replace(
        change,
        action=verdict.action,
        reason=verdict.reason,
        fields=verdict.fields,
        refusals=verdict.refusals,
        notes=verdict.notes,
        records=verdict.records,
    )


def dependencies(desired: Desired) -> tuple[Address, ...]:
    """Return what a resource depends on, by reference or by `dependsOn`, in order."""
    referred = {reference.address for reference in desired.references}
    return tuple(sorted(referred | set(desired.depends_on)))


def _is_recorded_otherwise(
    desired: Desired, recorded: Recorded | None, stated: Mapping[str, object]
) -> bool:
    """Tell whether the ledger should learn what is stated now, though nothing is to be sent."""
    if recorded is None:
        return False
    # What it depends on is recorded for the order of a later delete.
    moved = recorded.depends_on != dependencies(desired)
    return moved or dict(recorded.spec) != dict(stated)


def _judge_adoption(found: Found, fields: tuple[FieldChange, ...], *, forced: bool) -> Verdict:
    if found.by_intent:
        return Verdict(Action.ADOPT, Reason.OWN_INTENT, fields, records=True)
    if forced:
        note = "it cannot be changed in place and is not ours to replace"
        return Verdict(Action.BLOCKED, Reason.NOT_OWNED, fields, notes=(note,))
    return Verdict(Action.ADOPT, Reason.SAME_KEY, fields, records=True)


def _judge_replace(
    desired: Desired, recorded: Recorded | None, found: Found, fields: tuple[FieldChange, ...]
) -> Verdict:
    kept = desired.lifecycle.prevent_destroy or (recorded is not None and recorded.prevent_destroy)
    refusals = (protected(desired.address, "replaced"),) if kept else ()
    verdict = Verdict(Action.REPLACE, Reason.CANNOT_UPDATE, fields, refusals=refusals, records=True)
    return _unless_foreign(verdict, found)


def _unless_foreign(verdict: Verdict, found: Found) -> Verdict:
    if not found.owned:
        note = (
            "it was adopted, not created here; `shplan import` confirms that it is ours,"
            " `forget` lets go of it"
        )
        return replace(verdict, action=Action.BLOCKED, reason=Reason.NOT_OWNED, notes=(note,))
    if found.foreign_members:
        note = f"{held_by_others(found.foreign_members, 'members', found.strangers)}; or list it under `forget`, and it stays"
        return replace(verdict, action=Action.BLOCKED, reason=Reason.FOREIGN_MEMBERS, notes=(note,))
    return verdict


def held_by_others(number: int, noun: str, first: tuple[str, ...]) -> str:
    """Say what keeps an object from being deleted, and what a person does about it."""
    more = ", ..." if number > len(first) else ""
    named = f" ({', '.join(first)}{more})" if first else ""
    verb = "is" if number == 1 else "are"
    return (
        f"it holds {number:,} {noun if number != 1 else noun.removesuffix('s')} that {verb} not"
        f" ours{named}: delete what is there, or move it elsewhere, and plan again"
    )


def assemble(
    changes: Iterable[Change],
    *,
    moved: Mapping[Address, Address],
    natural_keys: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[Change, ...]:
    """
    Look at all changes together and put them into the order of applying.

    Makes one run of those that ask for the same, refuses probable renames, deletes of what
    `moved` names and makers of one object, blocks what depends on something blocked, and sorts:
    dependencies first, deletes in reverse after everything else.

    Args:
        changes: of every address
        moved: new addresses by the old ones, already carried out in the changes
        natural_keys: by kind the fields that name an object where no id is known
    """
    changes = with_makers_refused(tuple(changes), natural_keys or {})
    single = _with_kept_runs(_with_shared_runs(tuple(changes)))
    found = _with_blocked_dependents(with_renames_refused(single, moved))
    return _in_order(found)


def _with_shared_runs(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """Two addresses with one key are one run: one of them makes it, the others record it."""
    makers = _makers(changes)
    return tuple(
        replace(
            change,
            action=Action.NOOP,
            reason=Reason.SAME_RUN,
            requests=(),
            cost=Cost(),
            unpriced=False,
            # Its own limit holds as well: the run may not cost more than each of them allows.
            notes=(f"it is the run of {makers[change.key]}",),
            depends_on=tuple(sorted({*change.depends_on, makers[change.key]})),
            current={**change.current, "sameRun": str(makers[change.key])},
            records=True,
            waits=True,
        )
        if _is_of_a_run(change) and makers[change.key] != change.address
        else change
        for change in changes
    )


def _is_of_a_run(change: Change) -> bool:
    return bool(change.key) and (change.action in _RUNS or change.waits)


def _makers(changes: tuple[Change, ...]) -> dict[str, Address]:
    """
    Choose by run key who makes the run.

    It is the one that asks for most (a start before an analysis, that before a task alone), so that
    the plan shows, and the budget counts, what will happen; the others wait for it, so it must not
    wait for one of them.
    """
    twins: dict[str, list[Change]] = {}
    for change in sorted(changes, key=lambda one: one.address):
        if _is_of_a_run(change):
            twins.setdefault(change.key, []).append(change)
    needs = {change.address: set(change.depends_on) for change in changes}
    makers: dict[str, Address] = {}
    for key, group in sorted(twins.items()):
        wanted = sorted(group, key=_asks_for, reverse=True)
        addresses = {change.address for change in group}
        maker = next(
            one.address
            for one in (*wanted, group[0])
            if len(group) == 1 or not _needed(one.address, needs) & addresses
        )
        makers[key] = maker
        for other in addresses - {maker}:
            needs[other].add(maker)
    return makers


def _asks_for(change: Change) -> tuple[bool, int]:
    return (change.unpriced or change.cost.maximum_pu > 0, len(change.requests))


def _needed(address: Address, needs: Mapping[Address, set[Address]]) -> set[Address]:
    """Return everything that an address waits for, itself not included."""
    found: set[Address] = set()
    left = [*needs.get(address, ())]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += needs.get(one, ())
    return found


def _with_kept_runs(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """A run that another address still declares is not stopped with the one that is gone."""
    kept = {change.key: change.address for change in changes if not _is_undeclared(change)}
    return tuple(
        replace(
            change,
            action=Action.FORGET,
            requests=(),
            refusals=(),
            notes=(f"its run is that of {kept[change.key]} as well, and goes on",),
        )
        if change.key and change.action is Action.DELETE and change.key in kept
        else change
        for change in changes
    )


_RUNS = frozenset({Action.RUN, Action.RESUME, Action.ADOPT})


def steps_of(change: Change) -> tuple[Change, ...]:
    """
    Split a replacement: create the new object now, delete the old one after the dependents.

    Every other change is its own only step.
    """
    if change.action is not Action.REPLACE:
        return (change,)
    *making, removing = change.requests
    new = replace(change, requests=tuple(making))
    old = replace(
        change,
        action=Action.DELETE,
        requests=(removing,),
        deposed=True,
        fields=(),
        record={},
        depends_on=(),
    )
    return (new, old)


def _in_order(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    building = {change.address: change for change in changes if not _removes(change)}
    removing: dict[Address, list[Change]] = {}
    for change in changes:
        if _removes(change):
            removing.setdefault(change.address, []).append(change)
    forward = order({address: change.depends_on for address, change in building.items()})
    backward = order(reverse({address: group[0].depends_on for address, group in removing.items()}))
    first = tuple(building[address] for address in forward)
    return first + tuple(
        change
        for address in backward
        for change in sorted(removing[address], key=lambda one: one.id)
    )


def _removes(change: Change) -> bool:
    return change.deposed or change.action is Action.DELETE or _is_undeclared(change)


def _is_undeclared(change: Change) -> bool:
    return change.reason is Reason.NO_LONGER_DECLARED


def _with_blocked_dependents(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    blocked: set[Address] = set()
    result: dict[int, Change] = {}
    position = {id(change): index for index, change in enumerate(changes)}
    for change in _in_order(changes):
        culprits = sorted(blocked.intersection(change.depends_on))
        current = change
        if culprits and change.action.changes and not _removes(change):
            current = change.blocked(Reason.DEPENDENCY_BLOCKED, note=f"{culprits[0]} is blocked")
        if current.action is Action.BLOCKED and not _removes(current):
            blocked.add(current.address)
        result[position[id(change)]] = current
    return tuple(result[index] for index in range(len(changes)))
