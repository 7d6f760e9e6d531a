"""
Batch tasks and their features as rows: the SQL of the family and how a row becomes JSON.

A task's row holds the echo of its request as text, so that a page of a hundred is put together
without decoding any. Who may do what is decided in the routes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from shplan.sandbox import batch_states as states
from shplan.sandbox.batch_states import Standing
from shplan.sandbox.ids import seeded_uuid
from shplan.sandbox.task_table import Stored, TaskTable
from shplan.sandbox.wire import decode_object, encode, instant

if TYPE_CHECKING:
    from collections.abc import Iterable
    from sqlite3 import Row

    from shplan.sandbox.settings import Settings
    from shplan.sandbox.store import Store
    from shplan.sandbox.wire import JsonObject

# What every API has whose tasks live as those of batch processing do.
_TASKS_SCHEMA = """
create table if not exists {name} (
  seq integer primary key, id text not null unique, account text not null,
  created_ms integer not null, updated_ms integer not null, status text not null,
  since_ms integer not null, action text not null default 'NONE', action_ms integer,
  due_ms integer, error text, reason text, request text not null,
  total integer, handled integer not null default 0, fatal integer not null default 0,
  cost real not null default 0, scale real not null default 1, run_ms integer, pace_ms real,
  run_handled integer not null default 0, starts integer not null default 0,
  forgotten integer not null default 0);
create index if not exists {short}_by_account on {name} (account, seq);
create index if not exists {short}_by_status on {name} (account, status, seq);
create index if not exists {short}_due on {name} (due_ms, seq) where due_ms is not null;
"""


def tasks_schema(name: str, short: str) -> str:
    """The table of tasks under a name, and its indexes under a short one."""
    return _TASKS_SCHEMA.format(name=name, short=short)


SCHEMA = f"""
{tasks_schema("batch_tasks", "batch")}
create table if not exists batch_features (
  task integer not null, n integer not null, name text not null, epsg integer not null,
  shape text not null, width integer not null, height integer not null, cost real not null,
  outcome text, error text, primary key (task, n)) without rowid;
create table if not exists batch_fillings (task integer primary key, bands text not null);
"""
TABLES = {"batch_tasks": "seq", "batch_features": "task, n", "batch_fillings": "task"}

DONE, FATAL = "DONE", "FATAL"


@dataclass(frozen=True, slots=True)
class Task:
    """
    One task as stored; instants in milliseconds since 1970.

    Args:
        since_ms: when the status was reached
        due_ms: when something happens by itself
        request: JSON text of the request, with its secrets only if they are to be echoed
        total: features; none before the analysis
        handled: features that are done or failed
        cost: PU charged so far
        scale: what the units of a feature are multiplied by
        run_ms, pace_ms, run_handled: when processing last began, time for a feature, and how
            many were handled since
        starts: how many STARTs had an effect
    """

    seq: int
    id: str
    account: str
    created_ms: int
    updated_ms: int
    status: str
    since_ms: int
    action: str
    action_ms: int | None
    due_ms: int | None
    error: str | None
    reason: str | None
    request: str
    total: int | None
    handled: int
    fatal: int
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
        return Standing(self.status, self.action, self.since_ms, self.due_ms, self.reason)

    @property
    def content(self) -> JsonObject:
        """The request, decoded."""
        return decode_object(self.request)

    @property
    def percentage(self) -> float:
        """How much of it is over; a task without features is whole once it is done."""
        if not self.total:
            return 100.0 if self.status == states.DONE else 0.0
        return round(100 * self.handled / self.total, 2)

    def as_text(self) -> str:
        """The task as answers show it. Source: schema `BatchV2ProcessTask`."""
        return f'{encode(self.told())[:-1]},"request":{self.request}}}'

    def told(self) -> JsonObject:
        """The same without its request."""
        content: JsonObject = {
            "id": self.id,
            "projectId": self.account,
            "domainAccountId": self.account,
            "workspaceId": seeded_uuid("workspace", self.account),
            "status": self.status,
            "userAction": self.action,
            "created": instant(self.created_ms),
            "lastUpdated": instant(self.updated_ms),
            "completionPercentage": self.percentage,
            # A sum of many parts: what lies beyond is the noise of floating point numbers.
            "costPU": round(float(self.cost), 6),
        }
        if self.action_ms is not None:
            content["userActionUpdated"] = instant(self.action_ms)
        if self.error is not None:
            content["error"] = self.error
        if self.reason is not None and self.status == states.STOPPED:
            content["stoppedStatusReason"] = self.reason
        return content


T = TypeVar("T", bound=Stored)

TASKS = TaskTable("batch_tasks", Task)
find, change, first_due, every = TASKS.find, TASKS.change, TASKS.first_due, TASKS.every


def insert(store: Store, *, task_id: str, account: str, request: JsonObject, now_ms: int) -> Task:
    """Store a new task."""
    return inserted(TASKS, store, task_id=task_id, account=account, request=request, now_ms=now_ms)


def inserted(
    table: TaskTable[T],
    store: Store,
    *,
    task_id: str,
    account: str,
    request: JsonObject,
    now_ms: int,
) -> T:
    """Store a new task in the table of any API whose tasks are like these."""
    return table.insert(
        store,
        id=task_id,
        account=account,
        created_ms=now_ms,
        updated_ms=now_ms,
        status=states.CREATED,
        since_ms=now_ms,
        request=encode(request),
    )


EXPIRING = {
    states.CREATED: "expire_created_s",
    states.ANALYSIS_DONE: "expire_analysed_s",
    states.STOPPED: "expire_stopped_s",
    states.FAILED: "expire_failed_s",
    states.DONE: "expire_done_s",
}


def forget(store: Store, settings: Settings, now_ms: int) -> None:
    """Drop from the service what was at rest for longer than it is kept."""
    TASKS.forget(store, settings, expiring=EXPIRING, now_ms=now_ms)


# Features.


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature: name, outline as WKB in hexadecimal, size in pixels, units before scaling."""

    name: str
    epsg: int
    shape: str
    width: int
    height: int
    cost: float


def insert_features(store: Store, task: Task, features: Iterable[Feature]) -> None:
    """Store the features of a task in the order in which they are processed."""
    store.run("delete from batch_features where task = ?", task.seq)
    store.run_many(
        "insert into batch_features (task, n, name, epsg, shape, width, height, cost)"
        " values (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (task.seq, n, one.name, one.epsg, one.shape, one.width, one.height, one.cost)
            for n, one in enumerate(features, 1)
        ),
    )


def pending(store: Store, task: Task, *, limit: int) -> dict[int, Feature]:
    """The next features that are not handled yet, by their numbers."""
    rows = store.rows(
        "select n, name, epsg, shape, width, height, cost from batch_features"
        " where task = ? and outcome is null order by n limit ?",
        task.seq,
        limit,
    )
    return {row["n"]: Feature(*row[1:]) for row in rows}


def settle_features(
    store: Store, task: Task, outcomes: Iterable[tuple[int, str, str | None]]
) -> None:
    """Store what became of features: number, outcome, and the cause of a failure."""
    store.run_many(
        "update batch_features set outcome = ?, error = ? where task = ? and n = ?",
        [(outcome, error, task.seq, n) for n, outcome, error in outcomes],
    )


def retry_failed(store: Store, task: Task) -> int:
    """Make failed features pending again; how many there were."""
    cursor = store.run(
        "update batch_features set outcome = null, error = null where task = ? and outcome = ?",
        task.seq,
        FATAL,
    )
    return cursor.rowcount


def retried(store: Store, task: Task) -> dict[int, tuple[str | None, str | None]]:
    """What `retry_failed` is going to make of features: outcome and error by their numbers."""
    query = "select n from batch_features where task = ? and outcome = ?"
    return {row["n"]: (None, None) for row in store.rows(query, task.seq, FATAL)}


def features(store: Store, task: Task) -> list[Row]:
    """All features of a task."""
    return store.rows("select * from batch_features where task = ? order by n", task.seq)


def set_bands(store: Store, task: Task, bands: JsonObject) -> None:
    """Store the bands that the results of a task are in the collection that it fills."""
    store.run("insert or replace into batch_fillings values (?, ?)", task.seq, encode(bands))


def bands_of(store: Store, task: Task) -> JsonObject | None:
    """Those bands; none: it fills no collection."""
    row = store.row("select bands from batch_fillings where task = ?", task.seq)
    return None if row is None else decode_object(row["bands"])
