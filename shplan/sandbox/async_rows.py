"""
Asynchronous requests as rows: the SQL of the family.

The service forgets a request once it is over; its row stays, forgotten, so that tests can see what became of it
and that it was paid for once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shplan.sandbox.task_table import TaskTable
from shplan.sandbox.wire import decode_object, encode

if TYPE_CHECKING:
    from shplan.sandbox.store import Store
    from shplan.sandbox.wire import JsonObject

SCHEMA = """
create table if not exists async_requests (
  seq integer primary key, id text not null unique, account text not null,
  created_ms integer not null, status text not null, since_ms integer not null,
  due_ms integer, request text not null, cost real not null default 0, error text,
  forgotten integer not null default 0);
create index if not exists async_by_account on async_requests (account, status, due_ms);
create index if not exists async_due on async_requests (due_ms, seq) where due_ms is not null;
"""
TABLES = {"async_requests": "seq"}

RUNNING, DONE, FAILED = "RUNNING", "DONE", "FAILED"


@dataclass(frozen=True, slots=True)
class Request:
    """
    One request as stored; instants in milliseconds since 1970.

    Args:
        since_ms: when the status was reached
        due_ms: when its results are there; none: it is over
        request: JSON text of the body, without its secrets
        cost: PU that were charged
        error: why it failed
    """

    seq: int
    id: str
    account: str
    created_ms: int
    status: str
    since_ms: int
    due_ms: int | None
    request: str
    cost: float
    error: str | None
    forgotten: int

    @property
    def content(self) -> JsonObject:
        """The body, decoded."""
        return decode_object(self.request)

    def as_text(self) -> str:
        """The answer. Source: schema `AsyncStatusResponse`, which knows one status."""
        return encode({"id": self.id, "status": self.status})


REQUESTS = TaskTable("async_requests", Request)


def insert(
    store: Store, *, request_id: str, account: str, request: JsonObject, now_ms: int, due_ms: int
) -> Request:
    """Store a new request, which runs from now on."""
    return REQUESTS.insert(
        store,
        id=request_id,
        account=account,
        created_ms=now_ms,
        status=RUNNING,
        since_ms=now_ms,
        due_ms=due_ms,
        request=encode(request),
    )


def running(store: Store, account: str) -> tuple[int, int | None]:
    """How many requests of an account run, and when the first of them is due."""
    row = store.row(
        "select count(*), min(due_ms) from async_requests where account = ? and status = ?",
        account,
        RUNNING,
    )
    assert row is not None
    return int(row[0]), row[1]


def finish(
    store: Store, request: Request, *, at_ms: int, cost_pu: float = 0.0, error: str | None = None
) -> None:
    """Store how a request ended; the service knows it no more."""
    REQUESTS.change(
        store,
        request,
        status=DONE if error is None else FAILED,
        since_ms=at_ms,
        due_ms=None,
        cost=cost_pu,
        error=error,
        forgotten=1,
    )
