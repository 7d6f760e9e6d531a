"""
Sentinel-5P: columns of gases, aerosols and clouds, smooth over many kilometres.

Towns send nitrogen dioxide and formaldehyde, ozone grows with latitude and in spring, dust comes
from deserts. What clouds hide was not measured. Source: Sentinel-5P Level 2 Product User Manuals
(units and usual ranges).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from shplan.sandbox.imagery.grid import Pixels
from shplan.sandbox.imagery.lattice import ball, chart, octaves
from shplan.sandbox.imagery.optical import sensor_noise, specks
from shplan.sandbox.imagery.sensor import Band
from shplan.sandbox.imagery.terrain import climate
from shplan.sandbox.scenes.clouds import DAY_MS, cloud_density
from shplan.sandbox.scenes.noise import Floats, sine_of_turns, smoothstep
from shplan.sandbox.scenes.scene import Scene

_RESOLUTION_M = 5_400.0
_UNITS = {
    "CO": "MOL_M2", "HCHO": "MOL_M2", "NO2": "MOL_M2", "O3": "MOL_M2", "SO2": "MOL_M2",
    "CH4": "PPB", "AER_AI_340_380": "INDEX", "AER_AI_354_388": "INDEX",
    "CLOUD_BASE_PRESSURE": "PASCALS", "CLOUD_TOP_PRESSURE": "PASCALS",
    "CLOUD_BASE_HEIGHT": "METERS", "CLOUD_TOP_HEIGHT": "METERS",
    "CLOUD_OPTICAL_THICKNESS": "OPTICAL_DEPTH", "CLOUD_FRACTION": "FRACTION",
}  # fmt: skip
_BANDS = {name: Band({unit: 1.0}, _RESOLUTION_M, "FLOAT32") for name, unit in _UNITS.items()}
_NOT_MEASURED = float("nan")
# Quality of what was measured, in percent: an unlisted band of what hides nothing by itself.
QUALITY = "QA"
# By product: the density of cloud, and the quality that a measurement has under it; 50 and 0.32 else.
_LIMITS = {"NO2": (0.32, 75.0), "CH4": (-0.05, 50.0), "AER_AI": (1.5, 50.0), "CLOUD": (2.0, 50.0)}
_QUALITY_PER_DENSITY = 60.0


def product_of(band: str) -> str:
    """The product that a band is part of, as the catalogue's `s5p:type` spells it."""
    return next((one for one in ("AER_AI", "CLOUD") if band.startswith(one)), band)


@dataclass(frozen=True, slots=True)
class _Air:
    """What the air is made of at places."""

    cloud: Floats
    people: Floats
    wet: Floats
    height_m: Floats
    lat: Floats
    season: Floats
    drift: Floats
    noise: Floats


@dataclass(frozen=True, slots=True)
class Tropomi:
    """
    The instrument; a scene has one product, and nothing of the others.

    Args:
        hides: whether what clouds made doubtful is left out; else `QUALITY` tells of it
    """

    bands: Mapping[str, Band] = field(default_factory=lambda: _BANDS)
    no_data: float = 0.0
    hides: bool = True

    def measure(self, scene: Scene, names: Sequence[str], pixels: Pixels) -> dict[str, Floats]:
        """Values, and NaN where there are none."""
        air = _air(scene, pixels)
        product = str(scene.properties["s5p:type"])
        nothing = np.full(pixels.lon.shape, _NOT_MEASURED)
        return {
            name: _quality(product, air)
            if name == QUALITY
            else _one(name, air, hides=self.hides)
            if product_of(name) == product
            else nothing
            for name in names
        }


def _air(scene: Scene, pixels: Pixels) -> _Air:
    days = scene.at_ms / DAY_MS
    base, people, wet = climate(*chart(pixels.lon, pixels.lat))
    drifted = ball(pixels.lon - 2.0 * (days % 180.0), pixels.lat) + 0.05 * (days % 1000.0)
    year = float(sine_of_turns(np.array((scene.at_ms / DAY_MS - 110.0) / 365.2425)))
    return _Air(
        cloud=cloud_density(pixels.lon, pixels.lat, scene.at_ms),
        people=people,
        wet=wet,
        height_m=np.maximum(base, 0.0),
        lat=pixels.lat,
        season=np.where(pixels.lat < 0.0, -year, year),
        drift=octaves(drifted, 900.0, 4, 97, 0.55),
        noise=sensor_noise(specks(pixels, scene), 0).astype(np.float64),
    )


def _one(name: str, air: _Air, *, hides: bool) -> Floats:
    product, value = product_of(name), _VALUES[name](air)
    hidden = np.zeros(air.cloud.shape, dtype=np.bool_)
    if product == "CLOUD" and name != "CLOUD_FRACTION":
        hidden = air.cloud <= 0.0
    elif hides:
        hidden = _quality(product, air) < _limit(product)[1]
    # Eight digits, so that the last ones of a machine are not seen.
    return np.where(hidden, _NOT_MEASURED, np.floor(value * 1e8 + 0.5) / 1e8)


def _limit(product: str) -> tuple[float, float]:
    return _LIMITS.get(product, (0.32, 50.0))


def _quality(product: str, air: _Air) -> Floats:
    """Percent: the less, the more cloud there is."""
    limit, at_limit = _limit(product)
    value = at_limit + _QUALITY_PER_DENSITY * (limit - air.cloud)
    return np.minimum(np.maximum(value, 0.0), 100.0)


def _no2(air: _Air) -> Floats:
    towns = smoothstep((air.people + 0.15) * 1.3)
    winter = 1.0 - 0.3 * air.season
    value = 1.6e-5 + 1.5e-4 * towns * towns * winter * (1.0 + 0.5 * air.drift)
    return np.asarray(value + 7e-6 * air.noise)


def _co(air: _Air) -> Floats:
    spring = 1.0 - 0.12 * air.season
    north = 0.004 * smoothstep((air.lat + 30.0) / 80.0)
    thin = 1.0 - 0.1 * air.height_m / 1_000.0
    towns = 0.004 * smoothstep(air.people)
    return np.asarray(
        (0.029 + north + towns + 0.004 * air.drift) * spring * thin + 1e-3 * air.noise
    )


def _hcho(air: _Air) -> Floats:
    alive = air.wet * (0.6 + 0.4 * air.season)
    return np.asarray(6e-5 + 1.3e-4 * alive * (1.0 + 0.4 * air.drift) + 6e-5 * air.noise)


def _o3(air: _Air) -> Floats:
    high = smoothstep((np.abs(air.lat) - 15.0) / 50.0)
    return np.asarray(0.118 + 0.035 * high * (1.0 - 0.35 * air.season) + 0.006 * air.drift)


def _so2(air: _Air) -> Floats:
    source = smoothstep((air.people - 0.35) * 2.0)
    return np.asarray(4e-5 + 4e-4 * source * (1.0 + 0.5 * air.drift) + 2.2e-4 * air.noise)


def _ch4(air: _Air) -> Floats:
    marsh = 22.0 * air.wet + 12.0 * smoothstep(air.people)
    north = 30.0 * smoothstep((air.lat + 40.0) / 100.0)
    return np.asarray(
        1835.0 + north + marsh - 0.012 * air.height_m + 9.0 * air.drift + 6 * air.noise
    )


def _dust(offset: float, air: _Air) -> Floats:
    dust = smoothstep(0.5 + air.drift) * smoothstep((0.35 - air.wet) * 3.0)
    return np.asarray(-1.1 + offset + 2.6 * dust + 0.35 * air.drift + 0.18 * air.noise)


def _top_m(air: _Air) -> Floats:
    thick = np.maximum(air.cloud, 0.0)
    return np.asarray(1_800.0 + 6_500.0 * thick + 900.0 * air.drift)


def _base_m(air: _Air) -> Floats:
    return np.asarray(np.maximum(0.62 * _top_m(air) - 300.0, 150.0))


def _pressure(height_m: Floats) -> Floats:
    """Pascals at a height, by a rational likeness of the barometric formula."""
    scaled = height_m / 8_000.0
    return np.asarray(
        101_325.0 / (1.0 + scaled + 0.5 * scaled * scaled + scaled * scaled * scaled / 6.0)
    )


_VALUES: Mapping[str, Callable[[_Air], Floats]] = {
    "NO2": _no2,
    "CO": _co,
    "HCHO": _hcho,
    "O3": _o3,
    "SO2": _so2,
    "CH4": _ch4,
    "AER_AI_340_380": lambda air: _dust(0.0, air),
    "AER_AI_354_388": lambda air: _dust(0.45, air),
    "CLOUD_BASE_PRESSURE": lambda air: _pressure(_base_m(air)),
    "CLOUD_TOP_PRESSURE": lambda air: _pressure(_top_m(air)),
    "CLOUD_BASE_HEIGHT": _base_m,
    "CLOUD_TOP_HEIGHT": _top_m,
    "CLOUD_OPTICAL_THICKNESS": lambda air: 3.0 + 40.0 * np.maximum(air.cloud, 0.0),
    "CLOUD_FRACTION": lambda air: smoothstep((air.cloud + 0.12) * 3.0),
}
