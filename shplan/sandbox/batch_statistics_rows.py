"""
Batch statistical tasks and their features as rows: the SQL of the family and how a row becomes JSON.

A task lives as one of batch processing does, and has the same columns. Who may do what is decided in the routes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shplan.sandbox import batch_rows
from shplan.sandbox.task_table import TaskTable
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shplan.sandbox.settings import Settings
    from shplan.sandbox.store import Store
    from shplan.sandbox.wire import JsonObject

# The id of a feature is a number or a text, as its file has it.
SCHEMA = f"""
{batch_rows.tasks_schema("statistics_tasks", "statistics")}
create table if not exists statistics_features (
  task integer not null, n integer not null, id not null, identifier text, epsg integer not null,
  shape text not null, outcome text, error text, primary key (task, n)) without rowid;
"""
TABLES = {"statistics_tasks": "seq", "statistics_features": "task, n"}

PARTIAL = "PARTIAL"
DONE, FATAL = batch_rows.DONE, batch_rows.FATAL
# Source: schema `BatchStatisticsTaskStatusDto`, and the spelling that the released client reads.
_OF_STATUS = (
    "id",
    "status",
    "error",
    "completionPercentage",
    "lastUpdated",
    "costPu",
    "costPU",
    "created",
    "stoppedStatusReason",
)


@dataclass(frozen=True, slots=True)
class Task(batch_rows.Task):
    """One task as stored."""

    def told(self) -> JsonObject:
        """
        The task as answers show it, without its request. Source: schema `BatchStatisticsTaskDto`.

        Units are spelled in two ways: as the schema has it, and as the released client reads it.
        """
        # Not the short form of `super`, which a dataclass with slots does not have.
        content = batch_rows.Task.told(self)
        return {**content, "costPu": content["costPU"]}

    def status_text(self) -> str:
        """The lighter answer of the status alone."""
        content = self.told()
        return encode({name: content[name] for name in _OF_STATUS if name in content})


TASKS = TaskTable("statistics_tasks", Task)


def insert(store: Store, *, task_id: str, account: str, request: JsonObject, now_ms: int) -> Task:
    """Store a new task."""
    return batch_rows.inserted(
        TASKS, store, task_id=task_id, account=account, request=request, now_ms=now_ms
    )


_EXPIRING = {**batch_rows.EXPIRING, PARTIAL: "expire_done_s"}


def forget(store: Store, settings: Settings, now_ms: int) -> None:
    """Drop from the service what was at rest for longer than it is kept."""
    TASKS.forget(store, settings, expiring=_EXPIRING, now_ms=now_ms)


@dataclass(frozen=True, slots=True)
class Feature:
    """
    One feature.

    Args:
        n: its number in the task, from 1
        id: as its file has it
        shape: outline as WKB in hexadecimal
    """

    n: int
    id: int | str
    identifier: str | None
    epsg: int
    shape: str


def insert_features(store: Store, task: Task, features: Iterable[Feature]) -> None:
    """Store the features of a task in the order in which they are processed."""
    store.run("delete from statistics_features where task = ?", task.seq)
    store.run_many(
        "insert into statistics_features (task, n, id, identifier, epsg, shape)"
        " values (?, ?, ?, ?, ?, ?)",
        ((task.seq, one.n, one.id, one.identifier, one.epsg, one.shape) for one in features),
    )


def pending(store: Store, task: Task, *, limit: int) -> list[Feature]:
    """The next features that are not handled yet."""
    found = store.rows(
        "select n, id, identifier, epsg, shape from statistics_features"
        " where task = ? and outcome is null order by n limit ?",
        task.seq,
        limit,
    )
    return [Feature(*row) for row in found]


def settle_features(
    store: Store, task: Task, outcomes: Iterable[tuple[int, str, str | None]]
) -> None:
    """Store what became of features: number, outcome, and the cause of a failure."""
    store.run_many(
        "update statistics_features set outcome = ?, error = ? where task = ? and n = ?",
        [(outcome, error, task.seq, n) for n, outcome, error in outcomes],
    )
