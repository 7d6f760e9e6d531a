"""
How warm surfaces are, as thermal bands measure them.
"""

from __future__ import annotations

import numpy as np

from shplan.sandbox.imagery.lattice import single
from shplan.sandbox.imagery.optical import View
from shplan.sandbox.imagery.sky import Sun
from shplan.sandbox.scenes.noise import Floats

_ZERO_K = 273.15
_CLOUD_TOP_K = 262.0


def surface_kelvin(seen: View, light: Sun) -> Floats:
    """The ground's temperature: of the air, and what the sun adds to bare and dry ground."""
    cover = seen.cover
    sunny = single(np.maximum(light.up, 0.0)) * seen.light
    heated = sunny * (17.0 - 12.0 * cover.part) + 2.5 * cover.town.astype(np.float32)
    heated = heated * (1.0 - cover.snow) - 2.5 * cover.snow
    # Water keeps half of the way to its yearly mean, and ice is as cold as the air.
    kelvin = cover.celsius + heated + 0.4 * seen.ground.grain[1]
    water = np.maximum(0.75 * cover.celsius + 3.0, 0.2)
    water = water + (cover.celsius - water) * cover.snow
    return np.asarray(_ZERO_K + np.where(cover.water, water, kelvin))


def brightness_kelvin(seen: View, light: Sun, vapour: float) -> Floats:
    """
    What a thermal band sees at the top of the atmosphere.

    Args:
        vapour: kelvins that the air takes from a warm day
    """
    ground = surface_kelvin(seen, light)
    ground = ground - 1.5 - vapour * np.minimum(np.maximum((ground - 265.0) / 30.0, 0.0), 1.5)
    top = _CLOUD_TOP_K + 12.0 * (0.5 - seen.bright) - 0.02 * np.abs(ground - 285.0)
    return np.asarray(ground + (np.minimum(top, ground) - ground) * seen.veil - 3.0 * seen.cirrus)
