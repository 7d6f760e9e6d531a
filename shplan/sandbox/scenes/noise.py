"""
Noise of three dimensions: the same number at the same place, on every machine.

Numbers hang on the corners of a lattice of cubes and are blended in between. Only integer
arithmetic and + - * of doubles are used, in a fixed order: results are equal to the last bit
everywhere, which functions of mathematical libraries do not promise. Source: K. Perlin, value
noise and its fade polynomial; the integer mixing is murmur3's finaliser.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
_Words: TypeAlias = npt.NDArray[np.uint32]

_STEPS = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D))
_UNIT = 2.0**-31


def value_noise(x: Floats, y: Floats, z: Floats, seed: npt.NDArray[np.uint32]) -> Floats:
    """
    Smooth noise in [-1, 1] with cells of length 1; arrays are broadcast, seeds too.

    Coordinates stay below 2**31.
    """
    (x0, x1, u), (y0, y1, v), (z0, z1, w) = (
        _cell(axis, step) for axis, step in zip((x, y, z), _STEPS, strict=True)
    )
    z0, z1 = z0 ^ seed, z1 ^ seed
    sheets = []
    for far in (z0, z1):
        rows = []
        for side in (y0, y1):
            edge = side ^ far
            rows.append(_blend(_number(x0 ^ edge), _number(x1 ^ edge), u))
        sheets.append(_blend(rows[0], rows[1], v))
    return _blend(sheets[0], sheets[1], w)


def _blend(near: Floats, far: Floats, way: Floats) -> Floats:
    """`near + way * (far - near)`, written over both: new arrays cost more than the arithmetic."""
    far -= near
    far *= way
    near += far
    return near


def _cell(axis: Floats, step: np.uint32) -> tuple[_Words, _Words, Floats]:
    """Words for both ends of the cell along one axis, and the faded way between them."""
    low = np.floor(axis)
    way = axis - low
    # Whole numbers of 32 bits are made several at a time by the processor, longer ones one by one.
    word = low.astype(np.int32).view(np.uint32) * step
    # `way**3 * (way * (way * 6 - 15) + 10)`, in this order, written over itself.
    inner = way * 6.0
    inner -= 15.0
    inner *= way
    inner += 10.0
    faded = way * way
    faded *= way
    faded *= inner
    return word, word + step, faded


def _number(word: _Words) -> Floats:
    """A number in [-1, 1) for each word, without likeness between neighbours; the words are lost."""
    shifted = word >> np.uint32(16)
    word ^= shifted
    word *= np.uint32(0x85EBCA6B)
    np.right_shift(word, np.uint32(13), out=shifted)
    word ^= shifted
    word *= np.uint32(0xC2B2AE35)
    np.right_shift(word, np.uint32(16), out=shifted)
    word ^= shifted
    number: Floats = np.asarray(word * _UNIT)
    number -= 1.0
    return number


def smoothstep(x: Floats) -> Floats:
    """From 0 to 1 over the unit interval, level at both ends."""
    inside = np.asarray(np.maximum(x, 0.0))
    np.minimum(inside, 1.0, out=inside)
    square = np.asarray(inside * inside)
    inside *= -2.0
    inside += 3.0
    square *= inside
    return square


def sine_of_turns(turns: Floats) -> Floats:
    """
    Sine of an angle that is given in whole turns, by a polynomial; off by less than 1e-6.

    Args:
        turns: any number; a quarter is the top
    """
    # Into [-1/2, 1/2], then folded into [-1/4, 1/4], where the polynomial holds.
    phase = turns - np.floor(turns + 0.5)
    phase = np.where(phase > 0.25, 0.5 - phase, np.where(phase < -0.25, -0.5 - phase, phase))
    a = phase * 6.283185307179586
    b = a * a
    series = b * (b * (b * (b / 362880.0 - 1.0 / 5040.0) + 1.0 / 120.0) - 1.0 / 6.0)
    return a + a * series
