"""
A ledger in a bucket: objects with lines, and a head that is written after them.

    lease.json                   who may write (`s3_lease.py`)
    probe.txt                    the store was asked to overwrite it, and refused
    1/head.json                  number, lease and hash of the last entry that is known to be kept
    1/entries/...                the lines (`parts.py`)
    1/checkpoint.json            what the entries up to one come to; readers check it
    2/...                        what a recovery made; 1/ stays as it was found

Each append is an object of its own, written only where there is none, so of two writers one wins.
The head is written over exactly the one that was read: whoever was overtaken meanwhile cannot. A
head that is behind is a writer that died in between; one that is ahead proves a cut.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Final

from shplan.core.chain import EMPTY, Head
from shplan.core.errors import DamagedLedgerError, LedgerError, StorageError
from shplan.ledger.backends import parts as layout
from shplan.ledger.backends import s3_head
from shplan.ledger.backends.s3_lease import TTL_S, S3Lease
from shplan.ledger.backends.s3_lines import Lines
from shplan.ledger.backends.settling import (
    NO_PATIENCE,
    Patience,
    demand_conditions,
    has_asked,
    put,
)
from shplan.ledger.port import HeadMovedError, Holder, LeaseLostError, Mark, Segment
from shplan.storage.objects import Found, Objects
from shplan.storage.port import ConditionError
from shplan.storage.threads import whole

FAN: Final = 64
_HEAD = "head.json"
_CHECKPOINT = "checkpoint.json"
_ENTRIES = "entries"
_PROBE = "probe.txt"
_CANNOT_READ = "read"
_CANNOT_WRITE = "written"


class S3Backend:
    """
    A ledger in a bucket; nothing is written before the first lease.

    Args:
        objects: the bucket
        prefix: of all keys, without slashes at its ends; empty: the whole bucket
        ttl_s: for how long a holder that is not heard of keeps the lease
        fan: how many small objects are put together into one
        pack_bytes: what is put together is no larger
        patience: with a store that does not answer an append
        monotonic: seconds of a clock that never jumps
    """

    private = False
    poll_s = 2.0

    def __init__(
        self,
        objects: Objects,
        prefix: str,
        *,
        ttl_s: float = TTL_S,
        fan: int = FAN,
        pack_bytes: int = layout.PACK_BYTES,
        patience: Patience = NO_PATIENCE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._objects = objects
        self._root = f"{prefix}/" if prefix else ""
        self._name = f"{objects.name}/{prefix}" if prefix else objects.name
        self._fan = fan
        self._pack_bytes = pack_bytes
        self._patience = patience
        self._lease = S3Lease(objects, f"{self._root}lease.json", monotonic=monotonic, ttl_s=ttl_s)
        # What leaves then is there before anybody takes over.
        self.sure_s = ttl_s / 2
        self._obeys = False
        self._folder = 0
        # The head as the holder of the lease first read it, or wrote it last, and its ETag.
        self._kept: tuple[Head | None, str | None] | None = None
        self._reach = -1
        self._loose = 0

    @property
    def name(self) -> str:
        """What messages call the ledger."""
        return self._name

    @property
    def head_name(self) -> str:
        """What messages call its head."""
        return f"{max(self._folder, 1)}/{_HEAD}"

    @property
    def fence(self) -> int:
        """Number of the lease that is held."""
        return self._lease.fence

    @property
    def dead(self) -> tuple[Holder, ...]:
        """Earlier holders who let their lease age, and of whom no entry tells yet."""
        return self._lease.dead

    async def head(self) -> Head | None:
        """
        Return the head, None where there is none yet.

        Raises:
            DamagedLedgerError: it is no head
            LedgerError: it cannot be read
        """
        with self._translated(_CANNOT_READ):
            self._folder = await self._newest_folder()
            found = await self._objects.get(self._head_key())
        try:
            place = f"{self._name}/{self.head_name}"
            head = None if found is None else s3_head.decode(found.content, place=place)
        except DamagedLedgerError:
            # Whoever recovers the ledger writes over this version.
            self._remember(None, found)
            raise
        self._remember(head, found)
        return head

    async def segments(self, start: Mark | None) -> AsyncIterator[Segment]:
        """
        Yield the objects in order, the first one from `start` on.

        Raises:
            MarkLostError: `start` is not there
        """
        lines = self._lines()
        with self._translated(_CANNOT_READ):
            async for segment in lines.read(start, reach=self._reach):
                yield segment
        self._loose = lines.loose

    async def acquire(self, holder: Holder) -> Holder | None:
        """
        Try once to become the only writer.

        Raises:
            LedgerError: the store ignores conditions, or cannot be written
        """
        with self._translated(_CANNOT_WRITE):
            if not self._obeys:
                await demand_conditions(self._objects, f"{self._root}{_PROBE}")
                self._obeys = True
            self._kept = None
            try:
                return await whole(self._lease.acquire(holder))
            except BaseException:
                await self.release()
                raise

    async def holder(self) -> Holder | None:
        """Return whose lease has not aged."""
        with self._translated(_CANNOT_READ):
            return await self._lease.holder()

    async def beat(self) -> None:
        """
        Write the lease again.

        Raises:
            LeaseLostError: somebody else has it
        """
        with self._translated(_CANNOT_WRITE):
            await whole(self._lease.beat())

    async def bury(self) -> None:
        """Forget the dead: entries tell of them now."""
        with self._translated(_CANNOT_WRITE):
            await whole(self._lease.bury())

    async def release(self) -> None:
        """Let others write; where nobody answers, the lease ages instead."""
        await whole(self._lease.release())

    async def repair(self, end: Mark | None, head: Head) -> None:
        """Cut off what follows `end`, and keep `head`."""
        if end is None:
            return
        with self._translated(_CANNOT_WRITE):
            await self._lease.refresh()
            await self._lines().cut(end)
            await whole(self._keep(head))

    async def append(self, lines: Sequence[bytes], *, expected: Head, head: Head) -> Mark:
        """
        Write an object with the lines, then the head; it comes to its end also when cancelled.

        Raises:
            HeadMovedError: somebody else wrote; nothing was written
            LeaseLostError: the lease is not ours any more
            LedgerError: it is unknown what was kept
        """
        with self._translated(_CANNOT_WRITE):
            return await whole(self._append(b"".join(lines), expected, head))

    async def replace(self, lines: AsyncIterator[bytes], head: Callable[[], Head]) -> str:
        """
        Write these lines into a folder of their own, which is the ledger from then on.

        The old folder stays as it was found. Its head is only written again, over itself, so that
        whoever has lost the lease and does not know it cannot write there any more.
        """
        with self._translated(_CANNOT_WRITE):
            await self._lease.refresh()
            return await whole(self._replace(lines, head))

    def _remember(self, head: Head | None, found: Found | None) -> None:
        self._reach = -1 if head is None else head.sequence
        if self._kept is None:
            self._kept = (head, None if found is None else found.etag)

    async def checkpoint(self) -> bytes | None:
        """Return what `keep_checkpoint` kept last, None where there is nothing."""
        with self._translated(_CANNOT_READ):
            self._folder = self._folder or await self._newest_folder()
            found = await self._objects.get(self._checkpoint_key())
        return None if found is None else found.content

    async def keep_checkpoint(self, content: bytes) -> None:
        """Keep a checkpoint in the place of the last, whole or not at all."""
        with self._translated(_CANNOT_WRITE):
            await self._lease.refresh()
            await whole(self._keep_checkpoint(content))

    async def flaws(self) -> Sequence[str]:
        """Say what beside lines, head and checkpoint is not as it was written."""
        with self._translated(_CANNOT_READ):
            self._folder = self._folder or await self._newest_folder()
            found = [*await self._lease.flaws(), *await self._lines().flaws()]
            if not await has_asked(self._objects, f"{self._root}{_PROBE}"):
                found.append(f"{_PROBE} is not what was written there")
        return found

    async def _keep_checkpoint(self, content: bytes) -> None:
        key = self._checkpoint_key()
        # Listed and not read: it can be long.
        there = {one.key: one.etag for one in await self._objects.list(key)}
        # Whoever else wrote one meanwhile vouches for it by an entry of their own.
        with contextlib.suppress(ConditionError):
            await put(self._objects, key, content, over=there.get(key))

    async def _append(self, content: bytes, expected: Head, head: Head) -> Mark:
        await self._lease.refresh(self._patience)
        if self._kept is None or (self._kept[0] or EMPTY) != expected:
            raise HeadMovedError(self._moved())
        name = layout.append_name(expected.sequence + 1)
        try:
            await put(
                self._objects,
                self._entry_key(name),
                content,
                over=None,
                patience=self._patience,
            )
        except ConditionError as error:
            # The head is read anew before this holder writes again.
            self._kept = None
            # Whoever wrote has most likely taken the lease over: then a beat says who that is.
            await self._lease.beat()
            raise HeadMovedError(self._moved()) from error
        await self._keep(head)
        self._loose += 1
        if self._loose >= self._fan:
            # The lines are kept already: what is not put together now is so the next time.
            with contextlib.suppress(StorageError, LedgerError):
                self._loose = 0
                await self._lease.refresh()
                await self._lines().merge()
        return Mark(name, len(content))

    async def _keep(self, head: Head) -> None:
        etag = None if self._kept is None else self._kept[1]
        try:
            etag = await put(
                self._objects,
                self._head_key(),
                s3_head.encode(head, token=self._lease.token),
                over=etag,
                patience=self._patience,
            )
        except ConditionError as error:
            self._lease.lose()
            msg = f"{self._moved()}; the lease is lost"
            raise LeaseLostError(msg) from error
        self._kept = (head, etag)

    async def _replace(self, lines: AsyncIterator[bytes], head: Callable[[], Head]) -> str:
        old, kept = self._folder, self._kept
        if kept is not None and kept[1] is not None:
            await self._shut(kept[1])
        # Whatever an attempt that died has left behind lies in a folder that nobody takes.
        new = max(old, *(await self._folders())) + 1
        beginning: list[bytes] = []
        async for first, chunk in _chunks(lines, self._pack_bytes):
            if first:
                await self._lease.refresh()
                await self._put_pack(new, first, chunk)
            else:
                beginning = chunk
        # Last: with its beginning a folder is the ledger.
        await self._put_pack(new, 0, beginning)
        self._folder, self._kept, self._loose = new, None, 0
        await self._keep(head())
        return f"{self._name}/{old}"

    async def _put_pack(self, folder: int, first: int, lines: Sequence[bytes]) -> None:
        name = layout.pack_name(first, first + len(lines) - 1, 1)
        key = f"{self._root}{folder}/{_ENTRIES}/{name}"
        await put(self._objects, key, b"".join(lines), over=None)

    async def _shut(self, etag: str) -> None:
        found = await self._objects.get(self._head_key())
        if found is None or found.etag != etag:
            self._lease.lose()
            raise LeaseLostError(self._moved())
        await put(self._objects, self._head_key(), found.content + b"\n", over=etag)

    async def _newest_folder(self) -> int:
        """Return the folder of the ledger: the last one that has a beginning, or a head."""
        for number in sorted(await self._folders(), reverse=True):
            if number == 1 or await self._begins(number):
                return number
        return 1

    async def _folders(self) -> list[int]:
        names = await self._objects.folders(self._root)
        return [1, *(int(name) for name in names if name.isascii() and name.isdigit())]

    async def _begins(self, number: int) -> bool:
        folder = f"{self._root}{number}/"
        names = {one.key.removeprefix(folder) for one in await self._objects.list(folder)}
        beginning = f"{_ENTRIES}/{0:020d}"
        return _HEAD in names or any(name.startswith(beginning) for name in names)

    def _lines(self) -> Lines:
        folder = f"{self._root}{max(self._folder, 1)}/{_ENTRIES}/"
        return Lines(self._objects, folder, fan=self._fan, pack_bytes=self._pack_bytes)

    def _head_key(self) -> str:
        return f"{self._root}{self.head_name}"

    def _checkpoint_key(self) -> str:
        return f"{self._root}{max(self._folder, 1)}/{_CHECKPOINT}"

    def _entry_key(self, name: str) -> str:
        return f"{self._root}{max(self._folder, 1)}/{_ENTRIES}/{name}"

    def _moved(self) -> str:
        return f"somebody else wrote to the ledger {self._name} while it was held here"

    @contextlib.contextmanager
    def _translated(self, verb: str) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            msg = f"the ledger {self._name} cannot be {verb}: {error}"
            raise LedgerError(msg) from error


async def _chunks(
    lines: AsyncIterator[bytes], most_bytes: int
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Yield runs of lines of limited size, each with the number of its first line."""
    first = number = size = 0
    chunk: list[bytes] = []
    async for line in lines:
        if chunk and size + len(line) > most_bytes:
            yield first, chunk
            first, chunk, size = number, [], 0
        chunk.append(line)
        size += len(line)
        number += 1
    if chunk:
        yield first, chunk
