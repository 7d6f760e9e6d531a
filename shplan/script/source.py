"""
The text of a script: its version line, and places in it.

A place that an engine names is one in the text that the engine was given: the script inside a function,
with a prefix on the first line. Here it becomes a place in the script's own text.
"""

from __future__ import annotations

import re

# Source: Evalscript V3; published scripts also write spaces in it, a remark behind, and, where the text stands in a
# program, white space before it.
_VERSION = re.compile(r"\ufeff?[ \t\r\n]*//[ \t]*VERSION[ \t]*=[ \t]*(\d+)(?!\d|\.\d)")
# Source: ECMA-262, "Line Terminators".
_LINE_END = re.compile(r"\r\n|[\n\r\u2028\u2029]")
# Comments go; a string stays, so that nothing in it is taken for a comment.
_COMMENT = re.compile(
    r"""//[^\n]*|/\*.*?(?:\*/|\Z)|("(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)""", re.DOTALL
)
_NAME = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
# What older dialects call in `setup`: the first a function, the second a key.
_OLDER = re.compile(r"\bset(?:InputComponents|OutputComponentCount)\b|\bcomponentCount[\"']?\s*:")
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")


def version_of(text: str) -> int | None:
    """Return the version that the first line that is not empty says, None where it says none."""
    found = _VERSION.match(text)
    return int(found.group(1)) if found else None


def is_older(text: str) -> bool:
    """Tell whether a text is written as scripts of version 1 and 2 are."""
    return _OLDER.search(text) is not None


def names_in(text: str) -> frozenset[str]:
    """Return every name that a text can mean: all but what stands in comments alone."""
    return frozenset(_NAME.findall(_COMMENT.sub(lambda found: found[1] or " ", text)))


def is_name(text: str) -> bool:
    """Tell whether a text can be the name of a variable, if it is no word of the language."""
    return _NAME.fullmatch(text) is not None


def unreadable(text: str) -> tuple[int, int] | None:
    """Return line and column of the first character that no engine takes, None where all are text."""
    found = _NOT_TEXT.search(text)
    return place_of(text, found.start()) if found else None


def place_of(text: str, offset: int) -> tuple[int, int]:
    """Return line and column of an offset in code points."""
    lines = _LINE_END.split(text[:offset])
    return len(lines), len(lines[-1]) + 1


def line_starts(text: str) -> list[int]:
    """Return the offset of the first character of each line, in code points."""
    return [0, *(found.end() for found in _LINE_END.finditer(text))]


def place_of_units(text: str, units: int) -> tuple[int, int]:
    """Return line and column of an offset in UTF-16 code units, in which JavaScript counts."""
    return place_of(text, code_points(text, units, "utf-16-le", 2))


def own_place(
    text: str, prefix: str, line: int, column: int | None, *, encoding: str
) -> tuple[int, int | None]:
    """
    Return the place in the script of a place in the script between `prefix` and a closing line.

    Args:
        text: the script
        prefix: what stands before it on its first line, ASCII
        line: as the engine counts, from 1
        column: as the engine counts, from 1
        encoding: in whose units the engine counts columns: `utf-8` or `utf-16-le`

    Returns:
        line and column; the end of the script for what stands behind it
    """
    lines = _LINE_END.split(text)
    if line > len(lines):
        return len(lines), len(lines[-1]) + 1
    if column is None:
        return line, None
    if line == 1:
        column -= len(prefix)
    size = 1 if encoding == "utf-8" else 2
    return line, code_points(lines[line - 1], max(column, 1) - 1, encoding, size) + 1


def code_points(text: str, units: int, encoding: str, size: int) -> int:
    """Return how many code points the first so many code units of a text are."""
    if text.isascii():
        return min(units, len(text))
    return len(text.encode(encoding)[: units * size].decode(encoding, "ignore"))
