"""
Cloud optimized GeoTIFFs as a batch task wants them: blocks, overviews, predictor.

Written by the GeoTIFF driver of GDAL from an image that has its overviews already, because GDAL's own driver for
such files knows square blocks and powers of two only. Source: schemas `BatchV2CogParameters` and
`BatchCogParameters`, which name the options of GDAL; gdaladdo for the levels where none are named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import rasterio
from rasterio import shutil
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from shplan.sandbox.warping import transform_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio import DatasetReader

    from shplan.sandbox.raster_sources import Grid
    from shplan.sandbox.wire import JsonObject

DEFAULT_BLOCK = 256
# Our own bound: a block is in memory as a whole.
MOST_BLOCK_PIXELS = 1 << 26
# Source: the BYOC page: more bands of one file must lie in planes of their own to be read again.
MOST_CHUNKY = 10
_METHODS = {
    "nearest": Resampling.nearest,
    "average": Resampling.average,
    "gauss": Resampling.gauss,
    "cubic": Resampling.cubic,
    "cubicspline": Resampling.cubic_spline,
    "lanczos": Resampling.lanczos,
    # Of complex numbers it is something else, but there are none here.
    "average_magphase": Resampling.average,
    "mode": Resampling.mode,
}


class CogError(ValueError):
    """Parameters with which no file can be written, in words for their owner."""


@dataclass(frozen=True, slots=True)
class CogParameters:
    """
    How a file is laid out.

    Args:
        levels: how many times smaller each overview is; none: powers of two
        smallest: without levels, the last overview is the first that is not larger, in pixels
        block: width and height of a block in pixels
    """

    levels: tuple[int, ...] | None = None
    smallest: int = DEFAULT_BLOCK
    method: Resampling = Resampling.average
    block: tuple[int, int] = (DEFAULT_BLOCK, DEFAULT_BLOCK)
    has_predictor: bool = True


def parameters_of(output: JsonObject) -> CogParameters | None:
    """What a task's output says of its files; none: they are no COGs."""
    if not output.get("cogOutput"):
        return None
    said = cast("JsonObject", output.get("cogParameters") or {})
    block = (
        cast("int", said.get("blockxsize", DEFAULT_BLOCK)),
        cast("int", said.get("blockysize", DEFAULT_BLOCK)),
    )
    levels = said.get("overviewLevels")
    return CogParameters(
        levels=None if levels is None else tuple(cast("list[int]", levels)),
        smallest=cast("int", said.get("overviewMinSize", min(block))),
        method=_METHODS[str(said.get("resamplingAlgorithm", "average"))],
        block=block,
        has_predictor=bool(said.get("usePredictor", True)),
    )


def encoded(
    pixels: NDArray[Any], parameters: CogParameters, *, grid: Grid, no_data: float | None
) -> bytes:
    """
    The bytes of a file, the same for the same pixels.

    Args:
        pixels: (row, column, band)
        no_data: for the tag, of a value that the samples can have

    Raises:
        CogError: it cannot be written with these parameters
    """
    width, height = parameters.block
    if width * height > MOST_BLOCK_PIXELS:
        msg = f"Blocks of {width} x {height} pixels are too large to be written."
        raise CogError(msg)
    options: dict[str, Any] = {
        "GDAL_PAM_ENABLED": "NO",
        "GDAL_TIFF_OVR_BLOCKSIZE": _overview_block(parameters.block),
    }
    try:
        with rasterio.Env(**options), MemoryFile() as source, MemoryFile() as target:
            _write_source(source, pixels, parameters, grid=grid, no_data=no_data)
            with source.open() as raster:
                _copy(raster, target.name, parameters)
            content: bytes = target.read()
            return content
    except RasterioError as error:
        msg = "A COG cannot be written with these parameters."
        raise CogError(msg) from error


def _copy(raster: DatasetReader, name: str, parameters: CogParameters) -> None:
    width, height = parameters.block
    shutil.copy(
        raster,
        name,
        driver="GTiff",
        COPY_SRC_OVERVIEWS="YES",
        TILED="YES",
        BLOCKXSIZE=width,
        BLOCKYSIZE=height,
        INTERLEAVE="PIXEL" if raster.count <= MOST_CHUNKY else "BAND",
        COMPRESS="DEFLATE",
        # Higher ones take three times as long, for a twentieth less.
        ZLEVEL=1,
        PREDICTOR=_predictor(np.dtype(raster.dtypes[0]), parameters),
    )


def _write_source(
    file: MemoryFile,
    pixels: NDArray[Any],
    parameters: CogParameters,
    *,
    grid: Grid,
    no_data: float | None,
) -> None:
    height, width, count = pixels.shape
    with file.open(
        driver="GTiff",
        height=height,
        width=width,
        count=count,
        dtype=pixels.dtype.name,
        crs=CRS.from_epsg(grid.epsg),
        transform=transform_of(grid),
        nodata=no_data,
        BIGTIFF="IF_SAFER",
    ) as raster:
        raster.write(np.moveaxis(pixels, -1, 0))
        if levels := _levels(parameters, width=width, height=height):
            raster.build_overviews(levels, parameters.method)


def _levels(parameters: CogParameters, *, width: int, height: int) -> list[int]:
    longest = max(width, height)
    if parameters.levels is not None:
        # One of the size of the image, or of no size, is none.
        return sorted({level for level in parameters.levels if 1 < level <= longest})
    found = []
    level = 1
    while -(-longest // level) > max(parameters.smallest, 1):
        level *= 2
        found.append(level)
    return found


def _overview_block(block: tuple[int, int]) -> int:
    """GDAL has square blocks in overviews, whose side is a power of two from 64 to 4,096."""
    side = 64
    while side * 2 <= min(*block, 4096):
        side *= 2
    return side


def _predictor(dtype: np.dtype[Any], parameters: CogParameters) -> int:
    if not parameters.has_predictor:
        return 1
    return 3 if dtype.kind == "f" else 2
