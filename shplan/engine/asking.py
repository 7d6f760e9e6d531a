"""
Asking data kinds what manifests need to be loaded: all that is ready together, the rest after what it needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from shplan.core.address import Address
from shplan.core.frozen import dataclass
from shplan.core.graph import closure
from shplan.core.reading import Reading
from shplan.core.resource import Desired
from shplan.engine.drive import Reader, drive
from shplan.engine.planning import make_plan
from shplan.engine.runs import Session, subject_of
from shplan.providers.data import DataProvider, Held, side_by_side
from shplan.providers.observation import Observed

if TYPE_CHECKING:
    from shplan.engine.world import World


@dataclass(frozen=True, slots=True)
class Asked:
    """
    One question.

    Args:
        desired: the resource that asks
        digest: of the question, holes included
    """

    desired: Desired
    digest: str


async def ask(
    asked: Sequence[Asked], world: World
) -> tuple[dict[Address, Reading], dict[Address, Exception]]:
    """Ask what can be asked at once: the answers, and what went wrong, by address."""
    flows = {}
    for one in asked:
        kind = world.registry[one.desired.address.kind]
        assert isinstance(kind, DataProvider), "only data kinds are asked"
        flows[one.desired.address] = kind.read(one.desired.spec, world.tables)
    reader = Reader(
        world.api,
        world.clock,
        parallelism=world.parallelism,
        storage=world.storage,
        paid=world.paid,
    )
    answers = await drive(side_by_side(flows), reader.perform)
    found: dict[Address, Reading] = {}
    failed: dict[Address, Exception] = {}
    for one in asked:
        answer = answers[one.desired.address]
        if isinstance(answer, Exception):
            failed[one.desired.address] = answer
        else:
            found[one.desired.address] = Reading(one.digest, answer)
    return found, failed


async def ask_after(asked: Sequence[Asked], session: Session) -> dict[Address, Reading]:
    """
    Ask what needs something of the server: what it needs is refreshed, and nothing is changed.

    Returns:
        the answers, without those that have to wait for an apply

    Raises:
        ApiError: the server cannot be read
    """
    needed = _needed((one.desired.address for one in asked), session.resources)
    chosen = tuple(one for one in session.resources if one.address in needed)
    subject = await subject_of(replace(session, resources=chosen, priced=frozenset()))
    recorded = {
        address: one
        for address, one in subject.recorded.items()
        if subject.moved.get(address, address) in needed
    }
    world = session.world
    reader = Reader(
        world.api,
        world.clock,
        parallelism=world.parallelism,
        storage=world.storage,
        paid=world.paid,
    )
    planned = await make_plan(replace(subject, recorded=recorded), session.inputs, reader)
    digests = {one.desired.address: one.digest for one in asked}
    found: dict[Address, Reading] = {}
    for address, digest in digests.items():
        observed = planned.observed.get(address)
        if isinstance(observed, Observed) and isinstance(observed.detail, Held):
            found[address] = Reading(digest, observed.detail.content)
    return found


def _needed(addresses: Iterable[Address], resources: Iterable[Desired]) -> frozenset[Address]:
    direct: Mapping[Address, set[Address]] = {
        one.address: {*one.depends_on, *(reference.address for reference in one.references)}
        for one in resources
    }
    return frozenset(closure(tuple(addresses), direct))
