"""
The one lease that the changes of a walk share.

Held while any of them sends, decides what to send, or is about to; free while all of them only
wait. Whoever needs it again takes it for all, and what others have appended meanwhile is read
before anything is sent (design, "The ledger").
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, NoReturn, Self, TypeVar

from shplan.core.entry import EntryDraft, Event, LedgerEntry
from shplan.core.errors import LeaseEndedError, LedgerError, LockedError
from shplan.core.others import Others
from shplan.engine.edges import Edges
from shplan.engine.performer import Interrupt, InterruptedApplyError
from shplan.engine.ports import Lease, Ledger

T = TypeVar("T")
# A lease that ends by time is believed for a minute.
BEAT_S: Final = 15.0
# Who has begun waits at least so long to go on: others hold the ledger for moments, and to give
# up then would leave for another apply what this one has in hand.
LEAST_AGAIN_S: Final = 30.0


def seconds_passed() -> float:
    """Return seconds of a clock that goes on while the machine sleeps, where there is one."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Holding:
    """
    The lease, shared: entered once for the walk, let go of and taken again by its turns.

    Args:
        deployment: whose entries of others count
        timeout_s: how long to wait for it; to go on, at least `LEAST_AGAIN_S`
        interrupt: ends the waiting
        beat_s: how often to say that the holder lives, in seconds as they pass, because the
            place of the ledger counts them
        waiting: is told who holds it, if it is waited for, and how long at most
        passed: the seconds that have passed, also while this process or the machine slept

    Attributes:
        others: what others have appended since the walk began
        sent: something was about to be sent; before that everything may be planned again
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        deployment: str,
        timeout_s: float,
        interrupt: Interrupt,
        beat_s: float = BEAT_S,
        waiting: Callable[[str, float], None] | None = None,
        passed: Callable[[], float] = seconds_passed,
    ) -> None:
        self.others = Others(deployment)
        self.sent = False
        self._ledger = ledger
        self._timeout_s = timeout_s
        self._interrupt = interrupt
        self._lease: Lease | None = None
        self._moving = asyncio.Lock()
        self._turns = 0
        self._refused: LedgerError | None = None
        self._beat_s = beat_s
        self._sure_s = min(2 * beat_s, ledger.sure_s)
        self._heart: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._waiting = waiting
        self._passed = passed
        self._sure_at = passed()

    async def __aenter__(self) -> Self:
        self._held(await self._enter(self._timeout_s))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        lease = self._given()
        if lease is not None:
            await lease.__aexit__(kind, error, traceback)

    async def lost(self) -> NoReturn:
        """
        Wait until the lease is lost; while it is not, for ever.

        Raises:
            LockedError: it is; the message names who has it
            LeaseEndedError: it ended, and nobody need have it
        """
        await self._lost.wait()
        assert self._refused is not None, "a lease that is lost without an error"
        raise self._refused

    async def append(self, drafts: Sequence[EntryDraft]) -> tuple[LedgerEntry, ...]:
        """
        Write entries and wait until they are kept.

        Raises:
            LedgerError: they are not, or nobody holds the lease
        """
        if self._lost.is_set() and self._refused is not None:
            raise self._refused
        if self._lease is None:
            message = "the ledger was asked to write while it was let go of"
            raise LedgerError(message)
        self.sent = self.sent or any(one.event is Event.INTENT for one in drafts)
        return await self._lease.append(drafts)

    async def sure(self) -> None:
        """
        Make sure that the lease is held by now; after a sleep it may be another's.

        How long an answer about that is good, is the ledger's to say (`sure_s`).

        Raises:
            LockedError: it is
            LedgerError: nobody knows, it ended, or it was let go of
        """
        if self._refused is not None:
            raise self._refused
        if self._lease is None:
            # One of several requests of an act whose other one has ended the walk.
            message = "the ledger was let go of meanwhile; nothing more is sent"
            raise LedgerError(message)
        if self._passed() - self._sure_at > self._sure_s and not await self._look():
            message = "the ledger does not say whether it is still held; nothing more is sent"
            raise LedgerError(message)

    def turn(self) -> Turn:
        """Return one change's share."""
        return Turn(self)

    def _expect(self) -> None:
        self._turns += 1

    async def _hold(self) -> None:
        async with self._moving:
            if self._lease is not None:
                return
            if self._refused is not None:
                raise self._refused
            lease = await self._again()
            try:
                self.others.take(await self._ledger.others())
            except BaseException:
                await _leave(lease)
                raise
            self._held(lease)

    async def _let_go(self) -> None:
        self._turns -= 1
        if self._is_idle():
            async with self._moving:
                # Somebody may have begun while this one waited.
                if self._is_idle():
                    await asyncio.shield(asyncio.ensure_future(_leave(self._given())))

    def _is_idle(self) -> bool:
        return self._lease is not None and not self._turns

    def _held(self, lease: Lease) -> None:
        self._lease = lease
        self._sure_at = self._passed()
        self._heart = asyncio.create_task(self._beat(), name="lease")

    def _given(self) -> Lease | None:
        """Return the lease that nobody uses any more."""
        if self._heart is not None:
            self._heart.cancel()
        lease, self._lease, self._heart = self._lease, None, None
        return lease

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._beat_s)
            try:
                await self._look()
            except LedgerError:
                return

    async def _look(self) -> bool:
        began = self._passed()
        try:
            known = await self._ledger.beat()
        except (LockedError, LeaseEndedError) as error:
            self._refused = error
            self._lost.set()
            raise
        if known:
            self._sure_at = began
        return known

    async def _again(self) -> Lease:
        if self._interrupt.wanted:
            # What is under way is still recorded, if that needs no waiting.
            try:
                return await self._enter(0.0)
            except LockedError as error:
                raise InterruptedApplyError from error
        try:
            return await self._enter(max(self._timeout_s, LEAST_AGAIN_S))
        except LockedError as error:
            # Once for all: the walk ends with it.
            self._refused = error
            raise

    async def _enter(self, timeout_s: float) -> Lease:
        def told(holder: str) -> None:
            if self._waiting is not None:
                self._waiting(holder, timeout_s)

        lease = self._ledger.lease(timeout_s=timeout_s, waiting=told)
        if self._interrupt.wanted:
            return await lease.__aenter__()
        entering = asyncio.create_task(lease.__aenter__())
        stopping = asyncio.ensure_future(self._interrupt.event.wait())
        try:
            await asyncio.wait({entering, stopping}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            with contextlib.suppress(LedgerError):
                await _leave(await _ended(entering))
            raise
        finally:
            stopping.cancel()
        entered = await _ended(entering)
        if entered is None:
            raise InterruptedApplyError
        return entered


class Turn:
    """
    One change's share in the lease: while any turn counts, the walk does not let go of it.
    """

    __slots__ = ("_counts", "_holding")

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self._counts = False

    def expect(self) -> None:
        """Count from now on."""
        if not self._counts:
            self._counts = True
            self._holding._expect()  # noqa: SLF001 - the two halves of one thing

    async def take(self) -> None:
        """
        Have the lease.

        Raises:
            LockedError: somebody else holds it, and the time to wait is over
            InterruptedApplyError: somebody else holds it, and nobody wants to wait any more
        """
        self.expect()
        await self._holding._hold()  # noqa: SLF001

    async def give_back(self) -> None:
        """Do without it from now on; the last one lets go of it."""
        if self._counts:
            self._counts = False
            await self._holding._let_go()  # noqa: SLF001


class Turns:
    """
    Whose turn it is in a walk.

    A node counts from when the last one that it waits for has ended until it ends itself, so that
    between the two nobody else gets in.
    """

    def __init__(self, holding: Holding, number: int) -> None:
        self._turns = tuple(holding.turn() for _ in range(number))
        self._left = [0] * number
        self._followers: list[list[int]] = [[] for _ in range(number)]
        self._over: set[int] = set()

    def begin(self, needs: Edges, after: Edges) -> None:
        """Count those that wait for nobody."""
        for at, turn in enumerate(self._turns):
            before = needs[at] | after[at]
            self._left[at] = len(before)
            for other in before:
                self._followers[other].append(at)
            if not before:
                turn.expect()

    def of(self, at: int) -> Turn:
        """Return the turn of one node."""
        return self._turns[at]

    async def ended(self, at: int) -> None:
        """Hand over to those who waited for this one; only then it does not count any more."""
        self._over.add(at)
        for follower in self._followers[at]:
            self._left[follower] -= 1
            if not self._left[follower] and follower not in self._over:
                self._turns[follower].expect()
        await self._turns[at].give_back()


async def _leave(lease: Lease | None) -> None:
    if lease is not None:
        await lease.__aexit__(None, None, None)


async def _ended(entering: asyncio.Task[T]) -> T | None:
    """Return what a task came to; end one that is not done, None where that ended it."""
    if not entering.done():
        entering.cancel()
        # It may have come to its end all the same.
        await asyncio.wait({entering})
    return None if entering.cancelled() else entering.result()
