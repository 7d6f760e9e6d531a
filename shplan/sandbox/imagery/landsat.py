"""
Landsat 8 and 9: reflectances, temperatures and the bits of the quality band.

Source: USGS, Landsat 8-9 Collection 2 Level 1 and Level 2 Science Product Guides (scales, bits,
surface temperature bands).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from shplan.sandbox.imagery.grid import Pixels
from shplan.sandbox.imagery.heat import brightness_kelvin, surface_kelvin
from shplan.sandbox.imagery.lattice import Words
from shplan.sandbox.imagery.optical import (
    View,
    sensor_noise,
    specks,
    sunlight,
    surface,
    top_of_air,
    view,
)
from shplan.sandbox.imagery.sensor import Band
from shplan.sandbox.imagery.sky import Sun, angles, sun
from shplan.sandbox.scenes.noise import Floats
from shplan.sandbox.scenes.scene import Scene

_WAVELENGTHS_UM = {
    "B01": 0.443, "B02": 0.482, "B03": 0.561, "B04": 0.655, "B05": 0.865, "B06": 1.609,
    "B07": 2.201, "B08": 0.59, "B09": 1.373,
}  # fmt: skip
_ANGLES = ("VAA", "VZA", "SAA", "SZA")
_THERMAL = {"B10": 2.2, "B11": 4.0}
_STEP, _OFFSET = 2.75e-5, -0.2
# Bits of the quality band, and where its two-bit confidences begin.
_DILATED, _CIRRUS, _CLOUD, _SHADOW, _SNOW, _CLEAR, _WATER = (1 << bit for bit in range(1, 8))
_CLOUD_SURE, _SHADOW_SURE, _SNOW_SURE, _CIRRUS_SURE = 8, 10, 12, 14
_DILATED_BELOW = 0.06


def _level_1() -> dict[str, Band]:
    reflected = {
        name: Band({"REFLECTANCE": 1.0}, 15.0 if name == "B08" else 30.0, "UINT16")
        for name in _WAVELENGTHS_UM
    }
    thermal = {name: Band({"BRIGHTNESS_TEMPERATURE": 1.0}, 30.0, "UINT16") for name in _THERMAL}
    quality = {name: Band({"DN": 1.0}, 30.0, "UINT16") for name in ("BQA", "QA_RADSAT")}
    angles = {name: Band({"DEGREES": 1.0}, 30.0, "INT16") for name in _ANGLES}
    return {**reflected, **thermal, **quality, **angles}


def _level_2() -> dict[str, Band]:
    names = list(_WAVELENGTHS_UM)[:7]
    reflected = {name: Band({"REFLECTANCE": 1.0}, 30.0, "UINT16") for name in names}
    thermal = {"B10": Band({"SURFACE_TEMPERATURE": 1.0}, 30.0, "UINT16")}
    quality = {
        name: Band({"DN": 1.0}, 30.0, sample)
        for name, sample in (("BQA", "UINT16"), ("QA_RADSAT", "UINT16"), ("SR_QA_AEROSOL", "UINT8"))
    }
    units = {
        "ST_QA": "KELVIN", "ST_TRAD": "RADIANCE", "ST_URAD": "RADIANCE", "ST_DRAD": "RADIANCE",
        "ST_ATRAN": "FRACTION", "ST_EMIS": "FRACTION", "ST_EMSD": "FRACTION",
        "ST_CDIST": "KILOMETERS",
    }  # fmt: skip
    heat = {name: Band({unit: 1.0}, 30.0, "INT16") for name, unit in units.items()}
    return {**reflected, **thermal, **quality, **heat}


@dataclass(frozen=True, slots=True)
class OliTirs:
    """
    Both instruments.

    Args:
        level: 1 at the top of the atmosphere, 2 at the surface
    """

    level: int
    bands: Mapping[str, Band]
    no_data: float = float("nan")

    def measure(self, scene: Scene, names: Sequence[str], pixels: Pixels) -> dict[str, Floats]:
        """Values in their units, in the steps in which products store them."""
        seen, light = view(scene, pixels), sunlight(scene, pixels)
        speck = specks(pixels, scene)
        return {
            name: _angle(name, scene, pixels)
            if name in _ANGLES
            else self._one(name, speck, seen, light)
            for name in names
        }

    def _one(self, name: str, speck: Words, seen: View, light: Sun) -> Floats:
        if name in _WAVELENGTHS_UM:
            value = (top_of_air if self.level == 1 else surface)(seen, _WAVELENGTHS_UM[name])
            noise = sensor_noise(speck, list(_WAVELENGTHS_UM).index(name))
            value = value * (1.0 + 0.004 * noise) + 0.0004 * noise
            return _steps(np.maximum(value, 0.0) - _OFFSET, _STEP) + _OFFSET
        if name in _THERMAL and self.level == 1:
            return _steps(brightness_kelvin(seen, light, _THERMAL[name]), 0.01)
        return _OTHERS[name](seen, light)


def _steps(value: Floats, step: float) -> Floats:
    return np.asarray(np.floor(value.astype(np.float64) / step + 0.5) * step)


def _angle(name: str, scene: Scene, pixels: Pixels) -> Floats:
    """Degrees, to a hundredth; the sensor looks down from the middle of its path."""
    zenith, azimuth = angles(sun(pixels.lon, pixels.lat, scene.at_ms))
    west, _, east, _ = scene.box
    across = (pixels.x - (west + east) / 2.0) / 92_500.0
    value = {
        "SZA": zenith,
        "SAA": azimuth,
        "VZA": np.minimum(7.5 * np.abs(across), 9.0),
        "VAA": np.where(across > 0.0, -76.0, 104.0),
    }[name]
    return _steps(value, 0.01)


def quality(seen: View, _light: Sun) -> Floats:
    """The bits of the quality band."""
    cloud = seen.cloud > 0.0
    dilated = cloud | (seen.cloud > -_DILATED_BELOW)
    shadow = (seen.shadow > 0.35) & ~cloud
    cirrus, snow = seen.cirrus > 0.55, (seen.cover.snow > 0.5) & ~cloud
    bits = np.zeros(cloud.shape, dtype=np.int64)
    for mask, bit in (
        (dilated & ~cloud, _DILATED),
        (cirrus, _CIRRUS),
        (cloud, _CLOUD),
        (shadow, _SHADOW),
        (snow, _SNOW),
        (~dilated & ~shadow & ~cirrus, _CLEAR),
        (seen.cover.water & ~cloud, _WATER),
    ):
        bits = bits | np.where(mask, bit, 0)
    unsure = (seen.cloud <= 0.0) & (seen.cloud > -0.02)
    confidence = np.where(cloud, 3, np.where(unsure, 2, 1))
    bits = bits | confidence << _CLOUD_SURE
    for mask, begin in ((shadow, _SHADOW_SURE), (snow, _SNOW_SURE), (cirrus, _CIRRUS_SURE)):
        bits = bits | np.where(mask, 3, 1) << begin
    return bits.astype(np.float64)


def _aerosol(seen: View, _light: Sun) -> Floats:
    """Valid retrieval, water, and the level of aerosol in the two highest bits."""
    level = np.where(seen.cirrus > 0.5, 3, np.where(seen.ground.wet > 0.6, 2, 1))
    bits = level << 6 | np.where(seen.cover.water, 4, 2)
    return bits.astype(np.float64)


def _nothing(seen: View, _light: Sun) -> Floats:
    return np.zeros(seen.cloud.shape)


def _kelvin(seen: View, light: Sun) -> Floats:
    ground = surface_kelvin(seen, light)
    hidden = brightness_kelvin(seen, light, _THERMAL["B10"])
    return _steps(ground + (hidden - ground) * seen.veil, 0.00341802)


def _radiance(seen: View, light: Sun) -> Floats:
    """Thermal radiance of the ground, W/m2/sr/um; a parabola through Planck's law at 10.9 um."""
    away = (_kelvin(seen, light) - 290.0) / 10.0
    return _steps(8.25 + 1.28 * away + 0.065 * away * away, 0.001)


def _through(seen: View, _light: Sun) -> Floats:
    warm = np.minimum(np.maximum(seen.cover.celsius / 30.0, 0.0), 1.2)
    return _steps(0.94 - 0.26 * warm * seen.ground.wet - 0.02 * seen.cirrus, 0.0001)


def _sent(factor: float, seen: View, light: Sun) -> Floats:
    """What the air itself sends."""
    return _steps(factor * (1.0 - _through(seen, light)), 0.001)


def _emissivity(seen: View, _light: Sun) -> Floats:
    cover = seen.cover
    value = np.where(cover.water, 0.991, 0.962 + 0.024 * cover.part + 0.02 * cover.snow)
    return _steps(np.minimum(value, 0.993), 0.0001)


def _unlike(seen: View, _light: Sun) -> Floats:
    return _steps(0.004 + 0.012 * (1.0 - seen.cover.part), 0.0001)


def _cloud_distance(seen: View, _light: Sun) -> Floats:
    """Kilometres to the next cloud, as its density tells."""
    return _steps(np.minimum(np.maximum(-seen.cloud, 0.0) * 24.0, 200.0), 0.01)


def _uncertainty(seen: View, light: Sun) -> Floats:
    return _steps(1.4 + 5.0 / (1.0 + _cloud_distance(seen, light)), 0.01)


_OTHERS: Mapping[str, Callable[[View, Sun], Floats]] = {
    "BQA": quality,
    "QA_RADSAT": _nothing,
    "SR_QA_AEROSOL": _aerosol,
    "B10": _kelvin,
    "ST_QA": _uncertainty,
    "ST_TRAD": _radiance,
    "ST_URAD": partial(_sent, 7.4),
    "ST_DRAD": partial(_sent, 7.9),
    "ST_ATRAN": _through,
    "ST_EMIS": _emissivity,
    "ST_EMSD": _unlike,
    "ST_CDIST": _cloud_distance,
}
L1 = OliTirs(1, _level_1())
L2 = OliTirs(2, _level_2())
