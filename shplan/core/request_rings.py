"""
Rings of a request's geometry: closed or not, crossing themselves, in too much detail, around the globe.

Source: RFC 7946 section 3.1. That a geometry can be too complex is known from refusals only; the number of vertices
from which it is said is an assumption.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeAlias

from shplan.core.request_faults import Fault, Faults, at, number
from shplan.core.value import Value

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Position: TypeAlias = tuple[float, float]

DEGREES: Final = "EPSG:4326"
MOST_VERTICES: Final = 10_000


def listed_numbers(values: Sequence[float]) -> str:
    """Return numbers as JSON has them, ten digits of each."""
    return f"[{', '.join(f'{one:.10g}' for one in values)}]"


def rings_of(geometry: Value) -> Iterator[list[Position]]:
    """Yield the rings of a Polygon or MultiPolygon; none where anything of it is unknown."""
    coordinates = at(geometry, "coordinates")
    kind = at(geometry, "type")
    polygons = [coordinates] if kind == "Polygon" else coordinates
    found: list[list[Position]] = []
    for polygon in polygons if isinstance(polygons, list) else ():
        for ring in polygon if isinstance(polygon, list) else ():
            positions = _ring(ring)
            if positions is None:
                return
            found.append(positions)
    yield from found


def _ring(ring: Value) -> list[Position] | None:
    if not isinstance(ring, list):
        return None
    positions = []
    for one in ring:
        if not isinstance(one, list) or len(one) < 2:
            return None
        x, y = number(one[0]), number(one[1])
        if x is None or y is None:
            return None
        positions.append((x, y))
    return positions


def ring_faults(rings: list[list[Position]]) -> Faults:
    """Find rings that are open, or too short to hold an area."""
    for ring in rings:
        if ring and ring[0] != ring[-1]:
            yield Fault(
                ("geometry",),
                "area",
                "Ring is not closed",
                f"the ring that begins at {listed_numbers(ring[0])} ends at {listed_numbers(ring[-1])}.",
                "The last position of a ring is its first (RFC 7946 section 3.1.6).",
                "repeat the first position at the end of the ring",
            )
            return
        if len(ring) < 4:
            yield Fault(
                ("geometry",),
                "area",
                "Ring without an area",
                f"a ring of the geometry has {len(ring)} positions.",
                "A ring has at least four, and the last is the first (RFC 7946 section 3.1.6).",
            )
            return


def detail_faults(corners: Sequence[Position]) -> Faults:
    """Find geometries that the service may call too complex."""
    if len(corners) > MOST_VERTICES:
        yield Fault(
            ("geometry",),
            "area",
            "Geometry in great detail",
            f"the geometry has {len(corners):,} vertices.",
            "The service refuses geometries that it finds too complex, and every request carries it.",
            "simplify it to about a pixel, e.g. with `ogr2ogr -simplify 0.0001`",
            sure=False,
        )


def meridian_faults(rings: list[list[Position]], crs: str) -> Faults:
    """Find edges that go the long way round instead of across the antimeridian."""
    if crs != DEGREES:
        return
    for ring in rings:
        for (x, y), (other, _) in pairwise(ring):
            if abs(x - other) > 180:
                yield Fault(
                    ("geometry",),
                    "area",
                    "Geometry around the globe",
                    f"an edge runs from longitude {x:g} to {other:g}, at latitude {y:g}.",
                    "Edges are straight in longitude: this one goes the long way round, and not"
                    " across the antimeridian.",
                    "cut the area at 180 degrees into a MultiPolygon (RFC 7946 section 3.1.9)",
                    sure=False,
                )
                return


def crossing_faults(geometry: Value, rings: list[list[Position]]) -> Faults:
    """Find rings that cross themselves or leave their polygon."""
    closed = all(len(ring) >= 4 and ring[0] == ring[-1] for ring in rings)
    where = _crossing_of(geometry) if closed else ""
    if where:
        yield Fault(
            ("geometry",),
            "area",
            "Geometry crosses itself",
            f"the geometry is not valid: {where}.",
            "What is inside of it is not defined; the service may refuse it or take another area.",
            "mend it, e.g. with `ogr2ogr -makevalid`",
            sure=False,
        )


def _crossing_of(geometry: Value) -> str:
    """Return why a closed geometry is not valid and where, empty where it is."""
    shape = _shape(geometry)
    if shape is None:
        return ""
    import shapely  # noqa: PLC0415 - loaded by who has a geometry

    if shapely.is_valid(shape):
        return ""
    reason = str(shapely.is_valid_reason(shape))
    found = re.fullmatch(r"(.*)\[(\S+) (\S+)\]", reason)
    if found is None:
        return reason.lower()
    return f"{found[1].lower()} at [{float(found[2]):g}, {float(found[3]):g}]"


def _shape(geometry: Value) -> BaseGeometry | None:
    import shapely  # noqa: PLC0415
    from shapely.errors import ShapelyError  # noqa: PLC0415
    from shapely.geometry import shape  # noqa: PLC0415

    if not isinstance(geometry, dict):
        return None
    try:
        made = shape({key: geometry[key] for key in ("type", "coordinates")})
    except (ShapelyError, ValueError, TypeError, LookupError, AttributeError):
        return None
    return None if shapely.is_empty(made) else made
