"""Sample data: real files, real ingestion, and the same however often it is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import shapely

from shplan.sandbox import geopackage, sample, seeding
from shplan.sandbox.clock import StoppedClock
from shplan.sandbox.geopackage import Size
from shplan.sandbox.world import World

from .support import COLLECTIONS, Driver, sandbox


def files(buckets: Path) -> dict[str, bytes]:
    found = sorted(path for path in buckets.rglob("*") if path.is_file())
    return {path.relative_to(buckets).as_posix(): path.read_bytes() for path in found}


def test_two_sandboxes_get_the_same_imagery(tmp_path: Path) -> None:
    for name in ("one", "other"):
        with sandbox(tmp_path / name) as driver:
            driver.post("/_sandbox/seed")
    one, other = (files(tmp_path / name / "buckets" / seeding.BUCKET) for name in ("one", "other"))
    assert one == other
    assert sum(name.endswith(".tiff") for name in one) == len(sample.DATES) * len(sample.BANDS)


def test_seeding_twice_is_seeding_once(api: Driver) -> None:
    first = api.post("/_sandbox/seed").json()
    before = api.get("/_sandbox/dump").json()
    assert api.post("/_sandbox/seed").json() == first
    assert api.get("/_sandbox/dump").json() == before


def test_seeding_is_no_request_and_costs_nothing(api: Driver) -> None:
    api.post("/_sandbox/seed")
    dump = api.get("/_sandbox/dump").json()
    assert dump["meter"] == []
    assert [one["path"] for one in dump["requests"]] == [
        "/auth/realms/main/protocol/openid-connect/token"
    ]


def test_the_tiles_were_really_ingested(api: Driver) -> None:
    seeded = api.post("/_sandbox/seed").json()
    one = seeded["collection_id"]
    tiles = api.get(f"{COLLECTIONS}/{one}/tiles").json()["data"]
    assert {tile["path"]: tile["status"] for tile in tiles} == seeded["tiles"]
    assert set(seeded["tiles"].values()) == {"INGESTED"}
    assert [tile["sensingTime"][:10] for tile in tiles] == list(sample.DATES)
    bands = tiles[0]["additionalData"]["filesMetadata"]
    assert set(bands) == set(sample.BANDS)


def test_what_a_user_changed_stays(api: Driver) -> None:
    seeded = api.post("/_sandbox/seed").json()
    fields = api.app.state.world.buckets / seeded["bucket"] / seeded["geojson"]
    fields.write_text("mine")
    api.post("/_sandbox/seed")
    assert fields.read_text() == "mine"


def test_after_a_reset_all_of_it_comes_again(api: Driver) -> None:
    before = api.post("/_sandbox/seed").json()
    api.post("/_sandbox/reset")
    api.login()
    after = api.post("/_sandbox/seed").json()
    assert after["collection_id"] != before["collection_id"]
    assert after["tiles"] == before["tiles"]


def test_another_process_may_seed_what_is_served(api: Driver) -> None:
    other = World(api.app.state.world.data, clock=StoppedClock())
    seeded = seeding.seed(other)
    other.close()
    listed = api.get(COLLECTIONS).json()["data"]
    assert [one["id"] for one in listed] == [seeded.collection_id]


def test_the_fields_are_the_same_in_both_files_and_lie_in_the_images(api: Driver) -> None:
    seeded = api.post("/_sandbox/seed").json()
    bucket = api.app.state.world.buckets / seeded["bucket"]
    shapes = geopackage.read(bucket / seeded["geopackage"], Size())
    listed = json.loads((bucket / seeded["geojson"]).read_text())["features"]
    assert [one["properties"]["identifier"] for one in listed] == seeded["fields"]
    assert [shape.identifier for shape in shapes] == seeded["fields"]
    side = sample.SIDE * sample.PIXEL_M
    image = shapely.box(sample.WEST_M, sample.NORTH_M - side, sample.WEST_M + side, sample.NORTH_M)
    for shape, feature in zip(shapes, listed, strict=True):
        assert image.contains(shape.outline)
        assert shape.outline.area == shape.width * shape.height * sample.PIXEL_M**2
        assert shapely.geometry.shape(feature["geometry"]).is_valid


def test_the_batch_request_runs_to_its_end(api: Driver) -> None:
    seeded = api.post("/_sandbox/seed").json()
    task = f"/batch/v2/process/{seeded['batch_id']}"
    assert api.get(task).json()["status"] == seeded["batch_status"] == "CREATED"
    assert api.post(f"{task}/start").status_code == 204
    api.tick(60)
    assert api.get(task).json()["status"] == "DONE"
    assert api.post("/_sandbox/seed").json()["batch_status"] == "DONE"


def test_vegetation_grows_in_some_fields_and_not_in_others() -> None:
    """NDVI of the sample has something to show: it spreads, and differs from date to date."""
    rasterio = pytest.importorskip("rasterio")
    from rasterio.io import MemoryFile

    assert rasterio
    seen = []
    for index in range(len(sample.DATES)):
        values = {}
        for band in ("B04", "B08"):
            with MemoryFile(sample.cog(band, date_index=index)) as memory, memory.open() as raster:
                values[band] = raster.read(1).astype(float)
        ndvi = (values["B08"] - values["B04"]) / (values["B08"] + values["B04"])
        assert ndvi.min() < 0.2 < 0.6 < ndvi.max()
        seen.append(ndvi)
    assert not (seen[0] == seen[1]).all()
