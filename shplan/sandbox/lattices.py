"""
Between pixels: values of a lattice at places that are not its points, and speckle smoothed.

Source: GDAL's bilinear and cubic kernels (that of Keys, a = -1/2), as the service names its methods; J.-S. Lee,
"Digital image enhancement and noise filtering by use of local statistics", 1980. Sums are written out, so that
they are the same on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

NEAREST, BILINEAR, BICUBIC = "NEAREST", "BILINEAR", "BICUBIC"
# How far a method looks: points before the place, and behind it.
REACH = {NEAREST: (0, 1), BILINEAR: (0, 1), BICUBIC: (1, 2)}


def interpolated(lattice: Floats, u: Floats, v: Floats, method: str) -> Floats:
    """
    The values of a lattice at places.

    Points without a value do not count; where the nearest one has none, there is none.

    Args:
        lattice: (row, column), NaN where there is no value; all points within reach of the places
        u: columns of the places, 0 at the centre of the first point
        v: their rows
    """
    nearest = lattice[_whole(v + 0.5), _whole(u + 0.5)]
    if method == NEAREST:
        return nearest
    left, top = _whole(u), _whole(v)
    across, down = _weights(u - left, method), _weights(v - top, method)
    first = -REACH[method][0]
    total, weight = np.zeros(u.shape), np.zeros(u.shape)
    for j, row_weight in enumerate(down):
        for i, column_weight in enumerate(across):
            value = lattice[top + first + j, left + first + i]
            here = np.where(np.isnan(value), 0.0, row_weight * column_weight)
            total = total + here * np.where(np.isnan(value), 0.0, value)
            weight = weight + here
    known = ~np.isnan(nearest) & (weight > 0.0)
    return np.where(known, total / np.where(known, weight, 1.0), nearest)


def _whole(value: Floats) -> Ints:
    return np.asarray(np.floor(value).astype(np.int64))


def _weights(part: Floats, method: str) -> Sequence[Floats]:
    """Of the points around a place that lies this part of a step behind one."""
    if method == BILINEAR:
        return (1.0 - part, part)
    before, behind = 1.0 + part, 1.0 - part
    return (_far(before), _near(part), _near(behind), _far(1.0 + behind))


def _near(t: Floats) -> Floats:
    return np.asarray((1.5 * t - 2.5) * t * t + 1.0)


def _far(t: Floats) -> Floats:
    return np.asarray(((-0.5 * t + 2.5) * t - 4.0) * t + 2.0)


def unspeckled(lattice: Floats, *, across: int, down: int, looks: float) -> Floats:
    """
    A lattice after Lee's filter; it loses half a window on each side.

    Args:
        across: columns of the window
        down: rows of the window
        looks: of which each value is the mean: how much of the variance is speckle
    """
    height, width = lattice.shape[0] - down + 1, lattice.shape[1] - across + 1
    parts = [lattice[j : j + height, i : i + width] for j in range(down) for i in range(across)]
    mean = _mean(parts)
    variance = _mean([(one - mean) * (one - mean) for one in parts])
    square = mean * mean
    spread = np.where(variance > 0.0, variance, 1.0)
    signal = np.maximum(variance - square / looks, 0.0) / (1.0 + 1.0 / looks)
    share = np.where(variance > 0.0, np.minimum(signal / spread, 1.0), 0.0)
    centre = parts[(down // 2) * across + across // 2]
    return np.asarray(mean + share * (centre - mean))


def _mean(parts: Sequence[Floats]) -> Floats:
    total = parts[0]
    for one in parts[1:]:
        total = total + one
    return np.asarray(total / len(parts))
