"""
Images as bytes: PNG, JPEG and TIFF, or samples alone, the same bytes for the same pixels.

Source: the page on sample types for what a format can hold; alpha is a second or fourth band of PNG. What
clients of the service read: TIFFs are chunky.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.io import MemoryFile

from shplan.sandbox import cog_writing
from shplan.sandbox.warping import transform_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shplan.sandbox.cog_writing import CogParameters
    from shplan.sandbox.raster_sources import Grid
    from shplan.script.facts import OutputFacts

PNG, JPEG, TIFF, JSON = "image/png", "image/jpeg", "image/tiff", "application/json"
RAW = "application/octet-stream"
EXTENSIONS = {PNG: "png", JPEG: "jpg", TIFF: "tif", JSON: "json"}
DEFAULT_QUALITY = 90
# Source: xcube-sh, which hands such a body to Zarr as a chunk that is compressed by zlib at this level.
RAW_LEVEL = 8
# Our own bound: of 16 times as many, which a TIFF could have, some pixels are written for minutes.
MOST_BANDS = 4096
# Of each format that is no TIFF: numbers of bands and sample types.
_HOLDS = {
    PNG: ((1, 2, 3, 4), ("AUTO", "UINT8", "UINT16")),
    JPEG: ((1, 3), ("AUTO", "UINT8")),
}


def misfit(facts: OutputFacts, media_type: str) -> str | None:
    """Why a format cannot hold an output; none: it can."""
    if media_type not in _HOLDS:
        if 1 <= facts.bands <= MOST_BANDS:
            return None
        return (
            f"Output {facts.id} has {facts.bands} bands; {media_type} can have 1 to {MOST_BANDS}."
        )
    bands, sample_types = _HOLDS[media_type]
    if facts.bands not in bands:
        fitting = ", ".join(map(str, bands))
        return f"Output {facts.id} has {facts.bands} bands; {media_type} can have {fitting}."
    if facts.sample_type not in sample_types:
        fitting = ", ".join(sample_types)
        return (
            f"Output {facts.id} has the sample type {facts.sample_type}; {media_type} can have"
            f" {fitting}."
        )
    return None


def encoded(
    pixels: NDArray[Any],
    media_type: str,
    *,
    grid: Grid,
    no_data: float | None = None,
    quality: int = DEFAULT_QUALITY,
    cog: CogParameters | None = None,
) -> bytes:
    """
    The bytes of an image.

    Args:
        pixels: (row, column, band), of a type that the format can hold
        no_data: for the tag of a TIFF
        quality: of a JPEG, 0 to 100
        cog: how a TIFF is laid out; none: as a plain one

    Raises:
        CogError: as `cog_writing.encoded`
    """
    if media_type == RAW:
        return zlib.compress(pixels.astype(pixels.dtype.newbyteorder("<")).tobytes(), RAW_LEVEL)
    if media_type == PNG:
        # The default level takes five times as long, for a sixth less.
        return _written(pixels, grid, driver="PNG", ZLEVEL=1)
    if media_type == JPEG:
        return _written(pixels, grid, driver="JPEG", QUALITY=max(quality, 1))
    held = no_data if no_data is not None and _is_held(no_data, pixels.dtype) else None
    if cog is not None:
        return cog_writing.encoded(pixels, cog, grid=grid, no_data=held)
    return _written(
        pixels,
        grid,
        driver="GTiff",
        INTERLEAVE="PIXEL",
        COMPRESS="DEFLATE",
        ZLEVEL=1,
        crs=CRS.from_epsg(grid.epsg),
        nodata=held,
    )


def _written(pixels: NDArray[Any], grid: Grid, *, driver: str, **options: Any) -> bytes:
    height, width, count = pixels.shape
    # Nothing beside the image, where PNG and JPEG would have their place written to.
    with rasterio.Env(GDAL_PAM_ENABLED="NO"), MemoryFile() as memory:
        with memory.open(
            driver=driver,
            height=height,
            width=width,
            count=count,
            dtype=pixels.dtype.name,
            transform=transform_of(grid),
            **options,
        ) as raster:
            raster.write(np.moveaxis(pixels, -1, 0))
        content: bytes = memory.read()
        return content


def _is_held(no_data: float, dtype: np.dtype[Any]) -> bool:
    """Whether the samples can have the value: GDAL writes no tag that they cannot."""
    if dtype.kind == "f":
        return not np.isfinite(no_data) or abs(no_data) <= float(np.finfo(dtype).max)
    limits = np.iinfo(dtype)
    return float(no_data).is_integer() and bool(limits.min <= no_data <= limits.max)
