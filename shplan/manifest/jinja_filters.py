"""
The filters and tests that expressions may use: what Jinja has of them, bounded, and our own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, cast

import orjson
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.filters import sync_do_slice
from jinja2.tests import TESTS as JINJA_TESTS

from shplan.manifest.expression_errors import (
    MAX_ITEMS,
    ExpressionError,
)
from shplan.manifest.jinja_bounds import (
    brief,
    charge,
    check_growth,
    check_size,
    drained,
    fails,
    in_bounds,
    to_string,
    waiting_for,
)
from shplan.manifest.stand_ins import Hidden, Later, step_into

_BORROWED_FILTERS = [
    "abs",
    "capitalize",
    "default",
    "d",
    "dictsort",
    "first",
    "items",
    "last",
    "length",
    "count",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "reverse",
    "select",
    "selectattr",
    "sort",
    "title",
    "trim",
    "unique",
    "upper",
    "groupby",
]


_TESTS = [
    "boolean",
    "defined",
    "undefined",
    "divisibleby",
    "eq",
    "==",
    "equalto",
    "even",
    "odd",
    "false",
    "true",
    "float",
    "ge",
    ">=",
    "gt",
    ">",
    "in",
    "integer",
    "iterable",
    "le",
    "<=",
    "lower",
    "upper",
    "lt",
    "<",
    "mapping",
    "ne",
    "!=",
    "none",
    "number",
    "sequence",
    "string",
]


MAX_DIGITS = 100


_MOST_PLACES = 30


def careful(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a filter or test wait for its arguments, and read what it yields."""

    @wraps(function)
    def careful(*args: Any, **kwargs: Any) -> Any:
        waiting = waiting_for((*args, *kwargs.values()))
        if waiting is not None:
            return waiting
        of = charge(*args, *kwargs.values())
        return in_bounds(drained(function(*args, **kwargs)), of=of)

    return careful


def _to_int(value: Any) -> int:
    if isinstance(value, str) and len(value) > MAX_DIGITS:
        msg = f"{brief(value)} is too long for an integer."
        raise fails(msg)
    try:
        return int(value.strip() if isinstance(value, str) else value)
    except (TypeError, ValueError) as error:
        msg = f"{brief(value)} is no integer."
        raise fails(msg) from error


def _to_float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        msg = f"{brief(value)} is no number."
        raise fails(msg) from error


def _to_json(value: Any) -> str:
    try:
        return orjson.dumps(value, default=_refuse_json, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError as error:
        if isinstance(error.__cause__, ExpressionError):
            raise error.__cause__ from error
        msg = "the value has no form in JSON."
        raise fails(msg) from error


def _refuse_json(value: Any) -> Any:
    if isinstance(value, Hidden):
        value.refuse()
    if isinstance(value, Later):
        value.touched()
        return None
    msg = "the value has no form in JSON."
    raise fails(msg)


def _join(value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> Any:
    items = [step_into(item, attribute) if attribute is not None else item for item in value]
    waiting = waiting_for(items)
    if waiting is not None:
        return waiting
    texts = [to_string(item) for item in items]
    check_size(len(d) * len(texts) + sum(len(text) for text in texts))
    return d.join(texts)


def _replace(value: Any, old: str, new: str, count: int | None = None) -> str:
    text = to_string(value)
    check_growth(text, "replace", (old, new))
    return text.replace(str(old), str(new), -1 if count is None else count)


def _split(value: str, separator: str | None = None) -> list[str]:
    return to_string(value).split(separator)


def _pad(value: Any, width: int) -> str:
    """Return a number with leading zeros."""
    check_size(width)
    return to_string(value).zfill(width)


def _truncate(value: str, length: int = 255) -> str:
    return to_string(value)[:length]


def _batch(value: Iterable[Any], linecount: int, fill_with: Any = None) -> Any:
    return JINJA_FILTERS["batch"](value, _count(linecount), fill_with)


def _slice(value: Iterable[Any], slices: int, fill_with: Any = None) -> Any:
    return sync_do_slice(list(value), _count(slices), fill_with)


def _count(number: Any) -> int:
    if not isinstance(number, int) or not 0 < number <= MAX_ITEMS:
        msg = f"{brief(number)} is no number of items from 1 to {MAX_ITEMS:,}."
        raise fails(msg)
    return number


def _round(value: Any, precision: Any = 0, method: str = "common") -> Any:
    if not isinstance(precision, int) or abs(precision) > _MOST_PLACES:
        msg = f"a number is rounded to at most {_MOST_PLACES} places."
        raise fails(msg)
    return JINJA_FILTERS["round"](value, precision, method)


def _sum(value: Iterable[Any], attribute: str | int | None = None, start: float = 0) -> Any:
    """Return the sum of numbers; lists are put together by `+`."""
    items = [step_into(item, attribute) if attribute is not None else item for item in value]
    waiting = waiting_for(items)
    if waiting is not None:
        return waiting
    for item in (start, *items):
        if not isinstance(item, int | float):
            msg = f"{brief(item)} cannot be added to a sum of numbers."
            raise fails(msg)
    return sum(items, start)


_OUR_FILTERS: Mapping[str, Callable[..., Any]] = {
    "int": _to_int,
    "float": _to_float,
    "string": to_string,
    "tojson": _to_json,
    "join": _join,
    "replace": _replace,
    "split": _split,
    "pad": _pad,
    "truncate": _truncate,
    "batch": _batch,
    "slice": _slice,
    "round": _round,
    "sum": _sum,
}


FILTERS: Mapping[str, Callable[..., Any]] = {
    **{
        name: careful(cast("Callable[..., Any]", JINJA_FILTERS[name])) for name in _BORROWED_FILTERS
    },
    **{name: careful(function) for name, function in _OUR_FILTERS.items()},
}


TESTS: Mapping[str, Callable[..., Any]] = {
    name: careful(cast("Callable[..., Any]", JINJA_TESTS[name])) for name in _TESTS
}
