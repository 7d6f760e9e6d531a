"""
QuickJS, through quickjs-ng: the only module that imports it.

The engine for where V8 has no build; slower, the same language.
"""

from __future__ import annotations

import re
import time
from typing import Any

import quickjs

from shplan.script.engine import Budget, EngineError, Handle, Place, innermost
from shplan.script.errors import Fault

# `at setup (<input>:3:5)`; what `eval` ran is `<eval>` with lines of its own
_FRAME = re.compile(r" +at (?!<eval>)[^\n]*?\(<input>:(?P<line>\d{1,9}):(?P<column>\d{1,9})\)")
# `at <input>:3:5`: where a text is no JavaScript
_PARSE = re.compile(r" +at <input>:(?P<line>\d{1,9}):(?P<column>\d{1,9})")
_LEAST_S = 0.001


class QuickJs:
    """One context with its own runtime."""

    encoding = "utf-8"
    null_is_memory = True

    def __init__(self, budget: Budget) -> None:
        self._time_s = budget.time_s
        self._context: Any = quickjs.Context()
        self._context.set_memory_limit(budget.heap_mb << 20)
        self.begin()

    def begin(self) -> None:
        """Start the clock of a request."""
        self._deadline = time.monotonic() + self._time_s

    def evaluate(self, source: str) -> Handle:
        """Evaluate a text whose value is a function."""
        self._context.set_time_limit(self._left_s())
        try:
            return self._context.eval(source)
        except quickjs.JSException as error:
            raise _translated(str(error)) from error

    def call(self, function: Handle, *arguments: Handle | str) -> str:
        """Call a function that returns a string."""
        call: Any = function
        self._context.set_time_limit(self._left_s())
        try:
            answer = call(*arguments)
        except quickjs.JSException as error:
            raise _translated(str(error)) from error
        self._finish_jobs()
        return str(answer)

    def place_in(self, stack: str) -> Place | None:
        """Return the innermost place in the script that a stack trace names."""
        return innermost(_FRAME, stack)

    def close(self) -> None:
        """Give its memory back."""
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
