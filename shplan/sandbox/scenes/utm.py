"""
Between degrees and the zones of UTM.

All zones are one projection around sixty meridians, so one is loaded and longitudes are shifted:
loading a CRS costs more than a page of scenes.
"""

from __future__ import annotations

from typing import Any, cast

import shapely
from shapely.geometry import Polygon

from shplan.sandbox.geometry import WGS84, transformer
from shplan.sandbox.scenes.orbits import Floats

_FIRST = 31
_MERIDIAN = 3.0
_CURVED_BEYOND_DEG = 55.0
_CHORD_M = 20_000.0


def to_utm(epsg: int, longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
    """Eastings and northings of places; longitudes may be of any turn of the circle."""
    zone, base = _zone(epsg)
    away = longitude - 6.0 * (zone - _FIRST)
    away = (away - _MERIDIAN + 180.0) % 360.0 - 180.0 + _MERIDIAN
    x, y = cast("Any", transformer(WGS84, base))(away, latitude)
    return x, y


def from_utm(epsg: int, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Degrees of eastings and northings, the longitudes on the turn of the zone's meridian."""
    zone, base = _zone(epsg)
    longitude, latitude = cast("Any", transformer(base, WGS84))(x, y)
    return longitude + 6.0 * (zone - _FIRST), latitude


def edges_in_degrees(epsg: int, outline: Polygon, latitude: float) -> tuple[Floats, Floats]:
    """
    Degrees of a polygon's ring, once around and open.

    Corners only, as the service lists them; far north and south with points between, because
    straight lines of the two projections part there by kilometres.
    """
    if abs(latitude) > _CURVED_BEYOND_DEG:
        outline = outline.segmentize(_CHORD_M)
    x, y = shapely.get_coordinates(outline)[:-1].T
    return from_utm(epsg, x, y)


def _zone(epsg: int) -> tuple[int, int]:
    """The zone's number, and the EPSG code of the zone that stands for its half of the Earth."""
    return epsg % 100, epsg - epsg % 100 + _FIRST
