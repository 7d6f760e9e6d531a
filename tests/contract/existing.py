"""Something of every family that paths can name, so that a foreign judge gets beyond a 404."""

from __future__ import annotations

from typing import Any

import httpx

from tests.sandbox.batches import body as batch_body
from tests.sandbox.pixel_requests import FIELD, requests_of
from tests.sandbox.support import write_cog
from tests.sandbox.zarrs import PATH, UTM, write_group
from tests.support import geopackages
from tests.support.served import Served

BUCKET = "imagery"
# Of the tile that is made below.
PLACE = [500_000, 5_199_000, 501_000, 5_200_000]
SCRIPT = """//VERSION=3
function setup() {
  return {input: ["B04", "dataMask"], output: [{id: "default", bands: 1}, {id: "dataMask", bands: 1}]};
}
function evaluatePixel(s) { return {default: [s.B04], dataMask: [s.dataMask]}; }"""


def fill_bucket(server: Served) -> None:
    """The files that the objects below are made of."""
    bucket = server.data / "buckets" / BUCKET
    write_cog(bucket / "a/B04.tiff")
    geopackages.write(bucket / "fields.gpkg", [FIELD])
    write_group(bucket)


def existing(http: httpx.Client, server: Served, path: str) -> dict[str, Any]:
    """Values of a path's parameters that name something, made for this one test."""
    for beginning, make in _MAKERS.items():
        if path.startswith(beginning) and "{" in path:
            found = make(http)
            server.tick(10)
            return {name: value for name, value in found.items() if "{" + name + "}" in path}
    return {}


# The families whose bodies name data and an evalscript.
OF_PIXELS = ("/process/", "/statistics/", "/api/v1/process", "/api/v1/statistics", "/async/")


def existing_data(http: httpx.Client, server: Served, path: str) -> str | None:
    """The type of data that exist, for operations that read pixels."""
    if not path.startswith(OF_PIXELS) or "{" in path:
        return None
    made = _tile(http)["collectionId"]
    server.tick(10)
    return f"byoc-{made}"


def sensible(body: Any, data: str) -> Any:
    """
    A body that fits the document, in which what no schema can say is said: data, place and script.

    Everything else stays as it was drawn.
    """
    if not isinstance(body, dict) or not isinstance(body.get("input"), dict):
        return body
    items = [{**one, "type": data} for one in body["input"].get("data", [])] or [{"type": data}]
    bounds = {"bbox": PLACE, "properties": {"crs": UTM}}
    made = {**body, "input": {**body["input"], "data": items, "bounds": bounds}}
    if "aggregation" in made:
        made["aggregation"] = {**made["aggregation"], "evalscript": SCRIPT}
    else:
        made["evalscript"] = SCRIPT
    return made


def names(path: str) -> list[str]:
    """The parameters of a path."""
    return [step.split("{")[1].rstrip("}") for step in path.split("/") if "{" in step]


def _made(http: httpx.Client, path: str, body: dict[str, Any]) -> Any:
    answer = http.post(path, json=body)
    assert answer.status_code == 201, answer.text
    content = answer.json()
    return content.get("data", content)["id"]


def _task(http: httpx.Client) -> dict[str, Any]:
    return {"taskId": _made(http, "/batch/v2/process", batch_body())}


def _statistics(http: httpx.Client) -> dict[str, Any]:
    data = "byoc-" + str(_tile(http)["collectionId"])
    body = requests_of(data, band="B04")["createNewBatchStatisticsRequest"]
    return {"requestId": _made(http, "/statistics/batch/v1", body)}


def _asynchronous(http: httpx.Client) -> dict[str, Any]:
    data = "byoc-" + str(_tile(http)["collectionId"])
    body = requests_of(data, band="B04")["createNewAsyncProcessRequest"]
    answer = http.post("/async/v1/process", json=body)
    assert answer.status_code == 200, answer.text
    return {"requestId": answer.json()["id"]}


def _tile(http: httpx.Client) -> dict[str, Any]:
    base = "/byoc/v1/collections"
    collection = _made(http, base, {"name": "x", "s3Bucket": BUCKET})
    tile = _made(http, f"{base}/{collection}/tiles", {"path": "a"})
    return {"collectionId": collection, "tileId": tile, "path": "B04.tiff"}


def _zarr(http: httpx.Client) -> dict[str, Any]:
    body = {"name": "x", "s3Bucket": BUCKET, "path": PATH, "crs": UTM}
    return {"collectionId": _made(http, "/zarr/v1/collections", body), "arrayName": "B04"}


def _item(http: httpx.Client) -> dict[str, Any]:
    name = "sentinel-2-l2a"
    search = {
        "collections": [name],
        "datetime": "2024-06-01T00:00:00Z/2024-06-30T00:00:00Z",
        "bbox": [15, 46.9, 15.1, 47],
        "limit": 1,
    }
    (item,) = http.post("/catalog/v1/search", json=search).json()["features"]
    return {"collectionId": name, "featureId": item["id"]}


_MAKERS = {
    "/batch/v2/process": _task,
    "/statistics/batch/v1": _statistics,
    "/batch/v2/tilinggrids": lambda _: {"id": 2},
    "/byoc/": _tile,
    "/zarr/": _zarr,
    "/statistics/batch/": _statistics,
    "/async/": _asynchronous,
    "/catalog/": _item,
    "/api/v1/metadata/location/": lambda _: {"locationId": "aws-eu-central-1"},
    "/api/v1/metadata/collection/byoc-": _tile,
    "/api/v1/metadata/collection/zarr-": _zarr,
}
