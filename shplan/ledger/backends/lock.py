"""
A lock on a file that ends with the process that holds it, whatever ends the process.

The operating system keeps it; a file beside it tells the others who holds it. Nothing has to be
cleaned up after a crash.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from shplan.ledger.port import Holder

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def lives(holder: Holder) -> bool:
    """Tell whether a holder may still be there; of another machine nobody knows here."""
    if holder.host != platform.node() or os.name == "nt":
        return True
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # It is somebody else's process, and it lives.
        return True
    return True


class FileLock:
    """The right of one holder; two locks on one path exclude each other, in one process as well."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Try once; False when somebody else has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _try_lock(descriptor)
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give it back; closing the file is what releases it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
