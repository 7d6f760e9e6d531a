"""
Changes: one planned action on one address, with everything a person wants to know of it.

A change is made by a provider's decision and carried out by the executor; plans
show it. Reasons inform people and never steer apply.
"""

from __future__ import annotations

from dataclasses import field, replace
from enum import Enum

from shplan.core.address import Address
from shplan.core.cost import Cost
from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.frozen import dataclass
from shplan.core.request import ApiRequest
from shplan.core.resource import Receipt
from shplan.core.value import JsonObject, Object, Value


class Action(Enum):
    """What is planned for an address."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    RUN = "run"
    RESUME = "resume"
    ADOPT = "adopt"
    MOVE = "move"
    READ = "read"
    FORGET = "forget"
    BLOCKED = "blocked"
    NOOP = "noop"

    @property
    def changes(self) -> bool:
        """Something would be sent or recorded."""
        return self not in _QUIET


_QUIET = frozenset({Action.NOOP, Action.READ, Action.BLOCKED})


class Reason(Enum):
    """Why an action was planned, for people and for programs that read plans."""

    NOT_FOUND = "no such object exists"
    GONE = "the recorded object is gone from the server"
    DIFFERS = "a stated field differs"
    CANNOT_UPDATE = "a field that cannot be updated differs"
    NO_LONGER_STATED = "a field is no longer stated"
    NO_LONGER_DECLARED = "no manifest declares it"
    SAME_KEY = "an object with the same name and bucket exists"
    OWN_INTENT = "an earlier apply created it and could not record it"
    MEMBERS_DIFFER = "members differ"
    INGESTION_FAILED = "a tile's ingestion failed"
    IMPORT_FAILED = "its ingestion failed"
    IMPORTING = "the service is ingesting it"
    FILE_CHANGED = "a tile's file changed"
    PROTECTION_CHANGED = "the protection recorded for it differs"
    REMOVAL_CHANGED = "what is recorded for its removal differs"
    RENAMED = "`moved` gives it a new address"
    FORGOTTEN = "`forget` lists it"
    FOREIGN_MEMBERS = "it holds members that are not ours"
    CONTENTS_CHANGED = "it holds something else than when its replacement was planned"
    IN_USE = "something refers to it, and the service does not delete it"
    NOT_OWNED = "it was adopted and not confirmed by `shplan import`"
    UNMANAGED = "`managed: false`"
    UP_TO_DATE = "nothing differs"
    DEPENDENCY_BLOCKED = "something it depends on is blocked"
    LOCAL = "it is a file of the repository"
    NEVER_RUN = "this request never ran"
    KEY_UNKNOWN = "what it asks for depends on an id of this plan"
    NOT_STARTED = "a task of it exists and was not started"
    ANOTHER_ATTEMPT = "the last one did not succeed, and `onFailure: rerun`"
    RAN = "it ran already"
    RUNNING = "it is running"
    START_WAITS = "its task waits to be started by somebody"
    NOT_RECORDED = "it has finished and has no receipt yet"
    RECEIPT_FILE = "a receipt file says so, and the ledger does not know it"
    OTHERS_TASK = "a task with the same request exists"
    SAME_RUN = "another address asks for the same"
    RUN_FAILED = "the run failed"
    RUN_STOPPED = "the run was stopped"
    PARTLY_DONE = "some features of the run failed"
    REPEAT_UNKNOWN = "what failed was to be done once more, and nothing tells whether it was"
    OUTCOME_UNKNOWN = "it was started, and nothing tells how it ended"
    TOO_DEAR = "it can cost more than its `maxPu`"
    COST_UNKNOWN = "its cost cannot be computed, and there is a limit"
    ANSWER_LOST = "its answer is gone or was changed"
    ANSWER_ELSEWHERE = "its answer is in the project already"
    READ = "it was read while planning"
    ANSWER_DIFFERS = "the service says something else by now"
    READ_LATER = "what it asks for is known, or done, only during apply"
    PLACES_TAKEN = "an earlier run of ours has delivered to the same places"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """
    One field that differs.

    Args:
        path: below `spec`
        before: what the server says, None where it has nothing
        after: what the manifest says, None where it is to be cleared
        reason: why it counts
        forces: why the API cannot change it in place; a change then replaces the object
    """

    path: tuple[str | int, ...]
    before: Value
    after: Value
    reason: Reason
    forces: str = ""
    cleared: bool = False

    @property
    def dotted(self) -> str:
        """The path as people write it."""
        return ".".join(str(step) for step in self.path)


@dataclass(frozen=True, slots=True)
class MemberChange:
    """
    One member of a set that changes: a tile.

    Args:
        key: its natural key, the path
        action: CREATE, UPDATE, DELETE or ADOPT
        id: the server's id, empty for a create
        request: what will be sent, None where only the ledger changes
        detail: e.g. `reingest: file not found`
        operation: what the intent says: `create`, `update`, `reingest` or `delete`
        stated: the fields that the manifest states
        digest: of the member as the manifest states it
        owned: the ledger is to count it as ours, so that it may be deleted one day
        index: its place among the declared members, -1 for one that is not declared
        etag, size_bytes: of the file behind it, as recorded
    """

    key: str
    action: Action
    reason: Reason
    id: str = ""
    request: ApiRequest | None = None
    fields: tuple[FieldChange, ...] = ()
    operation: str = ""
    detail: str = ""
    stated: tuple[str, ...] = ()
    digest: str = ""
    owned: bool = True
    index: int = -1
    etag: str = ""
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """
    One planned action.

    Args:
        requests: every request with an effect, in the order of sending, without the members'
        members: what changes in a set
        counts: facts worth a line: unmanaged tiles, tiles that go with a collection, ...
        refusals: protections that forbid it (exit 5) or questions only a person answers (exit 7)
        record: what the ledger is to hold as applied (stated fields, without secrets)
        records: the ledger is to be told, although nothing is sent
        waits: something that runs on the server is waited for, although nothing is sent
        current: what the provider wants back at apply: ids, observed fields to carry
        id: the server's id of the object concerned, empty before it exists
        prevent_destroy: the protection to record
        follows: it goes with what it depends on: its record ends only when that is deleted
        deposed: the object that a replacement left behind; the change deletes that one
        drifted: the manifest says what was last applied, and the server says something else
        observed: digest of what was observed, for saved plans
        held: the fingerprint of what goes with the object that is deleted or replaced
        key: the run key of a job, empty while it is not known
        attempt: which attempt of it would be made, 0 for none
        unpriced: it costs something, and nobody can say how much
        parts: what the key is made of, for people (`shplan why`)
        former: what the key of the run before was made of, where that was another one
        receipt: of the last attempt of this run that has ended, None where there is none
    """

    address: Address
    action: Action
    reason: Reason
    fields: tuple[FieldChange, ...] = ()
    requests: tuple[ApiRequest, ...] = ()
    members: tuple[MemberChange, ...] = ()
    cost: Cost = field(default_factory=Cost)
    source: SourceSpan | None = None
    depends_on: tuple[Address, ...] = ()
    counts: JsonObject = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    record: Object = field(default_factory=dict)
    records: bool = False
    waits: bool = False
    current: Object = field(default_factory=dict)
    id: str = ""
    prevent_destroy: bool = False
    follows: bool = False
    deposed: bool = False
    drifted: bool = False
    observed: str = ""
    held: str = ""
    key: str = ""
    attempt: int = 0
    unpriced: bool = False
    parts: JsonObject = field(default_factory=dict)
    former: JsonObject = field(default_factory=dict)
    receipt: Receipt | None = None

    def blocked(self, reason: Reason, *, note: str) -> Change:
        """Return the same change, refused for a reason that a person can remove."""
        return replace(
            self, action=Action.BLOCKED, reason=reason, notes=(*self.notes, note), requests=()
        )


class RefusalKind(Enum):
    """Who refuses, which decides the exit code: 5 for PROTECTED, 7 for UNDECIDED."""

    PROTECTED = "protected"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a planned change may not be carried out at all."""

    kind: RefusalKind
    diagnostic: Diagnostic
