"""
libyaml's complaints, put into words that say what to type.

Each entry of the table pairs a fragment of libyaml's own text with what people usually did to get
it. What cannot be recognised is passed on in libyaml's words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shplan.core.diagnostic import Diagnostic
from shplan.manifest.lines import Lines


@dataclass(frozen=True, slots=True)
class Problem:
    """What libyaml said, and where: offsets into the text."""

    text: str
    offset: int
    context: str = ""
    context_offset: int | None = None


@dataclass(frozen=True, slots=True)
class _Wording:
    fragment: str
    what: str
    why: str
    hint: str
    at_context: bool = False


_UNQUOTED = re.compile(r"(?:^|[\s\[{,])(\{\{.*?\}\})")
_TABLE = (
    _Wording(
        "mapping values are not allowed",
        "a second `: ` stands on this line.",
        "In a text without quotes, a colon and a space begin a new mapping.",
        'put the text in quotes: `key: "text: with a colon"`; or check the indentation',
    ),
    _Wording(
        "while scanning a quoted scalar",
        "this quote is never closed.",
        "Everything up to the end of the file would belong to the text.",
        "close the text with the same quote",
        at_context=True,
    ),
    _Wording(
        "unknown escape character",
        "this backslash begins an escape that YAML does not know.",
        "In double quotes a backslash escapes the next character.",
        "use single quotes, in which a backslash is a backslash: '\\d+'",
    ),
    _Wording(
        "expected ',' or ']'",
        "this `[` is not closed, or a comma is missing before the place where reading stopped.",
        "A list in brackets separates its items by commas and ends with `]`.",
        "add the missing `,` or `]`",
        at_context=True,
    ),
    _Wording(
        "expected ',' or '}'",
        "this `{` is not closed, or a comma is missing before the place where reading stopped.",
        "A mapping in braces separates its fields by commas and ends with `}`.",
        "add the missing `,` or `}`",
        at_context=True,
    ),
    _Wording(
        "while parsing a block mapping",
        "this line does not continue the mapping above it.",
        "All keys of a mapping begin in the same column, and nothing may follow a closing quote.",
        "align the line with the keys above it",
    ),
    _Wording(
        "while parsing a block collection",
        "this line does not continue the list above it.",
        "All items of a list begin with `- ` in the same column.",
        "begin the line with `- `, or indent it to belong to the item above",
    ),
    _Wording(
        "could not find expected ':'",
        "a key stands here without a colon.",
        "Every line of a mapping is `key: value`, with a space after the colon.",
        "write `key: value`, or check the indentation of a text of several lines",
        at_context=True,
    ),
    _Wording(
        "undefined tag handle",
        "a `!` begins a tag that nobody declared.",
        "In YAML a word that begins with `!` is a tag, not a text.",
        "put the text in quotes",
        at_context=True,
    ),
    _Wording(
        "while scanning a block scalar",
        "the sign after `|` or `>` is not understood.",
        "Only an indentation number and `-` or `+` may follow on that line.",
        "begin the text on the next line, indented",
        at_context=True,
    ),
    _Wording(
        "while scanning an anchor",
        "`&` begins an anchor, and this is no name for one.",
        "A text without quotes cannot begin with `&`.",
        "put the text in quotes",
        at_context=True,
    ),
    _Wording(
        "while scanning an alias",
        "`*` begins an alias, and this is no name for one.",
        "A text without quotes cannot begin with `*`.",
        'put the text in quotes: "*.tiff"',
        at_context=True,
    ),
    _Wording(
        "expected <document start>",
        "something stands here after the end of the document.",
        "Several documents in one file are separated by a line `---`.",
        "add a line `---` before it, or indent it to belong to the document above",
    ),
    _Wording(
        "while scanning a directive",
        "a line that begins with `%` is a directive of YAML, and this one is unknown.",
        "",
        "indent the line or put the text in quotes",
        at_context=True,
    ),
)


def syntax_error(problem: Problem, lines: Lines, file: str) -> Diagnostic:
    """Return the message for a text that is not YAML."""
    offset = min(problem.offset, max(len(lines.text) - 1, 0))
    return (
        _character(problem, lines, file, offset)
        or _braces(problem, lines, file, offset)
        or _known(problem, lines, file, offset)
        or _message(
            lines,
            file,
            offset,
            f"YAML cannot be read here: {problem.text}"
            + (f" ({problem.context})." if problem.context else "."),
            "",
            "",
        )
    )


def _character(problem: Problem, lines: Lines, file: str, offset: int) -> Diagnostic | None:
    tab = "tab character" in problem.text
    if "cannot start any token" not in problem.text and not tab:
        return None
    found = lines.text[offset : offset + 1]
    if tab or found == "\t":
        return _message(
            lines,
            file,
            offset,
            "a tab stands here.",
            "YAML indents with spaces only: how wide a tab is depends on the reader.",
            "replace the tab by spaces",
        )
    return _message(
        lines,
        file,
        offset,
        f"a text without quotes cannot begin with `{found}`.",
        "YAML keeps this character for itself.",
        "put the text in quotes",
    )


def _braces(problem: Problem, lines: Lines, file: str, offset: int) -> Diagnostic | None:
    """An expression without quotes is the usual cause of whatever libyaml says about its line."""
    places = {offset, offset - 1}
    if problem.context_offset is not None:
        places.add(problem.context_offset)
    for place in sorted(place for place in places if place >= 0):
        line = lines.position(place)[0]
        start = place - lines.position(place)[1] + 1
        text = lines.text[start : lines.end_of_line(start)]
        match = _UNQUOTED.search(text)
        if match and text[: match.start(1)].count('"') % 2 == 0:
            span = lines.span(file, start + match.start(1), start + match.end(1))
            assert span.line == line
            value = text[match.start(1) :].split(" #")[0].strip()
            return Diagnostic(
                "manifest/unquoted-expression",
                "Expression without quotes",
                f"{match[1]} stands without quotes.",
                "YAML reads a brace at the start of a value as the beginning of a mapping.",
                f'write "{value}"' if '"' not in value else f"write '{value}'",
                span=span,
            )
    return None


def _known(problem: Problem, lines: Lines, file: str, offset: int) -> Diagnostic | None:
    said = f"{problem.context} {problem.text}"
    for wording in _TABLE:
        if wording.fragment in said:
            place = problem.context_offset if wording.at_context else offset
            return _message(
                lines,
                file,
                offset if place is None else place,
                wording.what,
                wording.why,
                wording.hint,
            )
    return None


def _message(lines: Lines, file: str, offset: int, what: str, why: str, hint: str) -> Diagnostic:
    span = lines.span(file, offset, offset + 1)
    return Diagnostic("manifest/syntax", "Not valid YAML", what, why, hint, span=span)
