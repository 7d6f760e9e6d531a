"""How programs use the `sentinelhub` package for pixels: many at once, into folders, by date, over time, in fusion."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.warp import transform_bounds
from sentinelhub import (
    CRS,
    BBox,
    BBoxSplitter,
    ByocCollection,
    ByocTile,
    DataCollection,
    Geometry,
    MimeType,
    SentinelHubBYOC,
    SentinelHubCatalog,
    SentinelHubDownloadClient,
    SentinelHubRequest,
    SHConfig,
    filter_times,
)
from sentinelhub.exceptions import DownloadFailedException, SHRateLimitWarning, SHRuntimeWarning

from tests.sandbox import processing as p
from tests.support.served import Served

UTM = CRS("32633")
WHOLE = BBox(p.WHOLE, UTM)
DEGREES = BBox((15.0, 46.91, 15.06, 46.95), CRS.WGS84)
DAYS = (1, 6, 11)
SAME = p.script("return [samples.B04];", bands='["B04"]', output='{bands: 1, sampleType: "UINT16"}')
TIFF = SentinelHubRequest.output_response("default", MimeType.TIFF)
USERDATA = SentinelHubRequest.output_response("userdata", MimeType.JSON)


@pytest.fixture
def collection(served: Served, config: SHConfig) -> DataCollection:
    """A collection of three dates, each with numbers of its own."""
    for day in DAYS:
        for band in (4, 8):
            path = served.data / "buckets" / "days" / str(day) / f"B0{band}.tif"
            if not path.exists():
                p.write(path, p.numbers(band + 10 * day))
    byoc = SentinelHubBYOC(config=config)
    made = byoc.create_collection(ByocCollection(name="days", s3_bucket="days"))
    for day in DAYS:
        tile = ByocTile(path=f"{day}/(BAND).tif", sensing_time=dt.datetime(2025, 6, day, 10))
        byoc.create_tile(made, tile)
    served.tick(120)
    return DataCollection.define_byoc(made["id"])


def of_day(day: int, band: int = 4) -> np.ndarray:
    return p.numbers(band + 10 * day)


def request(
    collection: DataCollection, config: SHConfig, evalscript: str = SAME, **parts: Any
) -> SentinelHubRequest:
    place = {"bbox": WHOLE, "size": (p.SIZE, p.SIZE)}
    if {"bbox", "geometry"} & set(parts):
        place = {}
    item = {"time_interval": parts.pop("time_interval", None), **parts.pop("item", {})}
    return SentinelHubRequest(
        evalscript=evalscript,
        input_data=[SentinelHubRequest.input_data(collection, **item)],
        responses=parts.pop("responses", [TIFF]),
        config=config,
        **place,
        **parts,
    )


def test_many_requests_at_once_come_in_their_order(
    collection: DataCollection, config: SHConfig
) -> None:
    boxes = BBoxSplitter([WHOLE.geometry], UTM, (4, 2)).get_bbox_list()
    asked = [request(collection, config, bbox=box, size=(128, 256)) for box in boxes]
    client = SentinelHubDownloadClient(config=config)
    found = client.download([one.download_list[0] for one in asked], max_threads=4)
    assert len(found) == 8
    for box, pixels in zip(boxes, found, strict=True):
        left, top = round((box.min_x - p.WEST) / 10), round((p.NORTH - box.max_y) / 10)
        assert np.array_equal(pixels, of_day(11)[top : top + 256, left : left + 128])


def test_a_folder_keeps_what_was_asked_for(
    collection: DataCollection, config: SHConfig, served: Served, tmp_path: Path
) -> None:
    def asked(**options: Any) -> Any:
        return request(collection, config, data_folder=str(tmp_path)).get_data(**options)[0]

    first = asked(save_data=True)
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in folder.iterdir()} == {"request.json", "response.tiff"}
    told = json.loads((folder / "request.json").read_text())
    assert told["request"]["payload"]["evalscript"] == SAME
    assert "x-processingunits-spent" in {name.lower() for name in told["response"]["headers"]}
    assert np.array_equal(asked(), first)
    assert len(served.requests("/process/")) == 1
    assert np.array_equal(asked(save_data=True, redownload=True), first)
    assert len(served.requests("/process/")) == 2


def test_an_answer_undecoded_has_its_headers(collection: DataCollection, config: SHConfig) -> None:
    (answer,) = request(collection, config).get_data(decode_data=False)
    assert answer.headers["content-type"] == "image/tiff"
    assert float(answer.headers["x-processingunits-spent"]) == pytest.approx(1 / 3)
    assert answer.status_code == 200
    assert np.array_equal(answer.decode(), of_day(11))


def test_what_fails_can_be_left_out(collection: DataCollection, config: SHConfig) -> None:
    wrong = request(collection, config, p.script("return samples.x.y;"))
    with pytest.warns(SHRuntimeWarning):
        assert wrong.get_data(raise_download_errors=False) == [None]
    with pytest.raises(DownloadFailedException):
        wrong.get_data()


@pytest.mark.parametrize("kind", ["502", "503", "cut", "lost-answer"])
def test_misfortunes_are_survived(
    collection: DataCollection, config: SHConfig, served: Served, kind: str
) -> None:
    served.fault(kind, method="POST", path="/process/v1")
    assert np.array_equal(request(collection, config).get_data()[0], of_day(11))
    assert len(served.requests("/process/")) == 2


def test_a_limit_is_waited_for(
    collection: DataCollection, config: SHConfig, served: Served
) -> None:
    served.fault("429", path="/process/v1", retry_after_ms=20)
    with pytest.warns(SHRateLimitWarning):
        assert np.array_equal(request(collection, config).get_data()[0], of_day(11))


# By date, as `eo-learn` does: what is there, then a request for each date, several outputs in each.

BANDS = """//VERSION=3
function setup() { return {
  input: [{bands: ["B04", "B08", "dataMask"], units: ["DN", "DN", "DN"]}],
  output: [{id: "bands", bands: 2, sampleType: SampleType.UINT16},
           {id: "IS_DATA", bands: 1, sampleType: SampleType.UINT8}]}; }
function updateOutputMetadata(scenes, inputMetadata, outputMetadata) {
  outputMetadata.userData = {norm_factor: inputMetadata.normalizationFactor};
}
function evaluatePixel(sample) {
  return {bands: [sample.B04, sample.B08], IS_DATA: [sample.dataMask]}; }"""


def test_a_stack_of_dates_is_that_of_the_catalogue(
    collection: DataCollection, config: SHConfig
) -> None:
    span = ("2025-06-01", "2025-06-30")
    search = SentinelHubCatalog(config=config).search(
        collection, bbox=DEGREES, time=span, fields={"include": ["properties.datetime"]}
    )
    times = filter_times(search.get_timestamps(), dt.timedelta(seconds=1))
    assert [moment.day for moment in times] == list(DAYS)
    margin = dt.timedelta(seconds=1)
    responses = [
        SentinelHubRequest.output_response("bands", MimeType.TIFF),
        SentinelHubRequest.output_response("IS_DATA", MimeType.TIFF),
        USERDATA,
    ]
    asked = [
        request(
            collection,
            config,
            BANDS,
            responses=responses,
            time_interval=(moment - margin, moment + margin),
        )
        for moment in times
    ]
    client = SentinelHubDownloadClient(config=config)
    found = client.download([one.download_list[0] for one in asked])
    for day, parts in zip(DAYS, found, strict=True):
        assert set(parts) == {"bands.tif", "IS_DATA.tif", "userdata.json"}
        assert parts["bands.tif"].shape == (p.SIZE, p.SIZE, 2)
        assert np.array_equal(parts["bands.tif"][..., 0], of_day(day))
        assert np.array_equal(parts["bands.tif"][..., 1], of_day(day, 8))
        assert np.all(parts["IS_DATA.tif"] == 1)
        assert parts["userdata.json"] == {"norm_factor": 1}


# Over time in one request, as services on top do: as many bands as there are dates.

CUBE = """//VERSION=3
function setup() { return {input: ["B04"], mosaicking: "ORBIT",
  output: {id: "default", bands: 1, sampleType: "UINT16"}}; }
function updateOutput(outputs, collection) {
  Object.values(outputs).forEach((output) => { output.bands = collection.scenes.length; });
}
function updateOutputMetadata(scenes, inputMetadata, outputMetadata) {
  outputMetadata.userData = {dates: JSON.stringify(scenes.orbits.map((one) => one.dateFrom))};
}
function evaluatePixel(samples) { return samples.map((sample) => sample.B04); }"""


def test_a_cube_of_dates_in_one_answer(collection: DataCollection, config: SHConfig) -> None:
    asked = request(
        collection,
        config,
        CUBE,
        responses=[TIFF, USERDATA],
        time_interval=("2025-06-01", "2025-06-30"),
    )
    (found,) = asked.get_data()
    dates = json.loads(found["userdata.json"]["dates"])
    assert [date[:10] for date in dates] == [f"2025-06-{day:02}" for day in reversed(DAYS)]
    for number, day in enumerate(reversed(DAYS)):
        assert np.array_equal(found["default.tif"][..., number], of_day(day))


def test_the_newest_of_two_collections(collection: DataCollection, config: SHConfig) -> None:
    text = """//VERSION=3
function setup() { return {input: [{datasource: "early", bands: ["B04"]},
  {datasource: "late", bands: ["B04"]}], output: {bands: 2, sampleType: "UINT16"}}; }
function evaluatePixel(samples) { return [samples.early[0].B04, samples.late[0].B04]; }"""
    inputs = [
        SentinelHubRequest.input_data(
            collection, identifier=name, time_interval=(f"2025-06-{day:02}", f"2025-06-{day:02}")
        )
        for name, day in (("early", 1), ("late", 11))
    ]
    asked = SentinelHubRequest(
        evalscript=text,
        input_data=inputs,
        responses=[TIFF],
        bbox=WHOLE,
        size=(p.SIZE, p.SIZE),
        config=config,
    )
    (found,) = asked.get_data()
    assert np.array_equal(found[..., 0], of_day(1))
    assert np.array_equal(found[..., 1], of_day(11))


def test_a_box_with_a_geometry_in_it(collection: DataCollection, config: SHConfig) -> None:
    inner = [[p.WEST + x, p.NORTH - y] for x, y in ((0, 0), (0, 1000), (1000, 1000), (1000, 0))]
    geometry = Geometry({"type": "Polygon", "coordinates": [[*inner, inner[0]]]}, UTM)
    text = p.script(
        "return [samples.B04 * samples.dataMask];",
        bands='["B04", "dataMask"]',
        output='{bands: 1, sampleType: "UINT16"}',
    )
    asked = request(collection, config, text, bbox=WHOLE, geometry=geometry, size=(p.SIZE, p.SIZE))
    expected = np.zeros((p.SIZE, p.SIZE), "uint16")
    expected[:100, :100] = of_day(11)[:100, :100]
    assert np.array_equal(asked.get_data()[0], expected)


@pytest.mark.parametrize("crs", [CRS.WGS84, CRS.POP_WEB])
def test_one_place_in_any_crs(collection: DataCollection, config: SHConfig, crs: CRS) -> None:
    """The pixel in the middle is the same, whatever it is called."""
    middle = (p.WEST + 2563, p.NORTH - 2567, p.WEST + 2567, p.NORTH - 2563)
    box = BBox(transform_bounds("EPSG:32633", f"EPSG:{crs.epsg}", *middle), crs)
    asked = request(collection, config, bbox=box, size=(1, 1))
    assert asked.get_data()[0] == of_day(11)[256, 256]


def test_other_arguments_reach_the_service(collection: DataCollection, config: SHConfig) -> None:
    text = p.script("return [samples.B04 / 10000];", bands='["B04"]', output="{bands: 1}")
    sizes = []
    for quality in (10, 95):
        jpeg = SentinelHubRequest.output_response(
            "default", MimeType.JPG, other_args={"format": {"quality": quality}}
        )
        (answer,) = request(collection, config, text, responses=[jpeg]).get_data(decode_data=False)
        sizes.append(len(answer.content))
    assert sizes[0] < sizes[1] / 2
    item = {"other_args": {"dataFilter": {"mosaickingOrder": "leastRecent"}}, "maxcc": 0.3}
    assert np.array_equal(request(collection, config, item=item).get_data()[0], of_day(1))
