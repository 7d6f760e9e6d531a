"""
The tiling grids of batch processing: which tiles an area of interest touches.

The published table of grids is handed in as data. Its `rule` decides which cells
exist and what they are called; the service's own grids drop cells that others cover
wholly, so a count made here is an upper bound, and says how many tiles that concerns.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from shplan.core.areas import DEGREES, NotAnAreaError, area_of
from shplan.core.cells import Box, Lattice, cells_touching
from shplan.core.geometry import crs_code, crs_of
from shplan.core.value import JsonObject, Object, Value

_ZONES = 60
_ZONE_DEGREES = 6
# How many areas are remembered: the jobs of a `forEach` share theirs.
_REMEMBERED = 32


@dataclass(frozen=True, slots=True)
class Grid:
    """
    One tiling grid.

    Args:
        id: as `input.id` of a request names it
        name: for people
        unit: of tile sizes and resolutions, `METRE` or `DEGREE`
        tile_width, tile_height: of a tile without buffers, in that unit
        resolutions: the ones that the grid offers, in that unit
        crs: `EPSG:N`, or `UTM` for the CRS of each zone
        bounds: (west, south, east, north), degrees
    """

    id: int
    name: str
    unit: str
    tile_width: float
    tile_height: float
    resolutions: tuple[float, ...]
    crs: str
    bounds: Box

    @classmethod
    def of(cls, entry: JsonObject) -> Grid:
        """Read an entry of the table."""
        west, south, east, north = (float(one) for one in cast("list[float]", entry["bounds"]))
        return cls(
            cast("int", entry["id"]),
            str(entry["name"]),
            str(entry["unit"]),
            float(cast("float", entry["tileWidth"])),
            float(cast("float", entry["tileHeight"])),
            tuple(float(one) for one in cast("list[float]", entry["resolutions"])),
            str(entry["crs"]),
            (west, south, east, north),
        )


@dataclass(frozen=True, slots=True)
class Tiles:
    """
    The tiles of a grid that share area with an area of interest.

    Args:
        count: how many, at most
        names: of the first ones, by zone, then column, then row
        partial: how many of them lie only partly inside the area; they are processed whole
        overlapping: how many reach into a neighbouring zone, whose tiles may cover them, so
            that the service may have dropped them
        crs: `EPSG:N` of the outputs, in the order of the zones
    """

    count: int = 0
    names: tuple[str, ...] = ()
    partial: int = 0
    overlapping: int = 0
    crs: tuple[str, ...] = ()

    @property
    def least(self) -> int:
        """The number of tiles if the service dropped all those that it may have dropped."""
        return max(self.count - self.overlapping, min(self.count, 1))


@dataclass(frozen=True, slots=True)
class TileSize:
    """The raster of one tile, in pixels."""

    width_px: int
    height_px: int

    @property
    def pixels(self) -> int:
        """How many pixels it has."""
        return self.width_px * self.height_px


def grids(table: JsonObject) -> tuple[Grid, ...]:
    """Return all grids of the table, in its order."""
    return tuple(Grid.of(entry) for entry in cast("list[JsonObject]", table["grids"]))


def grid_by_id(table: JsonObject, grid_id: int) -> Grid | None:
    """Return a grid of the table; None where it has no such id."""
    return next((grid for grid in grids(table) if grid.id == grid_id), None)


def tile_size(
    grid: Grid, *, resolution: float, buffer_x_px: int = 0, buffer_y_px: int = 0
) -> TileSize:
    """
    Return the raster of a tile: its size over the resolution, and the buffer on both sides.

    A resolution that does not divide the tile is none of the grid's; the pixel that is cut
    counts whole.

    Source: API reference, tiling grids; `BatchV2TilingGridInput`.
    """
    return TileSize(
        _pixels(grid.tile_width, resolution) + 2 * buffer_x_px,
        _pixels(grid.tile_height, resolution) + 2 * buffer_y_px,
    )


def tiles_touching(grid: Grid, aoi: Object | list[float], *, crs: str = "", most: int = 0) -> Tiles:
    """
    Return the tiles of a grid that share area with an area of interest.

    Args:
        grid: from the table
        aoi: GeoJSON Polygon or MultiPolygon, or a bbox (west, south, east, north); x, y in
            every CRS, and longitudes may run over 180 degrees
        crs: of the coordinates, in any spelling; by default what the geometry itself says,
            else CRS84
        most: how many names to return

    Raises:
        NotAnAreaError: the coordinates make no area, or one out of the reach of its CRS
    """
    try:
        # Not the canonical form: a country's outline costs more in it than its tiles do.
        written = json.dumps(aoi, allow_nan=False)
    except (TypeError, ValueError) as error:
        message = "the coordinates are no numbers"
        raise NotAnAreaError(message) from error
    named = crs_code(crs) if crs else DEGREES if isinstance(aoi, list) else crs_of(aoi)
    return _tiles(grid, written, named, most)


@lru_cache(maxsize=_REMEMBERED)
def _tiles(grid: Grid, written: str, crs: str, most: int) -> Tiles:
    area = area_of(json.loads(written), crs=crs)
    found = cells_touching(area, lattices(grid), most=most)
    return Tiles(
        sum(cells.count for cells in found),
        tuple(cell_name(grid, cells.lattice, *cell) for cells in found for cell in cells.first),
        sum(cells.partial for cells in found),
        sum(cells.overhanging for cells in found),
        tuple(cells.lattice.crs for cells in found),
    )


def lattices(grid: Grid) -> Iterator[Lattice]:
    """Yield the lattices that make a grid: one, or one for each zone and hemisphere."""
    if grid.crs != "UTM":
        yield Lattice("", grid.crs, grid.tile_width, grid.tile_height, grid.bounds)
        return
    west, south, _, north = grid.bounds
    for zone in range(1, _ZONES + 1):
        left = west + _ZONE_DEGREES * (zone - 1)
        for letter, code, low, high in (("N", 326, 0.0, north), ("S", 327, south, 0.0)):
            yield Lattice(
                f"{zone:02}{letter}_",
                f"EPSG:{code}{zone:02}",
                grid.tile_width,
                grid.tile_height,
                (left, low, left + _ZONE_DEGREES, high),
            )


def cell_name(grid: Grid, lattice: Lattice, column: int, row: int) -> str:
    """Return the name of a tile. Source: `rule` of the table."""
    if grid.unit != "DEGREE":
        return f"{lattice.name}{column}_{row}"
    east, north = column * grid.tile_width, row * grid.tile_height
    longitude = f"{'W' if east < 0 else 'E'}{abs(round(east)):03}"
    return f"{longitude}{'S' if north < 0 else 'N'}{abs(round(north)):02}"


def _pixels(size: float, resolution: float) -> int:
    exact = size / resolution
    nearest = round(exact)
    return nearest if math.isclose(exact, nearest, rel_tol=1e-9) else math.ceil(exact)


def aoi_of(bounds: Value) -> tuple[Object | list[float], str] | None:
    """
    Read `input.bounds` of a request: the area, and the name of its CRS, if it has one.

    Where both are given, the output covers the bbox (source: API reference, Process).
    """
    if not isinstance(bounds, dict):
        return None
    properties = bounds.get("properties")
    crs = properties.get("crs") if isinstance(properties, dict) else None
    named = crs if isinstance(crs, str) else ""
    area = bounds.get("bbox") or bounds.get("geometry")
    if isinstance(area, list):
        return cast("list[float]", area), named
    return (area, named) if isinstance(area, dict) else None
