"""
The paths of `lifecycle.ignoreChanges`: whether a kind has such a field at all.

A misspelt path would protect nothing and say nothing, so it is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from shplan.core.value import JsonValue
from shplan.schema.store import manifest_schema

_ANY = "*"
_BRANCHES = ("anyOf", "oneOf", "allOf")
_Node = Mapping[str, JsonValue]


def unknown_step(kind: str, path: str) -> tuple[str, tuple[str, ...]] | None:
    """
    Return the first step of a dotted path that the `spec` of a kind does not have.

    Returns:
        the step and what could stand in its place; None where the path may name something
    """
    definitions = cast("_Node", manifest_schema(kind).get("$defs", {}))
    spec = definitions.get(f"{kind}Spec")
    nodes: list[_Node] = [spec] if isinstance(spec, dict) else []
    for step in path.split("."):
        branches = [one for node in nodes for one in _flat(node, definitions)]
        if not branches or any(_takes_anything(one) for one in branches):
            return None
        nodes = [found for one in branches for found in _below(one, step)]
        if not nodes:
            return step, tuple(sorted({name for one in branches for name in _names(one)}))
    return None


def _flat(node: _Node, definitions: _Node) -> Iterator[_Node]:
    """Yield a schema and everything that it is composed of."""
    reference = node.get("$ref")
    if isinstance(reference, str):
        target = definitions.get(reference.removeprefix("#/$defs/"))
        if isinstance(target, dict):
            yield from _flat(target, definitions)
    for keyword in _BRANCHES:
        parts = node.get(keyword)
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                yield from _flat(part, definitions)
    if "properties" in node or "items" in node or "additionalProperties" in node:
        yield node


def _takes_anything(node: _Node) -> bool:
    return "items" not in node and "additionalProperties" not in node


def _below(node: _Node, step: str) -> Iterator[_Node]:
    properties = node.get("properties")
    stated = properties.get(step) if isinstance(properties, dict) else None
    others = node.get("additionalProperties")
    items = node.get("items")
    if stated is not None:
        yield stated if isinstance(stated, dict) else {}
    elif step == _ANY and isinstance(properties, dict):
        yield from (one for one in properties.values() if isinstance(one, dict))
    elif isinstance(others, dict):
        yield others
    if step == _ANY and isinstance(items, dict):
        yield items


def _names(node: _Node) -> Iterator[str]:
    properties = node.get("properties")
    if isinstance(properties, dict):
        yield from properties
    if isinstance(node.get("items"), dict):
        yield _ANY
