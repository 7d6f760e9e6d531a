"""
Filters of a search: CQL2 text and CQL2 JSON as one predicate over an item's properties.

Text becomes JSON by the `cql2` package; then both must pass the published schema of the search,
which has `and`, `not`, comparisons and `between`, and name queryables of the collection only. The parser takes
twice as long for each parenthesis that encloses another, and ends the process on thousands of
them, so that depth and length are bounded before it sees anything.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from shplan.sandbox.errors import bad_payload
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from shplan.sandbox.settings import Settings
    from shplan.sandbox.wire import Json, JsonObject

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
MAX_TEXT = 4_096
MAX_PARENTHESES = 8
MAX_DEPTH = 32
MAX_TERMS = 500

# Three values, as in SQL: an item without the property is neither in nor out.
Truth: TypeAlias = "bool | None"
Predicate: TypeAlias = "Callable[[JsonObject], Truth]"

_QUOTED = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def as_json(expression: Json) -> Json:
    """
    A filter as CQL2 JSON, whichever it was; not yet checked against the published schema.

    Raises:
        ApiError: 400, text that is no CQL2, or more than is looked at
    """
    if isinstance(expression, str):
        expression = _parsed(expression)
    _refuse_unbounded(expression)
    return expression


def predicate_of(body: JsonObject, queryables: JsonObject, settings: Settings) -> Predicate | None:
    """
    The predicate that a valid search's `filter`, as JSON, stands for; none if it has none.

    Raises:
        ApiError: 400
    """
    if body.get("filter-crs", CRS84) != CRS84:
        msg = f"filter-crs must be {CRS84}."
        raise bad_payload(msg)
    expression = body.get("filter")
    if expression is None:
        return None
    if settings.catalog_logic == "and":
        _refuse_logic(expression)
    return _compiled(cast("JsonObject", expression), queryables)


def _parsed(text: str) -> Json:
    if len(text) > MAX_TEXT:
        msg = f"filter must have at most {MAX_TEXT} characters."
        raise bad_payload(msg)
    _refuse_nesting(_QUOTED.sub("''", text))
    import cql2  # noqa: PLC0415 few searches have a filter

    try:
        return cast("Json", cql2.parse_text(text).to_json())
    except Exception as error:  # the package raises bare exceptions, beside its own
        if isinstance(error, MemoryError):
            raise
        msg = f"filter is no CQL2 text: {str(error).splitlines()[-1].strip(' =') or error}"
        raise bad_payload(msg) from error


def _refuse_nesting(bare: str) -> None:
    depth = 0
    for sign in bare:
        depth += (sign in "([") - (sign in ")]")
        if depth > MAX_PARENTHESES:
            msg = f"filter must not nest more than {MAX_PARENTHESES} parentheses."
            raise bad_payload(msg)
    if len(re.findall(r"\bnot\b", bare, re.IGNORECASE)) > MAX_DEPTH or "--" in bare.replace(
        " ", ""
    ):
        msg = "filter is too complex."
        raise bad_payload(msg)


def _refuse_unbounded(expression: Json) -> None:
    """Refuse what would exhaust a recursion; this walk has none."""
    left, terms = [(expression, 1)], 0
    while left:
        value, depth = left.pop()
        terms += isinstance(value, dict)
        if depth > MAX_DEPTH or terms > MAX_TERMS:
            msg = "filter is too complex."
            raise bad_payload(msg)
        args = value.get("args") if isinstance(value, dict) else None
        if isinstance(args, list):
            left += [(one, depth + 1) for one in args]


def _refuse_logic(expression: Json) -> None:
    """Source: the Catalog page names `and` as the only logical operator."""
    left = [expression]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if value.get("op") == "not":
                msg = "filter must not have any logical operator but and."
                raise bad_payload(msg)
            args = value.get("args")
            left += args if isinstance(args, list) else []


def _compiled(expression: JsonObject, queryables: JsonObject) -> Predicate:
    op, args = str(expression["op"]), cast("list[JsonObject]", expression["args"])
    if op == "and":
        return _all([_compiled(one, queryables) for one in args])
    if op == "not":
        return _negated(_compiled(args[0], queryables))
    operands = [_operand(arg, queryables) for arg in args]
    _refuse_mixed(args, queryables)
    if op == "between":
        return _between(*operands)
    return _comparison(_COMPARE[op], *operands)


def _all(predicates: list[Predicate]) -> Predicate:
    def holds(properties: JsonObject) -> Truth:
        values = [predicate(properties) for predicate in predicates]
        return False if False in values else None if None in values else True

    return holds


def _negated(predicate: Predicate) -> Predicate:
    def holds(properties: JsonObject) -> Truth:
        value = predicate(properties)
        return None if value is None else not value

    return holds


def _comparison(
    compare: Callable[[Any, Any], bool],
    left: Callable[[JsonObject], Json],
    right: Callable[[JsonObject], Json],
) -> Predicate:
    def holds(properties: JsonObject) -> Truth:
        one, other = left(properties), right(properties)
        return None if one is None or other is None else compare(one, other)

    return holds


def _between(
    value: Callable[[JsonObject], Json],
    low: Callable[[JsonObject], Json],
    high: Callable[[JsonObject], Json],
) -> Predicate:
    return _all([_comparison(operator.ge, value, low), _comparison(operator.le, value, high)])


def _operand(arg: Json, queryables: JsonObject) -> Callable[[JsonObject], Json]:
    if not isinstance(arg, dict):
        return lambda _: arg
    name = str(arg["property"])
    if name not in queryables:
        known = ", ".join(sorted(queryables)) or "none"
        msg = f"filter names {name!r}; the queryables of this collection are: {known}."
        raise bad_payload(msg)
    return lambda properties: properties.get(name)


def _refuse_mixed(args: list[JsonObject], queryables: JsonObject) -> None:
    kinds = {_kind(arg, queryables) for arg in args}
    if len(kinds) > 1:
        msg = f"filter compares different types: {encode(cast('Json', args))}."
        raise bad_payload(msg)


def _kind(arg: Json, queryables: JsonObject) -> str:
    if isinstance(arg, dict):
        declared = cast("JsonObject", queryables[str(arg["property"])]).get("type")
        return "number" if declared in ("number", "integer") else "string"
    return "string" if isinstance(arg, str) else "number"
