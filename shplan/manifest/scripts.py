"""
Evalscripts of a project: read, checked in a JavaScript engine, and run for the facts of `setup()`.

What is wrong is said with the place in the JavaScript. The engine is a process of its own that is
started by the first script; each text is looked at once, however many jobs use it.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.job_input import ScriptInput, ScriptOutput, ScriptShape
from shplan.core.nearest import nearest
from shplan.script import Fault, ScriptError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shplan.manifest.script_remarks import Look, Remark
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
    Fault.RUNTIME: "The script is run while planning: its top level, then `setup()`.",
    Fault.SHAPE: "`setup()` says which bands are read and what comes out of them.",
    Fault.VERSION: "Batch requests take scripts of version 3 only.",
    Fault.MISSING: "The service calls `setup()` once and `evaluatePixel()` for every pixel.",
}
_HINTS = {
    Fault.TIMEOUT: "look for a loop that does not end, in setup() or outside of all functions",
    Fault.MEMORY: "look for a list that grows without end, in setup() or outside of all functions",
    Fault.ENGINE: "pip install mini-racer, or quickjs-ng where that has no build",
}


_HINTS_BY_WORDS = {
    "does not say its version": "begin the file with a line //VERSION=3",
    "written for version": "rewrite it: //VERSION=3, with setup() and evaluatePixel()",
    "says version": "rewrite it: //VERSION=3, with setup() and evaluatePixel()",
    "has no evaluatePixel()": "add function evaluatePixel(sample) { return [...]; }",
    "has no setup()": "add function setup() { return {input: [...], output: {bands: 1}}; }",
    "Array is not defined": "write a list, [0.25, 0.5]: typed arrays are kept from scripts here, as no limit counts them",
    "returned nothing": "return {input: [...], output: {bands: 1}}",
}


# Faults of a script that the service may well render single images with.
_OF_JOBS = (Fault.VERSION, Fault.MISSING)


class Scripts:
    """The scripts of one load, by their text."""

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._known: dict[str, tuple[ScriptFacts, ScriptShape] | ScriptError] = {}
        self._looks: dict[str, Look | ScriptError] = {}
        self.files: dict[str, str] = {}

    def close(self) -> None:
        """End the engine's process, if there is one."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def shape(self, text: str) -> ScriptShape | None:
        """Return the facts of a script as planning needs them, None for one that is wrong."""
        found = self._facts(text)
        return None if isinstance(found, ScriptError) else found[1]

    def facts(self, text: str) -> ScriptFacts | None:
        """Return the facts of a script, None for one that is wrong."""
        found = self._facts(text)
        return None if isinstance(found, ScriptError) else found[0]

    def fault(self, text: str) -> ScriptError | None:
        """Return what keeps a script from serving a job."""
        found = self._facts(text)
        return found if isinstance(found, ScriptError) else None

    def fault_alone(self, text: str) -> ScriptError | None:
        """
        Return what keeps a script from being of any use.

        Single images are rendered with more than jobs take: with a body that returns its values, and with a text
        that does not say its version, as published scripts are. Who keeps one beside its jobs is told nothing.
        """
        found = self.fault(text)
        if found is None or found.fault not in _OF_JOBS:
            return found
        seen = self._looked(text)
        if not isinstance(seen, ScriptError):
            return None
        # What is wrong beside its version is the better word, and which version it is of.
        return found if seen.fault is Fault.MISSING else seen

    def look(self, text: str) -> Look | None:
        """Return what a script says, reads and returns; None for one that is of no use."""
        seen = self._looked(text)
        return None if isinstance(seen, ScriptError) else seen

    def _looked(self, text: str) -> Look | ScriptError:
        if text not in self._looks:
            from shplan.manifest.script_looks import look  # noqa: PLC0415 - only where it is asked

            try:
                self._looks[text] = look(self._started(), text)
            except ScriptError as error:
                self._looks[text] = error
        return self._looks[text]

    def _facts(self, text: str) -> tuple[ScriptFacts, ScriptShape] | ScriptError:
        if text not in self._known:
            try:
                facts = self._started().facts(text)
                self._known[text] = (facts, shape_of(facts))
            except ScriptError as error:
                self._known[text] = error
        return self._known[text]

    def _started(self) -> Worker:
        if self._worker is None:
            from shplan.script import Worker  # noqa: PLC0415 - only projects with scripts

            self._worker = Worker()
        return self._worker


def shape_of(facts: ScriptFacts) -> ScriptShape:
    """Return what planning needs of a script's facts."""
    return ScriptShape(
        inputs=tuple(
            ScriptInput(one.datasource or None, one.bands, one.mosaicking) for one in facts.inputs
        ),
        outputs=tuple(
            ScriptOutput(one.id, one.bands, one.sample_type, one.band_names, one.is_typed)
            for one in facts.outputs
        ),
        chooses=bool({"preProcessScenes", "filterScenes"} & set(facts.functions)),
        changes="updateOutput" in facts.functions,
    )


def complaint(
    error: ScriptError,
    *,
    file: str,
    text: str,
    address: str,
    inline: SourceSpan | None = None,
    manifest: str = "",
) -> Diagnostic:
    """
    Word what is wrong with a script.

    Args:
        file: where the text stands
        inline: the place in the manifest, for a script that is written there
        manifest: the text of that manifest
    """
    line, column, hint = _better_place(error, text)
    span = _span(file, text, line, column)
    where = ""
    if inline is not None:
        inside = _inside(span, text, inline, manifest)
        where = f" (line {line} of the script)" if inside is None and line else ""
        span = inside or inline
        hint = hint or _hint_for_path(text)
        if inside is None and _is_folded(inline, manifest):
            hint = "write `|` in the place of `>`, which joins the lines of the script"
    return Diagnostic(
        code=f"evalscript/{error.fault.name.lower()}",
        summary=_SUMMARIES[error.fault],
        what=f"{error.message.rstrip('.')}{where}.",
        why=_WHY.get(error.fault, ""),
        hint=hint or _hint(error),
        span=span,
        address=address,
    )


def remarked(
    remark: Remark,
    *,
    file: str,
    text: str,
    address: str,
    inline: SourceSpan | None = None,
    manifest: str = "",
) -> Diagnostic:
    """
    Word what is to be said of a script; the arguments are those of `complaint`.

    What has no place in the script is said of where it is used, or of the script's first line.
    """
    span = inline
    where = ""
    if remark.span is not None or inline is None:
        place = remark.span
        span = (
            _span(file, text, 1, None)
            if place is None
            else SourceSpan(file, place.line, place.column, place.end_column)
        )
        if inline is not None and place is not None:
            inside = _inside(span, text, inline, manifest)
            where = f" (line {place.line} of the script)" if inside is None else ""
            span = inside or inline
    return Diagnostic(
        code=f"evalscript/{remark.rule}",
        summary=remark.summary,
        what=f"{remark.what.rstrip('.')}{where}.",
        why=remark.why,
        hint=remark.hint,
        span=span,
        address=address,
        severity=remark.severity,
    )


# A value of which it is said what it must be.
_CHOICE = re.compile(r'is "(\w+)"; it must be (?:one of )?([A-Z0-9, ]+(?: or [A-Z]+)?)$')


def _hint(error: ScriptError) -> str:
    for words, hint in _HINTS_BY_WORDS.items():
        if words in error.message:
            return hint
    chosen = _CHOICE.search(error.message.rstrip("."))
    if chosen is not None:
        near = nearest(chosen[1].upper(), re.findall(r"[A-Z][A-Z0-9]+", chosen[2]), cutoff=0.5)
        return f"did you mean `{near}`?" if near else ""
    return _HINTS.get(error.fault, "")


def _is_folded(inline: SourceSpan, manifest: str) -> bool:
    """Tell whether a text is written as a folded block, of which YAML joins the lines."""
    lines = manifest.splitlines()
    return inline.line <= len(lines) and lines[inline.line - 1][inline.column - 1 :].startswith(">")


def _hint_for_path(text: str) -> str:
    """A path stands where the text of a script belongs."""
    if "\n" in text or not text.endswith(".js"):
        return ""
    name = text.rpartition("/")[2].removesuffix(".js")
    said = f"declare an Evalscript with `spec: {{file: {text}}}`"
    return f"{said}, and write \"{{{{ ref('Evalscript/{name}') }}}}\" here"


# --- places --------------------------------------------------------------------------------

_NO_FUNCTION = re.compile(r"has no (setup|evaluatePixel)\(\)$")
# As programs write it that mean a line break by the two characters.
_COMMENTED = re.compile(r"\s*//\s*VERSION\s*=\s*\d.*\bsetup\b", re.IGNORECASE)
_NO_MEMBER = re.compile(r"(?:has|returned) no (\w+)$|\.(\w+) is missing")
_MEMBER = re.compile(r"^(?:(input|output)(?:\[(\d+)\])?\.)?(\w+)(?:\[\d+\])? (?:is|has) ")
_FUNCTIONS = re.compile(r"(?:\bfunction\s+|\b(?:const|let|var)\s+)([A-Za-z_$][\w$]*)")
# Source: Evalscript V3, "setup function": what may stand in it.
_MEMBERS = frozenset(
    [
        "input",
        "output",
        "mosaicking",
        "bands",
        "units",
        "metadata",
        "datasource",
        "id",
        "sampleType",
        "nodataValue",
    ]
)
_KEYS = re.compile(r"([A-Za-z_$][\w$]*)[\"']?\s*:")


def _unclosed(text: str, begin: int) -> int | None:
    """Return where on a line a comment begins that never ends."""
    line = text[begin:].partition("\n")[0]
    at = begin + line.rfind("/*")
    return at if "/*" in line and "*/" not in text[at:] else None


def _better_place(error: ScriptError, text: str) -> tuple[int | None, int | None, str]:
    """
    Return line, column and a hint: the misspelt name or the one member that a fault is about.

    The engine knows where `setup` is declared, not where its value was written. A name is pointed
    to only where exactly one place in the script can be meant.
    """
    begin = _offset(text, error.line or 1)
    if error.fault is Fault.MISSING and _COMMENTED.match(text):
        return 1, 1, "break the line behind `//VERSION=3`: what follows on it is a comment"
    if error.fault is Fault.MISSING:
        found = _NO_FUNCTION.search(error.message)
        near = None if found is None else _near(found[1], _FUNCTIONS.finditer(text))
    elif error.fault is Fault.SHAPE:
        found = _NO_MEMBER.search(error.message)
        near = None
        if found is not None:
            near = _near(found[1] or found[2], _KEYS.finditer(text, begin))
    elif error.fault is Fault.SYNTAX and (opened := _unclosed(text, begin)) is not None:
        return *_place(text, opened), "close the comment that begins here: */"
    else:
        return error.line, error.column, ""
    if near is not None and found is not None:
        return *_place(text, near.start(1)), f"did you mean `{found[1] or found[2]}`?"
    member = _member(error.message, text, begin) if error.fault is Fault.SHAPE else None
    if member is not None:
        return *_place(text, member.start(1)), ""
    return error.line, error.column, ""


def _member(message: str, text: str, begin: int) -> re.Match[str] | None:
    """Return where the member is written that a message about a setup names by its path."""
    named = _MEMBER.search(message)
    if named is None:
        return None
    root, index, name = named.groups()
    if root and index in (None, "0"):
        roots = [one for one in _KEYS.finditer(text, begin) if one[1] == root]
        if len(roots) != 1:
            return None
        return next((one for one in _KEYS.finditer(text, roots[0].end()) if one[1] == name), None)
    keys = [one for one in _KEYS.finditer(text, begin) if one[1] == name]
    return keys[0] if len(keys) == 1 else None


def _near(name: str, candidates: Iterator[re.Match[str]]) -> re.Match[str] | None:
    """Return where a name stands that was probably to be this one."""
    by_name = {one[1]: one for one in candidates if one[1] not in _MEMBERS}
    (close, *_) = [*difflib.get_close_matches(name, by_name, n=1, cutoff=0.7), ""]
    return by_name.get(close)


def _offset(text: str, line: int) -> int:
    return sum(len(one) for one in text.splitlines(keepends=True)[: line - 1])


def _place(text: str, offset: int) -> tuple[int, int]:
    """Return line and column of a character."""
    before = text[:offset].splitlines(keepends=True) or [""]
    if before[-1].endswith("\n"):
        return len(before) + 1, 1
    return len(before), len(before[-1]) + 1


def _inside(span: SourceSpan, text: str, inline: SourceSpan, manifest: str) -> SourceSpan | None:
    """
    Return where a line of a script stands in the manifest that the script is written in.

    Only in a block (`|`) a script keeps its lines; anywhere else there is no such place.
    """
    lines, own = manifest.splitlines(), text.splitlines()
    at = inline.line - 1 + span.line
    if at >= len(lines) or span.line > len(own):
        return None
    shift = lines[at].find(own[span.line - 1])
    if shift < 0 or lines[at].strip() != own[span.line - 1].strip():
        return None
    return SourceSpan(inline.file, at + 1, span.column + shift, span.end_column + shift)


def _span(file: str, text: str, number: int | None, column: int | None) -> SourceSpan:
    """Return a place to the end of the word that stands there, or of a line that is a comment."""
    lines = text.splitlines() or [""]
    number = min(max(number or 1, 1), len(lines))
    line = lines[number - 1]
    whole = column is None or line.startswith("//")
    if whole:
        first = len(line) - len(line.lstrip()) + 1
        return SourceSpan(file, number, first, max(len(line.rstrip()), first) + 1)
    column = min(max(column or 1, 1), max(len(line), 1))
    end = column
    while end <= len(line) and (line[end - 1].isalnum() or line[end - 1] in "_$"):
        end += 1
    return SourceSpan(file, number, column, max(end, column + 1))
