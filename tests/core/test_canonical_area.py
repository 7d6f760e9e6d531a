"""Areas with the same rings have one form; other areas never."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.canonical_area import canonical_area

# Few values, so that vertices repeat.
POINTS = st.tuples(st.integers(0, 2), st.sampled_from([0, 0.5, 1])).map(list)
RINGS = st.lists(POINTS, min_size=1, max_size=7)


def closed(ring: list[Any]) -> list[Any]:
    return [*ring, ring[0]]


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [closed(ring) for ring in rings]}


def multi(*polygons: Any) -> dict[str, Any]:
    return {"type": "MultiPolygon", "coordinates": [one["coordinates"] for one in polygons]}


@st.composite
def turned(draw: Any, ring: list[Any]) -> list[Any]:
    start = draw(st.integers(0, len(ring)))
    found = [*ring[start:], *ring[:start]]
    return found[::-1] if draw(st.booleans()) else found


@given(RINGS.flatmap(lambda ring: st.tuples(st.just(ring), turned(ring))))
def test_start_and_direction_do_not_matter(rings: tuple[Any, Any]) -> None:
    ring, other = rings
    assert canonical_area(polygon(ring)) == canonical_area(polygon(other))


@given(RINGS, RINGS)
def test_a_form_keeps_the_ring(one: Any, other: Any) -> None:
    """Two rings have one form only if one is the other, turned."""
    turns = [[*one[at:], *one[:at]] for at in range(len(one))]
    same = other in turns or other[::-1] in turns
    # A ring whose last vertex repeats the first is closed twice, which is once.
    if one[0] != one[-1] and other[0] != other[-1]:
        assert (canonical_area(polygon(one)) == canonical_area(polygon(other))) == same


@given(st.lists(st.lists(RINGS, min_size=1, max_size=3), min_size=1, max_size=3), st.data())
def test_order_of_holes_and_polygons_does_not_matter(parts: Any, data: st.DataObject) -> None:
    shuffled = [
        polygon(part[0], *data.draw(st.permutations(part[1:])))
        for part in data.draw(st.permutations(parts))
    ]
    form = canonical_area(multi(*(polygon(*part) for part in parts)))
    assert form == canonical_area(multi(*shuffled))
    assert canonical_area(form) == form


def test_one_polygon_is_a_polygon() -> None:
    square = polygon([[0, 0], [1, 0], [1, 1], [0, 1]])
    assert canonical_area(multi(square)) == canonical_area(square)
    assert canonical_area(square)["coordinates"] == [[[0, 0], [0, 1], [1, 1], [1, 0], [0, 0]]]


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [0, 0]},
        {"type": "Polygon"},
        {"type": "Polygon", "coordinates": [[[]]]},
        {"type": "Polygon", "coordinates": [[[True, False]]]},
        {"type": "Polygon", "coordinates": [[["a", 0]]]},
        {"type": "MultiPolygon", "coordinates": {"a": 1}},
        {"coordinates": [[[0, 0]]]},
    ],
)
def test_what_is_no_area_has_no_form(geometry: Any) -> None:
    assert canonical_area(geometry) is None


def test_numbers_are_numbers() -> None:
    assert canonical_area(polygon([[0.0, -0.0], [1, 2.0], [3.5, 1e300]])) == polygon(
        [[0, 0], [1, 2], [3.5, 1e300]]
    )


@pytest.mark.parametrize("coordinates", [[], [[]], [[[0, 0]]]])
def test_an_empty_area_has_a_form(coordinates: Any) -> None:
    form = canonical_area({"type": "Polygon", "coordinates": coordinates})
    assert form is not None
    assert canonical_area(form) == form  # type: ignore[arg-type]


@pytest.mark.parametrize("ring", [[[0, 0]] * 20_000, [[0, 0], [0, 1]] * 10_000])
def test_repeated_vertices_take_no_time(ring: Any) -> None:
    """Linear: comparing all rotations of these would take minutes."""
    assert len(canonical_area(polygon(ring))["coordinates"][0]) > 0  # type: ignore[index, arg-type]
