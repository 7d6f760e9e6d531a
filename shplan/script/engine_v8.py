"""
V8, through mini-racer: the only module that imports it.

V8 is what the service documents that it runs.
"""

from __future__ import annotations

import re
import time
from typing import Any

from py_mini_racer import (
    JSEvalException,
    JSOOMException,
    JSParseException,
    JSTimeoutException,
    MiniRacer,
)

from shplan.script.engine import Budget, EngineError, Handle, Place, innermost
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


class V8:
    """One isolate."""

    encoding = "utf-16-le"
    null_is_memory = False

    def __init__(self, budget: Budget) -> None:
        self._time_s = budget.time_s
        self._isolate = MiniRacer()
        # A class is no property of the global object, from which our JavaScript takes the rest.
        self._isolate.eval("__TimerManager = undefined")
        self._isolate.set_hard_memory_limit(budget.heap_mb << 20)
        self.begin()

    def begin(self) -> None:
        """Start the clock of a request."""
        self._deadline = time.monotonic() + self._time_s

    def evaluate(self, source: str) -> Handle:
        """Evaluate a text whose value is a function."""
        try:
            return self._isolate.eval(source, timeout_sec=self._left_s())
        except JSEvalException as error:
            raise self._translated(error) from error

    def call(self, function: Handle, *arguments: Handle | str) -> str:
        """Call a function that returns a string."""
        call: Any = function
        try:
            answer = call(*arguments, timeout_sec=self._left_s())
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
        if isinstance(error, JSParseException):
            return _syntax(words)
        return EngineError(Fault.RUNTIME, _PLACE.sub("", words.split("\n", 1)[0]))


def _syntax(words: str) -> EngineError:
    found = _PARSE.match(words)
    if not found:
        return EngineError(Fault.SYNTAX, words)
    return EngineError(Fault.SYNTAX, found["words"], (int(found["line"]), len(found["indent"]) + 1))
