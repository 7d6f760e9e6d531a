"""
What objects hold that goes with them, and what refers to them so that they cannot go.

Asked only of objects that may be deleted or replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import cast

from shplan.core.address import Address
from shplan.core.fingerprint import Fingerprint
from shplan.core.frozen import dataclass
from shplan.core.value import JsonValue
from shplan.providers.base import Surroundings, Wanted
from shplan.providers.observation import Observation, Observed
from shplan.providers.reconciled import read_or_none
from shplan.providers.reconciled_api import ObjectApi, is_unmanaged
from shplan.providers.steps import Flow, Rows, Scan, Together

_NAMED = 3


@dataclass(slots=True)
class MemberCount:
    """
    Counts what one object holds, and what of it is not ours.

    Args:
        home: the object's id
        ours: ids of members that are ours
        left: what else of ours a set has left in it
    """

    home: str
    ours: frozenset[str] = frozenset()
    left: Fingerprint = field(default_factory=Fingerprint)
    held: Fingerprint = field(default_factory=Fingerprint)
    unknown: Fingerprint = field(default_factory=Fingerprint)
    first: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many there are."""
        return self.held.total

    @property
    def foreign(self) -> int:
        """Those that neither are ours nor were, before their set went elsewhere."""
        return self.unknown.beyond(self.left)

    def take(self, rows: tuple[tuple[JsonValue, ...], ...]) -> None:
        """Count one page."""
        for (member,) in rows:
            self.held.add(str(member))
            if member not in self.ours:
                self.unknown.add(str(member))
                # A few names, the same whatever the order of the list.
                self.first = sorted([*self.first, str(member)])[:_NAMED]

    def strangers(self, foreign: int) -> tuple[str, ...]:
        """Name the first that are not ours, where they can be told from what a set has left."""
        return tuple(self.first) if foreign == self.unknown.total else ()


def with_members(
    api: ObjectApi,
    wanted: tuple[Wanted, ...],
    found: dict[Address, Observation],
    surroundings: Surroundings,
) -> Flow[dict[Address, Observation]]:
    """Count what objects hold that may be deleted or replaced, all lists side by side."""
    members = api.members
    if members is None:
        return (yield from _with_contents(api, wanted, found))
    counted: dict[Address, MemberCount] = {}
    for one in wanted:
        observation = found[one.address]
        if isinstance(observation, Observed) and _may_go(api, one, observation):
            ours = surroundings.own_members.get(observation.id, frozenset())
            left = surroundings.left_members.get(observation.id, Fingerprint())
            counted[one.address] = MemberCount(observation.id, ours, left)
    if counted:
        yield Together(tuple(Scan(members.listing(c.home), c.take) for c in counted.values()))
    return {
        address: replace(
            cast("Observed", observation),
            members=count.total,
            foreign_members=count.foreign,
            held=count.held.text,
            strangers=count.strangers(count.foreign),
        )
        if (count := counted.get(address)) is not None
        else observation
        for address, observation in found.items()
    }


def _with_contents(
    api: ObjectApi, wanted: tuple[Wanted, ...], found: Mapping[Address, Observation]
) -> Flow[dict[Address, Observation]]:
    """Look into objects that may be deleted or replaced, in the way that they are looked into then."""
    seen = dict(found)
    for one in wanted if api.contents is not None else ():
        observation = found[one.address]
        if isinstance(observation, Observed) and _may_go(api, one, observation):
            now = api.object_of((yield from read_or_none(api.get(observation.id))))
            seen[one.address] = replace(observation, held="" if now is None else api.held(now))
    return seen


def _may_go(api: ObjectApi, one: Wanted, observed: Observed) -> bool:
    if is_unmanaged(one):
        return False
    if one.desired is None:
        return True
    fields = api.differences(one, observed)
    matter = None if api.members is None else api.members.matter
    return any(change.forces or (matter is not None and matter(change)) for change in fields)


# --- users ---------------------------------------------------------------------------------


def with_users(
    api: ObjectApi, wanted: tuple[Wanted, ...], found: dict[Address, Observation]
) -> Flow[dict[Address, Observation]]:
    """Ask what refers to objects that may be deleted or replaced, all by one list."""
    users = api.users
    asked = set() if users is None else {id_ for one in wanted for id_ in _going(api, one, found)}
    if users is None or not asked:
        return found
    by_object: dict[str, list[str]] = {}

    def take(rows: Rows) -> None:
        for row in rows:
            used = users.used_by(row)
            if used is not None and used[0] in asked:
                by_object.setdefault(used[0], []).append(used[1])

    yield Scan(users.listing, take)
    held = {object_id: tuple(sorted(set(by))) for object_id, by in by_object.items()}
    return {address: _held(observation, held) for address, observation in found.items()}


def _going(api: ObjectApi, one: Wanted, found: Mapping[Address, Observation]) -> set[str]:
    """Return the objects of an address that may be deleted."""
    observation = found[one.address]
    going = {observation.left.id} if observation.left is not None else set()
    if isinstance(observation, Observed) and _may_go(api, one, observation):
        going.add(observation.id)
    return going


def _held(observation: Observation, held: Mapping[str, tuple[str, ...]]) -> Observation:
    left = observation.left
    if left is not None:
        observation = replace(observation, left=replace(left, users=held.get(left.id, ())))
    if isinstance(observation, Observed):
        return replace(observation, users=held.get(observation.id, ()))
    return observation
