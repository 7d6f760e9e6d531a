"""Nothing that is asked for leads out of the buckets: no key, name, template, reference or link."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox import geopackage
from shplan.sandbox.geopackage import GeoPackageError, Size
from shplan.sandbox.objects import ObjectStoreError, enclosed
from shplan.sandbox.s3 import create_s3_app
from tests.support.bounded import bounded

from . import batches
from .support import BUCKET, Driver, write_cog

CANARY = b"outside-9921"
BANDS = {"B1": {"bitDepth": 16, "sampleFormat": "UINT"}}

STEPS = [
    "..",
    ".",
    "...",
    "%2e%2e",
    "%252e%252e",
    "..%2f",
    "\u2024\u2024",
    "\uff0e\uff0e",
    "a",
    "",
    "\0",
    "..\\",
    "C:",
]
KEYS = [
    "../canary", "../../canary", "a/../../../canary", "/canary", "//canary", "..", ".", "./canary", "a//canary",
    "..\\..\\canary", "%2e%2e%2fcanary", "%2e%2e/%2e%2e/canary", "%252e%252e%252fcanary", "a\0b", "\0",
    "\u2024\u2024/canary", "\uff0e\uff0e/canary", "a/" * 2000 + "canary", "n" * 5000, "../" * 500 + "etc/passwd",
    "a/" * 500 + "canary", "~/canary", "$HOME/canary", "file:///etc/passwd", "a/..", "a/.", "CON", "a:b",
]  # fmt: skip


@pytest.fixture
def outside(tmp_path: Path, api: Driver, bucket: Path) -> Iterator[Path]:
    """A directory beside the data, with files in it that must neither be read nor change."""
    place = tmp_path.parent / f"{tmp_path.name}-outside"
    (place / "folder").mkdir(parents=True)
    for name in ("canary", "folder/canary", "canary.gpkg"):
        (place / name).write_bytes(CANARY)
    write_cog(place / "cog" / "B1.tif")
    before = contents(place)
    yield place
    assert contents(place) == before


def contents(place: Path) -> dict[str, bytes]:
    found = sorted(path for path in place.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in found}


class S3:
    """The buckets over S3, without a socket."""

    def __init__(self, api: Driver) -> None:
        self._loop = api._loop
        transport = httpx.ASGITransport(app=create_s3_app(api.app.state.world))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://s3")

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        asked = asyncio.wait_for(self._http.request(method, path, **options), timeout=5)
        return self._loop.run_until_complete(asked)

    def close(self) -> None:
        self._loop.run_until_complete(self._http.aclose())


@pytest.fixture
def s3(api: Driver) -> Iterator[S3]:
    client = S3(api)
    yield client
    client.close()


def ingested(api: Driver, path: str, *, bucket: str = BUCKET, bands: Any = None) -> tuple[str, str]:
    """Status of a tile, and the cause if it failed."""
    more = {"additionalData": {"bands": bands}} if bands else {}
    one = api.collection(**{"name": "x", "s3Bucket": bucket, **more})["id"]
    answer = api.post(f"/byoc/v1/collections/{one}/tiles", {"path": path})
    if answer.status_code == 400:
        return "REFUSED", ""
    tile = answer.json()["data"]["id"]
    api.tick(60)
    found = api.read(one, tile)
    return found["status"], found.get("additionalData", {}).get("failedIngestionCause", "")


# Names and keys.


@given(
    key=st.lists(st.sampled_from(STEPS), min_size=1, max_size=6).map("/".join),
    bucket=st.sampled_from(STEPS),
)
def test_what_is_enclosed_is_below_its_bucket(
    key: str, bucket: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.getbasetemp() / "enclosed"
    (root / "a").mkdir(parents=True, exist_ok=True)
    for name in (bucket, "a"):
        with contextlib.suppress(ObjectStoreError):
            path = enclosed(root, name, key)
            assert os.path.realpath(path).startswith(f"{os.path.realpath(root)}/{name}")
            assert os.path.normpath(path) == str(path)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("bands", [None, BANDS])
def test_tile_paths(api: Driver, outside: Path, key: str, bands: Any) -> None:
    for path in (key, f"{key}/(BAND)", f"(BAND)/{key}"):
        assert ingested(api, path, bands=bands)[0] in ("FAILED", "REFUSED")


@pytest.mark.parametrize(
    "source", ["../../canary", "..", "/etc/passwd", "a\0b", "*", "(BAND)", "[a]"]
)
def test_sources_of_bands(api: Driver, outside: Path, source: str) -> None:
    bands = {"B1": {**BANDS["B1"], "source": source}}
    assert ingested(api, "a", bands=bands)[0] == "FAILED"


@pytest.mark.parametrize(
    "bucket", [".", "..", "../buckets/imagery", "/", "imagery/a", "a\0b", "n" * 5000, "", " "]
)
def test_bucket_names(api: Driver, outside: Path, bucket: str) -> None:
    answer = api.post("/byoc/v1/collections", {"name": "x", "s3Bucket": bucket})
    if answer.status_code == 201:
        one = answer.json()["data"]["id"]
        tile = api.tile(one, "a")["id"]
        api.tick(60)
        assert api.read(one, tile)["status"] == "FAILED"


@pytest.mark.parametrize(
    "key", [*KEYS, "<tileName>/../../../canary", "../<requestId>", "x/<outputId>/../<tileName>"]
)
def test_output_templates(api: Driver, outside: Path, key: str) -> None:
    for url in (f"s3://{BUCKET}/{key}", f"s3://{key}", f"gs://../{key}"):
        answer = api.post(batches.TASKS, batches.body(url=url))
        assert answer.status_code in (201, 400)
        if answer.status_code == 201:
            batches.start(api, answer.json()["id"])
            api.tick(60)
            assert batches.read(api, answer.json()["id"])["status"] in ("DONE", "FAILED")


@pytest.mark.parametrize("key", KEYS)
def test_references_to_geopackages(api: Driver, outside: Path, key: str) -> None:
    features = {"s3": {"url": f"s3://{BUCKET}/{key}.gpkg"}}
    source = {"type": "geopackage", "features": features, "defaults": {"resolution": 100}}
    answer = api.post(batches.TASKS, batches.body(source=source))
    assert answer.status_code in (201, 400)
    if answer.status_code == 201:
        assert api.post(f"{batches.TASKS}/{answer.json()['id']}/analyse").status_code == 204
        api.tick(60)
        found = batches.read(api, answer.json()["id"])
        assert found["status"] == "FAILED"
        assert CANARY.decode() not in found["error"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
@pytest.mark.parametrize(
    "path",
    [
        "/imagery/%2e%2e/%2e%2e/canary", "/imagery/..%2f..%2fcanary", "/%2e%2e/canary", "/..%2fcanary/x",
        "/imagery/%252e%252e/canary", "/imagery/a%5c..%5ccanary", "/imagery/%00", "/%00/x", "/imagery//etc/passwd",
        "/imagery/%E2%80%A4%E2%80%A4/canary", "/imagery/" + "a/" * 3000 + "x", "/imagery/" + "n" * 5000,
        "/imagery/%ff%fe", "/imagery/a/./b", "/imagery/%2e", "/" + "b" * 5000 + "/x",
    ],
)  # fmt: skip
def test_keys_over_s3(s3: S3, outside: Path, tmp_path: Path, method: str, path: str) -> None:
    before = contents(tmp_path)
    answer = s3.ask(method, path, content=b"x" if method == "PUT" else None)
    assert answer.status_code in (200, 400, 404)
    assert CANARY not in answer.content
    changed = {name for name, text in contents(tmp_path).items() if before.get(name) != text}
    assert all(f"/buckets/{BUCKET}/" in name for name in changed if "sandbox.sqlite" not in name)


@pytest.mark.parametrize(
    "prefix", ["../", "..", "/", "a/../../", "%2e%2e/", "\0", "../../canary", "a" * 5000]
)
def test_prefixes_of_listings(s3: S3, outside: Path, prefix: str) -> None:
    answer = s3.ask("GET", f"/{BUCKET}", params={"list-type": "2", "prefix": prefix})
    assert answer.status_code == 200
    assert b"<KeyCount>0</KeyCount>" in answer.content


# Links.


def test_link_to_a_file_outside(api: Driver, s3: S3, bucket: Path, outside: Path) -> None:
    (bucket / "a").mkdir()
    (bucket / "a/B1.tif").symlink_to(outside / "cog/B1.tif")
    (bucket / "canary").symlink_to(outside / "canary")
    for bands in (None, BANDS):
        status, cause = ingested(api, "a", bands=bands)
        assert (status, "symbolic link" in cause) == ("FAILED", True)
    assert s3.ask("GET", f"/{BUCKET}/canary").status_code == 403
    assert s3.ask("PUT", f"/{BUCKET}/canary", content=b"x").status_code == 403
    listed = s3.ask("GET", f"/{BUCKET}?list-type=2").text
    assert "<KeyCount>0</KeyCount>" in listed


def test_link_to_a_folder_outside(api: Driver, s3: S3, bucket: Path, outside: Path) -> None:
    (bucket / "out").symlink_to(outside, target_is_directory=True)
    assert ingested(api, "out/cog")[0] == "FAILED"
    assert s3.ask("GET", f"/{BUCKET}/out/canary").status_code == 403
    assert s3.ask("PUT", f"/{BUCKET}/out/new", content=b"x").status_code == 403
    assert s3.ask("PUT", f"/{BUCKET}/out/a/b/new", content=b"x").status_code == 403
    for prefix in ("", "out/", "out/folder/"):
        listed = s3.ask("GET", f"/{BUCKET}?list-type=2&prefix={prefix}").text
        assert "<KeyCount>0</KeyCount>" in listed
    answer = api.post(batches.TASKS, batches.body(url=f"s3://{BUCKET}/out/x"))
    assert answer.status_code == 400
    assert "symbolic link" in answer.text


def test_bucket_that_is_a_link_outside(api: Driver, s3: S3, bucket: Path, outside: Path) -> None:
    (bucket.parent / "linked").symlink_to(outside, target_is_directory=True)
    status, cause = ingested(api, "cog", bucket="linked")
    assert (status, "symbolic link" in cause) == ("FAILED", True)
    assert s3.ask("GET", "/linked/canary").status_code == 403
    assert s3.ask("GET", "/linked?list-type=2").status_code in (403, 404)
    assert "linked" not in s3.ask("GET", "/").text
    assert api.post(batches.TASKS, batches.body(url="s3://linked/x")).status_code == 400


def test_links_to_the_sandbox_itself(s3: S3, bucket: Path, tmp_path: Path) -> None:
    """Its settings hold secrets, and its database is not to be written."""
    (bucket / "data").symlink_to(tmp_path, target_is_directory=True)
    (bucket / "db").symlink_to(tmp_path / "sandbox.sqlite")
    for key in ("db", "data/sandbox.sqlite", "data/settings.json"):
        assert s3.ask("GET", f"/{BUCKET}/{key}").status_code == 403
        assert s3.ask("PUT", f"/{BUCKET}/{key}", content=b"x").status_code == 403


def test_link_within_the_buckets_is_followed(api: Driver, s3: S3, bucket: Path) -> None:
    write_cog(bucket.parent / "archive/2024/B1.tif")
    (bucket / "year").symlink_to(bucket.parent / "archive/2024", target_is_directory=True)
    assert ingested(api, "year")[0] == "INGESTED"
    assert s3.ask("GET", f"/{BUCKET}/year/B1.tif").status_code == 200
    assert "year/B1.tif" in s3.ask("GET", f"/{BUCKET}?list-type=2").text


def test_data_directory_may_be_reached_by_a_link(tmp_path: Path) -> None:
    from .support import sandbox

    write_cog(tmp_path / "real/buckets" / BUCKET / "a/B1.tif")
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    with sandbox(tmp_path / "link") as driver:
        assert ingested(driver.login(), "a")[0] == "INGESTED"


def test_links_in_a_circle_end(api: Driver, s3: S3, bucket: Path) -> None:
    for name, target in (
        ("self", "."),
        ("a/up", "../.."),
        ("a/b", "../c"),
        ("c/d", "../a"),
        ("loop", "loop"),
    ):
        (bucket / name).parent.mkdir(exist_ok=True)
        (bucket / name).symlink_to(target)
    (bucket / "a/x").write_bytes(b"1")
    with bounded():
        listed = s3.ask("GET", f"/{BUCKET}?list-type=2").text
        assert "<Key>a/x</Key>" in listed
        assert ingested(api, "loop")[0] == "FAILED"


def test_pipes_and_folders_are_no_objects(api: Driver, s3: S3, bucket: Path) -> None:
    (bucket / "a").mkdir()
    os.mkfifo(bucket / "a/B1.tif")
    (bucket / "b/B1.tif").mkdir(parents=True)
    for path in ("a", "b", "a/(BAND).tif"):
        for bands in (None, BANDS):
            assert ingested(api, path, bands=bands)[0] == "FAILED"
    assert "<KeyCount>0</KeyCount>" in s3.ask("GET", f"/{BUCKET}?list-type=2").text
    assert s3.ask("GET", f"/{BUCKET}/a/B1.tif").status_code == 404
    assert s3.ask("PUT", f"/{BUCKET}/b/B1.tif", content=b"x").status_code == 400


# GeoPackages that somebody made to do harm.


def package(path: Path, *statements: str) -> Path:
    with contextlib.closing(sqlite3.connect(path)) as file:
        for statement in statements:
            file.execute(statement)
        file.commit()
    return path


ENDLESS = "with recursive c(n) as (select 1 union all select n + 1 from c)"
TABLES = (
    "create table gpkg_contents as select 'f' table_name, 'features' data_type",
    "create table gpkg_spatial_ref_sys as select 4326 srs_id, 'EPSG' organization, 4326 organization_coordsys_id",
    "create table gpkg_geometry_columns as select 'f' table_name, 'g' column_name, 'POLYGON' geometry_type_name, 4326 srs_id",
)


@pytest.mark.parametrize(
    "statements",
    [
        (f"create view gpkg_geometry_columns as {ENDLESS} select n table_name from c",),
        (*TABLES, f"create view f as {ENDLESS} select 'x' identifier, n g from c where n < 0"),
        (
            *TABLES,
            f"create view f as {ENDLESS} select 'x' || n identifier, zeroblob(1000000000) g from c",
        ),
        (*TABLES, "create view f as select 'x' identifier, load_extension('x') g"),
        (*TABLES, "create view f as select 'x' identifier, writefile('x', 'y') g"),
        TABLES,
        (
            *TABLES,
            "create table f (identifier, g)",
            "insert into f values (x'ff', 1), (null, null)",
        ),
        (*TABLES, "create table f (identifier, g)", "insert into f values ('a', x'47500001')"),
        (*TABLES, "create table f (identifier, g)", "insert into f values ('a', zeroblob(100000))"),
    ],
)
def test_geopackage_that_means_harm_is_refused_in_time(
    tmp_path: Path, statements: tuple[str, ...]
) -> None:
    with bounded(), pytest.raises(GeoPackageError):
        geopackage.read(package(tmp_path / "x.gpkg", *statements), Size(resolution=1))


def test_feature_whose_name_is_a_path_goes_nowhere(
    api: Driver, bucket: Path, outside: Path
) -> None:
    square = "000000000103000000010000000500000000000000000000000000000000000000000000000000F03F0000000000000000000000000000F03F000000000000F03F0000000000000000000000000000F03F00000000000000000000000000000000"
    package(
        bucket / "x.gpkg",
        *TABLES,
        "create table f (identifier, g)",
        f"insert into f values ('../../../canary', x'47500001{square}')",
    )
    source = {
        "type": "geopackage",
        "features": {"s3": {"url": f"s3://{BUCKET}/x.gpkg"}},
        "defaults": {"width": 9, "height": 9},
    }
    bounds: dict[str, Any] = {"bbox": [0, 0, 1, 1]}
    answer = api.post(
        batches.TASKS, batches.body(source=source, bounds=bounds, url=f"s3://{BUCKET}/r")
    )
    assert answer.status_code == 201, answer.text
    batches.start(api, answer.json()["id"])
    api.tick(60)
    found = batches.read(api, answer.json()["id"])
    assert found["status"] == "FAILED"
    assert "would be written to" in found["error"]
