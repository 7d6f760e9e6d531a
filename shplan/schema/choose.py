"""
`oneOf` made to choose: the value of one member decides which branch applies.

A plain `oneOf` that fails says only that nothing matched. Where the branches can be told apart by a member
with distinct values (`type`, `provider`, `op`) the choice becomes a chain of `if`/`then`, so that a fault
is reported in the branch that was meant. Where they cannot, `oneOf` stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shplan.schema.tree import (
    DEFS,
    JsonValue,
    Schema,
    as_list,
    as_object,
    as_text,
    map_subschemas,
)

_DEPTH = 2


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of one member that select one branch: a closed list, or a pattern."""

    listed: tuple[str, ...]
    pattern: str | None
    may_be_absent: bool

    def test(self) -> Schema:
        if self.pattern is None:
            return (
                {"enum": list(self.listed)} if len(self.listed) > 1 else {"const": self.listed[0]}
            )
        return {"type": "string", "pattern": self.pattern}

    def overlaps(self, other: _Values) -> bool:
        return (
            bool(set(self.listed) & set(other.listed))
            or self._matches(other)
            or other._matches(self)
        )

    def _matches(self, other: _Values) -> bool:
        if self.pattern is None:
            return False
        return other.pattern is not None or any(re.search(self.pattern, v) for v in other.listed)


def choose(schema: Schema, pool: dict[str, Schema]) -> Schema:
    """
    Return the schema with every `oneOf` whose branches can be told apart made into a choice.

    Args:
        schema: without `allOf` of plain schemas
        pool: the definitions, without `allOf` as well
    """
    changed = map_subschemas(schema, lambda sub: choose(sub, pool))
    if "oneOf" not in changed:
        return changed
    branches = [as_object(branch) for branch in as_list(changed["oneOf"])]
    beside = {k: v for k, v in changed.items() if k not in ("oneOf", "discriminator")}
    if len(branches) == 1:
        return {**beside, **branches[0]}
    if all(_is_one_member(branch) for branch in branches):
        return _exclusive(beside, branches)
    path = _discriminator(changed, branches, pool)
    return _chain(beside, branches, path) if path else changed


def is_choice(schema: Schema) -> bool:
    """Tell whether the schema only chooses: its own properties are not all that is allowed."""
    conditions = schema.get("allOf")
    if not isinstance(conditions, list):
        return False
    return any("$ref" in as_object(as_object(c).get("then", {})) for c in conditions)


def _is_one_member(branch: Schema) -> bool:
    properties = branch.get("properties")
    return isinstance(properties, dict) and branch.get("required") == list(properties)[:1] == list(
        properties
    )


def _exclusive(beside: Schema, branches: list[Schema]) -> Schema:
    members: Schema = {}
    for branch in branches:
        members |= as_object(branch["properties"])
    required: list[JsonValue] = [{"required": [name]} for name in members]
    return {"type": "object", **beside, "properties": members, "oneOf": required}


def _discriminator(
    schema: Schema, branches: list[Schema], pool: dict[str, Schema]
) -> dict[tuple[str, ...], list[_Values]]:
    if "discriminator" in schema:
        return _declared(as_object(schema["discriminator"]), branches)
    for path in _candidates(_resolve(branches[0], pool), pool, _DEPTH):
        values = [_values(branch, path, pool) for branch in branches]
        known = [value for value in values if value is not None]
        if len(known) == len(values) and _distinct(known):
            return {path: known}
    return {}


def _declared(declared: Schema, branches: list[Schema]) -> dict[tuple[str, ...], list[_Values]]:
    names = {as_text(ref): value for value, ref in as_object(declared["mapping"]).items()}
    values = [
        _Values((names[as_text(branch["$ref"])],), None, may_be_absent=False) for branch in branches
    ]
    return {(as_text(declared["propertyName"]),): values}


def _distinct(values: list[_Values]) -> bool:
    pairs = ((a, b) for i, a in enumerate(values) for b in values[i + 1 :])
    return not any(a.overlaps(b) for a, b in pairs) and sum(v.may_be_absent for v in values) <= 1


def _candidates(branch: Schema, pool: dict[str, Schema], depth: int) -> list[tuple[str, ...]]:
    if "oneOf" in branch:
        return _candidates(_resolve(as_object(as_list(branch["oneOf"])[0]), pool), pool, depth)
    found: list[tuple[str, ...]] = []
    for name, sub in as_object(branch.get("properties", {})).items():
        found.append((name,))
        if depth > 1:
            inner = _resolve(as_object(sub), pool)
            found += [(name, *rest) for rest in _candidates(inner, pool, depth - 1)]
    return sorted(found, key=len)


def _values(branch: Schema, path: tuple[str, ...], pool: dict[str, Schema]) -> _Values | None:
    schema = _resolve(branch, pool)
    if "oneOf" in schema:
        return _joined([_values(as_object(b), path, pool) for b in as_list(schema["oneOf"])])
    member = as_object(schema.get("properties", {})).get(path[0])
    if not isinstance(member, dict):
        return None
    if len(path) > 1:
        return _values(member, path[1:], pool)
    absent = "default" in member and path[0] not in as_list(schema.get("required", []))
    return _member_values(_resolve(member, pool), may_be_absent=absent)


def _member_values(member: Schema, *, may_be_absent: bool) -> _Values | None:
    if member.get("type") != "string":
        return None
    if "enum" in member:
        listed = tuple(as_text(value) for value in as_list(member["enum"]))
        return _Values(listed, None, may_be_absent=may_be_absent)
    if "pattern" in member:
        return _Values((), as_text(member["pattern"]), may_be_absent=may_be_absent)
    return None


def _joined(values: list[_Values | None]) -> _Values | None:
    known = [value for value in values if value is not None and value.pattern is None]
    if len(known) != len(values):
        return None
    return _Values(tuple(v for value in known for v in value.listed), None, may_be_absent=False)


def _chain(
    beside: Schema, branches: list[Schema], found: dict[tuple[str, ...], list[_Values]]
) -> Schema:
    ((path, values),) = found.items()
    optional = any(value.may_be_absent for value in values)
    conditions: list[JsonValue] = [
        {"if": _at(path, value.test(), required=not value.may_be_absent), "then": branch}
        for value, branch in zip(values, branches, strict=True)
    ]
    allowed = _at(path, _allowed(values), required=not optional)
    return {**allowed, **beside, "allOf": conditions}


def _allowed(values: list[_Values]) -> Schema:
    listed: list[JsonValue] = [v for value in values for v in value.listed]
    patterns: list[JsonValue] = [{"pattern": v.pattern} for v in values if v.pattern is not None]
    if not patterns:
        return {"type": "string", "enum": listed}
    return {"type": "string", "anyOf": [{"enum": listed}, *patterns]}


def _at(path: tuple[str, ...], schema: Schema, *, required: bool) -> Schema:
    inner = schema if len(path) == 1 else _at(path[1:], schema, required=required)
    at: Schema = {"type": "object", "properties": {path[0]: inner}}
    return {**at, "required": [path[0]]} if required else at


def _resolve(schema: Schema, pool: dict[str, Schema]) -> Schema:
    target = schema.get("$ref")
    return pool[target.removeprefix(DEFS)] if isinstance(target, str) else schema
