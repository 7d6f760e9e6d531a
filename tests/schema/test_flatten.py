"""Sums of schemas become one schema."""

from __future__ import annotations

import pytest

from shplan.schema.flatten import flatten
from shplan.schema.tree import DEFS, Schema, SchemaSourceError

_POOL: dict[str, Schema] = {
    "Base": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
    "Narrow": {"type": "object", "properties": {"id": {"type": "string", "enum": ["a"]}}},
}


def test_members_and_requirements_are_added() -> None:
    extension: Schema = {
        "type": "object",
        "required": ["n"],
        "properties": {"n": {"type": "number"}},
    }
    assert flatten({"allOf": [{"$ref": DEFS + "Base"}, extension]}, _POOL) == {
        "type": "object",
        "required": ["id", "n"],
        "properties": {"id": {"type": "string"}, "n": {"type": "number"}},
    }


def test_a_member_in_two_summands_must_satisfy_both() -> None:
    summed = flatten({"allOf": [{"$ref": DEFS + "Base"}, {"$ref": DEFS + "Narrow"}]}, _POOL)
    assert summed["properties"] == {"id": {"type": "string", "enum": ["a"]}}


def test_ranges_are_intersected() -> None:
    left: Schema = {"minimum": 0, "maximum": 10, "type": ["number", "null"]}
    assert flatten({"allOf": [left, {"minimum": 2, "maximum": 20, "type": "number"}]}, {}) == {
        "minimum": 2,
        "maximum": 10,
        "type": "number",
    }


def test_a_single_reference_keeps_its_name() -> None:
    schema: Schema = {"type": "object", "readOnly": True, "allOf": [{}, {"$ref": DEFS + "Base"}]}
    assert flatten(schema, _POOL) == {"$ref": DEFS + "Base", "readOnly": True}


def test_several_conditions_stay_beside_the_members() -> None:
    first: Schema = {"if": {"required": ["a"]}, "then": {"required": ["b"]}}
    second: Schema = {"oneOf": [{"required": ["c"]}, {"required": ["d"]}]}
    summed = flatten({"allOf": [{"$ref": DEFS + "Base"}, first, second]}, _POOL)
    assert summed == {**_POOL["Base"], "allOf": [first, second]}


def test_a_contradiction_is_an_error() -> None:
    with pytest.raises(SchemaSourceError, match="no type in common"):
        flatten({"allOf": [{"type": "string"}, {"type": "number"}]}, {})
    with pytest.raises(SchemaSourceError, match="'const'"):
        flatten({"allOf": [{"const": 1}, {"const": 2}]}, {})
