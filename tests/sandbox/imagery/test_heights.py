"""Heights alone, and noises of some places alone, are the numbers that all of them together give."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shplan.sandbox.imagery.lattice import ball, ball_noises, octaves
from shplan.sandbox.imagery.terrain import heights, terrain


@given(
    strip=st.integers(-30, 29),
    lat=st.floats(-75, 80),
    spread=st.sampled_from([0.01, 0.3, 3.0]),
    east=st.sampled_from([0.5, 0.9999]),
    seed=st.integers(0, 999),
)
@settings(max_examples=25, deadline=None)
def test_heights_are_those_of_the_ground(
    strip: int, lat: float, spread: float, east: float, seed: int
) -> None:
    """To the bit; near the edges of strips too, where two charts are mixed."""
    chance = np.random.default_rng(seed)
    around = 6.0 * east + spread * chance.uniform(-1, 1, 300)
    lon = 6.0 * strip + np.clip(around, 0.0, 5.999_999)
    lats = lat + spread * chance.uniform(-1, 1, 300)
    whole, alone = terrain(lon, lats).height_m, heights(lon, lats)
    assert whole.dtype == alone.dtype
    assert np.array_equal(whole, alone)


@given(count=st.integers(1, 9_000), kinds=st.integers(1, 9), seed=st.integers(0, 999))
@settings(max_examples=25, deadline=None)
def test_a_noise_does_not_depend_on_who_asks_with_it(count: int, kinds: int, seed: int) -> None:
    """However many places are asked for at once, and whichever of them."""
    chance = np.random.default_rng(seed)
    vector = ball(chance.uniform(-180, 180, count), chance.uniform(-80, 80, count))
    asked = [(11.0 / (number + 1), number) for number in range(kinds)]
    whole = ball_noises(vector, *asked)
    some = np.flatnonzero(chance.random(count) < 0.3)
    assert np.array_equal(whole[:, some], ball_noises(vector[:, some], *asked))
    assert np.array_equal(whole[0], ball_noises(vector, asked[0])[0])
    assert np.array_equal(
        octaves(vector, 9.0, 4, seed)[some], octaves(vector[:, some], 9.0, 4, seed)
    )
