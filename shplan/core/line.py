"""
An entry as one line of canonical JSON, and back; nothing else knows the form.

Names are those of `entry.py` in camel case; what equals its default is left out. A reader refuses
what it does not know, so that a ledger is never half understood. The chain of the lines is
`chain.py`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, cast

import msgspec

from shplan.core.address import Address
from shplan.core.entry import EntryDraft, Event, LedgerEntry, Result, Settlement
from shplan.core.errors import LedgerError
from shplan.core.resource import MemberRecord, Receipt
from shplan.core.value import JsonObject, JsonValue, Object, canonical

FORMAT: Final = 1
_VERSION = re.compile(rb'"v":(\d+)\}$')


class NewerFormatError(LedgerError):
    """A line was written by a newer shplan."""


class UnreadableLineError(LedgerError):
    """A line is not an entry of the known format."""


def encode(entry: LedgerEntry) -> bytes:
    """
    Write an entry as its line, with the line feed; what equals its default is left out.

    Raises:
        LedgerError: a value has no form in JSON (NaN, half a surrogate pair)
    """
    draft = entry.draft
    record: JsonObject = {
        "v": FORMAT,
        "sequence": entry.sequence,
        "fence": entry.fence,
        "time": entry.time,
        "previous": entry.previous,
        "event": draft.event.value,
        **_stated(
            actor=dict(entry.actor),
            address=None if draft.address is None else str(draft.address),
            plan=draft.plan,
            deployment=draft.deployment,
            operation=draft.operation,
            request=draft.request,
            keys=list(draft.keys),
            data=draft.data,
            serverTime=draft.server_time,
            key=draft.key,
        ),
    }
    if draft.attempt:
        record["attempt"] = draft.attempt
    if draft.intent is not None:
        record["intent"] = draft.intent
    if draft.settlement is not None:
        record["settlement"] = _settlement_record(draft.settlement)
    return _canonical_line(record, entry.sequence)


def decode(line: bytes) -> LedgerEntry:
    """
    Read a line; a field that the format does not know is refused.

    Raises:
        NewerFormatError: the line has a later format version
        UnreadableLineError: the line is no entry
    """
    try:
        return _entry(_DECODER.decode(line))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        version = _VERSION.search(line.removesuffix(b"\n"))
        if version is not None and int(version[1]) > FORMAT:
            msg = (
                f"the entry has format {int(version[1])} and this shplan knows {FORMAT}: "
                "it was written by a newer shplan"
            )
            raise NewerFormatError(msg) from error
        msg = f"the line is not an entry of format {FORMAT}: {error}"
        raise UnreadableLineError(msg) from error


def _canonical_line(record: JsonObject, sequence: int) -> bytes:
    try:
        # canonical() sorts by code point; "v" comes last, where a newer version is looked for.
        return canonical(cast("Object", record)) + b"\n"
    except (TypeError, ValueError) as error:
        msg = f"entry {sequence} of the ledger cannot be written as JSON: {error}"
        raise LedgerError(msg) from error


def _stated(**fields: JsonValue) -> JsonObject:
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def _settlement_record(settlement: Settlement) -> JsonObject:
    record = _stated(
        id=settlement.id,
        spec=None,
        members={key: _member_record(member) for key, member in settlement.members.items()},
        lostMembers=list(settlement.lost_members),
        unsettled=list(settlement.unsettled),
        message=settlement.message,
        data=settlement.data,
    )
    record["result"] = settlement.result.value
    if settlement.receipt is not None:
        record["receipt"] = _receipt_record(settlement.receipt)
    optional: JsonObject = {
        "owned": settlement.owned,
        "spec": settlement.spec,
        "preventDestroy": settlement.prevent_destroy,
        "dependsOn": None if settlement.depends_on is None else list(settlement.depends_on),
        "gone": settlement.gone or None,
        "status": settlement.status or None,
        "costPu": settlement.cost_pu or None,
    }
    record.update({name: value for name, value in optional.items() if value is not None})
    return record


def _receipt_record(receipt: Receipt) -> JsonObject:
    record = _stated(
        account=receipt.account,
        parts=receipt.parts,
        request=receipt.request,
        outputs=receipt.outputs,
        failed=dict(receipt.failed),
    )
    record.update(key=receipt.key, attempt=receipt.attempt, id=receipt.id, status=receipt.status)
    if receipt.cost_pu is not None:
        record["costPu"] = receipt.cost_pu
    if receipt.estimate_pu is not None:
        record["estimatePu"] = list(receipt.estimate_pu)
    if receipt.estimate_terms:
        record["estimateTerms"] = [*receipt.estimate_terms]
    return record


def _member_record(member: MemberRecord) -> JsonObject:
    record: JsonObject = {"id": member.id}
    if member.stated:
        record["stated"] = list(member.stated)
    if member.digest:
        record["digest"] = member.digest
    if not member.owned:
        record["owned"] = False
    if member.etag:
        record["etag"] = member.etag
    if member.size_bytes is not None:
        record["sizeBytes"] = member.size_bytes
    return record


class _Wire(msgspec.Struct, frozen=True, gc=False, rename="camel", forbid_unknown_fields=True):
    """Common to the objects of a line; what is `Any` in them is a value of JSON."""


class _MemberLine(_Wire, frozen=True, gc=False):
    id: str
    stated: tuple[str, ...] = ()
    digest: str = ""
    owned: bool = True
    etag: str = ""
    size_bytes: int | None = None


class _ReceiptLine(_Wire, frozen=True, gc=False):
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
    # Ledgers that were written before there was one have none.
    estimate_pu: tuple[float, float, float] | None = None
    estimate_terms: tuple[dict[str, Any], ...] = ()


class _SettlementLine(_Wire, frozen=True, gc=False):
    result: Result
    id: str = ""
    owned: bool | None = None
    spec: dict[str, Any] | None = None
    gone: bool = False
    members: dict[str, _MemberLine] = {}
    lost_members: tuple[str, ...] = ()
    unsettled: tuple[str, ...] = ()
    prevent_destroy: bool | None = None
    depends_on: tuple[str, ...] | None = None
    status: int = 0
    cost_pu: float = 0.0
    message: str = ""
    data: dict[str, Any] = {}
    receipt: _ReceiptLine | None = None


class _Line(_Wire, frozen=True, gc=False):
    v: int
    sequence: int
    fence: int
    time: str
    previous: str
    event: Event
    actor: dict[str, str] = {}
    address: str | None = None
    plan: str = ""
    deployment: str = ""
    operation: str = ""
    request: str = ""
    keys: tuple[str, ...] = ()
    data: dict[str, Any] = {}
    intent: int | None = None
    settlement: _SettlementLine | None = None
    server_time: str = ""
    key: str = ""
    attempt: int = 0


_DECODER = msgspec.json.Decoder(_Line)
# A long ledger speaks of few addresses; who meets one again finds it by identity.
_address = lru_cache(maxsize=2**16)(Address.parse)


def _entry(line: _Line) -> LedgerEntry:
    if line.v != FORMAT:
        msg = f"format {line.v}"
        raise ValueError(msg)
    # By position: a million lines pass here, and names are looked up.
    draft = EntryDraft(
        line.event,
        None if line.address is None else _address(line.address),
        line.plan,
        line.deployment,
        line.operation,
        line.request,
        line.keys,
        line.data,
        line.intent,
        None if line.settlement is None else _settlement(line.settlement),
        line.server_time,
        line.key,
        line.attempt,
    )
    return LedgerEntry(line.sequence, line.fence, line.time, line.actor, line.previous, draft)


def _settlement(line: _SettlementLine) -> Settlement:
    return Settlement(
        line.result,
        line.id,
        line.owned,
        line.spec,
        line.gone,
        _members(line.members) if line.members else {},
        line.lost_members,
        line.unsettled,
        line.prevent_destroy,
        line.depends_on,
        line.status,
        line.cost_pu,
        line.message,
        line.data,
        None if line.receipt is None else _receipt(line.receipt),
    )


def _receipt(line: _ReceiptLine) -> Receipt:
    return Receipt(
        line.key,
        line.attempt,
        line.id,
        line.status,
        parts=line.parts,
        request=line.request,
        cost_pu=line.cost_pu,
        outputs=line.outputs,
        failed=line.failed,
        account=line.account,
        estimate_pu=line.estimate_pu,
        estimate_terms=line.estimate_terms,
    )


def _members(lines: dict[str, _MemberLine]) -> dict[str, MemberRecord]:
    # The members of one group nearly always state the same fields: they share one tuple.
    stated: dict[tuple[str, ...], tuple[str, ...]] = {}
    return {
        key: MemberRecord(
            member.id,
            stated.setdefault(member.stated, member.stated),
            member.digest,
            member.owned,
            member.etag,
            member.size_bytes,
        )
        for key, member in lines.items()
    }
