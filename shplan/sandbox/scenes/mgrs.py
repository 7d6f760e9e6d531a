"""
The tiles of Sentinel-2: squares of the military grid, a little larger than 100 km.

A tile is called after its square: zone, latitude band, letters of the column and the row. Letters
are reckoned by the rule and not looked up. Source: NGA standard "The Universal Grids", MGRS;
Sentinel-2 Products Specification, tiles of 109.8 km on a 60 m raster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from shplan.sandbox.scenes.orbits import Floats, vectors
from shplan.sandbox.scenes.utm import from_utm

SIDE = 109_800
SOUTH = -56.0
NORTH = 83.0

_SQUARE = 100_000
_RASTER = 60
_ZONE_DEGREES = 6
_BANDS = "CDEFGHJKLMNPQRSTUVWX"
_COLUMNS = ("STUVWXYZ", "ABCDEFGH", "JKLMNPQR")
_ROWS = "ABCDEFGHJKLMNPQRSTUV"
_NAME = re.compile(r"(\d\d)([C-HJ-NP-X])([A-HJ-NP-Z])([A-HJ-NP-V])")
# Where the grid leaves the even width of zones: (zone, band) to longitudes.
_WIDTHS = {
    (31, "V"): (0.0, 3.0),
    (32, "V"): (3.0, 12.0),
    (31, "X"): (0.0, 9.0),
    (33, "X"): (9.0, 21.0),
    (35, "X"): (21.0, 33.0),
    (37, "X"): (33.0, 42.0),
}
_NOWHERE = {(32, "X"), (34, "X"), (36, "X")}

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: its name without the `T`, its CRS, and west, south, east, north in metres."""

    name: str
    epsg: int
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class TileTable:
    """
    All tiles as arrays, in one order; longitudes are not wrapped at 180.

    Args:
        column: hundreds of kilometres east, counted as UTM counts
        row: hundreds of kilometres north of the equator, negative in the south
        centre: unit vectors, shape (n, 3)
    """

    zone: Ints
    column: Ints
    row: Ints
    band: Ints
    west: Floats
    south: Floats
    east: Floats
    north: Floats
    centre: Floats

    def tile(self, index: int) -> Tile:
        """The tile at a place of the table."""
        return _tile(
            int(self.zone[index]),
            int(self.band[index]),
            int(self.column[index]),
            int(self.row[index]),
        )

    def place(self, index: int) -> tuple[float, float]:
        """Longitude and latitude of the middle of a tile."""
        west, east = float(self.west[index]), float(self.east[index])
        return (west + east) / 2, float(self.south[index] + self.north[index]) / 2

    def touching(self, bounds: tuple[float, float, float, float]) -> Ints:
        """Where in the table the tiles stand whose surroundings meet a box in degrees."""
        west, south, east, north = bounds
        found = np.zeros(len(self.zone), dtype=bool)
        for turn in (-360.0, 0.0, 360.0):
            found |= (self.west <= east + turn) & (self.east >= west + turn)
        found &= (self.south <= north) & (self.north >= south)
        return np.flatnonzero(found)

    def index_of(self, name: str) -> int | None:
        """Where the tile of a name stands; none if there is no such tile."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        zone = int(match[1])
        column = _COLUMNS[zone % 3].find(match[3]) + 1
        row = _ROWS.index(match[4]) - _first_row(zone)
        found = np.flatnonzero(
            (self.zone == zone)
            & (self.band == _BANDS.index(match[2]))
            & (self.column == column)
            & ((self.row - row) % len(_ROWS) == 0)
        )
        return int(found[0]) if len(found) else None


@lru_cache(maxsize=65_536)
def _tile(zone: int, band: int, column: int, row: int) -> Tile:
    letter = _ROWS[(row + _first_row(zone)) % len(_ROWS)]
    name = f"{zone:02d}{_BANDS[band]}{_COLUMNS[zone % 3][column - 1]}{letter}"
    base, false_north = (32600, 0) if row >= 0 else (32700, 10_000_000)
    west, north = _corner(column, row)
    north += false_north
    box = (float(west), float(north - SIDE), float(west + SIDE), float(north))
    return Tile(name, base + zone, box)


def _first_row(zone: int) -> int:
    """Rows of even zones begin five letters later, so that equal names lie far apart."""
    return 5 if zone % 2 == 0 else 0


def _corner(column: int, row: int) -> tuple[int, int]:
    """West and north of a tile, north of the equator: the square's, moved outwards to 60 m."""
    west = column * _SQUARE // _RASTER * _RASTER
    return west, -(-(row + 1) * _SQUARE // _RASTER) * _RASTER


@cache
def tile_table() -> TileTable:
    """All tiles between `SOUTH` and `NORTH`, land and sea."""
    column, row = (axis.ravel() for axis in np.meshgrid(np.arange(1, 9), np.arange(-63, 93)))
    # All zones are alike: one is projected, with its meridian at longitude 0.
    square = _surroundings(column * _SQUARE, row * _SQUARE, _SQUARE)
    corner = np.array([_corner(int(c), int(r)) for c, r in zip(column, row, strict=True)])
    tile = _surroundings(corner[:, 0], corner[:, 1] - SIDE, SIDE)
    latitude = (square[1] + square[3]) / 2
    band = np.clip((latitude + 80) // 8, 0, len(_BANDS) - 1).astype(np.int64)
    known = (latitude >= SOUTH) & (latitude <= NORTH)
    parts = []
    for zone in range(1, 61):
        meridian = _ZONE_DEGREES * zone - 183.0
        limits = np.array([_limits(zone, letter) for letter in _BANDS])[band] - meridian
        inside = known & (square[0] < limits[:, 1]) & (square[2] > limits[:, 0])
        chosen = np.flatnonzero(inside)
        west, east = tile[0, chosen] + meridian, tile[2, chosen] + meridian
        parts.append((np.full(len(chosen), zone), chosen, west, east))
    zones, chosen, west, east = (np.concatenate(part) for part in zip(*parts, strict=True))
    south, north = tile[1, chosen], tile[3, chosen]
    return TileTable(
        zone=zones,
        column=column[chosen],
        row=row[chosen],
        band=band[chosen],
        west=west,
        south=south,
        east=east,
        north=north,
        centre=vectors((west + east) / 2, (south + north) / 2),
    )


def _limits(zone: int, band: str) -> tuple[float, float]:
    if (zone, band) in _NOWHERE:
        return (np.inf, -np.inf)
    west = _ZONE_DEGREES * zone - 186.0
    return _WIDTHS.get((zone, band), (west, west + _ZONE_DEGREES))


def _surroundings(west: Ints, south: Ints, side: int) -> Floats:
    """West, south, east, north in degrees from the meridian of squares, shape (4, n)."""
    steps = np.linspace(0.0, side, 5)
    x = west[:, None] + np.concatenate([steps, steps, 0 * steps, 0 * steps + side])
    y = south[:, None] + np.concatenate([0 * steps, 0 * steps + side, steps, steps])
    longitude, latitude = from_utm(32631, x, y)
    longitude = longitude - 3.0
    return np.array(
        [longitude.min(axis=1), latitude.min(axis=1), longitude.max(axis=1), latitude.max(axis=1)]
    )
