"""
Batch requests of version 1 and their tiles as rows, and how a row becomes JSON.

A request's row holds the body that it was created with as text, to which answers add what the
service knows. Source: the older batch reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shplan.sandbox import batch_v1_states as states
from shplan.sandbox.batch_collection_rows import user_of
from shplan.sandbox.batch_states import Standing
from shplan.sandbox.geometry import WGS84, Box, projected, with_crs
from shplan.sandbox.lists import keyset
from shplan.sandbox.task_table import TaskTable
from shplan.sandbox.wire import decode_object, encode, instant

if TYPE_CHECKING:
    from collections.abc import Iterable
    from sqlite3 import Row

    from shplan.sandbox.paging import Page
    from shplan.sandbox.settings import Settings
    from shplan.sandbox.store import Store, Value
    from shplan.sandbox.wire import JsonObject

SCHEMA = """
create table if not exists batch_v1_tasks (
  seq integer primary key, id text not null unique, account text not null,
  created_ms integer not null, status text not null, since_ms integer not null,
  action text not null default 'NONE', action_ms integer, due_ms integer, error text,
  request text not null, description text not null default '', collection text,
  url text not null, width integer not null, height integer not null,
  expected integer not null, total integer, handled integer not null default 0,
  fatal integer not null default 0, estimate real, bands text, cost real not null default 0,
  scale real not null default 1, run_ms integer, pace_ms real,
  run_handled integer not null default 0, starts integer not null default 0,
  forgotten integer not null default 0);
create index if not exists batch_v1_by_account on batch_v1_tasks (account, seq);
create index if not exists batch_v1_by_status on batch_v1_tasks (account, status, seq);
create index if not exists batch_v1_by_collection on batch_v1_tasks (collection);
create index if not exists batch_v1_due on batch_v1_tasks (due_ms, seq) where due_ms is not null;
create table if not exists batch_v1_tiles (
  task integer not null, n integer not null, id integer not null, name text not null,
  epsg integer not null, west real not null, south real not null, size real not null,
  pu real not null, tries integer not null default 0, outcome text, error text,
  primary key (task, n)) without rowid;
create unique index if not exists batch_v1_tiles_by_id on batch_v1_tiles (task, id);
create index if not exists batch_v1_tiles_next on batch_v1_tiles (task, tries, n)
  where outcome is null;
"""
TABLES = {"batch_v1_tasks": "seq", "batch_v1_tiles": "task, n"}


@dataclass(frozen=True, slots=True)
class Task:
    """
    One request as stored; instants in milliseconds since 1970.

    Args:
        since_ms: when the status was reached
        due_ms: when something happens by itself
        request: JSON text of the body
        collection: batch collection that it fills
        url: where its results go, as a URL that may hold placeholders
        width, height: of a tile in pixels, without its buffer
        expected: tiles that the area touches
        total: tiles to process; none before the analysis
        handled: tiles that are over
        fatal: those of them that failed
        estimate: units that the analysis estimated
        bands: JSON text of the bands that a collection gets; none if none is filled
        cost: PU charged so far
        scale: what the units of a tile are multiplied by
        run_ms, pace_ms, run_handled: when processing last began, time for a tile, and how many
            tries were over since
        starts: how many STARTs had an effect
    """

    seq: int
    id: str
    account: str
    created_ms: int
    status: str
    since_ms: int
    action: str
    action_ms: int | None
    due_ms: int | None
    error: str | None
    request: str
    collection: str | None
    url: str
    width: int
    height: int
    expected: int
    total: int | None
    handled: int
    fatal: int
    estimate: float | None
    bands: str | None
    cost: float
    scale: float
    run_ms: int | None
    pace_ms: float | None
    run_handled: int
    starts: int
    forgotten: int

    @property
    def standing(self) -> Standing:
        """What decides about actions."""
        return Standing(self.status, self.action, self.since_ms, self.due_ms)

    @property
    def content(self) -> JsonObject:
        """The body, decoded."""
        return decode_object(self.request)

    def as_text(self) -> str:
        """The request as answers show it. Source: schema `BatchProcessRequest`."""
        content: JsonObject = {
            "id": self.id,
            "userId": user_of(self.account),
            "accountId": self.account,
            "created": instant(self.created_ms),
            "status": self.status,
            "userAction": self.action,
            "tileCount": self.expected if self.total is None else self.total,
            "tileWidthPx": self.width,
            "tileHeightPx": self.height,
        }
        if self.action_ms is not None:
            content["userActionUpdated"] = instant(self.action_ms)
        if self.estimate is not None:
            content["valueEstimate"] = round(float(self.estimate), 6)
        if self.error is not None:
            content["error"] = self.error
        return f"{encode(content)[:-1]},{self.request[1:]}"


TASKS = TaskTable("batch_v1_tasks", Task)

# Source: the batch pages: the service cleans these up; the settings say when.
_EXPIRING = {
    states.CREATED: "expire_created_s",
    states.ANALYSIS_DONE: "expire_analysed_s",
    states.FAILED: "expire_failed_s",
}
_EXPIRING_WITHOUT_COLLECTION = {states.DONE: "expire_done_s", states.PARTIAL: "expire_done_s"}


def forget(store: Store, settings: Settings, now_ms: int) -> None:
    """Drop from the service what was at rest for longer than it is kept."""
    TASKS.forget(store, settings, expiring=_EXPIRING, now_ms=now_ms)
    TASKS.forget(
        store,
        settings,
        expiring=_EXPIRING_WITHOUT_COLLECTION,
        now_ms=now_ms,
        unless="collection is not null",
    )


def reserved(store: Store, account: str, *, beside: int = 0) -> float:
    """Units that an account's started requests hold for what is left, beside one by its number."""
    row = store.row(
        "select sum(estimate * (total - handled) / total) from batch_v1_tasks where account = ?"
        " and status in ('ANALYSIS_DONE', 'PROCESSING') and action = 'START' and total > 0"
        " and not forgotten and seq <> ?",
        account,
        beside,
    )
    return 0.0 if row is None or row[0] is None else float(row[0])


def is_collection_used(store: Store, collection_id: str) -> bool:
    """Whether a request holds on to a batch collection: one that neither failed nor was stopped."""
    row = store.row(
        "select 1 from batch_v1_tasks where collection = ? and not forgotten"
        " and status not in ('FAILED', 'CANCELED') limit 1",
        collection_id,
    )
    return row is not None


def filling(store: Store, collection_id: str) -> list[Task]:
    """The requests that fill a batch collection, the latest first."""
    found = store.rows(
        "select id from batch_v1_tasks where collection = ? and not forgotten order by seq desc",
        collection_id,
    )
    tasks = [TASKS.find(store, row["id"]) for row in found]
    return [task for task in tasks if task is not None]


# Tiles.


@dataclass(frozen=True, slots=True)
class Tile:
    """
    One tile of a request as stored.

    Args:
        n: its place in the request
        west, south, size: its cell without buffer, in the CRS of the EPSG code
        pu: units before scaling
        tries: how often it got stuck
        outcome: PROCESSED, FAILED; none before that
    """

    task: int
    n: int
    id: int
    name: str
    epsg: int
    west: float
    south: float
    size: float
    pu: float
    tries: int
    outcome: str | None
    error: str | None

    def as_json(self, task: Task, *, status: str) -> JsonObject:
        """The tile as answers show it. Source: schema `BatchTile`."""
        cell = Box(self.west, self.south, self.west + self.size, self.south + self.size)
        corner: JsonObject = {"type": "Point", "coordinates": [self.west, self.south]}
        cost = self.pu * task.scale if status == states.PROCESSED else 0.0
        content: JsonObject = {
            "id": self.id,
            "requestId": task.id,
            "geometry": projected(cell.polygon(), source=self.epsg, target=WGS84),
            "origin": with_crs(corner, self.epsg),
            "status": status,
            "cost": round(cost, 6),
        }
        if self.error is not None:
            content["error"] = self.error
        return content


def _tile(row: Row) -> Tile:
    return Tile(*row)


def insert_tiles(store: Store, task: Task, tiles: Iterable[Tile]) -> None:
    """Store the tiles of a request in the order in which they are processed."""
    store.run("delete from batch_v1_tiles where task = ?", task.seq)
    store.run_many(
        "insert into batch_v1_tiles (task, n, id, name, epsg, west, south, size, pu)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (task.seq, one.n, one.id, one.name, one.epsg, one.west, one.south, one.size, one.pu)
            for one in tiles
        ),
    )


def pending(store: Store, task: Task, *, limit: int) -> list[Tile]:
    """The tiles that come next; those that got stuck come after all others."""
    rows = store.rows(
        "select * from batch_v1_tiles where task = ? and outcome is null order by tries, n limit ?",
        task.seq,
        limit,
    )
    return [_tile(row) for row in rows]


def processed(store: Store, task: Task) -> list[Tile]:
    """The tiles whose results are there."""
    rows = store.rows(
        "select * from batch_v1_tiles where task = ? and outcome = 'PROCESSED' order by n", task.seq
    )
    return [_tile(row) for row in rows]


def settle_tiles(
    store: Store, task: Task, tried: Iterable[tuple[int, int, str | None, str | None]]
) -> None:
    """Store what became of tiles: number, tries, outcome if it is over, cause of a failure."""
    store.run_many(
        "update batch_v1_tiles set tries = ?, outcome = ?, error = ? where task = ? and n = ?",
        [(tries, outcome, error, task.seq, n) for n, tries, outcome, error in tried],
    )


def retry_failed(store: Store, task: Task) -> int:
    """Make failed tiles pending again; how many there were."""
    cursor = store.run(
        "update batch_v1_tiles set outcome = null, error = null, tries = 0"
        " where task = ? and outcome = 'FAILED'",
        task.seq,
    )
    return cursor.rowcount


def find_tile(store: Store, task: Task, tile_id: int) -> Tile | None:
    """The tile of an identifier."""
    row = store.row("select * from batch_v1_tiles where task = ? and id = ?", task.seq, tile_id)
    return None if row is None else _tile(row)


def front(store: Store, task: Task, *, now_ms: int) -> dict[int, str]:
    """
    The numbers of the tiles that are worked on now, and their statuses; others wait.

    At the instant at which processing begins all do, as those do that a restart made pending.
    """
    if task.status != states.PROCESSING or task.run_ms is None or now_ms <= task.run_ms:
        return {}
    following = pending(store, task, limit=len(states.FRONT))
    return {tile.n: status for tile, status in zip(following, states.FRONT, strict=False)}


def tiles_page(
    store: Store, task: Task, *, asked: Page, status: str | None, moving: dict[int, str]
) -> tuple[list[Tile], bool]:
    """
    A page of a request's tiles in their order, and whether there are more.

    Args:
        status: only tiles of it
        moving: `front` of the request
    """
    query = "select * from batch_v1_tiles where task = ?"
    values: list[Value] = [task.seq]
    if status in (states.PROCESSED, states.FAILED):
        query += " and outcome = ?"
        values.append(status)
    elif status is not None:
        is_waiting = status == states.PENDING
        numbers = [n for n, found in moving.items() if is_waiting or found == status]
        marks = ", ".join("?" for _ in numbers)
        query += f" and outcome is null and n {'not in' if is_waiting else 'in'} ({marks})"
        values += numbers
    rows, more = keyset(store, query, values, asked, "n")
    return [_tile(row) for row in rows], more
