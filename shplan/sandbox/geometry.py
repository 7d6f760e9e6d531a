"""
Cover geometries: from any supported CRS to CRS84 for keeping, and back to a tile's CRS.

Coordinates are always easting or longitude first. pyproj is loaded only when something has
to be projected. Source: schema `BYOCTile.coverGeometry`; the BYOC page (at most 100 points,
the GeoJSON `crs` member with an EPSG URN); the page on coordinate systems.
"""

# ruff: noqa: EM101  the texts are answers, and functions make the errors

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias, cast

from shplan.sandbox.errors import ApiError, violation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shplan.sandbox.wire import Json, JsonObject

WGS84 = 4326
MAX_POINTS = 100
METRES_PER_DEGREE = 111_320.0

_UTM = frozenset(range(32601, 32661)) | frozenset(range(32701, 32761))
SUPPORTED = _UTM | {
    4326, 3857, 2154, 2180, 2193, 3003, 3004, 3005, 3006, 3031, 3035, 3161, 3346, 3413, 3416,
    3578, 3580, 3765, 3794, 3844, 3912, 3995, 4026, 5514, 28992, 32184,
}  # fmt: skip

Position: TypeAlias = tuple[float, float]

_EPSG_NAME = re.compile(
    r"(?:urn:ogc:def:crs:epsg:[\d.]*:|https?://www\.opengis\.net/def/crs/epsg/0/|epsg:)(\d{1,9})",
    re.IGNORECASE,
)
_CRS84_NAME = re.compile(
    r"urn:ogc:def:crs:ogc:[\d.]*:crs84|https?://www\.opengis\.net/def/crs/ogc/1\.3/crs84",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: west, south, east, north, in the units of its CRS."""

    west: float
    south: float
    east: float
    north: float

    def union(self, other: Box) -> Box:
        """The smallest box around both."""
        return Box(
            min(self.west, other.west),
            min(self.south, other.south),
            max(self.east, other.east),
            max(self.north, other.north),
        )

    def intersection(self, other: Box) -> Box:
        """The common part; its sides are crossed if there is none."""
        return Box(
            max(self.west, other.west),
            max(self.south, other.south),
            min(self.east, other.east),
            min(self.north, other.north),
        )

    def polygon(self) -> JsonObject:
        """The box as a GeoJSON polygon, counter-clockwise, without CRS."""
        ring: list[Json] = [
            [self.west, self.south],
            [self.east, self.south],
            [self.east, self.north],
            [self.west, self.north],
            [self.west, self.south],
        ]
        return {"type": "Polygon", "coordinates": [ring]}


def with_crs(geometry: JsonObject, epsg: int) -> JsonObject:
    """The geometry with the GeoJSON member that names its CRS."""
    name: JsonObject = {"name": f"urn:ogc:def:crs:EPSG::{epsg}"}
    crs: JsonObject = {"type": "name", "properties": name}
    return {**geometry, "crs": crs}


def cover_in_crs84(geometry: JsonObject) -> JsonObject:
    """
    The cover geometry of a request, checked and in CRS84.

    Raises:
        ApiError: 400, if it is no polygon that the service takes
    """
    positions = list(_positions(geometry))
    if not positions:
        raise violation("coverGeometry->coordinates", "must not be empty")
    if len(positions) > MAX_POINTS:
        raise violation("coverGeometry", f"must have at most {MAX_POINTS} points")
    for ring in _rings(geometry):
        if len(ring) < 4 or ring[0] != ring[-1]:
            raise violation("coverGeometry->coordinates", "rings must be closed")
    epsg = _epsg_of(geometry)
    bare: JsonObject = {"type": geometry["type"], "coordinates": geometry["coordinates"]}
    moved = bare if epsg == WGS84 else projected(bare, source=epsg, target=WGS84)
    if not all(
        math.isfinite(x) and math.isfinite(y) and abs(x) <= 180 and abs(y) <= 90
        for x, y in _positions(moved)
    ):
        raise violation("coverGeometry->coordinates", "lie outside the world")
    return moved


def projected(geometry: JsonObject, *, source: int, target: int) -> JsonObject:
    """The geometry in another CRS, both given by EPSG code; point by point."""
    if source == target:
        return geometry
    convert = transformer(source, target)

    def move(value: Json) -> Json:
        assert isinstance(value, list)
        if value and not isinstance(value[0], list):
            x, y = convert(*cast("list[float]", value[:2]))
            return [x, y]
        return [move(item) for item in value]

    return {**geometry, "coordinates": move(geometry["coordinates"])}


def is_finite(geometry: JsonObject) -> bool:
    """Whether every point has a place: a CRS cannot show all of the Earth."""
    return all(math.isfinite(x) and math.isfinite(y) for x, y in _positions(geometry))


@lru_cache(maxsize=128)
def transformer(source: int, target: int) -> Callable[[float, float], Position]:
    """A function from one CRS to another, easting first."""
    from pyproj import Transformer  # noqa: PLC0415 loaded only when something is projected

    transform = Transformer.from_crs(source, target, always_xy=True).transform
    return cast("Callable[[float, float], Position]", transform)


@lru_cache(maxsize=128)
def well_known_text(epsg: int) -> str:
    """The definition of a CRS, as GeoPackages hold it."""
    from pyproj import CRS  # noqa: PLC0415 as above

    return CRS.from_epsg(epsg).to_wkt("WKT1_GDAL")


def bounds(geometry: JsonObject) -> Box:
    """The box around a geometry, in the geometry's own CRS."""
    xs, ys = zip(*_positions(geometry), strict=True)
    return Box(min(xs), min(ys), max(xs), max(ys))


def epsg_of_name(name: str) -> int | None:
    """The code of a CRS by its name in any of the spellings that clients use; none: unknown."""
    if _CRS84_NAME.fullmatch(name):
        return WGS84
    match = _EPSG_NAME.fullmatch(name)
    return int(match[1]) if match and int(match[1]) in SUPPORTED else None


def _epsg_of(geometry: JsonObject) -> int:
    crs = geometry.get("crs")
    if crs is None:
        return WGS84
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    epsg = epsg_of_name(name) if isinstance(name, str) else None
    if epsg is None:
        raise _unsupported()
    return epsg


def _unsupported() -> ApiError:
    return violation("coverGeometry->crs->properties->name", "is not a supported CRS")


def _rings(geometry: JsonObject) -> Iterator[list[Json]]:
    coordinates = cast("list[Json]", geometry["coordinates"])
    polygons = [coordinates] if geometry["type"] == "Polygon" else coordinates
    for polygon in polygons:
        yield from cast("list[list[Json]]", polygon)


def _positions(geometry: JsonObject) -> Iterator[Position]:
    for ring in _rings(geometry):
        for position in ring:
            x, y = cast("list[float]", position)[:2]
            yield float(x), float(y)
