"""
The report of an apply, with the server's refusals mapped back to the manifests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from shplan.core.change import Action
from shplan.core.diagnostic import Diagnostic, ordered
from shplan.core.value import JsonObject
from shplan.engine.executor import ChangeResult, Ending

if TYPE_CHECKING:
    from shplan.core.cost import Cost
    from shplan.core.plan import Plan
    from shplan.engine.runs import Applied
    from shplan.manifest.load import Loaded


def diagnostics_of(applied: Applied, loaded: Loaded) -> tuple[Diagnostic, ...]:
    """Return what the server refused, each at the place in the manifest that caused it."""
    if applied.report is None:
        return ()
    return ordered(one for result in applied.report.results for one in _faults(result, loaded))


def _faults(result: ChangeResult, loaded: Loaded) -> Iterator[Diagnostic]:
    desired = {one.address: one for one in loaded.resources}.get(result.change.address)
    if result.ending is not Ending.FAILED:
        return
    if result.diagnostics:
        yield from result.diagnostics
    elif not result.faults and result.change.action in (Action.RUN, Action.RESUME):
        yield Diagnostic(
            code="run/failed",
            summary="A run did not succeed",
            what=result.message,
            hint="what another apply would do, what it would cost, and the ways on: shplan plan",
            span=result.change.source,
            address=str(result.change.address),
        )
    elif not result.faults:
        yield Diagnostic(
            code="apply/refused",
            summary="The server refused",
            what=result.message,
            span=result.change.source,
            address=str(result.change.address),
        )
    for fault in result.faults:
        yield Diagnostic(
            code="apply/refused",
            summary="The server refused",
            what=fault.what,
            span=desired.source.span(fault.path) if desired is not None else None,
            address=str(result.change.address),
        )


def report_text(applied: Applied, loaded: Loaded, *, color: bool) -> str:
    """Word the report of an apply."""
    from shplan.views.results import render_results  # noqa: PLC0415
    from shplan.views.snippet import render_all  # noqa: PLC0415

    if applied.report is None:
        return ""
    problems = render_all(diagnostics_of(applied, loaded), loaded.texts)
    summary = render_results(applied.report, color=color)
    return f"{problems}\n{summary}" if problems else summary


def plan_markdown(
    plan: Plan, loaded: Loaded, *, saved_as: str = "", drift_of: Plan | None = None
) -> str:
    """
    Return a plan as Markdown, with what the project knows beside it.

    Args:
        saved_as: the file that it was saved to
        drift_of: the whole plan, where only its drift is shown
    """
    from shplan.manifest.project import DEFAULT_ENVIRONMENT  # noqa: PLC0415
    from shplan.views.plan_markdown import Setting, render_markdown  # noqa: PLC0415

    setting = Setting(
        budget_max_pu=loaded.environment.budget_max_pu,
        saved_as=saved_as,
        default_environment=loaded.project.default_environment or DEFAULT_ENVIRONMENT,
        drift_of=drift_of,
    )
    return render_markdown(plan, setting)


def report_markdown(applied: Applied, loaded: Loaded, *, head: str) -> str:
    """
    Return the report of an apply as Markdown; where nothing was carried out, the plan.

    Args:
        head: of the ledger, afterwards
    """
    from shplan.views.results_markdown import render_results_markdown  # noqa: PLC0415
    from shplan.views.snippet import render_all  # noqa: PLC0415

    plan = applied.planned.plan
    if applied.report is None:
        return plan_markdown(plan, loaded)
    problems = render_all(diagnostics_of(applied, loaded), loaded.texts)
    return render_results_markdown(applied.report, plan, problems=problems, ledger_head=head)


def _estimate(cost: Cost) -> JsonObject:
    """Return the estimate beside what was spent, where the plan had one."""
    if not cost.maximum_pu:
        return {}
    names = ("minimum", "expected", "maximum")
    return {"estimatePU": dict(zip(names, cost.levels, strict=True))}


def report_json(applied: Applied, loaded: Loaded, *, head: str) -> JsonObject:
    """
    Return the report of an apply as one JSON document.

    Args:
        head: of the ledger, afterwards
    """
    from shplan.core.plan import plan_json  # noqa: PLC0415
    from shplan.views.errors import diagnostics_json  # noqa: PLC0415
    from shplan.views.results import is_paid_in_doubt  # noqa: PLC0415

    report = applied.report
    results = () if report is None else report.results
    return {
        "format": 1,
        "plan": plan_json(applied.planned.plan),
        "applied": report is not None,
        "interrupted": report is not None and report.interrupted,
        "locked": None if report is None else report.locked or None,
        "ledgerFailed": None if report is None else report.unusable or None,
        "results": [
            {
                "address": str(result.change.address),
                "action": result.change.action.value,
                "ending": result.ending.value,
                "message": result.message,
                "costPU": result.cost_pu,
                **_estimate(result.change.cost),
            }
            for result in results
        ],
        "diagnostics": diagnostics_json(diagnostics_of(applied, loaded)),
        "costPU": 0.0 if report is None else report.cost_pu,
        "costIsKnown": not any(map(is_paid_in_doubt, results)),
        "ledgerHead": head,
    }
