"""
One load as it goes on: what was read so far, which its parts work on together.
"""

from __future__ import annotations

from dataclasses import field
from typing import cast

from shplan.core.address import Address
from shplan.core.frozen import dataclass
from shplan.core.value import JsonObject, Object, Reference, Unknown
from shplan.manifest.complaints import Complaints
from shplan.manifest.expand import Instance
from shplan.manifest.loaded import Kind, Order
from shplan.manifest.origin import Origin
from shplan.manifest.parse import Document
from shplan.manifest.readings import Readings
from shplan.manifest.resolve import Resolution
from shplan.manifest.scope import Scope
from shplan.manifest.source import Files


@dataclass(slots=True)
class Manifest:
    """A document that declares a resource."""

    address: Address
    document: Document
    origin: Origin
    directory: str
    kind: Kind
    dynamic: frozenset[int]
    instances: list[Instance] | None = None
    expanded: bool = False
    broken: bool = False
    # What its instances depend on and nobody has read yet.
    waits_for: tuple[Reference, ...] = ()

    @property
    def body(self) -> JsonObject:
        """The document."""
        return cast(JsonObject, self.document.value)

    @property
    def metadata(self) -> JsonObject:
        """Its metadata."""
        return cast(JsonObject, self.body["metadata"])


@dataclass(slots=True)
class Loading:
    """
    What one load has found out so far.

    Args:
        order: what is loaded, and from what
        deployment: the built-in one of the environment, or empty
        incomplete: a file could not be read whole, so that what is missing may be in it
    """

    order: Order
    files: Files
    complaints: Complaints
    manifests: dict[Address, Manifest] = field(default_factory=dict)
    variables: JsonObject = field(default_factory=dict)
    deployment: str = ""
    incomplete: bool = False
    _resolution: Resolution | None = None
    _readings: Readings | None = None

    @property
    def resolution(self) -> Resolution:
        """What expressions can ask for; there is one before the first expression is evaluated."""
        assert self._resolution is not None, "the manifests are declared"
        return self._resolution

    @property
    def readings(self) -> Readings:
        """What data kinds gave so far."""
        assert self._readings is not None, "the environment is chosen"
        return self._readings

    def begin(self, resolution: Resolution, readings: Readings) -> None:
        """Go on to what needs expressions: everything is declared."""
        self._resolution, self._readings = resolution, readings

    def scope(self, manifest: Manifest, instance: Instance | None, address: Address) -> Scope:
        """Return the names that the expressions of a resource see, and remember them."""
        return self.resolution.add_scope(
            Scope(
                str(address),
                self.variables,
                each=_each(manifest, instance),
                directory=manifest.directory,
                has_run=manifest.kind.script_path is not None,
            )
        )


def _each(manifest: Manifest, instance: Instance | None) -> Object | Unknown | None:
    if manifest.waits_for:
        return Unknown("", str(manifest.address), manifest.waits_for)
    return instance.each if instance else None
