"""
Messages to people, as data: what is wrong, where, why, and what to do about it.

A diagnostic is made where the fault is found and turned into text only by the
views. This module imports nothing of shplan, so that every room can speak.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from shplan.core.frozen import dataclass


class Severity(Enum):
    """How much a diagnostic weighs: an error stops the command, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


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


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Tell whether one of them stops the command."""
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)


def _order(diagnostic: Diagnostic) -> tuple[str, int, int, str, str]:
    span = diagnostic.span
    if span is None:
        return ("", 0, 0, diagnostic.code, diagnostic.what)
    return (span.file, span.line, span.column, diagnostic.code, diagnostic.what)
