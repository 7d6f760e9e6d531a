"""
JSON Schema as a tree of plain data: its types, how to walk it, how to print it.

Only the keywords that hold further schemas are known here (JSON Schema 2020-12, core and applicator
vocabularies). What a schema means for Sentinel Hub is decided in the modules that derive and compose.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
Schema: TypeAlias = dict[str, JsonValue]
Place: TypeAlias = tuple[str, ...]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DEFS = "#/$defs/"

_NAMED = ("properties", "patternProperties", "dependentSchemas", "$defs")
_LISTED = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = (
    "items",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "contains",
    "not",
    "if",
    "then",
    "else",
)


class SchemaSourceError(Exception):
    """A source of the schemas does not have the form that the derivation relies on."""


def as_object(value: JsonValue) -> Schema:
    """Return the value, which must be an object."""
    if not isinstance(value, dict):
        msg = f"expected an object, found {json.dumps(value)[:60]}"
        raise SchemaSourceError(msg)
    return value


def as_list(value: JsonValue) -> list[JsonValue]:
    """Return the value, which must be a list."""
    if not isinstance(value, list):
        msg = f"expected a list, found {json.dumps(value)[:60]}"
        raise SchemaSourceError(msg)
    return value


def as_text(value: JsonValue) -> str:
    """Return the value, which must be a text."""
    if not isinstance(value, str):
        msg = f"expected a text, found {json.dumps(value)[:60]}"
        raise SchemaSourceError(msg)
    return value


def copy(value: JsonValue) -> JsonValue:
    """Return a deep copy."""
    if isinstance(value, dict):
        return {key: copy(member) for key, member in value.items()}
    if isinstance(value, list):
        return [copy(member) for member in value]
    return value


def map_subschemas(schema: Schema, change: Callable[[Schema], JsonValue]) -> Schema:
    """Rebuild a schema with `change` applied to each schema directly inside it."""
    return map_places(schema, lambda _, sub: change(sub))


def map_places(schema: Schema, change: Callable[[Place, Schema], JsonValue]) -> Schema:
    """Rebuild a schema with `change` applied to each schema directly inside it and its place."""
    return {key: _map_keyword(key, value, change) for key, value in schema.items()}


def subschemas(schema: Schema) -> Iterator[tuple[Place, Schema]]:
    """Yield each schema directly inside, with its place: the keyword, and the name or number below it."""
    for key, value in schema.items():
        if key in _NAMED and isinstance(value, dict):
            yield from (((key, name), sub) for name, sub in value.items() if isinstance(sub, dict))
        elif key in _LISTED and isinstance(value, list):
            yield from (
                ((key, str(i)), sub) for i, sub in enumerate(value) if isinstance(sub, dict)
            )
        elif key in _SINGLE and isinstance(value, dict):
            yield (key,), value


def references(schema: Schema) -> Iterator[str]:
    """Yield the target of every `$ref` in a schema, at any depth."""
    target = schema.get("$ref")
    if isinstance(target, str):
        yield target
    for _, sub in subschemas(schema):
        yield from references(sub)


def bundle(schema: Schema, pool: dict[str, Schema]) -> Schema:
    """
    Make a schema self-contained: add exactly the definitions that it needs, by name.

    Args:
        schema: refers to `#/$defs/NAME`
        pool: the definitions to take from
    """
    wanted: set[str] = set()
    waiting = [schema]
    while waiting:
        for target in references(waiting.pop()):
            name = target.removeprefix(DEFS)
            if name not in wanted:
                wanted.add(name)
                waiting.append(pool[name])
    defs: Schema = {name: copy(pool[name]) for name in sorted(wanted)}
    return {**schema, "$defs": defs} if defs else dict(schema)


def render(value: JsonValue) -> bytes:
    """Print as the files are printed: the order of the keys is kept, two spaces, a final newline."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _map_keyword(
    key: str, value: JsonValue, change: Callable[[Place, Schema], JsonValue]
) -> JsonValue:
    def apply(place: Place, sub: JsonValue) -> JsonValue:
        return change(place, sub) if isinstance(sub, dict) else sub

    if key in _NAMED and isinstance(value, dict):
        return {name: apply((key, name), sub) for name, sub in value.items()}
    if key in _LISTED and isinstance(value, list):
        return [apply((key, str(i)), sub) for i, sub in enumerate(value)]
    return apply((key,), value) if key in _SINGLE else value
