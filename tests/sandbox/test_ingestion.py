from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import rasterio
from pyproj import Transformer
from rasterio.enums import ColorInterp

from shplan.sandbox import tiff

from .support import COLLECTIONS, Driver, violations, write_cog

UTM = "urn:ogc:def:crs:EPSG::32633"
BOX = [
    [500000.0, 5197440.0],
    [502560.0, 5197440.0],
    [502560.0, 5200000.0],
    [500000.0, 5200000.0],
    [500000.0, 5197440.0],
]
UINT16 = {"bitDepth": 16, "sampleFormat": "UINT"}


def ingested(api: Driver, path: str = "a", *, collection: str | None = None, **body: Any) -> Any:
    """A tile after its ingestion, and its collection."""
    one = collection or api.collection()["id"]
    tile = api.tile(one, path, **body)["id"]
    api.tick(4)
    return api.read(one, tile), api.read(one)


def cause(tile: Any) -> str:
    assert tile["status"] == "FAILED", tile
    text: str = tile["additionalData"]["failedIngestionCause"]
    return text


def test_first_tile_configures_the_collection(api: Driver, bucket: Path) -> None:
    write_cog(bucket / "a/B04.tif", nodata=0)
    write_cog(bucket / "a/B08.tif", nodata=0)
    (bucket / "a/notes.txt").write_text("not an image")
    tile, collection = ingested(api)
    assert tile["status"] == "INGESTED"
    assert tile["path"] == "a/(BAND).tif"
    assert collection["isConfigured"] is True
    assert collection["noData"] == 0
    assert collection["additionalData"]["bands"] == {
        "B04": {"source": "B04", "bandIndex": 1, **UINT16},
        "B08": {"source": "B08", "bandIndex": 1, **UINT16},
    }


def test_ingested_tile_tells_its_place_and_its_files(api: Driver, bucket: Path) -> None:
    file = write_cog(bucket / "a/B04.TIFF")
    tile, _ = ingested(api)
    crs = {"type": "name", "properties": {"name": UTM}}
    assert tile["tileGeometry"] == {"type": "Polygon", "coordinates": [BOX], "crs": crs}
    assert tile["coverGeometry"] == tile["tileGeometry"]
    assert tile["path"] == "a/(BAND).TIFF"
    assert tile["additionalData"] == {
        "filesMetadata": {
            "B04": {
                "headerSize": tiff.read(file).header_bytes,
                "etag": hashlib.md5(file.read_bytes()).hexdigest(),
            }
        },
        "minMetersPerPixel": 10.0,
        "maxMetersPerPixel": 10.0,
    }


def test_multi_band_file_makes_numbered_bands(api: Driver, bucket: Path) -> None:
    write_cog(bucket / "a/rgb.tiff", bands=3, dtype="uint8")
    _, collection = ingested(api)
    bands = collection["additionalData"]["bands"]
    assert list(bands) == ["rgb_1", "rgb_2", "rgb_3"]
    assert bands["rgb_3"] == {
        "source": "rgb",
        "bandIndex": 3,
        "bitDepth": 8,
        "sampleFormat": "UINT",
    }


def test_files_that_disagree_on_no_data_set_it_by_band(api: Driver, bucket: Path) -> None:
    write_cog(bucket / "a/B1.tif", nodata=0)
    write_cog(bucket / "a/B2.tif", dtype="float32", nodata=-9999.5)
    write_cog(bucket / "a/B3.tif", dtype="int16")
    _, collection = ingested(api)
    bands = collection["additionalData"]["bands"]
    assert "noData" not in collection
    assert (bands["B1"]["noData"], bands["B2"]["noData"]) == (0, -9999.5)
    assert "noData" not in bands["B3"]
    assert (bands["B2"]["sampleFormat"], bands["B3"]["sampleFormat"]) == ("FLOAT", "INT")


def test_configuration_of_the_user_is_left_as_it_is(api: Driver, bucket: Path) -> None:
    write_cog(bucket / "a/B04.tif", nodata=0)
    write_cog(bucket / "a/extra.tif")
    bands = {"red": {"source": "B04", **UINT16}}
    one = api.collection(additionalData={"bands": bands})["id"]
    tile, collection = ingested(api, collection=one)
    assert tile["status"] == "INGESTED"
    assert collection["additionalData"]["bands"] == {
        "red": {"source": "B04", "bandIndex": 1, **UINT16}
    }
    assert "noData" not in collection


@pytest.mark.parametrize(
    ("path", "after"),
    [
        ("a/S_(BAND)_v1.tiff", "a/S_(BAND)_v1.tiff"),
        ("a/S_(BAND)_v1", "a/S_(BAND)_v1"),
    ],
)
def test_placeholder_finds_the_files_of_its_tile_only(
    api: Driver, bucket: Path, path: str, after: str
) -> None:
    write_cog(bucket / "a/S_B04_v1.tiff")
    write_cog(bucket / "a/T_B05_v1.tiff")
    tile, collection = ingested(api, path)
    assert (tile["status"], tile["path"]) == ("INGESTED", after)
    assert list(collection["additionalData"]["bands"]) == ["B04"]


def test_placeholder_may_stand_for_a_folder_as_well(api: Driver, bucket: Path) -> None:
    write_cog(bucket / "a/B04/B04.tif")
    tile, collection = ingested(api, "a/(BAND)/(BAND).tif")
    assert tile["status"] == "INGESTED", tile
    assert list(collection["additionalData"]["bands"]) == ["B04"]


def test_cover_geometry_comes_back_in_the_crs_of_the_tile(api: Driver, bucket: Path) -> None:
    write_cog(bucket / "a/B04.tif")
    to_wgs84 = Transformer.from_crs(32633, 4326, always_xy=True).transform
    ring = [list(to_wgs84(*corner)) for corner in BOX]
    tile, _ = ingested(api, coverGeometry={"type": "Polygon", "coordinates": [ring]})
    cover = tile["coverGeometry"]
    assert cover["crs"]["properties"]["name"] == UTM
    for shown, expected in zip(cover["coordinates"][0], BOX, strict=True):
        assert shown == pytest.approx(expected, abs=1e-3)


def test_update_without_cover_geometry_resets_it(api: Driver, bucket: Path) -> None:
    write_cog(bucket / "a/B04.tif")
    cover = {"type": "Polygon", "coordinates": [[[15, 46.9], [15.1, 46.9], [15, 47], [15, 46.9]]]}
    one = api.collection()["id"]
    tile, _ = ingested(api, collection=one, coverGeometry=cover)
    assert len(tile["coverGeometry"]["coordinates"][0]) == 4
    answer = api.put(f"{COLLECTIONS}/{one}/tiles/{tile['id']}", {"sensingTime": None})
    assert answer.status_code == 204
    after = api.read(one, tile["id"])
    assert after["coverGeometry"] == after["tileGeometry"]
    assert after["status"] == "INGESTED"


def test_metadata_of_the_collection_is_refreshed_later(api: Driver, bucket: Path) -> None:
    write_cog(bucket / "a/B04.tif", size=1024)
    write_cog(bucket / "b/B04.tif", west=510_000)
    one = api.collection()["id"]
    api.tile(one, "a", sensingTime="2024-05-02T00:00:00Z")
    second = api.tile(one, "b")["id"]
    api.tick(63.999)
    before = api.read(one)
    assert before["requiresMetadataUpdate"] is True
    assert "extent" not in before["additionalData"]
    api.tick(0.001)
    after = api.read(one)
    assert after["requiresMetadataUpdate"] is False
    additional = after["additionalData"]
    assert additional["hasSensingTimes"] == "PARTIALLY"
    assert additional["fromSensingTime"] == additional["toSensingTime"]
    assert additional["toSensingTime"] == "2024-05-02T00:00:00.000Z"
    assert additional["maxMetersPerPixel"] == 500
    west, east = (additional["extent"]["coordinates"][0][corner][0] for corner in (0, 1))
    assert (west, east) == (pytest.approx(15.0, abs=1e-3), pytest.approx(15.166, abs=1e-2))
    api.delete(f"{COLLECTIONS}/{one}/tiles/{second}")
    assert api.read(one)["requiresMetadataUpdate"] is True
    api.tick(60)
    assert api.read(one)["additionalData"]["hasSensingTimes"] == "YES"


def test_rewritten_path_is_what_lists_find(api: Driver, bucket: Path) -> None:
    write_cog(bucket / "a/B04.tif")
    one = api.collection()["id"]
    ingested(api, collection=one)
    assert api.tiles(one, path="a")["data"] == []
    assert len(api.tiles(one, path="a/(BAND).tif")["data"]) == 1


def test_tile_keeps_its_spelling_if_the_other_is_taken(api: Driver, bucket: Path) -> None:
    write_cog(bucket / "a/B04.tif")
    one = api.collection()["id"]
    ingested(api, "a/(BAND).tif", collection=one)
    tile, _ = ingested(api, "a", collection=one)
    assert (tile["status"], tile["path"]) == ("INGESTED", "a")


def test_failed_tile_is_reingested_once_its_file_is_there(api: Driver, bucket: Path) -> None:
    one = api.collection()["id"]
    tile, _ = ingested(api, collection=one)
    assert "a" in cause(tile)
    write_cog(bucket / "a/B04.tif")
    api.post(f"{COLLECTIONS}/{one}/tiles/{tile['id']}/reingest")
    api.tick(4)
    after = api.read(one, tile["id"])
    assert after["status"] == "INGESTED"
    assert "failedIngestionCause" not in after["additionalData"]


def test_reingest_notices_a_changed_file(api: Driver, bucket: Path) -> None:
    one = api.collection()["id"]
    write_cog(bucket / "a/B04.tif")
    tile, _ = ingested(api, collection=one)
    write_cog(bucket / "a/B04.tif", nodata=5)
    assert api.read(one, tile["id"])["additionalData"] == tile["additionalData"]
    api.post(f"{COLLECTIONS}/{one}/tiles/{tile['id']}/reingest")
    api.tick(4)
    after = api.read(one, tile["id"])["additionalData"]["filesMetadata"]
    assert after["B04"]["etag"] != tile["additionalData"]["filesMetadata"]["B04"]["etag"]


@pytest.mark.parametrize(("pixel", "limit"), [(10.0, 500.0), (100.0, 500.0), (160.0, 800.0)])
def test_resolution_limit_is_five_times_the_coarsest_and_500_m_at_least(
    api: Driver, bucket: Path, pixel: float, limit: float
) -> None:
    write_cog(bucket / "a/B04.tif", pixel=pixel)
    one = api.collection()["id"]
    ingested(api, collection=one)
    api.tick(60)
    assert api.read(one)["additionalData"]["maxMetersPerPixel"] == limit


def test_first_to_finish_configures_whoever_is_read_first(api: Driver, bucket: Path) -> None:
    write_cog(bucket / "a/B04.tif")
    write_cog(bucket / "b/B08.tif")
    one = api.collection()["id"]
    first = api.tile(one, "a")["id"]
    second = api.tile(one, "b")["id"]
    api.tick(4)
    assert "B04 is missing" in cause(api.read(one, second))
    assert api.read(one, first)["status"] == "INGESTED"


def test_copied_tiles_are_ingested_and_known_paths_are_skipped(api: Driver, bucket: Path) -> None:
    for name in "ab":
        write_cog(bucket / name / "B04.tif")
    one, two = api.collection()["id"], api.collection()["id"]
    for name in "ab":
        ingested(api, name, collection=one)
    api.tile(one, "waiting")
    api.tile(two, "b/(BAND).tif")
    answer = api.post(f"{COLLECTIONS}/{one}/copyTiles?toCollection={two}")
    assert answer.status_code == 204
    tiles = api.tiles(two)["data"]
    assert [(t["path"], t["status"]) for t in tiles] == [
        ("b/(BAND).tif", "WAITING"),
        ("a/(BAND).tif", "INGESTED"),
    ]
    assert api.read(two)["additionalData"]["bands"] == api.read(one)["additionalData"]["bands"]


def test_tiles_are_not_copied_where_bands_differ(api: Driver, bucket: Path) -> None:
    write_cog(bucket / "a/B04.tif")
    one = api.collection()["id"]
    ingested(api, collection=one)
    two = api.collection(additionalData={"bands": {"B04": {**UINT16, "bitDepth": 8}}})["id"]
    assert api.post(f"{COLLECTIONS}/{one}/copyTiles?toCollection={two}").status_code == 400
    for query in ("", "?toCollection="):
        answer = api.post(f"{COLLECTIONS}/{one}/copyTiles{query}")
        assert (answer.status_code, list(violations(answer))) == (400, ["toCollection"])
    for query in ("?toCollection=fields", f"?toCollection={two}x"):
        assert api.post(f"{COLLECTIONS}/{one}/copyTiles{query}").status_code == 404
    nowhere = "017aa0ae-33a6-45d3-8548-0f7d1041b40c"
    assert api.post(f"{COLLECTIONS}/{one}/copyTiles?toCollection={nowhere}").status_code == 404


def test_copy_costs_one_unit_and_keeps_the_targets_no_data(api: Driver, bucket: Path) -> None:
    write_cog(bucket / "a/B04.tif", nodata=0)
    write_cog(bucket / "a/B08.tif", nodata=9)
    one, two = api.collection()["id"], api.collection(noData=7)["id"]
    ingested(api, collection=one)
    assert api.read(one)["additionalData"]["bands"]["B08"]["noData"] == 9
    spent = api.get("/_sandbox/meter").json()["pu"]
    answer = api.post(f"{COLLECTIONS}/{one}/copyTiles?toCollection={two}")
    assert answer.headers["x-processingunits-spent"] == "1.0"
    assert api.get("/_sandbox/meter").json()["pu"] == spent + 1
    target = api.read(two)
    assert target["noData"] == 7
    assert all("noData" not in band for band in target["additionalData"]["bands"].values())
    assert target["requiresMetadataUpdate"] is True


@pytest.mark.parametrize("status", [403, 404])
def test_tiles_are_not_copied_to_others(api: Driver, bucket: Path, status: int) -> None:
    api.configure(foreign_objects=status, clients={"other": {"secret": "s", "account": "other"}})
    mine = api.collection()["id"]
    api.login("other", "s")
    theirs = api.collection()["id"]
    for one, two in ((mine, theirs), (theirs, mine)):
        answer = api.post(f"{COLLECTIONS}/{one}/copyTiles?toCollection={two}")
        assert answer.status_code == status


@pytest.mark.parametrize("link", ["a", "a/B04.tif", ""])
def test_link_out_of_the_bucket_is_no_file(
    api: Driver, bucket: Path, tmp_path: Path, link: str
) -> None:
    write_cog(bucket / "a/B04.tif")
    place = bucket / link
    place.rename(tmp_path / "outside")
    place.symlink_to(tmp_path / "outside")
    tile, _ = ingested(api)
    assert tile["status"] == "FAILED"


# What is refused. Each case writes the files of folder `a` and names what the cause must say.


def huge_header(bucket: Path) -> None:
    file = write_cog(bucket / "a/B1.tif", nodata=0)
    with rasterio.open(file, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
        raster.update_tags(note="x" * (1024 * 1024))


def mixed_extensions(bucket: Path) -> None:
    write_cog(bucket / "a/B1.tif")
    write_cog(bucket / "a/B2.tiff")


def one_band_in_two_files(bucket: Path) -> None:
    write_cog(bucket / "a/B1.tif")
    write_cog(bucket / "a/B1.tiff")


def boxes_apart(bucket: Path) -> None:
    write_cog(bucket / "a/B1.tif")
    write_cog(bucket / "a/B2.tif", west=500_020)


def two_crs(bucket: Path) -> None:
    write_cog(bucket / "a/B1.tif")
    write_cog(bucket / "a/B2.tif", epsg=32632)


def cog(**options: Any) -> Any:
    return lambda bucket: write_cog(bucket / "a/B1.tif", **options)


def plain(**options: Any) -> Any:
    return cog(driver="GTiff", **options)


TILED = {"tiled": True, "blockxsize": 256, "blockysize": 256}


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda _: None, "no TIFF files"),
        (mixed_extensions, "one extension"),
        (one_band_in_two_files, "one extension"),
        (lambda bucket: (bucket / "a").mkdir() or (bucket / "a/B1.tif").write_text("x"), "no TIFF"),
        (huge_header, "header"),
        (plain(), "not tiled"),
        (plain(size=512, tiled=True, blockxsize=128, blockysize=128), "128x128"),
        (plain(size=4096, dtype="uint8", tiled=True, blockxsize=4096, blockysize=4096), "4096"),
        (plain(dtype="uint8", compress="jpeg", **TILED), "scheme 7"),
        (plain(compress="lzma", **TILED), "compress"),
        (plain(dtype="uint8", photometric="minisblack", bands=11, **TILED), "chunky"),
        (cog(epsg=None), "no CRS"),
        (cog(epsg=2056), "EPSG:2056"),
        (cog(epsg=4326, west=0, north=90.5, pixel=0.01), "pole"),
        (cog(epsg=32633, west=499_000, north=9_998_500), "pole"),
        (cog(epsg=3035, west=4_320_000, north=8_630_000, pixel=10_000), "pole"),
        (boxes_apart, "more than one pixel"),
        (two_crs, "same CRS"),
        (cog(dtype="float64"), "64 bits"),
        (cog(dtype="complex64"), "bits"),
        (cog(dtype="float32", nodata=float("nan")), "NaN"),
        (lambda bucket: write_cog(bucket / "a/2024-B1.tif"), "band's name"),
    ],
)
def test_files_that_break_a_rule_fail_with_the_cause(
    api: Driver, bucket: Path, write: Any, said: str
) -> None:
    write(bucket)
    tile, collection = ingested(api)
    assert said in cause(tile)
    assert collection["isConfigured"] is False
    assert "tileGeometry" not in tile


@pytest.mark.parametrize(
    "write",
    [
        plain(compress="lzw", **TILED),
        plain(compress="zstd", **TILED),
        plain(compress="packbits", **TILED),
        plain(**TILED),
        plain(BIGTIFF="YES", **TILED),
        plain(ENDIANNESS="BIG", **TILED),
        plain(dtype="uint8", nbits=1, **TILED),
        plain(dtype="uint8", photometric="rgb", bands=3, compress="deflate", **TILED),
        plain(dtype="uint8", bands=11, interleave="band", **TILED),
        cog(epsg=4326, west=14, north=46, pixel=0.001),
        cog(epsg=3857, west=1_500_000, north=6_000_000),
        cog(epsg=32733, west=500_000, north=6_000_000),
        cog(epsg=3035, west=4_321_000, north=3_210_000),
        cog(dtype="float32"),
        cog(dtype="int16"),
    ],
)
def test_files_within_the_rules_are_ingested(api: Driver, bucket: Path, write: Any) -> None:
    write(bucket)
    tile, _ = ingested(api)
    assert tile["status"] == "INGESTED", tile["additionalData"]


def test_one_pixel_of_difference_is_allowed_and_geometries_say_so(
    api: Driver, bucket: Path
) -> None:
    write_cog(bucket / "a/B1.tif")
    write_cog(bucket / "a/B2.tif", west=500_010)
    tile, _ = ingested(api)
    assert tile["status"] == "INGESTED"
    xs = [corner[0] for corner in tile["tileGeometry"]["coordinates"][0]]
    assert (min(xs), max(xs)) == (500_000, 502_570)
    xs = [corner[0] for corner in tile["coverGeometry"]["coordinates"][0]]
    assert (min(xs), max(xs)) == (500_010, 502_560)


def test_nan_as_nodata_passes_where_the_setting_says_so(api: Driver, bucket: Path) -> None:
    api.configure(nan_nodata="ignore")
    write_cog(bucket / "a/B1.tif", dtype="float32", nodata=float("nan"))
    tile, collection = ingested(api)
    assert tile["status"] == "INGESTED"
    assert "noData" not in collection


def test_photometric_other_than_grey_and_rgb_needs_a_plain_compression(
    api: Driver, bucket: Path
) -> None:
    palette = {0: (0, 0, 0, 255), 1: (255, 0, 0, 255)}
    for name, compress in (("a", "deflate"), ("b", "lzw")):
        file = write_cog(
            bucket / name / "B1.tif", driver="GTiff", dtype="uint8", compress=compress,
            photometric="palette", **TILED,
        )  # fmt: skip
        with rasterio.open(file, "r+") as raster:
            raster.write_colormap(1, palette)
            assert raster.colorinterp[0] == ColorInterp.palette
    one = api.collection()["id"]
    assert ingested(api, "a", collection=one)[0]["status"] == "INGESTED"
    assert "photometric" in cause(ingested(api, "b", collection=one)[0])


def test_missing_overviews_are_a_warning(api: Driver, bucket: Path) -> None:
    write_cog(bucket / "a/B1.tif", size=1280, overviews="NONE", dtype="uint8")
    tile, _ = ingested(api)
    assert tile["status"] == "INGESTED"
    assert "overviews" in tile["additionalData"]["warnings"]


@pytest.mark.parametrize(
    ("band", "options", "said"),
    [
        ({"source": "B2", **UINT16}, {}, "B2 is missing"),
        ({"bandIndex": 2, **UINT16}, {}, "no band number 2"),
        ({"bitDepth": 8, "sampleFormat": "UINT"}, {}, "16 bits"),
        ({"bitDepth": 16, "sampleFormat": "INT"}, {}, "is UINT"),
        ({"bitDepth": 32, "sampleFormat": "UINT"}, {"dtype": "float32"}, "is FLOAT"),
    ],
)
def test_files_must_fit_the_configuration(
    api: Driver, bucket: Path, band: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    write_cog(bucket / "a/B1.tif", **options)
    one = api.collection(additionalData={"bands": {"B1": band}})["id"]
    tile, collection = ingested(api, collection=one)
    assert said in cause(tile)
    assert list(collection["additionalData"]["bands"]) == ["B1"]


@pytest.mark.parametrize("name", ["nowhere", "../buckets/imagery", "..", "a/b"])
def test_bucket_that_is_not_there_fails_as_without_permission(
    api: Driver, bucket: Path, name: str
) -> None:
    write_cog(bucket / "a/B1.tif")
    one = api.collection(s3Bucket=name)["id"]
    assert "does not exist, or there is no permission" in cause(ingested(api, collection=one)[0])


def test_path_does_not_lead_out_of_the_bucket(api: Driver, bucket: Path) -> None:
    write_cog(bucket.parent / "other/a/B1.tif")
    assert "no files" in cause(ingested(api, "../other/a")[0])


def test_sample_format_left_out_is_taken_from_the_first_tile(api: Driver, bucket: Path) -> None:
    api.configure(sample_format_required=False)
    api.lenient = True  # answers then lack what the document requires
    write_cog(bucket / "a/B1.tif")
    one = api.collection(additionalData={"bands": {"B1": {"bitDepth": 16}}})["id"]
    _, collection = ingested(api, collection=one)
    assert collection["additionalData"]["bands"]["B1"]["sampleFormat"] == "UINT"
