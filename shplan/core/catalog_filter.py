"""
What the catalogue takes for a filter: its operators, and which properties a collection has.

A filter is CQL2, as text or as JSON; both are looked at as one tree whose parts know their places. What the
published table does not list is not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from shplan.core.cql2_text import (
    MAX_DEPTH,
    Cql2Error,
    Literal,
    Node,
    Operation,
    Property,
    parse_text,
)
from shplan.core.frozen import dataclass
from shplan.core.value import JsonObject, Object, Path, Value

TEXT: Final = "cql2-text"
# Fields of a search that say the same as a condition would.
_OWN_FIELDS: Final = {
    "datetime": "datetime",
    "id": "ids",
    "geometry": "intersects",
    "collection": "collections",
}
_ARITHMETIC: Final = frozenset("+-*/%^")
_NUMBER, _STRING = "number", "string"


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One thing that is wrong with a filter.

    Args:
        what: a sentence
        path: below `filter`, for JSON
        at: an offset into the text, for text
        length: of the part at fault
        near: names that could have been meant
    """

    what: str
    hint: str = ""
    path: Path = ()
    at: int = 0
    length: int = 0
    written: str = ""
    near: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """
    What is published of one collection.

    Args:
        properties: the type of each property that a filter may name; None where nothing is published
        distinct: what may be asked for beside `date`
        operators: those of every filter
    """

    operators: frozenset[str]
    properties: Mapping[str, str] | None = None
    distinct: tuple[str, ...] = ()

    @classmethod
    def of(cls, table: JsonObject, collection: str) -> Known:
        """Look a collection up in the published table."""
        operators = frozenset(map(str, cast("list[str]", table["operators"])))
        for entry in cast("list[JsonObject]", table["collections"]):
            if entry["type"] == collection:
                return cls(
                    operators,
                    cast("dict[str, str]", entry["properties"]),
                    tuple(cast("list[str]", entry["distinct"])),
                )
        return cls(operators)


def faults_of(filter_: Value, known: Known, *, collection: str) -> list[Fault]:
    """
    Say what the catalogue would refuse in a filter.

    Args:
        filter_: text, or CQL2 JSON
        collection: the one that is searched, for messages
    """
    if isinstance(filter_, str):
        try:
            tree = parse_text(filter_)
        except Cql2Error as error:
            return [Fault(f"{error}.", error.hint, at=error.at, length=error.length)]
        return [*_judged(tree, known, collection, {})]
    places: dict[int, Path] = {}
    try:
        tree = _read(filter_, (), places, depth=0)
    except _ShapeError as error:
        return [Fault(str(error), path=error.path)]
    if not isinstance(tree, Operation):
        return [Fault("it states no condition.", "begin it with `op` and `args`")]
    return [*_judged(tree, known, collection, places)]


class _ShapeError(ValueError):
    """A value is no CQL2 JSON."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


def _read(value: Value, path: Path, places: dict[int, Path], *, depth: int) -> Node:
    """Read CQL2 JSON; the place of each part is remembered by its number in `at`."""
    if depth > MAX_DEPTH:
        message = f"it is nested more than {MAX_DEPTH} deep."
        raise _ShapeError(message, path)
    number = len(places)
    places[number] = path
    if isinstance(value, bool | int | float | str):
        return Literal(value, number, 0)
    if not isinstance(value, dict):
        message = "a condition, a property or a value is expected here."
        raise _ShapeError(message, path)
    if isinstance(value.get("property"), str):
        return Property(str(value["property"]), number, 0)
    op, args = value.get("op"), value.get("args")
    if not isinstance(op, str) or not isinstance(args, list):
        message = (
            "a condition has `op`, a text, and `args`, a list; a property is {property: NAME}."
        )
        raise _ShapeError(message, path)
    read = tuple(
        _read(one, (*path, "args", at), places, depth=depth + 1) for at, one in enumerate(args)
    )
    return Operation(op, read, number, 0)


def _judged(
    tree: Node, known: Known, collection: str, places: Mapping[int, Path]
) -> Iterator[Fault]:
    def placed(node: Node, what: str, hint: str = "", near: Sequence[str] = ()) -> Fault:
        written = node.name if isinstance(node, Property) else ""
        if places:
            return Fault(what, hint, places[node.at], written=written, near=tuple(near))
        return Fault(what, hint, at=node.at, length=node.length, written=written, near=tuple(near))

    waiting = [tree]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, Operation):
            if node.op not in known.operators:
                yield placed(node, _no_operator(node.op), _instead(node, known))
                continue
            wrong = _operands(node, known)
            if wrong is not None:
                yield placed(wrong[0], wrong[1], wrong[2])
            waiting = [*node.args, *waiting]
        elif isinstance(node, Property) and node.name not in (known.properties or {node.name}):
            field = _OWN_FIELDS.get(node.name)
            hint = f"use the field `{field}` of the search" if field else ""
            what = f"filters of {collection} cannot name `{node.name}`."
            yield placed(node, what, hint, sorted(known.properties or ()))


def _no_operator(op: str) -> str:
    if op in _ARITHMETIC:
        return f"filters of the catalogue do not compute, and have no `{op}`."
    noun = "operator" if op in ("or", "like", "in", "isNull") else "function"
    return f"filters of the catalogue have no {noun} `{op}`."


def _instead(node: Operation, known: Known) -> str:
    """Say what does the same, or how to do without."""
    if node.op in ("or", "in"):
        return "make a search of each case; expressions can join what they find"
    if node.op == "like":
        return "compare with `=`, or choose among the items in an expression"
    if node.op == "isNull":
        return "leave it out: an item without the property is not found by a comparison"
    lowered = node.op.lower()
    if lowered in known.operators:
        return f"write `{lowered}`"
    return "there are " + ", ".join(f"`{op}`" for op in sorted(known.operators))


_ARGUMENTS: Final = {"not": (1, 1), "and": (1, None), "between": (3, 3)}


def _operands(node: Operation, known: Known) -> tuple[Node, str, str] | None:
    """Return the operand that does not fit, what is wrong with it, and what would be right."""
    least, most = _ARGUMENTS.get(node.op, (2, 2))
    if len(node.args) < least or (most is not None and len(node.args) > most):
        return node, f"`{node.op}` takes {least} operands, and here are {len(node.args)}.", ""
    if node.op in ("and", "not"):
        for one in node.args:
            if not isinstance(one, Operation):
                return (
                    one,
                    f"`{node.op}` joins conditions, and this is none.",
                    "compare it, e.g. with `<`",
                )
        return None
    for one in node.args:
        if isinstance(one, Operation) and one.op in known.operators:
            return one, f"`{node.op}` compares properties and values, and this is a condition.", ""
    return _mixed(node, known)


def _mixed(node: Operation, known: Known) -> tuple[Node, str, str] | None:
    kinds = [_kind(one, known) for one in node.args]
    of_property = next(
        (k for k, one in zip(kinds, node.args, strict=True) if k and isinstance(one, Property)), ""
    )
    wanted = of_property or next(filter(None, kinds), "")
    for kind, one in zip(kinds, node.args, strict=True):
        if kind and kind != wanted:
            right = _as(one, wanted)
            return (
                one,
                f"a {_NOUNS[wanted]} is compared with a {_NOUNS[kind]}.",
                f"write {right}" if right else "",
            )
    if node.op == "between" and wanted == _STRING:
        return node, "`between` compares numbers only.", "use `>=` and `<=`"
    return None


_NOUNS: Final = {_NUMBER: "number", _STRING: "text", "boolean": "truth value"}


def _kind(node: Node, known: Known) -> str:
    if isinstance(node, Property):
        return (known.properties or {}).get(node.name, "")
    if isinstance(node, Literal):
        if isinstance(node.value, bool):
            return "boolean"
        return _STRING if isinstance(node.value, str) else _NUMBER
    return ""


def _as(node: Node, kind: str) -> str:
    if not isinstance(node, Literal):
        return ""
    if kind == _STRING:
        return f"'{node.value:g}'" if isinstance(node.value, float) else f"'{node.value}'"
    text = str(node.value)
    return text if kind == _NUMBER and text.replace(".", "", 1).isdigit() else ""


def language_fault(spec: Object) -> str:
    """Say where `filter-lang` and the filter contradict each other, empty where they do not."""
    stated, written = spec.get("filter-lang"), spec.get("filter")
    if stated is None or written is None or not isinstance(written, str | dict):
        return ""
    is_text = isinstance(written, str)
    if is_text == (stated == TEXT):
        return ""
    return f"`filter-lang` says {stated}, and the filter is {'a text' if is_text else 'an object'}."
