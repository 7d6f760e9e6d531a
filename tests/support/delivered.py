"""Builders of asynchronous and of batch statistical requests for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shplan.core.address import Address
from shplan.core.resource import Desired
from shplan.core.value import Object
from tests.support import geopackages
from tests.support.bench import Bench, FlatSource
from tests.support.jobs import AREA, SCRIPT, SHAPE

ROLE = {"iamRoleARN": "arn:aws:iam::1:role/r"}
FIELDS = "s3://areas/fields.gpkg"
KEYED = "s3://results/{{ run.key }}"
STATISTICS_SCRIPT = """\
//VERSION=3
function setup() {
  return {input: ["B04", "dataMask"], output: [{id: "red", bands: 1}, {id: "dataMask", bands: 1}]};
}
function evaluatePixel(sample) {
  return {red: [sample.B04], dataMask: [sample.dataMask]};
}
"""


def times(day: str, years: int) -> Object:
    """As old as no mission is, by default: without data, results take no time."""
    sensed = f"{int(day[:4]) - years}{day[4:]}"
    return {"from": f"{sensed}T00:00:00Z", "to": f"{sensed}T23:59:59Z"}


def async_body(
    day: str = "2025-06-01",
    *,
    url: str = KEYED,
    data: Any = "sentinel-2-l2a",
    script: str = SCRIPT,
    years: int = 40,
    **output: Any,
) -> Object:
    return {
        "input": {
            "bounds": {"geometry": AREA},
            "data": [{"type": data, "dataFilter": {"timeRange": times(day, years)}}],
        },
        "output": {
            "width": 16,
            "height": 16,
            "responses": [{"identifier": "default", "format": {"type": "image/tiff"}}],
            "delivery": {"s3": {"url": url, **ROLE}},
            **output,
        },
        "evalscript": script,
    }


def statistics_body(
    day: str = "2025-06-01",
    *,
    url: str = "s3://results/statistics",
    features: str = FIELDS,
    script: str = STATISTICS_SCRIPT,
    years: int = 40,
    **more: Any,
) -> Object:
    return {
        "input": {
            "features": {"s3": {"url": features, **ROLE}},
            "data": [{"type": "sentinel-2-l2a", "dataFilter": {}}],
        },
        "aggregation": {
            "evalscript": script,
            "timeRange": times(day, years),
            "aggregationInterval": {"of": "P1D"},
            "resx": 60,
            "resy": 60,
        },
        "output": {"s3": {"url": url, **ROLE}},
        **more,
    }


def image(name: str = "mosaic", *, run: Mapping[str, Any] | None = None, **more: Any) -> Desired:
    """An asynchronous request; `more` goes into it."""
    spec = async_body(**more)
    address = Address("AsyncProcess", name)
    return Desired(address, spec, FlatSource(), run=dict(run or {}), script=SHAPE)


def statistics(
    name: str = "fields", *, run: Mapping[str, Any] | None = None, **more: Any
) -> Desired:
    """A batch statistical job; `more` goes into its request."""
    spec = statistics_body(**more)
    return Desired(Address("BatchStatistics", name), spec, FlatSource(), run=dict(run or {}))


def write_fields(world: Bench, count: int = 2) -> None:
    """The GeoPackage whose features are measured."""
    (world.buckets / "results").mkdir(parents=True, exist_ok=True)
    boxes = [
        {"box": (500_000 + 500 * n, 5_100_000, 500_300 + 500 * n, 5_100_300), "identifier": f"f{n}"}
        for n in range(count)
    ]
    geopackages.write(world.buckets / "areas" / "fields.gpkg", boxes)
