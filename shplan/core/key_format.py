"""
Format 1 of run keys: which parts of a request count, and in which form.

The tables (`key_tables.py`) are the format's own. They follow the API's description of the day on which the
format was fixed and never change again, whatever becomes of the API: a default that moves, a form
that is improved, or a kind's field that counts differently is a new format with new tables.

Left out are what names a run without changing its result (description), credentials, and fields
that say what the API takes for granted. A field that no table names counts as it is stated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, cast

from shplan.core.canonical_area import canonical_area, canonical_number
from shplan.core.key_tables import (
    COG,
    COG_BLOCK,
    COG_BLOCK_V1,
    JPEG_QUALITY,
    RESPONSE,
    Default,
    Role,
    Shape,
    form_of,
)
from shplan.core.tokens import token_digest
from shplan.core.value import (
    JsonObject,
    JsonValue,
    Object,
    Sensitive,
    Unknown,
    Value,
    canonical,
    printable,
)

RUN_KEY_PLACEHOLDER: Final = "{{ run.key }}"
# Wherever they stand in a request. Source: API description, S3BucketInfo and GSBucketInfo.
CREDENTIALS: Final = frozenset({"accessKey", "secretAccessKey", "iamRoleARN", "credentials"})

_PLACEHOLDER = re.compile(r"\{\{\s*run\.key\s*\}\}")
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_EPSG = re.compile(r"EPSG(?:::|:|/[^/]*/|/)([0-9]+)", re.IGNORECASE)
_CRS84: Final = "CRS84"


def put_key(text: str, key: str) -> str:
    """Put a run key where a text has `{{ run.key }}`."""
    return _PLACEHOLDER.sub(key, text) if "{{" in text else text


def holds_key(text: str) -> bool:
    """Tell whether a text has `{{ run.key }}` in it."""
    return _PLACEHOLDER.search(text) is not None


class UnknownPartError(ValueError):
    """A part of the request is known only after apply: there is no key yet."""


def canonical_request(kind: str, api: str, request: Object) -> JsonObject:
    """
    Return what counts of a request, in its one form; applied twice it changes nothing.

    Raises:
        NoFormError: format 1 knows no such requests
        UnknownPartError: a part that counts is known only after apply
    """
    return _members(request, form_of(kind, api).shape)


def canonical_instant(text: str) -> str:
    """
    Write an instant in UTC, to the service's precision of a millisecond, without final zeros.

    What RFC 3339 does not know (`..`, a leap second) stays as it is.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        return text
    try:
        moment = datetime.fromisoformat(f"{match[1]}T{match[2]}")
        if match[4]:
            offset = timedelta(hours=int(match[5]), minutes=int(match[6]))
            moment += -offset if match[4] == "+" else offset
    except (ValueError, OverflowError):
        return text
    fraction = (match[3] or "")[:3].rstrip("0")
    return moment.isoformat() + (f".{fraction}" if fraction else "") + "Z"


def _members(value: Object, shape: Mapping[str, Shape]) -> JsonObject:
    result: JsonObject = {}
    for name, member in value.items():
        # A null is how some clients leave a field out.
        if member is None or name in CREDENTIALS:
            continue
        form = _member(member, shape.get(name, shape.get("*", {})))
        if form is not None:
            result[name] = form
    return result


def _member(value: Value, shape: Shape) -> JsonValue:
    """Return the form of one member, or None where it says no more than silence does."""
    if isinstance(shape, Role):
        return _BY_ROLE[shape](value)
    if isinstance(shape, Default):
        form = _plain(value)
        return None if _same(form, shape.value) else form
    if isinstance(value, dict):
        return _members(value, shape if isinstance(shape, Mapping) else {}) or None
    if isinstance(value, list):
        return [_item(one, shape) for one in value]
    return _leaf(value)


def _same(left: JsonValue, right: JsonValue) -> bool:
    return canonical(cast(Value, left)) == canonical(cast(Value, right))


def _item(value: Value, shape: Shape) -> JsonValue:
    """Return the form of an item of a list; it keeps its place even if nothing is left of it."""
    inner = shape[0] if isinstance(shape, list) else {}
    if isinstance(value, dict):
        return _members(value, inner if isinstance(inner, Mapping) else {})
    return _plain(value)


def _plain(value: Value) -> JsonValue:
    """Return a value without credentials, its numbers in their one form."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items() if name not in CREDENTIALS}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return _leaf(value)


def _leaf(value: Value) -> JsonValue:
    if isinstance(value, float):
        return canonical_number(value)
    if isinstance(value, str):
        return _PLACEHOLDER.sub(RUN_KEY_PLACEHOLDER, value) if "{{" in value else value
    if isinstance(value, Unknown):
        message = f"{value.template} is known only after apply"
        raise UnknownPartError(message)
    if isinstance(value, Sensitive):
        return printable(value)
    return cast(JsonValue, value)


def _script(value: Value) -> JsonValue:
    form = _plain(value)
    if isinstance(form, dict) and isinstance(form.get("$secret"), str):
        form = form["$secret"]
    return {"tokens": token_digest(form)} if isinstance(form, str) else form


def _instant(value: Value) -> JsonValue:
    form = _plain(value)
    return canonical_instant(form) if isinstance(form, str) else form


def _bounds(value: Value) -> JsonValue:
    """
    Return the form of bounds; coordinates are x, y in every CRS, so that CRS84 is EPSG:4326.

    Source: API description, ProcessRequestInputBoundsProperties: CRS84 is the default.
    """
    if not isinstance(value, dict):
        return _plain(value)
    form = _members(value, {"geometry": Role.LEFT_OUT})
    crs = _CRS84
    properties = form.get("properties")
    if isinstance(properties, dict) and isinstance(properties.get("crs"), str):
        crs = _crs(str(properties.pop("crs")))
        if crs != _CRS84:
            properties["crs"] = crs
        if not properties:
            del form["properties"]
    if (geometry := value.get("geometry")) is not None:
        form["geometry"] = _geometry(geometry, crs)
    return form or None


def _geometry(geometry: Value, crs_of_bounds: str) -> JsonValue:
    if not isinstance(geometry, dict):
        return _plain(geometry)
    area = canonical_area(geometry)
    rest: Object = {
        name: one
        for name, one in geometry.items()
        if one is not None and not (area and name in area)
    }
    form: JsonObject = {**_members(rest, {}), **(area or {})}
    crs = form.get("crs")
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if isinstance(name, str):
        if _crs(name) == crs_of_bounds:
            del form["crs"]
        else:
            form["crs"] = {"type": "name", "properties": {"name": _crs(name)}}
    return form


def _crs(name: str) -> str:
    """Read a URL, a URN or a short name: `EPSG:32633`, or `CRS84`, which EPSG:4326 is as well."""
    match = _EPSG.search(name)
    code = f"EPSG:{match[1]}" if match and name.endswith(match[1]) else name
    return _CRS84 if _CRS84 in name.upper() or code == "EPSG:4326" else code


def _cog(value: Value, block: int = COG_BLOCK) -> JsonValue:
    if not isinstance(value, dict):
        return _plain(value)
    sides = {"blockxsize": Default(block), "blockysize": Default(block)}
    form = _members(value, {**COG, **sides})
    blocks = [form.get(name, block) for name in ("blockxsize", "blockysize")]
    numbers = [one for one in blocks if isinstance(one, int | float)]
    if form.get("overviewMinSize") == min(numbers, default=None):
        form.pop("overviewMinSize", None)
    return form or None


def _format(value: Value) -> JsonValue:
    if not isinstance(value, dict):
        return _plain(value)
    form = _members(value, {"quality": Default(JPEG_QUALITY)})
    return None if form == {"type": "image/png"} else form or None


def _responses(value: Value) -> JsonValue:
    """Return the form of responses; one that is as the API takes for granted says nothing."""
    form = [_item(one, [RESPONSE]) for one in value] if isinstance(value, list) else _plain(value)
    return None if form in ([], [{}]) else form


def _exact(value: Value) -> JsonValue:
    """Return a value whose numbers with a decimal point are texts: `0.0` is not `0`."""
    if isinstance(value, dict):
        return {name: _exact(one) for name, one in value.items() if one is not None} or None
    if isinstance(value, list):
        return [_exact(one) for one in value]
    if isinstance(value, float) and value.is_integer():
        return {"float": canonical_number(value)}
    return _plain(value)


def _left_out(_: Value) -> JsonValue:
    return None


_BY_ROLE: Final[Mapping[Role, Callable[[Value], JsonValue]]] = MappingProxyType(
    {
        Role.LEFT_OUT: _left_out,
        Role.SCRIPT: _script,
        Role.INSTANT: _instant,
        Role.BOUNDS: _bounds,
        Role.COG: _cog,
        Role.COG_V1: lambda value: _cog(value, COG_BLOCK_V1),
        Role.VERBATIM: _plain,
        Role.FORMAT: _format,
        Role.RESPONSES: _responses,
        Role.EXACT: _exact,
    }
)
