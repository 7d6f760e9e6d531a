"""
Shapes of scenes: rings on the globe become polygons in degrees, cut at longitude 180.

Coordinates are rounded, so that the last digits of mathematical libraries do not matter.
"""

from __future__ import annotations

import math

import numpy as np
import shapely
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from shplan.sandbox.scenes.orbits import Floats

_DIGITS = 7
_WORLD = box(-180.0, -90.0, 180.0, 90.0)


def unwrapped(longitude: Floats) -> Floats:
    """Longitudes without jumps from one to the next."""
    return np.asarray(np.unwrap(longitude, period=360.0))


def closed_ring(longitude: Floats, latitude: Floats) -> Polygon:
    """
    The polygon of a ring in degrees, longitudes running on beyond 180 where it goes so far.

    A ring that goes around a pole reaches up to it.
    """
    lon, lat = np.round(unwrapped(longitude), _DIGITS), np.round(latitude, _DIGITS)
    # Back at the first point, and how often around the Earth on the way.
    around = 360.0 * float(np.round((lon[-1] - lon[0]) / 360.0))
    if around:
        lon, lat = _with_pole(lon, lat, around)
    lon = lon - 360.0 * np.floor((lon.min() + 180.0) / 360.0)
    return orient(Polygon(np.column_stack([np.round(lon, _DIGITS), lat])))


def _with_pole(lon: Floats, lat: Floats, around: float) -> tuple[Floats, Floats]:
    """The ring, led to the pole and back where it is next to it, so that it meets itself nowhere."""
    pole = 90.0 if lat.mean() > 0.0 else -90.0
    first = int(np.argmin(np.abs(lat - pole)))
    lon = np.concatenate([lon[first:], lon[:first] + around])
    lat = np.roll(lat, -first)
    end = lon[0] + around
    return np.append(lon, [end, end, lon[0]]), np.append(lat, [lat[0], pole, pole])


def footprint(longitude: Floats, latitude: Floats) -> MultiPolygon:
    """The polygons of a ring in degrees, whose longitudes may be of any turn of the circle."""
    shape = closed_ring(longitude, latitude)
    _west, _south, east, _north = shape.bounds
    if east <= 180.0:
        return MultiPolygon([shape])
    parts: list[Polygon] = []
    for turn in range(math.ceil((east - 180.0) / 360.0) + 1):
        moved = translate(shape, -360.0 * turn)
        parts += polygons(moved.intersection(_WORLD))
    # Around a pole the parts meet where the ring was led to it.
    return MultiPolygon([orient(part) for part in polygons(shapely.union_all(parts))])


def polygons(shape: BaseGeometry) -> list[Polygon]:
    """The polygons of a geometry; what has no area is left out."""
    return [
        part
        for part in shapely.get_parts(shape).tolist()
        if isinstance(part, Polygon) and part.area > 0.0
    ]


def is_everything(area: BaseGeometry) -> bool:
    """Whether an area leaves nothing of the Earth out, so that nothing need be compared with it."""
    return bool(area.covers(_WORLD))
