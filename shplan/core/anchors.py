"""
Anchors: heads of a ledger that were written down elsewhere, and whether it still has them.

A chain proves that nothing inside it was changed, not that it still reaches as far as it once did:
whoever rolls back the ledger and its head together leaves a chain that is whole. A head in a saved
plan, in the output of CI or under a signature lies where that person does not write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from shplan.core.chain import EMPTY, Head
from shplan.core.entry import Event, LedgerEntry
from shplan.core.frozen import dataclass

_ANCHOR: Final = re.compile(
    r"(?:ledger head )?(?:(?P<sequence>[0-9]{1,18}):)?(?:sha256:)?(?P<hex>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Anchor:
    """
    A head that a ledger had.

    Args:
        hash: of the entry, `sha256:` and 64 hex digits
        sequence: number of the entry, None where only its hash was written down
        source: where it was written down, for people
    """

    hash: str
    sequence: int | None = None
    source: str = ""

    @classmethod
    def parse(cls, text: str, *, source: str = "") -> Anchor:
        """
        Read `412:ab12...`, or the line that commands print it in, or a hash alone, as saved plans have.

        Raises:
            ValueError: it is neither
        """
        match = _ANCHOR.fullmatch(text.strip())
        if match is None:
            msg = f"{text!r} is no head of a ledger; write SEQUENCE:HASH, with 64 hex digits"
            raise ValueError(msg)
        number = match["sequence"]
        return cls(f"sha256:{match['hex']}", None if number is None else int(number), source)

    def __str__(self) -> str:
        number = "" if self.sequence is None else f"{self.sequence}:"
        return number + self.hash.removeprefix("sha256:")


def printed_head(head: Head) -> str:
    """Return a head as commands print it, and as `Anchor.parse` reads it."""
    return str(Anchor(head.hash, head.sequence))


@dataclass(frozen=True, slots=True)
class Finding:
    """
    Whether the ledger has an anchored head.

    Args:
        met: it does
        what: where it stands, or what is there instead: one sentence for people
    """

    anchor: Anchor
    met: bool
    what: str


class Watch:
    """Looks out for anchored heads while entries go by; constant memory."""

    __slots__ = ("_anchors", "_at", "_hashes", "_instead", "_numbers", "_recovered")

    def __init__(self, anchors: Iterable[Anchor]) -> None:
        self._anchors = tuple(anchors)
        self._hashes = {one.hash for one in self._anchors}
        self._numbers = {one.sequence for one in self._anchors if one.sequence is not None}
        self._at: dict[str, int] = {EMPTY.hash: EMPTY.sequence}
        self._instead: dict[int, str] = {}
        self._recovered: dict[str, int] = {}

    def take(self, entry: LedgerEntry) -> None:
        """See an entry, and by its link the hash of the one before."""
        self._see(entry.sequence - 1, entry.previous)
        if entry.draft.event is Event.RECOVER:
            self._recovered[str(entry.draft.data.get("head"))] = entry.sequence

    def findings(self, end: Head) -> tuple[Finding, ...]:
        """
        Say what became of each anchor.

        Args:
            end: of the intact part of the ledger
        """
        self._see(end.sequence, end.hash)
        return tuple(self._finding(one, end) for one in self._anchors)

    def _see(self, sequence: int, found: str) -> None:
        if found in self._hashes:
            self._at[found] = sequence
        if sequence in self._numbers:
            self._instead[sequence] = found

    def _finding(self, anchor: Anchor, end: Head) -> Finding:
        at = self._at.get(anchor.hash)
        if at is not None and anchor.sequence in (None, at):
            what = f"it is entry {at}" if at >= 0 else "the ledger was empty then"
            return Finding(anchor, met=True, what=what)
        return Finding(anchor, met=False, what=self._missing(anchor, at, end))

    def _missing(self, anchor: Anchor, at: int | None, end: Head) -> str:
        if anchor.hash in self._recovered:
            return (
                f"it was the head of a damaged ledger, from whose intact entries "
                f"entry {self._recovered[anchor.hash]} begins this one"
            )
        if at is not None:
            return f"that hash is of entry {at}"
        if anchor.sequence is not None and anchor.sequence in self._instead:
            return f"entry {anchor.sequence} is another one now"
        last = "it is empty" if end.sequence < 0 else f"it ends with entry {end.sequence}"
        if anchor.sequence is not None:
            return f"the ledger does not reach entry {anchor.sequence}: {last}"
        return f"the ledger has no such entry: {last}"
