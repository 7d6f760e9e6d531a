"""
The parent's side: a process that can be killed, in which scripts are read and run.

An engine's own limits are not enough: some things that a script can do are stopped by nothing but the end of
the process. So a deadline is held here as well, and after any limit was met the process is ended and the
next request starts another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from shplan.script.errors import Fault, ScriptError
from shplan.script.facts import InputFacts, ScriptFacts
from shplan.script.limits import Limits
from shplan.script.process import ChildProcess, Ending, StartError
from shplan.script.shape import Setup, UnusableError, read_setup
from shplan.script.source import is_name, is_older, names_in, unreadable, version_of
from shplan.script.wire import Message

if TYPE_CHECKING:
    from shplan.script.rendering import Rendering

Place: TypeAlias = tuple[int | None, int | None]
Places: TypeAlias = Mapping[str, Place]

VERSION = 3
_REQUIRED = ("setup", "evaluatePixel")
_SIMPLE = (
    "the script has no setup() and returns at its top level: what such a simple script reads and gives "
    "is not known before it runs"
)
_OLDER = (
    "the script is written for version 1 or 2, with setup(ds), and setInputComponents() or componentCount; "
    "only version 3 is run"
)
_MESSAGE_LENGTH = 500
_MB = 1 << 20
_AT_RUN_TIME = frozenset({"eval", "Function"})
_DEFAULT_LIMITS = Limits()
_FALLBACK = "quickjs"
_ENDINGS = {
    Ending.LATE: (Fault.TIMEOUT, ""),
    Ending.ABORTED: (Fault.MEMORY, ""),
    Ending.LOST: (Fault.ENGINE, "the worker process ended while it read the script"),
}
_NOWHERE = (None, None)


class Worker:
    """
    Reads and runs scripts in a process of its own, started at first use; for one thread at a time.

    Args:
        limits: what a script may use up
        engine: `v8` or `quickjs`; None for V8 where it can be loaded, else QuickJS
    """

    def __init__(
        self,
        *,
        limits: Limits = _DEFAULT_LIMITS,
        engine: str | None = None,
    ) -> None:
        self._limits = limits
        self._engine = engine
        self._child: ChildProcess | None = None
        # Counts the scripts that were read.
        self._turn = 0

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
        self._check_text(text)
        if version_of(text) != VERSION:
            raise self._not_this_version(text)
        return self._read(self._ask({"operation": "load", "text": text}, _NOWHERE))[0]

    def begin(self, text: str, *, bands: Iterable[str] = ()) -> Rendering:
        """
        Read a script and run its `setup()`, and stay ready to run the rest of it.

        More is taken than `facts` takes, because more is published: a script whose version line is missing, if it
        is written as those of version 3 are; and a simple script, a body without functions that returns its
        values. The rendering is good until this worker is asked for something else.

        Args:
            bands: what counts as a variable in a simple script; those that it uses are its inputs

        Raises:
            ScriptError: as for `facts`
        """
        self._check_text(text)
        if "setup" not in names_in(text) and self._is_simple(text):
            return self._simple(text, bands)
        version = version_of(text)
        if version not in (None, VERSION):
            raise self._not_this_version(text)
        if version is None and is_older(text):
            raise ScriptError(Fault.VERSION, _OLDER, line=1, column=1)
        loaded = self._ask({"operation": "load", "text": text}, _NOWHERE)
        if loaded.get("simple"):
            return self._simple(text, bands)
        return self._rendering(*self._read(loaded))

    def _read(self, loaded: Message) -> tuple[ScriptFacts, Places]:
        """Run `setup()` of what was loaded; return the facts, and where functions are declared."""
        places = _places(loaded)
        place = places["setup"]
        setup = _setup_of(self._ask({"operation": "setup"}, place), place)
        assert self._engine is not None
        facts = ScriptFacts(
            version=VERSION,
            engine=self._engine,
            functions=tuple(places),
            mosaicking=setup.mosaicking,
            inputs=setup.inputs,
            outputs=setup.outputs,
        )
        return facts, places

    def _is_simple(self, text: str) -> bool:
        return bool(self._ask({"operation": "parse", "text": text}, _NOWHERE)["simple"])

    def _simple(self, text: str, bands: Iterable[str]) -> Rendering:
        names = names_in(text)
        # What a text that is put together at run time names, nobody can tell before.
        any_name = not _AT_RUN_TIME.isdisjoint(names)
        used = tuple(
            one for one in dict.fromkeys(bands) if is_name(one) and (any_name or one in names)
        )
        self._ask({"operation": "simple", "text": text, "bands": list(used)}, _NOWHERE)
        assert self._engine is not None
        facts = ScriptFacts(
            version=VERSION,
            engine=self._engine,
            functions=(),
            mosaicking="SIMPLE",
            inputs=(InputFacts(used, (), "", "SIMPLE", ()),),
            outputs=(),
            is_simple=True,
        )
        return self._rendering(facts, {})

    def _rendering(self, facts: ScriptFacts, places: Places) -> Rendering:
        # Who only asks for facts loads no arrays.
        from shplan.script.rendering import Allowance, Rendering  # noqa: PLC0415

        child, turn = self._child, self._turn
        limits = self._limits
        allowance = Allowance(
            limits.time_s,
            limits.pixels_s,
            limits.million_s,
            limits.block_mb * _MB,
            limits.result_mb * _MB,
        )

        def ask(
            request: Message,
            place: Place,
            *,
            parts: Sequence[memoryview] = (),
            into: Sequence[memoryview] = (),
            time_s: float,
            limit_s: float,
        ) -> Message:
            if self._turn != turn:
                raise ScriptError(Fault.ENGINE, "the worker has gone on to another script")
            if child is None or self._child is not child or child.ending is not None:
                raise self._lost(Ending.LOST, place, limit_s)
            return self._sent(
                child, request, place, parts=parts, into=into, time_s=time_s, limit_s=limit_s
            )

        return Rendering(facts, places, ask, allowance)

    def _check_text(self, text: str) -> None:
        bad = unreadable(text)
        if bad:
            line, column = bad
            msg = "the script holds a character that is no text"
            raise ScriptError(Fault.SYNTAX, msg, line=line, column=column)

    @property
    def is_ready(self) -> bool:
        """Tell whether a process waits for requests, as far as is known."""
        return self._child is not None and self._child.ending is None and self._child.engine != ""

    def start(self) -> None:
        """Let a process start, and do not wait for it: whoever asks next waits the less."""
        if self._child is not None and self._child.ending is not None:
            self._drop()
        if self._child is None:
            # Who asks next is told why there is none.
            with suppress(StartError):
                self._child = ChildProcess(self._limits, self._engine)

    def close(self) -> None:
        """End the process, if there is one; the next request would start another."""
        self._drop()

    def _drop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _not_this_version(self, text: str) -> ScriptError:
        """Return why a text without our version line cannot be used: what is most wrong with it."""
        if self._is_simple(text):
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
        self._turn += "text" in request
        return self._sent(self._running(), request, place)

    def _sent(
        self,
        child: ChildProcess,
        request: Message,
        place: Place,
        *,
        parts: Sequence[memoryview] = (),
        into: Sequence[memoryview] = (),
        time_s: float | None = None,
        limit_s: float | None = None,
    ) -> Message:
        answer = child.exchange(request, parts=parts, into=into, time_s=time_s)
        if child.ending is not None:
            self._drop()
        limit_s = self._limits.time_s if limit_s is None else limit_s
        if answer is None:
            assert child.ending is not None
            raise self._lost(child.ending, place, limit_s)
        if "fault" in answer:
            raise self._answered(answer, place, limit_s)
        return answer

    def _running(self) -> ChildProcess:
        if self._child is not None and self._child.ending is not None:
            # An interrupt came in between; the next answer would be that of another request.
            self._drop()
        try:
            child = self._child = self._started()
        except StartError as error:
            self._child = None
            raise ScriptError(Fault.ENGINE, _one_line(str(error))) from error
        # What crashed here once is not tried again.
        self._engine = child.engine
        return child

    def _started(self) -> ChildProcess:
        try:
            child = self._child or ChildProcess(self._limits, self._engine)
            child.await_start()
        except StartError as error:
            if self._engine is not None or not error.crashed:
                raise
            child = ChildProcess(self._limits, _FALLBACK)
            child.await_start()
        return child

    def _answered(self, answer: Message, place: Place, limit_s: float) -> ScriptError:
        fault = Fault(answer["fault"])
        if fault in (Fault.TIMEOUT, Fault.MEMORY):
            # An engine that was stopped once may take no further call.
            self._drop()
        line, column = answer["line"], answer["column"]
        # Where an engine was stopped is chance, if it tells at all.
        if line is None or fault is Fault.TIMEOUT:
            line, column = place
        assert line is None or isinstance(line, int)
        assert column is None or isinstance(column, int)
        words = self._message(fault, str(answer["message"]), limit_s)
        return ScriptError(fault, words, line=line, column=column)

    def _lost(self, ending: Ending, place: Place, limit_s: float) -> ScriptError:
        fault, words = _ENDINGS[ending]
        line, column = place
        return ScriptError(fault, self._message(fault, words, limit_s), line=line, column=column)

    def _message(self, fault: Fault, words: str, limit_s: float) -> str:
        """Limits are told in our words, which are the same under every engine."""
        if fault is Fault.TIMEOUT:
            return f"the script did not end within {limit_s:.3g} s"
        if fault is Fault.MEMORY:
            return f"the script needs more than {self._limits.heap_mb} MiB of memory"
        if fault is Fault.SYNTAX:
            return _one_line(words.removeprefix("SyntaxError: "))
        return _one_line(words)


def _places(loaded: Message) -> Places:
    """Return where each function is declared, sorted by name; all that must be there are."""
    if loaded.get("simple"):
        raise ScriptError(Fault.MISSING, _SIMPLE)
    functions = loaded["functions"]
    assert isinstance(functions, dict)
    missing = [name for name in _REQUIRED if name not in functions]
    if missing:
        msg = f"the script has no {' and no '.join(f'{name}()' for name in missing)}"
        raise ScriptError(Fault.MISSING, msg)
    return {name: (line, column) for name, (line, column) in functions.items()}


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
    # What a script throws may hold halves of characters, which nobody could write down.
    text = words.encode("utf-8", "replace").decode("utf-8")
    return " ".join(text.split())[:_MESSAGE_LENGTH]
