"""
Where a search looks: `bbox` and `intersects` as a shape in longitude and latitude.

Whatever is no area of this world is refused in bounded time: nothing is repaired, so that no
tangle of lines has to be taken apart. Source: RFC 7946; the STAC item search; the price list
for the area that a search is paid for.
"""

# ruff: noqa: EM101  the texts are answers, and a function makes the errors

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from shplan.sandbox.errors import ApiError, bad_payload
from shplan.sandbox.wire import decode_object, encode

if TYPE_CHECKING:
    from shplan.sandbox.wire import Json, JsonObject

# Our own bound; the service publishes none. More than any border has that is drawn for a search.
MAX_POINTS = 50_000
WORLD_KM2 = 510_065_622.0
_EARTH_KM = 6_371.0088

Shape: TypeAlias = BaseGeometry


@dataclass(frozen=True, slots=True)
class SearchArea:
    """
    A part of the world.

    Args:
        shape: degrees, CRS84; in two parts where it crosses longitude 180
    """

    shape: Shape
    km2: float

    @property
    def is_world(self) -> bool:
        """Whether there is nothing outside; programs that want everything send such boxes."""
        return bool(self.shape.area == 360 * 180)


def area_of(body: JsonObject) -> SearchArea | None:
    """
    The area that a search asks for; none for the whole world.

    Raises:
        ApiError: 400
    """
    bbox, geometry = body.get("bbox"), body.get("intersects")
    if bbox is not None and geometry is not None:
        msg = "bbox and intersects cannot be given together."
        raise bad_payload(msg)
    if bbox is not None:
        shape = _box(cast("list[float]", bbox))
    elif geometry is not None:
        shape = _shape(cast("JsonObject", geometry))
    else:
        return None
    shapely.prepare(shape)
    return SearchArea(shape=shape, km2=_km2(shape))


def _box(bbox: list[float]) -> Shape:
    if len(bbox) not in (4, 6):
        raise _refused("bbox", "must have four or six numbers")
    # With heights: west, south, lowest, east, north, highest. Nothing listed here has a height.
    west, south, east, north = bbox if len(bbox) == 4 else (*bbox[:2], *bbox[3:5])
    for number, limit in ((west, 180), (east, 180), (south, 90), (north, 90)):
        if abs(number) > limit:
            raise _refused("bbox", "lies outside the world")
    if south > north:
        raise _refused("bbox", "must have its southern side before its northern one")
    if west <= east:
        return _rectangle(west, south, east, north)
    # RFC 7946 section 5.2: west beyond east means that the box crosses longitude 180.
    parts = [_rectangle(west, south, 180, north), _rectangle(-180, south, east, north)]
    return shapely.union_all(parts)


def _rectangle(west: float, south: float, east: float, north: float) -> Shape:
    """A box; one without width or height is a line or a point, as every shape must be valid."""
    if west == east and south == north:
        return shapely.Point(west, south)
    if west == east or south == north:
        return shapely.LineString([(west, south), (east, north)])
    return shapely.box(west, south, east, north)


def _shape(geometry: JsonObject) -> Shape:
    if _points(geometry) > MAX_POINTS:
        raise _refused("intersects", f"must have at most {MAX_POINTS} points")
    bare: JsonObject = {name: value for name, value in geometry.items() if name != "crs"}
    try:
        shape = shapely.force_2d(shapely.from_geojson(encode(bare)))
    except (shapely.errors.ShapelyError, ValueError, TypeError) as error:
        raise _refused("intersects", "is no GeoJSON geometry") from error
    if shapely.is_empty(shape):
        raise _refused("intersects", "must not be empty")
    west, south, east, north = shape.bounds
    if not (west >= -180 and east <= 180 and south >= -90 and north <= 90):
        raise _refused("intersects", "lies outside the world")
    if not shapely.is_valid(shape):
        raise _refused("intersects", f"is not valid: {shapely.is_valid_reason(shape)}")
    return shape


def _points(geometry: Json) -> int:
    """Positions in a geometry, without recursion; of a collection, in all its members."""
    count, left = 0, [geometry]
    while left and count <= MAX_POINTS:
        value = left.pop()
        if isinstance(value, dict):
            left += [value.get("coordinates"), *cast("list[Json]", value.get("geometries", []))]
        elif isinstance(value, list):
            if value and isinstance(value[0], list):
                left += value
            else:
                count += 1
    return count


def _km2(shape: Shape) -> float:
    """Area on a sphere: of an equal-area cylinder, on which boxes keep straight sides."""

    def unrolled(pairs: np.ndarray) -> np.ndarray:
        radians = np.radians(pairs)
        return np.column_stack([radians[:, 0], np.sin(radians[:, 1])]) * _EARTH_KM

    area = float(shapely.transform(shape, unrolled).area)
    return area if math.isfinite(area) else WORLD_KM2


# What items are made of.


def touched(shape: Shape, boxes: Sequence[Sequence[float]]) -> list[tuple[int, bool]]:
    """Which boxes (west, south, east, north) the shape touches, and whether it holds all of them."""
    made = shapely.box(*np.asarray(boxes, dtype=float).T)
    found = np.flatnonzero(shapely.intersects(shape, made))
    held = shapely.covers(shape, made[found])
    return list(zip(found.tolist(), held.tolist(), strict=True))


def plain(geometry: JsonObject) -> Shape:
    """The shape of a polygon of our own, whatever its CRS."""
    return shapely.from_geojson(encode(geometry))


def shape_of(geometry: JsonObject) -> Shape:
    """
    The shape of a polygon in degrees, cut at longitude 180 if it crosses it.

    A tile's corners are projected one by one, so that the longitudes of one that crosses jump
    from one end of the world to the other. RFC 7946 section 3.1.9 wants two parts instead.
    """
    shape = plain(geometry)
    west, south, east, north = shape.bounds
    if east - west <= 180:
        return shape

    def unwrapped(pairs: np.ndarray) -> np.ndarray:
        moved = pairs.copy()
        moved[pairs[:, 0] < 0, 0] += 360.0
        return moved

    whole = shapely.make_valid(shapely.transform(shape, unwrapped))
    if shapely.bounds(whole)[2] <= 180:
        return shape
    inside = shapely.intersection(whole, shapely.box(0, south, 180, north))
    beyond = shapely.intersection(whole, shapely.box(180, south, 360, north))
    parts = [inside, shapely.transform(beyond, lambda pairs: pairs - [360.0, 0.0])]
    return shapely.MultiPolygon(
        [p for part in parts for p in shapely.get_parts(part) if p.area > 0]
    )


def geojson(shape: Shape, crs: str) -> JsonObject:
    """A shape as a GeoJSON MultiPolygon, with the member that names its CRS."""
    content = decode_object(shapely.to_geojson(shape))
    if content["type"] == "Polygon":
        content = {"type": "MultiPolygon", "coordinates": [content["coordinates"]]}
    named: JsonObject = {"type": "name", "properties": {"name": crs}}
    return {"type": content["type"], "crs": named, "coordinates": content["coordinates"]}


def bbox_of(shape: Shape) -> list[Json]:
    """The box around a shape; west is beyond east if it was cut at longitude 180 (RFC 7946, 5.2)."""
    west, south, east, north = shape.bounds
    if west == -180 and east == 180:
        gap, end, begin = _widest_gap(shape)
        if gap > 0:
            return [begin, south, end, north]
    return [west, south, east, north]


def _widest_gap(shape: Shape) -> tuple[float, float, float]:
    """The widest range of longitudes without any part of the shape: its width and its ends."""
    parts = sorted((part.bounds[0], part.bounds[2]) for part in shapely.get_parts(shape))
    widest, reached = (0.0, 180.0, -180.0), parts[0][1]
    for west, east in parts[1:]:
        widest = max(widest, (west - reached, reached, west))
        reached = max(reached, east)
    return widest


def _refused(parameter: str, text: str) -> ApiError:
    return bad_payload(f"{parameter} {text}.")
