"""
From what a script returned to what is written: sample types, their scaling, rounding and clamping.

Source: Evalscript V3, "sampleType": AUTO is 0..1 on 0..255, integers are rounded to the nearest and clamped
(40.6 -> 41, 310 -> 255). Halves go up, and what is no number becomes 0 in integers: choices of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

AUTO, FLOAT32 = "AUTO", "FLOAT32"
AUTO_SCALE = 255.0
_AT_ONCE = 1 << 16
DTYPES = {
    AUTO: "uint8",
    "UINT8": "uint8",
    "INT8": "int8",
    "UINT16": "uint16",
    "INT16": "int16",
    FLOAT32: "float32",
}


def written(pixels: NDArray[Any], sample_type: str) -> NDArray[Any]:
    """
    The pixels of an output as numbers of its sample type; shape (row, column, band).

    Args:
        pixels: as the script returned them, in doubles; anything else is as it is written already
    """
    if pixels.dtype != np.float64:
        return pixels
    made = np.empty(pixels.shape, DTYPES[sample_type])
    # Some rows at a time: what is made in between stays small, and near.
    step = max(1, _AT_ONCE // max(1, made[:1].size))
    for first in range(0, len(pixels), step):
        rows = slice(first, first + step)
        made[rows] = _converted(pixels[rows], sample_type)
    return made


def _converted(pixels: NDArray[np.float64], sample_type: str) -> NDArray[Any]:
    dtype = np.dtype(DTYPES[sample_type])
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return pixels.astype(dtype)
    limits = np.iinfo(dtype)
    scaled = pixels * AUTO_SCALE if sample_type == AUTO else pixels.copy()
    scaled += 0.5
    np.floor(scaled, out=scaled)
    np.clip(scaled, limits.min, limits.max, out=scaled)
    # Before the cast, which leaves open what becomes of them.
    scaled[np.isnan(scaled)] = 0
    return scaled.astype(dtype)
