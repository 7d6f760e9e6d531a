"""
The report of an apply as text: what became of the plan, what it cost, what to do next.

What a server refused is said once, as a diagnostic at its place in the manifest (`snippet`);
here its address is only counted among those that did not end well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Protocol

from shplan.core.change import Action, Change
from shplan.views.plan_text import total_cost
from shplan.views.values import Paint, clip, pu, safe


class Result(Protocol):
    """What became of one change."""

    @property
    def change(self) -> Change: ...

    @property
    def ending(self) -> Enum: ...

    @property
    def message(self) -> str: ...

    @property
    def cost_pu(self) -> float: ...


class Report(Protocol):
    """What became of a plan."""

    @property
    def results(self) -> Sequence[Result]: ...

    @property
    def interrupted(self) -> bool: ...

    @property
    def locked(self) -> str: ...

    @property
    def unusable(self) -> str: ...

    @property
    def cost_pu(self) -> float: ...


# Of these it is not known what they have cost, or will.
_IN_DOUBT = frozenset(["undecided", "unknown", "interrupted", "running"])
_VERBS = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "replace": "replaced",
    "adopt": "adopted",
    "move": "moved",
    "forget": "forgotten",
    "read": "read",
    "noop": "recorded",
    "run": "run",
    "resume": "resumed",
}
# What was started as asked, or waits for that: nothing of it is left undone by this apply.
_LATER = frozenset({"running", "left for later"})
_COLORS = {
    "failed": "red",
    "unknown": "magenta",
    "undecided": "magenta",
    "stale": "yellow",
    "skipped": "yellow",
    "interrupted": "yellow",
}
# In the order of how much they matter to a person; anything else comes after them.
_ORDER = ("undecided", "failed", "unknown", "stale", "interrupted", "skipped")
# A server's message can be a page of HTML.
_LONGEST_MESSAGE = 300
_RUNS = frozenset({Action.RUN, Action.RESUME})
_MOST_RUNS = 20


def render_results(report: Report, *, color: bool) -> str:
    """Return the report as text with a final line break."""
    return "\n".join(_lines(report, Paint(color=color))) + "\n"


def _lines(report: Report, paint: Paint) -> Iterator[str]:
    left = [result for result in report.results if result.ending.value != "done"]
    yield from (_left(result, paint) for result in sorted(left, key=weight))
    yield f"{paint(ending_of(report, left), 'bold')}: {counted_endings(report, left)}."
    yield from (f"  {line}" for line in beside_estimates(report))
    yield from next_steps(report, left)


def ending_of(report: Report, left: Sequence[Result]) -> str:
    """Word the end of an apply in one or two words."""
    if report.interrupted:
        return "Interrupted"
    if report.locked or report.unusable:
        return "Stopped"
    if not left:
        return "Done"
    if all(result.ending.value in _LATER for result in left):
        return "Done for now"
    return "Partly done" if len(left) < len(report.results) else "Not done"


def _left(result: Result, paint: Paint) -> str:
    ending = result.ending.value
    message = f": {clip(result.message, longest=_LONGEST_MESSAGE)}" if result.message else ""
    return (
        f"  {safe(str(result.change.address))}: {paint(ending, _COLORS.get(ending, ''))}{message}"
    )


def beside_estimates(report: Report) -> Iterator[str]:
    """Word what each run has cost beside its estimate, the dearest first."""
    paid = [one for one in report.results if one.cost_pu and one.change.action in _RUNS]
    paid.sort(key=lambda one: (-one.cost_pu, str(one.change.address)))
    for result in paid[:_MOST_RUNS]:
        cost = result.change.cost
        told = f"; estimated {total_cost(cost)}" if cost.maximum_pu else ""
        yield f"{safe(str(result.change.address))}: {pu(result.cost_pu)}{told}"
    if len(paid) > _MOST_RUNS:
        yield f"and {len(paid) - _MOST_RUNS:,} more runs"


def weight(result: Result) -> int:
    """Order what did not end well: the least is the worst."""
    ending = result.ending.value
    return _ORDER.index(ending) if ending in _ORDER else len(_ORDER)


def counted_endings(report: Report, left: Sequence[Result]) -> str:
    """Count what was done and what was not, and say what was spent."""
    done = Counter(
        result.change.action.value
        for result in report.results
        if result.ending.value == "done" and not result.change.deposed
    )
    words = [f"{number:,} {_VERBS.get(name, name)}" for name, number in sorted(done.items())]
    ended = Counter(result.ending.value for result in sorted(left, key=weight))
    words += [f"{number:,} {name}" for name, number in ended.items()]
    return f"{', '.join(words) or 'nothing changed'}; {_spent(report)}"


def is_paid_in_doubt(result: Result) -> bool:
    """Tell whether more may be paid for a change than is known: its answer is lost, or it still runs."""
    dear = result.change.cost.maximum_pu > 0 or bool(result.change.unpriced)
    return result.ending.value in _IN_DOUBT and dear


def _spent(report: Report) -> str:
    """Say what is known to be spent, and what may be paid besides."""
    doubted = [one for one in report.results if is_paid_in_doubt(one)]
    known = f"{pu(report.cost_pu)} spent"
    if not doubted:
        return known
    whose = ", ".join(
        f"{number:,} {name}"
        for name, number in Counter(one.ending.value for one in sorted(doubted, key=weight)).items()
    )
    if any(one.change.unpriced for one in doubted):
        return f"{known} for sure, and nobody can say how much for {whose}"
    more = sum(max(one.change.cost.maximum_pu - one.cost_pu, 0.0) for one in doubted)
    return f"{known} for sure, and up to {pu(more)} for {whose}"


def next_steps(report: Report, left: Sequence[Result]) -> Iterator[str]:
    """Yield what a person does now, nothing where all is done."""
    endings = {result.ending.value for result in left}
    if "unknown" in endings:
        yield "No answer came for what is unknown: it is looked up before anything is repeated."
    if "undecided" in endings:
        yield "What is undecided is not repeated: it may be paid already. A person says what became of it."
    if "stale" in endings:
        yield "What is stale was changed by others while this apply waited: `shplan plan` shows what is left."
    if report.locked:
        yield (
            "Others hold the ledger. What was started runs on; the same command goes on from there, "
            "and pays for nothing twice."
        )
    elif report.unusable:
        yield (
            "The ledger failed, so nothing more was sent. What was started runs on; the same command goes on "
            "from there once the ledger can be used, and pays for nothing twice."
        )
    elif endings and not endings - _LATER and not report.interrupted:
        yield "What runs on is watched with `shplan status`; the next apply collects it."
    elif left and all(_is_failed_run(result) for result in left) and not report.interrupted:
        yield "`shplan plan` says which of these runs another apply would repeat, and pay, and the ways on."
    elif endings - {"undecided"} or report.interrupted:
        yield "What was done is recorded. The same command resumes what is left."


def _is_failed_run(result: Result) -> bool:
    return result.ending.value == "failed" and result.change.action in (Action.RUN, Action.RESUME)
