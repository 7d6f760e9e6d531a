"""No seams: charts, zones of projection and scenes meet without a trace."""

from __future__ import annotations

import numpy as np
import pytest

from shplan.sandbox.imagery import reading
from shplan.sandbox.imagery.grid import Pixels
from shplan.sandbox.imagery.land import land
from shplan.sandbox.imagery.lattice import Ints
from shplan.sandbox.scenes.noise import Floats
from tests.sandbox.imagery.places import first, scenes


def matters(lon: float, lat: Floats) -> tuple[Ints, Floats]:
    """What lies along a meridian, and how high."""
    east = np.full(lat.shape, lon)
    nothing = np.zeros(lat.shape, dtype=np.int64)
    found = land(Pixels(nothing, nothing, east, lat, east, lat, (lon, float(lat[0]))))
    return found.low * 100 + found.high, found.height_m


@pytest.mark.parametrize("south", [44.6, 46.5, 48.2])
def test_the_ground_does_not_break_off_between_charts(south: float) -> None:
    """A metre across the edge of a strip of six degrees changes no more than any other metre."""
    lat = south + np.arange(1_500) * 1e-4
    (a, height_a), (b, height_b) = (matters(12.0 + side * 7e-6, lat) for side in (-1.0, 1.0))
    (c, height_c), (d, height_d) = (matters(12.3 + side * 7e-6, lat) for side in (-1.0, 1.0))
    assert (a != b).mean() <= 2.0 * (c != d).mean() + 0.02
    assert np.abs(height_a - height_b).max() <= 2.0 * np.abs(height_c - height_d).max() + 0.5


def test_scenes_of_one_pass_agree_on_the_ground() -> None:
    """Two tiles of two zones show the same fields; only their pixels lie differently."""
    place = (12.02, 48.2)
    found = scenes("sentinel-2-l2a", place, "2022-05-01", "2022-08-30", 15.0)
    pair = next(
        (one, other)
        for one in found
        for other in found
        if one.epsg < other.epsg and abs(one.at_ms - other.at_ms) < 60_000
    )
    lon, lat = np.meshgrid(12.02 + np.arange(40) * 6e-4, 48.2 + np.arange(40) * 4e-4)
    one, other = (reading.read(scene, ["B08", "B04", "CLM"], lon, lat, {}) for scene in pair)
    clear = (one["CLM"] + other["CLM"] == 0.0) & (one["dataMask"] * other["dataMask"] == 1.0)
    assert clear.sum() > 800
    assert np.corrcoef(one["B08"][clear], other["B08"][clear])[0, 1] > 0.9


def test_speckle_is_that_of_a_product_of_nearly_five_looks() -> None:
    """Over the open sea nothing but waves and speckle differ."""
    scene = first("sentinel-1-grd", (5.0, 40.5), "2022-06-01", "2022-07-01")
    lon, lat = np.meshgrid(5.0 + np.arange(60) * 1.4e-4, 40.5 + np.arange(60) * 1e-4)
    power = reading.read(scene, ["VH"], lon, lat, {})["VH"] - 9e-4
    looks = power.mean() ** 2 / power.var()
    assert 3.5 < looks < 5.5
