"""
Areas of interest: the bounds of a request as a polygon, in its own CRS and in longitude, latitude.

The only importer of shapely here beside the GeoPackage reader. Coordinates are easting first.
Edges are straight in the CRS in which they were given, so they get points in between before
they are projected. Source: schema `ProcessRequestInputBoundsForBatchV2`; the page on CRS.
"""

# ruff: noqa: EM102  the texts are answers, and functions make the errors

from __future__ import annotations

import math
import re
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import shapely

from shplan.sandbox.errors import violation
from shplan.sandbox.geometry import SUPPORTED, WGS84, transformer
from shplan.sandbox.wire import decode_object, encode

if TYPE_CHECKING:
    from shplan.sandbox.errors import ApiError
    from shplan.sandbox.wire import JsonObject

Area = Any  # shapely has no names for "polygon or multipolygon"

# Source: OGC Simple Features, well-known binary: byte order, type, rings, points of the ring, points.
_BOX = struct.Struct("<BIII10d")
_POLYGON = 3
BATCH_PLACE = "processRequest->input->bounds"
_EPSG = re.compile(r"https?://www\.opengis\.net/def/crs/EPSG/0/([1-9][0-9]{0,5})", re.IGNORECASE)
_CRS84 = re.compile(r"https?://www\.opengis\.net/def/crs/OGC/1\.3/CRS84", re.IGNORECASE)
# Chords this long leave a parallel by less than a tenth of a metre in any projection used here.
_STEP_DEGREES = 0.02
_STEP_METRES = 2_000.0
_MOST_STEPS = 200_000
# Our own bounds: the time of a repair grows with a power of how often the edges of an area meet.
_MOST_CROSSINGS = 250
_MOST_PAIRS = 2_000_000


def area_of(bounds: JsonObject, *, place: str = BATCH_PLACE) -> tuple[Area, int] | None:
    """
    The area that bounds describe, and the EPSG code of its CRS; none if they describe none.

    Args:
        place: of the bounds in the body, for refusals

    Raises:
        ApiError: 400, if it is not one that the service takes
    """
    if "bbox" not in bounds and "geometry" not in bounds:
        return None
    properties = cast("JsonObject", bounds.get("properties", {}))
    epsg = _epsg(properties.get("crs"), place)
    if "geometry" in bounds:
        area = _polygon(cast("JsonObject", bounds["geometry"]), place)
    else:
        area = _box(cast("list[float]", bounds["bbox"]), place)
    _refuse_beyond_the_world(area, epsg, place)
    return area, epsg


def _epsg(crs: object, place: str) -> int:
    if crs is None or (isinstance(crs, str) and _CRS84.fullmatch(crs)):
        return WGS84
    match = _EPSG.fullmatch(crs) if isinstance(crs, str) else None
    if match is None or int(match[1]) not in SUPPORTED:
        raise violation(f"{place}->properties->crs", "is not a supported CRS")
    return int(match[1])


def _box(bbox: list[float], place: str) -> Area:
    west, south, east, north = bbox
    if not (west < east and south < north):
        raise violation(f"{place}->bbox", "must have its minima before its maxima")
    return shapely.box(west, south, east, north)


def _polygon(geometry: JsonObject, place: str) -> Area:
    try:
        area = shapely.from_geojson(encode({**geometry, "crs": None}))
        fits = area.geom_type in ("Polygon", "MultiPolygon")
    except (shapely.errors.ShapelyError, ValueError, TypeError):
        fits = False
    if not fits or shapely.is_empty(area) or not _is_closed(geometry):
        raise violation(f"{place}->geometry", "must be a polygon whose rings are closed")
    repaired_area = repaired(area)
    if repaired_area is None:
        raise violation(f"{place}->geometry", "crosses itself too often")
    if repaired_area.area <= 0:
        raise violation(f"{place}->geometry", "must have an area")
    return repaired_area


def repaired(area: Area) -> Area | None:
    """The area as a valid one; none if that would take for ever, as it does for a tangle."""
    if area.is_valid:
        return area
    return None if _is_tangled(area) else shapely.make_valid(area)


def _is_tangled(area: Area) -> bool:
    """Whether the edges meet too often, counted some edges at a time."""
    points, ring = shapely.get_coordinates(shapely.get_rings(area), return_index=True)
    joined = ring[1:] == ring[:-1]
    pairs = np.stack([points[:-1][joined], points[1:][joined]], axis=1)
    edges = np.atleast_1d(np.asarray(shapely.linestrings(pairs), dtype=object))
    tree = shapely.STRtree(edges)
    at_once = max(1, _MOST_PAIRS // max(1, len(edges)))
    # Each edge meets itself and both of its neighbours; each crossing is met from two sides.
    left = 3 * len(edges) + 2 * _MOST_CROSSINGS
    for first in range(0, len(edges), at_once):
        left -= len(tree.query(edges[first : first + at_once], predicate="intersects")[0])
        if left < 0:
            return True
    return False


def _is_closed(geometry: JsonObject) -> bool:
    coordinates = cast("list[Any]", geometry["coordinates"])
    polygons = [coordinates] if geometry["type"] == "Polygon" else coordinates
    return all(len(ring) >= 4 and ring[0] == ring[-1] for polygon in polygons for ring in polygon)


def _refuse_beyond_the_world(area: Area, epsg: int, place: str) -> None:
    numbers = area.bounds
    fits = all(math.isfinite(number) and abs(number) < 1e9 for number in numbers)
    if fits and epsg == WGS84:
        west, south, east, north = numbers
        fits = west >= -180 and east <= 180 and south >= -90 and north <= 90
    if not fits:
        raise _outside(place)
    projected = to_wgs84(area, epsg)
    if shapely.is_empty(projected) or not all(map(math.isfinite, projected.bounds)):
        raise _outside(place)


def _outside(place: str) -> ApiError:
    return violation(place, "lie outside the world")


def to_wgs84(area: Area, epsg: int) -> Area:
    """The area in longitude and latitude."""
    return area if epsg == WGS84 else moved(area, source=epsg, target=WGS84)


def moved(area: Area, *, source: int, target: int) -> Area:
    """The area in another CRS, its edges followed closely; empty where it cannot be shown."""
    if source == target:
        return area
    extent = area.bounds
    step = _STEP_DEGREES if source == WGS84 else _STEP_METRES
    around = 2 * (extent[2] - extent[0] + extent[3] - extent[1])
    dense = shapely.segmentize(area, max(step, around / _MOST_STEPS))
    convert = cast("Any", transformer(source, target))
    values = shapely.get_coordinates(dense)
    x, y = convert(values[:, 0], values[:, 1])
    pairs = np.column_stack([x, y])
    if not np.isfinite(pairs).all():
        return shapely.Polygon()
    projected = shapely.set_coordinates(dense, pairs)
    return projected if projected.is_valid else shapely.make_valid(projected)


def clipped(area: Area, box: tuple[float, float, float, float]) -> Area:
    """The part of an area within a rectangle."""
    return shapely.intersection(area, shapely.box(*box))


def boxes_that_share_area(
    area: Area, west: np.ndarray, south: np.ndarray, *, width: float, height: float
) -> np.ndarray:
    """Which of the rectangles, given by their lower left corners, share area with the area."""
    if area.is_empty or area.area <= 0:
        return np.zeros(len(west), dtype=bool)
    shapely.prepare(area)
    boxes = shapely.box(west, south, west + width, south + height)
    shared = shapely.intersects(area, boxes)
    # Those that only touch share no area; those well inside need no such look.
    doubtful = shared & ~shapely.contains_properly(area, boxes)
    shared[doubtful] = shapely.relate_pattern(area, boxes[doubtful], "T********")
    return cast("np.ndarray", shared)


def box_hex(west: float, south: float, east: float, north: float) -> str:
    """A rectangle as the text in which features keep their shape: WKB in hexadecimal."""
    ring = (east, south, east, north, west, north, west, south, east, south)
    return _BOX.pack(1, _POLYGON, 1, len(ring) // 2, *ring).hex().upper()


def of_hex(text: str) -> Area:
    """The area that `box_hex`, or a GeoPackage, keeps as text."""
    return shapely.from_wkb(text)


def share_area(one: Area, other: Area) -> bool:
    """Whether two areas of one CRS share area."""
    return bool(one.intersects(other) and one.relate_pattern(other, "T********"))


@lru_cache(maxsize=64)
def area_of_text(bounds: str) -> tuple[Area, int] | None:
    """`area_of` of JSON text; what many tasks have in common is read once."""
    return area_of(decode_object(bounds))


def shape_of(geometry: JsonObject) -> Area:
    """A polygon that was checked when it was stored."""
    bare: JsonObject = {"type": geometry["type"], "coordinates": geometry["coordinates"]}
    area = shapely.from_geojson(encode(bare))
    return area if area.is_valid else shapely.make_valid(area)


def geojson(area: Area) -> JsonObject:
    """The area as GeoJSON."""
    text = cast("str", shapely.to_geojson(area))
    return decode_object(text)


def covers_box(area: Area, box: tuple[float, float, float, float]) -> bool:
    """Whether a rectangle lies within an area."""
    return bool(area.covers(shapely.box(*box)))
