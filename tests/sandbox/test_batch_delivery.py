"""What batch tasks leave in buckets and collections: the files of their features, and tiles of them."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio

from tests.support import geopackages
from tests.support.served import Served, serving

from . import batches_v1 as v1
from . import processing as p
from .batches import TASKS, act, analysed, body, create, done, pu, read, start
from .support import COLLECTIONS, Driver

NDVI = p.script("return [(samples.B08 - samples.B04) / (samples.B08 + samples.B04)];")
ROUNDED = p.script("return [samples.B04];", output='{bands: 1, sampleType: "UINT16"}')
B04, B08 = p.numbers(1), p.numbers(2)
# Squares of 64 pixels of the imagery, by name with the first row and column.
PLACES = {"north": (64, 64), "south": (256, 128)}
SIDE = 64
SOURCE = {"type": "geopackage", "features": {"s3": {"url": "s3://input/fields.gpkg"}}}
TIMES = {"timeRange": {"from": "2025-06-01T00:00:00Z", "to": "2025-06-30T00:00:00Z"}}
COG = {"cogOutput": True}


def of(name: str, values: np.ndarray) -> np.ndarray:
    """The part of the imagery that a feature is."""
    row, column = PLACES[name]
    return values[row : row + SIDE, column : column + SIDE]


def ndvi(name: str) -> np.ndarray:
    red, infrared = (of(name, one).astype("float64") for one in (B04, B08))
    found: np.ndarray = ((infrared - red) / (infrared + red)).astype("float32")
    return found


def box(name: str) -> list[float]:
    row, column = PLACES[name]
    west, north = p.WEST + column * p.PIXEL, p.NORTH - row * p.PIXEL
    return [west, north - SIDE * p.PIXEL, west + SIDE * p.PIXEL, north]


def write_inputs(buckets: Path) -> None:
    for band, values in (("B04", B04), ("B08", B08)):
        p.write(buckets / f"imagery/june/{band}.tif", values)
    features = [{"identifier": name, "box": box(name), "resolution": 10} for name in PLACES]
    geopackages.write(buckets / "input/fields.gpkg", features)
    (buckets / "results").mkdir(exist_ok=True)


@pytest.fixture
def imagery(api: Driver, tmp_path: Path) -> dict[str, Any]:
    """The parts of a request for two fields from a collection of one tile."""
    write_inputs(tmp_path / "buckets")
    kind = p.collection(api, {"june": "2025-06-15T10:00:00Z"})
    return {
        "data": [{"type": kind, "dataFilter": TIMES}],
        "bounds": {},
        "source": SOURCE,
        "evalscript": NDVI,
        "url": "s3://results/<requestId>/<tileName>/<outputId>.<format>",
    }


def pixels(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        found: np.ndarray = raster.read(1)
        return found


def told(path: Path) -> dict[str, tuple[str, str | None]]:
    """Status and error of each feature in an execution database."""
    with sqlite3.connect(path) as file:
        rows = file.execute("select name, status, error from features").fetchall()
    return {name: (status, error) for name, status, error in rows}


def test_a_feature_is_a_file_of_the_numbers_that_numpy_computes(
    api: Driver, imagery: dict[str, Any], tmp_path: Path
) -> None:
    task = done(api, **imagery)
    assert task["status"] == "DONE"
    root = tmp_path / "buckets/results" / task["id"]
    for name in PLACES:
        with rasterio.open(root / name / "default.tif") as raster:
            assert raster.crs.to_epsg() == 32633
            assert list(raster.bounds) == box(name)
            assert np.allclose(raster.read(1), ndvi(name), rtol=1e-6)
    assert {p.name for p in root.iterdir()} == {
        *PLACES, f"request-{task['id']}.json", f"featureManifest-{task['id']}.gpkg",
        f"execution-{task['id']}.sqlite",
    }  # fmt: skip


def test_every_output_lies_where_the_template_says(
    api: Driver, imagery: dict[str, Any], tmp_path: Path
) -> None:
    several = p.script(
        "return {red: [samples.B04], near: [samples.B08]};",
        output='[{id: "red", bands: 1, sampleType: "UINT16"}, {id: "near", bands: 1, sampleType: "UINT16"}]',
        more='function updateOutputMetadata(scenes, input, output) { output.userData = {of: "june"}; }',
    )
    kinds = {"red": p.TIFF, "near": p.TIFF, "userdata": p.JSON}
    responses = [{"identifier": one, "format": {"type": kind}} for one, kind in kinds.items()]
    url = "s3://results/all/<outputId>/<tileName>-<requestId>.<format>"
    task = done(api, **{**imagery, "evalscript": several, "responses": responses, "url": url})
    root = tmp_path / "buckets/results/all"
    for name in PLACES:
        assert np.array_equal(pixels(root / f"red/{name}-{task['id']}.tif"), of(name, B04))
        assert np.array_equal(pixels(root / f"near/{name}-{task['id']}.tif"), of(name, B08))
        content = (root / f"userdata/{name}-{task['id']}.json").read_text()
        assert json.loads(content) == {"of": "june"}


def test_a_status_never_runs_ahead_of_the_files(
    api: Driver, imagery: dict[str, Any], tmp_path: Path
) -> None:
    """One feature has its turn after the other, and its file is there when it counts as handled."""
    task = create(api, **imagery)
    start(api, task)
    seen = []
    for seconds in (3, 1, 5, 5):
        api.tick(seconds)
        found = read(api, task)
        files = sorted(one.parent.name for one in (tmp_path / "buckets/results").rglob("*.tif"))
        seen.append((found["status"], found["completionPercentage"], files))
    assert seen == [
        ("ANALYSIS_DONE", 0, []),
        ("PROCESSING", 0, []),
        ("PROCESSING", 50, ["north"]),
        ("DONE", 100, ["north", "south"]),
    ]


def test_what_exists_is_skipped_or_written_again(
    api: Driver, imagery: dict[str, Any], tmp_path: Path
) -> None:
    parts = {**imagery, "url": "s3://results/<tileName>/<outputId>.<format>"}
    north = tmp_path / "buckets/results/north/default.tif"
    north.parent.mkdir(parents=True)
    north.write_bytes(b"somebody's")
    assert "exists already" in done(api, **parts)["error"]
    skipping = done(api, **parts, output={"skipExisting": True})
    assert north.read_bytes() == b"somebody's"
    assert np.allclose(pixels(north.parents[1] / "south/default.tif"), ndvi("south"), rtol=1e-6)
    assert (skipping["status"], skipping["completionPercentage"]) == ("DONE", 100)
    assert done(api, **parts, output={"overwrite": True})["status"] == "DONE"
    assert np.allclose(pixels(north), ndvi("north"), rtol=1e-6)


def test_a_feature_that_cannot_be_computed_fails_alone_and_costs_nothing(
    api: Driver, imagery: dict[str, Any], tmp_path: Path
) -> None:
    """The script throws where it meets a number that the first field has only."""
    red = int(of("north", B04)[0, 0])
    throws = p.script(
        f"if (samples.B04 === {red} && samples.B08 === {int(of('north', B08)[0, 0])})"
        ' throw new Error("a bad place"); return [samples.B04];'
    )
    api.configure(unhealthy_share=1)
    task = done(api, **{**imagery, "evalscript": throws})
    root = tmp_path / "buckets/results" / task["id"]
    found = told(root / f"execution-{task['id']}.sqlite")
    assert found["north"][0] == "FATAL"
    assert "a bad place" in str(found["north"][1])
    assert found["south"] == ("DONE", None)
    assert [one.parent.name for one in root.rglob("*.tif")] == ["south"]
    # Both fields cost the same, and together the minimum.
    assert task["costPU"] == pytest.approx(50)


def test_a_feature_without_data_is_done_and_says_so(
    api: Driver, imagery: dict[str, Any], tmp_path: Path
) -> None:
    """It is delivered, of pixels that are all no data."""
    before = {"timeRange": {"from": "2020-01-01T00:00:00Z", "to": "2020-02-01T00:00:00Z"}}
    data = [{**imagery["data"][0], "dataFilter": before}]
    task = done(api, **{**imagery, "data": data, "evalscript": ROUNDED})
    assert task["status"] == "DONE"
    root = tmp_path / "buckets/results" / task["id"]
    found = told(root / f"execution-{task['id']}.sqlite")
    assert found == {"north": ("DONE", "No data"), "south": ("DONE", "No data")}
    assert not pixels(root / "north/default.tif").any()


def test_files_that_cannot_be_read_fail_the_task_and_a_start_tries_again(
    api: Driver, imagery: dict[str, Any], tmp_path: Path
) -> None:
    place = tmp_path / "buckets/imagery/june/B04.tif"
    content = place.read_bytes()
    place.write_bytes(content[:5000])
    before = pu(api)
    task = done(api, **imagery)
    assert (task["status"], task["stoppedStatusReason"]) == ("STOPPED", "UNHEALTHY")
    assert (task["costPU"], pu(api)) == (0, before)
    place.write_bytes(content)
    start(api, task["id"])
    api.tick(60)
    assert read(api, task["id"])["status"] == "DONE"
    assert np.allclose(
        pixels(tmp_path / "buckets/results" / task["id"] / "north/default.tif"),
        ndvi("north"),
        rtol=1e-6,
    )
    assert pu(api) - before == pytest.approx(100)


def test_a_stop_in_the_middle_computes_and_pays_the_rest_only(
    api: Driver, imagery: dict[str, Any], tmp_path: Path
) -> None:
    before = pu(api)
    task = create(api, **imagery)
    start(api, task)
    for seconds in (3, 1, 5):
        api.tick(seconds)
        read(api, task)
    assert act(api, task, "stop") == 204
    root = tmp_path / "buckets/results" / task
    (first,) = root.rglob("*.tif")
    stamp = first.stat().st_mtime_ns
    api.tick(2000)
    assert read(api, task)["costPU"] == pytest.approx(50)
    start(api, task)
    api.tick(60)
    assert read(api, task)["status"] == "DONE"
    assert first.stat().st_mtime_ns == stamp
    assert len(list(root.rglob("*.tif"))) == 2
    assert pu(api) - before == pytest.approx(100)


def test_a_zarr_group_has_its_metadata_and_its_chunks(
    api: Driver, imagery: dict[str, Any], tmp_path: Path
) -> None:
    array = {"dtype": "<f4", "chunks": [1, 500, 500], "order": "C", "fill_value": 0}
    task = done(
        api,
        data=imagery["data"],
        evalscript=NDVI,
        bbox=[15.0, 46.92, 15.02, 46.94],
        grid={"id": 7, "resolution": 20},
        url="s3://results/cube",
        responses=[{"identifier": "default", "format": {"type": "zarr/array"}}],
        output={"type": "zarr", "group": {"zarr_format": 2}, "arrayParameters": array},
    )
    assert task["status"] == "DONE"
    root = tmp_path / "buckets/results/cube"
    height, width = json.loads((root / "default/.zarray").read_text())["shape"][1:]
    assert json.loads((root / ".zgroup").read_text()) == {"zarr_format": 2}
    chunks = {one.name for one in (root / "default").iterdir() if not one.name.startswith(".")}
    assert chunks
    assert chunks <= {f"0.{y}.{x}" for y in range(height // 500) for x in range(width // 500)}


# Collections that are filled.


def collection_pixels(api: Driver, kind: str, name: str, band: str) -> np.ndarray:
    """Numbers of a band as the Process API reads them from a collection, in a feature's place."""
    evalscript = p.script(
        f"return [samples.{band}];",
        bands=f'["{band}"]',
        output='{bands: 1, sampleType: "UINT16"}',
    )
    item = {"dataFilter": TIMES}
    request = p.body(kind, evalscript, bbox=box(name), size=(SIDE, SIDE), item=item)
    return p.image(p.processed(api, request))[0]


def test_a_created_collection_can_be_read_at_once(api: Driver, imagery: dict[str, Any]) -> None:
    task = done(api, **{**imagery, "evalscript": ROUNDED}, output={**COG, "createCollection": True})
    assert task["status"] == "DONE"
    made = task["request"]["output"]["collectionId"]
    collection = api.read(made)
    assert collection["name"] == f"batch-{task['id']}"
    assert collection["s3Bucket"] == "results"
    assert collection["additionalData"]["bands"] == {
        "default": {"source": "default", "bandIndex": 1, "bitDepth": 16, "sampleFormat": "UINT"}
    }
    tiles = {one["path"]: one for one in api.tiles(made)["data"]}
    assert set(tiles) == {f"{task['id']}/{name}/(BAND).tif" for name in PLACES}
    assert {one["status"] for one in tiles.values()} == {"INGESTED"}
    assert {one["sensingTime"] for one in tiles.values()} == {"2025-06-01T00:00:00.000Z"}
    for name in PLACES:
        found = collection_pixels(api, f"byoc-{made}", name, "default")
        assert np.array_equal(found, of(name, B04))
    # A band that is there keeps its name, though nobody could give it.
    content = {name: collection[name] for name in ("name", "s3Bucket", "additionalData")}
    assert api.put(f"{COLLECTIONS}/{made}", content).status_code == 204
    own = {"name": "mine", "s3Bucket": "results", "additionalData": content["additionalData"]}
    assert "default" in api.post(COLLECTIONS, own).text


def test_an_output_whose_name_is_none_becomes_no_band(api: Driver, imagery: dict[str, Any]) -> None:
    text = p.script(
        'return {"a-b": [samples.B04]};', output='{id: "a-b", bands: 1, sampleType: "UINT16"}'
    )
    parts = {**imagery, "evalscript": text,
             "responses": [{"identifier": "a-b", "format": {"type": p.TIFF}}]}  # fmt: skip
    task = analysed(api, **parts, output={**COG, "createCollection": True})
    assert task["status"] == "FAILED"
    assert "a-b" in task["error"]


def test_an_existing_collection_takes_the_results_and_reads_them_again(
    api: Driver, imagery: dict[str, Any]
) -> None:
    """A second task that overwrites the files makes no other tiles, and its numbers are seen."""
    bands = {"red": {"source": "red", "bandIndex": 1, "bitDepth": 16, "sampleFormat": "UINT"}}
    made = api.collection("ours", s3Bucket="results", additionalData={"bands": bands})["id"]
    output = {**COG, "overwrite": True, "collectionId": made}
    parts = {
        **imagery,
        "url": "s3://results/ours/<tileName>/<outputId>.<format>",
        "responses": [{"identifier": "red", "format": {"type": p.TIFF}}],
    }
    for band, values in (("B04", B04), ("B08", B08)):
        evalscript = p.script(
            f"return [samples.{band}];", output='{id: "red", bands: 1, sampleType: "UINT16"}'
        )
        assert done(api, **{**parts, "evalscript": evalscript}, output=output)["status"] == "DONE"
        assert len(api.tiles(made)["data"]) == 2
        for name in PLACES:
            found = collection_pixels(api, f"byoc-{made}", name, "red")
            assert np.array_equal(found, of(name, values))


def test_results_without_the_output_in_their_names_are_no_tiles(
    api: Driver, imagery: dict[str, Any]
) -> None:
    parts = {**imagery, "url": "s3://results/<tileName>.<format>", "evalscript": ROUNDED}
    task = analysed(api, **parts, output={**COG, "createCollection": True})
    assert task["status"] == "FAILED"
    assert "<outputId>" in task["error"]


# Version 1.


def of_version_1(imagery: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """A request for the tiles of the 20 km grid that the imagery lies in: two, side by side."""
    bbox = [p.WEST + 500, p.NORTH - 2000, p.WEST + 1500, p.NORTH - 1000]
    bounds = {"bbox": bbox, "properties": {"crs": p.EPSG.format(32633)}}
    content = v1.body(data=imagery["data"], evalscript=ROUNDED, **parts)
    content["processRequest"]["input"]["bounds"] = bounds
    content["tilingGrid"] = {"id": 0, "resolution": 60}
    return content


def ran(api: Driver, content: dict[str, Any], *seconds: float) -> Any:
    request = api.post(v1.REQUESTS, content).json()["id"]
    assert v1.act(api, request, "start") == 204
    for one in seconds or (3, 60):
        api.tick(one)
        v1.read(api, request)
    return v1.read(api, request)


def test_version_1_delivers_tiles_as_the_process_api_computes_them(
    api: Driver, imagery: dict[str, Any], tmp_path: Path
) -> None:
    content = of_version_1(
        imagery, path="s3://results/older/<tileId>/<tileName>-<outputId>.<format>"
    )
    request = ran(api, content)
    assert request["status"] == "DONE"
    tiles = v1.tiles(api, request["id"])
    assert {one["status"] for one in tiles} == {"PROCESSED"}
    assert len(tiles) == 2
    for tile in tiles:
        (path,) = (tmp_path / f"buckets/results/older/{tile['id']}").iterdir()
        west, south = tile["origin"]["coordinates"]
        sides = [west, south, west + 20_040, south + 20_040]
        item = {"dataFilter": TIMES}
        same = p.body(imagery["data"][0]["type"], ROUNDED, bbox=sides, size=(334, 334), item=item)
        with rasterio.open(path) as raster:
            assert list(raster.bounds) == sides
            assert np.array_equal(raster.read(), p.image(p.processed(api, same)))
            assert raster.read().any()


def test_a_cancelled_request_of_version_1_delivers_the_tile_in_flight(
    api: Driver, imagery: dict[str, Any], tmp_path: Path
) -> None:
    before = pu(api)
    request = ran(api, of_version_1(imagery), 3, 2)
    assert request["status"] == "PROCESSING"
    assert v1.act(api, request["id"], "cancel") == 204
    assert v1.read(api, request["id"])["status"] == "CANCELED"
    assert sorted(v1.statuses(api, request["id"])) == ["PENDING", "PROCESSED"]
    (one,) = (tmp_path / "buckets/results").rglob("*.tif")
    assert one.parent.name.startswith("33N_")
    assert pu(api) - before == pytest.approx(50)


def test_a_batch_collection_can_be_read_at_once(api: Driver, imagery: dict[str, Any]) -> None:
    """Two requests into one collection; the one that came later is what is seen."""
    content = of_version_1(imagery, output={"cogOutput": True, "createCollection": True})
    request = ran(api, content)
    assert request["status"] == "DONE"
    made = request["output"]["collectionId"]
    bbox = [p.WEST + 1200, p.NORTH - 2400, p.WEST + 1800, p.NORTH - 1800]

    def seen() -> np.ndarray:
        evalscript = p.script(
            "return [samples.default];",
            bands='["default"]',
            output='{bands: 1, sampleType: "UINT16"}',
        )
        item = {"dataFilter": TIMES}
        same = p.body(f"batch-{made}", evalscript, bbox=bbox, size=(10, 10), item=item)
        return p.image(p.processed(api, same))[0]

    first = seen()
    assert first.all()
    content = of_version_1(imagery, output={"cogOutput": True, "collectionId": made})
    content["processRequest"]["evalscript"] = ROUNDED.replace("B04]", "B04 + 1]")
    assert ran(api, content)["status"] == "DONE"
    assert np.array_equal(seen(), first + 1)
    api.configure(clients={"other": {"secret": "other", "account": "other"}})
    api.login("other", "other")
    refused = p.asked(api, p.body(f"batch-{made}", ROUNDED))
    assert refused.status_code == 400
    assert "not found" in refused.text


def test_a_tile_of_version_1_that_cannot_be_computed_has_failed(
    api: Driver, imagery: dict[str, Any]
) -> None:
    content = of_version_1(imagery)
    content["processRequest"]["evalscript"] = p.script(
        'if (samples.B04 > 0) throw new Error("a bad place"); return [0];'
    )
    before = pu(api)
    request = ran(api, content)
    tiles = v1.tiles(api, request["id"])
    assert {one["status"] for one in tiles} == {"FAILED"}
    assert all("a bad place" in one["error"] and one["cost"] == 0 for one in tiles)
    assert (request["status"], pu(api)) == ("FAILED", before)


# Over a port.


def served_request(served: Served, client: httpx.Client, count: int) -> dict[str, Any]:
    """A task of so many fields, all in the same place, over the imagery of a served sandbox."""
    write_inputs(served.data / "buckets")
    fields = [
        {"identifier": f"field{n}", "box": box("north"), "resolution": 10} for n in range(count)
    ]
    geopackages.write(served.data / "buckets/input/fields.gpkg", fields)
    made = client.post(COLLECTIONS, json={"name": "june", "s3Bucket": "imagery"}).json()
    kind = made["data"]["id"]
    tile = {"path": "june", "sensingTime": "2025-06-15T10:00:00Z"}
    assert client.post(f"{COLLECTIONS}/{kind}/tiles", json=tile).status_code == 201
    served.tick(60)
    return body(
        data=[{"type": f"byoc-{kind}", "dataFilter": TIMES}],
        bounds={},
        source=SOURCE,
        evalscript=NDVI,
        url="s3://results/<tileName>/<outputId>.<format>",
    )


def test_files_are_read_over_s3(tmp_path: Path) -> None:
    with serving(tmp_path) as served, served.client() as client:
        task = client.post(TASKS, json=served_request(served, client, 1)).json()["id"]
        client.post(f"{TASKS}/{task}/start")
        served.tick(60)
        # Who looks at the bucket first finds what is due there, or finds it still under way.
        while (answer := client.get(f"{served.s3}/results/field0/default.tif")).status_code == 404:
            time.sleep(0.05)
        assert answer.status_code == 200
        with rasterio.MemoryFile(answer.content) as memory, memory.open() as raster:
            assert np.allclose(raster.read(1), ndvi("north"), rtol=1e-6)
        assert client.get(f"{TASKS}/{task}").json()["status"] == "DONE"


def test_a_killed_sandbox_goes_on_where_it_was(tmp_path: Path) -> None:
    """Killed while features are computed: each is there, whole, and paid for once."""
    count = 60
    with serving(tmp_path) as served, served.client() as client:
        content = served_request(served, client, count)
        before = served.control("meter", method="GET")["pu"]
        task = client.post(TASKS, json=content).json()["id"]
        client.post(f"{TASKS}/{task}/start")
        served.tick(60)
        # Begins to settle, and does not wait for it.
        client.get(COLLECTIONS)
        while not (tmp_path / "buckets/results/field3/default.tif").exists():
            time.sleep(0.005)
        served.sandbox.kill()
    with serving(tmp_path) as served, served.client() as client:
        while (found := client.get(f"{TASKS}/{task}").json())["status"] == "PROCESSING":
            pass
        assert (found["status"], found["completionPercentage"]) == ("DONE", 100)
        for n in range(count):
            path = tmp_path / f"buckets/results/field{n}/default.tif"
            assert np.allclose(pixels(path), ndvi("north"), rtol=1e-6)
        spent = served.control("meter", method="GET")["pu"] - before
        assert spent == pytest.approx(found["costPU"]) == pytest.approx(100)
