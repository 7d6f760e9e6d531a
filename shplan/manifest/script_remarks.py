"""What is said of a script, how it was looked at, and where in its text it is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from shplan.core.diagnostic import Severity
from shplan.core.frozen import dataclass
from shplan.core.nearest import nearest
from shplan.manifest.collections import MASK
from shplan.manifest.script_values import public_bands
from shplan.script import ScriptError, ScriptFacts
from shplan.script.probing import Seen
from shplan.script.reading import Reading, Span

_MOST_LISTED = 20
# What scripts do with a list, and with a single sample only by mistake.
OF_LISTS = frozenset(
    [
        "length",
        "forEach",
        "map",
        "filter",
        "reduce",
        "reduceRight",
        "sort",
        "slice",
        "splice",
        "push",
        "pop",
        "shift",
        "unshift",
        "concat",
        "find",
        "findIndex",
        "some",
        "every",
        "reverse",
        "entries",
        "keys",
        "values",
        "indexOf",
        "includes",
        "flat",
        "flatMap",
        "at",
        "fill",
        "join",
    ]
)


@dataclass(frozen=True, slots=True)
class Remark:
    """
    One thing about a script.

    Args:
        rule: the last part of its code
        span: where in the script, None for the whole of it
    """

    rule: str
    summary: str
    what: str
    why: str = ""
    hint: str = ""
    span: Span | None = None
    severity: Severity = Severity.ERROR


Remarks: TypeAlias = Iterator[Remark]
UNTRIED: Final = "Evalscript not tried"


@dataclass(frozen=True, slots=True)
class Look:
    """
    All that is known of one script.

    Args:
        seen: None where it could not be run on pixels
        fault: why not
        has_version: its first line says the version
        counting: outputs that have more values the more scenes there are
        barren: what it throws where there are no scenes, if it throws nothing else
    """

    facts: ScriptFacts
    reading: Reading
    seen: Seen | None
    fault: ScriptError | None = None
    has_version: bool = True
    counting: frozenset[str] = frozenset()
    barren: ScriptError | None = None


def warned(
    rule: str, summary: str, what: str, hint: str, span: Span | None, *, why: str = ""
) -> Remark:
    """Return a remark that stops nothing."""
    return Remark(rule, summary, what, why, hint, span, Severity.WARNING)


def missing_band(name: str, asked: Iterable[str]) -> str:
    """Return what to do about a band that is read and not asked for."""
    # Names of bands are alike: one that there is was hardly meant for another.
    meant = "" if name in public_bands() or name == MASK else did_you_mean(name, asked)
    return meant or f'add "{name}" to the bands of `setup()`'


def did_you_mean(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Return a hint with the nearest name; empty where none is near."""
    near = nearest(name, known, cutoff=0.5)
    return f"did you mean `{prefix}{near}`?" if near else ""


def names_text(names: Iterable[str]) -> str:
    """List names, not more than anybody reads."""
    found = list(names)
    more = len(found) - _MOST_LISTED
    return ", ".join(found[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def first_place(spans: Mapping[str, tuple[Span, ...]], name: str) -> Span | None:
    """Return where a name stands first."""
    return next(iter(spans.get(name, ())), None)


def input_place(reading: Reading, datasource: str, name: str) -> Span | None:
    """Return where `setup()` names a band or a unit of an input; another one may name it as well."""
    written = reading.strings.get(name, ())
    for members in reading.objects if datasource else ():
        key = members.get("datasource")
        if key is not None and key.text == datasource:
            first = min((one.span for one in members.values()), key=_position)
            behind = [one for one in written if _is_behind(one, first)]
            if behind:
                return min(behind, key=_position)
    return first_place(reading.strings, name)


def output_place(reading: Reading, output: str) -> Span | None:
    """Return where `setup()` names an output, or speaks of outputs; a band may be called as one."""
    for members in reading.objects:
        key = members.get("id")
        if key is not None and key.text == output:
            named = [one for one in reading.strings[output] if _is_behind(one, key.span)]
            return min(named, key=_position, default=None)
    return first_place(reading.strings, output) or first_place(reading.keys, "output")


def _position(span: Span) -> tuple[int, int]:
    return span.line, span.column


def _is_behind(one: Span, other: Span) -> bool:
    return _position(one) > _position(other)


def last_place(spans: Mapping[str, tuple[Span, ...]], name: str) -> Span | None:
    """Return where a name stands last."""
    return next(reversed(spans.get(name, ())), None)


def read_place(reading: Reading, name: str, place: tuple[int | None, int | None]) -> Span | None:
    """Return where a member is read: engines tell the line for sure, and the column more or less."""
    line, column = place
    spans = reading.members.get(name, ())
    on_line = [one for one in spans if one.line == line]
    if on_line:
        return min(on_line, key=lambda one: abs(one.column - (column or 1)))
    if spans:
        return spans[0]
    written = reading.strings.get(name, ())
    if len(written) == 1:
        return written[0]  # It is read by a name that is kept somewhere.
    return None if line is None else Span(line, column or 1, (column or 1) + 1)
