"""
Collections and tiles as rows: the SQL of the BYOC family and how a row becomes JSON.

A tile's row holds its JSON text ready but for the status, so that a page of a hundred is
put together without decoding any. Who may do what is decided in the routes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shplan.sandbox import geometry, lifecycle, sensed_tiles
from shplan.sandbox.lists import keyset, named
from shplan.sandbox.wire import decode_object, encode, instant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Row

    from shplan.sandbox.lifecycle import Round
    from shplan.sandbox.lists import Terms
    from shplan.sandbox.paging import Page
    from shplan.sandbox.store import Store, Value
    from shplan.sandbox.wire import Json, JsonObject

# Tiles are keyed (collection, sequence) without a row id, so that a page is one range of one tree
# and its token is the last key; the partial index makes "is anything due?" cost nothing.
SCHEMA = """
create table if not exists collections (
  seq integer primary key, id text not null unique, account text not null,
  name text not null, bucket text not null, no_data text, bands text,
  created_ms integer not null, next_tile integer not null default 1,
  metadata_due_ms integer, metadata text not null default '{}');
create unique index if not exists collections_by_account on collections (account, id);
create table if not exists tiles (
  coll integer not null, seq integer not null, id text not null, path text not null,
  created_ms integer not null, sensing_ms integer, cover text,
  round_ms integer not null, queued_ms integer not null, ingesting_ms integer not null,
  done_ms integer not null, outcome text, facts text not null default '{}', body text not null,
  primary key (coll, seq)) without rowid;
create unique index if not exists tiles_by_path on tiles (coll, path);
create unique index if not exists tiles_by_id on tiles (id);
create index if not exists tiles_by_outcome on tiles (coll, outcome, seq);
create index if not exists tiles_due on tiles (coll, done_ms) where outcome is null;
create index if not exists tiles_due_anywhere on tiles (done_ms) where outcome is null;
create index if not exists collections_due on collections (metadata_due_ms)
  where metadata_due_ms is not null;
"""
TABLES = {"collections": "seq", "tiles": "coll, seq"}

# What a user may state in `additionalData` beside the bands; a refresh of the metadata keeps it.
STORAGE = "storageIdentifier"
_TILE = "select * from tiles where coll = ?"
_PAGE = "select seq, body, outcome, queued_ms, ingesting_ms from tiles {index} where coll = ?"


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection as stored; `bands` is None until it is configured."""

    seq: int
    id: str
    account: str
    name: str
    bucket: str
    no_data: float | None
    bands: dict[str, JsonObject] | None
    created_ms: int
    metadata_due_ms: int | None
    metadata: JsonObject

    def as_json(self) -> JsonObject:
        """The collection as answers show it. Source: schema `BYOCCollection`."""
        content: JsonObject = {
            "id": self.id,
            "accountId": self.account,
            "name": self.name,
            "s3Bucket": self.bucket,
            "isConfigured": bool(self.bands),
            "created": instant(self.created_ms),
            "requiresMetadataUpdate": self.metadata_due_ms is not None,
        }
        if self.no_data is not None:
            content["noData"] = self.no_data
        additional: JsonObject = dict(self.metadata)
        if self.bands:
            additional["bands"] = cast("JsonObject", self.bands)
        if additional:
            content["additionalData"] = additional
        return content


def collection_of(row: Row) -> Collection:
    """The collection of a row."""
    bands = None if row["bands"] is None else decode_object(row["bands"])
    return Collection(
        seq=row["seq"],
        id=row["id"],
        account=row["account"],
        name=row["name"],
        bucket=row["bucket"],
        no_data=None if row["no_data"] is None else _number(row["no_data"]),
        bands=cast("dict[str, JsonObject] | None", bands),
        created_ms=row["created_ms"],
        metadata_due_ms=row["metadata_due_ms"],
        metadata=decode_object(row["metadata"]),
    )


def _number(text: str) -> float:
    return cast("float", decode_object(f'{{"n":{text}}}')["n"])


def insert_collection(
    store: Store, *, collection_id: str, account: str, now_ms: int, values: JsonObject
) -> Collection:
    """Store a new collection; `values` has name, bucket, no_data, bands and metadata."""
    row = store.row(
        "insert into collections (id, account, name, bucket, no_data, bands, metadata, created_ms)"
        " values (?, ?, ?, ?, ?, ?, ?, ?) returning *",
        collection_id,
        account,
        str(values["name"]),
        str(values["bucket"]),
        _text(values.get("no_data")),
        _text(values.get("bands")),
        encode(values.get("metadata") or {}),
        now_ms,
    )
    assert row is not None
    return collection_of(row)


def update_collection(
    store: Store,
    seq: int,
    *,
    name: str,
    bucket: str,
    no_data: float | None,
    bands: dict[str, JsonObject] | None,
) -> None:
    """Overwrite what a user may change."""
    store.run(
        "update collections set name = ?, bucket = ?, no_data = ?, bands = ? where seq = ?",
        name,
        bucket,
        _text(no_data),
        _text(cast("Json", bands)),
        seq,
    )


def set_metadata(store: Store, seq: int, metadata: JsonObject) -> None:
    """Overwrite what `additionalData` has beside the bands."""
    store.run("update collections set metadata = ? where seq = ?", encode(metadata), seq)


def _text(value: Json) -> str | None:
    return None if value is None else encode(value)


def find_collection(store: Store, collection_id: str) -> Collection | None:
    """The collection of an identifier."""
    row = store.row("select * from collections where id = ?", collection_id.lower())
    return None if row is None else collection_of(row)


def collections_page(
    store: Store, *, account: str, until_ms: int, page: Page, terms: Terms
) -> tuple[list[Collection], bool]:
    """
    A page of an account's collections by identifier, and whether there are more.

    Collections created after `until_ms` are not listed yet. Of `terms`, any group must have
    all its words in the name.
    """
    values: list[Value] = [account, until_ms]
    condition, words = named(terms)
    query = f"select * from collections where account = ? and created_ms <= ?{condition}"  # noqa: S608
    rows, more = keyset(store, query, values + words, page, "id")
    return [collection_of(row) for row in rows], more


def delete_collection(store: Store, seq: int) -> None:
    """Remove a collection and all its tiles; files in the bucket stay."""
    store.run("delete from tiles where coll = ?", seq)
    sensed_tiles.forget(store, seq)
    store.run("delete from collections where seq = ?", seq)


def has_tiles(store: Store, seq: int) -> bool:
    """Whether any tile is there, in whatever state."""
    return store.row("select 1 from tiles where coll = ? limit 1", seq) is not None


def touch_metadata(store: Store, seq: int, *, due_ms: int) -> None:
    """The tiles changed: the metadata is refreshed at `due_ms`, or later if it already was to be."""
    store.run(
        "update collections set metadata_due_ms = max(coalesce(metadata_due_ms, 0), ?) where seq = ?",
        due_ms,
        seq,
    )


# Tiles.


@dataclass(frozen=True, slots=True)
class NewTile:
    """What a tile is made of; `facts` are those of an ingestion, empty before the first."""

    id: str
    path: str
    created_ms: int
    sensing_ms: int | None
    cover: JsonObject | None
    outcome: str | None
    facts: JsonObject


def insert_tile(store: Store, coll: int, tile: NewTile, instants: Round) -> Row:
    """Store a tile at the end of its collection."""
    number = store.row(
        "update collections set next_tile = next_tile + 1 where seq = ? returning next_tile - 1",
        coll,
    )
    assert number is not None
    body = tile_body(
        tile_id=tile.id,
        path=tile.path,
        created_ms=tile.created_ms,
        sensing_ms=tile.sensing_ms,
        round_ms=instants.asked_ms,
        cover=tile.cover,
        facts=tile.facts,
    )
    row = store.row(
        "insert into tiles values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) returning *",
        coll,
        number[0],
        tile.id,
        tile.path,
        tile.created_ms,
        tile.sensing_ms,
        _text(tile.cover),
        instants.asked_ms,
        instants.queued_ms,
        instants.ingesting_ms,
        instants.done_ms,
        tile.outcome,
        encode(tile.facts),
        body,
    )
    assert row is not None
    sensed_tiles.note(store, before=None, after=columns(row))
    return row


def insert_alike(store: Store, model: Row, paths: Sequence[str], *, now_ms: int) -> None:
    """Store ingested tiles that differ from a model in identifier, path and creation only."""
    last = store.row(
        "update collections set next_tile = next_tile + ? where seq = ? returning next_tile",
        len(paths),
        model["coll"],
    )
    assert last is not None
    # The text is made once: what differs stands in front.
    alike = tile_body(
        tile_id="",
        path="",
        created_ms=now_ms,
        sensing_ms=model["sensing_ms"],
        round_ms=now_ms,
        cover=None if model["cover"] is None else decode_object(model["cover"]),
        facts=decode_object(model["facts"]),
    ).removeprefix('{"id":"","path":""')
    ids = store.mint_many("tile", len(paths))
    fixed = (now_ms, model["sensing_ms"], model["cover"], *[now_ms] * 4)
    seqs = range(last[0] - len(paths), last[0])
    ended = (lifecycle.INGESTED, model["facts"])
    store.run_many(
        "insert into tiles values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (model["coll"], *head, *fixed, *ended, _text_alike(alike, *head[1:]))
            for head in zip(seqs, ids, paths, strict=True)
        ),
    )
    sensed_tiles.note_alike(store, model=columns(model), seqs=seqs)


def _text_alike(alike: str, tile_id: str, path: str) -> str:
    return f'{{"id":"{tile_id}","path":{encode(path)}{alike}'


def tile_body(
    *,
    tile_id: str,
    path: str,
    created_ms: int,
    sensing_ms: int | None,
    round_ms: int,
    cover: JsonObject | None,
    facts: JsonObject,
) -> str:
    """
    The JSON text of a tile, without its status. Source: schema `BYOCTile`.

    Once the tile's CRS is known, its cover geometry is shown in that CRS.
    """
    content: JsonObject = {
        "id": tile_id,
        "path": path,
        "created": instant(created_ms),
        "ingestionStart": instant(round_ms),
        "sensingTime": None if sensing_ms is None else instant(sensing_ms),
    }
    epsg = facts.get("epsg")
    if isinstance(epsg, int):
        content["tileGeometry"] = geometry.with_crs(cast("JsonObject", facts["tileGeometry"]), epsg)
        shown = cast("JsonObject", facts["coverGeometry"]) if cover is None else cover
        source = epsg if cover is None else geometry.WGS84
        moved = geometry.projected(shown, source=source, target=epsg)
        # What the tile's CRS cannot show stays as it was given.
        content["coverGeometry"] = (
            geometry.with_crs(moved, epsg)
            if geometry.is_finite(moved)
            else geometry.with_crs(shown, source)
        )
    elif cover is not None:
        content["coverGeometry"] = geometry.with_crs(cover, geometry.WGS84)
    additional = facts.get("additionalData")
    if additional:
        content["additionalData"] = additional
    return encode(content)


def shown(row: Row, *, now_ms: int) -> str:
    """The tile's JSON text with its status of this moment."""
    status = lifecycle.status(
        row["outcome"],
        queued_ms=row["queued_ms"],
        ingesting_ms=row["ingesting_ms"],
        now_ms=now_ms,
    )
    return f'{row["body"][:-1]},"status":"{status}"}}'


def rewrite_tile(store: Store, row: Row, **changes: Value) -> None:
    """Change columns of a tile and renew its JSON text."""
    before = columns(row)
    values = {**before, **changes}
    cover = values["cover"]
    changes["body"] = tile_body(
        tile_id=str(values["id"]),
        path=str(values["path"]),
        created_ms=row["created_ms"],
        sensing_ms=cast("int | None", values["sensing_ms"]),
        round_ms=cast("int", values["round_ms"]),
        cover=None if cover is None else decode_object(str(cover)),
        facts=decode_object(str(values["facts"])),
    )
    named = ", ".join(f"{name} = ?" for name in changes)
    store.run(
        f"update tiles set {named} where coll = ? and seq = ?",  # noqa: S608 names are ours
        *changes.values(),
        row["coll"],
        row["seq"],
    )
    sensed_tiles.note(store, before=before, after=values)


def columns(row: Row) -> dict[str, Value]:
    """A row's values by the names of their columns."""
    return {name: row[name] for name in row.keys()}  # noqa: SIM118 a row iterates its values


def find_tile(store: Store, coll: int, tile_id: str) -> Row | None:
    """The tile of an identifier, if it is in this collection."""
    return store.row(f"{_TILE} and id = ?", coll, tile_id.lower())


def find_tile_by_path(store: Store, coll: int, path: str) -> Row | None:
    """The tile of an exact path."""
    return store.row(f"{_TILE} and path = ?", coll, path)


def delete_tile(store: Store, row: Row) -> None:
    """Remove a tile."""
    store.run("delete from tiles where coll = ? and seq = ?", row["coll"], row["seq"])
    sensed_tiles.note(store, before=columns(row), after=None)


def tiles_page(
    store: Store,
    coll: int,
    *,
    page: Page,
    until_ms: int,
    status: str | None,
    now_ms: int,
    descending: bool,
) -> tuple[list[Row], bool]:
    """A page of tiles by creation, and whether there are more; `until_ms` as for collections."""
    # Named, because without statistics the whole collection looks as good a way to a rare status.
    index = "" if status is None else "indexed by tiles_by_outcome"
    query, values = _PAGE.format(index=index), cast("list[Value]", [coll])
    if until_ms < now_ms:
        query += " and created_ms <= ?"
        values.append(until_ms)
    if status is not None:
        condition, instants = _STATUS_CONDITION[status]
        query += f" and {condition}"
        values += [status if name == "status" else now_ms for name in instants]
    return keyset(store, query, values, page, "seq", descending=descending)


_STATUS_CONDITION: dict[str, tuple[str, tuple[str, ...]]] = {
    lifecycle.INGESTED: ("outcome = ?", ("status",)),
    lifecycle.FAILED: ("outcome = ?", ("status",)),
    lifecycle.WAITING: ("outcome is null and queued_ms > ?", ("now",)),
    lifecycle.QUEUED: ("outcome is null and queued_ms <= ? and ingesting_ms > ?", ("now", "now")),
    lifecycle.INGESTING: ("outcome is null and ingesting_ms <= ?", ("now",)),
}


def due_tile(store: Store, coll: int, *, now_ms: int) -> Row | None:
    """The tile whose ingestion was over first and has not been checked yet."""
    return store.row(
        f"{_TILE} and outcome is null and done_ms <= ? order by done_ms, seq limit 1", coll, now_ms
    )


def due_tiles(store: Store, coll: int, *, now_ms: int, limit: int) -> list[Row]:
    """The tiles that `due_tile` would tell one after the other."""
    return store.rows(
        f"{_TILE} and outcome is null and done_ms <= ? order by done_ms, seq limit ?",
        coll,
        now_ms,
        limit,
    )


def due_accounts(store: Store, *, now_ms: int) -> list[str]:
    """The accounts of whose tiles any is due."""
    found = store.rows(
        "select distinct c.account from tiles t join collections c on c.seq = t.coll"
        " where t.outcome is null and t.done_ms <= ?",
        now_ms,
    )
    return [row["account"] for row in found]


def due_collections(store: Store, account: str, *, now_ms: int) -> list[str]:
    """
    Identifiers of an account's collections of which anything is due, in the order of creation.

    It costs as much as there is due, not as there are collections: every list asks.
    """
    found = store.rows(
        "select c.id from (select seq from collections where metadata_due_ms <= ?2"
        " union select coll from tiles where outcome is null and done_ms <= ?2) as due"
        " cross join collections c on c.seq = due.seq where c.account = ?1 order by c.seq",
        account,
        now_ms,
    )
    return [row["id"] for row in found]


def bury(store: Store, *, kind: str, parent: str, name: str, account: str, now_ms: int) -> None:
    """Remember that something was deleted."""
    store.run(
        "insert or replace into deleted values (?, ?, ?, ?, ?)", kind, parent, name, account, now_ms
    )


def buried_ms(store: Store, *, kind: str, parent: str, name: str) -> tuple[str, int] | None:
    """Whose it was and when it was deleted, if it ever was."""
    row = store.row(
        "select account, at_ms from deleted where kind = ? and parent = ? and name = ?",
        kind,
        parent,
        name,
    )
    return None if row is None else (row["account"], row["at_ms"])
