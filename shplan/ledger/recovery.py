"""
What can be saved of a damaged ledger, and the new chain that is made of it.

It is read three times (four where parts of it fork), and only its breaks are remembered: memory
grows with the damage, not with the entries. First the runs of lines that lie together and are
chained are found, and with them the numbers at which anything begins or ends. Cut at these, every
two pieces hold the same numbers or none in common, so that from the last to the first it is
decided which are intact. Then they are chained anew. The old ledger stays as it was found, set
aside by the backend.
"""

from __future__ import annotations

import hashlib
import tempfile
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Final

from shplan.core import chain
from shplan.core.chain import EMPTY, Head
from shplan.core.entry import EntryDraft, Event, LedgerEntry
from shplan.core.errors import LedgerError
from shplan.core.line import decode
from shplan.core.value import JsonObject

LOST_SHOWN: Final = 100
_SPOOL_BYTES: Final = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line lies: the name of its segment, and its number in there, counted from 1."""

    segment: str
    line: int

    def __str__(self) -> str:
        return f"{self.segment}:{self.line}"


@dataclass(frozen=True, slots=True)
class Lost:
    """A line that is not in the new ledger: where it lies in the old one, and why."""

    place: str
    why: str


Read = Callable[[], AsyncIterator[tuple[Place, bytes]]]
"""Begins to read the old ledger: every line that is there, and its place."""


@dataclass(slots=True)
class _Piece:
    """
    Lines that lie together and are chained.

    Args:
        place: of the first
        ordinal: of the first, counted over all lines that are entries
        first, last: numbers of the entries
        previous: what the first names as the hash before it
        hash: of the last
        fence: the highest
    """

    place: Place
    ordinal: int
    first: int
    last: int
    previous: str
    hash: str
    fence: int

    def __len__(self) -> int:
        return self.last - self.first + 1

    @property
    def end(self) -> int:
        """The ordinal behind the last line."""
        return self.ordinal + len(self)

    def behind(self, count: int) -> _Piece:
        """Return what stands behind the first lines; not all of them."""
        place = Place(self.place.segment, self.place.line + count)
        first = self.first + count
        return replace(self, place=place, ordinal=self.ordinal + count, first=first)

    def take(self, place: Place, ordinal: int, entry: LedgerEntry, hash_: str) -> bool:
        """Become longer by a line; False when it does not follow."""
        follows = (
            ordinal == self.end
            and (place.segment, place.line) == (self.place.segment, self.place.line + len(self))
            and (entry.sequence, entry.previous) == (self.last + 1, self.hash)
        )
        if follows:
            self.last, self.hash = entry.sequence, hash_
            self.fence = max(self.fence, entry.fence)
        return follows


@dataclass(frozen=True, slots=True)
class Findings:
    """
    What was found of the old ledger.

    Args:
        intact: pieces, by number
        lost: lines that are in none of them, the first of them
        lost_count: how many there are
        acknowledged: the head that was kept, if it could be read
    """

    intact: tuple[_Piece, ...]
    lost: tuple[Lost, ...]
    lost_count: int
    acknowledged: Head | None

    @property
    def kept(self) -> int:
        """How many entries are intact."""
        return sum(map(len, self.intact))

    @property
    def old_head(self) -> str:
        """The head as it was kept, else the last intact entry; of nothing the genesis hash."""
        if self.acknowledged is not None:
            return self.acknowledged.hash
        return self.intact[-1].hash if self.intact else EMPTY.hash

    @property
    def fence(self) -> int:
        """The highest lease that anything was written under."""
        kept = 0 if self.acknowledged is None else self.acknowledged.fence
        return max([piece.fence for piece in self.intact] + [kept])


async def find(read: Read, acknowledged: Head | None) -> Findings:
    """
    Read the old ledger, twice, and say what is intact.

    Args:
        read: the old ledger, which does not change meanwhile
        acknowledged: the head that was kept, if it could be read
    """
    cuts = set[int]()
    if acknowledged is not None:
        cuts |= {acknowledged.sequence, acknowledged.sequence + 1}
    async for run in _pieces(read, frozenset(), _Unreadable()):
        cuts |= {run.first - 1, run.first, run.last, run.last + 1}
    unreadable = _Unreadable()
    pieces = [piece async for piece in _pieces(read, cuts, unreadable)]
    intact = _confirmed(pieces, acknowledged)
    others = await _unconfirmed(read, pieces, intact)
    lost = (*unreadable.first, *_named(others, LOST_SHOWN - len(unreadable.first)))
    count = unreadable.count + sum(map(len, others))
    return Findings(intact, lost, count, acknowledged)


class Rescue:
    """
    The new ledger, made line by line.

    Args:
        findings: of the old one
        read: the old one
        time: of the first entry; the others keep theirs
        actor: of the first entry
    """

    def __init__(
        self, findings: Findings, read: Read, *, time: str, actor: Mapping[str, str]
    ) -> None:
        self._findings = findings
        self._read = read
        self._time = time
        self._actor = actor
        self._fence = findings.fence + 1
        self._head = EMPTY

    def head(self) -> Head:
        """Return the last entry so far."""
        return self._head

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield an entry that names the old head, and the intact ones behind it."""
        findings = self._findings
        account: JsonObject = {
            "head": findings.old_head,
            "kept": findings.kept,
            "lost": findings.lost_count,
            "lostAt": [one.place for one in findings.lost],
        }
        yield self._chained(EntryDraft(Event.RECOVER, data=account), self._time, self._actor)
        numbers = _Numbers(findings.intact)
        async for line in _in_order(self._read, findings.intact):
            entry = decode(line)
            intent = numbers.new(entry.draft.intent, before=entry.sequence)
            yield self._chained(replace(entry.draft, intent=intent), entry.time, entry.actor)

    def _chained(self, draft: EntryDraft, time: str, actor: Mapping[str, str]) -> bytes:
        _, (line,), self._head = chain.append(
            self._head, [draft], fence=self._fence, time=time, actor=actor
        )
        return line


@dataclass(slots=True)
class _Unreadable:
    """Lines that are no entries: how many, and the first of them."""

    count: int = 0
    first: list[Lost] = field(default_factory=list)

    def add(self, place: Place, why: str) -> None:
        self.count += 1
        if len(self.first) < LOST_SHOWN:
            self.first.append(Lost(str(place), why))


async def _entries(
    read: Read, unreadable: _Unreadable
) -> AsyncIterator[tuple[Place, bytes, LedgerEntry]]:
    async for place, line in read():
        if not line.endswith(b"\n"):
            unreadable.add(place, "the line is unfinished")
            continue
        try:
            yield place, line, decode(line)
        except LedgerError as error:
            unreadable.add(place, str(error))


async def _pieces(
    read: Read, cuts: frozenset[int] | set[int], unreadable: _Unreadable
) -> AsyncIterator[_Piece]:
    """Yield the pieces in the order in which they lie, cut before each of these numbers."""
    piece: _Piece | None = None
    ordinal = 0
    async for place, line, entry in _entries(read, unreadable):
        digest = chain.line_hash(line)
        is_cut = entry.sequence in cuts
        if piece is None or is_cut or not piece.take(place, ordinal, entry, digest):
            if piece is not None:
                yield piece
            number, before, fence = entry.sequence, entry.previous, entry.fence
            piece = _Piece(place, ordinal, number, number, before, digest, fence)
        ordinal += 1
    if piece is not None:
        yield piece


def _confirmed(pieces: Sequence[_Piece], acknowledged: Head | None) -> tuple[_Piece, ...]:
    """
    Return the intact pieces, repetitions left out.

    From the end to the beginning: an entry is intact when the intact one behind it, or the head,
    names its hash. Where nothing stands behind it, its own link must fit what stands before it.
    """
    at: dict[int, list[_Piece]] = {}
    ends: dict[int, set[str]] = {}
    for piece in pieces:
        at.setdefault(piece.first, []).append(piece)
        ends.setdefault(piece.last, set()).add(piece.hash)
    intact: list[_Piece] = []
    for first in sorted(at, reverse=True):
        last = at[first][0].last
        behind = intact[-1] if intact and intact[-1].first == last + 1 else None
        named = "" if behind is None else behind.previous
        if acknowledged is not None and acknowledged.sequence == last:
            named = acknowledged.hash
        for piece in at[first]:
            if piece.hash == named if named else _fits(piece, ends.get(first - 1)):
                intact.append(piece)
                break
    return tuple(reversed(intact))


def _fits(piece: _Piece, before: set[str] | None) -> bool:
    if len(piece) > 1:
        return True
    if piece.first == 0:
        return piece.previous == EMPTY.hash
    return before is None or piece.previous in before


async def _unconfirmed(
    read: Read, pieces: Sequence[_Piece], intact: Sequence[_Piece]
) -> list[_Piece]:
    """
    Return what is in no intact piece; of what is there twice nothing is lost.

    A piece may begin as the intact one of its numbers does, and part from it later: only what is
    behind that is lost.
    """
    kept = {one.first: one for one in intact}
    others = [one for one in pieces if one.first not in kept or kept[one.first].hash != one.hash]
    forks = [one for one in others if len(one) > 1 and one.first in kept]
    if not forks:
        return others
    digests = await _digests(
        read, [*forks, *{one.first: kept[one.first] for one in forks}.values()]
    )
    lost = []
    for one in others:
        rival = kept.get(one.first)
        pairs = (
            ()
            if rival is None
            else zip(digests.get(one.ordinal, ()), digests.get(rival.ordinal, ()), strict=False)
        )
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        lost.append(one.behind(shared))
    return lost


async def _digests(read: Read, pieces: Iterable[_Piece]) -> dict[int, list[bytes]]:
    """Return the hashes of the lines of some pieces, by the ordinal of the first."""
    wanted = iter(sorted(pieces, key=lambda one: one.ordinal))
    piece = next(wanted, None)
    found: dict[int, list[bytes]] = {}
    ordinal = 0
    async for _, line, _ in _entries(read, _Unreadable()):
        if piece is not None and ordinal >= piece.ordinal:
            found.setdefault(piece.ordinal, []).append(hashlib.sha256(line).digest())
            if ordinal + 1 == piece.end:
                piece = next(wanted, None)
        ordinal += 1
    return found


def _named(pieces: Iterable[_Piece], most: int) -> list[Lost]:
    """Return the first lines of what nothing confirms."""
    lost: list[Lost] = []
    for piece in pieces:
        for number in range(min(len(piece), most - len(lost))):
            place = Place(piece.place.segment, piece.place.line + number)
            lost.append(Lost(str(place), f"nothing confirms entry {piece.first + number}"))
    return lost


class _Numbers:
    """The new numbers of the intact entries, behind the one that names the old head."""

    def __init__(self, intact: Sequence[_Piece]) -> None:
        self._intact = intact
        self._firsts = [piece.first for piece in intact]
        self._new: list[int] = []
        number = 1
        for piece in intact:
            self._new.append(number)
            number += len(piece)

    def new(self, intent: int | None, *, before: int) -> int | None:
        """Return an intent's new number; the outcome of a lost one still teaches what it says."""
        if intent is None or intent >= before:
            return None
        at = bisect_right(self._firsts, intent) - 1
        if at < 0 or intent > self._intact[at].last:
            return None
        return self._new[at] + intent - self._firsts[at]


async def _in_order(read: Read, intact: Sequence[_Piece]) -> AsyncIterator[bytes]:
    """Yield the lines of the pieces by their numbers; what lies too early waits in a file."""
    by_place = iter(sorted(intact, key=lambda piece: piece.ordinal))
    piece = next(by_place, None)
    waiting: dict[int, int] = {}
    due = 0
    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as spool:
        ordinal = 0
        async for _, line, _ in _entries(read, _Unreadable()):
            if piece is not None and ordinal >= piece.ordinal:
                if piece is intact[due]:
                    yield line
                else:
                    waiting.setdefault(piece.first, spool.tell())
                    spool.write(line)
                if ordinal + 1 == piece.end:
                    due += piece is intact[due]
                    piece = next(by_place, None)
                    while due < len(intact) and intact[due].first in waiting:
                        behind = spool.tell()
                        spool.seek(waiting.pop(intact[due].first))
                        for _ in range(len(intact[due])):
                            yield spool.readline()
                        spool.seek(behind)
                        due += 1
            ordinal += 1
