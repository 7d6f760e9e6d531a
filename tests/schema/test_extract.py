"""The extract keeps the structure of a description and drops its prose."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from shplan.schema.extract import extract, main
from shplan.schema.tree import SchemaSourceError

_DOCUMENT = """
openapi: 3.1.0
info: {title: A title, version: "7.1"}
paths:
  /a/v1:
    summary: prose
    post:
      operationId: makeA
      description: prose
      parameters: [{name: count, in: query, description: prose, schema: {type: integer, example: 3}}]
      requestBody: {content: {application/json: {example: {}, schema: {$ref: '#/components/schemas/A'}}}}
      responses: {"201": {description: prose, content: {application/json: {schema: {$ref: '#/components/schemas/A'}}}}}
components:
  parameters: {}
  responses: {}
  schemas:
    A:
      title: prose
      type: object
      required: [description]
      properties:
        description: {type: string, description: prose, readOnly: true}
        example: {type: array, minItems: 2, items: {type: number, title: prose}}
"""


def test_prose_goes_and_members_of_the_same_name_stay() -> None:
    result = extract(_DOCUMENT.encode())
    assert result["schemas"] == {
        "A": {
            "type": "object",
            "required": ["description"],
            "properties": {
                "description": {"type": "string", "readOnly": True},
                "example": {"type": "array", "minItems": 2, "items": {"type": "number"}},
            },
        }
    }
    assert "prose" not in json.dumps(result)
    assert "A title" not in json.dumps(result)


def test_operations_keep_parameters_statuses_and_bodies() -> None:
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}
    assert extract(_DOCUMENT.encode())["paths"] == {
        "/a/v1": {
            "post": {
                "operationId": "makeA",
                "tags": [],
                "parameters": [{"name": "count", "in": "query", "schema": {"type": "integer"}}],
                "requestBody": body,
                "responses": {"201": body},
            }
        }
    }


def test_the_original_is_identified() -> None:
    assert extract(_DOCUMENT.encode())["source"] == {
        "sha256": hashlib.sha256(_DOCUMENT.encode()).hexdigest(),
        "openapi": "3.1.0",
        "version": "7.1",
    }


def test_an_unknown_keyword_stops_the_extraction() -> None:
    document = _DOCUMENT.replace("minItems: 2", "contains: {}")
    with pytest.raises(SchemaSourceError, match="contains"):
        extract(document.encode())


def test_the_command_writes_the_same_bytes_twice(tmp_path: Path) -> None:
    document = tmp_path / "api.yaml"
    document.write_text(_DOCUMENT)
    written = []
    for name in ("one.json", "two.json"):
        assert main([str(document), "--output", str(tmp_path / name)]) == 0
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
