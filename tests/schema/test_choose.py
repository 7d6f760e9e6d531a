"""`oneOf` becomes a choice by a member's value wherever one tells the branches apart."""

from __future__ import annotations

from shplan.schema.choose import choose, is_choice
from shplan.schema.tree import DEFS, JsonValue, Schema, bundle
from tests.schema.support import faults, paths

_POOL: dict[str, Schema] = {
    "Cat": {
        "type": "object",
        "required": ["type", "lives"],
        "properties": {"type": {"type": "string", "enum": ["cat"]}, "lives": {"type": "integer"}},
    },
    "Dog": {
        "type": "object",
        "required": ["type"],
        "properties": {
            "type": {"type": "string", "enum": ["dog", "puppy"]},
            "tricks": {"type": "array"},
        },
    },
    "Other": {
        "type": "object",
        "properties": {"type": {"type": "string", "pattern": "^x-"}, "legs": {"type": "integer"}},
    },
}


def _chosen(*names: str) -> Schema:
    branches: list[JsonValue] = [{"$ref": DEFS + name} for name in names]
    return bundle(choose({"oneOf": branches}, _POOL), _POOL)


def test_a_fault_is_reported_in_the_branch_that_was_meant() -> None:
    schema = _chosen("Cat", "Dog")
    assert faults(schema, {"type": "cat", "lives": 9}) == []
    assert faults(schema, {"type": "puppy"}) == []
    assert paths(schema, {"type": "cat", "lives": "nine"}) == ["lives"]
    assert paths(schema, {"type": "dog", "tricks": 1}) == ["tricks"]


def test_an_unknown_or_absent_value_is_one_fault() -> None:
    schema = _chosen("Cat", "Dog")
    assert len(faults(schema, {"type": "cow"})) == 1
    assert len(faults(schema, {})) == 1
    assert len(faults(schema, "cat")) == 1


def test_a_pattern_chooses_as_well() -> None:
    schema = _chosen("Cat", "Other")
    assert faults(schema, {"type": "x-spider", "legs": 8}) == []
    assert paths(schema, {"type": "x-spider", "legs": "8"}) == ["legs"]
    assert paths(schema, {"type": "spider"}) == ["type"]
    assert len(faults(schema, {"type": 5})) == 1


def test_a_branch_with_a_default_is_meant_when_the_member_is_absent() -> None:
    silent: Schema = {
        "type": "object",
        "required": ["n"],
        "properties": {
            "type": {"type": "string", "enum": ["plain"], "default": "plain"},
            "n": {"type": "integer"},
        },
    }
    pool = {**_POOL, "Silent": silent}
    schema = bundle(
        choose({"oneOf": [{"$ref": DEFS + "Silent"}, {"$ref": DEFS + "Cat"}]}, pool), pool
    )
    assert faults(schema, {"n": 1}) == []
    assert paths(schema, {"n": "1"}) == ["n"]


def test_a_member_one_level_down_can_choose() -> None:
    def order(provider: str, member: str) -> Schema:
        source: Schema = {
            "properties": {"provider": {"type": "string", "enum": [provider]}},
            "required": [member],
        }
        return {"type": "object", "properties": {"input": source}}

    schema = choose({"oneOf": [order("A", "key"), order("B", "kernel")]}, {})
    assert faults(schema, {"input": {"provider": "A", "key": 1}}) == []
    assert "kernel" in faults(schema, {"input": {"provider": "B"}})[0]


def test_one_required_member_of_several_becomes_members_of_which_one_is_required() -> None:
    schema = choose(
        {"oneOf": [{"required": [n], "properties": {n: {"type": "object"}}} for n in ("s3", "gs")]},
        {},
    )
    assert faults(schema, {"s3": {}}) == []
    assert faults(schema, {}) != []
    assert faults(schema, {"s3": {}, "gs": {}}) != []
    assert paths(schema, {"gs": 1}) == ["gs"]


def test_what_cannot_be_told_apart_stays() -> None:
    schema: Schema = {"oneOf": [{"type": "string"}, {"type": "null"}]}
    assert choose(schema, {}) == schema
    assert not is_choice(schema)
    assert is_choice(_chosen("Cat", "Dog"))
