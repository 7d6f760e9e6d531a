"""What the tests of statistics share: requests, answers, and the same numbers by rasterio and numpy alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import rasterio
from rasterio.features import geometry_mask

from . import processing as p
from .support import Driver

STATISTICS = "/statistics/v1"
# Tiles of so many pixels, and all of one.
SIZE = 128
PLACE = [p.WEST, p.NORTH - SIZE * p.PIXEL, p.WEST + SIZE * p.PIXEL, p.NORTH]
NDVI = """//VERSION=3
function setup() {
  return {
    input: ["B04", "B08", "dataMask"],
    output: [{id: "ndvi", bands: 1}, {id: "dataMask", bands: 1}],
  };
}
function evaluatePixel(s) {
  return {ndvi: [(s.B08 - s.B04) / (s.B08 + s.B04)], dataMask: [s.dataMask]};
}
"""


def script(
    evaluate: str,
    *,
    bands: str = '["B04", "dataMask"]',
    output: str = '{id: "raw", bands: 1}, {id: "dataMask", bands: 1}',
    mosaicking: str = "SIMPLE",
    more: str = "",
) -> str:
    return p.script(evaluate, bands=bands, output=f"[{output}]", mosaicking=mosaicking, more=more)


RAW = script("return {raw: [samples.B04], dataMask: [samples.dataMask]};")
WHOLE = script(
    "return {raw: [samples.B04], dataMask: [samples.dataMask]};",
    output='{id: "raw", bands: 1, sampleType: "UINT16"}, {id: "dataMask", bands: 1}',
)


def body(
    data: str | list[dict[str, Any]],
    evalscript: str = RAW,
    *,
    of: str = "P1D",
    time: tuple[str, str] = ("2025-06-01T00:00:00Z", "2025-07-01T00:00:00Z"),
    last: str | None = None,
    bounds: dict[str, Any] | None = None,
    size: tuple[int, int] | None = (SIZE, SIZE),
    calculations: dict[str, Any] | None = None,
    item: dict[str, Any] | None = None,
    **aggregation: Any,
) -> dict[str, Any]:
    place = {"bbox": PLACE, "properties": {"crs": p.EPSG.format(32633)}}
    items = [{"type": data, **(item or {})}] if isinstance(data, str) else data
    by: dict[str, Any] = {"of": of} if last is None else {"of": of, "lastIntervalBehavior": last}
    found: dict[str, Any] = {
        "input": {"bounds": bounds or place, "data": items},
        "aggregation": {
            "evalscript": evalscript,
            "timeRange": {"from": time[0], "to": time[1]},
            "aggregationInterval": by,
            **aggregation,
        },
    }
    if size is not None:
        found["aggregation"] |= {"width": size[0], "height": size[1]}
    if calculations is not None:
        found["calculations"] = calculations
    return found


def asked(api: Driver, request: dict[str, Any]) -> httpx.Response:
    return api.post(STATISTICS, request)


def answered(api: Driver, request: dict[str, Any]) -> dict[str, Any]:
    answer = asked(api, request)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def refused(api: Driver, request: dict[str, Any]) -> dict[str, Any]:
    answer = asked(api, request)
    assert answer.status_code == 400, answer.text
    error: dict[str, Any] = answer.json()["error"]
    return error


def days(content: dict[str, Any]) -> list[str]:
    """On which days the intervals of an answer begin."""
    return [one["interval"]["from"][:10] for one in content["data"]]


def band(content: dict[str, Any], number: int = 0, output: str = "raw", name: str = "B0") -> Any:
    """What is told of a band in the interval of this number."""
    return content["data"][number]["outputs"][output]["bands"][name]


def stats(content: dict[str, Any], number: int = 0, output: str = "raw", name: str = "B0") -> Any:
    return band(content, number, output, name)["stats"]


# Without any code of the sandbox.


def read(path: Path) -> tuple[np.ndarray, Any]:
    """The numbers of a file's first band, and from columns and rows to coordinates."""
    with rasterio.open(path) as raster:
        return raster.read(1), raster.transform


def zone(path: Path, geometry: dict[str, Any]) -> np.ndarray:
    """The numbers of the pixels whose centres lie in a geometry, in the CRS of the file."""
    numbers, transform = read(path)
    found: np.ndarray = numbers[
        geometry_mask([geometry], out_shape=numbers.shape, transform=transform, invert=True)
    ]
    return found


def expected(values: np.ndarray, samples: int) -> dict[str, float]:
    exact = values.astype("float64")
    return {
        "min": exact.min(),
        "max": exact.max(),
        "mean": exact.mean(),
        "stDev": exact.std(),
        "sampleCount": samples,
        "noDataCount": samples - exact.size,
    }
