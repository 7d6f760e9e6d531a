"""
Sentinel-3: colours of land and sea in 21 bands, what they reveal, and temperatures.

A pixel is so large that several fields lie in it: it is the mean of four places. Source:
Sentinel-3 OLCI and SLSTR User Guides (centres of bands, flags); textbook values of the sun's
irradiance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from shplan.sandbox.imagery.grid import Pixels
from shplan.sandbox.imagery.heat import brightness_kelvin
from shplan.sandbox.imagery.optical import (
    View,
    greenness,
    sensor_noise,
    specks,
    sunlight,
    surface,
    top_of_air,
    view,
)
from shplan.sandbox.imagery.sensor import Band
from shplan.sandbox.imagery.sky import Sun, angles, sun
from shplan.sandbox.scenes.clouds import cloud_density
from shplan.sandbox.scenes.noise import Floats, smoothstep
from shplan.sandbox.scenes.scene import Scene

_PI = 3.141592653589793
_DARK = 0.03
# Centres of bands in micrometres, and the sun's irradiance there, mW/m2/nm.
_OLCI = {
    "B01": (0.400, 1515.0), "B02": (0.4125, 1709.0), "B03": (0.4425, 1889.0),
    "B04": (0.490, 1937.0), "B05": (0.510, 1922.0), "B06": (0.560, 1797.0), "B07": (0.620, 1649.0),
    "B08": (0.665, 1530.0), "B09": (0.67375, 1494.0), "B10": (0.68125, 1469.0),
    "B11": (0.70875, 1404.0), "B12": (0.75375, 1264.0), "B13": (0.76125, 1249.0),
    "B14": (0.764375, 1240.0), "B15": (0.7675, 1229.0), "B16": (0.77875, 1173.0),
    "B17": (0.865, 958.0), "B18": (0.885, 928.0), "B19": (0.900, 893.0), "B20": (0.940, 825.0),
    "B21": (1.020, 699.0),
}  # fmt: skip
# Part of the light that oxygen and vapour leave, where they take much.
_GASES = {"B13": 0.33, "B14": 0.42, "B15": 0.72, "B19": 0.75, "B20": 0.45}
_SLSTR = {
    "S1": (0.55447, 1837.0), "S2": (0.65947, 1525.0), "S3": (0.868, 956.0), "S4": (1.3748, 366.0),
    "S5": (1.6134, 248.0), "S6": (2.2557, 78.0),
}  # fmt: skip
# Kelvins that the air takes.
_HEAT = {"S7": 1.0, "S8": 2.2, "S9": 4.0, "F1": 1.0, "F2": 2.2}
_WEATHER = {
    "SAA": "DEGREES", "SZA": "DEGREES", "VAA": "DEGREES", "VZA": "DEGREES", "HUMIDITY": "PERCENT",
    "SEA_LEVEL_PRESSURE": "HECTOPASCALS", "TOTAL_COLUMN_OZONE": "KG_M2",
    "TOTAL_COLUMN_WATER_VAPOUR": "KG_M2",
}  # fmt: skip
_TIE_M = 19_000.0
# Bits of the quality flags.
_LAND, _COASTLINE, _FRESH, _BRIGHT = 1 << 31, 1 << 30, 1 << 29, 1 << 27


def _reflected(table: Mapping[str, tuple[float, float]], resolution: float) -> dict[str, Band]:
    return {
        name: Band({"REFLECTANCE": 1.0, "RADIANCE": _PI / irradiance}, resolution, "FLOAT32")
        for name, (_, irradiance) in table.items()
    }


def _olci_bands() -> dict[str, Band]:
    flags = {"QUALITY_FLAGS": Band({"DN": 1.0}, 300.0, "UINT32")}
    weather = {name: Band({unit: 1.0}, _TIE_M, "FLOAT32") for name, unit in _WEATHER.items()}
    return {**_reflected(_OLCI, 300.0), **flags, **weather}


def _slstr_bands() -> dict[str, Band]:
    heat = {name: Band({"BRIGHTNESS_TEMPERATURE": 1.0}, 1_000.0, "FLOAT32") for name in _HEAT}
    return {**_reflected(_SLSTR, 500.0), **heat}


def _over(scene: Scene, pixels: Pixels, step_deg: float) -> tuple[View, Sun]:
    """Four views of each pixel, one quarter after the other."""
    quarter = step_deg / 4.0
    east = np.concatenate([pixels.lon + one * quarter for one in (-1.0, 1.0, -1.0, 1.0)])
    north = np.concatenate([pixels.lat + one * quarter for one in (-1.0, -1.0, 1.0, 1.0)])
    column, row = np.tile(pixels.column, 4), np.tile(pixels.row, 4)
    places = Pixels(column, row, east, north, east, north, (*pixels.key, "quarters"))
    # Clouds are dear, and much larger than a pixel.
    cloud = np.tile(cloud_density(pixels.lon, pixels.lat, scene.at_ms), 4)
    return view(scene, places, far=True, cloud=cloud), sunlight(scene, places)


def _mean(values: Floats) -> Floats:
    quarters = values.reshape(4, -1)
    return np.asarray((quarters[0] + quarters[1] + (quarters[2] + quarters[3])) * 0.25)


def _measured(
    name: str,
    table: Mapping[str, tuple[float, float]],
    looked: tuple[View, Sun],
    scene: Scene,
    pixels: Pixels,
) -> Floats:
    """Reflectance at the top of the air; nothing at night."""
    seen, light = looked
    value = _mean(np.where(light.up > _DARK, top_of_air(seen, table[name][0]), 0.0))
    noise = sensor_noise(specks(pixels, scene), list(table).index(name))
    gases = _GASES.get(name, 1.0) if table is _OLCI else 1.0
    return _digits(np.maximum(value * gases * (1.0 + 0.003 * noise), 0.0), 1e6)


def _digits(value: Floats, scale: float) -> Floats:
    return np.asarray(np.floor(value.astype(np.float64) * scale + 0.5) / scale)


@dataclass(frozen=True, slots=True)
class Olci:
    """Colours, level 1."""

    bands: Mapping[str, Band] = field(default_factory=_olci_bands)
    no_data: float = 0.0

    def measure(self, scene: Scene, names: Sequence[str], pixels: Pixels) -> dict[str, Floats]:
        """Values in the first unit of each band."""
        if self.bands[names[0]].resolution_m == _TIE_M:
            return _tie_points(scene, names, pixels)
        looked = _over(scene, pixels, 300.0 / 108_000.0)
        return {
            name: _flags(looked[0])
            if name == "QUALITY_FLAGS"
            else _measured(name, _OLCI, looked, scene, pixels)
            for name in names
        }


def _tie_points(scene: Scene, names: Sequence[str], pixels: Pixels) -> dict[str, Floats]:
    """Angles and weather, as they are known at few points."""
    zenith, azimuth = angles(sun(pixels.lon, pixels.lat, scene.at_ms))
    seen = view(scene, pixels, far=True)
    west, _, east, _ = scene.box
    across = (pixels.x - west) / (east - west) - 0.35
    wet, celsius = seen.ground.wet, seen.cover.celsius
    vapour = np.maximum(6.0 + 0.9 * np.maximum(celsius, -4.0) * (0.4 + 0.8 * wet), 1.0)
    values = {
        "SZA": zenith,
        "SAA": azimuth,
        "VZA": np.minimum(75.0 * np.abs(across), 55.0),
        "VAA": np.where(across > 0.0, -78.0, 102.0),
        "HUMIDITY": np.minimum(np.maximum(35.0 + 45.0 * wet + 20.0 * seen.veil, 5.0), 100.0),
        "SEA_LEVEL_PRESSURE": 1_018.0 - 9.0 * np.minimum(np.maximum(seen.cloud, -1.5), 1.5),
        "TOTAL_COLUMN_OZONE": 0.0057 + 0.0016 * smoothstep((np.abs(pixels.lat) - 15.0) / 50.0),
        "TOTAL_COLUMN_WATER_VAPOUR": vapour,
    }
    return {name: _digits(values[name], 1e5) for name in names}


def _flags(seen: View) -> Floats:
    """Land, lakes, coasts, and what is bright."""
    water = _mean(seen.cover.water.astype(np.float64))
    bright = _mean(top_of_air(seen, 0.443)) > 0.25
    inland = _mean((seen.ground.height_m > 0.0).astype(np.float64)) > 0.5
    bits = np.where(water < 0.5, _LAND, 0) | np.where((water > 0.0) & (water < 1.0), _COASTLINE, 0)
    bits = bits | np.where((water >= 0.5) & inland, _FRESH, 0) | np.where(bright, _BRIGHT, 0)
    return bits.astype(np.float64)


_Index = Callable[[View], Floats]


def _green(seen: View) -> Floats:
    return np.minimum(np.maximum((greenness(seen) - 0.08) * 1.1, 0.0), 1.0)


def _chlorophyll(seen: View) -> Floats:
    """Logarithm of milligrams per cubic metre: more of it near coasts."""
    near = smoothstep(1.0 - np.abs(seen.ground.height_m) / 120.0)
    return np.asarray(-0.9 + 1.4 * near + 0.15 * seen.ground.grain[0])


def _vapour(seen: View) -> Floats:
    return np.asarray(
        np.maximum(6.0 + 0.9 * np.maximum(seen.cover.celsius, -4.0) * seen.ground.wet, 1.0)
    )


def _land_flags(seen: View) -> Floats:
    """Water, land, cloud and snow: bits 1 to 4."""
    cover = seen.cover
    bits = np.where(cover.water, 2, 4) | np.where(seen.cloud > 0.0, 8, 0)
    return (bits | np.where(cover.snow > 0.5, 16, 0)).astype(np.float64)


# Name, unit, where it is known (on land, on water, everywhere), and how it is reckoned.
_PRODUCTS: dict[str, tuple[str, str, _Index]] = {
    "GIFAPAR": ("FRACTION", "land", _green),
    "IWV_L": ("KG_M2", "all", _vapour),
    "OTCI": ("INDEX", "land", lambda seen: 1.0 + 4.2 * _green(seen)),
    "RC681": ("REFLECTANCE", "land", lambda seen: surface(seen, 0.681)),
    "RC865": ("REFLECTANCE", "land", lambda seen: surface(seen, 0.865)),
    "LQSF": ("DN", "all", _land_flags),
    "IWV_W": ("KG_M2", "all", _vapour),
    "CHL_OC4ME": ("LOG10_MG_M3", "water", _chlorophyll),
    "TSM_NN": ("LOG10_G_M3", "water", lambda seen: _chlorophyll(seen) + 0.3),
    "PAR": ("MICRO_EINSTEIN_M2", "water", lambda seen: 1_500.0 * (1.0 - 0.6 * seen.veil)),
    "KD490_M07": ("LOG10_M_1", "water", lambda seen: 0.7 * _chlorophyll(seen) - 0.8),
    "A865": ("INDEX", "water", lambda seen: 1.2 + 0.2 * seen.ground.grain[0]),
    "T865": ("OPTICAL_DEPTH", "water", lambda seen: 0.08 + 0.2 * seen.cirrus),
    "CHL_NN": ("LOG10_MG_M3", "water", lambda seen: _chlorophyll(seen) + 0.05),
    "ADG443_NN": ("LOG10_M_1", "water", lambda seen: _chlorophyll(seen) - 0.6),
}
# Bands without those in which gases take the light.
_WATER_COLOURS = tuple(name for name in _OLCI if name not in (*_GASES, "B14"))


def _products_bands() -> dict[str, Band]:
    kinds = {
        name: Band({unit: 1.0}, 300.0, "UINT32" if unit == "DN" else "FLOAT32")
        for name, (unit, _, _) in _PRODUCTS.items()
    }
    return {
        **kinds,
        **{name: Band({"REFLECTANCE": 1.0}, 300.0, "FLOAT32") for name in _WATER_COLOURS},
    }


@dataclass(frozen=True, slots=True)
class OlciProducts:
    """What colours reveal, level 2; nothing under clouds."""

    bands: Mapping[str, Band] = field(default_factory=_products_bands)
    no_data: float = 0.0

    def measure(self, scene: Scene, names: Sequence[str], pixels: Pixels) -> dict[str, Floats]:
        """Values, and NaN where a product has none."""
        seen = view(scene, pixels, far=True)
        return {name: self._one(name, seen) for name in names}

    def _one(self, name: str, seen: View) -> Floats:
        if name in _WATER_COLOURS:
            kind, value = "water", surface(seen, _OLCI[name][0])
        else:
            _unit, kind, reckon = _PRODUCTS[name]
            value = reckon(seen)
        if kind == "all":
            return _digits(value, 1e5)
        known = (seen.cover.water == (kind == "water")) & (seen.cloud <= 0.0)
        return np.where(known, _digits(value, 1e5), float("nan"))


@dataclass(frozen=True, slots=True)
class Slstr:
    """Reflectances by day, temperatures always."""

    bands: Mapping[str, Band] = field(default_factory=_slstr_bands)
    no_data: float = 0.0

    def measure(self, scene: Scene, names: Sequence[str], pixels: Pixels) -> dict[str, Floats]:
        """Values in the first unit of each band."""
        resolution = self.bands[names[0]].resolution_m
        looked = _over(scene, pixels, resolution / 108_000.0)
        return {
            name: _measured(name, _SLSTR, looked, scene, pixels)
            if name in _SLSTR
            else _digits(_mean(brightness_kelvin(*looked, _HEAT[name])), 1e3)
            for name in names
        }


OLCI = Olci()
OLCI_PRODUCTS = OlciProducts()
SLSTR = Slstr()
