"""
Processes of scripts that one test is done with serve the next.

To start one takes longer than what most tests ask of it, and it makes a fresh engine for each script anyway. One
that met a limit is ended, as ever; tests of the processes themselves (`tests/script`) keep none.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from shplan.script import worker as workers
from shplan.script.limits import Limits
from shplan.script.process import ChildProcess

# More than the largest pool of a test with its readers would only wait.
_MOST = 4


class Kept:
    """The processes that wait for the next test."""

    def __init__(self) -> None:
        # One that is forked from this process has none of them: two would hear the answers of each.
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._waiting: list[tuple[Limits, str | None, ChildProcess]] = []

    def made(self, limits: Limits, engine: str | None) -> ChildProcess:
        """Return a process with these limits: one that waits, else another."""
        if os.getpid() != self._owner:
            return ChildProcess(limits, engine)
        with self._lock:
            for at, (its_limits, its_engine, child) in reversed([*enumerate(self._waiting)]):
                if (its_limits, its_engine) == (limits, engine):
                    del self._waiting[at]
                    if child._process.poll() is None:
                        return child
                    child.end()
                    break
        return _Noted(limits, engine)

    def keep(self, child: ChildProcess) -> bool:
        """Take a process that nobody asks; false for one that must end."""
        is_free = isinstance(child, _Noted) and child.ending is None and not child.is_asked
        if not is_free or os.getpid() != self._owner:
            return False
        with self._lock:
            self._waiting.append((child.limits, child.wanted, child))
            if len(self._waiting) > _MOST:
                # The one that nobody has wanted for the longest time.
                self._waiting.pop(0)[-1].end()
        return True

    def end(self) -> None:
        """End them all."""
        with self._lock:
            for _, _, child in self._waiting:
                child.end()
            self._waiting.clear()


class _Noted(ChildProcess):
    """A process that knows what it was started with, and whether it owes an answer."""

    def __init__(self, limits: Limits, engine: str | None) -> None:
        super().__init__(limits, engine)
        self.limits, self.wanted = limits, engine
        self.is_asked = False

    def exchange(self, *arguments: Any, **options: Any) -> Any:
        self.is_asked = True
        # After an interrupt it stays so: whose answer would the next one be?
        answer = super().exchange(*arguments, **options)
        self.is_asked = False
        return answer

    def await_start(self) -> None:
        self.is_asked = True
        super().await_start()
        self.is_asked = False


_CLOSE = workers.Worker.close


@contextmanager
def kept_workers() -> Iterator[None]:
    """Let what a worker leaves when it is closed serve the next one."""
    kept = Kept()

    def close(self: workers.Worker) -> None:
        child = self._child
        if child is not None and kept.keep(child):
            self._child = None
        _CLOSE(self)

    try:
        with _patched(close, kept.made):
            yield
    finally:
        kept.end()


def own_workers() -> AbstractContextManager[None]:
    """Let each worker start and end a process of its own, as it does for users."""
    return _patched(_CLOSE, ChildProcess)


@contextmanager
def _patched(close: Any, made: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers.Worker, "close", close)
        patch.setattr(workers, "ChildProcess", made)
        yield
