"""
A ledger in PostgreSQL: rows, and one row that is the head.

The lease is an advisory lock: it ends with the session that holds it, and so with the process, the
machine or the way between. Besides it has a number, in the head's row, and every append is bound to
it: whoever takes the lease raises it, so a session that does not know yet that it lost the lock
cannot write any more.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from shplan.core.chain import Head, line_hash
from shplan.core.errors import DamagedLedgerError, LedgerError
from shplan.ledger.backends import holders
from shplan.ledger.backends.postgres_session import Server, Session, SessionLostError, is_missing
from shplan.ledger.backends.postgres_tables import HEAD, VERSION, Tables
from shplan.ledger.port import (
    HeadMovedError,
    Holder,
    LeaseLostError,
    Mark,
    MarkLostError,
    Segment,
)

if TYPE_CHECKING:
    from shplan.ledger.backends.postgres_session import Cursor_

T = TypeVar("T")
PAGE_ROWS: Final = 2000
_SEGMENT = re.compile(r"entries-([0-9]{1,18})")
_EMPTIED = b"\0"


class PostgresBackend:
    """
    A ledger in PostgreSQL; nothing is made before the first lease.

    Args:
        server: the database
        schema: where its tables are
        name: what messages call the ledger, without any secret
        page_rows: how many entries are read at a time
    """

    private = False
    poll_s = 0.5

    def __init__(
        self, server: Server, schema: str, *, name: str, page_rows: int = PAGE_ROWS
    ) -> None:
        self._server = server
        self._name = name
        self._tables = Tables(schema, name=name)
        self._page_rows = page_rows
        self._session: Session | None = None
        self._lease = 0
        self._me = holders.UNKNOWN
        self._dead: tuple[Holder, ...] = ()

    @property
    def name(self) -> str:
        """What messages call the ledger."""
        return self._name

    @property
    def head_name(self) -> str:
        """What messages call its head."""
        return HEAD

    @property
    def fence(self) -> int:
        """Number of the lease that is held."""
        return self._lease

    @property
    def dead(self) -> tuple[Holder, ...]:
        """Earlier holders whose session ended, and of whom no entry tells yet."""
        return self._dead

    async def head(self) -> Head | None:
        """
        Return the head, None where there is none yet.

        Raises:
            DamagedLedgerError: it is no head
            LedgerError: it cannot be read
        """
        async with self._reading() as session:
            try:
                row = await session.run(self._tables.head)
            except LedgerError as error:
                if is_missing(error):
                    return None
                raise
        if row is None:
            return None
        if row.version != VERSION:
            msg = f"the table {self._name}/{HEAD} has version {row.version}, which there never was"
            raise DamagedLedgerError(msg)
        return row.head

    async def segments(self, start: Mark | None) -> AsyncIterator[Segment]:
        """
        Yield the rows in order, some at a time, the first ones from `start` on.

        Raises:
            MarkLostError: `start` is not there
        """
        first, skipped_bytes = (0, 0) if start is None else (_first(start), start.offset)
        async with self._reading() as session:
            while True:
                rows = await self._page(session, first)
                skipped = _skipped([line for _, line in rows], skipped_bytes)
                taken = rows[skipped:]
                if start is not None and not taken:
                    yield Segment(_segment(first), [])
                for run in _runs(taken):
                    # A row that somebody emptied is a line without its end, and no line at all.
                    lines = [line or _EMPTIED for _, line in run]
                    name = _segment(first if run[0] is taken[0] else run[0][0])
                    yield Segment(name, lines, run[0][0])
                if len(rows) < self._page_rows:
                    return
                first, start, skipped_bytes = rows[-1][0] + 1, None, 0

    async def acquire(self, holder: Holder) -> Holder | None:
        """
        Try once to become the only writer; the tables are made where there are none.

        Raises:
            LedgerError: they cannot be made or written
        """
        session = await self._server.open()
        try:
            other = await self._take(session, holder)
        except BaseException:
            await session.close()
            raise
        if other is not None:
            await session.close()
        return other

    async def holder(self) -> Holder | None:
        """Return who signed last, where a session has the lock."""

        def work(cursor: Cursor_) -> Holder | None:
            row = self._tables.head(cursor)
            told = None if row is None else holders.signed(row.signature)
            return told.holder if told is not None and self._tables.is_locked(cursor) else None

        async with self._reading() as session:
            try:
                return await session.run(work)
            except LedgerError as error:
                if is_missing(error):
                    return None
                raise

    async def beat(self) -> None:
        """
        Look whether the session lives and the lease is still ours.

        Raises:
            LeaseLostError: it is not
        """
        row = await self._run(self._tables.head)
        if row is None or row.lease != self._lease:
            raise LeaseLostError(await self._lost())

    async def bury(self) -> None:
        """Forget the dead: entries tell of them now."""
        if self._dead:
            await self._sign(holders.sign(self._me))
            self._dead = ()

    async def release(self) -> None:
        """Let others write: the lock ends with the session."""
        session, self._session = self._session, None
        if session is None:
            return
        lease, left = self._lease, holders.testament(self._dead)
        self._lease, self._dead = 0, ()
        with contextlib.suppress(LedgerError):
            await session.run(lambda cursor: self._tables.sign(cursor, lease, left))
        await session.close()

    async def repair(self, end: Mark | None, head: Head) -> None:
        """Remove what follows `end`, and keep `head`."""
        if end is None:
            return
        first, offset = _first(end), end.offset

        def work(cursor: Cursor_) -> None:
            self._demand_lease(cursor)
            rows = self._tables.read(cursor, first, self._page_rows)
            intact = _skipped([line for _, line in rows], offset)
            self._tables.cut(cursor, rows[intact - 1][0] + 1 if intact else first)
            self._tables.keep(cursor, head)

        await self._run(work)

    async def append(self, lines: Sequence[bytes], *, expected: Head, head: Head) -> Mark:
        """
        Add rows and move the head, in one transaction; it comes to its end also when cancelled.

        Raises:
            HeadMovedError: the head is not `expected`; nothing was written
            LeaseLostError: the lease is not ours any more; what was written is said
            LedgerError: it is unknown what was kept
        """
        lease = self._lease

        def work(cursor: Cursor_) -> bool:
            return self._tables.append(cursor, lines, expected=expected, head=head, lease=lease)

        session = self._held()
        try:
            written = await session.run(work)
        except SessionLostError as error:
            await self._settle(head, error)
        else:
            if not written:
                await self._explain()
        return Mark(_segment(head.sequence + 1), 0)

    async def replace(self, lines: Iterable[bytes], head: Head) -> str:
        """Copy the tables whole, put these lines in their place, and name the copies."""
        kept = list(lines)

        def work(cursor: Cursor_) -> str:
            self._demand_lease(cursor)
            aside = self._tables.set_aside(cursor)
            self._tables.fill(cursor, kept)
            self._tables.keep(cursor, head)
            return aside

        return f"the tables {await self._run(work)} of {self._name}"

    async def checkpoint(self) -> bytes | None:
        """Return what `keep_checkpoint` kept last, None where there is nothing."""
        async with self._reading() as session:
            try:
                return await session.run(self._tables.checkpoint)
            except LedgerError as error:
                if is_missing(error):
                    return None
                raise

    async def keep_checkpoint(self, content: bytes) -> None:
        """
        Keep a checkpoint in the place of the last, whole or not at all.

        Raises:
            LeaseLostError: the lease is not ours any more
        """
        lease = self._lease
        if not await self._run(lambda cursor: self._tables.keep_checkpoint(cursor, lease, content)):
            raise LeaseLostError(await self._lost())

    async def _take(self, session: Session, holder: Holder) -> Holder | None:
        def work(cursor: Cursor_) -> tuple[int, tuple[Holder, ...]] | Holder:
            self._tables.make(cursor)
            if not self._tables.lock(cursor):
                row = self._tables.head(cursor)
                told = None if row is None else holders.signed(row.signature)
                # It took the lock a moment ago and has not yet said who it is.
                return holders.UNKNOWN if told is None else told.holder
            row = self._tables.head(cursor, update=True)
            if row is None:
                msg = f"the head of the ledger {self._name} was removed in this moment"
                raise LedgerError(msg)
            dead = holders.left_behind(holders.signed(row.signature))
            lease = max(row.lease, 0 if row.head is None else row.head.fence) + 1
            self._tables.take(cursor, lease, holders.sign(holder, dead))
            return lease, dead

        taken = await session.run(work)
        if isinstance(taken, Holder):
            return taken
        self._session, self._me = session, holder
        self._lease, self._dead = taken
        return None

    async def _settle(self, head: Head, error: SessionLostError) -> None:
        """
        Find out whether an append was carried out whose answer was lost.

        Another session takes the lease's next number, which waits for a transaction that is on
        its way and makes one that arrives later futile: what is read then stays so. Where the
        lock is free again, nobody else was here meanwhile, and the lease goes on.

        Raises:
            LeaseLostError: the lease is lost; whether the lines are there is said
            LedgerError: nobody answers
        """
        old, self._session = self._session, None
        lease, self._lease = self._lease, 0
        if old is not None:
            await old.close()
        session = await self._server.open()
        try:
            kept, ours = await session.run(lambda cursor: self._look(cursor, lease, head))
            goes_on = kept and ours and await self._take_again(session, lease + 1)
        except BaseException:
            await session.close()
            raise
        if goes_on:
            self._session, self._lease = session, lease + 1
            return
        await session.close()
        told = "the entry is there" if kept else "nothing was written"
        msg = f"{error}; {told}, and the lease is lost"
        raise LeaseLostError(msg) from error

    def _look(self, cursor: Cursor_, lease: int, head: Head) -> tuple[bool, bool]:
        row = self._tables.head(cursor, update=True)
        ours = row is not None and row.lease == lease
        if ours:
            self._tables.take(cursor, lease + 1, holders.sign(self._me, self._dead))
        rows = self._tables.read(cursor, head.sequence, 1)
        kept = [(number, line_hash(line)) for number, line in rows]
        return kept == [(head.sequence, head.hash)], ours

    async def _take_again(self, session: Session, lease: int) -> bool:
        def work(cursor: Cursor_) -> bool:
            self._tables.await_lock(cursor)
            row = self._tables.head(cursor)
            return row is not None and row.lease == lease

        try:
            return await session.run(work)
        except LedgerError:
            # The old session is not found to be dead yet, or somebody else was faster.
            return False

    async def _explain(self) -> None:
        row = await self._run(self._tables.head)
        if row is None or row.lease != self._lease:
            raise LeaseLostError(await self._lost())
        msg = f"somebody else wrote to the ledger {self._name} while it was held here"
        raise HeadMovedError(msg)

    async def _sign(self, signature: bytes) -> None:
        lease = self._lease
        if not await self._run(lambda cursor: self._tables.sign(cursor, lease, signature)):
            raise LeaseLostError(await self._lost())

    def _demand_lease(self, cursor: Cursor_) -> None:
        row = self._tables.head(cursor, update=True)
        if row is None or row.lease != self._lease:
            msg = f"the lease of the ledger {self._name} is lost"
            raise LeaseLostError(msg)

    async def _lost(self) -> str:
        msg = f"the lease of the ledger {self._name} was taken over"
        with contextlib.suppress(LedgerError):
            row = await self._held().run(self._tables.head)
            told = None if row is None else holders.signed(row.signature)
            if told is not None:
                msg += f" by {told.holder}"
        await self._drop()
        return msg

    async def _run(self, work: Callable[[Cursor_], T]) -> T:
        session = self._held()
        try:
            return await session.run(work)
        except SessionLostError as error:
            await self._drop()
            msg = f"{error}; with the connection the lease is lost"
            raise LeaseLostError(msg) from error

    async def _drop(self) -> None:
        session, self._session = self._session, None
        self._lease = 0
        if session is not None:
            await session.close()

    def _held(self) -> Session:
        if self._session is None:
            msg = f"the lease of the ledger {self._name} is not held here"
            raise LeaseLostError(msg)
        return self._session

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[Session]:
        """The session that holds the lease, else one for this reading."""
        if self._session is not None:
            yield self._session
            return
        session = await self._server.open()
        try:
            yield session
        finally:
            await session.close()

    async def _page(self, session: Session, first: int) -> list[tuple[int, bytes]]:
        try:
            return await session.run(
                lambda cursor: self._tables.read(cursor, first, self._page_rows)
            )
        except LedgerError as error:
            if is_missing(error):
                return []
            raise


def _segment(first: int) -> str:
    return f"entries-{first}"


def _runs(rows: Sequence[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    """Yield the rows in runs of neighbouring numbers: behind a gap the number is compared again."""
    run: list[tuple[int, bytes]] = []
    for row in rows:
        if run and row[0] != run[-1][0] + 1:
            yield run
            run = []
        run.append(row)
    if run:
        yield run


def _first(mark: Mark) -> int:
    found = _SEGMENT.fullmatch(mark.segment)
    if found is None:
        raise MarkLostError
    return int(found[1])


def _skipped(lines: Sequence[bytes], size: int) -> int:
    """Return how many lines have this size together."""
    count = 0
    while size > 0 and count < len(lines):
        size -= len(lines[count])
        count += 1
    if size:
        raise MarkLostError
    return count
