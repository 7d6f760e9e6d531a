"""
A ledger in PostgreSQL: rows, and one row that is the head.

Who may write is `postgres_lease.py`, the statements are `postgres_tables.py`. Every append is one
statement that moves the head, and only from where its writer last saw it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, TypeVar

from shplan.core.chain import Head
from shplan.core.errors import DamagedLedgerError, LedgerError
from shplan.ledger.backends import holders
from shplan.ledger.backends.postgres_lease import PostgresLease
from shplan.ledger.backends.postgres_session import Server, Session, SessionLostError, is_missing
from shplan.ledger.backends.postgres_tables import HEAD, UNSEALED, VERSION, Most, Tables
from shplan.ledger.port import Holder, Mark, MarkLostError, Segment
from shplan.storage.threads import ahead

if TYPE_CHECKING:
    from shplan.ledger.backends.postgres_session import Cursor_

PAGE: Final = Most()
_AT_ONCE: Final = 5000
_SEGMENT = re.compile(r"entries-([0-9]{1,18})")
_EMPTIED = b"\0"

Row = tuple[int, bytes]
T = TypeVar("T")


class PostgresBackend:
    """
    A ledger in PostgreSQL; nothing is made before the first lease.

    Args:
        server: the database
        schema: where its tables are
        name: what messages call the ledger, without any secret
        page: how many entries are read at a time
    """

    private = False
    poll_s = 0.5
    # A session can end at any moment, and we are the last to know. Whoever gets the lock then has
    # to read and to plan first, which takes longer.
    sure_s = 0.5

    def __init__(self, server: Server, schema: str, *, name: str, page: Most = PAGE) -> None:
        self._name = name
        self._tables = Tables(schema, name=name)
        self._most = page
        self._lease = PostgresLease(server, self._tables, name=name)

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
        return self._lease.number

    @property
    def dead(self) -> tuple[Holder, ...]:
        """Earlier holders whose session ended, and of whom no entry tells yet."""
        return self._lease.dead

    async def head(self) -> Head | None:
        """
        Return the head, None where there is none yet.

        Raises:
            DamagedLedgerError: it is no head, or there are several
            LedgerError: it cannot be read
        """
        async with self._lease.reading() as session:
            row = await _unless_missing(session.ask(self._tables.head))
        if row is None:
            return None
        table = f"the table {self._name}/{HEAD}"
        if row.version not in (UNSEALED, VERSION):
            msg = f"{table} has version {row.version}, which there never was"
            raise DamagedLedgerError(msg)
        if row.rows > 1:
            msg = f"{table} has more than one row"
            raise DamagedLedgerError(msg)
        return row.head

    async def segments(self, start: Mark | None) -> AsyncIterator[Segment]:
        """
        Yield the rows in order, some at a time, the first ones from `start` on.

        Raises:
            MarkLostError: `start` is not there
        """
        async with self._lease.reading() as session:
            if start is None:
                async for segment in self._following(session, None, 0):
                    yield segment
                return
            # Behind what the mark has counted; what follows is read by number.
            first = _first(start)
            rows = await self._page(session, first, 0)
            taken = rows[_skipped([line for _, line in rows], start.offset) :]
            for segment in _segments(taken, name=start.segment) or [Segment(start.segment, [])]:
                yield segment
            if self._most.may_go_on(rows):
                async for segment in self._following(session, *_behind(rows, first, 0)):
                    yield segment

    async def acquire(self, holder: Holder) -> Holder | None:
        """
        Try once to become the only writer; the tables are made where there are none.

        Raises:
            LedgerError: they cannot be made or written
        """
        return await self._lease.acquire(holder)

    async def holder(self) -> Holder | None:
        """Return who signed last, where a session has the lock."""

        def work(cursor: Cursor_) -> Holder | None:
            row = self._tables.head(cursor)
            told = None if row is None else holders.signed(row.signature)
            return told.holder if told is not None and self._tables.is_locked(cursor) else None

        async with self._lease.reading() as session:
            return await _unless_missing(session.run(work))

    async def beat(self) -> None:
        """
        Look whether the session lives and the lease is still ours.

        Raises:
            LeaseLostError: somebody else has it
            LeaseEndedError: the connection ended
        """
        await self._lease.beat()

    async def bury(self) -> None:
        """Forget the dead: entries tell of them now."""
        await self._lease.bury()

    async def release(self) -> None:
        """Let others write: the lock ends with the session."""
        await self._lease.release()

    async def repair(self, end: Mark | None, head: Head) -> None:
        """Remove what follows `end`, and keep `head`."""
        if end is None:
            return
        first, offset = _first(end), end.offset

        def work(cursor: Cursor_) -> None:
            self._lease.check(cursor)
            rows = self._tables.read(cursor, first, self._most)
            intact = _skipped([line for _, line in rows], offset)
            self._tables.cut(cursor, rows[intact - 1][0] + 1 if intact else first)
            self._tables.keep(cursor, head)

        await self._lease.run(work)

    async def append(self, lines: Sequence[bytes], *, expected: Head, head: Head) -> Mark:
        """
        Add rows and move the head, in one statement; it comes to its end also when cancelled.

        Raises:
            HeadMovedError: the head is not `expected`; nothing was written
            LeaseLostError: the lease is not ours any more; what was written is said
            LedgerError: it is unknown what was kept
        """
        lease = self._lease.number

        def work(cursor: Cursor_) -> bool:
            return self._tables.append(cursor, lines, expected=expected, head=head, lease=lease)

        session = self._lease.held()
        try:
            written = await session.ask(work)
        except SessionLostError as error:
            await self._lease.settle(head, error)
        else:
            if not written:
                await self._lease.explain()
        return Mark(_segment(head.sequence + 1), 0)

    async def replace(self, lines: AsyncIterator[bytes], head: Callable[[], Head]) -> str:
        """
        Copy the tables whole, put these lines in their place, and name the copies.

        The lines are gathered in a table of their own first: what stands in the ledger is read
        meanwhile, and is changed by one transaction at the end.
        """
        await self._lease.run(self._tables.gather)
        first, some = 0, list[bytes]()
        async for line in lines:
            some.append(line)
            if len(some) == _AT_ONCE:
                await self._add(first, some)
                first, some = first + len(some), []
        await self._add(first, some)

        def work(cursor: Cursor_) -> str:
            self._lease.check(cursor)
            aside = self._tables.set_aside(cursor)
            self._tables.take_gathered(cursor)
            self._tables.keep(cursor, head())
            return aside

        return f"the tables {await self._lease.run(work)} of {self._name}"

    async def checkpoint(self) -> bytes | None:
        """Return what `keep_checkpoint` kept last, None where there is nothing."""
        async with self._lease.reading() as session:
            return await _unless_missing(session.ask(self._tables.checkpoint))

    async def keep_checkpoint(self, content: bytes) -> None:
        """
        Keep a checkpoint in the place of the last, whole or not at all.

        Raises:
            LeaseLostError: the lease is not ours any more
        """
        lease = self._lease.number
        await self._lease.demand(
            lambda cursor: self._tables.keep_checkpoint(cursor, lease, content)
        )

    async def flaws(self) -> Sequence[str]:
        """Say what beside lines and head is not as it was written."""
        async with self._lease.reading() as session:
            return await _unless_missing(session.run(self._flaws)) or ()

    def _flaws(self, cursor: Cursor_) -> Sequence[str]:
        row = self._tables.head(cursor)
        if row is None:
            return ()
        found = list(self._tables.flaws(cursor))
        told = holders.signed(row.signature)
        is_sealed = told is not None and told.v > holders.UNSEALED and told.lease == row.lease
        if is_sealed != (row.version == VERSION):
            found.append(f"{HEAD} does not say as it was written who took which lease last")
        return found

    async def _add(self, first: int, some: Sequence[bytes]) -> None:
        await self._lease.run(lambda cursor: self._tables.add(cursor, first, some))

    async def _following(
        self, session: Session, first: int | None, skipped: int
    ) -> AsyncIterator[Segment]:
        """Yield rows from a number on; of those with this number some were read before."""
        async with aclosing(ahead(self._pages(session, first, skipped))) as pages:
            async for rows in pages:
                for segment in _segments(rows):
                    yield segment

    async def _pages(
        self, session: Session, first: int | None, skipped: int
    ) -> AsyncGenerator[list[Row], None]:
        while True:
            rows = await self._page(session, first, skipped)
            yield rows
            if not self._most.may_go_on(rows):
                return
            first, skipped = _behind(rows, first, skipped)

    async def _page(self, session: Session, first: int | None, skipped: int) -> list[Row]:
        def work(cursor: Cursor_) -> list[Row]:
            return self._tables.read(cursor, first, self._most, skipped=skipped)

        return await _unless_missing(session.ask(work)) or []


async def _unless_missing(work: Awaitable[T]) -> T | None:
    """Return what some work returns, None where there are no tables yet."""
    try:
        return await work
    except LedgerError as error:
        if is_missing(error):
            return None
        raise


def _behind(rows: Sequence[Row], first: int | None, skipped: int) -> tuple[int, int]:
    """
    Return the last number of a page, and how many rows with it were read.

    A number is there once. Where it is not (a table that was restored without its key), the page
    may end between two rows of one number, and both are to be seen.
    """
    last = rows[-1][0]
    before = skipped if first == last else 0
    return last, before + sum(number == last for number, _ in rows)


def _segment(first: int) -> str:
    return f"entries-{first}"


def _segments(rows: Sequence[Row], *, name: str = "") -> list[Segment]:
    """
    Return the rows as segments of neighbouring numbers: behind a gap the number is compared again.

    Args:
        name: of the first segment, where it has one already
    """
    segments = []
    for run in _runs(rows):
        # A row that somebody emptied is a line without its end, and no line at all.
        lines = [line or _EMPTIED for _, line in run]
        own = name if name and run[0] is rows[0] else _segment(run[0][0])
        segments.append(Segment(own, lines, run[0][0]))
    return segments


def _runs(rows: Sequence[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    """Yield the rows in runs of neighbouring numbers: behind a gap the number is compared again."""
    if rows and [number for number, _ in rows] == [*range(rows[0][0], rows[0][0] + len(rows))]:
        # As it nearly always is: one comparison for all takes a tenth of the time.
        yield list(rows)
        return
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
