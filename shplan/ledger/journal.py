"""
The ledger of one environment: read, append, verify, export and recover, over a backend.

A reader takes no lease and needs no right to write. What entries mean is `core/fold.py`, how they
are chained `core/chain.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from shplan.core.address import Address
from shplan.core.chain import DamageKind, Head
from shplan.core.entry import LedgerEntry
from shplan.core.errors import LeaseEndedError, LedgerError
from shplan.core.frozen import dataclass
from shplan.core.line import decode
from shplan.core.resource import Recorded
from shplan.core.runs import RunRecord
from shplan.ledger.lease import JournalLease, acquire
from shplan.ledger.port import Backend, Clock, Holder, LeaseLostError
from shplan.ledger.reading import complaint, read
from shplan.ledger.tail import CHECKPOINT_BYTES, Tail, instant

if TYPE_CHECKING:
    from shplan.core.anchors import Anchor, Finding
    from shplan.ledger.recovery import Findings, Place
    from shplan.ledger.verification import Report


@dataclass(frozen=True, slots=True)
class Recovered:
    """
    What `recover` did.

    Args:
        aside: where the old ledger lies
        findings: what was kept of it, and what was not
        end: the head of the new one
    """

    aside: str
    findings: Findings
    end: Head


class Journal:
    """
    A ledger.

    Args:
        backend: where the lines lie
        clock: for the time of entries and for waiting
        actor: who writes: user, CI run and commit, as far as known; no secrets
        origin: whose ledger it is: project and environment; empty where that is not asked
        own_only: refuse to go by a ledger that says it is somebody else's; `verify`, `export` and
            `recover` take any
        checkpoint_bytes: by how much it has to grow before a checkpoint is made of it
    """

    def __init__(
        self,
        backend: Backend,
        *,
        clock: Clock,
        actor: Mapping[str, str],
        origin: Mapping[str, str] | None = None,
        own_only: bool = False,
        checkpoint_bytes: int = CHECKPOINT_BYTES,
    ) -> None:
        self.private: bool = backend.private
        self.sure_s: float = backend.sure_s
        self._backend = backend
        self._tail = Tail(
            backend,
            clock=clock,
            actor=actor,
            origin=origin,
            own_only=own_only,
            checkpoint_bytes=checkpoint_bytes,
        )

    async def head(self) -> str:
        """Return the hash of the last entry, the genesis hash of an empty ledger."""
        return (await self.end()).hash

    async def end(self) -> Head:
        """Return number, lease and hash of the last entry, `EMPTY` of an empty ledger."""
        return await self._tail.head()

    async def recorded(self, deployment: str) -> Mapping[Address, Recorded]:
        """
        Fold the entries of one deployment into what is recorded.

        Args:
            deployment: its identity, as entries carry it

        Raises:
            DamagedLedgerError: an entry was changed, dropped, reordered or cut off
        """
        return (await self._tail.fold(deployment)).recorded()

    async def runs(self, deployment: str) -> Mapping[str, RunRecord]:
        """
        Return every run that the entries of one deployment know, by its key.

        Raises:
            DamagedLedgerError: as `recorded`
        """
        return (await self._tail.fold(deployment)).runs()

    def lease(
        self, *, timeout_s: float, waiting: Callable[[str], None] | None = None
    ) -> JournalLease:
        """
        Return the lease, to be entered with `async with`.

        Args:
            timeout_s: how long to wait on entering while somebody else has it
            waiting: is told who, once, if there is anything to wait for

        Raises:
            LockedError: on entering, somebody else held it longer than `timeout_s`
        """
        return JournalLease(self._tail, timeout_s=timeout_s, waiting=waiting)

    async def others(self) -> tuple[LedgerEntry, ...]:
        """
        Return what others have appended since this journal's last lease was given back.

        Asked by who has just taken it again: until then more may come.

        Raises:
            LedgerError: the ledger is not the one that was left (it was recovered, or put back)
        """
        return await self._tail.others()

    async def holder(self) -> Holder | None:
        """Return who holds the ledger, as far as can be seen without touching anything."""
        return await self._backend.holder()

    async def beat(self) -> bool:
        """
        Say that the holder of the lease lives; return whether the lease is known to be held.

        One beat that nobody answers is no matter: the next one looks again.

        Raises:
            LeaseLostError: somebody else has it by now
            LeaseEndedError: it ended with the way to the ledger
        """
        # An append says the same, and both write it in the place of its last version.
        async with self._tail.turn:
            try:
                await self._backend.beat()
            except (LeaseLostError, LeaseEndedError):
                raise
            except LedgerError:
                return False
            return True

    async def verify(self, anchors: Iterable[Anchor] = ()) -> Report:
        """
        Read everything anew and say what is there; damage is an answer, not an error.

        Args:
            anchors: heads that were written down elsewhere
        """
        from shplan.ledger.verification import verify  # noqa: PLC0415 - only `ledger` needs it

        return await verify(self._backend, anchors, origin=self._tail.origin)

    async def scan(
        self, take: Callable[[LedgerEntry], None], anchors: Iterable[Anchor] = ()
    ) -> tuple[Finding, ...]:
        """
        Hand over every entry, in order, and look out for anchored heads.

        Raises:
            DamagedLedgerError: at the end, when any is damaged: forget what was handed over
        """
        from shplan.core.anchors import Watch  # noqa: PLC0415 - only a saved plan needs it

        watch = Watch(anchors)

        def seen(entry: LedgerEntry) -> None:
            watch.take(entry)
            take(entry)

        reading = await read(self._backend, seen)
        if reading.verdict.damage is not None:
            raise complaint(self._backend, reading, reading.verdict.damage)
        return watch.findings(reading.verdict.head)

    async def export(self) -> AsyncIterator[bytes]:
        """
        Yield the journal's lines byte by byte, so that their chain can be checked elsewhere.

        Raises:
            DamagedLedgerError: before the first line, when any is damaged
        """
        await self._demand_intact()
        async for segment in self._backend.segments(None):
            for line in segment.lines:
                if line.endswith(b"\n"):
                    yield line

    async def entries(self) -> AsyncIterator[LedgerEntry]:
        """
        Yield every entry, in order.

        Raises:
            DamagedLedgerError: before the first entry, when any is damaged
        """
        async for line in self.export():
            yield decode(line)

    async def recover(self, *, timeout_s: float) -> Recovered | None:
        """
        Set a damaged ledger aside whole and start a new one from its intact entries.

        Numbers are given anew; times and actors stay. The first entry names the old head and what
        was lost.

        Args:
            timeout_s: how long to wait while somebody else holds the ledger

        Returns:
            what was done, None for a ledger that is intact

        Raises:
            LockedError: somebody else held it longer than `timeout_s`
            LedgerError: it was written by a newer shplan
        """
        await acquire(self._tail, timeout_s=timeout_s)
        try:
            return await self._recover()
        finally:
            self._tail.forget()
            await self._backend.release()

    async def _recover(self) -> Recovered | None:
        from shplan.ledger.checkpoint import CheckpointState  # noqa: PLC0415
        from shplan.ledger.recovery import Rescue, find  # noqa: PLC0415 - only damage needs it

        reading = await read(self._backend, _ignore)
        damage = reading.verdict.damage
        if damage is None:
            # A checkpoint that misleads is dropped; the next writer makes another.
            state = (await self.verify()).checkpoint
            if state in (CheckpointState.WRONG, CheckpointState.ALTERED):
                await self._backend.keep_checkpoint(b"")
            return None
        if damage.kind is DamageKind.NEWER:
            raise complaint(self._backend, reading, damage)
        findings = await find(self._places, reading.acknowledged)
        time = instant(self._tail.clock.now())
        rescue = Rescue(findings, self._places, time=time, actor=self._tail.actor)
        aside = await self._backend.replace(rescue.lines(), rescue.head)
        return Recovered(aside, findings, rescue.head())

    async def _places(self) -> AsyncIterator[tuple[Place, bytes]]:
        from shplan.ledger.recovery import Place  # noqa: PLC0415

        async for segment in self._backend.segments(None):
            for number, line in enumerate(segment.lines, start=1):
                yield Place(segment.name, number), line

    async def _demand_intact(self) -> None:
        reading = await read(self._backend, _ignore)
        if reading.verdict.damage is not None:
            raise complaint(self._backend, reading, reading.verdict.damage)


def _ignore(_: LedgerEntry) -> None:
    return None
