"""
`ByocCollection`: a collection of your own imagery (bring your own COG).

Facts: the API description's BYOC collection operations and the documentation's
BYOC page. Its tiles are the business of `ByocTiles`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import cast

from shplan.core.address import Address
from shplan.core.change import Action, Change, FieldChange, Reason
from shplan.core.cost import calls
from shplan.core.diagnostic import Diagnostic
from shplan.core.diff import diff_object
from shplan.core.entry import Event, Result, Settlement
from shplan.core.errors import RefusedError
from shplan.core.fields import FieldRule, FieldRules, Omitted
from shplan.core.planner import (
    Found,
    ambiguous,
    dependencies,
    judge_existing,
    judge_undeclared,
    with_verdict,
)
from shplan.core.request import Answer, ApiRequest, Effect
from shplan.core.resource import Desired, PendingIntent, Recorded
from shplan.core.value import JsonObject, JsonValue, Object, Value, digest
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
_FROZEN = "bands keep their structure once the collection has tiles"


class ByocCollection:
    """The provider of one kind; see `providers.base.Provider`."""

    kind = "ByocCollection"
    nature = Nature.RECONCILED
    natural_key = ("name", "s3Bucket")
    members_field: str | None = None
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

    def check(self, desired: Desired) -> list[Diagnostic]:
        """Check what the schema cannot: band names, and noData in one place only."""
        return [*_check_band_names(desired), *_check_no_data(desired)]

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
        for one in wanted:
            observation = yield from _bind(one, index, surroundings)
            left = yield from _look_at_left(one, observation, index, surroundings)
            found[one.address] = replace(observation, left=left)
        return (yield from _with_members(wanted, found, surroundings))

    def decide(
        self, wanted: Wanted, observation: Observation, surroundings: Surroundings
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
            case _:
                return _update(change)

    def confirm(self, desired: Desired, confirmed: str) -> Flow[Settlement]:
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
        ids |= {_text(one.recorded, "deposed") for one in wanted}
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
        intents = _pending_creates(one.recorded)
        keys = {_natural_key(cast("Object", intent.data)) for intent in intents}
        return not keys <= self.by_key.keys()


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
    before = "" if one.recorded is None else one.recorded.id
    free = [c for c in _free(one, index, surroundings) if c["id"] != before]
    if free:
        own = free[0]["id"] == made if made else len(free) == 1
        return _observed(free[0], Binding.INTENT, own=own)
    lone = data_object((yield from read_or_none(_get(made)))) if made else None
    return None if lone is None else _observed(lone, Binding.INTENT, own=True)


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
    left = _text(recorded, "deposed")
    if isinstance(observation, Observed) and observation.binding is Binding.INTENT:
        left = left or recorded.id
    if not left or left == bound:
        return None
    listed = index.by_id.get(left) or data_object((yield from read_or_none(_get(left))))
    if listed is None:
        return LeftBehind(left, exists=False)
    count = _TileCount(left, frozenset())
    yield Scan(_list_tiles(left), count.take)
    planned = recorded.data.get("deposedTiles")
    ours = max(
        planned if isinstance(planned, int) else 0,
        len(surroundings.own_members.get(left, frozenset())),
    )
    return LeftBehind(left, exists=True, foreign_members=max(count.total - ours, 0))


def _with_members(
    wanted: tuple[Wanted, ...], found: dict[Address, Observation], surroundings: Surroundings
) -> Flow[dict[Address, Observation]]:
    """Count the tiles of collections that may be deleted or replaced, all lists side by side."""
    counted: dict[Address, _TileCount] = {}
    for one in wanted:
        observation = found[one.address]
        if isinstance(observation, Observed) and _needs_members(one, observation):
            ours = surroundings.own_members.get(observation.id, frozenset())
            counted[one.address] = _TileCount(observation.id, ours)
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
    total: int = 0
    foreign: int = 0

    def take(self, rows: tuple[tuple[JsonValue, ...], ...]) -> None:
        self.total += len(rows)
        self.foreign += sum(1 for (tile,) in rows if tile not in self.ours)


def _needs_members(one: Wanted, observed: Observed) -> bool:
    if _is_unmanaged(one):
        return False
    if one.desired is None:
        return True
    return any(change.forces for change in _raw_diff(one, observed, ByocCollection.rules))


# --- deciding ------------------------------------------------------------------------------


def _decide(one: Wanted, observation: Observation, rules: FieldRules) -> Change:
    if one.desired is None:
        return _decide_undeclared(one, observation)
    base = _base(one.desired, observation)
    if isinstance(observation, Ambiguous):
        ids = [str(candidate["id"]) for candidate in observation.candidates]
        refusal = ambiguous(one.address, ids, what="collections have this name and bucket")
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
        )
    return _decide_existing(one, observation, base, rules)


def _decide_existing(one: Wanted, observed: Observed, base: Change, rules: FieldRules) -> Change:
    desired = cast("Desired", one.desired)
    fields = _judged_fields(_raw_diff(one, observed, rules), desired.spec, observed)
    verdict = judge_existing(
        desired, one.recorded, _found(one, observed), fields, stated=stated_record(desired.spec)
    )
    same_as_applied = one.recorded is not None and one.recorded.spec == base.record
    judged = replace(with_verdict(base, verdict), drifted=bool(fields) and same_as_applied)
    return _worded(judged, desired, observed, one.recorded)


def _worded(
    change: Change, desired: Desired, observed: Observed, recorded: Recorded | None
) -> Change:
    made = _text(recorded, "made")
    current: Object = {"owned": observed.detail == _OWN}
    if observed.binding is Binding.INTENT:
        current["loser"] = made if made != observed.id else ""
        current["deposed"] = "" if recorded is None else recorded.id
    if change.action is Action.REPLACE:
        return replace(
            change,
            requests=(_post({**desired.spec}), _delete_request(observed.id)),
            cost=calls(2, label="create the new collection, delete the old one"),
            counts={"tiles deleted with the old collection": observed.members or 0},
            current={**current, "tiles": observed.members or 0},
        )
    if change.action in (Action.UPDATE, Action.ADOPT) and change.fields:
        request = _put(desired.spec, observed, change.fields)
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
        record=cast("Object", stated_record(desired.spec)),
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
    empty = observed.members == 0 or not _bands(observed.attributes)
    return tuple(_judged(change, fields, spec, observed, empty=empty) for change in fields)


def _judged(
    change: FieldChange,
    fields: tuple[FieldChange, ...],
    spec: Object,
    observed: Observed,
    *,
    empty: bool,
) -> FieldChange:
    if _is_whole_band(change) and change.before is None and not empty:
        renamed = _renamed_from(str(change.path[-1]), spec, observed, fields)
        why = "bands are not added to a collection with tiles"
        return replace(change, forces="" if renamed else why)
    rule = ByocCollection.rules.rule(change.path)
    first_time = change.path[-1] == "sampleFormat" and change.before is None
    if (empty and rule.mutable_while_empty) or first_time:
        return replace(change, forces="")
    return change


def _is_whole_band(change: FieldChange) -> bool:
    return len(change.path) == 3 and change.path[:2] == ("additionalData", "bands")


def _renamed_from(
    name: str, spec: Object, observed: Observed, fields: tuple[FieldChange, ...]
) -> str:
    """
    Return the observed band that a new name stands for, or an empty text.

    Source: schema BYOCCollectionUpdatePayload: bands are renamed by sending the current map
    with other names, everything else unchanged.
    """
    observed_bands = _bands(_with_band_defaults(observed.attributes))
    gone = [str(c.path[-1]) for c in fields if _is_whole_band(c) and c.after is None]
    new = cast("Object", _bands(spec).get(name) or {})
    for old in gone:
        before = cast("Object", observed_bands[old])
        if all(before.get(key) == value for key, value in new.items() if key != "noData") and (
            new.get("source", name) == before.get("source")
        ):
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


def _put(spec: Object, observed: Observed, fields: tuple[FieldChange, ...]) -> ApiRequest:
    """
    Build the update that erases nothing by silence.

    Source: schema BYOCCollectionUpdatePayload: name and bucket are required, an omitted
    `noData` is deleted, omitted `additionalData` leaves the bands alone, a given one
    overwrites them.
    """
    changed = {change.path[0] for change in fields}
    cleared = {change.dotted for change in fields if change.cleared}
    before = observed.attributes
    body: Object = {
        "name": spec.get("name", before.get("name")),
        "s3Bucket": spec["s3Bucket"] if "s3Bucket" in changed else before.get("s3Bucket"),
    }
    no_data = spec.get("noData", before.get("noData"))
    if no_data is not None and "noData" not in cleared:
        body["noData"] = no_data
    if "additionalData" in changed:
        body["additionalData"] = _additional_data(spec, observed, fields)
    return ApiRequest(
        "updateByocCollectionById",
        "PUT",
        COLLECTION,
        Effect.UPDATE,
        parameters={"collectionId": observed.id},
        body=body,
    )


def _additional_data(spec: Object, observed: Observed, fields: tuple[FieldChange, ...]) -> Object:
    additional = {**cast("Object", spec.get("additionalData") or {})}
    cleared = {change.path for change in fields if change.cleared}
    before = _bands(_with_band_defaults(observed.attributes))
    bands: Object = {}
    for name, band in _bands(spec).items():
        old = name if name in before else _renamed_from(name, spec, observed, fields)
        kept = cast("Object", before.get(old) or {})
        merged = {**kept, **cast("Object", band)}
        bands[name] = {
            key: value
            for key, value in merged.items()
            if key != "aliases" and ("additionalData", "bands", name, key) not in cleared
        }
    return {**additional, "bands": bands}


# --- applying ------------------------------------------------------------------------------


def _create(change: Change, settings: Settings) -> Flow[Object]:
    post = change.requests[0]
    body = cast("Object", post.body)
    looked_for: Object = {"name": body["name"], "s3Bucket": body["s3Bucket"]}
    old = change.id if change.action is Action.REPLACE else ""

    def settle(replies: tuple[Reply, ...]) -> Settlement:
        (reply,) = replies
        failed = failure(reply)
        if failed is not None:
            return failed
        made = data_object(cast("Answer", reply)) or {}
        learnt = Settlement(
            Result.UNKNOWN if settings.private_ledger else Result.DONE,
            status=201,
            cost_pu=cost_of(replies),
            data={"made": str(made.get("id", ""))},
        )
        return learnt if settings.private_ledger else _bound(learnt, change, str(made["id"]), old)

    act = Act("create", (post,), settle, data=cast("dict[str, JsonValue]", looked_for))

    found: list[Object] = []

    def seen() -> Flow[Settlement | None]:
        listed = yield from _look(looked_for)
        found[:] = [one for one in listed if one["id"] != old]
        if not found:
            return None
        learnt = _bound(Settlement(Result.DONE), change, str(found[0]["id"]), old)
        return replace(learnt, owned=len(found) == 1)

    reply = yield from act_until_seen(act, settled=seen, lag_s=settings.list_lag_s)
    made = data_object(raise_refusal(reply))
    if made is None:
        return found[0]
    if not settings.private_ledger:
        return made
    return (yield from _settle_race(change, made, looked_for, settings, old=old))


def _settle_race(
    change: Change, made: Object, looked_for: Object, settings: Settings, *, old: str
) -> Flow[Object]:
    """
    Look again once the list must show what others created at the same moment.

    Everybody binds the smallest (created, id), so that appliers that share no ledger end
    with one collection; the loser deletes its own, which is still empty.
    """
    if settings.list_lag_s:
        yield Wait(settings.list_lag_s, "others may have created the same collection")
    listed = yield from _look(looked_for)
    rivals = [rival for rival in listed if rival["id"] != old]
    winner = rivals[0] if rivals else made
    won = winner["id"] == made["id"]
    learnt = _bound(Settlement(Result.DONE), change, str(winner["id"]), old)
    yield Note(Event.OUTCOME, replace(learnt, owned=won))
    if not won:
        yield from _delete_loser(str(made["id"]))
    return winner


def _delete_loser(loser: str) -> Flow[None]:
    count = _TileCount(loser, frozenset())
    yield Scan(_list_tiles(loser), count.take)
    if count.total:
        return
    yield from _delete_object(loser, learnt=Settlement(Result.DONE, status=204))


def _bound(learnt: Settlement, change: Change, made: str, old: str) -> Settlement:
    return replace(
        learnt,
        id=made,
        owned=True,
        spec=cast("dict[str, JsonValue]", change.record),
        prevent_destroy=change.prevent_destroy,
        depends_on=tuple(str(address) for address in change.depends_on),
        data={
            "deposed": old,
            "made": "",
            "deposedTiles": cast("JsonValue", change.current.get("tiles")),
        },
    )


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
    left = {"deposed": str(change.current.get("deposed") or ""), "made": ""}
    yield Note(Event.ADOPT, replace(_learnt(change, owned=owned), data={**left}))
    if change.requests:
        yield from _send_update(change, owned=owned)
    loser = change.current.get("loser")
    if isinstance(loser, str) and loser:
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
        return _learnt(change, owned=owned) if now is not None and _has(now, body) else None

    reply = yield from act_until_seen(Act("update", (put,), settle), settled=seen)
    raise_refusal(reply)


def _has(now: Object, body: Object) -> bool:
    fields = diff_object(
        desired=body, recorded={}, observed=_with_band_defaults(now), rules=ByocCollection.rules
    )
    return not fields and ("noData" in body or now.get("noData") is None)


def _delete(change: Change) -> Flow[Object]:
    learnt = Settlement(Result.DONE, gone=not change.deposed, status=204)
    if change.deposed:
        learnt = replace(learnt, data={"deposed": ""})
    if not change.requests:
        yield Note(Event.PROTECT, learnt)
        return {}
    yield from _delete_object(change.id, learnt=learnt)
    return {}


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
        spec=cast("dict[str, JsonValue]", change.record),
        prevent_destroy=change.prevent_destroy,
        depends_on=tuple(str(address) for address in change.depends_on),
    )


def _look(looked_for: Object) -> Flow[list[Object]]:
    """List the collections with this name and bucket, oldest first."""
    key = (str(looked_for["name"]), str(looked_for["s3Bucket"]))
    index = _Index(frozenset(), frozenset({key}), frozenset())
    yield Scan(_list_collections(), index.take)
    return sorted(index.by_key.get(key, []), key=_age)


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
