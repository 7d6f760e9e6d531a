"""Pixels of the Process API, compared with what rasterio and numpy compute from the same files."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.features import geometry_mask
from rasterio.transform import from_bounds
from rasterio.warp import Resampling, reproject, transform_bounds

from . import processing as p
from .support import Driver

NDVI = p.script("return [(samples.B08 - samples.B04) / (samples.B08 + samples.B04)];")
SAME = p.script("return [samples.B04];", bands='["B04"]')
MASK = p.script("return [samples.B04, samples.dataMask];", bands='["B04", "dataMask"]',
                output='{bands: 2, sampleType: "FLOAT32"}')  # fmt: skip


@pytest.fixture
def one(api: Driver, bucket: Path) -> str:
    """A collection of one tile with two bands."""
    p.write(bucket / "a/B04.tif", p.numbers(4))
    p.write(bucket / "a/B08.tif", p.numbers(8))
    return p.collection(api, {"a": "2025-06-01T10:00:00Z"})


def test_pixels_of_the_tile_come_as_they_are(api: Driver, one: str) -> None:
    assert np.array_equal(p.pixels(api, p.body(one, SAME)), p.numbers(4).astype("float32"))


def test_a_window_is_that_window(api: Driver, one: str) -> None:
    bbox = [p.WEST + 300, p.NORTH - 2000, p.WEST + 1300, p.NORTH - 500]
    found = p.pixels(api, p.body(one, SAME, bbox=bbox, size=(100, 150)))
    assert np.array_equal(found, p.numbers(4)[50:200, 30:130])


def test_ndvi_is_that_of_numpy(api: Driver, one: str) -> None:
    b04, b08 = p.numbers(4).astype(float), p.numbers(8).astype(float)
    expected = ((b08 - b04) / (b08 + b04)).astype("float32")
    assert np.array_equal(p.pixels(api, p.body(one, NDVI)), expected)


def test_the_same_request_has_the_same_bytes(api: Driver, one: str) -> None:
    request = p.body(one, NDVI)
    assert p.processed(api, request) == p.processed(api, request)


def test_the_answer_lies_where_it_was_asked_for(api: Driver, one: str) -> None:
    content = p.processed(api, p.body(one, SAME, size=(256, 128)))
    with rasterio.MemoryFile(content) as memory, memory.open() as raster:
        assert raster.crs.to_epsg() == 32633
        assert list(raster.bounds) == p.WHOLE
        assert (raster.width, raster.height) == (256, 128)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("NEAREST", Resampling.nearest),
        ("BILINEAR", Resampling.bilinear),
        ("BICUBIC", Resampling.cubic),
    ],
)
@pytest.mark.parametrize("epsg", [4326, 3857, 3035])
def test_reprojection_is_that_of_gdal(
    api: Driver, one: str, epsg: int, name: str, method: Resampling
) -> None:
    inner = [p.WEST + 1000, p.NORTH - 4000, p.WEST + 4000, p.NORTH - 1000]
    bbox = list(transform_bounds("EPSG:32633", f"EPSG:{epsg}", *inner))
    # Finer than the source, so that no overview is read.
    size = (400, 400)
    item = {"processing": {"upsampling": name, "downsampling": name}}
    found = p.pixels(api, p.body(one, SAME, bbox=bbox, epsg=epsg, size=size, item=item))
    expected = np.zeros((400, 400), "uint16")
    reproject(
        p.numbers(4),
        expected,
        src_transform=from_bounds(*p.WHOLE, p.SIZE, p.SIZE),
        src_crs="EPSG:32633",
        dst_transform=from_bounds(*bbox, *size),
        dst_crs=f"EPSG:{epsg}",
        resampling=method,
        # No pixel of the answer is wider than one of the source.
        XSCALE=1,
        YSCALE=1,
    )
    assert np.array_equal(found, expected)
    assert expected.std() > 1000


def test_shrinking_reads_the_overview(api: Driver, bucket: Path) -> None:
    """The overviews hold other numbers than the image, which tells which of them is read."""
    path = p.write(bucket / "a/B04.tif", np.full((2048, 2048), 7, "uint16"))
    with rasterio.open(path) as raster:
        assert raster.overviews(1) == [2, 4, 8]
    for level, number in enumerate((20, 40, 80)):
        with rasterio.open(
            path, "r+", overview_level=level, IGNORE_COG_LAYOUT_BREAK="YES"
        ) as raster:
            raster.write(np.full((1, raster.height, raster.width), number, "uint16"))
    kind = p.collection(api, {"a": None})
    bbox = [p.WEST, p.NORTH - 20480, p.WEST + 20480, p.NORTH]
    values = {
        side: set(np.unique(p.pixels(api, p.body(kind, SAME, bbox=bbox, size=(side, side)))))
        for side in (2048, 1500, 1024, 600, 512, 300, 256, 100)
    }
    assert values == {
        2048: {7}, 1500: {7}, 1024: {20}, 600: {20}, 512: {40}, 300: {40}, 256: {80}, 100: {80},
    }  # fmt: skip


def test_resolution_makes_the_size(api: Driver, one: str) -> None:
    found = p.pixels(api, p.body(one, SAME, size=None, resx=20, resy=40))
    assert found.shape == (128, 256)


def test_without_a_size_it_is_256(api: Driver, one: str) -> None:
    assert p.pixels(api, p.body(one, SAME, size=None)).shape == (256, 256)


def test_outside_of_the_tile_there_is_nothing(api: Driver, one: str) -> None:
    bbox = [p.WEST - 1000, p.NORTH - 1000, p.WEST + 1000, p.NORTH + 1000]
    values, mask = p.pixels(api, p.body(one, MASK, bbox=bbox, size=(200, 200)))
    assert np.array_equal(values[100:, 100:], p.numbers(4)[:100, :100])
    assert np.all(mask[100:, 100:] == 1)
    mask[100:, 100:] = values[100:, 100:] = 0
    assert not mask.any()
    assert not values.any()


def test_nothing_at_all_is_zeros(api: Driver, one: str) -> None:
    bbox = [p.WEST - 9000, p.NORTH, p.WEST - 8000, p.NORTH + 1000]
    assert not p.pixels(api, p.body(one, MASK, bbox=bbox, size=(10, 10))).any()


def test_a_number_for_no_data_is_zero_and_masked(api: Driver, bucket: Path) -> None:
    data = p.numbers(4)
    data[100:200, 50:300] = 9
    p.write(bucket / "a/B04.tif", data)
    values, mask = p.pixels(api, p.body(p.collection(api, {"a": None}, noData=9), MASK))
    assert np.array_equal(mask, data != 9)
    assert np.array_equal(values, np.where(data == 9, 0, data))


def test_the_tag_of_a_later_file_says_nothing(api: Driver, bucket: Path) -> None:
    """The collection says what is no data, here nothing."""
    p.write(bucket / "a/B04.tif", p.numbers(1))
    kind = p.collection(api, {"a": "2025-06-01T00:00:00Z"})
    data = p.numbers(2)
    data[:9] = 5
    p.write(bucket / "b/B04.tif", data, nodata=5)
    api.tile(kind.removeprefix("byoc-"), "b", sensingTime="2025-06-02T00:00:00Z")
    api.tick(60)
    values, mask = p.pixels(api, p.body(kind, MASK))
    assert np.array_equal(values, data)
    assert mask.all()


def test_what_is_no_number_is_no_data(api: Driver, bucket: Path) -> None:
    data = p.numbers(4).astype("float32") / 3
    data[10:20] = np.nan
    p.write(bucket / "a/B04.tif", data)
    values, mask = p.pixels(api, p.body(p.collection(api, {"a": None}), MASK))
    assert np.array_equal(mask, ~np.isnan(data))
    assert np.array_equal(values, np.nan_to_num(data))


def test_no_data_is_no_neighbour(api: Driver, bucket: Path) -> None:
    """Bilinear values of a plain are that plain up to the edge of what is known."""
    data = np.full((512, 512), 800, "uint16")
    data[:, 256:] = 0
    p.write(bucket / "a/B04.tif", data)
    kind = p.collection(api, {"a": None}, noData=0)
    item = {"processing": {"upsampling": "BILINEAR"}}
    bbox = [p.WEST + 2400, p.NORTH - 1000, p.WEST + 2700, p.NORTH - 700]
    values, mask = p.pixels(api, p.body(kind, MASK, bbox=bbox, size=(90, 90), item=item))
    assert set(np.unique(values)) == {0, 800}
    assert np.array_equal(mask == 1, values == 800)


def test_pixels_outside_of_the_polygon_are_masked(api: Driver, one: str) -> None:
    x, y = p.WEST, p.NORTH
    ring = [[x + 500, y - 500], [x + 4000, y - 900], [x + 2000, y - 4500], [x + 500, y - 500]]
    polygon = {"type": "Polygon", "coordinates": [ring]}
    properties = {"crs": p.EPSG.format(32633)}
    within = ~geometry_mask(
        [shapely.Polygon(ring)], (p.SIZE, p.SIZE), from_bounds(*p.WHOLE, p.SIZE, p.SIZE)
    )
    bounds = {"bbox": p.WHOLE, "geometry": polygon, "properties": properties}
    values, mask = p.pixels(api, p.body(one, MASK, bounds=bounds))
    assert np.array_equal(mask, within)
    assert np.array_equal(values, np.where(within, p.numbers(4), 0))
    # Alone, its own box is what is delivered.
    alone = {"geometry": polygon, "properties": properties}
    values, mask = p.pixels(api, p.body(one, MASK, bounds=alone, size=(350, 400)))
    assert np.array_equal(mask, within[50:450, 50:400])
    assert np.array_equal(values, np.where(mask == 1, p.numbers(4)[50:450, 50:400], 0))


def test_the_cover_geometry_cuts_a_tile(api: Driver, bucket: Path) -> None:
    p.write(bucket / "a/B04.tif", p.numbers(4))
    made = api.collection()["id"]
    half = [p.WEST, p.NORTH - 5120, p.WEST + 2560, p.NORTH]
    cover = {
        **shapely.geometry.mapping(shapely.box(*half)),
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}},
    }
    api.tile(made, "a", coverGeometry=cover)
    api.tick(60)
    values, mask = p.pixels(api, p.body(f"byoc-{made}", MASK))
    assert np.array_equal(mask[:, :250], np.ones((512, 250)))
    assert not mask[:, 262:].any()
    assert np.array_equal(values, np.where(mask == 1, p.numbers(4), 0))


def test_bands_of_one_file_and_of_different_pixels(api: Driver, bucket: Path) -> None:
    fine = np.stack([p.numbers(1), p.numbers(2)])
    coarse = p.numbers(3, size=256)
    p.write(bucket / "a/fine.tif", fine)
    p.write(bucket / "a/coarse.tif", coarse, pixel=20)
    kind = p.collection(api, {"a": None})
    text = p.script(
        "return [samples.fine_2, samples.coarse, samples.fine_1];",
        bands='["fine_1", "coarse", "fine_2"]',
        output='{bands: 3, sampleType: "UINT16"}',
    )
    found = p.pixels(api, p.body(kind, text))
    assert np.array_equal(found[0], fine[1])
    assert np.array_equal(found[1], coarse.repeat(2, axis=0).repeat(2, axis=1))
    assert np.array_equal(found[2], fine[0])


def test_a_simple_script_has_the_bands_of_the_collection(api: Driver, one: str) -> None:
    found = p.pixels(api, p.body(one, "return [B04 / 10000, B08 / 10000, 1];"))
    assert found.dtype == np.uint8
    expected = np.floor(p.numbers(4) / 10000 * 255 + 0.5)
    assert np.array_equal(found[0], expected)
    assert np.all(found[2] == 255)


def test_others_are_served_while_pixels_are_computed(api: Driver, one: str) -> None:
    """A script that takes its time does not hold up the rest."""
    slow = p.script(
        "const until = Date.now() + 900; while (Date.now() < until) {} return [1];", bands='["B04"]'
    )
    request = p.body(one, slow, size=(1, 1))

    async def both() -> tuple[float, float, int]:
        begun = time.monotonic()
        long = asyncio.create_task(api._http.post(p.PROCESS, json=request))
        await asyncio.sleep(0.2)
        await api._http.get("/byoc/v1/collections")
        quick_s = time.monotonic() - begun
        answer = await long
        return quick_s, time.monotonic() - begun, answer.status_code

    quick_s, slow_s, status = api._loop.run_until_complete(both())
    assert status == 200
    assert quick_s < slow_s
    assert slow_s > 0.9
