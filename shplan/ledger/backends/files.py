"""
The few things that a ledger asks of a file system, in the order in which they must be safe.

They stand behind one small class so that tests can stop the machine between any two of them.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path


class Files:
    """The operating system's files."""

    def make_directory(self, path: Path) -> None:
        """Create a directory and its parents, and keep their names."""
        missing = [part for part in (path, *path.parents) if not part.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for part in reversed(missing):
            self.sync_directory(part.parent)

    def write_at(self, path: Path, offset: int, content: bytes) -> None:
        """Write behind `offset` bytes and wait until the disk has it."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | _BINARY, 0o666)
        try:
            os.lseek(descriptor, offset, os.SEEK_SET)
            self.write(descriptor, content)
            self.sync(descriptor)
        finally:
            os.close(descriptor)

    def write(self, descriptor: int, content: bytes) -> None:
        """Write all of it."""
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def sync(self, descriptor: int) -> None:
        """Wait until the disk has what was written."""
        os.fsync(descriptor)

    def sync_file(self, path: Path) -> None:
        """Wait until the disk has a file that somebody else wrote."""
        descriptor = os.open(path, os.O_RDWR | _BINARY)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)

    def sync_directory(self, path: Path) -> None:
        """Wait until the disk has the names in a directory, where the system knows such a thing."""
        if sys.platform == "win32":
            return
        descriptor = os.open(path, os.O_RDONLY)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)

    def truncate(self, path: Path, size: int) -> None:
        """Cut a file off behind `size` bytes."""
        os.truncate(path, size)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, in the place of what had it."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file if it is there."""
        path.unlink(missing_ok=True)

    def remove_directory(self, path: Path) -> None:
        """Remove a directory if it is there and empty."""
        with contextlib.suppress(OSError):
            path.rmdir()

    def replace_content(self, path: Path, content: bytes) -> None:
        """Put a whole file in the place of another: a reader sees the one or the other."""
        draft = path.with_name(path.name + ".new")
        self.remove(draft)
        self.write_at(draft, 0, content)
        self.rename(draft, path)


_BINARY = getattr(os, "O_BINARY", 0)
