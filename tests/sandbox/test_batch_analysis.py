"""What fails at creation, what fails in the analysis, and with which words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .batches import AOI, NDVI, TASKS, analysed, body, create, done, files, pu, read, script, start
from .support import Driver, sandbox, violations, write_cog

UTM33 = "http://www.opengis.net/def/crs/EPSG/0/32633"
ZARR = {
    "type": "zarr",
    "group": {"zarr_format": 2},
    "arrayParameters": {"dtype": "<f4", "chunks": [1, 100, 100], "order": "C", "fill_value": 0},
}
ARRAYS = [{"identifier": "default", "format": {"type": "zarr/array"}}]
WIDE = {"id": 6, "resolution": 100}


def tiff(*identifiers: str) -> list[dict[str, Any]]:
    return [{"identifier": one, "format": {"type": "image/tiff"}} for one in identifiers]


USERDATA = {"identifier": "userdata", "format": {"type": "application/json"}}


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ({"grid": {"id": 4}}, "input->id"),
        ({"grid": {"resolution": 10}}, "input->resolution"),
        ({"grid": {"bufferX": -1}}, "input->bufferX"),
        ({"grid": {"bufferY": 40_000}}, "input->bufferY"),
        ({"bounds": {}}, "bounds"),
        ({"bbox": [15, 46, 14, 47]}, "bbox"),
        ({"bbox": [15, 46, 15, 47]}, "bbox"),
        ({"bbox": [170, 46, 190, 47]}, "bounds"),
        ({"bbox": [1e300, 1e300, 1e308, 1e308]}, "bounds"),
        ({"bounds": {"bbox": AOI, "properties": {"crs": "EPSG:32633"}}}, "crs"),
        ({"bounds": {"bbox": [-1e8, -1e8, 1e8, 1e8], "properties": {"crs": UTM33}}}, "bounds"),
        ({"bounds": {"geometry": {"type": "Polygon", "coordinates": []}}}, "geometry"),
        ({"bounds": {"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0]]]}}}, "geometry"),
        ({"bounds": {"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1]]]}}}, "geometry"),
        ({"bounds": {"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [2, 2], [0, 0]]]}}}, "geometry"),
        ({"data": [{"type": "sentinel-2-l2a", "id": "a"}, {"type": "dem", "id": "a"}]}, "data"),
        ({"data": [{"type": "sentinel-2-l2a", "dataFilter": {"timeRange": {"from": "2025-02-30T00:00:00Z"}}}]}, "timeRange"),
        ({"data": [{"type": "dem", "dataFilter": {"timeRange": {"from": "2025-02-02T00:00:00Z", "to": "2025-02-01T00:00:00Z"}}}]}, "timeRange"),
        ({"responses": tiff("a", "a")}, "responses"),
        ({"responses": tiff("userdata")}, "responses"),
        ({"responses": [{**USERDATA, "identifier": "default"}]}, "responses"),
        ({"responses": ARRAYS}, "responses"),
        ({"output": ZARR}, "responses"),
        ({"output": ZARR, "responses": ARRAYS}, "input->id"),
        ({"output": {**ZARR, "group": {"zarr_format": 3}}, "responses": ARRAYS, "grid": WIDE}, "zarr_format"),
        ({"output": {"createCollection": True}}, "cogOutput"),
        ({"url": "results/ndvi"}, "url"),
        ({"url": "https://results/ndvi"}, "url"),
        ({"url": "s3://results/../x"}, "url"),
        ({"url": "s3://../x"}, "url"),
        ({"url": "s3://results/<outputId>.tif"}, "url"),
        ({"url": "s3://results/<requestId>/x.tif"}, "url"),
        ({"url": "s3://results/<tileName>.tif", "responses": tiff("a", "b")}, "url"),
        ({"source": {"type": "geopackage", "features": {"s3": {"url": "s3://b/x.json"}}}}, "features"),
        ({"source": {"type": "geopackage", "features": {"s3": {"url": "b/x.gpkg"}}}}, "features"),
        ({"output": {"delivery": {"s3": {"url": "s3://b/x", "accessKey": "a"}}}}, "s3"),
    ],
    ids=str,
)  # fmt: skip
def test_what_creation_refuses(api: Driver, parts: dict[str, Any], named: str) -> None:
    answer = api.post(TASKS, body(**parts))
    assert answer.status_code == 400, answer.text
    (parameter,) = violations(answer)
    assert named in parameter
    assert api.get(TASKS).json()["data"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"processRequest": None},
        {"input": {"type": "other"}},
        {"output": {"type": "raster"}},
        {"output": {"type": "raster", "delivery": {}}},
        {"output": {"type": "raster", "delivery": {"s3": {"url": "s3://a/b"}, "gs": {"url": "gs://a/b", "credentials": "x"}}}},
        {"instanceType": "huge"},
        {"description": 5},
    ],
    ids=str,
)  # fmt: skip
def test_what_the_schema_refuses(api: Driver, change: dict[str, Any]) -> None:
    assert api.post(TASKS, {**body(), **change}).status_code == 400


def test_a_delivery_to_google_is_a_bucket_too(api: Driver, tmp_path: Path) -> None:
    place = {"gs": {"url": "gs://cloud/x", "credentials": "c2VjcmV0"}}
    task = create(api, output={"delivery": place})
    assert files(tmp_path, "cloud") == [f"x/request-{task}.json"]
    told = read(api, task)["request"]["output"]["delivery"]["gs"]
    assert told == {"url": "gs://cloud/x", "credentials": "***"}


def test_a_bucket_that_is_not_there_may_be_refused(api: Driver, tmp_path: Path) -> None:
    api.configure(missing_bucket="refuse")
    answer = api.post(TASKS, body())
    assert answer.status_code == 400
    assert api.get(TASKS).json()["data"] == []
    (tmp_path / "buckets/results").mkdir(parents=True)
    create(api)


@pytest.mark.parametrize(
    ("evalscript", "parts", "told"),
    [
        ("//VERSION=3\nfunction setup( {", {}, "line 2"),
        ("function evaluatePixel() {}", {}, ""),
        (script("{input: ['B04'], output: {bands: 1}}").replace("evaluatePixel", "x"), {}, "evaluatePixel"),
        ("//VERSION=3\nfunction setup() { throw new Error('not today') }\nfunction evaluatePixel() {}", {}, "not today"),
        (script("{input: ['B04'], output: {id: 'other', bands: 1}}"), {}, "Output default"),
        (NDVI, {"responses": tiff("default", "extra")}, "Output extra"),
        (script("{input: ['B04'], output: {bands: 1, sampleType: 'INT8'}}"), {"output": {"cogOutput": True}}, "INT8"),
        (script("{input: ['B04'], output: {bands: 2}}"), {"output": ZARR, "responses": ARRAYS, "grid": WIDE}, "one band"),
        (script("{input: [{datasource: 'x', bands: ['B04']}], output: {bands: 1}}"), {}, "Datasource x"),
        (NDVI, {"grid": {"id": 6, "resolution": 100}, "bbox": [100, 50, 101, 51]}, "intersects"),
        (NDVI, {"grid": {"id": 1, "resolution": 10}, "bbox": [-179, -79, 179, 79]}, "too many tiles"),
    ],
    ids=lambda value: value if isinstance(value, str) and "\n" not in value else "",
)  # fmt: skip
def test_what_fails_in_the_analysis(
    api: Driver, evalscript: str, parts: dict[str, Any], told: str
) -> None:
    task = analysed(api, evalscript=evalscript, **parts)
    assert task["status"] == "FAILED"
    assert told in task["error"]
    start_again = api.post(f"{TASKS}/{task['id']}/start")
    assert start_again.status_code == 400
    assert pu(api) == 0


def test_a_started_task_that_fails_is_not_charged(api: Driver) -> None:
    task = done(api, evalscript="//VERSION=3\n(")
    assert (task["status"], task["costPU"], task["userAction"]) == ("FAILED", 0, "START")


@pytest.mark.parametrize(
    ("output", "existing", "status", "features"),
    [
        ({}, [], "DONE", 2),
        ({}, ["33N_4_51.tif"], "FAILED", 0),
        ({"overwrite": True}, ["33N_4_51.tif"], "DONE", 2),
        ({"skipExisting": True}, ["33N_4_51.tif"], "DONE", 1),
        ({"skipExisting": True, "overwrite": True}, ["33N_4_51.tif"], "DONE", 1),
        ({"skipExisting": True}, ["33N_4_51.tif", "33N_5_51.tif"], "DONE", 0),
        ({}, ["33N_4_51.tif.aux", "other.tif"], "DONE", 2),
    ],
)
def test_files_in_the_way(
    api: Driver, tmp_path: Path, output: dict[str, Any], existing: list[str], status: str, features: int
) -> None:  # fmt: skip
    folder = tmp_path / "buckets/results/n"
    folder.mkdir(parents=True)
    for name in existing:
        (folder / name).touch()
    task = done(api, url="s3://results/n/<tileName>.tif", output=output)
    assert task["status"] == status, task
    (told,) = api.get("/_sandbox/batch").json()["tasks"]
    assert (told["features"] or 0) == features
    assert pu(api) == (100 if features else 0)
    if status == "DONE":
        assert task["completionPercentage"] == 100


def test_a_feature_of_which_only_some_files_exist(api: Driver, tmp_path: Path) -> None:
    two = script("{input: ['B04'], output: [{id: 'a', bands: 1}, {id: 'b', bands: 1}]}")
    folder = tmp_path / "buckets/results/n/33N_4_51"
    folder.mkdir(parents=True)
    (folder / "a.tif").touch()
    parts = {
        "evalscript": two,
        "responses": tiff("a", "b"),
        "url": "s3://results/n/<tileName>/<outputId>.<format>",
    }
    failed = analysed(api, **parts, output={"skipExisting": True})
    assert failed["error"] == "The file n/33N_4_51/a.tif exists already."
    both = {"skipExisting": True, "overwrite": True}
    assert analysed(api, **parts, output=both)["status"] == "ANALYSIS_DONE"
    (folder / "b.tif").touch()
    done(api, **parts, output={"skipExisting": True})
    assert [one["features"] for one in api.get("/_sandbox/batch").json()["tasks"]] == [None, 2, 1]


def test_a_zarr_folder_must_be_empty(api: Driver, tmp_path: Path) -> None:
    parts = {"output": ZARR, "responses": ARRAYS, "grid": WIDE, "url": "s3://results/cube"}
    role = {"iamRoleARN": "arn:aws:iam::1:role/r"}
    parts["output"] = {**ZARR, "delivery": {"s3": {"url": "s3://results/cube", **role}}}
    assert done(api, **parts)["status"] == "DONE"
    assert "not empty" in analysed(api, **parts)["error"]
    cube = tmp_path / "buckets/results/cube"
    shutil.rmtree(cube)
    cube.mkdir()
    (cube / ".zattrs").touch()
    assert ".zattrs" in analysed(api, **parts)["error"]
    (cube / ".zattrs").unlink()
    (cube / "default").mkdir()
    (cube / "default/.zarray").touch()
    assert "not empty" in analysed(api, **parts)["error"]


@pytest.mark.parametrize(
    ("collection", "known", "unknown"),
    [("sentinel-2-l2a", "SCL", "B10"), ("sentinel-1-grd", "VV", "B04"), ("dem", "DEM", "VV")],
)
def test_public_collections_are_known_with_their_bands(
    api: Driver, collection: str, known: str, unknown: str
) -> None:
    def after(band: str) -> Any:
        asks = script(f"{{input: ['{band}', 'dataMask'], output: {{bands: 1}}}}")
        return analysed(api, evalscript=asks, data=[{"type": collection}])

    assert after(known)["status"] == "ANALYSIS_DONE"
    assert f"{collection} has no band {unknown}" in after(unknown)["error"]


def test_own_collections_are_known_with_their_bands(api: Driver, bucket: Path) -> None:
    def data(collection: str) -> Any:
        return [{"type": f"byoc-{collection}"}]

    write_cog(bucket / "a/RED.tif")
    collection = api.collection()["id"]
    api.tile(collection, "a")
    api.tick(99)
    red = script("{input: ['RED', 'dataMask'], output: {bands: 1}}")
    assert analysed(api, evalscript=red, data=data(collection))["status"] == "ANALYSIS_DONE"
    failed = analysed(api, evalscript=NDVI, data=data(collection))
    assert f"byoc-{collection} has no band B04" in failed["error"]
    unknown = "00000000-0000-4000-8000-000000000000"
    assert api.post(TASKS, body(data=data(unknown))).status_code == 400
    late = create(api, evalscript=red, data=data(collection))
    api.delete(f"/byoc/v1/collections/{collection}")
    start(api, late)
    api.tick(9)
    assert read(api, late)["status"] == "FAILED"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
NUMBERS = (
    st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, 1, 14, 46, 90, 180])
)
POSITIONS = st.lists(st.lists(NUMBERS, min_size=2, max_size=2), max_size=6).map(
    lambda p: [*p, *p[:1]]
)
GEOMETRIES = st.fixed_dictionaries(
    {"type": st.just("Polygon"), "coordinates": st.lists(POSITIONS, max_size=3)}
)
PLACES = {
    ("processRequest", "input", "bounds"): st.fixed_dictionaries(
        {},
        optional={
            "bbox": st.lists(NUMBERS, min_size=4, max_size=4),
            "geometry": GEOMETRIES | JSON,
            "properties": st.fixed_dictionaries({"crs": st.sampled_from([UTM33, "x"]) | JSON}),
        },
    ),
    ("processRequest", "input", "data"): JSON,
    ("processRequest", "input", "data", 0, "dataFilter"): st.fixed_dictionaries(
        {"timeRange": st.fixed_dictionaries({"from": JSON | st.just("0000-00-00T00:00:00Z"), "to": JSON | st.just("..")})}
    ),
    ("processRequest", "output", "responses"): JSON,
    ("processRequest", "evalscript"): JSON | st.sampled_from(["//VERSION=3", "//VERSION=3\nfunction setup(){return 1}"]),
    ("input", "id"): NUMBERS,
    ("input", "resolution"): NUMBERS,
    ("input", "bufferX"): NUMBERS | JSON,
    ("output", "delivery", "s3", "url"): JSON | st.text(max_size=9).map(lambda t: f"s3://results/{t}"),
    ("output", "delivery"): JSON,
    ("output",): JSON | st.just(ZARR),
    ("input",): JSON | st.just({"type": "geopackage", "features": {"s3": {"url": "s3://results/x.gpkg"}}}),
    ("description",): JSON | st.text(),
}  # fmt: skip


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with sandbox(tmp_path_factory.mktemp("fuzz")) as api:
        api.lenient = True
        yield api.login()


@given(changes=st.lists(st.sampled_from(sorted(PLACES, key=str)).flatmap(
    lambda place: PLACES[place].map(lambda value: (place, value))), min_size=1, max_size=3))  # fmt: skip
def test_no_body_makes_the_sandbox_stumble(driver: Driver, changes: list[Any]) -> None:
    """Refused, or a task that is analysed, started and ended; never an answer above 499."""
    sent = body()
    for place, value in changes:
        inner: Any = sent
        for step in place[:-1]:
            inner = (
                inner[step]
                if isinstance(inner, dict) and step in inner or isinstance(inner, list) and inner
                else {}
            )
        if isinstance(inner, dict):
            inner[place[-1]] = value
    answer = driver.post(TASKS, sent)
    assert answer.status_code in (201, 400)
    if answer.status_code == 201:
        assert driver.post(f"{TASKS}/{answer.json()['id']}/start").status_code == 204
        driver.tick(20)
        driver.login()
        assert read(driver, answer.json()["id"])["status"] in ("DONE", "FAILED")


@given(sent=JSON)
def test_no_json_makes_the_sandbox_stumble(driver: Driver, sent: Any) -> None:
    content, headers = json.dumps(sent), {"content-type": "application/json"}
    answer = driver.send("POST", TASKS, content=content, headers=headers)
    assert answer.status_code == 400
    answer = driver.send("PUT", f"{TASKS}/x", content=content, headers=headers)
    assert answer.status_code in (400, 404)
