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
from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from shplan.sandbox.scenes.exact import arcsin, arctan2, sine_cosine

Floats: TypeAlias = npt.NDArray[np.float64]

EARTH_KM = 6371.0
RADIAN, DEGREE = 0.017453292519943295, 57.29577951308232
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
        sin_tilt, cos_tilt = _tilt(self.inclination_deg)
        turn = self.days / self.revolutions
        (sin_u, sin_q), (cos_u, cos_q) = sine_cosine(np.stack([u, turn * u]))
        position, direction = np.empty((*u.shape, 3)), np.empty((*u.shape, 3))
        aside = cos_tilt * sin_u
        position[..., 0] = cos_u * cos_q + aside * sin_q
        position[..., 1] = aside * cos_q - cos_u * sin_q
        position[..., 2] = sin_tilt * sin_u
        aside = cos_tilt * cos_u
        direction[..., 0] = aside * sin_q - sin_u * cos_q + turn * position[..., 1]
        direction[..., 1] = aside * cos_q + sin_u * sin_q - turn * position[..., 0]
        direction[..., 2] = sin_tilt * cos_u
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
        sin_tilt, _ = _tilt(self.inclination_deg)
        u = arcsin(points[:, 2] / sin_tilt)
        if descending:
            u = math.pi - u
        for _ in range(_ROUNDS):
            position, direction = self.motion(u)
            speed = _dot(direction, direction)
            height = np.maximum(_dot(points, position), 0.3)
            step = _dot(points, direction) / (speed * height)
            u = u + np.clip(step, -0.3, 0.3)
        position, direction = self.motion(u)
        side = _left_of(position, direction)
        ahead = np.abs(_dot(points, direction))
        across = _dot(points, side)
        good = (_dot(points, position) > 0.5) & (ahead < 1e-6)
        middle = math.pi if descending else 0.0
        good &= np.abs(u - middle) <= math.pi / 2
        return np.where(good, u, np.nan), arcsin(across)

    def abeam(self, u: Floats, across: Floats | float, node_deg: float) -> tuple[Floats, Floats]:
        """
        The places at angles along a track and radians to its left.

        Returns:
            longitudes, in no particular turn of the circle, and latitudes, in degrees
        """
        position, direction = self.motion(u)
        side = _left_of(position, direction)
        reach = np.asarray(across, dtype=np.float64)[..., None]
        sin, cos = sine_cosine(reach)
        vector = position * cos + side * sin
        x, y, z = np.moveaxis(vector, -1, 0)
        flat = np.sqrt(x * x + y * y) * _SQUEEZE
        return arctan2(y, x) * DEGREE + node_deg, arctan2(z, flat) * DEGREE


@cache
def _tilt(degrees: float) -> tuple[float, float]:
    sin, cos = sine_cosine(np.array(degrees * RADIAN))
    return float(sin), float(cos)


def _left_of(position: Floats, direction: Floats) -> Floats:
    """Unit vectors to the left of a direction, across it."""
    x, y, z = np.moveaxis(position, -1, 0)
    a, b, c = np.moveaxis(direction, -1, 0)
    side = np.stack([y * c - z * b, z * a - x * c, x * b - y * a], axis=-1)
    length = np.sqrt(_dot(side, side))
    return np.asarray(side / length[..., None])


def _dot(one: Floats, other: Floats) -> Floats:
    """The product of vectors along the last axis, in an order that no library chooses."""
    return np.asarray(
        one[..., 0] * other[..., 0] + one[..., 1] * other[..., 1] + one[..., 2] * other[..., 2]
    )


def vectors(longitude: Floats | float, latitude: Floats | float) -> Floats:
    """Unit vectors of places in degrees, shape (..., 3)."""
    sin_lon, cos_lon = sine_cosine(np.asarray(longitude, dtype=np.float64) * RADIAN)
    sin, cos = sine_cosine(np.asarray(latitude, dtype=np.float64) * RADIAN)
    length = np.sqrt(cos * cos + _SQUEEZE * _SQUEEZE * sin * sin)
    flat, up = cos / length, _SQUEEZE * sin / length
    return np.stack([flat * cos_lon, flat * sin_lon, up + 0.0 * cos_lon], axis=-1)


def turned(points: Floats, degrees: Floats | float) -> Floats:
    """Vectors as they are seen after the Earth was turned back by angles."""
    sin, cos = sine_cosine(np.asarray(degrees, dtype=np.float64) * RADIAN)
    x, y = points[..., 0], points[..., 1]
    return np.stack([x * cos + y * sin, y * cos - x * sin, points[..., 2] + 0.0 * cos], axis=-1)


def sun_elevation_sine(longitude: float, latitude: float, at_ms: int) -> float:
    """
    Sine of the height of the sun above the horizon.

    The sun keeps mean time here, a quarter of an hour from the truth at most.
    """
    days = at_ms / DAY_MS
    slant = 0.3977877 * _sine_of_turns((days - 79.3) / 365.2425)
    hour = days % 1.0 + longitude / 360.0 - 0.5
    sin, cos = _sine_of_turns(latitude / 360.0), _sine_of_turns(latitude / 360.0 + 0.25)
    return sin * slant + cos * math.sqrt(1.0 - slant * slant) * _sine_of_turns(hour + 0.25)


def _sine_of_turns(turns: float) -> float:
    """One sine by the polynomial of `noise`, without the cost of an array."""
    phase = turns - math.floor(turns + 0.5)
    if abs(phase) > 0.25:
        phase = (0.5 if phase > 0.0 else -0.5) - phase
    a = phase * (2.0 * math.pi)
    b = a * a
    return a + a * (b * (b * (b * (b / 362880.0 - 1.0 / 5040.0) + 1.0 / 120.0) - 1.0 / 6.0))
