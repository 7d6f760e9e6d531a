"""Scenes and grids of places for the tests of images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from shapely.geometry import Point

from shplan.sandbox.scenes.instants import ms
from shplan.sandbox.scenes.missions import missions
from shplan.sandbox.scenes.noise import Floats
from shplan.sandbox.scenes.scene import Scene

FARMS = (11.5, 48.6)


def scenes(
    collection: str, place: tuple[float, float], begin: str, end: str, most_cloud: float = 100.0
) -> list[Scene]:
    """What a mission has taken over a place, the newest first."""
    mission = missions()[collection]
    found = mission.scenes(Point(place), from_ms=ms(begin), to_ms=ms(end))
    return [one for one in found if mission.cloud_cover(one) <= most_cloud]


def first(
    collection: str,
    place: tuple[float, float],
    begin: str,
    end: str,
    suits: Callable[[Scene], bool] = lambda _scene: True,
) -> Scene:
    """The newest scene over a place that suits."""
    return next(one for one in scenes(collection, place, begin, end) if suits(one))


def grid(place: tuple[float, float], step_m: float, size: int) -> tuple[Floats, Floats]:
    """Longitudes and latitudes of a square of pixels around a place, north first."""
    lon, lat = place
    steps = (np.arange(size) - (size - 1) / 2.0) * step_m / 111_320.0
    wide = steps / float(np.cos(np.radians(lat)))
    east, north = np.meshgrid(lon + wide, lat - steps)
    return east, north
