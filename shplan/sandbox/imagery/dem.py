"""
The elevation models: the heights of the ground, in whole seconds of arc, with the floor of the sea or without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from shplan.sandbox.imagery.grid import Pixels
from shplan.sandbox.imagery.sensor import Band
from shplan.sandbox.imagery.terrain import heights
from shplan.sandbox.scenes.noise import Floats
from shplan.sandbox.scenes.scene import Scene

_BANDS = {"DEM": Band({"METERS": 1.0, "DN": 1.0}, 30.0, "FLOAT32")}


@dataclass(frozen=True, slots=True)
class Elevation:
    """
    A model.

    Args:
        has_floor: whether the floor of the sea was measured; else the sea is level
    """

    bands: Mapping[str, Band] = field(default_factory=lambda: _BANDS)
    no_data: float = 0.0
    has_floor: bool = False

    def measure(self, scene: Scene, names: Sequence[str], pixels: Pixels) -> dict[str, Floats]:
        """Metres above the sea, to a hundredth; no scene changes them."""
        height = heights(pixels.lon, pixels.lat).astype(np.float64)
        measured = height if self.has_floor else np.maximum(height, 0.0)
        level = np.floor(measured * 100.0 + 0.5) / 100.0
        return dict.fromkeys(names, np.asarray(level))
