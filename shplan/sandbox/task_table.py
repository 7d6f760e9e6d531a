"""
A table of tasks that live through states: found, changed, listed page by page, due and forgotten.

What a task is differs by API; what is the same of all stands here: a row has `seq`, `id`,
`account`, `created_ms`, `status`, `since_ms`, `due_ms` and `forgotten`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Mapping
    from sqlite3 import Row

    from shplan.sandbox.paging import Page
    from shplan.sandbox.settings import Settings
    from shplan.sandbox.store import Store, Value


class Stored(Protocol):
    """What every task has."""

    @property
    def seq(self) -> int:
        """Its number, in the order of creation."""

    @property
    def id(self) -> str:
        """Its identifier."""

    @property
    def account(self) -> str:
        """Whose it is."""

    @property
    def created_ms(self) -> int:
        """When it was created."""


T = TypeVar("T", bound=Stored)

_ORDERS = {
    "created": (("seq",), False),
    "created:desc": (("seq",), True),
    "status": (("status", "seq"), False),
    "status:desc": (("status", "seq"), True),
    "id": (("id",), False),
}
# What callers may ask for; the order by identifier is one that the service may have by itself.
ORDERS = tuple(name for name in _ORDERS if name != "id")


def key_of(task: object, order: str) -> str:
    """What a page token holds of a task."""
    columns, _ = _ORDERS[order]
    return "/".join(str(getattr(task, name)) for name in columns)


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of a `where`, with its values in order."""

    text: str
    values: tuple[Value, ...] = ()


class TaskTable(Generic[T]):
    """
    The tasks of one API.

    Args:
        name: of the table
        kind: dataclass whose fields are the columns, in any order
    """

    def __init__(self, name: str, kind: type[T]) -> None:
        self._name = name
        # Typed loosely: that a type is a dataclass cannot be said of a type variable.
        self._kind: Any = kind
        self._columns = ", ".join(field.name for field in fields(cast("Any", kind)))
        self._select = f"select {self._columns} from {name}"  # noqa: S608 names of our own modules

    def _task(self, row: Row) -> T:
        task: T = self._kind(*row)
        return task

    def insert(self, store: Store, **values: Value) -> T:
        """Store a new task; what is left out has the table's default."""
        marks = ", ".join("?" for _ in values)
        row = store.row(
            f"insert into {self._name} ({', '.join(values)}) values ({marks})"  # noqa: S608 as above
            f" returning {self._columns}",
            *values.values(),
        )
        assert row is not None
        return self._task(row)

    def find(self, store: Store, task_id: str) -> T | None:
        """The task of an identifier, unless it is forgotten."""
        row = store.row(f"{self._select} where id = ? and not forgotten", task_id.lower())
        return None if row is None else self._task(row)

    def change(self, store: Store, task: T, **values: Value) -> None:
        """Overwrite some columns of a task."""
        columns = ", ".join(f"{name} = ?" for name in values)
        store.run(
            f"update {self._name} set {columns} where seq = ?",  # noqa: S608 as above
            *values.values(),
            task.seq,
        )

    def first_due(self, store: Store, *, now_ms: int, account: str | None = None) -> T | None:
        """The task (of an account) to which something happens next, if that is not later than now."""
        whose, values = ("", []) if account is None else (" and account = ?", [account])
        query = f"{self._select} where due_ms <= ?{whose} order by due_ms, seq limit 1"
        row = store.row(query, now_ms, *values)
        return None if row is None else self._task(row)

    def due(self, store: Store, *, now_ms: int) -> list[str]:
        """The accounts to whose tasks something happens by now."""
        query = f"select distinct account from {self._name} where due_ms <= ?"  # noqa: S608 as above
        return [row["account"] for row in store.rows(query, now_ms)]

    def is_unchanged(self, store: Store, task: T) -> bool:
        """Whether no other process did the same step meanwhile."""
        return self.find(store, task.id) == task

    def every(self, store: Store) -> list[T]:
        """All tasks there were, forgotten ones too, in the order of their creation."""
        return [self._task(row) for row in store.rows(f"{self._select} order by seq")]

    def page(
        self,
        store: Store,
        *,
        account: str,
        until_ms: int,
        asked: Page,
        order: str,
        conditions: tuple[Condition, ...] = (),
    ) -> tuple[list[T], bool] | None:
        """
        A page of an account's tasks, and whether there are more in the direction asked for.

        Args:
            until_ms: younger tasks are not listed
            conditions: all must hold

        Returns:
            none if the token is not one of this order
        """
        columns, descending = _ORDERS[order]
        wanted = ["account = ?", "not forgotten", "created_ms <= ?"]
        values: list[Value] = [account, until_ms]
        for condition in conditions:
            wanted.append(condition.text)
            values += condition.values
        downward = descending != asked.backward
        if asked.key is not None:
            start = _key_values(str(asked.key), columns)
            if start is None:
                return None
            marks = ", ".join("?" for _ in columns)
            wanted.append(f"({', '.join(columns)}) {'<' if downward else '>'} ({marks})")
            values += start
        by = ", ".join(f"{name} {'desc' if downward else 'asc'}" for name in columns)
        found = store.rows(
            f"{self._select} where {' and '.join(wanted)} order by {by} limit ?",
            *values,
            asked.count + 1,
        )
        tasks = [self._task(row) for row in found[: asked.count]]
        return (tasks[::-1] if asked.backward else tasks), len(found) > asked.count

    def forget(
        self,
        store: Store,
        settings: Settings,
        *,
        expiring: Mapping[str, str],
        now_ms: int,
        unless: str = "0",
    ) -> None:
        """
        Drop from the service what was at rest for longer than it is kept.

        Args:
            expiring: by status, the setting that says how long
            unless: a condition under which a task is kept
        """
        for status, name in expiring.items():
            after_s: float | None = getattr(settings, name)
            if after_s is None:
                continue
            store.run(
                f"update {self._name} set forgotten = 1 where status = ? and due_ms is null"  # noqa: S608
                f" and not forgotten and since_ms <= ? and not ({unless})",
                status,
                now_ms - round(after_s * 1000),
            )


def _key_values(key: str, columns: tuple[str, ...]) -> list[Value] | None:
    parts = key.split("/")
    if len(parts) != len(columns):
        return None
    values: list[Value] = []
    for name, part in zip(columns, parts, strict=True):
        if name != "seq":
            values.append(part)
        elif part.isascii() and part.isdigit() and len(part) < 19:
            values.append(int(part))
        else:
            return None
    return values
