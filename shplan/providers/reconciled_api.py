"""
What a kind of objects declares: objects with ids, found by a natural key, changed by a full PUT.

A kind of the reconciled nature is declared by an `ObjectApi`, as one of jobs is by a `JobApi`; how
it is found, decided, carried out and raced for is the same for all of them and stands in the
modules beside this one. Here is also what these modules read from a manifest, a record, an object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import TypeAlias, cast

from shplan.core.change import FieldChange
from shplan.core.diagnostic import Diagnostic
from shplan.core.diff import diff_object
from shplan.core.fields import FieldRules
from shplan.core.fingerprint import Fingerprint
from shplan.core.frozen import dataclass
from shplan.core.request import Answer, ApiRequest
from shplan.core.resource import Desired, PendingIntent, Recorded
from shplan.core.value import JsonObject, JsonValue, Object, Sensitive, Value, digest
from shplan.providers.base import Wanted
from shplan.providers.observation import Binding, Observed
from shplan.providers.reconciled import data_object
from shplan.providers.steps import Row

NaturalKey: TypeAlias = tuple[str, ...]
Fields: TypeAlias = tuple[FieldChange, ...]

# Marks an object that an intent of ours certainly made.
OWN = "own"
# Where the ledger keeps what is still to be deleted: the object that a replacement replaced,
# and the one that lost a race.
LEFT = ("deposed", "loser")


def _as_it_is(attributes: Object) -> Object:
    return attributes


def _unjudged(fields: Fields, spec: Object, observed: Observed) -> Fields:
    del spec, observed
    return fields


@dataclass(frozen=True, slots=True)
class MemberApi:
    """
    What objects of a kind hold, and lose with them.

    Args:
        noun: how several are called, e.g. `tiles`
        listing: lists those of one object, with the column `id` alone
        matter: whether a change of a field depends on how many there are
    """

    noun: str
    listing: Callable[[str], ApiRequest]
    matter: Callable[[FieldChange], bool]


class Stage(Enum):
    """How far the service is with an object that it has to prepare."""

    UNDER_WAY = "under way"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PreparationApi:
    """
    What the service does with an object by itself before it can be used.

    Args:
        noun: what that is called, e.g. `ingestion`
        stage: how far it is, from the object
        cause: the service's words on what went wrong, or an empty text; also of a part of it
        was_ready: whether it was usable once, so that what the service made of it is known
        again: the request that has it done once more, by the object's id
        way_on: what a person does about a failure, before it is done once more
    """

    noun: str
    stage: Callable[[Object], Stage]
    cause: Callable[[Object], str]
    was_ready: Callable[[Object], bool]
    again: Callable[[str], ApiRequest]
    way_on: str


@dataclass(frozen=True, slots=True)
class UserApi:
    """
    What refers to objects of a kind, so that the service does not let go of them.

    Args:
        noun: how several are called, e.g. `batch requests`
        listing: lists all that there are
        used_by: the id of the object that a row holds on to, and the row's own; None where it
            holds on to none
        way_on: what a person does about it
    """

    noun: str
    listing: ApiRequest
    used_by: Callable[[Row], tuple[str, str] | None]
    way_on: str


@dataclass(frozen=True, slots=True)
class ObjectApi:
    """
    One API of objects: its requests, and what its answers mean.

    Args:
        noun: how one is called, e.g. `collection`
        natural_key: the fields that name an object where no id is known; the API lets them repeat
        key_words: how they are called, e.g. `name and bucket`
        listing: lists all objects, with the columns that are compared, `id` and `created` among them
        get, delete: the request for one object, by its id
        create: the request that makes one from a body
        update: the request that makes changes and erases nothing by silence, from what is stated,
            the id, what was observed, and the changes
        object_of: unwraps the answer that holds one object
        as_compared: fills in what the server may leave out of an object
        judge: settles which changes can be made in place, from what is stated and was observed
        attributes: what references see of an object
        members: what objects hold; None where they hold nothing that is an object itself
        contents: what else tells that one holds what it held: looked at once more before it goes
        preparation: None where an object can be used as soon as it is made
        users: None where nothing keeps an object from being deleted
        call_pu: the price of each request with an effect, in processing units
    """

    kind: str
    noun: str
    rules: FieldRules
    natural_key: tuple[str, ...]
    key_words: str
    listing: ApiRequest
    get: Callable[[str], ApiRequest]
    create: Callable[[Object], ApiRequest]
    update: Callable[[Object, str, Object, Fields], ApiRequest]
    delete: Callable[[str], ApiRequest]
    object_of: Callable[[Answer | None], Object | None] = data_object
    as_compared: Callable[[Object], Object] = _as_it_is
    judge: Callable[[Fields, Object, Observed], Fields] = _unjudged
    attributes: Callable[[Object], Object] = _as_it_is
    members: MemberApi | None = None
    contents: Callable[[Object], Object] | None = None
    preparation: PreparationApi | None = None
    users: UserApi | None = None
    call_pu: float = 1.0

    def key_of(self, spec: Object) -> NaturalKey | None:
        """Return the natural key; None where a part of it is not stated, or not known yet."""
        values = [spec.get(name) for name in self.natural_key]
        known = tuple(value for value in values if isinstance(value, str))
        return known if len(known) == len(values) else None

    def keys_of(self, one: Wanted) -> set[NaturalKey]:
        """Return every natural key under which this address may be found."""
        specs = [cast("Object", intent.data) for intent in pending_creates(one.recorded)]
        if one.desired is not None and one.desired.lifecycle.managed:
            specs.append(one.desired.spec)
        return {key for spec in specs if (key := self.key_of(spec)) is not None}

    def differences(self, one: Wanted, observed: Observed) -> Fields:
        """Compare three ways what a manifest states, before anything is judged."""
        desired = cast("Desired", one.desired)
        return diff_object(
            desired=desired.spec,
            recorded={} if one.recorded is None else one.recorded.spec,
            observed=self.as_compared(observed.attributes),
            rules=self.rules,
            ignore=desired.lifecycle.ignore_changes,
        )

    def held(self, observed: Object) -> str:
        """Return the fingerprint of an object's contents; empty where nothing can be compared."""
        if self.contents is None:
            return ""
        stated = {
            name: value for name, value in self.contents(observed).items() if value is not None
        }
        return Fingerprint([digest(cast("Value", stated))]).text

    def shown(self, listed: Object) -> JsonObject:
        """Return what tells one candidate from another."""
        names = ("id", *self.natural_key, "created")
        return {name: cast("JsonValue", listed.get(name)) for name in names}


def observed_as(listed: Object, binding: Binding, *, own: bool = False) -> Observed:
    """Return an object of a list as what an address is bound to."""
    return Observed(str(listed["id"]), listed, binding, detail=OWN if own else None)


def age(listed: Object) -> tuple[str, str]:
    """Return what everybody orders objects of one natural key by."""
    return (str(listed.get("created") or ""), str(listed["id"]))


def pending_creates(recorded: Recorded | None) -> tuple[PendingIntent, ...]:
    """Return the creates of which no outcome is known."""
    pending = () if recorded is None else recorded.pending
    return tuple(intent for intent in pending if intent.operation == "create")


def known_before(one: Wanted) -> set[str]:
    """Return the objects that existed when the creates without an outcome were planned."""
    known = {"" if one.recorded is None else one.recorded.id}
    for intent in pending_creates(one.recorded):
        others = intent.data.get("others")
        known |= {str(other) for other in others} if isinstance(others, list) else set()
    return known


def noted(recorded: Recorded | None, name: str) -> str:
    """Return a text that the ledger keeps about an address, or an empty one."""
    value = None if recorded is None else recorded.data.get(name)
    return value if isinstance(value, str) else ""


def is_unmanaged(one: Wanted) -> bool:
    """Tell whether a manifest only refers to what is there."""
    return one.desired is not None and not one.desired.lifecycle.managed


def declared(one: Wanted, name: str) -> str:
    """Return what a `managed: false` manifest says."""
    value = one.desired.spec.get(name) if one.desired is not None and is_unmanaged(one) else None
    return value if isinstance(value, str) else ""


def check_key(api: ObjectApi, desired: Desired) -> Iterator[Diagnostic]:
    """Refuse secrets where the object is found by: after a crash it could not be looked for."""
    parts = "both" if len(api.natural_key) == len(("one", "other")) else "all"
    for name in api.natural_key:
        if isinstance(desired.spec.get(name), Sensitive):
            yield Diagnostic(
                code="manifest/secret-key",
                summary="Secret in a name",
                what=f"`spec.{name}` of {desired.address} holds a secret.",
                why=(
                    f"A {api.noun} is found by its {api.key_words},"
                    f" and {parts} are shown to everybody."
                ),
                hint="use a variable",
                span=desired.source.span(("spec", name)),
                address=str(desired.address),
            )
