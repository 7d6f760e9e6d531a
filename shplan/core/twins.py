"""
Changes that are about one object, or would be: probable renames, and two that would each make it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from shplan.core.address import Address
from shplan.core.change import Action, Change, Refusal
from shplan.core.refusals import not_moved, probable_rename, same_key
from shplan.core.value import digest


def with_makers_refused(
    changes: tuple[Change, ...], natural_keys: Mapping[str, tuple[str, ...]]
) -> tuple[Change, ...]:
    """
    Refuse changes that each make an object of one natural key: both would bind the older one.

    Where they stand on one level of dependencies their kind has refused them already; on two
    levels each was looked at without the other, and a name may have been known only then.
    """
    makers: dict[tuple[str, ...], list[Address]] = {}
    keys: dict[Address, tuple[str, ...]] = {}
    for change in changes:
        key = _made_key(change, natural_keys)
        if key is not None:
            keys[change.address] = key
            makers.setdefault(key, []).append(change.address)
    return tuple(
        replace(
            change,
            refusals=(
                *change.refusals,
                same_key(change.address, sorted(a for a in twins if a != change.address)),
            ),
        )
        if len(twins := makers.get(keys.get(change.address, ()), ())) > 1
        and change.action in _MAKES
        else change
        for change in changes
    )


_MAKES = frozenset({Action.CREATE, Action.REPLACE})


def _made_key(
    change: Change, natural_keys: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...] | None:
    """Return the kind and the natural key of what a change makes, where all of it is known."""
    names = natural_keys.get(change.address.kind, ())
    if change.action not in _MAKES or not names:
        return None
    parts = [change.record.get(name) for name in names]
    known = [part for part in parts if isinstance(part, str)]
    return (change.address.kind, *known) if len(known) == len(parts) else None


def with_renames_refused(
    changes: tuple[Change, ...], moved: Mapping[Address, Address]
) -> tuple[Change, ...]:
    """Refuse a delete beside a create of the same, and deletes of what `moved` names."""
    creates: dict[tuple[str, str, str], Address] = {}
    for new in changes:
        if new.action in (Action.CREATE, Action.ADOPT):
            for key in _likenesses(new):
                creates.setdefault(key, new.address)
    going = {c.address for c in changes if c.action is Action.DELETE and not c.deposed}
    refused: dict[Address, Refusal] = {}
    for gone in changes:
        if gone.action is not Action.DELETE or gone.deposed:
            continue
        twins = (creates.get(key) for key in _likenesses(gone))
        twin = next((one for one in twins if one is not None), None)
        target = moved.get(gone.address)
        if target is not None and target not in going:
            refused[gone.address] = not_moved(gone.address, target)
        elif twin is not None and target != twin:
            refused[gone.address] = probable_rename(gone.address, twin)
    return tuple(
        replace(change, refusals=(*change.refusals, refused[change.address]))
        if change.address in refused and change.action is Action.DELETE
        else change
        for change in changes
    )


def _likenesses(change: Change) -> tuple[tuple[str, str, str], ...]:
    """Return what a delete and a create have in common when they are probably one object."""
    if not change.record:
        return ()
    kind, name = change.address.kind, change.record.get("name")
    whole = (kind, "all", digest(change.record))
    return (whole, (kind, "name", name)) if isinstance(name, str) else (whole,)
