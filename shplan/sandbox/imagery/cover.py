"""
What covers the ground at an instant: water, snow, towns, fields, forests, grass and bare ground.

Each place is a mixture of two matters, the lower and the one that grows or stands on it, under
some snow; the mixture makes the colours of every sensor and what radar sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shplan.sandbox.imagery.crops import growth
from shplan.sandbox.imagery.lattice import Key, Lattice, again, ball, degrees, linear, octaves
from shplan.sandbox.imagery.mosaic import parcels
from shplan.sandbox.imagery.spectra import Matter
from shplan.sandbox.imagery.terrain import Terrain
from shplan.sandbox.scenes.noise import Floats, sine_of_turns, smoothstep

_DAY_MS = 86_400_000
_YEAR_D = 365.2425
Bools = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Cover:
    """
    The cover of places, arrays of one shape.

    Args:
        low: the matter below
        high: the matter above it
        part: of the ground under the upper one, in 0..1
        tone: factor of both, near 1
        snow: part of the ground under snow
        water, town, field, forest: which of them a place is; none is open country
        celsius: temperature of the air
    """

    low: npt.NDArray[np.int64]
    high: npt.NDArray[np.int64]
    part: Floats
    tone: Floats
    snow: Floats
    water: Bools
    town: Bools
    field: Bools
    forest: Bools
    celsius: Floats


def cover(ground: Terrain, strip: int, x: Floats, y: Floats, lat: Floats, at_ms: int) -> Cover:
    """What covers the ground at metres on a strip."""
    celsius = _celsius(ground, lat, strip, x, y, at_ms)
    season = _season(lat, at_ms)
    made = _open_country(ground, lat, celsius, season)
    _forests(made, ground, lat, season)
    _fields(made, ground, x, y, lat, at_ms)
    _towns(made, ground, x, y)
    _waters(made, ground)
    patches = ground.grain[0] + 0.6 * ground.grain[1]
    cold = 0.6 - celsius + 1.1 * patches + 2.0 * made.forest
    made.snow = np.where(made.water, 0.0, smoothstep(cold * 0.8) * (1.0 - 0.7 * made.forest))
    return made


def _season(lat: Floats, at_ms: int) -> Floats:
    """From -1 in the depth of winter to 1 in the height of summer."""
    year = float(sine_of_turns(np.array((at_ms / _DAY_MS - 110.0) / _YEAR_D)))
    return np.where(lat < 0.0, -year, year)


def _moods(key: Key, x: Floats, y: Floats) -> Floats:
    """How much warmer than the mean the weather is, at nodes."""
    strip, at_ms = key
    days = at_ms / _DAY_MS / 9.0
    lon, lat = degrees(strip, x, y)
    drifting = ball(lon - 4.0 * (days % 90.0), lat)
    return octaves(drifting + 0.3 * days, 900.0, 2, 81)[None, :]


_MOODS = Lattice(20_000.0, 16, 64, _moods)


def _celsius(ground: Terrain, lat: Floats, strip: int, x: Floats, y: Floats, at_ms: int) -> Floats:
    """The mean temperature of a day, by latitude, height, season and weather."""
    square = lat * lat
    (mood,) = linear(_MOODS, (strip, at_ms), x, y)
    mean = 27.0 - 0.0072 * square
    return np.asarray(
        mean
        + 0.0043 * square * _season(lat, at_ms)
        - 0.0062 * np.maximum(ground.height_m, 0.0)
        + (1.5 + 0.0013 * square) * mood
    )


def _open_country(ground: Terrain, lat: Floats, celsius: Floats, season: Floats) -> Cover:
    """Grass, steppe, desert, and rock where it is high or steep."""
    steep = np.sqrt(ground.east * ground.east + ground.north * ground.north)
    dry = 1.0 - ground.wet
    warm = smoothstep((celsius + 1.0) / 13.0)
    temperate = smoothstep((np.abs(lat) - 18.0) / 18.0)
    alive = ground.wet * (1.0 - temperate * (1.0 - 0.32 - 0.68 * warm))
    # Grass is short of water in the summers of dry countries.
    alive = alive * (1.0 - 0.5 * smoothstep(season) * dry)
    part = alive * (0.82 + 0.3 * ground.grain[0] + 0.2 * ground.grain[1])
    bare = smoothstep((steep - 0.55) * 3.0 + 0.5 * ground.grain[1])
    treeless = smoothstep((ground.height_m - _tree_line(lat) - 350.0) / 500.0)
    part = part * (1.0 - np.maximum(bare, 0.85 * treeless))
    rocky = (bare > 0.5) | (treeless + 0.35 * ground.grain[1] > 0.5)
    desert = ground.wet + 0.12 * ground.grain[0] < 0.16
    low = np.where(rocky, Matter.ROCK, np.where(desert, Matter.SAND, Matter.LITTER))
    nothing = np.zeros(lat.shape, dtype=np.bool_)
    return Cover(
        low=low.astype(np.int64),
        high=np.full(lat.shape, int(Matter.CROP)),
        part=np.minimum(np.maximum(part, 0.0), 1.0),
        tone=1.0 + 0.10 * ground.grain[0] + 0.09 * ground.grain[1] + 0.08 * ground.grain[2],
        snow=np.zeros(lat.shape),
        water=nothing,
        town=nothing,
        field=nothing,
        forest=nothing,
        celsius=celsius,
    )


def _tree_line(lat: Floats) -> Floats:
    return np.maximum(3_600.0 - 0.9 * lat * lat, 0.0)


def _forests(made: Cover, ground: Terrain, lat: Floats, season: Floats) -> None:
    """Where it is wet enough and below the tree line; needles in the cold, leaves in the warm."""
    height = ground.height_m
    line = smoothstep((height + 90.0 * ground.grain[0] - _tree_line(lat)) / 260.0)
    wish = ground.trees + 1.5 * ground.wet + 0.75 * ground.rough - 1.5 - 3.0 * line
    forest = wish > 0.0
    cold = (np.abs(lat) - 49.0) * 0.05 + (height - 750.0) * 0.0012 + 0.8 * ground.farms
    needles = cold + 0.5 * ground.grain[0] + 0.4 * ground.grain[2] > 0.0
    tropics = np.abs(lat) < 22.0
    leafy = np.where(tropics, 1.0, 0.22 + 0.78 * smoothstep(season * 1.5 + 0.7))
    part = np.where(needles, 0.93, 0.93 * leafy)
    made.forest = forest
    made.low = np.where(forest, int(Matter.LITTER), made.low)
    made.high = np.where(
        forest, np.where(needles, int(Matter.NEEDLES), int(Matter.LEAVES)), made.high
    )
    made.part = np.where(forest, part, made.part)
    crowns = 0.95 + 0.13 * ground.grain[2] + 0.05 * ground.grain[1] + 0.04 * ground.grain[0]
    made.tone = np.where(forest, crowns, made.tone)


def _fields(made: Cover, ground: Terrain, x: Floats, y: Floats, lat: Floats, at_ms: int) -> None:
    """Where it is gentle, mild and not dry: a mosaic of parcels with hedges and ways."""
    steep = ground.east * ground.east + ground.north * ground.north
    mild = (27.0 - 0.0072 * lat * lat - 0.0055 * ground.height_m) > 3.5
    wish = ground.farms + 0.75 - 1.1 * ground.rough - 14.0 * steep
    tame = smoothstep((ground.wet - 0.16) * 4.0)
    here = np.flatnonzero((wish * tame > 0.12) & mild & (ground.height_m > 0.5))
    if not len(here):
        return
    lots = parcels(x[here], y[here], 4_001, 1.0)
    # What is left of the forest between fields: woods, and some whole parcels.
    wooded = made.forest[here] & (ground.trees[here] + 1.1 * again(lots.name, 45) > 0.95)
    grown = growth(lots.name, at_ms, lat[here], ground.height_m[here])
    soil = again(lots.name, 31)
    grain = ground.grain[2][here]
    edge = lots.border_m < np.where(again(lots.name, 41) < 0.3, 7.0, 2.0)
    way = lots.road_m < 6.0
    rows = sine_of_turns(lots.across / 47.0) * 0.02
    green = grown.green * (1.0 + 0.06 * grain + 0.06 * ground.grain[0][here])
    part = np.maximum(green, (1.0 - green) * grown.straw * (green < 0.45))
    straw = (1.0 - green) * grown.straw * (green < 0.45) > green
    high = np.where(straw, int(Matter.STRAW), int(Matter.CROP))
    high = np.where((grown.flowers + 0.2 * grain > 0.45) & (green > 0.5), int(Matter.FLOWERS), high)
    low = np.where(way, int(Matter.ROCK), int(Matter.SOIL))
    part = np.where(way, 0.25, np.where(edge, 0.8, part))
    high = np.where(edge | way, int(Matter.LEAVES), high)
    tone = 0.78 + 0.5 * soil + rows + 0.05 * grain + 0.05 * ground.grain[1][here]
    # Leaves hide the colour of the soil.
    tone = tone + (0.97 + 0.09 * again(lots.name, 32) - tone) * np.minimum(part, 1.0)
    keep = ~wooded
    here = here[keep]
    made.field = _set(made.field, here)
    made.forest = made.forest & ~made.field
    made.low[here], made.high[here] = low[keep], high[keep]
    made.part[here] = np.minimum(np.maximum(part[keep], 0.0), 1.0)
    made.tone[here] = tone[keep]


def _set(mask: Bools, here: npt.NDArray[np.int64]) -> Bools:
    changed = mask.copy()
    changed[here] = True
    return changed


def _towns(made: Cover, ground: Terrain, x: Floats, y: Floats) -> None:
    """Houses with gardens between streets, closer in the middle of towns."""
    steep = ground.east * ground.east + ground.north * ground.north
    wish = ground.people - 0.50 - 0.8 * ground.rough - 8.0 * steep + 0.1 * ground.grain[0]
    here = np.flatnonzero((wish > 0.0) & (ground.height_m > 1.0) & (ground.wet > 0.05))
    if not len(here):
        return
    dense = smoothstep(wish[here] * 3.2)
    lots = parcels(x[here], y[here], 9_001, 0.34)
    grain = ground.grain[2][here]
    kind = again(lots.name, 51)
    street = lots.border_m < 5.0 + 4.0 * dense
    avenue = lots.road_m < 11.0
    park = kind < 0.10 * (1.2 - dense)
    hall = kind > 0.93
    houses = parcels(x[here], y[here], 9_002, 0.09)
    tint = again(houses.name, 52)
    built = 0.28 + 0.6 * dense
    garden = (again(houses.name, 53) + 0.15 * grain > built) & ~hall
    part = np.where(park, 0.9, np.where(garden, 0.75, 0.06))
    part = np.where(street, 0.12, part)
    low = np.where(street | avenue, int(Matter.ASPHALT), int(Matter.ROOF))
    tone = np.where(low == int(Matter.ROOF), 0.55 + 0.85 * tint * tint + 0.5 * hall, 0.95)
    made.town = _set(made.town, here)
    made.field = made.field & ~made.town
    made.forest = made.forest & ~made.town
    made.low[here], made.part[here] = low, np.where(avenue, 0.02, part)
    made.high[here] = int(Matter.LEAVES)
    made.tone[here] = tone + 0.06 * grain


def _waters(made: Cover, ground: Terrain) -> None:
    """The sea, lakes, and rivers, whose beds are dry in deserts."""
    sea = ground.height_m < 0.0
    bed = ground.river_m < ground.channel_m
    river = bed & (ground.wet > 0.13)
    lake = (ground.lake > 0.0) & (ground.wet > 0.2)
    made.water = (sea | river | lake) & (made.celsius > -60.0)
    depth = np.where(sea, -ground.height_m / 30.0, np.where(lake, ground.lake * 14.0, 0.15))
    clear = smoothstep(depth + 0.1 * ground.grain[0])
    made.low = np.where(made.water, int(Matter.TURBID), np.where(bed, int(Matter.SAND), made.low))
    made.high = np.where(made.water, int(Matter.WATER), made.high)
    made.part = np.where(made.water, clear, np.where(bed, 0.1, made.part))
    made.tone = np.where(made.water, 1.0 + 0.03 * ground.grain[0], made.tone)
    land = ~made.water
    made.field, made.forest, made.town = (
        one & land for one in (made.field, made.forest, made.town)
    )
