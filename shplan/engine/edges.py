"""
Who waits for whom in an apply.

Rewriting the ledger comes first, then what builds, dependencies first, then what removes,
dependents first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from shplan.core.address import Address
from shplan.core.change import Action, Change
from shplan.core.graph import closure
from shplan.core.resource import Recorded

Edges = dict[int, set[int]]


def edges(nodes: Sequence[Change]) -> tuple[Edges, Edges]:
    """
    Return for each node what must have ended well, and what must merely have ended.

    Building needs its dependencies. Removing needs its dependents removed, or moved away,
    and waits until everything that builds has ended.
    """
    places = _Places.of(nodes)
    needs: Edges = {
        at: set() if at in places.rewriting else {*places.rewriting} for at in range(len(nodes))
    }
    after: Edges = {at: set() for at in range(len(nodes))}
    for at, node in enumerate(nodes):
        if removes(node):
            after[at] |= set(places.building.values())
        elif at not in places.rewriting:
            needs[at] |= {places.building[on] for on in node.depends_on if on in places.building}
        _removals_follow(at, node, places, needs)
    _left_overs_follow(nodes, places, needs)
    return needs, after


def dependencies_of(
    changes: Iterable[Change], recorded: Mapping[Address, Recorded]
) -> Callable[[Address], frozenset[Address]]:
    """
    Return what tells everything that an address depends on, directly or not.

    Args:
        changes: those of the plan
        recorded: for what the plan does not show
    """
    direct: dict[Address, set[Address]] = {}
    for address, record in recorded.items():
        direct.setdefault(address, set()).update(record.depends_on)
    for change in changes:
        direct.setdefault(change.address, set()).update(change.depends_on)

    return lambda address: frozenset(closure((address,), direct) - {address})


def removes(change: Change) -> bool:
    """Tell whether a change ends an object."""
    return change.deposed or change.action is Action.DELETE


def rewrites(change: Change) -> bool:
    """Tell whether a change only rewrites the ledger."""
    return change.action in (Action.MOVE, Action.FORGET)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where each address stands among the nodes."""

    rewriting: frozenset[int]
    building: dict[Address, int]
    removing: dict[Address, list[int]]

    @classmethod
    def of(cls, nodes: Sequence[Change]) -> _Places:
        rewriting = frozenset(at for at, node in enumerate(nodes) if rewrites(node))
        building: dict[Address, int] = {}
        removing: dict[Address, list[int]] = {}
        for at, node in enumerate(nodes):
            if removes(node):
                removing.setdefault(node.address, []).append(at)
            elif at not in rewriting:
                building[node.address] = at
        return cls(rewriting, building, removing)


def _removals_follow(at: int, node: Change, places: _Places, needs: Edges) -> None:
    for on in node.depends_on:
        for removed in places.removing.get(on, ()):
            if removed != at:
                # What goes with another ends after it: until then it is what proves that the
                # other holds nothing of a stranger's.
                first, then = (removed, at) if node.follows else (at, removed)
                needs[then].add(first)


def _left_overs_follow(nodes: Sequence[Change], places: _Places, needs: Edges) -> None:
    """What a replacement leaves behind goes only when the new object is there."""
    for address, removed in places.removing.items():
        for at in removed:
            if nodes[at].deposed and address in places.building:
                needs[at].add(places.building[address])
