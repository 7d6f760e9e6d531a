"""Builders of jobs for tests, and what the sandbox says of money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shplan.core.address import Address
from shplan.core.job_input import ScriptInput, ScriptOutput, ScriptShape
from shplan.core.resource import Desired, Lifecycle
from shplan.core.value import Object, Reference, Unknown
from tests.support.bench import Bench, FlatSource

SCRIPT = """\
//VERSION=3
function setup() {
  return {input: ["B04", "B08"], output: {bands: 1, sampleType: "FLOAT32"}};
}
function evaluatePixel(sample) {
  return [(sample.B08 - sample.B04) / (sample.B08 + sample.B04)];
}
"""
SHAPE = ScriptShape(
    inputs=(ScriptInput(None, ("B04", "B08"), "SIMPLE"),),
    outputs=(ScriptOutput("default", 1, "FLOAT32"),),
)
# About 1 km by 1 km in zone 33N: it touches one tile of the 20 km grid.
AREA = {
    "type": "Polygon",
    "coordinates": [
        [[14.5, 46.05], [14.513, 46.05], [14.513, 46.06], [14.5, 46.06], [14.5, 46.05]]
    ],
}


def body(
    day: str = "2025-06-01",
    *,
    data: Any = "sentinel-2-l2a",
    script: str = SCRIPT,
    url: str = "",
    resolution: int = 60,
    years: int = 40,
    **output: Any,
) -> Object:
    """
    The request of a batch job, as a manifest has it.

    Args:
        resolution: of the images, in metres; by default they are small
        years: by how many the data are older than the day; by default as old as no mission is,
            so that the images have no data and are made in no time
    """
    sensed = f"{int(day[:4]) - years}{day[4:]}"
    delivery = {"s3": {"url": url or f"s3://results/{day}", "iamRoleARN": "arn:aws:iam::1:role/r"}}
    return {
        "processRequest": {
            "input": {
                "bounds": {"geometry": AREA},
                "data": [
                    {
                        "type": data,
                        "dataFilter": {
                            "timeRange": {
                                "from": f"{sensed}T00:00:00Z",
                                "to": f"{sensed}T23:59:59Z",
                            }
                        },
                    }
                ],
            },
            "output": {"responses": [{"identifier": "default", "format": {"type": "image/tiff"}}]},
            "evalscript": script,
        },
        "input": {"type": "tiling-grid", "id": 0, "resolution": resolution},
        "output": {"type": "raster", "delivery": delivery, **output},
    }


def job(
    name: str = "ndvi",
    *,
    key: str | None = None,
    run: Mapping[str, Any] | None = None,
    prevent: bool = False,
    depends_on: tuple[Address, ...] = (),
    spec: Object | None = None,
    **more: Any,
) -> Desired:
    """A batch job; `more` goes into its request."""
    return Desired(
        Address("BatchProcess", name, key),
        spec if spec is not None else body(**more),
        FlatSource(),
        lifecycle=Lifecycle(prevent_destroy=prevent),
        depends_on=depends_on,
        run=dict(run or {}),
        script=SHAPE,
    )


# Of what a job on a collection reads, its imagery; a job that only refers to the collection does not wait for it.
IMAGERY = (Address("ByocTiles", "fields"),)


def job_on(collection: str = "fields", name: str = "ndvi", **more: Any) -> Desired:
    """A batch job on a collection of this plan: its key depends on an id."""
    reference = Reference(Address("ByocCollection", collection), ("id",))
    unknown = Unknown(
        "byoc-{{ ref('ByocCollection/" + collection + "').id }}",
        f"BatchProcess/{name}",
        (reference,),
    )
    return replace(job(name, data=unknown, **more), references=(reference,))


async def tasks(world: Bench) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        page = await world.call("GET", f"/batch/v2/process?count=100{token}")
        found += page["data"]
        if not page["links"].get("nextToken"):
            return sorted(found, key=lambda one: (one["created"], one["id"]))
        token = f"&viewtoken={page['links']['nextToken']}"


OLDER = "/api/v1/batch/process"
# A kilometre high, where two tiles of the 20 km grid meet.
TWO_TILES = {
    "type": "Polygon",
    "coordinates": [
        [[14.72, 46.05], [14.79, 46.05], [14.79, 46.06], [14.72, 46.06], [14.72, 46.05]]
    ],
}


def body_v1(
    day: str = "2025-06-01",
    *,
    resolution: int = 60,
    url: str = "",
    area: Any = None,
    **more: Any,
) -> Object:
    """The same request in the words of version 1; what is left over goes into its output."""
    process, description = dict(body(day)["processRequest"]), more.pop("description", None)  # type: ignore[arg-type]
    if area is not None:
        process["input"] = {**process["input"], "bounds": {"geometry": area}}  # type: ignore[dict-item]
    return {
        "processRequest": process,
        "tilingGrid": {"id": 0, "resolution": resolution},
        "output": {"defaultTilePath": url or f"s3://results/{day}", **more},
        **({} if description is None else {"description": description}),
    }


def job_v1(name: str = "ndvi", *, run: Mapping[str, Any] | None = None, **more: Any) -> Desired:
    """A batch job of version 1; `more` goes into its request, as for `body_v1`."""
    spec = more.pop("spec", None)
    options = {key: more.pop(key) for key in ("key", "prevent", "depends_on") if key in more}
    return job(name, run={"api": "v1", **(run or {})}, spec=spec or body_v1(**more), **options)


async def tasks_v1(world: Bench) -> list[dict[str, Any]]:
    """The tasks of version 1, the oldest first; there are few."""
    found: list[dict[str, Any]] = (await world.call("GET", f"{OLDER}?count=100"))["data"]
    return sorted(found, key=lambda one: (one["created"], one["id"]))
