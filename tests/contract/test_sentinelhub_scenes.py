"""Public collections by the `sentinelhub` package: the catalogue and pixels agree, in fusion, at once and later."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import numpy as np
import pytest
from sentinelhub import (
    CRS,
    AsyncProcessRequest,
    BBox,
    DataCollection,
    MimeType,
    SentinelHubCatalog,
    SentinelHubRequest,
    SHConfig,
    bbox_to_dimensions,
    get_async_running_status,
)
from sentinelhub.exceptions import DownloadFailedException

from tests.support.served import Served

# Hills of Styria, some square kilometres.
AREA = BBox((15.20, 46.80, 15.26, 46.84), CRS.WGS84)
SIZE = bbox_to_dimensions(AREA, resolution=40)
MONTH = ("2024-06-01", "2024-06-30")
TRUE_COLOUR = """//VERSION=3
function setup() { return {input: [{bands: ["B02", "B03", "B04"]}], output: {bands: 3}}; }
function evaluatePixel(sample) { return [3.5 * sample.B04, 3.5 * sample.B03, 3.5 * sample.B02]; }"""
TIFF = SentinelHubRequest.output_response("default", MimeType.TIFF)
PNG = SentinelHubRequest.output_response("default", MimeType.PNG)


@pytest.fixture
def local(config: SHConfig) -> Any:
    """A predefined collection as one of the sandbox: else it goes to its own deployment."""

    def define(collection: DataCollection) -> DataCollection:
        # The package refuses a second name of one definition, and a second definition of one name.
        port = config.sh_base_url.rpartition(":")[2]
        name = f"{collection.name}_{port}"
        return collection.define_from(name, service_url=config.sh_base_url)

    return define


def script(bands: str, values: str, *, count: int = 1, more: str = "") -> str:
    return f"""//VERSION=3
function setup() {{ return {{input: [{bands}], output: {{bands: {count}, sampleType: "FLOAT32"}}{more}}}; }}
function evaluatePixel(sample) {{ return {values}; }}"""


def asked(
    collection: DataCollection, config: SHConfig, text: str, *, response: Any = TIFF, **item: Any
) -> Any:
    request = SentinelHubRequest(
        evalscript=text,
        input_data=[SentinelHubRequest.input_data(collection, **item)],
        responses=[response],
        bbox=AREA,
        size=SIZE,
        config=config,
    )
    return request.get_data()[0]


def test_a_date_of_the_catalogue_has_pixels_and_others_have_none(
    config: SHConfig, local: Any
) -> None:
    collection = local(DataCollection.SENTINEL2_L2A)
    search = SentinelHubCatalog(config=config).search(
        collection, bbox=AREA, time=MONTH, fields={"include": ["properties.datetime"]}
    )
    days = {moment.date() for moment in search.get_timestamps()}
    text = script('"dataMask"', "[sample.dataMask]")
    month = [dt.date(2024, 6, day) for day in range(1, 31)]
    assert days < set(month)
    found = {
        day
        for day in month
        if asked(collection, config, text, time_interval=(day.isoformat(), day.isoformat())).any()
    }
    assert found == days


def test_two_collections_in_one_script(config: SHConfig, local: Any) -> None:
    text = """//VERSION=3
function setup() { return {input: [{datasource: "heights", bands: ["DEM"]},
  {datasource: "optical", bands: ["B04", "B08"]}], output: {bands: 2, sampleType: "FLOAT32"}}; }
function evaluatePixel(samples) {
  const s = samples.optical[0];
  return [samples.heights[0].DEM, (s.B08 - s.B04) / (s.B08 + s.B04)]; }"""
    request = SentinelHubRequest(
        evalscript=text,
        input_data=[
            SentinelHubRequest.input_data(local(DataCollection.DEM), identifier="heights"),
            SentinelHubRequest.input_data(
                local(DataCollection.SENTINEL2_L2A), identifier="optical", time_interval=MONTH
            ),
        ],
        responses=[TIFF],
        bbox=AREA,
        size=SIZE,
        config=config,
    )
    (found,) = request.get_data()
    heights = asked(local(DataCollection.DEM), config, script('"DEM"', "[sample.DEM]"))
    assert np.array_equal(found[..., 0], heights)
    assert (np.abs(found[..., 1]) <= 1).all()


def test_the_same_pixels_come_asynchronously(config: SHConfig, local: Any, served: Served) -> None:
    collection = local(DataCollection.SENTINEL2_L2A)
    request = AsyncProcessRequest(
        evalscript=TRUE_COLOUR,
        input_data=[AsyncProcessRequest.input_data(collection, time_interval=MONTH)],
        responses=[TIFF],
        delivery=AsyncProcessRequest.s3_specification(
            "s3://results/public", iam_role_arn="arn:aws:iam::1:role/x"
        ),
        bbox=AREA,
        size=SIZE,
        config=config,
    )
    (made,) = request.get_data()
    served.tick(60)
    until = time.monotonic() + 100
    while get_async_running_status([made["id"]], config)[made["id"]]:
        assert time.monotonic() < until
    place = served.data / "buckets" / "results" / "public" / made["id"] / "default.tif"
    direct = SentinelHubRequest(
        evalscript=TRUE_COLOUR,
        input_data=[SentinelHubRequest.input_data(collection, time_interval=MONTH)],
        responses=[TIFF],
        bbox=AREA,
        size=SIZE,
        config=config,
    )
    assert place.read_bytes() == direct.get_data(decode_data=False)[0].content


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (script('"B99"', "[sample.B99]"), "B99"),
        (script('{bands: ["B04"], units: "KELVIN"}', "[sample.B04]"), "KELVIN"),
    ],
)
def test_what_a_collection_has_not_is_told(
    config: SHConfig, local: Any, text: str, told: str
) -> None:
    with pytest.raises(DownloadFailedException, match=told):
        asked(local(DataCollection.SENTINEL2_L2A), config, text, time_interval=MONTH)
