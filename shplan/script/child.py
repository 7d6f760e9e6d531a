"""
The worker process: reads requests, answers them, and ends at once when its parent is gone.

Started by `process.py` as `python -c BOOT CONFIGURATION`, with nothing in its environment. It imports
neither numpy nor anything else that makes a start slow.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from importlib import import_module
from queue import SimpleQueue
from typing import IO

from shplan.script.engine import Budget, Engine
from shplan.script.session import Session
from shplan.script.wire import Message, receive, send

# Name, module and class of each engine, in the order in which they are tried.
ENGINES = {
    "v8": ("shplan.script.engine_v8", "V8"),
    "quickjs": ("shplan.script.engine_quickjs", "QuickJs"),
}


class Child:
    """
    Answers requests, one script at a time.

    Args:
        make: makes a fresh engine
    """

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        # The first start of an engine is the slow one; it is done before anybody waits for an answer.
        self._spare: Engine | None = make()
        self._session: Session | None = None

    def answer(self, request: Message) -> Message:
        """Answer one request: `parse` or `load` a text, or run the `setup` of what was loaded."""
        operation = request["operation"]
        try:
            if operation == "setup":
                assert self._session is not None
                return self._session.setup()
            session = self._open(str(request["text"]))
            return session.parse() if operation == "parse" else session.load()
        except MemoryError:
            return {"fault": "memory", "message": "out of memory", "line": None, "column": None}

    def _open(self, text: str) -> Session:
        if self._session is not None:
            self._session.close()
        engine, self._spare = self._spare or self._make(), None
        self._session = Session(engine, text)
        return self._session


def main(configuration: Message) -> None:
    """
    Serve until the parent closes the pipe.

    Args:
        configuration: `engine` (a name, or None for the first that loads), `time_s`, `heap_mb`, `data_mb`
    """
    # An interrupt is the parent's to deal with; it ends us when it is done with us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = _pipes()
    _limit_process(_whole(configuration["data_mb"]))
    time_s, heap_mb = configuration["time_s"], _whole(configuration["heap_mb"])
    assert isinstance(time_s, float)
    queue: SimpleQueue[Message] = SimpleQueue()
    threading.Thread(target=_read, args=(requests, queue), daemon=True).start()
    name, child = _first_that_loads(configuration["engine"], Budget(time_s, heap_mb))
    if child is None:
        send(answers, {"failed": name})
        os._exit(1)
    send(answers, {"engine": name})
    while True:
        send(answers, child.answer(queue.get()))


def _first_that_loads(wanted: object, budget: Budget) -> tuple[str, Child | None]:
    """Return an engine's name and a child that uses it, or why there is none."""
    reasons = []
    for name, (module, class_name) in ENGINES.items():
        if wanted in (None, name):
            try:
                make = getattr(import_module(module), class_name)
                return name, Child(partial(make, budget))
            except Exception as error:  # noqa: BLE001 whatever a foreign library does on a foreign machine
                reasons.append(f"{name}: {type(error).__name__}: {error}")
    return "; ".join(reasons) or f"none is called {wanted!r}", None


def _read(requests: IO[bytes], queue: SimpleQueue[Message]) -> None:
    """Pass requests on; end the process when there will be no more, whatever it is doing."""
    while True:
        request = receive(requests)
        if request is None:
            # No clean-up: an engine that still runs would wait for itself.
            os._exit(0)
        queue.put(request)


def _pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Take the two pipes away from standard input and output, to which an engine may write."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nothing, descriptor)
    return requests, answers


def _limit_process(data_mb: int) -> None:
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 not everywhere

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = data_mb << 20
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        # An engine that finds no memory aborts; nobody reads what it would leave.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value
