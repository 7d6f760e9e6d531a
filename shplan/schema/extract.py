"""
The structural extract of the service's OpenAPI document: its facts without its prose.

`python -m shplan.schema.extract PATH` reads the document, which lies outside the repository, and writes
`schemas/source/openapi.extract.json` with the original's SHA-256 and version. Names, types, enums, ranges,
patterns, required, readOnly, defaults and references are kept; titles, descriptions and examples are not.
A keyword that is in neither list stops the extraction, so that a new document cannot lose facts unseen.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import yaml

from shplan.schema import store
from shplan.schema.tree import (
    JsonValue,
    Schema,
    SchemaSourceError,
    as_list,
    as_object,
    as_text,
    render,
)

_OPERATION = ("operationId", "tags", "deprecated", "parameters", "requestBody", "responses")
_PARAMETER = ("$ref", "name", "in", "required", "style", "explode", "deprecated")
_METHODS = ("get", "head", "post", "put", "patch", "delete")
_SCHEMA_MAPS = ("properties", "patternProperties")
_SCHEMA_LISTS = ("allOf", "anyOf", "oneOf")
_KEPT = (
    "$ref",
    "type",
    "format",
    "enum",
    "const",
    "pattern",
    "default",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "required",
    "readOnly",
    "deprecated",
    "discriminator",
    "x-cdse-exclude",
)
_PROSE = (
    "title",
    "description",
    "example",
    "examples",
    "externalDocs",
    "summary",
    "security",
    "servers",
    "x-codeSamples",
    "x-additionalPropertiesName",
    "x-stac-api-fragment",
)


def extract(document: bytes) -> Schema:
    """
    Return the structure of an OpenAPI document.

    Args:
        document: the file as published, YAML or JSON

    Raises:
        SchemaSourceError: it is no OpenAPI 3.1 document, or uses a keyword that is not known here
    """
    parsed = cast(JsonValue, yaml.load(document, Loader=yaml.CSafeLoader))
    root = as_object(parsed)
    components = as_object(root["components"])
    return {
        "source": {
            "sha256": hashlib.sha256(document).hexdigest(),
            "openapi": as_text(root["openapi"]),
            "version": as_text(as_object(root["info"])["version"]),
        },
        "paths": {path: _path(as_object(item)) for path, item in as_object(root["paths"]).items()},
        "parameters": _each(components["parameters"], _parameter),
        "responses": _each(components["responses"], _body),
        "schemas": _each(components["schemas"], _schema),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the extract of the document that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m shplan.schema.extract", description="Extract the structure of the API."
    )
    parser.add_argument("document", type=Path, help="the service's OpenAPI document")
    parser.add_argument("--output", type=Path, default=store.root() / store.EXTRACT)
    options = parser.parse_args(arguments)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_bytes(render(extract(options.document.read_bytes())))
    return 0


def _each(group: JsonValue, change: Callable[[Schema], Schema]) -> Schema:
    return {name: change(as_object(item)) for name, item in as_object(group).items()}


def _path(item: Schema) -> Schema:
    _check(item, _METHODS, where="path")
    return {method: _operation(as_object(item[method])) for method in _METHODS if method in item}


def _operation(operation: Schema) -> Schema:
    _check(operation, _OPERATION, where="operation")
    kept: Schema = {"operationId": operation["operationId"], "tags": operation.get("tags", [])}
    if "deprecated" in operation:
        kept["deprecated"] = operation["deprecated"]
    if "parameters" in operation:
        kept["parameters"] = [_parameter(as_object(p)) for p in as_list(operation["parameters"])]
    if "requestBody" in operation:
        kept["requestBody"] = _body(as_object(operation["requestBody"]))
    kept["responses"] = _each(operation["responses"], _body)
    return kept


def _parameter(parameter: Schema) -> Schema:
    _check(parameter, (*_PARAMETER, "schema", "content"), where="parameter")
    kept: Schema = {key: parameter[key] for key in _PARAMETER if key in parameter}
    if "schema" in parameter:
        kept["schema"] = _schema(as_object(parameter["schema"]))
    if "content" in parameter:
        kept |= _body({"content": parameter["content"]})
    return kept


def _body(body: Schema) -> Schema:
    _check(body, ("$ref", "content", "required", "headers"), where="body")
    if "$ref" in body:
        return {"$ref": body["$ref"]}
    kept: Schema = {"required": body["required"]} if "required" in body else {}
    if "headers" in body:
        kept["headers"] = _each(body["headers"], _parameter)
    kept["content"] = _each(body.get("content", {}), _media)
    return kept


def _media(part: Schema) -> Schema:
    _check(part, ("schema",), where="media type")
    return {"schema": _schema(as_object(part.get("schema", {})))}


def _check(node: Schema, structure: tuple[str, ...], *, where: str) -> None:
    for key in node:
        if key not in (*structure, *_PROSE):
            msg = f"the {where} has {key!r}; decide in extract.py whether it is structure or prose"
            raise SchemaSourceError(msg)


def _schema(schema: Schema) -> Schema:
    return {key: _keyword(key, value) for key, value in schema.items() if key not in _PROSE}


def _keyword(key: str, value: JsonValue) -> JsonValue:
    if key in _SCHEMA_MAPS:
        return _each(value, _schema)
    if key in _SCHEMA_LISTS:
        return [_schema(as_object(sub)) for sub in as_list(value)]
    if key in {"items", "additionalProperties", "not"}:
        return _schema(value) if isinstance(value, dict) else value
    if key in _KEPT:
        return value
    msg = f"the keyword {key!r} is not known; decide in extract.py whether it is structure or prose"
    raise SchemaSourceError(msg)


if __name__ == "__main__":
    sys.exit(main())
