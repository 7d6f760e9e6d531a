"""
Areas of interest: read from GeoJSON or a bbox in any CRS, mended, and brought into degrees.

Which tiles they touch is found by `cells`; whether two geometries are equal by `geometry`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

from shplan.core.geometry import project
from shplan.core.value import Object

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

DEGREES = "EPSG:4326"
WEB_MERCATOR = "EPSG:3857"
_EARTH_RADIUS_M = 6_378_137.0
# Longer straight edges get points between before they are projected, see `cells`.
_EDGE_M = 2_000.0
# West, south, east, north.
_Box: TypeAlias = tuple[float, float, float, float]
# Five times around the globe: no CRS has a coordinate beyond.
_FURTHEST_M = 2e8


class NotAnAreaError(ValueError):
    """Coordinates do not make an area that can be brought onto the globe."""


@dataclass(frozen=True, slots=True)
class Area:
    """An area in its own CRS, where its edges are straight, and in degrees."""

    crs: str
    shape: BaseGeometry
    degrees: BaseGeometry


def area_of(geometry: Object | list[float], *, crs: str) -> Area:
    """
    Read an area.

    Args:
        geometry: GeoJSON Polygon or MultiPolygon, or a bbox (west, south, east, north);
            longitudes may run over 180 degrees
        crs: `EPSG:N` of the coordinates, which are x, y in every CRS

    Raises:
        NotAnAreaError: not an area, or out of the reach of its CRS
    """
    shape = mended(_read(geometry))
    return Area(crs, shape, _in_degrees(shape, crs))


def mended(shape: BaseGeometry) -> BaseGeometry:
    """Mend rings that cross themselves; keep lines and points only where there is no area."""
    import numpy  # noqa: PLC0415, ICN001 - one name for one import
    import shapely  # noqa: PLC0415

    if shapely.is_empty(shape) or not numpy.isfinite(shapely.get_coordinates(shape)).all():
        message = "an area has at least one point, and all of them are finite"
        raise NotAnAreaError(message)
    valid = shape if shapely.is_valid(shape) else shapely.make_valid(shape)
    if not shapely.area(valid):
        return valid
    parts = [part for part in shapely.get_parts([valid]) if shapely.area(part)]
    return shapely.union_all(parts) if len(parts) > 1 else parts[0]


def _read(geometry: Object | list[float]) -> BaseGeometry:
    import shapely  # noqa: PLC0415
    from shapely.errors import ShapelyError  # noqa: PLC0415
    from shapely.geometry import shape  # noqa: PLC0415

    if isinstance(geometry, dict) and geometry.get("type") not in ("Polygon", "MultiPolygon"):
        message = "only polygons are areas"
        raise NotAnAreaError(message)
    try:
        if isinstance(geometry, list):
            west, south, east, north = (float(number) for number in geometry)
            return shapely.box(west, south, east, north)
        return shapely.force_2d(shape({key: geometry[key] for key in ("type", "coordinates")}))
    except (ShapelyError, ValueError, TypeError, LookupError, AttributeError) as error:
        message = "the coordinates are no area"
        raise NotAnAreaError(message) from error


def boxes_of(area: Object | list[float]) -> tuple[_Box, ...]:
    """
    Return the boxes that what a search names lies in: one for each of its parts.

    Args:
        area: GeoJSON of any type, in degrees, or a bbox, also one with heights, or one of which
            the west lies east of its east: it crosses 180 degrees

    Raises:
        NotAnAreaError: it is neither
    """
    import shapely  # noqa: PLC0415
    from shapely.errors import ShapelyError  # noqa: PLC0415
    from shapely.geometry import shape  # noqa: PLC0415

    try:
        if isinstance(area, list):
            numbers = [float(one) for one in area]
            low, high = numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :]
            (west, south), (east, north) = low[:2], high[:2]
            return ((west, south, east + 360 if east < west else east, north),)
        parts = shapely.get_parts(shape(area))
        return tuple(cast("_Box", part.bounds) for part in parts if not shapely.is_empty(part))
    except (ShapelyError, ValueError, TypeError, LookupError, AttributeError) as error:
        message = "the coordinates are no area"
        raise NotAnAreaError(message) from error


def _in_degrees(shape: BaseGeometry, crs: str) -> BaseGeometry:
    import numpy  # noqa: PLC0415, ICN001 - one name for one import
    import shapely  # noqa: PLC0415

    if crs == DEGREES:
        return shape
    if max(abs(float(one)) for one in shapely.bounds(shape)) > _FURTHEST_M:
        message = "the coordinates lie off the globe"
        raise NotAnAreaError(message)
    # In a geographic CRS this adds nothing, and an edge straight there is straight here.
    dense = shapely.segmentize(shape, _EDGE_M)
    if crs == WEB_MERCATOR:
        return mended(shapely.transform(dense, _from_web_mercator))
    there = project(dense, crs, DEGREES)
    if there is None:
        message = f"the CRS {crs} is not known"
        raise NotAnAreaError(message)
    points = shapely.get_coordinates(there)
    if not numpy.isfinite(points).all():
        message = f"the area lies out of the reach of {crs}"
        raise NotAnAreaError(message)
    first = float(points[0, 0])

    def near_first(points: NDArray[float64]) -> NDArray[float64]:
        # A projection answers within 180 degrees; an area across the antimeridian is one piece.
        longitude = first + (points[:, 0] - first + 180) % 360 - 180
        return numpy.column_stack((longitude, points[:, 1]))

    return mended(shapely.transform(there, near_first))


def _from_web_mercator(points: NDArray[float64]) -> NDArray[float64]:
    """Source: EPSG Guidance Note 7-2, method 1024; unlike PROJ, x runs on over 180 degrees."""
    import numpy  # noqa: PLC0415, ICN001 - one name for one import

    x, y = points[:, 0] / _EARTH_RADIUS_M, points[:, 1] / _EARTH_RADIUS_M
    return numpy.column_stack((numpy.degrees(x), numpy.degrees(numpy.arctan(numpy.sinh(y)))))
