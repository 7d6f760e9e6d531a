"""
Batch collections as rows: where version 1 of the batch API puts its results as a collection.

They are like BYOC collections, but no files are brought to them; data sets name them by
`batch-<id>`. Source: the older batch reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shplan.sandbox.ids import seeded_uuid
from shplan.sandbox.lists import keyset, named
from shplan.sandbox.wire import decode_object, instant

if TYPE_CHECKING:
    from sqlite3 import Row

    from shplan.sandbox.lists import Terms
    from shplan.sandbox.paging import Page
    from shplan.sandbox.store import Store
    from shplan.sandbox.wire import JsonObject

SCHEMA = """
create table if not exists batch_collections (
  seq integer primary key, id text not null unique, account text not null,
  name text not null, bucket text not null, grid integer, bands text,
  created_ms integer not null);
create unique index if not exists batch_collections_by_account on batch_collections (account, id);
"""
TABLES = {"batch_collections": "seq"}

# How data sets and tiles of requests name one.
PREFIX = "batch-"


@dataclass(frozen=True, slots=True)
class BatchCollection:
    """
    One collection as stored.

    Args:
        grid: tiling grid of its first request; none before that
        bands: JSON text of its bands; none before its first request
    """

    seq: int
    id: str
    account: str
    name: str
    bucket: str
    grid: int | None
    bands: str | None
    created_ms: int

    def as_json(self) -> JsonObject:
        """
        The collection as answers show it.

        The client needs `additionalData`, also of a collection that nothing was put into.
        """
        batch_data: JsonObject = {} if self.grid is None else {"tilingGridId": self.grid}
        additional: JsonObject = {} if self.bands is None else {"bands": decode_object(self.bands)}
        return {
            "id": self.id,
            "userId": user_of(self.account),
            "accountId": self.account,
            "name": self.name,
            "s3Bucket": self.bucket,
            "batchData": batch_data,
            "additionalData": additional,
            "created": instant(self.created_ms),
        }


def user_of(account: str) -> str:
    """The user that a request of an account comes from: each account has one."""
    return seeded_uuid("user", account)


def _collection(row: Row) -> BatchCollection:
    return BatchCollection(*row)


def insert(
    store: Store, *, identifier: str, account: str, name: str, bucket: str, now_ms: int
) -> BatchCollection:
    """Store a new collection."""
    row = store.row(
        "insert into batch_collections (id, account, name, bucket, created_ms)"
        " values (?, ?, ?, ?, ?) returning *",
        identifier,
        account,
        name,
        bucket,
        now_ms,
    )
    assert row is not None
    return _collection(row)


def find(store: Store, collection_id: str) -> BatchCollection | None:
    """The collection of an identifier."""
    row = store.row("select * from batch_collections where id = ?", collection_id.lower())
    return None if row is None else _collection(row)


def rename(store: Store, seq: int, name: str) -> None:
    """Overwrite the name, which is all that can be changed."""
    store.run("update batch_collections set name = ? where seq = ?", name, seq)


def configure(store: Store, seq: int, *, grid: int, bands: str) -> None:
    """Store what its first request makes of a collection, bands as JSON; what is there stays."""
    store.run(
        "update batch_collections set grid = coalesce(grid, ?), bands = coalesce(bands, ?)"
        " where seq = ?",
        grid,
        bands,
        seq,
    )


def delete(store: Store, seq: int) -> None:
    """Remove a collection; files in the bucket stay."""
    store.run("delete from batch_collections where seq = ?", seq)


def page(
    store: Store, *, account: str, until_ms: int, asked: Page, terms: Terms
) -> tuple[list[BatchCollection], bool]:
    """
    A page of an account's collections by identifier, and whether there are more.

    Args:
        until_ms: younger ones are not listed
        terms: any group must have all its words in the name
    """
    condition, words = named(terms)
    query = f"select * from batch_collections where account = ? and created_ms <= ?{condition}"  # noqa: S608 words are values
    rows, more = keyset(store, query, [account, until_ms, *words], asked, "id")
    return [_collection(row) for row in rows], more
