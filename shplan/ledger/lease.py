"""
The right to append: waits for it, repairs what a crash left, and writes under one number.

Whoever holds it is the only writer; readers do not ask for it. How others are kept out is the
backend's matter.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from shplan.core.entry import EntryDraft, Event, LedgerEntry
from shplan.core.errors import LedgerError, LockedError
from shplan.core.value import JsonObject
from shplan.ledger.port import HeadMovedError, Holder
from shplan.ledger.tail import Tail, instant

_ATTEMPTS: Final = 5


@dataclass(eq=False, slots=True)
class _Batch:
    """What one caller appends, and what became of it."""

    drafts: tuple[EntryDraft, ...]
    entries: tuple[LedgerEntry, ...] = ()
    error: BaseException | None = None


class JournalLease:
    """
    The lease of one journal; it ends with the `async with`, or with the process.

    Args:
        tail: the journal's end
        timeout_s: how long to wait while somebody else has it
        waiting: is told who, once, if there is anything to wait for
    """

    def __init__(
        self, tail: Tail, *, timeout_s: float, waiting: Callable[[str], None] | None = None
    ) -> None:
        self._tail = tail
        self._timeout_s = timeout_s
        self._waits = waiting
        self._fence: int | None = None
        self._waiting: list[_Batch] = []

    async def __aenter__(self) -> Self:
        await acquire(self._tail, timeout_s=self._timeout_s, waiting=self._waits)
        try:
            self._fence = await _begin(self._tail)
        except BaseException:
            await self._tail.backend.release()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        fence, self._fence = self._fence, None
        try:
            if kind is None and fence is not None:
                async with self._tail.turn:
                    await self._tail.save(fence=fence)
        finally:
            self._tail.leave()
            await self._tail.backend.release()

    async def append(self, drafts: Sequence[EntryDraft]) -> tuple[LedgerEntry, ...]:
        """
        Write entries and wait until they are on disk: one uninterruptible step.

        Args:
            drafts: written together, with one sync

        Raises:
            LedgerError: the disk refused; from then on this lease refuses as well, because nobody
                knows what the disk has until it is read again
        """
        batch = _Batch(tuple(drafts))
        self._waiting.append(batch)
        try:
            # On a directory nobody ever waits. Where a write takes time, whoever comes next
            # writes for all who came meanwhile.
            async with self._tail.turn:
                if batch in self._waiting:
                    await self._write()
        finally:
            if batch in self._waiting:
                self._waiting.remove(batch)
        if batch.error is not None:
            # Of the same kind: a lease that is lost is so for all who wrote together.
            kind = type(batch.error) if isinstance(batch.error, LedgerError) else LedgerError
            raise kind(str(batch.error)) from batch.error
        return batch.entries

    async def _write(self) -> None:
        batches, self._waiting = self._waiting, []
        try:
            entries = await self._write_all([one for batch in batches for one in batch.drafts])
        except BaseException as error:
            for batch in batches:
                batch.error = error
            raise
        for batch in batches:
            count = len(batch.drafts)
            batch.entries, entries = entries[:count], entries[count:]

    async def _write_all(self, drafts: Sequence[EntryDraft]) -> tuple[LedgerEntry, ...]:
        if self._fence is None:
            msg = "the ledger was asked to write without a lease, or after a write had failed"
            raise LedgerError(msg)
        if not drafts:
            return ()
        fence, self._fence = self._fence, None
        entries = await self._tail.append(drafts, fence=fence)
        self._fence = fence
        return entries


async def _begin(tail: Tail) -> int:
    """
    As the only writer: read, repair, and tell of those who died; return the lease's number.

    Where a lease ends by time, one that was thought dead may still append until the entry about
    it is there: then everything is read again.
    """
    for left in range(_ATTEMPTS - 1, -1, -1):
        fence = max((await tail.prepare()).fence + 1, tail.backend.fence)
        told = [
            EntryDraft(Event.TAKEOVER, data={"holder": _told(one)}) for one in tail.backend.dead
        ]
        if not told:
            return fence
        try:
            async with tail.turn:
                await tail.append(told, fence=fence)
        except HeadMovedError:
            if not left:
                raise
            continue
        await tail.backend.bury()
        return fence
    raise AssertionError


def _told(holder: Holder) -> JsonObject:
    return {
        "pid": holder.pid,
        "user": holder.user,
        "host": holder.host,
        "since": holder.since,
    }


async def acquire(
    tail: Tail, *, timeout_s: float, waiting: Callable[[str], None] | None = None
) -> None:
    """
    Become the only writer.

    Args:
        tail: the journal's end
        timeout_s: how long to wait while somebody else is
        waiting: is told who, once, if there is anything to wait for

    Raises:
        LockedError: it took longer; the message names who holds it
    """
    me = Holder(
        pid=os.getpid(),
        user=tail.actor.get("user", ""),
        host=platform.node(),
        since=instant(tail.clock.now()),
    )
    deadline = tail.clock.monotonic() + timeout_s
    while (other := await tail.backend.acquire(me)) is not None:
        left_s = deadline - tail.clock.monotonic()
        if left_s <= 0:
            msg = (
                f"the ledger {tail.backend.name} is held by {other}; waited {timeout_s:g} s; "
                "wait until it ends, or give more time with --lock-timeout"
            )
            raise LockedError(msg)
        if waiting is not None:
            waiting(str(other))
            waiting = None
        await tail.clock.sleep(min(tail.backend.poll_s, left_s))
