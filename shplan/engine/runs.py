"""
Plan and apply: one short function each, over ports.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING

from shplan.core.address import Address
from shplan.core.change import Action
from shplan.core.diagnostic import Diagnostic
from shplan.core.entry import EntryDraft, Event, Settlement
from shplan.core.errors import PlanError, StalePlanError
from shplan.core.events import LedgerHeld
from shplan.core.frozen import dataclass
from shplan.core.plan import PlanInputs
from shplan.core.policy import Policies, apply_policies
from shplan.core.resource import Desired
from shplan.core.selection import Selection
from shplan.engine.drive import Reader, drive
from shplan.engine.planning import Planned, Subject, make_plan
from shplan.providers.base import Nature, Surroundings
from shplan.providers.steps import Note, Step

if TYPE_CHECKING:
    from shplan.core.change import Change
    from shplan.core.reading import Reading
    from shplan.core.saved import History
    from shplan.core.value import JsonObject
    from shplan.engine.executor import Report
    from shplan.engine.holding import Holding
    from shplan.engine.performer import Interrupt
    from shplan.engine.ports import Ledger
    from shplan.engine.world import World

MAX_REPLANS = 5
Approve = Callable[[Planned], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Session:
    """
    Everything that a command works with.

    Args:
        resources: what the manifests say; empty to destroy everything
        inputs: what a plan is computed from; the ledger's head is put in when planning
        selection: which addresses may change
        readings: what data kinds gave while the manifests were loaded
        priced: addresses, or all instances of one, whose price is wanted; None: of all
        compares: what was known while loading, a pin for instance, is compared with the service
    """

    world: World
    ledger: Ledger
    inputs: PlanInputs
    resources: tuple[Desired, ...] = ()
    moved: Mapping[Address, Address] = field(default_factory=dict)
    forget: frozenset[Address] = frozenset()
    selection: Selection = field(default_factory=Selection)
    policies: Policies = field(default_factory=Policies)
    readings: Mapping[Address, Reading] = field(default_factory=dict)
    priced: frozenset[str] | None = None
    compares: bool = True


@dataclass(frozen=True, slots=True)
class Applied:
    """
    What an apply came to.

    Args:
        planned: the plan that was carried out, or would have been
        report: None where nothing was carried out
        declined: a person said no
    """

    planned: Planned
    report: Report | None = None
    declined: bool = False


async def plan(session: Session) -> Planned:
    """
    Make a plan; writes nothing.

    Raises:
        ApiError: the server cannot be read
        LedgerError: the ledger cannot be read
    """
    head = await session.ledger.head()
    subject = await subject_of(session)
    inputs = replace(session.inputs, ledger_head=head)
    return await make_plan(subject, inputs, _reader(session.world))


async def subject_of(session: Session) -> Subject:
    """
    Return what is to be planned, with what the ledger says now.

    Raises:
        LedgerError: the ledger cannot be read
    """
    ledger = session.ledger
    world = session.world
    runs = await ledger.runs(world.deployment)
    witnesses = None if world.receipts is None else world.receipts.witnesses(runs)
    return Subject(
        session.resources,
        await ledger.recorded(world.deployment),
        world.registry,
        world.resolver,
        moved=session.moved,
        forget=session.forget,
        selection=session.selection,
        list_lag_s=world.settings.list_lag_s,
        policies=session.policies,
        runs=runs if witnesses is None else witnesses.over(runs),
        deployment=world.settings.deployment,
        tables=world.tables,
        asks_catalogue=world.settings.asks_catalogue,
        readings=session.readings,
        priced=session.priced,
        compares=session.compares,
        witnesses=witnesses,
    )


def _reader(world: World) -> Reader:
    return Reader(
        world.api,
        world.clock,
        parallelism=world.parallelism,
        storage=world.storage,
        files=world.files,
        paid=world.paid,
    )


async def apply(
    session: Session, approve: Approve, *, lock_timeout_s: float, interrupt: Interrupt
) -> Applied:
    """
    Plan, ask, and carry out.

    The lease is taken after the approval; when somebody else wrote to the ledger in the
    meantime, everything is planned and asked again. Later it is free while changes only wait.

    Raises:
        LockedError: somebody else holds the ledger
        LedgerError: it cannot be used, and nothing was sent
        StalePlanError: the ledger kept moving
        InterruptedApplyError: while waiting for the ledger; nothing was sent
    """
    for _ in range(MAX_REPLANS):
        planned = await plan(session)
        if planned.plan.refusals or not planned.plan.can_apply():
            if not planned.plan.refusals:
                await _keep_receipts(session, planned)
            return Applied(planned)
        if not await approve(planned):
            return Applied(planned, declined=True)
        async with _holding(session, lock_timeout_s, interrupt) as holding:
            if await session.ledger.head() != planned.plan.inputs.ledger_head:
                continue
            report = await _carry_out(
                session, planned, planned.plan.digest, holding=holding, interrupt=interrupt
            )
        if report is not None:
            return Applied(planned, report)
    raise _moving()


async def apply_saved(
    session: Session,
    saved: JsonObject,
    past: Callable[[], Awaitable[History]],
    *,
    lock_timeout_s: float,
    interrupt: Interrupt,
    examine: Callable[[Planned], Awaitable[None]] | None = None,
) -> Applied:
    """
    Plan again, and carry out what a saved plan has shown, if that is what would be done now.

    Args:
        saved: the document of a saved plan
        past: reads from the ledger what was done under its digest
        examine: looks at what is left to do, before anything is sent; it refuses by raising

    Raises:
        StalePlanError: something moved; its diagnostics name what
        LockedError: somebody else holds the ledger
        InterruptedApplyError: while waiting for the ledger; nothing was sent
    """
    for _ in range(MAX_REPLANS):
        async with _holding(session, lock_timeout_s, interrupt) as holding:
            planned = await plan(session)
            if planned.plan.refusals:
                return Applied(planned)
            left = await _left(session, saved, planned, past)
            walked = replace(planned, plan=replace(planned.plan, changes=left))
            if any(change.refusals for change in left):
                return Applied(walked)
            if examine is not None:
                await examine(walked)
            report = await _carry_out(
                session, walked, str(saved["digest"]), holding=holding, interrupt=interrupt
            )
        if report is not None:
            return Applied(planned, report)
    raise _moving()


async def _left(
    session: Session,
    saved: JsonObject,
    planned: Planned,
    past: Callable[[], Awaitable[History]],
) -> tuple[Change, ...]:
    """
    Return what of a saved plan is left to do, with the refusals of the budget.

    Raises:
        StalePlanError: it is not what would be done now
    """
    from shplan.core.saved import review  # noqa: PLC0415 - only a saved plan is reviewed

    reviewed = review(saved, planned.plan, await past())
    if reviewed.moved:
        raise _stale(reviewed.moved)
    budget = Policies(session.policies.budget_max_pu)
    within = apply_policies(reviewed.changes, budget, spent_pu=reviewed.spent_pu)
    return within if any(change.refusals for change in within) else reviewed.changes


async def _carry_out(
    session: Session, planned: Planned, digest: str, *, holding: Holding, interrupt: Interrupt
) -> Report | None:
    """Walk the plan; None where others were faster, before anything was sent."""
    from shplan.engine.executor import execute  # noqa: PLC0415 - a plan does not need it
    from shplan.engine.performer import OutrunError  # noqa: PLC0415

    try:
        report = await execute(
            planned.plan.changes,
            plan_digest=digest,
            holding=holding,
            world=session.world,
            recorded=planned.recorded,
            attributes=planned.attributes,
            runs=lambda: session.ledger.runs(session.world.deployment),
            interrupt=interrupt,
            witnesses=planned.witnesses and planned.witnesses.counting(planned.plan.changes),
        )
    except OutrunError:
        return None
    if not report.unusable:
        await _keep_receipts(session, planned)
    return report


async def _keep_receipts(session: Session, planned: Planned) -> None:
    """Write receipt files that are missing: an earlier apply may have died before it wrote them."""
    world = session.world
    if world.receipts is not None:
        runs = await session.ledger.runs(world.deployment)
        world.receipts.keep_all(planned.plan.changes, runs)


def _holding(session: Session, timeout_s: float, interrupt: Interrupt) -> Holding:
    from shplan.engine.holding import Holding  # noqa: PLC0415 - a plan does not need it

    return Holding(
        session.ledger,
        deployment=session.world.deployment,
        timeout_s=timeout_s,
        interrupt=interrupt,
        waiting=lambda holder, most_s: session.world.events.emit(LedgerHeld(holder, most_s)),
    )


def _stale(moved: tuple[str, ...]) -> StalePlanError:
    diagnostics = tuple(
        Diagnostic(
            code="plan/stale",
            summary="Not the plan that was reviewed",
            what=f"{one}.",
            why="A saved plan is applied only as it was reviewed. Nothing was sent.",
            hint="make and review a new plan: shplan plan -o plan.json",
        )
        for one in moved
    )
    return StalePlanError(moved[0], diagnostics=diagnostics)


async def confirm(
    session: Session, address: Address, confirmed: str, *, lock_timeout_s: float
) -> Settlement:
    """
    Write into the ledger that an object is ours: `shplan import ADDRESS ID`.

    Returns:
        what was learnt

    Raises:
        PlanError: no manifest declares the address, it is `managed: false`, or its references are
            not known yet
        ChangeFailedError: there is no such object
        LockedError: somebody else holds the ledger
        StalePlanError: the ledger kept moving
    """
    desired = next((one for one in session.resources if one.address == address), None)
    if desired is None:
        message = f"no manifest declares {address}"
        raise PlanError(message)
    if not desired.lifecycle.managed:
        message = f"{address} is `managed: false`: it is only referred to, and never owned"
        raise PlanError(message)
    for _ in range(MAX_REPLANS):
        planned, settlement, noted = await _learn(session, desired, confirmed)
        notes = (*noted, Note(Event.IMPORT, settlement))
        # First the rename, if it is to come: else the ledger binds one object to both addresses.
        drafts = [
            *_pending_move(planned, address, session.world.deployment),
            *(_draft_of(note, address, session.world) for note in notes),
        ]
        async with session.ledger.lease(timeout_s=lock_timeout_s) as lease:
            # What others have written since may bind the object elsewhere.
            if await session.ledger.head() == planned.plan.inputs.ledger_head:
                await lease.append(drafts)
                _keep_noted(session.world, address, drafts)
                return settlement
    raise _moving()


def _keep_noted(world: World, address: Address, drafts: list[EntryDraft]) -> None:
    """Write the receipts that were recorded as files as well, where the project keeps them."""
    settled = (draft.settlement for draft in drafts)
    for receipt in (one.receipt for one in settled if one is not None):
        if receipt is not None and world.receipts is not None:
            world.receipts.keep(address, receipt)


def _draft_of(note: Note, address: Address, world: World) -> EntryDraft:
    run = note.run
    return EntryDraft(
        note.event,
        address,
        deployment=world.deployment,
        operation=note.operation,
        settlement=note.settlement,
        server_time=world.api.server_time,
        key="" if run is None else run.key,
        attempt=0 if run is None else run.attempt,
    )


def _pending_move(planned: Planned, address: Address, deployment: str) -> list[EntryDraft]:
    """Return what the next apply would write of `moved` for an address."""
    return [
        EntryDraft(
            Event.MOVE, address, deployment=deployment, data={"from": str(change.current["from"])}
        )
        for change in planned.plan.changes
        if change.address == address and change.action is Action.MOVE
    ]


async def _learn(
    session: Session, desired: Desired, confirmed: str
) -> tuple[Planned, Settlement, list[Note]]:
    """Return what was planned, and what the ledger would learn of the object and its run."""
    world, address = session.world, desired.address
    planned = await plan(session)
    _refuse_bound(address, confirmed, planned, world)
    filled = world.resolver.fill(desired, planned.attributes)
    surroundings = Surroundings(
        runs=await session.ledger.runs(world.deployment),
        tables=world.tables,
        deployment=world.settings.deployment,
    )
    flow = world.registry[address.kind].confirm(filled, confirmed, surroundings)
    noted: list[Note] = []
    reader = _reader(world)

    async def perform(step: Step) -> object:
        if isinstance(step, Note):
            noted.append(step)
            return None
        return await reader.perform(step)

    settlement = await drive(flow, perform)
    return planned, settlement, noted


def _moving() -> StalePlanError:
    return StalePlanError(f"the ledger moved while planning, {MAX_REPLANS} times")


def _refuse_bound(address: Address, confirmed: str, planned: Planned, world: World) -> None:
    """Refuse an id that the ledger binds to another address: it would be deleted with either."""
    provider = world.registry[address.kind]
    if provider.members_field is not None or provider.nature is Nature.JOB:
        # A set is confirmed by what holds it, and one run may be that of several addresses.
        return
    for other, record in planned.recorded.items():
        if other != address and other.kind == address.kind and record.id == confirmed:
            message = f"{confirmed} is {other} already; `moved` in shplan.yaml renames it"
            raise PlanError(message)
