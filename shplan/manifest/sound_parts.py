"""
What is sound of a document that its schema refuses, so that all its faults are told at once.

A value that is refused counts as one that is not known yet: of those nothing is held against a document. A misspelt field
has the name that was meant, what has no place is left out, and what is lacking counts as not known, as does the place
of a field that stands elsewhere. If the document is refused all the same, there is nothing to go on with: what follows
from a fault is not told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from shplan.core.value import Object, Path, Unknown, Value, is_known
from shplan.manifest.resolve import note_containers
from shplan.manifest.validate import violations
from shplan.manifest.violation import Violation

# In it nothing may be unknown; what is wrong there is left out.
_KNOWN = "metadata"
_RUN = "run"
# Of what a job's options say, the one that is checked together with its request.
_OUTPUT: Path = (_RUN, "output")
# Of a document with more faults nobody reads the rest, and each takes a copy of the lists above it.
_MOST_FAULTS = 100


def sound_parts(
    kind: str, document: Object, wrong: Sequence[Violation], *, subject: str, fresh: set[int]
) -> Object | None:
    """
    Return a document without what is wrong in it, None where too much of it is.

    Args:
        wrong: what its schema forbids
        fresh: ids of the containers that may hold unknowns and secrets; those that are made here are added
    """
    if len(wrong) > _MOST_FAULTS or any(_is_all(one) for one in wrong):
        return None
    made = _mended(document, wrong)
    if not any(_is_run(one) for one in wrong):
        return _judged(kind, made, subject, fresh)
    made = _without(made, (_RUN,))
    # Not every kind has an answer that goes somewhere.
    found = _judged(kind, _put(made, _OUTPUT), subject, fresh)
    return found or _judged(kind, made, subject, fresh)


def _mended(document: Object, wrong: Sequence[Violation]) -> Value:
    made: Value = document
    for one in wrong:
        if one.at_key:
            made = _renamed(made, one.path, one.meant)
    # The last first: of a list whose items move the others stay where they are.
    for one in sorted(wrong, key=_in_order, reverse=True):
        if one.missing:
            made = _put(made, (*one.path, one.missing), replaces=False)
        elif not one.at_key:
            made = _without(made, one.path) if _leaves(one.path) else _put(made, one.path)
    for one in wrong:
        if one.belongs is not None and one.belongs[0] != _KNOWN:
            made = _put(made, one.belongs, replaces=False)
    return made


def _is_run(one: Violation) -> bool:
    """Tell whether the options of a job are wrong as a whole: no mapping, or elsewhere."""
    return one.belongs == (_RUN,) or (one.path == (_RUN,) and not one.missing)


def _is_all(one: Violation) -> bool:
    """Tell whether so much is wrong that nothing is left: the document, or a part that it cannot do without."""
    return not one.path or (
        len(one.path) == 1 and not one.missing and not one.at_key and one.path != (_RUN,)
    )


def _leaves(path: Path) -> bool:
    return path[0] == _KNOWN or (path[0] == _RUN and path[:2] != _OUTPUT)


def _judged(kind: str, made: Value, subject: str, fresh: set[int]) -> Object | None:
    """Return a document that nothing is held against any more."""
    found = cast(Object, made)
    note_containers(found, fresh)
    spec = found.get("spec")
    if not isinstance(spec, dict) or not is_known(found.get(_KNOWN, {})):
        return None
    return None if violations(kind, found, subject=subject, fresh=fresh) else found


def _in_order(one: Violation) -> list[tuple[int, str]]:
    return [(len(str(step)), str(step)) for step in one.path]


def _renamed(value: Value, path: Path, name: str) -> Value:
    """Give the name that was meant to a field; one that no other is like goes."""
    step, rest = path[0], path[1:]
    if isinstance(value, dict) and step in value:
        if rest:
            return {**value, str(step): _renamed(value[str(step)], rest, name)}
        gone = not name or name in value
        return {
            (name if key == step else key): member
            for key, member in value.items()
            if key != step or not gone
        }
    if isinstance(value, list) and isinstance(step, int) and step < len(value) and rest:
        inner = _renamed(value[step], rest, name)
        return [*value[:step], inner, *value[step + 1 :]]
    return value


def _put(value: Value, path: Path, *, replaces: bool = True) -> Value:
    """Say of the value at a path that it is not known; one that is there stays unless it is replaced."""
    if not path:
        return Unknown("", "", ())
    step, rest = path[0], path[1:]
    if value is None and isinstance(step, str):
        value = {}
    if isinstance(value, dict):
        if not replaces and not rest and step in value:
            return value
        return {**value, str(step): _put(value.get(str(step)), rest, replaces=replaces)}
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        inner = _put(value[step], rest, replaces=replaces)
        return [*value[:step], inner, *value[step + 1 :]]
    return value


def _without(value: Value, path: Path) -> Value:
    step, rest = path[0], path[1:]
    if isinstance(value, dict) and step in value:
        if not rest:
            return {name: member for name, member in value.items() if name != step}
        return {**value, str(step): _without(value[str(step)], rest)}
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        inner = [] if not rest else [_without(value[step], rest)]
        return [*value[:step], *inner, *value[step + 1 :]]
    return value
