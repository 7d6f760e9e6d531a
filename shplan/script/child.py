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

from shplan.script.engine import Budget, Engine, Writer
from shplan.script.session import Session, ours
from shplan.script.wire import Message, receive, receive_into, send, size_of

# Name, module and class of each engine, in the order in which they are tried.
ENGINES = {
    "v8": ("shplan.script.engine_v8", "V8"),
    "quickjs": ("shplan.script.engine_quickjs", "QuickJs"),
}
_PART = 1 << 16
_MEMORY = {"fault": "memory", "message": "out of memory", "line": None, "column": None}


class Inbox:
    """
    The requests, and the bytes that follow them.

    A thread reads the requests, so that the end of the parent is noticed whatever the engine does. It lets the
    stream alone while the bytes behind a request are to be read.

    Args:
        stream: from the parent
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._queue: SimpleQueue[Message] = SimpleQueue()
        self._taken = threading.Semaphore(0)
        self._left = 0
        threading.Thread(target=self._receive, daemon=True).start()

    def next(self) -> Message:
        """Wait for the next request."""
        request = self._queue.get()
        self._left = size_of(request)
        return request

    def read(self, memory: memoryview) -> None:
        """Read the next bytes behind the request to where they belong."""
        part = memory[: self._left]
        if not part:
            return
        if not receive_into(self._stream, part):
            os._exit(0)
        self._left -= len(part)
        if not self._left:
            self._taken.release()

    def skip(self) -> None:
        """Forget what nobody has read."""
        part = memoryview(bytearray(min(self._left, _PART)))
        while self._left:
            self.read(part)

    def _receive(self) -> None:
        """Pass requests on; end the process when there will be no more, whatever it is doing."""
        while True:
            request = receive(self._stream)
            if request is None:
                # No clean-up: an engine that still runs would wait for itself.
                os._exit(0)
            size = size_of(request)
            self._queue.put(request)
            if size:
                self._taken.acquire()


class Child:
    """
    Answers requests, one script at a time.

    Args:
        make: makes a fresh engine
        time_s: what a request may take that does not say so itself, in seconds
        allow: allows the process so many bytes of memory for pixels
    """

    def __init__(
        self, make: Callable[[], Engine], time_s: float, allow: Callable[[int], None]
    ) -> None:
        self._make = make
        self._time_s = time_s
        self._allow = allow
        # The first start of an engine is the slow one; it is done before anybody waits for an answer.
        self._spare: Engine | None = self._fresh()
        self._session: Session | None = None

    def answer(self, request: Message, read: Writer) -> Message:
        """Answer one request: about a new text, or about the one before."""
        operation = request["operation"]
        try:
            if operation == "close":
                return {}
            if operation not in ("parse", "load", "simple"):
                assert self._session is not None
                return self._ask(self._session, request, read)
            session = self._open(str(request["text"]))
            if operation == "simple":
                bands = request["bands"]
                assert isinstance(bands, list)
                return session.load_simple(bands)
            return session.parse() if operation == "parse" else session.load()
        except MemoryError:
            return dict(_MEMORY)

    def result(self, answer: Message) -> memoryview:
        """Return the bytes that follow an answer."""
        if not size_of(answer):
            return memoryview(b"")
        assert self._session is not None
        return self._session.result()

    def rest(self, request: Message) -> None:
        """Do what the next request would have to wait for, now that nobody waits."""
        if request["operation"] == "close":
            self._close()
            self._spare = self._spare or self._fresh()

    def _ask(self, session: Session, request: Message, read: Writer) -> Message:
        room = request.pop("room", 0)
        assert isinstance(room, int)
        if room:
            session.allow(room)
            self._allow(room)
        answer = session.ask(request, read)
        if request["operation"] == "block" and "fault" not in answer:
            answer["size"] = request["doubles"]
        return answer

    def _fresh(self) -> Engine:
        engine = self._make()
        engine.open(ours())
        return engine

    def _open(self, text: str) -> Session:
        self._close()
        engine, self._spare = self._spare or self._fresh(), None
        self._session = Session(engine, text, time_s=self._time_s)
        return self._session

    def _close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def main(configuration: Message) -> None:
    """
    Serve until the parent closes the pipe.

    Args:
        configuration: `engine` (a name, or None for the first that loads), `time_s`, `heap_mb`, `data_mb`
    """
    # An interrupt is the parent's to deal with; it ends us when it is done with us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = _pipes()
    data_mb = _whole(configuration["data_mb"])
    _limit_process(data_mb << 20)
    time_s, heap_mb = configuration["time_s"], _whole(configuration["heap_mb"])
    assert isinstance(time_s, float)
    inbox = Inbox(requests)
    # A loop of events takes it along where it is there; to load it is a twentieth of the start.
    sys.modules["ssl"] = None  # type: ignore[assignment]
    name, child = _first_that_loads(
        configuration["engine"], Budget(time_s, heap_mb), lambda size: _allow(data_mb << 20, size)
    )
    if child is None:
        send(answers, {"failed": name})
        os._exit(1)
    send(answers, {"engine": name})
    while True:
        request = inbox.next()
        answer = child.answer(request, inbox.read)
        inbox.skip()
        send(answers, answer, [child.result(answer)])
        child.rest(request)


def _first_that_loads(
    wanted: object, budget: Budget, allow: Callable[[int], None]
) -> tuple[str, Child | None]:
    """Return an engine's name and a child that uses it, or why there is none."""
    reasons = []
    for name, (module, class_name) in ENGINES.items():
        if wanted in (None, name):
            try:
                make = getattr(import_module(module), class_name)
                return name, Child(partial(make, budget), budget.time_s, allow)
            except Exception as error:  # noqa: BLE001 whatever a foreign library does on a foreign machine
                reasons.append(f"{name}: {type(error).__name__}: {error}")
    return "; ".join(reasons) or f"none is called {wanted!r}", None


def _pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Take the two pipes away from standard input and output, to which an engine may write."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nothing, descriptor)
    return requests, answers


def _allow(data: int, pixels: int) -> None:
    # QuickJS takes them as text: bytes, text, and bytes again, on both sides.
    _limit_process(data + 8 * pixels)


def _limit_process(wanted: int) -> None:
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 not everywhere

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        # The hard limit stays, so that a large request can be allowed more: a script has no way here.
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
        # An engine that finds no memory aborts; nobody reads what it would leave.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value
