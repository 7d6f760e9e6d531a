"""
The form of a ledger on paper: one canonical JSON line an entry, each naming the line before.

The chain is over the bytes of the lines, so whoever changes, drops, repeats or moves one is
found by the next line, and whoever cuts off the end by the head that is kept beside it. What the
entries mean is `fold.py`; where the lines lie is the ledger room.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, cast

import msgspec

from shplan.core.address import Address
from shplan.core.entry import EntryDraft, Event, LedgerEntry, Result, Settlement
from shplan.core.errors import LedgerError
from shplan.core.resource import MemberRecord
from shplan.core.value import JsonObject, JsonValue, Object, canonical

FORMAT: Final = 1
_VERSION = re.compile(rb'"v":(\d+)\}$')


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: number, lease and hash of the last entry."""

    sequence: int
    fence: int
    hash: str


def line_hash(line: bytes) -> str:
    """Return `sha256:` and the hex digest of a line, its line feed not counted."""
    return "sha256:" + hashlib.sha256(line.removesuffix(b"\n")).hexdigest()


EMPTY: Final = Head(sequence=-1, fence=0, hash=line_hash(b""))


class NewerFormatError(LedgerError):
    """A line was written by a newer shplan."""


class UnreadableLineError(LedgerError):
    """A line is not an entry of the known format."""


class DamageKind(Enum):
    """What happened to a line."""

    CHANGED = "changed"
    DROPPED = "dropped"
    REORDERED = "reordered"
    DUPLICATED = "duplicated"
    CUT = "cut off"
    HEAD = "head unreadable"
    NEWER = "written by a newer shplan"


@dataclass(frozen=True, slots=True)
class Damage:
    """
    The first place where a ledger is not what was written.

    Args:
        kind: what happened
        sequence: the entry concerned
        line: where, counted from 0 over all lines
        what: one sentence for people
    """

    kind: DamageKind
    sequence: int
    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What a reading of the lines found.

    Args:
        head: the end of the intact part
        damage: the first damage, or None
        torn_bytes: length of an unfinished last line, which is not damage
    """

    head: Head
    damage: Damage | None
    torn_bytes: int


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
        ),
    }
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
    except (msgspec.MsgspecError, ValueError) as error:
        version = _VERSION.search(line.removesuffix(b"\n"))
        if version is not None and int(version[1]) > FORMAT:
            msg = (
                f"the entry has format {int(version[1])} and this shplan knows {FORMAT}: "
                "it was written by a newer shplan"
            )
            raise NewerFormatError(msg) from error
        msg = f"the line is not an entry of format {FORMAT}: {error}"
        raise UnreadableLineError(msg) from error


def append(
    head: Head, drafts: Iterable[EntryDraft], *, fence: int, time: str, actor: Mapping[str, str]
) -> tuple[tuple[LedgerEntry, ...], tuple[bytes, ...], Head]:
    """
    Chain drafts to a head.

    Returns:
        the entries, their lines, and the new head
    """
    entries: list[LedgerEntry] = []
    lines: list[bytes] = []
    for draft in drafts:
        entry = LedgerEntry(head.sequence + 1, fence, time, actor, head.hash, draft)
        line = encode(entry)
        head = Head(entry.sequence, fence, line_hash(line))
        entries.append(entry)
        lines.append(line)
    return tuple(entries), tuple(lines), head


def verify(lines: Iterable[bytes], *, acknowledged: Head | None = None) -> Verdict:
    """
    Follow a whole chain.

    Args:
        lines: with their line feeds; only a last one without is torn, not damaged
        acknowledged: the head that was kept beside the lines
    """
    chain = Chain(acknowledged=acknowledged)
    for line in lines:
        chain.feed(line)
    return chain.finish()


class Chain:
    """
    Follows lines one by one, in constant memory.

    Args:
        start: the head after which the lines begin
        acknowledged: the head kept beside the lines, which they must reach
    """

    __slots__ = (
        "_acknowledged",
        "_acknowledged_hash",
        "_damage",
        "_lines",
        "_start",
        "_torn",
        "head",
    )

    def __init__(self, start: Head = EMPTY, *, acknowledged: Head | None = None) -> None:
        self.head = start
        self._start = start
        self._acknowledged = acknowledged
        self._acknowledged_hash = ""
        self._damage: Damage | None = None
        self._lines = 0
        self._torn = b""
        if acknowledged is not None and acknowledged.sequence == start.sequence:
            self._acknowledged_hash = start.hash

    def feed(self, line: bytes) -> LedgerEntry | None:
        """Return the entry of the next line, or None once the intact part has ended."""
        index = self._lines
        self._lines += 1
        if self._damage is not None:
            self._look_for_the_missing(line)
            return None
        if self._torn:
            self._damage = Damage(
                DamageKind.CHANGED,
                self.head.sequence + 1,
                index - 1,
                f"entry {self.head.sequence + 1} ends in the middle and others follow it",
            )
            return None
        if not line.endswith(b"\n"):
            self._torn = line
            return None
        return self._follow(line, index)

    def finish(self) -> Verdict:
        """Compare the end with the head that was kept, and say what was found."""
        if self._damage is None:
            self._damage = self._end_damage()
        return Verdict(self.head, self._damage, len(self._torn))

    def _follow(self, line: bytes, index: int) -> LedgerEntry | None:
        expected = self.head.sequence + 1
        try:
            entry = decode(line)
        except NewerFormatError as error:
            self._damage = Damage(DamageKind.NEWER, expected, index, str(error))
            return None
        except UnreadableLineError as error:
            self._damage = Damage(DamageKind.CHANGED, expected, index, str(error))
            return None
        self._damage = _link_damage(self.head, entry, index)
        if self._damage is not None:
            return None
        self.head = Head(entry.sequence, entry.fence, line_hash(line))
        if self._acknowledged is not None and self._acknowledged.sequence == entry.sequence:
            self._acknowledged_hash = self.head.hash
        return entry

    def _look_for_the_missing(self, line: bytes) -> None:
        # A gap is a dropped line, unless the line turns up later: then somebody moved it.
        damage = self._damage
        if damage is None or damage.kind is not DamageKind.DROPPED:
            return
        try:
            found = decode(line).sequence == damage.sequence
        except LedgerError:
            return
        if found:
            what = f"entry {damage.sequence} stands behind entries that were written after it"
            self._damage = Damage(DamageKind.REORDERED, damage.sequence, damage.line, what)

    def _end_damage(self) -> Damage | None:
        kept = self._acknowledged
        if kept is None:
            return None
        if kept.sequence > self.head.sequence:
            missing = self.head.sequence + 1
            what = (
                f"the journal ends with entry {self.head.sequence} and the head file says that it "
                f"reached entry {kept.sequence}: entries {missing} to {kept.sequence} were cut off"
            )
            return Damage(DamageKind.CUT, missing, max(self._lines - 1, 0), what)
        if kept.hash != self._acknowledged_hash:
            what = f"entry {kept.sequence} is not the one that the head file names"
            line = kept.sequence - self._start.sequence - 1
            return Damage(DamageKind.CHANGED, kept.sequence, line, what)
        return None


def _link_damage(head: Head, entry: LedgerEntry, index: int) -> Damage | None:
    expected = head.sequence + 1
    if entry.sequence > expected:
        what = f"entry {expected} is missing: entry {entry.sequence} stands in its place"
        return Damage(DamageKind.DROPPED, expected, index, what)
    if entry.sequence < expected:
        what = f"entry {entry.sequence} stands here a second time"
        return Damage(DamageKind.DUPLICATED, entry.sequence, index, what)
    if entry.previous != head.hash:
        return _broken_link(entry, index)
    if entry.fence < head.fence:
        what = f"entry {entry.sequence} was written under lease {entry.fence}, after {head.fence}"
        return Damage(DamageKind.CHANGED, entry.sequence, index, what)
    return None


def _broken_link(entry: LedgerEntry, index: int) -> Damage:
    if entry.sequence == 0:
        what = "entry 0 names an entry before it, and there is none"
        return Damage(DamageKind.CHANGED, 0, index, what)
    before = entry.sequence - 1
    what = f"entry {before} is not the one that entry {entry.sequence} was chained to"
    return Damage(DamageKind.CHANGED, before, index - 1, what)


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
    """Common to the objects of a line."""


class _MemberLine(_Wire, frozen=True, gc=False):
    id: str
    stated: tuple[str, ...] = ()
    digest: str = ""
    owned: bool = True
    etag: str = ""
    size_bytes: int | None = None


class _SettlementLine(_Wire, frozen=True, gc=False):
    result: Result
    id: str = ""
    owned: bool | None = None
    spec: dict[str, object] | None = None
    gone: bool = False
    members: dict[str, _MemberLine] = {}
    lost_members: tuple[str, ...] = ()
    unsettled: tuple[str, ...] = ()
    prevent_destroy: bool | None = None
    depends_on: tuple[str, ...] | None = None
    status: int = 0
    cost_pu: float = 0.0
    message: str = ""
    data: dict[str, object] = {}


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
    data: dict[str, object] = {}
    intent: int | None = None
    settlement: _SettlementLine | None = None
    server_time: str = ""


_DECODER = msgspec.json.Decoder(_Line)


def _entry(line: _Line) -> LedgerEntry:
    if line.v != FORMAT:
        msg = f"format {line.v}"
        raise ValueError(msg)
    draft = EntryDraft(
        event=line.event,
        address=None if line.address is None else Address.parse(line.address),
        plan=line.plan,
        deployment=line.deployment,
        operation=line.operation,
        request=line.request,
        keys=line.keys,
        data=cast("JsonObject", line.data),
        intent=line.intent,
        settlement=None if line.settlement is None else _settlement(line.settlement),
        server_time=line.server_time,
    )
    return LedgerEntry(line.sequence, line.fence, line.time, line.actor, line.previous, draft)


def _settlement(line: _SettlementLine) -> Settlement:
    return Settlement(
        result=line.result,
        id=line.id,
        owned=line.owned,
        spec=cast("JsonObject | None", line.spec),
        gone=line.gone,
        members=_members(line.members),
        lost_members=line.lost_members,
        unsettled=line.unsettled,
        prevent_destroy=line.prevent_destroy,
        depends_on=line.depends_on,
        status=line.status,
        cost_pu=line.cost_pu,
        message=line.message,
        data=cast("JsonObject", line.data),
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
