"""
What the `sentinelhub` package 3.11.1, the last one with Batch V1, does with a sandbox.

Run as a program, with that package first on the path: `sentinelhub_v1.py PROFILE.toml`. Starting it
takes seconds, so one run does every check and prints what each came to, as JSON: nothing, or the
traceback of its failure. The tests read the names of the checks from this file.
"""

from __future__ import annotations

import importlib
import json
import sys
import tomllib
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx

# By name: in the tests' own process another version of the package is the installed one.
sh: Any = importlib.import_module("sentinelhub")

# Two tiles of the grid of 100 km in zone 33.
AOI = [14.6, 46.5, 15.4, 46.9]
WEST = "33N_4_51"
NDVI = """//VERSION=3
function setup() {
  return {input: ["B04", "B08", "dataMask"], output: {bands: 1, sampleType: "UINT8"}};
}
function evaluatePixel(sample) { return [sample.B04]; }
"""


class Bench:
    """A client and the controls of its sandbox."""

    def __init__(self, profile: Path) -> None:
        values = tomllib.loads(profile.read_text())["sandbox"]
        self.config = sh.SHConfig(use_defaults=True, **values)
        self.config.download_sleep_time = 0.01
        self.config.max_download_attempts = 2
        self.batch = sh.SentinelHubBatch(config=self.config)
        self._http = httpx.Client(base_url=values["sh_base_url"], trust_env=False)

    def control(self, name: str, body: Any = None, *, method: str = "POST") -> Any:
        answer = self._http.request(method, f"/_sandbox/{name}", json=body or {})
        answer.raise_for_status()
        return answer.json()

    def tick(self, seconds: float) -> None:
        self.control("tick", {"seconds": seconds})

    def create(self, **parts: Any) -> Any:
        request = sh.SentinelHubRequest(
            evalscript=NDVI,
            input_data=[
                sh.SentinelHubRequest.input_data(
                    sh.DataCollection.SENTINEL2_L2A, time_interval=("2005-06-01", "2005-06-30")
                )
            ],
            responses=[sh.SentinelHubRequest.output_response("default", sh.MimeType.TIFF)],
            bbox=sh.BBox(AOI, sh.CRS.WGS84),
            config=self.config,
        )
        parts.setdefault("tiling_grid", self.batch.tiling_grid(grid_id=2, resolution=240))
        if "bucket_name" not in parts:
            parts.setdefault("output", self.batch.output(default_tile_path="s3://results/older"))
        return self.batch.create(request, **parts)

    def status(self, request: Any) -> str:
        return str(self.batch.get_request(request).status.value)

    def ran(self, **parts: Any) -> Any:
        """A request that ran to its end."""
        made = self.create(**parts)
        self.batch.start_job(made)
        self.tick(60)
        return self.batch.get_request(made)


def refused(ask: Callable[[], Any]) -> tuple[int, str]:
    """Status and message of a refusal."""
    try:
        ask()
    except sh.exceptions.DownloadFailedException as error:
        response = error.request_exception.response
        return response.status_code, response.json()["error"]["message"]
    msg = "the service refused nothing"
    raise AssertionError(msg)


def check_version(bench: Bench) -> None:
    assert sh.__version__ == "3.11.1"
    assert bench.batch.service_url.endswith("/api/v1/batch")


def check_create(bench: Bench) -> None:
    grid = bench.batch.tiling_grid(grid_id=2, resolution=120, buffer=(50, 50))
    output = bench.batch.output(
        default_tile_path="s3://results/a/<requestId>/<tileName>/<outputId>.<format>",
        overwrite=True,
        skip_existing=False,
        cog_output=True,
        cog_parameters={"blockxsize": 512, "blockysize": 512},
    )
    made = bench.create(tiling_grid=grid, output=output, description="from the client")
    assert made.status is sh.BatchRequestStatus.CREATED
    assert made.user_action is sh.BatchUserAction.NONE
    assert made.tiling_grid == {"id": 2, "resolution": 120, "bufferX": 50, "bufferY": 50}
    assert made.output == output
    assert made.description == "from the client"
    assert (made.tile_count, made.tile_width_px, made.tile_height_px) == (2, 834, 834)
    assert made.value_estimate is None
    assert made.created.tzinfo is not None
    assert made.evalscript == NDVI
    assert list(made.bbox) == AOI
    assert made.geometry is None
    assert made.bbox.crs is sh.CRS.WGS84
    assert made.error is None
    assert made.request_id in repr(made)


def check_create_in_a_bucket(bench: Bench) -> None:
    made = bench.create(bucket_name="results")
    assert made.bucket_name == "results"
    assert made.output == {}


def check_create_with_a_geometry(bench: Bench) -> None:
    area = sh.BBox(AOI, sh.CRS.WGS84).transform(sh.CRS.UTM_33N)
    request = sh.SentinelHubRequest(
        evalscript=NDVI,
        input_data=[sh.SentinelHubRequest.input_data(sh.DataCollection.SENTINEL2_L2A)],
        responses=[sh.SentinelHubRequest.output_response("default", sh.MimeType.TIFF)],
        geometry=sh.Geometry(area.geometry, sh.CRS.UTM_33N),
        config=bench.config,
    )
    made = bench.batch.create(
        request,
        tiling_grid=bench.batch.tiling_grid(2, 120),
        output=bench.batch.output(default_tile_path="s3://results/geometry"),
    )
    assert made.bbox is None
    assert made.geometry.crs is sh.CRS.UTM_33N
    assert made.tile_count == 2


def check_create_refused(bench: Bench) -> None:
    assert refused(lambda: bench.create(tiling_grid=bench.batch.tiling_grid(99, 10)))[0] == 400
    assert refused(lambda: bench.create(output=bench.batch.output(default_tile_path="x")))[0] == 400
    both = bench.batch.output(default_tile_path="s3://results/x")
    assert refused(lambda: bench.create(output=both, bucket_name="results"))[0] == 400


def check_get_request(bench: Bench) -> None:
    made = bench.create(description="once")
    for spec in (made, made.request_id, made.to_dict()):
        found = bench.batch.get_request(spec)
        assert found.to_dict() == made.to_dict()
    unknown = "6b0b8a9d-4b0f-4e0b-9f0e-0d6d6a0f5c11"
    assert refused(lambda: bench.batch.get_request(unknown))[0] == 404


def check_iter_requests(bench: Bench) -> None:
    made = []
    for n in range(5):
        made.append(bench.create(description=f"number {n}").request_id)
        bench.tick(1)
    assert {one.request_id for one in bench.batch.iter_requests()} == set(made)
    paged = [one.request_id for one in bench.batch.iter_requests(sort="created", count=2)]
    assert paged == made
    assert [one.request_id for one in bench.batch.iter_requests(search="number&3")] == [made[3]]
    user = bench.batch.get_request(made[0]).user_id
    assert len(list(bench.batch.iter_requests(user_id=user))) == 5
    assert list(bench.batch.iter_requests(user_id=made[0])) == []


def check_get_latest_request(bench: Bench) -> None:
    try:
        bench.batch.get_latest_request()
    except ValueError as error:
        assert "No batch request" in str(error)  # noqa: PT017 there is no pytest in this process
    else:
        msg = "there was a request"
        raise AssertionError(msg)
    bench.create()
    bench.tick(1)
    latest = bench.create(description="latest")
    assert bench.batch.get_latest_request().request_id == latest.request_id


def check_update_request(bench: Bench) -> None:
    made = bench.create(description="before")
    bench.batch.update_request(made, description="after")
    assert bench.batch.get_request(made).description == "after"
    bench.batch.start_job(made)
    assert refused(lambda: bench.batch.update_request(made, description="late"))[0] == 409


def check_update_collection_of_request(bench: Bench) -> None:
    collection = bench.batch.create_collection({"name": "filled", "s3Bucket": "results"})
    output = bench.batch.output(default_tile_path="s3://results/x", cog_output=True)
    made = bench.create(output=output)
    bench.batch.update_request(made, output={"collectionId": collection["id"]})
    assert bench.batch.get_request(made).output == {**output, "collectionId": collection["id"]}


def check_delete_request(bench: Bench) -> None:
    made = bench.create()
    bench.batch.delete_request(made)
    assert refused(lambda: bench.batch.get_request(made))[0] == 404
    finished = bench.ran()
    assert refused(lambda: bench.batch.delete_request(finished))[0] == 409
    waiting = bench.create()
    bench.batch.start_job(waiting)
    assert refused(lambda: bench.batch.delete_request(waiting))[0] == 409
    bench.batch.cancel_job(waiting)
    bench.batch.delete_request(waiting)


def check_start_analysis(bench: Bench) -> None:
    made = bench.create()
    bench.batch.start_analysis(made)
    assert bench.batch.get_request(made).user_action is sh.BatchUserAction.ANALYSE
    status, message = refused(lambda: bench.batch.start_analysis(made))
    assert status == 400
    assert "userAction from ANALYSE to ANALYSE with task status CREATED" in message
    bench.tick(10)
    found = bench.batch.get_request(made)
    assert found.status is sh.BatchRequestStatus.ANALYSIS_DONE
    assert found.value_estimate == 100
    assert found.user_action_updated >= found.created


def check_start_job(bench: Bench) -> None:
    made = bench.create()
    bench.batch.start_job(made)
    seen = []
    for _ in range(20):
        bench.tick(1)
        status = bench.status(made)
        if status not in seen:
            seen.append(status)
    assert seen == ["ANALYSING", "ANALYSIS_DONE", "PROCESSING", "DONE"]
    assert refused(lambda: bench.batch.start_job(made))[0] == 400
    assert bench.control("meter", method="GET")["pu"] == 100


def check_cancel_job(bench: Bench) -> None:
    bench.control("settings", {"batch_processing_s": 3600})
    made = bench.create()
    bench.batch.start_job(made)
    bench.tick(10)
    assert bench.status(made) == "PROCESSING"
    bench.batch.cancel_job(made)
    found = bench.batch.get_request(made)
    assert found.status is sh.BatchRequestStatus.CANCELED
    assert found.user_action is sh.BatchUserAction.CANCEL
    assert refused(lambda: bench.batch.cancel_job(made))[0] == 400


def check_restart_job(bench: Bench) -> None:
    bench.control("batch", {"features": [WEST], "cause": "asked for"})
    made = bench.ran()
    assert made.status is sh.BatchRequestStatus.PARTIAL
    failed = list(bench.batch.iter_tiles(made, status=sh.BatchTileStatus.FAILED))
    assert [tile["error"] for tile in failed] == ["asked for"]
    bench.control("batch", method="DELETE")
    bench.batch.restart_job(made)
    assert bench.status(made) == "PROCESSING"
    bench.tick(60)
    assert bench.status(made) == "DONE"
    status, message = refused(lambda: bench.batch.restart_job(made))
    assert status == 400
    assert "PARTIAL" in message
    assert bench.control("meter", method="GET")["pu"] == 100


def check_iter_tiles(bench: Bench) -> None:
    made = bench.create()
    assert list(bench.batch.iter_tiles(made)) == []
    bench.batch.start_job(made)
    bench.tick(5)
    tiles = list(bench.batch.iter_tiles(made))
    assert [tile["status"] for tile in tiles] == ["PROCESSING", "QUEUED"]
    assert list(bench.batch.iter_tiles(made, count=1)) == tiles
    assert list(bench.batch.iter_tiles(made, status="QUEUED")) == tiles[1:]
    for status in sh.BatchTileStatus:
        found = list(bench.batch.iter_tiles(made, status=status))
        assert found == [tile for tile in tiles if tile["status"] == status.value]
    assert {tile["requestId"] for tile in tiles} == {made.request_id}
    shapes = [sh.Geometry(tile["geometry"], sh.CRS.WGS84) for tile in tiles]
    assert all(shape.geometry.intersects(made.bbox.geometry) for shape in shapes)


def check_get_tile(bench: Bench) -> None:
    made = bench.ran()
    for tile in bench.batch.iter_tiles(made):
        assert bench.batch.get_tile(made, tile["id"]) == tile
        assert tile["cost"] == 50
        assert tile["origin"]["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    assert refused(lambda: bench.batch.get_tile(made, 1))[0] == 404


def check_tiling_grids(bench: Bench) -> None:
    grids = list(bench.batch.iter_tiling_grids())
    assert [grid["id"] for grid in grids] == [0, 1, 2, 3, 6, 7]
    assert list(bench.batch.iter_tiling_grids(count=2)) == grids
    for grid in grids:
        assert bench.batch.get_tiling_grid(grid["id"]) == grid
        assert set(grid["properties"]) == {"tileWidth", "tileHeight", "resolutions", "unit"}
    assert refused(lambda: bench.batch.get_tiling_grid(5))[0] == 400


def check_collections(bench: Bench) -> None:
    made = bench.batch.create_collection(
        sh.BatchCollection(name="fields", s3_bucket="results", additional_data=None)
    )
    assert (made["name"], made["s3Bucket"]) == ("fields", "results")
    assert bench.batch.get_collection(made["id"]) == made
    others = [
        bench.batch.create_collection({"name": name, "s3Bucket": "results"})
        for name in ("forests", "lakes")
    ]
    every = list(bench.batch.iter_collections(count=1))
    assert sorted(one["id"] for one in every) == sorted(one["id"] for one in (made, *others))
    assert [one["id"] for one in bench.batch.iter_collections(search="lake")] == [others[1]["id"]]


def check_update_collection(bench: Bench) -> None:
    made = bench.batch.create_collection({"name": "before", "s3Bucket": "results"})
    collection = sh.BatchCollection.from_dict(made)
    assert collection.collection_id == made["id"]
    collection.name = "after"
    bench.batch.update_collection(collection)
    assert bench.batch.get_collection(made["id"]) == {**made, "name": "after"}
    bench.batch.update_collection({**made, "name": "third"})
    assert bench.batch.get_collection(made["id"])["name"] == "third"


def check_delete_collection(bench: Bench) -> None:
    free, used = (
        bench.batch.create_collection({"name": name, "s3Bucket": "results"}) for name in "ab"
    )
    output = bench.batch.output(cog_output=True, collection_id=used["id"])
    request = bench.create(output=output)
    bench.batch.delete_collection(free)
    assert refused(lambda: bench.batch.get_collection(free["id"]))[0] == 404
    assert refused(lambda: bench.batch.delete_collection(used["id"]))[0] == 409
    bench.batch.cancel_job(request)
    bench.batch.delete_collection(sh.BatchCollection.from_dict(used))
    assert list(bench.batch.iter_collections()) == []


def check_request_that_makes_a_collection(bench: Bench) -> None:
    output = bench.batch.output(
        default_tile_path="s3://results/made", cog_output=True, create_collection=True
    )
    made = bench.ran(output=output)
    assert made.status is sh.BatchRequestStatus.DONE
    collection = sh.BatchCollection.from_dict(
        bench.batch.get_collection(made.output["collectionId"])
    )
    assert list(collection.additional_data.bands) == ["default"]
    assert collection.other_data["batchData"] == {"tilingGridId": 2}
    listed = bench.batch.iter_requests(collectionId=collection.collection_id)
    assert [one.request_id for one in listed] == [made.request_id]


def check_monitor_analysis(bench: Bench) -> None:
    made = bench.create()
    bench.batch.start_analysis(made)
    found = sh.monitor_batch_analysis(made, config=bench.config, sleep_time=5)
    assert found.status is sh.BatchRequestStatus.ANALYSIS_DONE
    broken = bench.create(
        output=bench.batch.output(default_tile_path="s3://results/broken"),
        description="x",
    )
    bench.batch.cancel_job(broken)
    try:
        sh.monitor_batch_analysis(broken, config=bench.config, sleep_time=5)
    except RuntimeError as error:
        assert "CANCELED" in str(error)  # noqa: PT017 as above
    else:
        msg = "a cancelled request was taken for an analysed one"
        raise AssertionError(msg)


def check_monitor_job(bench: Bench) -> None:
    bench.control("settings", {"batch_processing_s": 240})
    bench.control("batch", {"features": [WEST]})
    made = bench.create()
    bench.batch.start_job(made)
    found = sh.monitor_batch_job(made, config=bench.config, sleep_time=60, analysis_sleep_time=5)
    assert {status.value: len(tiles) for status, tiles in found.items() if tiles} == {
        "FAILED": 1,
        "PROCESSED": 1,
    }
    assert bench.status(made) == "PARTIAL"


def main(profile: Path) -> None:
    """Run every check on a sandbox that is as empty as a new one, and print what they came to."""
    bench = Bench(profile)
    # The monitors, and nothing else of the client, sleep for minutes that are moments here.
    monitors: Any = importlib.import_module("sentinelhub.api.batch.utils")
    monitors.time = SimpleNamespace(sleep=bench.tick)
    before = bench.control("settings", method="GET")["batch_processing_s"]
    # Its time goes by ticks alone, however slow this machine is.
    bench.control("settings", {"speed": 1e-9})
    found: dict[str, str | None] = {}
    for name, check in list(globals().items()):
        if not name.startswith("check_"):
            continue
        bench.control("reset")
        bench.control("settings", {"batch_processing_s": before})
        sh.download.sentinelhub_client.SentinelHubDownloadClient.clear_cache()
        try:
            check(bench)
        except Exception:  # noqa: BLE001 whatever it is, the tests are told
            found[name] = traceback.format_exc()
        else:
            found[name] = None
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
