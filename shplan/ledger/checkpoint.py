"""
Checkpoints: what the entries up to one of them come to, so that a reader may start behind it.

The next entry of the journal holds the digest of the checkpoint, and a reader believes nothing
else: who would change what is recorded has to change the chain, which is found as ever. A
checkpoint is only a shortcut. One that is lost, broken, of another version, or not named by the
entry behind it is ignored, and the journal is read from its beginning; `ledger verify` always does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Final

import msgspec

from shplan import __version__
from shplan.core.address import Address
from shplan.core.chain import Head
from shplan.core.entry import EntryDraft, Event, LedgerEntry
from shplan.core.fold import Fold, Record
from shplan.core.resource import MemberRecord, PendingIntent, Receipt
from shplan.core.runs import Attempt, RunRecord
from shplan.ledger.known import Known
from shplan.ledger.port import Mark

# Format 1 did not hold whose ledger it is, and format 2 not which requests were refused.
FORMAT: Final = 3


class CheckpointState(Enum):
    """
    What `ledger verify` says of a checkpoint.

    UNUSED: it was written here, and another version of shplan made it: it costs time and harms
    nothing. ALTERED: no entry vouches for it, so nobody uses it. WRONG: an entry does, and it is
    not what the entries come to.
    """

    NONE = "none"
    GOOD = "good"
    UNUSED = "unused"
    ALTERED = "altered"
    WRONG = "wrong"


def encode(known: Known) -> bytes:
    """
    Write down what is known: the same bytes for the same entries, whoever folded them.

    Args:
        known: with an end
    """
    assert known.end is not None, "an empty journal has no checkpoint"
    folds = {
        deployment: _fold_record(fold)
        for deployment, fold in sorted(known.folds.items())
        if fold.records() or fold.runs()
    }
    end = _End(known.end.segment, known.end.offset)
    origin = None if known.origin is None else dict(known.origin)
    return msgspec.json.encode(_Content(FORMAT, __version__, known.head, end, folds, origin))


def decode(content: bytes) -> Known | None:
    """Read a checkpoint; None for what this version has not written."""
    try:
        stamp = msgspec.json.decode(content, type=_Stamp)
        if (stamp.format, stamp.shplan) != (FORMAT, __version__):
            # What entries come to is decided by the code that folds them.
            return None
        read = msgspec.json.decode(content, type=_Content)
        folds = {name: _fold(name, one) for name, one in read.folds.items()}
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    end = Mark(read.end.segment, read.end.offset)
    return Known(read.head, end, folds, saved_bytes=len(content), origin=read.origin)


def draft(content: bytes) -> EntryDraft:
    """Return the entry that vouches for a checkpoint; it stands directly behind it."""
    return EntryDraft(Event.CHECKPOINT, data={"digest": _digest(content)})


def vouches(entry: LedgerEntry | None, content: bytes) -> bool:
    """Tell whether an entry, the one behind a checkpoint, names it."""
    if entry is None or entry.draft.event is not Event.CHECKPOINT:
        return False
    return entry.draft.data.get("digest") == _digest(content)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class _Wire(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename="camel",
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """Common to the objects of a checkpoint; what is `Any` in them is a value of JSON."""


class _Stamp(msgspec.Struct, frozen=True):
    """What every checkpoint has, whoever wrote it."""

    format: int
    shplan: str


class _Intent(_Wire, frozen=True, gc=False):
    sequence: int
    operation: str
    data: dict[str, Any] = {}
    server_time: str = ""
    plan: str = ""
    keys: tuple[str, ...] = ()


class _Member(_Wire, frozen=True, gc=False):
    id: str
    stated: tuple[str, ...] = ()
    digest: str = ""
    owned: bool = True
    etag: str = ""
    size_bytes: int | None = None


class _Record(_Wire, frozen=True, gc=False):
    address: str
    known: bool = False
    id: str = ""
    owned: bool = False
    spec: dict[str, Any] = {}
    prevent_destroy: bool = False
    depends_on: tuple[str, ...] = ()
    members: dict[str, _Member] = {}
    pending: tuple[_Intent, ...] = ()
    data: dict[str, Any] = {}
    changed: int = 0


class _Receipt(_Wire, frozen=True, gc=False):
    key: str
    attempt: int
    id: str
    status: str
    parts: dict[str, Any] = {}
    request: dict[str, Any] = {}
    cost_pu: float | None = None
    outputs: dict[str, Any] = {}
    failed: dict[str, str] = {}
    account: str = ""
    estimate_pu: tuple[float, float, float] | None = None
    estimate_terms: tuple[dict[str, Any], ...] = ()


class _Attempt(_Wire, frozen=True, gc=False):
    number: int
    ids: tuple[str, ...] = ()
    started: tuple[str, ...] = ()
    confirmed: tuple[str, ...] = ()
    ended: str = ""
    cause: str = ""
    stopped_over_pu: float | None = None
    billed_pu: float = 0.0
    asked: int = 0
    refused: str = ""


class _Run(_Wire, frozen=True, gc=False):
    key: str
    attempts: tuple[_Attempt, ...] = ()
    receipt: _Receipt | None = None
    started_at: int = 0


class _Fold(_Wire, frozen=True, gc=False):
    records: tuple[_Record, ...] = ()
    runs: tuple[_Run, ...] = ()


class _End(_Wire, frozen=True, gc=False):
    segment: str
    offset: int


class _Content(_Wire, frozen=True, gc=False):
    format: int
    shplan: str
    head: Head
    end: _End
    folds: dict[str, _Fold]
    origin: dict[str, Any] | None = None


def _fold_record(fold: Fold) -> _Fold:
    records = tuple(_record_of(address, one) for address, one in fold.records().items())
    return _Fold(records, tuple(_run_of(one) for one in fold.runs().values()))


def _record_of(address: Address, record: Record) -> _Record:
    return _Record(
        str(address),
        record.known,
        record.id,
        record.owned,
        record.spec,
        record.prevent_destroy,
        tuple(str(one) for one in record.depends_on),
        {key: _member_of(member) for key, member in record.members.items()},
        tuple(_intent_of(intent) for intent in record.pending.values()),
        record.data,
        record.changed,
    )


def _member_of(one: MemberRecord) -> _Member:
    return _Member(one.id, one.stated, one.digest, one.owned, one.etag, one.size_bytes)


def _intent_of(one: PendingIntent) -> _Intent:
    data = one.data
    return _Intent(one.sequence, one.operation, data, one.server_time, one.plan, one.keys)


def _run_of(run: RunRecord) -> _Run:
    attempts = tuple(_attempt_of(number, one) for number, one in run.attempts.items())
    receipt = None if run.receipt is None else _receipt_of(run.receipt)
    return _Run(run.key, attempts, receipt, run.started_at)


def _attempt_of(number: int, one: Attempt) -> _Attempt:
    started, confirmed = tuple(sorted(one.started)), tuple(sorted(one.confirmed))
    return _Attempt(
        number,
        one.ids,
        started,
        confirmed,
        one.ended,
        one.cause,
        one.stopped_over_pu,
        one.billed_pu,
        one.asked,
        one.refused,
    )


def _receipt_of(one: Receipt) -> _Receipt:
    return _Receipt(
        one.key,
        one.attempt,
        one.id,
        one.status,
        one.parts,
        one.request,
        one.cost_pu,
        one.outputs,
        dict(one.failed),
        one.account,
        one.estimate_pu,
        one.estimate_terms,
    )


def _fold(deployment: str, read: _Fold) -> Fold:
    # The members of one group nearly always state the same fields: they share one tuple.
    stated: dict[tuple[str, ...], tuple[str, ...]] = {}
    records = {Address.parse(one.address): _record(one, stated) for one in read.records}
    return Fold(deployment, records, {one.key: _run(one) for one in read.runs})


def _record(read: _Record, stated: dict[tuple[str, ...], tuple[str, ...]]) -> Record:
    return Record(
        known=read.known,
        id=read.id,
        owned=read.owned,
        spec=read.spec,
        prevent_destroy=read.prevent_destroy,
        depends_on=_addresses(read.depends_on),
        members={
            key: MemberRecord(
                one.id,
                stated.setdefault(one.stated, one.stated),
                one.digest,
                one.owned,
                one.etag,
                one.size_bytes,
            )
            for key, one in read.members.items()
        },
        pending={one.sequence: _pending(one) for one in read.pending},
        data=read.data,
        changed=read.changed,
    )


def _addresses(texts: Iterable[str]) -> tuple[Address, ...]:
    return tuple(Address.parse(text) for text in texts)


def _pending(read: _Intent) -> PendingIntent:
    data = read.data
    return PendingIntent(
        read.sequence, read.operation, data, read.server_time, read.plan, read.keys
    )


def _run(read: _Run) -> RunRecord:
    attempts: Mapping[int, Attempt] = {
        one.number: Attempt(
            one.ids,
            frozenset(one.started),
            frozenset(one.confirmed),
            one.ended,
            one.cause,
            one.stopped_over_pu,
            one.billed_pu,
            one.asked,
            one.refused,
        )
        for one in read.attempts
    }
    receipt = None if read.receipt is None else _receipt(read.receipt)
    return RunRecord(read.key, attempts, receipt, read.started_at)


def _receipt(read: _Receipt) -> Receipt:
    return Receipt(
        read.key,
        read.attempt,
        read.id,
        read.status,
        parts=read.parts,
        request=read.request,
        cost_pu=read.cost_pu,
        outputs=read.outputs,
        failed=read.failed,
        account=read.account,
        estimate_pu=read.estimate_pu,
        estimate_terms=read.estimate_terms,
    )
