"""
Sentinel-1: what radar sees, by day, night and through clouds.

Smooth water and roads send nothing back, leaves send much of it turned, and towns are bright.
Slopes that face the sensor are bright, those that turn away are dark; so both directions of flight
differ. Speckle is that of a product of some five looks. Source: textbook values of backscatter in
the C band; ESA, Sentinel-1 Product Definition (noise floor of the turned polarisation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from shplan.sandbox.imagery.cover import Cover, cover
from shplan.sandbox.imagery.grid import Pixels
from shplan.sandbox.imagery.land import Land, land
from shplan.sandbox.imagery.lattice import hashed, mixed, unit
from shplan.sandbox.imagery.sensor import Band
from shplan.sandbox.imagery.spectra import Matter
from shplan.sandbox.scenes.noise import Floats
from shplan.sandbox.scenes.scene import Scene

_POWER = Band({"LINEAR_POWER": 1.0}, 10.0, "FLOAT32")
_PLAIN = Band({"DN": 1.0}, 10.0, "FLOAT32")
_BANDS = {
    "VV": _POWER,
    "VH": _POWER,
    "HH": _POWER,
    "HV": _POWER,
    "localIncidenceAngle": _PLAIN,
    "scatteringArea": _PLAIN,
    "shadowMask": Band({"DN": 1.0}, 10.0, "UINT8"),
}
# Power of each matter, sent and received alike, and received turned.
_ALIKE = {Matter.SOIL: 0.085, Matter.SAND: 0.022, Matter.ROCK: 0.11, Matter.ROOF: 0.62,
          Matter.ASPHALT: 0.09, Matter.LITTER: 0.075, Matter.LEAVES: 0.15, Matter.NEEDLES: 0.14,
          Matter.CROP: 0.12, Matter.STRAW: 0.08, Matter.FLOWERS: 0.17, Matter.WATER: 0.011,
          Matter.TURBID: 0.012, Matter.SNOW: 0.07, Matter.CLOUD: 0.0}  # fmt: skip
_TURNED = {Matter.SOIL: 0.011, Matter.SAND: 0.0025, Matter.ROCK: 0.018, Matter.ROOF: 0.085,
           Matter.ASPHALT: 0.008, Matter.LITTER: 0.012, Matter.LEAVES: 0.040,
           Matter.NEEDLES: 0.036, Matter.CROP: 0.024, Matter.STRAW: 0.012, Matter.FLOWERS: 0.045,
           Matter.WATER: 0.0011, Matter.TURBID: 0.0012, Matter.SNOW: 0.010,
           Matter.CLOUD: 0.0}  # fmt: skip
_FLOOR = 0.0009
_ALIKE_BANDS = ("VV", "HH")
_LOOKS = 5
# The way to the sensor where it flies north: to its left, which is west, and a little to the south.
_WEST, _SOUTH = -0.981, -0.194


@dataclass(frozen=True, slots=True)
class Radar:
    """The instrument."""

    bands: Mapping[str, Band] = field(default_factory=lambda: _BANDS)
    no_data: float = 0.0

    def measure(self, scene: Scene, names: Sequence[str], pixels: Pixels) -> dict[str, Floats]:
        """Power, gamma nought, and what belongs to corrected images."""
        ground = land(pixels)
        covered = cover(ground, scene.at_ms)
        rise = _rise_to_sensor(ground, scene)
        incidence = incidence_deg(scene, pixels.x)
        local = np.minimum(np.maximum(incidence - 57.2958 * rise / (1.0 + rise * rise), 0.0), 89.0)
        corrected = {
            "localIncidenceAngle": np.floor(local * 100.0 + 0.5) / 100.0,
            "scatteringArea": np.floor(10_000.0 * _facing(rise) + 0.5) / 10_000.0,
            "shadowMask": np.where(rise < -1.1, 1.0, 0.0),
        }
        answer = {}
        for number, name in enumerate(_BANDS):
            if name in names and name in corrected:
                answer[name] = corrected[name]
            elif name in names:
                clean = _backscatter(name, ground, covered) * _facing(rise)
                noisy = clean * _speckle(pixels, scene, number)
                floor = 0.0 if name in _ALIKE_BANDS else _FLOOR
                answer[name] = np.floor((noisy + floor) * 1e6 + 0.5) / 1e6
        return answer


def _backscatter(name: str, ground: Land, covered: Cover) -> Floats:
    """What level ground sends back to the sensor."""
    alike = name in _ALIKE_BANDS
    powers = _ALIKE if alike else _TURNED
    of = np.array([powers[matter] for matter in Matter])
    low = of[covered.low]
    mixed_power = low + (of[covered.high] - low) * covered.part
    # Wet snow swallows, cold snow lets through.
    wet_snow = covered.snow * (covered.celsius > -3.0)
    mixed_power = mixed_power * (1.0 - 0.55 * wet_snow)
    # Soils are rough or smooth, as they were worked.
    worked = np.where(covered.field, covered.tone * covered.tone, 1.0)
    waves = 1.0 + 0.5 * ground.grain[0] * covered.water * alike
    return np.asarray(mixed_power * worked * waves * (1.0 + 0.15 * ground.grain[1]))


def _rise_to_sensor(ground: Land, scene: Scene) -> Floats:
    """How much the ground leans towards the sensor: the fall of the slope on its side."""
    west, south = to_sensor(scene)
    return np.asarray(-(ground.east * west + ground.north * south))


def to_sensor(scene: Scene) -> tuple[float, float]:
    """The way to the sensor on the ground, one metre of it, eastwards and northwards."""
    ascending = scene.properties["sat:orbit_state"] == "ascending"
    return (_WEST if ascending else -_WEST), _SOUTH


def _facing(rise: Floats) -> Floats:
    """Factor of power on slopes, 1 on level ground."""
    bounded = np.minimum(np.maximum(rise, -0.9), 0.9)
    return np.asarray(0.06 + 0.94 * (1.0 + bounded) * (1.0 + bounded) / (1.0 - 0.45 * bounded))


def incidence_deg(scene: Scene, x: Floats) -> Floats:
    """Degrees against the vertical, growing across the swath; `x` in the CRS of the scene."""
    return np.asarray(30.0 + 15.5 * _away(scene, x))


def nearer_m(scene: Scene, x: Floats) -> Floats:
    """By how many metres what is one metre higher seems to be nearer to the sensor; `x` as above."""
    away = _away(scene, x)
    # The cotangent of the angle above, to one part in a hundred: the same on every machine.
    return np.asarray(1.732 - 1.012 * away + 0.2627 * away * away)


def _away(scene: Scene, x: Floats) -> Floats:
    west, _, east, _ = scene.box
    away = (x - west) / (east - west)
    if scene.properties["sat:orbit_state"] == "descending":
        away = 1.0 - away
    return np.asarray(np.minimum(np.maximum(away, 0.0), 1.0))


def _speckle(pixels: Pixels, scene: Scene, number: int) -> Floats:
    """About 1, each pixel by itself: the mean of a few looks, each spread as echoes are."""
    seed = (scene.at_ms // 1000 * 31 + number * 104_729) & 0xFFFFFFFF
    word = hashed(pixels.column, pixels.row, seed)
    total: Floats = np.zeros(word.shape)
    for _look in range(_LOOKS):
        word = mixed(word + np.uint32(0x9E3779B9))
        chance = 1.0 - unit(word)
        # A rational likeness of -log(chance), whose mean is 1.0889.
        total = total + (1.0 - chance) / (chance + 0.22)
    return np.asarray(total * (1.0 / (_LOOKS * 1.0889)))
