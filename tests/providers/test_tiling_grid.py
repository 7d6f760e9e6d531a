"""A grid is known offline, and the service is believed where it says something else."""

from __future__ import annotations

from typing import Any

import pytest
import shapely

from shplan.core.errors import RefusedError
from shplan.core.grids import grid_by_id, tiles_touching
from shplan.core.request import Answer
from shplan.providers.base import ChangeFailedError
from shplan.providers.tiling_grid import TilingGrid
from shplan.schema.store import tables

GRID = TilingGrid()
TABLES = tables()
AREA = {"bbox": [14.0, 46.0, 14.4, 46.3]}
SAID = {
    "id": 1,
    "name": "UTM 10km grid",
    "properties": {
        "tileWidth": 10000.0,
        "tileHeight": 10000,
        "resolutions": [20, 10],
        "unit": "METRE",
    },
}


def read(spec: Any, *replies: Any) -> tuple[Any, list[str]]:
    flow, asked, left = GRID.read(spec, TABLES), [], iter(replies)
    step = next(flow)
    while True:
        asked.append(step.request.path)
        try:
            reply = next(left)
            step = flow.throw(reply) if isinstance(reply, Exception) else flow.send(reply)
        except StopIteration as end:
            return end.value, asked


def test_it_is_known_without_asking() -> None:
    content = GRID.offline({"id": 1, "resolution": 10, "bufferX": 5}, TABLES)
    assert content is not None
    assert (content["name"], content["resolutions"]) == ("UTM 10km grid", [10.0, 20.0])
    assert content["tilePixels"] == {"width": 1010, "height": 1000}
    assert GRID.offline({"id": 99}, TABLES) is None
    assert "tilePixels" not in (GRID.offline({"id": 1, "resolution": 1e-320}, TABLES) or {})


@pytest.mark.parametrize("number", [0, 1, 3, 6])
def test_tiles_cover_the_area_and_are_counted_as_a_batch_request_counts_them(number: int) -> None:
    content: Any = GRID.offline({"id": number, "bounds": AREA}, TABLES)
    seen: Any = GRID.seen(content)
    grid = grid_by_id(TABLES["tiling-grids"], number)
    assert grid is not None
    counted = tiles_touching(grid, AREA["bbox"], most=1000)
    assert seen["names"] == list(counted.names)
    assert (content["count"], content["partial"]) == (counted.count, counted.partial)
    assert counted.partial == sum(tile["partial"] for tile in seen["tiles"])
    outlines = [shapely.geometry.shape(tile["geometry"]) for tile in seen["tiles"]]
    area = shapely.box(*AREA["bbox"])
    # A parallel is no straight line in UTM: what is left open is narrower than a metre.
    assert shapely.union_all(outlines).buffer(1e-5).covers(area)
    for tile, outline in zip(seen["tiles"], outlines, strict=True):
        assert seen["byName"][tile["name"]] is tile
        assert tile["partial"] or area.buffer(1e-5).covers(outline)


def test_the_service_agrees_however_it_writes_numbers() -> None:
    known: Any = GRID.offline({"id": 1}, TABLES)
    answer, asked = read({"id": 1}, Answer(200, SAID))
    assert asked == ["/batch/v2/tilinggrids/{id}"]
    assert GRID.compared(known, answer) == ()


def test_a_difference_is_said() -> None:
    known: Any = GRID.offline({"id": 1}, TABLES)
    other = {**SAID, "properties": {**SAID["properties"], "tileWidth": 10980}}  # type: ignore[dict-item]
    (told,) = GRID.compared(known, read({"id": 1}, Answer(200, other))[0])
    assert told == "the service says tileWidth 10980, and the published table 10000.0"


def test_where_only_the_older_api_is_served_it_is_asked() -> None:
    gone = RefusedError("not there", status=404)
    answer, asked = read({"id": 1}, gone, Answer(200, SAID))
    assert asked[1] == "/api/v1/batch/tilinggrids/{id}"
    assert answer["name"] == "UTM 10km grid"


def test_a_grid_that_is_not_published_is_what_the_service_says() -> None:
    said = {"id": 9, "name": "New grid", "properties": {"tileWidth": 5}}
    assert read({"id": 9}, Answer(200, said))[0] == {"id": 9, "name": "New grid", "tileWidth": 5}
    with pytest.raises(ChangeFailedError, match="leave `bounds` out"):
        read({"id": 9, "bounds": AREA}, Answer(200, said))
