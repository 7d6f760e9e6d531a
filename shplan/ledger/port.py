"""
What a journal needs of the place where its lines lie.

A backend stores lines and a head, and changes both only while the head is the expected one
(compare and swap). It knows nothing of entries. A directory is one; an object store with
conditional writes and a database table fit the same few operations.

A holder whose lease went to somebody else cannot write any more, whether it noticed or not: every
append is bound to what the lease or the next holder's first entry changed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from shplan.core.chain import Head
from shplan.core.errors import LedgerError, LockedError
from shplan.core.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """A place between two lines: a segment's name and the bytes before it."""

    segment: str
    offset: int


@dataclass(frozen=True, slots=True)
class Segment:
    """
    A part of the journal.

    Args:
        name: as a message shows it, and as a `Mark` names it
        lines: with their line feeds, read as they are taken
        first: the number that its name gives to its first entry; None where names say nothing
    """

    name: str
    lines: Iterable[bytes]
    first: int | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the ledger: what the others are told, and nothing more; pid 0: not yet known."""

    pid: int
    user: str
    host: str
    since: str

    def __str__(self) -> str:
        if not self.pid:
            return "another process"
        return f"process {self.pid} of {self.user or 'somebody'} on {self.host} since {self.since}"


class MarkLostError(Exception):
    """The journal no longer has the place of a mark: it has to be read from its beginning."""


class HeadMovedError(LedgerError):
    """Somebody else appended since the head was read: nothing was written."""


class LeaseLostError(LockedError):
    """The lease ended, or went to somebody else: this holder cannot write any more."""


class Clock(Protocol):
    """Time, injected."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds of a clock that never jumps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...


class Backend(Protocol):
    """
    A place for one ledger.

    Every operation raises `LedgerError` where the place cannot be read or written.
    """

    private: bool
    """Only this machine can see it."""

    poll_s: float
    """How long to wait before another `acquire`."""

    sure_s: float
    """For how long after a beat nobody else acts under another lease, whatever happens to ours."""

    @property
    def fence(self) -> int:
        """Number of the lease that is held, above every earlier one; 0: entries alone count."""
        ...

    @property
    def dead(self) -> tuple[Holder, ...]:
        """Earlier holders who ended without letting go, and of whom no entry tells yet."""
        ...

    @property
    def name(self) -> str:
        """What messages call the ledger."""
        ...

    @property
    def head_name(self) -> str:
        """What messages call its head."""
        ...

    async def head(self) -> Head | None:
        """Return the head that was kept beside the lines, None before the first."""
        ...

    def segments(self, start: Mark | None) -> AsyncIterator[Segment]:
        """
        Yield the segments in order, the first one from `start` on.

        Raises:
            MarkLostError: `start` is not there
        """
        ...

    async def acquire(self, holder: Holder) -> Holder | None:
        """
        Try once to become the only writer; return who else is, None on success.

        The lease of a holder that ended without letting go is taken over: it is then among the
        `dead`, until `bury`.
        """
        ...

    async def holder(self) -> Holder | None:
        """Return who holds it, as far as can be seen without touching anything: for people."""
        ...

    async def beat(self) -> None:
        """
        Say that the holder lives, at least three times within its time to live.

        Raises:
            LeaseLostError: the lease is not this holder's any more
            LeaseEndedError: it ended with the way to the place; nobody else need have it
        """
        ...

    async def bury(self) -> None:
        """Forget the `dead`: entries tell of them now."""
        ...

    async def release(self) -> None:
        """Let others write."""
        ...

    async def repair(self, end: Mark | None, head: Head) -> None:
        """Cut off what follows `end`, make sure that the rest is kept, and keep `head`."""
        ...

    async def append(self, lines: Sequence[bytes], *, expected: Head, head: Head) -> Mark:
        """
        Keep lines, then the head, and return the place behind them.

        Raises:
            HeadMovedError: the head is not `expected`; nothing was written
            LeaseLostError: the lease is not this holder's any more
            LeaseEndedError: it ended with the way to the place; the message says what was kept
            LedgerError: it is unknown what was kept
        """
        ...

    async def replace(self, lines: AsyncIterator[bytes], head: Callable[[], Head]) -> str:
        """
        Set everything aside whole, put these lines in its place, and say where it went.

        Args:
            lines: taken one by one, while what stands there is still read
            head: of them, asked for when all are taken
        """
        ...

    async def checkpoint(self) -> bytes | None:
        """
        Return what `keep_checkpoint` kept last, None where there is nothing.

        Whether to believe it is the reader's matter: a lost, old or broken one costs time only.
        """
        ...

    async def keep_checkpoint(self, content: bytes) -> None:
        """
        Keep a checkpoint in the place of the last, whole or not at all.

        Only the holder of the lease calls it. `replace` takes the checkpoint away.
        """
        ...

    async def flaws(self) -> Sequence[str]:
        """
        Say what lies beside lines, head and checkpoint and is not as it was written.

        One sentence for each, without its end. None of it is part of the record, but whoever
        changed it was here.
        """
        ...
