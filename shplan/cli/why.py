"""
`shplan why`: what is planned for one address, why, and what it costs, term by term.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import click

from shplan.cli.addresses import no_such
from shplan.cli.options import Options, takes

if TYPE_CHECKING:
    from shplan.core.change import Change
    from shplan.core.plan import Plan
    from shplan.core.resource import Receipt
    from shplan.core.value import JsonObject, Value


@click.command("why")
@click.argument("address")
@takes("environment", "server", "format")
def command(options: Options, address: str) -> int:
    """Explain what is planned for ADDRESS: the reason, the fields, each term of the cost."""
    from shplan.cli.heads import say_asked  # noqa: PLC0415
    from shplan.cli.listening import Listening  # noqa: PLC0415
    from shplan.cli.output import write_json, write_text  # noqa: PLC0415
    from shplan.cli.project import open_project  # noqa: PLC0415
    from shplan.cli.session import open_session  # noqa: PLC0415
    from shplan.core.plan import change_json  # noqa: PLC0415
    from shplan.engine.runs import plan  # noqa: PLC0415

    loaded = open_project(options)

    async def run() -> int:
        with Listening(options) as events:
            async with open_session(
                loaded, options, applying=False, listener=events, priced=frozenset({address})
            ) as opened:
                planned = (await plan(opened.session)).plan
                say_asked(opened.session.world)
        changes = found(planned, address)
        if options.output == "json":
            write_json([_with_key(change_json(change), change) for change in changes])
        else:
            write_text("\n\n".join(explain(change) for change in changes))
        return 0

    return asyncio.run(run())


def found(plan: Plan, address: str) -> list[Change]:
    """
    Return the changes of one address, or of all instances of one manifest.

    Raises:
        PlanError: the project has no such address, with the nearest one
    """
    changes = [c for c in plan.changes if address in (str(c.address), str(c.address.base))]
    if changes:
        return changes
    raise no_such(
        address,
        (str(change.address) for change in plan.changes),
        what=f"neither the manifests nor the ledger have {address}.",
    )


def explain(change: Change) -> str:
    """Word one change: action, reason, place, fields, what it has cost and what it would cost."""
    from shplan.views.costs import explain_cost, explain_receipt  # noqa: PLC0415

    lines = [f"{change.address}: {change.action.value}, because {change.reason.value}."]
    if change.source is not None:
        lines.append(f"  declared at {change.source}")
    if change.id:
        lines.append(f"  on the server: {change.id}")
    for field in change.fields:
        forced = f" (forces a replacement: {field.forces})" if field.forces else ""
        lines.append(f"  {field.dotted}: {field.reason.value}{forced}")
    for name, number in change.counts.items():
        lines.append(f"  {name}: {number}")
    lines += [f"  {note}" for note in change.notes]
    lines += _key_lines(change)
    lines += [f"  {refusal.diagnostic.what}" for refusal in change.refusals]
    if change.receipt is not None:
        lines += explain_receipt(change.receipt)
    if change.action.changes or change.cost.terms:
        lines += explain_cost(change.cost, is_known=not change.unpriced)
    return "\n".join(lines)


def _with_key(shown: JsonObject, change: Change) -> JsonObject:
    """Add what a run key is made of, what the one before was made of, and what the run has cost."""
    if not change.key:
        return shown
    receipt = None if change.receipt is None else _receipt_json(change.receipt)
    parts: JsonObject = {"key": change.key, "parts": change.parts, "formerParts": change.former}
    return {**shown, **parts, "receipt": receipt}


def _receipt_json(receipt: Receipt) -> JsonObject:
    from shplan.core.cost_form import levels_json  # noqa: PLC0415

    estimate = None if receipt.estimate_pu is None else levels_json(receipt.estimate_pu)
    return {
        "attempt": receipt.attempt,
        "id": receipt.id,
        "status": receipt.status,
        "costPU": receipt.cost_pu,
        "estimatePU": estimate,
        "estimateTerms": [*receipt.estimate_terms],
    }


def _key_lines(change: Change) -> list[str]:
    from shplan.core.run_key import differing_parts  # noqa: PLC0415 - only of jobs
    from shplan.views.values import brief, contrast  # noqa: PLC0415

    if not change.key:
        return []
    lines = [f"  run key: {change.key}"]
    if change.former:
        lines.append("  the run before had another key; these parts differ:")
        for path, old, new in differing_parts(change.former, change.parts):
            told = contrast(cast("Value", old), cast("Value", new))
            lines.append(f"    {path}: {told}")
        return lines
    plain = {name: part for name, part in change.parts.items() if name != "request"}
    lines += [f"    {name}: {part}" for name, part in plain.items() if part not in ({}, [], "")]
    request = cast("Value", change.parts.get("request") or {})
    lines += [f"    {name}: {brief(part, longest=80)}" for name, part in _told(request, "request")]
    return lines


def _told(value: Value, name: str) -> Iterator[tuple[str, Value]]:
    """Yield each part of a request by its dotted path; a geometry is one part."""
    if isinstance(value, dict) and value and "coordinates" not in value:
        for step, member in sorted(value.items()):
            yield from _told(member, f"{name}.{step}")
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        for index, member in enumerate(value):
            yield from _told(member, f"{name}.{index}")
    else:
        yield name, value
