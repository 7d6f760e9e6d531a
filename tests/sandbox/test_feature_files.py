"""The files of one feature: where their pixels lie, what they are written as, what goes wrong with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.features import geometry_mask
from rasterio.transform import from_bounds
from shapely import Polygon, box

from . import processing as p
from .features import Deliverer, band, delivering, raster, task
from .support import BUCKET

SAME = p.script("return [samples.B04];", bands='["B04"]')
U16 = '{bands: 1, sampleType: "UINT16"}'
PLAIN = p.script("return [samples.B04];", bands='["B04"]', output=U16)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deliverer]:
    with delivering(tmp_path_factory.mktemp("desk")) as deliverer:
        yield deliverer


@pytest.fixture(scope="module")
def bucket(desk: Deliverer) -> Path:
    return desk.world.buckets / BUCKET


@pytest.fixture(scope="module")
def tile(desk: Deliverer, bucket: Path) -> str:
    """A collection of one tile with two bands."""
    p.write(bucket / "a/B04.tif", p.numbers(4))
    p.write(bucket / "a/B08.tif", p.numbers(8))
    return p.collection(desk.api, {"a": "2025-06-01T10:00:00Z"})


def only(desk: Deliverer, request: dict[str, Any], **feature: Any) -> bytes:
    """The one file of a feature."""
    made = desk.deliver(request, **feature)
    assert made.failure is None
    (file,) = made.files
    assert not file.key
    return file.content


def cog(desk: Deliverer, tile: str, evalscript: str = PLAIN, **parameters: Any) -> bytes:
    request = task(tile, evalscript, cogOutput=True, cogParameters=parameters)
    return only(desk, request)


# Pixels, and where they lie.


def test_a_feature_has_its_own_place_and_size(desk: Deliverer, tile: str) -> None:
    shape = box(p.WEST + 300, p.NORTH - 2000, p.WEST + 1300, p.NORTH - 500)
    # The area of interest chooses features; it cuts none of them.
    bounds = {"bbox": [15.0, 46.9, 15.001, 46.901]}
    content = only(desk, task(tile, SAME, bounds=bounds), shape=shape, size=(100, 150))
    with raster(content) as file:
        assert file.crs.to_epsg() == 32633
        assert tuple(file.bounds) == shape.bounds
        assert np.array_equal(file.read(1), p.numbers(4)[50:200, 30:130].astype("float32"))


def test_a_feature_in_another_crs_lies_there(desk: Deliverer, tile: str) -> None:
    shape = box(15.01, 46.92, 15.05, 46.94)
    content = only(desk, task(tile, SAME), shape=shape, epsg=4326, size=(80, 40))
    asked = p.body(tile, SAME, bbox=list(shape.bounds), epsg=4326, size=(80, 40))
    with raster(content) as file:
        assert file.crs.to_epsg() == 4326
        assert np.allclose(tuple(file.bounds), shape.bounds, rtol=0, atol=1e-12)
        assert np.array_equal(file.read(1), p.pixels(desk.api, asked))


def test_pixels_outside_of_the_outline_are_no_data(desk: Deliverer, tile: str) -> None:
    west, south, east, north = p.WHOLE
    shape = Polygon([(west, south), (east, south), (west, north)])
    found = band(only(desk, task(tile, PLAIN), shape=shape))
    place = from_bounds(*p.WHOLE, p.SIZE, p.SIZE)
    inside = geometry_mask([shape], (p.SIZE, p.SIZE), place, invert=True)
    assert 0 < inside.sum() < inside.size
    assert np.array_equal(found, np.where(inside, p.numbers(4), 0))


def test_outputs_and_user_data_are_files_in_the_order_asked_for(desk: Deliverer, tile: str) -> None:
    both = p.script(
        "return {red: [samples.B04], nir: [samples.B08]};",
        output='[{id: "red", bands: 1, sampleType: "UINT16"},'
        ' {id: "nir", bands: 1, sampleType: "FLOAT32"}]',
        more="function updateOutputMetadata(scenes, inputMetadata, outputMetadata) {"
        " outputMetadata.userData = {tiles: scenes.tiles.length}; }",
    )
    formats = {"userdata": p.JSON, "nir": p.TIFF, "red": p.TIFF}
    made = desk.deliver(task(tile, both, formats=formats))
    assert [(one.identifier, one.media_type) for one in made.files] == list(formats.items())
    told, nir, red = (one.content for one in made.files)
    assert json.loads(told) == {"tiles": 1}
    assert np.array_equal(band(nir), p.numbers(8).astype("float32"))
    assert np.array_equal(band(red), p.numbers(4))
    # Two bands of 512 x 512 pixels, one output as 32-bit floats.
    assert made.full_pu == pytest.approx(2 / 3 * 2)


def test_a_feature_without_data_says_so(desk: Deliverer, tile: str) -> None:
    away = box(p.WEST + 90_000, p.NORTH, p.WEST + 91_000, p.NORTH + 1000)
    made = desk.deliver(task(tile, PLAIN), shape=away, size=(100, 100))
    assert made.failure is None
    assert not made.has_data
    assert not band(made.files[0].content).any()
    assert desk.deliver(task(tile, PLAIN)).has_data


def test_the_same_feature_has_the_same_bytes(desk: Deliverer, tile: str) -> None:
    request = task(tile, PLAIN, cogOutput=True)
    assert only(desk, request) == only(desk, request)


# COGs, whose layout is tested in `test_cog_writing`.


def test_a_cog_is_laid_out_as_requested(desk: Deliverer, tile: str) -> None:
    with raster(cog(desk, tile)) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.block_shapes == [(256, 256)]
        assert np.array_equal(file.read(1), p.numbers(4))
    with raster(cog(desk, tile, blockxsize=128, blockysize=64, overviewLevels=[3])) as file:
        assert file.block_shapes == [(64, 128)]
        assert file.overviews(1) == [3]


def test_overviews_leave_out_what_is_no_data(desk: Deliverer, tile: str) -> None:
    evalscript = p.script(
        "return [samples.B04 % 2 ? samples.B04 : 65535];",
        bands='["B04"]',
        output='{bands: 1, sampleType: "UINT16", nodataValue: 65535}',
    )
    content = cog(desk, tile, evalscript)
    kept = np.where(p.numbers(4) % 2, p.numbers(4), np.nan).reshape(256, 2, 256, 2)
    counted = np.isfinite(kept).sum(axis=(1, 3))
    total = np.nansum(kept, axis=(1, 3))
    with raster(content) as file:
        assert file.nodata == 65535
    with raster(content, overview_level=0) as file:
        found = file.read(1)
    assert (found[counted == 0] == 65535).all()
    held = counted > 0
    assert np.abs(found[held] - total[held] / counted[held]).max() <= 0.5


def test_a_delivered_cog_is_a_tile_that_can_be_read_again(
    desk: Deliverer, tile: str, bucket: Path
) -> None:
    place = bucket / "delivered" / "B04.tif"
    place.parent.mkdir()
    place.write_bytes(cog(desk, tile))
    again = p.collection(desk.api, {"delivered": "2025-06-01T10:00:00Z"}, name="again")
    assert np.array_equal(p.pixels(desk.api, p.body(again, SAME)), p.numbers(4).astype("float32"))


# What goes wrong is told, not raised.


def test_a_collection_that_is_gone_is_told(desk: Deliverer, tile: str) -> None:
    made = desk.deliver(task("byoc-00000000-0000-0000-0000-000000000001", PLAIN))
    assert made.failure == "Collection 00000000-0000-0000-0000-000000000001 not found."
    assert made.files == ()


def test_a_script_that_fails_is_told(desk: Deliverer, tile: str) -> None:
    made = desk.deliver(task(tile, p.script("return [samples.B04.x.y];", bands='["B04"]')))
    assert made.failure is not None
    assert "undefined" in made.failure
    assert made.files == ()
    # The worker serves the next one.
    assert desk.deliver(task(tile, PLAIN)).failure is None


def test_a_file_that_vanished_is_told(desk: Deliverer, bucket: Path) -> None:
    place = p.write(bucket / "gone/B04.tif", p.numbers(4))
    collection = p.collection(desk.api, {"gone": None}, name="gone")
    place.unlink()
    made = desk.deliver(task(collection, PLAIN))
    assert made.failure is not None
    assert "B04" in made.failure


def test_parameters_that_cannot_be_are_told(desk: Deliverer, tile: str) -> None:
    parameters = {"blockxsize": 65_536, "blockysize": 65_536}
    made = desk.deliver(task(tile, PLAIN, cogOutput=True, cogParameters=parameters))
    assert made.failure == "Blocks of 65536 x 65536 pixels are too large to be written."


def test_a_request_that_says_too_much_is_told(desk: Deliverer, tile: str) -> None:
    request = task(tile, PLAIN)
    data = request["processRequest"]["input"]["data"]
    data += [{**data[0], "id": "0"}]
    made = desk.deliver(request)
    assert made.failure == "input->data: must not have one id twice"
