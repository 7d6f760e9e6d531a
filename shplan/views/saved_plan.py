"""
Saved plans: the plan as one JSON document, read back with suspicion.

Foreign data enters here, so pydantic says whether it has the form; whether it was changed
since it was made is told by its digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import PlanError, StalePlanError
from shplan.core.plan import PLAN_FORMAT, Plan, plan_json
from shplan.core.value import JsonObject, JsonValue, Value, digest


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A saved plan whose form and digest are right."""

    document: JsonObject


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Inputs(_Strict):
    project: str
    environment: str
    deployment: str
    ledgerHead: str  # noqa: N815 - the document's own names
    version: str
    commit: str
    variables: dict[str, object]
    files: dict[str, str]
    select: list[str]
    exclude: list[str]
    destroy: bool


class _Request(_Strict):
    operation: str
    method: str
    path: str
    parameters: dict[str, object]
    query: list[list[str]] = Field(default_factory=list)
    body: object = None


class _Field(_Strict):
    path: str
    before: object
    after: object
    reason: str
    forces: str


class _Member(_Strict):
    key: str
    operation: str
    adopts: str
    request: _Request | None
    action: str
    reason: str
    detail: str
    fields: list[_Field]


class _Reason(_Strict):
    code: str
    text: str


class _Term(_Strict):
    label: str
    count: int
    each: float
    source: str


class _Cost(_Strict):
    minimum: float
    expected: float
    maximum: float
    terms: list[_Term]


class _Change(_Strict):
    address: str
    adopts: str
    action: str
    deposed: bool
    preventDestroy: bool  # noqa: N815 - the document's own names
    requests: list[_Request]
    members: list[_Member]
    reason: _Reason
    fields: list[_Field]
    cost: _Cost
    counts: dict[str, object]
    notes: list[str]
    dependsOn: list[str]  # noqa: N815 - the document's own names
    source: str | None
    id: str
    observed: str


class _Refusal(_Strict):
    kind: str
    code: str
    what: str
    hint: str


class _Summary(_Strict):
    resources: int
    counts: dict[str, int]
    costPU: _Cost  # noqa: N815 - the document's own names
    refusals: list[_Refusal]


class _Document(_Strict):
    format: Literal[1]
    digest: str
    inputs: _Inputs
    summary: _Summary
    changes: list[_Change]
    unchanged: list[str]


def save_plan(plan: Plan) -> bytes:
    """Return the document of a plan, the same bytes for the same plan."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(plan_json(plan), option=options)


def load_plan(content: bytes, *, name: str) -> SavedPlan:
    """
    Read a saved plan.

    Args:
        name: what messages call the file

    Raises:
        PlanError: it is no plan, or one of another format
        StalePlanError: it was changed after it was made
    """
    try:
        document = cast("JsonValue", orjson.loads(content))
    except orjson.JSONDecodeError as error:
        raise _wrong(name, "it is not JSON") from error
    found = document.get("format") if isinstance(document, dict) else None
    if isinstance(document, dict) and isinstance(found, int) and found != PLAN_FORMAT:
        raise _wrong(name, f"it has format {found}; this version reads format {PLAN_FORMAT}")
    try:
        _Document.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"]) or "its root"
        raise _wrong(name, f"{place}: {first['msg'].lower()}") from error
    plan = cast("JsonObject", document)
    if _digest(plan) != plan["digest"]:
        raise _tampered(name)
    return SavedPlan(plan)


def render_saved(saved: SavedPlan, *, width: int, color: bool) -> str:
    """Return a saved plan as text: what it was computed from, and every change."""
    del width, color
    inputs = cast("JsonObject", saved.document["inputs"])
    lines = [
        f"Plan {saved.document['digest']}",
        f"for environment {inputs['environment']} ({inputs['deployment']}), "
        f"made by shplan {inputs['version']}"
        + (f" at commit {inputs['commit']}" if inputs["commit"] else ""),
        "",
    ]
    changes = cast("list[JsonObject]", saved.document["changes"])
    lines += [line for change in changes for line in _lines(change)]
    cost = cast("JsonObject", cast("JsonObject", saved.document["summary"])["costPU"])
    maximum = cast("float", cost["maximum"])
    lines += ["", f"{len(changes)} changes, at most {maximum:g} PU. To apply it:"]
    return "\n".join([*lines, "  shplan apply FILE"]) + "\n"


def _lines(change: JsonObject) -> list[str]:
    reason = cast("JsonObject", change["reason"])
    members = cast("list[JsonObject]", change["members"])
    shown = [f"  {change['action']:<8} {change['address']}   {reason['text']}"]
    if members:
        shown.append(f"           {len(members)} tiles")
    requests = cast("list[JsonObject]", change["requests"])
    return shown + [f"           {request['method']} {request['path']}" for request in requests]


def _digest(plan: JsonObject) -> str:
    """Compute the digest again, as `core.plan.Plan.digest` does."""
    inputs = cast("JsonObject", plan["inputs"])
    changes = [
        {
            **{key: one[key] for key in _ESSENCE},
            "members": [
                {key: member[key] for key in ("key", "operation", "adopts", "request")}
                for member in cast("list[JsonObject]", one["members"])
            ],
        }
        for one in cast("list[JsonObject]", plan["changes"])
        if one["action"] not in ("noop", "read", "blocked")
    ]
    essence = {
        "format": plan["format"],
        "environment": inputs["environment"],
        "deployment": inputs["deployment"],
        "changes": changes,
        "ledgerHead": inputs["ledgerHead"],
    }
    return digest(cast("Value", essence))


_ESSENCE = ("address", "adopts", "action", "deposed", "preventDestroy", "requests")


def _wrong(name: str, why: str) -> PlanError:
    diagnostic = Diagnostic(
        code="plan/not-a-plan",
        summary="Not a saved plan",
        what=f"{name} cannot be applied: {why}.",
        hint="shplan plan -o plan.json",
    )
    return PlanError(diagnostic.what, diagnostics=(diagnostic,))


def _tampered(name: str) -> StalePlanError:
    diagnostic = Diagnostic(
        code="plan/tampered",
        summary="The saved plan was changed",
        what=f"{name} does not have the digest that it names.",
        why="What is applied must be what was planned and reviewed. Nothing was sent.",
        hint="shplan plan -o plan.json",
    )
    return StalePlanError(diagnostic.what, diagnostics=(diagnostic,))
