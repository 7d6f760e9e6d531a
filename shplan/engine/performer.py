"""
One change, step by step: every request with an effect has its intent before and its outcome after.

What a provider's flow yields is performed here, and the reply sent back into it; who waits for
whom is the walk's business (`executor`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from shplan.core.address import Address
from shplan.core.change import Action, Change
from shplan.core.entry import EntryDraft, Event, LedgerEntry, Result, Settlement
from shplan.core.errors import ApiError, OutputError, ShplanError
from shplan.core.events import ChangeProgress, Waiting
from shplan.core.files import Inspect, Prepare, Write
from shplan.core.others import of_run_alone, staleness, told
from shplan.core.request import ApiRequest
from shplan.core.runs import RunRecord, outranks
from shplan.core.value import digest
from shplan.engine.drive import Reader, SharedLists
from shplan.engine.edges import removes
from shplan.engine.purse import Purse
from shplan.engine.world import World
from shplan.providers.base import ChangeFailedError
from shplan.providers.steps import (
    Act,
    Claim,
    Fetch,
    Look,
    Note,
    PayAgain,
    Progress,
    Read,
    Reply,
    RunMark,
    Scan,
    Step,
    Survey,
    Together,
    Wait,
)

if TYPE_CHECKING:
    from shplan.engine.holding import Holding, Turn
    from shplan.engine.receipts import Witness

# What is over before others could do anything is no time to let go of the ledger.
_BRIEF_S: Final = 1.0


class InterruptedApplyError(ShplanError):
    """Nothing new is started any more."""

    def __init__(self) -> None:
        super().__init__("interrupted")


class StaleChangeError(ShplanError):
    """Others have written what a change may not be sent after; the message says who and what."""

    def __init__(self, entry: LedgerEntry) -> None:
        super().__init__(f"not sent: {told(entry)}; plan again")
        self.entry = entry


class OutrunError(ShplanError):
    """Others were faster, and nothing was sent yet: everything is planned again."""

    def __init__(self, entry: LedgerEntry) -> None:
        super().__init__(told(entry))


@dataclass(slots=True)
class Interrupt:
    """The wish to stop; set by a signal, read between two steps."""

    event: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def wanted(self) -> bool:
        """Tell whether somebody asked to stop."""
        return self.event.is_set()


Runs = Callable[[], Awaitable[Mapping[str, RunRecord]]]


@dataclass(frozen=True, slots=True)
class Walk:
    """
    What all changes of one apply share.

    Args:
        plan: the plan's digest, written into every entry
        holding: the lease, shared
        needs: everything that an address depends on, directly or not
        running: which run each address is known to be about
        purse: what may be paid beside what the plan has counted
        witnesses: what receipt files say that the ledger did not, by run key
        runs: what the ledger knows of runs by now, what this apply has written included
        slots: bounds the requests with an effect that are under way
        lists: lists that many changes ask for at once
        claims: run keys that one change has for itself
        in_flight: what has an intent and no outcome yet
    """

    plan: str
    holding: Holding
    world: World
    interrupt: Interrupt
    runs: Runs
    slots: asyncio.Semaphore
    lists: SharedLists
    needs: Callable[[Address], frozenset[Address]]
    running: dict[Address, str]
    purse: Purse = field(default_factory=Purse)
    witnesses: Mapping[str, Witness] = field(default_factory=dict)
    claims: dict[str, asyncio.Lock] = field(default_factory=dict)
    in_flight: set[Address] = field(default_factory=set)

    def stale(self, change: Change) -> LedgerEntry | None:
        """Return what others have written that a change may no longer be sent after."""
        if not self.holding.others:
            return None
        return staleness(
            change,
            self.holding.others,
            needs=self.needs(change.address),
            runs=self.running,
            removes=removes(change),
        )


class Performer:
    """
    Performs the steps of one change: reads, acts with intent and outcome, notes, waits.

    Args:
        turn: this change's share in the lease
        pending: numbers of the intents of earlier runs that this change settles
    """

    def __init__(self, walk: Walk, change: Change, turn: Turn, *, pending: Iterable[int]) -> None:
        self._walk = walk
        self._turn = turn
        self._world = walk.world
        self._change = change
        self._reader = Reader(
            walk.world.api,
            walk.world.clock,
            parallelism=walk.world.parallelism,
            storage=walk.world.storage,
            shared=walk.lists,
            files=walk.world.files,
        )
        self._open = list(pending)
        self._latest: int | None = None
        self._claimed: list[asyncio.Lock] = []
        self.cost_pu = 0.0

    async def perform(self, step: Step) -> object:
        """Perform one step of the flow; see `providers.steps` for the replies."""
        match step:
            case Read() | Scan() | Survey() | Look() | Fetch() | Inspect() | Together():
                return await self._reader.perform(step)
            case Claim(key=key):
                return await self._claim(key)
            case PayAgain(pu=pu):
                return self._walk.purse.refusal(pu)
            case Act():
                return await self._act(step)
            case Write() | Prepare():
                return self._written(step)
            case Note():
                await self._note(step)
                return None
            case Wait():
                await self._wait(step)
                return None
            case Progress(done=done, total=total, what=what):
                self._world.events.emit(ChangeProgress(self._change.address, done, total, what))
                return None

    async def rewrite(self) -> None:
        """Write a move or a forgetting into the ledger: nothing is sent."""
        event = Event.MOVE if self._change.action is Action.MOVE else Event.FORGET
        source = self._change.current.get("from")
        data = {"from": source} if isinstance(source, str) else {}
        await self._append([self._draft(event, data={**data})])

    async def settle_open(self) -> None:
        """Close the intents of earlier runs: this run has found out what came of them."""
        if not self._open:
            return
        try:
            await self._turn.take()
        except InterruptedApplyError:
            # They stay open, and are looked up once more.
            return
        # Where others have written since, they have looked the same intents up.
        if self._taken_over() is None:
            await self._append([])

    async def _act(self, act: Act) -> tuple[Reply, ...]:
        if self._walk.interrupt.wanted:
            raise InterruptedApplyError
        await self._turn.take()
        stale = self._walk.stale(self._change)
        if stale is not None:
            raise StaleChangeError(stale)
        intent = EntryDraft(
            Event.INTENT,
            self._change.address,
            plan=self._walk.plan,
            deployment=self._world.deployment,
            operation=act.operation,
            request=_digest_of(act.requests),
            keys=act.keys,
            data=act.data,
            server_time=self._world.api.server_time,
            key="" if act.run is None else act.run.key,
            attempt=0 if act.run is None else act.run.attempt,
        )
        # The intent is on disk before the request leaves: after a crash, an intent without an
        # outcome names exactly what must be looked for before anything is created again.
        (number, *_) = await self._append([intent])
        self._latest = number
        self._walk.in_flight.add(self._change.address)
        try:
            replies = await asyncio.gather(*(self._send(request) for request in act.requests))
        except asyncio.CancelledError:
            unsettled = Settlement(Result.UNKNOWN, unsettled=act.keys, message="cancelled")
            await self._outcome(number, unsettled, operation=act.operation, run=act.run)
            raise
        failed = None if act.writes is None else self._written(act.writes(tuple(replies)))
        settlement = act.settle(tuple(replies))
        if failed is not None:
            # It was answered, and paid, and it is lost.
            settlement = Settlement(
                Result.FAILED, cost_pu=settlement.cost_pu, message=f"not written: {failed}"
            )
        self.cost_pu += settlement.cost_pu
        await self._outcome(number, settlement, operation=act.operation, run=act.run)
        self._walk.in_flight.discard(self._change.address)
        if failed is not None:
            raise ChangeFailedError(str(failed))
        return tuple(replies)

    def _written(self, step: Write | Prepare | None) -> OutputError | None:
        """Write files, in one step that nothing comes between, or try; say what hindered it."""
        files = self._world.files
        if step is None:
            return None
        if files is None:
            return OutputError("there is no project to write to")
        try:
            files.prepare(step) if isinstance(step, Prepare) else files.write(step)
        except OutputError as error:
            return error
        return None

    async def _send(self, request: ApiRequest) -> Reply:
        async with self._walk.slots:
            try:
                return await self._world.api.send(request, still=self._walk.holding.sure)
            except ApiError as error:
                return error

    async def _note(self, note: Note) -> None:
        await self._turn.take()
        mine = self._is_mine(note)
        if not mine and note.run is None:
            # Others have bound the address to the same run.
            return
        if note.event is Event.OUTCOME:
            number = self._latest if note.intent is None else note.intent
            settlement = note.settlement
            draft = self._about_outcome(number, settlement, note.operation, note.run)
        else:
            draft = self._draft(
                note.event, settlement=note.settlement, data=note.data, run=note.run
            )
            draft = replace(draft, operation=note.operation)
        if note.settlement is not None:
            self.cost_pu += note.settlement.cost_pu
        if not mine:
            draft = replace(draft, address=None, settlement=of_run_alone(draft.settlement))
        await self._append([draft])

    def _taken_over(self) -> LedgerEntry | None:
        """Return what others have written about this address that is not only about its run."""
        address = self._change.address
        run = self._walk.running.get(address, "")
        return self._walk.holding.others.wrote(address, run=run)

    def _is_mine(self, note: Note) -> bool:
        """
        Tell whether what is learnt may still be said of the address, not of a run alone.

        Raises:
            StaleChangeError: it is others' by now, and there is no run to speak of
        """
        stale = self._taken_over()
        if stale is not None and note.run is None:
            raise StaleChangeError(stale)
        return stale is None and not self._walk.holding.others.bound(self._change.address)

    async def _outcome(
        self,
        intent: int | None,
        settlement: Settlement | None,
        *,
        operation: str,
        run: RunMark | None,
    ) -> None:
        await self._append([self._about_outcome(intent, settlement, operation, run)])

    def _about_outcome(
        self,
        intent: int | None,
        settlement: Settlement | None,
        operation: str,
        run: RunMark | None,
    ) -> EntryDraft:
        draft = self._draft(Event.OUTCOME, settlement=settlement, run=run)
        # Of a run the outcome says itself what it is about: its history is folded by key.
        about = "" if run is None else operation
        return replace(draft, intent=intent, operation=about)

    async def _claim(self, key: str) -> RunRecord | None:
        self._walk.running[self._change.address] = key
        lock = self._walk.claims.setdefault(key, asyncio.Lock())
        if lock not in self._claimed:
            if lock.locked():
                # Its twin may wait for hours.
                await self._turn.give_back()
            await lock.acquire()
            self._claimed.append(lock)
        await self._turn.take()
        run = (await self._walk.runs()).get(key)
        witness = self._walk.witnesses.get(key)
        if witness is None or not outranks(witness.receipt, run):
            return run
        await self._append([self._of_witness(witness)])
        return (await self._walk.runs()).get(key)

    def _of_witness(self, witness: Witness) -> EntryDraft:
        """Return the entry of what a receipt file says: of the run alone, whoever asks for it."""
        receipt = witness.receipt
        settlement = Settlement(Result.DONE, id=receipt.id, receipt=receipt)
        run = RunMark(receipt.key, receipt.attempt)
        data = {"receiptFile": witness.path}
        draft = self._draft(Event.RECEIPT, settlement=settlement, data=data, run=run)
        return replace(draft, address=None)

    def release(self) -> None:
        """Give up what was claimed: the change has ended."""
        while self._claimed:
            self._claimed.pop().release()

    async def _append(self, drafts: list[EntryDraft]) -> list[int]:
        """
        Append entries, and behind the first of them what closes the intents of earlier runs.

        In this order, so that a torn write leaves an intent open rather than closed too early.
        """
        closed = Settlement(Result.FAILED, message="looked up by a later run")
        closing = [
            replace(self._draft(Event.OUTCOME, settlement=closed), intent=number)
            for number in self._open
        ]
        self._open = []
        entries = await self._walk.holding.append([*drafts, *closing])
        self._keep_receipts(drafts)
        return [entry.sequence for entry in entries]

    def _keep_receipts(self, drafts: list[EntryDraft]) -> None:
        """Write receipts as files as well, after the ledger: it is what counts first."""
        if self._world.receipts is None:
            return
        settled = (draft.settlement for draft in drafts)
        for receipt in (one.receipt for one in settled if one is not None):
            if receipt is not None:
                self._world.receipts.keep(self._change.address, receipt)

    def _draft(
        self,
        event: Event,
        *,
        settlement: Settlement | None = None,
        data: Mapping[str, object] | None = None,
        run: RunMark | None = None,
    ) -> EntryDraft:
        return EntryDraft(
            event,
            self._change.address,
            plan=self._walk.plan,
            deployment=self._world.deployment,
            settlement=settlement,
            data=dict(data or {}),  # type: ignore[arg-type]
            server_time=self._world.api.server_time,
            key="" if run is None else run.key,
            attempt=0 if run is None else run.attempt,
        )

    async def _wait(self, wait: Wait) -> None:
        self._world.events.emit(Waiting(self._change.address, wait.reason, wait.seconds))
        if wait.looks or wait.seconds >= _BRIEF_S:
            await self._turn.give_back()
        await self._sleep(wait.seconds)
        if not wait.looks:
            # What is decided now is decided by what is read now: nobody may act in between.
            await self._turn.take()

    async def _sleep(self, seconds: float) -> None:
        interrupt = self._walk.interrupt
        sleeping = asyncio.ensure_future(self._world.clock.sleep(seconds))
        stopping = asyncio.ensure_future(interrupt.event.wait())
        try:
            await asyncio.wait({sleeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            stopping.cancel()
            await asyncio.gather(sleeping, stopping, return_exceptions=True)
        if interrupt.wanted:
            raise InterruptedApplyError


def _digest_of(requests: tuple[ApiRequest, ...]) -> str:
    if len(requests) == 1:
        return requests[0].digest
    return digest([request.digest for request in requests])
