"""The unmodified `sentinelhub` package against the Asynchronous Process API, over a real port."""

from __future__ import annotations

import datetime as dt
import io
import json
import time
import warnings
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
from sentinelhub import (
    CRS,
    AsyncProcessRequest,
    BBox,
    ByocCollection,
    ByocTile,
    DataCollection,
    Geometry,
    MimeType,
    SentinelHubBYOC,
    SentinelHubRequest,
    SHConfig,
    get_async_running_status,
)
from sentinelhub.exceptions import DownloadFailedException, SHRateLimitWarning

from tests.sandbox import processing as p
from tests.support.served import Served

UTM = CRS("32633")
WHOLE = BBox(p.WHOLE, UTM)
SAME = p.script("return [samples.B04];", bands='["B04"]', output='{bands: 1, sampleType: "UINT16"}')
TIFFS = [AsyncProcessRequest.output_response("default", MimeType.TIFF)]
URL = "s3://results/async"
KEYS = {"access_key": "AKIA-public", "secret_access_key": "never-told"}
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def collection(served: Served, config: SHConfig) -> DataCollection:
    """A collection of one tile, made by the package itself."""
    for band in (4, 8):
        path = served.data / "buckets" / "pixels" / "one" / f"B0{band}.tif"
        if not path.exists():
            p.write(path, p.numbers(band))
    byoc = SentinelHubBYOC(config=config)
    made = byoc.create_collection(ByocCollection(name="pixels", s3_bucket="pixels"))
    tile = ByocTile(path="one/(BAND).tif", sensing_time=dt.datetime(2025, 6, 1, 10))
    byoc.create_tile(made, tile)
    served.tick(60)
    return DataCollection.define_byoc(made["id"])


def asked(collection: DataCollection, config: SHConfig, **parts: Any) -> Any:
    """What the create answers."""
    place = {"bbox": WHOLE, "size": (p.SIZE, p.SIZE)}
    if {"bbox", "geometry"} & set(parts):
        place = {}
    if "evalscript_reference" not in parts:
        parts.setdefault("evalscript", SAME)
    request = AsyncProcessRequest(
        input_data=[
            AsyncProcessRequest.input_data(collection, time_interval=("2025-06-01", "2025-06-30"))
        ],
        responses=parts.pop("responses", TIFFS),
        delivery=parts.pop("delivery", AsyncProcessRequest.s3_specification(URL, **KEYS)),
        config=config,
        **place,
        **parts,
    )
    return request.get_data()[0]


def objects(served: Served, made: Any, name: str) -> bytes:
    """A file of a request as any client of S3 reads it."""
    with httpx.Client(base_url=served.s3, trust_env=False) as http:
        answer = http.get(f"/results/async/{made['id']}/{name}")
    assert answer.status_code == 200, answer.text
    return answer.content


def running(made: Any, config: SHConfig) -> bool:
    return get_async_running_status([made["id"]], config)[made["id"]]


def ended(made: Any, config: SHConfig) -> bool:
    """Whether a request that is due comes to its end, however busy the machine is."""
    until = time.monotonic() + 100
    while is_running := running(made, config):
        if time.monotonic() > until:
            break
    return not is_running


def test_a_request_runs_and_leaves_its_image(
    collection: DataCollection, config: SHConfig, served: Served
) -> None:
    made = asked(collection, config)
    assert made == {"id": made["id"], "status": "RUNNING"}
    assert running(made, config)
    served.tick(60)
    assert ended(made, config)
    with (
        warnings.catch_warnings(action="ignore"),
        rasterio.open(io.BytesIO(objects(served, made, "default.tif"))) as raster,
    ):
        assert np.array_equal(raster.read(1), p.numbers(4))
        assert raster.crs.to_epsg() == 32633


def test_the_pixels_are_those_of_process(
    collection: DataCollection, config: SHConfig, served: Served
) -> None:
    ring = [(p.WEST, p.NORTH), (p.WEST + 2000, p.NORTH), (p.WEST + 2000, p.NORTH - 1000)]
    geometry = Geometry({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}, UTM)
    made = asked(collection, config, geometry=geometry, resolution=(10, 10))
    served.tick(60)
    assert ended(made, config)
    request = SentinelHubRequest(
        evalscript=SAME,
        input_data=[SentinelHubRequest.input_data(collection)],
        responses=TIFFS,
        geometry=geometry,
        resolution=(10, 10),
        config=config,
    )
    (content,) = request.get_data(decode_data=False)
    assert objects(served, made, "default.tif") == content.content


def test_several_outputs_and_user_data(
    collection: DataCollection, config: SHConfig, served: Served
) -> None:
    text = """//VERSION=3
function setup() { return {input: ["B04"], output: [{id: "default", bands: 1, sampleType: "UINT16"},
  {id: "picture", bands: 3}]}; }
function evaluatePixel(s, scenes, inputMetadata, customData, outputMetadata) {
  outputMetadata.userData = {done: true}; return {default: [s.B04], picture: [1, 0.5, 0]}; }"""
    responses = [
        AsyncProcessRequest.output_response("default", MimeType.TIFF),
        AsyncProcessRequest.output_response("picture", MimeType.PNG),
        AsyncProcessRequest.output_response("userdata", MimeType.JSON),
    ]
    made = asked(collection, config, evalscript=text, responses=responses)
    served.tick(60)
    assert ended(made, config)
    assert json.loads(objects(served, made, "userdata.json")) == {"done": True}
    assert objects(served, made, "picture.png").startswith(b"\x89PNG")
    assert objects(served, made, "default.tif")


def test_the_copy_of_the_request_tells_the_price_and_no_secret(
    collection: DataCollection, config: SHConfig, served: Served
) -> None:
    made = asked(collection, config)
    before = json.loads(objects(served, made, "request.json"))
    assert before["request"]["evalscript"] == SAME
    assert "costPU" not in before
    served.tick(60)
    assert ended(made, config)
    content = objects(served, made, "request.json")
    assert json.loads(content) == {**before, "costPU": 10}
    assert KEYS["secret_access_key"].encode() not in content


def test_a_script_by_reference(
    collection: DataCollection, config: SHConfig, served: Served
) -> None:
    place = served.data / "buckets" / "scripts" / "same.js"
    place.parent.mkdir(exist_ok=True)
    place.write_text(SAME)
    reference = AsyncProcessRequest.s3_specification("s3://scripts/same.js", **KEYS)
    made = asked(collection, config, evalscript_reference=reference)
    served.tick(60)
    assert ended(made, config)
    assert objects(served, made, "default.tif")


def test_a_failure_is_told_in_the_bucket(
    collection: DataCollection, config: SHConfig, served: Served
) -> None:
    made = asked(collection, config, evalscript=p.script("return samples.x.y;"))
    served.tick(60)
    assert ended(made, config)
    assert "TypeError" in json.loads(objects(served, made, "error.json"))["error"]["message"]


def test_who_never_was_does_not_run(config: SHConfig, served: Served) -> None:
    assert get_async_running_status([UNKNOWN], config) == {UNKNOWN: False}
    assert get_async_running_status([], config) == {}


@pytest.mark.parametrize(
    "parts",
    [
        {"bbox": WHOLE, "size": (10_001, 1)},
        {"bbox": WHOLE},
        {"bbox": WHOLE, "resolution": (0.1, 10)},
        {"evalscript": None},
        {"delivery": {"s3": {"url": URL}}},
        {"delivery": AsyncProcessRequest.s3_specification("results", **KEYS)},
    ],
)
def test_a_refusal_is_told_at_once(
    collection: DataCollection, config: SHConfig, served: Served, parts: dict[str, Any]
) -> None:
    with pytest.raises(DownloadFailedException) as caught:
        asked(collection, config, **parts)
    assert caught.value.request_exception.response.status_code == 400
    assert KEYS["secret_access_key"] not in caught.value.request_exception.response.text
    assert len(served.requests("/async/")) == 1


def test_too_many_at_once_wait_for_their_turn(
    collection: DataCollection, config: SHConfig, served: Served
) -> None:
    """The client waits for as long as it is told, in milliseconds, and asks again."""
    served.configure(async_concurrent=1, async_processing_s=720, speed=120)
    first = asked(collection, config)
    with pytest.warns(SHRateLimitWarning):
        second = asked(collection, config)
    assert first["id"] != second["id"]
    assert ended(first, config)
    seen = [one["status"] for one in served.requests("/async/") if one["method"] == "POST"]
    assert (seen[0], seen[-1], set(seen[1:-1])) == (200, 200, {429})


def test_a_lost_answer_makes_two_requests(
    collection: DataCollection, config: SHConfig, served: Served
) -> None:
    """The client repeats every verb, and the service knows no idempotency key: both are paid."""
    served.fault("lost-answer", method="POST", path="/async/v1/process")
    made = asked(collection, config)
    served.tick(60)
    # They end in the order in which they were created.
    assert ended(made, config)
    listed = served.control("async", method="GET")["requests"]
    assert [one["status"] for one in listed] == ["DONE", "DONE"]


def test_a_fault_while_asking_is_no_end(
    collection: DataCollection, config: SHConfig, served: Served
) -> None:
    made = asked(collection, config)
    served.fault("503", method="GET", path="/async/v1/process/.*", count=2)
    assert running(made, config)
    served.fault("429", method="GET", path="/async/v1/process/.*", retry_after_ms=1)
    with pytest.warns(SHRateLimitWarning):
        assert running(made, config)
