from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from oauthlib.oauth2.rfc6749.errors import InvalidClientError
from sentinelhub import CRS, Geometry, SentinelHubBYOC, SHConfig
from sentinelhub.api.byoc import (
    ByocCollection,
    ByocCollectionAdditionalData,
    ByocCollectionBand,
    ByocTile,
)
from sentinelhub.download.sentinelhub_client import SentinelHubDownloadClient
from sentinelhub.exceptions import DownloadFailedException, SHRateLimitWarning
from shapely.geometry import box

import shplan
from shplan.sandbox.address import Address, url

from .support import write_cog

SERVER = """
import sys
from pathlib import Path
import shplan
from shplan.sandbox.serve import serve

serve(Path(sys.argv[1]), announce=lambda address: print(address.as_json(), flush=True))
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def port(data: Path) -> Iterator[int]:
    """A sandbox in a process of its own, on a real socket."""
    command = [sys.executable, "-c", SERVER, str(data)]
    environment = {**os.environ, "PYTHONPATH": str(Path(shplan.__file__).parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield int(told["base_url"].rpartition(":")[2])
        process.terminate()
        assert process.wait(timeout=10) in (0, -15)


@pytest.fixture
def config(port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SHConfig:
    """The configuration of the unmodified client, as the sandbox tells it."""
    address = Address(url(port))
    monkeypatch.setenv(
        "OAUTHLIB_INSECURE_TRANSPORT", address.environment()["OAUTHLIB_INSECURE_TRANSPORT"]
    )
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    values = address.profile()
    SentinelHubDownloadClient._CACHED_SESSIONS = {}
    return SHConfig(use_defaults=True, **values, download_sleep_time=0.01, max_download_attempts=2)


@pytest.fixture
def byoc(config: SHConfig) -> SentinelHubBYOC:
    return SentinelHubBYOC(config=config)


def control(port: int, name: str, body: Any) -> None:
    httpx.post(f"http://127.0.0.1:{port}/_sandbox/{name}", json=body).raise_for_status()


def test_real_client_keeps_a_collection(byoc: SentinelHubBYOC) -> None:
    created = byoc.create_collection(ByocCollection("real", "imagery", additional_data=None))
    read = ByocCollection.from_dict(byoc.get_collection(created))
    assert (read.name, read.s3_bucket) == ("real", "imagery")
    assert isinstance(read.created, datetime)
    read.name = "renamed"
    read.no_data = 0
    read.additional_data = ByocCollectionAdditionalData(
        bands={"B04": ByocCollectionBand(source="B04", band_index=1, bit_depth=16)}
    )
    byoc.update_collection(read)
    again = ByocCollection.from_dict(byoc.get_collection(read))
    assert (again.name, again.no_data) == ("renamed", 0)
    assert again.additional_data is not None
    assert again.additional_data.bands is not None
    assert again.additional_data.bands["B04"].bit_depth == 16
    assert again.to_data_collection().bands == ("B04",)
    byoc.delete_collection(again)
    with pytest.raises(DownloadFailedException) as caught:
        byoc.get_collection(again)
    assert caught.value.request_exception.response.status_code == 404


def test_real_client_keeps_tiles(byoc: SentinelHubBYOC, data: Path, port: int) -> None:
    write_cog(data / "buckets/imagery/real/B04.tiff")
    one = byoc.create_collection({"name": "tiles", "s3Bucket": "imagery"})
    cover = Geometry(box(500_000, 5_198_000, 502_000, 5_200_000), CRS.UTM_33N)
    sensed = datetime(2024, 5, 1, 10)
    created = byoc.create_tile(one, ByocTile("real", cover_geometry=cover, sensing_time=sensed))
    assert created["status"] == "WAITING"
    control(port, "tick", {"seconds": 10})
    tile = ByocTile.from_dict(byoc.get_tile(one, created))
    assert (tile.status, tile.path) == ("INGESTED", "real/(BAND).tiff")
    assert tile.tile_geometry is not None
    assert tile.tile_geometry.crs is CRS.UTM_33N
    assert tile.cover_geometry is not None
    assert tile.cover_geometry.geometry.equals_exact(cover.geometry, tolerance=0.01)
    assert tile.sensing_time is not None
    assert tile.sensing_time.replace(tzinfo=None) == sensed
    tile.sensing_time = datetime(2024, 6, 1)
    byoc.update_tile(one, tile)
    assert byoc.get_tile(one, tile)["sensingTime"] == "2024-06-01T00:00:00.000Z"
    assert [found["id"] for found in byoc.iter_tiles(one, path=tile.path)] == [tile.tile_id]
    byoc.reingest_tile(one, tile)
    assert byoc.get_tile(one, tile)["status"] in ("WAITING", "QUEUED")
    other = byoc.create_collection({"name": "copy", "s3Bucket": "imagery"})
    control(port, "tick", {"seconds": 10})
    byoc.copy_tiles(one, other)
    assert [found["status"] for found in byoc.iter_tiles(other)] == ["INGESTED"]
    byoc.delete_tile(one, tile)
    assert list(byoc.iter_tiles(one)) == []


def test_real_client_pages_through_more_than_a_page(byoc: SentinelHubBYOC) -> None:
    one = byoc.create_collection({"name": "many", "s3Bucket": "imagery"})
    session = byoc.client.get_session()
    with httpx.Client(headers=session.session_headers) as client:  # unlike theirs, without pauses
        for number in range(105):
            address = f"{byoc.service_url}/collections/{one['id']}/tiles"
            client.post(address, json={"path": f"t/{number}"}).raise_for_status()
    made = [f"t/{number}" for number in range(105)]
    assert [tile["path"] for tile in byoc.iter_tiles(one)] == made
    newest = next(iter(byoc.iter_tiles(one, sort="created:desc", count=10)))
    assert newest["path"] == "t/104"
    assert [entry["name"] for entry in byoc.iter_collections(search="many")] == ["many"]


def test_real_client_survives_a_lost_answer_by_creating_twice(
    byoc: SentinelHubBYOC, port: int
) -> None:
    """The client retries every verb, so an answer that is lost leaves two collections."""
    fault = {"kind": "lost-answer", "method": "POST", "path": "/byoc/v1/collections"}
    control(port, "faults", fault)
    byoc.create_collection({"name": "twice", "s3Bucket": "imagery"})
    assert len(list(byoc.iter_collections(search="twice"))) == 2


def test_real_client_waits_out_a_429(byoc: SentinelHubBYOC, port: int) -> None:
    fault = {"kind": "429", "path": "/byoc/.*", "retry_after_ms": 20}
    control(port, "faults", fault)
    with pytest.warns(SHRateLimitWarning):
        assert isinstance(list(byoc.iter_collections()), list)


def test_wrong_secret_is_understood_by_the_real_client(config: SHConfig) -> None:
    config.sh_client_secret = "wrong"
    with pytest.raises(InvalidClientError):
        list(SentinelHubBYOC(config=config).iter_collections())


@pytest.mark.parametrize("kind", ["before", "lost-answer"])
def test_dropped_connection_ends_without_an_answer(port: int, kind: str) -> None:
    control(port, "faults", {"kind": kind, "path": "/byoc/v1/collections"})
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        with pytest.raises(httpx.TransportError):
            client.get("/byoc/v1/collections")
        answer = client.get("/byoc/v1/collections")
    assert answer.status_code == 401
    assert answer.headers.get_list("date") == [answer.headers["date"]]
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::1", "http://[::1]:8080"),
    ],
)
def test_instructions_name_an_address_that_can_be_reached(host: str, base: str) -> None:
    assert url(8080, host=host) == base
