"""
From what an expression gave to a value of the language: what JSON can carry, in bounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, cast

from shplan.core.value import Reference, SecretReference, Unknown, Value
from shplan.manifest.expression_errors import MAX_ITEMS, MAX_TEXT, ExpressionError, Item, too_large
from shplan.manifest.parse import kind_of
from shplan.manifest.stand_ins import Hidden, Later, Waiting


class Spending(Protocol):
    """Who counts the work that expressions make."""

    def spend(self, work: int) -> None:
        """Count some."""
        ...


class Evaluation(Waiting, Protocol):
    """The evaluation of one scalar."""

    @property
    def world(self) -> Spending:
        """Return who counts its work."""
        ...


def leave(item: Item, run: Evaluation) -> Value:
    """
    Turn what an expression gave into a value of the language.

    Raises:
        ExpressionError: it is none
    """
    if item is None or isinstance(item, bool):
        return item
    if isinstance(item, str):
        return _checked_text(item)
    if isinstance(item, int | float):
        return _checked_number(item)
    if isinstance(item, Later):
        run.defer(item)
        reference = item.references[0] if item.pure else None
        template = reference_template(reference) if reference else ""
        return Unknown(template, "", item.references)
    if isinstance(item, Hidden):
        return item.value
    if isinstance(item, dict | list | tuple):
        return _leave_container(item, run)
    if isinstance(item, Iterable):
        return [leave(member, run) for member in _bounded(item)]
    if callable(item):
        msg = "expression"
        raise ExpressionError(
            msg,
            "Expression fails",
            "the expression gives a function, not its result.",
            hint="call it: add `()`",
        )
    msg = "expression"
    raise ExpressionError(
        msg,
        "Expression fails",
        f"the expression gives a {type(item).__name__}, which JSON has not.",
    )


def _leave_container(
    item: dict[str, Item] | list[Item] | tuple[Item, ...], run: Evaluation
) -> Value:
    """Do the same for all members; what has only plain values is not copied."""
    run.world.spend(2 * len(item))
    if isinstance(item, dict):
        members = {_checked_key(key): leave(member, run) for key, member in item.items()}
        return item if all(members[key] is one for key, one in item.items()) else members
    items = [leave(member, run) for member in item]
    same = isinstance(item, list) and all(a is b for a, b in zip(items, item, strict=True))
    return cast("Value", item) if same else items


def _bounded(items: Iterable[Item]) -> list[Item]:
    result: list[Item] = []
    for item in items:
        if len(result) >= MAX_ITEMS:
            raise too_large()
        result.append(item)
    return result


def _checked_text(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise too_large()
    try:
        text.encode()
    except UnicodeEncodeError as error:
        msg = "expression"
        raise ExpressionError(
            msg,
            "Expression fails",
            "the text holds half of a character (a lone surrogate).",
        ) from error
    return str(text)


def _checked_number(number: float) -> int | float:
    if isinstance(number, int):
        if -(2**63) <= number < 2**64:
            return number
        msg = "expression"
        raise ExpressionError(msg, "Expression fails", "the integer does not fit into 64 bits.")
    if number != number or number in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN
        msg = "expression"
        raise ExpressionError(
            msg, "Expression fails", f"{number} is no number that JSON can carry."
        )
    return number


def _checked_key(key: Item) -> str:
    if isinstance(key, str):
        return _checked_text(key)
    msg = "expression"
    raise ExpressionError(
        msg,
        "Expression fails",
        f"a key of the mapping is {kind_of(key)}; keys must be texts.",
        hint="write the key in quotes",
    )


def text_of(value: Value) -> str:
    """Return a value as it appears inside text: as YAML would write it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    noun = kind_of(value)
    msg = "expression"
    raise ExpressionError(
        msg,
        "Expression fails",
        f"the expression gives {noun}, and {noun} cannot stand inside a text.",
        hint="write the expression alone, so that the value keeps its type; or `| tojson`"
        if value is not None
        else "give the variable a value, or write `| default('...', true)`",
    )


def merged(pieces: Sequence[str | SecretReference]) -> list[str | SecretReference]:
    """Join the texts that follow one another."""
    merged: list[str | SecretReference] = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        elif piece != "":
            merged.append(piece)
    return merged


def reference_template(reference: Reference) -> str:
    """Return an expression that means the same in every scope."""
    steps = "".join(
        f".{step}" if isinstance(step, str) and step.isidentifier() else f"[{_literal_step(step)}]"
        for step in reference.path
    )
    return "{{ ref('" + str(reference.address) + "')" + steps + " }}"


def _literal_step(step: str | int) -> str:
    return str(step) if isinstance(step, int) else "'" + step.replace("'", "\\'") + "'"
