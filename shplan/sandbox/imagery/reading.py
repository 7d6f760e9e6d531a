"""
Reading: bands of a scene at places, each from the native pixel that the place is in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from shplan.sandbox.imagery import (
    dem,
    landsat,
    sentinel1,
    sentinel2,
    sentinel3,
    sentinel3_land,
    sentinel5p,
)
from shplan.sandbox.imagery.grid import (
    Pixels,
    cells_at,
    centres,
    inside,
    near,
    pixels,
    to_plane,
    window,
)
from shplan.sandbox.imagery.lattice import Ints, strips_of
from shplan.sandbox.imagery.sensor import Band, Sensor
from shplan.sandbox.scenes.noise import Floats
from shplan.sandbox.scenes.scene import Scene

DATA_MASK = "dataMask"
_SENSORS: Mapping[str, Sensor] = {
    "sentinel-2-l1c": sentinel2.L1C,
    "sentinel-2-l2a": sentinel2.L2A,
    "sentinel-1-grd": sentinel1.Radar(),
    "landsat-ot-l1": landsat.L1,
    "landsat-ot-l2": landsat.L2,
    "sentinel-3-olci": sentinel3.OLCI,
    "sentinel-3-olci-l2": sentinel3.OLCI_PRODUCTS,
    "sentinel-3-slstr": sentinel3.SLSTR,
    "sentinel-3-slstr-l2": sentinel3_land.LAND_TEMPERATURE,
    "sentinel-3-synergy-l2": sentinel3_land.SYNERGY,
    "sentinel-5p-l2": sentinel5p.Tropomi(),
    "dem": dem.Elevation(),
}
# Those that leave nothing out, for who chooses what is left out.
_WHOLE: Mapping[str, Sensor] = {
    "sentinel-5p-l2": sentinel5p.Tropomi(hides=False),
    "dem": dem.Elevation(has_floor=True),
}
# So many pixels at once fit a processor's own memory.
_BLOCK = 16_384
_SIDE = 128


def bands(collection: str) -> Mapping[str, Band]:
    """
    The bands of a public collection by name, `dataMask` not among them.

    Raises:
        KeyError: no such collection
    """
    return _SENSORS[collection].bands


def measured(
    scene: Scene, names: Sequence[str], column: Ints, row: Ints, resolution_m: float
) -> dict[str, Floats]:
    """
    The stored numbers of bands at native pixels in a row, be they inside the footprint or not.

    Nothing is left out: elevations have the floor of the sea, and gases what clouds made doubtful.

    Args:
        names: of bands with this resolution; of Sentinel-5P also `sentinel5p.QUALITY`
    """
    if not len(column):
        return {name: np.empty(0) for name in names}
    sensor = _WHOLE.get(scene.collection) or _SENSORS[scene.collection]
    return _group(sensor, scene, names, column, row, resolution_m)


def heights(scene: Scene, column: Ints, row: Ints, resolution_m: float) -> Floats:
    """Metres above the sea at native pixels of a scene of any collection; the sea is level."""
    if not len(column):
        return np.empty(0)
    return _group(_SENSORS["dem"], scene, ("DEM",), column, row, resolution_m)["DEM"]


def no_data(collection: str) -> float:
    """What bands of a collection are where there are no data."""
    return _SENSORS[collection].no_data


def read(
    scene: Scene,
    names: Sequence[str],
    lon: Floats,
    lat: Floats,
    units: Mapping[str, str],
) -> dict[str, Floats]:
    """
    Bands of a scene at places.

    Args:
        names: of bands; `dataMask` may be among them
        lon: degrees, of the shape of `lat`; as many dimensions as you like
        units: band to unit; bands that are not in it are given in their default unit

    Returns:
        arrays of the shape of `lon`, and `dataMask`, which is 1 inside the footprint; outside of it
        bands are 0, and NaN for Landsat

    Raises:
        KeyError: no such band, or not in that unit
    """
    sensor = _SENSORS[scene.collection]
    wanted = [name for name in names if name != DATA_MASK]
    divisors = {name: _divisor(sensor.bands[name], units.get(name)) for name in wanted}
    flat_lon, flat_lat = lon.ravel().astype(np.float64), lat.ravel().astype(np.float64)
    here = np.flatnonzero(near(scene, flat_lon, flat_lat))
    found: dict[str, Floats] = {}
    if here.size:
        x, y = _in_blocks(scene.epsg, flat_lon[here], flat_lat[here])
        finest = min(band.resolution_m for band in sensor.bands.values())
        seen = inside(scene, *centres(scene.epsg, *cells_at(scene.epsg, x, y, finest), finest))
        here, x, y = here[seen], x[seen], y[seen]
        for resolution in sorted({sensor.bands[name].resolution_m for name in wanted}):
            group = [name for name in wanted if sensor.bands[name].resolution_m == resolution]
            if here.size:
                column, row = cells_at(scene.epsg, x, y, resolution)
                found.update(_group(sensor, scene, group, column, row, resolution))
    answer = {DATA_MASK: np.zeros(flat_lon.shape)}
    answer[DATA_MASK][here] = 1.0
    for name in wanted:
        answer[name] = np.full(flat_lon.shape, sensor.no_data)
        if name in found:
            answer[name][here] = found[name] / divisors[name]
    return {name: values.reshape(lon.shape) for name, values in answer.items()}


def _divisor(band: Band, unit: str | None) -> float:
    return band.scales[band.units[0] if unit is None else unit]


def _in_blocks(epsg: int, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    parts = [
        to_plane(epsg, lon[at : at + _BLOCK], lat[at : at + _BLOCK])
        for at in range(0, len(lon), _BLOCK)
    ]
    x, y = (np.concatenate(one) for one in zip(*parts, strict=True))
    return x, y


def _group(
    sensor: Sensor,
    scene: Scene,
    names: Sequence[str],
    column: Ints,
    row: Ints,
    resolution: float,
) -> dict[str, Floats]:
    """
    Measure the native pixels that places are in.

    Where places are close, whole rectangles of pixels are measured, each pixel once.
    """
    west, south = int(column.min()), int(row.min())
    width, height = int(column.max()) - west + 1, int(row.max()) - south + 1
    measured: dict[str, Floats]
    if 3 * width * height <= 4 * len(column):
        measured = {name: np.empty((height, width)) for name in names}
        high, long = (math.ceil(one / max(1, round(one / _SIDE))) for one in (height, width))
        for down in range(0, height, high):
            for right in range(0, width, long):
                box = np.s_[down : down + high, right : right + long]
                tall, wide = measured[names[0]][box].shape
                block = window(scene.epsg, west + right, south + down, wide, tall, resolution)
                for name, values in _by_strips(sensor, scene, names, block).items():
                    measured[name][box] = values.reshape(tall, wide)
        index = (row - south) * width + (column - west)
        return {name: np.take(values, index) for name, values in measured.items()}
    parts: dict[str, list[Floats]] = {name: [] for name in names}
    for at in range(0, len(column), _BLOCK):
        block = pixels(scene.epsg, column[at : at + _BLOCK], row[at : at + _BLOCK], resolution)
        for name, values in _by_strips(sensor, scene, names, block).items():
            parts[name].append(values)
    return {name: np.concatenate(values, dtype=np.float64) for name, values in parts.items()}


def _by_strips(
    sensor: Sensor, scene: Scene, names: Sequence[str], block: Pixels
) -> dict[str, Floats]:
    """Measure what lies on each strip of the planet by itself."""
    strips = strips_of(block.lon)
    if strips.min() == strips.max():
        return sensor.measure(scene, names, block)
    joined = {name: np.empty(strips.shape) for name in names}
    for strip in np.unique(strips):
        here = np.flatnonzero(strips == strip)
        for name, values in sensor.measure(scene, names, block.some(here, float(strip))).items():
            joined[name][here] = values
    return joined
