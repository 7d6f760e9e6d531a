"""
The chain of a ledger's lines: each entry names the hash of the line before it.

The hash is over the bytes of a line, so whoever changes, drops, repeats or moves one is found by
the next line, and whoever cuts off the end by the head that is kept beside it. The form of a line
is `line.py`, what entries mean `fold.py`, where the lines lie the ledger room.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

from shplan.core.entry import EntryDraft, LedgerEntry
from shplan.core.errors import LedgerError
from shplan.core.frozen import dataclass
from shplan.core.line import NewerFormatError, decode, encode


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


class DamageKind(Enum):
    """What happened to a line."""

    CHANGED = "changed"
    DROPPED = "dropped"
    REORDERED = "reordered"
    DUPLICATED = "duplicated"
    CUT = "cut off"
    HEAD = "head unreadable"
    RENAMED = "renamed"
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
        "_damage",
        "_fence",
        "_hash",
        "_lines",
        "_met",
        "_promised",
        "_sequence",
        "_start",
        "_torn",
        "_wanted",
    )

    def __init__(self, start: Head = EMPTY, *, acknowledged: Head | None = None) -> None:
        # Three values and no head: a million lines pass, and one head is asked for.
        self._sequence, self._fence, self._hash = start.sequence, start.fence, start.hash
        self._start = start
        self._wanted = None if acknowledged is None else acknowledged.sequence
        self._acknowledged = acknowledged
        self._met: Head | None = None
        self._promised: int | None = None
        self._damage: Damage | None = None
        self._lines = 0
        self._torn = b""
        if acknowledged is not None and acknowledged.sequence == start.sequence:
            self._met = start

    @property
    def head(self) -> Head:
        """The end of the intact part so far."""
        return Head(self._sequence, self._fence, self._hash)

    def begin_segment(self, first: int | None) -> None:
        """Hear which number the name of a segment gives to the next entry, None for none."""
        self._promised = first

    def feed(self, line: bytes) -> LedgerEntry | None:
        """Return the entry of the next line, or None once the intact part has ended."""
        index = self._lines
        self._lines = index + 1
        if self._damage is not None or self._torn or not line.endswith(b"\n"):
            self._pass(line, index)
            return None
        try:
            entry = decode(line)
        except LedgerError as error:
            self._damage = _unreadable(error, self._sequence + 1, index)
            return None
        sequence, fence = entry.sequence, entry.fence
        if (
            sequence != self._sequence + 1
            or entry.previous != self._hash
            or fence < self._fence
            or self._promised is not None
        ):
            damage = self._misplaced(entry, index)
            if damage is not None:
                self._damage = damage
                return None
        self._sequence, self._fence, self._hash = sequence, fence, line_hash(line)
        if sequence == self._wanted:
            self._met = self.head
        return entry

    def finish(self) -> Verdict:
        """Compare the end with the head that was kept, and say what was found."""
        if self._damage is None:
            self._damage = self._end_damage()
        return Verdict(self.head, self._damage, len(self._torn))

    def _pass(self, line: bytes, index: int) -> None:
        """Take a line that does not go on with the intact part."""
        if self._damage is not None:
            self._look_for_the_missing(line)
        elif self._torn:
            what = f"entry {self._sequence + 1} ends in the middle and others follow it"
            self._damage = Damage(DamageKind.CHANGED, self._sequence + 1, index - 1, what)
        else:
            self._torn = line

    def _misplaced(self, entry: LedgerEntry, index: int) -> Damage | None:
        """Compare an entry with the one before it, and with what its segment's name says."""
        sequence = entry.sequence
        is_next = sequence == self._sequence + 1 and entry.fence >= self._fence
        if not is_next or entry.previous != self._hash:
            return _link_damage(self.head, entry, index)
        promised, self._promised = self._promised, None
        if promised is not None and promised != sequence:
            what = f"entry {sequence} stands where the name says entry {promised}"
            return Damage(DamageKind.RENAMED, sequence, index, what)
        return None

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
        if kept.sequence > self._sequence:
            missing = self._sequence + 1
            several = f"entries {missing} to {kept.sequence} were"
            end = f"ends with entry {self._sequence}" if missing else "has no entry"
            what = (
                f"the journal {end} and the head file says that it reached entry {kept.sequence}: "
                f"{several if missing < kept.sequence else f'entry {missing} was'} cut off"
            )
            return Damage(DamageKind.CUT, missing, max(self._lines - 1, 0), what)
        line = kept.sequence - self._start.sequence - 1
        if self._met is None or kept.hash != self._met.hash:
            what = f"entry {kept.sequence} is not the one that the head file names"
            return Damage(DamageKind.CHANGED, kept.sequence, line, what)
        if kept.fence != self._met.fence:
            what = (
                f"entry {kept.sequence} was written under lease {self._met.fence}, "
                f"and the head file says {kept.fence}"
            )
            return Damage(DamageKind.CHANGED, kept.sequence, line, what)
        return None


def _unreadable(error: LedgerError, expected: int, index: int) -> Damage:
    newer = isinstance(error, NewerFormatError)
    return Damage(DamageKind.NEWER if newer else DamageKind.CHANGED, expected, index, str(error))


def _link_damage(head: Head, entry: LedgerEntry, index: int) -> Damage:
    """Say which link of an entry does not fit."""
    expected = head.sequence + 1
    if entry.sequence > expected:
        what = f"entry {expected} is missing: entry {entry.sequence} stands in its place"
        return Damage(DamageKind.DROPPED, expected, index, what)
    if entry.sequence < expected:
        what = f"entry {entry.sequence} stands here a second time"
        return Damage(DamageKind.DUPLICATED, entry.sequence, index, what)
    if entry.previous != head.hash:
        return _broken_link(entry, index)
    what = f"entry {entry.sequence} was written under lease {entry.fence}, after {head.fence}"
    return Damage(DamageKind.CHANGED, entry.sequence, index, what)


def _broken_link(entry: LedgerEntry, index: int) -> Damage:
    if entry.sequence == 0:
        what = "entry 0 names an entry before it, and there is none"
        return Damage(DamageKind.CHANGED, 0, index, what)
    before = entry.sequence - 1
    what = f"entry {before} is not the one that entry {entry.sequence} was chained to"
    return Damage(DamageKind.CHANGED, before, index - 1, what)
