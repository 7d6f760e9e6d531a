"""The unmodified `sentinelhub` package drives batch tasks over a real port."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sentinelhub import (
    CRS,
    BatchProcessClient,
    BatchRequestStatus,
    BBox,
    DataCollection,
    MimeType,
    SentinelHubRequest,
    SHConfig,
    monitor_batch_process_analysis,
    monitor_batch_process_job,
)
from sentinelhub.api.batch.base import BatchUserAction
from sentinelhub.download.sentinelhub_client import SentinelHubDownloadClient
from sentinelhub.exceptions import DownloadFailedException

import shplan
from shplan.sandbox.address import Address, url

from .batches import AOI, NDVI
from .test_serve import SERVER


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def port(data: Path) -> Iterator[int]:
    environment = {**os.environ, "PYTHONPATH": str(Path(shplan.__file__).parents[1])}
    command = [sys.executable, "-c", SERVER, str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield int(told["base_url"].rpartition(":")[2])
        process.terminate()
        assert process.wait(timeout=10) in (0, -15)


@pytest.fixture
def config(port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SHConfig:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    SentinelHubDownloadClient._CACHED_SESSIONS = {}
    values = Address(url(port)).profile()
    return SHConfig(use_defaults=True, **values, download_sleep_time=0.01, max_download_attempts=2)


@pytest.fixture
def client(config: SHConfig) -> BatchProcessClient:
    return BatchProcessClient(config=config)


def control(port: int, name: str, body: Any) -> None:
    httpx.post(f"http://127.0.0.1:{port}/_sandbox/{name}", json=body).raise_for_status()


def create(client: BatchProcessClient, **parts: Any) -> Any:
    request = SentinelHubRequest(
        evalscript=NDVI,
        input_data=[
            SentinelHubRequest.input_data(
                DataCollection.SENTINEL2_L2A, time_interval=("2025-06-01", "2025-06-30")
            )
        ],
        responses=[SentinelHubRequest.output_response("default", MimeType.TIFF)],
        bbox=BBox(AOI, CRS.WGS84),
        config=client.config,
    )
    delivery = client.s3_specification("s3://results/ours", access_key="a", secret_access_key="b")
    return client.create(
        request,
        input=client.tiling_grid_input(grid_id=2, resolution=120, buffer_x=1),
        output=client.raster_output(delivery=delivery),
        **parts,
    )


def test_a_task_from_creation_to_its_end(
    client: BatchProcessClient, port: int, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = create(client, description="from the client")
    assert created.status is BatchRequestStatus.CREATED
    assert created.user_action is BatchUserAction.NONE
    # Its monitors sleep for minutes of the service, which are moments here.
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        control(port, "tick", {"seconds": seconds})

    monkeypatch.setattr("sentinelhub.api.batch.utils.time.sleep", sleep)
    client.start_analysis(created)
    analysed = monitor_batch_process_analysis(created, client, sleep_time=5)
    assert analysed.status is BatchRequestStatus.ANALYSIS_DONE
    client.start_job(created)
    finished = monitor_batch_process_job(created, client, sleep_time=60, analysis_sleep_time=5)
    assert finished.status is BatchRequestStatus.DONE
    assert (finished.completion_percentage, finished.cost_PU) == (100, 100)
    assert finished.request["instanceType"] == "normal"
    assert waited
    for name in ("request-{}.json", "featureManifest-{}.gpkg", "execution-{}.sqlite"):
        assert (data / "buckets/results/ours" / name.format(created.request_id)).is_file()


def test_lists_are_followed_to_their_end(client: BatchProcessClient) -> None:
    made = [create(client).request_id for _ in range(3)]
    found = [one.request_id for one in client.iter_requests(count=2)]
    assert set(made) <= set(found)
    ordered = [one.request_id for one in client.iter_requests(sort="created", count=1)]
    assert ordered == found[::-1]
    assert [one for one in ordered if one in made] == made


def test_updates_and_stops(client: BatchProcessClient, port: int) -> None:
    made = create(client)
    client.update_request(made, "another text")
    assert client.get_request(made).request["description"] == "another text"
    with pytest.raises(DownloadFailedException) as caught:
        client.stop_job(made)
    assert caught.value.request_exception.response.status_code == 400
    client.start_job(made)
    with pytest.raises(DownloadFailedException) as caught:
        client.update_request(made, "too late")
    assert caught.value.request_exception.response.status_code == 409
    control(port, "settings", {"batch_processing_s": 3600})
    control(port, "tick", {"seconds": 10})
    client.stop_job(made)
    stopped = client.get_request(made)
    assert stopped.status is BatchRequestStatus.STOPPED
    assert stopped.stopped_status_reason is not None
    assert stopped.stopped_status_reason.value == "USER_ACTION"


def test_a_failed_analysis_raises_in_the_client(client: BatchProcessClient, port: int) -> None:
    request = {
        "input": {"bounds": {"bbox": AOI}, "data": [{"type": "sentinel-2-l2a"}]},
        "output": {"responses": [{"identifier": "x", "format": {"type": "image/tiff"}}]},
        "evalscript": NDVI,
    }
    delivery = client.s3_specification("s3://results/failed", iam_role_arn="arn:aws:iam::1:role/x")
    made = client.create(
        request,
        input=client.tiling_grid_input(grid_id=2, resolution=120),
        output=client.raster_output(delivery=delivery),
    )
    client.start_analysis(made)
    control(port, "tick", {"seconds": 10})
    with pytest.raises(RuntimeError, match="Output x is requested"):
        monitor_batch_process_analysis(made, client, sleep_time=5)


def test_tiling_grids(client: BatchProcessClient) -> None:
    found = list(client.iter_tiling_grids())
    assert [grid["id"] for grid in found] == [0, 1, 2, 3, 6, 7]
    assert client.get_tiling_grid(6) == found[4]
    with pytest.raises(DownloadFailedException):
        client.get_tiling_grid(5)
