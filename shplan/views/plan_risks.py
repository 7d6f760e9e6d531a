"""
What a reviewer must not miss in a plan, the worst first, as Markdown.

Refusals and questions, what is deleted and replaced, protections taken away, what is blocked,
what costs most, and what the server changed behind our back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from shplan.core.change import Action, Change, Reason, Refusal, RefusalKind
from shplan.core.cost import BYOC_CALL_PU
from shplan.core.drift import has_drifted
from shplan.core.plan import Plan
from shplan.views.markdown import code, fenced, head_and_rest
from shplan.views.plan_text import stops_task, total_cost
from shplan.views.snippet import render
from shplan.views.values import amount, clip

_MOST_ENTRIES = 20
_MOST_DEAREST = 3
_MOST_LINES = 20
_LONGEST_LINE = 300


@dataclass(frozen=True, slots=True)
class Group:
    """
    Entries of one sort.

    Args:
        words: what the rest is called where it is only counted: `380 more to delete`
        number: how many there are, shown or not
        entries: one piece of Markdown each, made when it is asked for, and not of all
        fenced: the entries are blocks, not bullets
    """

    words: str
    number: int
    entries: Iterator[str]
    fenced: bool = False


def groups_of(plan: Plan) -> list[Group]:
    """Return the groups that have something in them, the worst first."""
    every = plan.changes
    removed = [one for one in every if one.action is Action.DELETE]
    replaced = [one for one in every if one.action is Action.REPLACE]
    whole = (Action.DELETE, Action.REPLACE)
    emptied = [one for one in every if one.action not in whole and _tiles(one)]
    bared = [
        one for one in every if one.reason is Reason.PROTECTION_CHANGED and not one.prevent_destroy
    ]
    drifted = [one for one in every if has_drifted(one)]
    groups = [
        Group("refused", len(plan.refusals), _refused(plan.refusals), fenced=True),
        _group("to delete", removed, _deleted),
        _group("to replace", replaced, _replaced),
        _group("that lose tiles", emptied, _emptied),
        _group("that lose their protection", bared, _bared),
        _group("blocked", list(plan.blocked), _blocked),
        _dearest(plan),
        _group("changed on the server", drifted, _drifted),
    ]
    return [group for group in groups if group.number]


def _group(words: str, changes: Sequence[Change], say: Callable[[Change], str]) -> Group:
    return Group(words, len(changes), (f"- {say(one)}" for one in changes[:_MOST_ENTRIES]))


def _refused(refusals: Sequence[Refusal]) -> Iterator[str]:
    for refusal in islice(refusals, _MOST_ENTRIES):
        asked = refusal.kind is RefusalKind.UNDECIDED
        head = "**A person must decide**" if asked else "**Refused**"
        diagnostic = refusal.diagnostic
        place = f" {code(diagnostic.address)}" if diagnostic.address else ""
        lines = [clip(line, longest=_LONGEST_LINE) for line in render(diagnostic, {}).splitlines()]
        yield f"{head}{place}\n\n{fenced(head_and_rest(lines, most=_MOST_LINES), 'text')}"


def _deleted(change: Change) -> str:
    left = ", left behind by a replacement" if change.deposed else ""
    verb = "Stops" if stops_task(change) else "Deletes"
    return f"**{verb}** {_named(change)}{left}{_lost(change)}: {change.reason.value}"


def _replaced(change: Change) -> str:
    forced = next((one.dotted for one in change.fields if one.forces), "")
    because = f": {code(forced)} cannot be changed in place" if forced else ""
    return f"**Replaces** {_named(change)}{_lost(change)}{because}"


def _emptied(change: Change) -> str:
    return f"**Deletes {amount(_tiles(change), 'tile')}** of {_named(change)}"


def _bared(change: Change) -> str:
    return f"**Takes the protection away** from {_named(change)}"


def _blocked(change: Change) -> str:
    note = f" ({code(change.notes[-1])})" if change.notes else ""
    return f"**Blocked** {_named(change)}: {change.reason.value}{note}"


def _dearest(plan: Plan) -> Group:
    """The few that cost most; the rest is in the sum. A single call is worth no line."""
    paid = [one for one in plan.pending if one.cost.maximum_pu > BYOC_CALL_PU]
    paid.sort(key=lambda one: -one.cost.maximum_pu)
    return _group("that cost much", paid[:_MOST_DEAREST], _dear)


def _dear(change: Change) -> str:
    return f"**Costs** {total_cost(change.cost)}: {_named(change)}"


def _drifted(change: Change) -> str:
    if change.reason is Reason.ANSWER_LOST:
        return f"**Gone or changed** since it was answered: {_named(change)}"
    return f"**Changed on the server** since the last apply: {_named(change)}"


def _named(change: Change) -> str:
    return code(str(change.address))


def _lost(change: Change) -> str:
    tiles = _tiles(change)
    return f" with {amount(tiles, 'tile')}" if tiles else ""


def _tiles(change: Change) -> int:
    """Count the tiles that are deleted one by one, or with what they are in."""
    one_by_one = sum(1 for member in change.members if member.action is Action.DELETE)
    return one_by_one + sum(
        number
        for name, number in change.counts.items()
        if name.startswith("tiles deleted") and isinstance(number, int)
    )
