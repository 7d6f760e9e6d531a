"""
One script in one engine, in the child: read, run its top level, run its `setup()`.

The script is wrapped in one function: its variables are its own, it may redefine whatever we define, and
it runs in sloppy mode, as published scripts need. The wrapping begins on the script's first line, so that
lines keep their numbers.

What goes back to the parent is a message of plain values; what the script is at fault for is a message
with `fault`.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from shplan.script.engine import OWN_LINES, Engine, EngineError, Handle, Place
from shplan.script.errors import Fault
from shplan.script.source import own_place, place_of, place_of_units
from shplan.script.wire import Message

# Source: Evalscript V3; `filterScenes` is of its early days and still met.
FUNCTIONS = (
    "evaluatePixel",
    "filterScenes",
    "preProcessScenes",
    "setup",
    "updateOutput",
    "updateOutputMetadata",
)
# The script's first act hands over a way to each of its functions, wherever and however it makes them.
PREFIX = (
    "(function(){arguments[0]("
    + ",".join(f'()=>typeof {name}==="undefined"?void 0:{name}' for name in FUNCTIONS)
    + ");"
)
SUFFIX = "\n})"
# Nothing of the script runs: what is wrong with the text is said before the first statement.
_PARSE_ONLY = "throw 0;"
_RETURN_OUTSIDE = ("Illegal return", "return not in a function")
# Thrown by engines into the script, which may catch them or not.
_MEMORY = re.compile(
    r"InternalError: (?:out of memory|string too long)"
    r"|RangeError: (?:Invalid string length|Maximum BigInt size|BigInt is too large)"
)
_HERE = Path(__file__).parent


class Session:
    """
    A script in an engine of its own.

    Args:
        engine: a fresh one
        text: the script
    """

    def __init__(self, engine: Engine, text: str) -> None:
        self._engine = engine
        self._text = text
        self._call: Handle = None

    def parse(self) -> Message:
        """Read the text, run nothing; `simple` tells a `return` outside of all functions."""
        self._engine.begin()
        try:
            self._engine.evaluate(PREFIX + self._text + SUFFIX)
        except EngineError as error:
            return self._refused(error)
        return {"simple": self._returns()}

    def load(self) -> Message:
        """Run the top level; answers with the functions there are, and where `setup` is declared."""
        self._engine.begin()
        try:
            self._call = self._engine.evaluate(_ours())
            program = self._engine.evaluate(PREFIX + self._text + SUFFIX)
            expected = (PREFIX + self._text + SUFFIX)[1:-1]
            found = json.loads(self._engine.call(self._call, program, expected))
        except EngineError as error:
            return self._refused(error)
        if "unbalanced" in found:
            return self._syntax(EngineError(Fault.SYNTAX, "Unexpected token '}'"))
        return self._loaded(found)

    def setup(self) -> Message:
        """Run `setup()` and answer with its value."""
        self._engine.begin()
        try:
            found = json.loads(self._engine.call(self._call))
        except EngineError as error:
            return self._fault(error, PREFIX)
        return self._thrown(found["thrown"]) if "thrown" in found else found

    def close(self) -> None:
        """Give the engine's memory back."""
        self._call = None
        self._engine.close()

    def _loaded(self, found: Message) -> Message:
        functions = found["functions"]
        assert isinstance(functions, list)
        missing = "setup" not in functions
        if missing and self._returns():
            return {"simple": True}
        thrown = found.get("thrown")
        if isinstance(thrown, dict):
            return self._thrown(thrown)
        offset = found["setup"]
        assert isinstance(offset, int)
        return {"functions": functions, "setup": None if missing else self._declaration(offset)}

    def _declaration(self, offset: int) -> tuple[int, int]:
        """Return where `setup` is declared: its offset in the program, or -1 for what has no text."""
        # The source of the program begins behind the parenthesis that we opened.
        own = offset - len(PREFIX) + 1
        if own >= 0:
            return place_of_units(self._text, own)
        # A bound function, a proxy: where it is first spoken of.
        return place_of(self._text, max(self._text.find("setup"), 0))

    def _returns(self) -> bool:
        """Tell whether the text returns outside of all functions: then it is no text of its own."""
        error = self._bare()
        return error is not None and _is_return(error)

    def _bare(self) -> EngineError | None:
        """Return what is wrong with the text as it stands, wrapped in nothing."""
        try:
            self._engine.evaluate(_PARSE_ONLY + self._text)
        except EngineError as error:
            return error if error.fault is Fault.SYNTAX else None
        return None

    def _syntax(self, wrapped: EngineError) -> Message:
        """
        Answer with a fault of syntax, in the place where the text itself goes wrong.

        A brace too many closes our function, and what follows is then the first thing that is wrong.
        """
        bare = self._bare()
        if bare is None or _is_return(bare):
            return self._fault(wrapped, PREFIX)
        return self._fault(bare, _PARSE_ONLY)

    def _thrown(self, thrown: dict[str, str]) -> Message:
        words = thrown["text"]
        starved = "nothing" in thrown and self._engine.null_is_memory
        fault = Fault.MEMORY if starved or _MEMORY.match(words) else Fault.RUNTIME
        # V8 opens the trace with the message, which may hold anything.
        stack = thrown.get("stack", "").removeprefix(words)
        return self._fault(EngineError(fault, words, self._engine.place_in(stack)), PREFIX)

    def _refused(self, error: EngineError) -> Message:
        return self._syntax(error) if error.fault is Fault.SYNTAX else self._fault(error, PREFIX)

    def _fault(self, error: EngineError, prefix: str) -> Message:
        line, column = self._own(error.place, prefix)
        message = error.message
        if error.fault is Fault.SYNTAX and (line, column) == place_of(self._text, len(self._text)):
            # Whatever the engine expects there, or stumbles over that is ours.
            message = "Unexpected end of input"
        return {"fault": error.fault.value, "message": message, "line": line, "column": column}

    def _own(self, place: Place | None, prefix: str) -> tuple[int | None, int | None]:
        if place is None:
            return None, None
        line, column = place
        return own_place(self._text, prefix, line, column, encoding=self._engine.encoding)


def _is_return(error: EngineError) -> bool:
    return any(one in error.message for one in _RETURN_OUTSIDE)


@cache
def _ours() -> str:
    """Return our own JavaScript as one expression."""
    harness, helpers = ((_HERE / name).read_text("utf-8") for name in ("harness.js", "helpers.js"))
    return "\n" * OWN_LINES + f"{harness}({helpers},{json.dumps(FUNCTIONS)})"
