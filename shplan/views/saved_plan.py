"""
Saved plans: the plan as one JSON document, read back with suspicion.

Foreign data enters here, so pydantic says whether it has the form; whether it was changed
since it was made is told by its digest. Whether it still holds is decided by `core.saved`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Literal, cast

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)

from shplan.core.address import Address
from shplan.core.change import Action, Reason, RefusalKind
from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import PlanError, StalePlanError
from shplan.core.json_bounds import holds_too_much
from shplan.core.plan import PLAN_FORMAT, Plan, PlanInputs, plan_json
from shplan.core.value import (
    JsonObject,
    JsonValue,
    NotCanonicalError,
    Value,
    digest,
)
from shplan.views.plan_document import plan_of
from shplan.views.plan_text import render_plan
from shplan.views.values import Paint, safe


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """
    A saved plan whose form and digest are right.

    Args:
        name: what people call the file
    """

    document: JsonObject
    name: str = "FILE"


def _address(text: str) -> str:
    Address.parse(text)
    return text


def _reason(code: str) -> str:
    if code.upper() not in Reason.__members__:
        msg = f"{code!r} is no reason of this format"
        raise ValueError(msg)
    return code


_Address = Annotated[str, AfterValidator(_address)]
_Code = Annotated[
    str,
    AfterValidator(_reason),
    WithJsonSchema({"type": "string", "enum": [one.name.lower() for one in Reason]}),
]
_Place = Annotated[str, Field(pattern=r"^.+:[0-9]{1,9}:[0-9]{1,9}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Inputs(_Strict):
    """What the plan was computed from."""

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
    # Plans of earlier versions have none.
    data: dict[str, str] = {}


class _Request(_Strict):
    """One request, secrets by name, and holes for the ids that this plan creates."""

    operation: str
    method: str
    path: str
    parameters: dict[str, object]
    query: list[list[str]] = Field(default_factory=list)
    accept: str = ""
    body: object = None


class _Field(_Strict):
    """One field that differs: what the server says, what the manifest says."""

    path: str
    before: object
    after: object
    reason: _Code
    forces: str


class _Member(_Strict):
    """One member of a set that changes: a tile."""

    key: str
    operation: str
    adopts: str
    request: _Request | None
    action: Action
    reason: _Code
    detail: str
    fields: list[_Field]


class _Reason(_Strict):
    """Why an action is planned, for programs and for people."""

    code: _Code
    text: str


class _Factor(_Strict):
    """What the price of a summand is a product of: its bounds, and how people write it."""

    label: str
    minimum: float
    expected: float
    maximum: float
    shown: str
    source: str


class _Term(_Strict):
    """
    A summand: at most `count` times `each` processing units, and where the price comes from.

    `minimum` and `expected` are of the whole summand, where it is not known in advance.
    """

    label: str
    count: int
    each: float
    source: str
    minimum: float | None = None
    expected: float | None = None
    factors: list[_Factor] = []


class _Cost(_Strict):
    """Processing units."""

    minimum: float
    expected: float
    maximum: float
    terms: list[_Term]


class _Change(_Strict):
    """One planned action on one address, in the order of applying."""

    address: _Address
    adopts: str
    action: Action
    deposed: bool
    attempt: int
    key: str
    preventDestroy: bool  # noqa: N815 - the document's own names
    requests: list[_Request]
    members: list[_Member]
    reason: _Reason
    fields: list[_Field]
    cost: _Cost
    counts: dict[str, object]
    notes: list[str]
    dependsOn: list[_Address]  # noqa: N815 - the document's own names
    source: _Place | None
    id: str
    observed: str
    # What goes with an object that is deleted; files made before there was one have none.
    held: str = ""


class _Refusal(_Strict):
    """What forbids applying the plan."""

    kind: RefusalKind
    code: str
    what: str
    hint: str


class _Summary(_Strict):
    """How many changes of each action, out of how many resources, and what they cost."""

    resources: int
    counts: dict[str, int]
    costPU: _Cost  # noqa: N815 - the document's own names
    refusals: list[_Refusal]


class _Document(_Strict):
    """A plan of shplan, as `shplan plan -o FILE` and `shplan plan --format json` write it."""

    format: Literal[1]
    digest: str
    inputs: _Inputs
    summary: _Summary
    changes: list[_Change]
    unchanged: list[_Address]
    # Of all the rest of a file, so that nothing that was read in a review can be changed after it.
    seal: str = ""


def plan_schema() -> JsonObject:
    """Return the JSON Schema (2020-12) of the document."""
    schema = cast("JsonObject", _untitled(_Document.model_json_schema()))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _untitled(schema: object) -> object:
    """Leave pydantic's titles out: they only repeat names, and name our classes."""
    if isinstance(schema, list):
        return [_untitled(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _untitled(one)
        for key, one in schema.items()
        if key != "title" or not isinstance(one, str)
    }


def save_plan(plan: Plan) -> bytes:
    """Return the document of a plan, the same bytes for the same plan."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    document = plan_json(plan)
    return orjson.dumps({**document, "seal": digest(cast("Value", document))}, option=options)


def load_plan(content: bytes, *, name: str) -> SavedPlan:
    """
    Read a saved plan.

    Args:
        name: what messages call the file

    Raises:
        PlanError: it is no plan, or one of another format
        StalePlanError: it was changed after it was made
    """
    if holds_too_much(content, most=_MOST_VALUES):
        raise _wrong(name, f"it holds more than {_MOST_VALUES:,} values")
    try:
        document = cast("JsonValue", orjson.loads(content))
    except orjson.JSONDecodeError as error:
        raise _wrong(name, "it is not JSON") from error
    if (twice := _named_twice(content)) is not None:
        raise _tampered(name, f"has {twice!r} twice in one object; readers differ on which counts")
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
    seal = plan.pop("seal", "")
    try:
        genuine = _digest(plan) == plan["digest"] and seal in ("", digest(cast("Value", plan)))
    except (NotCanonicalError, RecursionError) as error:
        raise _wrong(name, "it holds what no plan can hold") from error
    if not genuine:
        raise _tampered(name, "does not have the digest or the seal that it names")
    return SavedPlan(plan, name)


def render_saved(saved: SavedPlan, *, width: int, color: bool) -> str:
    """Return a saved plan as text: what it was computed from, and all that it would do."""
    from shlex import quote  # noqa: PLC0415

    plan = plan_of(saved.document)
    paint = Paint(color=color)
    head = "\n".join(_head(plan.inputs, str(saved.document["digest"]), paint))
    body = render_plan(plan, width=width, color=color, next_step=False)
    if plan.refusals or not plan.pending:
        return f"{head}\n\n{body}"
    return f"{head}\n\n{body}To apply exactly this:\n  shplan apply {quote(safe(saved.name))}\n"


def markdown_saved(saved: SavedPlan) -> str:
    """Return a saved plan as Markdown."""
    from shplan.views.plan_markdown import Setting, render_markdown  # noqa: PLC0415

    setting = Setting(digest=str(saved.document["digest"]), saved_as=saved.name)
    return render_markdown(plan_of(saved.document), setting)


def _head(inputs: PlanInputs, name: str, paint: Paint) -> Iterator[str]:
    yield f"{paint('Saved plan', 'bold')} {safe(name)}"
    where = f"environment {inputs.environment} ({inputs.deployment})"
    yield safe(f"  project {inputs.project}, {where}")
    commit = f", commit {inputs.commit[:12]}" if inputs.commit else ""
    ledger = f", ledger at {inputs.ledger_head[:19]}" if inputs.ledger_head else ""
    yield safe(f"  made by shplan {inputs.version}{commit}{ledger}")
    chosen = [f"--select {one}" for one in inputs.select]
    chosen += [f"--exclude {one}" for one in inputs.exclude]
    if chosen:
        yield safe(f"  {' '.join(chosen)}")


def _digest(plan: JsonObject) -> str:
    """Compute the digest again, as `core.plan.Plan.digest` does."""
    inputs = cast("JsonObject", plan["inputs"])
    changes = [
        {
            **{key: one[key] for key in _ESSENCE if key in one},
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


# A thousand for each of many thousand changes.
_MOST_VALUES = 50_000_000
_ESSENCE = (
    "address",
    "adopts",
    "action",
    "deposed",
    "attempt",
    "preventDestroy",
    "requests",
    "held",
)


def _wrong(name: str, why: str) -> PlanError:
    diagnostic = Diagnostic(
        code="plan/not-a-plan",
        summary="Not a saved plan",
        what=f"{name} cannot be applied: {why}.",
        hint="shplan plan -o plan.json",
    )
    return PlanError(diagnostic.what, diagnostics=(diagnostic,))


def _named_twice(content: bytes) -> str | None:
    """
    Return a name that stands twice in one object, None where there is none.

    Digests are of what our reader takes, the last of the two; a reviewer's may show the first.
    """
    found: list[str] = []

    def look(pairs: list[tuple[str, object]]) -> None:
        names = {name for name, _ in pairs}
        if len(names) < len(pairs):
            counted = Counter(name for name, _ in pairs)
            found.append(counted.most_common(1)[0][0])

    with suppress(RecursionError):  # no plan is nested so deep: its form refuses it
        json.loads(content, object_pairs_hook=look, parse_int=str, parse_float=str)
    return found[0] if found else None


def _tampered(name: str, why: str) -> StalePlanError:
    diagnostic = Diagnostic(
        code="plan/tampered",
        summary="The saved plan was changed",
        what=f"{name} {why}.",
        why="What is applied must be what was planned and reviewed. Nothing was sent.",
        hint="shplan plan -o plan.json",
    )
    return StalePlanError(diagnostic.what, diagnostics=(diagnostic,))
