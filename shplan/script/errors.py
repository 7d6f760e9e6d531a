"""
What can be wrong with a script, and where.
"""

from __future__ import annotations

from enum import Enum


class Fault(Enum):
    """
    The kind of a fault; the same for the same script under every engine.

    SYNTAX: the text is no JavaScript. RUNTIME: it threw. TIMEOUT, MEMORY: a limit was met. MISSING: a
    required function is missing. VERSION: an older dialect, or the first line does not say. SHAPE:
    setup() returned something that is no setup. RETURN: another function returned something that
    cannot be used, as evaluatePixel() something that is no list of numbers. ENGINE: no engine could be loaded, or it was lost.
    """

    SYNTAX = "syntax"
    RUNTIME = "runtime"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    MISSING = "missing"
    VERSION = "version"
    SHAPE = "shape"
    RETURN = "return"
    ENGINE = "engine"


class ScriptError(Exception):
    """
    A script that cannot be used.

    Args:
        fault: the kind
        message: one line; the engine's words where the engine found it
        line: in the script's own text, from 1; None where nobody can tell
        column: of the first character, from 1, in code points
    """

    def __init__(
        self, fault: Fault, message: str, *, line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message
        self.line = line
        self.column = column

    def __str__(self) -> str:
        place = f" (line {self.line})" if self.line else ""
        return f"{self.fault.value}: {self.message}{place}"
