"""
The three-way diff of one object, field by field.

A field that the manifest never stated belongs to the server and is left alone.
A field that was recorded and is no longer stated is reset only where the API can
clear it. Equality is decided by `compare`, never here; DeepDiff only finds the places
in a list that differs, and its words do not leave this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import cast

from shplan.core.change import FieldChange, Reason
from shplan.core.compare import same
from shplan.core.fields import FieldRule, FieldRules, Sameness
from shplan.core.value import Object, Path, Sensitive, Unknown, Value, printable, walk

# Beyond so many leaves a list that differs is shown as a whole: nobody reads on, and the
# search for the differences is not linear.
_MOST_LEAVES = 2_000


def diff_object(
    *,
    desired: Object,
    recorded: Mapping[str, Value],
    observed: Object,
    rules: FieldRules,
    ignore: tuple[str, ...] = (),
) -> tuple[FieldChange, ...]:
    """
    Compare the stated fields of an object three ways.

    Args:
        desired: what the manifest states
        recorded: what was stated when it was last applied, empty when it never was
        observed: what the server says
        rules: of the kind
        ignore: dotted paths that a manifest excludes (`lifecycle.ignoreChanges`)

    Returns:
        the changes in the order of their paths
    """
    found = _diff_map(desired, recorded, observed, rules=rules, path=())
    kept = (change for change in found if not is_ignored(change.path, ignore))
    return tuple(sorted(kept, key=lambda change: change.dotted))


def is_ignored(path: Path, ignore: tuple[str, ...]) -> bool:
    """Tell whether `lifecycle.ignoreChanges` lists a field or something above it; `*` is any step."""
    steps = [str(step) for step in path]
    return any(_covers(pattern.split("."), steps) for pattern in ignore)


def with_changes(observed: Object, changes: tuple[FieldChange, ...], desired: Object) -> Object:
    """
    Return what was observed with the changes made: the whole of an update's body.

    What differs inside a list changes the list as a whole.

    Args:
        desired: where the new values stand, unknown ones filled or not
    """
    result = dict(observed)
    for change in changes:
        *above, name = (str(step) for step in _named(change.path))
        place = result
        for step in above:
            below = place.get(step)
            place[step] = dict(below) if isinstance(below, dict) else {}
            place = cast("Object", place[step])
        if change.cleared:
            place.pop(name, None)
        else:
            place[name] = value_at(desired, (*above, name))
    return result


def value_at(value: Value, path: Path) -> Value:
    """Return what stands at a path, None where nothing does."""
    for step in path:
        value = value.get(str(step)) if isinstance(value, dict) else None
    return value


def _diff_map(
    desired: Object,
    recorded: Mapping[str, Value],
    observed: Object,
    *,
    rules: FieldRules,
    path: Path,
) -> Iterator[FieldChange]:
    for key, wanted in desired.items():
        below = (*path, key)
        yield from _diff_stated(
            wanted, recorded.get(key), observed.get(key), rules=rules, path=below
        )
    whole = rules.rule(path).whole
    for key in recorded.keys() - desired.keys():
        rule = rules.rule((*path, key))
        if whole:
            rule = replace(rule, clearable=True)
        yield from _diff_unstated(observed.get(key), rule=rule, path=(*path, key))
    if whole:
        for key in observed.keys() - desired.keys() - recorded.keys():
            yield FieldChange((*path, key), observed[key], None, Reason.DIFFERS, cleared=True)


def _diff_stated(
    wanted: Value, recorded: Value, observed: Value, *, rules: FieldRules, path: Path
) -> Iterator[FieldChange]:
    rule = rules.rule(path)
    if rule.read_only:
        return
    if observed is None and _is_hollow(wanted):
        # The service leaves an empty object out of its answers.
        return
    if isinstance(wanted, Sensitive) and observed is not None and recorded == printable(wanted):
        # A secret is compared by where it comes from: planning never reads it.
        return
    if isinstance(wanted, dict) and isinstance(observed, dict) and not _is_leaf(rule):
        before = recorded if isinstance(recorded, dict) else {}
        yield from _diff_map(wanted, before, observed, rules=rules, path=path)
    elif not same(wanted, observed, rule.same):
        change = FieldChange(path, observed, wanted, Reason.DIFFERS, forces=rule.immutable)
        yield from _places(change, rule)


def _diff_unstated(observed: Value, *, rule: FieldRule, path: Path) -> Iterator[FieldChange]:
    if observed is not None and rule.clearable:
        yield FieldChange(
            path, observed, None, Reason.NO_LONGER_STATED, forces=rule.immutable, cleared=True
        )


def _places(change: FieldChange, rule: FieldRule) -> Iterator[FieldChange]:
    """Tell a list that differs by the places in it that do."""
    before, after = change.before, change.after
    if isinstance(before, list) and isinstance(after, list) and _is_small(before, after):
        found = [one for one in _deep(change) if not same(one.before, one.after, rule.same)]
        if found:
            yield from found
            return
    yield change


def _deep(change: FieldChange) -> Iterator[FieldChange]:
    # Lazily: importing it costs more than a plan without differences.
    from deepdiff.diff import DeepDiff  # noqa: PLC0415
    from deepdiff.helper import notpresent  # noqa: PLC0415

    def side(value: object) -> Value:
        return None if value is notpresent else cast("Value", value)

    report = DeepDiff(change.before, change.after, view="tree")
    for levels in report.values():
        for level in levels:
            below = tuple(level.path(output_format="list"))
            yield replace(
                change, path=(*change.path, *below), before=side(level.t1), after=side(level.t2)
            )


def _is_small(*values: Value) -> bool:
    leaves = [leaf for value in values for _, leaf in islice(walk(value), _MOST_LEAVES)]
    plain = not any(isinstance(leaf, Unknown | Sensitive) for leaf in leaves)
    return plain and len(leaves) < _MOST_LEAVES


def _is_hollow(value: Value) -> bool:
    return isinstance(value, dict) and all(_is_hollow(member) for member in value.values())


def _is_leaf(rule: FieldRule) -> bool:
    return rule.same is Sameness.GEOMETRY


def _named(path: Path) -> Path:
    """Cut a path off where it enters a list."""
    index = next((at for at, step in enumerate(path) if isinstance(step, int)), len(path))
    return path[:index]


def _covers(pattern: list[str], steps: list[str]) -> bool:
    return len(pattern) <= len(steps) and all(
        wanted in ("*", step) for wanted, step in zip(pattern, steps, strict=False)
    )
