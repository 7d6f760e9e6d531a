"""
The report of an apply as Markdown, for the summary of a job of CI; never too long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shplan.core.plan import Plan
from shplan.views.markdown import LIMIT, Room, code, fenced, head_and_rest
from shplan.views.results import (
    Report,
    Result,
    beside_estimates,
    counted_endings,
    ending_of,
    next_steps,
    weight,
)
from shplan.views.values import clip

_LONGEST_LINE = 300
_MOST_LINES = 100


def render_results_markdown(
    report: Report, plan: Plan, *, problems: str = "", ledger_head: str = "", limit: int = LIMIT
) -> str:
    """
    Return the report as one document with a final line break.

    Args:
        plan: what was carried out
        problems: what the server refused, as text, each at its place in the manifests
        ledger_head: as `ledger verify --anchor` takes it
        limit: characters that it may have; what does not fit is counted
    """
    left = sorted((one for one in report.results if one.ending.value != "done"), key=weight)
    inputs = plan.inputs
    place = f"{code(inputs.project, longest=40)} on {code(inputs.environment, longest=40)}"
    head = f"## {ending_of(report, left)}: {place}\n\n{counted_endings(report, left)}."
    anchor = [f"ledger head {code(ledger_head, longest=90)}"] if ledger_head else []
    foot = "\n\n".join([*next_steps(report, left), *anchor])
    room = Room(limit - len(head) - len(foot) - 100)
    spent = "\n".join(f"- {code(line, longest=_LONGEST_LINE)}" for line in beside_estimates(report))
    parts = [
        head,
        *_fitting(spent, room),
        *_listed(left, room),
        *_problems(problems, room),
        *([foot] if foot else []),
    ]
    return "\n\n".join(parts) + "\n"


def _fitting(block: str, room: Room) -> Iterator[str]:
    if block and room.takes(block):
        yield block


def _listed(left: Sequence[Result], room: Room) -> Iterator[str]:
    shown: list[str] = []
    for result in left:
        message = f": {code(result.message, longest=_LONGEST_LINE)}" if result.message else ""
        entry = f"- **{result.ending.value}** {code(str(result.change.address))}{message}"
        if not room.takes(entry):
            shown.append(f"- and {len(left) - len(shown):,} more")
            break
        shown.append(entry)
    if shown:
        yield "\n".join(shown)


def _problems(problems: str, room: Room) -> Iterator[str]:
    lines = [clip(line, longest=_LONGEST_LINE) for line in problems.splitlines()]
    if not lines:
        return
    for most in (_MOST_LINES, 5):
        block = fenced(head_and_rest(lines, most=most), "text")
        if room.takes(block):
            yield block
            return
