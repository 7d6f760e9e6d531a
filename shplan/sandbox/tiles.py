"""
The tiles of a grid that an area of interest touches.

The rule, by which the project counts and names tiles because the service's own table of them was
not at hand, stands in the table of grids (`schemas/tables/tiling-grids.json`, member `rule`):
square cells from the origin of the CRS. This is the sandbox's reading; the client has its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from shplan.sandbox import areas
from shplan.sandbox.geometry import WGS84
from shplan.sandbox.grids import Grid, grids

if TYPE_CHECKING:
    from shplan.sandbox.areas import Area

ZONE_DEGREES = 6
# Our own bound, which is that of GeoPackages: no task has more features.
MOST_TILES = 700_000
_MOST_CELLS = 20_000_000


class TooManyTilesError(ValueError):
    """An area that touches more tiles than a task may have."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: its name and lower left corner, in the CRS of the EPSG code."""

    name: str
    epsg: int
    west: float
    south: float


@lru_cache(maxsize=64)
def tiles_within(grid_id: int, bounds: str) -> tuple[Tile, ...]:
    """
    The tiles of a grid that share area with the area that `bounds` describe, as JSON text.

    They come zone by zone, from south to north and from west to east.

    Raises:
        TooManyTilesError: more than a task may have
    """
    grid = grids()[grid_id]
    found = areas.area_of_text(bounds)
    if found is None:
        return ()
    area = areas.clipped(areas.to_wgs84(*found), grid.bounds)
    zones = list(_zones(grid, area))
    # There are at least as many as fill the area: known before any is made.
    if math.fsum(zone.area.area for zone in zones) / grid.tile**2 > MOST_TILES:
        raise TooManyTilesError
    tiles = [tile for zone in zones for tile in _tiles_of(grid, zone)]
    if len(tiles) > MOST_TILES:
        raise TooManyTilesError
    return tuple(tiles)


@dataclass(frozen=True, slots=True)
class _Zone:
    """A part of an area in the CRS in which its tiles are counted, and how their names begin."""

    area: Area
    epsg: int
    prefix: str


def _zones(grid: Grid, area: Area) -> Iterator[_Zone]:
    if area.is_empty:
        return
    if grid.crs != "UTM":
        epsg = int(grid.crs.removeprefix("EPSG:"))
        yield _Zone(areas.moved(area, source=WGS84, target=epsg), epsg, "")
        return
    west, south, east, north = area.bounds
    first = math.floor((west + 180) / ZONE_DEGREES)
    last = min(59, math.floor((east + 180) / ZONE_DEGREES))
    for index in range(first, last + 1):
        left = -180 + ZONE_DEGREES * index
        for letter, base, low, high in (("S", 32701, south, 0.0), ("N", 32601, 0.0, north)):
            part = (
                areas.clipped(area, (left, low, left + ZONE_DEGREES, high)) if low < high else None
            )
            if part is not None and part.area > 0:
                moved = areas.moved(part, source=WGS84, target=base + index)
                yield _Zone(moved, base + index, f"{index + 1:02d}{letter}_")


def _tiles_of(grid: Grid, zone: _Zone) -> list[Tile]:
    if zone.area.is_empty:
        return []
    west, south, east, north = (side / grid.tile for side in zone.area.bounds)
    columns = np.arange(math.floor(west), math.ceil(east))
    rows = np.arange(math.floor(south), math.ceil(north))
    if len(columns) * len(rows) > _MOST_CELLS:
        raise TooManyTilesError
    column, row = (axis.ravel() for axis in np.meshgrid(columns, rows))
    size = grid.tile
    shared = areas.boxes_that_share_area(
        zone.area, column * size, row * size, width=size, height=size
    )
    return [
        Tile(_name(zone, int(x), int(y)), zone.epsg, float(x * size), float(y * size))
        for x, y in zip(column[shared], row[shared], strict=True)
    ]


def _name(zone: _Zone, column: int, row: int) -> str:
    if zone.epsg != WGS84:
        return f"{zone.prefix}{column}_{row}"
    longitude = f"{'W' if column < 0 else 'E'}{abs(column):03d}"
    return f"{longitude}{'S' if row < 0 else 'N'}{abs(row):02d}"
