"""Areas are the same where they cover the same ground, however they are written down."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from shplan.core.geometry import crs_code, crs_of, same_geometry
from shplan.core.value import Object
from tests.support.bounded import bounded

SQUARE = [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0], [0.0, 0.0]]
HOLE = [[0.5, 0.5], [0.5, 1.0], [1.0, 1.0], [1.0, 0.5], [0.5, 0.5]]
OTHER_HOLE = [[1.2, 1.2], [1.2, 1.6], [1.6, 1.6], [1.2, 1.2]]


def polygon(*rings: Any, crs: str | None = None, kind: str = "Polygon") -> Object:
    shape: Object = {"type": kind, "coordinates": list(rings)}
    return shape if crs is None else {**shape, "crs": {"type": "name", "properties": {"name": crs}}}


def moved(ring: Any, source: str, target: str) -> Any:
    transformer = Transformer.from_crs(source, target, always_xy=True)
    return [list(transformer.transform(x, y)) for x, y in ring]


def around(longitude: float, latitude: float) -> Any:
    return [[longitude + x / 100, latitude + y / 100] for x, y in SQUARE]


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (polygon(SQUARE, HOLE, OTHER_HOLE), polygon(SQUARE, OTHER_HOLE, HOLE), True),
        (polygon(SQUARE, HOLE), polygon(SQUARE), False),
        (polygon(SQUARE), polygon([SQUARE], kind="MultiPolygon"), True),
        (
            polygon([SQUARE], [around(9, 9)], kind="MultiPolygon"),
            polygon([around(9, 9)], [SQUARE], kind="MultiPolygon"),
            True,
        ),
        (polygon(SQUARE), polygon([[0, 0], [1, 0], *SQUARE[1:]]), True),
        # The same points in another order: at distance zero, and another area.
        (
            polygon([[0, 0], [2, 0], [2, 2], [1, 1], [0, 2], [0, 0]]),
            polygon([[0, 0], [2, 0], [1, 1], [2, 2], [0, 2], [0, 0]]),
            False,
        ),
        (polygon(SQUARE), polygon([[x + 1e-9, y] for x, y in SQUARE]), True),
        (polygon(SQUARE), polygon([[x + 1e-4, y] for x, y in SQUARE]), False),
        # Coordinates with a height: the ground is the same.
        (polygon(SQUARE), polygon([[x, y, 7.0] for x, y in SQUARE]), True),
        # A ring that crosses itself is compared point by point.
        (
            polygon([[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]),
            polygon([[0, 1e-9], [1, 1], [1, 0], [0, 1], [0, 1e-9]]),
            True,
        ),
        (
            polygon([[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]),
            polygon([[0, 0.1], [1, 1], [1, 0], [0, 1], [0, 0.1]]),
            False,
        ),
        (polygon(kind="MultiPolygon"), polygon(kind="MultiPolygon"), True),
        (polygon(kind="MultiPolygon"), polygon(SQUARE), False),
    ],
)
def test_areas(left: Object, right: Object, equal: bool) -> None:
    assert same_geometry(left, right) is equal
    assert same_geometry(right, left) is equal


@pytest.mark.parametrize("degrees", ["EPSG:4326", "EPSG:4269", "EPSG:4258"])
def test_degrees_are_no_metres_in_any_geographic_crs(degrees: str) -> None:
    """A hundredth of a degree is a kilometre."""
    near, far = polygon(around(15, 46), crs=degrees), polygon(around(15.009, 46), crs=degrees)
    assert not same_geometry(near, far)
    assert same_geometry(near, polygon(around(15, 46 + 1e-8), crs=degrees))


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"type": "Polygon"},
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
        {"type": "Polygon", "coordinates": [[["x", "y"], [1, 1], [2, 2], [0, 0]]]},
        {"type": "MultiPolygon", "coordinates": [[]]},
        {"type": "Nonsense", "coordinates": [1]},
        {"type": "Point", "coordinates": [0.0, 0.0]},
    ],
)
def test_what_is_no_area_is_the_same_only_as_itself(broken: Any) -> None:
    assert same_geometry(broken, dict(broken))
    assert not same_geometry(broken, polygon(SQUARE))
    assert not same_geometry(polygon(SQUARE), broken)
    assert not same_geometry(broken, {**broken, "type": "LineString"})


def test_two_points_are_not_the_same_for_having_no_area() -> None:
    left = {"type": "Point", "coordinates": [0.0, 0.0]}
    assert not same_geometry(left, {**left, "coordinates": [1.0, 1.0]})


def test_an_unknown_crs_and_one_out_of_reach_are_another_place() -> None:
    here = polygon(SQUARE, crs="urn:ogc:def:crs:EPSG::32633")
    assert not same_geometry(here, polygon(SQUARE, crs="EPSG:999999"))
    assert not same_geometry(polygon(SQUARE, crs="EPSG:999999"), here)
    far = polygon([[1e12 * x, 1e12 * y] for x, y in SQUARE], crs="EPSG:3857")
    assert not same_geometry(far, here)
    assert not same_geometry(
        polygon(SQUARE, crs="EPSG:999999"), polygon(around(1, 1), crs="EPSG:999999")
    )


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326"),
        ("http://www.opengis.net/def/crs/OGC/1.3/CRS84", "EPSG:4326"),
        ("urn:ogc:def:crs:EPSG::32633", "EPSG:32633"),
        ("urn:ogc:def:crs:EPSG:8.8.1:32633", "EPSG:32633"),
        ("http://www.opengis.net/def/crs/EPSG/0/3857", "EPSG:3857"),
        ("http://www.opengis.net/gml/srs/epsg.xml#3035", "EPSG:3035"),
        ("epsg:4326", "EPSG:4326"),
        ("EPSG:4326", "EPSG:4326"),
        ("nowhere", "nowhere"),
    ],
)
def test_the_spellings_of_a_crs(name: str, code: str) -> None:
    assert crs_code(name) == code


@pytest.mark.parametrize("crs", [None, {}, {"type": "name", "properties": None}, 7])
def test_without_a_name_it_is_crs84(crs: Any) -> None:
    assert crs_of({"type": "Polygon", "crs": crs}) == "EPSG:4326"


@given(
    longitude=st.floats(13, 17),
    latitude=st.floats(-60, 70),
    turn=st.integers(0, 3),
    back=st.booleans(),
    target=st.sampled_from(["EPSG:32633", "EPSG:3857"]),
)
def test_a_round_trip_to_the_tiles_crs_changes_nothing(
    longitude: float, latitude: float, turn: int, back: bool, target: str
) -> None:
    """The service stores CRS84 and answers in the tile's own: north of the equator and south of it."""
    ring = around(longitude, latitude)
    points = moved(ring, "EPSG:4326", target)[:-1]
    points = points[turn:] + points[:turn]
    points = points[::-1] if back else points
    there = polygon([*points, points[0]], crs=target)
    here = polygon([[round(x, 7), round(y, 7)] for x, y in ring])
    assert same_geometry(here, there)
    assert same_geometry(there, here)
    assert not same_geometry(polygon(around(longitude + 1e-4, latitude)), there)


def test_the_name_of_a_reference_system_takes_no_time() -> None:
    with bounded():
        assert crs_code("EPSG:1" * 100_000 + "x").endswith("x")
        assert crs_code("EPSG" + ":1" * 200_000) == "EPSG:1"
    assert crs_code("http://www.opengis.net/def/crs/epsg/0/32633") == "EPSG:32633"
    assert crs_code("urn:ogc:def:crs:EPSG::3857") == "EPSG:3857"
    assert crs_code(":7") == ":7"
