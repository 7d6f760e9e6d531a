"""
What no schema can say about several resources together: cycles, and members declared twice.

What concerns one resource alone is said by the provider of its kind (`Provider.check`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from shplan.core.address import Address
from shplan.core.compare import same_tile_path, tile_folder
from shplan.core.diagnostic import Diagnostic
from shplan.core.graph import CycleError, order
from shplan.core.resource import Desired
from shplan.core.value import Object, Unknown, canonical


def cycles(resources: Sequence[Desired]) -> list[Diagnostic]:
    """Return a message for each circle of dependencies, naming its members."""
    by_address = {resource.address: resource for resource in resources}
    edges: dict[Address, set[Address]] = {
        resource.address: {*resource.depends_on, *(one.address for one in resource.references)}
        for resource in resources
    }
    found = []
    while True:
        try:
            order(edges)
        except CycleError as error:
            found.append(_cycle(error.members, by_address))
            for member in error.members:
                edges.pop(member, None)
        else:
            return found


def _cycle(members: tuple[Address, ...], by_address: Mapping[Address, Desired]) -> Diagnostic:
    first = by_address[members[0]]
    spans = [by_address[one].source.span(("metadata", "name")) for one in members[1:-1]]
    if len(members) == 2:
        what = f"{members[0]} refers to itself."
    else:
        what = f"these resources wait for each other: {' -> '.join(map(str, members))}."
    return Diagnostic(
        "manifest/cycle",
        "Dependency cycle",
        what,
        "None of them could be made first.",
        "remove one of the references (ref(...) or metadata.dependsOn)",
        first.source.span(("metadata", "name")),
        address=str(members[0]),
        related=tuple(dict.fromkeys(spans)),
    )


def members_twice(sets: Iterable[tuple[Desired, str]]) -> list[Diagnostic]:
    """
    Return a message for each path that is declared twice for one collection.

    Args:
        sets: each resource with members, and the field that lists them
    """
    found: list[Diagnostic] = []
    groups: dict[bytes, list[tuple[Desired, str]]] = {}
    for desired, field in sets:
        groups.setdefault(_collection(desired), []).append((desired, field))
    for group in groups.values():
        found += _twice(group)
    return found


def _collection(desired: Desired) -> bytes:
    """Return what tells collections apart as long as their ids may be unknown."""
    value = desired.spec.get("collection")
    if isinstance(value, Unknown):
        return repr(tuple(str(reference) for reference in value.references)).encode()
    return canonical(value)


def _twice(group: Sequence[tuple[Desired, str]]) -> Iterator[Diagnostic]:
    # Hashes first: a million paths are seldom declared twice, and a set of integers is small.
    total = sum(len(desired.members) for desired, _ in group)
    if len({hash(key) for desired, _ in group for _, key in _keys(desired)}) == total:
        return
    first: dict[str, list[tuple[Desired, str, int]]] = {}
    for desired, field in group:
        for index, key in _keys(desired):
            # Files of one folder with different extensions are different tiles.
            known = first.setdefault(key, [])
            path = _path(desired, index)
            twin = next((one for one in known if same_tile_path(_path(one[0], one[2]), path)), None)
            if twin is not None:
                yield _member_twice(twin, (desired, field, index))
            else:
                known.append((desired, field, index))


def _keys(desired: Desired) -> Iterator[tuple[int, str]]:
    for index, member in enumerate(desired.members):
        path = member.get("path")
        if isinstance(path, str):
            yield index, tile_folder(path)


def _member_twice(first: tuple[Desired, str, int], second: tuple[Desired, str, int]) -> Diagnostic:
    (before, field, at), (desired, other_field, index) = first, second
    path, earlier = _path(desired, index), _path(before, at)
    spelt = "" if path == earlier else f" (there as {earlier})"
    where = str(before.address) if before.address != desired.address else "the same set"
    return Diagnostic(
        "manifest/duplicate-path",
        "Tile declared twice",
        f"the tile {path} of {desired.address} is declared by {where} already{spelt}.",
        "A collection holds a path once; the service takes `x` and `x/(BAND).tiff` for the same tile."
        if spelt
        else "A collection holds a path once.",
        "remove one of the two",
        desired.source.span(("spec", other_field, index, "path")),
        address=str(desired.address),
        related=(before.source.span(("spec", field, at, "path")),),
    )


def _path(desired: Desired, index: int) -> str:
    member: Object = desired.members[index]
    return str(member["path"])
