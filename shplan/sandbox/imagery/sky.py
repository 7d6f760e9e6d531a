"""
What is between the ground and a sensor: the sun, clouds, their shadows, and haze.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shplan.sandbox.imagery.grid import unproject
from shplan.sandbox.imagery.lattice import Key, Lattice, linear
from shplan.sandbox.scenes.clouds import DAY_MS, cloud_density
from shplan.sandbox.scenes.exact import arccos, arctan2
from shplan.sandbox.scenes.noise import Floats, sine_of_turns
from shplan.sandbox.scenes.orbits import DEGREE
from shplan.sandbox.scenes.scene import Scene

CLOUD_M = 160.0
# Above the ground, where clouds that cast shadows are.
_CLOUD_HEIGHT_M = 2_300.0
_LONGEST_SHADOW_M = 4_500.0


@dataclass(frozen=True, slots=True)
class Sun:
    """Where the sun stands: a vector of length one, eastwards, northwards and up."""

    east: Floats
    north: Floats
    up: Floats


def sun(lon: Floats, lat: Floats, at_ms: int) -> Sun:
    """The sun over places; it keeps mean time, a quarter of an hour from the truth at most."""
    days = at_ms / DAY_MS
    slant = 0.397788 * sine_of_turns(np.array((days - 79.3) / 365.2425))
    flat = np.sqrt(1.0 - slant * slant)
    hour = days - np.floor(days) + lon / 360.0 - 0.5
    sin_lat, cos_lat = sine_of_turns(lat / 360.0), sine_of_turns(lat / 360.0 + 0.25)
    cos_hour, sin_hour = sine_of_turns(hour + 0.25), sine_of_turns(hour)
    return Sun(
        east=-flat * sin_hour,
        north=slant * cos_lat - flat * sin_lat * cos_hour,
        up=slant * sin_lat + flat * cos_lat * cos_hour,
    )


def angles(light: Sun) -> tuple[Floats, Floats]:
    """Degrees from the vertical to the sun, and from north eastwards to where it stands."""
    return arccos(light.up) * DEGREE, arctan2(light.east, light.north) * DEGREE


def _density(key: Key, x: Floats, y: Floats) -> Floats:
    """How thick clouds are at the centres of pixels whose corners are the nodes."""
    epsg, at_ms = key
    lon, lat = unproject(epsg, x + 0.5 * CLOUD_M, y + 0.5 * CLOUD_M)
    return cloud_density(lon, lat, at_ms)[None, :]


_DENSITY = Lattice(CLOUD_M, 16, 8_192, _density)


def clouds(scene: Scene, x: Floats, y: Floats, light: Sun) -> tuple[Floats, Floats]:
    """
    How thick clouds are over places, and over where the sun shines through to them.

    Known at the centres of pixels of 160 metres, where the signs are those of the cloud mask, and
    straight between them.

    Args:
        x: in the scene's CRS, metres
        light: one sun for all places
    """
    key, half = (scene.epsg, scene.at_ms), 0.5 * CLOUD_M
    (above,) = linear(_DENSITY, key, x - half, y - half)
    reach = _CLOUD_HEIGHT_M / np.maximum(light.up, 0.05)
    ahead_x, ahead_y = light.east * reach, light.north * reach
    far = np.sqrt(ahead_x * ahead_x + ahead_y * ahead_y)
    less = np.minimum(1.0, _LONGEST_SHADOW_M / np.maximum(far, 1.0))
    far_x, far_y = x + ahead_x * less - half, y + ahead_y * less - half
    (before,) = linear(_DENSITY, key, far_x, far_y)
    return above, before
