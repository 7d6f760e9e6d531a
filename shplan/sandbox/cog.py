"""
One GeoTIFF as ingestion sees it: structure, place on Earth, no-data value, ETag.

rasterio is loaded when the first file is opened. What the facts mean for a tile is decided
in `checks`.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shplan.sandbox import tiff
from shplan.sandbox.bucket_files import UnreadableError
from shplan.sandbox.buckets import IngestionError
from shplan.sandbox.geometry import Box

if TYPE_CHECKING:
    from shplan.sandbox.bucket_files import BucketFile


@dataclass(frozen=True, slots=True)
class RasterFile:
    """
    The facts of one file.

    Args:
        source: what stands in place of `(BAND)`
        epsg: code of its CRS; none if it has none, or one without a code
        box: its bounds in its CRS
        pixel: width and height of a pixel in units of the CRS
        is_upright: rows run from north to south and columns from west to east
        no_data: value of its nodata tag, possibly NaN
        etag: MD5 of its content, as object storage has it
    """

    source: str
    structure: tiff.Tiff
    epsg: int | None
    box: Box
    pixel: tuple[float, float]
    is_upright: bool
    no_data: float | None
    etag: str


def read(source: str, file: BucketFile) -> RasterFile:
    """
    The facts of the file.

    Raises:
        IngestionError: it cannot be read as a GeoTIFF
    """
    try:
        before = file.state()
        with file.opened() as (content, size):
            structure = tiff.parse(content, size)
        placed = _placed(source, file, structure, file.etag())
        is_same = file.state() == before
    except UnreadableError as error:
        raise IngestionError(str(error)) from error
    except (tiff.TiffError, OSError) as error:
        reason = error if isinstance(error, tiff.TiffError) else "it cannot be read"
        msg = f"The file {file.name} is not a valid GeoTIFF: {reason}."
        raise IngestionError(msg) from error
    if not is_same:
        msg = f"The file {file.name} was changed while it was read; reingest the tile."
        raise IngestionError(msg)
    return placed


def _placed(source: str, file: BucketFile, structure: tiff.Tiff, etag: str) -> RasterFile:
    # Costs a quarter of a second, and most commands ingest nothing.
    from rasterio.errors import RasterioError  # noqa: PLC0415

    try:
        with warnings.catch_warnings(action="ignore"), file.raster() as raster:
            matrix = raster.transform
            box = Box(*(float(side) for side in raster.bounds))
            pixel = (abs(float(matrix.a)), abs(float(matrix.e)))
            numbers = (box.west, box.south, box.east, box.north, *pixel)
            if not all(map(math.isfinite, numbers)) or 0 in pixel:
                msg = f"The file {file.name} is not a valid GeoTIFF: it has no place on Earth."
                raise IngestionError(msg)
            return RasterFile(
                source=source,
                structure=structure,
                epsg=_epsg(raster.crs),
                box=box,
                pixel=pixel,
                is_upright=matrix.b == matrix.d == 0 and matrix.a > 0 > matrix.e,
                no_data=None if raster.nodata is None else float(raster.nodata),
                etag=etag,
            )
    except RasterioError as error:
        msg = f"The file {file.name} is not a valid GeoTIFF: it cannot be opened."
        raise IngestionError(msg) from error


def _epsg(crs: object) -> int | None:
    code = crs.to_epsg() if crs else None  # type: ignore[attr-defined]  # rasterio has no types
    return None if code is None else int(code)
