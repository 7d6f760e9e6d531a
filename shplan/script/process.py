"""
The process of a worker, seen from its parent: start, exchange under a deadline, end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path

from shplan.script.limits import Limits
from shplan.script.wire import Message, receive, receive_into, send, size_of

# Beyond the engine's limit, for what the engine cannot end.
_GRACE_S = 0.5
_START_S = 30.0
_PIPE_SIZE = 1 << 20
# The package stands in for itself, without what only the parent needs of it: that is a third of the start.
_BOOT = (
    "import json,sys,types;c=json.loads(sys.argv[1]);sys.path+=c['path'];"
    "p=sys.modules['shplan.script']=types.ModuleType('shplan.script');p.__path__=[c['here']];"
    "from shplan.script.child import main;main(c)"
)
# What a process needs of its environment to start at all; everything else stays with the parent.
_ENVIRONMENT = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
# How an engine ends when the machine or a limit refuses it memory.
_ABORTS = {
    getattr(signal, name)
    for name in ("SIGABRT", "SIGTRAP", "SIGILL", "SIGSEGV", "SIGBUS")
    if hasattr(signal, name)
}


class Ending(Enum):
    """How a process came to its end: by us, by itself for want of memory, otherwise."""

    LATE = "late"
    ABORTED = "aborted"
    LOST = "lost"


class StartError(Exception):
    """
    No process that answers.

    Args:
        crashed: it ended without a word, so that another engine may do better
    """

    def __init__(self, message: str, *, crashed: bool) -> None:
        super().__init__(message)
        self.crashed = crashed


class ChildProcess:
    """
    A running child.

    Args:
        limits: as the child keeps them; the deadline is a little later
        engine: its name, None for the first that loads

    Attributes:
        engine: the name of the engine that was loaded; empty until it is known
        ending: None while it runs

    Raises:
        StartError: there is no such interpreter
    """

    def __init__(self, limits: Limits, engine: str | None) -> None:
        self.ending: Ending | None = None
        self.engine = ""
        self._time_s = limits.time_s
        self._process = _process(_configuration(limits, engine))

    def await_start(self) -> None:
        """
        Wait until it can answer.

        Raises:
            StartError: it did not come up
        """
        if self.engine:
            return
        answer = self._receive(_START_S)
        if answer is None or "failed" in answer:
            self.end()
            reason = "the worker process did not start" if answer is None else answer["failed"]
            msg = f"no JavaScript engine: {reason}"
            raise StartError(msg, crashed=answer is None)
        self.engine = str(answer["engine"])

    def exchange(
        self,
        request: Message,
        *,
        parts: Sequence[memoryview] = (),
        into: Sequence[memoryview] = (),
        time_s: float | None = None,
    ) -> Message | None:
        """
        Send a request and return the answer, None where none came; then `ending` says why.

        Args:
            parts: the bytes that follow the request
            into: where the bytes that follow the answer belong
            time_s: what the child gives the request, in seconds
        """
        deadline_s = (self._time_s if time_s is None else time_s) + _GRACE_S
        return self._receive(deadline_s, request, parts, into)

    def end(self) -> None:
        """Kill it, whatever it does, and forget it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                # What could not be written before it died is lost with it.
                with suppress(OSError):
                    stream.close()

    def _receive(
        self,
        deadline_s: float,
        request: Message | None = None,
        parts: Sequence[memoryview] = (),
        into: Sequence[memoryview] = (),
    ) -> Message | None:
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(deadline_s, end)
        timer.daemon = True
        timer.start()
        try:
            answer = self._exchanged(request, parts, into)
        except BaseException:
            # An interrupt in between: whose answer would the next one be?
            self.ending = Ending.LOST
            raise
        finally:
            timer.cancel()
        if late.is_set():
            # Whatever was said in the last moment: there is nobody left to ask on.
            self.ending, answer = Ending.LATE, None
        elif answer is None:
            self.ending = Ending.ABORTED if -self._process.wait() in _ABORTS else Ending.LOST
        return answer

    def _exchanged(
        self, request: Message | None, parts: Sequence[memoryview], into: Sequence[memoryview]
    ) -> Message | None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError):
            if request is not None:
                send(self._process.stdin, request, parts)
            answer = receive(self._process.stdout)
            if answer is None or not size_of(answer):
                return answer
            if all(receive_into(self._process.stdout, part) for part in into):
                return answer
        return None


def _process(configuration: str) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        process = subprocess.Popen(  # noqa: S603 our own module, in our own interpreter
            [sys.executable, "-I", "-S", "-c", _BOOT, configuration],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"TZ": "UTC", **environment},
        )
    except OSError as error:
        msg = f"no worker process can be started: {error}"
        raise StartError(msg, crashed=False) from error
    _widen(process)
    return process


def _widen(process: subprocess.Popen[bytes]) -> None:
    """Make its pipes hold more than their usual 64 KiB, where they can: half the switches, half the time."""
    if sys.platform == "linux":
        import fcntl  # noqa: PLC0415 not everywhere

        for stream in (process.stdin, process.stdout):
            # There is an upper bound for all pipes of a user.
            with suppress(OSError):
                fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)  # type: ignore[arg-type]


def _configuration(limits: Limits, engine: str | None) -> str:
    """Return what the child is told at its start, where to find our modules and its engine included."""
    here = Path(__file__).parent
    root = str(here.parents[1])
    path = [root, *(one for one in sys.path if Path(one).is_absolute() and one != root)]
    return json.dumps(
        {
            "path": path,
            "here": str(here),
            "engine": engine,
            "time_s": float(limits.time_s),
            "heap_mb": limits.heap_mb,
            "data_mb": limits.data_mb,
        }
    )
