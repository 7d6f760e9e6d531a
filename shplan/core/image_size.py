"""
How large the raster of a request is: in pixels, and on the ground.

Source: API description, `ProcessRequest.output`: width and height, or resx and resy in units of
the CRS. A raster covers the bounding box, in the CRS of the request; its pixels are counted to
the nearest whole number (derived from the documentation's Statistical example: 544 m x 600 m at
20 m are 27 x 30).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, cast

from shplan.core.areas import DEGREES, NotAnAreaError, area_of
from shplan.core.geometry import crs_code, crs_of
from shplan.core.grids import aoi_of
from shplan.core.value import Object, Value

# Source: schemas of Process and Statistical: the size where none is stated.
ASSUMED_PX = 256
_SIZES = ("width", "height", "resx", "resy")
_KM_PER_DEGREE = 111.32


class ImageSize(NamedTuple):
    """Width and height in pixels, and how that is known, for people."""

    width_px: int
    height_px: int
    counted: str


@dataclass(frozen=True, slots=True)
class Sizing:
    """
    How large the rasters of the features of a file are.

    Args:
        stated: of the request, where the file says nothing: `width` and `height`, `resolution`,
            or `resx` and `resy`
        filtered: the request has an area, which may leave features out
        has_columns: the file may say the size of each feature
        to_nearest: pixels are counted to the nearest whole number; else a started one is whole
    """

    stated: Object
    filtered: bool = False
    has_columns: bool = True
    to_nearest: bool = False


def statistics_sizing(request: Object) -> Sizing:
    """Return the sizing of a Batch Statistical request, which says one size for all features."""
    wanted = request.get("aggregation")
    stated = wanted if isinstance(wanted, dict) else {}
    sizes: Object = {name: stated[name] for name in _SIZES if name in stated}
    if "resx" not in sizes and "resy" not in sizes:
        sizes = {"width": ASSUMED_PX, "height": ASSUMED_PX, **sizes}
    return Sizing(sizes, has_columns=False, to_nearest=True)


def batch_sizing(request: Object) -> Sizing:
    """Return the sizing of a Batch V2 request: of each feature, else the request's defaults."""
    wanted, process = request.get("input"), request.get("processRequest")
    defaults = wanted.get("defaults") if isinstance(wanted, dict) else None
    given = process.get("input") if isinstance(process, dict) else None
    bounds = given.get("bounds") if isinstance(given, dict) else None
    return Sizing(defaults if isinstance(defaults, dict) else {}, filtered=bool(bounds))


def image_size(bounds: Value, sized: Object, *, assumed_px: int | None) -> ImageSize | None:
    """
    Return the size of a raster; None where it is not stated or the area cannot be read.

    Args:
        bounds: `input.bounds` of the request
        sized: what holds width and height, or resx and resy: `output` or `aggregation`
        assumed_px: what the API takes for a width or a height that is not stated
    """
    by_resolution = [name for name in ("resx", "resy") if name in sized]
    if by_resolution:
        return _of_resolution(bounds, sized, by_resolution[0])
    stated = [sized.get(name, assumed_px) for name in ("width", "height")]
    if not all(isinstance(one, int) and not isinstance(one, bool) and one > 0 for one in stated):
        return None
    told = "width and height" if "width" in sized and "height" in sized else "the size assumed"
    width, height = cast("list[int]", stated)
    return ImageSize(width, height, f"{told} of the request")


def extent_km(bounds: Value) -> tuple[float, float] | None:
    """Return how far the area of a request reaches from west to east and from south to north."""
    read = aoi_of(bounds)
    if read is None:
        return None
    area, crs = read
    try:
        degrees = area_of(area, crs=_code(area, crs)).degrees
    except NotAnAreaError:
        return None
    west, south, east, north = degrees.bounds
    # Where a degree of longitude is longest.
    nearest = 0.0 if south <= 0 <= north else min(abs(south), abs(north))
    return (
        (east - west) * _KM_PER_DEGREE * math.cos(math.radians(nearest)),
        (north - south) * _KM_PER_DEGREE,
    )


def _of_resolution(bounds: Value, sized: Object, first: str) -> ImageSize | None:
    across, down = (_number(sized.get(name, sized[first])) for name in ("resx", "resy"))
    sides = _sides(bounds)
    if sides is None or across <= 0 or down <= 0:
        return None
    pixels = [length / each for length, each in zip(sides, (across, down), strict=True)]
    if not all(math.isfinite(one) for one in pixels):
        return None
    width, height = (max(1, math.floor(one + 0.5)) for one in pixels)
    return ImageSize(width, height, f"the bounding box at {across:g} x {down:g} of its CRS")


def _sides(bounds: Value) -> tuple[float, float] | None:
    """Return the sides of the bounding box, in units of the CRS that it is given in."""
    read = aoi_of(bounds)
    if read is None:
        return None
    area, crs = read
    try:
        west, south, east, north = area_of(area, crs=_code(area, crs)).shape.bounds
    except NotAnAreaError:
        return None
    return east - west, north - south


def _code(area: Object | list[float], crs: str) -> str:
    if crs:
        return crs_code(crs)
    return crs_of(area) if isinstance(area, dict) else DEGREES


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
