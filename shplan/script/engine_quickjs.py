"""
QuickJS, through quickjs-ng: the only module that imports it.

The engine for where V8 has no build; slower, the same language.
"""

from __future__ import annotations

import base64
import re
import time
from typing import Any

import quickjs

from shplan.script.engine import Budget, EngineError, Handle, Place, Writer, innermost
from shplan.script.errors import Fault

# `at setup (<input>:3:5)`; what `eval` ran is `<eval>` with lines of its own
_FRAME = re.compile(r" +at (?!<eval>)[^\n]*?\(<input>:(?P<line>\d{1,9}):(?P<column>\d{1,9})\)")
# `at <input>:3:5`: where a text is no JavaScript
_PARSE = re.compile(r" +at <input>:(?P<line>\d{1,9}):(?P<column>\d{1,9})")
_LEAST_S = 0.001
_PARTS = ("run", "load", "loadSimple", "leftText")


class QuickJs:
    """One context with its own runtime."""

    encoding = "utf-8"
    null_is_memory = True

    def __init__(self, budget: Budget) -> None:
        self._heap = budget.heap_mb << 20
        self._context: Any = quickjs.Context()
        self._context.set_memory_limit(self._heap)
        self._parts: dict[str, Any] = {}
        self.begin(budget.time_s)

    def begin(self, time_s: float) -> None:
        """Start the clock of a request."""
        self._deadline = time.monotonic() + time_s

    def open(self, ours: str) -> None:
        """Evaluate our own JavaScript."""
        give: Any = self.evaluate(ours)
        self._parts = {name: give(name) for name in _PARTS}

    def evaluate(self, source: str) -> Handle:
        """Evaluate a text whose value is a function."""
        self._context.set_time_limit(self._left_s())
        try:
            return self._context.eval(source)
        except quickjs.JSException as error:
            raise _translated(str(error)) from error

    def load(self, part: str, program: Handle, expected: str) -> str:
        """Call one of our functions with a program and its text."""
        return self._call(self._parts[part], program, expected)

    def exchange(self, size: int, write: Writer) -> str:
        """Let a message be written into our memory, and call our function `run`."""
        message = bytearray(size)
        write(memoryview(message))
        return self._call(self._parts["run"], base64.b64encode(message).decode("ascii"))

    def result(self) -> memoryview:
        """Return the bytes that the last exchange left."""
        return memoryview(base64.b64decode(self._parts["leftText"]()))

    def allow(self, size: int) -> None:
        """Array buffers are part of the heap, and so is the text that they come as."""
        self._context.set_memory_limit(self._heap + 4 * size)

    def _call(self, function: Any, *arguments: Handle | str) -> str:
        """Call a function that returns a string, and then what it left to be done later."""
        self._context.set_time_limit(self._left_s())
        try:
            answer = function(*arguments)
        except quickjs.JSException as error:
            raise _translated(str(error)) from error
        self._finish_jobs()
        return str(answer)

    def place_in(self, stack: str) -> Place | None:
        """Return the innermost place in the script that a stack trace names."""
        return innermost(_FRAME, stack)

    def close(self) -> None:
        """Give its memory back."""
        self._parts = {}
        self._context = None

    def _finish_jobs(self) -> None:
        """Run the jobs of promises, as V8 does by itself; one that throws is nobody's error."""
        self._context.set_time_limit(self._left_s())
        while True:
            try:
                more = self._context.execute_pending_job()
            except quickjs.JSException as error:
                found = _translated(str(error))
                if found.fault is not Fault.RUNTIME:
                    raise found from error
                more = True
            if not more:
                return
            if time.monotonic() > self._deadline:
                raise EngineError(Fault.TIMEOUT, "interrupted")

    def _left_s(self) -> float:
        return max(self._deadline - time.monotonic(), _LEAST_S)


def _translated(words: str) -> EngineError:
    first = words.split("\n", 1)[0]
    if first.startswith("InternalError: interrupted"):
        return EngineError(Fault.TIMEOUT, first)
    if first.startswith("InternalError: out of memory"):
        return EngineError(Fault.MEMORY, first, innermost(_FRAME, words))
    if first.startswith("SyntaxError"):
        return EngineError(Fault.SYNTAX, first, innermost(_PARSE, words))
    return EngineError(Fault.RUNTIME, first, innermost(_FRAME, words))
