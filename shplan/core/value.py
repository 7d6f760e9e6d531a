"""
Values: JSON, and the two things that JSON has no word for.

An `Unknown` is a value that exists only after apply; a `Sensitive` is a secret
that exists only at the moment of a request. Both are values of their own type,
so that nothing can mistake one for a text.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from typing import TypeAlias, cast

import orjson

from shplan.core.address import Address
from shplan.core.frozen import dataclass

JsonValue: TypeAlias = "None | bool | int | float | str | list[JsonValue] | dict[str, JsonValue]"
JsonObject: TypeAlias = dict[str, JsonValue]
Path: TypeAlias = tuple[str | int, ...]

KNOWN_AFTER_APPLY = "(known after apply)"
SENSITIVE = "(sensitive)"


@dataclass(frozen=True, slots=True)
class Reference:
    """An attribute of another resource: `ref('ByocCollection/fields').id`."""

    address: Address
    path: Path = ()

    def __str__(self) -> str:
        return f"{self.address}" + "".join(f".{step}" for step in self.path)


@dataclass(frozen=True, slots=True)
class Unknown:
    """
    A value that is known only after apply.

    Args:
        template: the scalar as the manifest has it, expressions included
        scope: the printed address whose names (`var`, `each`) the template sees
        references: the attributes that it waits for
    """

    template: str
    scope: str
    references: tuple[Reference, ...]

    def __str__(self) -> str:
        return KNOWN_AFTER_APPLY


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where a secret comes from, never what it is: `env:NAME`."""

    text: str


@dataclass(frozen=True, slots=True)
class Sensitive:
    """A text with secrets in it, kept as its parts until the request is sent."""

    parts: tuple[str | SecretReference, ...]

    def __str__(self) -> str:
        return SENSITIVE

    def __repr__(self) -> str:
        return SENSITIVE


Value: TypeAlias = (
    "None | bool | int | float | str | Unknown | Sensitive | list[Value] | dict[str, Value]"
)
Object: TypeAlias = dict[str, Value]


class NotCanonicalError(ValueError):
    """A value has no canonical form: NaN, an infinity, an integer over 64 bits, half a character."""


def canonical(value: Value) -> bytes:
    """
    Encode as canonical JSON: keys sorted by code point, whole floats as integers.

    This is the project's own form (not RFC 8785). An unknown and a secret stand
    as marked objects, so that the form of a plan never holds a secret.

    Raises:
        NotCanonicalError: a number or a text that JSON cannot carry
    """
    try:
        return orjson.dumps(_plain(value), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        msg = f"a value has no form in JSON: {error}"
        raise NotCanonicalError(msg) from error


def digest(value: Value) -> str:
    """Return `sha256:` and the hex digest of the canonical form."""
    return "sha256:" + hashlib.sha256(canonical(value)).hexdigest()


def printable(value: Value) -> JsonValue:
    """Replace each unknown and each secret by a marked object that JSON can carry."""
    return map_leaves(value, _mark)


def map_leaves(value: Value, leaf: Callable[[Value], Value]) -> JsonValue:
    """Rebuild a value with `leaf` applied to everything that is not a list or an object."""
    return cast(JsonValue, _map(value, leaf))


def fill(value: Value, leaf: Callable[[Value], Value]) -> Value:
    """Rebuild a value with `leaf` applied to each scalar, unknown and secret."""
    return _map(value, leaf)


def walk(value: Value, path: Path = ()) -> Iterator[tuple[Path, Value]]:
    """Yield every leaf with its path, in the order of the document."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from walk(member, (*path, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from walk(member, (*path, index))
    else:
        yield path, value


def unknowns(value: Value) -> tuple[Unknown, ...]:
    """Return the unknowns in a value, in the order of the document."""
    return tuple(leaf for _, leaf in walk(value) if isinstance(leaf, Unknown))


def is_known(value: Value) -> bool:
    """Tell whether no part of the value waits for apply."""
    # Not by `walk`: an outline has thousands of numbers, and nobody asks where they stand.
    if isinstance(value, dict):
        return all(map(is_known, value.values()))
    if isinstance(value, list):
        return all(map(is_known, value))
    return not isinstance(value, Unknown)


def _map(value: Value, leaf: Callable[[Value], Value]) -> Value:
    if isinstance(value, dict):
        return {key: _map(member, leaf) for key, member in value.items()}
    if isinstance(value, list):
        return [_map(member, leaf) for member in value]
    return leaf(value)


def _mark(value: Value) -> Value:
    if isinstance(value, Unknown):
        return {"$unknown": value.template}
    if isinstance(value, Sensitive):
        return {"$secret": "".join(_secret_text(part) for part in value.parts)}
    return value


def _secret_text(part: str | SecretReference) -> str:
    return part if isinstance(part, str) else "{{ secret('" + part.text + "') }}"


def _plain(value: Value) -> JsonValue:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, int) and not isinstance(value, bool) and not _fits(value):
        msg = f"the integer {value} does not fit into 64 bits"
        raise NotCanonicalError(msg)
    return _plain(_mark(value)) if isinstance(value, Unknown | Sensitive) else value


def _number(value: float) -> int | float:
    if not math.isfinite(value):
        msg = f"{value} has no form in JSON"
        raise NotCanonicalError(msg)
    return int(value) if value.is_integer() and _fits(value) else value


def _fits(number: float) -> bool:
    return -(2**63) <= number < 2**64
