"""
The sandbox's state: one SQLite file that several processes may hold open at once.

Here are the connection, its transactions and what belongs to no API family: identity,
counters, the meter, allowances, faults and the list of requests. The rows of an API family
stand in its own module.
"""

from __future__ import annotations

import secrets
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Protocol, TypeAlias

from shplan.sandbox.clock import Anchor
from shplan.sandbox.ids import seeded_uuid
from shplan.sandbox.wire import decode_object, encode

if TYPE_CHECKING:
    from pathlib import Path

    from shplan.sandbox.wire import Json, JsonObject

FILE_NAME = "sandbox.sqlite"
KEPT_REQUESTS = 100_000
# For another process to end what it writes.
WAIT_S = 60.0

Value: TypeAlias = "str | int | float | None"

_SCHEMA = """
create table if not exists meta (key text primary key, value) without rowid;
create table if not exists deleted (
  kind text not null, parent text not null, name text not null, account text not null,
  at_ms integer not null, primary key (kind, parent, name)) without rowid;
create table if not exists meter (account text primary key, pu real not null, calls integer not null)
  without rowid;
create table if not exists allowances (
  name text primary key, tokens real not null, at_ms integer not null) without rowid;
create table if not exists faults (
  seq integer primary key, spec text not null, seen integer not null default 0,
  fired integer not null default 0);
create table if not exists requests (
  seq integer primary key, at_ms integer not null, method text not null, path text not null,
  status integer, account text, fault text);
"""

_TABLES = {
    "deleted": "kind, parent, name",
    "meter": "account",
    "allowances": "name",
    "faults": "seq",
    "requests": "seq",
}


class Family(Protocol):
    """The module that keeps the rows of an API family."""

    @property
    def SCHEMA(self) -> str:  # noqa: N802 a constant of the module
        """Its tables and indexes; every statement lets what is there already stand."""

    @property
    def TABLES(self) -> Mapping[str, str]:  # noqa: N802 as above
        """Each table that a reset empties, with the order in which it is dumped."""


def discard_damaged(data: Path) -> None:
    """Delete the state of a directory if it is no database any more; else leave it alone."""
    connection = sqlite3.connect(data / FILE_NAME, timeout=WAIT_S)
    try:
        connection.execute("pragma quick_check").fetchall()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        for suffix in ("", "-wal", "-shm"):
            (data / f"{FILE_NAME}{suffix}").unlink(missing_ok=True)
    finally:
        connection.close()


def _write_ahead(connection: sqlite3.Connection) -> None:
    """
    Put a file into write-ahead mode, or wait until another process has.

    Of several that begin on a new file each reads it and wants to write: as none would ever give
    way, SQLite refuses all but one at once, however long it may wait for a lock otherwise.
    https://www.sqlite.org/c3ref/busy_handler.html
    """
    last = monotonic() + WAIT_S
    while True:
        try:
            connection.execute("pragma journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > last:
                raise
            sleep(0.01)
        else:
            return


class Store:
    """The open state of one data directory."""

    def __init__(self, data: Path, *, families: Sequence[Family] = ()) -> None:
        data.mkdir(parents=True, exist_ok=True)
        schema = _SCHEMA + "".join(family.SCHEMA for family in families)
        self._tables = {**_TABLES}
        for family in families:
            self._tables |= family.TABLES
        self._connection = sqlite3.connect(
            data / FILE_NAME, timeout=WAIT_S, isolation_level=None, check_same_thread=False
        )
        self._connection.row_factory = sqlite3.Row
        self._depth = 0
        self._known: dict[str, str | None] | None = None
        # Of a new file: a tile fits into a page, whose quarter is what a row may take without overflow.
        self._connection.execute("pragma page_size=8192")
        _write_ahead(self._connection)
        for pragma in ("synchronous=NORMAL", "cache_size=-131072"):
            self._connection.execute(f"pragma {pragma}")
        version = zlib.crc32(schema.encode()) >> 1  # a positive 32-bit integer
        if self._connection.execute("pragma user_version").fetchone()[0] != version:
            # A directory of another version of this program gets what it lacks, indexes included.
            with self.writing():
                for statement in schema.split(";"):
                    self._connection.execute(statement)
                self._connection.execute(f"pragma user_version = {version}")

    def close(self) -> None:
        """Close the file; the last one to leave merges the journal into it."""
        self._connection.close()

    # Statements.

    def run(self, statement: str, *values: Value) -> sqlite3.Cursor:
        """Run one statement."""
        return self._connection.execute(statement, values)

    def run_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> None:
        """Run one statement for each row of values."""
        self._connection.executemany(statement, rows)

    def row(self, statement: str, *values: Value) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        row: sqlite3.Row | None = self._connection.execute(statement, values).fetchone()
        return row

    def rows(self, statement: str, *values: Value) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the write lock; all of it happens, or nothing."""
        if self._depth:
            yield
            return
        # At once, not at the first write: a reader that turns writer cannot wait for its turn.
        self._connection.execute("begin immediate")
        self._depth = 1
        if self._known is not None:
            self._known = {}  # another process may have changed them until now
        try:
            yield
        except BaseException:
            self._connection.execute("rollback")
            if self._known is not None:
                self._known = {}
            raise
        else:
            self._connection.execute("commit")
        finally:
            self._depth = 0

    # Identity, time, counters.

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """
        Read each of the single texts once, and again in a transaction.

        What a request begins with it goes on with: it asks for the time and its identity all over.
        """
        if self._known is not None:
            yield
            return
        self._known = {}
        try:
            yield
        finally:
            self._known = None

    def meta(self, key: str) -> str | None:
        """Return a single stored text."""
        if self._known is None:
            return self._read_meta(key)
        if key not in self._known:
            self._known[key] = self._read_meta(key)
        return self._known[key]

    def _read_meta(self, key: str) -> str | None:
        row = self.row("select value from meta where key = ?", key)
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Store a single text."""
        self.run("insert or replace into meta values (?, ?)", key, value)
        if self._known is not None:
            self._known = {}

    def found(self, *, seed: str | None, clock_s: float, speed: float) -> None:
        """Give a new directory its seed, its instance and its time."""
        if self.meta("seed") is not None:
            return
        with self.writing():
            if self.meta("seed") is None:
                # A directory without a seed of its own needs an identity that no other has.
                self.set_meta("seed", seed if seed is not None else secrets.token_hex(16))
                self.set_meta("generation", "0")
                self.set_meta("ids", "0")
                self.set_anchor(Anchor(clock_s=clock_s, sandbox_s=clock_s, speed=speed))

    @property
    def seed(self) -> str:
        """What identifiers, and the chance in faults, are made from."""
        return self.meta("seed") or ""

    def adopt_seed(self, seed: str) -> bool:
        """Take a seed, if there is no other or nothing was made from it yet; whether it holds."""
        with self.writing():
            if self.seed != seed and self.meta("ids") == "0":
                self.set_meta("seed", seed)
            return self.seed == seed

    @property
    def instance(self) -> str:
        """The identity that the directory got when it was made or last reset."""
        return seeded_uuid(self.meta("seed") or "", self.meta("generation") or "", "instance")

    @property
    def signing_key(self) -> bytes:
        """The secret that tokens of this instance are signed with, until they are all expired."""
        series = self.meta("token_series") or "0"
        return f"{self.meta('seed')}/{self.meta('generation')}/token/{series}".encode()

    def expire_tokens(self) -> None:
        """From now on no token counts that was issued before."""
        with self.writing():
            self.set_meta("token_series", str(int(self.meta("token_series") or "0") + 1))

    def mint(self, kind: str) -> str:
        """Return a new identifier; counts within the transaction that uses it."""
        return self.mint_many(kind, 1)[0]

    def mint_many(self, kind: str, count: int) -> list[str]:
        """Return so many new identifiers; counts within the transaction that uses them."""
        row = self.row(
            "update meta set value = cast(value as integer) + ? where key = 'ids' returning value",
            count,
        )
        last = 0 if row is None else int(row[0])
        seed, generation = self.meta("seed") or "", self.meta("generation") or ""
        return [
            seeded_uuid(seed, generation, kind, number)
            for number in range(last - count + 1, last + 1)
        ]

    def derived(self, kind: str, *parts: str) -> str:
        """An identifier that depends on what it is of: the same, whoever comes to it first."""
        seed, generation = self.meta("seed") or "", self.meta("generation") or ""
        return seeded_uuid(seed, generation, kind, *parts)

    def anchor(self) -> Anchor:
        """Where sandbox time is anchored."""
        stored = decode_object(self.meta("anchor") or "{}")
        return Anchor(**stored)  # type: ignore[arg-type]  # written by set_anchor only

    def set_anchor(self, anchor: Anchor) -> None:
        """Anchor sandbox time anew, for every process on this directory."""
        content: JsonObject = {
            "clock_s": anchor.clock_s,
            "sandbox_s": anchor.sandbox_s,
            "speed": anchor.speed,
        }
        self.set_meta("anchor", encode(content))

    def reset(self, *, seed: str | None, anchor: Anchor) -> None:
        """Forget everything; what remains is a new instance with a time of its own."""
        with self.writing():
            for table in self._tables:
                self.run(f"delete from {table}")  # noqa: S608 names are ours
            if seed is not None:
                self.set_meta("seed", seed)
            generation = int(self.meta("generation") or "0") + 1
            self.set_meta("generation", str(generation))
            self.set_meta("ids", "0")
            self.set_anchor(anchor)

    # The meter and the list of requests.

    def charge(self, account: str, pu: float, *, calls: int = 1) -> None:
        """Add processing units to an account; `calls` are the requests that cost them."""
        self.run(
            "insert into meter values (?, ?, ?) on conflict (account)"
            " do update set pu = pu + excluded.pu, calls = calls + excluded.calls",
            account,
            pu,
            calls,
        )

    def charged(self, account: str) -> float:
        """Processing units that an account has spent."""
        row = self.row("select pu from meter where account = ?", account)
        return 0.0 if row is None else float(row["pu"])

    def meter(self) -> JsonObject:
        """Processing units and charged calls by account."""
        rows = self.rows("select account, pu, calls from meter order by account")
        return {row["account"]: {"pu": row["pu"], "calls": row["calls"]} for row in rows}

    def log(
        self,
        *,
        at_ms: int,
        method: str,
        path: str,
        status: int | None,
        account: str | None,
        fault: str | None,
    ) -> None:
        """List one request; the oldest give way."""
        cursor = self.run(
            "insert into requests (at_ms, method, path, status, account, fault)"
            " values (?, ?, ?, ?, ?, ?)",
            at_ms,
            method,
            path,
            status,
            account,
            fault,
        )
        last = cursor.lastrowid or 0
        if last % 1000 == 0:
            self.run("delete from requests where seq <= ?", last - KEPT_REQUESTS)

    def dump(self) -> JsonObject:
        """All state in a fixed order."""
        return {
            table: [_plain(row) for row in self.rows(f"select * from {table} order by {keys}")]  # noqa: S608
            for table, keys in self._tables.items()
        }


def _plain(row: sqlite3.Row) -> Json:
    return {name: row[name] for name in row.keys()}  # noqa: SIM118 a row iterates its values
