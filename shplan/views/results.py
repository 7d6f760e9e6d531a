"""
The report of an apply as text: what became of the plan, what it cost, what to do next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Protocol

from shplan.core.change import Change
from shplan.views.values import pu


class Result(Protocol):
    """What became of one change."""

    @property
    def change(self) -> Change: ...

    @property
    def ending(self) -> Enum: ...

    @property
    def message(self) -> str: ...


class Report(Protocol):
    """What became of a plan."""

    @property
    def results(self) -> Sequence[Result]: ...

    @property
    def interrupted(self) -> bool: ...

    @property
    def cost_pu(self) -> float: ...


_VERBS = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "replace": "replaced",
    "adopt": "adopted",
    "move": "moved",
    "forget": "forgotten",
}


def render_results(report: Report, *, color: bool) -> str:
    """Return the report as text with a final line break."""
    return "\n".join(_lines(report, color=color)) + "\n"


def _lines(report: Report, *, color: bool) -> Iterator[str]:
    left = [result for result in report.results if result.ending.value != "done"]
    done = [result for result in report.results if result.ending.value == "done"]
    counted = Counter(result.change.action.value for result in done if not result.change.deposed)
    words = [f"{number} {_VERBS.get(name, name)}" for name, number in sorted(counted.items())]
    head = "Interrupted" if report.interrupted else "Done" if not left else "Partly done"
    shown = f"\x1b[1m{head}\x1b[0m" if color else head
    yield f"{shown}: {', '.join(words) or 'nothing changed'}; {pu(report.cost_pu)} spent."
    for result in left:
        yield f"  {result.change.address}: {result.ending.value}: {result.message}"
    if left:
        yield "What was done is recorded. The same command resumes:\n  shplan apply"
