"""Large images strip by strip: the same as in one piece."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox import strips
from shplan.sandbox.raster_sources import Grid

from . import processing as p
from .support import Driver

COUNTING = p.script(
    "count += 1; return [samples.B04, count];",
    bands='["B04", "dataMask"]',
    output='{bands: 2, sampleType: "FLOAT32"}',
    more="""
var count = 0;
function updateOutputMetadata(scenes, inputMetadata, outputMetadata) {
  outputMetadata.userData = {count: count};
}""",
)
TWO = """//VERSION=3
function setup() { return {input: ["B04", "dataMask"], mosaicking: "ORBIT", output: [
  {id: "default", bands: 3}, {id: "sum", bands: 1, sampleType: "UINT16"}]}; }
function evaluatePixel(samples, scenes, inputMetadata, customData, outputMetadata) {
  outputMetadata.userData = {orbits: scenes.orbits.length};
  const all = samples.map((one) => one.B04 * one.dataMask);
  return {default: all.concat([1]).slice(0, 3).map((one) => one / 10000), sum: [all[0] + all[1]]}; }"""


@pytest.fixture
def kind(api: Driver, bucket: Path) -> str:
    for day in (1, 2):
        p.write(bucket / f"{day}/B04.tif", p.numbers(day), nodata=7)
    return p.collection(api, {str(day): f"2025-06-0{day}T10:00:00Z" for day in (1, 2)})


@pytest.mark.parametrize("rows", [7, 32])
@pytest.mark.parametrize("text", [COUNTING, TWO])
@pytest.mark.parametrize("clipped", [False, True])
def test_strips_make_the_whole(
    api: Driver, kind: str, monkeypatch: pytest.MonkeyPatch, text: str, clipped: bool, rows: int
) -> None:
    formats = {"default": p.TIFF, "userdata": p.JSON}
    if text == TWO:
        formats = {"default": p.PNG, "sum": p.TIFF, "userdata": p.JSON}
    request = p.body(kind, text, size=(48, 48), formats=formats)
    if clipped:
        ring = [[p.WEST, p.NORTH], [p.WEST + 3000, p.NORTH], [p.WEST + 900, p.NORTH - 4000]]
        request["input"]["bounds"]["geometry"] = {
            "type": "Polygon",
            "coordinates": [[*ring, ring[0]]],
        }
    whole = p.processed(api, request, accept="application/tar")
    # Of the values, which take more room here than the samples do: two, or four bands.
    bands = 2 if text == COUNTING else 4
    monkeypatch.setattr(strips, "STRIP_BYTES", rows * 48 * 8 * bands)
    assert p.processed(api, request, accept="application/tar") == whole


grids = st.builds(
    Grid,
    st.just(32633),
    st.floats(4e5, 5e5),
    st.floats(5e6, 5.1e6),
    st.floats(6e5, 7e5),
    st.floats(5.2e6, 5.3e6),
    st.integers(1, 10_000),
    st.integers(1, 10_000),
)


@given(grids, st.integers(0, 100), st.integers(1, 100))
def test_strips_are_all_rows_once(grid: Grid, sample_bytes: int, bands: int) -> None:
    found = strips.cut(grid, sample_bytes=sample_bytes, bands=bands)
    assert found[0].first == 0
    assert found[0].grid.north == grid.north
    assert found[-1].grid.south == grid.south
    assert sum(one.grid.height for one in found) == grid.height
    for above, below in zip(found, found[1:], strict=False):
        assert below.first == above.first + above.grid.height
        assert below.grid.north == above.grid.south
    for one in found:
        assert one.grid.height >= 1
        assert (one.grid.west, one.grid.east, one.grid.width) == (grid.west, grid.east, grid.width)
        assert np.allclose(one.grid.pixel, grid.pixel)
        fits = one.grid.width * one.grid.height * max(sample_bytes, 8 * bands) <= strips.STRIP_BYTES
        assert fits or one.grid.height == 1


def test_what_was_found_is_not_looked_for_again() -> None:
    asked: list[int] = []

    def numbers() -> Any:
        for number in range(5):
            asked.append(number)
            yield number

    found = strips.Remembered(numbers())
    assert list(islice(found, 2)) == [0, 1]
    assert asked == [0, 1]
    assert list(islice(found, 3)) == [0, 1, 2]
    assert asked == [0, 1, 2]
    assert list(found) == list(found) == asked == [0, 1, 2, 3, 4]
