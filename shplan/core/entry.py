"""
Entries of the ledger: the record of every intent and every outcome.

An entry is a value; the journal writes and reads them, `fold` makes from them
what the rest of shplan calls *recorded*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from shplan.core.address import Address
from shplan.core.frozen import unguarded
from shplan.core.resource import MemberRecord, Receipt
from shplan.core.value import JsonObject


class Event(Enum):
    """What an entry says."""

    GENESIS = "genesis"
    INTENT = "intent"
    OUTCOME = "outcome"
    ADOPT = "adopt"
    IMPORT = "import"
    RECEIPT = "receipt"
    PROTECT = "protect"
    MOVE = "move"
    FORGET = "forget"
    RECOVER = "recover"
    TAKEOVER = "takeover"
    CHECKPOINT = "checkpoint"


class Result(Enum):
    """How an intent ended. UNKNOWN leaves it open: it may have happened."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"


@unguarded(frozen=True, slots=True)
class Settlement:
    """
    What an outcome (or an adoption) teaches the ledger about its address.

    Args:
        result: how it ended
        id: the server's id of the object, or empty where nothing is learnt
        owned: made by an intent of ours, or confirmed by `shplan import`; None: unchanged
        spec: the stated fields as applied, without secrets; None: unchanged
        gone: the object no longer exists: its record ends
        members: members of a set that now exist, by natural key
        lost_members: natural keys of members that no longer exist
        unsettled: with UNKNOWN or a partial result, natural keys that are still open
        prevent_destroy: the protection as applied; None: unchanged
        depends_on: printed addresses, for the order of later deletes; None: unchanged
        status: HTTP status, 0 without an answer
        cost_pu: processing units spent
        message: the server's own words on a refusal, without secrets
        data: anything else that the kind wants back
        receipt: of a run that has finished
    """

    result: Result
    id: str = ""
    owned: bool | None = None
    spec: JsonObject | None = None
    gone: bool = False
    members: Mapping[str, MemberRecord] = field(default_factory=dict)
    lost_members: tuple[str, ...] = ()
    unsettled: tuple[str, ...] = ()
    prevent_destroy: bool | None = None
    depends_on: tuple[str, ...] | None = None
    status: int = 0
    cost_pu: float = 0.0
    message: str = ""
    data: JsonObject = field(default_factory=dict)
    receipt: Receipt | None = None


@unguarded(frozen=True, slots=True)
class EntryDraft:
    """
    An entry before the ledger gives it its number, fence, time, actor and hash.

    Args:
        event: what it says
        address: the resource concerned, None for the ledger's own events, and for what is about
            a run alone because its address has become somebody else's
        plan: digest of the plan under which it happens, or empty
        deployment: identity of the deployment (its built-in name or host, and the sandbox's
            instance), so that entries of another one are history
        operation: with INTENT, what is about to be done: `create`, `update`, `delete`, `start`,
            ...; with the OUTCOME of a run's intent, the same again
        request: with INTENT, digest of the request (of all requests, for a set)
        keys: with INTENT on a set, natural keys of the members it covers, at most a hundred
        data: with INTENT, what finds the object again; with MOVE, `{"from": ...}`; with TAKEOVER,
            `{"holder": ...}`, who held the lease before and ended without letting go
        intent: with OUTCOME, the number of the intent that it settles
        settlement: with OUTCOME, ADOPT, IMPORT, RECEIPT and PROTECT, what is learnt
        server_time: the server's `Date` known when it was written, or empty
        key: the run key, for what is done for a run
        attempt: which attempt of it, 0 where no run is concerned
    """

    event: Event
    address: Address | None = None
    plan: str = ""
    deployment: str = ""
    operation: str = ""
    request: str = ""
    keys: tuple[str, ...] = ()
    data: JsonObject = field(default_factory=dict)
    intent: int | None = None
    settlement: Settlement | None = None
    server_time: str = ""
    key: str = ""
    attempt: int = 0


@unguarded(frozen=True, slots=True)
class LedgerEntry:
    """
    An entry as it stands in the ledger.

    Args:
        sequence: from 0, without gaps
        fence: number of the lease under which it was written
        time: UTC, ISO 8601 with milliseconds
        actor: user, CI run and commit, as far as known
        previous: `sha256:` of the line before, of an empty text for the first
    """

    sequence: int
    fence: int
    time: str
    actor: Mapping[str, str]
    previous: str
    draft: EntryDraft
