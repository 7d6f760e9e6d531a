"""
The parent's side: a process that can be killed, in which scripts are read.

An engine's own limits are not enough: some things that a script can do are stopped by nothing but the end of
the process. So a deadline is held here as well, and after any limit was met the process is ended and the
next request starts another.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self, TypeAlias

from shplan.script.errors import Fault, ScriptError
from shplan.script.facts import ScriptFacts
from shplan.script.limits import Limits
from shplan.script.process import ChildProcess, Ending, StartError
from shplan.script.shape import Setup, UnusableError, read_setup
from shplan.script.source import unreadable, version_of
from shplan.script.wire import Message

Place: TypeAlias = tuple[int | None, int | None]

VERSION = 3
_REQUIRED = ("setup", "evaluatePixel")
_SIMPLE = (
    "the script has no setup() and returns at its top level; a simple script serves single images, while "
    "batch requests need setup() and evaluatePixel()"
)
_MESSAGE_LENGTH = 500
_DEFAULT_LIMITS = Limits()
_FALLBACK = "quickjs"
_NOWHERE = (None, None)


class Worker:
    """
    Reads scripts in a process of its own, started at first use; for one thread at a time.

    Args:
        limits: what a script may use up
        engine: `v8` or `quickjs`; None for V8 where it can be loaded, else QuickJS
    """

    def __init__(self, *, limits: Limits = _DEFAULT_LIMITS, engine: str | None = None) -> None:
        self._limits = limits
        self._engine = engine
        self._child: ChildProcess | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def facts(self, text: str) -> ScriptFacts:
        """
        Check the syntax of a script, run its top level and its `setup()`, and read what that says.

        Raises:
            ScriptError: the script cannot be used; for what happens inside `setup()` with its line, or
                with the line of its declaration where no engine can tell
        """
        bad = unreadable(text)
        if bad:
            line, column = bad
            msg = "the script holds a character that is no text"
            raise ScriptError(Fault.SYNTAX, msg, line=line, column=column)
        if version_of(text) != VERSION:
            raise self._not_this_version(text)
        loaded = self._ask({"operation": "load", "text": text}, _NOWHERE)
        functions = _functions(loaded)
        place = _declaration(loaded)
        setup = _setup_of(self._ask({"operation": "setup"}, place), place)
        assert self._engine is not None
        return ScriptFacts(
            version=VERSION,
            engine=self._engine,
            functions=functions,
            mosaicking=setup.mosaicking,
            inputs=setup.inputs,
            outputs=setup.outputs,
        )

    def close(self) -> None:
        """End the process, if there is one; the next request would start another."""
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _not_this_version(self, text: str) -> ScriptError:
        """Return why a text without our version line cannot be used: what is most wrong with it."""
        if self._ask({"operation": "parse", "text": text}, _NOWHERE)["simple"]:
            return ScriptError(Fault.MISSING, _SIMPLE)
        version = version_of(text)
        said = "does not say its version" if version is None else f"says version {version}"
        msg = f"the script {said}; its first line must be //VERSION={VERSION}"
        return ScriptError(Fault.VERSION, msg, line=1, column=1)

    def _ask(self, request: Message, place: Place) -> Message:
        """
        Send one request and return the answer.

        Args:
            place: of what is run, for the faults of which the engine tells no place

        Raises:
            ScriptError: as the child answered, or because there is no answer
        """
        child = self._running()
        answer = child.exchange(request)
        if child.ending is not None:
            self.close()
        if answer is None:
            assert child.ending is not None
            raise self._lost(child.ending, place)
        if "fault" in answer:
            raise self._answered(answer, place)
        return answer

    def _running(self) -> ChildProcess:
        if self._child is not None and self._child.ending is not None:
            # An interrupt came in between; the next answer would be that of another request.
            self.close()
        if self._child is None:
            try:
                self._child = self._started()
            except StartError as error:
                raise ScriptError(Fault.ENGINE, _one_line(str(error))) from error
            # What crashed here once is not tried again.
            self._engine = self._child.engine
        return self._child

    def _started(self) -> ChildProcess:
        try:
            return ChildProcess(self._limits, self._engine)
        except StartError as error:
            if self._engine is not None or not error.crashed:
                raise
            return ChildProcess(self._limits, _FALLBACK)

    def _answered(self, answer: Message, place: Place) -> ScriptError:
        fault = Fault(answer["fault"])
        if fault in (Fault.TIMEOUT, Fault.MEMORY):
            # An engine that was stopped once may take no further call.
            self.close()
        line, column = answer["line"], answer["column"]
        # Where an engine was stopped is chance, if it tells at all.
        if line is None or fault is Fault.TIMEOUT:
            line, column = place
        assert line is None or isinstance(line, int)
        assert column is None or isinstance(column, int)
        return self._error(fault, str(answer["message"]), (line, column))

    def _lost(self, ending: Ending, place: Place) -> ScriptError:
        if ending is Ending.LATE:
            return self._error(Fault.TIMEOUT, "", place)
        if ending is Ending.ABORTED:
            return self._error(Fault.MEMORY, "", place)
        return self._error(Fault.ENGINE, "the worker process ended while it read the script", place)

    def _error(self, fault: Fault, words: str, place: Place) -> ScriptError:
        line, column = place
        return ScriptError(fault, self._message(fault, words), line=line, column=column)

    def _message(self, fault: Fault, words: str) -> str:
        """Limits are told in our words, which are the same under every engine."""
        if fault is Fault.TIMEOUT:
            return f"the script did not end within {self._limits.time_s:g} s"
        if fault is Fault.MEMORY:
            return f"the script needs more than {self._limits.heap_mb} MiB of memory"
        if fault is Fault.SYNTAX:
            return _one_line(words.removeprefix("SyntaxError: "))
        return _one_line(words)


def _functions(loaded: Message) -> tuple[str, ...]:
    if loaded.get("simple"):
        raise ScriptError(Fault.MISSING, _SIMPLE)
    functions = loaded["functions"]
    assert isinstance(functions, list)
    missing = [name for name in _REQUIRED if name not in functions]
    if missing:
        msg = f"the script has no {' and no '.join(f'{name}()' for name in missing)}"
        raise ScriptError(Fault.MISSING, msg)
    return tuple(functions)


def _declaration(loaded: Message) -> Place:
    place = loaded["setup"]
    if place is None:
        return _NOWHERE
    assert isinstance(place, list)
    line, column = place
    return line, column


def _setup_of(answer: Message, place: Place) -> Setup:
    line, column = place
    if "large" in answer:
        msg = "setup() returned more than anybody can have meant"
        raise ScriptError(Fault.SHAPE, msg, line=line, column=column)
    try:
        return read_setup(answer["value"])
    except UnusableError as error:
        raise ScriptError(Fault.SHAPE, str(error), line=line, column=column) from error


def _one_line(words: str) -> str:
    return " ".join(words.split())[:_MESSAGE_LENGTH]
