"""
Writes a file whole or not at all: what a reader finds is the old one or the new one.

The name is given to a file that is written and synced already; a link in its place is replaced and
not followed, so that a repository cannot say where else something is written.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """
    Write a file; whoever could read the old one can read the new one, and nobody else.

    Raises:
        OSError: it cannot be written; the old one is still there
    """
    mode = _mode(path)
    if mode is not None and not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        # A pipe or a device: it has no name to give away.
        path.write_bytes(content)
        return
    draft = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        # The umask of who runs this takes away what it takes from every new file.
        descriptor = os.open(draft, flags, 0o666)
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - an open file has no path
            stream.write(content)
            stream.flush()
            if mode is not None and stat.S_ISREG(mode):
                draft.chmod(stat.S_IMODE(mode))
            os.fsync(descriptor)
        draft.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        if isinstance(error, OSError) and error.filename in (draft, str(draft)):
            # Nobody knows the draft by its name.
            error.filename = str(path)
        raise
    _sync(path.parent)


def _mode(path: Path) -> int | None:
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return None


def _sync(directory: Path) -> None:
    """Make the name as lasting as the content; some systems cannot open a directory."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
