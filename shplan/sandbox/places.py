"""
Where the pixels of an answer lie: their centres in degrees, and in the CRS of scenes.

A scene of an image of many reaches a few pixels only, so a window of the grid is found first, by the sides of
blocks of pixels. What was projected is kept for the next scene of the same place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shplan.sandbox.geometry import WGS84, transformer
from shplan.sandbox.imagery.grid import project

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shplan.sandbox.raster_sources import Grid, Mask, Window

    Floats = NDArray[np.float64]

_BLOCK = 32
# So many windows are kept if they have so many pixels together.
_MOST_KEPT = 4
_MOST_PIXELS = 1 << 21
# Outlines are straight in the CRS of the scene, and footprints in degrees.
_MARGIN_DEG = 0.01


class Places:
    """
    The centres of the pixels of a grid.

    Args:
        grid: in any CRS; where it leaves the world, pixels have no place
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        across, down = grid.pixel
        self._x = grid.west + (np.arange(grid.width) + 0.5) * across
        self._y = grid.north - (np.arange(grid.height) + 0.5) * down
        lon, lat = self._degrees()
        known = np.isfinite(lon) & np.isfinite(lat)
        self.known: Mask | None = None if known.all() else known
        self._lon = lon if self.known is None else np.where(known, lon, 0.0)
        self._lat = lat if self.known is None else np.where(known, lat, 0.0)
        self._sides = (*_sides(self._lon), *_sides(self._lat))
        self._kept: dict[tuple[int, int, int, int, int], tuple[Floats, Floats]] = {}

    def _degrees(self) -> tuple[Floats, Floats]:
        shape = (self.grid.height, self.grid.width)
        x, y = np.broadcast_to(self._x, shape), np.broadcast_to(self._y[:, np.newaxis], shape)
        if self.grid.epsg == WGS84:
            return x, y
        lon, lat = transformer(self.grid.epsg, WGS84)(x.ravel(), y.ravel())  # type: ignore[arg-type]
        return np.reshape(lon, shape), np.reshape(lat, shape)

    def window(self, bounds: tuple[float, float, float, float]) -> Window | None:
        """
        The rows and columns that may lie in an area; none: none does.

        Args:
            bounds: west, south, east, north, in degrees
        """
        west, south, east, north = bounds
        least_lon, most_lon, least_lat, most_lat = self._sides
        near = (most_lon >= west - _MARGIN_DEG) & (least_lon <= east + _MARGIN_DEG)
        near &= (most_lat >= south - _MARGIN_DEG) & (least_lat <= north + _MARGIN_DEG)
        rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        if not len(rows):
            return None
        return (
            slice(int(rows[0]) * _BLOCK, min((int(rows[-1]) + 1) * _BLOCK, self.grid.height)),
            slice(int(columns[0]) * _BLOCK, min((int(columns[-1]) + 1) * _BLOCK, self.grid.width)),
        )

    def located(self, epsg: int, window: Window) -> tuple[Floats, Floats]:
        """The centres of the pixels of a window in a CRS, (row, column) each: degrees, or a zone of UTM."""
        rows, columns = window
        if epsg == WGS84:
            return self._lon[window], self._lat[window]
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        if epsg == self.grid.epsg:
            x = np.broadcast_to(self._x[columns], shape)
            return x, np.broadcast_to(self._y[rows, np.newaxis], shape)
        key = (epsg, rows.start, rows.stop, columns.start, columns.stop)
        if key not in self._kept:
            x, y = project(epsg, self._lon[window].ravel(), self._lat[window].ravel())
            found = x.reshape(shape), y.reshape(shape)
            if len(self._kept) >= _MOST_KEPT or shape[0] * shape[1] * _MOST_KEPT > _MOST_PIXELS:
                self._kept.clear()
            self._kept[key] = found
        return self._kept[key]


def _sides(values: Floats) -> tuple[Floats, Floats]:
    """The least and the greatest of each block."""
    rows, columns = (np.arange(0, size, _BLOCK) for size in values.shape)
    least = np.minimum.reduceat(np.minimum.reduceat(values, rows, axis=0), columns, axis=1)
    most = np.maximum.reduceat(np.maximum.reduceat(values, rows, axis=0), columns, axis=1)
    return least, most
