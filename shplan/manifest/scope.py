"""What the expressions of one resource see: the names of its scope, and the project around it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from shplan.core.address import Address
from shplan.core.value import JsonObject, JsonValue, Object, Unknown


class World(Protocol):
    """What expressions can ask for beyond their own scope."""

    def spend(self, work: int) -> None:
        """
        Count the work that expressions make.

        Raises:
            WorkError: all of them together make more than a project may
        """
        ...

    def instances(self, base: Address) -> tuple[str, ...] | None:
        """
        Return the keys of a resource with `forEach`, None for a single one.

        Raises:
            ExpressionError: there is no such resource
        """
        ...

    def attributes(self, address: Address) -> Object | None:
        """Return what is known of a resource by now, None for nothing."""
        ...

    def reading(self, address: Address, *, scope: Scope) -> Object | None:
        """Return what a data kind gave, plain values only, None while it is not read."""
        ...

    def names(self, address: Address) -> frozenset[str] | None:
        """Return the names of all attributes that a resource can have, None where any may come."""
        ...

    def local_text(self, address: Address, *, scope: Scope) -> str | None:
        """
        Return the text that a local resource stands for (an evalscript), None for other kinds.

        Raises:
            ExpressionError: its file cannot be read, which was said where it is declared
        """
        ...

    def scope(self, name: str) -> Scope:
        """Return the names that a waiting scalar sees."""
        ...

    def geojson(self, file: str, *, scope: Scope) -> JsonValue:
        """Return the geometry in a file."""
        ...

    def bounds(self, file: str, *, scope: Scope) -> JsonValue:
        """Return geometry and CRS of a file, for `bounds`."""
        ...

    def features(self, file: str, *, key: str, layer: str, scope: Scope) -> JsonValue:
        """Return the features of a file by a property, for `forEach`."""
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """
    The names that the expressions of one resource see.

    Args:
        name: its printed address, or another name that is unique in the project
        variables: `var`
        each: `each`, None outside of `forEach`; unknown where the instances are not known yet
        directory: of the manifest, relative to the project, for files
        has_run: the resource is a job, so that `run.key` exists
        whole_references: a reference without an attribute may be a value here
    """

    name: str
    variables: JsonObject = field(default_factory=dict)
    each: Object | Unknown | None = None
    directory: str = "."
    has_run: bool = False
    whole_references: bool = False
