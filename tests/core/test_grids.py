"""Tiles are counted and named by the rule of the published table, on any area of the globe."""

from __future__ import annotations

import json
import math
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from shapely.geometry import Polygon, box, shape

from shplan.core.areas import NotAnAreaError
from shplan.core.grids import (
    Grid,
    Tiles,
    TileSize,
    aoi_of,
    grid_by_id,
    grids,
    tile_size,
    tiles_touching,
)
from shplan.core.value import Object

ROOT = Path(__file__).parents[2]
TABLE = json.loads((ROOT / "schemas" / "tables" / "tiling-grids.json").read_text(encoding="utf-8"))
UTM = "EPSG:32633"
EVERY = 10_000_000


def grid(grid_id: int) -> Grid:
    found = grid_by_id(TABLE, grid_id)
    assert found is not None
    return found


GRID_20, GRID_10, GRID_100, GRID_1, LAEA_100, LAEA_20 = (grid(one) for one in (0, 1, 2, 3, 6, 7))


def polygon(*points: tuple[float, float], crs: str = "") -> Object:
    ring = [[float(x), float(y)] for x, y in (*points, points[0])]
    made: Object = {"type": "Polygon", "coordinates": [ring]}
    return {**made, "crs": {"type": "name", "properties": {"name": crs}}} if crs else made


def bbox(geometry: Object) -> list[float]:
    return [*shape(geometry).bounds]


def touched(grid: Grid, aoi: Any, crs: str = "", most: int = EVERY) -> Tiles:
    return tiles_touching(grid, aoi, crs=crs, most=most)


def dense(ring: list[tuple[float, float]], steps: int = 200) -> list[tuple[float, float]]:
    return [
        (x0 + (x1 - x0) * step / steps, y0 + (y1 - y0) * step / steps)
        for (x0, y0), (x1, y1) in pairwise([*ring, ring[0]])
        for step in range(steps)
    ]


def moved(ring: list[tuple[float, float]], source: str, target: str) -> list[tuple[float, float]]:
    transformer = Transformer.from_crs(source, target, always_xy=True)
    return [transformer.transform(x, y) for x, y in ring]


def by_brute_force(grid: Grid, ring: list[tuple[float, float]]) -> set[str]:
    """The rule of the table, cell by cell: only for areas of a few cells in degrees."""
    names: set[str] = set()
    west, south, east, north = grid.bounds
    if grid.crs == "UTM":
        for zone in range(1, 61):
            left = -180 + 6 * (zone - 1)
            for letter, code, low, high in (("N", 326, 0, north), ("S", 327, south, 0)):
                if not any(left - 9 < x < left + 15 for x, _ in ring):
                    continue
                crs = f"EPSG:{code}{zone:02}"
                region = [(left, low), (left + 6, low), (left + 6, high), (left, high)]
                names |= cells(grid, crs, region, ring, f"{zone:02}{letter}_")
        return names
    region = [(west, south), (east, south), (east, north), (west, north)]
    return cells(grid, grid.crs, region, ring, "")


def cells(
    grid: Grid,
    crs: str,
    region: list[tuple[float, float]],
    ring: list[tuple[float, float]],
    prefix: str,
) -> set[str]:
    exists = Polygon(moved(dense(region, 400), "EPSG:4326", crs))
    aoi = Polygon(moved(dense(ring), "EPSG:4326", crs))
    left, low, right, high = aoi.bounds
    names = set()
    for column in range(math.floor(left / grid.tile_width), math.ceil(right / grid.tile_width)):
        for row in range(math.floor(low / grid.tile_height), math.ceil(high / grid.tile_height)):
            x, y = column * grid.tile_width, row * grid.tile_height
            cell = box(x, y, x + grid.tile_width, y + grid.tile_height)
            if cell.intersection(aoi).area > 0 and cell.intersection(exists).area > 0:
                names.add(named(grid, prefix, column, row))
    return names


def named(grid: Grid, prefix: str, column: int, row: int) -> str:
    if grid.unit == "METRE":
        return f"{prefix}{column}_{row}"
    longitude = f"W{-column:03}" if column < 0 else f"E{column:03}"
    return longitude + (f"S{-row:02}" if row < 0 else f"N{row:02}")


@pytest.mark.parametrize(
    ("grid_id", "resolution", "size_px"),
    [(0, 10, 2004), (1, 10, 1000), (3, 0.0001, 10000), (6, 50, 2000)],
)
def test_the_published_sizes_of_tiles(grid_id: int, resolution: float, size_px: int) -> None:
    """Source: API reference, tiling grids."""
    assert tile_size(grid(grid_id), resolution=resolution) == TileSize(size_px, size_px)


def test_a_buffer_is_added_on_both_sides_of_its_axis() -> None:
    size = tile_size(GRID_20, resolution=10, buffer_x_px=50, buffer_y_px=7)
    assert size == TileSize(2104, 2018)
    assert size.pixels == 2104 * 2018


@pytest.mark.parametrize("one", grids(TABLE), ids=lambda one: one.name)
def test_every_resolution_of_a_grid_divides_its_tiles(one: Grid) -> None:
    for resolution in one.resolutions:
        size = tile_size(one, resolution=resolution)
        assert math.isclose(size.width_px * resolution, one.tile_width, rel_tol=1e-12)
        assert math.isclose(size.height_px * resolution, one.tile_height, rel_tol=1e-12)


def test_a_pixel_that_is_cut_counts_whole() -> None:
    assert tile_size(GRID_10, resolution=30) == TileSize(334, 334)


def test_a_grid_has_its_id() -> None:
    assert [grid_by_id(TABLE, one.id) for one in grids(TABLE)] == [*grids(TABLE)]
    assert grid_by_id(TABLE, 4) is None


def test_tiles_of_a_zone_are_named_by_zone_column_and_row() -> None:
    # Three tiles in a row, exactly: a border shares no area with the tile behind it.
    aoi = [20040 * 25, 20040 * 250, 20040 * 28, 20040 * 251]
    assert touched(GRID_20, aoi, UTM) == Tiles(
        3, ("33N_25_250", "33N_26_250", "33N_27_250"), partial=0, overlapping=0, crs=(UTM,)
    )
    assert touched(GRID_20, aoi, UTM, most=2).names == ("33N_25_250", "33N_26_250")
    assert touched(GRID_20, aoi, UTM, most=0).names == ()


@pytest.mark.parametrize(
    ("aoi", "names"),
    [
        ([14.2, 46.2, 14.4, 46.9], ("E014N46",)),
        ([14, 46, 15, 47], ("E014N46",)),
        ([-0.5, -0.5, 0.5, 0.5], ("W001S01", "W001N00", "E000S01", "E000N00")),
        ([179.5, 10.2, 180.5, 10.8], ("W180N10", "E179N10")),
        ([-180.5, 10.2, -179.5, 10.8], ("W180N10", "E179N10")),
        ([7, -90, 7.5, -89.5], ("E007S90",)),
    ],
)
def test_tiles_of_whole_degrees_are_named_by_their_lower_left_corner(
    aoi: list[float], names: tuple[str, ...]
) -> None:
    assert touched(GRID_1, aoi).names == names


def test_tiles_of_laea_have_column_and_row() -> None:
    tiles = touched(LAEA_100, [4_500_000, 2_500_000, 4_600_000, 2_700_000], "EPSG:3035")
    assert tiles == Tiles(2, ("45_25", "45_26"), partial=0, overlapping=0, crs=("EPSG:3035",))


@pytest.mark.parametrize("one", [GRID_20, GRID_1], ids=lambda one: one.name)
def test_a_point_lies_in_a_tile(one: Grid) -> None:
    tiles = touched(one, polygon(*[(14.5, 46.05)] * 3))
    assert (tiles.count, tiles.partial, tiles.least, len(tiles.names)) == (1, 1, 1, 1)
    assert touched(one, [14.5, 46.05, 14.5 + 1e-9, 46.05 + 1e-9]).names == tiles.names


@pytest.mark.parametrize("x", [0.0, 3.0, 180.0, -180.0])
@pytest.mark.parametrize("one", [GRID_20, GRID_10, GRID_1], ids=lambda one: one.name)
def test_a_point_on_a_border_lies_in_a_tile(one: Grid, x: float) -> None:
    """It shares area with none; in the south of the equator tiles may reach over it."""
    tiles = touched(one, polygon(*[(x, 0.0)] * 3))
    assert 1 <= tiles.count == len(tiles.names) <= 2
    assert touched(one, [x, 0.0, x + 1e-10, 1e-10]).count >= 1


@pytest.mark.parametrize(
    ("one", "aoi"),
    [
        (GRID_20, [30, 84, 31, 85]),
        (GRID_10, [30, -85, 31, -84]),
        (LAEA_20, [100, 0, 101, 1]),
        (LAEA_100, [100, 40, 101, 41]),
        (GRID_20, [30, 84, 30, 84]),
    ],
)
def test_beyond_a_grid_there_are_no_tiles(one: Grid, aoi: list[float]) -> None:
    assert touched(one, aoi) == Tiles()
    assert Tiles().least == 0


def test_tiles_at_the_border_of_two_zones_may_cover_each_other() -> None:
    tiles = touched(GRID_20, [11.9, 46.0, 12.1, 46.1])
    assert tiles.crs == ("EPSG:32632", "EPSG:32633")
    assert 0 < tiles.overlapping <= tiles.count
    assert 1 <= tiles.least == max(tiles.count - tiles.overlapping, 1)


def test_the_equator_parts_two_hemispheres() -> None:
    tiles = touched(GRID_100, [14.9, -0.1, 15.1, 0.1])
    assert tiles.crs == ("EPSG:32633", "EPSG:32733")
    assert {name[:4] for name in tiles.names} == {"33N_", "33S_"}


def test_an_area_across_the_antimeridian_is_one_however_it_is_written() -> None:
    over = touched(GRID_20, [179.5, -17, 180.5, -16])
    under = touched(GRID_20, [-180.5, -17, -179.5, -16])
    split = {
        "type": "MultiPolygon",
        "coordinates": [
            [[[179.5, -17], [180, -17], [180, -16], [179.5, -16], [179.5, -17]]],
            [[[-180, -17], [-179.5, -17], [-179.5, -16], [-180, -16], [-180, -17]]],
        ],
    }
    assert over == under
    assert touched(GRID_20, split).names == over.names
    assert over.crs == ("EPSG:32701", "EPSG:32760")
    # In metres as well, though a projection answers on either side.
    ring = moved(
        [(179.5, -17), (180.5, -17), (180.5, -16), (179.5, -16)], "EPSG:4326", "EPSG:32760"
    )
    assert {*touched(GRID_1, polygon(*ring), "EPSG:32760").names} <= {
        f"{longitude}{latitude}"
        for longitude in ("E179", "W180")
        for latitude in ("S18", "S17", "S16")
    }


def test_a_hole_is_no_area_of_interest() -> None:
    outer = [[10.0, 45.0], [16.0, 45.0], [16.0, 50.0], [10.0, 50.0], [10.0, 45.0]]
    hole = [[12.0, 46.0], [14.0, 46.0], [14.0, 48.0], [12.0, 48.0], [12.0, 46.0]]
    whole = touched(GRID_1, {"type": "Polygon", "coordinates": [outer]})
    pierced = touched(GRID_1, {"type": "Polygon", "coordinates": [outer, hole]})
    assert {*whole.names} - {*pierced.names} == {"E012N46", "E012N47", "E013N46", "E013N47"}


def test_a_ring_that_crosses_itself_is_mended() -> None:
    bow = polygon((14.1, 46.1), (15.9, 47.9), (15.9, 46.1), (14.1, 47.9))
    assert {*touched(GRID_1, bow).names} == {"E014N46", "E015N46", "E014N47", "E015N47"}


def test_a_height_is_no_place() -> None:
    flat = [[14.1, 46.1], [14.2, 46.1], [14.2, 46.2], [14.1, 46.1]]
    high = [[x, y, 300.0] for x, y in flat]
    first, second = ({"type": "Polygon", "coordinates": [ring]} for ring in (flat, high))
    assert touched(GRID_20, first) == touched(GRID_20, second)


@pytest.mark.parametrize(
    ("aoi", "crs"),
    [
        ({"type": "Point", "coordinates": [1, 2]}, ""),
        ({"type": "Polygon"}, ""),
        ({"type": "Polygon", "coordinates": []}, ""),
        ({"type": "Polygon", "coordinates": [[["a", "b"]]]}, ""),
        ([1, 2, 3], ""),
        ([1, 2, 3, "x"], ""),
        ([1, 2, 3, math.nan], ""),
        ([1, 2, 3, 4], "EPSG:999999"),
        ([1e30, 1e30, 2e30, 2e30], UTM),
    ],
)
def test_what_is_no_area_is_said(aoi: Any, crs: str) -> None:
    with pytest.raises(NotAnAreaError):
        touched(GRID_20, aoi, crs)


@pytest.mark.parametrize(
    "crs",
    ["http://www.opengis.net/def/crs/OGC/1.3/CRS84", "", "EPSG:4326", "urn:ogc:def:crs:EPSG::4326"],
)
def test_axes_are_longitude_and_latitude_in_every_spelling(crs: str) -> None:
    assert touched(GRID_1, [14.2, 46.2, 14.4, 46.4], crs).names == ("E014N46",)


def test_the_geometry_may_say_its_own_crs() -> None:
    points = ((501_010.0, 5_010_010.0), (501_020.0, 5_010_010.0), (501_020.0, 5_010_020.0))
    assert touched(GRID_20, polygon(*points, crs=f"urn:ogc:def:crs:EPSG::{UTM[5:]}")).names == (
        "33N_25_250",
    )


def test_a_bbox_comes_before_the_geometry_that_it_frames() -> None:
    geometry = polygon((1.0, 2.0), (3.0, 2.0), (3.0, 4.0))
    crs = {"crs": "http://www.opengis.net/def/crs/EPSG/0/32633"}
    assert aoi_of({"geometry": geometry}) == (geometry, "")
    assert aoi_of({"geometry": geometry, "bbox": [1, 2, 3, 4], "properties": crs}) == (
        [1, 2, 3, 4],
        crs["crs"],
    )
    assert aoi_of({}) is None
    assert aoi_of(None) is None
    assert aoi_of({"bbox": "x"}) is None


def test_long_edges_are_straight_in_their_own_crs() -> None:
    """A parallel of forty degrees of longitude bows by hundreds of kilometres in LAEA."""
    ring = [(-10.0, 59.95), (30.0, 59.95), (30.0, 60.05), (-10.0, 60.05)]
    assert {*touched(LAEA_100, polygon(*ring)).names} == by_brute_force(LAEA_100, ring)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("one", "count"),
    [
        pytest.param(GRID_20, 1_311_120, marks=pytest.mark.slow),
        (GRID_100, 62_340),
        (GRID_1, 64_800),
    ],
)
def test_the_whole_world_is_counted_in_seconds_and_little_memory(one: Grid, count: int) -> None:
    tracemalloc.start()
    tiles = touched(one, [-180, -90, 180, 90], most=3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tiles.count, tiles.partial, len(tiles.names)) == (count, 0, 3)
    assert peak < 200e6


SMALL = st.floats(0.02, 0.6)
LONGITUDE = st.one_of(st.floats(-179, 178), st.sampled_from([11.9, 17.95, -0.1, 5.8]))
LATITUDE = st.one_of(st.floats(-79, 79), st.sampled_from([-0.1, 0.02]))


@settings(max_examples=40, deadline=None)
@given(LONGITUDE, LATITUDE, SMALL, SMALL, st.sampled_from([GRID_20, GRID_10, GRID_100, GRID_1]))
def test_a_slow_and_simple_count_finds_the_same_tiles(
    x: float, y: float, width: float, height: float, one: Grid
) -> None:
    ring = [(x, y), (x + width, y + height / 4), (x + width / 2, y + height)]
    tiles = touched(one, polygon(*ring))
    expected = by_brute_force(one, ring)
    # Within a decimetre of a border the two may differ.
    assert tiles.count == len({*tiles.names})
    unsure = {*tiles.names} ^ expected
    assert (
        not unsure
        or {*touched(one, polygon(*grown(ring, -1e-5))).names} <= {*tiles.names} & expected
    )


def grown(ring: list[tuple[float, float]], degrees: float) -> list[tuple[float, float]]:
    coordinates = Polygon(ring).buffer(degrees, join_style="mitre").exterior.coords
    return [(x, y) for x, y in coordinates][:-1]


@settings(max_examples=15, deadline=None)
@given(st.floats(-25, 40), st.floats(35, 70), SMALL, SMALL, st.sampled_from([LAEA_20, LAEA_100]))
def test_so_it_does_in_laea(x: float, y: float, width: float, height: float, one: Grid) -> None:
    ring = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    assert {*touched(one, polygon(*ring)).names} == by_brute_force(one, ring)


BOX = st.tuples(st.floats(-175, 170), st.floats(-75, 70), st.floats(0.001, 5), st.floats(0.001, 5))


@settings(max_examples=60, deadline=None)
@given(BOX, st.tuples(*[st.floats(0, 1)] * 4), st.sampled_from(grids(TABLE)))
def test_a_part_of_an_area_touches_no_more_tiles_than_the_area(
    whole: tuple[float, ...], cut: tuple[float, ...], one: Grid
) -> None:
    x, y, width, height = whole
    left, right = sorted((x + width * cut[0], x + width * cut[1]))
    low, high = sorted((y + height * cut[2], y + height * cut[3]))
    assume(right - left > 1e-6 and high - low > 1e-6)
    outer = touched(one, [x, y, x + width, y + height])
    inner = touched(one, [left, low, right, high])
    assert inner.count <= outer.count
    assert {*inner.names} <= {*outer.names}


@settings(max_examples=60, deadline=None)
@given(BOX, st.sampled_from(grids(TABLE)))
def test_names_are_unique_and_as_many_as_there_are_tiles(
    where: tuple[float, ...], one: Grid
) -> None:
    x, y, width, height = where
    tiles = touched(one, [x, y, x + width, y + height])
    assert len({*tiles.names}) == len(tiles.names) == tiles.count
    assert tiles.partial <= tiles.count
    assert min(tiles.count, 1) <= tiles.least <= tiles.count
    few = touched(one, [x, y, x + width, y + height], most=5)
    assert few.names == tiles.names[:5]


METRES = st.integers(0, 60_000)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(420_000, 500_000),
    st.integers(4_000_000, 6_000_000),
    METRES,
    METRES,
    st.integers(-2, 2),
    st.integers(-9, 9),
    st.sampled_from([GRID_20, GRID_10]),
)
def test_an_area_moved_by_whole_tiles_touches_as_many(
    x: int, y: int, width: int, height: int, columns: int, rows: int, one: Grid
) -> None:
    size = round(one.tile_width)
    here = touched(one, [x, y, x + width + 1, y + height + 1], UTM)
    x, y = x + columns * size, y + rows * size
    there = touched(one, [x, y, x + width + 1, y + height + 1], UTM)
    assert (here.count, here.partial) == (there.count, there.partial)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(420_000, 500_000),
    st.integers(4_000_000, 6_000_000),
    METRES,
    METRES,
    st.sampled_from([GRID_20, GRID_10, GRID_100]),
)
def test_tiles_cover_the_area_that_they_touch(
    x: int, y: int, width: int, height: int, one: Grid
) -> None:
    least = math.ceil(width * height / (one.tile_width * one.tile_height))
    assert touched(one, [x, y, x + width, y + height], UTM).count >= max(least, 1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(10, 20), st.floats(40, 50)), min_size=3, max_size=3, unique=True),
    st.integers(0, 2),
    st.booleans(),
)
def test_the_order_of_vertices_does_not_matter(
    points: list[tuple[float, float]], turn: int, back: bool
) -> None:
    turned = points[turn:] + points[:turn]
    other = touched(GRID_20, polygon(*(reversed(turned) if back else turned)))
    assert other == touched(GRID_20, polygon(*points))
