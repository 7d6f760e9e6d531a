"""
Clouds: one field over the whole Earth and all times, from which covers and pixels are made.

The density at a place and an instant is noise of many sizes, less what the climate asks for; where
it is above zero there is cloud. The noise lives in space, the Earth is a ball in it: there is no
seam at longitude 180 and no pinch at the poles. Weather turns eastwards with the ball and changes
because the ball glides through the noise. The climate is a handful of bumps: belts of latitude
that follow the sun, deserts, rain forests. Equal to the last bit on every machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from shplan.sandbox.scenes.noise import Floats, sine_of_turns, smoothstep, value_noise

DAY_MS = 86_400_000

# Cells per radius of the Earth: 2100 km down to a third of a kilometre.
_LACUNARITY = 2.4
_OCTAVES = 11
_BASE = 3.0
_WEIGHT = np.array(
    [0.72, 0.9, 0.66, 0.42, 0.3, 0.22, 0.15, 0.105, 0.07, 0.045, 0.03], dtype=np.float64
)
_SEED = np.arange(1, _OCTAVES + 1, dtype=np.uint32) * np.uint32(0x632BE5AB)
# Small clouds live for hours, depressions for days: cells that the ball glides through in a day.
_GLIDE = np.array([0.16, 0.3, 0.5, 0.8, 1.2, 1.8, 2.6, 3.6, 5.0, 7.0, 9.0], dtype=np.float64)
_TURNS_PER_DAY = 0.021
_SPREAD = 0.60

# Latitude, width in degrees, part of sky: added to `_MEAN`; belts follow the sun.
_MEAN = 0.55
_BELTS = ((2.0, 16.0, 0.22), (23.0, 17.0, -0.18), (-23.0, 17.0, -0.16), (57.0, 25.0, 0.12),
          (-57.0, 28.0, 0.26), (-90.0, 26.0, -0.2))  # fmt: skip
# Latitude, width, part of sky: dry in the summer of that half, as around the Mediterranean.
_SUMMERS = ((38.0, 14.0, -0.26), (-35.0, 12.0, -0.16))
# Longitude, latitude, half axes in degrees, part of sky.
_REGIONS = (
    (-5.0, 23.0, 20.0, 11.0, -0.30), (22.0, 24.0, 20.0, 11.0, -0.32),
    (46.0, 23.0, 16.0, 13.0, -0.28), (62.0, 32.0, 18.0, 12.0, -0.22),
    (98.0, 41.0, 24.0, 9.0, -0.2), (134.0, -25.0, 20.0, 12.0, -0.2),
    (19.0, -24.0, 12.0, 9.0, -0.3), (-69.5, -23.0, 5.0, 10.0, -0.4),
    (-112.0, 33.0, 13.0, 10.0, -0.24), (-62.0, -3.0, 17.0, 14.0, 0.2),
    (21.0, 0.0, 15.0, 11.0, 0.18), (115.0, 0.0, 28.0, 13.0, 0.16),
    (-82.0, -15.0, 14.0, 12.0, 0.2), (105.0, 29.0, 10.0, 7.0, 0.2),
)  # fmt: skip


def _matrices() -> Floats:
    """
    How each size of the noise lies in space, shape (octaves, 3, 3, 1).

    Each lattice is turned against the one before, so that their planes never show as edges.
    Reckoned by hand: a power or a product of matrices is rounded as each library likes.
    """
    turn = ((0.0, 0.8, 0.6), (-0.8, 0.36, -0.48), (-0.6, -0.48, 0.64))
    rows = [[_BASE * one for one in row] for row in turn]
    found = []
    for _ in range(_OCTAVES):
        found.append(rows)
        rows = [
            [
                _LACUNARITY * (row[0] * a + row[1] * b + row[2] * c)
                for a, b, c in zip(*turn, strict=True)
            ]
            for row in rows
        ]
    return np.array(found)[..., None]


_MATRICES = _matrices()


def cloud_mask(lon: Floats, lat: Floats, at_ms: int) -> npt.NDArray[np.bool_]:
    """
    Where there is cloud.

    Args:
        lon: degrees, any turn of the circle; of the shape of `lat`
        at_ms: milliseconds since 1970
    """
    mask: npt.NDArray[np.bool_] = cloud_density(lon, lat, at_ms) > 0.0
    return mask


def cloud_density(lon: Floats, lat: Floats, at_ms: int) -> Floats:
    """How thick clouds are, without unit: below zero it is clear, above 1 no ground is seen."""
    return _weather(lon, lat, at_ms) - _threshold(cloudiness(lon, lat, at_ms))


def _weather(lon: Floats, lat: Floats, at_ms: int) -> Floats:
    days = at_ms / DAY_MS
    turns = lon / 360.0 - days * _TURNS_PER_DAY
    flat = sine_of_turns(lat / 360.0 + 0.25)
    x, y = flat * sine_of_turns(turns + 0.25), flat * sine_of_turns(turns)
    z = sine_of_turns(lat / 360.0)
    # The sizes stand on the first axis, all places on the second: numpy is quickest along the last.
    x, y, z = x.ravel(), y.ravel(), z.ravel()
    axes = [
        _MATRICES[:, axis, 0] * x + _MATRICES[:, axis, 1] * y + _MATRICES[:, axis, 2] * z
        for axis in range(3)
    ]
    glide = _GLIDE[:, None] * days
    noise = value_noise(
        axes[0] + glide, axes[1] + 0.37 * glide, axes[2] - 0.61 * glide, _SEED[:, None]
    )
    total = noise[0] * _WEIGHT[0]
    for octave in range(1, _OCTAVES):
        total = total + noise[octave] * _WEIGHT[octave]
    return np.asarray(total).reshape(np.shape(lon))


def cloudiness(lon: Floats, lat: Floats, at_ms: int) -> Floats:
    """The part of the year's sky that is under cloud at this place in this season, in 0..1."""
    # Highest in the middle of July, lowest in January.
    season = float(sine_of_turns(np.array(at_ms / DAY_MS / 365.2425 - 0.29)))
    belt = lat - 5.0 * season
    part = np.full(np.shape(lat), _MEAN)
    for centre, width, change in _BELTS:
        part = part + change * _bump((belt - centre) / width)
    for centre, width, change in _SUMMERS:
        warmth = 0.5 + (0.5 if centre > 0 else -0.5) * season
        part = part + change * warmth * _bump((lat - centre) / width)
    for east, north, width, height, change in _REGIONS:
        away = (lon - east + 180.0) / 360.0
        x = (away - np.floor(away)) * 360.0 - 180.0
        y = (lat - north) / height
        part = part + change * smoothstep(1.0 - (x * x / (width * width) + y * y) * 0.5)
    return np.asarray(np.minimum(np.maximum(part, 0.03), 0.95))


def _bump(x: Floats) -> Floats:
    """1 at 0, nothing beyond -1 and 1."""
    return smoothstep(1.0 - np.abs(x))


def _threshold(part: Floats) -> Floats:
    """The density above which that part of the noise lies."""
    # A rational likeness of the bell curve's quantiles.
    x = 0.5 - part
    return _SPREAD * x * (2.5066 - 4.02 * x * x) / (1.0 - 2.615 * x * x)
