"""
What the child needs of a JavaScript engine; each engine fulfils it in a module of its own.

An engine is one fresh world of JavaScript with its own heap: one script each, never two.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

from shplan.script.errors import Fault

# A function inside the engine; only the engine that gave it can call it.
Handle: TypeAlias = object
# A place as an engine counts: line and column, or None where it does not tell.
Place: TypeAlias = tuple[int, int | None]
# Writes a message into memory that is as large as was said.
Writer: TypeAlias = Callable[[memoryview], None]
# Our own JavaScript is evaluated this many lines down, so that its places are told from a script's.
OWN_LINES = 100_000
# Engines write no longer ones; what a script writes must not keep us busy.
_LONGEST_FRAME = 500


class EngineError(Exception):
    """
    An engine ended a call.

    Args:
        fault: SYNTAX, RUNTIME, TIMEOUT or MEMORY
        message: in the engine's words
    """

    def __init__(self, fault: Fault, message: str, place: Place | None = None) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message
        self.place = place


class Budget(NamedTuple):
    """
    What one engine may use.

    Args:
        time_s: until the first call of `begin`, in seconds
        heap_mb: what its heap may hold, in MiB
    """

    time_s: float
    heap_mb: int


class Engine(Protocol):
    """One world of JavaScript."""

    # How columns are counted: the name of the encoding whose units they are.
    encoding: str
    # Whether `null` is thrown when there is no memory left for an error.
    null_is_memory: bool

    def begin(self, time_s: float) -> None:
        """Start the clock of a request that may take so many seconds."""

    def open(self, ours: str) -> None:
        """
        Evaluate our own JavaScript, `harness.js`, before anything else.

        Raises:
            EngineError: a limit was met
        """

    def evaluate(self, source: str) -> Handle:
        """
        Evaluate a text whose value is a function.

        Raises:
            EngineError: it is no JavaScript, it threw, or a limit was met
        """

    def load(self, part: str, program: Handle, expected: str) -> str:
        """
        Call one of our functions, `load` or `loadSimple`, with a program and its text.

        Raises:
            EngineError: it threw, or a limit was met
        """

    def exchange(self, size: int, write: Writer) -> str:
        """
        Let a message of so many bytes be written into our memory, and call our function `run`.

        Returns:
            its answer; what else it answers is to be had from `result`

        Raises:
            EngineError: it threw, or a limit was met
        """

    def result(self) -> memoryview:
        """Return the bytes that the last exchange left; they are good until the next."""

    def allow(self, size: int) -> None:
        """Allow so many bytes of memory for messages and results, beside the heap."""

    def place_in(self, stack: str) -> Place | None:
        """Return the innermost place in the script that a stack trace names."""

    def close(self) -> None:
        """Give its memory back."""


def innermost(frame: re.Pattern[str], stack: str) -> Place | None:
    """
    Return the first place of a stack trace that is not in our own JavaScript.

    Args:
        frame: matches one line with a place and names its `line` and `column`
        stack: as the engine gives it, or as a script pretends
    """
    for text in stack.split("\n"):
        found = frame.match(text) if len(text) < _LONGEST_FRAME else None
        if found and int(found["line"]) < OWN_LINES:
            return int(found["line"]), int(found["column"])
    return None
