"""
The lease of a ledger in PostgreSQL: an advisory lock, and a number in the row of the head.

The lock ends with the session that holds it. The number is raised by whoever takes the lease, and
every change is bound to it: a session that does not know yet that it lost the lock cannot write.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, TypeVar

from shplan.core.chain import Head, line_hash
from shplan.core.errors import LeaseEndedError, LedgerError
from shplan.ledger.backends import holders
from shplan.ledger.backends.postgres_session import Server, Session, SessionLostError
from shplan.ledger.backends.postgres_tables import HeadRow, Most, Tables
from shplan.ledger.port import HeadMovedError, Holder, LeaseLostError

if TYPE_CHECKING:
    from shplan.ledger.backends.postgres_session import Cursor_

T = TypeVar("T")


class PostgresLease:
    """
    The lease, and the session that has it.

    Args:
        server: the database
        tables: of the ledger
        name: what messages call the ledger
    """

    def __init__(self, server: Server, tables: Tables, *, name: str) -> None:
        self._server = server
        self._tables = tables
        self._name = name
        self._session: Session | None = None
        self._number = 0
        self._me = holders.UNKNOWN
        self._dead: tuple[Holder, ...] = ()
        # Why the lease ended, where the connection did: others need not have it.
        self._ended = ""

    @property
    def number(self) -> int:
        """Number of the lease that is held, else 0."""
        return self._number

    @property
    def dead(self) -> tuple[Holder, ...]:
        """Earlier holders whose session ended, and of whom no entry tells yet."""
        return self._dead

    @property
    def session(self) -> Session | None:
        """The session that has it."""
        return self._session

    async def acquire(self, holder: Holder) -> Holder | None:
        """
        Try once to take it; the tables are made where there are none. Return who has it.

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

    async def beat(self) -> None:
        """
        Look whether the session lives and the lease is still ours.

        Raises:
            LeaseLostError: somebody else has it
            LeaseEndedError: the connection ended
        """
        number = self._number
        try:
            row = await self.run(self._tables.head)
        except LeaseEndedError as error:
            msg = await self._taken_since(number) if number else ""
            if not msg:
                raise
            raise LeaseLostError(msg) from error
        if row is None or row.lease != number:
            raise LeaseLostError(await self._lost())

    async def bury(self) -> None:
        """
        Forget the dead.

        Raises:
            LeaseLostError: it is not ours any more
        """
        if self._dead:
            lease = self._number
            left = holders.sign(self._me, lease=lease)
            await self.demand(lambda cursor: self._tables.sign(cursor, lease, left))
            self._dead = ()

    async def release(self) -> None:
        """Let others write: the lock ends here, or with the session at the latest."""
        session, self._session = self._session, None
        if session is None:
            return
        lease, left = self._number, holders.sign(holders.UNKNOWN, self._dead, lease=self._number)
        self._number, self._dead = 0, ()
        with contextlib.suppress(LedgerError):
            await session.run(lambda cursor: self._tables.sign(cursor, lease, left))
            # A server notices a while after we have left that a session has ended.
            await session.run(self._tables.unlock)
        await session.close()

    async def run(self, work: Callable[[Cursor_], T]) -> T:
        """
        Do some work in one transaction of the session that has the lease.

        Raises:
            LeaseEndedError: the connection ended, and the lease with it
            LedgerError: the server refused
        """
        session = self.held()
        try:
            return await session.run(work)
        except SessionLostError as error:
            await self._drop()
            self._ended = f"{error}; with the connection the lease is lost"
            raise LeaseEndedError(self._ended) from error

    async def demand(self, work: Callable[[Cursor_], bool]) -> None:
        """
        Do some work that is bound to the lease's number.

        Raises:
            LeaseLostError: it says that the lease is another by now
        """
        if not await self.run(work):
            raise LeaseLostError(await self._lost())

    def check(self, cursor: Cursor_) -> None:
        """
        Make sure, within a transaction, that the lease is ours until its end.

        Raises:
            LeaseLostError: it is not
        """
        row = self._tables.head(cursor, update=True)
        if row is None or row.lease != self._number:
            msg = f"the lease of the ledger {self._name} is lost"
            raise LeaseLostError(msg)

    def held(self) -> Session:
        """
        Return the session that has the lease.

        Raises:
            LeaseLostError: none has
            LeaseEndedError: its connection ended
        """
        if self._session is None and self._ended:
            raise LeaseEndedError(self._ended)
        if self._session is None:
            msg = f"the lease of the ledger {self._name} is not held here"
            raise LeaseLostError(msg)
        return self._session

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[Session]:
        """The session that holds the lease, else one for this reading."""
        if self._session is not None:
            yield self._session
            return
        session = await self._server.open()
        try:
            yield session
        finally:
            await session.close()

    async def explain(self) -> None:
        """
        Say why an append found nothing to change.

        Raises:
            HeadMovedError: the head is another
            LeaseLostError: the lease is
        """
        row = await self.run(self._tables.head)
        if row is None or row.lease != self._number:
            raise LeaseLostError(await self._lost())
        msg = f"somebody else wrote to the ledger {self._name} while it was held here"
        raise HeadMovedError(msg)

    async def settle(self, head: Head, error: SessionLostError) -> None:
        """
        Find out whether an append was carried out whose answer was lost.

        Another session takes the lease's next number, which waits for a transaction that is on
        its way and makes one that arrives later futile: what is read then stays so. Where the
        lock is free again, nobody else was here meanwhile, and the lease goes on.

        Raises:
            LeaseLostError: somebody else has it by now; whether the lines are there is said
            LeaseEndedError: it cannot be had again; the same
            LedgerError: nobody answers
        """
        old, self._session = self._session, None
        lease, self._number = self._number, 0
        self._ended = f"{error}; with the connection the lease is lost"
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
            self._session, self._number, self._ended = session, lease + 1, ""
            return
        await session.close()
        told = "the entry is there" if kept else "nothing was written"
        msg = f"{error}; {told}, and the lease is lost"
        raise (LeaseEndedError if ours else LeaseLostError)(msg) from error

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
            self._tables.take(cursor, lease, holders.sign(holder, dead, lease=lease))
            return lease, dead

        taken = await session.run(work)
        if isinstance(taken, Holder):
            return taken
        self._session, self._me, self._ended = session, holder, ""
        self._number, self._dead = taken
        return None

    def _look(self, cursor: Cursor_, lease: int, head: Head) -> tuple[bool, bool]:
        row = self._tables.head(cursor, update=True)
        ours = row is not None and row.lease == lease
        if ours:
            signature = holders.sign(self._me, self._dead, lease=lease + 1)
            self._tables.take(cursor, lease + 1, signature)
        rows = self._tables.read(cursor, head.sequence, Most(1))
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

    async def _lost(self) -> str:
        row = None
        with contextlib.suppress(LedgerError):
            row = await self.held().run(self._tables.head)
        await self._drop()
        return self._taken(row)

    async def _taken_since(self, number: int) -> str:
        """Say who took it over when our session had ended; empty where nobody did, or can tell."""
        with contextlib.suppress(LedgerError):
            async with self.reading() as session:
                row = await session.run(self._tables.head)
            if row is not None and row.lease != number:
                return self._taken(row)
        return ""

    def _taken(self, row: HeadRow | None) -> str:
        msg = f"the lease of the ledger {self._name} was taken over"
        told = None if row is None else holders.signed(row.signature)
        return f"{msg} by {told.holder}" if told is not None and told.pid else msg

    async def _drop(self) -> None:
        session, self._session = self._session, None
        self._number = 0
        if session is not None:
            await session.close()
