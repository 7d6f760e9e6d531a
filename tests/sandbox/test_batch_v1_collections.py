"""Batch collections of version 1, and the requests that fill them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shplan.sandbox.settings import ClientEntry, Settings

from .batches import files, script
from .batches_v1 import (
    COLLECTIONS,
    EAST,
    REQUESTS,
    WEST,
    act,
    analysed,
    body,
    create,
    done,
    fail,
    read,
    refused,
)
from .support import Driver, sandbox, violations

TO_COGS = {"cogOutput": True}
BAND = {"source": "default", "bandIndex": 1, "bitDepth": 8, "sampleFormat": "UINT"}
TWO_BANDS = script('{input: ["B04"], output: {bands: 2}}')


def collection(api: Driver, name: str = "fields", bucket: str = "results") -> Any:
    answer = api.post(COLLECTIONS, {"name": name, "s3Bucket": bucket})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def into(collection_id: str) -> dict[str, Any]:
    return {**TO_COGS, "collectionId": collection_id}


def test_a_collection_is_told_bare_and_in_data(api: Driver) -> None:
    answer = api.post(COLLECTIONS, {"name": "fields", "s3Bucket": "results"})
    assert answer.status_code == 201
    told = answer.json()
    data = told.pop("data")
    assert told == data
    assert (data["name"], data["s3Bucket"]) == ("fields", "results")
    assert data["created"] == "2025-01-01T00:00:00.000Z"
    assert (data["batchData"], data["additionalData"]) == ({}, {})
    assert api.get(f"{COLLECTIONS}/{data['id']}").json()["data"] == data


@pytest.mark.parametrize(
    "content", [{}, {"name": "x"}, {"name": " ", "s3Bucket": "b"}, {"name": "x", "s3Bucket": ""}]
)
def test_name_and_bucket_are_needed(api: Driver, content: dict[str, Any]) -> None:
    assert api.post(COLLECTIONS, content).status_code == 400


def test_only_the_name_is_changed(api: Driver) -> None:
    before = collection(api)
    path = f"{COLLECTIONS}/{before['id']}"
    changed = {**before, "name": "after", "s3Bucket": "other", "additionalData": None}
    assert api.put(path, changed).status_code == 204
    assert api.get(path).json()["data"] == {**before, "name": "after"}
    assert api.put(path, {}).status_code == 400
    assert api.put(path, {"name": ""}).status_code == 400


def test_lists_are_searched_and_paged(api: Driver) -> None:
    made = [collection(api, name) for name in ("Wheat", "wheat of June", "barley")]
    ordered = sorted(made, key=lambda one: str(one["id"]))
    assert api.get(COLLECTIONS).json()["data"] == ordered
    found = api.get(COLLECTIONS, search="WHEAT&june|barley").json()["data"]
    assert {one["name"] for one in found} == {"wheat of June", "barley"}
    page = api.get(COLLECTIONS, count=2).json()
    rest = api.get(COLLECTIONS, count=2, viewtoken=page["links"]["nextToken"]).json()
    assert page["data"] + rest["data"] == ordered
    assert "nextToken" not in rest["links"]


def test_collections_are_their_accounts_own(tmp_path: Path) -> None:
    clients = {name: ClientEntry(secret=name, account=name) for name in ("a", "b")}
    with sandbox(tmp_path, settings=Settings(clients=clients)) as api:
        api.login("a", "a")
        made = collection(api)
        api.login("b", "b")
        path = f"{COLLECTIONS}/{made['id']}"
        assert api.get(path).status_code == 403
        assert api.put(path, {"name": "mine"}).status_code == 403
        assert api.delete(path).status_code == 403
        assert api.get(COLLECTIONS).json()["data"] == []
        assert "not found" in refused(api, body(output=into(made["id"])))
        assert "not found" in refused(api, body(data=[{"type": f"batch-{made['id']}"}]))
        api.configure(foreign_objects=404)
        assert api.get(path).status_code == 404


def test_a_deleted_collection_is_gone(api: Driver) -> None:
    path = f"{COLLECTIONS}/{collection(api)['id']}"
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404
    assert api.delete(path).status_code == 404


@pytest.mark.parametrize(
    ("actions", "fate", "status"),
    [
        ([], [], 409),
        ([("start", 5)], [], 409),
        ([("start", 60)], [], 409),
        ([("start", 60)], [WEST], 409),
        ([("start", 60)], [WEST, EAST], 204),
        ([("cancel", 0)], [], 204),
    ],
)
def test_a_collection_stays_while_a_request_uses_it(
    api: Driver, actions: list[tuple[str, float]], fate: list[str], status: int
) -> None:
    """Requests that failed or were cancelled do not count."""
    if fate:
        fail(api, *fate)
    made = collection(api)
    request = create(api, output=into(made["id"]))
    for action, seconds in actions:
        assert act(api, request, action) == 204
        api.tick(seconds)
    assert api.delete(f"{COLLECTIONS}/{made['id']}").status_code == status


def test_a_deleted_request_does_not_hold_its_collection(api: Driver) -> None:
    made = collection(api)
    request = create(api, output=into(made["id"]))
    assert api.delete(f"{REQUESTS}/{request}").status_code == 204
    assert api.delete(f"{COLLECTIONS}/{made['id']}").status_code == 204


def test_a_request_makes_its_collection_when_processing_begins(api: Driver) -> None:
    output = {**TO_COGS, "createCollection": True}
    request = create(api, output=output, description="ndvi")
    act(api, request, "analyse")
    api.tick(60)
    assert api.get(COLLECTIONS).json()["data"] == []
    act(api, request, "start")
    api.tick(2)
    (made,) = api.get(COLLECTIONS).json()["data"]
    assert (made["name"], made["s3Bucket"]) == ("ndvi", "results")
    assert made["batchData"] == {"tilingGridId": 2}
    assert made["additionalData"] == {"bands": {"default": BAND}}
    assert read(api, request)["output"]["collectionId"] == made["id"]
    assert [one["id"] for one in api.get(REQUESTS, collectionId=made["id"]).json()["data"]] == [
        request
    ]


def test_results_without_a_path_go_to_the_bucket_of_the_collection(
    api: Driver, tmp_path: Path
) -> None:
    made = collection(api, bucket="elsewhere")
    request = create(api, path=None, output=into(made["id"]))
    assert files(tmp_path, "elsewhere") == [f"request-{request}.json"]


def test_the_first_request_gives_a_collection_its_grid_and_bands(api: Driver) -> None:
    made = collection(api)
    done(api, output=into(made["id"]))
    told = api.get(f"{COLLECTIONS}/{made['id']}").json()["data"]
    assert told["batchData"] == {"tilingGridId": 2}
    assert told["additionalData"]["bands"] == {"default": BAND}
    other = body(output=into(made["id"]), grid={"id": 0, "resolution": 60})
    assert refused(api, other) == "tilingGrid->id"
    wide = script('{input: ["B04"], output: {bands: 1, sampleType: "UINT16"}}')
    told = analysed(api, output=into(made["id"]), evalscript=wide, path="s3://results/b")
    assert (told["status"], "UINT16" in told["error"]) == ("FAILED", True)


def test_outputs_of_several_bands_fail_the_analysis(api: Driver) -> None:
    output = {**TO_COGS, "createCollection": True}
    told = analysed(api, evalscript=TWO_BANDS, output=output)
    assert told["status"] == "FAILED"
    assert "one band" in told["error"]


def test_a_collection_is_made_or_named_not_both(api: Driver) -> None:
    output = {**into(collection(api)["id"]), "createCollection": True}
    assert refused(api, body(output=output)) == "output->createCollection"


def test_the_collection_of_a_request_is_changed_and_cleared(api: Driver) -> None:
    first, second = collection(api), collection(api)
    request = create(api, output=into(first["id"]))
    path = f"{REQUESTS}/{request}"
    told = api.put(path, {"output": {"collectionId": second["id"]}})
    assert told.status_code == 200, told.text
    assert told.json()["output"] == {
        **body()["output"],
        **TO_COGS,
        "collectionId": second["id"],
    }
    assert api.delete(f"{COLLECTIONS}/{first['id']}").status_code == 204
    assert api.put(path, {"output": {}}).json()["output"]["collectionId"] == second["id"]
    assert "collectionId" not in api.put(path, {"output": {"collectionId": None}}).json()["output"]
    assert api.delete(f"{COLLECTIONS}/{second['id']}").status_code == 204


@pytest.mark.parametrize(
    ("parts", "where"),
    [
        ({}, "output->cogOutput"),
        ({"output": {**TO_COGS, "createCollection": True}}, "output->createCollection"),
        ({"output": TO_COGS, "evalscript": TWO_BANDS}, "output->collectionId"),
    ],
)
def test_a_request_that_cannot_fill_a_collection_gets_none(
    api: Driver, parts: dict[str, Any], where: str
) -> None:
    request = analysed(api, **parts)["id"]
    answer = api.put(f"{REQUESTS}/{request}", {"output": {"collectionId": collection(api)["id"]}})
    assert answer.status_code == 400
    assert list(violations(answer)) == [where]


def test_a_batch_collection_is_data_of_another_request(api: Driver) -> None:
    made = collection(api)
    request = create(api, data=[{"type": f"batch-{made['id']}"}])
    assert read(api, request)["processRequest"]["input"]["data"][0]["type"] == f"batch-{made['id']}"


def test_a_collection_of_byoc_is_no_batch_collection(api: Driver) -> None:
    byoc = api.collection()
    assert api.get(f"{COLLECTIONS}/{byoc['id']}").status_code == 404
    assert "not found" in refused(api, body(output=into(byoc["id"])))
    made = collection(api)
    assert api.get(f"/byoc/v1/collections/{made['id']}").status_code == 404


def test_metadata_tells_the_bands_of_a_batch_collection(api: Driver) -> None:
    made = collection(api)
    asked = f"/api/v1/metadata/collection/batch-{made['id']}"
    assert api.get(asked).json()["bands"] == []
    done(api, output=into(made["id"]))
    told = api.get(asked).json()
    assert told["id"] == made["id"]
    assert told["bands"] == [{"name": "default", "sampleType": "UINT8"}]
