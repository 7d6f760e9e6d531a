"""
A status that is looked at again and again: redrawn on a terminal, else only what changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import orjson

from shplan.core.address import Address
from shplan.core.status import Status
from shplan.views.tables import render_status, row_json, status_lines, status_summary

# Source: ECMA-48, CUP and ED: to the first column of the first line, and clear from there. At
# first the whole page is cleared, which most terminals scroll away and do not forget.
_FIRST = "\x1b[2J\x1b[H"
_AGAIN = "\x1b[H\x1b[J"
GONE = "gone"
Write = Callable[[str], None]


class Watching(Protocol):
    """What is told every look."""

    def show(self, rows: Sequence[Status]) -> None:
        """Show what there is now."""
        ...

    def close(self) -> None:
        """Say how it ended."""
        ...


class Redrawn:
    """The whole table, each time in the place of the last one."""

    def __init__(
        self, write: Write, *, width: int, color: bool, again: str, plan: str = "shplan plan"
    ) -> None:
        """
        Keep how to draw.

        Args:
            plan: the command that shows what differs
            again: the line below the table, while something is in progress
        """
        self._write = write
        self._width = width
        self._color = color
        self._again = again
        self._plan = plan
        self._drawn = False

    def show(self, rows: Sequence[Status]) -> None:
        """Draw it anew."""
        table = render_status(rows, width=self._width, color=self._color, plan=self._plan)
        busy = any(row.waits for row in rows)
        # What is over at the first look is no reason to clear anything.
        clear = _AGAIN if self._drawn else (_FIRST if busy else "")
        below = f"{self._again}\n" if busy else ""
        self._write(f"{clear}{table}{below}")
        self._drawn = True

    def close(self) -> None:
        """The last table stays."""


class ChangedLines:
    """A line for each resource at first, then for each that changed; counts at the end."""

    def __init__(self, write: Write, *, width: int, plan: str = "shplan plan") -> None:
        self._write = write
        self._width = width
        self._plan = plan
        self._last: Sequence[Status] | None = None

    def show(self, rows: Sequence[Status]) -> None:
        """Write what is not as it was."""
        news = list(changed(self._last or (), rows))
        among = [*rows, *news]
        for line in status_lines(news, among=among, width=self._width, color=False):
            self._write(f"{line}\n")
        self._last = rows

    def close(self) -> None:
        """Count."""
        if self._last is not None:
            self._write("\n" + "\n".join(status_summary(self._last, plan=self._plan)) + "\n")


class JsonLines:
    """The same for programs: one object a line, for each resource that changed."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._last: Sequence[Status] = ()

    def show(self, rows: Sequence[Status]) -> None:
        """Write what is not as it was."""
        for row in changed(self._last, rows):
            self._write(orjson.dumps(row_json(row), option=orjson.OPT_SORT_KEYS).decode() + "\n")
        self._last = rows

    def close(self) -> None:
        """Nothing is left open."""


def changed(before: Sequence[Status], after: Sequence[Status]) -> Iterator[Status]:
    """Yield what is new or differs; what is there no longer comes last, and is `gone`."""
    known: Mapping[Address, Status] = {row.address: row for row in before}
    yield from (row for row in after if known.get(row.address) != row)
    left = known.keys() - {row.address for row in after}
    for address in sorted(left):
        yield replace(known[address], state=GONE, detail="", counts={}, waits=False)
