"""The tiles of a request of Batch V1, and the tiling grids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import shape

from shplan.sandbox.grids import grids, tile_id

from .batches_v1 import EAST, REQUESTS, WEST, act, analysed, create, fail, tiles
from .support import Driver

STATUSES = ("PENDING", "SCHEDULED", "QUEUED", "PROCESSING", "PROCESSED", "FAILED")
# Eight tiles, so that all statuses are there at once.
WIDE = [12.5, 45.5, 16.5, 47.5]


def test_tiles_are_cells_of_the_grid(api: Driver) -> None:
    request = analysed(api, grid={"bufferX": 50})["id"]
    west, east = tiles(api, request)
    assert [one["id"] for one in (west, east)] == [tile_id(2, WEST), tile_id(2, EAST)]
    assert west["requestId"] == request
    assert (west["status"], west["cost"]) == ("PENDING", 0)
    assert west["origin"] == {
        "type": "Point",
        "coordinates": [400_320.0, 5_104_080.0],
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}},
    }
    # Two neighbours, without buffers, share a side and no area.
    shared = shape(west["geometry"]).intersection(shape(east["geometry"]))
    assert shared.length > 0.5
    assert shared.area == pytest.approx(0, abs=1e-9)
    assert "crs" not in west["geometry"]


def test_a_tile_is_found_by_its_number_only(api: Driver) -> None:
    request = analysed(api)["id"]
    for tile in tiles(api, request):
        assert api.get(f"{REQUESTS}/{request}/tiles/{tile['id']}").json() == tile
    for number in ("0", "1", "-1", WEST, "9" * 18, "9" * 40, "1.0", "%20"):
        assert api.get(f"{REQUESTS}/{request}/tiles/{number}").status_code == 404
    assert api.get(f"{REQUESTS}/{create(api)}/tiles/{tile_id(2, WEST)}").status_code == 404


def test_a_tile_has_one_number_in_all_requests(api: Driver) -> None:
    first, second = (analysed(api, path=f"s3://results/{n}")["id"] for n in range(2))
    numbers = [[tile["id"] for tile in tiles(api, one)] for one in (first, second)]
    assert numbers[0] == numbers[1]


def test_the_filter_by_status_divides_the_tiles(api: Driver) -> None:
    """Each tile is listed under its own status and under no other, on pages of any size."""
    api.configure(batch_processing_s=80)
    fail(api, "33N_3_51")
    request = create(api, bbox=WIDE)
    act(api, request, "start")
    seen = set()
    for step in (4, 5, 10, 10, 10, 10, 10, 10, 10, 10):
        api.tick(step)
        every = tiles(api, request)
        seen |= {tile["status"] for tile in every}
        for status in STATUSES:
            found = tiles(api, request, status=status)
            assert found == [tile for tile in every if tile["status"] == status]
    assert seen == set(STATUSES)


def test_pages_of_tiles_come_to_an_end(api: Driver) -> None:
    request = analysed(api, bbox=WIDE)["id"]
    every = [tile["id"] for tile in tiles(api, request)]
    assert len(every) == len(set(every)) > 6
    for count in (1, 3, len(every)):
        found, token = [], None
        while True:
            query = {"count": count, **({"viewtoken": token} if token else {})}
            page = api.get(f"{REQUESTS}/{request}/tiles", **query).json()
            found += [tile["id"] for tile in page["data"]]
            token = page["links"].get("nextToken")
            if token is None:
                break
        assert found == every
        previous = page["links"].get("previousToken")
        assert (previous is None) == (count == len(every))


def test_a_status_that_there_is_not_is_refused(api: Driver) -> None:
    request = analysed(api)["id"]
    assert api.get(f"{REQUESTS}/{request}/tiles", status="DONE").status_code == 400


def test_a_failed_tile_tells_its_cause_and_costs_nothing(api: Driver) -> None:
    fail(api, WEST, cause="The file is broken.")
    request = create(api)
    act(api, request, "start")
    api.tick(60)
    west, east = tiles(api, request)
    assert (west["status"], west["error"], west["cost"]) == ("FAILED", "The file is broken.", 0)
    assert (east["status"], "error" in east, east["cost"]) == ("PROCESSED", False, 50)


@given(grid=st.sampled_from(sorted(grids())), name=st.text(max_size=12))
def test_numbers_of_tiles_are_whole_for_every_reader_of_json(grid: int, name: str) -> None:
    number = tile_id(grid, name)
    assert 0 <= number < 2**53
    assert int(float(number)) == number == tile_id(grid, name)


def test_tiling_grids_are_those_of_version_2(api: Driver) -> None:
    older = api.get("/api/v1/batch/tilinggrids").json()["data"]
    assert older == api.get("/batch/v2/tilinggrids").json()["data"]
    for grid in older:
        assert api.get(f"/api/v1/batch/tilinggrids/{grid['id']}").json() == grid
    assert api.get("/api/v1/batch/tilinggrids/5").status_code == 400
