"""
How far a journal was read and what it had folded up to there; and the step that makes it longer.

Looking again costs what was added since; every doubt is settled by reading from the beginning.
Reader and lease share one tail, so that a writer never reads its own entries back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shplan.core import chain
from shplan.core.chain import EMPTY, Head
from shplan.core.entry import EntryDraft, Event, LedgerEntry
from shplan.core.errors import LedgerError
from shplan.core.fold import Fold
from shplan.ledger.port import Backend, Clock, Mark, MarkLostError
from shplan.ledger.reading import Reading, complaint, read


@dataclass(slots=True)
class _Known:
    """
    The end as it was read, and the folds up to there, by deployment.

    Every deployment is folded while the lines go by: who asks for the head of a journal asks for
    a fold next, and a second reading would cost as much as the first.
    """

    head: Head = EMPTY
    end: Mark | None = None
    folds: dict[str, Fold] = field(default_factory=dict)

    def take(self, entry: LedgerEntry) -> None:
        self.fold(entry.draft.deployment).add(entry)

    def fold(self, deployment: str) -> Fold:
        found = self.folds.get(deployment)
        if found is None:
            found = self.folds[deployment] = Fold(deployment)
        return found


class Tail:
    """
    The end of one journal.

    Args:
        backend: where the lines lie
        clock: for the time of entries
        actor: who writes

    Attributes:
        turn: of whoever reads or writes: where that takes time, others would see half of it
    """

    def __init__(self, backend: Backend, *, clock: Clock, actor: Mapping[str, str]) -> None:
        self.backend = backend
        self.clock = clock
        self.actor = dict(actor)
        self.turn = asyncio.Lock()
        self._known: _Known | None = None
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
        added = drafts if known.head != EMPTY else (EntryDraft(Event.GENESIS), *drafts)
        entries, lines, head = chain.append(
            known.head, added, fence=fence, time=instant(self.clock.now()), actor=self.actor
        )
        known.end = await self.backend.append(lines, expected=known.head, head=head)
        known.head = head
        for entry in entries:
            known.take(entry)
        return entries[len(added) - len(drafts) :]

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

    async def _read_up(self) -> tuple[_Known, Reading]:
        known, self._known = self._known, None
        if known is not None:
            reading = await self._read_on(known)
            if reading is not None:
                self._known = known
                return known, reading
        fresh = _Known()
        reading = await read(self.backend, fresh.take)
        if reading.verdict.damage is not None:
            raise complaint(self.backend, reading, reading.verdict.damage)
        fresh.head, fresh.end = reading.verdict.head, reading.end
        self._known = fresh
        return fresh, reading

    async def _read_on(self, known: _Known) -> Reading | None:
        """Read what was added; None when only reading from the beginning can tell."""
        if known.end is None:
            return None
        try:
            reading = await read(self.backend, known.take, head=known.head, start=known.end)
        except MarkLostError:
            return None
        if reading.verdict.damage is not None:
            return None
        known.head, known.end = reading.verdict.head, reading.end
        return reading


def instant(moment: datetime) -> str:
    """Print an instant as ISO 8601 in UTC, with milliseconds."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"
