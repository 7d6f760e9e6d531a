"""
Which optional properties a kind's schema has, and which of them a document sets and leaves out.

Read from the manifest schemas alone, so that a property that is added later is missed by the
count until the strategies know it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator

from shplan.schema.store import manifest_schema

Schema = dict[str, Any]
Sighting = tuple[str, bool]


def optional_properties(kind: str) -> set[str]:
    """The dotted path of every property that a document of this kind may leave out."""
    root = manifest_schema(kind)
    return set(_optional(root, root, kind))


def sightings(kind: str, document: Any) -> set[Sighting]:
    """Each optional property that a document could have: its path, and whether it has it."""
    root = manifest_schema(kind)
    return set(_seen(root, root, document, kind))


def resolved(root: Schema, schema: Any) -> Any:
    """The schema behind references."""
    while isinstance(schema, dict) and "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _branches(schema: Schema) -> Iterator[tuple[str, Any, Any]]:
    if "if" in schema:
        for name in ("then", "else"):
            if name in schema:
                yield name, schema["if"], schema[name]
    for part in schema.get("allOf", ()):
        yield from _branches(part)


def _optional(root: Schema, schema: Any, path: str) -> Iterator[str]:
    schema = resolved(root, schema)
    if not isinstance(schema, dict):
        return
    for name, member in schema.get("properties", {}).items():
        if member is False:
            continue
        if name not in schema.get("required", ()) and "properties" in schema and _closed(schema):
            yield f"{path}.{name}"
        yield from _optional(root, member, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        yield from _optional(root, schema.get(name), f"{path}.*")
    for name, _, branch in _branches(schema):
        yield from _optional(root, branch, f"{path}|{name}")


def _closed(schema: Schema) -> bool:
    """Conditions only look at properties; what declares them closes the object."""
    return schema.get("additionalProperties") is False


def _seen(root: Schema, schema: Any, value: Any, path: str) -> Iterator[Sighting]:
    schema = resolved(root, schema)
    if not isinstance(schema, dict):
        return
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for name, member in properties.items():
            if member is False:
                continue
            if name not in schema.get("required", ()) and _closed(schema):
                yield f"{path}.{name}", name in value
            if name in value:
                yield from _seen(root, member, value[name], f"{path}.{name}")
        for name, member in value.items():
            if name not in properties:
                yield from _seen(root, schema.get("additionalProperties"), member, f"{path}.*")
    if isinstance(value, list):
        for member in value:
            yield from _seen(root, schema.get("items"), member, f"{path}.*")
    for name, condition, branch in _branches(schema):
        tested = {"$defs": root["$defs"], **condition}
        if Draft202012Validator(tested).is_valid(value) == (name == "then"):
            yield from _seen(root, branch, value, f"{path}|{name}")
