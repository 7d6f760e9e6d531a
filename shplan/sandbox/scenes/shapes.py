"""
Shapes of scenes: rings on the globe become polygons in degrees, cut at longitude 180.

Coordinates are rounded, so that the last digits of mathematical libraries do not matter.
"""

from __future__ import annotations

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from shplan.sandbox.scenes.orbits import Floats

_DIGITS = 7


def footprint(longitude: Floats, latitude: Floats) -> MultiPolygon:
    """
    The polygons of a ring in degrees; longitudes may be of any turn of the circle.

    A ring that goes around a pole reaches up to it.
    """
    lon = np.round(np.degrees(np.unwrap(np.radians(longitude))), _DIGITS)
    lat = np.round(latitude, _DIGITS)
    end = lon[0] + 360.0 * np.round((lon[-1] - lon[0]) / 360.0)
    if abs(end - lon[0]) > 180.0:
        pole = 90.0 if lat.mean() > 0 else -90.0
        lon = np.append(lon, [end, end, lon[0]])
        lat = np.append(lat, [lat[0], pole, pole])
    return _cut(Polygon(np.column_stack([lon, lat])))


def _cut(shape: Polygon) -> MultiPolygon:
    west, _south, east, _north = shape.bounds
    turns = range(int((west + 180.0) // 360.0), int(-(-(east - 180.0) // 360.0)) + 1)
    parts: list[Polygon] = []
    for turn in turns:
        moved = shapely.transform(shape, lambda xy, turn=turn: xy - [360.0 * turn, 0.0])
        inside = moved if len(turns) == 1 else moved.intersection(box(-180.0, -90.0, 180.0, 90.0))
        parts.extend(orient(part) for part in polygons(inside))
    return MultiPolygon(parts)


def polygons(shape: BaseGeometry) -> list[Polygon]:
    """The polygons of a geometry; what has no area is left out."""
    return [
        part
        for part in shapely.get_parts(shape).tolist()
        if isinstance(part, Polygon) and part.area > 0.0
    ]
