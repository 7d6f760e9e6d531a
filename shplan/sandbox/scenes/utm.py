"""
Between degrees and the zones of UTM, the same to the last bit on every machine.

Source: L. Krüger, Konforme Abbildung des Erdellipsoids in der Ebene (series by the third flattening,
here to its fourth power: a tenth of a micrometre); C. F. F. Karney, Transverse Mercator with an
accuracy of a few nanometers (conformal latitudes by their tangents); the ellipsoid of WGS84.
"""

from __future__ import annotations

import numpy as np
import shapely
from shapely.geometry import Polygon

from shplan.sandbox.scenes.exact import arctan, arctan2, arsinh, sine_cosine, sinh_cosh
from shplan.sandbox.scenes.noise import Floats

_CURVED_BEYOND_DEG = 55.0
_CHORD_M = 20_000.0
_RADIAN = 0.017453292519943295
_DEGREE = 57.29577951308232
_SCALE = 0.9996
_EAST_M = 500_000.0
_SOUTH_M = 10_000_000.0
_SOUTHERN = 32_700
_FLATTENING = 1.0 / 298.257223563
_SQUARE = _FLATTENING * (2.0 - _FLATTENING)
_N = _FLATTENING / (2.0 - _FLATTENING)
_RADIUS = 6_378_137.0 / (1.0 + _N) * (1.0 + _N * _N / 4.0 + _N * _N * _N * _N / 64.0)
# Beyond, the tangent of a latitude has no end.
_POLE_DEG = 89.999999
_ROUNDS = 3


def _powers(*coefficients: float) -> float:
    """A series of the third flattening, from its first power on."""
    total = 0.0
    for one in reversed(coefficients):
        total = (total + one) * _N
    return total


_FORWARD = (
    _powers(1 / 2, -2 / 3, 5 / 16, 41 / 180),
    _powers(0.0, 13 / 48, -3 / 5, 557 / 1440),
    _powers(0.0, 0.0, 61 / 240, -103 / 140),
    _powers(0.0, 0.0, 0.0, 49561 / 161280),
)
_BACKWARD = (
    _powers(-1 / 2, 2 / 3, -37 / 96, 1 / 360),
    _powers(0.0, -1 / 48, -1 / 15, 437 / 1440),
    _powers(0.0, 0.0, -17 / 480, 37 / 840),
    _powers(0.0, 0.0, 0.0, -4397 / 161280),
)


def to_utm(epsg: int, longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
    """Eastings and northings of places; longitudes may be of any turn of the circle."""
    away = (longitude - _meridian(epsg) + 180.0) / 360.0
    sin_lon, cos_lon = sine_cosine(((away - np.floor(away)) * 360.0 - 180.0) * _RADIAN)
    bounded = np.minimum(np.maximum(latitude, -_POLE_DEG), _POLE_DEG)
    sin_lat, cos_lat = sine_cosine(bounded * _RADIAN)
    tangent = _conformal(sin_lat / cos_lat)
    flat = np.sqrt(tangent * tangent + cos_lon * cos_lon)
    north, east = _bent(_FORWARD, arctan2(tangent, cos_lon), arsinh(sin_lon / flat))
    return (
        _EAST_M + _SCALE * _RADIUS * east,
        _origin(epsg) + _SCALE * _RADIUS * north,
    )


def from_utm(epsg: int, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Degrees of eastings and northings, the longitudes on the turn of the zone's meridian."""
    whole = 1.0 / (_SCALE * _RADIUS)
    north, east = _bent(_BACKWARD, (y - _origin(epsg)) * whole, (x - _EAST_M) * whole)
    sin_north, cos_north = sine_cosine(north)
    sinh_east, _ = sinh_cosh(east)
    wanted = sin_north / np.sqrt(sinh_east * sinh_east + cos_north * cos_north)
    tangent = wanted / (1.0 - _SQUARE)
    for _ in range(_ROUNDS):
        found = _conformal(tangent)
        root = np.sqrt((1.0 + found * found) * (1.0 + tangent * tangent))
        slope = (1.0 + (1.0 - _SQUARE) * tangent * tangent) / ((1.0 - _SQUARE) * root)
        tangent = tangent + (wanted - found) * slope
    longitude = _meridian(epsg) + arctan2(sinh_east, cos_north) * _DEGREE
    return longitude, arctan(tangent) * _DEGREE


def _conformal(tangent: Floats) -> Floats:
    """The tangent of the conformal latitude, of that of a latitude."""
    secant = np.sqrt(1.0 + tangent * tangent)
    part = _SQUARE * tangent * tangent / (1.0 + tangent * tangent)
    # e times the inverse hyperbolic tangent of e times the sine, which is less than a hundredth.
    series = 1.0 + part * (1 / 3 + part * (1 / 5 + part * (1 / 7 + part * (1 / 9 + part / 11))))
    small = _SQUARE * tangent / secant * series
    square = small * small
    sinh = small + small * square * (1 / 6 + square * (1 / 120))
    return np.sqrt(1.0 + sinh * sinh) * tangent - sinh * secant


def _bent(series: tuple[float, ...], north: Floats, east: Floats) -> tuple[Floats, Floats]:
    """Add the harmonics of a series."""
    first_sin, first_cos = sine_cosine(2.0 * north)
    first_sinh, first_cosh = sinh_cosh(2.0 * east)
    sin, cos, sinh, cosh = first_sin, first_cos, first_sinh, first_cosh
    more_north, more_east = north + series[0] * (sin * cosh), east + series[0] * (cos * sinh)
    for one in series[1:]:
        # Sums of angles: functions are dear.
        sin, cos = sin * first_cos + cos * first_sin, cos * first_cos - sin * first_sin
        sinh, cosh = sinh * first_cosh + cosh * first_sinh, cosh * first_cosh + sinh * first_sinh
        more_north = more_north + one * (sin * cosh)
        more_east = more_east + one * (cos * sinh)
    return more_north, more_east


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


def _meridian(epsg: int) -> float:
    return epsg % 100 * 6.0 - 183.0


def _origin(epsg: int) -> float:
    """The northing of the equator."""
    return 0.0 if epsg < _SOUTHERN else _SOUTH_M
