"""Headers of GeoTIFFs are read by ranges, as GDAL reads the files; whatever the bytes, it ends."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

from shplan.core.cog_rules import file_findings, tile_findings
from shplan.core.cog_sets import Tiles
from shplan.core.tiff_header import FIRST_READ, Header, NotATiffError, read_header
from tests.support.bounded import bounded


def write(path: Path, **profile: Any) -> Path:
    """A GeoTIFF, by default one that has nothing wrong with it."""
    stated: dict[str, Any] = {
        "driver": "COG",
        "width": 700,
        "height": 600,
        "count": 1,
        "dtype": "uint16",
        "crs": "EPSG:32633",
        "transform": from_origin(500_000, 5_100_000, 10, 10),
        "compress": "deflate",
        "blocksize": 256,
    } | profile
    if stated["driver"] != "COG":
        del stated["blocksize"]
    values = np.arange(stated["width"] * stated["height"], dtype="uint32")
    band = values.reshape(stated["height"], stated["width"]).astype(stated["dtype"])
    with rasterio.open(path, "w", **{k: v for k, v in stated.items() if v is not None}) as file:
        for index in range(1, stated["count"] + 1):
            file.write(band, index)
    return path


def read(content: bytes) -> tuple[Header, int]:
    """The header, and how many bytes were read for it."""
    reading, total = read_header(len(content)), 0
    try:
        start, length = next(reading)
        while True:
            total += length
            assert start >= 0
            assert start + length <= len(content)
            start, length = reading.send(content[start : start + length])
    except StopIteration as done:
        return done.value, total


def codes(path: Path, deployment: str = "") -> list[str]:
    header, _ = read(path.read_bytes())
    return sorted(one.code for one in file_findings(header, deployment=deployment))


@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"driver": "GTiff", "compress": None},
        {"driver": "GTiff", "tiled": True, "blockxsize": 256, "blockysize": 256, "BIGTIFF": "YES"},
        {"driver": "GTiff", "ENDIANNESS": "BIG", "dtype": "float32", "nodata": -9999.0},
        {"crs": "EPSG:4326", "transform": from_origin(14, 46, 0.001, 0.001), "dtype": "uint8"},
        {"count": 3, "nodata": 0},
    ],
)
def test_a_header_says_what_gdal_says(tmp_path: Path, profile: Any) -> None:
    path = write(tmp_path / "a.tif", **profile)
    header, _ = read(path.read_bytes())
    with rasterio.open(path) as file:
        assert (header.full.width, header.full.height) == (file.width, file.height)
        assert header.full.samples == file.count
        assert header.epsg == file.crs.to_epsg()
        assert header.box == pytest.approx(tuple(file.bounds))
        assert len(header.overviews) == len(file.overviews(1))
        assert (header.full.tile is not None) == file.profile["tiled"]
        if header.full.tile is not None:
            assert header.full.tile == file.block_shapes[0][::-1]
        assert header.no_data == ("" if file.nodata is None else f"{file.nodata:g}")
        assert header.full.bits[0] == np.dtype(file.dtypes[0]).itemsize * 8


def test_a_large_file_is_read_by_its_head_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", width=2000, height=2000, compress=None)
    content = path.read_bytes()
    _, total = read(content)
    assert total <= FIRST_READ < len(content)


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ({}, []),
        ({"driver": "GTiff", "width": 200, "height": 200}, ["cog/tiling"]),
        ({"driver": "GTiff", "compress": "jpeg", "dtype": "uint8"},
         ["cog/compression", "cog/overviews", "cog/tiling"]),
        ({"blocksize": 128, "width": 200, "height": 200}, ["cog/block-size"]),
        ({"driver": "GTiff", "tiled": True, "blockxsize": 256, "blockysize": 256},
         ["cog/overviews"]),
        ({"crs": "EPSG:3912"}, ["cog/crs"]),
        ({"crs": "EPSG:6933"}, ["cog/crs"]),
        ({"crs": None}, ["cog/crs-missing"]),
        ({"crs": "+proj=laea +lat_0=10 +lon_0=20"}, ["cog/crs-missing"]),
        ({"transform": None}, ["cog/position"]),
        ({"transform": rasterio.Affine(10, 2, 500_000, 2, -10, 5_100_000)}, ["cog/rotated"]),
        ({"transform": from_origin(500_000, 5_100_000, 10, 20)}, ["cog/pixels"]),
        ({"transform": from_origin(500_000, 10_000_000, 10, 10)}, ["cog/pole"]),
        ({"crs": "EPSG:4326", "transform": from_origin(0, 90.5, 0.001, 0.001)}, ["cog/pole"]),
        ({"dtype": "float64"}, ["cog/sample-type"]),
        ({"count": 11, "driver": "GTiff", "interleave": "pixel", "width": 100, "height": 100,
          "tiled": True, "blockxsize": 256, "blockysize": 256}, ["cog/samples"]),
        ({"dtype": "float32", "nodata": float("nan")}, ["cog/no-data"]),
    ],
)  # fmt: skip
def test_each_rule(tmp_path: Path, profile: Any, expected: list[str]) -> None:
    with warnings.catch_warnings(action="ignore"):
        path = write(tmp_path / "a.tif", **profile)
    assert codes(path) == expected


def test_cdse_takes_one_reference_system_more(tmp_path: Path) -> None:
    assert codes(write(tmp_path / "a.tif", crs="EPSG:6933"), "cdse") == []


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    content = write(tmp_path / "a.tif").read_bytes()
    header, _ = read(content[: len(content) // 2])
    assert "cog/truncated" in [one.code for one in file_findings(header)]
    with pytest.raises(NotATiffError, match="ends before"):
        read(content[:300])


def test_a_header_behind_the_pixels(tmp_path: Path) -> None:
    options = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    path = write(tmp_path / "a.tif", driver="GTiff", **options)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4])
    assert codes(path) == ["cog/layout"]


def test_a_header_of_more_than_a_megabyte(tmp_path: Path) -> None:
    """Small internal tiles make long lists of places."""
    options = {"tiled": True, "blockxsize": 16, "blockysize": 16, "SPARSE_OK": True}
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "width": 8000, "height": 8000, "count": 1, "dtype": "uint8"}
    place = {"crs": "EPSG:32633", "transform": from_origin(500_000, 5_100_000, 10, 10)}
    with rasterio.open(path, "w", **profile, **place, **options) as file:
        file.write(np.ones((8000, 8000), "uint8"), 1)
    assert "cog/header" in codes(path)


def test_files_of_a_tile_lie_over_each_other(tmp_path: Path) -> None:
    first = write(tmp_path / "a.tif")
    near = write(tmp_path / "b.tif", transform=from_origin(500_009, 5_100_000, 10, 10))
    far = write(tmp_path / "c.tif", transform=from_origin(500_100, 5_100_000, 10, 10))
    other = write(tmp_path / "d.tif", crs="EPSG:32634")

    def found(*paths: Path) -> list[str]:
        files = {path.stem: read(path.read_bytes())[0] for path in paths}
        return [one.code for one in tile_findings(files)]

    assert found(first, near) == []
    assert set(found(first, far)) == {"tile/extent"}
    away = write(tmp_path / "e.tif", transform=from_origin(600_000, 5_100_000, 10, 10))
    files = {path.stem: read(path.read_bytes())[0] for path in (first, away)}
    assert "is 10,000 of its pixels away" in next(tile_findings(files)).what
    assert found(first, other) == ["tile/crs"]
    # Other resolutions are allowed: the box counts.
    coarse = write(
        tmp_path / "e.tif", width=350, height=300, transform=from_origin(500_000, 5_100_000, 20, 20)
    )
    assert found(first, coarse) == []


def test_tiles_of_a_collection_are_alike(tmp_path: Path) -> None:
    header, _ = read(write(tmp_path / "a.tif").read_bytes())
    wide, _ = read(write(tmp_path / "b.tif", dtype="float32").read_bytes())

    def found(bands: Any, *tiles: Any) -> list[str]:
        among = Tiles(bands)
        told = []
        for number, files in enumerate(tiles):
            keys = {name: f"{number}/{name}.tif" for name in files}
            told += [one.code for one in among.add(str(number), keys, files)]
        return told

    assert found({}, {"B1": header}, {"B1": header}) == []
    assert found({}, {"B1": header}, {"B2": header}) == ["tile/file-names"]
    assert found({}, {"B1": header}, {"B1": wide}) == ["tile/bit-depth"]
    assert found({}, {}) == ["tile/no-files"]
    good = {"B1": {"bitDepth": 16, "sampleFormat": "UINT"}}
    assert found(good, {"B1": header}) == []
    assert found({"R": {"source": "B2"}}, {"B1": header}) == ["tile/band-missing"]
    assert found({"B1": {"bandIndex": 2}}, {"B1": header}) == ["tile/band-index"]
    assert found({"B1": {"bitDepth": 8}}, {"B1": header}) == ["tile/sample-type"]
    assert found({}, {"4-red": header}, {"4-red": header}) == ["tile/band-name"]
    assert found({"red": {"source": "4-red"}}, {"4-red": header}) == []
    # Of files on this machine nobody knows which part stands for the band.
    unplaced = Tiles({}, placed=False)
    assert [*unplaced.add("x", {"4-red": "x/4-red.tif"}, {"4-red": header})] == []
    mixed = Tiles({})
    assert [one.code for one in mixed.add("x", {"a": "x/a.tif", "b": "x/b.TIF"}, {})] == [
        "tile/extension"
    ]


@pytest.mark.parametrize("content", [b"", b"II", b"II*\0", b"GIF89a..........", b"PK\3\4" * 9])
def test_what_is_no_tiff(content: bytes) -> None:
    with pytest.raises(NotATiffError):
        read(content)


def test_directories_that_lead_in_a_circle() -> None:
    directory = struct.pack("<HHHIII", 1, 256, 4, 1, 10, 8)
    header, _ = read(b"II*\0" + struct.pack("<I", 8) + directory + bytes(100))
    assert len(header.images) == 1


@pytest.fixture(scope="module")
def cog(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(tmp_path_factory.mktemp("cog") / "a.tif").read_bytes()


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_the_bytes_it_ends(cog: bytes, data: st.DataObject) -> None:
    """A flipped byte or a lost end makes another header, or none; never an error of another kind."""
    content = bytearray(cog[: data.draw(st.sampled_from([len(cog), 2000, 500, 100, 20]))])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, min(len(content), 1200) - 1))
        content[at] = data.draw(st.integers(0, 255))
    with bounded():
        try:
            header, total = read(bytes(content))
        except NotATiffError:
            return
        assert total <= 9 << 20
        list(file_findings(header))
        list(tile_findings({"a": header}))
