"""
One change, step by step: every request with an effect has its intent before and its outcome after.

What a provider's flow yields is performed here, and the reply sent back into it; who waits for
whom is the walk's business (`executor`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from shplan.core.change import Action, Change
from shplan.core.entry import EntryDraft, Event, Result, Settlement
from shplan.core.errors import ApiError, ShplanError
from shplan.core.events import ChangeProgress, Waiting
from shplan.core.request import ApiRequest
from shplan.core.runs import RunRecord
from shplan.core.value import digest
from shplan.engine.drive import Reader, SharedLists
from shplan.engine.ports import Lease
from shplan.engine.world import World
from shplan.providers.base import (
    Act,
    Claim,
    Fetch,
    Look,
    Note,
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


class InterruptedApplyError(ShplanError):
    """Nothing new is started any more."""

    def __init__(self) -> None:
        super().__init__("interrupted")


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
        runs: what the ledger knows of runs by now, what this apply has written included
        slots: bounds the requests with an effect that are under way
        lists: lists that many changes ask for at once
        claims: run keys that one change has for itself
    """

    plan: str
    lease: Lease
    world: World
    interrupt: Interrupt
    runs: Runs
    slots: asyncio.Semaphore
    lists: SharedLists
    claims: dict[str, asyncio.Lock] = field(default_factory=dict)


class Performer:
    """
    Performs the steps of one change: reads, acts with intent and outcome, notes, waits.

    Args:
        pending: numbers of the intents of earlier runs that this change settles
    """

    def __init__(self, walk: Walk, change: Change, *, pending: Iterable[int]) -> None:
        self._walk = walk
        self._world = walk.world
        self._change = change
        self._reader = Reader(
            walk.world.api,
            walk.world.clock,
            parallelism=walk.world.parallelism,
            storage=walk.world.storage,
            shared=walk.lists,
        )
        self._open = list(pending)
        self._latest: int | None = None
        self._claimed: list[asyncio.Lock] = []
        self.cost_pu = 0.0

    async def perform(self, step: Step) -> object:
        """Perform one step of the flow; see `providers.base` for the replies."""
        match step:
            case Read() | Scan() | Survey() | Look() | Fetch() | Together():
                return await self._reader.perform(step)
            case Claim(key=key):
                return await self._claim(key)
            case Act():
                return await self._act(step)
            case Note():
                await self._note(step)
                return None
            case Wait(seconds=seconds, reason=reason):
                await self._wait(seconds, reason)
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
        if self._open:
            await self._append([])

    async def _act(self, act: Act) -> tuple[Reply, ...]:
        if self._walk.interrupt.wanted:
            raise InterruptedApplyError
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
        try:
            replies = await asyncio.gather(*(self._send(request) for request in act.requests))
        except asyncio.CancelledError:
            unsettled = Settlement(Result.UNKNOWN, unsettled=act.keys, message="cancelled")
            await self._outcome(number, unsettled, operation=act.operation, run=act.run)
            raise
        settlement = act.settle(tuple(replies))
        self.cost_pu += settlement.cost_pu
        await self._outcome(number, settlement, operation=act.operation, run=act.run)
        return tuple(replies)

    async def _send(self, request: ApiRequest) -> Reply:
        async with self._walk.slots:
            try:
                return await self._world.api.send(request)
            except ApiError as error:
                return error

    async def _note(self, note: Note) -> None:
        if note.event is Event.OUTCOME:
            number = self._latest if note.intent is None else note.intent
            await self._outcome(number, note.settlement, operation=note.operation, run=note.run)
            return
        draft = self._draft(note.event, settlement=note.settlement, data=note.data, run=note.run)
        if note.settlement is not None:
            self.cost_pu += note.settlement.cost_pu
        await self._append([replace(draft, operation=note.operation)])

    async def _outcome(
        self,
        intent: int | None,
        settlement: Settlement | None,
        *,
        operation: str,
        run: RunMark | None,
    ) -> None:
        draft = self._draft(Event.OUTCOME, settlement=settlement, run=run)
        # Of a run the outcome says itself what it is about: its history is folded by key.
        about = "" if run is None else operation
        await self._append([replace(draft, intent=intent, operation=about)])

    async def _claim(self, key: str) -> RunRecord | None:
        lock = self._walk.claims.setdefault(key, asyncio.Lock())
        if lock not in self._claimed:
            await lock.acquire()
            self._claimed.append(lock)
        return (await self._walk.runs()).get(key)

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
        entries = await self._walk.lease.append([*drafts, *closing])
        return [entry.sequence for entry in entries]

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

    async def _wait(self, seconds: float, reason: str) -> None:
        self._world.events.emit(Waiting(self._change.address, reason, seconds))
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
