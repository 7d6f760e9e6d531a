"""
Zarr collections and their arrays as rows: the SQL of the family and how a row becomes JSON.

Status is a function of stored instants and the time: CREATED and INGESTING pass by themselves,
the end is what reading the group found. Source: schemas `ZarrCollection` and `ZarrArray`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shplan.sandbox.lists import keyset, named
from shplan.sandbox.wire import decode_object, encode, instant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Row

    from shplan.sandbox.lists import Terms
    from shplan.sandbox.paging import Page
    from shplan.sandbox.store import Store, Value
    from shplan.sandbox.wire import JsonObject

SCHEMA = """
create table if not exists zarr_collections (
  seq integer primary key, id text not null unique, account text not null,
  name text not null, bucket text not null, path text not null, crs text not null,
  epsg integer not null, created_ms integer not null, round_ms integer not null,
  ingesting_ms integer not null, done_ms integer not null, outcome text, errors text,
  facts text not null default '{}');
create unique index if not exists zarr_by_account on zarr_collections (account, id);
create index if not exists zarr_due on zarr_collections (done_ms, seq) where outcome is null;
create table if not exists zarr_arrays (
  coll integer not null, name text not null, zarray text not null, zattrs text,
  primary key (coll, name)) without rowid;
"""
TABLES = {"zarr_collections": "seq", "zarr_arrays": "coll, name"}

CREATED = "CREATED"
INGESTING = "INGESTING"
INGESTED = "INGESTED"
FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class ZarrRound:
    """The instants of one ingestion, in milliseconds: asked for, begun, over."""

    asked_ms: int
    ingesting_ms: int
    done_ms: int


@dataclass(frozen=True, slots=True)
class ZarrCollection:
    """
    One collection as stored.

    Args:
        crs: as its maker wrote it
        outcome: INGESTED or FAILED once the group was read
        errors: what kept it, or some of its arrays, from being ingested
        facts: of the last ingestion that went well; empty before
    """

    seq: int
    id: str
    account: str
    name: str
    bucket: str
    path: str
    crs: str
    epsg: int
    created_ms: int
    round: ZarrRound
    outcome: str | None
    errors: str | None
    facts: JsonObject

    def status(self, now_ms: int) -> str:
        """The status of this moment."""
        if self.outcome is not None:
            return self.outcome
        return CREATED if now_ms < self.round.ingesting_ms else INGESTING

    def as_json(self, *, now_ms: int) -> JsonObject:
        """
        The collection as answers show it.

        The envelope is left out until it is known: the schema says that it may be null, and
        refuses null by what it refers to.
        """
        facts = self.facts
        content: JsonObject = {
            "id": self.id,
            "accountId": self.account,
            "name": self.name,
            "created": instant(self.created_ms),
            "s3Bucket": self.bucket,
            "path": self.path,
            "status": self.status(now_ms),
            "ingestionErrors": self.errors,
            "crs": self.crs,
            "width": _count(facts, "columns"),
            "height": _count(facts, "rows"),
            "zattrs": facts.get("zattrs"),
        }
        if facts:
            content["envelope"] = facts["envelope"]
            content["additionalData"] = {
                "bands": facts["bands"],
                "maxMetersPerPixel": facts["maxMetersPerPixel"],
            }
        return content


def _count(facts: JsonObject, axis: str) -> int | None:
    return cast("list[int]", facts[axis])[2] if axis in facts else None


def collection_of(row: Row) -> ZarrCollection:
    """The collection of a row."""
    return ZarrCollection(
        seq=row["seq"],
        id=row["id"],
        account=row["account"],
        name=row["name"],
        bucket=row["bucket"],
        path=row["path"],
        crs=row["crs"],
        epsg=row["epsg"],
        created_ms=row["created_ms"],
        round=ZarrRound(row["round_ms"], row["ingesting_ms"], row["done_ms"]),
        outcome=row["outcome"],
        errors=row["errors"],
        facts=decode_object(row["facts"]),
    )


def insert(
    store: Store,
    *,
    collection_id: str,
    account: str,
    body: JsonObject,
    epsg: int,
    instants: ZarrRound,
) -> ZarrCollection:
    """Store a new collection; `body` is that of the request."""
    row = store.row(
        "insert into zarr_collections (id, account, name, bucket, path, crs, epsg, created_ms,"
        " round_ms, ingesting_ms, done_ms) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) returning *",
        collection_id,
        account,
        str(body["name"]),
        str(body["s3Bucket"]),
        str(body["path"]),
        str(body["crs"]),
        epsg,
        instants.asked_ms,
        instants.asked_ms,
        instants.ingesting_ms,
        instants.done_ms,
    )
    assert row is not None
    return collection_of(row)


def find(store: Store, collection_id: str) -> ZarrCollection | None:
    """The collection of an identifier."""
    row = store.row("select * from zarr_collections where id = ?", collection_id.lower())
    return None if row is None else collection_of(row)


def page_of_account(
    store: Store, *, account: str, until_ms: int, page: Page, terms: Terms
) -> tuple[list[ZarrCollection], bool]:
    """A page of an account's collections by identifier, and whether there are more."""
    condition, words = named(terms)
    query = f"select * from zarr_collections where account = ? and created_ms <= ?{condition}"  # noqa: S608
    rows, more = keyset(store, query, [account, until_ms, *words], page, "id")
    return [collection_of(row) for row in rows], more


def due(store: Store, *, now_ms: int) -> list[ZarrCollection]:
    """The collections whose ingestion is over and that have not been read yet, in that order."""
    found = store.rows(
        "select * from zarr_collections where outcome is null and done_ms <= ?"
        " order by done_ms, seq",
        now_ms,
    )
    return [collection_of(row) for row in found]


def rename(store: Store, seq: int, name: str) -> None:
    """Overwrite what a user may change."""
    store.run("update zarr_collections set name = ? where seq = ?", name, seq)


def start_round(store: Store, seq: int, instants: ZarrRound) -> None:
    """Send a collection round again; what was ingested stays known."""
    store.run(
        "update zarr_collections set outcome = null, errors = null, round_ms = ?,"
        " ingesting_ms = ?, done_ms = ? where seq = ?",
        instants.asked_ms,
        instants.ingesting_ms,
        instants.done_ms,
        seq,
    )


def end_round(store: Store, seq: int, *, outcome: str, errors: str | None) -> None:
    """Store how an ingestion ended."""
    store.run(
        "update zarr_collections set outcome = ?, errors = ? where seq = ?", outcome, errors, seq
    )


def replace_contents(
    store: Store, seq: int, *, facts: JsonObject, arrays: Sequence[tuple[str, str, str | None]]
) -> None:
    """Store what an ingestion found; of each array its name and the texts of its metadata."""
    store.run("update zarr_collections set facts = ? where seq = ?", encode(facts), seq)
    store.run("delete from zarr_arrays where coll = ?", seq)
    store.run_many("insert into zarr_arrays values (?, ?, ?, ?)", [(seq, *one) for one in arrays])


def delete(store: Store, seq: int) -> None:
    """Remove a collection; what lies in the bucket stays."""
    store.run("delete from zarr_arrays where coll = ?", seq)
    store.run("delete from zarr_collections where seq = ?", seq)


# Arrays.


def arrays_of(store: Store, seq: int) -> dict[str, JsonObject]:
    """The `.zarray` of every array that was ingested, by name."""
    rows = store.rows("select name, zarray from zarr_arrays where coll = ?", seq)
    return {row["name"]: decode_object(row["zarray"]) for row in rows}


def arrays_page(store: Store, seq: int, *, page: Page, terms: Terms) -> tuple[list[Row], bool]:
    """A page of a collection's arrays by name, and whether there are more."""
    condition, words = named(terms)
    values: list[Value] = [seq, *words]
    query = f"select * from zarr_arrays where coll = ?{condition}"  # noqa: S608 the words are values
    return keyset(store, query, values, page, "name")


def find_array(store: Store, seq: int, name: str) -> Row | None:
    """The array of a name."""
    return store.row("select * from zarr_arrays where coll = ? and name = ?", seq, name)


def array_text(row: Row, collection: ZarrCollection) -> str:
    """The JSON text of an array."""
    name, bucket, path = (
        encode(one) for one in (row["name"], collection.bucket, f"{collection.path}{row['name']}/")
    )
    zattrs = "null" if row["zattrs"] is None else row["zattrs"]
    return (
        f'{{"name":{name},"s3Bucket":{bucket},"path":{path},'
        f'"zarray":{row["zarray"]},"zattrs":{zattrs}}}'
    )
