"""
Markdown that user data cannot break out of: code spans, fences, bullets, and room for them.

Names, values and a server's words stand only in code: there GitHub and GitLab see no HTML, no
link and nobody to mention. Source: CommonMark 0.31, sections 6.1 (code spans), 4.5 (fenced
code blocks), 4.6 (HTML blocks).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from shplan.views.values import clip

# A comment on GitHub holds 65,536 characters; the rest is left to what stands around it.
LIMIT = 60_000
LONGEST_NAME = 200
LONGEST_LINE = 110
_TICKS = re.compile("`+")


def code(text: str, *, longest: int = LONGEST_NAME) -> str:
    """Return a text as a code span on one line, shortened."""
    shown = clip(text, longest=longest) or " "
    # A span loses one space on both sides, and its own ticks may not stand beside others.
    edges = shown[0] + shown[-1]
    pad = " " if "`" in edges or (" " in edges and not shown.isspace()) else ""
    ticks = "`" * (_most_ticks(shown) + 1)
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def html_code(text: str, *, longest: int = LONGEST_NAME) -> str:
    """Return a text as code inside an HTML element, where Markdown is not read."""
    return f"<code>{escape(clip(text, longest=longest))}</code>"


def fenced(lines: Iterable[str], language: str) -> str:
    """
    Return lines as a fenced block.

    Args:
        lines: without line breaks
        language: e.g. `diff`, ours and never a user's
    """
    body = "\n".join(lines)
    fence = "`" * max(_most_ticks(body) + 1, 3)
    return f"{fence}{language}\n{body}\n{fence}"


def folded(summary: str, body: str, *, opened: bool) -> str:
    """
    Return a body that unfolds.

    Args:
        summary: HTML on one line
        body: Markdown
        opened: it is unfolded already
    """
    return (
        f"<details{' open' if opened else ''}><summary>{summary}</summary>\n\n{body}\n\n</details>"
    )


def head_and_rest(lines: Iterable[str], *, most: int) -> list[str]:
    """Return lines, and instead of those past the most how many they are."""
    every = list(lines)
    if len(every) <= most:
        return every
    left = len(every) - most + 1
    return [*every[: most - 1], f"  ... and {left:,} more lines"]


class Room:
    """How many characters are left of a document."""

    def __init__(self, characters: int) -> None:
        self.characters = characters

    def takes(self, text: str) -> bool:
        """Take the room of a text and the empty line after it, if there is so much."""
        needed = len(text) + 2
        if needed > self.characters:
            return False
        self.characters -= needed
        return True


def _most_ticks(text: str) -> int:
    return max((len(run) for run in _TICKS.findall(text)), default=0)
