"""
The tables of a ledger in PostgreSQL, and the statements over them; each returns what it found.

    ledger_entry      one row an entry: its number and its line, byte by byte
    ledger_head       one row: the last entry, the number of the lease, who holds it, a checkpoint
    ledger_gathered   while a ledger is recovered: the lines that will be the entries

Whoever appends changes the head's row, only while it names the expected entry and the appender's
own lease. So the row decides who wins, and who has lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, LiteralString, cast

from shplan.core.chain import EMPTY, Head
from shplan.core.errors import LedgerError
from shplan.core.frozen import dataclass
from shplan.ledger.backends.holders import UNKNOWN, sign

if TYPE_CHECKING:
    from shplan.ledger.backends.postgres_session import Cursor_

# In version 1 the holder did not seal the number of the lease.
UNSEALED: Final = 1
VERSION: Final = 2
ENTRIES: Final = "ledger_entry"
HEAD: Final = "ledger_head"
_LOWEST: Final = -(2**63)


@dataclass(frozen=True, slots=True)
class HeadRow:
    """
    The row of the head.

    Args:
        head: None before the first entry
        lease: number of the lease that was taken last
        signature: of who holds it, or held it last
        version: of the tables
        rows: how many there are: one, unless the table lost its key
    """

    head: Head | None
    lease: int
    signature: bytes
    version: int = VERSION
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Most:
    """
    How much is read at a time: so many rows, or as many as have so many bytes together.

    A line is half a kilobyte, or a hundred tiles long: of either some lie in memory.
    """

    rows: int = 2000
    size_bytes: int = 8 * 2**20

    def may_go_on(self, rows: Sequence[tuple[int, bytes]]) -> bool:
        """Tell whether others may follow these."""
        return len(rows) == self.rows or sum(len(line) for _, line in rows) >= self.size_bytes


class Tables:
    """
    The tables in one schema.

    Args:
        schema: its name, letters, digits and underscores
        name: what messages call the ledger
    """

    def __init__(self, schema: str, *, name: str) -> None:
        self._schema = schema
        self._name = name
        digest = hashlib.sha256(f"shplan ledger {schema}".encode()).digest()
        # Within one database; two keys, because making the tables is not writing.
        self._lock = int.from_bytes(digest[:8], "big", signed=True)
        self._making = int.from_bytes(digest[8:16], "big", signed=True)

    def make(self, cursor: Cursor_) -> None:
        """Make what is not there yet."""
        found = self._one(cursor, "SELECT to_regclass(%s), to_regclass(%s)", *self._both())
        if None in found:
            self._do(cursor, "SELECT pg_advisory_xact_lock(%s)", self._making)
            if self._one(cursor, "SELECT to_regnamespace(%s)", f'"{self._schema}"') == (None,):
                self._do(cursor, "CREATE SCHEMA {s}")
            self._do(
                cursor,
                "CREATE TABLE IF NOT EXISTS {s}.ledger_entry"
                " (sequence bigint PRIMARY KEY, line bytea NOT NULL)",
            )
            self._do(
                cursor,
                "CREATE TABLE IF NOT EXISTS {s}.ledger_head"
                " (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL,"
                " sequence bigint NOT NULL, fence bigint NOT NULL, hash text NOT NULL,"
                " lease bigint NOT NULL, holder bytea, checkpoint bytea)",
            )
        self._do(
            cursor,
            # Without its key nothing would conflict.
            "INSERT INTO {s}.ledger_head (version, sequence, fence, hash, lease, holder)"
            " SELECT %s, %s, %s, %s, 0, %s WHERE NOT EXISTS (SELECT FROM {s}.ledger_head)"
            " ON CONFLICT DO NOTHING",
            VERSION,
            EMPTY.sequence,
            EMPTY.fence,
            EMPTY.hash,
            sign(UNKNOWN),
        )

    def lock(self, cursor: Cursor_) -> bool:
        """Take the lock that ends with the session; False when another session has it."""
        return bool(self._one(cursor, "SELECT pg_try_advisory_lock(%s)", self._lock)[0])

    def unlock(self, cursor: Cursor_) -> None:
        """Give the lock back, and no other that the session may have."""
        self._do(cursor, "SELECT pg_advisory_unlock(%s)", self._lock)

    def is_locked(self, cursor: Cursor_) -> bool:
        """Tell whether a session has the lock, without trying it."""
        # Source: PostgreSQL, pg_locks: a bigint key is shown as its two halves, objsubid 1.
        query: LiteralString = (
            "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND objsubid = 1 AND ((classid::bigint << 32) | objid::bigint) = %s AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return bool(self._one(cursor, query, self._lock)[0])

    def await_lock(self, cursor: Cursor_) -> None:
        """Take the lock as soon as its session has ended, which the server learns in a moment."""
        self._do(cursor, "SELECT pg_advisory_lock(%s)", self._lock)

    def head(self, cursor: Cursor_, *, update: bool = False) -> HeadRow | None:
        """
        Return the head's row; with `update`, once nobody else is about to change it.

        Raises:
            LedgerError: it was written by a newer shplan
        """
        query: LiteralString = (
            "SELECT version, sequence, fence, hash, lease, holder FROM {s}.ledger_head"
            " ORDER BY sequence DESC LIMIT 2"
        )
        self._do(cursor, query + " FOR UPDATE" if update else query)
        rows = cursor.fetchall()
        if not rows:
            return None
        version, sequence, fence, digest, lease, holder = rows[0]
        if version > VERSION:
            msg = (
                f"the ledger {self._name} has tables of version {version} and this shplan knows "
                f"{VERSION}: it was written by a newer shplan"
            )
            raise LedgerError(msg)
        head = Head(sequence, fence, digest)
        kept = None if head == EMPTY else head
        return HeadRow(kept, lease, bytes(holder or b""), version, len(rows))

    def take(self, cursor: Cursor_, lease: int, signature: bytes) -> None:
        """Write down a new lease, its number and its holder."""
        self._do(
            cursor,
            # Of a version that never was the next reader tells.
            "UPDATE {s}.ledger_head SET lease = %s, holder = %s,"
            " version = CASE version WHEN %s THEN %s ELSE version END",
            lease,
            signature,
            UNSEALED,
            VERSION,
        )

    def sign(self, cursor: Cursor_, lease: int, signature: bytes | None) -> bool:
        """Write down who holds this lease; False when it is another by now."""
        query: LiteralString = "UPDATE {s}.ledger_head SET holder = %s WHERE lease = %s"
        return self._do(cursor, query, signature, lease) == 1

    def checkpoint(self, cursor: Cursor_) -> bytes | None:
        """Return the checkpoint, None where none is kept."""
        self._do(cursor, "SELECT checkpoint FROM {s}.ledger_head")
        row = cursor.fetchone()
        return None if row is None or row[0] is None else bytes(row[0])

    def keep_checkpoint(self, cursor: Cursor_, lease: int, content: bytes) -> bool:
        """Keep a checkpoint; False when the lease is another by now."""
        query: LiteralString = "UPDATE {s}.ledger_head SET checkpoint = %s WHERE lease = %s"
        return self._do(cursor, query, content, lease) == 1

    def append(
        self, cursor: Cursor_, lines: Sequence[bytes], *, expected: Head, head: Head, lease: int
    ) -> bool:
        """Add lines and move the head in one statement; False: the head or the lease is another."""
        return (
            self._do(
                cursor,
                "WITH moved AS (UPDATE {s}.ledger_head SET sequence = %s, fence = %s, hash = %s"
                " WHERE lease = %s AND sequence = %s AND hash = %s RETURNING one)"
                " INSERT INTO {s}.ledger_entry (sequence, line)"
                " SELECT %s + added.number, added.line FROM moved,"
                " unnest(%s::bytea[]) WITH ORDINALITY AS added (line, number)",
                head.sequence,
                head.fence,
                head.hash,
                lease,
                expected.sequence,
                expected.hash,
                expected.sequence,
                list(lines),
            )
            > 0
        )

    def read(
        self, cursor: Cursor_, first: int | None, most: Most, *, skipped: int = 0
    ) -> list[tuple[int, bytes]]:
        """
        Return rows in order.

        Args:
            first: from this number on; None: from the lowest
            most: how many; one is returned, however long it is
            skipped: how many of them are left out before
        """
        self._do(
            cursor,
            "SELECT sequence, line FROM"
            " (SELECT sequence, line, sum(octet_length(line)) OVER (ORDER BY sequence, line"
            " ROWS UNBOUNDED PRECEDING) - octet_length(line) AS before FROM"
            " (SELECT sequence, COALESCE(line, '') AS line FROM {s}.ledger_entry"
            " WHERE sequence >= %s ORDER BY sequence, line OFFSET %s LIMIT %s) AS taken) AS counted"
            " WHERE before < %s ORDER BY sequence, line",
            _LOWEST if first is None else first,
            skipped,
            most.rows,
            most.size_bytes,
            # As text a line is twice as long, and has to be decoded.
            is_binary=True,
        )
        return cursor.fetchall()

    def flaws(self, cursor: Cursor_) -> Iterator[str]:
        """Say what is wrong with the tables themselves, as a restore can leave them."""
        for table in (ENTRIES, HEAD):
            if not self._has_key(cursor, table):
                yield f"the table {table} has lost its primary key"
        unnumbered = self._one(
            cursor, "SELECT count(*) FROM {s}.ledger_entry WHERE sequence IS NULL"
        )
        if unnumbered != (0,):
            yield f"the table {ENTRIES} has rows without a number: {unnumbered[0]}"

    def cut(self, cursor: Cursor_, first: int) -> None:
        """Remove the rows from a number on."""
        self._do(cursor, "DELETE FROM {s}.ledger_entry WHERE sequence >= %s", first)

    def keep(self, cursor: Cursor_, head: Head) -> None:
        """Write the head, whatever it was."""
        query: LiteralString = (
            "UPDATE {s}.ledger_head SET version = %s, sequence = %s, fence = %s, hash = %s"
        )
        self._do(cursor, query, VERSION, head.sequence, head.fence, head.hash)

    def gather(self, cursor: Cursor_) -> None:
        """Make an empty table for lines that are to take the place of all others."""
        self._do(cursor, "DROP TABLE IF EXISTS {s}.ledger_gathered")
        self._do(cursor, "CREATE TABLE {s}.ledger_gathered (sequence bigint, line bytea)")

    def add(self, cursor: Cursor_, first: int, lines: Sequence[bytes]) -> None:
        """Put lines there, numbered from `first` on."""
        self._do(
            cursor,
            "INSERT INTO {s}.ledger_gathered (sequence, line)"
            " SELECT %s + added.number - 1, added.line"
            " FROM unnest(%s::bytea[]) WITH ORDINALITY AS added (line, number)",
            first,
            list(lines),
        )

    def set_aside(self, cursor: Cursor_) -> str:
        """Copy both tables whole, empty that of the entries, and say where the copies are."""
        number = 1
        while self._one(cursor, "SELECT to_regclass(%s)", self._quoted(f"{ENTRIES}_{number}")) != (
            None,
        ):
            number += 1
        for table in (ENTRIES, HEAD):
            # Not renamed: whoever may read the tables may so afterwards.
            self._do(
                cursor, "CREATE TABLE {s}.{t} AS TABLE {s}.{u}", t=f"{table}_{number}", u=table
            )
        self._do(cursor, "DELETE FROM {s}.ledger_entry")
        self._do(cursor, "UPDATE {s}.ledger_head SET checkpoint = NULL")
        return f"{self._schema}.{ENTRIES}_{number} and {self._schema}.{HEAD}_{number}"

    def take_gathered(self, cursor: Cursor_) -> None:
        """Make the gathered lines the entries, in tables that are as they were made."""
        # Of several heads one stays, whichever: the head is written next.
        self._do(
            cursor,
            "DELETE FROM {s}.ledger_head WHERE ctid <> (SELECT ctid FROM {s}.ledger_head LIMIT 1)",
        )
        for table, key in ((ENTRIES, "sequence"), (HEAD, "one")):
            if not self._has_key(cursor, table):
                self._do(cursor, "ALTER TABLE {s}.{t} ADD PRIMARY KEY ({k})", t=table, k=key)
        self._do(cursor, "INSERT INTO {s}.ledger_entry SELECT * FROM {s}.ledger_gathered")
        self._do(cursor, "DROP TABLE {s}.ledger_gathered")

    def _has_key(self, cursor: Cursor_, table: str) -> bool:
        query: LiteralString = (
            "SELECT count(*) FROM pg_index WHERE indrelid = to_regclass(%s) AND indisprimary"
        )
        return self._one(cursor, query, self._quoted(table)) != (0,)

    def _both(self) -> tuple[str, str]:
        return self._quoted(ENTRIES), self._quoted(HEAD)

    def _quoted(self, table: str) -> str:
        return f'"{self._schema}"."{table}"'

    def _one(self, cursor: Cursor_, query: LiteralString, *values: object) -> tuple[Any, ...]:
        self._do(cursor, query, *values)
        return cast("tuple[Any, ...]", cursor.fetchone())

    def _do(
        self,
        cursor: Cursor_,
        query: LiteralString,
        *values: object,
        is_binary: bool = False,
        **names: str,
    ) -> int:
        from psycopg import sql  # noqa: PLC0415 - a cursor is there, so is it

        identifiers = {key: sql.Identifier(name) for key, name in names.items()}
        made = sql.SQL(query).format(s=sql.Identifier(self._schema), **identifiers)
        cursor.execute(made, values or None, binary=is_binary)
        return cursor.rowcount
