"""
From scenes to samples: one mosaic (SIMPLE), one a day (ORBIT), or every scene by itself (TILE).

Source: the pages on mosaicking and on BYOC: where scenes overlap the first of the order is used, and where
that one has no data there are none. A day is one of UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from shplan.sandbox.areas import geojson
from shplan.sandbox.raster_sources import DATA_MASK, ORBIT, Layer, empty_layer
from shplan.sandbox.wire import instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shplan.sandbox.raster_sources import (
        Grid,
        Mask,
        Plane,
        RasterSource,
        Resampling,
        Scene,
    )
    from shplan.script.rendering import Json

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Sample:
    """
    What one sample of a pixel is made of.

    Args:
        scenes: in the order in which they are used; none: no data anywhere
        told: what the script hears of it
    """

    scenes: tuple[Scene, ...]
    told: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Reading:
    """
    How scenes of a source are read.

    Args:
        bands: that the script names, each with its unit; `dataMask` among them if it does
        inside: pixels within the polygon of the request; none: all
    """

    source: RasterSource
    bands: Mapping[str, str]
    grid: Grid
    resampling: Resampling
    inside: Mask | None


def samples_of(
    scenes: Sequence[Scene], mosaicking: str, *, with_bounds: bool = False
) -> list[Sample]:
    """
    The samples of ORBIT or TILE, in the order of the scenes; of SIMPLE what the script is told of each scene.

    Args:
        with_bounds: whether it is told where scenes lie
    """
    if mosaicking != ORBIT:
        return [Sample((scene,), _tile(scene, with_bounds=with_bounds)) for scene in scenes]
    days: dict[int | None, list[Scene]] = {}
    for scene in scenes:
        day = None if scene.at_ms is None else scene.at_ms // _DAY_MS
        days.setdefault(day, []).append(scene)
    return [
        Sample(tuple(found), _orbit(day, found, with_bounds=with_bounds))
        for day, found in days.items()
    ]


def _orbit(day: int | None, scenes: Sequence[Scene], *, with_bounds: bool) -> Mapping[str, Json]:
    # Without a sensing time there is no day; what scripts compute with it is from the beginning of time.
    begin = (day or 0) * _DAY_MS
    return {
        "dateFrom": _second(begin),
        "dateTo": _second(begin + _DAY_MS - 1000),
        "tiles": [dict(_tile(scene, with_bounds=with_bounds)) for scene in scenes],
    }


def _tile(scene: Scene, *, with_bounds: bool) -> Mapping[str, Json]:
    told: dict[str, Json] = {
        "date": _second(scene.at_ms or 0),
        "shId": scene.id,
        "dataPath": scene.data_path,
    }
    if scene.clouds is not None:
        told["cloudCoverage"] = scene.clouds()
    if with_bounds:
        # Which form they have, no page says: GeoJSON, and its sides.
        west, south, east, north = scene.footprint.bounds
        told["dataGeometry"] = cast("Json", geojson(scene.footprint))
        told["dataEnvelope"] = {"minX": west, "minY": south, "maxX": east, "maxY": north}
    return told


def _second(at_ms: int) -> str:
    text = instant(at_ms)
    return text.replace(".000Z", "Z")


def mosaic(reading: Reading, scenes: Iterable[Scene]) -> Layer:
    """
    One layer of several scenes, of which the first that covers a pixel is used.

    No more scenes are asked for than it takes.

    Raises:
        ApiError: 400, they cannot be found
        SourceError: a scene cannot be read
    """
    names = [name for name in reading.bands if name != DATA_MASK]
    units = {name: reading.bands[name] for name in names}
    made = empty_layer(reading.source, names, reading.grid)
    wanted = np.ones_like(made.covered) if reading.inside is None else reading.inside.copy()
    if not wanted.any():
        return made
    for scene in scenes:
        layer = reading.source.read(scene, units, reading.grid, reading.resampling, wanted=wanted)
        part = layer.window
        chosen = layer.covered & wanted[part]
        for name in names:
            np.copyto(made.planes[name][part], layer.planes[name], where=chosen, casting="unsafe")
        np.copyto(made.valid[part], layer.valid, where=chosen)
        made.covered[part] |= chosen
        wanted[part] &= ~chosen
        if not wanted.any():
            break
    return made


@dataclass(frozen=True, slots=True)
class Stack:
    """
    What a script reads of one data set.

    Args:
        planes: each band, (sample, row, column), `dataMask` as 0 and 1
        has_data: whether any pixel of any sample has data
    """

    planes: dict[str, Plane]
    has_data: bool


def stacked(reading: Reading, layers: Iterable[Layer], *, count: int) -> Stack:
    """So many layers as the planes of their bands."""
    shape = (count, reading.grid.height, reading.grid.width)
    found: dict[str, Plane] = {
        name: np.empty(shape, "uint8" if name == DATA_MASK else reading.source.bands[name].dtype)
        for name in reading.bands
    }
    has_data = False
    for number, layer in enumerate(layers):
        has_data = has_data or bool(layer.valid.any())
        for name, stack in found.items():
            stack[number] = layer.valid if name == DATA_MASK else layer.planes[name]
    return Stack(found, has_data)
