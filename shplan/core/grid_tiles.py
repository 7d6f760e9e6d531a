"""
The tiles of a grid that an area touches, one by one: names and outlines for expressions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from shplan.core.areas import DEGREES, area_of
from shplan.core.cells import Box, cells_touching
from shplan.core.frozen import dataclass
from shplan.core.geometry import crs_code, crs_of, project
from shplan.core.grids import Grid, cell_name, lattices
from shplan.core.value import JsonObject, JsonValue, Object

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

# A border of a tile is straight in its own CRS; with points between, it is where it belongs in degrees.
_EDGES = 4
_DIGITS = 7


@dataclass(frozen=True, slots=True)
class GridTile:
    """
    One tile.

    Args:
        crs: `EPSG:N`, the CRS of its raster
        bbox: (west, south, east, north), in that CRS, without buffers
        partial: a part of it lies outside of the area
    """

    name: str
    crs: str
    bbox: Box
    partial: bool

    def as_json(self) -> JsonObject:
        """Return what expressions see: the outline is in degrees."""
        return {
            "name": self.name,
            "crs": self.crs,
            "bbox": [*self.bbox],
            "partial": self.partial,
            "geometry": self._outline(),
        }

    def _outline(self) -> JsonObject:
        import shapely  # noqa: PLC0415 - few manifests list tiles

        west, south, east, north = self.bbox
        box: BaseGeometry = shapely.box(west, south, east, north)
        if self.crs != DEGREES:
            dense = shapely.segmentize(box, max(east - west, north - south) / _EDGES)
            moved = project(dense, self.crs, DEGREES)
            assert moved is not None, "the CRS of a grid is known"
            box = moved
        points = [
            [round(float(x), _DIGITS), round(float(y), _DIGITS)]
            for x, y in shapely.get_coordinates(box)
        ]
        return {"type": "Polygon", "coordinates": cast("JsonValue", [points])}


def listed_tiles(
    grid: Grid, aoi: Object | list[float], *, crs: str = "", most: int
) -> tuple[GridTile, ...]:
    """
    Return the tiles of a grid that share area with an area of interest, by zone, column and row.

    Args:
        aoi: GeoJSON Polygon or MultiPolygon, or a bbox
        crs: of the coordinates; by default what the geometry itself says, else CRS84
        most: how many are listed

    Raises:
        NotAnAreaError: the coordinates make no area
    """
    named = crs_code(crs) if crs else DEGREES if isinstance(aoi, list) else crs_of(aoi)
    found = cells_touching(area_of(aoi, crs=named), lattices(grid), most=most)
    return tuple(
        GridTile(
            cell_name(grid, cells.lattice, column, row),
            cells.lattice.crs,
            (
                column * cells.lattice.width,
                row * cells.lattice.height,
                (column + 1) * cells.lattice.width,
                (row + 1) * cells.lattice.height,
            ),
            partial=(column, row) in cells.partly,
        )
        for cells in found
        for column, row in cells.first
    )
