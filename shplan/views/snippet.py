"""
A diagnostic as plain text: code, place, the source line underlined, what, why and how to fix it.

Control characters of the source never reach the terminal, and the values of fields that are
secret by their name are blanked out, whatever the message is about.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache

from shplan.core.diagnostic import Diagnostic, SourceSpan

_MAX_WIDTH = 110
_BREAK = re.compile(r"\r\n|\n|\r")
# Fields whose value is a secret in the service's API or in this tool's own settings; `tokenUrl` is none.
# No pattern here goes back and forth in a line: whoever wrote the file may have written it against us.
_FIELD = (
    r"(?i)(?:secret|password|passwd|token(?!_?url)|accesskey|access_key|apikey|api_key|private_?key"
    r"|credentials)[\w-]{0,64}[\"']?\s*[:=]"
)
_SECRET = re.compile(_FIELD)
_SPACE = re.compile(r"\s*")
_EXPRESSION = re.compile(r"[\"']?\s{0,9}\{\{")
# The value follows on a line of its own.
_OPEN = re.compile(_FIELD + r"\s*(?:[|>][-+0-9]{0,3})?\Z")


def render(diagnostic: Diagnostic, texts: Mapping[str, str]) -> str:
    """
    Return the message, without a final line break.

    Args:
        texts: the files that spans name, by their path relative to the project
    """
    lines = [f"{diagnostic.severity.value}[{diagnostic.code}]: {diagnostic.summary}"]
    if diagnostic.span is not None:
        lines.append(f"  {diagnostic.span}")
        lines += _excerpt(diagnostic.span, texts, context=1)
    elif diagnostic.address:
        lines.append(f"  {diagnostic.address}")
    for other in diagnostic.related:
        lines.append(f"  see also {other}")
        lines += _excerpt(other, texts, context=0)
    for sentence in (diagnostic.what, diagnostic.why):
        lines += [f"  {_clean(line)}" for line in sentence.splitlines()]
    if diagnostic.hint:
        first, *rest = diagnostic.hint.splitlines()
        lines.append(f"  hint: {_clean(first)}")
        lines += [f"        {_clean(line)}" for line in rest]
    return "\n".join(lines)


def render_all(diagnostics: Iterable[Diagnostic], texts: Mapping[str, str]) -> str:
    """Return all messages, an empty line between two of them, with a final line break."""
    parts = [render(diagnostic, texts) for diagnostic in diagnostics]
    return "\n\n".join(parts) + "\n" if parts else ""


def _excerpt(span: SourceSpan, texts: Mapping[str, str], *, context: int) -> list[str]:
    if span.file not in texts:
        return []
    source = _line_window(texts[span.file], span.line, context)
    if not source:
        return []
    width = max(len(str(span.line)) + 1, 5)
    shown = []
    for number, line in source:
        if number == span.line:
            text, caret = _underlined(line, span)
            shown += [f"{number:>{width}} | {text}".rstrip(), f"{'':>{width}} | {caret}"]
        elif line.strip():
            shown.append(f"{number:>{width}} | {_clean(_crop(_hidden(line)))}".rstrip())
    return shown


def _line_window(text: str, line: int, context: int) -> list[tuple[int, str]]:
    """Return the line and those before it, with their numbers; nothing if there is no such line."""
    starts = _starts(text)
    if line > len(starts):
        return []
    numbers = range(max(line - context, 1), line + 1)
    return [(number, _line(text, starts, number)) for number in numbers]


def _line(text: str, starts: list[int], number: int) -> str:
    """Return a line as it may be shown, apart from secrets whose field stands on it."""
    line = text[starts[number - 1] : _end(text, starts, number)]
    if number == 1:
        return line
    before = text[starts[number - 2] : _end(text, starts, number - 1)]
    if not _OPEN.search(before.rstrip()):
        return line
    return "".join("*" if one.strip() else one for one in line)


@lru_cache(maxsize=4)
def _starts(text: str) -> list[int]:
    """Return where each line begins: one file has many messages."""
    return [0, *(match.end() for match in _BREAK.finditer(text))]


def _end(text: str, starts: list[int], number: int) -> int:
    """Return where a line ends, without its break."""
    if number == len(starts):
        return len(text)
    end = starts[number] - 1
    return end - (text[end] == "\n" and end > starts[number - 1] and text[end - 1] == "\r")


def _underlined(line: str, span: SourceSpan) -> tuple[str, str]:
    first = min(span.column - 1, len(line))
    last = max(min(span.end_column - 1, len(line)), first + 1)
    hidden = _hidden(line)
    if first > _MAX_WIDTH - 20 or len(line) > _MAX_WIDTH:
        begin = max(0, first - 40)
        hidden = ("..." if begin else "") + hidden[begin : begin + _MAX_WIDTH]
        shift = begin - 3 if begin else 0
        first, last = first - shift, min(last - shift, len(hidden))
        hidden += "..." if begin + _MAX_WIDTH < len(line) else ""
    before = sum(_columns(one) for one in hidden[:first])
    under = sum(_columns(one) for one in hidden[first:last])
    return _clean(hidden), " " * before + "^" * max(under, 1)


@lru_cache(maxsize=4)
def _hidden(line: str) -> str:
    """Blank secrets out, character by character, so that columns stay where they are."""
    for match in _SECRET.finditer(line):
        value = _end_of(_SPACE, line, match.end())
        if not _EXPRESSION.match(line, value):
            return line[:value] + "*" * (len(line) - value)
    return line


def _end_of(pattern: re.Pattern[str], line: str, position: int) -> int:
    found = pattern.match(line, position)
    return position if found is None else found.end()


def _crop(line: str) -> str:
    return line if len(line) <= _MAX_WIDTH else line[: _MAX_WIDTH - 3] + "..."


def _clean(text: str) -> str:
    return "".join(" " if one == "\t" else one if _printable(one) else "?" for one in text)


def _printable(one: str) -> bool:
    return unicodedata.category(one) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _columns(one: str) -> int:
    if unicodedata.combining(one):
        return 0
    return 2 if unicodedata.east_asian_width(one) in "WF" else 1
