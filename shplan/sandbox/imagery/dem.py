"""
The elevation model: the heights of the ground, in whole seconds of arc.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from shplan.sandbox.imagery.grid import Pixels
from shplan.sandbox.imagery.sensor import Band
from shplan.sandbox.imagery.terrain import terrain
from shplan.sandbox.scenes.noise import Floats
from shplan.sandbox.scenes.scene import Scene

_BANDS = {"DEM": Band({"METERS": 1.0, "DN": 1.0}, 30.0, "FLOAT32")}


@dataclass(frozen=True, slots=True)
class Elevation:
    """The model; the sea is level, its floor was not measured."""

    bands: Mapping[str, Band] = field(default_factory=lambda: _BANDS)
    no_data: float = 0.0

    def measure(self, scene: Scene, names: Sequence[str], pixels: Pixels) -> dict[str, Floats]:
        """Metres above the sea, to a hundredth; no scene changes them."""
        height = terrain(pixels.lon, pixels.lat).height_m
        level = np.floor(np.maximum(height, 0.0) * 100.0 + 0.5) / 100.0
        return dict.fromkeys(names, np.asarray(level))
