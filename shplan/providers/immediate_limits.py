"""
What forbids a request that is answered at once: its price, and what lies where its answer goes.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

from shplan.core.change import Action, Change, Reason, Refusal, RefusalKind
from shplan.core.cost import Cost, is_over, pu_text
from shplan.core.diagnostic import Diagnostic
from shplan.core.prices import PriceInput
from shplan.core.refusals import import_command
from shplan.providers.answer_places import Places
from shplan.providers.immediate_case import Case
from shplan.providers.immediate_receipt import is_receipt


def priced(case: Case, change: Change) -> Change:
    """Add what it costs, and refuse what is over its own limit."""
    cost = _cost(case)
    limit = case.options.max_pu
    if cost is None:
        if limit is not None:
            return replace(change, action=Action.BLOCKED, reason=Reason.COST_UNKNOWN, requests=())
        return replace(change, notes=(*change.notes, "its cost is not known"), unpriced=True)
    priced = replace(change, cost=cost)
    if limit is None or not is_over(cost.maximum_pu, limit):
        return priced
    return replace(priced, refusals=(*priced.refusals, _too_dear(case, cost, limit)))


def _cost(case: Case) -> Cost | None:
    script = case.desired.script
    if script is None:
        return None
    tables, catalogue = case.surroundings.tables, case.view.catalogue
    return case.api.price(PriceInput(case.desired.spec, script, tables, catalogue=catalogue))


def _too_dear(case: Case, cost: Cost, limit: float) -> Refusal:
    diagnostic = Diagnostic(
        code="run/max-pu",
        summary="Dearer than its maxPu",
        what=f"{case.wanted.address} can cost {pu_text(cost.maximum_pu)} PU; its `maxPu` is"
        f" {pu_text(limit)}.",
        why="The maximum counts, so that a run can never spend more than was allowed.",
        hint=f"raise it: run: {{maxPu: {math.ceil(cost.maximum_pu)}}}, or make the area, the time"
        " range or the image smaller",
        span=case.desired.source.span(("run", "maxPu")),
        address=str(case.wanted.address),
    )
    return Refusal(RefusalKind.PROTECTED, diagnostic)


def in_the_way(case: Case, places: Places) -> Refusal | None:
    """Refuse to write over what no run of ours has written."""
    ours = cast("dict[str, list[str]]", case.base.current["ours"])
    for target in places.targets:
        found = case.view.found.get(target.path)
        if found is None or found.sha256 in ours.get(target.path, ()):
            continue
        known = target.path in ours
        if found.obstacle:
            what = f"{target.path}, where {case.wanted.address} writes, {found.obstacle}."
        elif known and not case.options.materializes:
            what = f"{target.path} was changed since {case.wanted.address} has written it."
        elif known:
            continue
        else:
            what = f"{target.path}, where {case.wanted.address} writes, is there already."
        return Refusal(RefusalKind.PROTECTED, _taken(case, target.path, what))
    beside = case.view.found.get(places.witness)
    if beside is not None and not is_receipt(beside.content):
        what = f"{places.witness}, where the receipt file goes, is there already and is none."
        return Refusal(RefusalKind.PROTECTED, _taken(case, places.witness, what))
    return None


def _taken(case: Case, path: str, what: str) -> Diagnostic:
    return Diagnostic(
        code="run/output-taken",
        summary="A file is in the way",
        what=what,
        why="No run of ours has written what lies there, so it may be the only copy of something.",
        hint=f"move it away, or name another `output`; if it is this answer:"
        f" {import_command(case.wanted.address, path)}",
        span=case.desired.source.span(("run", "output")),
        address=str(case.wanted.address),
    )


def no_place(case: Case, problem: str) -> Refusal:
    """Say that an expression has made a path that is none."""
    diagnostic = Diagnostic(
        code="run/output",
        summary="No place for the answer",
        what=f"`output` of {case.wanted.address}: {problem}",
        span=case.desired.source.span(("run", "output")),
        address=str(case.wanted.address),
    )
    return Refusal(RefusalKind.PROTECTED, diagnostic)
