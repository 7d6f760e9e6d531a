"""
What grounds look like: reflectances over wavelengths, from which the bands of all sensors come.

Values are round numbers of ours, after the shapes that textbooks and public spectral libraries
show: the green peak and the red edge of leaves, soils that rise, water that swallows the infrared,
snow that is bright until one micrometre and dark beyond.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache

import numpy as np

from shplan.sandbox.scenes.noise import Floats


class Matter(IntEnum):
    """What ground is made of."""

    SOIL = 0
    SAND = 1
    ROCK = 2
    ROOF = 3
    ASPHALT = 4
    LITTER = 5
    LEAVES = 6
    NEEDLES = 7
    CROP = 8
    STRAW = 9
    FLOWERS = 10
    WATER = 11
    TURBID = 12
    SNOW = 13
    CLOUD = 14


# Micrometres.
_NODES = (0.4, 0.443, 0.49, 0.56, 0.62, 0.665, 0.685, 0.705, 0.74, 0.783, 0.842, 0.865, 0.945,
          1.02, 1.375, 1.61, 2.2, 2.4)  # fmt: skip
# Thousandths.
_CURVES = {
    Matter.SOIL: (48, 55, 66, 92, 114, 128, 132, 138, 152, 165, 180, 186, 200, 213, 238, 270, 230, 210),
    Matter.SAND: (130, 152, 190, 276, 338, 368, 376, 384, 398, 410, 424, 430, 442, 452, 478, 520, 492, 470),
    Matter.ROCK: (82, 90, 104, 128, 142, 150, 153, 156, 162, 168, 174, 177, 182, 186, 196, 210, 192, 184),
    Matter.ROOF: (96, 106, 120, 136, 152, 162, 165, 168, 177, 186, 194, 198, 204, 210, 222, 232, 214, 204),
    Matter.ASPHALT: (70, 76, 84, 94, 100, 104, 106, 108, 112, 116, 120, 122, 126, 130, 138, 148, 142, 138),
    Matter.LITTER: (32, 36, 46, 68, 86, 98, 102, 112, 132, 148, 162, 168, 182, 194, 208, 224, 164, 140),
    Matter.LEAVES: (18, 22, 28, 58, 38, 27, 26, 82, 236, 318, 346, 354, 362, 368, 262, 168, 78, 56),
    Matter.NEEDLES: (14, 17, 21, 36, 26, 20, 20, 50, 142, 186, 204, 210, 216, 220, 150, 92, 42, 32),
    Matter.CROP: (22, 26, 34, 76, 48, 32, 30, 104, 312, 420, 452, 460, 468, 474, 340, 206, 98, 72),
    Matter.STRAW: (72, 88, 116, 166, 202, 224, 230, 242, 270, 314, 332, 340, 354, 366, 376, 392, 292, 250),
    Matter.FLOWERS: (30, 36, 48, 168, 176, 158, 152, 198, 330, 410, 440, 448, 456, 462, 330, 210, 110, 82),
    Matter.WATER: (46, 42, 36, 26, 15, 11, 10, 9, 7, 6, 5, 5, 4, 4, 3, 2, 2, 2),
    Matter.TURBID: (52, 58, 68, 98, 88, 70, 66, 58, 34, 30, 24, 22, 15, 12, 5, 4, 3, 3),
    Matter.SNOW: (930, 935, 935, 925, 912, 904, 900, 894, 882, 866, 842, 830, 770, 660, 330, 110, 90, 60),
    Matter.CLOUD: (640, 645, 650, 655, 660, 665, 668, 670, 674, 678, 680, 682, 660, 676, 520, 540, 420, 380),
}  # fmt: skip
# Light that the air itself sends, and how much of the ground's comes through; by wavelength.
_HAZE = (150, 108, 74, 42, 27, 20, 18, 16, 13, 10, 8, 7, 5, 4, 2, 1, 1, 1)
_CLEAR = (760, 815, 860, 900, 920, 938, 942, 944, 950, 958, 962, 964, 560, 972, 0, 974, 950, 900)


@cache
def reflectances(wavelength_um: float) -> Floats:
    """Reflectance of each `Matter` in a band, by its centre; nobody writes to it."""
    return np.array([_at(_CURVES[matter], wavelength_um) for matter in Matter], dtype=np.float32)


@cache
def air(wavelength_um: float) -> tuple[float, float]:
    """What the air adds to reflectances at its top, and the part that it lets through."""
    return _at(_HAZE, wavelength_um), _at(_CLEAR, wavelength_um)


def _at(curve: tuple[int, ...], wavelength_um: float) -> float:
    """By straight lines between the nodes."""
    last = len(_NODES) - 2
    at = max(0, min(last, sum(1 for node in _NODES if node <= wavelength_um) - 1))
    way = (wavelength_um - _NODES[at]) / (_NODES[at + 1] - _NODES[at])
    way = max(0.0, min(1.0, way))
    return (curve[at] + way * (curve[at + 1] - curve[at])) / 1000.0
