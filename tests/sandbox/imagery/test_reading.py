"""Reading: a place has one value, whatever is asked for beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from shplan.sandbox.imagery import reading
from shplan.sandbox.imagery.grid import snap
from tests.sandbox.imagery.goldens import digest_of, plain_features
from tests.sandbox.imagery.places import FARMS, first, grid

SCENE = first("sentinel-2-l2a", FARMS, "2022-06-01", "2022-07-01")
NAMES = ["B01", "B02", "B05", "B08", "SCL", "CLM", "sunZenithAngles"]


def test_windows_of_a_window_have_its_pixels() -> None:
    lon, lat = grid(FARMS, 10.0, 70)
    whole = reading.read(SCENE, NAMES, lon, lat, {})
    for part in (np.s_[:33, :], np.s_[33:, 20:41], np.s_[5, 5], np.s_[::7, ::3]):
        some = reading.read(SCENE, NAMES, np.array(lon[part]), np.array(lat[part]), {})
        for name in (*NAMES, "dataMask"):
            assert (some[name] == whole[name][part]).all(), name


def test_places_in_one_native_pixel_share_its_value() -> None:
    lon, lat = grid(FARMS, 170.0, 30)
    for name in ("B02", "B05", "B01", "CLM"):
        resolution = reading.bands("sentinel-2-l2a")[name].resolution_m
        centres = snap(SCENE, lon, lat, resolution)
        again = snap(SCENE, *centres, resolution)
        assert np.abs(centres[0] - again[0]).max() < 1e-8
        there = reading.read(SCENE, [name], *centres, {})[name]
        assert (reading.read(SCENE, [name], lon, lat, {})[name] == there).all(), name


def test_beside_the_footprint_there_is_nothing() -> None:
    west, south, east, north = SCENE.footprint.bounds
    lon, lat = np.meshgrid(
        np.linspace(west - 0.3, east + 0.3, 40), np.linspace(south - 0.3, north + 0.3, 40)
    )
    found = reading.read(SCENE, ["B02", "SCL"], lon, lat, {})
    mask = found["dataMask"] == 1.0
    assert 0.1 < mask.mean() < 0.9
    assert (found["B02"][~mask] == 0.0).all()
    assert (found["SCL"][~mask] == 0.0).all()
    assert (found["B02"][mask] > 0.0).all()
    far = reading.read(SCENE, ["B02", "dataMask"], lon + 90.0, lat, {})
    assert far["dataMask"].max() == far["B02"].max() == 0.0


def test_unknown_bands_and_units_are_refused() -> None:
    lon, lat = grid(FARMS, 10.0, 2)
    with pytest.raises(KeyError):
        reading.read(SCENE, ["B99"], lon, lat, {})
    with pytest.raises(KeyError):
        reading.read(SCENE, ["B02"], lon, lat, {"B02": "PERCENT"})


def test_no_places_no_values() -> None:
    nothing = np.zeros((0, 4))
    found = reading.read(SCENE, ["B02"], nothing, nothing, {})
    assert found["B02"].shape == found["dataMask"].shape == (0, 4)


GOLDENS = {
    "sentinel-2-l1c": "b986a21a27168e05",
    "sentinel-2-l2a": "437cf8f7a121adf8",
    "sentinel-1-grd": "fd986a7b8bd97c0f",
    "landsat-ot-l1": "393c6aad6a2d32c4",
    "landsat-ot-l2": "df06b5c8edc1a6b5",
    "sentinel-3-olci": "352d9a3f20e498a7",
    "sentinel-3-olci-l2": "d376f86cd5478c08",
    "sentinel-3-slstr": "f6d80041d4e08bff",
    "sentinel-3-slstr-l2": "4300a92cf7473ed1",
    "sentinel-3-synergy-l2": "7a722bfa3448be3d",
    "sentinel-5p-l2": "5e131d7bf1d3c681",
    "dem": "26f9d766032c33e9",
}


@pytest.mark.parametrize("collection", GOLDENS)
def test_equal_to_the_last_bit_on_every_machine(collection: str) -> None:
    """A changed digest is a changed planet: whoever kept a picture will see another."""
    assert digest_of(collection) == GOLDENS[collection]


@pytest.mark.slow
def test_equal_to_the_last_bit_without_vector_units() -> None:
    """A processor that has only what every one has makes the same pixels."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.sandbox.imagery.goldens"],
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": plain_features()},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout) == GOLDENS


def test_what_is_kept_changes_nothing() -> None:
    """The same pixels again, after so many others that none of them is kept any more."""
    lon, lat = grid(FARMS, 10.0, 16)
    once = reading.read(SCENE, ["B04", "SCL"], lon, lat, {})
    for place in range(60):
        reading.read(SCENE, ["B04"], *grid((11.4 + 0.005 * place, 48.5), 10.0, 4), {})
    again = reading.read(SCENE, ["SCL", "B04"], lon, lat, {})
    assert all((once[name] == again[name]).all() for name in once)
