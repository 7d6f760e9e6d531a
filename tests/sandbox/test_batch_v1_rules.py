"""What Batch V1 refuses at creation, and where it says the fault is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shplan.sandbox.settings import Settings

from .batches import AOI
from .batches_v1 import REQUESTS, body, create, read, refused, without
from .support import Driver, sandbox

ARRAY = {"dtype": "|u1", "order": "C", "chunks": [1, 1000, 1000], "fill_value": 0}
ZARR = {"path": "s3://results/z", "group": {"zarr_format": 2}, "arrayParameters": ARRAY}


def zarr(**changes: Any) -> dict[str, Any]:
    content = body(
        responses=[{"identifier": "default", "format": {"type": "zarr/array"}}],
        grid={"id": 6, "resolution": 50},
    )
    return {**without(content, "output"), "zarrOutput": {**ZARR, **changes}}


@pytest.mark.parametrize("names", [[], ["output", "bucketName"], ["output", "zarrOutput"]])
def test_results_go_to_exactly_one_place(api: Driver, names: list[str]) -> None:
    places = {"output": body()["output"], "bucketName": "results", "zarrOutput": ZARR}
    content = without(body(), "output")
    told = refused(api, content | {name: places[name] for name in names})
    assert "Exactly one of output, bucketName, zarrOutput" in told


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"tilingGrid": {"id": 99, "resolution": 10}}, "tilingGrid->id"),
        ({"tilingGrid": {"id": 2, "resolution": 10}}, "tilingGrid->resolution"),
        ({"tilingGrid": {"id": 2}}, "tilingGrid->resolution"),
        ({"tilingGrid": {"id": 2, "resolution": 120, "bufferX": -1}}, "tilingGrid->bufferX"),
        ({"tilingGrid": {"id": 2, "resolution": 120, "bufferY": 40_000}}, "tilingGrid->bufferY"),
        ({"tilingGrid": {"id": "two", "resolution": 120}}, "tilingGrid->id"),
        ({"tilingGrid": None}, "tilingGrid"),
        ({"tilingGrid": None, "tilingGridId": 2}, "resolution"),
        ({"processRequest": None}, "processRequest"),
        ({"output": {}}, "output->defaultTilePath"),
        ({"output": {"defaultTilePath": "results/x"}}, "output->defaultTilePath"),
        ({"output": {"defaultTilePath": "s3://results/../x"}}, "output->defaultTilePath"),
        ({"output": {"defaultTilePath": "s3://../x"}}, "output->defaultTilePath"),
        ({"output": {"defaultTilePath": "s3://results/a//b"}}, "output->defaultTilePath"),
        ({"output": {"defaultTilePath": "s3://results/<requestId>"}}, "output->defaultTilePath"),
        ({"output": {"defaultTilePath": "s3://results/<tile>"}}, "output->defaultTilePath"),
        ({"output": None, "bucketName": "a/b"}, "bucketName"),
        ({"output": None, "bucketName": ".."}, "bucketName"),
        ({"output": None, "bucketName": ""}, "bucketName"),
    ],
)
def test_a_fault_is_told_in_the_words_of_version_1(
    api: Driver, change: dict[str, Any], where: str
) -> None:
    content = {**body(), **change}
    assert refused(api, content) == where


def test_several_outputs_need_their_placeholder(api: Driver) -> None:
    two = [{"identifier": name, "format": {"type": "image/tiff"}} for name in ("a", "b")]
    path = "s3://results/<tileId>.<format>"
    assert refused(api, body(responses=two, path=path)) == "output->defaultTilePath"
    create(api, responses=two, path="s3://results/<tileId>_<outputId>.<format>")


@pytest.mark.parametrize(
    ("output", "where"),
    [
        ({"createCollection": True}, "output->cogOutput"),
        ({"createCollection": True, "cogOutput": False}, "output->cogOutput"),
        ({"cogOutput": True, "cogParameters": {"blockxsize": 17}},
         "output->cogParameters->blockxsize"),
        ({"createCollection": True, "cogOutput": True, "cogParameters": {"blockxsize": 512}},
         "output->cogParameters->blockxsize"),
        ({"createCollection": True, "cogOutput": True, "cogParameters": {"usePredictor": False}},
         "output->cogParameters->usePredictor"),
    ],
)  # fmt: skip
def test_a_collection_needs_cogs(api: Driver, output: dict[str, Any], where: str) -> None:
    assert refused(api, body(output=output)) == where


def test_how_overviews_of_a_collection_are_made_may_be_said(api: Driver) -> None:
    parameters = {"cogParameters": {"resamplingAlgorithm": "nearest"}}
    create(api, output={"createCollection": True, "cogOutput": True, **parameters})


def test_only_one_band_of_tiff_goes_into_a_collection(api: Driver) -> None:
    ingesting = {"createCollection": True, "cogOutput": True}
    formats = [{"identifier": "userdata", "format": {"type": "application/json"}}]
    both = [*formats, {"identifier": "default", "format": {"type": "image/tiff"}}]
    create(api, output=ingesting, responses=both)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"path": "results"}, "zarrOutput->path"),
        ({"path": "s3://results/<tileName>"}, "zarrOutput->path"),
        ({"group": {"zarr_format": 3}}, "zarrOutput->group->zarr_format"),
        ({"arrayParameters": {**ARRAY, "dtype": "u1"}}, "zarrOutput->arrayParameters->dtype"),
        ({"arrayParameters": {**ARRAY, "chunks": [1, 7, 7]}},
         "zarrOutput->arrayParameters->chunks"),
        ({"arrayOverrides": {"x": ARRAY}}, "zarrOutput->arrayOverrides->x"),
    ],
)  # fmt: skip
def test_zarr_is_refused_in_the_words_of_version_1(
    api: Driver, changes: dict[str, Any], where: str
) -> None:
    assert refused(api, zarr(**changes)) == where


def test_zarr_on_a_grid_of_utm_zones_is_refused(api: Driver) -> None:
    content = {**zarr(), "tilingGrid": {"id": 2, "resolution": 120}}
    assert refused(api, content) == "tilingGrid->id"
    assert api.post(REQUESTS, zarr()).status_code == 201


def test_the_grid_may_be_said_in_the_older_way(api: Driver) -> None:
    content = {**without(body(), "tilingGrid"), "tilingGridId": 2, "resolution": 240}
    answer = api.post(REQUESTS, content)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["tilingGridId"], told["resolution"], told["tileWidthPx"]) == (2, 240, 417)


def test_what_only_the_server_sets_and_nulls_are_ignored(api: Driver) -> None:
    content = {
        **body(description=None, bucketName=None, zarrOutput=None),
        "id": "x",
        "status": "DONE",
        "valueEstimate": 1,
        "userId": "me",
    }
    answer = api.post(REQUESTS, content)
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "CREATED"
    assert "null" not in answer.text


def test_the_output_of_the_process_request_may_be_left_out(api: Driver) -> None:
    content = body()
    del content["processRequest"]["output"]
    answer = api.post(REQUESTS, content)
    assert answer.status_code == 201, answer.text
    assert "output" not in answer.json()["processRequest"]


@pytest.mark.parametrize("kind", ["byoc", "batch"])
def test_data_that_is_not_there_is_refused(api: Driver, kind: str) -> None:
    data = [{"type": f"{kind}-6b0b8a9d-4b0f-4e0b-9f0e-0d6d6a0f5c11"}]
    assert "not found" in refused(api, body(data=data))


def test_an_area_that_touches_too_many_tiles_is_refused(api: Driver) -> None:
    content = body(bbox=[-179, -80, 179, 80], grid={"id": 1, "resolution": 10})
    assert refused(api, content) == "processRequest->input->bounds"


@pytest.mark.parametrize("bbox", [[1, 1, 1, 1], [10, 10, 5, 5], [-500, 0, 1, 1]])
def test_bounds_must_be_an_area_of_the_world(api: Driver, bbox: list[float]) -> None:
    assert refused(api, body(bbox=bbox)).startswith("processRequest->input->bounds")


def test_bounds_are_needed(api: Driver) -> None:
    content = body(bbox=AOI)
    content["processRequest"]["input"]["bounds"] = {}
    assert refused(api, content).startswith("processRequest->input->bounds")


def test_nothing_refused_leaves_a_trace(api: Driver) -> None:
    api.post(REQUESTS, body(grid={"id": 99}))
    assert api.get(REQUESTS).json()["data"] == []


@pytest.mark.parametrize(
    ("query", "status"),
    [({"count": 0}, 400), ({"count": 101}, 400), ({"viewtoken": "x"}, 400), ({"count": 1}, 200)],
)
@pytest.mark.parametrize("what", ["process", "collections", "tilinggrids", "tiles"])
def test_pages_are_checked(api: Driver, what: str, query: dict[str, Any], status: int) -> None:
    path = f"/api/v1/batch/{what}" if what != "tiles" else f"{REQUESTS}/{create(api)}/tiles"
    assert api.get(path, **query).status_code == status


def test_a_token_of_another_request_is_no_token_of_requests(api: Driver) -> None:
    request = create(api)
    assert read(api, request)["id"] == request
    listed = api.get("/api/v1/batch/tilinggrids", count=1).json()["links"]["nextToken"]
    assert api.get(REQUESTS, viewtoken=listed).status_code == 400


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all members of a body, and of the body itself."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path, *(found for key, one in inner for found in places(one, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    changed = dict(enumerate(value)) if isinstance(value, list) else dict(value)
    changed[path[0]] = replaced(value[path[0]], path[1:], other)
    return list(changed.values()) if isinstance(value, list) else changed


SCALARS = st.sampled_from(
    [None, True, 0, -1, 1.5, 1e308, 10**30, 2**63, "", "..", "\0", "s3://", "s3://a/<tileName>",
     "gs://b/c", "byoc-x", "batch-x", "x" * 5000, "2020-01-01T00:00:00Z"]
)  # fmt: skip
ODD = SCALARS | st.lists(SCALARS, max_size=4) | st.dictionaries(st.text(max_size=3), SCALARS)
BODIES = [
    body(grid={"bufferX": 1}, output={"cogOutput": True, "cogParameters": {"blockxsize": 512}}),
    zarr(),
]


def test_whatever_is_wrong_is_refused_and_nothing_falls_over(tmp_path: Path) -> None:
    with sandbox(tmp_path, settings=Settings(log_requests=False)) as api:
        api.login()

        @settings(max_examples=150)
        @given(content=st.sampled_from(BODIES), other=ODD, data=st.data())
        def law(content: Any, other: Any, data: st.DataObject) -> None:
            path = data.draw(st.sampled_from(places(content)))
            answer = api.post(REQUESTS, replaced(content, path, other))
            assert answer.status_code in (201, 400), answer.text

        law()
