"""
Functions of angles, powers and logarithms that are the same to the last bit on every machine.

Mathematical libraries and the vector units of processors round the last digit of a sine as each
likes. These are made of + - * / and roots of doubles in a fixed order, which IEEE 754 rounds in one
way only; they are off by some units of the last place. Source: IEEE 754-2019, clause 5; the series
of Taylor and Euler; W. J. Cody and W. Waite, reduction of arguments in two steps.
"""

from __future__ import annotations

import numpy as np

from shplan.sandbox.scenes.noise import Floats

PI = 3.141592653589793
_HALF_PI = 1.5707963267948966
# Halves of pi and of the logarithm of 2, whose first part has so few bits that products are exact.
_HALF_PI_HIGH, _HALF_PI_LOW = 1.5707963109016418, 1.5893254712295857e-08
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
_LN2 = 0.6931471805599453
_SQRT_HALF = 0.7071067811865476
# Tangents of an eighth and a sixteenth of half a turn, and the angles.
_STEPS = ((0.41421356237309503, 0.39269908169872414), (0.198912367379658, 0.19634954084936207))


_EXP = [1.0]
for _number in range(1, 20):
    _EXP.append(_EXP[-1] / _number)
# Of a sine and a cosine by each other, the highest power first.
_BOTH = [
    np.array([[sign * _EXP[power + 1]], [sign * _EXP[power]]])
    for power, sign in zip(range(18, 0, -2), (-1.0, 1.0) * 4 + (-1.0,), strict=True)
]
_ARCTAN = [(-1.0) ** number / (2 * number + 1) for number in range(1, 13)][::-1]
_ARTANH = [1.0 / (2 * number + 1) for number in range(1, 12)][::-1]


def _horner(coefficients: list[float], x: Floats) -> Floats:
    """A polynomial, the highest power first."""
    total: Floats = np.full(x.shape, coefficients[0])
    for one in coefficients[1:]:
        total = total * x + one
    return total


def sine_cosine(angle: Floats) -> tuple[Floats, Floats]:
    """Both of angles in radians, below some ten thousand turns."""
    quarter = np.floor(angle * (1.0 / _HALF_PI) + 0.5)
    rest = (angle - quarter * _HALF_PI_HIGH) - quarter * _HALF_PI_LOW
    square = rest * rest
    # Both series at once: short arrays cost by the call.
    flat = square.ravel()
    series = np.multiply(_BOTH[0], flat)
    for coefficients in _BOTH[1:-1]:
        series += coefficients
        series *= flat
    series += _BOTH[-1]
    series *= flat
    sine, cosine = (one.reshape(square.shape) for one in series)
    sine = rest + rest * sine
    cosine = 1.0 + cosine
    turn = quarter.astype(np.int64)
    odd = turn & 1 == 1
    return (
        np.where(odd, cosine, sine) * (1.0 - (turn & 2)),
        np.where(odd, sine, cosine) * (1.0 - (turn + 1 & 2)),
    )


def sine(angle: Floats) -> Floats:
    """Of angles in radians."""
    return sine_cosine(angle)[0]


def cosine(angle: Floats) -> Floats:
    """Of angles in radians."""
    return sine_cosine(angle)[1]


def arctan(x: Floats) -> Floats:
    """Radians in [-pi/2, pi/2]."""
    size = np.abs(x)
    large = size > 1.0
    # The greater one's reciprocal, then down by known angles to where the series is short.
    rest = np.where(large, 1.0 / np.maximum(size, 1.0), size)
    angle: Floats = np.zeros(np.shape(x))
    for tangent, known in _STEPS:
        above = rest > 0.6 * tangent
        rest = np.where(above, (rest - tangent) / (1.0 + rest * tangent), rest)
        angle = angle + np.where(above, known, 0.0)
    square = rest * rest
    angle = angle + (rest + rest * square * _horner(_ARCTAN, square))
    angle = np.where(large, _HALF_PI - angle, angle)
    return np.where(x < 0.0, -angle, angle)


def arctan2(y: Floats, x: Floats) -> Floats:
    """Radians in [-pi, pi] of the direction with these parts; nothing for no direction."""
    steep = np.abs(y) > np.abs(x)
    long, short = np.where(steep, y, x), np.where(steep, x, y)
    angle = arctan(short / np.where(long == 0.0, 1.0, long))
    upright = np.where(y < 0.0, -_HALF_PI, _HALF_PI) - angle
    flat = np.where(x < 0.0, angle + np.where(y < 0.0, -PI, PI), angle)
    return np.where(steep, upright, flat)


def arcsin(x: Floats) -> Floats:
    """Radians; beyond -1 and 1 those of the ends."""
    inside = np.minimum(np.maximum(x, -1.0), 1.0)
    return arctan2(inside, np.sqrt((1.0 - inside) * (1.0 + inside)))


def arccos(x: Floats) -> Floats:
    """Radians; beyond -1 and 1 those of the ends."""
    inside = np.minimum(np.maximum(x, -1.0), 1.0)
    return arctan2(np.sqrt((1.0 - inside) * (1.0 + inside)), inside)


def exp(x: Floats) -> Floats:
    """Powers of e, of numbers below some hundreds."""
    twos = np.floor(x * (1.0 / _LN2) + 0.5)
    rest = (x - twos * _LN2_HIGH) - twos * _LN2_LOW
    return np.ldexp(_horner(_EXP[14::-1], rest), twos.astype(np.int64))


def log(x: Floats) -> Floats:
    """Natural logarithms of numbers above nothing."""
    part, twos = np.frexp(x)
    small = part < _SQRT_HALF
    part, twos = np.where(small, part * 2.0, part), twos - small
    way = (part - 1.0) / (part + 1.0)
    square = way * way
    return np.asarray(
        twos * _LN2_HIGH + (2.0 * (way + way * square * _horner(_ARTANH, square)) + twos * _LN2_LOW)
    )


def sinh_cosh(x: Floats) -> tuple[Floats, Floats]:
    """Both hyperbolic functions; the sine by its series where the powers would cancel."""
    power = exp(x)
    inverse = 1.0 / power
    square = x * x
    near = x * (
        1.0
        + square
        * (1.0 / 6.0 + square * (1.0 / 120.0 + square * (1.0 / 5040.0 + square / 362880.0)))
    )
    return np.where(np.abs(x) < 0.2, near, 0.5 * (power - inverse)), 0.5 * (power + inverse)


def arsinh(x: Floats) -> Floats:
    """The inverse of the hyperbolic sine."""
    size = np.abs(x)
    square = size * size
    rest = size + square / (1.0 + np.sqrt(1.0 + square))
    # The logarithm of 1 + rest, without the digits that adding one would lose.
    way = rest / (2.0 + rest)
    near = 2.0 * (way + way * way * way * _horner(_ARTANH, way * way))
    value = np.where(rest < 0.4, near, log(1.0 + rest))
    return np.where(x < 0.0, -value, value)
