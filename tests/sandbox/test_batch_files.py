"""What lies in the bucket: request copy, feature manifest, execution database; GeoPackages read."""

from __future__ import annotations

import json
import sqlite3
import struct
from pathlib import Path
from typing import Any

import httpx
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox import batch_paths, geopackage
from shplan.sandbox.batch_paths import Delivery, DeliveryError
from shplan.sandbox.geopackage import GeoPackageError, Size
from shplan.sandbox.s3 import create_s3_app

from .batches import (
    AOI,
    SECRET,
    TASKS,
    analysed,
    body,
    create,
    done,
    files,
    pu,
    read,
    script,
    start,
)
from .support import Driver

TASK = "0f0f0f0f-0000-4000-8000-000000000000"


def rows(path: Path, statement: str) -> list[Any]:
    with sqlite3.connect(path) as file:
        return file.execute(statement).fetchall()


@pytest.mark.parametrize(
    ("url", "root", "example"),
    [
        ("s3://b", "", f"{TASK}/t/o.tif"),
        ("s3://b/", "", f"{TASK}/t/o.tif"),
        ("s3://b/x/y/", "x/y", f"x/y/{TASK}/t/o.tif"),
        ("s3://b/x/<tileName>.tif", "x", "x/t.tif"),
        ("s3://b/<requestId>/x/<tileName>/<outputId>.<format>", f"{TASK}/x", f"{TASK}/x/t/o.tif"),
        ("s3://b/x-<outputId>/<requestId>/<tileName>", "", f"x-o/{TASK}/t"),
        ("s3://b/x/<tileName>_<requestId>.tif", "x", f"x/t_{TASK}.tif"),
    ],
)
def test_where_files_go(url: str, root: str, example: str) -> None:
    delivery = batch_paths.raster(url, task_id=TASK, outputs=1)
    assert delivery.root == root
    assert delivery.output(tile="t", output="o", media_type="image/tiff").url == f"s3://b/{example}"
    assert delivery.beside("f").key == (f"{root}/f" if root else "f")


def test_names_are_no_placeholders() -> None:
    delivery = batch_paths.raster("s3://b/<tileName>/<outputId>.<format>", task_id=TASK, outputs=2)
    place = delivery.output(tile="<outputId>", output="<format>", media_type="application/json")
    assert place.key == "<outputId>/<format>.json"


@given(st.text(max_size=30))
def test_no_url_leads_out_of_its_bucket(rest: str) -> None:
    try:
        delivery = batch_paths.raster(f"s3://b/{rest}", task_id=TASK, outputs=1)
    except DeliveryError:
        return
    steps = delivery.template.split("/")
    assert isinstance(delivery, Delivery)
    assert not {"", ".", ".."} & set(steps)


def test_the_request_copy_is_written_at_creation(api: Driver, tmp_path: Path) -> None:
    task = create(api, description="mine")
    assert files(tmp_path) == [f"ndvi/request-{task}.json"]
    content = json.loads((tmp_path / "buckets/results" / files(tmp_path)[0]).read_text())
    assert content["id"] == task
    assert content["request"]["description"] == "mine"
    assert content["request"]["processRequest"] == body()["processRequest"]
    assert SECRET not in json.dumps(content)


def test_the_manifest_is_a_geopackage_with_a_table_for_each_crs(
    api: Driver, tmp_path: Path
) -> None:
    two = script("{input: ['B04'], output: [{id: 'a', bands: 1}, {id: 'b', bands: 1}]}")
    answers = [{"identifier": one, "format": {"type": "image/tiff"}} for one in ("a", "b")]
    across = {"bbox": [17.9, 46.5, 18.1, 46.6], "grid": {"bufferX": 5, "bufferY": 2}}
    task = analysed(api, evalscript=two, responses=answers, **across)["id"]
    assert files(tmp_path) == [f"ndvi/featureManifest-{task}.gpkg", f"ndvi/request-{task}.json"]
    path = tmp_path / f"buckets/results/ndvi/featureManifest-{task}.gpkg"
    assert path.read_bytes()[68:72] == b"GPKG"
    tables = rows(path, "select table_name, srs_id from gpkg_contents order by 1")
    assert tables == [("feature_32633", 32633), ("feature_32634", 32634)]
    assert rows(path, "pragma integrity_check") == [("ok",)]
    listed = rows(path, "select fid, outputId, identifier, path, width, height from feature_32633")
    identifier = listed[0][2]
    folder = f"s3://results/ndvi/{task}/{identifier}"
    assert listed == [
        (1, "a", identifier, f"{folder}/a.tif", 427, 421),
        (2, "b", identifier, f"{folder}/b.tif", 427, 421),
    ]
    (blob,) = rows(path, "select geometry from feature_32633 where fid = 1")[0]
    assert (blob[:4], struct.unpack("<i", blob[4:8])[0]) == (b"GP\x00\x01", 32633)
    west, south, east, north = shapely.from_wkb(blob[8:]).bounds
    assert (east - west, north - south) == (427 * 240, 421 * 240)
    assert (west + 5 * 240) % 100_080 == (south + 2 * 240) % 100_080 == 0


def test_the_manifest_defines_its_crs(api: Driver, tmp_path: Path) -> None:
    from rasterio.crs import CRS

    task = analysed(api)["id"]
    path = tmp_path / f"buckets/results/ndvi/featureManifest-{task}.gpkg"
    (definition,) = rows(path, "select definition from gpkg_spatial_ref_sys where srs_id = 32633")[
        0
    ]
    assert CRS.from_wkt(definition).to_epsg() == 32633


def test_the_execution_database_follows_the_features(api: Driver, tmp_path: Path) -> None:
    api.send("POST", "/_sandbox/batch", json={"features": ["33N_5_51"], "cause": "clouds"})
    task = create(api)
    start(api, task)
    path = tmp_path / f"buckets/results/ndvi/execution-{task}.sqlite"
    seen = []
    for wait in (3, 1, 5, 5):
        api.tick(wait)
        read(api, task)
        if path.exists():
            seen.append(rows(path, "select id, name, status, error, delivered from features"))
    pending = [(1, "33N_4_51", "PENDING", None, 0), (2, "33N_5_51", "PENDING", None, 0)]
    # Its data are of a time before the mission.
    first = (1, "33N_4_51", "DONE", "No data", 1)
    assert seen == [pending, [first, pending[1]], [first, (2, "33N_5_51", "FATAL", "clouds", 0)]]
    ended = read(api, task)
    assert (ended["status"], ended["completionPercentage"]) == ("DONE", 100)
    assert ended["costPU"] == pu(api) == 50
    delivered = [path.parent.name for path in (tmp_path / "buckets").rglob("*.tif*")]
    assert delivered == ["33N_4_51"]


def test_reading_over_s3_brings_the_files_up_to_date(api: Driver, tmp_path: Path) -> None:
    task = create(api)
    start(api, task)
    api.app.state.world.tick(60)
    path = tmp_path / f"buckets/results/ndvi/execution-{task}.sqlite"
    assert not path.exists()
    transport = httpx.ASGITransport(app=create_s3_app(api.app.state.world))

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://s3") as client:
            return await client.get(f"/results/ndvi/execution-{task}.sqlite")

    answer = api._loop.run_until_complete(ask())
    assert answer.status_code == 200
    assert answer.content == path.read_bytes()
    assert rows(path, "select distinct status from features") == [("DONE",)]


def test_many_failures_stop_the_task_and_are_tried_again(api: Driver) -> None:
    api.post("/_sandbox/batch", {"share": 1.0})
    task = create(api, bbox=[12, 46, 16, 48])
    start(api, task)
    api.tick(60)
    stopped = read(api, task)
    assert (stopped["status"], stopped["stoppedStatusReason"]) == ("STOPPED", "UNHEALTHY")
    assert stopped["costPU"] == 0
    (told,) = api.get("/_sandbox/batch").json()["tasks"]
    assert told["fatal"] == told["features"] // 2 + 1
    api.delete("/_sandbox/batch")
    start(api, task)
    api.tick(60)
    ended = read(api, task)
    assert (ended["status"], ended["costPU"]) == ("DONE", 100)
    assert ended["completionPercentage"] == 100


def test_a_share_of_features_fails_and_the_same_ones_again(api: Driver) -> None:
    api.post("/_sandbox/batch", {"share": 0.3})
    api.configure(unhealthy_share=1)
    parts = {"bbox": [10, 44, 18, 49], "grid": {"resolution": 360}}
    tasks = [done(api, **parts), done(api, **parts)]
    told = api.get("/_sandbox/batch").json()["tasks"]
    assert 0 < told[0]["fatal"] == told[1]["fatal"] < told[0]["features"] / 2
    share = 1 - told[0]["fatal"] / told[0]["features"]
    assert tasks[0]["costPU"] == pytest.approx(share * 100)


@pytest.mark.parametrize(
    "wish",
    [{"features": "x"}, {"features": [1]}, {"share": 2}, {"share": True}, {"cause": 1}, {"x": 1}],
)
def test_wishes_that_are_none(api: Driver, wish: dict[str, Any]) -> None:
    assert api.post("/_sandbox/batch", wish).status_code == 400
    assert api.get("/_sandbox/batch").json()["fates"] == []


# GeoPackages as input.


def write_package(
    path: Path,
    features: list[dict[str, Any]],
    *,
    epsg: int = 32633,
    kind: str = "POLYGON",
    table: str = 'my "fields"',
) -> None:
    """A GeoPackage as other programs write it: envelopes in the blobs, big endian headers too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = sorted({name for one in features for name in one} - {"box"})
    quoted = '"' + table.replace('"', '""') + '"'
    with sqlite3.connect(path) as file:
        file.executescript(geopackage._TABLES.replace("create table", "create table if not exists"))
        file.execute(
            "insert or ignore into gpkg_spatial_ref_sys values (?, ?, 'EPSG', ?, '', '')",
            (str(epsg), epsg, epsg),
        )
        file.execute(
            "insert into gpkg_contents values (?, 'features', ?, '', '', 0, 0, 0, 0, ?)",
            (table, table, epsg),
        )
        file.execute(
            "insert into gpkg_geometry_columns values (?, 'geom', ?, ?, 0, 0)", (table, kind, epsg)
        )
        names = ", ".join(columns)
        file.execute(
            f"create table {quoted} (id integer primary key, geom blob{', ' if names else ''}{names})"
        )
        for one in features:
            box = shapely.box(*one["box"])
            west, south, east, north = box.bounds
            blob = b"GP\x00\x03" + struct.pack("<i4d", epsg, west, east, south, north) + box.wkb
            marks = "".join(", ?" for _ in columns)
            file.execute(f"insert into {quoted} (geom{''.join(', ' + c for c in columns)}) values (?{marks})", [blob, *(one.get(c) for c in columns)])  # fmt: skip


SQUARE = (500_000, 5_150_000, 501_000, 5_152_000)
SOURCE = {"type": "geopackage", "features": {"s3": {"url": "s3://input/fields.gpkg"}}}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return tmp_path / "buckets/input/fields.gpkg"


def sizes(api: Driver, tmp_path: Path, **parts: Any) -> dict[str, tuple[int, int]]:
    task = analysed(api, source={**SOURCE, **parts.pop("source", {})}, **parts)
    assert task["status"] == "ANALYSIS_DONE", task
    path = tmp_path / f"buckets/results/ndvi/featureManifest-{task['id']}.gpkg"
    tables = [name for (name,) in rows(path, "select table_name from gpkg_contents")]
    statement = " union all ".join(f"select identifier, width, height from {t}" for t in tables)
    return {name: (width, height) for name, width, height in rows(path, statement)}


def test_sizes_come_from_the_feature_else_from_the_defaults(
    api: Driver, tmp_path: Path, package: Path
) -> None:
    write_package(
        package,
        [
            {"identifier": "sized", "box": SQUARE, "width": 7, "height": 9, "resolution": 10.0},
            {"identifier": "resolved", "box": SQUARE, "resolution": 100.0},
            {"identifier": "default", "box": SQUARE},
        ],
    )
    everywhere = {"bounds": {}}
    found = sizes(api, tmp_path, source={"defaults": {"resolution": 20}}, **everywhere)
    assert found == {"sized": (7, 9), "resolved": (10, 20), "default": (50, 100)}
    both = {"defaults": {"width": 3, "height": 4}}
    assert sizes(api, tmp_path, source=both, **everywhere)["default"] == (3, 4)


def test_the_area_of_interest_chooses_features_of_any_crs(
    api: Driver, tmp_path: Path, package: Path
) -> None:
    size = {"width": 10, "height": 10}
    near = (15.0, 46.6, 15.1, 46.7)
    write_package(package, [{"identifier": "utm", "box": SQUARE, **size}])
    write_package(
        package,
        [
            {"identifier": "near", "box": near, **size},
            {"identifier": "far", "box": (20, 46, 21, 47), **size},
            {"identifier": "touching", "box": (15.4, 46.5, 15.5, 46.6), **size},
        ],
        epsg=4326, table="b",
    )  # fmt: skip
    assert set(sizes(api, tmp_path, bounds={})) == {"utm", "near", "far", "touching"}
    assert set(sizes(api, tmp_path, bbox=AOI)) == {"utm", "near"}
    assert set(sizes(api, tmp_path, bbox=[15.05, 46.6, 15.2, 46.65])) == {"near"}


def test_features_are_charged_by_their_own_size(api: Driver, package: Path) -> None:
    write_package(
        package,
        [
            {"identifier": "small", "box": SQUARE, "width": 256, "height": 256},
            {"identifier": "large", "box": SQUARE, "width": 768, "height": 768},
        ],
    )
    task = create(api, source=SOURCE, bounds={}, evalscript=script(
        "{input: [" + ", ".join(f"'B{n:02d}'" for n in range(1, 10)) + "], output: {bands: 1}}"
    ))  # fmt: skip
    start(api, task)
    api.tick(9)
    # A ninth of the other's area, and together the minimum.
    assert read(api, task)["costPU"] == pytest.approx(10)
    api.tick(9)
    assert read(api, task)["costPU"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("features", "options", "told"),
    [
        ([{"identifier": None, "box": SQUARE, "width": 1, "height": 1}], {}, "no identifier"),
        ([{"box": SQUARE, "width": 1, "height": 1}], {}, "no identifier"),
        ([{"identifier": "a", "box": SQUARE, "width": 1, "height": 1}] * 2, {}, "not unique"),
        ([{"identifier": "a", "box": SQUARE}], {}, "neither width and height nor a resolution"),
        ([{"identifier": "a", "box": SQUARE, "width": 3501, "height": 1}], {}, "3500"),
        ([{"identifier": "a", "box": SQUARE, "resolution": 1e-12}], {}, "3500"),
        ([{"identifier": "a", "box": SQUARE, "width": 1, "height": 1}], {"epsg": 9999}, "CRS"),
        ([{"identifier": "a", "box": SQUARE, "width": 1, "height": 1}], {"kind": "POINT"}, "POINT"),
    ],
)
def test_packages_that_break_a_rule(
    api: Driver, package: Path, features: list[Any], options: dict[str, Any], told: str
) -> None:
    write_package(package, features, **options)
    task = analysed(api, source=SOURCE, bounds={})
    assert task["status"] == "FAILED"
    assert told in task["error"]


def test_packages_that_are_none(api: Driver, package: Path) -> None:
    assert "cannot be read" in analysed(api, source=SOURCE, bounds={})["error"]
    package.parent.mkdir()
    for content in (b"", b"no database at all, just text" * 99):
        package.write_bytes(content)
        assert "cannot be read" in analysed(api, source=SOURCE, bounds={})["error"]
    package.unlink()
    with sqlite3.connect(package) as file:
        file.executescript(geopackage._TABLES)
    assert "no table of features" in analysed(api, source=SOURCE, bounds={})["error"]


@given(blob=st.binary(max_size=40) | st.binary(max_size=40).map(lambda b: b"GP\x00\x01" + b))
def test_no_blob_makes_the_reader_stumble(blob: bytes) -> None:
    with pytest.raises(GeoPackageError):
        geopackage._outline(blob, "x")


def test_a_manifest_can_be_an_input(api: Driver, tmp_path: Path, package: Path) -> None:
    """What is written is what is read, but for the type of its geometries, which may be any."""
    task = analysed(api)["id"]
    manifest = tmp_path / f"buckets/results/ndvi/featureManifest-{task}.gpkg"
    package.parent.mkdir()
    package.write_bytes(manifest.read_bytes())
    with sqlite3.connect(package) as file:
        file.execute("update gpkg_geometry_columns set geometry_type_name = 'POLYGON'")
    shapes = geopackage.read(package, Size())
    assert [shape.identifier for shape in shapes] == ["33N_4_51", "33N_5_51"]
    assert api.get(f"{TASKS}/{task}").status_code == 200
