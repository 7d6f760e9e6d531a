"""
What grows on fields: one crop for each field and year, sown, green, ripe and harvested in time.

Days count from the first of October, half a year later on the southern half. Source: growing
seasons as the crop calendars of agronomy give them for Central Europe.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shplan.sandbox.imagery.lattice import Ints, Words, again
from shplan.sandbox.scenes.noise import Floats, smoothstep

_DAY_MS = 86_400_000
_YEAR_D = 365.2425
_FIRST_OF_OCTOBER_D = 273.0
# Part of fields, green in winter, begin and length of growth, part green at its height, begin and
# length of ripening, days of straw before the harvest, flowers from when on (none below zero).
_CROPS = np.array([
    (0.26, 0.30, 160.0, 62.0, 0.94, 248.0, 34.0, 12.0, -1.0),  # winter wheat
    (0.11, 0.26, 150.0, 58.0, 0.90, 232.0, 32.0, 10.0, -1.0),  # winter barley
    (0.13, 0.50, 148.0, 48.0, 0.93, 250.0, 30.0, 10.0, 197.0),  # rape
    (0.20, 0.02, 232.0, 52.0, 0.95, 318.0, 30.0, 14.0, -1.0),  # maize
    (0.06, 0.02, 225.0, 48.0, 0.88, 306.0, 28.0, 10.0, 272.0),  # sunflowers
    (0.06, 0.02, 222.0, 56.0, 0.92, 340.0, 10.0, 0.0, -1.0),  # sugar beets
    (0.06, 0.02, 178.0, 52.0, 0.90, 258.0, 30.0, 10.0, -1.0),  # oats
    (0.12, 0.55, 155.0, 50.0, 0.86, 330.0, 60.0, 0.0, -1.0),  # meadow, which is mown
])  # fmt: skip
_MEADOW = len(_CROPS) - 1
_BOUNDS = np.array([0.26, 0.37, 0.50, 0.70, 0.76, 0.82, 0.88])


@dataclass(frozen=True, slots=True)
class Growth:
    """
    What stands on fields, parts of the ground in 0..1.

    Args:
        green: under leaves
        straw: of the rest, under what is dry
        flowers: of the green, in bloom
    """

    green: Floats
    straw: Floats
    flowers: Floats


def crop_of(name: Words, season: int) -> Ints:
    """Which crop fields bear in a season; they change from one to the next."""
    return np.searchsorted(_BOUNDS, again(name, 500 + season), side="right")


def season_of(at_ms: int, *, south: bool) -> tuple[int, float]:
    """The season that an instant belongs to, and its day in it."""
    days = at_ms / _DAY_MS - _FIRST_OF_OCTOBER_D - (_YEAR_D / 2.0 if south else 0.0)
    season = int(days // _YEAR_D)
    return season, days - season * _YEAR_D


def growth(name: Words, at_ms: int, lat: Floats, height_m: Floats) -> Growth:
    """
    What stands on fields at an instant.

    Args:
        name: words of the fields
        lat: degrees
    """
    south = lat < 0.0
    if south.any() and not south.all():
        summer, winter = (_growth(name, at_ms, lat, height_m, south=one) for one in (False, True))
        return Growth(
            np.where(south, winter.green, summer.green),
            np.where(south, winter.straw, summer.straw),
            np.where(south, winter.flowers, summer.flowers),
        )
    return _growth(name, at_ms, lat, height_m, south=bool(south.any()))


def _growth(name: Words, at_ms: int, lat: Floats, height_m: Floats, *, south: bool) -> Growth:
    season, day = season_of(at_ms, south=south)
    crop = crop_of(name, season)
    _part, winter, begin, length, height, ripe, ripening, standing, bloom = _CROPS[crop].T
    # The north and the heights are late, and every field has its own days.
    late = (np.abs(lat) - 47.0) * 1.3 + np.minimum(height_m, 1200.0) * 0.012
    late = np.minimum(np.maximum(late, -25.0), 30.0) + 18.0 * (again(name, 900 + season) - 0.5)
    at = day - late * smoothstep(np.full(lat.shape, (day - 60.0) / 90.0))
    meadow = crop == _MEADOW
    sown = np.where(meadow, winter, winter * smoothstep((at - 22.0) / 55.0))
    vigour = 0.86 + 0.14 * again(name, 700 + season)
    risen = sown + (height * vigour - sown) * smoothstep((at - begin) / length)
    dying = smoothstep((at - ripe) / ripening)
    rest = np.where(meadow, winter, 0.03)
    green = risen + (rest - risen) * dying
    green = np.where(meadow, green - 0.38 * _mown(at, name), green)
    reaped = smoothstep((at - ripe - ripening - standing) / 4.0)
    ploughed = smoothstep((at - ripe - ripening - standing - 10.0 - 50.0 * again(name, 3)) / 5.0)
    straw = 0.9 * smoothstep((at - ripe - 0.3 * ripening) / ripening) * (1.0 - 0.25 * reaped)
    straw = np.where(meadow, 0.3, straw * (1.0 - 0.9 * ploughed))
    open_days = (at - bloom) / 26.0
    flowers = np.where(bloom > 0.0, 4.0 * open_days * (1.0 - open_days), 0.0)
    return Growth(green, straw, np.minimum(np.maximum(flowers, 0.0), 1.0))


def _mown(at: Floats, name: Words) -> Floats:
    """How short meadows are: 1 on the day of a cut, nothing when all has grown again."""
    short: Floats = np.zeros(at.shape)
    for cut in (228.0, 272.0, 318.0):
        since = at - cut - 14.0 * (again(name, 21) - 0.5)
        fresh = smoothstep(since / 3.0) * (1.0 - smoothstep((since - 3.0) / 32.0))
        short = np.maximum(short, fresh)
    return short
