"""
What the service's own description marks as on its way out, wherever it stands in a manifest.

The marks travel from the published document into the schema of a kind; here is no list of fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from shplan.core.value import JsonValue, Path, Value
from shplan.manifest.schema_places import Schema, followed, properties
from shplan.schema.store import manifest_schema

_BRANCHES = ("allOf", "anyOf", "oneOf")
_CONSEQUENCES = ("then", "else")


def deprecated_places(kind: str, document: Value) -> Iterator[Path]:
    """Yield the places of the fields of a document that are marked, in its order."""
    schema = manifest_schema(kind)
    if _has_marks(kind):
        yield from _below(schema, [schema], document, ())


@cache
def _has_marks(kind: str) -> bool:
    return _is_marked(dict(manifest_schema(kind)))


def _is_marked(node: JsonValue) -> bool:
    if isinstance(node, dict):
        return node.get("deprecated") is True or any(map(_is_marked, node.values()))
    return isinstance(node, list) and any(map(_is_marked, node))


def _below(schema: Schema, nodes: list[Schema], value: Value, path: Path) -> Iterator[Path]:
    said = [one for node in nodes for one in _said(schema, node)]
    if isinstance(value, dict):
        for name, member in value.items():
            fields = [properties(one)[name] for one in said if name in properties(one)]
            inner = [one for one in fields if isinstance(one, dict)]
            if any(one.get("deprecated") is True for one in inner):
                yield (*path, name)
            elif inner:
                yield from _below(schema, list(inner), member, (*path, name))
    elif isinstance(value, list):
        items = [one["items"] for one in said if isinstance(one.get("items"), dict)]
        inner = [one for one in items if isinstance(one, dict)]
        for index, member in enumerate(value if inner else ()):
            yield from _below(schema, list(inner), member, (*path, index))


def _said(schema: Schema, node: Schema, depth: int = 0) -> Iterator[Schema]:
    """Yield everything that is said of one value, be it under a condition."""
    if depth > len(_BRANCHES) * 4:
        return
    target = followed(schema, node)
    yield target
    for name in _BRANCHES:
        branches = target.get(name)
        for one in branches if isinstance(branches, list) else ():
            if isinstance(one, dict):
                yield from _said(schema, one, depth + 1)
    for name in _CONSEQUENCES:
        one = target.get(name)
        if isinstance(one, dict):
            yield from _said(schema, one, depth + 1)
