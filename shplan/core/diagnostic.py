"""
Messages to people, as data: what is wrong, where, why, and what to do about it.

A diagnostic is made where the fault is found and turned into text only by the
views. This module imports nothing of shplan, so that every room can speak.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from enum import Enum

from shplan.core.frozen import dataclass


class Severity(Enum):
    """How much a diagnostic weighs: an error stops the command, a warning does not; a hint is good to know."""

    ERROR = "error"
    WARNING = "warning"
    HINT = "hint"


@dataclass(frozen=True, slots=True, order=True)
class SourceSpan:
    """
    A place in a file.

    Args:
        file: path relative to the project, with forward slashes
        line: number of the line, from 1
        column: number of the first character, from 1, in code points
        end_column: the column after the last character on the same line
    """

    file: str
    line: int
    column: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """
    One message.

    Args:
        code: stable and documented, `area/rule`, e.g. `manifest/unknown-field`
        summary: a short fixed sentence without user data
        what: what is there, with the user's names
        why: why that is wrong
        hint: what would be right, ready to paste where possible
        span: where, or None when no file is at fault
        address: the resource concerned, printed form, or empty
        related: other places that take part, e.g. the first of two duplicates
    """

    code: str
    summary: str
    what: str
    why: str = ""
    hint: str = ""
    span: SourceSpan | None = None
    address: str = ""
    severity: Severity = Severity.ERROR
    related: tuple[SourceSpan, ...] = ()


def ordered(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sort by place, then code, and drop exact repetitions: the same faults read the same."""
    return tuple(sorted(dict.fromkeys(diagnostics), key=_order))


def of_all_instances(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """
    Say once what is wrong with every instance of a `forEach` in the same place.

    Messages count as the same if nothing but the instance's key, or a part of it, tells them apart.
    The first speaks, and names the others by their keys.
    """
    groups: dict[object, list[tuple[str, Diagnostic]]] = {}
    for one in diagnostics:
        found = _INSTANCE.search(one.what)
        key = "" if found is None else found[1]
        like = (one.code, one.span, one.why, _without(key, one.what), _without(key, one.hint))
        groups.setdefault(like if key else one, []).append((key, one))
    return tuple(_for_all(group) for group in groups.values())


_INSTANCE = re.compile(r"\b[A-Z]\w*/[\w.-]+\[([^\[\]\s]+)\]")
_NAMED_INSTANCES = 3


def _without(key: str, text: str) -> str:
    for part in (key, *key.split(",")):
        text = text.replace(part, "[]") if part else text
    return text


def _for_all(group: list[tuple[str, Diagnostic]]) -> Diagnostic:
    (_, first), *others = group
    if not others:
        return first
    keys = ", ".join(f"[{key}]" for key, _ in others[:_NAMED_INSTANCES])
    more = ", ..." if len(others) > _NAMED_INSTANCES else ""
    noun = "instance" if len(others) == 1 else "instances"
    said = f"The same in {len(others):,} other {noun}: {keys}{more}"
    return replace(first, what=f"{first.what}\n{said}")


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Tell whether one of them stops the command."""
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)


def _order(diagnostic: Diagnostic) -> tuple[str, int, int, str, str]:
    span = diagnostic.span
    if span is None:
        return ("", 0, 0, diagnostic.code, diagnostic.what)
    return (span.file, span.line, span.column, diagnostic.code, diagnostic.what)
