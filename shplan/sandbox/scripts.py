"""
What the sandbox asks of an evalscript: the facts of its `setup()`, or why there are none.

The engine is the JavaScript worker of `shplan.script`, started when the first script is read.
What many tasks have in common is read once. Pixels are computed by workers of their own, one for
each thread.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from contextlib import AbstractContextManager
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from shplan.script.errors import ScriptError
from shplan.script.limits import Limits
from shplan.script.pool import Pool
from shplan.script.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from shplan.script.facts import ScriptFacts

KEPT = 256


# As many compute at a time, at least; their processes start when they are needed.
MOST_WORKERS = 4


class ScriptFailedError(Exception):
    """A script without facts, in the words that its owner reads."""


class Scripts(Protocol):
    """Whoever can read evalscripts."""

    def facts(self, text: str) -> ScriptFacts:
        """
        What a script says of itself; asked by any thread.

        Raises:
            ScriptFailedError: it is no script, or its `setup()` fails
        """

    def worker(self) -> AbstractContextManager[Worker]:
        """A worker for pixels; of any thread, which waits until one is free."""

    def close(self) -> None:
        """Give back what reading and computing took."""


class WorkerScripts:
    """
    The JavaScript worker, and the facts of the scripts that were read last; for any number of threads.

    Args:
        limits: what a script may use up; asked before each one, because settings change
    """

    def __init__(self, limits: Callable[[], Limits] = Limits) -> None:
        self._limits = limits
        # One worker is for reading; who finds it busy, with a script that has no end, takes another.
        self._reading, self._knowing = Lock(), Lock()
        self._read_under = limits()
        self._worker = Worker(limits=self._read_under)
        self._known: OrderedDict[str, ScriptFacts] = OrderedDict()
        self._choosing = Lock()
        self._run_under = self._read_under
        self._pool = _pool(self._run_under)

    def facts(self, text: str) -> ScriptFacts:
        """
        What a script says of itself.

        Raises:
            ScriptFailedError: as in `Scripts`
        """
        with self._knowing:
            if text in self._known:
                return self._known[text]
        facts = self._read(text)
        with self._knowing:
            self._known[text] = facts
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return facts

    def worker(self) -> AbstractContextManager[Worker]:
        """A worker for pixels, as in `Scripts`; its process starts when it is asked for."""
        limits = self._limits()
        with self._choosing:
            if limits != self._run_under:
                # What it has handed out ends when it is given back.
                self._pool.close()
                self._run_under = limits
                self._pool = _pool(limits)
            return self._pool.worker()

    def close(self) -> None:
        """End the engine's processes."""
        with self._reading:
            self._worker.close()
        with self._choosing:
            self._pool.close()

    def _read(self, text: str) -> ScriptFacts:
        try:
            if not self._reading.acquire(blocking=False):
                with self.worker() as worker:
                    return worker.facts(text)
            try:
                return self._reader().facts(text)
            finally:
                self._reading.release()
        except ScriptError as error:
            raise ScriptFailedError(str(error)) from error

    def _reader(self) -> Worker:
        limits = self._limits()
        if limits != self._read_under:
            self._worker.close()
            self._read_under = limits
            self._worker = Worker(limits=limits)
        return self._worker


def _pool(limits: Limits) -> Pool:
    # More than cores, so that one who computes for long leaves some to others.
    return Pool(max(MOST_WORKERS, os.cpu_count() or 1), limits=limits)
