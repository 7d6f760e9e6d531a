"""
The walk over a plan: what is ready runs, and nothing is sent that the ledger does not know.

intent → request → outcome, for every request with an effect. A failure stops its
dependents, not its neighbours; the first interrupt lets what is in flight end, the
second cancels it and leaves its intents open for the next run to look up. While all only wait,
the ledger is let go of (`holding`); what others have touched meanwhile is not sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from shplan.core.address import Address
from shplan.core.change import Action, Change, MemberChange
from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import (
    ApiError,
    LedgerError,
    LockedError,
    ManifestError,
    NoAnswerError,
    RefusedError,
    SecretError,
    ShplanError,
    UndecidedError,
)
from shplan.core.events import ChangeFinished, ChangeStarted
from shplan.core.planner import steps_of
from shplan.core.request import ApiRequest
from shplan.core.resource import Recorded
from shplan.core.value import Object, Value, is_known
from shplan.engine.drive import SharedLists, drive
from shplan.engine.edges import dependencies_of, edges, rewrites
from shplan.engine.holding import Holding, Turn, Turns
from shplan.engine.performer import (
    Interrupt,
    InterruptedApplyError,
    OutrunError,
    Performer,
    Runs,
    StaleChangeError,
    Walk,
)
from shplan.engine.ports import Resolver
from shplan.engine.purse import Purse
from shplan.engine.world import World
from shplan.providers.base import ChangeFailedError, Fault, StillRunningError

if TYPE_CHECKING:
    from shplan.engine.planning import Planned


class Ending(Enum):
    """
    How one change ended.

    RUNNING: what it started runs on, and nobody waits. LEFT: it depends on something that does.
    STALE: others have written about it, or about what it depends on, while this apply waited.
    UNDECIDED: it may have been carried out, and only a person can find out.
    """

    DONE = "done"
    RUNNING = "running"
    LEFT = "left for later"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"
    UNKNOWN = "unknown"
    STALE = "stale"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """
    What became of one change.

    Args:
        message: why, where it is not DONE
        faults: what the server refused, with its place in the manifest
        cost_pu: processing units spent, the server's own figure where it gives one
        diagnostics: what the manifests say that does not fit what became known, each at its place
    """

    change: Change
    ending: Ending
    message: str = ""
    faults: tuple[Fault, ...] = ()
    cost_pu: float = 0.0
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """
    What became of a plan.

    Args:
        locked: who holds the ledger, where it could not be had again; empty otherwise
        unusable: why the ledger could not be used any more once something was sent; else empty
    """

    results: tuple[ChangeResult, ...]
    interrupted: bool = False
    locked: str = ""
    unusable: str = ""

    @property
    def cost_pu(self) -> float:
        """Processing units spent."""
        return sum(result.cost_pu for result in self.results)

    def exit_code(self) -> int:
        """
        Return how the command leaves.

        130 when interrupted, 6 where the ledger could not be had again, 7 where a person must
        decide, 4 where something is stale, 3 when something failed or was skipped or the ledger
        could not be used any more, else 0.
        """
        if self.interrupted:
            return 130
        if self.locked:
            return 6
        endings = {result.ending for result in self.results}
        if Ending.UNDECIDED in endings:
            return 7
        if Ending.STALE in endings:
            return 4
        return 3 if self.unusable or endings - {Ending.DONE, Ending.RUNNING, Ending.LEFT} else 0


async def execute(
    planned: Planned,
    *,
    plan_digest: str,
    holding: Holding,
    world: World,
    runs: Runs,
    interrupt: Interrupt,
    purse: Purse,
) -> Report:
    """
    Carry out the changes of a plan.

    Args:
        planned: what to do, with what planning has learnt
        plan_digest: the name of the plan, written into every entry
        holding: the lease, held
        runs: what the ledger knows of runs by now
        purse: what may be paid beside what the plan has counted

    Raises:
        OutrunError: others have touched what was about to be the first change
        LedgerError: the ledger cannot be used, and nothing was sent
    """
    changes, recorded = planned.plan.changes, planned.recorded
    # A ledger that was lost is like one that has not begun.
    settings = replace(world.settings, new_ledger=not recorded)
    walk = Walk(
        plan_digest,
        holding,
        replace(world, settings=settings),
        interrupt,
        runs,
        asyncio.Semaphore(world.parallelism),
        SharedLists(world.api),
        dependencies_of(changes, recorded),
        {change.address: change.key for change in changes if change.key},
        purse,
        {} if planned.witnesses is None else planned.witnesses.counting(changes).receipts,
    )
    nodes = _Nodes(changes, walk, recorded=recorded, attributes=dict(planned.attributes))
    return await nodes.run()


class _Nodes:
    """One apply: nodes, who waits for whom, and what came of each."""

    def __init__(
        self,
        changes: Sequence[Change],
        walk: Walk,
        *,
        recorded: Mapping[Address, Recorded],
        attributes: dict[Address, Object],
    ) -> None:
        self._nodes = tuple(step for change in changes for step in steps_of(change))
        self._walk = walk
        self._world = walk.world
        self._recorded = recorded
        self._attributes = attributes
        self._endings: dict[int, asyncio.Future[ChangeResult]] = {}
        self._turns = Turns(walk.holding, len(self._nodes))

    async def run(self) -> Report:
        loop = asyncio.get_running_loop()
        self._endings = {at: loop.create_future() for at in range(len(self._nodes))}
        needs, after = edges(self._nodes)
        self._turns.begin(needs, after)
        # Not a task group: one failure must not cancel its neighbours.
        tasks = [
            asyncio.create_task(self._node(at, needs[at], after[at]), name=str(node.address))
            for at, node in enumerate(self._nodes)
        ]
        try:
            results = await self._unless_lost(tasks)
        except asyncio.CancelledError:
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        except LockedError as error:
            # It could not be had again while all only waited, or it was lost on the way.
            return Report(await self._left(tasks, _HELD), locked=str(error))
        except LedgerError as error:
            # Nobody may go on sending. What was sent is told: it may have been carried out.
            told = await self._left(tasks, _UNUSABLE)
            if all(one.ending is Ending.LEFT for one in told):
                raise
            return Report(told, unusable=str(error))
        except BaseException:
            # This is a bug: nobody may go on sending without the lease.
            await _cancel(tasks)
            raise
        told = tuple(r for r in results if _is_told(r))
        return Report(told, interrupted=self._walk.interrupt.wanted)

    async def _unless_lost(self, tasks: Sequence[asyncio.Task[ChangeResult]]) -> list[ChangeResult]:
        walking = asyncio.gather(*tasks)
        # Where the walk itself is cancelled nobody asks any more what became of it.
        walking.add_done_callback(_looked_at)
        losing = asyncio.create_task(self._lost())
        try:
            await asyncio.wait({walking, losing}, return_when=asyncio.FIRST_COMPLETED)
            return (losing if losing.done() else walking).result()
        finally:
            losing.cancel()
            walking.cancel()

    async def _lost(self) -> list[ChangeResult]:
        await self._walk.holding.lost()

    async def _left(
        self, tasks: Sequence[asyncio.Task[ChangeResult]], why: str
    ) -> tuple[ChangeResult, ...]:
        """End the walk: what was done is told, the rest is left for a later apply."""
        await _cancel(tasks)
        message = f"{why}; a later apply goes on from there"
        results = []
        for at, node in enumerate(self._nodes):
            ending = self._endings[at]
            if ending.done() and ending.exception() is None:
                results.append(ending.result())
            elif node.address in self._walk.in_flight:
                results.append(ChangeResult(node, Ending.UNKNOWN, "the ledger was lost meanwhile"))
            elif node.action.changes or node.records or node.waits:
                results.append(ChangeResult(node, Ending.LEFT, message))
        return tuple(result for result in results if _is_told(result))

    async def _node(self, at: int, needs: set[int], after: set[int]) -> ChangeResult:
        change = self._nodes[at]
        try:
            result = await self._result(change, self._turns.of(at), needs, after)
        except BaseException as error:
            self._endings[at].set_exception(error)
            # Whoever waits is told by the same error; nobody else has to.
            self._endings[at].exception()
            raise
        self._endings[at].set_result(result)
        await self._turns.ended(at)
        return result

    async def _result(
        self, change: Change, turn: Turn, needs: set[int], after: set[int]
    ) -> ChangeResult:
        for other in sorted(needs | after):
            # Shielded: who waits and is cancelled does not cancel what the others wait for.
            ended = await asyncio.shield(self._endings[other])
            if other in needs and ended.ending in (Ending.RUNNING, Ending.LEFT):
                message = f"{ended.change.address} runs on; a later apply goes on from there"
                return ChangeResult(change, Ending.LEFT, message)
            if other in needs and ended.ending is not Ending.DONE:
                return ChangeResult(
                    change, Ending.SKIPPED, f"{ended.change.address} did not end well"
                )
        if change.action is Action.BLOCKED:
            return ChangeResult(change, Ending.SKIPPED, change.reason.value)
        if not (change.action.changes or change.records or change.waits):
            return ChangeResult(change, Ending.DONE)
        if self._walk.interrupt.wanted:
            return ChangeResult(change, Ending.INTERRUPTED, "interrupted before it began")
        return await self._carry_out(change, turn)

    async def _carry_out(self, change: Change, turn: Turn) -> ChangeResult:
        world = self._world
        try:
            await turn.take()
        except InterruptedApplyError:
            return ChangeResult(change, Ending.INTERRUPTED, "interrupted before it began")
        stale = self._walk.stale(change) if change.action.changes else None
        if stale is not None:
            return self._stale(change, StaleChangeError(stale))
        started = world.clock.monotonic()
        told = change.action.changes
        if told:
            world.events.emit(ChangeStarted(change.address, change.action, len(change.members)))
        record = self._recorded.get(change.address)
        pending = () if record is None else (intent.sequence for intent in record.pending)
        performer = Performer(self._walk, change, turn, pending=pending)
        try:
            result = await self._attempt(change, performer)
        finally:
            performer.release()
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

    def _stale(
        self, change: Change, error: StaleChangeError, *, cost_pu: float = 0.0
    ) -> ChangeResult:
        if not self._walk.holding.sent:
            raise OutrunError(error.entry) from error
        return ChangeResult(change, Ending.STALE, str(error), cost_pu=cost_pu)

    async def _attempt(self, change: Change, performer: Performer) -> ChangeResult:
        try:
            if rewrites(change):
                await performer.rewrite()
            else:
                await self._fill_and_apply(change, performer)
        except StaleChangeError as error:
            return self._stale(change, error, cost_pu=performer.cost_pu)
        except StillRunningError as error:
            await performer.settle_open()
            return ChangeResult(change, Ending.RUNNING, str(error), cost_pu=performer.cost_pu)
        except _TOLD as error:
            return _ended(change, error, performer.cost_pu)
        return ChangeResult(change, Ending.DONE, cost_pu=performer.cost_pu)

    async def _fill_and_apply(self, change: Change, performer: Performer) -> None:
        self._world.resolver.check(change.address, self._attributes)
        filled = fill_change(change, self._world.resolver, self._attributes)
        provider = self._world.registry[change.address.kind]
        known = await drive(provider.apply(filled, self._world.settings), performer.perform)
        await performer.settle_open()
        if not change.deposed:
            self._attributes[change.address] = known


_HELD = "the ledger is held by others"
_UNUSABLE = "the ledger cannot be used"
_TOLD = (InterruptedApplyError, ChangeFailedError, UndecidedError, ManifestError, ApiError)
_ENDINGS = {
    InterruptedApplyError: Ending.INTERRUPTED,
    ChangeFailedError: Ending.FAILED,
    UndecidedError: Ending.UNDECIDED,
    NoAnswerError: Ending.UNKNOWN,
}


def _ended(change: Change, error: ShplanError, cost_pu: float) -> ChangeResult:
    """Say how a change has ended that did not come to its end."""
    said = str(error)
    diagnostics: tuple[Diagnostic, ...] = ()
    if isinstance(error, ManifestError | SecretError):
        # What is known only now does not fit, or a secret cannot be had: it was not sent.
        diagnostics = tuple(
            one if one.span else replace(one, span=change.source, address=str(change.address))
            for one in error.diagnostics
        )
        said = "; ".join(one.what for one in diagnostics) or said
    faults: tuple[Fault, ...] = ()
    if isinstance(error, ChangeFailedError):
        faults = error.faults
    elif isinstance(error, ApiError):
        faults = _faults(error)
    ending = next((of for kind, of in _ENDINGS.items() if isinstance(error, kind)), Ending.FAILED)
    return ChangeResult(change, ending, said, faults, cost_pu, diagnostics)


async def _cancel(tasks: Sequence[asyncio.Task[ChangeResult]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _looked_at(ended: asyncio.Future[list[ChangeResult]]) -> None:
    if not ended.cancelled():
        ended.exception()


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
