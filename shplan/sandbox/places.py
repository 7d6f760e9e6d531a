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
from shplan.sandbox.raster_sources import MERCATOR

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
# Part of a block by which its sides bend at most.
_BENT = 0.1


class Places:
    """
    The centres of the pixels of a grid.

    Args:
        grid: in any CRS; where it leaves the world, pixels have no place
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        across, down = grid.pixel
        self._x: Floats = grid.west + (np.arange(grid.width, dtype=np.float64) + 0.5) * across
        self._y: Floats = grid.north - (np.arange(grid.height, dtype=np.float64) + 0.5) * down
        self.known: Mask | None = None
        self._lon_lat: tuple[Floats, Floats] | None = None
        self._sides = (self._of_corners() if is_utm(grid.epsg) else None) or self._of_all()
        self._kept: dict[tuple[int, int, int, int, int], tuple[Floats, Floats]] = {}

    def _of_corners(self) -> tuple[Floats, Floats, Floats, Floats] | None:
        """The sides of blocks as their corners tell, in a zone whose lines are hardly bent; none outside of it."""
        rows, columns = (
            np.append(np.arange(0, size, _BLOCK), size - 1)
            for size in (self.grid.height, self.grid.width)
        )
        lon, lat = self._moved(self._x[columns], self._y[rows])
        if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
            return None
        sides = []
        for one in (lon, lat):
            corners = [one[:-1, :-1], one[1:, :-1], one[:-1, 1:], one[1:, 1:]]
            least, most = np.minimum.reduce(corners), np.maximum.reduce(corners)
            spare = _BENT * (most - least)
            sides += [least - spare, most + spare]
        return sides[0], sides[1], sides[2], sides[3]

    def _of_all(self) -> tuple[Floats, Floats, Floats, Floats]:
        lon, lat = self._degrees()
        return (*_sides(lon), *_sides(lat))

    def _degrees(self) -> tuple[Floats, Floats]:
        """Longitudes and latitudes, 0 where there are none."""
        if self._lon_lat is None:
            lon, lat = self._moved(self._x, self._y)
            known = np.isfinite(lon) & np.isfinite(lat)
            if not known.all():
                self.known = known
                lon, lat = np.where(known, lon, 0.0), np.where(known, lat, 0.0)
            self._lon_lat = lon, lat
        return self._lon_lat

    def _moved(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """The degrees of columns and rows, (row, column)."""
        shape = (len(y), len(x))
        epsg = self.grid.epsg
        if epsg in (WGS84, MERCATOR):
            # Each depends on one axis alone.
            lon, lat = (x, y) if epsg == WGS84 else _on_axes(epsg, x, y)
            return np.broadcast_to(lon, shape), np.broadcast_to(lat[:, np.newaxis], shape)
        wide, tall = np.broadcast_to(x, shape), np.broadcast_to(y[:, np.newaxis], shape)
        lon, lat = _projected(epsg, wide.ravel(), tall.ravel())
        return lon.reshape(shape), lat.reshape(shape)

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
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        if epsg == self.grid.epsg:
            x = np.broadcast_to(self._x[columns], shape)
            return x, np.broadcast_to(self._y[rows, np.newaxis], shape)
        lon, lat = self._degrees()
        if epsg == WGS84:
            return lon[window], lat[window]
        key = (epsg, rows.start, rows.stop, columns.start, columns.stop)
        if key not in self._kept:
            x, y = project(epsg, lon[window].ravel(), lat[window].ravel())
            found = x.reshape(shape), y.reshape(shape)
            if len(self._kept) >= _MOST_KEPT or shape[0] * shape[1] * _MOST_KEPT > _MOST_PIXELS:
                self._kept.clear()
            self._kept[key] = found
        return self._kept[key]


def _on_axes(epsg: int, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    lon, _ = _projected(epsg, x, np.zeros_like(x))
    _, lat = _projected(epsg, np.zeros_like(y), y)
    return lon, lat


def _projected(epsg: int, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    lon, lat = transformer(epsg, WGS84)(x, y)  # type: ignore[arg-type]
    return np.asarray(lon), np.asarray(lat)


def is_utm(epsg: int) -> bool:
    """Whether this is the code of a zone."""
    return 32601 <= epsg <= 32660 or 32701 <= epsg <= 32760


def _sides(values: Floats) -> tuple[Floats, Floats]:
    """The least and the greatest of each block."""
    rows, columns = (np.arange(0, size, _BLOCK) for size in values.shape)
    least = np.minimum.reduceat(np.minimum.reduceat(values, rows, axis=0), columns, axis=1)
    most = np.maximum.reduceat(np.maximum.reduceat(values, rows, axis=0), columns, axis=1)
    return least, most
