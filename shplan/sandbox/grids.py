"""
The tiling grids, as the service describes them.

Their geometry stands in `tiles`. Source: the published table, `schemas/tables/tiling-grids.json`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast

from shplan.schema.store import table

if TYPE_CHECKING:
    from shplan.sandbox.wire import JsonObject

# To 53 bits, which a double holds exactly.
_ID_SHIFT = 11


@dataclass(frozen=True, slots=True)
class Grid:
    """
    One tiling grid.

    Args:
        tile: side of a tile, in the grid's unit
        crs: `UTM`, or the EPSG code behind `EPSG:`
        bounds: west, south, east, north in degrees
    """

    id: int
    name: str
    unit: str
    tile: float
    resolutions: tuple[float, ...]
    crs: str
    bounds: tuple[float, float, float, float]

    def as_json(self) -> JsonObject:
        """The grid as answers show it. Source: schema `BatchV2TilingGridDescriptor`."""
        properties: JsonObject = {
            "tileWidth": self.tile,
            "tileHeight": self.tile,
            "resolutions": list(self.resolutions),
            "unit": self.unit,
        }
        return {"id": self.id, "name": self.name, "properties": properties}


def tile_id(grid_id: int, name: str) -> int:
    """
    The identifier of a tile, by which version 1 of the batch API names it.

    The service's numbers are not known; ours depend on grid and name alone, and are whole numbers
    for every reader of JSON.
    """
    return int.from_bytes(hashlib.sha256(f"{grid_id}/{name}".encode()).digest()[:8]) >> _ID_SHIFT


@cache
def grids() -> dict[int, Grid]:
    """All grids by their identifiers."""
    found = {}
    for entry in cast("list[JsonObject]", table("tiling-grids")["grids"]):
        grid = Grid(
            id=cast("int", entry["id"]),
            name=cast("str", entry["name"]),
            unit=cast("str", entry["unit"]),
            tile=cast("float", entry["tileWidth"]),
            resolutions=tuple(cast("list[float]", entry["resolutions"])),
            crs=cast("str", entry["crs"]),
            bounds=cast(
                "tuple[float, float, float, float]", tuple(cast("list[float]", entry["bounds"]))
            ),
        )
        found[grid.id] = grid
    return found
