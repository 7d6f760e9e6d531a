"""
What comes in at the item search: the body of a POST, or a GET's parameters as such a body.

Source: operations `postCatalogItemSearch`, `getCatalogItemSearch` and `getCatalogFeatures`. A GET
says the same as a POST: lists are joined by commas, objects are JSON text, filters are CQL2 text
unless they say otherwise. Clients also post text without `filter-lang`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from shplan.sandbox.catalog_fields import listed
from shplan.sandbox.catalog_filters import as_json
from shplan.sandbox.contract import checked
from shplan.sandbox.errors import ApiError, bad_payload
from shplan.sandbox.routes.endpoint import read_body
from shplan.sandbox.wire import decode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shplan.sandbox.settings import Settings
    from shplan.sandbox.wire import Json, JsonObject

OPERATION = "postCatalogItemSearch"
TEXT, AS_JSON = "cql2-text", "cql2-json"
# Our own bounds: what a search can need, with some room.
_MAX_DEPTH = 48
_MAX_VALUES = 300_000

_LISTS = ("collections", "ids")
_INTEGERS = ("limit", "next")
_TEXTS = ("datetime", "distinct", "filter", "filter-lang", "filter-crs")


def posted(content: bytes, media_type: str, settings: Settings) -> JsonObject:
    """
    The valid body of a POST.

    Raises:
        ApiError: 400, 415
    """
    body = read_body(media_type, content)
    if not isinstance(body, dict):
        msg = "The request body must be a JSON object."
        raise bad_payload(msg)
    return _valid(body, settings)


def asked(query: Mapping[str, str], settings: Settings) -> JsonObject:
    """
    A GET's parameters as a valid body; unknown ones are no concern of the search.

    Raises:
        ApiError: 400
    """
    body: JsonObject = {name: query[name] for name in _TEXTS if name in query}
    for name in _LISTS:
        if name in query:
            body[name] = [part.strip() for part in query[name].split(",") if part.strip()]
    for name in _INTEGERS:
        if name in query:
            body[name] = _number(name, query[name], int)
    if "bbox" in query:
        body["bbox"] = [_number("bbox", part, float) for part in query["bbox"].split(",")]
    if "fields" in query:
        body["fields"] = listed(query["fields"])
    if "intersects" in query:
        body["intersects"] = _decoded("intersects", query["intersects"])
    if body.get("filter-lang") == AS_JSON and "filter" in body:
        body["filter"] = _decoded("filter", query["filter"])
    return _valid(body, settings)


def _number(name: str, text: str, kind: type[int | float]) -> int | float:
    try:
        number = kind(text.strip()) if text.isascii() and "_" not in text else None
    except ValueError:
        number = None
    if number is None or not math.isfinite(number):
        msg = f"{name} must be made of numbers."
        raise bad_payload(msg)
    return number


def _decoded(name: str, text: str) -> Json:
    try:
        return decode(text)
    except ValueError as error:
        msg = f"{name} is not valid JSON: {error}"
        raise bad_payload(msg) from error


def _valid(body: JsonObject, settings: Settings) -> JsonObject:
    _refuse_unbounded(body)
    language, expression = body.get("filter-lang"), body.get("filter")
    if language not in (None, TEXT, AS_JSON):
        msg = f"filter-lang must be {TEXT} or {AS_JSON}."
        raise bad_payload(msg)
    if expression is not None:
        # Text and JSON must not be taken for each other where the request says which it is.
        if language is not None and isinstance(expression, str) != (language == TEXT):
            msg = f"filter is not {language}."
            raise bad_payload(msg)
        body = {**body, "filter": as_json(expression)}
    body = {name: value for name, value in body.items() if name != "filter-lang"}
    try:
        return checked(OPERATION, body, settings)
    except ApiError as error:
        raise bad_payload(_told(error)) from error


def _told(error: ApiError) -> str:
    """Errors of the catalogue have room for one text."""
    told = []
    for one in error.errors or []:
        entry = cast("dict[str, str]", one)
        told.append(f"{entry['parameter'] or 'The request'}: {entry['violation'][:300]}")
    return "; ".join(told[:10]) or error.message


def _refuse_unbounded(body: Json) -> None:
    """Refuse what nobody needs and what would exhaust whoever walks it; this walk has no depth."""
    left, count = [(body, 0)], 0
    while left:
        value, depth = left.pop()
        count += 1
        if depth > _MAX_DEPTH or count > _MAX_VALUES:
            msg = "The request is too large or nested too deeply."
            raise bad_payload(msg)
        if isinstance(value, dict):
            left += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            left += [(inner, depth + 1) for inner in value]
