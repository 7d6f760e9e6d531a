"""
A sensor: its bands, and how it measures native pixels of a scene.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shplan.sandbox.imagery.grid import Pixels
from shplan.sandbox.scenes.noise import Floats
from shplan.sandbox.scenes.scene import Scene


@dataclass(frozen=True, slots=True)
class Band:
    """
    One band of a collection.

    Args:
        scales: unit to what a stored number is divided by to have it in that unit; the first is
            the default
        resolution_m: side of its native pixels
        sample: how it is stored: `UINT8`, `UINT16`, `INT16` or `FLOAT32`
    """

    scales: Mapping[str, float]
    resolution_m: float
    sample: str

    @property
    def units(self) -> tuple[str, ...]:
        """The units that it is given in, the default first."""
        return tuple(self.scales)


class Sensor(Protocol):
    """What has taken the scenes of a collection."""

    @property
    def bands(self) -> Mapping[str, Band]:
        """By name, in the order in which they are listed."""

    @property
    def no_data(self) -> float:
        """What bands are outside of footprints."""

    def measure(self, scene: Scene, names: Sequence[str], pixels: Pixels) -> dict[str, Floats]:
        """The stored numbers of bands that share a resolution, at native pixels in a row."""
