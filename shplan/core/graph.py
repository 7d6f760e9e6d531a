"""
The order of things: dependencies first, the same order for the same input.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shplan.core.address import Address


class CycleError(ValueError):
    """A dependency leads back to itself; `members` names the circle, first repeated last."""

    def __init__(self, members: tuple[Address, ...]) -> None:
        super().__init__(" -> ".join(str(member) for member in members))
        self.members = members


def order(dependencies: Mapping[Address, Iterable[Address]]) -> tuple[Address, ...]:
    """
    Sort so that what is depended on comes first; among equals, by address.

    Dependencies on addresses that are no key are ignored. Linear in nodes and edges, apart
    from sorting each level.

    Raises:
        CycleError: with one circle, starting at its smallest member
    """
    return tuple(address for level in levels(dependencies) for address in level)


def levels(dependencies: Mapping[Address, Iterable[Address]]) -> tuple[tuple[Address, ...], ...]:
    """
    Sort into levels: each depends only on levels before its own.

    Raises:
        CycleError: with one circle, starting at its smallest member
    """
    known = {
        node: {on for on in needed if on in dependencies} for node, needed in dependencies.items()
    }
    dependents = reverse(known)
    waiting = {node: len(needed) for node, needed in known.items()}
    ready = [node for node, count in waiting.items() if count == 0]
    result: list[tuple[Address, ...]] = []
    placed = 0
    while ready:
        level = tuple(sorted(ready))
        result.append(level)
        placed += len(level)
        ready = []
        for node in level:
            for dependent in dependents[node]:
                waiting[dependent] -= 1
                if waiting[dependent] == 0:
                    ready.append(dependent)
    if placed < len(known):
        raise CycleError(_circle({n: known[n] for n, count in waiting.items() if count > 0}))
    return tuple(result)


def reverse(dependencies: Mapping[Address, Iterable[Address]]) -> dict[Address, set[Address]]:
    """Return for each node who depends on it: the order of deletes."""
    result: dict[Address, set[Address]] = {node: set() for node in dependencies}
    for node, needed in dependencies.items():
        for on in needed:
            if on in result:
                result[on].add(node)
    return result


def closure(starts: Iterable[Address], edges: Mapping[Address, Iterable[Address]]) -> set[Address]:
    """Return everything reachable from `starts`, themselves included."""
    seen: set[Address] = set()
    waiting = list(starts)
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting.extend(edges.get(node, ()))
    return seen


def _circle(remaining: Mapping[Address, set[Address]]) -> tuple[Address, ...]:
    # Every remaining node has a remaining dependency, or depends on one that has: walk until
    # a node repeats.
    node = min(remaining)
    seen: dict[Address, int] = {}
    trail: list[Address] = []
    while node not in seen:
        seen[node] = len(trail)
        trail.append(node)
        node = min(on for on in remaining[node] if on in remaining)
    circle = trail[seen[node] :]
    start = circle.index(min(circle))
    turned = circle[start:] + circle[:start]
    return (*turned, turned[0])
