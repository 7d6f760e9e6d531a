"""
Sentinel-3, what is derived of both instruments: temperatures of the land, and its colours without the air.

Nothing is known under clouds, and temperatures of water are another product. Source: the pages on Sentinel-3 SLSTR L2
and Sentinel-3 SYN L2 of the Copernicus Data Space documentation (bands, units, resolutions); centres of bands
as in the User Guides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from shplan.sandbox.imagery.grid import Pixels
from shplan.sandbox.imagery.heat import surface_kelvin
from shplan.sandbox.imagery.optical import View, greenness, sunlight, surface, view
from shplan.sandbox.imagery.sensor import Band
from shplan.sandbox.imagery.sky import angles
from shplan.sandbox.scenes.noise import Floats, smoothstep
from shplan.sandbox.scenes.scene import Scene

# Centres of bands in micrometres: of the colour instrument, of the other one, and those of SPOT VEGETATION.
_COLOURS = {
    "B01": 0.400, "B02": 0.4125, "B03": 0.4425, "B04": 0.490, "B05": 0.510, "B06": 0.560, "B07": 0.620,
    "B08": 0.665, "B09": 0.67375, "B10": 0.68125, "B11": 0.70875, "B12": 0.75375, "B16": 0.77875,
    "B17": 0.865, "B18": 0.885, "B21": 1.020,
}  # fmt: skip
_HEAT_SENSOR = {"S1": 0.55447, "S2": 0.65947, "S3": 0.868, "S5": 1.6134, "S6": 2.2557}
_VEGETATION = {"B0": 0.450, "B2": 0.645, "B3": 0.835, "MIR": 1.665}
_OTHERS = {
    "NDVI": "INDEX", "OG": "ATMCM", "SAA": "DEGREES", "SZA": "DEGREES", "VAA": "DEGREES",
    "VZA": "DEGREES", "WVG": "GRAMS_CM2", "AG": "OPTICAL_DEPTH",
}  # fmt: skip
# Composites of ten days and of one day; the second has the index at the top of the air besides.
_TEN_DAYS, _ONE_DAY, _TOP_NDVI = "_V10", "_VG1", "TOA_NDVI_VG1"
_NIGHT = 0.03
# Bits of the flags that are set here, of those that the product has.
_LAND, _SNOW, _CLOUDY = 1 << 3, 1 << 13, 1 << 14


def _temperature_bands() -> dict[str, Band]:
    kelvins = {name: Band({"KELVIN": 1.0}, 1_000.0, "FLOAT32") for name in _KELVINS}
    flags = {
        name: Band({"DN": 1.0}, 1_000.0, kind)
        for name, kind in {
            "CLOUD": "UINT16", "BAYES": "UINT8", "POINTING": "UINT8", "CONFIDENCE": "UINT16",
        }.items()
    }  # fmt: skip
    return {**kelvins, "NDVI": Band({"INDEX": 1.0}, 1_000.0, "FLOAT32"), **flags}


_KELVINS = ("LST", "LST_uncertainty")


@dataclass(frozen=True, slots=True)
class LandTemperature:
    """Temperatures of the land, by day and night."""

    bands: Mapping[str, Band] = field(default_factory=_temperature_bands)
    no_data: float = 0.0

    def measure(self, scene: Scene, names: Sequence[str], pixels: Pixels) -> dict[str, Floats]:
        """Values, and NaN where a product has none."""
        seen = view(scene, pixels, far=True)
        kelvin = surface_kelvin(seen, sunlight(scene, pixels))
        known = ~seen.cover.water & (seen.cloud <= 0.0)
        cloudy = np.where(seen.cloud > 0.0, 1, 0)
        land, snow = ~seen.cover.water, seen.cover.snow > 0.5
        flags = np.where(land, _LAND, 0) | np.where(snow, _SNOW, 0) | cloudy * _CLOUDY
        values: dict[str, Floats] = {
            "LST": np.where(known, _digits(kelvin, 1e3), np.nan),
            "LST_uncertainty": np.where(known, _digits(0.6 + 2.0 * seen.cirrus, 1e3), np.nan),
            "NDVI": np.where(known, _digits(greenness(seen), 1e4), np.nan),
            "CLOUD": cloudy.astype(np.float64),
            "BAYES": (2.0 * cloudy).astype(np.float64),
            "POINTING": np.zeros(kelvin.shape),
            "CONFIDENCE": flags.astype(np.float64),
        }
        return {name: values[name] for name in names}


def _synergy_bands() -> dict[str, Band]:
    light = {"REFLECTANCE": 1.0}
    bands = {name: Band(light, 300.0, "FLOAT32") for name in _COLOURS}
    bands |= {name: Band(light, 500.0, "FLOAT32") for name in _HEAT_SENSOR}
    for ending in (_TEN_DAYS, _ONE_DAY):
        bands |= {f"{name}{ending}": Band(light, 1_000.0, "FLOAT32") for name in _VEGETATION}
        bands |= {
            f"{name}{ending}": Band({unit: 1.0}, 1_000.0, "FLOAT32")
            for name, unit in _OTHERS.items()
        }
    return {**bands, _TOP_NDVI: Band({"INDEX": 1.0}, 1_000.0, "FLOAT32")}


@dataclass(frozen=True, slots=True)
class Synergy:
    """Colours of the ground from both instruments, and composites as an older satellite made them."""

    bands: Mapping[str, Band] = field(default_factory=_synergy_bands)
    no_data: float = 0.0

    def measure(self, scene: Scene, names: Sequence[str], pixels: Pixels) -> dict[str, Floats]:
        """Values, and NaN under clouds and by night."""
        seen = view(scene, pixels, far=True)
        known = (seen.cloud <= 0.0) & (sunlight(scene, pixels).up > _NIGHT)
        found: dict[str, Floats] = {}
        for name in names:
            centre = _COLOURS.get(name) or _HEAT_SENSOR.get(name)
            plain = name.removesuffix(_TEN_DAYS).removesuffix(_ONE_DAY)
            centre = _VEGETATION.get(plain) if centre is None else centre
            value = _beside(plain, scene, seen, pixels) if centre is None else surface(seen, centre)
            found[name] = np.where(known, _digits(value, 1e5), np.nan)
        return found


def _beside(name: str, scene: Scene, seen: View, pixels: Pixels) -> Floats:
    """What composites say beside colours: the index, angles, and the air that was reckoned out."""
    if name in ("SZA", "SAA"):
        zenith, azimuth = angles(sunlight(scene, pixels))
        return np.broadcast_to(zenith if name == "SZA" else azimuth, pixels.lon.shape)
    west, _, east, _ = scene.box
    across = (pixels.x - west) / (east - west) - 0.35
    green = greenness(seen)
    values: dict[str, Floats] = {
        "NDVI": green,
        # Haze is alike in both bands, so that it takes a part of their difference.
        "TOA_NDVI": 0.85 * green,
        "VZA": np.minimum(75.0 * np.abs(across), 55.0),
        "VAA": np.where(across > 0.0, -78.0, 102.0),
        "OG": 0.26 + 0.07 * smoothstep((np.abs(pixels.lat) - 15.0) / 50.0),
        "WVG": np.maximum(0.6 + 0.09 * np.maximum(seen.cover.celsius, -4.0) * seen.ground.wet, 0.1),
        "AG": 0.08 + 0.2 * seen.cirrus,
    }
    return values[name]


def _digits(value: Floats, scale: float) -> Floats:
    return np.asarray(np.floor(value.astype(np.float64) * scale + 0.5) / scale)


LAND_TEMPERATURE = LandTemperature()
SYNERGY = Synergy()
