"""
The geoid: how far the level of the sea lies above the ellipsoid, as a handful of smooth bumps.

Where the Earth's highs and lows are, and how high, is well known; between them this is a likeness, a dozen
metres from the truth. Source: EGM2008, published maps of its undulation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Longitude, latitude, width in degrees, metres.
_BUMPS = (
    (79.0, 3.0, 26.0, -105.0), (142.0, -6.0, 26.0, 78.0), (-20.0, 60.0, 26.0, 62.0),
    (-68.0, 25.0, 26.0, -48.0), (10.0, 46.0, 14.0, 36.0), (-72.0, -20.0, 18.0, 38.0),
    (42.0, -46.0, 26.0, 44.0), (-85.0, 60.0, 22.0, -42.0), (-120.0, 30.0, 26.0, -38.0),
    (-170.0, -72.0, 34.0, -58.0), (-5.0, 10.0, 20.0, 26.0), (85.0, 50.0, 24.0, -34.0),
    (30.0, 0.0, 14.0, -14.0), (-55.0, -62.0, 16.0, 14.0),
)  # fmt: skip


def undulation_m(lon: Floats, lat: Floats) -> Floats:
    """
    Metres from the ellipsoid up to the geoid, to a hundredth.

    Args:
        lon: degrees
        lat: degrees
    """
    total = np.zeros(lon.shape)
    shrunk = np.cos(np.radians(lat))
    for east, north, width, metres in _BUMPS:
        away = ((lon - east + 180.0) % 360.0 - 180.0) * shrunk
        up = lat - north
        near = (away * away + up * up) / (width * width)
        total = total + metres / (1.0 + near * near)
    return np.asarray(np.floor(total * 100.0 + 0.5) / 100.0)
