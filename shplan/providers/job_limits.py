"""
What a run costs, and what its limits and its places forbid.

The service's own estimate counts where it has made one, else ours.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

from shplan.core.change import Action, Change, Reason, Refusal, RefusalKind
from shplan.core.cost import Cost, is_over, pu_text, range_text
from shplan.core.cost_form import cost_json
from shplan.core.diagnostic import Diagnostic
from shplan.core.key_format import holds_key
from shplan.core.paths import has_request_id
from shplan.core.prices import PriceInput
from shplan.core.request import ApiRequest
from shplan.core.resource import Receipt
from shplan.core.value import Object
from shplan.providers.job import JobApi, Task
from shplan.providers.job_case import Case
from shplan.providers.job_preview import count_features, preview


def priced(case: Case, change: Change, *, task: Task | None = None, share: float = 1.0) -> Change:
    """
    Add what it costs, and refuse what is over its own limit or would hit what lies there.

    Args:
        task: what is started, where it is there already: the service may have estimated it
        share: the part of the whole that is done
    """
    shown = preview(
        case.api.in_common_words(case.spec),
        case.surroundings.tables.get("tiling-grids"),
        delivery=case.api.delivery(case.spec),
        key="" if case.view.key is None else case.view.key.short,
    )
    if case.api.shown is not None:
        shown = case.api.shown(case.spec, "" if case.view.key is None else case.view.key.short)
    counted = count_features(case.view.features)
    change = replace(change, notes=(*counted, *shown, *change.notes))
    if not any(pays(case.api, request) for request in change.requests):
        return _unless_taken(case, unstarted(case, change, task=task))
    cost = cost_of(case, task, share)
    limit = case.options.max_pu
    if cost is None:
        change = replace(change, notes=(*change.notes, *_unread(case)))
        if limit is not None and case.api.estimate is None:
            return replace(change, action=Action.BLOCKED, reason=Reason.COST_UNKNOWN, requests=())
        told = "its cost is not known"
        if case.api.estimate is not None:
            told += " before its analysis: `run: {start: analyse}` has it estimated, for nothing"
        notes = (*change.notes, told)
        return _unless_taken(case, replace(change, notes=notes, unpriced=True))
    priced = with_estimate(replace(change, cost=cost), cost)
    if limit is not None and is_over(cost.maximum_pu, limit):
        return replace(priced, refusals=(*priced.refusals, _too_dear(case, cost, limit)))
    return _unless_taken(case, priced)


def _unread(case: Case) -> tuple[str, ...]:
    """Say why a script that only lies in a bucket has no price, and how it gets one."""
    holders = (case.spec, case.spec.get("aggregation"))
    if not any(isinstance(one, dict) and "evalscriptReference" in one for one in holders):
        return ()
    told = (
        "its script lies in a bucket, and only its digest is read: as `evalscript` it has a price"
    )
    return (told,)


def unstarted(case: Case, change: Change, *, task: Task | None) -> Change:
    """Say what whoever starts a task pays, where shplan leaves that to others."""
    cost = cost_of(case, task, 1.0)
    told = "nobody can say what" if cost is None else range_text(cost.levels)
    note = f"`start: {case.options.start}`: shplan does not start it; whoever does pays {told}"
    return replace(change, notes=(*change.notes, note))


def with_estimate(change: Change, cost: Cost | None) -> Change:
    """Have the estimate written into the receipt, beside what the run will have cost."""
    if cost is None:
        return change
    return replace(change, current={**change.current, "estimate": cast("Object", cost_json(cost))})


def pays(api: JobApi, request: ApiRequest) -> bool:
    """Tell whether a request is what is paid for: what starts a task, or restarts what failed."""
    again = "" if api.again is None else api.again("").operation
    return request.operation in (api.payment, again)


def cost_of(case: Case, task: Task | None, share: float) -> Cost | None:
    """Return the service's own estimate where it has made one, else ours."""
    estimated = case.api.estimate(task) if case.api.estimate is not None and task else None
    cost = estimated or _own_cost(case)
    if cost is None or share == 1.0:
        return cost
    source = "the receipt: how many failed, of how many"
    return cost.times(share, label=f"share of the {noun_of(case.api)}s that failed", source=source)


def _own_cost(case: Case) -> Cost | None:
    script, tables = case.desired.script, case.surroundings.tables
    if script is None:
        return None
    view = case.view
    asked = PriceInput(
        case.spec,
        script,
        tables,
        features=view.features,
        catalogue=view.catalogue,
        around=view.around,
        deployment=case.surroundings.deployment,
    )
    return case.api.price(asked)


def _too_dear(case: Case, cost: Cost, limit: float) -> Refusal:
    diagnostic = Diagnostic(
        code="run/max-pu",
        summary="Dearer than its maxPu",
        what=f"{case.wanted.address} can cost {pu_text(cost.maximum_pu)} PU; its `maxPu` is"
        f" {pu_text(limit)}.",
        why="The maximum counts, so that a run can never spend more than was allowed.",
        hint=f"raise it: run: {{maxPu: {math.ceil(cost.maximum_pu)}}}, or make the area, the time range"
        " or the resolution smaller",
        span=case.desired.source.span(("run", "maxPu")),
        address=str(case.wanted.address),
    )
    return Refusal(RefusalKind.PROTECTED, diagnostic)


def _unless_taken(case: Case, change: Change) -> Change:
    """Refuse to deliver to where a run of ours has delivered: the service would fail it."""
    delivery = case.api.delivery(case.spec)
    if holds_key(delivery):
        # Nothing but this run delivers there.
        return change
    output = case.api.in_common_words(case.spec).get("output")
    stated = output if isinstance(output, dict) else {}
    harmless = stated.get("overwrite") is True or stated.get("skipExisting") is True
    if change.attempt > 1 or harmless or not delivery or has_request_id(delivery):
        return change
    places = case.surroundings.places
    receipt = None if places is None else places.taken(delivery, key=change.key)
    if receipt is None:
        return change
    if case.api.overwrites:
        over = f"writes over what task {receipt.id} has delivered there"
        return replace(change, notes=(*change.notes, over))
    return replace(change, refusals=(*change.refusals, _taken(case, receipt, delivery)))


def _taken(case: Case, receipt: Receipt, delivery: str) -> Refusal:
    diagnostic = Diagnostic(
        code="run/places-taken",
        summary="Results lie there already",
        what=f"{case.wanted.address} delivers to {delivery}, and so did task {receipt.id}.",
        why="The service fails a request whose files exist, after it was created.",
        hint="write <requestId> or {{ run.key }} into the URL, or state `overwrite: true` or"
        " `skipExisting: true` in `output`",
        span=case.desired.source.span(("spec", "output", "delivery")),
        address=str(case.wanted.address),
    )
    return Refusal(RefusalKind.PROTECTED, diagnostic)


def noun_of(api: JobApi) -> str:
    """Return what the parts of a task are called, of which each is done or fails."""
    return "feature" if api.parts is None else api.parts.noun


__all__ = ["cost_of", "noun_of", "pays", "priced", "with_estimate"]
