"""
What covers the ground for good: water, towns, forests, fields and their borders, rock and sand.

It is a function of place alone, so it is reckoned once for the pixels that are asked for again and
again, and kept while there is room. What changes with the seasons stands in `cover`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from shplan.sandbox.imagery.grid import Pixels
from shplan.sandbox.imagery.lattice import Ints, Words, again, chart, single, strips_of
from shplan.sandbox.imagery.mosaic import Parcels, parcels
from shplan.sandbox.imagery.spectra import Matter
from shplan.sandbox.imagery.terrain import Terrain, climate, is_ice, terrain
from shplan.sandbox.scenes.noise import Floats, sine_of_turns, smoothstep

Bools: TypeAlias = npt.NDArray[np.bool_]
# Blocks of pixels whose land is kept; one takes some two megabytes.
_KEPT = 40


@dataclass(frozen=True, slots=True)
class Plots:
    """
    Fields, by place and by parcel.

    Args:
        here: the places that are fields
        label: of those, which parcel each is in
        vary: of those, factor of what grows
        grain: of those, noise of some 25 metres
        bare_tone, leaf_tone: of those, tones of soil and of leaves
        name, lat, height_m: of each parcel
    """

    here: Ints
    label: Ints
    vary: Floats
    grain: Floats
    bare_tone: Floats
    leaf_tone: Floats
    name: Words
    lat: Floats
    height_m: Floats


@dataclass(frozen=True, slots=True)
class Land:
    """
    The ground at places, arrays of one shape, most of them of single precision.

    Args:
        strip, x, y: where places are on the chart, metres
        height_m, east, north, wet, grain: as those of `Terrain`
        low, high: the matters below and above, but for what changes on fields
        part: of the ground under the upper one where that does not change, in 0..1
        grass: factor of what is green where grass grows, nothing elsewhere
        tone: factor of both, near 1
        water, town, forest: which of them a place is
        leafy: whether leaves fall there in winter
        field: whether there are parcels, borders of them too
        plots: the fields, none if there are none
    """

    strip: int
    x: Floats
    y: Floats
    lat: Floats
    height_m: Floats
    east: Floats
    north: Floats
    wet: Floats
    grain: tuple[Floats, Floats, Floats]
    low: Ints
    high: Ints
    part: Floats
    grass: Floats
    tone: Floats
    water: Bools
    town: Bools
    forest: Bools
    leafy: Bools
    field: Bools
    plots: Plots | None


@dataclass(slots=True)
class _Made:
    """The cover while it is made, one layer after the other."""

    low: Ints
    high: Ints
    part: Floats
    grass: Floats
    tone: Floats
    town: Bools
    forest: Bools
    leafy: Bools


class _Kept:
    """The results that were asked for last."""

    def __init__(self, count: int) -> None:
        self._count, self._lock = count, threading.Lock()
        self._found: OrderedDict[tuple[object, ...], Land] = OrderedDict()

    def get(self, key: tuple[object, ...], make: Callable[[], Land]) -> Land:
        """What is kept under a key, or what is made now."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        made = make()
        with self._lock:
            self._found[key] = made
            while len(self._found) > self._count:
                self._found.popitem(last=False)
        return made


_LANDS = _Kept(_KEPT)


def land(pixels: Pixels, *, far: bool = False) -> Land:
    """The land at pixels, all of one strip."""
    return _LANDS.get((far, *pixels.key), lambda: _land(pixels.lon, pixels.lat, far=far))


def _land(lon: Floats, lat: Floats, *, far: bool) -> Land:
    ground = terrain(lon, lat, far=far)
    flat = single(lat)
    made = _open_country(ground, flat)
    plots = _rural(made, ground, lon, lat)
    _towns(made, ground, lon, lat)
    water = _waters(made, ground)
    ice = is_ice(lon, lat, ground)
    if ice.any():
        water &= ~ice
        _frozen(made, ground, ice)
    field = np.zeros(lat.shape, dtype=np.bool_)
    if plots is not None:
        # Towns and waters lie on fields.
        plots = _some(plots, ~(made.town | water | ice)[plots.here])
        field[plots.here] = True
    strip, x, y = chart(lon, lat)
    dry = ~water
    return Land(
        strip=strip,
        x=x,
        y=y,
        lat=single(lat),
        height_m=single(ground.height_m),
        east=single(np.where(water, 0.0, ground.east)),
        north=single(np.where(water, 0.0, ground.north)),
        wet=single(ground.wet),
        grain=(single(ground.grain[0]), single(ground.grain[1]), single(ground.grain[2])),
        low=made.low,
        high=made.high,
        part=single(np.minimum(np.maximum(made.part, 0.0), 1.0)),
        grass=single(made.grass),
        tone=single(made.tone),
        water=water,
        town=made.town & dry,
        forest=made.forest & dry & ~field,
        leafy=made.leafy & dry & ~field,
        field=field,
        plots=plots,
    )


def _some(plots: Plots, chosen: Bools) -> Plots:
    return Plots(
        here=plots.here[chosen],
        label=plots.label[chosen],
        vary=single(plots.vary[chosen]),
        grain=single(plots.grain[chosen]),
        bare_tone=single(plots.bare_tone[chosen]),
        leaf_tone=single(plots.leaf_tone[chosen]),
        name=plots.name,
        lat=plots.lat,
        height_m=plots.height_m,
    )


def _open_country(ground: Terrain, lat: Floats) -> _Made:
    """Grass, steppe, desert, and rock where it is high or steep."""
    steep = np.sqrt(ground.east * ground.east + ground.north * ground.north)
    bare = smoothstep((steep - 0.55) * 3.0 + 0.5 * ground.grain[1])
    treeless = smoothstep((ground.height_m - tree_line(lat) - 350.0) / 500.0)
    grass = 0.82 + 0.3 * ground.grain[0] + 0.2 * ground.grain[1]
    grass = grass * (1.0 - np.maximum(bare, 0.85 * treeless))
    rocky = (bare > 0.5) | (treeless + 0.35 * ground.grain[1] > 0.5)
    desert = ground.wet + 0.12 * ground.grain[0] < 0.16
    # Plains of stones between the dunes, whose crests lie across the wind.
    stony = ground.farms + 0.5 * ground.trees > 0.12
    rocky |= desert & stony
    dunes = sine_of_turns((ground.height_m + 9.0 * ground.grain[0] + 6.0 * ground.trees) / 31.0)
    low = np.where(rocky, Matter.ROCK, np.where(desert, Matter.SAND, Matter.LITTER))
    tone = 1.0 + 0.10 * ground.grain[0] + 0.09 * ground.grain[1] + 0.08 * ground.grain[2]
    tone = tone + 0.1 * ground.trees
    # Grounds differ in age and stone over many kilometres, and nothing hides it in deserts.
    strata = 0.97 + 0.16 * ground.farms + 0.10 * ground.people + 0.04 * dunes
    tone = np.where(desert, strata + 0.35 * (tone - 1.0), tone)
    nothing = np.zeros(lat.shape, dtype=np.bool_)
    return _Made(
        low=low.astype(np.int64),
        high=np.full(lat.shape, int(Matter.CROP)),
        part=np.zeros(lat.shape, dtype=np.float32),
        grass=grass,
        tone=tone,
        town=nothing,
        forest=nothing.copy(),
        leafy=nothing.copy(),
    )


def tree_line(lat: Floats) -> Floats:
    """Metres above which no trees stand."""
    return np.maximum(3_600.0 - 0.9 * lat * lat, 0.0)


def _rural(made: _Made, ground: Terrain, lon: Floats, lat: Floats) -> Plots | None:
    """Forests and fields; people have drawn the borders of both."""
    flat, height = single(lat), ground.height_m
    steep = ground.east * ground.east + ground.north * ground.north
    line = smoothstep((height + 90.0 * ground.grain[0] - tree_line(flat)) / 260.0)
    mild = (27.0 - 0.0072 * flat * flat - 0.0055 * height) > 3.5
    # Few have farms in rain forests.
    tame = smoothstep((ground.wet - 0.16) * 4.0)
    jungle = smoothstep((15.0 - np.abs(flat)) / 6.0) * smoothstep((ground.wet - 0.55) * 3.0)
    trees = ground.trees + 1.5 * ground.wet + 0.75 * ground.rough - 1.5 - 3.0 * line + 0.4 * jungle
    farms = (ground.farms + 0.75 - 1.1 * ground.rough - 14.0 * steep - 1.15 * jungle) * tame
    farmed = (farms > 0.12) & mild & (height > 0.5)
    here = np.flatnonzero((trees > -0.5) | farmed)
    if not len(here):
        return None
    lots = _parcels_at(ground, here, lon, lat, 4_001, 1.0)
    drawn = single(again(lots.name, 45) - 0.5)[lots.label]
    # Between fields whole parcels are woods; elsewhere few are meadows, fewer the wilder it is.
    wish = np.where(
        farmed[here],
        ground.trees[here] + 1.1 * drawn - 0.4,
        trees[here] + (0.9 - 0.6 * ground.rough[here]) * drawn,
    )
    wooded = (wish > 0.0) & (trees[here] > 0.0)
    _forest(made, ground, flat, here[wooded], lots, np.flatnonzero(wooded))
    kept = np.flatnonzero(farmed[here] & ~wooded)
    return _fields(made, ground, here[kept], lots, kept) if len(kept) else None


def _forest(made: _Made, ground: Terrain, lat: Floats, here: Ints, lots: Parcels, of: Ints) -> None:
    """Stands of trees: needles in the cold, leaves in the warm, and what was cut of late."""
    label, grain = lots.label[of], [one[here] for one in ground.grain]
    height = ground.height_m[here]
    cold = (np.abs(lat[here]) - 49.0) * 0.05 + (height - 750.0) * 0.0012 + 0.8 * ground.farms[here]
    stand = single(again(lots.name, 46) - 0.5)[label]
    needles = cold + 0.7 * stand + 0.5 * grain[0] + 0.4 * grain[2] > 0.0
    cut = ((again(lots.name, 47) < 0.012)[label]) & (lots.border_m[of] > 4.0)
    made.forest[here] = True
    made.leafy[here] = ~(needles | cut)
    made.low[here] = int(Matter.LITTER)
    made.high[here] = np.where(
        cut, int(Matter.CROP), np.where(needles, int(Matter.NEEDLES), int(Matter.LEAVES))
    )
    made.part[here] = np.where(cut, 0.22 + 0.1 * grain[1], 0.93)
    made.grass[here] = 0.0
    crowns = 0.95 + 0.15 * grain[2] + 0.07 * grain[1] + 0.04 * grain[0] + 0.14 * stand
    made.tone[here] = crowns


def _fields(made: _Made, ground: Terrain, here: Ints, lots: Parcels, of: Ints) -> Plots:
    """A mosaic of parcels with hedges and ways."""
    label = lots.label[of]
    grain = ground.grain[2][here]
    hedge = single(np.where(again(lots.name, 41) < 0.3, 7.0, 2.0))
    way = lots.road_m[of] < 6.0
    edge = (lots.border_m[of] < hedge[label]) & ~way
    made.grass[here] = 0.0
    made.low[here] = np.where(way, int(Matter.ROCK), int(Matter.SOIL))
    made.high[here] = int(Matter.LEAVES)
    made.part[here] = np.where(way, 0.25, 0.8)
    rows = sine_of_turns(lots.across[of] / 47.0) * 0.02
    tone = single(0.78 + 0.5 * again(lots.name, 31))[label] + rows
    tone = tone + 0.05 * grain + 0.05 * ground.grain[1][here]
    leaf = single(0.97 + 0.09 * again(lots.name, 32))[label]
    made.tone[here] = tone + (leaf - tone) * made.part[here]
    plots = Plots(
        here=here,
        label=label,
        vary=1.0 + 0.06 * grain + 0.06 * ground.grain[0][here],
        grain=grain,
        bare_tone=tone,
        leaf_tone=leaf,
        name=lots.name,
        lat=lots.lat,
        height_m=_height_of(lots),
    )
    return _some(plots, ~(way | edge))


def _parcels_at(
    ground: Terrain, here: Ints, lon: Floats, lat: Floats, seed: int, size: float
) -> Parcels:
    bend = ground.bend[0][here], ground.bend[1][here]
    return parcels(lon[here], lat[here], bend, seed, size)


def _height_of(lots: Parcels) -> Floats:
    """How high the country of each parcel is, about."""
    strips = strips_of(lots.lon)
    height: Floats = np.empty(lots.lon.shape)
    for strip in np.unique(strips):
        here = strips == strip
        height[here] = climate(*chart(lots.lon[here], lots.lat[here]))[0]
    return np.maximum(height, 0.0)


def _towns(made: _Made, ground: Terrain, lon: Floats, lat: Floats) -> None:
    """Houses with gardens between streets, closer in the middle of towns."""
    steep = ground.east * ground.east + ground.north * ground.north
    wish = (
        ground.people
        - 0.50
        - 0.2 * ground.trees
        - 0.8 * ground.rough
        - 8.0 * steep
        + 0.1 * ground.grain[0]
    )
    town = (wish > 0.0) & (ground.height_m > 1.0) & (ground.wet > 0.05)
    here = np.flatnonzero(town)
    if not len(here):
        return
    dense = smoothstep(wish[here] * 1.7)
    lots = _parcels_at(ground, here, lon, lat, 9_001, 0.34)
    grain = ground.grain[2][here]
    kind = single(again(lots.name, 51))[lots.label]
    street = lots.border_m < 5.0 + 4.0 * dense
    avenue = lots.road_m < 11.0
    park = kind < 0.10 * (1.2 - dense)
    hall = kind > 0.93
    houses = _parcels_at(ground, here, lon, lat, 9_002, 0.09)
    tint = single(again(houses.name, 52))[houses.label]
    built = 0.26 + 0.5 * dense
    garden = (single(again(houses.name, 53))[houses.label] + 0.15 * grain > built) & ~hall
    part = np.where(park, 0.9, np.where(garden, 0.75, 0.06))
    part = np.where(street, 0.12, part)
    low = np.where(street | avenue, int(Matter.ASPHALT), int(Matter.ROOF))
    tone = np.where(low == int(Matter.ROOF), 0.55 + 0.85 * tint * tint + 0.5 * single(hall), 0.95)
    made.town = town
    made.forest, made.leafy = made.forest & ~town, made.leafy & ~town
    made.grass[here] = 0.0
    made.low[here], made.part[here] = low, np.where(avenue, 0.02, part)
    made.high[here] = int(Matter.LEAVES)
    made.tone[here] = tone + 0.06 * grain


def _frozen(made: _Made, ground: Terrain, ice: Bools) -> None:
    """Sheets of ice, on which nothing grows."""
    made.town, made.forest, made.leafy = (
        one & ~ice for one in (made.town, made.forest, made.leafy)
    )
    made.low[ice] = made.high[ice] = int(Matter.SNOW)
    made.grass[ice], made.part[ice] = 0.0, 1.0
    made.tone[ice] = 0.93 + 0.04 * ground.grain[0][ice] + 0.06 * ground.trees[ice]


def _waters(made: _Made, ground: Terrain) -> Bools:
    """The sea, lakes, and rivers, whose beds are dry in deserts."""
    sea = ground.height_m < 0.0
    bed = ground.river_m < ground.channel_m
    river = bed & (ground.wet > 0.13)
    lake = (ground.lake > 0.0) & (ground.wet > 0.2)
    water = sea | river | lake
    if not (water.any() or bed.any()):
        return water
    depth = np.where(sea, -ground.height_m / 30.0, np.where(lake, ground.lake * 14.0, 0.15))
    clear = smoothstep(depth + 0.1 * ground.grain[0])
    made.low = np.where(water, int(Matter.TURBID), np.where(bed, int(Matter.SAND), made.low))
    made.high = np.where(water, int(Matter.WATER), made.high)
    made.part = np.where(water, clear, np.where(bed, 0.1, made.part))
    made.grass = np.where(water | bed, 0.0, made.grass)
    made.tone = np.where(water, 1.0 + 0.03 * ground.grain[0], made.tone)
    return water
