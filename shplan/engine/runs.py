"""
Plan and apply: one short function each, over ports.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from shplan.core.address import Address
from shplan.core.errors import StalePlanError
from shplan.core.plan import PlanInputs
from shplan.core.policy import Policies
from shplan.core.resource import Desired
from shplan.core.selection import Selection
from shplan.engine.drive import Reader
from shplan.engine.executor import Interrupt, Report, World, execute
from shplan.engine.planning import Planned, Subject, make_plan
from shplan.engine.ports import Ledger

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
    """

    world: World
    ledger: Ledger
    inputs: PlanInputs
    resources: tuple[Desired, ...] = ()
    moved: Mapping[Address, Address] = field(default_factory=dict)
    forget: frozenset[Address] = frozenset()
    selection: Selection = field(default_factory=Selection)
    policies: Policies = field(default_factory=Policies)


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
    ledger = session.ledger
    world = session.world
    head = await ledger.head()
    subject = Subject(
        session.resources,
        await ledger.recorded(world.deployment),
        world.registry,
        world.resolver,
        moved=session.moved,
        forget=session.forget,
        selection=session.selection,
        list_lag_s=world.settings.list_lag_s,
        policies=session.policies,
    )
    inputs = replace(session.inputs, ledger_head=head)
    return await make_plan(
        subject, inputs, Reader(world.api, world.clock, parallelism=world.parallelism)
    )


async def apply(
    session: Session, approve: Approve, *, lock_timeout_s: float, interrupt: Interrupt
) -> Applied:
    """
    Plan, ask, and carry out.

    The lease is taken after the approval; when somebody else wrote to the ledger in the
    meantime, everything is planned and asked again.

    Raises:
        LockedError: somebody else holds the ledger
        StalePlanError: the ledger kept moving
    """
    for _ in range(MAX_REPLANS):
        planned = await plan(session)
        if planned.plan.refusals or not planned.plan.can_apply():
            return Applied(planned)
        if not await approve(planned):
            return Applied(planned, declined=True)
        async with session.ledger.lease(timeout_s=lock_timeout_s) as lease:
            if await session.ledger.head() == planned.plan.inputs.ledger_head:
                report = await execute(
                    planned.plan.changes,
                    plan_digest=planned.plan.digest,
                    lease=lease,
                    world=session.world,
                    recorded=planned.recorded,
                    attributes=planned.attributes,
                    interrupt=interrupt,
                )
                return Applied(planned, report)
    message = f"the ledger moved while planning, {MAX_REPLANS} times"
    raise StalePlanError(message)
