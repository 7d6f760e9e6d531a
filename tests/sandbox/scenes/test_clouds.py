"""The field of clouds: the same everywhere, without seams, and as common as clouds are."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox.scenes.clouds import cloud_density, cloud_mask, cloudiness
from shplan.sandbox.scenes.noise import sine_of_turns, value_noise
from shplan.sandbox.wire import parse_instant

DAY = 86_400_000
START = parse_instant("2020-01-01T00:00:00Z")
places = st.tuples(st.floats(-180.0, 180.0), st.floats(-89.0, 89.0))
instants = st.integers(START - 2000 * DAY, START + 4000 * DAY)


def density(lon: float, lat: float, at_ms: int) -> float:
    return float(cloud_density(np.array([lon]), np.array([lat]), at_ms)[0])


def covers(lon: float, lat: float, side: float = 1.0) -> np.ndarray:
    """Percent of cloud over a tile, every fifth day for four years."""
    x, y = np.meshgrid(
        np.linspace(lon - side / 2, lon + side / 2, 12), np.linspace(lat - 0.5, lat + 0.5, 12)
    )
    days = range(0, 4 * 365, 5)
    return np.array([100.0 * cloud_mask(x, y, START + day * DAY).mean() for day in days])


def test_equal_to_the_last_bit_on_every_machine() -> None:
    """A changed digest is a changed archive: covers and pixels were computed from this field."""
    x, y = np.meshgrid(np.linspace(-180.0, 180.0, 73), np.linspace(-90.0, 90.0, 37))
    field = np.stack([cloud_density(x, y, START + hours * 3_600_000) for hours in (0, 7, 80_000)])
    digest = hashlib.sha256(field.astype("<f8").tobytes()).hexdigest()
    assert digest == "8ee0deb21171193377b875edfab18a37160a2ae5f9e96a6e20b8c3cd121035f6"


@given(st.lists(places, min_size=1, max_size=40), instants)
def test_a_place_does_not_know_its_neighbours(where: list[tuple[float, float]], at_ms: int) -> None:
    """One at a time, in a row, in a square: the same numbers, so any resolution agrees."""
    lon, lat = np.array(where).T
    together = cloud_density(lon, lat, at_ms)
    assert together.tolist() == [density(x, y, at_ms) for x, y in where]
    square = cloud_density(np.stack([lon, lon]), np.stack([lat, lat]), at_ms)
    assert square.tolist() == [together.tolist()] * 2
    assert cloud_mask(lon, lat, at_ms).tolist() == (together > 0.0).tolist()


@given(st.floats(-89.9, 89.9), instants)
def test_no_seam_at_the_antimeridian(lat: float, at_ms: int) -> None:
    assert density(180.0, lat, at_ms) == pytest.approx(density(-180.0, lat, at_ms), abs=1e-4)


@given(places, instants)
def test_neighbours_are_alike_in_place_and_time(where: tuple[float, float], at_ms: int) -> None:
    lon, lat = where
    here = density(lon, lat, at_ms)
    assert abs(density(lon, lat + 1e-4, at_ms) - here) < 0.1
    assert abs(density(lon, lat, at_ms + 60_000) - here) < 0.1


def test_weather_goes_east() -> None:
    """What is here today lies further east tomorrow, better than where it was."""
    x, y = np.meshgrid(np.linspace(-40.0, 40.0, 80), np.linspace(40.0, 60.0, 20))
    shift = 360.0 * 0.021 / 4
    moved = []
    for day in range(0, 300, 10):
        at_ms = START + day * DAY
        today = cloud_density(x, y, at_ms)
        later = at_ms + DAY // 4
        moved.append(
            np.abs(cloud_density(x + shift, y, later) - today).mean()
            < np.abs(cloud_density(x, y, later) - today).mean()
        )
    assert np.mean(moved) > 0.9


@pytest.mark.parametrize(("lon", "lat"), [(14.5, 46.0), (0.0, 51.5), (11.5, 48.0)])
def test_covers_are_u_shaped_where_weather_changes(lon: float, lat: float) -> None:
    found = covers(lon, lat)
    assert np.mean(found < 10.0) > 0.15
    assert np.mean(found > 90.0) > 0.3
    assert 0.15 < np.mean((found >= 10.0) & (found <= 90.0)) < 0.45


@pytest.mark.parametrize(("lon", "lat"), [(5.0, 24.0), (31.0, 29.5), (46.0, 23.0)])
def test_deserts_are_clear(lon: float, lat: float) -> None:
    found = covers(lon, lat)
    assert np.median(found) < 1.0
    assert found.mean() < 20.0


@pytest.mark.parametrize(("lon", "lat"), [(-62.0, -3.0), (21.0, 0.0), (107.0, -6.0)])
def test_rain_forests_are_cloudy(lon: float, lat: float) -> None:
    assert covers(lon, lat).mean() > 65.0


def test_weather_does_not_last() -> None:
    found = covers(14.5, 46.0)
    assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < 0.3


@given(places, instants)
def test_cloudiness_is_a_part(where: tuple[float, float], at_ms: int) -> None:
    part = float(cloudiness(np.array([where[0]]), np.array([where[1]]), at_ms)[0])
    assert 0.0 < part < 1.0


def test_the_sky_is_as_cloudy_as_the_climate_says() -> None:
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(-180.0, 180.0, 4000), np.degrees(np.arcsin(rng.uniform(-1.0, 1.0, 4000)))
    days = [START + 17 * day * DAY for day in range(40)]
    wanted = np.mean([cloudiness(lon, lat, at_ms).mean() for at_ms in days])
    assert np.mean([cloud_mask(lon, lat, at_ms).mean() for at_ms in days]) == pytest.approx(
        wanted, abs=0.02
    )


@given(st.floats(-1000.0, 1000.0))
def test_the_polynomial_is_a_sine(turns: float) -> None:
    assert float(sine_of_turns(np.array(turns))) == pytest.approx(
        math.sin(2.0 * math.pi * turns), abs=5e-6
    )


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), st.integers(0, 2**32 - 1))
def test_noise_stays_between_its_corners(place: list[float], seed: int) -> None:
    x, y, z = (np.array([axis]) for axis in place)
    value = float(value_noise(x, y, z, np.array([seed], dtype=np.uint32))[0])
    assert abs(value) <= 1.0 + 1e-12
    other = float(value_noise(x, y, z, np.array([seed ^ 1], dtype=np.uint32))[0])
    assert value != other
