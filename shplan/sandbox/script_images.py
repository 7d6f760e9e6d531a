"""
Image files beside a script's tests: what it reads, and what it is to make.

What a script made is written as the service would: by sample type, in the format of the file.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.vrt import WarpedVRT

from shplan.sandbox import images, samples
from shplan.sandbox.raster_sources import Grid
from shplan.sandbox.warping import transform_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shplan.script.rendering import Output

MEDIA_TYPES = {
    ".png": images.PNG,
    ".jpg": images.JPEG,
    ".jpeg": images.JPEG,
    ".tif": images.TIFF,
    ".tiff": images.TIFF,
}
MOST_PIXELS = 4096 * 4096
_WGS84 = 4326


class ImageError(Exception):
    """A file cannot be used as an image; the message is a sentence without its name."""


def read_bands(
    path: Path, bands: Mapping[str, int], *, scale: float
) -> tuple[dict[str, NDArray[np.float64]], Grid]:
    """
    Read bands of a small image, and where its pixels lie; as the service has it, what has no data is 0.

    There is `dataMask` as well, unless a band of the file is said to be that.

    Args:
        bands: of the script, each with its number in the file, from 1
        scale: what the numbers are multiplied by

    Raises:
        ImageError: the file is no image, too large, or has no such band
    """
    try:
        with _quiet(), rasterio.open(path) as raster:
            if raster.width * raster.height > MOST_PIXELS:
                message = f"has more than {MOST_PIXELS:,} pixels"
                raise ImageError(message)
            wrong = [one for one in bands.values() if one > raster.count]
            if wrong:
                message = f"has {raster.count} bands, and no band {wrong[0]}"
                raise ImageError(message)
            mask = raster.dataset_mask() != 0
            found = {
                name: np.where(mask, raster.read(number).astype("float64") * scale, 0.0)
                for name, number in bands.items()
            }
            found.setdefault("dataMask", mask.astype("float64"))
            epsg = raster.crs.to_epsg() if raster.crs else None
            west, south, east, north = raster.bounds
            size = raster.width, raster.height
            return found, Grid(epsg or _WGS84, west, south, east, north, *size)
    except (RasterioError, OSError) as error:
        raise ImageError(_reason(path)) from error


def lies(path: Path) -> tuple[Grid, tuple[str, ...]]:
    """
    Return where the pixels of a file lie, and what its bands are called.

    Raises:
        ImageError: the file is no image, or does not say where it lies
    """
    try:
        with _quiet(), rasterio.open(path) as raster:
            epsg = raster.crs.to_epsg() if raster.crs else None
            if epsg is None:
                message = "does not say where it lies: it has no CRS with an EPSG code"
                raise ImageError(message)
            west, south, east, north = raster.bounds
            grid = Grid(epsg, west, south, east, north, raster.width, raster.height)
            return grid, tuple(str(one or "") for one in raster.descriptions)
    except (RasterioError, OSError) as error:
        raise ImageError(_reason(path)) from error


def read_on(
    path: Path, bands: Mapping[str, int], grid: Grid, *, scale: float
) -> dict[str, NDArray[np.float64]]:
    """
    Read bands of a file on other pixels, by the nearest, and its `dataMask`.

    Source: Evalscript V3, "dataMask": where it is 0 all other bands are 0.

    Raises:
        ImageError: the file is no image, or has no such band
    """
    if grid.width * grid.height > MOST_PIXELS:
        message = f"would be drawn with more than {MOST_PIXELS:,} pixels"
        raise ImageError(message)
    placed = {"transform": transform_of(grid), "width": grid.width, "height": grid.height}
    try:
        with (
            rasterio.open(path) as raster,
            WarpedVRT(raster, crs=CRS.from_epsg(grid.epsg), add_alpha=False, **placed) as warped,
        ):
            wrong = [one for one in bands.values() if not 1 <= one <= raster.count]
            if wrong:
                message = f"has {raster.count} bands, and no band {wrong[0]}"
                raise ImageError(message)
            mask = warped.dataset_mask() != 0
            found = {
                name: np.where(mask, warped.read(number).astype("float64") * scale, 0.0)
                for name, number in bands.items()
            }
            return {**found, "dataMask": mask.astype("float64")}
    except (RasterioError, OSError) as error:
        raise ImageError(_reason(path)) from error


def encoded(output: Output, path: Path, grid: Grid | None) -> bytes:
    """
    Return what the service would write of an output, in the format of a file's name.

    Args:
        grid: where the pixels lie; None: nowhere

    Raises:
        ImageError: the format cannot hold the output
    """
    media_type = MEDIA_TYPES[path.suffix.lower()]
    problem = images.misfit(output.facts, media_type)
    if problem is not None:
        raise ImageError(problem)
    pixels = samples.written(output.pixels, output.facts.sample_type)
    height, width, _ = pixels.shape
    place = grid or Grid(_WGS84, 0, 0, width, height, width, height)
    no_data = output.facts.nodata
    with _quiet():
        return images.encoded(pixels, media_type, grid=place, no_data=no_data)


def differences(output: Output, golden: Path, *, tolerance: float) -> Iterator[str]:
    """
    Yield how an output differs from a golden image, as numbers of its sample type.

    Raises:
        ImageError: the golden is no image
    """
    actual = samples.written(output.pixels, output.facts.sample_type).astype("float64")
    try:
        with _quiet(), rasterio.open(golden) as raster:
            expected = np.moveaxis(raster.read().astype("float64"), 0, -1)
    except (RasterioError, OSError) as error:
        raise ImageError(_reason(golden)) from error
    if expected.shape != actual.shape:
        yield f"the golden has {_sized(expected)}, the script made {_sized(actual)}"
        return
    near = np.isclose(actual, expected, rtol=0.0, atol=tolerance, equal_nan=True)
    if near.all():
        return
    off = np.abs(np.where(near, 0.0, actual - expected))
    row, column, band = (int(one) for one in np.argwhere(~near)[0])
    worst = float(np.nanmax(off)) if np.isfinite(off).any() else float("nan")
    yield (
        f"{int((~near).sum()):,} of {near.size:,} values differ, by up to {worst:.6g}; first at row"
        f" {row + 1}, column {column + 1}, band {band + 1}: expected"
        f" {expected[row, column, band]:.9g}, got {actual[row, column, band]:.9g}"
    )


def _sized(pixels: NDArray[np.float64]) -> str:
    height, width, bands = pixels.shape
    return f"{width} x {height} pixels of {bands} {'band' if bands == 1 else 'bands'}"


def _reason(path: Path) -> str:
    return "is no image that can be read" if path.is_file() else "is not there"


def _quiet() -> warnings.catch_warnings[None]:
    """Take images that lie nowhere as they are: tests have such."""
    return warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning)
