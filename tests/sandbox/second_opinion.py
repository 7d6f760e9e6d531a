"""
Pixels of tiles computed a second time, by numpy from the numbers in the files: no warp, no code of the sandbox.

The centre of each pixel of the answer is taken to the tile, by pyproj, and the tile's numbers are looked up
or weighed there. Files are read by rasterio, whole, an overview as the image that it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyproj
import rasterio
import shapely
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Where = NDArray[np.bool_]


@dataclass(frozen=True)
class Asked:
    """
    The pixels of an answer.

    Args:
        bbox: west, south, east, north
        size: columns, rows
    """

    bbox: Sequence[float]
    size: tuple[int, int]
    epsg: int = 32633

    def centres(self, epsg: int) -> tuple[Numbers, Numbers]:
        """The centres in another CRS, (row, column) each."""
        west, south, east, north = self.bbox
        columns, rows = self.size
        x = west + (np.arange(columns) + 0.5) * (east - west) / columns
        y = north - (np.arange(rows) + 0.5) * (north - south) / rows
        grid = np.meshgrid(x, y)
        if epsg == self.epsg:
            return grid[0], grid[1]
        moved = pyproj.Transformer.from_crs(self.epsg, epsg, always_xy=True).transform(*grid)
        return moved[0], moved[1]


@dataclass(frozen=True)
class Tile:
    """
    One tile: its file, and where it counts.

    Args:
        overview: which of the file's overviews is looked at; none: the image itself
        cover: in the CRS of the file; none: all of the file
        no_data: the number that stands for nothing
    """

    path: Path
    overview: int | None = None
    cover: shapely.Geometry | None = None
    no_data: float | None = None
    epsg: int = field(default=32633)

    def lookup(self, asked: Asked, how: str = "nearest") -> tuple[Numbers, Where, Where]:
        """Numbers, where the tile is what is used, and where it has data; 0 where it has none."""
        more = {} if self.overview is None else {"overview_level": self.overview}
        with rasterio.open(self.path, **more) as raster:
            stored = raster.read(1).astype(float)
            matrix = raster.transform
        x, y = asked.centres(self.epsg)
        # In pixels of the file, from its outer corner.
        column, row = (x - matrix.c) / matrix.a, (y - matrix.f) / matrix.e
        inside = (column >= 0) & (row >= 0) & (column < stored.shape[1]) & (row < stored.shape[0])
        used = inside
        if self.cover is not None:
            used = inside & shapely.contains_xy(self.cover, x, y)
        values = WEIGHED[how](stored, column, row)
        valid = used if self.no_data is None else used & (values != self.no_data)
        return np.where(valid, values, 0), used, valid


def _at(stored: Numbers, column: Numbers, row: Numbers) -> Numbers:
    """The numbers of whole columns and rows; beyond the edge those of the edge."""
    height, width = stored.shape
    inside: Numbers = stored[
        np.clip(row, 0, height - 1).astype(int), np.clip(column, 0, width - 1).astype(int)
    ]
    return inside


def _nearest(stored: Numbers, column: Numbers, row: Numbers) -> Numbers:
    return _at(stored, np.floor(column), np.floor(row))


def _bilinear(stored: Numbers, column: Numbers, row: Numbers) -> Numbers:
    """Between the centres of four pixels."""
    left, top = np.floor(column - 0.5), np.floor(row - 0.5)
    right, down = column - 0.5 - left, row - 0.5 - top
    found = np.zeros_like(column)
    for dx, wx in ((0, 1 - right), (1, right)):
        for dy, wy in ((0, 1 - down), (1, down)):
            found += wx * wy * _at(stored, left + dx, top + dy)
    return np.floor(found + 0.5)


WEIGHED = {"nearest": _nearest, "bilinear": _bilinear}


def mosaic(tiles: Sequence[Tile], asked: Asked, how: str = "nearest") -> tuple[Numbers, Where]:
    """The first tile that counts at a pixel is the one that is used; numbers, and where there are data."""
    values, free, data = 0.0, True, False
    for tile in tiles:
        found, used, valid = tile.lookup(asked, how)
        values = np.where(free & used, found, values)
        data = np.where(free & used, valid, data)
        free &= ~used
    return np.asarray(values), np.asarray(data, dtype=bool)
