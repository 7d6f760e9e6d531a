"""
`ByocTiles`: the tiles of one collection, declared as one set.

Finding and deciding stand here, the join in `tile_join`, carrying out in
`tile_apply`. Facts: the API description's BYOC tile operations and the
documentation's BYOC page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from shplan.core.address import Address
from shplan.core.change import Action, Change, MemberChange, Reason, Refusal, RefusalKind
from shplan.core.compare import tile_folder
from shplan.core.cost import Cost, calls, total
from shplan.core.diagnostic import Diagnostic
from shplan.core.entry import Result, Settlement
from shplan.core.errors import RefusedError
from shplan.core.fingerprint import Fingerprint
from shplan.core.planner import dependencies
from shplan.core.refusals import protected
from shplan.core.request import Answer
from shplan.core.resource import Desired, MemberRecord, Recorded
from shplan.core.value import JsonObject, JsonValue, Object, Path, Value, digest
from shplan.providers.base import ChangeFailedError, Nature, Settings, Surroundings, Wanted
from shplan.providers.observation import Binding, Observation, Observed
from shplan.providers.reconciled import data_object, nothing, stated_record
from shplan.providers.steps import Flow, Read, Scan, Together, Wait
from shplan.providers.tile_checks import check_covers, check_times
from shplan.providers.tile_join import COVER, RESPELL, RULES, SharedList, TileJoin
from shplan.providers.tile_requests import (
    CAUSE,
    MOST_SPELLINGS,
    get_tile,
    list_tiles,
    look_at_files,
    spellings,
    text_of,
)
from shplan.providers.tile_sets import KIND, Elsewhere


class ByocTiles:
    """The provider of one kind; see `providers.base.Provider`."""

    kind = KIND
    nature = Nature.RECONCILED
    natural_key = ("collection", "path")
    members_field: str | None = "tiles"
    script_path: Path | None = None
    text_field: str | None = None
    secret_fields: frozenset[str] = frozenset()
    rules = RULES

    def check(self, desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
        """Check what the schema cannot: closed rings of at most a hundred points, real instants."""
        return [*check_covers(desired), *check_times(desired)]

    def refresh(
        self, wanted: tuple[Wanted, ...], surroundings: Surroundings
    ) -> Flow[dict[Address, Observation]]:
        """List the tiles of each collection once, all collections side by side."""
        sets = {one.address: _Set.of(one, surroundings) for one in wanted}
        here = [one.join for one in sets.values() if one.is_there]
        former = [one.former for one in sets.values() if one.former is not None]
        yield from _scan((*here, *former))
        yield from _look_for_missing(here, surroundings)
        yield from _recover_covers(here)
        yield from _explain_failures(here)
        yield from _compare_files(here, surroundings)
        elsewhere = Elsewhere(surroundings)
        for address, one in sets.items():
            one.finish(address, elsewhere, surroundings.unconfirmed)
            one.twins = elsewhere.twins(address, one.join)
        return {
            address: Observed("", {"collection": one.join.collection}, Binding.RECORDED, detail=one)
            for address, one in sets.items()
        }

    def decide(
        self, wanted: Wanted, observation: Observation, surroundings: Surroundings
    ) -> tuple[Change, ...]:
        """Plan one change of the set."""
        found = cast("_Set", cast("Observed", observation).detail)
        if wanted.desired is None:
            return (_decide_undeclared(wanted, found, surroundings),)
        if not wanted.desired.lifecycle.managed:
            return (replace(_base(wanted.desired), action=Action.READ, reason=Reason.UNMANAGED),)
        return (_decide_declared(wanted, wanted.desired, found),)

    def attributes(
        self,
        change: Change,
        observation: Observation,
    ) -> Object | None:
        """Return what references see: the collection, once the tiles can be there."""
        collection = change.record.get("collection")
        return {"collection": collection} if isinstance(collection, str) else None

    def apply(self, change: Change, settings: Settings) -> Flow[Object]:
        """Carry the changes of the tiles out, a hundred to an intent, and wait for ingestion."""
        from shplan.providers.tile_apply import apply_tiles  # noqa: PLC0415 - plans do not need it

        return nothing() if change.action is Action.READ else apply_tiles(change, settings)

    def confirm(
        self, desired: Desired, confirmed: str, surroundings: Surroundings
    ) -> Flow[Settlement]:
        """Own the tiles of a collection that are declared at this moment."""
        stated = desired.spec.get("collection")
        if stated != confirmed:
            message = f"{desired.address} belongs to collection {stated}, not to {confirmed}"
            raise ChangeFailedError(message)
        join = TileJoin.of(desired, None, confirmed)
        columns = join.columns
        try:
            yield Scan(list_tiles(confirmed, columns), SharedList([join], columns).take)
        except RefusedError as error:
            message = f"there is no collection {confirmed} on this deployment"
            raise ChangeFailedError(message) from error
        found = [member for member in join.changes if member.operation == "adopt"]
        return Settlement(
            Result.DONE,
            id=confirmed,
            owned=True,
            spec=stated_record(_record(desired)),
            prevent_destroy=desired.lifecycle.prevent_destroy,
            depends_on=tuple(str(address) for address in dependencies(desired)),
            members={m.key: MemberRecord(m.id, m.stated, m.digest) for m in found},
            data={"collection": confirmed},
        )


# --- finding -------------------------------------------------------------------------------


@dataclass(slots=True)
class _Set:
    """
    What was found of one set.

    Args:
        join: with the collection that it belongs to, which may not exist yet
        former: with the collection that it belonged to, where that is another one
        is_there: there is a collection to look into
        held_back: `exclusive` would empty a collection that nobody has confirmed as ours
        twins: declared paths that another set declares too, with that set
    """

    join: TileJoin
    former: TileJoin | None
    is_there: bool
    held_back: bool = False
    twins: tuple[tuple[str, Address], ...] = ()

    @classmethod
    def of(cls, one: Wanted, surroundings: Surroundings) -> _Set:
        collection = _collection(one)
        if one.desired is not None and not one.desired.lifecycle.managed:
            return cls(TileJoin.of(None, None, collection), None, is_there=False)
        ours = surroundings.own_members.get(text_of(collection), frozenset())
        join = TileJoin.of(one.desired, one.recorded, collection, ours=ours)
        # What goes with a collection that this plan deletes is not looked at one by one.
        is_there = isinstance(collection, str) and collection not in surroundings.doomed
        return cls(join, _former(one, collection, surroundings), is_there)

    @property
    def changes(self) -> tuple[MemberChange, ...]:
        left = () if self.former is None else tuple(self.former.changes)
        return (*self.join.changes, *left)

    def finish(self, address: Address, elsewhere: Elsewhere, unconfirmed: frozenset[str]) -> None:
        """Plan what is to go, now that everything that is there was seen."""
        if not self.is_there:
            for at in self.join.missing():
                self.join.create(at)
        for join in (self.join, self.former):
            if join is not None:
                declared = partial(elsewhere.declares, address, join.collection)
                kept = partial(elsewhere.wants, address, join.collection)
                join.leave(declared)
                if text_of(join.collection) in unconfirmed:
                    self.held_back = bool(join.strangers(kept))
                else:
                    join.expel(kept)
                join.respell()


def _collection(one: Wanted) -> Value:
    """Return the collection to look into; unknown while it does not exist."""
    if one.desired is not None:
        return one.desired.spec.get("collection")
    return _recorded_collection(one.recorded) or None


def _recorded_collection(recorded: Recorded | None) -> str:
    return "" if recorded is None else text_of(cast("Value", recorded.data.get("collection")))


def _former(one: Wanted, collection: Value, surroundings: Surroundings) -> TileJoin | None:
    """
    Return the join with the collection that a set no longer belongs to.

    Where that collection is deleted by the same plan its tiles go with it.
    """
    former = _recorded_collection(one.recorded)
    if former in ("", collection) or former in surroundings.doomed:
        return None
    return TileJoin.of(None, one.recorded, former)


def _scan(joins: Iterable[TileJoin]) -> Flow[None]:
    by_collection: dict[str, list[TileJoin]] = {}
    for join in joins:
        by_collection.setdefault(text_of(join.collection), []).append(join)
    scans = []
    for collection, sharing in sorted(by_collection.items()):
        columns = max((join.columns for join in sharing), key=len)
        shared = SharedList(sharing, columns)
        scans.append(Scan(list_tiles(collection, columns), shared.take))
    if not scans:
        return
    replies = yield Together(tuple(scans))
    for reply in cast("tuple[int | Exception, ...]", replies):
        # A collection that is gone has no tiles; its own change says so.
        if isinstance(reply, Exception) and not _is_missing(reply):
            raise reply


def _is_missing(error: Exception) -> bool:
    return isinstance(error, RefusedError) and error.status == 404


def _look_for_missing(joins: Sequence[TileJoin], surroundings: Surroundings) -> Flow[None]:
    """
    Look up by path what the ledger knows and the list did not show.

    Absence from a list is not absence; a create without an outcome may take the list's lag
    to become visible.
    """
    for join in joins:
        if any(_path(join, at) in join.intended for at in join.missing()) and (
            surroundings.list_lag_s
        ):
            yield Wait(surroundings.list_lag_s, "an earlier create may not be listed yet")
            break
    for join in joins:
        doubtful = [at for at in join.missing() if _is_doubtful(join, _path(join, at))]
        yield from _look_up(join, doubtful)
        for at in tuple(join.missing()):
            join.create(at)


def _look_up(join: TileJoin, places: list[int]) -> Flow[None]:
    """Read recorded tiles by id, then what is still missing by every spelling of its path."""
    known = [join.records[path].id for at in places if (path := _path(join, at)) in join.records]
    home = text_of(join.collection)
    yield from _claim(join, tuple(Read(get_tile(home, tile)) for tile in known))
    join.take_rivals()
    # One spelling after the other, in the order in which a tile takes them: side by side, one
    # that is ingested between two answers could be missing from both.
    for spelling in range(MOST_SPELLINGS):
        missing = set(join.missing())
        by_path = (
            Read(list_tiles(home, join.columns, path=tried[spelling]))
            for at in places
            if at in missing and spelling < len(tried := spellings(_path(join, at)))
        )
        yield from _claim(join, tuple(by_path))
    join.take_rivals()


def _claim(join: TileJoin, reads: tuple[Read, ...]) -> Flow[None]:
    if not reads:
        return
    for reply in cast("tuple[Answer | Exception, ...]", (yield Together(reads))):
        if isinstance(reply, Answer):
            for row in reply.rows or _as_rows(reply, join.columns):
                join.claims(row, join.columns)
        elif not _is_missing(reply):
            raise reply


def _as_rows(answer: Answer, columns: tuple[str, ...]) -> Iterator[tuple[JsonValue, ...]]:
    """Give a single tile the form that lists have."""
    tile = data_object(answer)
    if tile is not None:
        yield tuple(cast("JsonValue", _member(tile, column.split("."))) for column in columns)


def _member(tile: Object, steps: list[str]) -> Value:
    value: Value = tile
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _path(join: TileJoin, at: int) -> str:
    return text_of(join.members[at]["path"])


def _is_doubtful(join: TileJoin, path: str) -> bool:
    return path in join.records or path in join.intended


def _recover_covers(joins: Sequence[TileJoin]) -> Flow[None]:
    """Read the cover geometries that updates have to carry: one by one, or by one more list."""
    for join in joins:
        if not join.uncovered:
            continue
        home = text_of(join.collection)
        if len(join.uncovered) <= max(join.listed // 100, 1):
            reads = tuple(Read(get_tile(home, tile)) for tile in join.uncovered)
            covers = _covers_of((yield Together(reads)))
        else:
            covers = {}
            yield Scan(list_tiles(home, ("id", COVER)), partial(_take_covers, join, covers))
        join.recover_covers(covers)


def _explain_failures(joins: Sequence[TileJoin]) -> Flow[None]:
    for join in joins:
        if join.failed:
            request = list_tiles(text_of(join.collection), ("id", CAUSE), status="FAILED")
            yield Scan(request, join.explain_failures)


def _covers_of(replies: tuple[Answer | Exception, ...]) -> dict[str, Value]:
    covers: dict[str, Value] = {}
    for reply in replies:
        if isinstance(reply, Answer):
            tile = data_object(reply) or {}
            covers[text_of(tile.get("id"))] = tile.get(COVER)
        elif not _is_missing(reply):
            raise reply
    return covers


def _take_covers(
    join: TileJoin, covers: dict[str, Value], rows: tuple[tuple[JsonValue, ...], ...]
) -> None:
    covers.update(
        {text_of(tile): cast("Value", cover) for tile, cover in rows if tile in join.uncovered}
    )


def _compare_files(joins: Iterable[TileJoin], surroundings: Surroundings) -> Flow[None]:
    """Look whether files have changed since they were ingested, where the bucket can be read."""
    for join in joins:
        recorded = [path for path, record in join.records.items() if record.etag]
        home = surroundings.objects.get(text_of(join.collection), {})
        bucket = text_of(home.get("s3Bucket"))
        if bucket and recorded:
            join.compare_files((yield from look_at_files(bucket, recorded)))
            yield from _look_at_rounds(join)


def _look_at_rounds(join: TileJoin) -> Flow[None]:
    """Find out which tiles an earlier run has sent round again without recording it."""
    tiles = join.perhaps_sent
    if not tiles:
        return
    home = text_of(join.collection)
    reads = tuple(Read(get_tile(home, tile)) for tile in tiles)
    for reply in cast("tuple[Answer | Exception, ...]", (yield Together(reads))):
        if isinstance(reply, Answer):
            tile = data_object(reply) or {}
            join.take_round(text_of(tile.get("id")), text_of(tile.get("ingestionStart")))
        elif not _is_missing(reply):
            raise reply


# --- deciding ------------------------------------------------------------------------------


def _decide_declared(one: Wanted, desired: Desired, found: _Set) -> Change:
    return _as_change(_base(desired), found, one.recorded)


def _base(desired: Desired) -> Change:
    return Change(
        desired.address,
        Action.NOOP,
        Reason.UP_TO_DATE,
        depends_on=dependencies(desired),
        record=_record(desired),
        prevent_destroy=desired.lifecycle.prevent_destroy,
    )


def _as_change(base: Change, found: _Set, recorded: Recorded | None) -> Change:
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


def _replaced(found: _Set, recorded: Recorded | None) -> Iterator[str]:
    """Yield the recorded paths that go with a collection which this plan deletes."""
    if recorded is not None and _is_left(found, recorded):
        declared = {text_of(member["path"]) for member in found.join.members}
        yield from sorted(recorded.members.keys() - declared)


def _left(found: _Set, recorded: Recorded | None) -> JsonObject:
    """
    Return which tiles of ours stay in a collection until this plan deletes it.

    The ledger keeps it, so that a run that is cut off does not take them for a stranger's.
    """
    if recorded is None or not _is_left(found, recorded):
        return {}
    former = _recorded_collection(recorded)
    owned = Fingerprint(member.id for member in recorded.members.values() if member.owned)
    return {former: owned.text}


def _is_left(found: _Set, recorded: Recorded) -> bool:
    former = _recorded_collection(recorded)
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


def _decide_undeclared(one: Wanted, found: _Set, surroundings: Surroundings) -> Change:
    recorded = cast("Recorded", one.recorded)
    collection = text_of(_collection(one))
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


def _record(desired: Desired) -> Object:
    """Return what the ledger keeps of the set: where it belongs, and a digest of its paths."""
    paths = sorted(tile_folder(text_of(member["path"])) for member in desired.members)
    collection = desired.spec.get("collection")
    return {"collection": collection, "paths": digest(cast("Value", paths))}
