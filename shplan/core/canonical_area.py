"""
One form for areas that are written down differently: where a ring starts, which way it runs.

Exact and without any library, because digests are taken of the form: two areas have the same form
only if their rings have the same vertices. Whether two areas *cover* the same ground is decided in
`geometry.py`.
"""

from __future__ import annotations

from typing import Final, TypeAlias, cast

from shplan.core.value import JsonObject, JsonValue, Object, Value

Point: TypeAlias = tuple[int | float, ...]

_TOO_LARGE: Final = 2.0**63
_NUMBERS: Final = frozenset({int, float})


def canonical_area(geometry: Object) -> JsonObject | None:
    """
    Return type and coordinates of a GeoJSON geometry in their one form; None if it is no area.

    Each ring starts at the vertex, and runs in the direction, that gives the smallest sequence; it
    is closed. Holes are sorted, and so are polygons; a MultiPolygon of one is a Polygon.
    """
    coordinates = geometry.get("coordinates")
    try:
        if geometry.get("type") == "Polygon":
            return _area("Polygon", _polygon(coordinates))
        if geometry.get("type") == "MultiPolygon":
            forms = sorted(_polygon(one) for one in _list(coordinates))
            single = len(forms) == 1
            return _area("Polygon", forms[0]) if single else _area("MultiPolygon", forms)
    except TypeError:
        pass
    return None


def canonical_number(number: float) -> int | float:
    """Return a whole number as an integer: 16.0 is 16, and -0.0 is 0."""
    if type(number) is float and number.is_integer() and abs(number) < _TOO_LARGE:
        return int(number)
    return number


def _area(kind: str, coordinates: object) -> JsonObject:
    return {"type": kind, "coordinates": cast(JsonValue, coordinates)}


def _polygon(rings: Value) -> list[list[list[int | float]]]:
    forms = [_ring(ring) for ring in _list(rings)]
    return [*forms[:1], *sorted(forms[1:])]


def _ring(ring: Value) -> list[list[int | float]]:
    points = [_point(point) for point in _list(ring)]
    if len(points) > 1 and points[0] == points[-1]:
        points.pop()
    if not points:
        return []
    form = min(_least_rotation(points), _least_rotation(points[::-1]))
    return [list(point) for point in (*form, form[0])]


def _point(point: Value) -> Point:
    numbers = _list(point)
    if not numbers or not _NUMBERS.issuperset(map(type, numbers)):
        message = "a position is numbers"
        raise TypeError(message)
    return tuple(canonical_number(cast("int | float", one)) for one in numbers)


def _list(value: Value) -> list[Value]:
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
