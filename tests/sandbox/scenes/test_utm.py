"""UTM: the exact projection, as the library for projections reckons it."""

from __future__ import annotations

import numpy as np
import pytest
from pyproj import Transformer

from shplan.sandbox.imagery.grid import project, unproject
from shplan.sandbox.scenes.noise import Floats
from shplan.sandbox.scenes.utm import from_utm, to_utm


def places(epsg: int, width: float) -> tuple[Floats, Floats]:
    """Around a zone's meridian, on its half of the Earth."""
    rng = np.random.default_rng(epsg)
    lat = rng.uniform(0.0, 84.0, 400) * (1.0 if epsg < 32700 else -1.0)
    return epsg % 100 * 6.0 - 183.0 + rng.uniform(-width, width, 400), lat


@pytest.mark.parametrize("epsg", [32601, 32633, 32660, 32701, 32733])
def test_utm_is_right_to_a_micrometre(epsg: int) -> None:
    lon, lat = places(epsg, 12.0)
    true = Transformer.from_crs(4326, epsg, always_xy=True).transform(
        (lon + 180.0) % 360.0 - 180.0, lat
    )
    found = to_utm(epsg, lon, lat)
    assert np.abs(np.array(found) - np.array(true)).max() < 1e-6
    assert np.abs(np.array(from_utm(epsg, *found)) - np.array([lon, lat])).max() < 1e-11
    # On every turn of the circle.
    assert np.abs(to_utm(epsg, lon + 360.0, lat)[0] - found[0]).max() < 1e-6


def test_poles_have_a_place() -> None:
    _x, y = to_utm(32633, np.array([15.0, 100.0]), np.array([90.0, 90.0]))
    assert y == pytest.approx([9_997_965.0, 9_997_965.0], abs=1.0)


@pytest.mark.parametrize("epsg", [32601, 32633, 32722])
def test_polynomials_are_the_projection(epsg: int) -> None:
    lon, lat = (one[:80] for one in places(epsg, 3.5))
    found, true = project(epsg, lon, lat), to_utm(epsg, lon, lat)
    assert np.abs(np.array(found) - np.array(true)).max() < 1e-2
    back = unproject(epsg, *true)
    assert np.abs(np.array(back) - np.array([lon, lat])).max() < 1e-7
