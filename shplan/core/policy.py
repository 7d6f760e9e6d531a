"""
Policies: rules of the project over a whole plan, beside the protections of single resources.

An analyser looks at the changes and adds refusals; it never removes a change.
"""

from __future__ import annotations

from dataclasses import replace

from shplan.core.change import Action, Change, Refusal, RefusalKind
from shplan.core.cost import is_over, pu_text, total
from shplan.core.diagnostic import Diagnostic
from shplan.core.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Policies:
    """
    The limits of one environment; None is no limit.

    Args:
        budget_max_pu: processing units that one apply may cost
        most_deletions: objects (collections, tiles) that one apply may delete
        most_deleted_share: the same as a share of what is declared or recorded, 0 to 1
    """

    budget_max_pu: float | None = None
    most_deletions: int | None = None
    most_deleted_share: float | None = None


def apply_policies(
    changes: tuple[Change, ...], policies: Policies, *, spent_pu: float = 0.0
) -> tuple[Change, ...]:
    """
    Return the changes, with what a policy refuses attached to the first one concerned.

    Args:
        spent_pu: what was started already of what the budget is for
    """
    refused = [
        found
        for found in (
            _over_budget(changes, policies, spent_pu),
            _too_many_deletions(changes, policies),
        )
        if found is not None
    ]
    for at, refusal in refused:
        change = changes[at]
        marked = replace(change, refusals=(*change.refusals, refusal))
        changes = (*changes[:at], marked, *changes[at + 1 :])
    return changes


def deletions(change: Change) -> int:
    """Count the objects of the server that a change deletes."""
    own = 1 if change.action in (Action.DELETE, Action.REPLACE) and change.requests else 0
    members = sum(1 for member in change.members if member.action is Action.DELETE)
    with_it = sum(
        number
        for name, number in change.counts.items()
        if name.startswith("tiles deleted") and isinstance(number, int)
    )
    return own + members + with_it


def _over_budget(
    changes: tuple[Change, ...], policies: Policies, spent_pu: float
) -> tuple[int, Refusal] | None:
    limit = policies.budget_max_pu
    if limit is None:
        return None
    for index, change in enumerate(changes):
        if change.unpriced and change.action.changes:
            return index, _refusal(change, _without_price(change, limit))
    cost = total(change.cost for change in changes if change.action.changes)
    if not is_over(spent_pu + cost.maximum_pu, limit):
        return None
    spent = f" beside the {pu_text(spent_pu)} PU that it has started" if spent_pu else ""
    at = max(range(len(changes)), key=lambda index: changes[index].cost.maximum_pu)
    diagnostic = Diagnostic(
        code="plan/budget",
        summary="Over the budget",
        what=f"this plan can cost {pu_text(cost.maximum_pu)} PU{spent}; the budget is {pu_text(limit)} PU.",
        why="The maximum counts, so that an apply can never spend more than was allowed.",
        hint="raise `budget: {maxPu: ...}` of the environment, or select a part of the plan",
    )
    return at, _refusal(changes[at], diagnostic)


def _without_price(change: Change, limit: float) -> Diagnostic:
    return Diagnostic(
        code="plan/budget-unknown",
        summary="Within no budget",
        what=f"the cost of {change.address} is not known; the budget is {pu_text(limit)} PU.",
        why="What is not known cannot be within a budget, and counting it as nothing would be.",
        hint="take `budget` out of the environment to run it, or select the rest of the plan",
    )


def _too_many_deletions(
    changes: tuple[Change, ...], policies: Policies
) -> tuple[int, Refusal] | None:
    counted = [deletions(change) for change in changes]
    number = sum(counted)
    known = sum(max(_size(change), count) for change, count in zip(changes, counted, strict=True))
    over = policies.most_deletions is not None and number > policies.most_deletions
    share = policies.most_deleted_share
    over = over or (share is not None and number > share * max(known, 1))
    if not over or not number:
        return None
    at = counted.index(max(counted))
    diagnostic = Diagnostic(
        code="plan/deletions",
        summary="Too many deletions",
        what=f"this plan deletes {number} of {known} objects.",
        why="`policies.deletions` in shplan.yaml sets a limit, so that a lost file or a wrong"
        " path is noticed before the data is gone.",
        hint="check that no file is missing; to go on, raise `policies: {deletions: {max: ...}}`",
    )
    return at, _refusal(changes[at], diagnostic)


def _size(change: Change) -> int:
    declared = change.counts.get("declared")
    return 1 + (declared if isinstance(declared, int) else 0)


def _refusal(change: Change, diagnostic: Diagnostic) -> Refusal:
    placed = replace(diagnostic, address=str(change.address), span=change.source)
    return Refusal(RefusalKind.PROTECTED, placed)
