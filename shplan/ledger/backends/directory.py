"""
A ledger in a directory: segments of lines, and a head file that is written after them.

    00000000.jsonl   the entries from number 0, 00000412.jsonl those from 412, ...
    head.json        number, lease and hash of the last entry that is known to be on the disk
    lock             locked by the operating system while somebody may write
    holder.json      who that is, for the others' message; left behind, it tells that one died
    checkpoint.json  what the entries up to one of them come to, so that a reader may start there
    damaged-1/       what a recovery set aside

A power cut between lines and head leaves a head that is behind, never one that is ahead, so a head
that is ahead proves a cut.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from shplan.core.chain import EMPTY, Head
from shplan.core.errors import DamagedLedgerError, LedgerError
from shplan.ledger.backends import holders
from shplan.ledger.backends.directory_recovery import Recovery
from shplan.ledger.backends.files import Files
from shplan.ledger.backends.lock import FileLock, lives
from shplan.ledger.port import HeadMovedError, Holder, Mark, MarkLostError, Segment

SEGMENT_BYTES: Final = 32 * 2**20
_SEGMENT = re.compile(r"[0-9]{8,18}\.jsonl")
_HEAD = "head.json"
_HEAD_FORMAT = 1
_HOLDER = "holder.json"
_CHECKPOINT = "checkpoint.json"
_LOCK = "lock"


class _HeadFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    fence: int
    hash: str
    sequence: int
    v: int


class _HeadVersion(msgspec.Struct, frozen=True):
    v: int


class DirectoryBackend:
    """
    A ledger in a directory; nothing is created before the first lease.

    Args:
        path: the directory
        name: what messages call it; the path by default
        segment_bytes: a segment that has grown to this is followed by another
        files: the file system
    """

    private = True
    poll_s = 0.1
    # The operating system takes no lock away from who lives.
    sure_s = math.inf

    def __init__(
        self,
        path: Path,
        *,
        name: str = "",
        segment_bytes: int = SEGMENT_BYTES,
        files: Files | None = None,
    ) -> None:
        self._path = path
        self._name = name or path.as_posix()
        self._segment_bytes = segment_bytes
        self._files = Files() if files is None else files
        self._lock = FileLock(path / _LOCK)
        self._recovery = Recovery(path, self._files, segment_bytes=segment_bytes)
        self._end: Mark | None = None
        self._me: Holder | None = None
        self._dead: tuple[Holder, ...] = ()

    @property
    def fence(self) -> int:
        """The operating system's lock has no number: that of the last entry counts."""
        return 0

    @property
    def dead(self) -> tuple[Holder, ...]:
        """Earlier holders whose lock ended with them, and of whom no entry tells yet."""
        return self._dead

    @property
    def name(self) -> str:
        """What messages call the ledger."""
        return self._name

    @property
    def head_name(self) -> str:
        """What messages call its head."""
        return _HEAD

    async def head(self) -> Head | None:
        """
        Return the head file, None where there is none yet.

        Raises:
            DamagedLedgerError: it is no head
            LedgerError: it cannot be read, or a recovery was interrupted
        """
        with self._reading():
            if self._recovery.is_interrupted:
                msg = (
                    f"a recovery of the ledger {self._name} was interrupted; "
                    "run `shplan ledger recover` to finish it"
                )
                raise LedgerError(msg)
            return self._read_head()

    async def segments(self, start: Mark | None) -> AsyncIterator[Segment]:
        """
        Yield the segments in order, the first one from `start` on.

        Raises:
            MarkLostError: `start` is not there
        """
        names = self._segment_names()
        if start is not None:
            if start.segment not in names or self._size(start.segment) < start.offset:
                raise MarkLostError
            names = names[names.index(start.segment) :]
        for name in names:
            offset = start.offset if start is not None and start.segment == name else 0
            yield Segment(name, self._lines(name, offset), _first_sequence(name))

    async def acquire(self, holder: Holder) -> Holder | None:
        """Try once to become the only writer; a recovery that was interrupted is finished."""
        with self._writing():
            self._files.make_directory(self._path)
            if not self._lock.acquire():
                return self._holder()
            try:
                self._dead = holders.left_behind(self._signed())
                self._sign(holders.sign(holder, self._dead))
                self._recovery.finish()
            except BaseException:
                self._lock.release()
                raise
            self._end = None
            self._me = holder
            return None

    async def holder(self) -> Holder | None:
        """Return who signed last, unless it was a process of this machine that has died."""
        signature = self._signed()
        if signature is None or self._me is not None:
            return self._me
        # To try the lock would keep out, for a moment, who wants to work.
        return signature.holder if lives(signature.holder) else None

    async def beat(self) -> None:
        """The operating system's lock lives as long as its holder."""

    async def bury(self) -> None:
        """Forget the dead: entries tell of them now."""
        with self._writing():
            if self._dead and self._me is not None:
                self._sign(holders.sign(self._me))
            self._dead = ()

    async def release(self) -> None:
        """Let others write; the dead of whom no entry tells yet are left to the next holder."""
        if self._me is not None:
            with contextlib.suppress(OSError):
                left = holders.testament(self._dead)
                if left is None:
                    self._files.remove(self._path / _HOLDER)
                else:
                    self._sign(left)
            self._me, self._dead = None, ()
        self._lock.release()

    async def repair(self, end: Mark | None, head: Head) -> None:
        """Cut off what follows `end`, make sure that the rest is on the disk, and keep `head`."""
        if end is None:
            return
        with self._writing():
            path = self._path / end.segment
            if path.stat().st_size > end.offset:
                self._files.truncate(path, end.offset)
            self._files.sync_file(path)
            self._files.sync_directory(self._path)
            self._write_head(self._path, head)
            self._end = end

    async def append(self, lines: Sequence[bytes], *, expected: Head, head: Head) -> Mark:
        """
        Write lines, then the head: two syncs, however many lines. It never suspends.

        The head's new name is not synced: a power cut can only leave a head that is behind.

        Raises:
            HeadMovedError: somebody else wrote
            LedgerError: the disk refused; what was kept is then decided by the next reader
        """
        with self._writing():
            if (self._read_head() or EMPTY) != expected:
                raise HeadMovedError(self._moved())
            end = self._place(expected)
            content = b"".join(lines)
            self._write_lines(end, content)
            self._end = None
            self._write_head(self._path, head)
            self._end = Mark(end.segment, end.offset + len(content))
            return self._end

    async def replace(self, lines: AsyncIterator[bytes], head: Callable[[], Head]) -> str:
        """Set everything aside whole, put these lines in its place, and say where it went."""
        with self._writing():
            fresh = await self._recovery.write(lines, _named)
            self._write_head(fresh, head())
            aside = self._recovery.exchange((*self._segment_names(), _HEAD, _CHECKPOINT))
            self._end = None
            return f"{self._name}/{aside}"

    async def checkpoint(self) -> bytes | None:
        """Return what `keep_checkpoint` kept last, None where there is nothing."""
        with self._reading():
            try:
                return (self._path / _CHECKPOINT).read_bytes()
            except FileNotFoundError:
                return None

    async def keep_checkpoint(self, content: bytes) -> None:
        """Keep a checkpoint in the place of the last, whole or not at all."""
        with self._writing():
            self._files.replace_content(self._path / _CHECKPOINT, content)

    async def flaws(self) -> Sequence[str]:
        """Say what beside lines and head is not as it was written."""
        with self._reading():
            try:
                content = (self._path / _HOLDER).read_bytes()
            except FileNotFoundError:
                return ()
        # It is not synced: a power cut leaves its name, and nothing in it.
        if holders.signed(content) is None and content.strip(b"\0"):
            return (f"{_HOLDER} does not say as it was written who holds the ledger",)
        return ()

    def _read_head(self) -> Head | None:
        try:
            content = (self._path / _HEAD).read_bytes()
        except FileNotFoundError:
            return None
        try:
            version = msgspec.json.decode(content, type=_HeadVersion).v
            if version > _HEAD_FORMAT:
                msg = (
                    f"the file {self._name}/{_HEAD} has format {version} and this shplan knows "
                    f"{_HEAD_FORMAT}: it was written by a newer shplan"
                )
                raise LedgerError(msg)
            record = msgspec.json.decode(content, type=_HeadFile)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            msg = f"the file {self._name}/{_HEAD} is not the head of a ledger: {error}"
            raise DamagedLedgerError(msg) from error
        if version != _HEAD_FORMAT or content != _head_line(record):
            # It says the same in other bytes: shplan did not write them.
            msg = f"the file {self._name}/{_HEAD} is not as shplan writes it"
            raise DamagedLedgerError(msg)
        return Head(record.sequence, record.fence, record.hash)

    def _write_head(self, directory: Path, head: Head) -> None:
        record = _HeadFile(head.fence, head.hash, head.sequence, _HEAD_FORMAT)
        self._files.replace_content(directory / _HEAD, _head_line(record))

    def _holder(self) -> Holder:
        signature = self._signed()
        # It took the lock a moment ago and has not yet said who it is.
        return holders.UNKNOWN if signature is None else signature.holder

    def _signed(self) -> holders.Signature | None:
        try:
            return holders.signed((self._path / _HOLDER).read_bytes())
        except OSError:
            return None

    def _sign(self, content: bytes) -> None:
        # Not synced: it informs, and is believed only by who tried the lock. By its name at once:
        # half a file would hide that somebody died.
        draft = self._path / f"{_HOLDER}.new"
        draft.write_bytes(content)
        draft.replace(self._path / _HOLDER)

    def _segment_names(self) -> list[str]:
        with self._reading():
            try:
                names = [path.name for path in self._path.iterdir()]
            except FileNotFoundError:
                return []
        return sorted(filter(_is_segment, names), key=_first_sequence)

    def _size(self, segment: str) -> int:
        with self._reading():
            return (self._path / segment).stat().st_size

    def _lines(self, segment: str, offset: int) -> Iterator[bytes]:
        with self._reading(), (self._path / segment).open("rb") as file:
            file.seek(offset)
            for line in file:
                yield line
                if not line.endswith(b"\n"):
                    # Somebody is writing it. What comes behind would be the rest of it, and
                    # neither half is an entry.
                    return

    def _place(self, expected: Head) -> Mark:
        names = self._segment_names()
        if not names:
            return Mark(_segment_name(expected), 0)
        end = Mark(names[-1], self._size(names[-1]))
        if self._end is not None and end != self._end:
            raise HeadMovedError(self._moved())
        return Mark(_segment_name(expected), 0) if end.offset >= self._segment_bytes else end

    def _write_lines(self, end: Mark, content: bytes) -> None:
        path = self._path / end.segment
        try:
            self._files.write_at(path, end.offset, content)
            if end.offset == 0:
                self._files.sync_directory(self._path)
        except OSError:
            # After a failed sync nobody knows what the disk has. What was refused must not be
            # found later as written; where even that fails, the next reader decides.
            with contextlib.suppress(OSError):
                self._files.truncate(path, end.offset)
            raise

    def _moved(self) -> str:
        return (
            f"somebody else wrote to the ledger {self._name} while it was held here; "
            "does its file system keep locks?"
        )

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            msg = f"the ledger {self._name} cannot be read: {error.strerror or error}"
            raise LedgerError(msg) from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            msg = f"the ledger {self._name} cannot be written: {error.strerror or error}"
            raise LedgerError(msg) from error


def _head_line(record: _HeadFile) -> bytes:
    return msgspec.json.encode(record) + b"\n"


def _first_sequence(name: str) -> int:
    return int(name.removesuffix(".jsonl"))


def _is_segment(name: str) -> bool:
    # One name for one number: another spelling is a file that somebody has renamed.
    return _SEGMENT.fullmatch(name) is not None and name == _named(_first_sequence(name))


def _segment_name(head: Head) -> str:
    return _named(head.sequence + 1)


def _named(first: int) -> str:
    return f"{first:08d}.jsonl"
