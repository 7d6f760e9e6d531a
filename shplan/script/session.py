"""
One script in one engine, in the child: read, run its top level, run its functions.

The script is wrapped in one function: its variables are its own, it may redefine whatever we define, and
it runs in sloppy mode, as published scripts need. The wrapping begins on the script's first line, so that
lines keep their numbers.

What goes back to the parent is a message of plain values; what the script is at fault for is a message
with `fault`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from shplan.script.engine import OWN_LINES, Engine, EngineError, Handle, Place, Writer
from shplan.script.errors import Fault
from shplan.script.source import own_place, place_of, place_of_units
from shplan.script.wire import Message, size_of

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
    r"|RangeError: (?:Invalid string length|Maximum BigInt size|BigInt is too large"
    r"|Array buffer allocation failed)"
)
_JAVASCRIPT = Path(__file__).parent / "js"
_HEAD = 4
# Planes lie at multiples of it, as views of doubles must.
_STEP = 8


class Session:
    """
    A script in an engine of its own.

    Args:
        engine: a fresh one, in which our own JavaScript was evaluated
        text: the script
        time_s: what reading it and each of its functions may take, in seconds
    """

    def __init__(self, engine: Engine, text: str, *, time_s: float) -> None:
        self._engine = engine
        self._text = text
        self._prefix = PREFIX
        self._suffix = SUFFIX
        self._time_s = time_s

    def parse(self) -> Message:
        """Read the text, run nothing; `simple` tells a `return` outside of all functions."""
        self._engine.begin(self._time_s)
        try:
            self._program()
        except EngineError as error:
            return self._refused(error)
        return {"simple": self._returns()}

    def load(self) -> Message:
        """Run the top level; answers with the functions there are, and where each is declared."""
        found = self._load("load")
        return found if "fault" in found else self._loaded(found)

    def load_simple(self, bands: Sequence[str]) -> Message:
        """
        Take the whole text as what is done for a pixel.

        Args:
            bands: the variables that it has, identifiers all
        """
        # In braces of its own, so that it may declare a variable of the same name.
        self._prefix = f"(function({','.join(bands)}){{{{"
        self._suffix = "\n}})"
        return self._load("loadSimple")

    def ask(self, request: Message, read: Writer) -> Message:
        """
        Let one of the script's functions be run.

        Args:
            request: `operation` is `setup`, or one of `pixels.js`; `time_s` is what it may take
            read: puts the bytes that follow the request where they belong
        """
        time_s = request.get("time_s", self._time_s)
        assert isinstance(time_s, float)
        self._engine.begin(time_s)
        try:
            found: Message = json.loads(self._exchange(request, read))
        except EngineError as error:
            return self._fault(error, self._prefix)
        thrown = found.get("thrown")
        if isinstance(thrown, dict):
            return self._thrown(thrown)
        if "unusable" in found:
            return _told(Fault.RETURN, str(found["unusable"]))
        if request["operation"] == "watch":
            self._place_all(found)
        return found

    def result(self) -> memoryview:
        """Return the bytes that belong to the last answer."""
        return self._engine.result()

    def allow(self, size: int) -> None:
        """Allow so many bytes for messages and results."""
        self._engine.allow(size)

    def close(self) -> None:
        """Give the engine's memory back."""
        self._engine.close()

    def _load(self, part: str) -> Message:
        self._engine.begin(self._time_s)
        try:
            program = self._program()
            expected = (self._prefix + self._text + self._suffix)[1:-1]
            found: Message = json.loads(self._engine.load(part, program, expected))
        except EngineError as error:
            return self._refused(error)
        if "unbalanced" in found:
            return self._syntax(EngineError(Fault.SYNTAX, "Unexpected token '}'"))
        return found

    def _program(self) -> Handle:
        return self._engine.evaluate(self._prefix + self._text + self._suffix)

    def _exchange(self, request: Message, read: Writer) -> str:
        header = json.dumps(request).encode("ascii")
        planes = -(-(_HEAD + len(header)) // _STEP) * _STEP

        def write(memory: memoryview) -> None:
            memory[:_HEAD] = len(header).to_bytes(_HEAD, "little")
            memory[_HEAD : _HEAD + len(header)] = header
            read(memory[planes:])

        return self._engine.exchange(planes + size_of(request), write)

    def _loaded(self, found: Message) -> Message:
        functions = found["functions"]
        assert isinstance(functions, dict)
        missing = "setup" not in functions
        if missing and self._returns():
            return {"simple": True}
        thrown = found.get("thrown")
        if isinstance(thrown, dict):
            return self._thrown(thrown)
        places = {name: self._declaration(name, at) for name, at in functions.items()}
        return {"functions": places}

    def _declaration(self, name: str, offset: int) -> tuple[int, int]:
        """Return where a function is declared: its offset in the program, or -1 for what has no text."""
        # The source of the program begins behind the parenthesis that we opened.
        own = offset - len(PREFIX) + 1
        if own >= 0:
            return place_of_units(self._text, own)
        # A bound function, a proxy: where it is first spoken of.
        return place_of(self._text, max(self._text.find(name), 0))

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
            return self._fault(wrapped, self._prefix)
        return self._fault(bare, _PARSE_ONLY)

    def _place_all(self, watched: Message) -> None:
        """Put a place in the script where the message has a stack trace."""
        for value in watched.values():
            for one in value if isinstance(value, list) else [value]:
                if not isinstance(one, dict):
                    continue
                if "stack" in one:
                    words = str(one.get("text", ""))
                    stack = str(one.pop("stack")).removeprefix(words)
                    place = self._engine.place_in(stack)
                    one["line"], one["column"] = self._own(place, self._prefix)
                else:
                    self._place_all(one)

    def _thrown(self, thrown: dict[str, str]) -> Message:
        words = thrown["text"]
        starved = "nothing" in thrown and self._engine.null_is_memory
        fault = Fault.MEMORY if starved or _MEMORY.match(words) else Fault.RUNTIME
        # V8 opens the trace with the message, which may hold anything.
        stack = thrown.get("stack", "").removeprefix(words)
        return self._fault(EngineError(fault, words, self._engine.place_in(stack)), self._prefix)

    def _refused(self, error: EngineError) -> Message:
        return (
            self._syntax(error) if error.fault is Fault.SYNTAX else self._fault(error, self._prefix)
        )

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


def _told(fault: Fault, message: str) -> Message:
    return {"fault": fault.value, "message": message, "line": None, "column": None}


@cache
def ours() -> str:
    """Return our own JavaScript as one expression."""
    names = ("harness", "helpers", "exchange", "scenes", "watch", "pixels")
    texts = ((_JAVASCRIPT / f"{name}.js").read_text("utf-8") for name in names)
    harness, *given = texts
    return (
        "\n" * OWN_LINES + f"{harness}({','.join((*given, json.dumps(FUNCTIONS), str(OWN_LINES)))})"
    )
