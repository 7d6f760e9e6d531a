"""
Finding the tiles of a set: each collection is listed once, all side by side.

What a list does not tell is looked up one by one: tiles that it lacks, covers, causes of failures.
Facts: the API description's BYOC tile operations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from shplan.core.address import Address
from shplan.core.change import MemberChange
from shplan.core.errors import RefusedError
from shplan.core.request import Answer
from shplan.core.resource import Recorded
from shplan.core.value import JsonValue, Object, Value
from shplan.providers.base import Surroundings, Wanted
from shplan.providers.reconciled import data_object
from shplan.providers.steps import Flow, Read, Scan, Together, Wait
from shplan.providers.tile_join import COVER, SharedList, TileJoin
from shplan.providers.tile_requests import (
    CAUSE,
    MOST_SPELLINGS,
    get_tile,
    list_tiles,
    look_at_files,
    spellings,
    text_of,
)
from shplan.providers.tile_sets import Elsewhere


@dataclass(slots=True)
class FoundTiles:
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
    def of(cls, one: Wanted, surroundings: Surroundings) -> FoundTiles:
        """Return the joins that are to be filled, before anything is read."""
        collection = collection_of(one)
        if one.desired is not None and not one.desired.lifecycle.managed:
            return cls(TileJoin.of(None, None, collection), None, is_there=False)
        ours = surroundings.own_members.get(text_of(collection), frozenset())
        join = TileJoin.of(one.desired, one.recorded, collection, ours=ours)
        # What goes with a collection that this plan deletes is not looked at one by one.
        is_there = isinstance(collection, str) and collection not in surroundings.doomed
        return cls(join, _former(one, collection, surroundings), is_there)

    @property
    def changes(self) -> tuple[MemberChange, ...]:
        """What is to be done to each tile, in both collections."""
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


def collection_of(one: Wanted) -> Value:
    """Return the collection to look into; unknown while it does not exist."""
    if one.desired is not None:
        return one.desired.spec.get("collection")
    return recorded_collection(one.recorded) or None


def recorded_collection(recorded: Recorded | None) -> str:
    """Return the collection that the ledger knows for a set, empty where it knows none."""
    return "" if recorded is None else text_of(cast("Value", recorded.data.get("collection")))


def _former(one: Wanted, collection: Value, surroundings: Surroundings) -> TileJoin | None:
    """
    Return the join with the collection that a set no longer belongs to.

    Where that collection is deleted by the same plan its tiles go with it.
    """
    former = recorded_collection(one.recorded)
    if former in ("", collection) or former in surroundings.doomed:
        return None
    return TileJoin.of(None, one.recorded, former)


def scan_lists(joins: Iterable[TileJoin]) -> Flow[None]:
    """List the tiles of each collection once, all collections side by side."""
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


def look_for_missing(joins: Sequence[TileJoin], surroundings: Surroundings) -> Flow[None]:
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


def recover_covers(joins: Sequence[TileJoin]) -> Flow[None]:
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


def explain_failures(joins: Sequence[TileJoin]) -> Flow[None]:
    """Read why tiles have failed, where some have."""
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


def compare_files(joins: Iterable[TileJoin], surroundings: Surroundings) -> Flow[None]:
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
