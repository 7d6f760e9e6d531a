"""
Jobs whose buckets lie behind an endpoint: they read and leave there what they would in a directory, byte for byte.

The endpoint is one that we did not write, on a port of its own; broken ones answer as the tests say.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from botocore.session import Session

from shplan.sandbox import settling
from shplan.sandbox.settings import Settings
from tests.support.s3 import answer, make_bucket, moto_served, no_aws, scripted, with_keys

from . import batches, zarrs
from . import batches_v1 as v1
from . import processing as p
from . import test_async_process as asynchronous
from . import test_batch_delivery as delivery
from . import test_batch_statistics as statistical
from .support import BUCKET, COLLECTIONS, Driver, sandbox
from .test_remote_buckets import far
from .test_zarr_output import asked_of

BUCKETS = (BUCKET, "input", "results", "scripts")
FIELDS = "s3://results/<requestId>/<tileName>/<outputId>.<format>"
REFUSING = Settings(missing_bucket="refuse", seed="same")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto_served() as url:
        yield url


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "MOST_WAIT_S", 60.0)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_aws(monkeypatch, tmp_path)
    with_keys(monkeypatch, "http://127.0.0.1:9")


class Near:
    """Buckets that are directories."""

    def __init__(self, data: Path) -> None:
        self.root = data / "buckets"
        for name in BUCKETS:
            (self.root / name).mkdir(parents=True, exist_ok=True)

    def put(self, bucket: str, key: str, content: bytes) -> None:
        place = self.root / bucket / key
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def files(self, bucket: str) -> dict[str, bytes]:
        root = self.root / bucket
        found = (one for one in root.rglob("*") if one.is_file())
        return {one.relative_to(root).as_posix(): one.read_bytes() for one in found}


class Far:
    """Buckets behind an endpoint, all of them new."""

    def __init__(self, endpoint: str) -> None:
        # Who has written a file alone may read it.
        self._client = Session().create_client("s3", endpoint_url=endpoint, region_name="us-east-1")
        httpx.post(f"{endpoint}/moto-api/reset").raise_for_status()
        for name in BUCKETS:
            make_bucket(endpoint, name)

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self._client.put_object(Bucket=bucket, Key=key, Body=content)

    def files(self, bucket: str) -> dict[str, bytes]:
        told = self._client.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {one["Key"]: self._content(bucket, one["Key"]) for one in told}

    def _content(self, bucket: str, key: str) -> bytes:
        found: bytes = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return found


Buckets = Near | Far


def fill(buckets: Buckets, made: Path) -> None:
    """Put whatever files a directory of buckets holds into the buckets."""
    for one in sorted(made.rglob("*")):
        if one.is_file():
            bucket, *rest = one.relative_to(made).parts
            buckets.put(bucket, "/".join(rest), one.read_bytes())


def raster_fields(api: Driver, buckets: Buckets, made: Path, **parts: Any) -> dict[str, Any]:
    """What a batch request for two fields has."""
    made.mkdir()
    delivery.write_inputs(made)
    fill(buckets, made)
    kind = p.collection(api, {"june": "2025-06-15T10:00:00Z"})
    data = [{"type": kind, "dataFilter": delivery.TIMES}]
    return {
        "data": data, "bounds": {}, "source": delivery.SOURCE, "evalscript": delivery.ROUNDED,
        "url": FIELDS, **parts,
    }  # fmt: skip


def batch(api: Driver, buckets: Buckets, made: Path) -> list[Any]:
    """COGs of a GeoPackage's features that fill a collection, which is read again."""
    output = {"cogOutput": True, "createCollection": True}
    parts = raster_fields(api, buckets, made, output=output)
    task = batches.done(api, **parts)
    kind = f"byoc-{task['request']['output']['collectionId']}"
    api.tick(60)
    found = delivery.collection_pixels(api, kind, "north", "default")
    assert np.array_equal(found, delivery.of("north", delivery.B04))
    again = batches.done(api, **parts, description="again")
    return [task["status"], again["status"], task["costPU"]]


def skipping(api: Driver, buckets: Buckets, made: Path) -> list[Any]:
    """What lies there is in the way, is skipped, or is written again."""
    url = "s3://results/<tileName>/<outputId>.<format>"
    parts = raster_fields(api, buckets, made, url=url)
    buckets.put("results", "north/default.tif", b"before")
    refused = batches.analysed(api, **parts)
    skipped = batches.done(api, **parts, output={"skipExisting": True})
    assert buckets.files("results")["north/default.tif"] == b"before"
    written = batches.done(api, **parts, output={"overwrite": True})
    assert buckets.files("results")["north/default.tif"] != b"before"
    return [one.get("error") for one in (refused, skipped, written)]


def older(api: Driver, buckets: Buckets, made: Path) -> list[Any]:
    """Version 1, whose results are a batch collection that is read again."""
    parts = raster_fields(api, buckets, made)
    output = {"cogOutput": True, "createCollection": True}
    ran = delivery.ran(api, delivery.of_version_1(parts, output=output))
    whole = p.body(f"batch-{ran['output']['collectionId']}", p.script(
        "return [samples.default];", bands='["default"]', output='{bands: 1, sampleType: "UINT16"}',
    ))  # fmt: skip
    return [ran["status"], int(p.pixels(api, whole).sum())]


def many_tiles(api: Driver, buckets: Buckets, made: Path) -> list[Any]:
    """More files than are asked for one by one."""
    grid = {"id": 0, "resolution": 60}
    url = "s3://results/many/<tileName>/default.<format>"
    parts = {"grid": grid, "bbox": [14.6, 46.4, 15.6, 46.9], "url": url}
    buckets.put("results", "many/elsewhere.tif", b"of somebody")
    first = batches.done(api, **parts)
    assert len([key for key in buckets.files("results") if key.endswith("default.tif")]) > 16
    return [first["status"], batches.done(api, **parts, output={"skipExisting": True})["costPU"]]


def zarr(api: Driver, buckets: Buckets, made: Path) -> list[Any]:
    """Arrays, which are imported again; the folder is no longer empty then."""
    west, north = 4_500_000, 2_900_000 + 102_400
    p.write(made / BUCKET / "a/B04.tif", p.numbers(7), west=west, north=north, pixel=200, epsg=3035)
    fill(buckets, made)
    tile = p.collection(api, {"a": "2025-06-01T10:00:00Z"})
    _, sent = asked_of(2, tile)

    def ran() -> Any:
        task = f"{batches.TASKS}/{api.post(batches.TASKS, sent).json()['id']}"
        assert api.post(f"{task}/start").status_code == 204
        api.tick(60)
        return api.get(task).json()

    status = ran()["status"]
    crs = "http://www.opengis.net/def/crs/EPSG/0/3035"
    imported = zarrs.ingested(api, path="out/", crs=crs)
    text = p.script(
        "return [samples.one];", bands='["one"]', output='{bands: 1, sampleType: "UINT16"}'
    )
    box = [4_500_000, 2_900_000, 4_540_000, 2_940_000]
    asked = p.body(f"zarr-{imported['id']}", text, bbox=box, epsg=3035, size=(400, 400))
    read = int(p.pixels(api, asked).sum())
    return [status, imported["status"], imported["width"], read, "not empty" in ran()["error"]]


def later(api: Driver, buckets: Buckets, made: Path) -> list[Any]:
    """Asynchronous requests, the script of one in a bucket."""
    p.write(made / BUCKET / "a/B04.tif", p.numbers(4))
    fill(buckets, made)
    kind = p.collection(api, {"a": "2025-06-01T10:00:00Z"})
    request = asynchronous.body(kind, asynchronous.SAME, size=(16, 16))
    asynchronous.ran(api, request)
    buckets.put("scripts", "same.js", asynchronous.SAME.encode())
    place = {"url": "s3://scripts/same.js", "accessKey": "key", "secretAccessKey": "canary"}
    del request["evalscript"]
    request["evalscriptReference"] = {"s3": place}
    asynchronous.ran(api, request)
    place["url"] = "s3://scripts/nothing.js"
    asynchronous.ran(api, request)
    return []


def zones(api: Driver, buckets: Buckets, made: Path) -> list[Any]:
    """Batch statistics, the script in a bucket."""
    for number, name in enumerate(statistical.DAYS):
        p.write(made / BUCKET / name / "B04.tif", p.numbers(number, size=128))
    features = [
        {"box": statistical.box(field), "identifier": name}
        for name, field in statistical.FIELDS.items()
    ]
    statistical.geopackages.write(made / BUCKET / "fields.gpkg", features)
    fill(buckets, made)
    kind = p.collection(api, dict(statistical.DAYS))
    request = statistical.body(kind)
    first = statistical.over(api, request)
    text = request["aggregation"].pop("evalscript")
    buckets.put("scripts", "zones.js", text.encode())
    place = {"url": "s3://scripts/zones.js", "accessKey": "key", "secretAccessKey": "canary"}
    request["aggregation"]["evalscriptReference"] = {"s3": place}
    second = statistical.over(api, request)
    return [first["status"], second["status"], first["costPu"]]


Scenario = Callable[[Driver, Buckets, Path], list[Any]]
SCENARIOS = [
    batch, later, zones,
    *(pytest.param(one, marks=pytest.mark.slow) for one in (skipping, older, many_tiles, zarr)),
]  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.__name__)
def test_what_is_left_there_is_what_would_be_left_here(
    scenario: Scenario, endpoint: str, tmp_path: Path
) -> None:
    """The same requests to two sandboxes of one seed, one with directories and one with an endpoint."""
    found = []
    for name in ("near", "far"):
        data = tmp_path / name
        buckets: Buckets = Far(endpoint) if name == "far" else Near(data)
        remote = far(endpoint) if name == "far" else None
        with sandbox(data, settings=REFUSING, remote=remote) as api:
            told = scenario(api.login(), buckets, tmp_path / f"made-{name}")
        found.append(
            (
                told,
                [
                    (one, *it)
                    for one in (BUCKET, "results")
                    for it in sorted(buckets.files(one).items())
                ],
            )
        )
    (near, near_files), (far_away, far_files) = found
    assert far_away == near
    assert [one[:2] for one in far_files] == [one[:2] for one in near_files]
    for one, other in zip(far_files, near_files, strict=True):
        assert one == other
    assert not list((tmp_path / "far" / "buckets").iterdir())
    assert not [key for _, key, content in far_files if b"canary" in content]


# What is refused.


@contextmanager
def refusing(tmp_path: Path, endpoint: str, **settings: Any) -> Iterator[Driver]:
    with sandbox(tmp_path, settings=Settings(**settings), remote=far(endpoint)) as api:
        yield api.login()


def asks(api: Driver) -> dict[str, httpx.Response]:
    """Requests of every family that writes at creation."""
    later_body = asynchronous.body(
        "sentinel-2-l2a", p.script("return [1];"), bbox=batches.AOI, epsg=4326
    )
    return {
        "v2": api.post(batches.TASKS, batches.body()),
        "v1": api.post(v1.REQUESTS, v1.body()),
        "async": api.post(asynchronous.ASYNC, later_body),
    }


def test_a_bucket_that_is_nowhere_is_refused(endpoint: str, tmp_path: Path) -> None:
    Far(endpoint)
    httpx.delete(f"{endpoint}/results").raise_for_status()
    with refusing(tmp_path, endpoint, missing_bucket="refuse") as api:
        for told in asks(api).values():
            assert told.status_code == 400, told.text
            assert "The bucket does not exist." in told.text
        assert api.get(batches.TASKS).json()["data"] == []


def test_a_bucket_that_is_nowhere_is_a_directory_if_a_setting_says_so(
    endpoint: str, tmp_path: Path
) -> None:
    Far(endpoint)
    httpx.delete(f"{endpoint}/results").raise_for_status()
    with refusing(tmp_path, endpoint, missing_bucket="create") as api:
        task = batches.done(api)
        assert task["status"] == "DONE"
    assert f"ndvi/{task['id']}/33N_4_51/default.tif" in Near(tmp_path).files("results")


def test_who_may_not_write_is_told(tmp_path: Path) -> None:
    """A refusal of the endpoint is one of the request, and no directory is made in its place."""
    with scripted(answer(403, b"<Error><Code>AccessDenied</Code></Error>")) as server:
        with refusing(tmp_path, server.url) as api:
            for told in asks(api).values():
                assert told.status_code == 400, told.text
                assert "AccessDenied" in told.text
            assert "canary" not in told.text
        assert any(one.startswith("PUT /results/") for one in server.asked)
    assert not (tmp_path / "buckets" / "results").exists()


def denied_to_write(handler: BaseHTTPRequestHandler) -> None:
    """A bucket that is there, and takes nothing."""
    if handler.command == "PUT":
        answer(403, b"<Error><Code>AccessDenied</Code></Error>")(handler)
    else:
        answer(200)(handler)


def test_statistics_that_cannot_be_written_fail_their_features(
    endpoint: str, tmp_path: Path
) -> None:
    """The files are in a directory, the results would go to a bucket that takes none."""
    buckets = Near(tmp_path)
    (buckets.root / "results").rmdir()
    with scripted(denied_to_write) as server, refusing(tmp_path, server.url) as api:
        for number, name in enumerate(statistical.DAYS):
            p.write(buckets.root / BUCKET / name / "B04.tif", p.numbers(number, size=128))
        box = statistical.box(statistical.FIELDS["a"])
        statistical.geopackages.write(buckets.root / BUCKET / "fields.gpkg", [{"box": box}])
        kind = p.collection(api, dict(statistical.DAYS))
        before = statistical.pu(api)
        task = statistical.over(api, statistical.body(kind))
        assert task["status"] == "DONE"
        assert statistical.pu(api) - before == 100
        assert "PUT /results/stats" in " ".join(server.asked)


def test_features_that_cannot_be_read_fail_the_analysis(endpoint: str, tmp_path: Path) -> None:
    buckets = Far(endpoint)
    with refusing(tmp_path, endpoint) as api:
        for key, content in (("nothing.gpkg", None), ("none.gpkg", b"no GeoPackage")):
            if content is not None:
                buckets.put("input", key, content)
            source = {"type": "geopackage", "features": {"s3": {"url": f"s3://input/{key}"}}}
            task = batches.analysed(api, source=source, bounds={})
            assert task["status"] == "FAILED"
            assert "GeoPackage" in task["error"]


# The files of tiles.


def test_files_of_tiles_are_listed_and_read(endpoint: str, tmp_path: Path) -> None:
    buckets = Far(endpoint)
    p.write(tmp_path / "made" / BUCKET / "a/B04.tif", p.numbers(4))
    fill(buckets, tmp_path / "made")
    content = (tmp_path / "made" / BUCKET / "a/B04.tif").read_bytes()
    with refusing(tmp_path / "data", endpoint, tile_files="all") as api:
        made = api.collection()["id"]
        tile = api.tile(made, "a")["id"]
        api.tick(60)
        place = f"{COLLECTIONS}/{made}/tiles/{tile}/files"
        assert api.get(place).json() == ["a/B04.tif"]
        assert api.get(f"{place}/a/B04.tif").content == content
        part = api.send("GET", f"{place}/a/B04.tif", headers={"range": "bytes=100-299"})
        assert (part.status_code, part.content) == (206, content[100:300])
        head = api.send("HEAD", f"{place}/a/B04.tif")
        assert head.headers["content-length"] == str(len(content))
        assert head.headers["etag"] == part.headers["etag"]
        assert api.get(f"{place}/a/B05.tif").status_code == 404


# Nobody waits for it.


def test_others_are_served_while_an_endpoint_is_slow(tmp_path: Path) -> None:
    """A task is created whose copy is being written: collections are told meanwhile."""
    asked, free = threading.Event(), threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        asked.set()
        assert free.wait(60)
        answer(200)(handler)

    with scripted(slow) as server, refusing(tmp_path, server.url) as api:

        async def both() -> httpx.Response:
            creating = asyncio.create_task(api.asked("POST", batches.TASKS, json=batches.body()))
            await asyncio.to_thread(asked.wait, 60)
            assert (await api.asked("GET", COLLECTIONS)).status_code == 200
            assert not creating.done()
            free.set()
            return await creating

        made = api.run(both())
        assert made.status_code == 201
        assert batches.read(api, made.json()["id"])["status"] == "CREATED"


def test_the_copy_of_a_request_is_there_when_it_is_answered(endpoint: str, tmp_path: Path) -> None:
    buckets = Far(endpoint)
    with refusing(tmp_path, endpoint) as api:
        task = batches.create(api)
        (key,) = buckets.files("results")
        assert key == f"ndvi/request-{task}.json"
        content = json.loads(buckets.files("results")[key])
        assert content["id"] == task
        assert batches.SECRET not in json.dumps(content)
