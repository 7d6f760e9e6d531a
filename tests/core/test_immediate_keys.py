"""Which parts of requests that are answered at once count, and which say no more than silence."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from shplan.core.run_key import RunInput, run_key
from tests.support.immediate import numbers, picture


def key(kind: str, request: Any) -> str:
    return run_key(RunInput(kind, "v1", "sandbox", request)).digest


def changed(request: Any, path: str, value: Any) -> Any:
    result: Any = copy.deepcopy(request)
    node = result
    *parents, last = path.split(".")
    for step in parents:
        node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {})
    node[last] = value
    return result


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("output.responses", []),
        ("output.responses", [{}]),
        ("output.responses", [{"identifier": "default"}]),
        ("output.responses", [{"identifier": "default", "format": {"type": "image/png"}}]),
        ("output.width", 8.0),
        ("input.bounds.properties", {"crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}),
        ("input.data.0.dataFilter.mosaickingOrder", "mostRecent"),
        ("input.data.0.dataFilter.timeRange.from", "1985-06-01T02:00:00+02:00"),
    ],
)
def test_what_an_image_is_by_default_runs_nothing(path: str, value: Any) -> None:
    assert key("Process", changed(picture(), path, value)) == key("Process", picture())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("output.responses", [{"identifier": "mask"}]),
        ("output.responses", [{"format": {"type": "image/tiff"}}]),
        ("output.responses", [{}, {"identifier": "mask"}]),
        ("output.width", 9),
        ("input.bounds.bbox", [14.5, 46.05, 14.51, 46.07]),
        ("input.data.0.dataFilter.mosaickingOrder", "leastCC"),
        ("evalscript", "//VERSION=3\n"),
    ],
)
def test_another_image_is_another_run(path: str, value: Any) -> None:
    assert key("Process", changed(picture(), path, value)) != key("Process", picture())


def test_a_default_size_that_is_stated_says_nothing() -> None:
    silent = picture()
    del silent["output"]
    assert key("Process", picture(size=256)) == key("Process", silent)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("aggregation.aggregationInterval.lastIntervalBehavior", "SKIP"),
        ("aggregation.timeRange.from", "2025-06-01T00:00:00.000Z"),
        # Time comes from the aggregation.
        ("input.data.0.dataFilter.timeRange", {"from": "1999-01-01T00:00:00Z"}),
    ],
)
def test_what_numbers_are_by_default_runs_nothing(path: str, value: Any) -> None:
    before = changed(numbers(), "input.data.0.dataFilter", {"maxCloudCoverage": 20})
    assert key("Statistics", changed(before, path, value)) == key("Statistics", before)


def test_edges_of_whole_numbers_are_other_arithmetic() -> None:
    def edges(low: float) -> Any:
        wanted = {"default": {"histograms": {"B0": {"nBins": 4, "lowEdge": low, "highEdge": 8}}}}
        return numbers(calculations=wanted)

    assert key("Statistics", edges(0)) != key("Statistics", edges(0.0))


def test_percentiles_are_numbers_however_they_are_written() -> None:
    def percentiles(k: float) -> Any:
        wanted = {"default": {"statistics": {"B0": {"percentiles": {"k": [k]}}}}}
        return numbers(calculations=wanted)

    assert key("Statistics", percentiles(50)) == key("Statistics", percentiles(50.0))
