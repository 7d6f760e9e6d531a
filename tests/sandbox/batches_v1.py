"""What the tests of Batch V1 share: request bodies, and how far a request is driven."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from .batches import AOI, NDVI, NOTHING
from .support import Driver

REQUESTS = "/api/v1/batch/process"
COLLECTIONS = "/api/v1/batch/collections"
TIFF = [{"identifier": "default", "format": {"type": "image/tiff"}}]
WEST, EAST = "33N_4_51", "33N_5_51"


def body(
    *,
    evalscript: str = NDVI,
    bbox: list[float] | None = None,
    data: list[dict[str, Any]] | None = None,
    responses: list[dict[str, Any]] | None = None,
    grid: dict[str, Any] | None = None,
    path: str | None = "s3://results/older",
    output: dict[str, Any] | None = None,
    **rest: Any,
) -> dict[str, Any]:
    """A request for two tiles of the 100 km grid at 240 m, with parts of it replaced."""
    said = {} if path is None else {"defaultTilePath": path}
    return {
        "processRequest": {
            "input": {
                "bounds": {"bbox": bbox or AOI},
                "data": deepcopy(data or NOTHING),
            },
            "output": {"responses": responses or TIFF},
            "evalscript": evalscript,
        },
        "tilingGrid": {"id": 2, "resolution": 240, **(grid or {})},
        "output": {**said, **(output or {})},
        **rest,
    }


def without(content: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in names}


def create(api: Driver, **parts: Any) -> str:
    answer = api.post(REQUESTS, body(**parts))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def read(api: Driver, request: str) -> Any:
    answer = api.get(f"{REQUESTS}/{request}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def act(api: Driver, request: str, action: str) -> int:
    return api.post(f"{REQUESTS}/{request}/{action}").status_code


def tiles(api: Driver, request: str, **query: Any) -> list[Any]:
    answer = api.get(f"{REQUESTS}/{request}/tiles", **query)
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["data"]
    return found


def statuses(api: Driver, request: str) -> list[str]:
    return [tile["status"] for tile in tiles(api, request)]


def analysed(api: Driver, **parts: Any) -> Any:
    """A request after its analysis, whatever came of it."""
    request = create(api, **parts)
    assert act(api, request, "analyse") == 204
    api.tick(3)
    return read(api, request)


def done(api: Driver, **parts: Any) -> Any:
    """A request that was started and ran to its end."""
    request = create(api, **parts)
    assert act(api, request, "start") == 204
    api.tick(60)
    return read(api, request)


def fail(api: Driver, *names: str, **rest: Any) -> None:
    assert api.post("/_sandbox/batch", {"features": list(names), **rest}).status_code == 200


def refused(api: Driver, content: dict[str, Any]) -> str:
    """Where a body is wrong, or what is said of it as a whole."""
    answer = api.post(REQUESTS, content)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["code"] == "COMMON_BAD_PAYLOAD"
    found = list(error.get("errors", {}))
    return str(found[0]) if found else str(error["message"])
