"""Small real COGs, the same bytes every time."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=8)
def cog_bytes(*, dtype: str = "uint16", nodata: int | None = 0, east: float = 500_000.0) -> bytes:
    """A 512 x 512 COG in EPSG:32633 with internal tiles and overviews."""
    import numpy as np
    from rasterio.crs import CRS
    from rasterio.io import MemoryFile
    from rasterio.transform import from_origin

    rows, columns = np.indices((512, 512))
    data = ((rows * 7 + columns * 3) % 250 + 1).astype(dtype)
    with MemoryFile() as memory:
        with memory.open(
            driver="COG",
            width=512,
            height=512,
            count=1,
            dtype=dtype,
            crs=CRS.from_epsg(32633),
            transform=from_origin(east, 5_100_000.0, 10, 10),
            nodata=nodata,
            blocksize=256,
            compress="DEFLATE",
            overview_resampling="NEAREST",
        ) as raster:
            raster.write(data, 1)
        return memory.read()


def write_tile(
    buckets: Path, bucket: str, folder: str, *, bands: tuple[str, ...] = ("B04",)
) -> None:
    """Write one COG a band into a folder of a bucket."""
    home = buckets / bucket / folder
    home.mkdir(parents=True, exist_ok=True)
    for band in bands:
        (home / f"{band}.tiff").write_bytes(cog_bytes())
