from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, box, shape

from shplan.sandbox.catalog_area import area_of, bbox_of, shape_of, touched

DEGREES = st.floats(-80, 80, allow_nan=False)
LONGITUDES = st.floats(-180, 180, allow_nan=False)


@given(LONGITUDES, DEGREES, LONGITUDES, DEGREES)
def test_a_box_holds_its_corners(west: float, south: float, east: float, north: float) -> None:
    assume(south <= north)
    found = area_of({"bbox": [west, south, east, north]})
    assert found is not None
    for x in (west, east):
        for y in (south, north):
            assert (
                found.shape.intersects(box(x, y, x, y).centroid)
                or found.shape.distance(box(x, y, x, y).centroid) < 1e-9
            )
    assert found.shape.is_valid
    assert found.km2 >= 0


def test_areas_are_those_of_a_sphere() -> None:
    whole = area_of({"bbox": [-180, -90, 180, 90]})
    assert whole is not None
    assert whole.is_world
    assert whole.km2 == pytest.approx(510_065_622, rel=1e-6)
    half = area_of({"bbox": [-180, 0, 180, 90]})
    across = area_of({"bbox": [90, -90, -90, 90]})
    assert half is not None
    assert across is not None
    assert half.km2 == pytest.approx(across.km2) == pytest.approx(whole.km2 / 2)
    assert not half.is_world


@pytest.mark.parametrize(
    ("parts", "bbox"),
    [
        ([(170, 0, 180, 1), (-180, 0, -175, 1)], [170, 0, -175, 1]),
        ([(-180, 0, -175, 1), (170, 0, 180, 1), (160, 0, 165, 2)], [160, 0, -175, 2]),
        ([(-180, 0, 180, 1)], [-180, 0, 180, 1]),
        ([(-180, 0, 10, 1), (-10, 1.5, 180, 2)], [-180, 0, 180, 2]),
        ([(-20, 0, 180, 1), (-180, 0, -100, 1)], [-20, 0, -100, 1]),
        ([(10, 0, 20, 1), (30, 0, 40, 1)], [10, 0, 40, 1]),
    ],
)
def test_box_of_what_was_cut(parts: list[Any], bbox: list[float]) -> None:
    assert bbox_of(MultiPolygon([box(*part) for part in parts])) == bbox


@given(st.floats(175, 185), st.floats(0.01, 4), DEGREES)
def test_rectangle_that_crosses_is_cut_and_loses_nothing(
    west: float, width: float, south: float
) -> None:
    ring = [[west, south], [west + width, south], [west + width, south + 1], [west, south + 1]]
    wrapped = [[x - 360 if x > 180 else x, y] for x, y in [*ring, ring[0]]]
    assume(all(abs(abs(x) - 180) > 1e-6 for x, _ in wrapped))
    cut = shape_of({"type": "Polygon", "coordinates": [wrapped]})
    assert cut.is_valid
    assert cut.area == pytest.approx(width, rel=1e-6)
    assert -180 <= cut.bounds[0] <= cut.bounds[2] <= 180
    low, _, high, _ = bbox_of(cut)
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert (high - low) % 360 == pytest.approx(width, abs=1e-6)


def test_touching_tells_what_lies_within() -> None:
    triangle = shape({"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [0, 10], [0, 0]]]})
    boxes = [(1, 1, 2, 2), (4, 4, 6, 6), (8, 8, 9, 9)]
    assert touched(triangle, boxes) == [(0, True), (1, False)]
