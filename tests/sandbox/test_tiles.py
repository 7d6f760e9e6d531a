"""Tiles by the rule that stands in the table of grids, worked out here in other ways."""

from __future__ import annotations

import json
import math
from typing import Any

import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox import areas
from shplan.sandbox.grids import grids
from shplan.sandbox.tiles import Tile, TooManyTilesError, tiles_within


def within(grid: int, *bbox: float, crs: str | None = None) -> tuple[Tile, ...]:
    bounds: dict[str, Any] = {"bbox": list(bbox)}
    if crs is not None:
        bounds["properties"] = {"crs": crs}
    return tiles_within(grid, json.dumps(bounds))


def names(grid: int, *bbox: float, crs: str | None = None) -> list[str]:
    return [tile.name for tile in within(grid, *bbox, crs=crs)]


def test_the_grids_of_the_service() -> None:
    assert sorted(grids()) == [0, 1, 2, 3, 6, 7]
    assert grids()[3].as_json() == {
        "id": 3,
        "name": "WGS84 1 degree grid",
        "properties": {
            "tileWidth": 1, "tileHeight": 1, "resolutions": [0.0001, 0.0002], "unit": "DEGREE",
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bbox", "expected"),
    [
        ((14.2, 46.1, 14.3, 46.2), ["E014N46"]),
        ((14.0, 46.0, 15.0, 47.0), ["E014N46"]),
        ((13.99, 46.5, 14.01, 46.6), ["E013N46", "E014N46"]),
        ((-0.5, -0.5, 0.5, 0.5), ["W001S01", "E000S01", "W001N00", "E000N00"]),
        ((-180, -90, -179.5, -89.5), ["W180S90"]),
        ((179.5, 89.5, 180, 90), ["E179N89"]),
    ],
)
def test_tiles_of_one_degree(bbox: tuple[float, ...], expected: list[str]) -> None:
    assert names(3, *bbox) == expected


def test_utm_tiles_are_counted_from_the_origin_of_their_zone() -> None:
    # 15 degrees east is the middle of zone 33, at easting 500000.
    convert = pyproj.Transformer.from_crs(32633, 4326, always_xy=True).transform
    x, y = convert(500_000, 5_200_000)
    near = 0.0001
    assert names(1, x - near, y - near, x + near, y + near) == [
        "33N_49_519", "33N_50_519", "33N_49_520", "33N_50_520",
    ]  # fmt: skip
    assert names(0, x - near, y - near, x + near, y + near) == ["33N_24_259"]
    (tile,) = within(0, x - near, y - near, x + near, y + near)
    assert (tile.epsg, tile.west, tile.south) == (32633, 24 * 20040, 259 * 20040)


def test_zones_and_hemispheres_are_split() -> None:
    found = names(2, 5.9, -0.1, 6.1, 0.1)
    assert {name[:3] for name in found} == {"31N", "31S", "32N", "32S"}
    assert all(name.split("_")[2] == "0" for name in found if name[2] == "N")
    # The false northing of the south is 10 000 km: 99.9 tiles of 100.08 km.
    assert all(name.split("_")[2] == "99" for name in found if name[2] == "S")


def test_a_border_that_is_only_touched_gives_no_tile() -> None:
    assert names(3, 14, 46, 14.5, 46.5) == ["E014N46"]
    assert {name[:3] for name in names(2, 6, 46, 6.1, 46.1)} == {"32N"}


def test_a_tile_in_the_corner_of_an_area_is_only_touched() -> None:
    corner = shapely.box(10, 40, 12, 42).difference(shapely.box(11, 41, 12, 42))
    bounds = json.dumps({"geometry": json.loads(shapely.to_geojson(corner))})
    assert [tile.name for tile in tiles_within(3, bounds)] == ["E010N40", "E011N40", "E010N41"]


def test_grids_end_where_they_end() -> None:
    assert names(0, 10, 80.8, 11, 81) == []
    assert names(6, 100, 50, 101, 51) == []
    assert names(2, 10, 80.8, 10.5, 89) != []


def test_laea_tiles_are_counted_from_the_origin_of_the_projection() -> None:
    convert = pyproj.Transformer.from_crs(3035, 4326, always_xy=True).transform
    x, y = convert(4_750_000, 2_550_000)
    near = 0.001
    assert names(6, x - near, y - near, x + near, y + near) == ["47_25"]
    assert names(7, x - near, y - near, x + near, y + near) == ["237_127"]


def test_an_area_in_another_crs_is_the_same_area() -> None:
    box = (500_100.0, 5_200_100.0, 519_000.0, 5_219_000.0)
    crs = "http://www.opengis.net/def/crs/EPSG/0/32633"
    assert names(1, *box, crs=crs) == ["33N_50_520", "33N_51_520", "33N_50_521", "33N_51_521"]


@given(
    west=st.floats(-179, 170), south=st.floats(-79, 75),
    width=st.floats(0.01, 2.0), height=st.floats(0.01, 2.0), grid=st.sampled_from([0, 2]),
)  # fmt: skip
def test_every_point_of_an_area_lies_in_a_tile_of_its_zone(
    west: float, south: float, width: float, height: float, grid: int
) -> None:
    found = within(grid, west, south, west + width, south + height)
    assert len({tile.name for tile in found}) == len(found)
    corners = {(tile.epsg, tile.west, tile.south) for tile in found}
    size = grids()[grid].tile
    for share_x, share_y in ((0.01, 0.01), (0.5, 0.5), (0.99, 0.3)):
        x, y = west + share_x * width, south + share_y * height
        zone = math.floor((x + 180) / 6) + 1
        epsg = (32600 if y > 0 else 32700) + zone
        east, north = pyproj.Transformer.from_crs(4326, epsg, always_xy=True).transform(x, y)
        assert (epsg, math.floor(east / size) * size, math.floor(north / size) * size) in corners


def test_holes_and_corners_of_areas_count() -> None:
    ring = shapely.box(10, 40, 15, 45).difference(shapely.box(11.5, 41.5, 13.5, 43.5))
    bounds = json.dumps({"geometry": json.loads(shapely.to_geojson(ring))})
    found = {tile.name for tile in tiles_within(3, bounds)}
    # The hole covers (12, 42) wholly; its other tiles keep a rim.
    assert len(found) == 24
    assert "E012N42" not in found


def test_too_many_tiles_are_refused() -> None:
    with pytest.raises(TooManyTilesError):
        within(1, -179, -79, 179, 79)
    assert len(within(3, -180, -90, 180, 90)) == 360 * 180


def test_an_area_that_folds_over_itself_is_made_whole() -> None:
    knot = {"type": "Polygon", "coordinates": [[[0.1, 0.1], [1.9, 0.9], [1.9, 0.1], [0.1, 0.9], [0.1, 0.1]]]}  # fmt: skip
    area = areas.area_of({"geometry": knot})
    assert area is not None
    assert area[0].is_valid
    assert [tile.name for tile in tiles_within(3, json.dumps({"geometry": knot}))] == [
        "E000N00", "E001N00",
    ]  # fmt: skip
