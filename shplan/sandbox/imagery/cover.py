"""
What covers the ground at an instant: leaves, crops, straw and snow on the land that is there.

Each place is a mixture of two matters, the lower and the one that grows or stands on it, under
some snow; the mixture makes the colours of every sensor and what radar sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shplan.sandbox.imagery.crops import growth
from shplan.sandbox.imagery.land import Bools, Land
from shplan.sandbox.imagery.lattice import (
    Ints,
    Key,
    Lattice,
    ball,
    degrees,
    linear,
    octaves,
    single,
)
from shplan.sandbox.imagery.spectra import Matter
from shplan.sandbox.scenes.noise import Floats, sine_of_turns, smoothstep

_DAY_MS = 86_400_000
_YEAR_D = 365.2425
# Warmer than that there is no snow anywhere.
_THAWED_C = 5.0


@dataclass(frozen=True, slots=True)
class Cover:
    """
    The cover of places, arrays of one shape.

    Args:
        low: the matter below
        high: the matter above it
        part: of the ground under the upper one, in 0..1
        tone: factor of both, near 1
        snow: part of the ground under snow, and of water under ice
        snowy: whether there is any
        water, town, field, forest: which of them a place is; none is open country
        celsius: temperature of the air
    """

    low: Ints
    high: Ints
    part: Floats
    tone: Floats
    snow: Floats
    snowy: bool
    water: Bools
    town: Bools
    field: Bools
    forest: Bools
    celsius: Floats


def cover(land: Land, at_ms: int) -> Cover:
    """What covers land at an instant."""
    season = _season(land.lat, at_ms)
    celsius = _celsius(land, season, at_ms)
    part = np.where(land.grass > 0.0, land.grass * _alive(land, celsius, season), land.part)
    if land.leafy.any():
        tropics = np.abs(land.lat) < 22.0
        leaves = np.where(tropics, np.float32(1.0), 0.38 + 0.62 * smoothstep(season * 1.5 + 0.7))
        part = np.where(land.leafy, part * leaves, part)
    high, tone = land.high, land.tone
    if land.plots is not None:
        high, tone = high.copy(), tone.copy()
        _grow(land, at_ms, high, part, tone)
    snow = _snow(land, celsius)
    return Cover(
        low=land.low,
        high=high,
        part=np.minimum(np.maximum(part, 0.0), 1.0),
        tone=tone,
        snow=snow,
        snowy=bool(snow.any()),
        water=land.water,
        town=land.town,
        field=land.field,
        forest=land.forest,
        celsius=celsius,
    )


def _season(lat: Floats, at_ms: int) -> Floats:
    """From -1 in the depth of winter to 1 in the height of summer."""
    year = float(sine_of_turns(np.array((at_ms / _DAY_MS - 110.0) / _YEAR_D)))
    return np.where(lat < 0.0, np.float32(-year), np.float32(year))


def _moods(key: Key, x: Floats, y: Floats) -> Floats:
    """How much warmer than the mean the weather is, at nodes."""
    strip, at_ms = key
    days = at_ms / _DAY_MS / 9.0
    lon, lat = degrees(strip, x, y)
    drifting = ball(lon - 4.0 * (days % 90.0), lat)
    return octaves(drifting + 0.3 * days, 900.0, 2, 81)[None, :]


_MOODS = Lattice(20_000.0, 16, 64, _moods)


def _celsius(land: Land, season: Floats, at_ms: int) -> Floats:
    """The mean temperature of a day, by latitude, height, season and weather."""
    square = land.lat * land.lat
    (mood,) = linear(_MOODS, (land.strip, at_ms), land.x, land.y)
    swing = 0.0043 * season + 0.0013 * single(mood) - 0.0072
    celsius = 27.0 + square * swing + 1.5 * single(mood)
    return np.asarray(celsius - 0.0062 * np.maximum(land.height_m, 0.0))


def _alive(land: Land, celsius: Floats, season: Floats) -> Floats:
    """How green grass is, in 0..1."""
    warm = smoothstep((celsius + 1.0) / 13.0)
    temperate = smoothstep((np.abs(land.lat) - 18.0) / 18.0)
    alive = land.wet * (1.0 - temperate * (0.68 - 0.68 * warm))
    # Grass is short of water in the summers of dry countries.
    return np.asarray(alive * (1.0 - 0.5 * smoothstep(season) * (1.0 - land.wet)))


def _grow(land: Land, at_ms: int, high: Ints, part: Floats, tone: Floats) -> None:
    """What stands on fields, written over the land."""
    plots = land.plots
    if plots is None:
        return
    grown = growth(plots.name, at_ms, plots.lat, plots.height_m)
    straw = (1.0 - grown.green) * grown.straw * (grown.green < 0.45)
    dry = straw > grown.green
    under = single(np.maximum(grown.green, straw))
    kind = np.where(dry, int(Matter.STRAW), int(Matter.CROP))
    blooming = single(np.where(grown.green > 0.5, grown.flowers, -1.0))
    label, here = plots.label, plots.here
    standing = np.minimum(under[label] * plots.vary, 1.0)
    kinds = kind[label]
    if (blooming > 0.2).any():
        kinds = np.where(blooming[label] + 0.2 * plots.grain > 0.45, int(Matter.FLOWERS), kinds)
    high[here], part[here] = kinds, standing
    # Leaves hide the colour of the soil.
    tone[here] = plots.bare_tone + (plots.leaf_tone - plots.bare_tone) * standing


def _snow(land: Land, celsius: Floats) -> Floats:
    """Snow on the ground, less of it under trees, and ice on water after hard frost."""
    if float(celsius.min()) > _THAWED_C:
        return np.zeros(celsius.shape, dtype=np.float32)
    patches = land.grain[0] + 0.6 * land.grain[1]
    trees = land.forest.astype(np.float32)
    cold = 0.6 - celsius + 1.1 * patches + 2.0 * trees
    # Fresh water freezes in winters as Finland's, the sea in those of the Arctic.
    frost = np.where(land.height_m > 0.0, np.float32(-7.0), np.float32(-13.0))
    ice = (frost - celsius + 1.2 * patches) * 0.5
    deep = smoothstep(np.where(land.water, ice, cold * 0.8))
    return np.asarray(deep * (1.0 - 0.7 * trees))
