from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import shplan

from .support import COLLECTIONS, Driver

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)
BAND = st.fixed_dictionaries(
    {},
    optional={
        "source": JSON | st.text(max_size=3),
        "bandIndex": JSON | st.integers(-1, 5),
        "bitDepth": JSON | st.sampled_from([8, 16, 32]),
        "sampleFormat": JSON | st.sampled_from(["UINT", "INT", "FLOAT"]),
        "noData": JSON,
        "aliases": JSON,
    },
)
COLLECTION = st.fixed_dictionaries(
    {"name": st.text(max_size=3) | JSON, "s3Bucket": st.text(max_size=3) | JSON},
    optional={
        "noData": JSON,
        "additionalData": JSON
        | st.fixed_dictionaries(
            {}, optional={"bands": JSON | st.dictionaries(st.text(max_size=3), BAND, max_size=3)}
        ),
        "isConfigured": JSON,
    },
)
RING = st.lists(st.lists(st.floats(-200, 200), min_size=1, max_size=3), max_size=5)
GEOMETRY = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["Polygon", "MultiPolygon", "Point"]) | JSON,
        "coordinates": st.lists(RING, max_size=2) | st.lists(st.lists(RING, max_size=2)) | JSON,
        "crs": JSON | st.just({"type": "name", "properties": {"name": "EPSG:32633"}}),
    },
)
TILE = st.fixed_dictionaries(
    {},
    optional={
        "path": st.text(max_size=5) | st.sampled_from(["a", "(BAND)", "a/(BAND).tif", ".."]) | JSON,
        "coverGeometry": GEOMETRY | JSON,
        "sensingTime": JSON | st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
        "status": JSON,
    },
)


@pytest.mark.parametrize("unknown", ["ignore", "refuse"])
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(collection=COLLECTION, tile=TILE)
def test_no_body_makes_the_sandbox_stumble(
    api: Driver, unknown: str, collection: Any, tile: Any
) -> None:
    """A bad request is refused by 400, never by 500; what is accepted can be read back."""
    api.configure(unknown_fields=unknown, tile_put_path="honour")
    made = api.post(COLLECTIONS, collection)
    assert made.status_code in (201, 400), made.text
    one = made.json()["data"]["id"] if made.status_code == 201 else api.collection()["id"]
    assert api.put(f"{COLLECTIONS}/{one}", collection).status_code in (204, 400)
    created = api.post(f"{COLLECTIONS}/{one}/tiles", tile)
    assert created.status_code in (201, 400), created.text
    if created.status_code == 201:
        place = f"{COLLECTIONS}/{one}/tiles/{created.json()['data']['id']}"
        assert api.put(place, tile).status_code in (204, 400)
        api.tick(4)
        assert api.get(place).json()["data"]["status"] in ("FAILED", "WAITING")
    assert json.loads(api.get(f"{COLLECTIONS}/{one}/tiles").content)["links"]
    api.delete(f"{COLLECTIONS}/{one}")
    api.login()


def test_opening_loads_no_raster_library_and_no_validator() -> None:
    """Every command of the client opens the sandbox; most of them ingest nothing."""
    program = (
        "import sys, tempfile, pathlib;"
        "from shplan.sandbox.app import create_app, close_app;"
        "from shplan.sandbox.clock import SystemClock;"
        "d = tempfile.mkdtemp(); close_app(create_app(pathlib.Path(d), clock=SystemClock()));"
        "print(sorted({'rasterio', 'numpy', 'shapely', 'pyproj', 'jsonschema_rs', 'uvicorn', 'httpx'}"
        " & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(shplan.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "content",
    [
        b'{"name": "\\ud800", "s3Bucket": "b"}',
        b'{"name": "n", "s3Bucket": "b", "noData": 1e400}',
        b'{"name": "n", "s3Bucket": "b", "noData": -Infinity}',
        b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b', "s3Bucket": "b"}',
        b"\xff\xfe{",
    ],
)
def test_json_that_cannot_be_kept_is_refused(api: Driver, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    assert api.send("POST", COLLECTIONS, content=content, headers=headers).status_code == 400


def test_tile_whose_path_no_file_system_takes_fails(api: Driver) -> None:
    one = api.collection(additionalData={"bands": {"B": {"bitDepth": 8, "sampleFormat": "UINT"}}})
    tile = api.tile(one["id"], "a" * 5000)["id"]
    (api.app.state.world.buckets / "imagery").mkdir()
    api.tick(4)
    assert api.read(one["id"], tile)["status"] == "FAILED"


def test_sensing_time_beyond_the_calendar_is_refused(api: Driver) -> None:
    one = api.collection()["id"]
    body = {"path": "a", "sensingTime": "9999-12-31T23:59:59-12:00"}
    assert api.post(f"{COLLECTIONS}/{one}/tiles", body).status_code == 400


def test_token_of_another_list_is_refused(api: Driver) -> None:
    one = api.collection()["id"]
    api.collection()
    token = api.get(COLLECTIONS, count=1).json()["links"]["nextToken"]
    assert api.get(f"{COLLECTIONS}/{one}/tiles", viewtoken=token).status_code == 400
    huge = base64.urlsafe_b64encode(b"[99999999999999999999,false]").decode()
    assert api.get(f"{COLLECTIONS}/{one}/tiles", viewtoken=huge).status_code == 400


def test_endless_search_is_refused(api: Driver) -> None:
    assert api.get(COLLECTIONS, search="a|" * 101 + "b").status_code == 400


def test_bug_is_answered_in_the_shape_of_the_service(api: Driver) -> None:
    app = api.app
    api.app.state.world.store.run("drop table tiles")
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
            client.headers.update(api._http.headers)
            return await client.get(COLLECTIONS)

    answer = api._loop.run_until_complete(ask())
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "COMMON_EXCEPTION")
