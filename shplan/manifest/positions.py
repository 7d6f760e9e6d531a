"""
Where the values of a YAML file stand: a tree of offsets beside the tree of values.

`parse.places` makes the tree, once a file and only when somebody asks (a message, a changed
resource); loading pays nothing for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from shplan.core.value import Path


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where one node stands, as offsets.

    Args:
        start, end: of the node
        key_start, key_end: of its key; -1 for an item of a list and for the root
        children: by key or by index; empty for a scalar
    """

    start: int
    end: int
    key_start: int
    key_end: int
    children: Children
    is_scalar: bool


Children: TypeAlias = "dict[str, Place] | list[Place]"
NO_CHILDREN: Children = []


def find(root: Place, path: Path) -> tuple[Place, int]:
    """Return the nearest enclosing node that the file has, and how many steps led to it."""
    place = root
    for depth, step in enumerate(path):
        children = place.children
        if isinstance(children, dict):
            child = children.get(step) if isinstance(step, str) else None
        else:
            fits = isinstance(step, int) and 0 <= step < len(children)
            child = children[step] if fits and isinstance(step, int) else None
        if child is None:
            return place, depth
        place = child
    return place, len(path)
