"""
The walk over a plan: what is ready runs, and nothing is sent that the ledger does not know.

intent → request → outcome, for every request with an effect. A failure stops its
dependents, not its neighbours; the first interrupt lets what is in flight end, the
second cancels it and leaves its intents open for the next run to look up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from shplan.core.address import Address
from shplan.core.change import Action, Change, MemberChange
from shplan.core.entry import EntryDraft, Event, Result, Settlement
from shplan.core.errors import ApiError, NoAnswerError, RefusedError, ShplanError
from shplan.core.events import (
    ChangeFinished,
    ChangeProgress,
    ChangeStarted,
    Waiting,
)
from shplan.core.planner import steps_of
from shplan.core.request import ApiRequest
from shplan.core.resource import Recorded
from shplan.core.value import Object, Value, digest, is_known
from shplan.engine.drive import Reader, drive
from shplan.engine.edges import edges, rewrites
from shplan.engine.ports import Lease, Resolver
from shplan.engine.world import World
from shplan.providers.base import (
    Act,
    ChangeFailedError,
    Fault,
    Look,
    Note,
    Progress,
    Read,
    Reply,
    Scan,
    Step,
    Together,
    Wait,
)


class Ending(Enum):
    """How one change ended."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """
    What became of one change.

    Args:
        message: why, where it is not DONE
        faults: what the server refused, with its place in the manifest
        cost_pu: processing units spent, the server's own figure where it gives one
    """

    change: Change
    ending: Ending
    message: str = ""
    faults: tuple[Fault, ...] = ()
    cost_pu: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a plan."""

    results: tuple[ChangeResult, ...]
    interrupted: bool = False

    @property
    def cost_pu(self) -> float:
        """Processing units spent."""
        return sum(result.cost_pu for result in self.results)

    def exit_code(self) -> int:
        """Return 130 when interrupted, 3 when something failed or was skipped, else 0."""
        if self.interrupted:
            return 130
        endings = {result.ending for result in self.results}
        return 3 if endings - {Ending.DONE} else 0


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


async def execute(
    changes: Sequence[Change],
    *,
    plan_digest: str,
    lease: Lease,
    world: World,
    recorded: Mapping[Address, Recorded],
    attributes: Mapping[Address, Object],
    interrupt: Interrupt,
) -> Report:
    """
    Carry out the changes of a plan.

    Args:
        changes: all changes in the plan's order, blocked and quiet ones included
        plan_digest: the name of the plan, written into every entry
        recorded: what the ledger says, with intents that are still open
        attributes: what is known of each address before the first change
    """
    walk = _Walk(
        changes,
        plan_digest=plan_digest,
        lease=lease,
        world=world,
        recorded=recorded,
        attributes=dict(attributes),
        interrupt=interrupt,
    )
    return await walk.run()


class _Walk:
    """One apply: nodes, who waits for whom, and what came of each."""

    def __init__(
        self,
        changes: Sequence[Change],
        *,
        plan_digest: str,
        lease: Lease,
        world: World,
        recorded: Mapping[Address, Recorded],
        attributes: dict[Address, Object],
        interrupt: Interrupt,
    ) -> None:
        self._nodes = tuple(step for change in changes for step in steps_of(change))
        self._plan = plan_digest
        self._lease = lease
        self._world = world
        self._recorded = recorded
        self._attributes = attributes
        self._interrupt = interrupt
        self._slots = asyncio.Semaphore(world.parallelism)
        self._endings: dict[int, asyncio.Future[ChangeResult]] = {}

    async def run(self) -> Report:
        loop = asyncio.get_running_loop()
        self._endings = {at: loop.create_future() for at in range(len(self._nodes))}
        needs, after = edges(self._nodes)
        # Not a task group: one failure must not cancel its neighbours.
        tasks = [
            asyncio.create_task(self._node(at, needs[at], after[at]), name=str(node.address))
            for at, node in enumerate(self._nodes)
        ]
        try:
            results = await asyncio.gather(*tasks)
        except asyncio.CancelledError:
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        except BaseException:
            # The ledger failed, or this is a bug: nobody may go on sending without the lease.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        told = tuple(r for r in results if _is_told(r))
        return Report(told, interrupted=self._interrupt.wanted)

    async def _node(self, at: int, needs: set[int], after: set[int]) -> ChangeResult:
        change = self._nodes[at]
        try:
            result = await self._result(change, needs, after)
        except BaseException as error:
            self._endings[at].set_exception(error)
            # Whoever waits is told by the same error; nobody else has to.
            self._endings[at].exception()
            raise
        self._endings[at].set_result(result)
        return result

    async def _result(self, change: Change, needs: set[int], after: set[int]) -> ChangeResult:
        for other in sorted(needs | after):
            # Shielded: who waits and is cancelled does not cancel what the others wait for.
            ended = await asyncio.shield(self._endings[other])
            if other in needs and ended.ending is not Ending.DONE:
                return ChangeResult(
                    change, Ending.SKIPPED, f"{ended.change.address} did not end well"
                )
        if change.action is Action.BLOCKED:
            return ChangeResult(change, Ending.SKIPPED, change.reason.value)
        if not (change.action.changes or change.records or change.waits):
            return ChangeResult(change, Ending.DONE)
        if self._interrupt.wanted:
            return ChangeResult(change, Ending.INTERRUPTED, "interrupted before it began")
        return await self._carry_out(change)

    async def _carry_out(self, change: Change) -> ChangeResult:
        world = self._world
        started = world.clock.monotonic()
        told = change.action.changes
        if told:
            world.events.emit(ChangeStarted(change.address, change.action, len(change.members)))
        performer = _Performer(self, change)
        result = await self._attempt(change, performer)
        if told or result.ending is not Ending.DONE:
            elapsed = world.clock.monotonic() - started
            world.events.emit(
                ChangeFinished(
                    change.address,
                    change.action,
                    result.ending.value,
                    result.message,
                    result.cost_pu,
                    elapsed,
                )
            )
        return result

    async def _attempt(self, change: Change, performer: _Performer) -> ChangeResult:
        try:
            if rewrites(change):
                await performer.rewrite()
            else:
                filled = fill_change(change, self._world.resolver, self._attributes)
                provider = self._world.registry[change.address.kind]
                known = await drive(provider.apply(filled, self._world.settings), performer.perform)
                await performer.settle_open()
                if not change.deposed:
                    self._attributes[change.address] = known
        except InterruptedApplyError:
            return ChangeResult(
                change, Ending.INTERRUPTED, "interrupted", cost_pu=performer.cost_pu
            )
        except ChangeFailedError as error:
            return ChangeResult(change, Ending.FAILED, str(error), error.faults, performer.cost_pu)
        except NoAnswerError as error:
            return ChangeResult(change, Ending.UNKNOWN, str(error), cost_pu=performer.cost_pu)
        except ApiError as error:
            return ChangeResult(
                change, Ending.FAILED, str(error), _faults(error), performer.cost_pu
            )
        return ChangeResult(change, Ending.DONE, cost_pu=performer.cost_pu)


class _Performer:
    """Performs the steps of one change: reads, acts with intent and outcome, notes, waits."""

    def __init__(self, walk: _Walk, change: Change) -> None:
        self._walk = walk
        self._world = walk._world  # noqa: SLF001 - one class in two halves
        self._change = change
        self._reader = Reader(
            self._world.api,
            self._world.clock,
            parallelism=self._world.parallelism,
            storage=self._world.storage,
        )
        record = walk._recorded.get(change.address)  # noqa: SLF001
        self._open = [] if record is None else [intent.sequence for intent in record.pending]
        self._latest: int | None = None
        self.cost_pu = 0.0

    async def perform(self, step: Step) -> object:
        """Perform one step of the flow; see `providers.base` for the replies."""
        match step:
            case Read() | Scan() | Look() | Together():
                return await self._reader.perform(step)
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
        if self._walk._interrupt.wanted:  # noqa: SLF001
            raise InterruptedApplyError
        intent = EntryDraft(
            Event.INTENT,
            self._change.address,
            plan=self._walk._plan,  # noqa: SLF001
            deployment=self._world.deployment,
            operation=act.operation,
            request=_digest_of(act.requests),
            keys=act.keys,
            data=act.data,
            server_time=self._world.api.server_time,
        )
        # The intent is on disk before the request leaves: after a crash, an intent without an
        # outcome names exactly what must be looked for before anything is created again.
        (number, *_) = await self._append([intent])
        self._latest = number
        try:
            replies = await asyncio.gather(*(self._send(request) for request in act.requests))
        except asyncio.CancelledError:
            unsettled = Settlement(Result.UNKNOWN, unsettled=act.keys, message="cancelled")
            await self._outcome(number, unsettled)
            raise
        settlement = act.settle(tuple(replies))
        self.cost_pu += settlement.cost_pu
        await self._outcome(number, settlement)
        return tuple(replies)

    async def _send(self, request: ApiRequest) -> Reply:
        async with self._walk._slots:  # noqa: SLF001
            try:
                return await self._world.api.send(request)
            except ApiError as error:
                return error

    async def _note(self, note: Note) -> None:
        if note.event is Event.OUTCOME:
            number = self._latest if note.intent is None else note.intent
            await self._outcome(number, note.settlement)
            return
        await self._append([self._draft(note.event, settlement=note.settlement, data=note.data)])

    async def _outcome(self, intent: int | None, settlement: Settlement | None) -> None:
        draft = self._draft(Event.OUTCOME, settlement=settlement)
        await self._append([replace(draft, intent=intent)])

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
        entries = await self._walk._lease.append([*drafts, *closing])  # noqa: SLF001
        return [entry.sequence for entry in entries]

    def _draft(
        self,
        event: Event,
        *,
        settlement: Settlement | None = None,
        data: Mapping[str, object] | None = None,
    ) -> EntryDraft:
        return EntryDraft(
            event,
            self._change.address,
            plan=self._walk._plan,  # noqa: SLF001
            deployment=self._world.deployment,
            settlement=settlement,
            data=dict(data or {}),  # type: ignore[arg-type]
            server_time=self._world.api.server_time,
        )

    async def _wait(self, seconds: float, reason: str) -> None:
        self._world.events.emit(Waiting(self._change.address, reason, seconds))
        interrupt = self._walk._interrupt  # noqa: SLF001
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


def fill_change(change: Change, resolver: Resolver, attributes: Mapping[Address, Object]) -> Change:
    """Put what is known now into the holes of a change: ids that this plan has created."""

    def value(one: Value) -> Value:
        return resolver.fill_value(one, attributes) if not is_known(one) else one

    def request(one: ApiRequest) -> ApiRequest:
        parameters = {name: value(member) for name, member in one.parameters.items()}
        return replace(one, parameters=parameters, body=value(one.body))

    def member(one: MemberChange) -> MemberChange:
        return one if one.request is None else replace(one, request=request(one.request))

    return replace(
        change,
        requests=tuple(request(one) for one in change.requests),
        members=tuple(member(one) for one in change.members),
        record={name: value(one) for name, one in change.record.items()},
        current={name: value(one) for name, one in change.current.items()},
    )


def _is_told(result: ChangeResult) -> bool:
    return result.change.action.changes or result.ending is not Ending.DONE


def _digest_of(requests: tuple[ApiRequest, ...]) -> str:
    if len(requests) == 1:
        return requests[0].digest
    return digest([request.digest for request in requests])


def _faults(error: ApiError) -> tuple[Fault, ...]:
    """
    Place a refusal on the fields that the server names.

    Source: API description, error `errors`: a list of objects with `parameter`, its steps
    joined by `->`, and `violation`.
    """
    errors = error.errors if isinstance(error, RefusedError) else None
    if not isinstance(errors, list):
        return ()
    found = []
    for one in errors:
        parameter = one.get("parameter") if isinstance(one, dict) else None
        if isinstance(one, dict) and isinstance(parameter, str):
            steps = tuple(step.strip() for step in parameter.split("->"))
            found.append(Fault(("spec", *steps), str(one.get("violation", error))))
    return tuple(found)
