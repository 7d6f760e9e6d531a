"""
V8, through mini-racer: the only module that imports it.

V8 is what the service documents that it runs.
"""

from __future__ import annotations

import re
import struct
import time
from typing import Any

from py_mini_racer import (
    JSEvalException,
    JSOOMException,
    JSParseException,
    JSTimeoutException,
    MiniRacer,
)

from shplan.script.engine import Budget, EngineError, Handle, Place, Writer, innermost
from shplan.script.errors import Fault

# `at setup (<anonymous>:3:5)`, `at <anonymous>:3:5`, `at eval (eval at setup (<anonymous>:3:5), ...)`
_FRAME = re.compile(
    r" +at (?:[^\n]*?\((?:async )?)?[^()\n]*?:(?P<line>\d{1,9}):(?P<column>\d{1,9})\)?"
)
_PARSE = re.compile(
    r"[^\n]*?:(?P<line>\d+): (?P<words>[^\n]*)\n[^\n]*\n(?P<indent> *)\^", re.DOTALL
)
_PLACE = re.compile(r"[^\n]*?:\d+: ")
_LEAST_S = 0.001
_PARTS = ("run", "load", "loadSimple", "wanted", "room", "left")


class V8:
    """One isolate."""

    encoding = "utf-16-le"
    null_is_memory = False

    def __init__(self, budget: Budget) -> None:
        self._isolate = MiniRacer()
        # A class is no property of the global object, from which our JavaScript takes the rest.
        self._isolate.eval("__TimerManager = undefined")
        self._isolate.set_hard_memory_limit(budget.heap_mb << 20)
        self._parts: dict[str, Any] = {}
        self.begin(budget.time_s)

    def begin(self, time_s: float) -> None:
        """Start the clock of a request."""
        self._deadline = time.monotonic() + time_s

    def open(self, ours: str) -> None:
        """Evaluate our own JavaScript."""
        give: Any = self.evaluate(ours)
        self._parts = {name: give(name) for name in _PARTS}
        # Views of memory that lives until other is asked for, and as long as the isolate.
        self._wanted: memoryview = self._parts["wanted"]()
        self._room: memoryview = self._parts["room"]()

    def evaluate(self, source: str) -> Handle:
        """Evaluate a text whose value is a function."""
        try:
            return self._isolate.eval(source, timeout_sec=self._left_s())
        except JSEvalException as error:
            raise self._translated(error) from error

    def load(self, part: str, program: Handle, expected: str) -> str:
        """Call one of our functions with a program and its text."""
        return self._call(self._parts[part], program, expected)

    def exchange(self, size: int, write: Writer) -> str:
        """Let a message be written into our memory, and call our function `run`."""
        if size > len(self._room):
            self._wanted[:] = struct.pack("=d", size)
            try:
                self._room = self._parts["room"]()
            except JSEvalException as error:
                raise self._translated(error) from error
        write(self._room[:size])
        return self._call(self._parts["run"])

    def result(self) -> memoryview:
        """Return the bytes that the last exchange left."""
        left: memoryview = self._parts["left"]()
        return left

    def allow(self, size: int) -> None:
        """Array buffers are no part of the heap."""

    def _call(self, function: Any, *arguments: Handle | str) -> str:
        """Call a function that returns a string, and then what it left to be done later."""
        try:
            answer = function(*arguments, timeout_sec=self._left_s())
            # Jobs of promises go on behind the answer; this one waits for them.
            self._isolate.eval("0", timeout_sec=self._left_s())
        except JSEvalException as error:
            raise self._translated(error) from error
        return str(answer)

    def place_in(self, stack: str) -> Place | None:
        """Return the innermost place in the script that a stack trace names."""
        return innermost(_FRAME, stack)

    def close(self) -> None:
        """Give its memory back."""
        self._parts = {}
        self._isolate.close()

    def _left_s(self) -> float:
        return max(self._deadline - time.monotonic(), _LEAST_S)

    def _translated(self, error: JSEvalException) -> EngineError:
        words = str(error)
        if isinstance(error, JSTimeoutException):
            return EngineError(Fault.TIMEOUT, words)
        # A call that was ended for its memory says nothing but "null".
        if isinstance(error, JSOOMException) or self._isolate.was_hard_memory_limit_reached():
            return EngineError(Fault.MEMORY, "the script needs more memory than it may have")
        if "Array buffer allocation failed" in words:
            return EngineError(Fault.MEMORY, words)
        if isinstance(error, JSParseException):
            return _syntax(words)
        return EngineError(Fault.RUNTIME, _PLACE.sub("", words.split("\n", 1)[0]))


def _syntax(words: str) -> EngineError:
    found = _PARSE.match(words)
    if not found:
        return EngineError(Fault.SYNTAX, words)
    return EngineError(Fault.SYNTAX, found["words"], (int(found["line"]), len(found["indent"]) + 1))
