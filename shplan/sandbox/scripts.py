"""
What the sandbox asks of an evalscript: the facts of its `setup()`, or why there are none.

The engine is the JavaScript worker of `shplan.script`, started when the first script is read.
What many tasks have in common is read once. Pixels are computed by workers of their own, one for
each thread.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from shplan.script.errors import ScriptError
from shplan.script.limits import Limits
from shplan.script.pool import Pool
from shplan.script.worker import Worker

if TYPE_CHECKING:
    from shplan.script.facts import ScriptFacts

KEPT = 256
TIME_S = 10.0


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
    """The JavaScript worker, and the facts of the scripts that were read last."""

    def __init__(self) -> None:
        self._worker = Worker(limits=Limits(time_s=TIME_S))
        self._reading = threading.Lock()
        self._known: OrderedDict[str, ScriptFacts] = OrderedDict()
        self._pool = Pool(os.cpu_count() or 1)

    def facts(self, text: str) -> ScriptFacts:
        """
        What a script says of itself.

        Raises:
            ScriptFailedError: as in `Scripts`
        """
        with self._reading:
            if text not in self._known:
                try:
                    self._known[text] = self._worker.facts(text)
                except ScriptError as error:
                    raise ScriptFailedError(str(error)) from error
                if len(self._known) > KEPT:
                    self._known.popitem(last=False)
            return self._known[text]

    def worker(self) -> AbstractContextManager[Worker]:
        """A worker for pixels, as in `Scripts`; its process starts when it is asked for."""
        return self._pool.worker()

    def close(self) -> None:
        """End the engine's processes."""
        self._worker.close()
        self._pool.close()
