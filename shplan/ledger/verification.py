"""
The whole proof of a ledger: every line from the first on, the anchors, and its checkpoint.

It starts at no checkpoint and trusts none: it folds the entries again and compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shplan.core.anchors import Anchor, Finding, Watch
from shplan.core.chain import Damage, Head
from shplan.core.entry import Event, LedgerEntry
from shplan.core.errors import LedgerError
from shplan.core.frozen import dataclass
from shplan.ledger import checkpoint
from shplan.ledger.checkpoint import CheckpointState
from shplan.ledger.known import Known, other_origin
from shplan.ledger.port import Backend
from shplan.ledger.reading import read


@dataclass(frozen=True, slots=True)
class Report:
    """
    What `verify` found.

    Args:
        entries: number of intact entries before the first damage
        segments: number of segments
        end: the last intact entry
        damage: the first damage, or None
        place: file and line of it, or the head file, or empty
        torn_bytes: length of an unfinished last line, which the next writer cuts off
        head_kept: there is a head beside the journal, against which a cut tail is found
        head_behind: entries behind that head, which a power cut can leave
        anchors: what became of each anchor
        checkpoint: whether there is one, and whether it is what the entries come to
        flaws: what lies beside all that and is not as it was written
        origin: whose ledger it says it is, if that is not whose it should be
    """

    entries: int
    segments: int
    end: Head
    damage: Damage | None
    place: str
    torn_bytes: int
    head_kept: bool = True
    head_behind: int = 0
    anchors: tuple[Finding, ...] = ()
    checkpoint: CheckpointState = CheckpointState.NONE
    flaws: tuple[str, ...] = ()
    origin: str = ""

    @property
    def head(self) -> str:
        """The hash of the last intact entry."""
        return self.end.hash

    @property
    def proven(self) -> bool:
        """Nothing was changed, every anchor is met, and no reader is misled."""
        anchored = all(one.met for one in self.anchors)
        misled = self.checkpoint in (CheckpointState.WRONG, CheckpointState.ALTERED)
        foreign = bool(self.flaws or self.origin)
        return self.damage is None and anchored and not misled and not foreign


async def verify(
    backend: Backend, anchors: Iterable[Anchor] = (), *, origin: Mapping[str, str]
) -> Report:
    """
    Read everything anew and say what is there; damage is an answer, not an error.

    Args:
        anchors: heads that were written down elsewhere
        origin: whose ledger it should be

    Raises:
        LedgerError: it cannot be read at all
    """
    watch = Watch(anchors)
    comparison = _Comparison(await _checkpoint(backend))
    begun: list[LedgerEntry] = []

    def take(entry: LedgerEntry) -> None:
        watch.take(entry)
        comparison.take(entry)
        if entry.draft.event is Event.GENESIS:
            begun.append(entry)

    reading = await read(backend, take)
    end, damage, kept = reading.verdict.head, reading.verdict.damage, reading.acknowledged
    return Report(
        entries=end.sequence + 1,
        segments=len(reading.segments),
        end=end,
        damage=damage,
        place="" if damage is None else reading.place(damage, backend),
        torn_bytes=reading.verdict.torn_bytes,
        head_kept=kept is not None,
        head_behind=0 if kept is None else max(end.sequence - kept.sequence, 0),
        anchors=watch.findings(end),
        checkpoint=comparison.state(is_whole=damage is None),
        flaws=tuple(await backend.flaws()),
        origin=other_origin(begun[0].draft.data, origin) if begun else "",
    )


async def _checkpoint(backend: Backend) -> bytes | None:
    try:
        return await backend.checkpoint()
    except LedgerError:
        # As for every reader: what cannot be read is not used.
        return b""


class _Comparison:
    """Folds the entries up to a checkpoint again, and compares."""

    def __init__(self, content: bytes | None) -> None:
        # Whoever wrote one had an entry vouch for it first: without that it is not what they wrote.
        self._state = CheckpointState.ALTERED if content else CheckpointState.NONE
        self._content = content or b""
        self._saved = checkpoint.decode(self._content)
        self._known = Known()
        self._fence = 0

    def state(self, *, is_whole: bool) -> CheckpointState:
        """Return the judgement; of entries that were read to their end, or to the first damage."""
        if self._state is CheckpointState.ALTERED and not is_whole:
            return CheckpointState.UNUSED
        return self._state

    def take(self, entry: LedgerEntry) -> None:
        if self._state is CheckpointState.ALTERED and checkpoint.vouches(entry, self._content):
            self._state = CheckpointState.UNUSED
        saved = self._saved
        if saved is None:
            return
        if entry.sequence <= saved.head.sequence:
            self._known.take(entry)
            self._fence = entry.fence
            return
        self._saved = None
        if entry.previous == saved.head.hash and checkpoint.vouches(entry, self._content):
            self._state = self._judged(saved, entry)

    def _judged(self, saved: Known, behind: LedgerEntry) -> CheckpointState:
        known, self._known = self._known, Known()
        # Where the place is wrong, a reader finds no chain there and begins at the beginning.
        known.head, known.end = Head(behind.sequence - 1, self._fence, behind.previous), saved.end
        same = checkpoint.encode(known) == self._content
        return CheckpointState.GOOD if same else CheckpointState.WRONG
