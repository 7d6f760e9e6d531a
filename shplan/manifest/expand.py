"""
`metadata.forEach`: one manifest to its instances, each with a key of its own.

Lists are multiplied, objects are taken one by one, and no instance has its identity from a position:
adding a value in the middle renames nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from shplan.core.value import Object, Path, Reference, Sensitive, Unknown, Value
from shplan.manifest.parse import kind_of
from shplan.manifest.wording import shown

MAX_INSTANCES = 10_000
_RESERVED = ("key", "value")
_FORBIDDEN = {",": "a comma", "[": "a bracket", "]": "a bracket"}


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance: its key and what `each` holds in it."""

    key: str
    each: Object


@dataclass(frozen=True, slots=True)
class ExpandError:
    """
    What is wrong with a `forEach`.

    Args:
        path: below `forEach`
    """

    path: Path
    what: str
    why: str = ""
    hint: str = ""


def expand(value: Value) -> tuple[list[Instance], list[ExpandError]]:
    """
    Return the instances of an evaluated `forEach`, in the order of their keys.

    Args:
        value: names to lists (their product), or keys to objects
    """
    problem = _shape(value)
    if problem is not None:
        return [], [problem]
    assert isinstance(value, dict)
    if value and all(isinstance(member, list) for member in value.values()):
        return _product(value)
    return _objects(value)


def keys_wait_for(value: Value) -> tuple[Reference, ...]:
    """Return what has to be known before the keys are: values of objects may be known later."""
    members = list(value.values()) if isinstance(value, dict) else []
    items = [item for member in members if isinstance(member, list) for item in member]
    holes = [one for one in (value, *members, *items) if isinstance(one, Unknown)]
    return tuple(dict.fromkeys(reference for hole in holes for reference in hole.references))


def _shape(value: Value) -> ExpandError | None:
    if isinstance(value, Unknown):
        return ExpandError(
            (),
            "its keys are not known while planning: they depend on something that apply creates.",
            "A plan must be able to name every instance.",
            "write the keys in the manifest, or take them from a variable; values may come from a reference",
        )
    if isinstance(value, list):
        return ExpandError(
            (),
            "it is a list, and a list has no keys.",
            "Instances are told apart by keys, so that inserting one does not rename the others.",
            "give the list a name: `forEach: {month: [...]}`, read as {{ each.month }}",
        )
    if not isinstance(value, dict):
        noun = "a secret" if isinstance(value, Sensitive) else kind_of(value)
        return ExpandError(
            (),
            f"it is {noun}; it must be a mapping.",
            "It maps names to lists (their product), or keys to objects.",
            'write e.g. `forEach: {month: ["2025-06", "2025-07"]}`',
        )
    return _members(value)


def _members(value: Object) -> ExpandError | None:
    for name, member in value.items():
        if isinstance(member, list | dict) or (isinstance(member, Unknown) and not _lists(value)):
            continue
        noun = _noun(member)
        return ExpandError(
            (name,),
            f"`{name}` is {noun}; it must be a list (of values) or a mapping (one object).",
            "",
            f"write `{name}: [{shown(member)}]`" if isinstance(member, str | int) else "",
        )
    if _lists(value) and not all(isinstance(member, list) for member in value.values()):
        return ExpandError(
            (),
            "it mixes lists and objects.",
            "Lists mean their product, objects mean one instance for each key.",
            "use lists only, or objects only",
        )
    return None


def _lists(value: Object) -> bool:
    return any(isinstance(member, list) for member in value.values())


def _noun(member: Value) -> str:
    if isinstance(member, Unknown):
        return "known only after apply"
    return "a secret" if isinstance(member, Sensitive) else kind_of(member)


def _product(value: Object) -> tuple[list[Instance], list[ExpandError]]:
    names = sorted(value)
    errors = [
        ExpandError(
            (name,),
            f"a list cannot be called `{name}`: `each.{name}` has its own meaning.",
            "",
            "choose another name",
        )
        for name in names
        if name in _RESERVED
    ]
    columns: list[list[tuple[str, Value]]] = []
    size = 1
    for name in names:
        column, wrong = _column(name, value[name])
        columns.append(column)
        errors += wrong
        size *= max(len(column), 1)
    if size > MAX_INSTANCES:
        errors.append(
            ExpandError((), f"it makes {size:,} instances; at most {MAX_INSTANCES:,} are allowed.")
        )
    if errors:
        return [], errors
    instances = []
    for combination in product(*columns):
        values: Object = {name: item for name, (_, item) in zip(names, combination, strict=True)}
        key = ",".join(text for text, _ in combination)
        instances.append(Instance(key, {**values, "key": key, "value": dict(values)}))
    return instances, []


def _column(name: str, items: Value) -> tuple[list[tuple[str, Value]], list[ExpandError]]:
    """Return the items of one list with their texts."""
    assert isinstance(items, list)
    seen: dict[str, int] = {}
    column: list[tuple[str, Value]] = []
    errors: list[ExpandError] = []
    for index, item in enumerate(items):
        text = _key_text(item)
        problem = _key_problem(text, item)
        if problem is None and text in seen:
            problem = f"{shown(text)} stands in the list twice, and keys must differ."
        if problem is not None:
            errors.append(ExpandError((name, index), problem, *_key_advice(item)))
            continue
        assert text is not None
        seen[text] = index
        column.append((text, item))
    return column, errors


def _objects(value: Object) -> tuple[list[Instance], list[ExpandError]]:
    errors = [
        ExpandError((key,), problem, *_key_advice(key))
        for key in value
        if (problem := _key_problem(key, key)) is not None
    ]
    if errors:
        return [], errors
    return [Instance(key, {"key": key, "value": value[key]}) for key in sorted(value)], []


def _key_text(item: Value) -> str | None:
    if isinstance(item, bool):
        return "true" if item else "false"
    return str(item) if isinstance(item, str | int | float) else None


def _key_problem(text: str | None, item: Value) -> str | None:
    if isinstance(item, Unknown):
        return "this key is not known while planning."
    if text is None:
        noun = "a secret" if isinstance(item, Sensitive) else kind_of(item)  # never shown
        return f"a key is made from each item, and this one is {noun}."
    if not text.strip() or text != text.strip():
        return f"{shown(text)} is empty or has spaces around it and cannot be a key."
    for sign, noun in _FORBIDDEN.items():
        if sign in text:
            return f"{shown(text)} holds {noun} and cannot be a key."
    if not text.isprintable():
        return f"{shown(text)} holds a character that cannot be printed."
    return None


def _key_advice(item: Value) -> tuple[str, str]:
    if isinstance(item, dict | list):
        return ("", "give each object a key: `forEach: {key: {...}}`, read as {{ each.value }}")
    if isinstance(item, str) and any(sign in item for sign in _FORBIDDEN):
        return (
            "Keys stand in addresses, Kind/name[key], where commas separate and brackets end them.",
            "use another key, and keep this text as a value: `forEach: {key: {label: ...}}`",
        )
    return ("", "")
