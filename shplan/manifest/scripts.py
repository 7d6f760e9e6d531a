"""
Evalscripts of a project: read, checked in a JavaScript engine, and run for the facts of `setup()`.

What is wrong is said with the place in the JavaScript. The engine is a process of its own that is
started by the first script; each text is looked at once, however many jobs use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.job_input import ScriptInput, ScriptOutput, ScriptShape
from shplan.script import Fault, ScriptError

if TYPE_CHECKING:
    from shplan.script import ScriptFacts, Worker

_SUMMARIES = {
    Fault.SYNTAX: "Evalscript cannot be read",
    Fault.RUNTIME: "Evalscript fails",
    Fault.TIMEOUT: "Evalscript does not end",
    Fault.MEMORY: "Evalscript needs too much memory",
    Fault.MISSING: "Evalscript lacks a function",
    Fault.VERSION: "Evalscript of another version",
    Fault.SHAPE: "setup() cannot be used",
    Fault.ENGINE: "No JavaScript engine",
}
_WHY = {
    Fault.TIMEOUT: "`setup()` is called while planning, to know bands, outputs and cost.",
    Fault.MEMORY: "`setup()` is called while planning, to know bands, outputs and cost.",
    Fault.VERSION: "Batch requests take scripts of version 3 only.",
    Fault.MISSING: "The service calls `setup()` once and `evaluatePixel()` for every pixel.",
}
_HINTS = {
    Fault.VERSION: "begin the file with //VERSION=3",
    Fault.TIMEOUT: "look for a loop that does not end",
    Fault.ENGINE: "pip install mini-racer, or quickjs-ng where that has no build",
}


class Scripts:
    """The scripts of one load, by their text."""

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._known: dict[str, ScriptShape | ScriptError] = {}
        self.files: dict[str, str] = {}

    def close(self) -> None:
        """End the engine's process, if there is one."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def shape(self, text: str) -> ScriptShape | None:
        """Return the facts of a script, None for one that is wrong."""
        found = self._look(text)
        return found if isinstance(found, ScriptShape) else None

    def fault(self, text: str) -> ScriptError | None:
        """Return what is wrong with a script."""
        found = self._look(text)
        return found if isinstance(found, ScriptError) else None

    def _look(self, text: str) -> ScriptShape | ScriptError:
        if text not in self._known:
            if self._worker is None:
                from shplan.script import Worker  # noqa: PLC0415 - only projects with scripts

                self._worker = Worker()
            try:
                self._known[text] = shape_of(self._worker.facts(text))
            except ScriptError as error:
                self._known[text] = error
        return self._known[text]


def shape_of(facts: ScriptFacts) -> ScriptShape:
    """Return what planning needs of a script's facts."""
    return ScriptShape(
        inputs=tuple(
            ScriptInput(one.datasource or None, one.bands, one.mosaicking) for one in facts.inputs
        ),
        outputs=tuple(ScriptOutput(one.id, one.bands, one.sample_type) for one in facts.outputs),
    )


def complaint(
    error: ScriptError, *, file: str, text: str, address: str, inline: SourceSpan | None = None
) -> Diagnostic:
    """
    Word what is wrong with a script.

    Args:
        file: where the text stands
        inline: the place in the manifest, for a script that is written there
    """
    span = inline or _place(error, file, text)
    where = f" (line {error.line} of the script)" if inline is not None and error.line else ""
    return Diagnostic(
        code=f"evalscript/{error.fault.name.lower()}",
        summary=_SUMMARIES[error.fault],
        what=f"{error.message.rstrip('.')}{where}.",
        why=_WHY.get(error.fault, ""),
        hint=_HINTS.get(error.fault, ""),
        span=span,
        address=address,
    )


def _place(error: ScriptError, file: str, text: str) -> SourceSpan:
    """Return the place that the engine names, to the end of the word that stands there."""
    lines = text.splitlines() or [""]
    number = min(max(error.line or 1, 1), len(lines))
    line = lines[number - 1]
    column = min(max(error.column or 1, 1), max(len(line), 1))
    if error.column is None:
        column = len(line) - len(line.lstrip()) + 1
        return SourceSpan(file, number, column, max(len(line.rstrip()), column) + 1)
    end = column
    while end <= len(line) and (line[end - 1].isalnum() or line[end - 1] in "_$"):
        end += 1
    return SourceSpan(file, number, column, max(end, column + 1))
