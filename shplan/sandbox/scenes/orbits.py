"""
Sun-synchronous orbits: where a satellite is above the turning Earth, and what it passes.

A circle that is inclined to the equator and keeps its angle to the sun: seen from the sun, the
Earth turns once a day below it. After a whole number of days and revolutions everything repeats.
The angle `u` counts from the ascending node, so a descending pass has its node at pi. Vectors are
of length one, from the centre of the Earth. Source: the repeat cycles that ESA and USGS publish;
J. R. Wertz, textbook formulae of circular orbits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

EARTH_KM = 6371.0
DAY_S = 86_400.0
DAY_MS = 86_400_000
# 1 - e^2 of WGS84: latitudes of maps are not those of vectors.
_SQUEEZE = 0.993305620009858
# Each round leaves a fiftieth of the error at the edge of the widest swath.
_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Orbit:
    """
    One repeating orbit; its tracks are counted from 0 to `revolutions` - 1.

    Args:
        revolutions: within one cycle
        days: of one cycle
        inclination_deg: more than 90, against the turning of the Earth
        node_deg: longitude of the ascending node of track 0
    """

    revolutions: int
    days: int
    inclination_deg: float
    node_deg: float

    @property
    def period_s(self) -> float:
        """Seconds from one ascending node to the next."""
        return self.days * DAY_S / self.revolutions

    def node_of(self, track: int) -> float:
        """Longitude at which a track begins, degrees."""
        # Whole numbers first, so that a track begins at the same place in every cycle.
        turned = track * self.days % self.revolutions
        return (self.node_deg - 360.0 * turned / self.revolutions + 180.0) % 360.0 - 180.0

    def nodes(self) -> Floats:
        """Longitudes at which all tracks begin, degrees."""
        turned = np.arange(self.revolutions) * self.days % self.revolutions
        return np.asarray(self.node_deg - 360.0 * turned / self.revolutions, dtype=np.float64)

    def motion(self, u: Floats) -> tuple[Floats, Floats]:
        """
        Position and direction at angles, of a track whose node is at longitude 0.

        Returns:
            two arrays of shape (..., 3); the direction is that over ground, and not of length 1
        """
        tilt = math.radians(self.inclination_deg)
        turn = self.days / self.revolutions
        cos_u, sin_u = np.cos(u), np.sin(u)
        cos_q, sin_q = np.cos(turn * u), np.sin(turn * u)
        position, direction = np.empty((*u.shape, 3)), np.empty((*u.shape, 3))
        aside = math.cos(tilt) * sin_u
        position[..., 0] = cos_u * cos_q + aside * sin_q
        position[..., 1] = aside * cos_q - cos_u * sin_q
        position[..., 2] = math.sin(tilt) * sin_u
        aside = math.cos(tilt) * cos_u
        direction[..., 0] = aside * sin_q - sin_u * cos_q + turn * position[..., 1]
        direction[..., 1] = aside * cos_q + sin_u * sin_q - turn * position[..., 0]
        direction[..., 2] = math.sin(tilt) * cos_u
        return position, direction

    def locate(self, points: Floats, *, descending: bool) -> tuple[Floats, Floats]:
        """
        When points are abeam, and how far to the left, for a track whose node is at longitude 0.

        Args:
            points: vectors, shape (n, 3), in the Earth's frame
            descending: which half of the revolution is asked for

        Returns:
            angles `u` in [-pi/2, 3 pi/2] and distances in radians; NaN for points that this half
            never has abeam nearby
        """
        tilt = math.radians(self.inclination_deg)
        u = np.arcsin(np.clip(points[:, 2] / math.sin(tilt), -1.0, 1.0))
        if descending:
            u = math.pi - u
        for _ in range(_ROUNDS):
            position, direction = self.motion(u)
            speed = np.einsum("ij,ij->i", direction, direction)
            height = np.maximum(np.einsum("ij,ij->i", points, position), 0.3)
            step = np.einsum("ij,ij->i", points, direction) / (speed * height)
            u = u + np.clip(step, -0.3, 0.3)
        position, direction = self.motion(u)
        side = _left_of(position, direction)
        ahead = np.abs(np.einsum("ij,ij->i", points, direction))
        across = np.einsum("ij,ij->i", points, side)
        good = (np.einsum("ij,ij->i", points, position) > 0.5) & (ahead < 1e-6)
        middle = math.pi if descending else 0.0
        good &= np.abs(u - middle) <= math.pi / 2
        return np.where(good, u, np.nan), np.arcsin(np.clip(across, -1.0, 1.0))

    def abeam(self, u: Floats, across: Floats | float, node_deg: float) -> tuple[Floats, Floats]:
        """
        The places at angles along a track and radians to its left.

        Returns:
            longitudes, in no particular turn of the circle, and latitudes, in degrees
        """
        position, direction = self.motion(u)
        side = _left_of(position, direction)
        reach = np.asarray(across, dtype=np.float64)[..., None]
        vector = position * np.cos(reach) + side * np.sin(reach)
        longitude = np.degrees(np.arctan2(vector[..., 1], vector[..., 0])) + node_deg
        flat = np.hypot(vector[..., 0], vector[..., 1]) * _SQUEEZE
        return longitude, np.degrees(np.arctan2(vector[..., 2], flat))


def _left_of(position: Floats, direction: Floats) -> Floats:
    """Unit vectors to the left of a direction, across it."""
    x, y, z = np.moveaxis(position, -1, 0)
    a, b, c = np.moveaxis(direction, -1, 0)
    side = np.stack([y * c - z * b, z * a - x * c, x * b - y * a], axis=-1)
    length = np.sqrt(np.einsum("...i,...i->...", side, side))
    return np.asarray(side / length[..., None])


def vectors(longitude: Floats | float, latitude: Floats | float) -> Floats:
    """Unit vectors of places in degrees, shape (..., 3)."""
    lon = np.radians(np.asarray(longitude, dtype=np.float64))
    lat = np.arctan(_SQUEEZE * np.tan(np.radians(np.asarray(latitude, dtype=np.float64))))
    return np.stack(
        [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat) + 0.0 * lon], axis=-1
    )


def turned(points: Floats, degrees: Floats | float) -> Floats:
    """Vectors as they are seen after the Earth was turned back by angles."""
    angle = np.radians(np.asarray(degrees, dtype=np.float64))
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = points[..., 0], points[..., 1]
    return np.stack([x * cos + y * sin, y * cos - x * sin, points[..., 2] + 0.0 * angle], axis=-1)


def sun_elevation_sine(longitude: float, latitude: float, at_ms: int) -> float:
    """
    Sine of the height of the sun above the horizon.

    The sun keeps mean time here, a quarter of an hour from the truth at most.
    """
    days = at_ms / DAY_MS
    season = 2.0 * math.pi * (days - 79.3) / 365.2425
    declination = math.radians(23.44) * math.sin(season)
    hour = 2.0 * math.pi * ((days % 1.0) + longitude / 360.0 - 0.5)
    lat = math.radians(latitude)
    return math.sin(lat) * math.sin(declination) + (
        math.cos(lat) * math.cos(declination) * math.cos(hour)
    )
