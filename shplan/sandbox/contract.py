"""
Requests against the published contract: clean the body as the service does, then validate.

The schemas come from `schema.store`, as data; what a violation looks like in an answer is
told here. Clients send explicit nulls and the fields that only the server sets, and the
service takes them: they are dropped before anything is checked.
"""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from shplan.sandbox.errors import ApiError, bad_payload
from shplan.sandbox.masking import covered
from shplan.sandbox.older_names import renewed
from shplan.sandbox.wire import instant
from shplan.schema.store import request_schema

if TYPE_CHECKING:
    from shplan.sandbox.settings import Settings
    from shplan.sandbox.wire import Json, JsonObject

MOST_VIOLATIONS = 100
MOST_CHARACTERS = 500

# Source: what the released Python client sends on create and update, beside its own fields.
_CLIENT_FIELDS = frozenset({"otherData", "userId"})
# Source: the tool for BYOC in Java, whose JSON library writes an instant as seconds since 1970
# with nine digits of a fraction.
_INSTANTS = {
    "createByocCollectionTile": "sensingTime",
    "updateByocCollectionTileById": "sensingTime",
}


def checked(operation_id: str, body: Json, settings: Settings) -> JsonObject:
    """
    The body of a request without nulls and read-only fields, valid by its schema.

    Raises:
        ApiError: 400, with the violations, of which nobody reads more than a hundred
    """
    if not isinstance(body, dict):
        msg = "The request body must be a JSON object."
        raise bad_payload(msg)
    schema = _schema(operation_id)
    cleaned = cast("JsonObject", _cleaned(renewed(body), schema, schema))
    member = _INSTANTS.get(operation_id)
    if member in cleaned and settings.numeric_instants == "accept":
        cleaned[member] = _in_words(cleaned[member])
    found = (
        error
        for error in _validator(operation_id).iter_errors(cleaned)
        if not _tolerated(error, settings)
    )
    violations = [_violation(error, cleaned) for error in islice(found, MOST_VIOLATIONS)]
    if settings.unknown_fields == "refuse":
        known = _properties(schema, schema)
        violations += [
            {"parameter": name, "violation": "is not a known field"}
            for name in sorted(set(cleaned) - set(known))
        ]
    if violations:
        raise ApiError(400, "COMMON_BAD_PAYLOAD", "Invalid request", errors=violations)
    return cleaned


def _in_words(value: Json) -> Json:
    """An instant as text, if it came as seconds with a fraction; anything else as it is."""
    if not isinstance(value, float):
        return value
    try:
        return instant(round(value * 1000))
    except OverflowError:
        return value


@cache
def _schema(operation_id: str) -> JsonObject:
    schema = request_schema(operation_id)
    assert schema is not None, f"{operation_id} has no request body"
    return schema


@cache
def _validator(operation_id: str) -> Any:
    import jsonschema_rs  # noqa: PLC0415 reads and deletes never need it

    return jsonschema_rs.Draft202012Validator(_schema(operation_id), validate_formats=True)


def _cleaned(value: Json, schema: JsonObject, root: JsonObject) -> Json:
    """Drop nulls, unless the schema lets them be said, and what only the server sets."""
    if isinstance(value, list):
        items = _resolved(schema, root).get("items", {})
        return [
            _cleaned(item, cast("JsonObject", items), root) if isinstance(item, dict) else item
            for item in value
        ]
    if isinstance(value, float):
        return _whole(value, _resolved(schema, root))
    if not isinstance(value, dict):
        return value
    known = _properties(schema, root)
    other = _resolved(schema, root).get("additionalProperties")
    kept: JsonObject = {}
    for name, content in value.items():
        inner = known.get(name, other if isinstance(other, dict) else {})
        if (
            name in _CLIENT_FIELDS
            or inner.get("readOnly")
            or _resolved(inner, root).get("readOnly")
        ):
            continue
        if content is None and not _nullable(_resolved(inner, root)):
            continue
        kept[name] = _cleaned(content, inner, root)
    return kept


def _whole(value: float, schema: JsonObject) -> Json:
    """A number as an integer where only those are valid: JSON Schema counts 1.0 among them."""
    return int(value) if schema.get("type") == "integer" and value.is_integer() else value


def _nullable(schema: JsonObject) -> bool:
    kinds = schema.get("type")
    return isinstance(kinds, list) and "null" in kinds


def _properties(schema: JsonObject, root: JsonObject) -> dict[str, JsonObject]:
    return cast("dict[str, JsonObject]", _resolved(schema, root).get("properties", {}))


def _resolved(schema: JsonObject, root: JsonObject) -> JsonObject:
    """Follow references within the document to the schema that they stand for."""
    while isinstance(reference := schema.get("$ref"), str):
        beside = {name: value for name, value in schema.items() if name != "$ref"}
        target: Json = root
        for step in reference.removeprefix("#").strip("/").split("/"):
            assert isinstance(target, dict)
            target = target[step.replace("~1", "/").replace("~0", "~")]
        assert isinstance(target, dict)
        schema = {**target, **beside}
    return schema


def _tolerated(error: Any, settings: Settings) -> bool:
    """Whether a setting lets this pass: examples of the documentation leave `sampleFormat` out."""
    if settings.sample_format_required or error.kind.name != "required":
        return False
    return bool(error.kind.property == "sampleFormat")


def _violation(error: Any, body: JsonObject) -> Json:
    steps = [str(step) for step in error.instance_path]
    if error.kind.name == "propertyNames":
        steps.append(str(error.kind.error.instance))
    if error.kind.name == "required":
        steps.append(str(error.kind.property))
        return {"parameter": "->".join(steps), "violation": "must not be missing"}
    # The message repeats the value, which may be all of the body.
    told = covered(str(error.message), body)[:MOST_CHARACTERS]
    return {"parameter": "->".join(steps), "violation": told}
