"""
`schemas/manifest`: one schema a kind, for editors and for validation, composed from the API's and ours.

A kind is one file in `schemas/source/kinds`: its own descriptions, its `spec` (a definition of the API or a
schema of ours), the options of its `run` if it is a job, and what refers to it when it is not managed. API
definitions lose their read-only members and are closed against unknown fields. From the same source come two
forms: `manifest/strict/KIND.json` describes the evaluated document, `manifest/KIND.json` also takes an
expression wherever its value is not a text anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shplan.schema.choose import is_choice
from shplan.schema.tree import (
    DEFS,
    DIALECT,
    JsonValue,
    Place,
    Schema,
    SchemaSourceError,
    as_list,
    as_object,
    as_text,
    bundle,
    map_places,
    map_subschemas,
    subschemas,
)

LITERAL = "x-literal"
BY_API = "byApi"
API_VERSION = "shplan/v1"
_ANNOTATIONS = ("description", "default", "deprecated")
_CONDITIONAL = ("if", "not")
_CONSEQUENCES = ("then", "else", "allOf")
_RESTRICTIONS = ("enum", "const", "pattern", "format", "minLength", "maxLength", "anyOf")


def compose(
    kinds: Mapping[str, Schema],
    envelope: Schema,
    descriptions: Mapping[str, str],
    api: Mapping[str, Schema],
) -> dict[str, JsonValue]:
    """
    Return the content of every file of `schemas/manifest`, by path below `schemas/`.

    Args:
        kinds: the declarations by kind
        envelope: `$defs` that kinds share: metadata, expressions, durations, addresses
        descriptions: one line for each member of an API definition, by `DEFINITION.member`
        api: the API's definitions by name

    Raises:
        SchemaSourceError: two definitions share a name, or a member has no description
    """
    own = {name: as_object(item) for name, item in as_object(envelope["$defs"]).items()}
    pool = _joined(own, {n: _manifest_form(n, s, descriptions) for n, s in api.items()})
    strict: dict[str, Schema] = {}
    lenient: dict[str, Schema] = {}
    for kind, declaration in sorted(kinds.items()):
        defs = _joined(pool, _definitions(kind, declaration))
        document = _document(kind, declaration)
        strict[kind] = bundle(_literal(document), {n: _literal(s) for n, s in defs.items()})
        _check_described(kind, strict[kind])
        open_defs = {name: _with_expressions(schema, defs) for name, schema in defs.items()}
        lenient[kind] = bundle(_with_expressions(document, defs), open_defs)
    return {
        **{f"manifest/strict/{kind}.json": schema for kind, schema in strict.items()},
        **{f"manifest/{kind}.json": schema for kind, schema in lenient.items()},
        "manifest/shplan.json": _dispatch(lenient, envelope),
    }


def closed(schema: Schema) -> Schema:
    """Refuse unknown members wherever the schema lists all the known ones."""
    if is_choice(schema):
        return schema
    changed = map_places(schema, _closed_inside)
    if not isinstance(changed.get("properties"), dict):
        return changed
    return {"additionalProperties": False, **changed}


def _closed_inside(place: Place, sub: Schema) -> Schema:
    """A condition and its consequence name only some members; what lies below these is closed."""
    if place[0] in _CONDITIONAL:
        return sub
    return map_places(sub, _closed_inside) if place[0] in _CONSEQUENCES else closed(sub)


def undescribed(schema: Schema) -> Iterator[str]:
    """Yield the path of each property that has no description; conditions are not looked into."""
    for place, sub in subschemas(schema):
        if place[0] in {"if", "then", "else", "not", "allOf"}:
            continue
        where = "/".join(place)
        if place[0] == "properties" and not sub.get("description"):
            yield where
        yield from (f"{where}/{inner}" for inner in undescribed(sub))


def _check_described(kind: str, schema: Schema) -> None:
    if missing := list(undescribed(schema)):
        msg = f"{kind} has members without a description: {', '.join(missing)}"
        raise SchemaSourceError(msg)


def _joined(first: Mapping[str, Schema], second: Mapping[str, Schema]) -> dict[str, Schema]:
    if clash := set(first) & set(second):
        msg = f"two definitions share a name: {', '.join(sorted(clash))}"
        raise SchemaSourceError(msg)
    return {**first, **second}


def _manifest_form(name: str, schema: Schema, descriptions: Mapping[str, str]) -> Schema:
    return closed(_described(name, _writable(schema), descriptions))


def _writable(schema: Schema) -> Schema:
    changed = map_subschemas(schema, _writable)
    if not isinstance(changed.get("properties"), dict):
        return changed
    members = as_object(changed["properties"])
    gone = [n for n, sub in members.items() if isinstance(sub, dict) and sub.get("readOnly")]
    result = {**changed, "properties": {n: sub for n, sub in members.items() if n not in gone}}
    if "required" in result:
        result["required"] = [n for n in as_list(result["required"]) if n not in gone]
    return result


def _described(path: str, schema: Schema, descriptions: Mapping[str, str]) -> Schema:
    """Add the descriptions: `DEFINITION.member`, deeper members by their path."""

    def describe(place: Place, sub: Schema) -> Schema:
        if place[0] in _CONDITIONAL:
            return sub
        if place[0] != "properties":
            return _described(path, sub, descriptions)
        inner = f"{path}.{place[1]}"
        changed = _described(inner, sub, descriptions)
        text = descriptions.get(inner)
        return {"description": text, **changed} if text else changed

    return map_places(schema, describe)


def _definitions(kind: str, declaration: Schema) -> dict[str, Schema]:
    own = as_object(declaration.get("definitions", {}))
    defs = {name: as_object(schema) for name, schema in own.items()}
    description = as_text(declaration["specDescription"])
    defs[f"{kind}Spec"] = {"description": description, **as_object(declaration["spec"])}
    for version, spec in as_object(declaration.get("byApi", {})).items():
        defs[_spec_of(kind, version)] = {"description": description, **as_object(spec)}
    if "reference" in declaration:
        defs[f"{kind}Reference"] = as_object(declaration["reference"])
    if "run" in declaration:
        options = {k: v for k, v in as_object(declaration["run"]).items() if k != BY_API}
        defs[f"{kind}Run"] = {"type": "object", "additionalProperties": False, **options}
    return defs


def _document(kind: str, declaration: Schema) -> Schema:
    metadata = as_text(declaration.get("metadata", "Metadata"))
    properties: Schema = {
        "apiVersion": {
            "description": "Version of the manifest language.",
            "const": API_VERSION,
            LITERAL: True,
        },
        "kind": {"description": as_text(declaration["description"]), "const": kind, LITERAL: True},
        "metadata": {
            "$ref": DEFS + metadata,
            "description": "Name and options of the resource.",
            LITERAL: True,
        },
        "spec": {"description": as_text(declaration["specDescription"]), LITERAL: True},
    }
    if "run" in declaration:
        properties["run"] = _run(kind, as_object(declaration["run"]))
    document: Schema = {
        "$schema": DIALECT,
        "title": kind,
        "description": as_text(declaration["description"]),
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", *_required_spec(declaration)],
        "additionalProperties": False,
        "properties": properties,
    }
    if "reference" in declaration:
        return {**document, **_by_management(kind)}
    if "metadata" not in declaration:
        document["allOf"] = [_always_managed()]
    if BY_API in declaration:
        return {**document, "allOf": [*as_list(document["allOf"]), _by_version(kind, declaration)]}
    properties["spec"] = {"$ref": f"{DEFS}{kind}Spec", **as_object(properties["spec"])}
    return document


def _by_version(kind: str, declaration: Schema) -> Schema:
    """`run.api` says which body the spec is; the first version that is not named is the usual one."""
    restricted = as_object(as_object(declaration["run"]).get(BY_API, {}))
    chain = _of_version(f"{kind}Spec", as_object(restricted.get("v2", {})))
    for version in sorted(as_object(declaration[BY_API]), reverse=True):
        named: Schema = {"properties": {"api": {"const": version}}, "required": ["api"]}
        # What is no mapping names no version.
        named = {"type": "object", **named}
        condition: Schema = {"type": "object", "properties": {"run": named}, "required": ["run"]}
        then = _of_version(_spec_of(kind, version), as_object(restricted.get(version, {})))
        chain = {"if": condition, "then": then, "else": chain}
    return chain


def _of_version(spec: str, options: Schema) -> Schema:
    members: Schema = {"spec": {"$ref": DEFS + spec, LITERAL: True}}
    if options:
        members["run"] = {"properties": options, LITERAL: True}
    return {"properties": members, LITERAL: True}


def _spec_of(kind: str, version: str) -> str:
    return f"{kind}{version.upper()}Spec"


def _run(kind: str, options: Schema) -> Schema:
    """The member itself is literal: that a document has it is known before expressions are."""
    return {
        "$ref": f"{DEFS}{kind}Run",
        "description": as_text(options["description"]),
        LITERAL: True,
    }


def _required_spec(declaration: Schema) -> list[str]:
    """A kind whose every setting has a default needs no `spec` at all."""
    return [] if declaration.get("specOptional") is True else ["spec"]


def _by_management(kind: str) -> Schema:
    """With `managed: false` the spec only says which object is meant."""
    managed: Schema = {"properties": {"managed": {"const": False}}, "required": ["managed"]}
    condition: Schema = {"type": "object", **managed}
    for name in ("lifecycle", "metadata"):
        condition = {"type": "object", "properties": {name: condition}, "required": [name]}
    return {
        "if": condition,
        "then": {"properties": {"spec": {"$ref": f"{DEFS}{kind}Reference", LITERAL: True}}},
        "else": {"properties": {"spec": {"$ref": f"{DEFS}{kind}Spec", LITERAL: True}}},
    }


def _always_managed() -> Schema:
    """A kind that says nothing of a reference cannot stand for what exists already."""
    condition: Schema = {
        "description": "Manifests of this kind cannot refer to what exists already.",
        "const": True,
        LITERAL: True,
    }
    for name in ("managed", "lifecycle", "metadata"):
        condition = {"properties": {name: condition}, LITERAL: True}
    return condition


def _dispatch(documents: Mapping[str, Schema], envelope: Schema) -> Schema:
    defs: Schema = {}
    choices: list[JsonValue] = []
    for kind, document in documents.items():
        defs = _shared(defs, as_object(document["$defs"]))
        rest = {k: v for k, v in document.items() if k not in ("$schema", "$defs")}
        defs[f"{kind}Document"] = rest
        test: Schema = {"properties": {"kind": {"const": kind}}, "required": ["kind"]}
        test = {"type": "object", **test}
        choices.append({"if": test, "then": {"$ref": f"{DEFS}{kind}Document"}})
    return {
        "$schema": DIALECT,
        "title": "shplan",
        "description": as_text(envelope["description"]),
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {
            "apiVersion": {
                "description": "Version of the manifest language.",
                "const": API_VERSION,
            },
            "kind": {"description": "What the document declares.", "enum": list(documents)},
        },
        "allOf": choices,
        "$defs": {name: defs[name] for name in sorted(defs)},
    }


def _shared(first: Schema, second: Schema) -> Schema:
    if different := [name for name in first if name in second and first[name] != second[name]]:
        msg = f"two kinds define {', '.join(different)} differently"
        raise SchemaSourceError(msg)
    return {**first, **second}


def _literal(schema: Schema) -> Schema:
    changed = map_subschemas(schema, _literal)
    return {key: value for key, value in changed.items() if key != LITERAL}


def _with_expressions(schema: Schema, pool: Mapping[str, Schema]) -> Schema:
    """Let an expression stand for each member and item that is not literal or any text already."""

    def change(place: Place, sub: Schema) -> Schema:
        if place[0] in _CONDITIONAL:
            return _literal(sub)
        inner = _with_expressions(sub, pool)
        is_value = place[0] in {"properties", "items", "additionalProperties"}
        return _or_expression(inner) if is_value and _needs_expression(sub, pool) else inner

    changed = map_places(schema, change)
    return {key: value for key, value in changed.items() if key != LITERAL}


def _needs_expression(schema: Schema, pool: Mapping[str, Schema]) -> bool:
    if schema.get(LITERAL):
        return False
    target = schema.get("$ref")
    if isinstance(target, str):
        return _needs_expression(pool[target.removeprefix(DEFS)], pool)
    kinds = schema.get("type")
    if kinds is None and not any(key in schema for key in (*_RESTRICTIONS, "properties", "oneOf")):
        return False
    is_text = kinds == "string" or (isinstance(kinds, list) and "string" in kinds)
    return not is_text or any(key in schema for key in _RESTRICTIONS)


def _or_expression(schema: Schema) -> Schema:
    beside = {key: schema[key] for key in _ANNOTATIONS if key in schema}
    core: Schema = {key: value for key, value in schema.items() if key not in _ANNOTATIONS}
    return {**beside, "anyOf": [core, {"$ref": f"{DEFS}Expression"}]}
