"""`BatchProcessClient` of the unmodified `sentinelhub` package: every method, both inputs and outputs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import shapely
from sentinelhub import (
    CRS,
    BatchProcessClient,
    BatchProcessRequest,
    BatchRequestStatus,
    BBox,
    DataCollection,
    Geometry,
    MimeType,
    SentinelHubRequest,
    SHConfig,
    monitor_batch_process_analysis,
    monitor_batch_process_job,
)
from sentinelhub.api.batch.base import BatchUserAction, StoppedStatusReason
from sentinelhub.exceptions import DownloadFailedException

from shplan.sandbox.geopackage import ManifestRow, manifest
from tests.sandbox.batches import AOI, NDVI
from tests.support.served import Served

# A tile of the grid of 100 km in EPSG:3035, which Zarr output needs.
ZARR_AOI = [14.6, 46.5, 14.7, 46.6]
ARRAY = {"dtype": "|u1", "order": "C", "chunks": [1, 1000, 1000], "fill_value": 0}


@pytest.fixture
def client(config: SHConfig) -> BatchProcessClient:
    return BatchProcessClient(config=config)


def status(ask: Callable[[], Any]) -> int:
    with pytest.raises(DownloadFailedException) as caught:
        ask()
    return int(caught.value.request_exception.response.status_code)


def process(config: SHConfig, *, response: Any = MimeType.TIFF, **area: Any) -> SentinelHubRequest:
    data = SentinelHubRequest.input_data(
        DataCollection.SENTINEL2_L2A,
        # Before the mission: images without data are made in no time.
        time_interval=("2005-06-01", "2005-06-30"),
        maxcc=0.5,
        mosaicking_order="leastCC",
        other_args={"processing": {"upsampling": "BILINEAR"}},
    )
    return SentinelHubRequest(
        evalscript=NDVI,
        input_data=[data],
        responses=[SentinelHubRequest.output_response("default", response)],
        config=config,
        **(area or {"bbox": BBox(AOI, CRS.WGS84)}),
    )


def create(
    client: BatchProcessClient, *, url: str = "s3://results/ours", **parts: Any
) -> BatchProcessRequest:
    delivery = client.s3_specification(url, access_key="a", secret_access_key="b")
    values: dict[str, Any] = {
        "process_request": process(client.config),
        "input": client.tiling_grid_input(grid_id=2, resolution=240),
        "output": client.raster_output(delivery=delivery),
        **parts,
    }
    return client.create(**values)


def zarr_process(client: BatchProcessClient) -> Any:
    """The client has no name for the format of Zarr responses, so a dictionary says it."""
    sent = process(client.config, bbox=BBox(ZARR_AOI, CRS.WGS84)).download_list[0].post_values
    sent["output"] = {"responses": [{"identifier": "default", "format": {"type": "zarr/array"}}]}
    return sent


def geopackage(served: Served, key: str = "in/fields.gpkg") -> str:
    """Two fields of 20 x 10 pixels in EPSG:32633, as a file in a bucket."""
    rows = [
        ManifestRow("", f"field-{n}", "", 20, 10, 32633, shapely.box(x, 5_200_000, x + 200, 5_200_100).wkb_hex)
        for n, x in enumerate((500_000, 500_300))
    ]  # fmt: skip
    path = served.data / "buckets/inputs" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(manifest(rows, changed_ms=0))
    with sqlite3.connect(path) as file:
        file.execute("update gpkg_geometry_columns set geometry_type_name = 'POLYGON'")
    file.close()
    return f"s3://inputs/{key}"


# Creation.


def test_a_new_request(client: BatchProcessClient) -> None:
    made = create(client, description="ours", instance_type="large")
    assert made.status is BatchRequestStatus.CREATED
    assert made.user_action is BatchUserAction.NONE
    assert (made.completion_percentage, made.cost_PU, made.error) == (0, 0, None)
    assert isinstance(made.created, datetime)
    assert made.created.tzinfo == UTC or made.created.utcoffset() is not None
    assert made.last_updated == made.created
    assert made.user_action_updated is None
    assert made.other_data["projectId"] == made.domain_account_id
    assert set(made.other_data) == {"projectId", "workspaceId"}
    assert (made.request["description"], made.request["instanceType"]) == ("ours", "large")
    assert made.request["input"] == {"type": "tiling-grid", "id": 2, "resolution": 240}
    assert f"request_id={made.request_id}" in repr(made)


def test_the_request_is_echoed_without_its_secret(client: BatchProcessClient) -> None:
    sent = process(client.config).download_list[0].post_values
    made = create(client)
    assert made.request["processRequest"] == sent
    access = made.request["output"]["delivery"]["s3"]
    assert access["accessKey"] == "a"
    assert access["secretAccessKey"] != "b"


@pytest.mark.parametrize(
    ("area", "crs"),
    [
        ({"bbox": BBox(AOI, CRS.WGS84)}, "http://www.opengis.net/def/crs/EPSG/0/4326"),
        (
            {"bbox": BBox([400_000, 5_150_000, 500_000, 5_200_000], CRS.UTM_33N)},
            "http://www.opengis.net/def/crs/EPSG/0/32633",
        ),
        (
            {"geometry": Geometry(shapely.box(*AOI), CRS.WGS84)},
            "http://www.opengis.net/def/crs/EPSG/0/4326",
        ),
        (
            {
                "bbox": BBox(AOI, CRS.WGS84),
                "geometry": Geometry(shapely.box(14.7, 46.6, 14.8, 46.7), CRS.WGS84),
            },
            "http://www.opengis.net/def/crs/EPSG/0/4326",
        ),
    ],
    ids=["bbox", "utm", "geometry", "both"],
)
def test_areas_in_every_form(
    client: BatchProcessClient, served: Served, area: Any, crs: str
) -> None:
    made = create(client, process_request=process(client.config, **area))
    assert made.request["processRequest"]["input"]["bounds"]["properties"] == {"crs": crs}
    client.start_analysis(made)
    served.tick(10)
    assert client.get_request(made).status is BatchRequestStatus.ANALYSIS_DONE


@pytest.mark.parametrize("role", [True, False])
def test_a_geopackage_names_the_features(
    client: BatchProcessClient, served: Served, role: bool
) -> None:
    access = (
        {"iam_role_arn": "arn:aws:iam::123456789012:role/x", "region": "eu-central-1"}
        if role
        else {"access_key": "a", "secret_access_key": "b"}
    )
    features = client.s3_specification(geopackage(served), **access)
    made = create(
        client,
        process_request=process(client.config, bbox=BBox([14, 46, 16, 48], CRS.WGS84)),
        input=client.geopackage_input(features),
        url=f"s3://results/package-{role}",
    )
    client.start_job(made)
    served.tick(60)
    assert client.get_request(made).status is BatchRequestStatus.DONE
    name = f"package-{role}/execution-{made.request_id}.sqlite"
    with sqlite3.connect(served.data / "buckets/results" / name) as file:
        listed = file.execute("select name, status from features order by id").fetchall()
    file.close()
    assert listed == [("field-0", "DONE"), ("field-1", "DONE")]


def test_every_option_of_raster_output(client: BatchProcessClient) -> None:
    delivery = client.s3_specification(
        "s3://results/<requestId>/<tileName>/<outputId>.<format>", "a", "b"
    )
    output = client.raster_output(
        delivery,
        overwrite=True,
        skip_existing=True,
        cog_output=True,
        cog_parameters={
            "overviewLevels": [2, 4],
            "overviewMinSize": 256,
            "resamplingAlgorithm": "nearest",
            "blockxsize": 512,
            "blockysize": 512,
            "usePredictor": False,
        },
        create_collection=True,
    )
    made = create(
        client,
        output=output,
        input=client.tiling_grid_input(2, 120, buffer_x=5, buffer_y=6),
    )
    assert made.request["output"] == {
        **output,
        "delivery": made.request["output"]["delivery"],
    }
    assert made.request["input"]["bufferY"] == 6


def test_results_may_go_to_a_collection_that_exists(
    client: BatchProcessClient, served: Served
) -> None:
    with served.client() as http:
        body = {"name": "target", "s3Bucket": "results"}
        collection = http.post("/byoc/v1/collections", json=body).json()["data"]["id"]
    delivery = client.s3_specification("s3://results/collected", "a", "b")

    def output(name: str, **more: Any) -> Any:
        return client.raster_output(delivery, collection_id=name, **{"cog_output": True, **more})

    assert create(client, output=output(collection)).status is BatchRequestStatus.CREATED
    assert status(lambda: create(client, output=output("no-such"))) == 400
    assert status(lambda: create(client, output=output(collection, cog_output=False))) == 400


@pytest.mark.parametrize("overridden", [True, False])
def test_zarr_output(client: BatchProcessClient, served: Served, overridden: bool) -> None:
    """The client writes `arrayParameter`, which the service does not know; its users say it themselves."""
    delivery = client.s3_specification(f"s3://results/zarr-{overridden}/<requestId>", "a", "b")
    told = (
        {"array_overrides": {"default": {**ARRAY, "customAttributes": {"units": "1"}}}}
        if overridden
        else {"arrayParameters": ARRAY}
    )
    output = client.zarr_output(
        delivery,
        group={"zarr_format": 2, "coordinates": {"origin": "bottomLeft"}, "customAttributes": {}},
        **told,
    )
    made = create(
        client,
        process_request=zarr_process(client),
        input=client.tiling_grid_input(6, 100),
        output=output,
    )
    assert made.request["output"]["type"] == "zarr"
    client.start_job(made)
    served.tick(60)
    ended = client.get_request(made)
    assert (ended.status, ended.error) == (BatchRequestStatus.DONE, None)


def test_what_cannot_be_is_refused_at_creation(client: BatchProcessClient) -> None:
    raster = client.raster_output(client.s3_specification("s3://results/x", "a", "b"))
    for parts in (
        {"input": client.tiling_grid_input(5, 10)},
        {"input": client.tiling_grid_input(2, 10)},
        {"input": client.tiling_grid_input(2, 120, buffer_x=-1)},
        {"url": "https://results/x"},
        {"url": "s3://results/<outputId>.tif"},
        {"process_request": process(client.config, response=MimeType.PNG)},
        {"process_request": zarr_process(client)},
        {"instance_type": "huge"},
        {"output": {**raster, "cogParameters": {"resamplingAlgorithm": "best"}}},
        {"input": client.geopackage_input(client.s3_specification("s3://inputs/x.shp", "a", "b"))},
    ):
        assert status(lambda parts=parts: create(client, **parts)) == 400, parts
    assert list(client.iter_requests()) == []


# One request.


@pytest.mark.parametrize(
    "spelled",
    [lambda made: made, lambda made: made.request_id, lambda made: {"id": made.request_id}],
)
def test_a_request_is_named_in_any_way(client: BatchProcessClient, spelled: Any) -> None:
    made = create(client)
    assert client.get_request(spelled(made)) == made
    assert client.update_request(spelled(made), "renamed")["description"] == "renamed"
    assert client.get_request(made).request["description"] == "renamed"
    assert client.start_analysis(spelled(made)) == ""
    assert client.get_request(made).user_action is BatchUserAction.ANALYSE
    assert client.get_request(made).user_action_updated is not None


def test_a_request_from_creation_to_its_end(
    client: BatchProcessClient, served: Served, waited: list[float]
) -> None:
    made = create(client, description="from the client")
    client.start_analysis(made)
    analysed = monitor_batch_process_analysis(made, client, sleep_time=5)
    assert analysed.status is BatchRequestStatus.ANALYSIS_DONE
    assert client.start_job(analysed) == ""
    finished = monitor_batch_process_job(made, client, sleep_time=60, analysis_sleep_time=5)
    assert finished.status is BatchRequestStatus.DONE
    assert (finished.completion_percentage, finished.cost_PU) == (100, 100)
    assert finished.user_action is BatchUserAction.START
    assert waited
    for name in ("request-{}.json", "featureManifest-{}.gpkg", "execution-{}.sqlite"):
        path = "buckets/results/ours/" + name.format(made.request_id)
        assert (served.data / path).is_file()


def test_a_start_needs_no_analysis_before(client: BatchProcessClient, waited: list[float]) -> None:
    made = create(client)
    client.start_job(made)
    finished = monitor_batch_process_job(made, client, sleep_time=60, analysis_sleep_time=5)
    assert finished.status is BatchRequestStatus.DONE
    finished.raise_for_status()


def test_an_analysis_that_fails_raises_in_the_client(
    client: BatchProcessClient, waited: list[float]
) -> None:
    sent = process(client.config).download_list[0].post_values
    sent["evalscript"] = "//VERSION=3\nfunction setup() { return {"
    made = create(client, process_request=sent)
    client.start_analysis(made)
    with pytest.raises(RuntimeError, match="error message"):
        monitor_batch_process_analysis(made, client, sleep_time=5)
    failed = client.get_request(made)
    assert failed.status is BatchRequestStatus.FAILED
    assert failed.error
    assert status(lambda: client.start_job(made)) == 400


def test_a_stop(client: BatchProcessClient, served: Served) -> None:
    served.configure(batch_processing_s=600)
    made = create(client)
    assert status(lambda: client.stop_job(made)) == 400
    client.start_job(made)
    assert status(lambda: client.start_job(made)) == 400
    assert status(lambda: client.update_request(made, "too late")) == 409
    served.tick(10)
    assert client.get_request(made).status is BatchRequestStatus.PROCESSING
    assert client.stop_job(made) == ""
    stopped = client.get_request(made)
    assert stopped.status is BatchRequestStatus.STOPPED
    assert stopped.stopped_status_reason is StoppedStatusReason.USER_ACTION
    assert stopped.user_action is BatchUserAction.STOP
    # Half an hour must pass before it may go on.
    assert status(lambda: client.start_job(made)) == 400
    served.tick(1800)
    client.start_job(made)
    served.tick(700)
    assert client.get_request(made).status is BatchRequestStatus.DONE


def test_a_stop_during_the_analysis_raises_in_the_monitor(
    client: BatchProcessClient, served: Served, waited: list[float]
) -> None:
    made = create(client)
    client.start_analysis(made)
    served.tick(1.5)
    assert client.get_request(made).status is BatchRequestStatus.ANALYSING
    client.stop_job(made)
    with pytest.raises(RuntimeError, match="STOPPED"):
        monitor_batch_process_analysis(made, client, sleep_time=5)


def test_units_that_run_out_stop_a_request(client: BatchProcessClient, served: Served) -> None:
    made = create(client)
    served.configure(account_pu=60)
    client.start_job(made)
    served.tick(60)
    stopped = client.get_request(made)
    assert stopped.stopped_status_reason is StoppedStatusReason.OUT_OF_PU
    assert stopped.cost_PU == 50
    assert stopped.completion_percentage == 50


def test_too_many_failures_stop_a_request(client: BatchProcessClient, served: Served) -> None:
    served.control("batch", {"share": 1.0})
    made = create(client)
    client.start_job(made)
    served.tick(60)
    stopped = client.get_request(made)
    assert stopped.stopped_status_reason is StoppedStatusReason.UNHEALTHY


def test_unknown_requests(client: BatchProcessClient) -> None:
    for name in ("00000000-0000-4000-8000-000000000000", "x"):
        for ask in (
            client.get_request,
            client.start_analysis,
            client.start_job,
            client.stop_job,
            lambda one: client.update_request(one, "x"),
        ):
            assert status(lambda ask=ask, name=name: ask(name)) == 404


# Lists.


def test_lists_are_followed_to_their_end(client: BatchProcessClient, served: Served) -> None:
    made = [create(client).request_id for _ in range(5)]
    for count in (1, 2, 100):
        assert {one.request_id for one in client.iter_requests(count=count)} == set(made)
    assert [one.request_id for one in client.iter_requests(sort="created", count=2)] == made
    found = [one.request_id for one in client.iter_requests(sort="created:desc")]
    assert found == made[::-1]
    assert next(client.iter_requests(sort="created:desc", count=1)).request_id == made[-1]
    served.control("requests", method="DELETE")
    list(client.iter_requests())
    (asked,) = served.requests("/batch/v2/process")
    assert "?" not in asked["path"].rstrip("?")


def test_requests_are_sorted_by_status(client: BatchProcessClient, served: Served) -> None:
    made = [create(client) for _ in range(3)]
    client.start_analysis(made[0])
    served.tick(10)
    found = [one.status.value for one in client.iter_requests(sort="status")]
    assert found == ["ANALYSIS_DONE", "CREATED", "CREATED"]
    found = [one.status.value for one in client.iter_requests(sort="status:desc", count=1)]
    assert found == ["CREATED", "CREATED", "ANALYSIS_DONE"]
    assert status(lambda: list(client.iter_requests(sort="cost"))) == 400


def test_requests_are_searched_by_their_description(client: BatchProcessClient) -> None:
    for text in ("red fields", "blue fields", "red roofs", None):
        create(client, description=text)

    def found(**query: Any) -> list[Any]:
        return [
            one.request.get("description") for one in client.iter_requests(sort="created", **query)
        ]

    assert found(search="red") == ["red fields", "red roofs"]
    assert found(search="RED&fields") == ["red fields"]
    assert found(search="blue|roofs") == ["blue fields", "red roofs"]
    assert found(search="blue|roofs", count=1) == ["blue fields", "red roofs"]
    assert found(search="nothing") == []
    assert found(search="") == ["red fields", "blue fields", "red roofs", None]


def test_requests_are_filtered_by_their_user(client: BatchProcessClient) -> None:
    made = create(client)
    mine = made.domain_account_id
    assert [one.request_id for one in client.iter_requests(user_id=mine)] == [made.request_id]
    other = "00000000-0000-4000-8000-000000000000"
    assert list(client.iter_requests(user_id=other)) == []


# Tiling grids.


def test_tiling_grids(client: BatchProcessClient) -> None:
    found = list(client.iter_tiling_grids())
    assert [grid["id"] for grid in found] == [0, 1, 2, 3, 6, 7]
    assert list(client.iter_tiling_grids(count=2)) == found
    for grid in found:
        assert client.get_tiling_grid(grid["id"]) == grid
        assert set(grid) == {"id", "name", "properties"}
        assert set(grid["properties"]) == {"tileWidth", "tileHeight", "resolutions", "unit"}
    assert found[0]["properties"]["resolutions"] == [10, 20, 30, 60]
    assert found[3]["properties"]["unit"] == "DEGREE"
    assert status(lambda: client.get_tiling_grid(5)) == 400
    assert client.get_tiling_grid("6/") == client.get_tiling_grid(6)
