"""What `shplan byoc check` says of a file is what the sandbox's ingestion does with it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine, from_origin

from shplan.core.cog_rules import file_findings, tile_findings
from shplan.core.diagnostic import Severity
from shplan.core.tiff_header import NotATiffError
from tests.core.test_tiff_header import read, write
from tests.support.bench import Bench

UTM: dict[str, Any] = {"transform": from_origin(500_000, 5_100_000, 10, 10)}
# In tiles, and with the overviews that GDAL makes of it.
TILED: dict[str, Any] = {"driver": "GTiff", "tiled": True, "blockxsize": 256, "blockysize": 256}
ROTATED = Affine(10, 1, 500_000, 1, -10, 5_100_000)
UPSIDE_DOWN = Affine(10, 0, 500_000, 0, 10, 5_100_000)


def overviews(size: int, **profile: Any) -> dict[str, Any]:
    return {**TILED, **profile, "overview_block": size}


CASES: dict[str, dict[str, Any]] = {
    "good": {},
    "deflate": {"compress": "deflate", "blocksize": 512},
    "lzw": {"compress": "lzw"},
    "zstd": {"compress": "zstd"},
    "uncompressed": {"compress": "none"},
    "lzma": {"compress": "lzma"},
    "webp": {"compress": "webp", "dtype": "uint8", "count": 3},
    "jpeg": {"compress": "jpeg", "dtype": "uint8"},
    "lerc": {"compress": "lerc"},
    "packbits": {**TILED, "compress": "packbits"},
    "in strips": {"driver": "GTiff"},
    "small tiles": {"blocksize": 128},
    "large tiles": {"blocksize": 4096, "width": 64, "height": 64},
    "largest tiles": {"blocksize": 2048},
    "tall tiles": {**TILED, "blockysize": 1024},
    "flat tiles": {**TILED, "blockysize": 128},
    "overviews": overviews(256),
    "overviews of small tiles": overviews(128),
    "overviews of large tiles": overviews(4096),
    "overviews in larger tiles": overviews(512),
    "overviews compressed otherwise": overviews(256, overview_compress="LZMA"),
    "bytes": {"dtype": "uint8"},
    "signed": {"dtype": "int16"},
    "signed bytes": {"dtype": "int8"},
    "long": {"dtype": "uint32"},
    "longer": {"dtype": "int32"},
    "float": {"dtype": "float32"},
    "double": {"dtype": "float64"},
    "complex": {**TILED, "dtype": "complex64"},
    "longest": {"dtype": "uint64"},
    "bits": {**TILED, "dtype": "uint8", "nbits": 1},
    "nibbles": {**TILED, "dtype": "uint8", "nbits": 4},
    "seven bits": {**TILED, "dtype": "uint8", "nbits": 7},
    "twelve bits": {**TILED, "nbits": 12},
    "half": {**TILED, "dtype": "float32", "nbits": 16},
    "ten bands": {**TILED, "count": 10, "interleave": "pixel"},
    "eleven bands": {**TILED, "count": 11, "interleave": "pixel"},
    "eleven planes": {**TILED, "count": 11, "interleave": "band"},
    "no system": {"crs": None},
    "no place": {**TILED, "transform": None, "crs": None},
    "degrees": {"crs": "EPSG:4326", "transform": from_origin(14, 46, 1e-4, 1e-4)},
    "web": {"crs": "EPSG:3857"},
    "europe": {"crs": "EPSG:3035", "transform": from_origin(4_300_000, 3_200_000, 10, 10)},
    "zone 60 south": {"crs": "EPSG:32760"},
    "slovenia": {"crs": "EPSG:3912"},
    "equal earth": {"crs": "EPSG:6933"},
    "rotated": {"transform": ROTATED},
    "upside down": {"transform": UPSIDE_DOWN},
    "oblong": {"transform": from_origin(500_000, 5_100_000, 10, 20)},
    "to the pole": {"crs": "EPSG:4326", "transform": from_origin(14, 90, 1e-4, 1e-4)},
    "over the pole": {"crs": "EPSG:4326", "transform": from_origin(14, 91, 0.1, 0.1)},
    "over the north of a zone": {"transform": from_origin(499_000, 9_999_000, 10, 10)},
    "beside the north of a zone": {"transform": from_origin(600_000, 9_999_000, 10, 10)},
    "over the south of a zone": {
        "crs": "EPSG:32733",
        "transform": from_origin(499_000, 4_000, 10, 10),
    },
    "over the pole of europe": {
        "crs": "EPSG:3035",
        "transform": from_origin(4_318_000, 7_372_000, 10, 10),
    },
    "cmyk": {**TILED, "dtype": "uint8", "count": 4, "photometric": "cmyk", "compress": "lzw"},
    "cmyk deflated": {**TILED, "dtype": "uint8", "count": 4, "photometric": "cmyk"},
    "with a mask": {**TILED, "mask": True},
    "no data": {"nodata": 0},
}


def made(path: Path, profile: dict[str, Any]) -> Path:
    """Write one; what GDAL adds afterwards is no part of the profile."""
    stated = dict(profile)
    block = stated.pop("overview_block", None)
    compression = stated.pop("overview_compress", "DEFLATE")
    mask = stated.pop("mask", False)
    write(path, **stated)
    options = {"GDAL_TIFF_INTERNAL_MASK": True, "COMPRESS_OVERVIEW": compression}
    with rasterio.Env(**options, **({"GDAL_TIFF_OVR_BLOCKSIZE": str(block)} if block else {})):
        if block or mask:
            with rasterio.open(path, "r+") as file:
                if block:
                    file.build_overviews([2, 4])
                if mask:
                    file.write_mask(np.ones((file.height, file.width), dtype=bool))
    return path


def said(path: Path) -> list[str]:
    """The rules that a file breaks, as the check says before anything is sent."""
    try:
        header, _ = read(path.read_bytes())
    except NotATiffError:
        return ["cog/unreadable"]
    found = (*file_findings(header), *tile_findings({"B04": header}))
    return [one.code for one in found if one.severity is Severity.ERROR]


async def ingested(world: Bench, name: str) -> dict[str, Any]:
    """What ingestion makes of it, as the only tile of a collection."""
    body = {"name": name, "s3Bucket": "fields"}
    home = (await world.call("POST", "/byoc/v1/collections", body))["data"]["id"]
    place = f"/byoc/v1/collections/{home}/tiles"
    await world.call("POST", place, {"path": name.replace(" ", "_")})
    await world.clock.sleep(60.0)
    (tile,) = (await world.call("GET", place))["data"]
    return dict(tile)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_check_and_the_ingestion_agree(tmp_path: Path) -> None:
    """Each was written from the documentation on its own; where they differ, one of them is wrong."""
    world = Bench(tmp_path)
    differ: dict[str, Any] = {}
    refused: dict[str, list[str]] = {}

    async def scenario() -> None:
        for name, profile in CASES.items():
            folder = world.buckets / "fields" / name.replace(" ", "_")
            folder.mkdir(parents=True)
            broken = said(made(folder / "B04.tif", profile))
            tile = await ingested(world, name)
            if broken:
                refused[name] = broken
            if bool(broken) != (tile["status"] == "FAILED"):
                differ[name] = (broken, tile["status"], tile.get("additionalData"))

    try:
        asyncio.run(scenario())
    finally:
        world.close()
    assert differ == {}
    # Neither takes everything, nor nothing.
    assert refused["overviews of small tiles"] == ["cog/block-size"]
    assert refused["over the pole of europe"] == ["cog/pole"]
    assert len(CASES) // 3 < len(refused) < 2 * len(CASES) // 3
