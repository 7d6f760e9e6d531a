"""
How large the results of expressions may be, and how much work they may make.

What could make a huge value out of small ones is refused before it is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

from shplan.manifest.expression_errors import (
    MAX_ITEMS,
    MAX_TEXT,
    ExpressionError,
    Item,
    too_large,
)
from shplan.manifest.stand_ins import Hidden, Later
from shplan.manifest.work import (
    MAX_WEIGHT,
    MEMBER,
    OPERATION,
    Meter,
    weight,
)

NOUNS = {
    "str": "a text",
    "int": "an integer",
    "float": "a number",
    "list": "a list",
    "dict": "a mapping",
    "bool": "a boolean",
    "NoneType": "null",
}


_WIDTH = re.compile(r"\d{4,}|\*|\{[^{}]*\{")


_REACHES = re.compile(r"\{[^{}:!]*[.\[]")


_MOST_BITS = 1024


METER: ContextVar[Meter] = ContextVar("meter")


def charge(*items: Any) -> int:
    """Count one operation on these values; returns how much they weigh together."""
    total = sum(map(weight, items))
    METER.get().spend(OPERATION + total)
    return total


def in_bounds(item: Any, *, of: int) -> Any:
    """
    Return what an operation made, unless it is larger than any value may be.

    Args:
        of: the weight of what it was made of; what does not grow may be as large as it was
    """
    if isinstance(item, str | dict | list | tuple):
        made = weight(item)
        METER.get().spend(made)
        if made > max(MAX_WEIGHT, of):
            raise too_large()
    return item


def drained(item: Item) -> Item:
    """Read filters that compute while they are read, where their errors can still be told."""
    if isinstance(item, Iterable) and not isinstance(
        item, str | dict | list | tuple | Later | Hidden
    ):
        return bounded_list(item)
    return item


def fails(what: str) -> ExpressionError:
    """Word that an expression fails, and why."""
    return ExpressionError("expression", "Expression fails", what)


def check_growth(owner: str, name: str, args: tuple[Any, ...]) -> None:
    """Refuse what could make a text much larger than the texts that it is made of."""
    if (
        name == "replace"
        and len(args) >= 2
        and isinstance(args[0], str)
        and isinstance(args[1], str)
    ):
        check_size((len(owner) // max(len(args[0]), 1) + 1) * max(len(args[1]), 1))
    elif name == "join" and args:
        check_size(len(owner) * len(args[0]) + sum(len(str(one)) for one in args[0]))
    elif name == "zfill" and args and isinstance(args[0], int):
        check_size(args[0])
    elif name == "format":
        if _REACHES.search(owner):
            msg = "a format may not reach into its arguments."
            raise fails(msg)
        check_format(owner, "{", args)


def check_format(pattern: str, sign: str, arguments: Iterable[Any]) -> None:
    """Refuse a format whose result may be large, or that would write a list as Python does."""
    if _WIDTH.search(pattern):
        raise too_large()
    longest = 0
    for argument in arguments:
        if isinstance(argument, dict | list | tuple | Later | Hidden):
            to_string(argument)
        longest = max(longest, weight(argument))
    widths = sum(map(int, re.findall(r"\d+", pattern)))
    # A number is never longer than 400 characters, and `!r` may write one as ten.
    check_size(len(pattern) + widths + pattern.count(sign) * max(10 * longest, 400 * bool(longest)))


def check_size(size: int) -> None:
    """Refuse a text of more characters than any may have."""
    if size > MAX_TEXT:
        raise too_large()


def check_operands(operator: str, left: Any, right: Any) -> None:
    """Refuse what would make a huge value out of small ones, before it is made."""
    checks = {"*": _repeats, "%": _pads, "+": _joins, "**": _powers}
    check = checks.get(operator)
    if check is not None and check(left, right):
        raise too_large()


def _repeats(left: Any, right: Any) -> bool:
    if isinstance(left, int) and isinstance(right, int):
        return left.bit_length() + right.bit_length() > _MOST_BITS
    return any(
        isinstance(one, str | list | tuple)
        and isinstance(times, int)
        and (
            len(one) * times > MAX_TEXT
            if isinstance(one, str)
            else weight(one) * times > MAX_WEIGHT
        )
        for one, times in ((left, right), (right, left))
    )


def _pads(left: Any, right: Any) -> bool:
    if isinstance(left, str):
        values = right.values() if isinstance(right, dict) else right
        check_format(
            left,
            "%",
            values
            if isinstance(values, Iterable) and not isinstance(values, str | list)
            else (values,),
        )
    return False


def _joins(left: Any, right: Any) -> bool:
    if not (isinstance(left, str | list | tuple) and isinstance(right, type(left))):
        return False
    return len(left) + len(right) > (MAX_TEXT if isinstance(left, str) else MAX_ITEMS)


def _powers(left: Any, right: Any) -> bool:
    if not (isinstance(left, int) and isinstance(right, int)):
        return False
    return abs(right) * max(abs(left).bit_length(), 1) > 128


def bounded_list(items: Iterable[Any]) -> list[Any]:
    """Read what comes one by one, as long as it is not too much."""
    result: list[Any] = []
    left = MAX_WEIGHT
    for item in items:
        left -= MEMBER + weight(item)
        if len(result) >= MAX_ITEMS or left < 0:
            raise too_large()
        result.append(item)
    return result


def waiting_for(arguments: Iterable[Any]) -> Later | None:
    """Return what the result of a call must wait for; a secret among the arguments is refused."""
    for argument in arguments:
        if isinstance(argument, Hidden):
            argument.refuse()
        if isinstance(argument, Later):
            return argument.touched()
    return None


def brief(value: Any) -> str:
    """Name a value for a message, by its first characters or its sort."""
    return f'"{value[:40]}"' if isinstance(value, str) else NOUNS.get(type(value).__name__, "this")


def to_string(value: Any) -> str:
    """Write a value as YAML would, unless it is a list or a mapping."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    msg = f"{brief(value)} cannot become a text; use `tojson`."
    raise fails(msg)
