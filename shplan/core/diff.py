"""
The three-way diff of one object, field by field.

A field that the manifest never stated belongs to the server and is left alone.
A field that was recorded and is no longer stated is reset only where the API can
clear it. Equality is decided by `compare`, never here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shplan.core.change import FieldChange, Reason
from shplan.core.compare import same
from shplan.core.fields import FieldRule, FieldRules
from shplan.core.value import Object, Path, Value


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
    kept = (change for change in found if not _ignored(change.path, ignore))
    return tuple(sorted(kept, key=lambda change: change.dotted))


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
    for key in recorded.keys() - desired.keys():
        yield from _diff_unstated(
            observed.get(key), rule=rules.rule((*path, key)), path=(*path, key)
        )
    if rules.rule(path).whole:
        for key in observed.keys() - desired.keys() - recorded.keys():
            yield FieldChange((*path, key), observed[key], None, Reason.DIFFERS, cleared=True)


def _diff_stated(
    wanted: Value, recorded: Value, observed: Value, *, rules: FieldRules, path: Path
) -> Iterator[FieldChange]:
    rule = rules.rule(path)
    if rule.read_only:
        return
    if isinstance(wanted, dict) and isinstance(observed, dict) and not _is_leaf(rule):
        before = recorded if isinstance(recorded, dict) else {}
        yield from _diff_map(wanted, before, observed, rules=rules, path=path)
    elif not same(wanted, observed, rule.same):
        yield FieldChange(path, observed, wanted, Reason.DIFFERS, forces=rule.immutable)


def _diff_unstated(observed: Value, *, rule: FieldRule, path: Path) -> Iterator[FieldChange]:
    if observed is not None and rule.clearable:
        yield FieldChange(
            path, observed, None, Reason.NO_LONGER_STATED, forces=rule.immutable, cleared=True
        )


def _is_leaf(rule: FieldRule) -> bool:
    return rule.same.value == "geometry"


def _ignored(path: Path, ignore: tuple[str, ...]) -> bool:
    dotted = ".".join(str(step) for step in path)
    return any(dotted == one or dotted.startswith(f"{one}.") for one in ignore)
