"""
`ByocCollection`: a collection of your own imagery (bring your own COG).

Facts: the API description's BYOC collection operations and the documentation's
BYOC page. Its tiles are the business of `ByocTiles`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from typing import cast

from shplan.core.address import Address
from shplan.core.change import Action, Change, FieldChange, Reason, Refusal
from shplan.core.cost import calls
from shplan.core.diagnostic import Diagnostic
from shplan.core.diff import diff_object, value_at, with_changes
from shplan.core.entry import Event, Result, Settlement
from shplan.core.errors import NoAnswerError, RefusedError
from shplan.core.fields import FieldRule, FieldRules, Omitted
from shplan.core.frozen import dataclass
from shplan.core.planner import (
    Found,
    ambiguous,
    dependencies,
    judge_existing,
    judge_undeclared,
    same_key,
    with_verdict,
)
from shplan.core.request import Answer, ApiRequest, Effect
from shplan.core.resource import Desired, PendingIntent, Recorded
from shplan.core.value import JsonObject, JsonValue, Object, Path, Sensitive, Value, digest
from shplan.providers.base import (
    Absent,
    Act,
    Ambiguous,
    Binding,
    ChangeFailedError,
    Flow,
    LeftBehind,
    Nature,
    Note,
    Observation,
    Observed,
    Reply,
    Scan,
    Settings,
    Surroundings,
    Together,
    Wait,
    Wanted,
)
from shplan.providers.reconciled import (
    act_until_seen,
    cost_of,
    data_object,
    failure,
    nothing,
    raise_refusal,
    read_or_none,
    stated_record,
)

COLLECTIONS = "/byoc/v1/collections"
COLLECTION = "/byoc/v1/collections/{collectionId}"
TILES = "/byoc/v1/collections/{collectionId}/tiles"
_COLUMNS = ("id", "name", "s3Bucket", "created", "noData", "additionalData", "isConfigured")
# Marks an object that an intent of ours certainly made.
_OWN = "own"
_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
# Source: ECMA-262, section "Keywords and Reserved Words".
_RESERVED = frozenset(
    [
        "await",
        "break",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "debugger",
        "default",
        "delete",
        "do",
        "else",
        "enum",
        "export",
        "extends",
        "false",
        "finally",
        "for",
        "function",
        "if",
        "implements",
        "import",
        "in",
        "instanceof",
        "interface",
        "let",
        "new",
        "null",
        "package",
        "private",
        "protected",
        "public",
        "return",
        "static",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "try",
        "typeof",
        "var",
        "void",
        "while",
        "with",
        "yield",
    ]
)
_BANDS = ("additionalData", "bands")
# Where the ledger keeps what is still to be deleted: the object that a replacement replaced,
# and the one that lost a race.
_LEFT = ("deposed", "loser")
# `created` has milliseconds.
_TICK_S = 0.002
_FROZEN = "bands keep their structure once the collection has tiles"


class ByocCollection:
    """The provider of one kind; see `providers.base.Provider`."""

    kind = "ByocCollection"
    nature = Nature.RECONCILED
    natural_key = ("name", "s3Bucket")
    members_field: str | None = None
    script_path: Path | None = None
    text_field: str | None = None
    secret_fields: frozenset[str] = frozenset()
    # Source: schema BYOCCollectionUpdatePayload.
    rules = FieldRules(
        {
            "s3Bucket": FieldRule(
                immutable="a collection with tiles keeps its bucket", mutable_while_empty=True
            ),
            "noData": FieldRule(omitted=Omitted.CLEARS, clearable=True),
            "additionalData.bands": FieldRule(whole=True),
            "additionalData.bands.*.source": FieldRule(immutable=_FROZEN, mutable_while_empty=True),
            "additionalData.bands.*.bandIndex": FieldRule(
                immutable=_FROZEN, mutable_while_empty=True
            ),
            "additionalData.bands.*.bitDepth": FieldRule(
                immutable=_FROZEN, mutable_while_empty=True
            ),
            "additionalData.bands.*.sampleFormat": FieldRule(
                immutable="a sample format that is set stays"
            ),
            "additionalData.bands.*.noData": FieldRule(omitted=Omitted.CLEARS, clearable=True),
        }
    )

    def check(self, desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
        """Check what the schema cannot: band names, noData in one place only, names one may see."""
        return [
            *_check_band_names(desired),
            *_check_no_data(desired),
            *_check_key(desired),
        ]

    def refresh(
        self, wanted: tuple[Wanted, ...], surroundings: Surroundings
    ) -> Flow[dict[Address, Observation]]:
        """Find all collections by one list, in pages of a hundred, and one GET for each missing."""
        index = _Index.of(wanted)
        yield Scan(_list_collections(), index.take)
        if surroundings.list_lag_s and any(index.lacks_intended(one) for one in wanted):
            yield Wait(surroundings.list_lag_s, "an earlier create may not be listed yet")
            index = _Index.of(wanted)
            yield Scan(_list_collections(), index.take)
        found: dict[Address, Observation] = {}
        bound = yield from _bind_all(wanted, index, surroundings)
        namesakes = _namesakes(surroundings)
        for one in wanted:
            observation = bound[one.address]
            left = yield from _look_at_left(one, observation, index, surroundings)
            beside = _beside(one, observation, index, namesakes)
            found[one.address] = replace(beside, left=left)
        found = _with_rivals(wanted, found, surroundings)
        return (yield from _with_members(wanted, found, surroundings))

    def decide(
        self,
        wanted: Wanted,
        observation: Observation,
        surroundings: Surroundings,
    ) -> tuple[Change, ...]:
        """Compare three ways; see the module for the rules of the fields."""
        change = _decide(wanted, observation, self.rules)
        return (change, *_decide_deposed(wanted, observation))

    def attributes(self, change: Change, observation: Observation) -> Object | None:
        """Return what references see: nothing before a create, the planned object afterwards."""
        if change.action in (Action.CREATE, Action.REPLACE) or not isinstance(
            observation, Observed
        ):
            return None
        return {**observation.attributes, **change.record, "id": observation.id}

    def apply(self, change: Change, settings: Settings) -> Flow[Object]:
        """Carry one change out."""
        match change.action:
            case Action.CREATE | Action.REPLACE:
                return _create(change, settings)
            case Action.DELETE:
                return _delete(change)
            case Action.ADOPT:
                return _adopt(change)
            case Action.READ:
                return nothing()
            case _:
                return _update(change)

    def confirm(
        self, desired: Desired, confirmed: str, surroundings: Surroundings
    ) -> Flow[Settlement]:
        """Bind a collection by its id, and own it from now on."""
        listed = data_object((yield from read_or_none(_get(confirmed))))
        if listed is None:
            message = f"there is no collection {confirmed} on this deployment"
            raise ChangeFailedError(message)
        return Settlement(
            Result.DONE,
            id=confirmed,
            owned=True,
            spec=stated_record(desired.spec),
            prevent_destroy=desired.lifecycle.prevent_destroy,
            depends_on=tuple(str(address) for address in dependencies(desired)),
        )


# --- finding -------------------------------------------------------------------------------


@dataclass(slots=True)
class _Index:
    """What the list told about the addresses of one refresh; everything else is dropped."""

    ids: frozenset[str]
    keys: frozenset[tuple[str, str]]
    names: frozenset[str]
    by_id: dict[str, Object] = field(default_factory=dict)
    by_key: dict[tuple[str, str], list[Object]] = field(default_factory=dict)
    by_name: dict[str, list[Object]] = field(default_factory=dict)

    @classmethod
    def of(cls, wanted: tuple[Wanted, ...]) -> _Index:
        ids = {one.recorded.id for one in wanted if one.recorded is not None}
        ids |= {_text(one.recorded, slot) for one in wanted for slot in _LEFT}
        ids |= {_declared(one, "id") for one in wanted}
        names = {_declared(one, "name") for one in wanted}
        keys = {key for one in wanted for key in _keys(one)}
        return cls(frozenset(ids - {""}), frozenset(keys), frozenset(names - {""}))

    def take(self, rows: tuple[tuple[JsonValue, ...], ...]) -> None:
        for row in rows:
            listed = cast(
                "Object",
                {k: v for k, v in zip(_COLUMNS, row, strict=True) if v is not None},
            )
            key = (str(listed.get("name")), str(listed.get("s3Bucket")))
            if listed["id"] in self.ids:
                self.by_id[str(listed["id"])] = listed
            if key in self.keys:
                self.by_key.setdefault(key, []).append(listed)
            if key[0] in self.names:
                self.by_name.setdefault(key[0], []).append(listed)

    def lacks_intended(self, one: Wanted) -> bool:
        """An intent of ours may have created what the list does not show (yet)."""
        known = _known_before(one)
        keys = {_natural_key(cast("Object", i.data)) for i in _pending_creates(one.recorded)}
        return any(
            key is not None and all(c["id"] in known for c in self.by_key.get(key, ()))
            for key in keys
        )


def _bind_all(
    wanted: tuple[Wanted, ...], index: _Index, surroundings: Surroundings
) -> Flow[dict[Address, Observation]]:
    """Bind each; what the ledger knows and the server does not show gets a second look."""
    found: dict[Address, Observation] = {}
    for one in wanted:
        found[one.address] = yield from _bind(one, index, surroundings)
    lost = [one for one in wanted if _is_lost(one, found[one.address])]
    if lost and surroundings.list_lag_s:
        # A 404 right after a create means "not yet": believing it would create a second one.
        yield Wait(surroundings.list_lag_s, "a collection of ours may not be visible yet")
        for one in lost:
            found[one.address] = yield from _bind(one, index, surroundings)
    return found


def _is_lost(one: Wanted, observation: Observation) -> bool:
    if one.recorded is None or not one.recorded.id or _is_unmanaged(one):
        return False
    sure = (Binding.RECORDED, Binding.INTENT)
    return not isinstance(observation, Observed) or observation.binding not in sure


def _bind(one: Wanted, index: _Index, surroundings: Surroundings) -> Flow[Observation]:
    if _is_unmanaged(one):
        return (yield from _bind_declared(one, index))
    intended = yield from _bind_intended(one, index, surroundings)
    if intended is not None:
        return intended
    recorded = one.recorded
    if recorded is None or not recorded.id:
        return _bind_by_key(one, index, surroundings, gone=False)
    listed = index.by_id.get(recorded.id)
    if listed is None:
        # Absence from a list is not absence.
        listed = data_object((yield from read_or_none(_get(recorded.id))))
    if listed is not None:
        return _observed(listed, Binding.RECORDED)
    return _bind_by_key(one, index, surroundings, gone=True)


def _bind_intended(
    one: Wanted, index: _Index, surroundings: Surroundings
) -> Flow[Observation | None]:
    """
    Find what a create without an outcome has made.

    When that create was planned nothing had this name and bucket, so what is there now is
    ours or was made at the same moment: everybody binds the oldest. It counts as ours only
    when it certainly is.
    """
    if not _pending_creates(one.recorded):
        return None
    made = _text(one.recorded, "made")
    known = _known_before(one)
    free = [c for c in _free(one, index, surroundings) if c["id"] not in known]
    if free:
        own = free[0]["id"] == made if made else len(free) == 1
        return _observed(free[0], Binding.INTENT, own=own)
    lone = data_object((yield from read_or_none(_get(made)))) if made else None
    return None if lone is None else _observed(lone, Binding.INTENT, own=True)


def _known_before(one: Wanted) -> set[str]:
    """Return the objects that existed when the creates without an outcome were planned."""
    known = {"" if one.recorded is None else one.recorded.id}
    for intent in _pending_creates(one.recorded):
        others = intent.data.get("others")
        known |= {str(other) for other in others} if isinstance(others, list) else set()
    return known


def _namesakes(surroundings: Surroundings) -> dict[tuple[str, str], set[str]]:
    """Return what the ledger binds, by the name and bucket that it has, or gets by this plan."""
    found: dict[tuple[str, str], set[str]] = {}
    for desired in surroundings.declared:
        bound = surroundings.recorded_ids.get(desired.address)
        key = _natural_key(desired.spec)
        if bound and key is not None and desired.address.kind == ByocCollection.kind:
            found.setdefault(key, set()).add(bound)
    return found


def _beside(
    one: Wanted,
    observation: Observation,
    index: _Index,
    namesakes: Mapping[tuple[str, str], set[str]],
) -> Observation:
    """
    Add which other objects have the wanted name and bucket: a create does not bind them.

    Nor those that get them while it is under way, by another change of the same plan.
    """
    key = None if one.desired is None else _natural_key(one.desired.spec)
    if key is None or isinstance(observation, Ambiguous):
        return observation
    bound = observation.id if isinstance(observation, Observed) else ""
    ids = {str(listed["id"]) for listed in index.by_key.get(key, ())} | namesakes.get(key, set())
    return replace(observation, others=tuple(sorted(ids - {bound})))


def _with_rivals(
    wanted: tuple[Wanted, ...], found: dict[Address, Observation], surroundings: Surroundings
) -> dict[Address, Observation]:
    """Refuse addresses that would all bind what has their name and bucket: they make it, or have no id."""
    bound = set(surroundings.bound_ids.values()) - _replaced(wanted, found)
    by_key: dict[tuple[str, str], set[Address]] = {}
    declared = (*surroundings.declared, *(one.desired for one in wanted if one.desired is not None))
    for desired in declared:
        key = _natural_key(desired.spec)
        managed = desired.address.kind == ByocCollection.kind and desired.lifecycle.managed
        if managed and key is not None and desired.address not in bound:
            by_key.setdefault(key, set()).add(desired.address)
    for same in by_key.values():
        for address in same & found.keys() if len(same) > 1 else ():
            found[address] = Ambiguous((), tuple(sorted(same - {address})))
    return found


def _replaced(
    wanted: tuple[Wanted, ...], found: Mapping[Address, Observation]
) -> frozenset[Address]:
    """Return the addresses that may get another object, with the name and bucket they state."""
    return frozenset(
        one.address
        for one in wanted
        if one.desired is not None
        and not _is_unmanaged(one)
        and isinstance(observed := found[one.address], Observed)
        and any(change.forces for change in _raw_diff(one, observed, ByocCollection.rules))
    )


def _bind_by_key(
    one: Wanted, index: _Index, surroundings: Surroundings, *, gone: bool
) -> Observation:
    if one.desired is None:
        return Absent(gone=gone)
    free = _free(one, index, surroundings)
    if len(free) == 1:
        return _observed(free[0], Binding.NATURAL_KEY)
    return Ambiguous(tuple(_shown(c) for c in free)) if free else Absent(gone=gone)


def _free(one: Wanted, index: _Index, surroundings: Surroundings) -> list[Object]:
    """Return what has the right name and bucket and is bound to no other address, by age."""
    found = {str(c["id"]): c for key in _keys(one) for c in index.by_key.get(key, [])}
    free = [
        listed
        for made, listed in found.items()
        if surroundings.bound_ids.get(made, one.address) == one.address
    ]
    return sorted(free, key=_age)


def _bind_declared(one: Wanted, index: _Index) -> Flow[Observation]:
    wanted_id = _declared(one, "id")
    if wanted_id:
        listed = index.by_id.get(wanted_id)
        if listed is None:
            listed = data_object((yield from read_or_none(_get(wanted_id))))
        return Absent() if listed is None else _observed(listed, Binding.DECLARED)
    named = index.by_name.get(_declared(one, "name"), [])
    if len(named) == 1:
        return _observed(named[0], Binding.DECLARED)
    return Ambiguous(tuple(_shown(c) for c in sorted(named, key=_age))) if named else Absent()


def _look_at_left(
    one: Wanted, observation: Observation, index: _Index, surroundings: Surroundings
) -> Flow[LeftBehind | None]:
    """Look at the collection that a replacement was to delete; it may be gone already."""
    recorded = one.recorded
    if recorded is None:
        return None
    bound = observation.id if isinstance(observation, Observed) else ""
    left = next((text for slot in _LEFT if (text := _text(recorded, slot))), "")
    if isinstance(observation, Observed) and observation.binding is Binding.INTENT:
        left = recorded.id or left
    if not left or left == bound:
        return None
    listed = index.by_id.get(left) or data_object((yield from read_or_none(_get(left))))
    if listed is None:
        return LeftBehind(left, exists=False)
    count = _TileCount(left, frozenset())
    yield Scan(_list_tiles(left), count.take)
    planned = recorded.data.get("deposedTiles") if left == _text(recorded, "deposed") else 0
    ours = max(
        planned if isinstance(planned, int) else 0,
        len(surroundings.own_members.get(left, frozenset())),
    )
    foreign = max(count.total - ours, 0)
    return LeftBehind(left, exists=True, members=count.total, foreign_members=foreign)


def _with_members(
    wanted: tuple[Wanted, ...], found: dict[Address, Observation], surroundings: Surroundings
) -> Flow[dict[Address, Observation]]:
    """Count the tiles of collections that may be deleted or replaced, all lists side by side."""
    counted: dict[Address, _TileCount] = {}
    for one in wanted:
        observation = found[one.address]
        if isinstance(observation, Observed) and _needs_members(one, observation):
            ours = surroundings.own_members.get(observation.id, frozenset())
            left = surroundings.left_members.get(observation.id, 0)
            counted[one.address] = _TileCount(observation.id, ours, left)
    if counted:
        yield Together(tuple(Scan(_list_tiles(c.collection), c.take) for c in counted.values()))
    return {
        address: replace(
            cast("Observed", observation), members=count.total, foreign_members=count.foreign
        )
        if (count := counted.get(address)) is not None
        else observation
        for address, observation in found.items()
    }


@dataclass(slots=True)
class _TileCount:
    """Counts the tiles of one collection, and those that are not ours."""

    collection: str
    ours: frozenset[str]
    left: int = 0
    total: int = 0
    unknown: int = 0

    @property
    def foreign(self) -> int:
        """Those that neither are ours nor were, before their set went elsewhere."""
        return max(self.unknown - self.left, 0)

    def take(self, rows: tuple[tuple[JsonValue, ...], ...]) -> None:
        self.total += len(rows)
        self.unknown += sum(1 for (tile,) in rows if tile not in self.ours)


def _needs_members(one: Wanted, observed: Observed) -> bool:
    if _is_unmanaged(one):
        return False
    if one.desired is None:
        return True
    fields = _raw_diff(one, observed, ByocCollection.rules)
    return any(change.forces or _is_added_band(change) for change in fields)


# --- deciding ------------------------------------------------------------------------------


def _decide(one: Wanted, observation: Observation, rules: FieldRules) -> Change:
    if one.desired is None:
        return _decide_undeclared(one, observation)
    base = _base(one.desired, observation)
    if isinstance(observation, Ambiguous):
        refusal = _undecided(one, observation)
        return replace(base, action=Action.BLOCKED, reason=Reason.SAME_KEY, refusals=(refusal,))
    if _is_unmanaged(one):
        return _decide_unmanaged(base, observation)
    if isinstance(observation, Absent):
        reason = Reason.GONE if observation.gone else Reason.NOT_FOUND
        body = {**one.desired.spec}
        return replace(
            base,
            action=Action.CREATE,
            reason=reason,
            fields=_as_created(body),
            requests=(_post(body),),
            cost=calls(1, label="create the collection"),
            current={"others": [*observation.others]},
        )
    return _decide_existing(one, observation, base, rules)


def _undecided(one: Wanted, observation: Ambiguous) -> Refusal:
    if observation.rivals:
        return same_key(one.address, observation.rivals)
    ids = [str(candidate["id"]) for candidate in observation.candidates]
    if _is_unmanaged(one):
        hint = f"state `id: {ids[0]}` instead of the name"
        return ambiguous(one.address, ids, what="collections have this name", hint=hint)
    return ambiguous(one.address, ids, what="collections have this name and bucket")


def _decide_existing(one: Wanted, observed: Observed, base: Change, rules: FieldRules) -> Change:
    desired = cast("Desired", one.desired)
    fields = _judged_fields(_raw_diff(one, observed, rules), desired.spec, observed)
    verdict = judge_existing(
        desired, one.recorded, _found(one, observed), fields, stated=stated_record(desired.spec)
    )
    same_as_applied = one.recorded is not None and one.recorded.spec == stated_record(base.record)
    judged = replace(with_verdict(base, verdict), drifted=bool(fields) and same_as_applied)
    return _worded(judged, desired, observed, one.recorded)


def _worded(
    change: Change, desired: Desired, observed: Observed, recorded: Recorded | None
) -> Change:
    made = _text(recorded, "made")
    current: Object = {"owned": observed.detail == _OWN, "others": [*observed.others]}
    if observed.binding is Binding.INTENT:
        current["loser"] = made if made != observed.id else ""
        current["deposed"] = "" if recorded is None else recorded.id
        current["tiles"] = observed.left.members if observed.left is not None else 0
    if change.action is Action.REPLACE:
        return replace(
            change,
            requests=(_post({**desired.spec}), _delete_request(observed.id)),
            cost=calls(2, label="create the new collection, delete the old one"),
            counts={"tiles deleted with the old collection": observed.members or 0},
            current={**current, "tiles": observed.members or 0},
        )
    if change.action in (Action.UPDATE, Action.ADOPT) and change.fields:
        request = _put(desired.spec, observed.id, observed.attributes, change.fields)
        return replace(
            change,
            requests=(request,),
            cost=calls(1, label="update the collection"),
            current=current,
        )
    return replace(change, current=current)


def _decide_undeclared(one: Wanted, observation: Observation) -> Change:
    recorded = cast("Recorded", one.recorded)
    base = Change(
        one.address,
        Action.FORGET,
        Reason.GONE,
        record=recorded.spec,
        depends_on=recorded.depends_on,
        id=recorded.id,
        records=True,
    )
    if not isinstance(observation, Observed):
        return base
    verdict = judge_undeclared(recorded, _found(one, observation))
    change = replace(with_verdict(base, verdict), id=observation.id)
    if change.action is not Action.DELETE:
        return change
    return replace(
        change,
        requests=(_delete_request(observation.id),),
        cost=calls(1, label="delete the collection"),
        counts={"tiles deleted with it": observation.members or 0},
        current={"tiles": observation.members or 0},
    )


def _decide_deposed(one: Wanted, observation: Observation) -> tuple[Change, ...]:
    """Plan to delete what a replacement left behind when it was cut off."""
    left = observation.left
    if left is None:
        return ()
    recorded = cast("Recorded", one.recorded)
    change = Change(
        one.address,
        Action.DELETE,
        Reason.CANNOT_UPDATE,
        requests=(_delete_request(left.id),) if left.exists else (),
        cost=calls(1 if left.exists else 0, label="delete the replaced collection"),
        notes=("a replacement left it behind",),
        id=left.id,
        deposed=True,
        records=True,
        depends_on=recorded.depends_on,
        current={
            "tiles": left.members,
            "slot": "loser" if left.id == _text(recorded, "loser") else "deposed",
        },
    )
    if left.foreign_members:
        note = f"it holds {left.foreign_members} tiles that are not ours"
        return (change.blocked(Reason.FOREIGN_MEMBERS, note=note),)
    return (change,)


def _decide_unmanaged(base: Change, observation: Observation) -> Change:
    if isinstance(observation, Observed):
        return replace(base, action=Action.READ, reason=Reason.UNMANAGED)
    note = "no such collection exists, and `managed: false` never creates one"
    return replace(base, action=Action.BLOCKED, reason=Reason.NOT_FOUND, notes=(note,))


def _base(desired: Desired, observation: Observation) -> Change:
    observed = observation if isinstance(observation, Observed) else None
    return Change(
        desired.address,
        Action.NOOP,
        Reason.UP_TO_DATE,
        depends_on=dependencies(desired),
        record={**desired.spec},
        prevent_destroy=desired.lifecycle.prevent_destroy,
        id=observed.id if observed else "",
        observed=digest(observed.attributes) if observed else "",
    )


def _found(one: Wanted, observed: Observed) -> Found:
    recorded = one.recorded
    return Found(
        by_ledger=observed.binding is Binding.RECORDED,
        by_intent=observed.binding is Binding.INTENT,
        owned=observed.detail == _OWN or (recorded is not None and recorded.owned),
        foreign_members=observed.foreign_members or 0,
    )


def _raw_diff(one: Wanted, observed: Observed, rules: FieldRules) -> tuple[FieldChange, ...]:
    desired = cast("Desired", one.desired)
    recorded = one.recorded
    return diff_object(
        desired=desired.spec,
        recorded=recorded.spec if recorded is not None else {},
        observed=_with_band_defaults(observed.attributes),
        rules=rules,
        ignore=desired.lifecycle.ignore_changes,
    )


def _with_band_defaults(attributes: Object) -> Object:
    """Fill in what the server may leave out. Source: schema BYOCFormat."""
    bands = _bands(attributes)
    if not bands:
        return attributes
    filled = {
        name: {"source": name, "bandIndex": 1, **cast("Object", band)}
        for name, band in bands.items()
    }
    additional = cast("Object", attributes["additionalData"])
    return {**attributes, "additionalData": {**additional, "bands": cast("Value", filled)}}


def _judged_fields(
    fields: tuple[FieldChange, ...], spec: Object, observed: Observed
) -> tuple[FieldChange, ...]:
    """Settle what depends on tiles: with none, nearly everything can be changed in place."""
    empty = observed.members == 0
    fields = (*fields, *_no_data_elsewhere(fields, observed.attributes))
    return tuple(
        change if empty and not change.forces else _judged(change, fields, spec, observed)
        for change in sorted(fields, key=lambda one: one.dotted)
    )


def _judged(
    change: FieldChange, fields: tuple[FieldChange, ...], spec: Object, observed: Observed
) -> FieldChange:
    if _is_added_band(change) and _bands(observed.attributes):
        renamed = _renamed_from(str(change.path[-1]), spec, observed.attributes, fields)
        why = "bands are not added to a collection with tiles"
        return replace(change, forces="" if renamed else why)
    rule = ByocCollection.rules.rule(change.path)
    first_time = change.path[-1] == "sampleFormat" and change.before is None
    if (observed.members == 0 and rule.mutable_while_empty) or first_time:
        return replace(change, forces="")
    return change


def _no_data_elsewhere(fields: tuple[FieldChange, ...], observed: Object) -> Iterator[FieldChange]:
    """
    Clear the no-data value on the other level, where one is about to be set.

    Source: schema BYOCFormat: it stands either for the collection or for its bands; ingestion
    may have set either.
    """
    given = {change.path for change in fields if change.after is not None}
    present = {change.path for change in fields}
    bands = _bands(observed)
    on_band = any(path[:2] == _BANDS and path[-1:] == ("noData",) for path in given)
    if on_band and ("noData",) not in present and observed.get("noData") is not None:
        yield FieldChange(("noData",), observed["noData"], None, Reason.DIFFERS, cleared=True)
    for name, band in bands.items() if ("noData",) in given else ():
        path = (*_BANDS, name, "noData")
        value = value_at(band, ("noData",))
        if value is not None and path not in present:
            yield FieldChange(path, value, None, Reason.DIFFERS, cleared=True)


def _is_whole_band(change: FieldChange) -> bool:
    return len(change.path) == 3 and change.path[:2] == _BANDS


def _is_added_band(change: FieldChange) -> bool:
    return _is_whole_band(change) and change.before is None


def _renamed_from(
    name: str, spec: Object, observed: Object, fields: tuple[FieldChange, ...]
) -> str:
    """
    Return the observed band that a new name stands for, or an empty text.

    Source: schema BYOCCollectionUpdatePayload: bands are renamed by sending the current map
    with other names, everything else unchanged.
    """
    observed_bands = _bands(_with_band_defaults(observed))
    gone = [str(c.path[-1]) for c in fields if _is_whole_band(c) and c.after is None]
    new = cast("Object", _bands(spec).get(name) or {})
    for old in gone:
        before = cast("Object", observed_bands[old])
        stated = {"source": name, "bandIndex": 1, **new}
        if all(before.get(key) == value for key, value in stated.items() if key != "noData"):
            return old
    return ""


def _bands(attributes: Object) -> Object:
    additional = attributes.get("additionalData")
    bands = additional.get("bands") if isinstance(additional, dict) else None
    return bands if isinstance(bands, dict) else {}


def _as_created(body: Object) -> tuple[FieldChange, ...]:
    return tuple(
        FieldChange((key,), None, value, Reason.NOT_FOUND) for key, value in sorted(body.items())
    )


# --- requests ------------------------------------------------------------------------------


def _list_collections() -> ApiRequest:
    return ApiRequest("getByocCollections", "GET", COLLECTIONS, Effect.READ, columns=_COLUMNS)


def _list_tiles(collection: str) -> ApiRequest:
    return ApiRequest(
        "getByocCollectionTiles",
        "GET",
        TILES,
        Effect.READ,
        parameters={"collectionId": collection},
        columns=("id",),
    )


def _get(collection: str) -> ApiRequest:
    return ApiRequest(
        "getByocCollectionById",
        "GET",
        COLLECTION,
        Effect.READ,
        parameters={"collectionId": collection},
    )


def _post(body: Object) -> ApiRequest:
    return ApiRequest("createByocCollection", "POST", COLLECTIONS, Effect.CREATE, body=body)


def _delete_request(collection: str) -> ApiRequest:
    return ApiRequest(
        "deleteByocCollectionById",
        "DELETE",
        COLLECTION,
        Effect.DELETE,
        parameters={"collectionId": collection},
    )


def _put(
    spec: Object, collection: str, observed: Object, fields: tuple[FieldChange, ...]
) -> ApiRequest:
    """
    Build the update that changes these fields and erases nothing by silence.

    Everything else is sent as it was observed, what `ignoreChanges` lists included.
    Source: schema BYOCCollectionUpdatePayload: name and bucket are required, an omitted
    `noData` is deleted, omitted `additionalData` leaves the bands alone, a given one
    overwrites them.
    """
    before = _with_band_defaults(observed)
    after = with_changes(before, fields, spec)
    body: Object = {"name": after["name"], "s3Bucket": after["s3Bucket"]}
    for name in ByocCollection.rules.cleared_by_silence():
        if after.get(name) is not None:
            body[name] = after[name]
    if any(change.path[0] == "additionalData" for change in fields):
        body["additionalData"] = _additional_data(spec, before, after, fields)
    return ApiRequest(
        "updateByocCollectionById",
        "PUT",
        COLLECTION,
        Effect.UPDATE,
        parameters={"collectionId": collection},
        body=body,
    )


def _additional_data(
    spec: Object, before: Object, after: Object, fields: tuple[FieldChange, ...]
) -> Object:
    """Return the whole of it, without what only the server writes."""
    stated = spec.get("additionalData")
    # What a user may set is carried along, for what is given overwrites the whole.
    names = {"bands", "storageIdentifier", *(stated if isinstance(stated, dict) else ())}
    bands: Object = {}
    for name, band in _bands(after).items():
        old = "" if name in _bands(before) else _renamed_from(name, spec, before, fields)
        merged = {**cast("Object", _bands(before).get(old) or {}), **cast("Object", band)}
        bands[name] = {key: value for key, value in merged.items() if key != "aliases"}
    whole = {**cast("Object", after.get("additionalData") or {}), "bands": bands}
    return {name: whole[name] for name in sorted(names) if name in whole}


# --- applying ------------------------------------------------------------------------------


def _create(change: Change, settings: Settings) -> Flow[Object]:
    race = _Race.of(change, settings)
    if settings.new_ledger and race.lag_s:
        earlier = yield from _look_for_earlier(race)
        if earlier is not None:
            return earlier
    return (yield from _create_new(race, settings))


def _create_new(race: _Race, settings: Settings) -> Flow[Object]:
    found: list[Object] = []

    def settle(replies: tuple[Reply, ...]) -> Settlement:
        failed = failure(replies[0])
        if failed is not None:
            return failed
        made = _made(replies[0])
        cost_pu = cost_of(replies)
        if settings.private_ledger or not made:
            # Not settled yet: others may have made the same at this moment.
            open_ = Settlement(Result.UNKNOWN, status=201, cost_pu=cost_pu)
            return replace(open_, data={"made": made})
        return replace(race.bound(made), status=201, cost_pu=cost_pu)

    def seen() -> Flow[Settlement | None]:
        found[:] = yield from race.look()
        if not found:
            return None
        return replace(race.bound(str(found[0]["id"])), owned=len(found) == 1)

    act = Act("create", (race.change.requests[0],), settle, data=race.intent)
    reply = yield from act_until_seen(act, settled=seen, lag_s=settings.list_lag_s)
    if isinstance(reply, RefusedError) and reply.status == 409:
        return (yield from _bind_existing(race, reply))
    made = data_object(raise_refusal(reply))
    if found:
        return found[0]
    if made is None:
        message = "create: the answer holds no collection; run again to look for it"
        raise NoAnswerError(message)
    if not settings.private_ledger:
        return made
    return (yield from _settle_race(race, made))


def _made(reply: Reply) -> str:
    made = data_object(reply) if isinstance(reply, Answer) else None
    return str((made or {}).get("id") or "")


@dataclass(frozen=True, slots=True)
class _Race:
    """
    One create among others of the same name and bucket.

    Args:
        key: the name and the bucket
        known: ids that had them before, which nobody binds: bound elsewhere, or replaced
        old: the object that is replaced, empty for a plain create
    """

    change: Change
    key: tuple[str, str]
    known: frozenset[str]
    old: str
    lag_s: float

    @classmethod
    def of(cls, change: Change, settings: Settings) -> _Race:
        body = cast("Object", change.requests[0].body)
        old = change.id if change.action is Action.REPLACE else ""
        others = cast("list[str]", change.current.get("others") or [])
        key = (str(body["name"]), str(body["s3Bucket"]))
        return cls(change, key, frozenset({*others, old}), old, settings.list_lag_s)

    @property
    def intent(self) -> JsonObject:
        """What finds the new object again after a crash."""
        name, bucket = self.key
        return {"name": name, "s3Bucket": bucket, "others": [*sorted(self.known - {""})]}

    def look(self) -> Flow[list[Object]]:
        """List what has this name and bucket and had not before, oldest first."""
        index = _Index(frozenset(), frozenset({self.key}), frozenset())
        yield Scan(_list_collections(), index.take)
        listed = {str(one["id"]): one for one in index.by_key.get(self.key, [])}
        return sorted((one for i, one in listed.items() if i not in self.known), key=_age)

    def bound(self, made: str) -> Settlement:
        """Return what the ledger learns when the address is bound to an object."""
        change = self.change
        tiles = cast("JsonValue", change.current.get("tiles"))
        return Settlement(
            Result.DONE,
            id=made,
            owned=True,
            spec=stated_record(change.record),
            prevent_destroy=change.prevent_destroy,
            depends_on=tuple(str(address) for address in change.depends_on),
            data={"deposed": self.old, "made": "", "deposedTiles": tiles},
        )


def _look_for_earlier(race: _Race) -> Flow[Object | None]:
    """
    Bind, without owning it, what a run has made whose ledger is lost; None where there is nothing.

    The plan has read a list that may not have shown it yet, and no intent says that it was made.
    """
    yield Wait(race.lag_s, "the ledger is new; what an earlier run made may not be listed yet")
    found = yield from race.look()
    if not found:
        return None
    if len(found) > 1:
        message = "several collections of this name and bucket have appeared; run again to choose"
        raise ChangeFailedError(message)
    return (yield from _adopt_other(race, found[0]))


def _adopt_other(race: _Race, found: Object) -> Flow[Object]:
    yield Note(Event.ADOPT, replace(race.bound(str(found["id"])), owned=False))
    return found


def _bind_existing(race: _Race, refusal: RefusedError) -> Flow[Object]:
    """
    Bind what somebody else made in the meantime, without owning it.

    Source: API description: create lists 409.
    """
    if race.lag_s:
        yield Wait(race.lag_s, "a taken name may not be listed yet")
    found = yield from race.look()
    if len(found) != 1:
        raise refusal
    return (yield from _adopt_other(race, found[0]))


def _settle_race(race: _Race, made: Object) -> Flow[Object]:
    """
    Look again once the list must show what others created at the same moment.

    Everybody binds the smallest (created, id), so that appliers that share no ledger end
    with one collection; the loser deletes its own, which is still empty.
    """
    # Never none at all: what is created after the look must have a later `created` than ours.
    yield Wait(max(race.lag_s, _TICK_S), "others may have created the same collection")
    rivals = yield from race.look()
    winner = rivals[0] if rivals else made
    won = winner["id"] == made["id"]
    bound = replace(race.bound(str(winner["id"])), owned=won)
    if not won:
        # Until it is deleted, the ledger knows that it is to be.
        bound = replace(bound, data={**bound.data, "loser": str(made["id"])})
    yield Note(Event.OUTCOME, bound)
    if not won:
        yield from _delete_loser(str(made["id"]))
    return winner


def _delete_loser(loser: str) -> Flow[None]:
    """Delete what lost a race, while it is empty; otherwise somebody uses it, and it stays."""
    settled = Settlement(Result.DONE, status=204, data={"loser": ""})
    count = _TileCount(loser, frozenset())
    try:
        yield Scan(_list_tiles(loser), count.take)
    except RefusedError as error:
        if error.status != 404:
            raise
    if count.total:
        yield Note(Event.PROTECT, replace(settled, status=0))
        return
    yield from _delete_object(loser, learnt=settled)


def _update(change: Change) -> Flow[Object]:
    if change.requests:
        yield from _send_update(change, owned=None)
    elif change.records:
        yield Note(Event.PROTECT, _learnt(change, owned=None))
    return {**change.record, "id": change.id}


def _adopt(change: Change) -> Flow[Object]:
    """
    Bind first, then change: what is bound is found again whatever happens to the change.

    An object made by an intent of ours is ours; any other one stays not owned until
    `shplan import` has confirmed it.
    """
    owned = change.current.get("owned") is True
    loser = str(change.current.get("loser") or "")
    left: JsonObject = {
        "deposed": str(change.current.get("deposed") or ""),
        "deposedTiles": cast("JsonValue", change.current.get("tiles")),
        "loser": loser,
        "made": "",
    }
    yield Note(Event.ADOPT, replace(_learnt(change, owned=owned), data=left))
    if change.requests:
        yield from _send_update(change, owned=owned)
    if loser:
        yield from _delete_loser(loser)
    return {**change.record, "id": change.id}


def _send_update(change: Change, *, owned: bool | None) -> Flow[None]:
    (put,) = change.requests

    def settle(replies: tuple[Reply, ...]) -> Settlement:
        failed = failure(replies[0])
        if failed is not None:
            return failed
        return replace(_learnt(change, owned=owned), status=204, cost_pu=cost_of(replies))

    def seen() -> Flow[Settlement | None]:
        now = data_object((yield from read_or_none(_get(change.id))))
        body = cast("Object", put.body)
        happened = now is not None and _has(now, body, change.fields)
        return _learnt(change, owned=owned) if happened else None

    reply = yield from act_until_seen(Act("update", (put,), settle), settled=seen)
    raise_refusal(reply)


def _has(now: Object, body: Object, fields: tuple[FieldChange, ...]) -> bool:
    """Tell whether an update has taken effect: each of its fields is as it was sent."""
    observed = _with_band_defaults(now)
    return all(_is_there(change, observed, body) for change in fields)


def _is_there(change: FieldChange, observed: Object, body: Object) -> bool:
    here = value_at(observed, change.path)
    if change.cleared:
        return here is None
    sent: Object = {"value": value_at(body, change.path)}
    return not diff_object(desired=sent, recorded={}, observed={"value": here}, rules=FieldRules())


def _delete(change: Change) -> Flow[Object]:
    learnt = Settlement(Result.DONE, gone=not change.deposed, status=204)
    if change.deposed:
        learnt = replace(learnt, data={str(change.current.get("slot") or "deposed"): ""})
    if not change.requests:
        yield Note(Event.PROTECT, learnt)
        return {}
    yield from _refuse_newcomers(change)
    yield from _delete_object(change.id, learnt=learnt)
    return {}


def _refuse_newcomers(change: Change) -> Flow[None]:
    """
    Count the tiles once more: since the plan, somebody may have added their own.

    Between the creation of a replacement and this moment all its tiles were ingested.

    Raises:
        ChangeFailedError: there are more than the plan has shown
    """
    planned = change.current.get("tiles")
    count = _TileCount(change.id, frozenset())
    try:
        yield Scan(_list_tiles(change.id), count.take)
    except RefusedError as error:
        if error.status != 404:
            raise
    if isinstance(planned, int) and count.total > planned:
        more = count.total - planned
        message = f"{more} tiles were added to {change.id} since the plan was made; plan again"
        raise ChangeFailedError(message)


def _delete_object(collection: str, *, learnt: Settlement) -> Flow[None]:
    def settle(replies: tuple[Reply, ...]) -> Settlement:
        (reply,) = replies
        if isinstance(reply, RefusedError) and reply.status == 404:
            return learnt
        failed = failure(reply)
        return failed if failed is not None else replace(learnt, cost_pu=cost_of(replies))

    def seen() -> Flow[Settlement | None]:
        now = yield from read_or_none(_get(collection))
        return learnt if now is None else None

    act = Act("delete", (_delete_request(collection),), settle, data={"id": collection})
    reply = yield from act_until_seen(act, settled=seen)
    if isinstance(reply, RefusedError) and reply.status == 404:
        return
    raise_refusal(reply)


def _learnt(change: Change, *, owned: bool | None) -> Settlement:
    return Settlement(
        Result.DONE,
        id=change.id,
        owned=owned,
        spec=stated_record(change.record),
        prevent_destroy=change.prevent_destroy,
        depends_on=tuple(str(address) for address in change.depends_on),
    )


# --- small facts ---------------------------------------------------------------------------


def _observed(listed: Object, binding: Binding, *, own: bool = False) -> Observed:
    return Observed(str(listed["id"]), listed, binding, detail=_OWN if own else None)


def _age(listed: Object) -> tuple[str, str]:
    return (str(listed.get("created") or ""), str(listed["id"]))


def _natural_key(spec: Object) -> tuple[str, str] | None:
    name, bucket = spec.get("name"), spec.get("s3Bucket")
    return (name, bucket) if isinstance(name, str) and isinstance(bucket, str) else None


def _keys(one: Wanted) -> set[tuple[str, str]]:
    """Return every (name, bucket) under which this address may be found."""
    specs = [cast("Object", intent.data) for intent in _pending_creates(one.recorded)]
    if one.desired is not None and one.desired.lifecycle.managed:
        specs.append(one.desired.spec)
    return {key for spec in specs if (key := _natural_key(spec)) is not None}


def _pending_creates(recorded: Recorded | None) -> tuple[PendingIntent, ...]:
    pending = () if recorded is None else recorded.pending
    return tuple(intent for intent in pending if intent.operation == "create")


def _text(recorded: Recorded | None, name: str) -> str:
    value = None if recorded is None else recorded.data.get(name)
    return value if isinstance(value, str) else ""


def _is_unmanaged(one: Wanted) -> bool:
    return one.desired is not None and not one.desired.lifecycle.managed


def _declared(one: Wanted, name: str) -> str:
    """Return what a `managed: false` manifest says."""
    value = one.desired.spec.get(name) if one.desired is not None and _is_unmanaged(one) else None
    return value if isinstance(value, str) else ""


def _shown(listed: Object) -> JsonObject:
    return {
        key: cast("JsonValue", listed.get(key)) for key in ("id", "name", "s3Bucket", "created")
    }


def _check_band_names(desired: Desired) -> Iterator[Diagnostic]:
    # Source: documentation of BYOC: a band's name is used in evalscripts, so it is a valid
    # JavaScript identifier and no reserved word.
    for name in _bands(desired.spec):
        if not _IDENTIFIER.fullmatch(name) or name in _RESERVED:
            yield Diagnostic(
                code="manifest/band-name",
                summary="Band name is not a JavaScript identifier",
                what=f"{desired.address} names a band {name!r}.",
                why="Evalscripts read the band as `sample.<name>`.",
                hint=f"write `B{name}:` with `source: {name!r}`" if name[:1].isdigit() else "",
                span=desired.source.span(("spec", "additionalData", "bands", name)),
                address=str(desired.address),
            )


def _check_no_data(desired: Desired) -> Iterator[Diagnostic]:
    # Source: schema BYOCFormat: no-data stands either on the bands or on the collection.
    bands = _bands(desired.spec)
    own = [name for name, band in bands.items() if isinstance(band, dict) and "noData" in band]
    if own and desired.spec.get("noData") is not None:
        yield Diagnostic(
            code="manifest/no-data-twice",
            summary="No-data value stated twice",
            what=f"{desired.address} states `noData` for the collection and for band {own[0]}.",
            why="The service takes it either for the collection or for each band.",
            hint="remove one of the two",
            span=desired.source.span(("spec", "noData")),
            address=str(desired.address),
        )


def _check_key(desired: Desired) -> Iterator[Diagnostic]:
    """Refuse secrets where the object is found by: after a crash it could not be looked for."""
    for name in ByocCollection.natural_key:
        if isinstance(desired.spec.get(name), Sensitive):
            yield Diagnostic(
                code="manifest/secret-key",
                summary="Secret in a name",
                what=f"`spec.{name}` of {desired.address} holds a secret.",
                why="A collection is found by its name and bucket, and both are shown to everybody.",
                hint="use a variable",
                span=desired.source.span(("spec", name)),
                address=str(desired.address),
            )
