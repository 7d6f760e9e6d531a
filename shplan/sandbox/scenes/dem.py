"""
The elevation model: cells of one degree, which no time belongs to.

A cell is found whatever range of time is asked for; the instant that it is listed under is the end
of the campaign that it was measured in. Source: Copernicus DEM Product Handbook (names of cells).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import shapely
from shapely.geometry import MultiPolygon, box
from shapely.geometry.base import BaseGeometry

from shplan.sandbox.geometry import WGS84
from shplan.sandbox.scenes.describing import collection
from shplan.sandbox.scenes.instants import ms
from shplan.sandbox.scenes.scene import Scene
from shplan.sandbox.wire import JsonObject

AT_MS = ms("2015-01-16")
_ID = re.compile(r"Copernicus_DSM_COG_10_([NS])(\d\d)_00_([EW])(\d{3})_00_DEM")


@dataclass(frozen=True, slots=True)
class Dem:
    """The collection of elevations."""

    collection: str
    description: JsonObject
    queryables: JsonObject
    distincts: frozenset[str] = frozenset()
    has_clouds: bool = False

    def scenes(self, area: BaseGeometry | None, *, from_ms: int, to_ms: int) -> Iterator[Scene]:
        """Cells that touch an area, by identifier; all of them belong to every range of time."""
        west, south, east, north = (-180.0, -90.0, 180.0, 90.0) if area is None else area.bounds
        # A cell that an area only touches is touched all the same.
        rows = range(max(-90, math.ceil(south) - 1), min(89, math.floor(north)) + 1)
        columns = range(max(-180, math.ceil(west) - 1), min(179, math.floor(east)) + 1)
        if area is not None:
            shapely.prepare(area)
        for row in sorted(rows, key=_row_name):
            for column in sorted(columns, key=_column_name):
                if area is None or area.intersects(_cell(row, column)):
                    yield self._scene(row, column)

    def find(self, scene_id: str) -> Scene | None:
        """The cell of an identifier; none if there is no such cell."""
        match = _ID.fullmatch(scene_id)
        if match is None:
            return None
        row = int(match[2]) * (1 if match[1] == "N" else -1)
        column = int(match[4]) * (1 if match[3] == "E" else -1)
        if not (-90 <= row <= 89 and -180 <= column <= 179):
            return None
        scene = self._scene(row, column)
        return scene if scene.id == scene_id else None

    def cloud_cover(self, scene: Scene) -> float:
        """Nothing: there are no clouds on the ground."""
        return 0.0

    def _scene(self, row: int, column: int) -> Scene:
        name = f"Copernicus_DSM_COG_10_{_row_name(row)}_00_{_column_name(column)}_00_DEM"
        cell = _cell(row, column)
        return Scene(
            id=name,
            collection=self.collection,
            at_ms=AT_MS,
            footprint=cell,
            epsg=WGS84,
            box=(float(column), float(row), column + 1.0, row + 1.0),
            outline=cell,
            properties={"gsd": 30},
            href=f"s3://copernicus-dem-30m/{name}/",
        )


def _row_name(row: int) -> str:
    return f"{'S' if row < 0 else 'N'}{abs(row):02d}"


def _column_name(column: int) -> str:
    return f"{'W' if column < 0 else 'E'}{abs(column):03d}"


def _cell(row: int, column: int) -> MultiPolygon:
    return MultiPolygon([box(column, row, column + 1, row + 1)])


def whole(cell: Scene) -> Scene:
    """All cells as one scene, under the name of one of them."""
    sides = (-180.0, -90.0, 180.0, 90.0)
    world = MultiPolygon([box(*sides)])
    return replace(cell, footprint=world, outline=world, box=sides)


def missions() -> list[Dem]:
    """The one collection."""
    described = collection(
        "dem",
        title="Digital Elevation Model",
        text="Heights of the ground, in cells of one degree",
        bbox=(-180.0, -90.0, 180.0, 90.0),
        begin="2015-01-16",
        provider=("ESA", "https://spacedata.copernicus.eu/"),
        summaries={"gsd": [30]},
    )
    return [Dem("dem", described, {})]
