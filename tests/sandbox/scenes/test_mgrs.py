"""The tiles of Sentinel-2, against published names and places."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from shplan.sandbox.scenes.mgrs import SIDE, tile_table

TABLE = tile_table()


def found(name: str) -> int:
    index = TABLE.index_of(name)
    assert index is not None
    return index


@pytest.mark.parametrize(
    ("name", "epsg", "west", "north", "place"),
    [
        ("33TUK", 32633, 300_000, 5_000_040, (12.9, 44.6)),  # the example of the service
        ("32UPU", 32632, 600_000, 5_400_000, (11.5, 48.3)),  # Munich's
        ("32TPT", 32632, 600_000, 5_300_040, (11.1, 47.4)),
        ("31UDQ", 32631, 399_960, 5_500_020, (2.3, 49.0)),  # Paris's
        ("10SEG", 32610, 499_980, 4_200_000, (-122.4, 37.5)),  # San Francisco's
        ("56HLH", 32756, 300_000, 6_300_040, (151.2, -33.9)),  # Sydney's
        ("36NXF", 32636, 600_000, 100_020, (34.4, 0.4)),
        ("36MXE", 32636 + 100, 600_000, 10_000_000, (34.4, -0.4)),
        ("32VNH", 32632, 499_980, 6_300_000, (10.2, 56.16)),  # Aarhus's
        ("33XWG", 32633, 499_980, 8_700_000, (15.5, 78.0)),  # Spitsbergen's
    ],
)
def test_tiles_lie_where_their_names_say(
    name: str, epsg: int, west: int, north: int, place: tuple[float, float]
) -> None:
    tile = TABLE.tile(found(name))
    assert tile.name == name
    assert tile.epsg == epsg
    assert tile.box == (west, north - SIDE, west + SIDE, north)
    assert found(name) in TABLE.touching((*place, *place))


def test_names_are_unique_and_lead_back() -> None:
    names = [TABLE.tile(index).name for index in range(len(TABLE.zone))]
    assert len(set(names)) == len(names) == 56_988
    assert all(TABLE.index_of(name) == index for index, name in list(enumerate(names))[::101])


@pytest.mark.parametrize(
    "name",
    ["", "33TU", "33TUKK", "00TUK", "61TUK", "33IUK", "33TIK", "33TUW", "33CUK", "33TAK", "32XMG",
     "3²TUK", "33tuk"],
)  # fmt: skip
def test_no_such_tile(name: str) -> None:
    assert TABLE.index_of(name) is None


@given(st.floats(-180.0, 180.0), st.floats(-55.5, 82.5))
def test_tiles_leave_no_gap(lon: float, lat: float) -> None:
    """Every place lies on a tile, in the tile's own CRS."""
    near = TABLE.touching((lon, lat, lon, lat))
    inside = []
    for index in near:
        tile = TABLE.tile(int(index))
        x, y = Transformer.from_crs(4326, tile.epsg, always_xy=True).transform(lon, lat)
        inside.append(shapely.box(*tile.box).covers(shapely.Point(x, y)))
    assert any(inside)


def test_boxes_lie_on_the_raster_of_60_metres() -> None:
    boxes = np.array([TABLE.tile(index).box for index in range(0, len(TABLE.zone), 53)])
    false_north = np.array(
        [1e7 if TABLE.row[i] < 0 else 0.0 for i in range(0, len(TABLE.zone), 53)]
    )
    assert (boxes[:, 0] % 60 == 0).all()
    assert ((boxes[:, 3] - false_north) % 60 == 0).all()
