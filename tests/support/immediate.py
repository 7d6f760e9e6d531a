"""Builders of jobs that are answered at once, and what they have left in the project."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shplan.core.address import Address
from shplan.core.job_input import ScriptInput, ScriptOutput, ScriptShape
from shplan.core.resource import Desired, Lifecycle
from shplan.core.value import Object
from tests.support.bench import FlatSource

PICTURE = """\
//VERSION=3
function setup() {
  return {
    input: ["B04", "B08"],
    output: [{id: "default", bands: 1, sampleType: "AUTO"}, {id: "mask", bands: 1, sampleType: "UINT8"}],
  };
}
function evaluatePixel(sample) {
  return {default: [(sample.B08 - sample.B04) / (sample.B08 + sample.B04)], mask: [1]};
}
function updateOutputMetadata(scenes, inputMetadata, outputMetadata) {
  outputMetadata.userData = {told: "once"};
}
"""
NUMBERS = """\
//VERSION=3
function setup() {
  return {
    input: ["B04", "B08", "dataMask"],
    output: [{id: "default", bands: 1, sampleType: "FLOAT32"}, {id: "dataMask", bands: 1}],
  };
}
function evaluatePixel(sample) {
  return {default: [sample.B08 - sample.B04], dataMask: [sample.dataMask]};
}
"""
INPUT = (ScriptInput(None, ("B04", "B08"), "SIMPLE"),)
SHAPE = ScriptShape(
    inputs=INPUT,
    outputs=(ScriptOutput("default", 1, "AUTO"), ScriptOutput("mask", 1, "UINT8")),
)
NUMBERS_SHAPE = ScriptShape(
    inputs=INPUT,
    outputs=(ScriptOutput("default", 1, "FLOAT32"), ScriptOutput("dataMask", 1, "UINT8")),
)
BOX = [14.5, 46.05, 14.51, 46.06]


def picture(
    *responses: tuple[str, str], year: int = 1985, script: str = PICTURE, size: int = 8
) -> Object:
    """
    A request of the Process API.

    Args:
        responses: identifier and media type of each; none: what the API takes for granted
        year: by default one before there was imagery, so that the image takes no time
    """
    stated = [{"identifier": name, "format": {"type": kind}} for name, kind in responses]
    times = {"from": f"{year}-06-01T00:00:00Z", "to": f"{year}-06-30T00:00:00Z"}
    return {
        "input": {
            "bounds": {"bbox": [*BOX]},
            "data": [{"type": "sentinel-2-l2a", "dataFilter": {"timeRange": {**times}}}],
        },
        "output": {"width": size, "height": size, **({"responses": stated} if stated else {})},  # type: ignore[dict-item]
        "evalscript": script,
    }


def numbers(*, year: int = 2025, script: str = NUMBERS, **more: Any) -> Object:
    """A request of the Statistical API: a month in three parts."""
    return {
        "input": {"bounds": {"bbox": [*BOX]}, "data": [{"type": "sentinel-2-l2a"}]},
        "aggregation": {
            "timeRange": {"from": f"{year}-06-01T00:00:00Z", "to": f"{year}-07-01T00:00:00Z"},
            "aggregationInterval": {"of": "P10D"},
            "width": 4,
            "height": 4,
            "evalscript": script,
        },
        **more,
    }


def process(
    output: Any = "out/ndvi.png",
    *,
    name: str = "ndvi",
    key: str | None = None,
    spec: Object | None = None,
    run: Mapping[str, Any] | None = None,
    prevent: bool = False,
    depends_on: tuple[Address, ...] = (),
) -> Desired:
    return Desired(
        Address("Process", name, key),
        picture() if spec is None else spec,
        FlatSource(),
        lifecycle=Lifecycle(prevent_destroy=prevent),
        depends_on=depends_on,
        run={"output": output, **(run or {})},
        script=SHAPE,
    )


def statistics(
    output: Any = "out/ndvi.csv",
    *,
    name: str = "ndvi",
    key: str | None = None,
    spec: Object | None = None,
    run: Mapping[str, Any] | None = None,
) -> Desired:
    return Desired(
        Address("Statistics", name, key),
        numbers() if spec is None else spec,
        FlatSource(),
        run={"output": output, **(run or {})},
        script=NUMBERS_SHAPE,
    )


def tree(project: Path) -> dict[str, bytes]:
    """Every file of a project, by its path below it."""
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in sorted(project.rglob("*"))
        if path.is_file()
    }


def receipt(project: Path, path: str) -> dict[str, Any]:
    """What the receipt file beside an answer says."""
    content: dict[str, Any] = json.loads((project / f"{path}.receipt.json").read_bytes())
    return content
