"""What the tests of batch tasks share: request bodies, and how far a task is driven."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from .support import Driver

TASKS = "/batch/v2/process"
# Two tiles of the 100 km grid in zone 33: 33N_4_51 and 33N_5_51.
AOI = [14.6, 46.5, 15.4, 46.9]
# Before the mission: a feature of it is an image without data, which is made in no time.
NOTHING = [
    {
        "type": "sentinel-2-l2a",
        "dataFilter": {"timeRange": {"from": "2010-06-01T00:00:00Z", "to": "2010-06-30T00:00:00Z"}},
    }
]
NDVI = """//VERSION=3
function setup() {
  return {input: ["B04", "B08", "dataMask"], output: {bands: 1, sampleType: "UINT8"}};
}
function evaluatePixel(sample) { return [sample.B04]; }
"""
SECRET = "hidden-5512"


def script(setup: str) -> str:
    return f"//VERSION=3\nfunction setup() {{ return {setup}; }}\nfunction evaluatePixel() {{ return [1]; }}\n"


def body(
    *,
    evalscript: str = NDVI,
    bbox: list[float] | None = None,
    bounds: dict[str, Any] | None = None,
    data: list[dict[str, Any]] | None = None,
    responses: list[dict[str, Any]] | None = None,
    url: str = "s3://results/ndvi",
    output: dict[str, Any] | None = None,
    grid: dict[str, Any] | None = None,
    source: dict[str, Any] | None = None,
    **rest: Any,
) -> dict[str, Any]:
    """A request for the 100 km grid at 240 m, with parts of it replaced."""
    tiff = [{"identifier": "default", "format": {"type": "image/tiff"}}]
    keys = {"accessKey": "key", "secretAccessKey": SECRET}
    return {
        "processRequest": {
            "input": {
                "bounds": bounds if bounds is not None else {"bbox": bbox or AOI},
                "data": deepcopy(data or NOTHING),
            },
            "output": {"responses": responses or tiff},
            "evalscript": evalscript,
        },
        "input": source or {"type": "tiling-grid", "id": 2, "resolution": 240, **(grid or {})},
        "output": {"type": "raster", "delivery": {"s3": {"url": url, **keys}}, **(output or {})},
        **rest,
    }


def create(api: Driver, **parts: Any) -> str:
    answer = api.post(TASKS, body(**parts))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def read(api: Driver, task: str) -> Any:
    answer = api.get(f"{TASKS}/{task}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def act(api: Driver, task: str, action: str) -> int:
    return api.post(f"{TASKS}/{task}/{action}").status_code


def start(api: Driver, task: str) -> None:
    assert act(api, task, "start") == 204


def analysed(api: Driver, **parts: Any) -> Any:
    """A task after its analysis, whatever came of it."""
    task = create(api, **parts)
    assert act(api, task, "analyse") == 204
    api.tick(3)
    return read(api, task)


def done(api: Driver, **parts: Any) -> Any:
    """A task that was started and ran to its end."""
    task = create(api, **parts)
    start(api, task)
    api.tick(60)
    return read(api, task)


def starts(api: Driver) -> dict[str, int]:
    tasks = api.get("/_sandbox/batch").json()["tasks"]
    return {task["id"]: task["starts"] for task in tasks}


def pu(api: Driver) -> float:
    return float(api.get("/_sandbox/meter").json()["pu"])


def files(tmp_path: Path, bucket: str = "results") -> list[str]:
    root = tmp_path / "buckets" / bucket
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())
