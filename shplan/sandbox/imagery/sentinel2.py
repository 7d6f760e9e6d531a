"""
Sentinel-2: thirteen bands, at the top of the atmosphere and below it, and masks that fit them.

Masks of clouds are those of the cloud field, from which the catalogue's covers come. Source:
Sentinel-2 User Handbook (bands); Level-2A Algorithm Theoretical Basis Document (classes of scenes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from shplan.sandbox.imagery.grid import Pixels
from shplan.sandbox.imagery.lattice import Words
from shplan.sandbox.imagery.optical import (
    View,
    greenness,
    sensor_noise,
    specks,
    surface,
    top_of_air,
    view,
)
from shplan.sandbox.imagery.sensor import Band
from shplan.sandbox.imagery.sky import angles, sun
from shplan.sandbox.scenes.clouds import cloud_density
from shplan.sandbox.scenes.noise import Floats
from shplan.sandbox.scenes.scene import Scene

# Micrometres, and native pixels in metres.
_REFLECTED: Mapping[str, tuple[float, float]] = {
    "B01": (0.4427, 60.0), "B02": (0.4924, 10.0), "B03": (0.5598, 10.0), "B04": (0.6646, 10.0),
    "B05": (0.7041, 20.0), "B06": (0.7405, 20.0), "B07": (0.7828, 20.0), "B08": (0.8328, 10.0),
    "B8A": (0.8647, 20.0), "B09": (0.9451, 60.0), "B10": (1.3735, 60.0), "B11": (1.6137, 20.0),
    "B12": (2.2024, 20.0),
}  # fmt: skip
_MOST = 32_767.0


class SceneClass(IntEnum):
    """Classes of the scene classification."""

    NO_DATA = 0
    SATURATED = 1
    DARK = 2
    CLOUD_SHADOW = 3
    VEGETATION = 4
    BARE = 5
    WATER = 6
    UNCLASSIFIED = 7
    CLOUD_MEDIUM = 8
    CLOUD_HIGH = 9
    CIRRUS = 10
    SNOW = 11


def _bands(level: str) -> dict[str, Band]:
    reflected = {
        name: Band({"REFLECTANCE": 10_000.0, "DN": 1.0}, resolution, "UINT16")
        for name, (_, resolution) in _REFLECTED.items()
        if level == "1C" or name != "B10"
    }
    masks = {}
    if level == "2A":
        masks = {
            "AOT": Band({"OPTICAL_DEPTH": 1000.0, "DN": 1.0}, 10.0, "UINT16"),
            "SCL": Band({"DN": 1.0}, 20.0, "UINT8"),
            "SNW": Band({"PERCENT": 1.0}, 20.0, "UINT8"),
            "CLD": Band({"PERCENT": 1.0}, 20.0, "UINT8"),
        }
    angles = {
        name: Band({"DEGREES": 1.0}, 5_000.0, "FLOAT32")
        for name in ("sunAzimuthAngles", "sunZenithAngles", "viewAzimuthMean", "viewZenithMean")
    }
    clouds = {name: Band({"DN": 1.0}, 160.0, "UINT8") for name in ("CLP", "CLM")}
    return {**reflected, **masks, **angles, **clouds}


@dataclass(frozen=True, slots=True)
class Msi:
    """
    The instrument.

    Args:
        level: `1C` or `2A`
    """

    level: str
    bands: Mapping[str, Band]
    no_data: float = 0.0

    def measure(self, scene: Scene, names: Sequence[str], pixels: Pixels) -> dict[str, Floats]:
        """The stored numbers of bands that share a resolution."""
        measured: dict[str, Floats] = {}
        if self.bands[names[0]].resolution_m == 5_000.0:
            measured = _angles(scene, pixels)
        elif self.bands[names[0]].resolution_m == 160.0:
            measured = _cloud_masks(cloud_density(pixels.lon, pixels.lat, scene.at_ms))
        else:
            seen = view(scene, pixels)
            speck = specks(pixels, scene)
            measured = {name: self._one(name, seen, speck) for name in names}
        return {name: measured[name] for name in names}

    def _one(self, name: str, seen: View, speck: Words) -> Floats:
        if name in _REFLECTED:
            return self._reflected(name, seen, speck)
        return _MASKS[name](seen)

    def _reflected(self, name: str, seen: View, speck: Words) -> Floats:
        wavelength = _REFLECTED[name][0]
        value = (top_of_air if self.level == "1C" else surface)(seen, wavelength)
        noise = sensor_noise(speck, list(_REFLECTED).index(name))
        value += (0.006 * value + 0.0006) * noise
        value *= 10_000.0
        value += 0.5
        np.floor(value, out=value)
        np.maximum(value, 1.0, out=value)
        return np.minimum(value, _MOST, out=value)


def _probability(cloud: Floats) -> Floats:
    """How sure one is of cloud, in 0..1; from 0.4 on there is some."""
    above = np.maximum(cloud, 0.0)
    return np.where(
        cloud > 0.0, 0.42 + 0.58 * above / (above + 0.15), 0.39 / (1.0 + 9.0 * (above - cloud))
    )


def _cloud_masks(cloud: Floats) -> dict[str, Floats]:
    return {
        "CLP": np.floor(255.0 * _probability(cloud)),
        "CLM": np.where(cloud > 0.0, 1.0, 0.0),
    }


def _angles(scene: Scene, pixels: Pixels) -> dict[str, Floats]:
    """Degrees to three digits; the sensor looks down from the middle of its track."""
    zenith, azimuth = angles(sun(pixels.lon, pixels.lat, scene.at_ms))
    west, _, east, _ = scene.outline.bounds
    side = np.where(pixels.x < (west + east) / 2.0, 1.0, -1.0)
    across = (pixels.x - west) / 100_000.0
    return {
        "sunZenithAngles": _digits(zenith),
        "sunAzimuthAngles": _digits(azimuth - 360.0 * np.floor(azimuth / 360.0)),
        "viewZenithMean": _digits(3.0 + 5.2 * across),
        "viewAzimuthMean": _digits(np.where(side > 0.0, 284.0, 104.0) + 3.0 * across),
    }


def _digits(value: Floats) -> Floats:
    return np.asarray(np.floor(value * 1000.0 + 0.5) / 1000.0)


def scene_classes(seen: View) -> Floats:
    """The scene classification of what is seen."""
    found = np.where(greenness(seen) > 0.4, SceneClass.VEGETATION, SceneClass.BARE)
    unsure = (seen.cover.part > 0.25) & (seen.cover.part < 0.27) & (found == SceneClass.BARE)
    # The later decides.
    for mask, scene_class in (
        (unsure, SceneClass.UNCLASSIFIED),
        (seen.slope_light < 0.4, SceneClass.DARK),
        (seen.shadow > 0.35, SceneClass.CLOUD_SHADOW),
        (seen.cover.water, SceneClass.WATER),
        (seen.cover.snow > 0.5, SceneClass.SNOW),
        (seen.cirrus > 0.55, SceneClass.CIRRUS),
        (seen.cloud > 0.0, SceneClass.CLOUD_MEDIUM),
        (seen.cloud > 0.06, SceneClass.CLOUD_HIGH),
    ):
        found = np.where(mask, scene_class, found)
    return found.astype(np.float64)


def _snow_percent(seen: View) -> Floats:
    return np.floor(100.0 * seen.cover.snow * (1.0 - seen.veil))


def _cloud_percent(seen: View) -> Floats:
    return np.floor(100.0 * _probability(seen.cloud))


def _aerosol(seen: View) -> Floats:
    clear = 90.0 + 40.0 * seen.ground.wet - 0.015 * np.maximum(seen.ground.height_m, 0.0)
    return np.floor(np.maximum(clear + 60.0 * seen.cirrus, 20.0))


_MASKS = {"SCL": scene_classes, "SNW": _snow_percent, "CLD": _cloud_percent, "AOT": _aerosol}
L1C = Msi("1C", _bands("1C"))
L2A = Msi("2A", _bands("2A"))
