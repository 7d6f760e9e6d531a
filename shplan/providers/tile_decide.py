"""
Deciding about a set of tiles: one change, with what is to be done to each tile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import cast

from shplan.core.address import Address
from shplan.core.change import Action, Change, MemberChange, Reason, Refusal, RefusalKind
from shplan.core.compare import tile_folder
from shplan.core.cost import Cost, calls, total
from shplan.core.diagnostic import Diagnostic
from shplan.core.fingerprint import Fingerprint
from shplan.core.planner import dependencies
from shplan.core.refusals import protected
from shplan.core.resource import Desired, Recorded
from shplan.core.value import JsonObject, Object, Value, digest
from shplan.providers.base import Surroundings, Wanted
from shplan.providers.tile_find import FoundTiles, collection_of, recorded_collection
from shplan.providers.tile_join import RESPELL, TileJoin
from shplan.providers.tile_requests import text_of


def decide_declared(one: Wanted, desired: Desired, found: FoundTiles) -> Change:
    """Plan the change of a set that the manifests declare."""
    return _as_change(change_of(desired), found, one.recorded)


def change_of(desired: Desired) -> Change:
    """Return a change that does nothing, with what the ledger is to know of a declared set."""
    return Change(
        desired.address,
        Action.NOOP,
        Reason.UP_TO_DATE,
        depends_on=dependencies(desired),
        record=record_of(desired),
        prevent_destroy=desired.lifecycle.prevent_destroy,
    )


def _as_change(base: Change, found: FoundTiles, recorded: Recorded | None) -> Change:
    join, members = found.join, found.changes
    deletes = [member for member in members if member.action is Action.DELETE]
    counts: JsonObject = {"declared": len(join.members), **_counts(members, join)}
    kept = base.prevent_destroy or (recorded is not None and recorded.prevent_destroy)
    # Those that go with their collection are deleted as well, if by another request.
    going = deletes or (recorded is not None and _is_left(found, recorded) and recorded.members)
    refusals = (protected(base.address, "stripped of tiles"),) if going and kept else ()
    if found.twins:
        refusals = (*refusals, _declared_twice(base.address, found.twins))
    change = replace(
        base,
        members=members,
        counts=counts,
        refusals=refusals,
        notes=(_HELD_BACK,) if found.held_back else (),
        cost=_cost(members),
        current={
            "lost": [*join.lost(), *_replaced(found, recorded)],
            "left": cast("Value", _left(found, recorded)),
            "ingesting": [*join.ingesting],
            "collection": join.collection,
        },
        waits=bool(join.ingesting),
        drifted=join.drifted,
        observed=digest(cast("Value", counts)),
    )
    if any(member.operation != RESPELL for member in members):
        fresh = recorded is None and all(m.action is Action.CREATE for m in members)
        action = Action.CREATE if fresh else Action.UPDATE
        reason = _reason(tuple(m for m in members if m.operation != RESPELL))
        return replace(change, action=action, reason=reason, records=True)
    return _quiet(change, recorded)


def _declared_twice(address: Address, twins: tuple[tuple[str, Address], ...]) -> Refusal:
    path, other = twins[0]
    more = f" and {len(twins) - 1} more" if len(twins) > 1 else ""
    return Refusal(
        RefusalKind.PROTECTED,
        Diagnostic(
            code="plan/duplicate-path",
            summary="Tile declared twice",
            what=f"{address} and {other} both declare {path}{more}, in the same collection.",
            why="A collection holds a path once; whoever gave it up would delete the other's tile.",
            hint="remove it from one of the two",
            address=str(address),
        ),
    )


_HELD_BACK = (
    "`exclusive` deletes nothing: the collection was adopted, not created here; `shplan import`"
    " of the collection confirms that it is ours"
)


def _replaced(found: FoundTiles, recorded: Recorded | None) -> Iterator[str]:
    """Yield the recorded paths that go with a collection which this plan deletes."""
    if recorded is not None and _is_left(found, recorded):
        declared = {text_of(member["path"]) for member in found.join.members}
        yield from sorted(recorded.members.keys() - declared)


def _left(found: FoundTiles, recorded: Recorded | None) -> JsonObject:
    """
    Return which tiles of ours stay in a collection until this plan deletes it.

    The ledger keeps it, so that a run that is cut off does not take them for a stranger's.
    """
    if recorded is None or not _is_left(found, recorded):
        return {}
    former = recorded_collection(recorded)
    owned = Fingerprint(member.id for member in recorded.members.values() if member.owned)
    return {former: owned.text}


def _is_left(found: FoundTiles, recorded: Recorded) -> bool:
    former = recorded_collection(recorded)
    return found.former is None and former not in ("", found.join.collection)


def _quiet(change: Change, recorded: Recorded | None) -> Change:
    if recorded is None:
        return replace(change, records=True)
    if recorded.prevent_destroy != change.prevent_destroy:
        return replace(change, action=Action.UPDATE, reason=Reason.PROTECTION_CHANGED, records=True)
    moved = recorded.depends_on != change.depends_on
    records = bool(change.current.get("lost")) or moved or recorded.spec != change.record
    return replace(change, records=records)


def _reason(members: tuple[MemberChange, ...]) -> Reason:
    reasons = {member.reason for member in members}
    return reasons.pop() if len(reasons) == 1 else Reason.MEMBERS_DIFFER


def _counts(members: tuple[MemberChange, ...], join: TileJoin) -> JsonObject:
    counted = Counter(member.operation for member in members if member.operation != RESPELL)
    shown: JsonObject = {**dict(sorted(counted.items()))}
    extra = {
        "ingesting": len(join.ingesting),
        "unmanaged": join.unmanaged,
        "not confirmed": join.unconfirmed,
    }
    return {**shown, **{name: number for name, number in extra.items() if number}}


def _cost(members: Iterable[MemberChange]) -> Cost:
    counted = Counter(m.operation for m in members if m.request is not None)
    return total(calls(number, label=f"{name} tiles") for name, number in sorted(counted.items()))


def decide_undeclared(one: Wanted, found: FoundTiles, surroundings: Surroundings) -> Change:
    """Plan the change of a set that only the ledger knows: its own tiles are deleted."""
    recorded = cast("Recorded", one.recorded)
    collection = text_of(collection_of(one))
    base = Change(
        one.address,
        Action.DELETE,
        Reason.NO_LONGER_DECLARED,
        record=recorded.spec,
        depends_on=recorded.depends_on,
        records=True,
        current={"collection": collection},
    )
    if recorded.prevent_destroy:
        base = replace(base, refusals=(protected(one.address, "deleted"),))
    if collection in surroundings.doomed:
        counts: JsonObject = {"deleted with the collection": len(recorded.members)}
        return replace(base, counts=counts, follows=True)
    members = found.changes
    counts = {"delete": len(members)}
    if found.join.unconfirmed:
        counts["not confirmed"] = found.join.unconfirmed
    return replace(base, members=members, counts=counts, cost=_cost(members))


def record_of(desired: Desired) -> Object:
    """Return what the ledger keeps of the set: where it belongs, and a digest of its paths."""
    paths = sorted(tile_folder(text_of(member["path"])) for member in desired.members)
    collection = desired.spec.get("collection")
    return {"collection": collection, "paths": digest(cast("Value", paths))}
