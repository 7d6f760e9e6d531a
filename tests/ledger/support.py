"""A clock to turn by hand, a file system that fails on demand, and short names for entries."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from shplan.core.address import Address
from shplan.core.entry import EntryDraft, Event, LedgerEntry, Result, Settlement
from shplan.ledger.backends.directory import DirectoryBackend
from shplan.ledger.backends.files import Files
from shplan.ledger.journal import Journal
from shplan.ledger.port import Mark, Segment
from shplan.ledger.tail import CHECKPOINT_BYTES

T = TypeVar("T")
HERE = "sandbox:1"
FIELDS = Address("ByocCollection", "fields")


def run(work: Coroutine[object, object, T]) -> T:
    return asyncio.run(work)


class HandClock:
    """Starts at a fixed instant; sleeping turns it."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    def now(self) -> datetime:
        return datetime(2025, 6, 1, 10, tzinfo=UTC) + timedelta(seconds=self.slept_s)

    def monotonic(self) -> float:
        return self.slept_s

    async def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        await asyncio.sleep(0)


class PowerCutError(BaseException):
    """The machine stops."""


class CountedFiles(Files):
    """
    Fails at the n-th step, counted over everything that changes the disk.

    A power cut writes half of what it was asked to write, and nothing works after it; a full disk
    does the same and goes on.
    """

    def __init__(
        self, fail_at: int | None = None, error: type[BaseException] = PowerCutError
    ) -> None:
        self.steps: list[str] = []
        self.fail_at = fail_at
        self.error = error
        self.dead = False

    def step(self, name: str) -> None:
        if self.dead:
            raise PowerCutError
        self.steps.append(name)
        if self.fail_at == len(self.steps) - 1:
            self.dead = self.error is PowerCutError
            raise self.error(28, "No space left on device")

    def make_directory(self, path: Path) -> None:
        self.step("make_directory")
        super().make_directory(path)

    def write(self, descriptor: int, content: bytes) -> None:
        try:
            self.step("write")
        except BaseException:
            os.write(descriptor, content[: len(content) // 2])
            raise
        super().write(descriptor, content)

    def sync(self, descriptor: int) -> None:
        self.step("sync")
        super().sync(descriptor)

    def sync_directory(self, path: Path) -> None:
        self.step("name")
        super().sync_directory(path)

    def truncate(self, path: Path, size: int) -> None:
        self.step("truncate")
        super().truncate(path, size)

    def rename(self, source: Path, target: Path) -> None:
        self.step("rename")
        super().rename(source, target)

    def remove(self, path: Path) -> None:
        self.step("remove")
        super().remove(path)


class CountedReadings(DirectoryBackend):
    """Counts how often the lines are read from the beginning."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, name=".shplan/ledger")
        self.from_the_beginning = 0

    def segments(self, start: Mark | None) -> AsyncIterator[Segment]:
        self.from_the_beginning += start is None
        return super().segments(start)


def backend(path: Path, files: Files | None = None, **options: int) -> DirectoryBackend:
    return DirectoryBackend(path, name=".shplan/ledger", files=files, **options)


def journal(
    path: Path,
    files: Files | None = None,
    *,
    user: str = "ada",
    checkpoint_bytes: int = CHECKPOINT_BYTES,
    **options: int,
) -> Journal:
    return Journal(
        backend(path, files, **options),
        clock=HandClock(),
        actor={"user": user},
        checkpoint_bytes=checkpoint_bytes,
    )


def adopt(number: int, address: Address = FIELDS) -> EntryDraft:
    settlement = Settlement(Result.DONE, id=f"id-{number}")
    return EntryDraft(Event.ADOPT, address, deployment=HERE, settlement=settlement)


def intent(operation: str = "create", address: Address = FIELDS) -> EntryDraft:
    return EntryDraft(Event.INTENT, address, deployment=HERE, operation=operation)


async def write(ledger: Journal, *drafts: EntryDraft) -> tuple[LedgerEntry, ...]:
    async with ledger.lease(timeout_s=0) as lease:
        return await lease.append(drafts)


async def read(ledger: Journal) -> list[LedgerEntry]:
    return [entry async for entry in ledger.entries()]


def drafts_of(entries: list[LedgerEntry]) -> list[EntryDraft]:
    own = (Event.GENESIS, Event.RECOVER, Event.TAKEOVER)
    return [entry.draft for entry in entries if entry.draft.event not in own]


def content(path: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }
