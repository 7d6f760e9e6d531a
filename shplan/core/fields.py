"""
What a kind says about its fields: the rules that a three-way diff follows.

A rule is data. The facts behind each rule (which API operation, which schema)
stand beside its declaration in the provider of the kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from shplan.core.frozen import dataclass


class Omitted(Enum):
    """What the API's update does to a field that the body leaves out."""

    KEEPS = "keeps"
    CLEARS = "clears"


class Sameness(Enum):
    """When two values of a field mean the same."""

    EXACT = "exact"
    NUMBER = "number"
    INSTANT = "instant"
    GEOMETRY = "geometry"
    TILE_PATH = "tile path"


@dataclass(frozen=True, slots=True)
class FieldRule:
    """
    The rule of one field.

    Args:
        immutable: why the API cannot change it; a change then forces `replace`. Empty: mutable
        mutable_while_empty: `immutable` holds only once the object has members
        read_only: set by the server, never compared
        omitted: what leaving it out of an update does
        clearable: the API can take the value away again
        same: when two values mean the same
        whole: a stated map is stated with all its keys: a key that it lacks is to go
    """

    immutable: str = ""
    mutable_while_empty: bool = False
    read_only: bool = False
    omitted: Omitted = Omitted.KEEPS
    clearable: bool = False
    same: Sameness = Sameness.EXACT
    whole: bool = False


@dataclass(frozen=True, slots=True)
class FieldRules:
    """The rules of a kind by dotted path below `spec`; `*` stands for one step of any name."""

    by_path: Mapping[str, FieldRule] = field(default_factory=dict)

    def cleared_by_silence(self) -> tuple[str, ...]:
        """Return the top-level fields that an update has to carry, or the API clears them."""
        return tuple(
            path
            for path, rule in self.by_path.items()
            if rule.omitted is Omitted.CLEARS and "." not in path
        )

    def rule(self, path: tuple[str | int, ...]) -> FieldRule:
        """Return the rule of a field; a field without one is mutable and compared exactly."""
        dotted = ".".join(str(step) for step in path)
        if dotted in self.by_path:
            return self.by_path[dotted]
        steps = dotted.split(".")
        for pattern, rule in self.by_path.items():
            if "*" in pattern and _fits(pattern.split("."), steps):
                return rule
        return _PLAIN


_PLAIN = FieldRule()


def _fits(pattern: list[str], steps: list[str]) -> bool:
    return len(pattern) == len(steps) and all(
        wanted in ("*", step) for wanted, step in zip(pattern, steps, strict=True)
    )
