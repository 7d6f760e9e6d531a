"""
Files that are not complete yet, and what a process that died has left of them.

Several processes may write in one directory. A scratch file is locked as long as its writer lives;
where a system has no such locks, it refuses to delete an open file, which serves as well.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

_PREFIX = ".scratch"
# Left by earlier versions.
_PATTERNS = (f"{_PREFIX}.*", ".object.*", ".settings.json.*")


def scratch_file(folder: Path, name: str, *, mode: int = 0o666) -> tuple[BinaryIO, Path]:
    """A new file that is open for writing, locked, and nobody else's."""
    number = 0
    while True:
        number += 1
        path = folder / f"{_PREFIX}.{name}.{os.getpid()}.{number}"
        try:
            file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb")
        except FileExistsError:
            continue
        if not _lock(file) or not path.exists():
            # Whoever cleans up was faster than the lock.
            file.close()
            continue
        return file, path


def _lock(file: BinaryIO) -> bool:
    try:
        import fcntl  # noqa: PLC0415 not on every system
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def clean(folder: Path) -> None:
    """Delete the scratch files whose writers are no more."""
    for pattern in _PATTERNS:
        for path in folder.glob(pattern):
            with contextlib.suppress(OSError), path.open("rb") as file:
                if _lock(file):
                    path.unlink()
