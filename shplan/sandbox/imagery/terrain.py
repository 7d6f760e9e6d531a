"""
The ground of an invented planet: continents, mountains, valleys, rivers, lakes and the sea.

Continents and ranges are a handful of ellipses about where those of the Earth are, so that places
people ask for are land; everything else is noise. Valleys follow the rivers, whose courses are the
lines along which one of the noises is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from shplan.sandbox.imagery.lattice import (
    METRES_PER_DEG,
    STRIP_DEG,
    Ints,
    Key,
    Lattice,
    ball,
    ball_noises,
    chart,
    degrees,
    linear,
    octaves,
    plane_noise,
    single,
    spline,
)
from shplan.sandbox.scenes.clouds import cloudiness
from shplan.sandbox.scenes.noise import Floats, sine_of_turns, smoothstep

# The sky of an April stands for the climate.
_APRIL_MS = 1_586_000_000_000
# Longitude, latitude, half axes in degrees.
_CONTINENTS = (
    (15.0, 52.0, 32.0, 17.0), (60.0, 55.0, 50.0, 22.0), (100.0, 45.0, 45.0, 28.0),
    (-4.0, 41.0, 11.0, 8.0), (78.0, 22.0, 14.0, 17.0), (45.0, 28.0, 18.0, 18.0),
    (12.0, 15.0, 30.0, 22.0), (25.0, -10.0, 19.0, 27.0), (-100.0, 45.0, 34.0, 27.0),
    (-60.0, -10.0, 24.0, 23.0), (-66.0, -36.0, 11.0, 22.0), (134.0, -25.0, 24.0, 16.0),
    (-42.0, 72.0, 20.0, 14.0), (110.0, 2.0, 18.0, 11.0), (-98.0, 20.0, 12.0, 11.0),
    (0.0, -90.0, 400.0, 22.0), (-2.0, 53.0, 9.0, 8.0), (138.0, 37.0, 7.0, 7.0),
    (20.0, 64.0, 20.0, 10.0), (13.0, 43.0, 9.0, 6.0), (172.0, -42.0, 8.0, 8.0),
    (47.0, -19.0, 5.0, 9.0),
)  # fmt: skip
_SEAS = (
    (5.0, 40.6, 5.5, 3.3), (12.0, 39.9, 3.0, 2.2), (15.6, 42.9, 2.4, 1.3), (18.5, 36.0, 6.0, 3.4),
    (28.0, 33.9, 8.0, 2.4), (25.0, 38.5, 1.9, 2.4), (34.5, 43.3, 6.5, 2.3), (51.0, 41.5, 3.0, 5.0),
    (19.5, 57.5, 3.2, 4.0), (21.0, 62.0, 2.4, 3.2), (3.2, 56.0, 4.2, 4.0), (-5.0, 50.0, 4.0, 1.4),
    (38.0, 21.0, 2.4, 7.0), (51.5, 27.0, 3.6, 2.6), (-90.0, 25.2, 8.0, 4.6), (-75.0, 15.0, 10.0, 5.0),
    (-85.5, 60.0, 7.5, 5.0), (135.0, 40.0, 4.0, 4.6), (114.0, 14.0, 6.0, 8.0), (88.5, 14.0, 6.5, 6.5),
    (65.0, 16.0, 7.0, 8.0), (123.0, 34.5, 3.0, 4.0), (2.0, 1.0, 7.0, 4.5), (11.4, 55.2, 0.9, 0.8),
    (-72.6, 39.6, 2.6, 1.0),
)  # fmt: skip
_RANGES = (
    (10.5, 46.6, 7.0, 1.9), (-70.0, -22.0, 6.0, 34.0), (86.0, 33.0, 18.0, 8.0),
    (-113.0, 43.0, 11.0, 17.0), (44.0, 42.4, 7.0, 1.8), (0.5, 42.6, 3.6, 1.0),
    (24.5, 46.8, 3.4, 2.4), (13.0, 65.0, 7.0, 7.0), (39.0, 8.0, 6.0, 8.0), (138.0, 36.4, 3.0, 2.6),
    (13.4, 42.6, 2.2, 1.6),
)  # fmt: skip
# Longitude, latitude, and the half axes of large towns in degrees, where people look for them.
_CITIES = (
    (14.51, 46.05, 0.05, 0.035), (-74.0, 40.75, 0.42, 0.30), (-0.12, 51.5, 0.40, 0.24),
    (2.35, 48.86, 0.34, 0.22), (12.48, 41.9, 0.20, 0.15), (13.4, 52.52, 0.30, 0.18),
    (-3.7, 40.42, 0.24, 0.18), (16.37, 48.21, 0.20, 0.14), (9.19, 45.47, 0.26, 0.17),
    (11.58, 48.14, 0.20, 0.13), (4.9, 52.37, 0.18, 0.12), (19.04, 47.5, 0.20, 0.14),
    (14.44, 50.08, 0.17, 0.11), (21.01, 52.23, 0.22, 0.14), (37.62, 55.75, 0.45, 0.27),
    (28.98, 41.02, 0.38, 0.2), (31.24, 30.04, 0.24, 0.24), (77.2, 28.6, 0.34, 0.3),
    (116.4, 39.9, 0.42, 0.32), (121.47, 31.23, 0.4, 0.32), (139.7, 35.7, 0.5, 0.36),
    (-118.25, 34.0, 0.5, 0.3), (-87.7, 41.85, 0.34, 0.32), (-99.13, 19.43, 0.3, 0.28),
    (-46.63, -23.55, 0.36, 0.26), (-58.42, -34.62, 0.3, 0.24), (18.55, -33.92, 0.16, 0.13),
    (28.05, -26.2, 0.3, 0.24), (151.0, -33.85, 0.36, 0.26), (144.96, -37.8, 0.36, 0.28),
    (-122.3, 37.6, 0.2, 0.26), (-79.4, 43.7, 0.3, 0.18), (3.4, 6.55, 0.2, 0.15),
    (103.85, 1.35, 0.2, 0.12), (106.82, -6.25, 0.3, 0.24), (12.57, 55.68, 0.16, 0.12),
    (18.07, 59.33, 0.2, 0.11), (23.73, 37.98, 0.14, 0.12), (-9.15, 38.75, 0.16, 0.12),
    (6.95, 50.94, 0.16, 0.12), (8.54, 47.38, 0.12, 0.08), (72.88, 19.1, 0.16, 0.22),
)  # fmt: skip
# So much further around a town the country is low and gentle.
_SUBURBS = tuple((lon, lat, 2.6 * wide, 2.6 * tall) for lon, lat, wide, tall in _CITIES)
_ICE = ((-41.0, 73.5, 14.5, 11.5), (0.0, -90.0, 400.0, 21.0))
_OUTSKIRTS = tuple((lon, lat, 1.35 * wide, 1.35 * tall) for lon, lat, wide, tall in _CITIES)
# So near to the edge of a strip both charts are mixed.
_MIXED_M = 1_000.0
# Sizes of crests, and how many of them are of two noises.
_CRESTS, _TWOFOLD = 6, 3
_NO_ICE_DEG = 58.0


@dataclass(frozen=True, slots=True)
class Terrain:
    """
    The ground at places, arrays of one shape.

    Args:
        height_m: above the sea, whose floor is below nothing
        east: rise per metre eastwards
        north: rise per metre northwards
        rough: how mountainous the country is, in 0..1
        wet: climate, from desert 0 to rain forest 1
        river_m: metres to the middle of the next river
        channel_m: half the width of that river
        lake: above nothing there is a lake
        trees: noise that decides where trees stand
        farms: noise that decides where fields are
        people: noise that decides where towns are
        bend: metres by which roads are led around, eastwards and northwards
        grain: three sizes of noise, some 200, 70 and 25 metres
    """

    height_m: Floats
    east: Floats
    north: Floats
    rough: Floats
    wet: Floats
    river_m: Floats
    channel_m: Floats
    lake: Floats
    trees: Floats
    farms: Floats
    people: Floats
    bend: tuple[Floats, Floats]
    grain: tuple[Floats, Floats, Floats]


def terrain(lon: Floats, lat: Floats, *, far: bool = False) -> Terrain:
    """
    The ground at places in degrees, all of one strip.

    Beside the edges of strips both charts are mixed, so that nothing breaks off there.

    Args:
        far: for sensors with pixels so large that what is smaller than some kilometres is not seen
    """
    strip, x, y = chart(lon, lat)
    ground = _on_strip(strip, x, y, far=far)
    for near, beyond, part, next_strip in _edges(strip, x, lat):
        other = _on_strip(next_strip, beyond, y[near], far=far)
        for mine, theirs in zip(_layers(ground), _layers(other), strict=True):
            mine[near] += (theirs - mine[near]) * part
    return ground


def heights(lon: Floats, lat: Floats) -> Floats:
    """`height_m` of the ground alone, to the bit, at a part of the price of all of it."""
    strip, x, y = chart(lon, lat)
    height = _height_on_strip(strip, x, y)
    for near, beyond, part, next_strip in _edges(strip, x, lat):
        theirs = _height_on_strip(next_strip, beyond, y[near])
        height[near] += (theirs - height[near]) * part
    return height


def _edges(strip: int, x: Floats, lat: Floats) -> Iterator[tuple[Ints, Floats, Floats, int]]:
    """The places beside the edges of a strip: which, metres on the next strip, how much they are of it, its number."""
    edge = 0.5 * STRIP_DEG * METRES_PER_DEG * sine_of_turns(lat / 360.0 + 0.25)
    inner = edge - np.abs(x)
    for side in (-1, 1):
        near = np.flatnonzero((inner < _MIXED_M) & (x * side > 0.0))
        if len(near):
            part = single(0.5 - 0.5 * inner[near] / _MIXED_M)
            yield near, x[near] - 2.0 * side * edge[near], part, (strip + side) % 60


def _layers(ground: Terrain) -> list[Floats]:
    """All arrays of a ground."""
    layers = [getattr(ground, one.name) for one in fields(ground)]
    return [part for one in layers for part in (one if isinstance(one, tuple) else (one,))]


def _on_strip(strip: int, x: Floats, y: Floats, *, far: bool) -> Terrain:
    """The ground at metres on a strip."""
    fine, country = (_FAR_FINE, _FAR_COUNTRY) if far else (_FINE, _COUNTRY)
    (height, river), ((east, north), (along, across)) = spline(fine, (strip,), x, y, slopes=(0, 1))
    rough, wet, trees, farms, people, lake, broad, *bend = linear(country, (strip,), x, y)
    grain = (
        plane_noise(x, y, 190.0, 101 + strip),
        plane_noise(x, y, 71.0, 202 + strip),
        plane_noise(x, y, 26.0, 303 + strip),
    )
    height = _with_bumps(height, rough, grain[0], grain[1])
    slope = np.sqrt(along * along + across * across)
    # Bends of some forty metres: more of them, and islands would be rings.
    river = river + 42.0 * slope * grain[0] * (1.0 - 0.6 * rough)
    return Terrain(
        height_m=height,
        east=east + 0.05 * rough * (grain[0] + 0.7 * grain[2]),
        north=north + 0.05 * rough * (grain[1] - 0.7 * grain[2]),
        rough=rough,
        wet=wet,
        river_m=np.abs(river) / (slope + 4e-5),
        # Where the noise only just touches nothing, its line would be a ring.
        channel_m=(8.0 + 75.0 * broad) * (1.0 - 0.7 * rough) * smoothstep(slope * 4e4 - 0.5),
        lake=lake + 0.05 * grain[0] + 0.02 * grain[1],
        trees=trees + 0.28 * grain[0] + 0.16 * grain[1],
        farms=farms,
        people=people,
        bend=(bend[0], bend[1]),
        grain=grain,
    )


def _height_on_strip(strip: int, x: Floats, y: Floats) -> Floats:
    height = spline(_FINE, (strip,), x, y)[0][0]
    (rough,) = linear(_ROUGH, (strip,), x, y)
    broad, small = plane_noise(x, y, 190.0, 101 + strip), plane_noise(x, y, 71.0, 202 + strip)
    return _with_bumps(height, rough, broad, small)


def _with_bumps(height: Floats, rough: Floats, broad: Floats, small: Floats) -> Floats:
    bumps = 1.0 + 7.0 * rough
    return np.asarray(height + np.where(height > 0.0, bumps * (broad + 0.4 * small), 0.0))


def _rough(key: Key, x: Floats, y: Floats) -> Floats:
    """How mountainous the country is, at nodes."""
    return np.stack(spline(_CONTINENTS_KNOWN, key, x, y)[0][1:2])


def _country(key: Key, x: Floats, y: Floats) -> Floats:
    """Rough, wet, and the noises of what stands where, at nodes."""
    lon, lat = degrees(key[0], x, y)
    base, rough, wet = spline(_CONTINENTS_KNOWN, key, x, y)[0]
    vector = ball(lon, lat)
    # Outlines would follow the planes of the lattice, were the country not bent.
    aside = ball_noises(
        vector, (6.5, 44), (6.5, 45), (6.5, 46), (5.0, 77), (5.0, 78), (31.0, 83), (31.0, 84)
    )
    bent = vector + 0.0003 * aside[:3]
    trees = octaves(bent, 3.4, 3, 41, 0.62)
    farms = octaves(bent, 11.0, 3, 51)
    people = _people(lon, lat, bent)
    lake = octaves(bent, 8.0, 4, 71, 0.5) - 0.95 + 0.4 * wet - 0.6 * rough - 0.0003 * base
    broad = smoothstep(octaves(vector, 90.0, 2, 75) * 1.2 + 0.25)
    bend = 380.0 * aside[3:5] + 3_000.0 * aside[5:]
    return np.stack([rough, wet, trees, farms, people, lake, broad, *bend])


def _people(lon: Floats, lat: Floats, vector: Floats) -> Floats:
    """Where towns are, more of them in some countries than in others."""
    crowded = octaves(vector, 260.0, 2, 67)
    towns = octaves(vector, 17.0, 4, 61, 0.55) + 0.45 * crowded - 0.1
    return np.asarray(towns + 1.15 * _bumps(lon, lat, _OUTSKIRTS, 0.8))


def _fine(key: Key, x: Floats, y: Floats) -> Floats:
    """Height and river noise at nodes."""
    lon, lat = degrees(key[0], x, y)
    base, rough, _wet = spline(_CONTINENTS_KNOWN, key, x, y)[0]
    vector = ball(lon, lat)
    river = octaves(vector, 15.0, 4, 31, 0.36)
    bank = smoothstep(np.abs(river) * 3.6)
    rise = smoothstep(base / 60.0 + 0.3)
    # Where they count for nothing, as at sea and in the plains, they are not reckoned.
    ridges = _where((rise > 0.0) & (rough > 0.0), vector, _bent_ridges)
    hills = _where((rise > 0.0) & (rough < 1.0), vector, _hills)
    relief = rough * (430.0 + 1_200.0 * ridges) + (1.0 - rough) * (45.0 + 60.0 * hills)
    height = base + relief * (0.3 + 0.7 * bank) * rise
    return np.stack([height, river])


def _where(
    here: npt.NDArray[np.bool_], vector: Floats, noise: Callable[[Floats], Floats]
) -> Floats:
    """A noise at some of the places, and nothing at the others."""
    at = np.flatnonzero(here)
    if len(at) == len(here):
        return noise(vector)
    found: Floats = np.zeros(len(here))
    if len(at):
        found[at] = noise(vector[:, at])
    return found


def _hills(vector: Floats) -> Floats:
    return octaves(vector, 5.2, 5, 26, 0.45)


def _bent_ridges(vector: Floats) -> Floats:
    """Ridges would follow the planes of the lattice, were the country not bent."""
    return _ridges(vector + 0.00042 * ball_noises(vector, (9.0, 34), (9.0, 35), (9.0, 36)))


def _ridges(vector: Floats) -> Floats:
    """Crests of several sizes, high where noises are about nothing."""
    sizes = [11.0]
    while len(sizes) < _CRESTS:
        sizes.append(sizes[-1] / 2.13)
    twins = [(1.13 * size, 128 + number) for number, size in enumerate(sizes[:_TWOFOLD])]
    noises = ball_noises(vector, *((size, 21 + at) for at, size in enumerate(sizes)), *twins)
    # One lattice alone would show as blocks.
    noises[:_TWOFOLD] = 0.72 * (noises[:_TWOFOLD] + noises[_CRESTS:])
    ridges, weight = np.zeros(vector.shape[1]), 1.0
    for noise in noises[:_CRESTS]:
        crest = 1.0 - 1.5 * np.abs(noise)
        ridges += weight * crest * np.abs(crest)
        weight *= 0.56
    return ridges


def _continental(key: Key, x: Floats, y: Floats) -> Floats:
    """Height without relief, how mountainous, and how wet, at nodes."""
    lon, lat = degrees(key[0], x, y)
    vector = ball(lon, lat)
    # Ellipses would be seen as such, were the globe not bent.
    aside = ball_noises(vector, (420.0, 151), (420.0, 152), (130.0, 153), (130.0, 154),
                        (150.0, 157), (110.0, 17), (110.0, 18), (110.0, 19))  # fmt: skip
    bent_lon = lon + 2.1 * aside[0] + 0.77 * aside[2]
    bent_lat = lat + 1.5 * aside[1] + 0.55 * aside[3]
    land = _bumps(bent_lon, bent_lat, _CONTINENTS, 2.2)
    land = land - 1.15 * _bumps(bent_lon, bent_lat, _SEAS, 1.8)
    broken = octaves(vector, 1_300.0, 7, 1, 0.55)
    settled = _bumps(lon, lat, _SUBURBS, 1.4)
    level = 430.0 * (land - 0.30) + 330.0 * broken + 60.0 * land
    level = level + settled * np.maximum(130.0 + 60.0 * broken - level, 0.0)
    base = np.where(level > 0.0, level * level / (level + 160.0), 1.6 * level)
    vector = vector + 0.006 * aside[5:]
    folded = smoothstep(octaves(vector, 1_600.0, 5, 11, 0.5) * 1.5 - 0.55)
    ranges = _bumps(bent_lon, bent_lat, _RANGES, 1.3)
    rough = np.maximum(folded, ranges * (0.86 + 0.3 * aside[4]))
    rough = np.minimum(rough, 1.0)
    rough = rough * smoothstep(base / 180.0) * (1.0 - 0.96 * settled)
    sky = cloudiness(lon, lat, _APRIL_MS)
    wet = smoothstep((sky - 0.26 + 0.1 * octaves(vector, 500.0, 4, 16)) * 2.6)
    # Sheets of ice are kilometres thick.
    thick = 2_300.0 * smoothstep(_bumps(lon, lat, _ICE, 1.0) * 1.4)
    return np.stack([base + 500.0 * rough + thick, rough, wet])


def is_ice(lon: Floats, lat: Floats, ground: Terrain) -> npt.NDArray[np.bool_]:
    """Where sheets of ice lie, whatever the season is."""
    if float(np.abs(lat).max()) < _NO_ICE_DEG:
        return np.zeros(lat.shape, dtype=np.bool_)
    return (_bumps(lon, lat, _ICE, 1.0) + 0.05 * ground.farms > 0.06) & (ground.height_m > 0.0)


def _bumps(
    lon: Floats, lat: Floats, ellipses: tuple[tuple[float, float, float, float], ...], steep: float
) -> Floats:
    """The highest of ellipses, each 1 in its middle and nothing beyond its axes."""
    total = np.zeros(lon.shape)
    west, south, half = float(lon.min()), float(lat.min()), 0.5 * float(np.ptp(lon))
    top = float(lat.max())
    for east, north, width, height in ellipses:
        aside = abs((west + half - east + 180.0) % 360.0 - 180.0)
        if aside > half + width or south > north + height or top < north - height:
            continue
        away = (lon - east + 180.0) / 360.0
        p = (away - np.floor(away)) * 360.0 - 180.0
        q = (lat - north) / height
        total = np.maximum(total, smoothstep((1.0 - p * p / (width * width) - q * q) * steep))
    return total


_CONTINENTS_KNOWN = Lattice(8_000.0, 32, 256, _continental)
_COUNTRY = Lattice(480.0, 32, 512, _country)
_ROUGH = Lattice(480.0, 32, 512, _rough)
_FINE = Lattice(120.0, 64, 512, _fine)
_FAR_COUNTRY = Lattice(1_440.0, 64, 96, _country)
_FAR_FINE = Lattice(1_440.0, 64, 96, _fine)


def climate(strip: int, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Height without relief, what people have sent into the air, and how wet it is."""
    base, fumes, wet = linear(_CLIMATE, (strip,), x, y)
    return base, fumes, wet


def _climate(key: Key, x: Floats, y: Floats) -> Floats:
    lon, lat = degrees(key[0], x, y)
    base, _rough, wet = linear(_CONTINENTS_KNOWN, key, x, y)
    vector = ball(lon, lat)
    # Winds have spread it.
    crowded = octaves(vector, 260.0, 2, 67)
    fumes = 0.8 * octaves(vector, 75.0, 3, 163, 0.45) + 0.6 * crowded - 0.2
    fumes = fumes + 1.1 * _bumps(lon, lat, _SUBURBS, 0.8)
    return np.stack([base, fumes * smoothstep(base / 20.0 + 0.4), wet])


_CLIMATE = Lattice(12_000.0, 16, 512, _climate)
