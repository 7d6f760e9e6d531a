"""The unmodified `sentinelhub` package asks the Process API for public collections, over a real port."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from sentinelhub import (
    CRS,
    BBox,
    DataCollection,
    MimeType,
    MosaickingOrder,
    SentinelHubCatalog,
    SentinelHubRequest,
    SHConfig,
    bbox_to_dimensions,
)
from sentinelhub.exceptions import DownloadFailedException

from tests.sandbox import processing as p

BOX = BBox((14.0, 46.0, 14.008, 46.006), CRS.WGS84)
SUMMER = ("2023-06-01", "2023-07-31")
TIFF = [SentinelHubRequest.output_response("default", MimeType.TIFF)]
PNG = [SentinelHubRequest.output_response("default", MimeType.PNG)]
COLOUR = p.script("return [2.5 * samples.B04, 2.5 * samples.B03, 2.5 * samples.B02];",
                  bands='["B02", "B03", "B04"]', output="{bands: 3}")  # fmt: skip


def local(collection: DataCollection, config: SHConfig) -> DataCollection:
    """The same collection at the sandbox, as the package has it said; its definitions last."""
    port = config.sh_base_url.rpartition(":")[2]
    return collection.define_from(f"{collection.name}_{port}", service_url=config.sh_base_url)


def raw(*bands: str) -> str:
    values = ", ".join(f"samples.{one}" for one in bands)
    return p.script(f"return [{values}];", bands=str(list(bands)).replace("'", '"'),
                    output=f'{{bands: {len(bands)}, sampleType: "FLOAT32"}}')  # fmt: skip


def asked(
    collection: DataCollection,
    config: SHConfig,
    evalscript: str,
    *,
    responses: list[Any] = TIFF,
    interval: Any = SUMMER,
    box: BBox = BOX,
    metres: float = 20,
    **item: Any,
) -> Any:
    data = SentinelHubRequest.input_data(local(collection, config), time_interval=interval, **item)
    request = SentinelHubRequest(
        evalscript=evalscript,
        input_data=[data],
        responses=responses,
        bbox=box,
        size=bbox_to_dimensions(box, resolution=metres),
        config=config,
    )
    return request.get_data()[0]


def test_true_colour_of_sentinel_2(config: SHConfig) -> None:
    order = MosaickingOrder.LEAST_CC
    found = asked(DataCollection.SENTINEL2_L2A, config, COLOUR, responses=PNG,
                  mosaicking_order=order)  # fmt: skip
    assert found.dtype == np.uint8
    assert found.shape == (*bbox_to_dimensions(BOX, resolution=20)[::-1], 3)
    reflected = asked(DataCollection.SENTINEL2_L2A, config, raw("B04", "B03", "B02"),
                      mosaicking_order=order)  # fmt: skip
    scaled = np.floor(np.clip(2.5 * reflected.astype(float), 0, 1) * 255 + 0.5)
    assert np.array_equal(found, scaled)


def test_cloud_cover_that_is_allowed(config: SHConfig) -> None:
    """The mosaic of the newest clear scene, which the catalogue of the package finds as well."""
    catalog = SentinelHubCatalog(config=config)
    items = catalog.search(
        local(DataCollection.SENTINEL2_L2A, config),
        bbox=BOX,
        time=SUMMER,
        filter="eo:cloud_cover < 30",
    )
    newest = next(iter(items))["properties"]["datetime"]
    at = dt.datetime.fromisoformat(newest)
    clear = asked(DataCollection.SENTINEL2_L2A, config, raw("B04"), maxcc=0.3)
    assert np.array_equal(
        clear, asked(DataCollection.SENTINEL2_L2A, config, raw("B04"), interval=(at, at))
    )


def test_backscatter_of_sentinel_1(config: SHConfig) -> None:
    options = {"processing": {"backCoeff": "SIGMA0_ELLIPSOID", "orthorectify": True}}
    found = asked(DataCollection.SENTINEL1_IW_DES, config, raw("VV", "VH", "dataMask"),
                  other_args=options)  # fmt: skip
    power, turned, mask = np.moveaxis(found, 2, 0)
    assert mask.all()
    assert 0 < np.median(turned) < np.median(power) < 1


def test_elevations_need_no_time(config: SHConfig) -> None:
    found = asked(DataCollection.DEM_COPERNICUS_30, config, raw("DEM"), interval=None)
    assert found.ndim == 2
    assert ((found >= 0) & (found < 5000)).all()
    assert np.ptp(found) > 0


def test_temperatures_of_landsat(config: SHConfig) -> None:
    found = asked(DataCollection.LANDSAT_OT_L1, config, raw("B04", "B10"), metres=30)
    assert ((found[..., 0] > 0) & (found[..., 0] < 1.5)).all()
    assert ((found[..., 1] > 200) & (found[..., 1] < 330)).all()


def test_nitrogen_dioxide_of_sentinel_5p(config: SHConfig) -> None:
    box = BBox((10, 44, 16, 48), CRS.WGS84)
    day = ("2023-06-10", "2023-06-10")
    found = asked(DataCollection.SENTINEL5P, config, raw("NO2", "dataMask"), interval=day, box=box,
                  metres=20_000, other_args={"processing": {"minQa": 50}})  # fmt: skip
    value, mask = np.moveaxis(found, 2, 0)
    assert mask.any()
    assert (np.abs(value[mask == 1]) < 1e-3).all()


def test_temperatures_of_sentinel_3(config: SHConfig) -> None:
    found = asked(DataCollection.SENTINEL3_SLSTR, config, raw("S8", "dataMask"), metres=100)
    assert found[..., 1].all()
    assert ((found[..., 0] > 180) & (found[..., 0] < 340)).all()


def test_several_answers_of_one_request(config: SHConfig) -> None:
    text = """//VERSION=3
function setup() { return {input: ["B04", "B08", "CLM"], output: [
  {id: "default", bands: 1, sampleType: "FLOAT32"}, {id: "mask", bands: 1, sampleType: "UINT8"}]}; }
function evaluatePixel(s) {
  return {default: [(s.B08 - s.B04) / (s.B08 + s.B04)], mask: [s.CLM]}; }
function updateOutputMetadata(scenes, inputMetadata, outputMetadata) {
  outputMetadata.userData = {factor: inputMetadata.normalizationFactor}; }"""
    responses = [
        *TIFF,
        SentinelHubRequest.output_response("mask", MimeType.PNG),
        SentinelHubRequest.output_response("userdata", MimeType.JSON),
    ]
    found = asked(DataCollection.SENTINEL2_L2A, config, text, responses=responses)
    assert set(found) == {"default.tif", "mask.png", "userdata.json"}
    assert (np.abs(found["default.tif"]) <= 1).all()
    assert set(np.unique(found["mask.png"])) <= {0, 1}
    assert found["userdata.json"] == {"factor": 1e-4}


def test_what_is_too_coarse_is_told(config: SHConfig) -> None:
    wide = BBox((10, 44, 16, 48), CRS.WGS84)
    with pytest.raises(DownloadFailedException, match="meters per pixel"):
        asked(DataCollection.SENTINEL2_L2A, config, COLOUR, box=wide, metres=2000)
