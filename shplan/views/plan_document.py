"""
A plan read back from its document, as far as people are shown it.

`saved_plan` has checked the form. Requests stay in the document: what is applied is planned
again, never read from a file.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from shplan.core.address import Address
from shplan.core.change import (
    Action,
    Change,
    FieldChange,
    MemberChange,
    Reason,
    Refusal,
    RefusalKind,
)
from shplan.core.cost_form import cost_of
from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.plan import Plan, PlanInputs
from shplan.core.value import JsonObject, JsonValue, Sensitive, Unknown, Value

_TEXTS = ("project", "environment", "deployment", "version", "commit")


def plan_of(document: JsonObject) -> Plan:
    """
    Return the plan that a document describes.

    Args:
        document: of `core.plan.plan_json`, checked for its form
    """
    inputs = cast("JsonObject", document["inputs"])
    changes = [_change(one) for one in _objects(document["changes"])]
    summary = cast("JsonObject", document["summary"])
    refusals = tuple(_refusal(one) for one in _objects(summary["refusals"]))
    unchanged = [
        Change(Address.parse(one), Action.NOOP, Reason.UP_TO_DATE)
        for one in cast("list[str]", document["unchanged"])
    ]
    every = [*changes, *unchanged]
    if refusals and every:
        every[0] = replace(every[0], refusals=refusals)
    return Plan(_inputs(inputs), tuple(every))


def _inputs(inputs: JsonObject) -> PlanInputs:
    text = {name: str(inputs[name]) for name in _TEXTS}
    return PlanInputs(
        **text,
        ledger_head=str(inputs["ledgerHead"]),
        variables=cast("JsonObject", inputs["variables"]),
        files=cast("dict[str, str]", inputs["files"]),
        select=tuple(cast("list[str]", inputs["select"])),
        exclude=tuple(cast("list[str]", inputs["exclude"])),
        destroy=inputs["destroy"] is True,
        data=cast("dict[str, str]", inputs.get("data") or {}),
    )


def _change(one: JsonObject) -> Change:
    source = one["source"]
    reason = cast("JsonObject", one["reason"])
    counts = cast("JsonObject", one["counts"])
    return Change(
        Address.parse(str(one["address"])),
        Action(one["action"]),
        Reason[str(reason["code"]).upper()],
        fields=_fields(one),
        members=tuple(_member(member) for member in _objects(one["members"])),
        cost=cost_of(cast("JsonObject", one["cost"])),
        source=None if source is None else _span(str(source)),
        # What is declared and unchanged is not in the file, so no whole can be told.
        counts={name: number for name, number in counts.items() if name != "declared"},
        notes=tuple(cast("list[str]", one["notes"])),
        id=str(one["id"]),
        prevent_destroy=one["preventDestroy"] is True,
        deposed=one["deposed"] is True,
        key=str(one["key"]),
        attempt=cast("int", one["attempt"]),
    )


def _member(one: JsonObject) -> MemberChange:
    return MemberChange(
        str(one["key"]),
        Action(one["action"]),
        Reason[str(one["reason"]).upper()],
        fields=_fields(one),
        operation=str(one["operation"]),
        detail=str(one["detail"]),
    )


def _fields(one: JsonObject) -> tuple[FieldChange, ...]:
    return tuple(
        FieldChange(
            (str(field["path"]),),
            _revived(field["before"]),
            _revived(field["after"]),
            Reason[str(field["reason"]).upper()],
            forces=str(field["forces"]),
        )
        for field in _objects(one["fields"])
    )


def _revived(value: JsonValue) -> Value:
    """Read the marks of `core.value.printable` back, without what they stood for."""
    if isinstance(value, list):
        return [_revived(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"$unknown"}:
        return Unknown(str(value["$unknown"]), "", ())
    if value.keys() == {"$secret"}:
        return Sensitive(())
    return {key: _revived(one) for key, one in value.items()}


def _refusal(one: JsonObject) -> Refusal:
    diagnostic = Diagnostic(
        code=str(one["code"]), summary="Refused", what=str(one["what"]), hint=str(one["hint"])
    )
    return Refusal(RefusalKind(one["kind"]), diagnostic)


def _span(text: str) -> SourceSpan:
    file, line, column = text.rsplit(":", 2)
    return SourceSpan(file, int(line), int(column), int(column) + 1)


def _objects(value: JsonValue) -> list[JsonObject]:
    return cast("list[JsonObject]", value)
