"""
From manifests, ledger and server to a plan, level by level.

A resource is filled with what the levels before it made known, refreshed together
with everything of its kind, and decided by its provider. Nothing is written.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING

from shplan.core.address import Address
from shplan.core.change import Action, Change, Reason
from shplan.core.errors import PlanError
from shplan.core.fingerprint import Fingerprint
from shplan.core.frozen import dataclass
from shplan.core.graph import levels
from shplan.core.plan import Plan, PlanInputs
from shplan.core.planner import assemble
from shplan.core.policy import Policies, apply_policies
from shplan.core.request_observed import observed_notes
from shplan.core.resource import Desired, Recorded
from shplan.core.runs import RunRecord
from shplan.core.selection import Candidate, Selection
from shplan.core.value import JsonObject, Object
from shplan.engine.drive import Reader, drive
from shplan.providers.base import Provider, Surroundings, Wanted
from shplan.providers.observation import Observation, Observed

if TYPE_CHECKING:
    from shplan.core.places import TakenPlaces
    from shplan.core.reading import Reading
    from shplan.engine.ports import Resolver
    from shplan.engine.receipts import Witnesses


@dataclass(frozen=True, slots=True)
class Subject:
    """
    What is to be planned.

    Args:
        resources: what the manifests say; empty to destroy everything
        recorded: what the ledger says
        moved: new addresses by the old ones
        forget: addresses that are no longer to be managed
        selection: which addresses may change
        runs: what the ledger knows of runs, by key
        deployment: as run keys name it
        tables: published tables of the service by name, as data
        asks_catalogue: as in `Surroundings`
        readings: what data kinds gave while the manifests were loaded
        priced: addresses, or all instances of one, whose price is wanted; None: of all
        compares: what was known while loading, a pin for instance, is compared with the service
        witnesses: what receipt files say that the ledger does not; `runs` has it already
    """

    resources: tuple[Desired, ...]
    recorded: Mapping[Address, Recorded]
    registry: Mapping[str, Provider]
    resolver: Resolver
    moved: Mapping[Address, Address] = field(default_factory=dict)
    forget: frozenset[Address] = frozenset()
    selection: Selection = field(default_factory=Selection)
    list_lag_s: float = 0.0
    policies: Policies = field(default_factory=Policies)
    runs: Mapping[str, RunRecord] = field(default_factory=dict)
    deployment: str = "sandbox"
    tables: Mapping[str, JsonObject] = field(default_factory=dict)
    asks_catalogue: bool = False
    readings: Mapping[Address, Reading] = field(default_factory=dict)
    priced: frozenset[str] | None = None
    compares: bool = True
    witnesses: Witnesses | None = None

    def prices(self, address: Address) -> bool:
        """Tell whether anybody wants to know what an address costs."""
        return self.priced is None or not self.priced.isdisjoint((str(address), str(address.base)))


@dataclass(frozen=True, slots=True)
class Planned:
    """
    A plan, and what applying it needs beside it.

    Args:
        attributes: what is known of each address already, for references
        recorded: by address, moves carried out
        witnesses: what receipt files say that the ledger does not
    """

    plan: Plan
    attributes: Mapping[Address, Object]
    recorded: Mapping[Address, Recorded]
    observed: Mapping[Address, Observation]
    witnesses: Witnesses | None = None


async def make_plan(subject: Subject, inputs: PlanInputs, reader: Reader) -> Planned:
    """
    Refresh and decide everything, in as few requests as can answer.

    Raises:
        ApiError: the server cannot be read
        ManifestError: an expression fails on an observed value, or a script does not fit one
    """
    ledger_only, recorded = _rewritten(subject)
    wanted = _priced(_wanted(subject, recorded), subject)
    state = _State(subject, recorded)
    for level in levels(_dependencies(wanted)):
        await state.take_level([wanted[address] for address in level], reader)
    kinds = {change.address.kind for change in state.changes}
    ordered = assemble(
        _selected(state.changes, subject),
        moved=subject.moved,
        natural_keys={kind: subject.registry[kind].natural_key for kind in kinds},
    )
    plan = Plan(inputs, apply_policies((*ledger_only, *ordered), subject.policies))
    return Planned(plan, state.attributes, recorded, state.observed, subject.witnesses)


class _State:
    """What the levels so far have made known."""

    def __init__(self, subject: Subject, recorded: Mapping[Address, Recorded]) -> None:
        self._subject = subject
        self._own_members = _own_members(recorded.values())
        self._left_members = _left_members(recorded.values())
        self._bound = _bound_ids(recorded.values())
        self._ids = {record.address: record.id for record in recorded.values() if record.id}
        self._doomed: set[str] = set()
        self._changing: set[Address] = set()
        self._now = ""
        self._changed = {one.address: one.changed for one in recorded.values() if one.changed}
        self._objects: dict[str, Object] = {}
        self._places = _places(subject.runs)
        self._unconfirmed = _unconfirmed_ids(recorded.values())
        self.attributes: dict[Address, Object] = {}
        self.observed: dict[Address, Observation] = {}
        self.changes: list[Change] = []
        self._witnesses = subject.witnesses

    async def take_level(self, level: list[Wanted], reader: Reader) -> None:
        """Refresh and decide one level: each kind by itself, all kinds side by side."""
        by_kind: dict[str, list[Wanted]] = defaultdict(list)
        for one in level:
            by_kind[one.address.kind].append(self._filled(one))
        kinds = sorted(by_kind)
        found = await asyncio.gather(*(self._refresh(k, by_kind[k], reader) for k in kinds))
        self._now = reader.server_time
        for kind, observations in zip(kinds, found, strict=True):
            for one in by_kind[kind]:
                self._decide(one, observations[one.address])

    def _filled(self, one: Wanted) -> Wanted:
        if one.desired is None or not one.desired.references:
            return one
        filled = self._subject.resolver.fill(one.desired, self.attributes)
        return replace(one, desired=filled)

    async def _refresh(
        self, kind: str, wanted: list[Wanted], reader: Reader
    ) -> dict[Address, Observation]:
        provider = self._subject.registry[kind]
        flow = provider.refresh(tuple(wanted), self._surroundings(kind))
        return await drive(flow, reader.perform)

    def _decide(self, one: Wanted, observation: Observation) -> None:
        provider = self._subject.registry[one.address.kind]
        changes = provider.decide(one, observation, self._surroundings(one.address.kind))
        self.observed[one.address] = observation
        # What has run already is not asked whether it would still fit.
        if one.desired is not None and any(change.action.changes for change in changes):
            self._subject.resolver.check(one.address, self.attributes)
        if isinstance(observation, Observed) and observation.id:
            self._objects[observation.id] = observation.attributes
        pending = one.recorded is not None and bool(one.recorded.pending)
        for change in changes:
            # An intent without an outcome is settled by what this refresh has found.
            settled = replace(change, records=True) if pending else change
            if self._witnesses is not None:
                settled = self._witnesses.told(settled)
            self.changes.append(self._told(_placed(settled, one.desired), one.desired))
            if _sends(change) or change.action is Action.BLOCKED or change.waits:
                self._changing.add(change.address)
        self._doom(changes, observation)
        if any(change.reason is Reason.SAME_KEY for change in changes):
            self._unconfirmed |= {change.id for change in changes}
        known = provider.attributes(changes[0], observation)
        if known is not None:
            self.attributes[one.address] = known

    def _told(self, change: Change, desired: Desired | None) -> Change:
        """Add to a run what the collections that it reads, as they are now, cannot give it."""
        if desired is None or change.action is not Action.RUN:
            return change
        grids = self._subject.tables.get("tiling-grids")
        lacking = observed_notes(desired.spec, self._objects, grids)
        return replace(change, notes=(*change.notes, *lacking)) if lacking else change

    def _doom(self, changes: tuple[Change, ...], observation: Observation) -> None:
        for change in changes:
            removes = change.action in (Action.DELETE, Action.REPLACE)
            if removes and not change.refusals and change.id:
                self._doomed.add(change.id)
            elif removes and isinstance(observation, Observed) and observation.id:
                self._doomed.add(observation.id)

    def _surroundings(self, kind: str) -> Surroundings:
        return Surroundings(
            bound_ids=self._bound.get(kind, {}),
            recorded_ids=self._ids,
            own_members=self._own_members,
            left_members=self._left_members,
            doomed=frozenset(self._doomed),
            unconfirmed=self._unconfirmed,
            objects=self._objects,
            declared=self._subject.resources,
            attributes=self.attributes,
            list_lag_s=self._subject.list_lag_s,
            runs=self._subject.runs,
            changed=self._changed,
            places=self._places,
            deployment=self._subject.deployment,
            tables=self._subject.tables,
            now=self._now,
            asks_catalogue=self._subject.asks_catalogue,
            readings=self._subject.readings,
            compares=self._subject.compares,
            changing=self._changing,
        )


def _places(runs: Mapping[str, RunRecord]) -> TakenPlaces | None:
    if not runs:
        return None
    from shplan.core.places import TakenPlaces  # noqa: PLC0415 - a plan without jobs has none

    return TakenPlaces(runs)


def _sends(change: Change) -> bool:
    """Tell whether something becomes different on the server: what is only adopted is there."""
    sends_members = any(member.request is not None for member in change.members)
    return change.action.changes and (bool(change.requests) or sends_members)


def _placed(change: Change, desired: Desired | None) -> Change:
    """Say where a change is declared; of what does not change nobody asks, and it costs time."""
    quiet = change.action is Action.NOOP and not change.refusals and not change.drifted
    if desired is None or quiet:
        return change
    return replace(change, source=desired.source.span(("metadata", "name")))


def _rewritten(subject: Subject) -> tuple[tuple[Change, ...], dict[Address, Recorded]]:
    """Carry `moved` and `forget` out on the record; say so as changes of their own."""
    recorded = dict(subject.recorded)
    changes: list[Change] = []
    for old, new in sorted(subject.moved.items()):
        if old in recorded and new not in recorded:
            recorded[new] = replace(recorded.pop(old), address=new)
            changes.append(
                Change(new, Action.MOVE, Reason.RENAMED, current={"from": str(old)}, records=True)
            )
    for address in sorted(subject.forget):
        for known in [one for one in recorded if address in (one, one.base)]:
            del recorded[known]
            changes.append(Change(known, Action.FORGET, Reason.FORGOTTEN, records=True))
    return tuple(changes), recorded


def _wanted(subject: Subject, recorded: Mapping[Address, Recorded]) -> dict[Address, Wanted]:
    wanted = {
        desired.address: Wanted(
            desired.address,
            desired,
            recorded.get(desired.address),
            priced=subject.prices(desired.address),
        )
        for desired in subject.resources
        if desired.address not in subject.forget
    }
    for address, record in recorded.items():
        if address not in wanted and address.kind in subject.registry:
            wanted[address] = Wanted(address, None, record)
    return wanted


def _priced(wanted: dict[Address, Wanted], subject: Subject) -> dict[Address, Wanted]:
    """Want no price of what is not selected: to ask what decides about one is paid as well."""
    terms = (*subject.selection.select, *subject.selection.exclude)
    if not terms or any("state:" in term for term in terms):
        # What changes is known when all is decided.
        return wanted
    needed = _dependencies(wanted)
    candidates = {
        address: _candidate(one.desired, needed[address]) for address, one in wanted.items()
    }
    try:
        chosen = subject.selection.addresses(candidates)
    except PlanError:
        # It is said once the changes are there, which have addresses of their own.
        return wanted
    return {
        address: replace(one, priced=one.priced and address in chosen)
        for address, one in wanted.items()
    }


def _dependencies(wanted: Mapping[Address, Wanted]) -> dict[Address, tuple[Address, ...]]:
    result: dict[Address, tuple[Address, ...]] = {}
    for address, one in wanted.items():
        if one.desired is not None:
            needed = {reference.address for reference in one.desired.references}
            result[address] = tuple(sorted(needed | set(one.desired.depends_on)))
        else:
            result[address] = one.recorded.depends_on if one.recorded is not None else ()
    return result


def _own_members(records: Iterable[Recorded]) -> dict[str, frozenset[str]]:
    own: dict[str, set[str]] = defaultdict(set)
    for record in records:
        home = record.data.get("collection")
        if isinstance(home, str):
            own[home].update(m.id for m in record.members.values() if m.owned)
    return {home: frozenset(ids) for home, ids in own.items()}


def _left_members(records: Iterable[Recorded]) -> dict[str, Fingerprint]:
    left: defaultdict[str, Fingerprint] = defaultdict(Fingerprint)
    for record in records:
        homes = record.data.get("left")
        for home, ids in homes.items() if isinstance(homes, dict) else ():
            left[home].join(Fingerprint.read(ids))
    return dict(left)


def _bound_ids(records: Iterable[Recorded]) -> dict[str, dict[str, Address]]:
    bound: dict[str, dict[str, Address]] = defaultdict(dict)
    for record in records:
        if record.id:
            bound[record.address.kind][record.id] = record.address
    return bound


def _unconfirmed_ids(records: Iterable[Recorded]) -> frozenset[str]:
    return frozenset(record.id for record in records if record.id and not record.owned)


def _selected(changes: Sequence[Change], subject: Subject) -> tuple[Change, ...]:
    """Keep what was selected; what needs something new that was not selected is blocked."""
    if not subject.selection:
        return tuple(changes)
    selected = subject.selection.addresses(_candidates(changes, subject.resources))
    absent = {
        change.address
        for change in changes
        if change.address not in selected
        and (change.action in _MAKES or change.waits or (change.key and change.action.changes))
    }
    apart = {
        change.address
        for change in changes
        if change.address not in selected and change.action is Action.DELETE
    }
    kept = []
    for change in changes:
        if change.address not in selected:
            continue
        holders = sorted(apart.intersection(change.depends_on)) if change.follows else []
        if holders:
            # Forgetting its members while they stay would make them a stranger's.
            note = f"it goes with {holders[0]}, which is not selected"
            kept.append(change.blocked(Reason.DEPENDENCY_BLOCKED, note=note))
            continue
        missing = sorted(absent.intersection(change.depends_on))
        if missing and change.action.changes:
            note = f"{missing[0]} does not exist yet, or has not finished, and is not selected"
            kept.append(change.blocked(Reason.DEPENDENCY_BLOCKED, note=note))
        else:
            kept.append(change)
    return tuple(kept)


_MAKES = frozenset({Action.CREATE, Action.REPLACE, Action.RUN})


def _candidates(
    changes: Sequence[Change], resources: tuple[Desired, ...]
) -> dict[Address, Candidate]:
    declared = {desired.address: desired for desired in resources}
    return {
        change.address: _candidate(
            declared.get(change.address), change.depends_on, changed=change.action.changes
        )
        for change in changes
    }


def _candidate(
    desired: Desired | None, depends_on: tuple[Address, ...], *, changed: bool = False
) -> Candidate:
    if desired is None:
        return Candidate(depends_on=depends_on, changed=changed)
    file = desired.source.span(("metadata", "name")).file
    return Candidate(depends_on, desired.labels, file, changed)
