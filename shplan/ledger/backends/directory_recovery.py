"""
How a ledger in a directory is set aside and another put in its place, whatever dies meanwhile.

    recovering/      the new ledger, until it is whole
    recovery.json    what is to be moved where; from then on whoever comes next finishes it
    damaged-1/       the old one
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from shplan.ledger.backends.files import Files

_RECOVERY: Final = "recovery.json"
_RECOVERING: Final = "recovering"
_WRITTEN_BYTES: Final = 2**20


class _RecoveryFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    aside: str
    files: tuple[str, ...]


class Recovery:
    """
    The recovery of one directory.

    Args:
        path: the directory
        files: the file system
        segment_bytes: a segment that has grown to this is followed by another
    """

    def __init__(self, path: Path, files: Files, *, segment_bytes: int) -> None:
        self._path = path
        self._files = files
        self._segment_bytes = segment_bytes

    @property
    def is_interrupted(self) -> bool:
        """One was begun, and has to be finished."""
        return (self._path / _RECOVERY).exists()

    async def write(self, lines: AsyncIterator[bytes], name: Callable[[int], str]) -> Path:
        """
        Write lines beside the ledger, some at a time, and return where.

        Args:
            name: of the segment that begins with the entry of a number
        """
        fresh = self._path / _RECOVERING
        self._files.make_directory(fresh)
        for path in fresh.iterdir():
            self._files.remove(path)
        segment, offset, count = fresh / name(0), 0, 0
        some: list[bytes] = []
        size = 0
        async for line in lines:
            some.append(line)
            size += len(line)
            count += 1
            if size >= _WRITTEN_BYTES or offset + size >= self._segment_bytes:
                self._files.write_at(segment, offset, b"".join(some))
                offset, some, size = offset + size, [], 0
            if offset >= self._segment_bytes:
                segment, offset = fresh / name(count), 0
        if some or not count:
            self._files.write_at(segment, offset, b"".join(some))
        return fresh

    def exchange(self, old: Sequence[str]) -> str:
        """Move the old files aside and the new ones in their place; return where the old ones are."""
        self._files.sync_directory(self._path / _RECOVERING)
        aside = self._free_name()
        present = [name for name in old if (self._path / name).exists()]
        plan = _RecoveryFile(aside=aside, files=tuple(present))
        self._files.replace_content(self._path / _RECOVERY, msgspec.json.encode(plan))
        self._files.sync_directory(self._path)
        self.finish()
        return aside

    def finish(self) -> None:
        """Finish what was begun, if anything was."""
        # Each move is made once: a file that lies aside already is not moved again, so that
        # the new file of the same name stays.
        record = self._path / _RECOVERY
        if not record.exists():
            return
        plan = msgspec.json.decode(record.read_bytes(), type=_RecoveryFile)
        aside, fresh = self._path / plan.aside, self._path / _RECOVERING
        self._files.make_directory(aside)
        for name in plan.files:
            if not (aside / name).exists():
                self._files.rename(self._path / name, aside / name)
        self._files.sync_directory(aside)
        for path in sorted(fresh.iterdir(), reverse=True):
            self._files.rename(path, self._path / path.name)
        self._files.sync_directory(self._path)
        self._files.remove(record)
        self._files.remove_directory(fresh)
        self._files.sync_directory(self._path)

    def _free_name(self) -> str:
        number = 1
        while (self._path / f"damaged-{number}").exists():
            number += 1
        return f"damaged-{number}"
