"""
The imagery of a new project: a farm as Sentinel-2 would have taken it, on its clear days.

Nothing of it was taken: it is cut out of the sandbox's own scenes, so that a vegetation index of it looks like one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, cast

import numpy as np
import shapely
from rasterio.crs import CRS
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from shplan.sandbox.geometry import WGS84, transformer
from shplan.sandbox.imagery import reading
from shplan.sandbox.scenes.missions import missions

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

    from shplan.sandbox.scenes.scene import Scene

    Floats = NDArray[np.float64]

COLLECTION = "sentinel-2-l2a"
BANDS = ("B04", "B08")
# The folder of a tile, and the clear day next to it.
DAYS = {"2025/06/01": "2025-06-03", "2025/06/11": "2025-06-08", "2025/06/21": "2025-06-28"}
# A corner near Ljubljana, metres; pixels of 10 m.
EPSG, WEST_M, NORTH_M, PIXEL_M, SIDE = 32633, 461_000.0, 5_101_000.0, 10.0, 512
_DAY_MS = 86_400_000
# What the files say where there is nothing, which is nowhere.
NO_DATA = 0


@cache
def cog(folder: str, band: str) -> bytes:
    """
    A cloud-optimised GeoTIFF of one band on one of the days.

    Pixels: (512, 512), uint16, reflectance times 10,000, no-data 0, EPSG:32633, internal tiles of 256, overviews.
    """
    with MemoryFile() as memory:
        with memory.open(
            driver="COG",
            width=SIDE,
            height=SIDE,
            count=1,
            dtype="uint16",
            crs=CRS.from_epsg(EPSG),
            transform=from_origin(WEST_M, NORTH_M, PIXEL_M, PIXEL_M),
            nodata=NO_DATA,
            blocksize=256,
            compress="DEFLATE",
            predictor="YES",
            overview_resampling="NEAREST",
        ) as raster:
            raster.write(_measured(folder)[band], 1)
        content: bytes = memory.read()
        return content


@cache
def _measured(folder: str) -> dict[str, NDArray[np.uint16]]:
    """The bands of one day, (row, column), as they are stored."""
    centres = (np.arange(SIDE) + 0.5) * PIXEL_M
    x, y = np.meshgrid(WEST_M + centres, NORTH_M - centres)
    longitude, latitude = cast("tuple[Floats, Floats]", transformer(EPSG, WGS84)(x, y))
    area = shapely.box(longitude.min(), latitude.min(), longitude.max(), latitude.max())
    scene = _scene(DAYS[folder], area)
    read = reading.read(scene, BANDS, longitude, latitude, dict.fromkeys(BANDS, "DN"))
    return {band: np.maximum(read[band], NO_DATA + 1).astype(np.uint16) for band in BANDS}


def _scene(day: str, area: BaseGeometry) -> Scene:
    """The scene of a day that covers an area whole."""
    begin_ms = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000
    taken = missions()[COLLECTION].scenes(area, from_ms=begin_ms, to_ms=begin_ms + _DAY_MS)
    return next(scene for scene in taken if scene.footprint.covers(area))
