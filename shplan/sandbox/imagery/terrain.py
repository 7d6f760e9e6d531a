"""
The ground of an invented planet: continents, mountains, valleys, rivers, lakes and the sea.

Continents and ranges are a handful of ellipses about where those of the Earth are, so that places
people ask for are land; everything else is noise. Valleys follow the rivers, whose courses are the
lines along which one of the noises is nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shplan.sandbox.imagery.lattice import (
    Key,
    Lattice,
    ball,
    ball_noise,
    degrees,
    linear,
    octaves,
    plane_noise,
    spline,
)
from shplan.sandbox.scenes.clouds import cloudiness
from shplan.sandbox.scenes.noise import Floats, smoothstep

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
_RANGES = (
    (10.5, 46.6, 7.0, 1.9), (-70.0, -22.0, 6.0, 34.0), (86.0, 33.0, 18.0, 8.0),
    (-113.0, 43.0, 11.0, 17.0), (44.0, 42.4, 7.0, 1.8), (0.5, 42.6, 3.6, 1.0),
    (24.5, 46.8, 3.4, 2.4), (13.0, 65.0, 7.0, 7.0), (39.0, 8.0, 6.0, 8.0), (138.0, 36.4, 3.0, 2.6),
    (13.4, 42.6, 2.2, 1.6),
)  # fmt: skip


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
    grain: tuple[Floats, Floats, Floats]


def terrain(strip: int, x: Floats, y: Floats, *, far: bool = False) -> Terrain:
    """
    The ground at metres on a strip.

    Args:
        far: for sensors with pixels so large that what is smaller than some kilometres is not seen
    """
    (height, river), ((east, north), (along, across)) = spline(_FINE, (strip,), x, y, slopes=(0, 1))
    rough, wet, trees, farms, people, lake, broad = linear(
        _FAR_COUNTRY if far else _COUNTRY, (strip,), x, y
    )
    grain = (
        plane_noise(x, y, 190.0, 101 + strip),
        plane_noise(x, y, 71.0, 202 + strip),
        plane_noise(x, y, 26.0, 303 + strip),
    )
    bumps = 1.5 + 30.0 * rough
    height = height + np.where(height > 0.0, bumps * (grain[0] + 0.4 * grain[1]), 0.0)
    river = river + 0.018 * grain[0] * (1.0 - 0.6 * rough)
    slope = np.sqrt(along * along + across * across)
    return Terrain(
        height_m=height,
        east=east + 0.16 * rough * (grain[0] + 0.7 * grain[2]),
        north=north + 0.16 * rough * (grain[1] - 0.7 * grain[2]),
        rough=rough,
        wet=wet,
        river_m=np.abs(river) / (slope + 4e-5),
        channel_m=(8.0 + 75.0 * broad) * (1.0 - 0.7 * rough),
        lake=lake + 0.05 * grain[0] + 0.02 * grain[1],
        trees=trees + 0.28 * grain[0] + 0.16 * grain[1],
        farms=farms,
        people=people,
        grain=grain,
    )


def _country(key: Key, x: Floats, y: Floats) -> Floats:
    """Rough, wet, and the noises of what stands where, at nodes."""
    lon, lat = degrees(key[0], x, y)
    base, rough, wet = spline(_CONTINENTS_KNOWN, key, x, y)[0]
    vector = ball(lon, lat)
    trees = octaves(vector, 3.4, 3, 41, 0.62)
    farms = octaves(vector, 11.0, 3, 51)
    people = _people(vector)
    lake = octaves(vector, 8.0, 4, 71, 0.5) - 0.95 + 0.4 * wet - 0.6 * rough - 0.0003 * base
    broad = smoothstep(octaves(vector, 90.0, 2, 75) * 1.2 + 0.25)
    return np.stack([rough, wet, trees, farms, people, lake, broad])


def _people(vector: Floats) -> Floats:
    """Where towns are, more of them in some countries than in others."""
    crowded = octaves(vector, 260.0, 2, 67)
    return octaves(vector, 17.0, 4, 61, 0.55) + 0.45 * crowded - 0.1


def _fine(key: Key, x: Floats, y: Floats) -> Floats:
    """Height and river noise at nodes."""
    lon, lat = degrees(key[0], x, y)
    base, rough, _wet = spline(_CONTINENTS_KNOWN, key, x, y)[0]
    vector = ball(lon, lat)
    river = octaves(vector, 15.0, 4, 31, 0.42)
    bank = smoothstep(np.abs(river) * 3.6)
    # Ridges would follow the planes of the lattice, were the country not bent.
    bend = [ball_noise(vector, 9.0, 34 + axis) for axis in range(3)]
    bent = vector + 0.00042 * np.stack(bend)
    ridges, size, weight = np.zeros(x.shape), 11.0, 1.0
    for number in range(4):
        noise = np.abs(ball_noise(bent, size, 21 + number))
        crest = 1.0 - 1.5 * noise
        ridges = ridges + weight * crest * np.abs(crest)
        size, weight = size / 2.13, weight * 0.56
    hills = octaves(vector, 5.2, 4, 26, 0.45)
    relief = rough * (430.0 + 1_200.0 * ridges) + (1.0 - rough) * (45.0 + 60.0 * hills)
    height = base + relief * (0.3 + 0.7 * bank) * smoothstep(base / 60.0 + 0.3)
    return np.stack([height, river])


def _continental(key: Key, x: Floats, y: Floats) -> Floats:
    """Height without relief, how mountainous, and how wet, at nodes."""
    lon, lat = degrees(key[0], x, y)
    vector = ball(lon, lat)
    land = _bumps(lon, lat, _CONTINENTS, 2.2)
    broken = octaves(vector, 1_300.0, 8, 1, 0.55)
    level = 430.0 * (land - 0.30) + 330.0 * broken + 60.0 * land
    base = np.where(level > 0.0, level * level / (level + 160.0), 1.6 * level)
    folded = smoothstep(octaves(vector, 1_600.0, 5, 11, 0.5) * 1.5 - 0.55)
    rough = np.maximum(folded, _bumps(lon, lat, _RANGES, 1.6))
    rough = rough * smoothstep(base / 180.0)
    sky = cloudiness(lon, lat, _APRIL_MS)
    wet = smoothstep((sky - 0.26 + 0.1 * octaves(vector, 500.0, 4, 16)) * 2.6)
    return np.stack([base + 500.0 * rough, rough, wet])


def _bumps(
    lon: Floats, lat: Floats, ellipses: tuple[tuple[float, float, float, float], ...], steep: float
) -> Floats:
    """The highest of ellipses, each 1 in its middle and nothing beyond its axes."""
    total = np.zeros(lon.shape)
    for east, north, width, height in ellipses:
        away = (lon - east + 180.0) / 360.0
        p = (away - np.floor(away)) * 360.0 - 180.0
        q = (lat - north) / height
        total = np.maximum(total, smoothstep((1.0 - p * p / (width * width) - q * q) * steep))
    return total


_CONTINENTS_KNOWN = Lattice(4_000.0, 32, 256, _continental)
_COUNTRY = Lattice(480.0, 32, 512, _country)
_FINE = Lattice(240.0, 64, 512, _fine)
_FAR_COUNTRY = Lattice(1_440.0, 64, 96, _country)
_FAR_FINE = Lattice(1_440.0, 64, 96, _fine)


def climate(strip: int, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Height without relief, the noise that decides where towns are, and how wet it is."""
    (base, people, wet) = linear(_CLIMATE, (strip,), x, y)
    return base, people, wet


def _climate(key: Key, x: Floats, y: Floats) -> Floats:
    lon, lat = degrees(key[0], x, y)
    base, _rough, wet = spline(_CONTINENTS_KNOWN, key, x, y)[0]
    people = _people(ball(lon, lat)) * smoothstep(base / 20.0)
    return np.stack([base, people, wet])


_CLIMATE = Lattice(4_000.0, 64, 128, _climate)
