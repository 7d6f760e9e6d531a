"""
What the options of a data set do to the numbers of a public collection before anybody resamples them.

Source: the pages on the collections and the schemas `*Processing` and `DEMFiltering`; Sentinel-2 processing
baseline 04.00 (its offset); D. Small, "Flattening gamma", 2011 (coefficients of backscatter).
"""

# ruff: noqa: EM102, TRY003  the texts are answers, and functions make the errors

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from shplan.sandbox import geoid
from shplan.sandbox.errors import RENDERER_EXCEPTION, ApiError, violation
from shplan.sandbox.geometry import WGS84
from shplan.sandbox.imagery import reading
from shplan.sandbox.imagery.grid import cells_at, pixels, step_of
from shplan.sandbox.imagery.lattice import METRES_PER_DEG
from shplan.sandbox.imagery.sentinel1 import incidence_deg, nearer_m, to_sensor
from shplan.sandbox.imagery.sentinel5p import QUALITY
from shplan.sandbox.scenes.instants import ms
from shplan.sandbox.scenes.noise import sine_of_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from shplan.sandbox.process_requests import DataSet
    from shplan.sandbox.scenes.scene import Scene
    from shplan.sandbox.wire import JsonObject

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

RADAR = "sentinel-1-grd"
POWERS = frozenset({"VV", "VH", "HH", "HV"})
_BASELINE_4_MS, _OFFSET_DN = ms("2022-01-25"), 1000.0
_FIRST_BAND = "B"
_ELLIPSOID, _TERRAIN = "GAMMA0_ELLIPSOID", "GAMMA0_TERRAIN"
_AREA = "scatteringArea"
# Bands that come with the correction of positions, and with that of slopes.
_ORTHO_BANDS, _FLAT_BANDS = {"localIncidenceAngle"}, {_AREA, "shadowMask"}
_SLOPES = {"localIncidenceAngle", _AREA, "shadowMask"}
_MAPZEN, _COPERNICUS_90 = "MAPZEN", "COPERNICUS_90"
# Metres between the points of a model that is coarser than the images; and between those at which slopes are told
# without any oversampling: with the default they are told at each native pixel.
_POSTING_M = {"COPERNICUS": 30.0, "COPERNICUS_30": 30.0, _COPERNICUS_90: 90.0}
_UNSAMPLED_M = 20.0
# How often the place that is seen is corrected by the height there, and the square of places of a mean height.
_STEPS, _PLACES = 2, 5
# Near a pole no pixel is narrower than this part of one at the equator.
_NARROWEST = 0.05
# Source: SLSTR User Guide: the oblique view is at 55 degrees, three quarters more air than straight down. What
# that air takes of heat, and the part of light that it scatters towards the sensor, which is as bright as haze.
_COLDER_K = {"S7": 0.7, "S8": 1.6, "S9": 3.0, "F1": 0.7, "F2": 1.6}
_HAZE, _HAZE_IS = {"S1": 0.06, "S2": 0.04, "S3": 0.02, "S5": 0.01}, 0.35
# Source: page of Sentinel-5P.
_MIN_QA = {"NO2": 75.0}
_DEFAULT_MIN_QA = 50.0


@dataclass(frozen=True, slots=True)
class Lee:
    """A filter of speckle: columns and rows of its window, in pixels of the source."""

    across: int
    down: int


@dataclass(frozen=True, slots=True)
class Options:
    """
    What a data set asks for beside scenes.

    Args:
        harmonizes: whether numbers are as they were before the offset of newer baselines
        coefficient: of backscatter
        is_ortho: whether radar images are corrected for the ground
        elevation: which model of it
        clamps: whether there is nothing below the sea
        is_ellipsoidal: whether heights are those above the ellipsoid
        min_qa: percent; none: the default of each product
        is_oblique: whether the sensor looks ahead, through more air
        terrain: which model of elevation radar images are corrected by
        oversampling: how much finer than its slopes that model is sampled
    """

    harmonizes: bool = True
    coefficient: str = _ELLIPSOID
    is_ortho: bool = False
    speckle: Lee | None = None
    elevation: str = _MAPZEN
    clamps: bool = False
    is_ellipsoidal: bool = False
    min_qa: float | None = None
    is_oblique: bool = False
    terrain: str = _MAPZEN
    oversampling: float = 2.0


def options_of(data: DataSet, *, place: str) -> Options:
    """
    The options of a data set.

    Args:
        place: of the data set in the body, for refusals

    Raises:
        ApiError: 400, they do not fit together
    """
    said = cast("JsonObject", data.content.get("processing", {}))
    chosen = cast("JsonObject", data.content.get("dataFilter", {}))
    coefficient, is_ortho = str(said.get("backCoeff", _ELLIPSOID)), bool(said.get("orthorectify"))
    if coefficient == _TERRAIN and not is_ortho:
        raise violation(
            f"{place}->processing->backCoeff", f"{_TERRAIN} needs orthorectify to be true"
        )
    speckle = cast("JsonObject", said.get("speckleFilter", {}))
    is_lee = speckle.get("type") == "LEE"
    min_qa = said.get("minQa")
    return Options(
        harmonizes=said.get("harmonizeValues", True) is not False,
        coefficient=coefficient,
        is_ortho=is_ortho,
        speckle=Lee(_side(speckle, "windowSizeX"), _side(speckle, "windowSizeY"))
        if is_lee
        else None,
        elevation=str(chosen.get("demInstance", _MAPZEN)),
        clamps=bool(said.get("clampNegative")),
        is_ellipsoidal=bool(said.get("egm")),
        min_qa=None if min_qa is None else float(cast("float", min_qa)),
        is_oblique=said.get("view") == "OBLIQUE",
        terrain=str(said.get("demInstance", _MAPZEN)),
        oversampling=float(cast("float", said.get("radiometricTerrainOversampling", 2.0))),
    )


def _side(speckle: JsonObject, name: str) -> int:
    return int(cast("float", speckle[name]))


def check_bands(bands: Sequence[str], options: Options) -> None:
    """
    Refuse bands of radar images that come with a correction only.

    Raises:
        ApiError: 400
    """
    for name in bands:
        if name in _ORTHO_BANDS and not options.is_ortho:
            raise _refused(f"Band {name} needs orthorectify to be true.")
        if name in _FLAT_BANDS and options.coefficient != _TERRAIN:
            raise _refused(f"Band {name} needs backCoeff to be {_TERRAIN}.")


def _refused(message: str) -> ApiError:
    return ApiError(400, RENDERER_EXCEPTION, f"Invalid script! {message}")


def resolution_m(name: str, collection: str, options: Options) -> float:
    """The side of the native pixels of a band."""
    if collection == "dem" and options.elevation == _COPERNICUS_90:
        return 90.0
    return reading.bands(collection)[name].resolution_m


@dataclass(frozen=True, slots=True)
class Native:
    """Native pixels of a scene in a row, by their numbers."""

    scene: Scene
    resolution_m: float
    column: Ints
    row: Ints

    @property
    def x(self) -> Floats:
        """Centres in the CRS of the scene."""
        step = step_of(self.scene.epsg, self.resolution_m)
        return np.asarray((self.column + 0.5) * step, dtype=np.float64)

    @property
    def y(self) -> Floats:
        """Centres in the CRS of the scene."""
        step = step_of(self.scene.epsg, self.resolution_m)
        return np.asarray((self.row + 0.5) * step, dtype=np.float64)

    def measured(self, names: Sequence[str]) -> dict[str, Floats]:
        """The stored numbers of bands."""
        return reading.measured(self.scene, names, self.column, self.row, self.resolution_m)


def numbers(native: Native, units: Mapping[str, str], options: Options) -> dict[str, Floats]:
    """
    Bands in their units, NaN where a scene has none of them.

    Args:
        units: of each band; all of them have the resolution of the pixels
    """
    collection = native.scene.collection
    made = _MAKERS.get(collection, _plain)(native, units, options)
    known = reading.bands(collection)
    return {name: made[name] / known[name].scales[unit] for name, unit in units.items()}


def _plain(native: Native, units: Mapping[str, str], _options: Options) -> dict[str, Floats]:
    return native.measured(list(units))


def _optical(native: Native, units: Mapping[str, str], options: Options) -> dict[str, Floats]:
    """
    Stored numbers of Sentinel-2 are those without offset.

    Source: page of Sentinel-2, "Harmonize values": reflectance is what it is with and without.
    """
    made = native.measured(list(units))
    if options.harmonizes or native.scene.at_ms < _BASELINE_4_MS:
        return made
    return {
        name: value + _OFFSET_DN if name.startswith(_FIRST_BAND) and units[name] == "DN" else value
        for name, value in made.items()
    }


def _radar(native: Native, units: Mapping[str, str], options: Options) -> dict[str, Floats]:
    """Power is measured as gamma nought over the ellipsoid."""
    asked = [*units, _AREA] if options.coefficient == _TERRAIN and _AREA not in units else [*units]
    seen = native if options.is_ortho else displaced(native)
    made = seen.measured(asked)
    if slopes := [name for name in asked if name in _SLOPES]:
        made |= _on_model(native, slopes, options)
    received = cast("list[str]", native.scene.properties["sar:polarizations"])
    factor = _factor(native, made, options.coefficient)
    for name in POWERS.intersection(units):
        power = np.floor(made[name] * factor * 1e6 + 0.5) / 1e6
        made[name] = power if name in received else np.full(power.shape, np.nan)
    return made


def displaced(native: Native) -> Native:
    """
    The ground that is seen at the pixels of a radar image that is not corrected for it.

    What is higher than the image is taken to be answers sooner, and is taken for something nearer to the sensor.
    Source: ESA, Sentinel-1 Product Definition (ground range by a height of the product).
    """
    scene, side = native.scene, native.resolution_m
    if not len(native.column):
        return native
    (east, north), (across, along) = to_sensor(scene), _sides_m(native)
    nearer, level_m = nearer_m(scene, native.x), _level_m(scene, side)
    column, row = native.column, native.row
    for _ in range(_STEPS):
        shift_m = (reading.heights(scene, column, row, side) - level_m) * nearer
        column = native.column - np.floor(shift_m * east / across + 0.5).astype(np.int64)
        row = native.row - np.floor(shift_m * north / along + 0.5).astype(np.int64)
    return Native(scene, side, column, row)


def _sides_m(native: Native) -> tuple[Floats, float]:
    """Width and height of pixels on the ground."""
    step = step_of(native.scene.epsg, native.resolution_m)
    if native.scene.epsg != WGS84:
        return np.full(native.column.shape, step), step
    narrower = np.maximum(sine_of_turns(native.y / 360.0 + 0.25), _NARROWEST)
    return np.asarray(step * METRES_PER_DEG * narrower), step * METRES_PER_DEG


def _level_m(scene: Scene, side: float) -> float:
    """The height that the ground of a whole image is taken to have: a mean of some places of it."""
    west, south, east, north = scene.box
    parts = (np.arange(_PLACES) + 0.5) / _PLACES
    x, y = np.meshgrid(west + parts * (east - west), south + parts * (north - south))
    column, row = cells_at(scene.epsg, x.ravel(), y.ravel(), side)
    return math.floor(float(np.sum(reading.heights(scene, column, row, side))) / _PLACES**2)


def _on_model(native: Native, names: Sequence[str], options: Options) -> dict[str, Floats]:
    """What comes of slopes, as far apart as the model of elevation is sampled."""
    side = max(_POSTING_M.get(options.terrain, 0.0), _UNSAMPLED_M / options.oversampling)
    if side == native.resolution_m:
        return native.measured(names)
    cells = cells_at(native.scene.epsg, native.x, native.y, side)
    return Native(native.scene, side, *cells).measured(names)


def _factor(native: Native, made: Mapping[str, Floats], coefficient: str) -> Floats | float:
    if coefficient == _ELLIPSOID:
        return 1.0
    if coefficient == _TERRAIN:
        return np.asarray(1.0 / made[_AREA])
    angle = np.radians(incidence_deg(native.scene, native.x))
    if coefficient == "SIGMA0_ELLIPSOID":
        return np.asarray(np.cos(angle))
    return np.asarray(np.cos(angle) / np.sin(angle))


def _elevation(native: Native, units: Mapping[str, str], options: Options) -> dict[str, Floats]:
    """Only one of the models knows the floor of the sea."""
    height = native.measured(["DEM"])["DEM"]
    if options.elevation != _MAPZEN or options.clamps:
        height = np.maximum(height, 0.0)
    if options.is_ellipsoidal and len(height):
        at = pixels(native.scene.epsg, native.column, native.row, native.resolution_m)
        height = height + geoid.undulation_m(at.lon, at.lat)
    return dict.fromkeys(units, height)


def _gases(native: Native, units: Mapping[str, str], options: Options) -> dict[str, Floats]:
    made = native.measured([*units, QUALITY])
    product = str(native.scene.properties["s5p:type"])
    least = _MIN_QA.get(product, _DEFAULT_MIN_QA) if options.min_qa is None else options.min_qa
    hidden = made[QUALITY] < least
    return {name: np.where(hidden, np.nan, made[name]) for name in units}


def _temperatures(native: Native, units: Mapping[str, str], options: Options) -> dict[str, Floats]:
    """Seen ahead, what is warm is a little colder, and what is dark a little brighter."""
    made = native.measured(list(units))
    if not options.is_oblique:
        return made
    return {
        name: value - _COLDER_K[name]
        if name in _COLDER_K
        else value + _HAZE.get(name, 0.0) * np.maximum(_HAZE_IS - value, 0.0)
        for name, value in made.items()
    }


_MAKERS: Mapping[str, Callable[[Native, Mapping[str, str], Options], dict[str, Floats]]] = {
    "sentinel-2-l1c": _optical,
    "sentinel-2-l2a": _optical,
    RADAR: _radar,
    "sentinel-3-slstr": _temperatures,
    "sentinel-5p-l2": _gases,
    "dem": _elevation,
}
