"""
A schema's verdict in words: for each keyword that can fail what is wrong, why, and what would be right.

The table at the end says which function explains which keyword. Texts of a wrong form are in `forms`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from shplan.core.value import JsonValue, Path
from shplan.manifest.collection_fields import owners_of
from shplan.manifest.forms import explain_format, explain_key, explain_pattern
from shplan.manifest.parse import kind_of
from shplan.manifest.schema_places import (
    Schema,
    declared,
    descend,
    place_of,
    properties,
    property_description,
)
from shplan.manifest.violation import Case, Violation
from shplan.manifest.wording import dotted, either, listed, nearest, plain, shown

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError


def explain(
    error: ValidationError, schema: Schema, document: JsonValue, subject: str
) -> list[Violation]:
    """Return what one error of the validator says, in sentences."""
    case = Case(error, schema, document, subject)
    return _EXPLANATIONS.get(error.kind.name, _other)(case)


def _type(case: Case) -> list[Violation]:
    kind = case.node.get("type")
    types = [str(one) for one in kind] if isinstance(kind, list) else [str(kind)]
    wanted = either([_TYPE_NAMES.get(one, one) for one in types])
    return [
        case.violation(
            "type",
            "Value of the wrong type",
            f"{case.name} is {_with_value(case.value)}; it must be {wanted}.",
            why=case.description,
            hint=_type_hint(case, types),
        )
    ]


def _with_value(value: JsonValue) -> str:
    if value is None or isinstance(value, dict | list):
        return kind_of(value)
    return f"{kind_of(value)} ({shown(value)})"


# What a number lacks to be one of these.
_FORMS = {
    "Duration": "write the unit too: `{lead}{value}m` for minutes, or s, h, d",
    "Sha256": "write the 64 digits that `sha256sum` prints",
}


def _type_hint(case: Case, types: list[str]) -> str:
    value = case.value
    field = case.path[-1] if case.path else ""
    lead = f"{field}: " if isinstance(field, str) and field else "- "
    if case.definition in _FORMS:
        return _FORMS[case.definition].format(lead=lead, value=shown(value))
    if "string" in types and isinstance(value, bool | int | float):
        return f'write `{lead}"{shown(value)}"` with quotes'
    if value is None:
        return f"give {dotted(case.path)} a value, or remove the line"
    if isinstance(value, str) and {"integer", "number"} & set(types) and _looks_numeric(value):
        finite = math.isfinite(float(value))
        plainly = f"write `{lead}{value.strip()}` without quotes"
        return plainly if finite else "write a finite number: JSON has no other"
    if isinstance(value, str) and "boolean" in types:
        return f"write `{lead}{_as_boolean(value)}` without quotes"
    if "array" in types:
        return "write each item on a line of its own, after `- `"
    if "object" in types and isinstance(value, list):
        return "remove the `- `: this is one mapping, not a list"
    return ""


def _looks_numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _as_boolean(text: str) -> str:
    return "false" if text.strip().lower() in {"false", "no", "off", "0", "n"} else "true"


def _required(case: Case) -> list[Violation]:
    missing = str(case.option("property"))
    guard = case.error.schema_path[-2:-1] == ["else"]
    alternative = _guarded(case) if guard else ""
    node = case.node
    stated = declared(case.schema, case.path)
    told = property_description(case.schema, node, missing) or (
        property_description(case.schema, stated, missing)
    )
    if alternative:
        return [
            case.violation(
                "missing-field",
                "Field missing",
                f"{case.name} has neither `{alternative}` nor `{missing}`.",
                why=told,
                hint=f"add `{alternative}` or `{missing}`",
                missing=missing,
            )
        ]
    given = case.value if isinstance(case.value, dict) else {}
    known = set(properties(node))
    similar = nearest(missing, [name for name in given if name not in known])
    return [
        case.violation(
            "missing-field",
            "Field missing",
            f"{case.name} has no `{missing}`, which is required.",
            why=told,
            hint=(
                f"rename `{similar}` to `{missing}`"
                if similar
                else f"add `{missing}: {_only_value(properties(node).get(missing))}`"
            ),
            missing=missing,
        )
    ]


def _only_value(member: JsonValue) -> str:
    """Return what alone can stand in a field; `...` where there is a choice."""
    only = member.get("const") if isinstance(member, dict) else None
    return only if isinstance(only, str) else "..."


def _guarded(case: Case) -> str:
    """Return the field whose absence made the other one required (`if: required`, `else`)."""
    outer = descend(case.schema, case.error.schema_path[:-2])
    condition = outer.get("if")
    names = condition.get("required") if isinstance(condition, dict) else None
    return str(names[0]) if isinstance(names, list) and len(names) == 1 else ""


def _contradiction(case: Case) -> list[Violation]:
    """Explain `properties: {x: false}` inside a `then`: x does not go with what the `if` names."""
    steps = case.error.schema_path
    outer = descend(case.schema, steps[:-3]) if steps[-3:-2] == ["then"] else {}
    condition = outer.get("if")
    names = condition.get("required") if isinstance(condition, dict) else None
    field = dotted(case.path[-1:])
    partner = f" beside `{names[0]}`" if isinstance(names, list) and names else " here"
    return [
        case.violation(
            "contradiction",
            "Fields exclude each other",
            f"{case.name} cannot stand{partner}.",
            why=case.description,
            hint=f"remove `{field}`" + (f" or `{names[0]}`" if isinstance(names, list) else ""),
            at_key=True,
        )
    ]


def _unknown_fields(case: Case) -> list[Violation]:
    known = list(properties(case.node))
    unexpected = cast("list[str]", case.option("unexpected"))
    given = case.value if isinstance(case.value, dict) else {}
    free = [name for name in known if name not in given]
    return [_unknown_field(case, name, known, free) for name in unexpected]


def _unknown_field(case: Case, name: str, known: list[str], free: list[str]) -> Violation:
    similar = nearest(name, free) or nearest(name, known)
    elsewhere = place_of(case.schema, name) if similar is None else None
    owners = owners_of(case.schema, (*case.path, name))
    of_batch = case.subject.startswith("BatchProcess/")
    successor = _OF_BATCH_V1.get(name, "") if of_batch else ""
    if successor:
        similar = None
        hint = f"write `{successor}`; `shplan migrate batch-v1 FILE` rewrites the whole manifest"
    elif owners:
        hint = f"remove it: it is an option of {owners}"
    elif similar and similar in free:
        hint = f"did you mean `{similar}`?"
    elif similar:
        hint = f"`{similar}` is given already; remove `{name}`"
    elif elsewhere:
        hint = f"`{name}` belongs {_below(elsewhere)}"
    else:
        hint = (
            f"the fields here are {listed(known)}" if known else "remove it: no fields belong here"
        )
    holder = (
        f"`{dotted(case.path)}` of {case.subject}" if case.path else f"the document {case.subject}"
    )
    found = case.violation(
        "unknown-field",
        "Field unknown",
        f"{holder} has no field `{name}`.",
        why="It is a field of Batch V1, which `run: {api: v1}` asks for."
        if successor
        else _MISPLACED.get(name, ""),
        hint=hint,
        below=(name,),
        at_key=True,
    )
    meant = similar if similar in free and not owners else ""
    return replace(found, meant=meant or "", belongs=None if owners else elsewhere)


def _below(place: Path) -> str:
    above = dotted(place[:-1])
    return f"below `{above}`" if above else "at the top level of the document"


# Source: documentation, migration from Batch V1: what has become of its fields.
_OF_BATCH_V1 = {
    "tilingGrid": "input: {type: tiling-grid, id: 0, resolution: 10}",
    "tilingGridId": "input: {type: tiling-grid, id: 0, resolution: 10}",
    "bucketName": "output: {type: raster, delivery: {s3: {url: s3://BUCKET/PATH}}}",
    "defaultTilePath": "delivery: {s3: {url: s3://BUCKET/PATH}}",
    "zarrOutput": "output: {type: zarr, delivery: {s3: {url: s3://BUCKET/PATH}}}",
}


_MISPLACED = {
    "id": "Ids are given by the server; manifests refer to things by their address.",
    "status": "It is set by the server.",
    "created": "It is set by the server.",
    "count": "There is no positional identity: instances are told apart by keys.",
    "for_each": "",
    "depends_on": "",
}


# What GeoJSON files hold, and what of it a request takes.
_OF_FEATURES = {
    "Feature": "write what stands at `geometry` of the feature",
    "FeatureCollection": "write the `geometry` of one feature, or `features(FILE, key=...)` in `forEach` for each",
    "Point": "write an area around it, or a `bbox`",
}


def _choice(case: Case) -> list[Violation]:
    options = cast("list[JsonValue]", case.option("options"))
    value = case.value
    texts = [one for one in options if isinstance(one, str)]
    similar = nearest(value, texts) if isinstance(value, str) else None
    owners = owners_of(case.schema, case.path, value=value)
    number = next((one for one in options if str(one) == value), None)
    if owners:
        hint = f"only {owners} have it"
    elif similar is not None:
        hint = f"did you mean `{similar}`?"
    elif number is not None:
        hint = f"write `{number}` without quotes"
    else:
        hint = _OF_FEATURES.get(str(value), "") if case.path[-2:] == ("geometry", "type") else ""
    return [
        case.violation(
            "value",
            "Value not allowed",
            f"{case.name} is {shown(value)}; it must be {either([plain(one) for one in options])}.",
            why=case.description,
            hint=hint,
        )
    ]


def _constant(case: Case) -> list[Violation]:
    wanted = case.option("expected_value")
    return [
        case.violation(
            "value",
            "Value not allowed",
            f"{case.name} is {shown(case.value)}; it must be {plain(wanted)}.",
            why=case.description,
            hint=f"write `{dotted(case.path[-1:])}: {plain(wanted)}`",
        )
    ]


def _limit(sentence: str, option: str = "limit") -> Callable[[Case], list[Violation]]:
    def explain(case: Case) -> list[Violation]:
        """Return what one error of the validator says, in sentences."""
        limit = case.option(option)
        size = len(case.value) if isinstance(case.value, str | list | dict) else 0
        told = sentence.format(
            limit=limit, size=size, value=shown(case.value), s="s" * (limit != 1)
        )
        return [
            case.violation(
                "value", "Value not allowed", f"{case.name} {told}", why=case.description
            )
        ]

    return explain


def _one_of(case: Case) -> list[Violation]:
    """Explain members of which exactly one is wanted; other alternatives as `_best_branch` does."""
    branches = case.node.get("oneOf")
    names = [_only_required(branch) for branch in branches] if isinstance(branches, list) else []
    if not names or not all(names):
        return _best_branch(case)
    given = [name for name in names if isinstance(case.value, dict) and name in case.value]
    if len(given) > 1:
        return [_one_too_many(case, given)]
    written = case.value if isinstance(case.value, dict) else {}
    similar = next((n for n in names if nearest(n, written)), None)
    return [
        case.violation(
            "missing-field",
            "Field missing",
            f"{case.name} has neither {' nor '.join(f'`{name}`' for name in names)}.",
            why=case.description,
            hint=f"rename `{nearest(similar, written)}` to `{similar}`"
            if similar
            else f"add {either([f'`{name}`' for name in names])}",
        )
    ]


def _only_required(branch: JsonValue) -> str:
    names = branch.get("required") if isinstance(branch, dict) and len(branch) == 1 else None
    return str(names[0]) if isinstance(names, list) and len(names) == 1 else ""


def _one_too_many(case: Case, given: list[str]) -> Violation:
    return case.violation(
        "contradiction",
        "Fields exclude each other",
        f"{case.name} has both {' and '.join(f'`{name}`' for name in given)}.",
        why=case.description,
        hint=f"remove {either([f'`{name}`' for name in given])}",
        below=(given[-1],),
        at_key=True,
    )


def _best_branch(case: Case) -> list[Violation]:
    """Explain the alternative that comes nearest: the one whose errors lie deepest."""
    branches = cast("list[list[ValidationError]]", case.option("context"))
    ranked = [branch for branch in branches if branch]
    if not ranked:
        return _other(case)
    best = max(ranked, key=lambda branch: (max(len(e.instance_path) for e in branch), -len(branch)))
    found: list[Violation] = []
    for error in best:
        found += explain(error, case.schema, case.document, case.subject)
    return found


def _unique(case: Case) -> list[Violation]:
    items = case.value if isinstance(case.value, list) else []
    for index, item in enumerate(items):
        if item in items[:index]:
            return [
                case.violation(
                    "value",
                    "Value not allowed",
                    f"{case.name} holds {shown(item)} twice.",
                    below=(index,),
                    hint="remove one of them",
                )
            ]
    return _other(case)


def _count(sentence: str) -> Callable[[Case], list[Violation]]:
    """Explain a mapping with too few or too many fields by naming those it may have."""

    def explain(case: Case) -> list[Violation]:
        """Return what one error of the validator says, in sentences."""
        known = list(properties(case.node))
        limit = case.option("limit")
        hint = f"give one of {listed(known)}" if known else ""
        return [
            case.violation(
                "value",
                "Value not allowed",
                f"{case.name} {sentence.format(limit=limit)}",
                why=case.description,
                hint=hint,
            )
        ]

    return explain


def _other(case: Case) -> list[Violation]:
    return [
        case.violation(
            "value",
            "Value not allowed",
            f"{case.name} is not allowed: {case.error.message[:300]}.",
            why=case.description,
        )
    ]


_TYPE_NAMES = {
    "string": "a text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
_EXPLANATIONS: Mapping[str, Callable[[Case], list[Violation]]] = {
    "type": _type,
    "required": _required,
    "falseSchema": _contradiction,
    "additionalProperties": _unknown_fields,
    "unevaluatedProperties": _unknown_fields,
    "enum": _choice,
    "const": _constant,
    "minimum": _limit("is {value}; the smallest value allowed is {limit}."),
    "maximum": _limit("is {value}; the largest value allowed is {limit}."),
    "exclusiveMinimum": _limit("is {value}; it must be greater than {limit}."),
    "exclusiveMaximum": _limit("is {value}; it must be smaller than {limit}."),
    "multipleOf": _limit("is {value}; it must be a multiple of {limit}.", "multiple_of"),
    "minLength": _limit("is {value}; it must have at least {limit} character{s}."),
    "maxLength": _limit("has {size} characters; at most {limit} are allowed."),
    "minItems": _limit("has {size} items; it must have at least {limit}."),
    "maxItems": _limit("has {size} items; at most {limit} are allowed."),
    "minProperties": _count("is empty; it must have at least {limit}."),
    "maxProperties": _count("has too many fields; at most {limit} is allowed."),
    "pattern": explain_pattern,
    "format": explain_format,
    "propertyNames": explain_key,
    "uniqueItems": _unique,
    "oneOf": _one_of,
    "anyOf": _best_branch,
}
