"""
One form for areas that are written down differently: where a ring starts, which way it runs.

Exact and without any library, because digests are taken of the form: two areas have the same form
only if their rings have the same vertices. Whether two areas *cover* the same ground is decided in
`geometry.py`.
"""

from __future__ import annotations

from typing import TypeAlias, cast

from shplan.core.value import JsonObject, JsonValue

Point: TypeAlias = tuple[int | float, ...]


def canonical_area(geometry: JsonObject) -> JsonObject:
    """
    Bring a GeoJSON geometry into its one form; whatever is no area stays as it is.

    Each ring starts at the vertex, and runs in the direction, that gives the smallest sequence; it
    is closed. Holes are sorted, and so are polygons; a MultiPolygon of one is a Polygon.
    """
    coordinates = geometry.get("coordinates")
    try:
        if geometry.get("type") == "Polygon":
            return {**geometry, "coordinates": cast(JsonValue, _polygon(coordinates))}
        if geometry.get("type") == "MultiPolygon":
            return {**geometry, **_multi_polygon(coordinates)}
    except TypeError:
        pass
    return geometry


def _multi_polygon(polygons: JsonValue) -> JsonObject:
    forms = sorted(_polygon(one) for one in _list(polygons))
    if len(forms) == 1:
        return {"type": "Polygon", "coordinates": cast(JsonValue, forms[0])}
    return {"coordinates": cast(JsonValue, forms)}


def _polygon(rings: JsonValue) -> list[list[list[int | float]]]:
    forms = [_ring(ring) for ring in _list(rings)]
    return [*forms[:1], *sorted(forms[1:])]


def _ring(ring: JsonValue) -> list[list[int | float]]:
    points = [_point(point) for point in _list(ring)]
    if len(points) > 1 and points[0] == points[-1]:
        points.pop()
    if not points:
        return []
    form = min(_least_rotation(points), _least_rotation(points[::-1]))
    return [list(point) for point in (*form, form[0])]


def _point(point: JsonValue) -> Point:
    numbers = _list(point)
    if not numbers or any(type(one) not in (int, float) for one in numbers):
        message = "a position is numbers"
        raise TypeError(message)
    return cast(Point, tuple(numbers))


def _list(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list):
        message = "coordinates are lists"
        raise TypeError(message)
    return value


def _least_rotation(points: list[Point]) -> list[Point]:
    """Return the smallest of all rotations, in linear time also where vertices repeat."""
    least = min(points)
    start = points.index(least) if points.count(least) == 1 else _start_of_least(points)
    return points[start:] + points[:start]


def _start_of_least(points: list[Point]) -> int:
    # Two candidates are compared step by step; the loser skips all that it was compared over.
    size = len(points)
    one, other, length = 0, 1, 0
    while max(one, other, length) < size:
        left, right = points[(one + length) % size], points[(other + length) % size]
        if left == right:
            length += 1
            continue
        if left > right:
            one += length + 1
        else:
            other += length + 1
        other += one == other
        length = 0
    return min(one, other)
