"""
How far a journal was read and what it had folded up to there; and the step that makes it longer.

Looking again costs what was added since; every doubt is settled by reading from the beginning.
Reader and lease share one tail, so that a writer never reads its own entries back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from shplan.core import chain
from shplan.core.chain import EMPTY, Head
from shplan.core.diagnostic import Diagnostic
from shplan.core.entry import EntryDraft, Event, LedgerEntry
from shplan.core.errors import LedgerError
from shplan.core.fold import Fold
from shplan.core.line import decode
from shplan.core.value import JsonValue
from shplan.ledger.known import Known, other_origin
from shplan.ledger.port import Backend, Clock, Mark, MarkLostError
from shplan.ledger.reading import Reading, complaint, read

# A journal that has grown by this is worth a checkpoint; reading it takes a fifth of a second.
CHECKPOINT_BYTES: Final = 4 * 2**20


class Tail:
    """
    The end of one journal.

    Args:
        backend: where the lines lie
        clock: for the time of entries
        actor: who writes
        origin: whose ledger it is, for the first entry of a new one
        own_only: refuse one that says it is somebody else's

    Attributes:
        turn: of whoever reads or writes: where that takes time, others would see half of it
        checkpoint_bytes: by how much a journal has to grow before a checkpoint is made of it
    """

    def __init__(
        self,
        backend: Backend,
        *,
        clock: Clock,
        actor: Mapping[str, str],
        origin: Mapping[str, str] | None = None,
        own_only: bool = False,
        checkpoint_bytes: int = CHECKPOINT_BYTES,
    ) -> None:
        self.backend = backend
        self.clock = clock
        self.actor = dict(actor)
        self.origin = dict(origin or {})
        self._own_only = own_only
        self.turn = asyncio.Lock()
        self._checkpoint_bytes = checkpoint_bytes
        self._known: Known | None = None
        self._left: tuple[Head, Mark | None] | None = None

    async def head(self) -> Head:
        """Read up to the end and return it."""
        async with self.turn:
            known, _ = await self._read_up()
            return known.head

    async def fold(self, deployment: str) -> Fold:
        """Read up to the end and return the fold of one deployment."""
        async with self.turn:
            known, _ = await self._read_up()
            return known.fold(deployment)

    async def prepare(self) -> Head:
        """As the only writer: read what others wrote, repair what a crash left behind."""
        async with self.turn:
            return await self._prepare()

    async def _prepare(self) -> Head:
        known, reading = await self._read_up()
        if reading.verdict.torn_bytes or (reading.acknowledged or EMPTY) != known.head:
            await self.backend.repair(known.end, known.head)
        return known.head

    async def append(self, drafts: Sequence[EntryDraft], *, fence: int) -> tuple[LedgerEntry, ...]:
        """
        Write entries behind the end that `prepare` or the last `append` left.

        Whoever calls has the `turn`.
        """
        known = self._known
        if known is None:
            await self._read_up()
            return await self.append(drafts, fence=fence)
        added = drafts if known.head != EMPTY else (self._genesis(), *drafts)
        entries, lines, head = chain.append(
            known.head, added, fence=fence, time=instant(self.clock.now()), actor=self.actor
        )
        # What nobody could read again is not written; and it is folded as every other reader will
        # see it, so that two folds of one journal are the same bytes.
        as_read = [decode(line) for line in lines]
        known.end = await self.backend.append(lines, expected=known.head, head=head)
        known.head = head
        known.unsaved_bytes += sum(map(len, lines))
        for entry in as_read:
            known.take(entry)
        return entries[len(added) - len(drafts) :]

    def _genesis(self) -> EntryDraft:
        # A ledger that lies where another one belongs is whole; only this tells.
        return EntryDraft(Event.GENESIS, data=dict[str, JsonValue](self.origin))

    async def save(self, *, fence: int) -> None:
        """
        As the only writer: make a checkpoint if the journal has grown enough.

        What vouches for it is written first: a machine that stops in between leaves the old one.
        Growing as much as the last one is long, before the next, keeps the sum of all linear.
        Whoever calls has the `turn`.
        """
        known = self._known
        if known is None or known.end is None:
            return
        if known.unsaved_bytes < max(self._checkpoint_bytes, known.saved_bytes):
            return
        from shplan.ledger import checkpoint  # noqa: PLC0415 - most journals are short

        content = checkpoint.encode(known)
        # A shortcut that could not be made is no reason to call a finished work failed.
        with contextlib.suppress(LedgerError):
            await self.append([checkpoint.draft(content)], fence=fence)
            await self.backend.keep_checkpoint(content)
            known.unsaved_bytes, known.saved_bytes = 0, len(content)

    def leave(self) -> None:
        """Remember the end: what is behind it from now on was written by others."""
        if self._known is not None:
            self._left = (self._known.head, self._known.end)

    async def others(self) -> tuple[LedgerEntry, ...]:
        """
        Return what is behind the end that was left.

        Raises:
            LedgerError: what was left there is not there any more
        """
        found: list[LedgerEntry] = []
        head, end = (EMPTY, None) if self._left is None else self._left
        try:
            async with self.turn:
                reading = await read(self.backend, found.append, head=head, start=end)
        except MarkLostError as error:
            msg = (
                f"the ledger {self.backend.name} is not the one that was written here before; "
                "was it recovered, or put back from a copy?"
            )
            raise LedgerError(msg) from error
        if reading.verdict.damage is not None:
            raise complaint(self.backend, reading, reading.verdict.damage)
        return tuple(found)

    def forget(self) -> None:
        """Read from the beginning next time."""
        self._known = None

    async def _read_up(self) -> tuple[Known, Reading]:
        known, reading = await self._read_anything()
        whose = other_origin(known.origin or {}, self.origin) if self._own_only else ""
        if whose:
            raise _foreign(self.backend.name, whose, self.origin)
        return known, reading

    async def _read_anything(self) -> tuple[Known, Reading]:
        known, self._known = self._known, None
        if known is not None:
            reading = await self._read_on(known)
            if reading is not None:
                self._known = known
                return known, reading
        else:
            shortcut = await self._read_from_checkpoint()
            if shortcut is not None:
                self._known, _ = shortcut
                return shortcut
        fresh = Known()
        reading = await read(self.backend, fresh.take)
        if reading.verdict.damage is not None:
            raise complaint(self.backend, reading, reading.verdict.damage)
        _advance(fresh, reading)
        self._known = fresh
        return fresh, reading

    async def _read_on(self, known: Known) -> Reading | None:
        """Read what was added; None when only reading from the beginning can tell."""
        if known.end is None:
            return None
        try:
            reading = await read(self.backend, known.take, head=known.head, start=known.end)
        except MarkLostError:
            return None
        if reading.verdict.damage is not None:
            return None
        _advance(known, reading)
        return reading

    async def _read_from_checkpoint(self) -> tuple[Known, Reading] | None:
        """Start at the checkpoint; None when there is none, or none that the journal vouches for."""
        try:
            content = await self.backend.checkpoint()
        except LedgerError:
            return None
        if content is None:
            return None
        from shplan.ledger import checkpoint  # noqa: PLC0415 - most journals are short

        known = checkpoint.decode(content)
        if known is None or known.end is None:
            return None
        behind = _Behind(known)
        try:
            reading = await read(self.backend, behind.take, head=known.head, start=known.end)
        except MarkLostError:
            return None
        if reading.verdict.damage is not None or not checkpoint.vouches(behind.first, content):
            return None
        _advance(known, reading)
        return known, reading


class _Behind:
    """Folds what stands behind a checkpoint, and remembers the entry that must vouch for it."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self.first: LedgerEntry | None = None

    def take(self, entry: LedgerEntry) -> None:
        self.first = self.first or entry
        self._known.take(entry)


def _foreign(name: str, whose: str, ours: Mapping[str, str]) -> LedgerError:
    diagnostic = Diagnostic(
        code="ledger/foreign",
        summary="The ledger of somebody else",
        what=f"{name} is the ledger of {whose}; this is "
        f"{', '.join(f'{part} {value}' for part, value in ours.items())}.",
        why="What it records is theirs: it would be changed, and deleted, as if it were yours.",
        hint="give this environment a `ledger:` of its own. If it is yours and has another name by now, "
        "say under which it began: `ledgerOf: PROJECT/ENVIRONMENT` beside `ledger:`",
    )
    return LedgerError(f"{diagnostic.what} {diagnostic.why}", diagnostics=(diagnostic,))


def _advance(known: Known, reading: Reading) -> None:
    known.head, known.end = reading.verdict.head, reading.end
    known.unsaved_bytes += reading.read_bytes


def instant(moment: datetime) -> str:
    """Print an instant as ISO 8601 in UTC, with milliseconds."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"
