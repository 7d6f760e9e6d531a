"""
Cloud covers: the mean of the cloud mask over points that are spread over a scene.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from shplan.sandbox.geometry import WGS84
from shplan.sandbox.scenes.clouds import cloud_mask
from shplan.sandbox.scenes.orbits import Floats
from shplan.sandbox.scenes.scene import Scene
from shplan.sandbox.scenes.utm import from_utm

# Every three kilometres of a Sentinel-2 tile: less than one percent from the truth.
POINTS = 32


def cloud_cover(scene: Scene) -> float:
    """Percent of a scene's outline under cloud, to two digits."""
    return _cover(scene.epsg, scene.box, scene.outline, scene.at_ms)


@lru_cache(maxsize=16_384)
def _cover(
    epsg: int, box: tuple[float, float, float, float], outline: BaseGeometry, at_ms: int
) -> float:
    longitude, latitude = sample_points(epsg, box, outline)
    return round(100.0 * int(cloud_mask(longitude, latitude, at_ms).sum()) / len(longitude), 2)


@lru_cache(maxsize=1_024)
def sample_points(
    epsg: int, box: tuple[float, float, float, float], outline: BaseGeometry
) -> tuple[Floats, Floats]:
    """
    Longitudes and latitudes of the points that count: those of a grid over the box that lie inside.

    An outline so small that it has none counts at one point of its own.
    """
    west, south, east, north = box
    steps = (np.arange(POINTS) + 0.5) / POINTS
    x, y = (
        axis.ravel()
        for axis in np.meshgrid(west + (east - west) * steps, south + (north - south) * steps)
    )
    shapely.prepare(outline)
    inside = shapely.contains_xy(outline, x, y)
    if inside.any():
        x, y = x[inside], y[inside]
    else:
        point = outline.representative_point()
        x, y = np.array([point.x]), np.array([point.y])
    return (x, y) if epsg == WGS84 else from_utm(epsg, x, y)
