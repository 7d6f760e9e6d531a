"""When two values mean the same."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from shplan.core.compare import instant, same, same_tile_path
from shplan.core.fields import Sameness
from shplan.core.value import SecretReference, Sensitive, Unknown

SQUARE = [[14.5, 46.0], [14.6, 46.0], [14.6, 46.1], [14.5, 46.1], [14.5, 46.0]]
HOLE = [[14.52, 46.02], [14.54, 46.02], [14.54, 46.04], [14.52, 46.02]]


def polygon(*rings: list[list[float]], crs: str = "") -> dict[str, object]:
    shape: dict[str, object] = {"type": "Polygon", "coordinates": [*rings]}
    if crs:
        shape["crs"] = {"type": "name", "properties": {"name": crs}}
    return shape


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("2025-06-01T10:00:00Z", "2025-06-01T10:00:00.000Z", True),
        ("2025-06-01T10:00:00Z", "2025-06-01T12:00:00+02:00", True),
        ("2025-06-01T10:00:00.123Z", "2025-06-01T10:00:00.123456Z", True),
        ("2025-06-01T10:00:00Z", "2025-06-01T10:00:00.001Z", False),
        ("2025-06-01t10:00:00z", "2025-06-01T10:00:00.000Z", True),
        ("2025-06-01T10:00:00", "2025-06-01T10:00:00Z", False),
        ("soon", "soon", True),
        ("soon", "later", False),
    ],
)
def test_instants(left: str, right: str, equal: bool) -> None:
    assert same(left, right, Sameness.INSTANT) is equal


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [(16, 16.0, True), (1, True, False), (0, False, False), (0.1, 0.1, True), (1, "1", False)],
)
def test_numbers_are_numbers_and_booleans_are_not(left, right, equal: bool) -> None:
    assert same(left, right, Sameness.EXACT) is equal
    assert same([left], [right], Sameness.EXACT) is equal
    assert same({"x": left}, {"x": right}, Sameness.EXACT) is equal


def test_an_unknown_equals_nothing() -> None:
    unknown = Unknown("{{ x }}", "A/b", ())
    assert not same(unknown, unknown, Sameness.EXACT)


@given(st.integers(0, 3), st.booleans())
def test_a_ring_may_begin_anywhere_and_run_either_way(turn: int, backwards: bool) -> None:
    points = SQUARE[:-1]
    turned = points[turn:] + points[:turn]
    if backwards:
        turned.reverse()
    assert same(polygon(SQUARE), polygon([*turned, turned[0]]), Sameness.GEOMETRY)


@pytest.mark.parametrize("crs", [32633, 3857, 3035])
def test_geometries_are_equal_across_crs(crs: int) -> None:
    there = Transformer.from_crs(4326, crs, always_xy=True)
    moved = [list(there.transform(*point)) for point in SQUARE]
    named = polygon(moved, crs=f"urn:ogc:def:crs:EPSG::{crs}")
    assert same(polygon(SQUARE), named, Sameness.GEOMETRY)
    assert same(named, polygon(SQUARE), Sameness.GEOMETRY)
    away = [[x + 1.0, y] for x, y in moved]
    assert not same(polygon(SQUARE), polygon(away, crs=f"EPSG:{crs}"), Sameness.GEOMETRY)


@pytest.mark.parametrize(
    "spelling",
    ["urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326", "http://www.opengis.net/def/crs/EPSG/0/4326"],
)
def test_longitude_stands_first_however_the_crs_is_spelt(spelling: str) -> None:
    assert same(polygon(SQUARE), polygon(SQUARE, crs=spelling), Sameness.GEOMETRY)


def test_a_redundant_vertex_changes_nothing_a_hole_does() -> None:
    more = [*SQUARE[:1], [14.55, 46.0], *SQUARE[1:]]
    assert same(polygon(SQUARE), polygon(more), Sameness.GEOMETRY)
    assert not same(polygon(SQUARE), polygon(SQUARE, HOLE), Sameness.GEOMETRY)


def test_a_multipolygon_of_one_is_its_polygon() -> None:
    multi = {"type": "MultiPolygon", "coordinates": [[SQUARE]]}
    assert same(polygon(SQUARE), multi, Sameness.GEOMETRY)


@pytest.mark.parametrize("broken", [{}, {"type": "Polygon"}, {"type": "Polygon", "coordinates": 3}])
def test_what_is_no_geometry_equals_no_geometry(broken: dict[str, object]) -> None:
    assert not same(polygon(SQUARE), broken, Sameness.GEOMETRY)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("x", "x/(BAND).tiff", True),
        ("x", "x/(BAND)", True),
        ("x/(BAND)", "x/(BAND).tif", True),
        ("x/(BAND).tif", "x/(BAND).tiff", False),
        ("x", "y/(BAND).tiff", False),
        ("x/a_(BAND).tiff", "x/a_(BAND).tiff", True),
        ("x/a_(BAND).tiff", "x", False),
    ],
)
def test_a_folder_is_its_file_pattern(left: str, right: str, equal: bool) -> None:
    assert same_tile_path(left, right) is equal
    assert same_tile_path(right, left) is equal


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_same_is_reflexive(number: float) -> None:
    assert same(number, number, Sameness.NUMBER)
    assert same(
        math.floor(number) if abs(number) < 2**53 else 0,
        float(math.floor(number)) if abs(number) < 2**53 else 0.0,
        Sameness.NUMBER,
    )


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ([True], [1], False),
        ({"a": [False]}, {"a": [0]}, False),
        ({"a": [1]}, {"a": [1.0]}, True),
        ([True, {"a": None}], [True, {"a": None}], True),
        ([1], [1, 2], False),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1}, [1], False),
        (None, 0, False),
    ],
)
def test_booleans_are_no_numbers_at_any_depth(left, right, equal: bool) -> None:
    assert same(left, right, Sameness.EXACT) is equal
    assert same(right, left, Sameness.EXACT) is equal


def test_secrets_are_compared_by_where_they_come_from() -> None:
    one, other = (Sensitive((SecretReference(f"env:{name}"),)) for name in ("A", "B"))
    assert same(one, Sensitive(one.parts), Sameness.EXACT)
    assert not same(one, other, Sameness.EXACT)
    assert not same(one, "A", Sameness.EXACT)


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00+02:00",
        "9999-12-31T23:59:59-02:00",
        "2025-06-01",
        "2025-06-01T10:00:00",
        "soon",
        "",
    ],
)
def test_what_is_no_instant_is_only_itself(text: str) -> None:
    assert instant(text) is None
    assert same(text, text, Sameness.INSTANT)
    assert not same(text, "2025-06-01T10:00:00Z", Sameness.INSTANT)
