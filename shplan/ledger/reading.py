"""
Reads a journal through its backend: follows the chain and remembers where each line lay.

What the chain is, is `core/chain.py`; what damage means to a person is said here, because only
here file and line are known.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace

from shplan.core.chain import EMPTY, Chain, Damage, DamageKind, Head, Verdict
from shplan.core.diagnostic import Diagnostic
from shplan.core.entry import LedgerEntry
from shplan.core.errors import DamagedLedgerError, LedgerError
from shplan.ledger.port import Backend, Mark

_AT_THE_HEAD = (DamageKind.CUT, DamageKind.HEAD)
RECOVER_HINT = (
    "run `shplan ledger verify` for the details; `shplan ledger recover` sets the ledger aside "
    "whole and starts a new one from its intact entries"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What was found between a beginning and the end of the journal.

    Args:
        verdict: the chain's
        end: the place behind the last intact line, None for a journal without segments
        acknowledged: the head that was kept
        segments: name and number of the first line of each segment, counted over all
        read_bytes: length of the intact lines
    """

    verdict: Verdict
    end: Mark | None
    acknowledged: Head | None
    segments: tuple[tuple[str, int], ...]
    read_bytes: int = 0

    def place(self, damage: Damage, backend: Backend) -> str:
        """Return `file:line` of a damage; a cut leaves no line, so the head file stands for it."""
        if damage.kind in _AT_THE_HEAD or not self.segments:
            return backend.head_name
        starts = [start for _, start in self.segments]
        name, start = self.segments[max(bisect_right(starts, damage.line) - 1, 0)]
        return f"{name}:{damage.line - start + 1}"


async def read(
    backend: Backend,
    take: Callable[[LedgerEntry], None],
    *,
    head: Head = EMPTY,
    start: Mark | None = None,
) -> Reading:
    """
    Read to the end, hand each intact entry to `take`, and judge.

    Args:
        backend: where the lines lie
        take: is handed each entry
        head: the last entry of an earlier reading
        start: where that ended
    """
    # The head first: a writer that appends meanwhile can only make the journal longer than it.
    acknowledged, unreadable = await _head(backend)
    chain = Chain(head, acknowledged=acknowledged)
    segments: list[tuple[str, int]] = []
    end = start
    total = read_bytes = 0
    async for segment in backend.segments(start):
        segments.append((segment.name, total))
        begun = start.offset if start is not None and start.segment == segment.name else 0
        if not begun:
            chain.begin_segment(segment.first)
        offset = begun
        for line in segment.lines:
            total += 1
            entry = chain.feed(line)
            if entry is not None:
                offset += len(line)
                take(entry)
        end = Mark(segment.name, offset)
        read_bytes += offset - begun
    verdict = chain.finish()
    if verdict.damage is None and unreadable is not None:
        damage = Damage(DamageKind.HEAD, verdict.head.sequence, 0, str(unreadable))
        verdict = replace(verdict, damage=damage)
    return Reading(verdict, end, acknowledged, tuple(segments), read_bytes)


async def _head(backend: Backend) -> tuple[Head | None, DamagedLedgerError | None]:
    try:
        return await backend.head(), None
    except DamagedLedgerError as error:
        return None, error


def complaint(backend: Backend, reading: Reading, damage: Damage) -> LedgerError:
    """Return the error that names entry, file and line."""
    file = reading.place(damage, backend)
    if damage.kind is DamageKind.NEWER:
        msg = f"the ledger {backend.name} cannot be read ({file}): {damage.what}"
        return LedgerError(msg)
    diagnostic = Diagnostic(
        code="ledger/damaged",
        summary="The ledger is damaged",
        what=f"{backend.name}/{file}: {damage.what}.",
        why="Entries are chained by their hashes; what does not fit is not what shplan wrote.",
        hint=RECOVER_HINT,
    )
    msg = f"the ledger {backend.name} is damaged ({file}): {damage.what}; {RECOVER_HINT}"
    return DamagedLedgerError(msg, diagnostics=(diagnostic,))
