"""
Equality of geometries across rings, directions and coordinate reference systems.

Order of axes is always x, y (longitude, latitude), whatever the EPSG registry
says (source: API description, `bounds`). In this room only this module, `areas` and
`cells` import shapely, and only this one pyproj; the pure normal form is tried first because
it costs less than their import.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from shplan.core.value import Object, Value

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray
    from pyproj import Transformer
    from shapely.geometry.base import BaseGeometry

CRS84 = "OGC:CRS84"
# One centimetre on the ground. Storing a geometry as CRS84 and returning it in another CRS
# moves a point by far less, rounding to seven decimals by half of it.
TOLERANCE_M = 0.01
_DEGREES_PER_M = 1 / 111_320


def same_geometry(left: Object, right: Object) -> bool:
    """
    Tell whether two GeoJSON geometries cover the same area, within a centimetre.

    Args:
        left, right: Polygon or MultiPolygon, with an optional `crs` member of type `name`;
            without one the coordinates are CRS84 (RFC 7946 section 4)
    """
    left_crs, right_crs = crs_of(left), crs_of(right)
    if left_crs == right_crs and _same_normal_form(left, right):
        return True
    return _same_shape(left, left_crs, right, right_crs)


def crs_of(geometry: Object) -> str:
    """Return the CRS as `EPSG:N`; CRS84 and EPSG:4326 are the same with x, y order."""
    crs = geometry.get("crs")
    name = None
    if isinstance(crs, dict):
        properties = crs.get("properties")
        name = properties.get("name") if isinstance(properties, dict) else None
    return crs_code(name) if isinstance(name, str) else "EPSG:4326"


def crs_code(name: str) -> str:
    """Read `urn:ogc:def:crs:EPSG::32633`, an OGC URL, `EPSG:32633` or a spelling of CRS84."""
    if "CRS84" in name.upper():
        return "EPSG:4326"
    match = re.search(r"[:/#](\d+)$", name)
    if match is None or "EPSG" not in name[: match.start()].upper():
        return name
    return f"EPSG:{match[1]}"


def _same_normal_form(left: Object, right: Object) -> bool:
    try:
        return _normal_form(left) == _normal_form(right)
    except (ValueError, TypeError, IndexError):
        # Not a geometry: it is the same only as itself.
        return left == right


def _normal_form(geometry: Object) -> object:
    coordinates = geometry.get("coordinates")
    if not isinstance(coordinates, list):
        message = "a geometry without coordinates"
        raise TypeError(message)
    if geometry.get("type") == "Polygon":
        return (_polygon(coordinates),)
    if geometry.get("type") == "MultiPolygon":
        return tuple(sorted(_polygon(cast("list[Value]", polygon)) for polygon in coordinates))
    message = "only areas have a normal form"
    raise TypeError(message)


def _polygon(rings: list[Value]) -> tuple[tuple[tuple[float, float], ...], ...]:
    outer, *holes = (_ring(cast("list[list[float]]", ring)) for ring in rings)
    return (outer, *sorted(holes))


def _ring(ring: list[list[float]]) -> tuple[tuple[float, float], ...]:
    points = [(float(point[0]), float(point[1])) for point in ring]
    if len(points) > 1 and points[0] == points[-1]:
        points.pop()
    start = points.index(min(points)) if points else 0
    forward = (*points[start:], *points[:start])
    backward = (forward[0], *reversed(forward[1:])) if forward else forward
    return min(forward, backward)


def _same_shape(left: Object, left_crs: str, right: Object, right_crs: str) -> bool:
    one, other = _shape(left), _shape(right)
    if one is None or other is None:
        return False
    if left_crs == right_crs:
        return _within(one, other, _tolerance(right_crs))
    # In either CRS: degrees were rounded as degrees, metres as metres, and a projection
    # stretches the one or the other.
    return _within_projected(one, left_crs, other, right_crs) or _within_projected(
        other, right_crs, one, left_crs
    )


def _within_projected(one: BaseGeometry, one_crs: str, other: BaseGeometry, other_crs: str) -> bool:
    projected = project(one, one_crs, other_crs)
    return projected is not None and _within(projected, other, _tolerance(other_crs))


def _tolerance(crs: str) -> float:
    """Return the tolerance in the unit of a CRS."""
    return TOLERANCE_M * _DEGREES_PER_M if _is_geographic(crs) else TOLERANCE_M


def _within(one: BaseGeometry, other: BaseGeometry, tolerance: float) -> bool:
    import numpy  # noqa: PLC0415, ICN001 - one name for one import
    import shapely  # noqa: PLC0415

    if one.is_empty or other.is_empty:
        return one.is_empty and other.is_empty
    if not numpy.isfinite(shapely.get_coordinates([one, other])).all():
        return False
    if not (one.is_valid and other.is_valid):
        return bool(one.normalize().equals_exact(other.normalize(), tolerance))
    if float(shapely.hausdorff_distance(one.boundary, other.boundary)) > tolerance:
        return False
    # The distance is measured from vertices: two rings through the same points in another
    # order are at distance zero, and cover different areas.
    apart = float(one.symmetric_difference(other).area)
    return apart <= 2 * tolerance * float(one.length + other.length)


def _shape(geometry: Object) -> BaseGeometry | None:
    """Read an area; None where it is not one."""
    from shapely.errors import ShapelyError  # noqa: PLC0415
    from shapely.geometry import shape  # noqa: PLC0415

    if geometry.get("type") not in ("Polygon", "MultiPolygon"):
        return None
    try:
        return shape({key: geometry[key] for key in ("type", "coordinates")})
    except (ShapelyError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None


def project(shape: BaseGeometry, source: str, target: str) -> BaseGeometry | None:
    """Bring a shape from one CRS to another, point by point; None where one is not known."""
    import shapely  # noqa: PLC0415
    from numpy import column_stack  # noqa: PLC0415

    transformer = _transformer(source, target)
    if transformer is None:
        return None

    def moved(points: NDArray[float64]) -> NDArray[float64]:
        x, y = transformer.transform(points[:, 0], points[:, 1])
        return column_stack((x, y))

    return shapely.transform(shape, moved)


@lru_cache(maxsize=64)
def _transformer(source: str, target: str) -> Transformer | None:
    from pyproj import Transformer  # noqa: PLC0415
    from pyproj.exceptions import CRSError  # noqa: PLC0415

    try:
        return Transformer.from_crs(source, target, always_xy=True)
    except CRSError:
        return None


@lru_cache(maxsize=64)
def _is_geographic(crs: str) -> bool:
    """Tell whether the coordinates are degrees."""
    if crs == "EPSG:4326":
        return True
    from pyproj import CRS  # noqa: PLC0415
    from pyproj.exceptions import CRSError  # noqa: PLC0415

    try:
        return bool(CRS.from_user_input(crs).is_geographic)
    except CRSError:
        return False
