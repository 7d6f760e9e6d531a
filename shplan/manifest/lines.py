"""
Offsets in a text to lines and columns, as editors count them.

Only line feeds, carriage returns and their pair end a line; columns count code
points from 1. Files and YAML are other modules' business.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property

from shplan.core.diagnostic import SourceSpan

_BREAK = re.compile(r"\r\n|\n|\r")


class Lines:
    """The lines of one text; the table of their starts is made when first needed."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in _BREAK.finditer(self.text))]

    def position(self, offset: int) -> tuple[int, int]:
        """Return line and column, both from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def end_of_line(self, offset: int) -> int:
        """Return the offset just after the last character of the line."""
        match = _BREAK.search(self.text, offset)
        return match.start() if match else len(self.text)

    def span(self, file: str, first: int, last: int) -> SourceSpan:
        """
        Return the span of a stretch of text, cut at the end of its first line.

        Args:
            first: offset of the first character
            last: offset after the last one
        """
        line, column = self.position(first)
        last = min(last, self.end_of_line(first))
        stretch = self.text[first:last].rstrip()
        return SourceSpan(file, line, column, column + max(len(stretch), 1))
