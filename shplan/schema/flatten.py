"""
`allOf` dissolved: a schema that is the sum of others becomes one schema.

The published description builds its bodies by addition (`allOf` of a base and an extension). As one object
with all its properties a body can be closed against unknown fields, and a fault points at the property and
not at a sum. Conditions (`if`, `oneOf`, ...) that cannot be added stay as members of `allOf`.
"""

from __future__ import annotations

from collections.abc import Callable

from shplan.schema.tree import (
    DEFS,
    JsonValue,
    Schema,
    SchemaSourceError,
    as_list,
    as_object,
    map_subschemas,
)

_CONDITIONS = ("if", "then", "else", "oneOf", "anyOf", "not")
_LARGER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_SMALLER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_ANNOTATIONS = ("default", "description", "format", "pattern", "propertyNames")
_FLAGS = ("readOnly", "deprecated", "uniqueItems")


def flatten(schema: Schema, pool: dict[str, Schema]) -> Schema:
    """
    Return the schema without any `allOf` of plain schemas, at any depth.

    Args:
        schema: refers to `#/$defs/NAME`
        pool: the definitions, as published

    Raises:
        SchemaSourceError: two summands contradict each other
    """
    changed = map_subschemas(schema, lambda sub: flatten(sub, pool))
    if "allOf" not in changed:
        return changed
    parts = [part for part in map(as_object, as_list(changed.pop("allOf"))) if part]
    if len(parts) == 1 and "$ref" in parts[0] and set(changed) <= {"type", *_ANNOTATIONS, *_FLAGS}:
        return {**parts[0], **{key: value for key, value in changed.items() if key != "type"}}
    return _sum([*parts, changed], pool)


def _sum(parts: list[Schema], pool: dict[str, Schema]) -> Schema:
    conditions: list[JsonValue] = []
    plain: list[Schema] = []
    for part in (_resolved(part, pool) for part in parts):
        condition: Schema = {key: part[key] for key in _CONDITIONS if key in part}
        conditions += [condition] if condition else []
        conditions += as_list(part.get("allOf", []))
        plain.append({k: v for k, v in part.items() if k not in (*_CONDITIONS, "allOf")})
    merged: Schema = {}
    for part in plain:
        merged = _add(merged, part, pool)
    if len(conditions) == 1:
        return {**merged, **as_object(conditions[0])}
    return {**merged, "allOf": conditions} if conditions else merged


def _resolved(schema: Schema, pool: dict[str, Schema]) -> Schema:
    target = schema.get("$ref")
    if not isinstance(target, str):
        return schema
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    return {**flatten(pool[target.removeprefix(DEFS)], pool), **beside}


def _add(left: Schema, right: Schema, pool: dict[str, Schema]) -> Schema:
    result = dict(left)
    for key, value in right.items():
        result[key] = value if key not in left else _both(key, left[key], value, pool)
    return result


def _both(key: str, left: JsonValue, right: JsonValue, pool: dict[str, Schema]) -> JsonValue:
    if left == right:
        return left
    combine = _COMBINE.get(key)
    if combine is None:
        msg = f"two summands disagree about {key!r}: {left!r} and {right!r}"
        raise SchemaSourceError(msg)
    return combine(left, right, pool)


def _properties(left: JsonValue, right: JsonValue, pool: dict[str, Schema]) -> JsonValue:
    result = dict(as_object(left))
    for name, sub in as_object(right).items():
        result[name] = _schemas(result[name], sub, pool) if name in result else sub
    return result


def _schemas(left: JsonValue, right: JsonValue, pool: dict[str, Schema]) -> JsonValue:
    return left if left == right else _sum([as_object(left), as_object(right)], pool)


def _union(left: JsonValue, right: JsonValue, _: dict[str, Schema]) -> JsonValue:
    return list(dict.fromkeys([*map(str, as_list(left)), *map(str, as_list(right))]))


def _common(left: JsonValue, right: JsonValue, _: dict[str, Schema]) -> JsonValue:
    return [value for value in as_list(left) if value in as_list(right)]


def _narrower(left: JsonValue, right: JsonValue, _: dict[str, Schema]) -> JsonValue:
    listed = left if isinstance(left, list) else [left]
    common = [name for name in listed if name in (right if isinstance(right, list) else [right])]
    if not common:
        msg = f"two summands have no type in common: {left!r} and {right!r}"
        raise SchemaSourceError(msg)
    return common[0] if len(common) == 1 else common


def _later(left: JsonValue, right: JsonValue, _: dict[str, Schema]) -> JsonValue:  # noqa: ARG001
    return right


def _larger(left: JsonValue, right: JsonValue, _: dict[str, Schema]) -> JsonValue:
    return max(left, right, key=_number)


def _smaller(left: JsonValue, right: JsonValue, _: dict[str, Schema]) -> JsonValue:
    return min(left, right, key=_number)


def _either(left: JsonValue, right: JsonValue, _: dict[str, Schema]) -> JsonValue:
    return bool(left) or bool(right)


def _number(value: JsonValue) -> float:
    if not isinstance(value, int | float):
        msg = f"expected a number, found {value!r}"
        raise SchemaSourceError(msg)
    return value


_COMBINE: dict[str, Callable[[JsonValue, JsonValue, dict[str, Schema]], JsonValue]] = {
    "type": _narrower,
    "properties": _properties,
    "required": _union,
    "enum": _common,
    "items": _schemas,
    **dict.fromkeys(_LARGER, _larger),
    **dict.fromkeys(_SMALLER, _smaller),
    **dict.fromkeys(_ANNOTATIONS, _later),
    **dict.fromkeys(_FLAGS, _either),
}
