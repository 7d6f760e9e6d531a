"""
Plain scalars of YAML to values: the core schema, and no more.

Source: YAML 1.2.2, section 10.3.2.
"""

from __future__ import annotations

import re

from shplan.core.value import JsonValue

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
WORDS: dict[str, bool | None] = {
    **dict.fromkeys(_NULL),
    **dict.fromkeys(_TRUE, True),
    **dict.fromkeys(_FALSE, False),
}
NUMERIC_START = frozenset("0123456789+-.")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LOWEST_INTEGER = -(2**63)
_HIGHEST_INTEGER = 2**64 - 1


def scalar(text: str) -> JsonValue:
    """
    Return the value of a plain scalar.

    Source: YAML 1.2.2, section 10.3.2: so `yes`, `1:30`, `1_000` and dates are texts, `017` is 17.

    Raises:
        ValueError: a number that JSON cannot carry; the message says which
    """
    if text in WORDS:
        return WORDS[text]
    return _number(text) if text[0] in NUMERIC_START else text


def _number(text: str) -> JsonValue:
    if _INTEGER.fullmatch(text):
        return _bounded(text, 10)
    if _FLOAT.fullmatch(text):
        value = float(text)
        if value in (float("inf"), float("-inf")):
            msg = "is too large for a floating-point number"
            raise ValueError(msg)
        return value
    if _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
        return _bounded(text[2:], 8 if text[1] == "o" else 16)
    if _NOT_FINITE.fullmatch(text):
        msg = "is no number that JSON can carry"
        raise ValueError(msg)
    return text


def _bounded(digits: str, base: int) -> int:
    value = int(digits, base) if len(digits) < 100 else _HIGHEST_INTEGER + 1
    if not _LOWEST_INTEGER <= value <= _HIGHEST_INTEGER:
        msg = "does not fit into 64 bits"
        raise ValueError(msg)
    return value
