"""
Options of a request's data that another collection has: which collections they belong to.

Read from the schema of the kind, which has one definition for each collection.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shplan.core.value import JsonValue, Path
from shplan.manifest.schema_places import Schema, descend, followed, properties
from shplan.manifest.wording import either

_PARTS: Final = ("dataFilter", "processing")
_DATA: Final = "ProcessRequestInputData"
_MOST_TOLD: Final = 6


def owners_of(schema: Schema, path: Path, *, value: JsonValue = None) -> str:
    """
    Return which collections have a field, or take a value there, as the end of a sentence; empty where none does.

    Args:
        path: of the field, e.g. `spec, input, data, 0, processing, orthorectify`
        value: None for the field alone
    """
    if len(path) < 4 or path[-4] != "data" or path[-2] not in _PARTS:
        return ""
    part, name = str(path[-2]), str(path[-1])
    names = []
    for kind, node in _data_sets(schema):
        field = properties(followed(schema, _child(node, part))).get(name)
        if not isinstance(field, dict):
            continue
        options = followed(schema, field).get("enum")
        if value is None or (isinstance(options, list) and value in options):
            names.append(kind)
    if not names:
        return ""
    if len(names) > _MOST_TOLD:
        return f"{', '.join(names[:_MOST_TOLD])} and {len(names) - _MOST_TOLD} more"
    return either(names)


def _child(node: Schema, name: str) -> Schema:
    member = properties(node).get(name)
    return member if isinstance(member, dict) else {}


def _data_sets(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield each public collection that the schema names, with its definition."""
    branches = descend(schema, ("$defs", _DATA, "items")).get("allOf")
    for branch in branches if isinstance(branches, list) else ():
        if not isinstance(branch, dict):
            continue
        kind = descend(branch, ("if", "properties", "type")).get("const")
        if isinstance(kind, str):
            yield kind, followed(schema, descend(branch, ("then",)))
