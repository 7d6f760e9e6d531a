"""The Statistical API over tiles: equal to what rasterio and numpy alone make of the same files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shplan.script import Limits

from . import processing as p
from . import statistical as s
from .support import BUCKET, Driver, sandbox, shared_scripts

DAYS = {
    "one": "2025-06-01T10:00:00Z",
    "two": "2025-06-02T00:00:00Z",
    "three": "2025-06-11T23:59:59Z",
}
FIELD = {
    "type": "Polygon",
    "coordinates": [
        [
            [p.WEST + 126, p.NORTH - 51],
            [p.WEST + 1051, p.NORTH - 301],
            [p.WEST + 701, p.NORTH - 1102],
            [p.WEST + 126, p.NORTH - 51],
        ]
    ],
}
UTM = {"crs": p.EPSG.format(32633)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("statistics")


@pytest.fixture(scope="module")
def api(place: Path) -> Iterator[Driver]:
    """One sandbox for all tests here, as statistics change nothing."""
    with sandbox(place) as driver:
        yield driver.login()


@pytest.fixture(scope="module")
def bucket(place: Path) -> Path:
    return place / "buckets" / BUCKET


@pytest.fixture(scope="module")
def many(api: Driver, bucket: Path) -> str:
    """Three tiles at one place, each of another time."""
    for number, name in enumerate(DAYS):
        for band in (4, 8):
            data = p.numbers(10 * number + band, size=s.SIZE)
            data[: 3 * number, :] = 0
            p.write(bucket / name / f"B0{band}.tif", data)
    return p.collection(api, dict(DAYS), noData=0)


def red(bucket: Path, name: str) -> Path:
    return bucket / name / "B04.tif"


# Intervals.


def test_intervals_without_scenes_are_left_out(api: Driver, many: str) -> None:
    content = s.answered(api, s.body(many))
    assert s.days(content) == ["2025-06-01", "2025-06-02", "2025-06-11"]
    assert content["status"] == "OK"
    assert content["data"][0]["interval"] == {
        "from": "2025-06-01T00:00:00Z",
        "to": "2025-06-02T00:00:00Z",
    }


def test_an_instant_belongs_to_the_interval_that_it_begins(
    api: Driver, many: str, bucket: Path
) -> None:
    time = ("2025-06-01T00:00:00Z", "2025-06-03T00:00:00Z")
    content = s.answered(api, s.body(many, time=time))
    numbers, _ = s.read(red(bucket, "two"))
    assert s.stats(content, 1) == pytest.approx(s.expected(numbers[numbers != 0], numbers.size))


def test_an_interval_is_one_mosaic(api: Driver, many: str, bucket: Path) -> None:
    """The newest tile is used, and where it has no data there are none."""
    content = s.answered(api, s.body(many, of="P30D"))
    assert s.days(content) == ["2025-06-01"]
    numbers, _ = s.read(red(bucket, "three"))
    assert s.stats(content) == pytest.approx(s.expected(numbers[numbers != 0], numbers.size))


def test_the_order_of_the_mosaic_is_that_of_the_request(
    api: Driver, many: str, bucket: Path
) -> None:
    item = {"dataFilter": {"mosaickingOrder": "leastRecent"}}
    content = s.answered(api, s.body(many, of="P30D", item=item))
    numbers, _ = s.read(red(bucket, "one"))
    assert s.stats(content)["mean"] == pytest.approx(numbers.mean())


@pytest.mark.parametrize(
    ("last", "days"),
    [
        (None, ["2025-06-01"]),
        ("SKIP", ["2025-06-01"]),
        ("SHORTEN", ["2025-06-01", "2025-06-11"]),
        ("EXTEND", ["2025-06-01", "2025-06-11"]),
    ],
)
def test_the_last_interval(api: Driver, many: str, last: str | None, days: list[str]) -> None:
    time = ("2025-06-01T00:00:00Z", "2025-06-11T23:59:59.500Z")
    content = s.answered(api, s.body(many, of="P10D", time=time, last=last))
    assert s.days(content) == days
    ends = {"SHORTEN": time[1], "EXTEND": "2025-06-21T00:00:00Z"}
    assert content["data"][-1]["interval"]["to"] == ends.get(str(last), "2025-06-11T00:00:00Z")


def test_an_extended_interval_sees_what_lies_behind_the_range(api: Driver, many: str) -> None:
    time = ("2025-06-10T00:00:00Z", "2025-06-11T12:00:00Z")
    assert s.answered(api, s.body(many, time=time, last="SHORTEN"))["data"] == []
    assert s.days(s.answered(api, s.body(many, time=time, last="EXTEND"))) == ["2025-06-11"]


def test_time_ranges_may_have_offsets(api: Driver, many: str) -> None:
    time = ("2025-06-01T22:00:00-02:00", "2025-06-03T02:00:00+02:00")
    content = s.answered(api, s.body(many, time=time))
    assert [one["interval"]["from"] for one in content["data"]] == ["2025-06-02T00:00:00Z"]


def test_the_time_of_a_data_set_is_not_used(api: Driver, many: str) -> None:
    span = {"from": "2030-01-01T00:00:00Z", "to": "2030-01-02T00:00:00Z"}
    item = {"dataFilter": {"timeRange": span}}
    assert len(s.answered(api, s.body(many, item=item))["data"]) == 3


def test_tiles_without_a_time_are_in_every_interval(api: Driver, bucket: Path) -> None:
    p.write(bucket / "still" / "B04.tif", p.numbers(1, size=s.SIZE))
    kind = p.collection(api, {"still": None})
    time = ("2025-06-01T00:00:00Z", "2025-06-05T00:00:00Z")
    content = s.answered(api, s.body(kind, time=time))
    assert len(content["data"]) == 4
    assert len({str(one["outputs"]) for one in content["data"]}) == 1


def test_no_interval_at_all(api: Driver, many: str) -> None:
    time = ("2025-06-01T00:00:00Z", "2025-06-01T00:00:00Z")
    assert s.answered(api, s.body(many, time=time))["data"] == []


# Numbers.


def test_a_polygon_is_what_rasterio_makes_of_it(api: Driver, many: str, bucket: Path) -> None:
    bounds = {"bbox": s.PLACE, "geometry": FIELD, "properties": UTM}
    content = s.answered(api, s.body(many, bounds=bounds))
    for number, name in enumerate(DAYS):
        values = s.zone(red(bucket, name), FIELD)
        assert s.stats(content, number) == pytest.approx(
            s.expected(values[values != 0], s.SIZE * s.SIZE)
        )
    assert content["geometryPixelCount"] == s.zone(red(bucket, "one"), FIELD).size


SIDE = s.SIZE * p.PIXEL
CORNERS = st.lists(
    st.tuples(st.integers(0, SIDE), st.integers(0, SIDE)), min_size=3, max_size=3, unique=True
)


@settings(max_examples=12)
@given(corners=CORNERS)
def test_any_triangle_is_what_rasterio_makes_of_it(
    api: Driver, many: str, bucket: Path, corners: list[tuple[int, int]]
) -> None:
    ring = [[p.WEST + x, p.NORTH - y] for x, y in (*corners, corners[0])]
    triangle = {"type": "Polygon", "coordinates": [ring]}
    assume(shapely.geometry.shape(triangle).area > 0)
    time = ("2025-06-01T00:00:00Z", "2025-06-02T00:00:00Z")
    bounds = {"bbox": s.PLACE, "geometry": triangle, "properties": UTM}
    content = s.answered(api, s.body(many, bounds=bounds, time=time))
    values = s.zone(red(bucket, "one"), triangle)
    assert content["geometryPixelCount"] == values.size
    if values.size:
        assert s.stats(content) == pytest.approx(s.expected(values, s.SIZE**2))
    else:
        assert s.stats(content)["mean"] == "NaN"


def test_a_polygon_alone_has_the_pixels_of_its_box(api: Driver, many: str) -> None:
    bounds = {"geometry": FIELD, "properties": UTM}
    content = s.answered(api, s.body(many, bounds=bounds, size=None, resx=20, resy=20))
    # 925 m x 1051 m
    assert s.stats(content)["sampleCount"] == 46 * 53


def test_pixels_by_resolution_are_rounded(api: Driver, many: str) -> None:
    """Source: the example of the pages: 544 m x 600 m at 20 m are 27 x 30."""
    bbox = [p.WEST, p.NORTH - 600, p.WEST + 544, p.NORTH]
    bounds = {"bbox": bbox, "properties": UTM}
    content = s.answered(api, s.body(many, bounds=bounds, size=None, resx=20, resy=20))
    assert s.stats(content)["sampleCount"] == 810
    assert content["geometryPixelCount"] == 810


def test_without_a_size_there_are_256_pixels_each_way(api: Driver, many: str) -> None:
    assert s.stats(s.answered(api, s.body(many, size=None)))["sampleCount"] == 256 * 256


def test_values_are_32_bit_floats_unless_the_script_says_otherwise(
    api: Driver, many: str, bucket: Path
) -> None:
    content = s.answered(api, s.body(many, s.NDVI))
    b04, b08 = (s.read(bucket / "one" / f"B0{band}.tif")[0].astype(float) for band in (4, 8))
    ndvi = ((b08 - b04) / (b08 + b04)).astype("float32").astype("float64")
    found = s.stats(content, output="ndvi")
    assert (found["min"], found["max"]) == (ndvi.min(), ndvi.max())
    assert found == pytest.approx(s.expected(ndvi, ndvi.size))


def test_whole_outputs_are_rounded_and_clamped(api: Driver, many: str, bucket: Path) -> None:
    text = s.script(
        "return {raw: [samples.B04 / 20], dataMask: [samples.dataMask]};",
        output='{id: "raw", bands: 1, sampleType: "UINT8"}, {id: "dataMask", bands: 1}',
    )
    numbers, _ = s.read(red(bucket, "one"))
    whole = np.clip(np.floor(numbers / 20 + 0.5), 0, 255)
    found = s.stats(s.answered(api, s.body(many, text)))
    assert found == pytest.approx(s.expected(whole, whole.size))
    assert isinstance(found["max"], float)


def test_percentiles_and_all_kinds_of_bins(api: Driver, many: str, bucket: Path) -> None:
    text = s.script(
        "return {raw: [samples.B04, samples.B04, samples.B04], dataMask: [samples.dataMask]};",
        output='{id: "raw", bands: ["x", "y", "z"], sampleType: "UINT16"}, {id: "dataMask", bands: 1}',
    )
    calculations = {
        "raw": {
            "statistics": {"default": {"percentiles": {"k": [5, 50, 95]}}},
            "histograms": {
                "x": {"nBins": 5, "lowEdge": 1000, "highEdge": 9000},
                "y": {"binWidth": 500, "lowEdge": 0},
                "default": {"bins": [1, 10, 100, 1000, 9999]},
            },
        }
    }
    content = s.answered(api, s.body(many, text, calculations=calculations))
    numbers, _ = s.read(red(bucket, "one"))
    ranks = np.percentile(numbers, [5, 50, 95])
    wanted = {
        "x": np.arange(1000, 9001, 1600),
        "y": np.arange(0, numbers.max() + 501, 500),
        "z": np.array([1, 10, 100, 1000, 9999]),
    }
    for name, edges in wanted.items():
        found = s.band(content, name=name)
        assert found["stats"]["percentiles"] == dict(
            zip(("5.0", "50.0", "95.0"), ranks.tolist(), strict=True)
        )
        bins = found["histogram"]["bins"]
        assert [bins[0]["lowEdge"], *(one["highEdge"] for one in bins)] == edges.tolist()
        counts, _ = np.histogram(numbers, edges)
        assert [one["count"] for one in bins] == counts.tolist()
        assert found["histogram"]["underflow"] == (numbers < edges[0]).sum()
        assert found["histogram"]["overflow"] == (numbers > edges[-1]).sum()


def test_default_stands_for_outputs_without_an_entry(api: Driver, many: str) -> None:
    text = s.script(
        "return {a: [1, 2], b: [3], dataMask: [samples.dataMask]};",
        output='{id: "a", bands: 2}, {id: "b", bands: 1}, {id: "dataMask", bands: 1}',
    )
    half = {"default": {"percentiles": {"k": [50]}}}
    bins = {"B1": {"bins": [0.5, 2.5]}}
    calculations = {"a": {"histograms": bins}, "default": {"statistics": half}}
    content = s.answered(api, s.body(many, text, calculations=calculations))
    outputs = content["data"][0]["outputs"]
    assert "histogram" in outputs["a"]["bands"]["B1"]
    assert "histogram" not in outputs["a"]["bands"]["B0"]
    assert "percentiles" not in outputs["a"]["bands"]["B0"]["stats"]
    assert outputs["b"]["bands"]["B0"]["stats"]["percentiles"] == {"50.0": 3.0}
    assert "dataMask" not in outputs


def test_bins_are_of_the_kind_of_the_output(api: Driver, many: str) -> None:
    whole = {"default": {"histograms": {"default": {"nBins": 2, "lowEdge": 0, "highEdge": 10}}}}
    part = {"default": {"histograms": {"default": {"nBins": 2, "lowEdge": 0.0, "highEdge": 10.0}}}}
    assert "calculations->default->histograms" in str(
        s.refused(api, s.body(many, s.RAW, calculations=whole))
    )
    s.refused(api, s.body(many, s.WHOLE, calculations=part))
    for text, calculations, kind in ((s.RAW, part, float), (s.WHOLE, whole, int)):
        content = s.answered(api, s.body(many, text, calculations=calculations))
        edge = s.band(content)["histogram"]["bins"][1]["lowEdge"]
        assert (edge, type(edge)) == (5, kind)
    api.configure(histogram_mismatch="accept")
    content = s.answered(api, s.body(many, s.RAW, calculations=whole))
    assert isinstance(s.band(content)["histogram"]["bins"][1]["lowEdge"], float)
    api.configure(histogram_mismatch="refuse")


# Masks.


def test_a_mask_is_what_the_script_says(api: Driver, many: str, bucket: Path) -> None:
    text = s.script("return {raw: [samples.B04], dataMask: [samples.B04 > 5000]};")
    numbers, _ = s.read(red(bucket, "one"))
    content = s.answered(api, s.body(many, text))
    assert s.stats(content) == pytest.approx(s.expected(numbers[numbers > 5000], numbers.size))


def test_nothing_is_masked_that_the_script_lets_pass(api: Driver, many: str, bucket: Path) -> None:
    """Source: the page on `dataMask`: nothing is masked automatically."""
    text = s.script("return {raw: [samples.B04], dataMask: [1]};")
    numbers, _ = s.read(red(bucket, "three"))
    found = s.stats(s.answered(api, s.body(many, text)), 2)
    assert (found["min"], found["noDataCount"]) == (0.0, 0)
    assert found == pytest.approx(s.expected(numbers, numbers.size))


def test_an_interval_whose_samples_all_are_masked_is_told_with_nan(api: Driver, many: str) -> None:
    text = s.script("return {raw: [samples.B04], dataMask: [0]};")
    content = s.answered(api, s.body(many, text))
    assert content["status"] == "OK"
    assert s.stats(content) == {
        **dict.fromkeys(("min", "max", "mean", "stDev"), "NaN"),
        "sampleCount": s.SIZE * s.SIZE,
        "noDataCount": s.SIZE * s.SIZE,
    }


def test_a_mask_for_each_output_by_name(api: Driver, many: str) -> None:
    """Source: the example of the pages: what is not named has no mask."""
    text = s.script(
        "return {a: [1], b: [2], c: [3], dataMask: [1, samples.B04 > 5000]};",
        output='{id: "a", bands: 1}, {id: "b", bands: 1}, {id: "c", bands: 1},'
        ' {id: "dataMask", bands: ["c", "a"]}',
    )
    content = s.answered(api, s.body(many, text))
    missing = {name: s.stats(content, output=name)["noDataCount"] for name in "abc"}
    assert missing["a"] > 0
    assert (missing["b"], missing["c"]) == (0, 0)


def test_values_that_are_no_numbers_are_no_data(api: Driver, many: str, bucket: Path) -> None:
    text = s.script("return {raw: [samples.B04 > 5000 ? samples.B04 : NaN], dataMask: [1]};")
    numbers, _ = s.read(red(bucket, "one"))
    content = s.answered(api, s.body(many, text))
    assert s.stats(content) == pytest.approx(s.expected(numbers[numbers > 5000], numbers.size))


# Scripts with several samples.


def test_samples_of_an_interval_are_those_of_its_scenes(
    api: Driver, many: str, bucket: Path
) -> None:
    text = s.script(
        "let sum = 0, seen = 0; for (const one of samples) { sum += one.B04; seen += one.dataMask; }"
        "return {raw: [sum, samples.length], dataMask: [seen > 0]};",
        output='{id: "raw", bands: 2}, {id: "dataMask", bands: 1}',
        mosaicking="TILE",
    )
    content = s.answered(api, s.body(many, text, of="P10D"))
    assert [s.stats(content, number, name="B1")["max"] for number in (0, 1)] == [2.0, 1.0]
    both = [s.read(red(bucket, name))[0].astype(float) for name in ("one", "two")]
    assert s.stats(content)["mean"] == pytest.approx((both[0] + both[1]).mean())


def test_the_script_begins_anew_in_every_interval(api: Driver, many: str) -> None:
    text = "let calls = 0;\n" + s.script(
        "calls += 1; return {raw: [calls], dataMask: [1]};"
    ).removeprefix("//VERSION=3\n")
    content = s.answered(api, s.body(many, "//VERSION=3\n" + text, size=(4, 4)))
    assert [s.stats(content, number)["max"] for number in range(3)] == [16.0] * 3


def test_scenes_may_be_chosen_by_the_times_of_the_interval(api: Driver, many: str) -> None:
    more = """
function preProcessScenes(collections) {
  collections.scenes.tiles = collections.scenes.tiles.filter(
    (tile) => new Date(tile.date) - collections.from < 12 * 3600 * 1000);
  return collections;
}"""
    text = s.script("return {raw: [samples.length], dataMask: [1]};", mosaicking="TILE", more=more)
    content = s.answered(api, s.body(many, text, of="P10D", size=(4, 4)))
    assert [s.stats(content, number)["max"] for number in (0, 1)] == [1.0, 0.0]


def test_bands_may_be_as_many_as_scenes(api: Driver, many: str) -> None:
    more = (
        "function updateOutput(output, collection) { output.raw.bands = collection.scenes.length; }"
    )
    text = s.script(
        "return {raw: samples.map((one) => one.B04), dataMask: [1]};", mosaicking="TILE", more=more
    )
    content = s.answered(api, s.body(many, text, of="P10D", size=(4, 4)))
    bands = [list(one["outputs"]["raw"]["bands"]) for one in content["data"]]
    assert bands == [["B0", "B1"], ["B0"]]


# Intervals that fail, and requests that do.


def test_an_interval_that_fails_tells_so_in_its_place(api: Driver, many: str) -> None:
    text = s.script(
        "if (scenes.tiles.length > 1) { throw new Error('two'); }return {raw: [1], dataMask: [1]};",
        mosaicking="TILE",
    )
    content = s.answered(api, s.body(many, text, of="P10D", size=(4, 4)))
    assert content["status"] == "PARTIAL"
    first, second = content["data"]
    assert first["error"]["type"] == "EXECUTION_ERROR"
    assert "two" in first["error"]["message"]
    assert "outputs" not in first
    assert second["outputs"]["raw"]["bands"]["B0"]["stats"]["mean"] == 1.0


def test_a_file_that_vanished_is_an_error_of_its_interval(
    api: Driver, many: str, bucket: Path
) -> None:
    away = red(bucket, "two").rename(bucket / "away.tif")
    content = s.answered(api, s.body(many))
    away.rename(red(bucket, "two"))
    assert [one.get("error", {}).get("type") for one in content["data"]] == [
        None,
        "EXECUTION_ERROR",
        None,
    ]


def test_where_every_interval_fails_all_failed(api: Driver, many: str) -> None:
    text = s.script("return nothing.at.all;")
    content = s.answered(api, s.body(many, text, size=(4, 4)))
    assert content["status"] == "FAILED"
    assert len(content["data"]) == 3


def test_a_script_without_end_is_not_run_for_every_interval(
    api: Driver, many: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The engine is that of all sandboxes here, whose own settings it does not ask.
    monkeypatch.setattr(shared_scripts(), "_limits", lambda: Limits(pixels_s=0.2))
    text = s.script("for (;;) ; return {raw: [1], dataMask: [1]};")
    content = s.answered(api, s.body(many, text, size=(4, 4)))
    assert content["status"] == "FAILED"
    told = [one["error"] for one in content["data"]]
    assert [one["type"] for one in told] == ["TIMEOUT"] * 3
    assert "not run for this one" in told[2]["message"]
    assert "not run for this one" not in told[1]["message"]


def test_bins_without_end_are_an_error_of_their_interval(api: Driver, many: str) -> None:
    calculations = {"default": {"histograms": {"default": {"binWidth": 1e-9}}}}
    content = s.answered(api, s.body(many, calculations=calculations, size=(4, 4)))
    assert content["data"][0]["error"]["type"] == "BAD_REQUEST"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (p.script("return [1];", bands='["B04"]'), "dataMask"),
        (s.script("return [1];", output='{id: "dataMask", bands: 1}'), "beside"),
        ("//VERSION=3\nreturn [B04];", "setup"),
        ("//VERSION=3\nfunction setup( {", ""),
        (s.script("return {raw: [1]};", bands='["B99"]'), "B99"),
        (s.script("return [1];", output='{id: "a", bands: 1}, {id: "dataMask", bands: ["b", "a"]}'),
         "no such output"),
        (s.script("return [1];", output='{id: "a", bands: 1}, {id: "dataMask", bands: 3}'),
         "one for each output"),
    ],
)  # fmt: skip
def test_scripts_that_cannot_be_used_are_refused(
    api: Driver, many: str, text: str, told: str
) -> None:
    assert told in str(s.refused(api, s.body(many, text)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"of": "PT12H"}, "at least one day"),
        ({"of": "P1DT1H"}, "ISO 8601"),
        ({"of": ""}, "ISO 8601"),
        ({"last": "CUT"}, "lastIntervalBehavior"),
        ({"time": ("2025-06-02T00:00:00Z", "2025-06-01T00:00:00Z")}, "timeRange"),
        ({"time": ("2025-06-01", "2025-06-02T00:00:00Z")}, "from"),
        ({"time": ("0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z")}, "intervals"),
        ({"resx": 10}, "not both"),
        ({"size": None, "resx": 0.1, "resy": 0.1}, "aggregation->resx"),
        ({"size": (2501, 1)}, "width"),
        ({"calculations": {"other": {}}}, "calculations->other"),
        ({"calculations": {"raw": {"statistics": {"B7": {}}}}}, "B7"),
    ],
)
def test_requests_that_cannot_be_meant_are_refused(
    api: Driver, many: str, change: dict[str, Any], told: str
) -> None:
    assert told in str(s.refused(api, s.body(many, **change)))


@pytest.mark.parametrize(
    "histogram",
    [
        {},
        {"nBins": 3, "binWidth": 1.0},
        {"nBins": 0},
        {"nBins": 2.5},
        {"nBins": 1e9},
        {"binWidth": 0},
        {"binWidth": -1.0},
        {"binWidth": 1e-9, "lowEdge": 0.0, "highEdge": 1.0},
        {"bins": [1.0]},
        {"bins": [1.0, 1.0]},
        {"bins": [2.0, 1.0]},
        {"nBins": 2, "lowEdge": 1.0, "highEdge": 1.0},
    ],
)
def test_histograms_that_cannot_be_meant_are_refused(
    api: Driver, many: str, histogram: dict[str, Any]
) -> None:
    calculations = {"raw": {"histograms": {"B0": histogram}}}
    assert "histograms->B0" in str(s.refused(api, s.body(many, calculations=calculations)))


def test_somebody_elses_collection_is_refused(api: Driver, many: str) -> None:
    api.configure(clients={"other": {"secret": "x", "account": "other"}})
    api.login("other", "x")
    told = s.refused(api, s.body(many))
    api.login()
    assert "not found" in told["message"]


def test_more_than_a_worker_can_do_is_refused(api: Driver, bucket: Path) -> None:
    p.write(bucket / "always" / "B04.tif", p.numbers(2, size=s.SIZE))
    kind = p.collection(api, {"always": None})
    time = ("2000-01-01T00:00:00Z", "2010-01-01T00:00:00Z")
    assert "too large" in s.refused(api, s.body(kind, time=time))["message"]
    time = ("2000-01-01T00:00:00Z", "2001-01-01T00:00:00Z")
    assert "too large" in s.refused(api, s.body(kind, time=time, size=(2500, 2500)))["message"]


# What it costs.


def spent(api: Driver, request: dict[str, Any]) -> float:
    return float(s.asked(api, request).headers["x-processingunits-spent"])


def test_every_sample_of_every_interval_is_paid_for(api: Driver, many: str) -> None:
    # Three days, two bands, dataMask is free.
    area = s.SIZE**2 / 512**2
    assert spent(api, s.body(many, s.NDVI)) == pytest.approx(3 * 2 / 3 * area)
    tiles = s.script("return {raw: [samples.length], dataMask: [1]};", mosaicking="TILE")
    assert spent(api, s.body(many, tiles, of="P30D")) == pytest.approx(3 * 1 / 3 * area)
    assert spent(api, s.body(many, s.NDVI, of="P30D")) == pytest.approx(2 / 3 * area)


def test_a_hundredth_is_the_least(api: Driver, many: str) -> None:
    assert spent(api, s.body(many, s.RAW, of="P30D", size=(10, 10))) == 0.01
    time = ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z")
    assert spent(api, s.body(many, time=time)) == 0.01


def test_the_meter_counts_it(api: Driver, many: str) -> None:
    before = api.get("/_sandbox/meter").json()["pu"]
    cost = spent(api, s.body(many))
    assert api.get("/_sandbox/meter").json()["pu"] == pytest.approx(before + cost)


# At the wire.


def test_both_paths_and_a_body_in_parts(api: Driver, many: str) -> None:
    request = s.body(many, size=(4, 4))
    expected = s.answered(api, request)
    assert api.post("/api/v1/statistics", request).json() == expected
    text = request["aggregation"].pop("evalscript")
    parts = {"request": (None, json.dumps(request), "application/json"), "evalscript": (None, text)}
    answer = api.send("POST", s.STATISTICS, files=parts)
    assert answer.status_code == 200, answer.text
    assert answer.json() == expected


def test_the_same_request_gives_the_same_bytes(api: Driver, many: str) -> None:
    request = s.body(many, s.NDVI, calculations={
        "default": {"histograms": {"default": {"nBins": 7}},
                    "statistics": {"default": {"percentiles": {"k": [33, 66]}}}}})  # fmt: skip
    assert s.asked(api, request).content == s.asked(api, request).content
