"""
Places of a JSON Schema: what stands at a path, what it is called, and where a field belongs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from shplan.core.value import JsonValue, Path

Schema = Mapping[str, JsonValue]


def descend(schema: Schema, steps: Sequence[str | int]) -> Schema:
    """Return the part of a schema at a path, empty where there is none."""
    node: JsonValue = dict(schema)
    for step in steps:
        if isinstance(node, dict) and isinstance(step, str):
            node = node.get(step)
        elif isinstance(node, list) and isinstance(step, int):
            node = node[step]
        else:
            return {}
    return node if isinstance(node, dict) else {}


def description_at(schema: Schema, steps: Sequence[str | int]) -> str:
    """Walk the evaluation, references and branches followed, to the last field's description."""
    node: JsonValue = dict(schema)
    found = ""
    for step in steps:
        if isinstance(node, list) and isinstance(step, int):
            node = node[step]
        elif not isinstance(node, dict):
            break
        elif step == "$ref":
            pointer = str(node.get("$ref", "")).removeprefix("#/").split("/")
            node = dict(descend(schema, pointer))
        else:
            node = node.get(str(step))
            said = node.get("description") if isinstance(node, dict) else None
            kept = found if step in _BRANCHES else ""
            found = said if isinstance(said, str) else kept
    return found


_BRANCHES = ("allOf", "anyOf", "oneOf", "then", "else")


def declared(schema: Schema, path: Path) -> Schema:
    """Return what declares the object at a path; a condition that failed may only demand of it."""
    node = schema
    for step in path:
        node = _member(followed(schema, node), str(step))
    return followed(schema, node)


def _member(node: Schema, name: str) -> Schema:
    """Return a field of an object; one of which a condition says more, as it usually is (`else`)."""
    member = properties(node).get(name)
    found = member if isinstance(member, dict) else {}
    if found.keys() & {"$ref", "properties", "items", "type"}:
        return found
    conditions = node.get("allOf")
    for one in conditions if isinstance(conditions, list) else ():
        other = one.get("else") if isinstance(one, dict) else None
        said = properties(other).get(name) if isinstance(other, dict) else None
        if isinstance(said, dict):
            return said
    return found


def place_of(schema: Schema, name: str) -> Path | None:
    """Return where in the document a field of this name does belong; None where nothing has one."""
    if name in properties(schema):
        return (name,)
    for part in ("metadata", "spec", "run"):
        for holder, node in _members(schema, dict(_member(schema, part)), (part,)):
            if name in properties(node):
                return (*holder, name)
    return None


def _members(
    schema: Schema, node: JsonValue, path: Path, depth: int = 0
) -> Iterator[tuple[Path, Schema]]:
    """Yield the objects of the document's skeleton with their places, three levels deep."""
    if not isinstance(node, dict) or depth > 3:
        return
    target = followed(schema, node)
    if target:
        yield path, target
    for key, member in properties(target).items():
        yield from _members(schema, member, (*path, key), depth + 1)


def followed(schema: Schema, node: Schema) -> Schema:
    """Return what a reference stands for."""
    seen = 0
    while "$ref" in node and seen < 10:
        node = descend(schema, str(node["$ref"]).removeprefix("#/").split("/"))
        seen += 1
    return node


def properties(node: Schema) -> dict[str, JsonValue]:
    """Return the fields that an object may have."""
    members = node.get("properties")
    return members if isinstance(members, dict) else {}


def property_description(schema: Schema, node: Schema, name: str) -> str:
    """Return what the schema says of one field of an object."""
    member = properties(node).get(name)
    if not isinstance(member, dict):
        return ""
    said = member.get("description") or followed(schema, member).get("description")
    return said if isinstance(said, str) else ""
