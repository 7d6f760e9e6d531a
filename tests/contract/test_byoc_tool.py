"""
The requests of byoc-tool 0.8, replayed over a real port as its source writes them.

The tool is a Java program with the service's hosts compiled in, so that it cannot be run here. Its
requests are those of its HTTP library: members without a value are left out, an instant is a
number (seconds since 1970, nine digits), and a tile is sent back with all that came with it. What
it needs of an answer is asserted: exact statuses, `links.next` as an address, texts of errors.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sandbox.support import write_cog
from tests.support.served import serving

# What Java's HTTP client sends where the program says nothing.
ACCEPT = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
TRACE = {
    "User-Agent": "byoc-tool/v0.8.7",
    "SH-Request-Id": f"byoc-tool-0.8.7-{uuid.UUID(int=7)}",
}
LOCATIONS = {"aws-eu-central-1", "aws-us-west-2", "gcp-us-central1"}
BUCKET = "tool"
CRS = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
COVER = {
    "type": "Polygon",
    "crs": CRS,
    "coordinates": [
        [
            [500_000.0, 5_200_000.0],
            [502_560.0, 5_200_000.0],
            [500_000.0, 5_197_440.0],
            [500_000.0, 5_200_000.0],
        ]
    ],
}


class Tool:
    """The tool's client: every request with its headers, every answer held to what it needs."""

    def __init__(self, base: str) -> None:
        self._http = httpx.Client(base_url=base, trust_env=False, headers={"Accept": ACCEPT})
        del self._http.headers["accept-encoding"], self._http.headers["user-agent"]
        self.byoc = f"{base}/api/v1/byoc"
        self._token = ""

    def log_in(self, secret: str = "sandbox") -> httpx.Response:
        # AUTH_SERVICE_BASE_URL is `<host>/oauth`.
        form = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": secret}
        headers = {**TRACE, "Accept": "application/json"}
        answer = self._http.post("/oauth/token", data=form, headers=headers)
        if answer.status_code == 200:
            self._token = answer.json()["access_token"]
        return answer

    def get(self, url: str) -> httpx.Response:
        headers = {**TRACE, "Authorization": f"Bearer {self._token}"}
        return self._http.get(url, headers=headers)

    def send(self, method: str, url: str, body: str) -> httpx.Response:
        headers = {
            **TRACE,
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
        }
        return self._http.request(method, url, content=body.encode(), headers=headers)

    def control(self, name: str, body: Any) -> None:
        assert self._http.post(f"/_sandbox/{name}", json=body).status_code == 200

    def find(self, tiles: str, path: str) -> Any:
        """The first tile of a path; its library leaves `/`, `(` and `)` in a query as they are."""
        answer = self.get(f"{tiles}?path={path}")
        assert answer.status_code == 200
        return next(iter(answer.json()["data"]), None)

    def all(self, tiles: str) -> list[Any]:
        """Its iterator: it goes on while there is an address, and cannot bear an empty page."""
        url, found = tiles, []
        while url is not None:
            page = self.get(url).json()
            assert page["data"] or url == tiles
            found += page["data"]
            url = page["links"].get("next")
            assert url is None or url.startswith(f"{self.byoc}/collections/")
        return found

    def close(self) -> None:
        self._http.close()


def written(tile: dict[str, Any]) -> str:
    """A tile as its library writes it: without nulls, the sensing time as a number."""
    kept = {name: value for name, value in tile.items() if value is not None}
    number = kept.pop("sensingTime", None)
    text = json.dumps(kept)
    if number is not None:
        text = text[:-1] + f', "sensingTime": {number}.000000000}}'
    return text


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("served")
    write_cog(place / "buckets" / BUCKET / "2024/field/B04.tiff")
    write_cog(place / "buckets" / BUCKET / "2024/field/B08.tiff")
    return place


@pytest.fixture(scope="module")
def tool(data: Path) -> Iterator[Tool]:
    """The tool, logged in at a sandbox in a process of its own."""
    with serving(data) as served:
        client = Tool(served.base)
        assert client.log_in().status_code == 200
        yield client
        client.close()


@pytest.fixture
def collection(tool: Tool) -> str:
    """A collection that somebody made, as the tool expects it."""
    body = json.dumps({"name": "of the tool", "s3Bucket": BUCKET})
    answer = tool.send("POST", f"{tool.byoc}/collections", body)
    assert answer.status_code == 201
    return str(uuid.UUID(answer.json()["data"]["id"]))


def test_token_has_a_whole_number_of_seconds(tool: Tool) -> None:
    answer = tool.log_in()
    assert answer.status_code == 200
    content = answer.json()
    assert isinstance(content["access_token"], str)
    assert type(content["expires_in"]) is int


def test_wrong_secret_is_not_200(tool: Tool) -> None:
    assert tool.log_in("wrong").status_code == 401


def test_deployment_of_a_collection_is_one_that_the_tool_knows(tool: Tool, collection: str) -> None:
    answer = tool.get(f"{tool.byoc}/global/{collection}")
    assert answer.status_code == 200
    told = answer.json()["data"]
    assert (told["id"], told["s3Bucket"]) == (collection, BUCKET)
    assert told["location"] in LOCATIONS
    listed = tool.get(f"{tool.byoc}/global?ids={collection}").json()["data"]
    assert [entry["location"] for entry in listed] == [told["location"]]
    unknown = uuid.UUID(int=1)
    assert tool.get(f"{tool.byoc}/global/{unknown}").status_code == 404
    assert tool.get(f"{tool.byoc}/collections/{unknown}").status_code == 404


def test_ingest_then_set_the_coverage(tool: Tool, collection: str) -> None:
    """The command `ingest`, then `set-coverage` with the tile as it was read."""
    assert tool.get(f"{tool.byoc}/collections/{collection}").json()["data"]["id"] == collection
    tiles = f"{tool.byoc}/collections/{collection}/tiles"
    path = "2024/field/(BAND).tiff"
    assert tool.find(tiles, path) is None
    # Its JSON library writes an instant as a number; that the service reads it is an assumption.
    tool.control("settings", {"numeric_instants": "accept"})
    made = tool.send("POST", tiles, written({"path": path, "sensingTime": 1717200000, "coverGeometry": COVER}))  # fmt: skip
    assert made.status_code == 201, made.text
    tile = made.json()["data"]
    assert (tile["path"], tile["status"]) == (path, "WAITING")
    assert tile["sensingTime"] == "2024-06-01T00:00:00.000Z"
    tool.control("tick", {"seconds": 4})
    assert tool.find(tiles, path)["id"] == tile["id"]
    read = tool.get(f"{tiles}/{tile['id']}")
    assert read.status_code == 200
    whole = read.json()["data"]
    assert whole["status"] == "INGESTED", whole
    changed = {**whole, "sensingTime": 1717286400, "coverGeometry": COVER}
    answer = tool.send("PUT", f"{tiles}/{tile['id']}", written(changed))
    assert (answer.status_code, answer.content) == (204, b"")
    after = tool.get(f"{tiles}/{tile['id']}").json()["data"]
    assert after["sensingTime"] == "2024-06-02T00:00:00.000Z"
    assert len(after["coverGeometry"]["coordinates"][0]) == 4
    assert (after["path"], after["status"]) == (path, "INGESTED")
    bands = tool.get(f"{tool.byoc}/collections/{collection}").json()["data"]["additionalData"]
    assert set(bands["bands"]) == {"B04", "B08"}
    assert tool.get(f"{tiles}/{uuid.UUID(int=1)}").status_code == 404


def test_tiles_are_listed_by_following_addresses(tool: Tool, collection: str) -> None:
    tiles = f"{tool.byoc}/collections/{collection}/tiles"
    assert tool.all(tiles) == []
    paths = [f"{number:03d}/(BAND).tiff" for number in range(200)]
    for path in paths:
        assert tool.send("POST", tiles, written({"path": path})).status_code == 201
    assert [tile["path"] for tile in tool.all(tiles)] == paths
    assert tool.send("POST", tiles, written({"path": "last/(BAND).tiff"})).status_code == 201
    assert len(tool.all(tiles)) == 201


def test_failed_tile_tells_its_cause(tool: Tool, collection: str) -> None:
    tiles = f"{tool.byoc}/collections/{collection}/tiles"
    made = tool.send("POST", tiles, written({"path": "nothing/(BAND).tiff"})).json()["data"]
    tool.control("tick", {"seconds": 4})
    whole = tool.get(f"{tiles}/{made['id']}").json()["data"]
    assert whole["status"] == "FAILED"
    assert isinstance(whole["additionalData"]["failedIngestionCause"], str)
    # It takes of `additionalData` the cause alone, and sends that back.
    whole["additionalData"] = {"failedIngestionCause": whole["additionalData"]["failedIngestionCause"]}  # fmt: skip
    assert tool.send("PUT", f"{tiles}/{made['id']}", written(whole)).status_code == 204


@pytest.mark.parametrize(
    ("tile", "status"),
    [({"path": "/slash"}, 400), ({"path": 7}, 400), ({}, 400), ({"path": "taken"}, 409)],
)
def test_refusal_has_the_texts_that_the_tool_prints(
    tool: Tool, collection: str, tile: dict[str, Any], status: int
) -> None:
    tiles = f"{tool.byoc}/collections/{collection}/tiles"
    assert tool.send("POST", tiles, written({"path": "taken"})).status_code == 201
    answer = tool.send("POST", tiles, written(tile))
    assert answer.status_code == status
    error = answer.json()["error"]
    assert isinstance(error["message"], str)
    assert error["message"]
    if status == 400:
        assert error["errors"]


def test_server_error_is_told_in_the_same_shape_and_the_next_try_succeeds(
    tool: Tool, collection: str
) -> None:
    tool.control("faults", {"kind": "503", "count": 1})
    url = f"{tool.byoc}/collections/{collection}"
    answer = tool.get(url)
    assert (answer.status_code, bool(answer.json()["error"]["message"])) == (503, True)
    assert tool.get(url).status_code == 200
