"""
Finding objects: by the ledger, by an intent of ours, by their natural key, or as a manifest says.

One list answers for all addresses of a kind, and one GET for each that it does not show. What the
ledger binds to one address is never a candidate for another (design, "Reconciled kinds").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import cast

from shplan.core.address import Address
from shplan.core.fingerprint import Fingerprint
from shplan.core.frozen import dataclass
from shplan.core.value import Object
from shplan.providers.base import Surroundings, Wanted
from shplan.providers.observation import (
    Absent,
    Ambiguous,
    Binding,
    LeftBehind,
    Observation,
    Observed,
)
from shplan.providers.reconciled import read_or_none
from shplan.providers.reconciled_api import (
    LEFT,
    NaturalKey,
    ObjectApi,
    age,
    declared,
    is_unmanaged,
    known_before,
    noted,
    observed_as,
    pending_creates,
)
from shplan.providers.reconciled_members import MemberCount, with_members, with_users
from shplan.providers.steps import Flow, Rows, Scan, Wait


def refresh_objects(
    api: ObjectApi, wanted: tuple[Wanted, ...], surroundings: Surroundings
) -> Flow[dict[Address, Observation]]:
    """Find all objects by one list, in pages of a hundred, and one GET for each missing."""
    index = Index.of(api, wanted)
    yield Scan(api.listing, index.take)
    if surroundings.list_lag_s and any(index.lacks_intended(one) for one in wanted):
        yield Wait(surroundings.list_lag_s, "an earlier create may not be listed yet")
        index = Index.of(api, wanted)
        yield Scan(api.listing, index.take)
    found: dict[Address, Observation] = {}
    bound = yield from _bind_all(wanted, index, surroundings)
    namesakes = _namesakes(api, surroundings)
    for one in wanted:
        observation = bound[one.address]
        left = yield from _look_at_left(one, observation, index, surroundings)
        beside = _beside(one, observation, index, namesakes)
        found[one.address] = replace(beside, left=left)
    found = _with_rivals(api, wanted, found, surroundings)
    found = yield from with_members(api, wanted, found, surroundings)
    return (yield from with_users(api, wanted, found))


@dataclass(slots=True)
class Index:
    """What a list told about some addresses, or one natural key; everything else is dropped."""

    api: ObjectApi
    ids: frozenset[str]
    keys: frozenset[NaturalKey]
    names: frozenset[str]
    by_id: dict[str, Object] = field(default_factory=dict)
    by_key: dict[NaturalKey, list[Object]] = field(default_factory=dict)
    by_name: dict[str, list[Object]] = field(default_factory=dict)

    @classmethod
    def of(cls, api: ObjectApi, wanted: tuple[Wanted, ...]) -> Index:
        """Return an empty one of what these addresses may be bound to."""
        ids = {one.recorded.id for one in wanted if one.recorded is not None}
        ids |= {noted(one.recorded, slot) for one in wanted for slot in LEFT}
        ids |= {declared(one, "id") for one in wanted}
        names = {declared(one, "name") for one in wanted}
        keys = {key for one in wanted for key in api.keys_of(one)}
        return cls(api, frozenset(ids - {""}), frozenset(keys), frozenset(names - {""}))

    @classmethod
    def of_key(cls, api: ObjectApi, key: NaturalKey) -> Index:
        """Return an empty one of what has a natural key."""
        return cls(api, frozenset(), frozenset({key}), frozenset())

    def take(self, rows: Rows) -> None:
        """Keep of some rows what somebody may ask for."""
        columns = self.api.listing.columns
        for row in rows:
            listed = cast(
                "Object",
                {k: v for k, v in zip(columns, row, strict=True) if v is not None},
            )
            key, object_id, name = self.api.key_of(listed), listed.get("id"), listed.get("name")
            if not isinstance(object_id, str):
                continue  # nothing can be asked or done about it
            if object_id in self.ids:
                self.by_id[object_id] = listed
            if key is not None and key in self.keys:
                self.by_key.setdefault(key, []).append(listed)
            if isinstance(name, str) and name in self.names:
                self.by_name.setdefault(name, []).append(listed)

    def lacks_intended(self, one: Wanted) -> bool:
        """An intent of ours may have created what the list does not show (yet)."""
        known = known_before(one)
        keys = {self.api.key_of(cast("Object", i.data)) for i in pending_creates(one.recorded)}
        return any(
            key is not None and all(c["id"] in known for c in self.by_key.get(key, ()))
            for key in keys
        )

    def read(self, wanted_id: str) -> Flow[Object | None]:
        """Return an object by its id: absence from a list is not absence."""
        listed = self.by_id.get(wanted_id)
        if listed is not None:
            return listed
        return self.api.object_of((yield from read_or_none(self.api.get(wanted_id))))


# --- binding -------------------------------------------------------------------------------


def _bind_all(
    wanted: tuple[Wanted, ...], index: Index, surroundings: Surroundings
) -> Flow[dict[Address, Observation]]:
    """Bind each; what the ledger knows and the server does not show gets a second look."""
    found: dict[Address, Observation] = {}
    for one in wanted:
        found[one.address] = yield from _bind(one, index, surroundings)
    lost = [one for one in wanted if _is_lost(one, found[one.address])]
    if lost and surroundings.list_lag_s:
        # A 404 right after a create means "not yet": believing it would create a second one.
        reason = f"a {index.api.noun} of ours may not be visible yet"
        yield Wait(surroundings.list_lag_s, reason)
        for one in lost:
            found[one.address] = yield from _bind(one, index, surroundings)
    return found


def _is_lost(one: Wanted, observation: Observation) -> bool:
    if one.recorded is None or not one.recorded.id or is_unmanaged(one):
        return False
    sure = (Binding.RECORDED, Binding.INTENT)
    return not isinstance(observation, Observed) or observation.binding not in sure


def _bind(one: Wanted, index: Index, surroundings: Surroundings) -> Flow[Observation]:
    if is_unmanaged(one):
        return (yield from _bind_declared(one, index))
    intended = yield from _bind_intended(one, index, surroundings)
    if intended is not None:
        return intended
    recorded = one.recorded
    if recorded is None or not recorded.id:
        return _bind_by_key(one, index, surroundings, gone=False)
    listed = yield from index.read(recorded.id)
    if listed is not None:
        return observed_as(listed, Binding.RECORDED)
    return _bind_by_key(one, index, surroundings, gone=True)


def _bind_intended(
    one: Wanted, index: Index, surroundings: Surroundings
) -> Flow[Observation | None]:
    """
    Find what a create without an outcome has made.

    When that create was planned nothing had this natural key, so what is there now is ours or
    was made at the same moment: everybody binds the oldest. It counts as ours only when it
    certainly is.
    """
    if not pending_creates(one.recorded):
        return None
    made = noted(one.recorded, "made")
    known = known_before(one)
    free = [c for c in _free(one, index, surroundings) if c["id"] not in known]
    if free:
        own = free[0]["id"] == made if made else len(free) == 1
        return observed_as(free[0], Binding.INTENT, own=own)
    api = index.api
    lone = api.object_of((yield from read_or_none(api.get(made)))) if made else None
    return None if lone is None else observed_as(lone, Binding.INTENT, own=True)


def _bind_by_key(
    one: Wanted, index: Index, surroundings: Surroundings, *, gone: bool
) -> Observation:
    if one.desired is None:
        return Absent(gone=gone)
    free = _free(one, index, surroundings)
    if len(free) == 1:
        return observed_as(free[0], Binding.NATURAL_KEY)
    return Ambiguous(tuple(index.api.shown(c) for c in free)) if free else Absent(gone=gone)


def _free(one: Wanted, index: Index, surroundings: Surroundings) -> list[Object]:
    """Return what has the right natural key and is bound to no other address, by age."""
    found = {str(c["id"]): c for key in index.api.keys_of(one) for c in index.by_key.get(key, [])}
    free = [
        listed
        for made, listed in found.items()
        if surroundings.bound_ids.get(made, one.address) == one.address
    ]
    return sorted(free, key=age)


def _bind_declared(one: Wanted, index: Index) -> Flow[Observation]:
    wanted_id = declared(one, "id")
    if wanted_id:
        listed = yield from index.read(wanted_id)
        return Absent() if listed is None else observed_as(listed, Binding.DECLARED)
    named = index.by_name.get(declared(one, "name"), [])
    if len(named) == 1:
        return observed_as(named[0], Binding.DECLARED)
    shown = tuple(index.api.shown(c) for c in sorted(named, key=age))
    return Ambiguous(shown) if named else Absent()


# --- what is beside, and what was left -----------------------------------------------------


def _namesakes(api: ObjectApi, surroundings: Surroundings) -> dict[NaturalKey, set[str]]:
    """Return what the ledger binds, by the natural key that it has, or gets by this plan."""
    found: dict[NaturalKey, set[str]] = {}
    for desired in surroundings.declared:
        bound = surroundings.recorded_ids.get(desired.address)
        if not bound or desired.address.kind != api.kind:
            continue
        key = api.key_of(desired.spec)
        if key is not None:
            found.setdefault(key, set()).add(bound)
    return found


def _beside(
    one: Wanted,
    observation: Observation,
    index: Index,
    namesakes: Mapping[NaturalKey, set[str]],
) -> Observation:
    """
    Add which other objects have the wanted natural key: a create does not bind them.

    Nor those that get it while it is under way, by another change of the same plan.
    """
    key = None if one.desired is None else index.api.key_of(one.desired.spec)
    if key is None or isinstance(observation, Ambiguous):
        return observation
    bound = observation.id if isinstance(observation, Observed) else ""
    ids = {str(listed["id"]) for listed in index.by_key.get(key, ())} | namesakes.get(key, set())
    return replace(observation, others=tuple(sorted(ids - {bound})))


def _with_rivals(
    api: ObjectApi,
    wanted: tuple[Wanted, ...],
    found: dict[Address, Observation],
    surroundings: Surroundings,
) -> dict[Address, Observation]:
    """Refuse addresses that would all bind what has their natural key: they make it, or have no id."""
    bound = set(surroundings.bound_ids.values()) - _replaced(api, wanted, found)
    by_key: dict[NaturalKey, set[Address]] = {}
    beside = (*surroundings.declared, *(one.desired for one in wanted if one.desired is not None))
    for desired in beside:
        if desired.address.kind != api.kind or not desired.lifecycle.managed:
            continue
        key = api.key_of(desired.spec)
        if key is not None and desired.address not in bound:
            by_key.setdefault(key, set()).add(desired.address)
    for same in by_key.values():
        for address in same & found.keys() if len(same) > 1 else ():
            found[address] = Ambiguous((), tuple(sorted(same - {address})))
    return found


def _replaced(
    api: ObjectApi, wanted: tuple[Wanted, ...], found: Mapping[Address, Observation]
) -> frozenset[Address]:
    """Return the addresses that may get another object, with the natural key they state."""
    return frozenset(
        one.address
        for one in wanted
        if one.desired is not None
        and not is_unmanaged(one)
        and isinstance(observed := found[one.address], Observed)
        and any(change.forces for change in api.differences(one, observed))
    )


def _with_earlier(left: str, held: str, planned: object) -> LeftBehind:
    """Say whether what is to go holds what the plan of its replacement saw."""
    changed = bool(planned) and Fingerprint.read(held).beyond(Fingerprint.read(planned)) > 0
    return LeftBehind(left, exists=True, changed=changed, held=held)


def _look_at_left(
    one: Wanted, observation: Observation, index: Index, surroundings: Surroundings
) -> Flow[LeftBehind | None]:
    """Look at the object that a replacement was to delete; it may be gone already."""
    recorded = one.recorded
    if recorded is None:
        return None
    bound = observation.id if isinstance(observation, Observed) else ""
    left = next((text for slot in LEFT if (text := noted(recorded, slot))), "")
    if isinstance(observation, Observed) and observation.binding is Binding.INTENT:
        left = recorded.id or left
    if not left or left == bound:
        return None
    found = yield from index.read(left)
    if found is None:
        return LeftBehind(left, exists=False)
    planned = recorded.data.get("deposedTiles") if left == noted(recorded, "deposed") else None
    members = index.api.members
    if members is None:
        now = found
        if index.api.contents is not None:
            # In the way that it is looked into before it is deleted: a list may say less.
            now = index.api.object_of((yield from read_or_none(index.api.get(left)))) or found
        return _with_earlier(left, index.api.held(now), planned)
    count = MemberCount(left, surroundings.own_members.get(left, frozenset()))
    yield Scan(members.listing(left), count.take)
    # Ours are those that the plan of the replacement saw, or that a set has there to this day.
    foreign = min(count.held.beyond(Fingerprint.read(planned)), count.unknown.total)
    return LeftBehind(
        left,
        exists=True,
        members=count.total,
        foreign_members=foreign,
        held=count.held.text,
        strangers=count.strangers(foreign),
    )
