"""The unmodified `sentinelhub` package against the Process API, over a real port."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.warp import Resampling, reproject
from sentinelhub import (
    CRS,
    BBox,
    ByocCollection,
    ByocTile,
    DataCollection,
    Geometry,
    MimeType,
    MosaickingOrder,
    ResamplingType,
    SentinelHubBYOC,
    SentinelHubRequest,
    SHConfig,
    bbox_to_dimensions,
)
from sentinelhub.exceptions import DownloadFailedException

from tests.sandbox import processing as p
from tests.support.served import Served

UTM = CRS("32633")
WHOLE = BBox(p.WHOLE, UTM)
SAME = p.script("return [samples.B04];", bands='["B04"]', output='{bands: 1, sampleType: "UINT16"}')
NDVI = p.script("return [(samples.B08 - samples.B04) / (samples.B08 + samples.B04)];")
COLOUR = p.script("return [samples.B04 / 10000, samples.B08 / 10000, 0];", output="{bands: 3}")


@pytest.fixture
def collection(served: Served, config: SHConfig) -> DataCollection:
    """A collection of two dates, made by the package itself."""
    for number, name in enumerate(("early", "late")):
        for band in (4, 8):
            path = served.data / "buckets" / "pixels" / name / f"B0{band}.tif"
            if not path.exists():
                p.write(path, p.numbers(band + number))
    byoc = SentinelHubBYOC(config=config)
    made = byoc.create_collection(ByocCollection(name="pixels", s3_bucket="pixels"))
    for day, name in ((1, "early"), (11, "late")):
        tile = ByocTile(path=f"{name}/(BAND).tif", sensing_time=dt.datetime(2025, 6, day, 10))
        byoc.create_tile(made, tile)
    served.tick(60)
    return DataCollection.define_byoc(made["id"])


def asked(
    collection: DataCollection,
    config: SHConfig,
    evalscript: str = SAME,
    *,
    responses: list[Any] | None = None,
    time_interval: Any = None,
    item: dict[str, Any] | None = None,
    **place: Any,
) -> Any:
    """What the first of the downloads holds."""
    request = SentinelHubRequest(
        evalscript=evalscript,
        input_data=[
            SentinelHubRequest.input_data(collection, time_interval=time_interval, **(item or {}))
        ],
        responses=responses or [SentinelHubRequest.output_response("default", MimeType.TIFF)],
        config=config,
        **(place or {"bbox": WHOLE, "size": (p.SIZE, p.SIZE)}),
    )
    return request.get_data()[0]


def test_a_tiff_is_the_newest_tile(collection: DataCollection, config: SHConfig) -> None:
    assert np.array_equal(asked(collection, config), p.numbers(5))


@pytest.mark.parametrize(
    ("interval", "seed"),
    [
        (("2025-06-01", "2025-06-02"), 4),
        (("2025-06-01", "2025-06-30"), 5),
        ((dt.datetime(2025, 6, 11, 10), dt.datetime(2025, 6, 11, 10)), 5),
    ],
)
def test_time_intervals_choose_tiles(
    collection: DataCollection, config: SHConfig, interval: Any, seed: int
) -> None:
    assert np.array_equal(asked(collection, config, time_interval=interval), p.numbers(seed))


def test_the_mosaicking_order_chooses_as_well(collection: DataCollection, config: SHConfig) -> None:
    item = {"mosaicking_order": MosaickingOrder.LEAST_RECENT}
    assert np.array_equal(asked(collection, config, item=item), p.numbers(4))


def test_ndvi_in_floating_point(collection: DataCollection, config: SHConfig) -> None:
    b04, b08 = p.numbers(5).astype(float), p.numbers(9).astype(float)
    expected = ((b08 - b04) / (b08 + b04)).astype("float32")
    assert np.array_equal(asked(collection, config, NDVI), expected)


def test_png_and_jpeg(collection: DataCollection, config: SHConfig) -> None:
    expected = np.floor(p.numbers(5) / 10000 * 255 + 0.5)
    png = [SentinelHubRequest.output_response("default", MimeType.PNG)]
    found = asked(collection, config, COLOUR, responses=png)
    assert found.shape == (512, 512, 3)
    assert np.array_equal(found[..., 0], expected)
    jpg = [SentinelHubRequest.output_response("default", MimeType.JPG)]
    found = asked(collection, config, COLOUR, responses=jpg)
    assert found.shape == (512, 512, 3)
    assert np.corrcoef(found[..., 0].ravel(), expected.ravel())[0, 1] > 0.5


def test_several_responses(collection: DataCollection, config: SHConfig) -> None:
    text = """//VERSION=3
function setup() { return {input: ["B04"], output: [{id: "default", bands: 1, sampleType: "UINT16"},
  {id: "picture", bands: 3}]}; }
function evaluatePixel(s, scenes, inputMetadata, customData, outputMetadata) {
  outputMetadata.userData = {done: true}; return {default: [s.B04], picture: [1, 0.5, 0]}; }"""
    responses = [
        SentinelHubRequest.output_response("default", MimeType.TIFF),
        SentinelHubRequest.output_response("picture", MimeType.PNG),
        SentinelHubRequest.output_response("userdata", MimeType.JSON),
    ]
    found = asked(collection, config, text, responses=responses)
    assert set(found) == {"default.tif", "picture.png", "userdata.json"}
    assert np.array_equal(found["default.tif"], p.numbers(5))
    assert found["picture.png"][0, 0].tolist() == [255, 128, 0]
    assert found["userdata.json"] == {"done": True}


def test_user_data_alone(collection: DataCollection, config: SHConfig) -> None:
    text = p.script("outputMetadata.userData = {answer: 42};")
    responses = [SentinelHubRequest.output_response("userdata", MimeType.JSON)]
    assert asked(collection, config, text, responses=responses) == {"answer": 42}


def test_a_geometry_masks_and_a_resolution_makes_the_size(
    collection: DataCollection, config: SHConfig
) -> None:
    ring = [(p.WEST, p.NORTH), (p.WEST + 2000, p.NORTH), (p.WEST + 2000, p.NORTH - 1000)]
    geometry = Geometry({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}, UTM)
    text = p.script("return [samples.B04 * samples.dataMask];", bands='["B04", "dataMask"]',
                    output='{bands: 1, sampleType: "UINT16"}')  # fmt: skip
    found = asked(collection, config, text, geometry=geometry, resolution=(10, 10))
    assert found.shape == (100, 200)
    rows, columns = np.indices(found.shape) + 0.5
    inside = rows * 2 < columns
    assert np.array_equal(found, np.where(inside, p.numbers(5)[:100, :200], 0))


def test_degrees_and_bilinear_pixels(collection: DataCollection, config: SHConfig) -> None:
    box = BBox((15.005, 46.92, 15.03, 46.94), CRS.WGS84)
    size = bbox_to_dimensions(box, resolution=9)
    item = {"upsampling": ResamplingType.BILINEAR, "downsampling": ResamplingType.BILINEAR}
    found = asked(collection, config, item=item, bbox=box, size=size)
    expected = np.zeros(size[::-1], "uint16")
    reproject(
        p.numbers(5),
        expected,
        src_transform=rasterio.transform.from_bounds(*p.WHOLE, p.SIZE, p.SIZE),
        src_crs="EPSG:32633",
        dst_transform=rasterio.transform.from_bounds(*box, *size),
        dst_crs="EPSG:4326",
        resampling=Resampling.bilinear,
        XSCALE=1,
        YSCALE=1,
    )
    assert expected.any()
    assert np.array_equal(found, expected)


def test_an_error_is_told(collection: DataCollection, config: SHConfig) -> None:
    with pytest.raises(DownloadFailedException, match="RENDERER_EXCEPTION"):
        asked(collection, config, p.script("return [samples.B04.a.b];"))
