"""
Ingested tiles in the order in which the catalogue lists them: the newest sensing first.

One narrow table beside the tiles, kept by every change of them. A page is one range of its key;
a search looks through its boxes, some ten million a second, before it opens a single tile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from shplan.sandbox import geometry
from shplan.sandbox.lifecycle import INGESTED
from shplan.sandbox.wire import decode_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from sqlite3 import Row

    from shplan.sandbox.store import Store, Value
    from shplan.sandbox.wire import Json

# A tile without sensing time stands behind all others.
TIMELESS = -(1 << 62)
_LATEST = 1 << 62

# The last statement files what a directory had before it got this table; a box that would have to
# be computed is the whole world, which hides nothing.
SCHEMA = """
create table if not exists sensed_tiles (
  coll integer not null, at_ms integer not null, seq integer not null,
  west real not null, south real not null, east real not null, north real not null,
  primary key (coll, at_ms, seq)) without rowid;
insert or ignore into sensed_tiles
  select coll, coalesce(sensing_ms, -(1 << 62)), seq, -180, -90, 180, 90 from tiles
  where outcome = 'INGESTED';
"""
TABLES = {"sensed_tiles": "coll, at_ms, seq"}


def note(
    store: Store, *, before: Mapping[str, Value] | None, after: Mapping[str, Value] | None
) -> None:
    """Follow a change of a tile, given by its columns before and after; None: it is not there."""
    if before is not None and before["outcome"] == INGESTED:
        store.run(
            "delete from sensed_tiles where coll = ? and at_ms = ? and seq = ?",
            before["coll"],
            _at_ms(before),
            before["seq"],
        )
    if after is not None and after["outcome"] == INGESTED:
        store.run(
            "insert into sensed_tiles values (?, ?, ?, ?, ?, ?, ?)",
            after["coll"],
            _at_ms(after),
            after["seq"],
            *_box(after),
        )


def note_alike(store: Store, *, model: Mapping[str, Value], seqs: range) -> None:
    """Follow new ingested tiles that differ from a model in what the catalogue does not order by."""
    place, box = (model["coll"], _at_ms(model)), _box(model)
    store.run_many(
        "insert into sensed_tiles values (?, ?, ?, ?, ?, ?, ?)",
        ((*place, seq, *box) for seq in seqs),
    )


def forget(store: Store, coll: int) -> None:
    """All tiles of a collection are gone."""
    store.run("delete from sensed_tiles where coll = ?", coll)


def _at_ms(tile: Mapping[str, Value]) -> int:
    sensing_ms = tile["sensing_ms"]
    return TIMELESS if sensing_ms is None else cast("int", sensing_ms)


def _box(tile: Mapping[str, Value]) -> list[float]:
    if tile["cover"] is not None:
        box = geometry.bounds(decode_object(str(tile["cover"])))
        return [box.west, box.south, box.east, box.north]
    sides = cast("list[Json]", decode_object(str(tile["facts"]))["extent"])
    return [cast("float", side) for side in sides]


def listed(
    store: Store,
    coll: int,
    *,
    from_ms: int | None,
    to_ms: int | None,
    after: tuple[int, int] | None,
    box: tuple[float, float, float, float] | None,
    skip: int,
) -> Iterator[Row]:
    """
    Rows of the table, the newest first; they are read as they are taken.

    A tile without sensing time belongs to every range of time.

    Args:
        after: at_ms and seq of the row behind which to begin
        box: west, south, east, north, which a row's box must touch
        skip: rows to leave out
    """
    low = TIMELESS + 1 if from_ms is None else from_ms
    high = _LATEST if to_ms is None else to_ms
    ranges = [(low, high), (TIMELESS, TIMELESS)]
    for first, last in ranges:
        where, values = _condition(coll, first, last, after, box)
        rows = store.run(
            "select coll, at_ms, seq, west, south, east, north from sensed_tiles"  # noqa: S608 the condition is ours
            f" where {where} order by at_ms desc, seq desc limit -1 offset ?",
            *values,
            skip,
        )
        any_row = False
        for row in rows:
            any_row = True
            yield row
        if skip and any_row:
            skip = 0
        elif skip:
            found = store.row(f"select count(*) from sensed_tiles where {where}", *values)  # noqa: S608
            skip -= found[0] if found is not None else 0


def _condition(
    coll: int,
    first: int,
    last: int,
    after: tuple[int, int] | None,
    box: tuple[float, float, float, float] | None,
) -> tuple[str, list[Value]]:
    # One bound for both columns: beside a bound for the instant alone SQLite would not use it, and
    # would go through all tiles of one instant for every page.
    upper = (last, _LATEST) if after is None else min(after, (last, _LATEST))
    where = "coll = ? and (at_ms, seq) < (?, ?) and at_ms >= ?"
    values: list[Value] = [coll, *upper, first]
    if box is not None:
        where += " and west <= ? and east >= ? and south <= ? and north >= ?"
        values += [box[2], box[0], box[3], box[1]]
    return where, values
