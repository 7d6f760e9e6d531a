"""
Noise on the plane and on the ball, and what is drawn from lattices of it.

Only integer arithmetic and + - * / of doubles in a fixed order, so that a pixel has the same value
on every machine. Sizes larger than some pixels are reckoned at the nodes of a fixed lattice and
spread by splines, which no window shifts: what a pixel is depends on nothing but its place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from shplan.sandbox.scenes.noise import Floats, sine_of_turns, value_noise

Ints: TypeAlias = npt.NDArray[np.int64]
Words: TypeAlias = npt.NDArray[np.uint32]
# What the nodes of a lattice depend on beside their place: a strip, a zone, an instant.
Key: TypeAlias = tuple[int, ...]
# Of metres on the plane: layers of shape (layer, node).
Layers: TypeAlias = Callable[[Key, Floats, Floats], Floats]

METRES_PER_DEG = 111_320.0
STRIP_DEG = 6.0
_EARTH_KM = 6371.0
_A, _B, _C = np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
_UNIT = 2.0**-32
# So many nodes are reckoned at once, and so many beside those that are asked for.
_AT_ONCE, _DENSE = 4_096, 8_192
# Numbers of noise that are made together: so many that they stay near the processor.
_NEAR = 4_608
# Nodes lie nearer to the middle of a strip than this many steps.
_FAR = 1 << 20
_TURN = ((0.0, 0.8, 0.6), (-0.8, 0.36, -0.48), (-0.6, -0.48, 0.64))


def hashed(x: Ints, y: Ints, seed: int | Words) -> Words:
    """A word for each pair of whole numbers."""
    word = x.astype(np.uint32) * _A ^ y.astype(np.uint32) * _B
    return mixed(word + seed if isinstance(seed, np.ndarray) else word + np.uint32(seed))


def mixed(word: Words) -> Words:
    """Words without likeness between neighbours; the finaliser of murmur3."""
    word = word ^ (word >> np.uint32(16))
    word = word * _B
    word = word ^ (word >> np.uint32(13))
    word = word * _C
    return np.asarray(word ^ (word >> np.uint32(16)))


def unit(word: Words) -> Floats:
    """Numbers in [0, 1) of words."""
    return np.asarray(word * _UNIT)


def single(value: npt.NDArray[Any]) -> Floats:
    """In single precision: twice as quick, and far finer than what sensors measure."""
    return np.asarray(value, dtype=np.float32)


def again(word: Words, salt: int) -> Floats:
    """Another number in [0, 1) of the same words."""
    return unit(mixed(word + np.uint32(salt * 0x632BE5AB & 0xFFFFFFFF)))


def plane_noise(x: Floats, y: Floats, size_m: float, seed: int) -> Floats:
    """Smooth noise in [-1, 1] with cells of a size, on the plane."""
    # Lattices of one direction would show as a weave.
    turn = _TURN[1 + seed % 2]
    p = (x * 0.8 + y * turn[1] * 1.6667) * (1.0 / size_m)
    q = (y * 0.8 - x * turn[1] * 1.6667) * (1.0 / size_m)
    low_p, low_q = np.floor(p), np.floor(q)
    p -= low_p
    q -= low_q
    u, v = _faded(single(p)), _faded(single(q))
    corners = _corners(low_p.astype(np.int64), low_q.astype(np.int64), seed)
    low, high = (near + u * (far - near) for near, far in corners)
    return np.asarray(low + v * (high - low))


def _faded(way: Floats) -> Floats:
    square = way * way
    way *= -2.0
    way += 3.0
    square *= way
    return square


def _corners(column: Ints, row: Ints, seed: int) -> list[tuple[Floats, Floats]]:
    """Numbers at the corners of cells: the left and the right one, below and above."""
    salt = np.uint32(seed * 0x632BE5AB & 0xFFFFFFFF)
    west, south = int(column.min()), int(row.min())
    width, height = int(column.max()) - west + 2, int(row.max()) - south + 2
    if width * height <= column.size:
        # Places that are closer than cells share corners.
        a = np.arange(west, west + width).astype(np.uint32) * _A
        b = np.arange(south, south + height).astype(np.uint32) * _B + salt
        table = _number(a ^ b[:, None]).ravel()
        first = (row - south) * width + (column - west)
        return [(np.take(table, first + up), np.take(table, first + (up + 1))) for up in (0, width)]
    a = column.astype(np.uint32) * _A
    b = row.astype(np.uint32) * _B + salt
    return [(_number(a ^ one), _number((a + _A) ^ one)) for one in (b, b + _B)]


def _number(word: Words) -> Floats:
    return single(mixed(word) * 2.0**-31 - 1.0)


def _matrices(count: int) -> list[tuple[tuple[float, ...], ...]]:
    """Turns by which the lattice of each size differs from the one before."""
    found: list[tuple[tuple[float, ...], ...]] = []
    rows: tuple[tuple[float, ...], ...] = _TURN
    for _ in range(count):
        found.append(rows)
        rows = tuple(
            tuple(
                row[0] * _TURN[0][k] + row[1] * _TURN[1][k] + row[2] * _TURN[2][k] for k in range(3)
            )
            for row in rows
        )
    return found


_MATRICES = _matrices(16)


def ball(lon: Floats, lat: Floats) -> Floats:
    """Vectors of length one of places in degrees, shape (3, place)."""
    flat = sine_of_turns(lat / 360.0 + 0.25)
    turns = lon / 360.0
    return np.stack(
        [flat * sine_of_turns(turns + 0.25), flat * sine_of_turns(turns), sine_of_turns(lat / 360)]
    )


def ball_noises(vector: Floats, *kinds: tuple[float, int]) -> Floats:
    """
    Smooth noises in [-1, 1] on the ball: no seam, no pinch; shape (kind, place).

    Args:
        kinds: size of cells in kilometres, and a seed; all at once, for calls on few places are dear
    """
    rows = np.array(
        [
            [[_EARTH_KM / size_km * one for one in row] for row in _MATRICES[seed % 16]]
            for size_km, seed in kinds
        ]
    )[..., None]
    words = [seed * 0x632BE5AB & 0xFFFFFFFF for _, seed in kinds]
    seeds = np.array(words, dtype=np.uint32)[:, None]
    count = vector.shape[1]
    noises = np.empty((len(kinds), count))
    few = max(1, _NEAR // len(kinds))
    for at in range(0, count, few):
        part = vector[:, at : at + few]
        x, y, z = (
            rows[:, axis, 0] * part[0] + rows[:, axis, 1] * part[1] + rows[:, axis, 2] * part[2]
            for axis in range(3)
        )
        noises[:, at : at + few] = value_noise(x, y, z, seeds)
    return noises


def ball_noise(vector: Floats, size_km: float, seed: int) -> Floats:
    """One such noise."""
    return np.asarray(ball_noises(vector, (size_km, seed))[0])


def octaves(vector: Floats, size_km: float, count: int, seed: int, gain: float = 0.5) -> Floats:
    """Noise of several sizes, each a little less than half of the one before; about in [-1, 1]."""
    kinds, weights = [], [1.0]
    for number in range(count):
        kinds.append((size_km, seed + number))
        size_km /= 2.07
    total: Floats = np.zeros(vector.shape[1])
    whole = 0.0
    for noise in ball_noises(vector, *kinds):
        total += weights[-1] * noise
        whole += weights[-1]
        weights.append(weights[-1] * gain)
    return np.asarray(total * (1.45 / whole))


def strips_of(lon: Floats) -> Floats:
    """The numbers of the strips of six degrees that places are on, on any turn of the circle."""
    return np.floor(lon / STRIP_DEG)


def chart(lon: Floats, lat: Floats) -> tuple[int, Floats, Floats]:
    """
    Metres on the flat strip that places are on: its number, eastwards and northwards.

    Strips are narrow enough to shear nothing; what is drawn on the plane breaks off at their edges.

    Args:
        lon: degrees, all of one strip
    """
    strip = float(strips_of(lon[:1])[0])
    east = lon - (strip + 0.5) * STRIP_DEG
    x = east * METRES_PER_DEG * sine_of_turns(lat / 360.0 + 0.25)
    return int(strip) % 60, x, lat * METRES_PER_DEG


def degrees(strip: int, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Places in degrees of metres on a strip."""
    lat = np.minimum(np.maximum(y / METRES_PER_DEG, -89.9), 89.9)
    lon = x / (METRES_PER_DEG * sine_of_turns(lat / 360.0 + 0.25)) + (strip + 0.5) * STRIP_DEG
    return lon, lat


class Lattice:
    """
    Layers that are known at the nodes of a lattice, reckoned in square pieces and kept.

    Args:
        step_m: from node to node
        side: nodes of a piece, along each side
        pieces: how many are kept
        layers: of a key and metres on the plane; shape (layer, node)
    """

    __slots__ = ("_layers", "_piece", "side", "step_m")

    def __init__(self, step_m: float, side: int, pieces: int, layers: Layers) -> None:
        self.step_m, self.side, self._layers = step_m, side, layers

        @lru_cache(maxsize=pieces)
        def piece(key: Key, column: int, row: int) -> Floats:
            steps = np.arange(side, dtype=np.float64)
            x = np.tile((steps + column * side) * step_m, side)
            y = np.repeat((steps + row * side) * step_m, side)
            values = single(layers(key, x, y))
            return values.reshape(len(values), side, side)

        self._piece = piece

    def nodes(
        self, key: Key, column: Floats, row: Floats, reach: int
    ) -> tuple[Floats, list[list[Ints]]]:
        """Layers at the nodes around cells: values, and which of them each cell has, row by row."""
        i, j = column.astype(np.int64), row.astype(np.int64)
        west, south = int(i.min()), int(j.min())
        east, north = int(i.max()) + reach, int(j.max()) + reach
        width, height = east - west, north - south
        if width * height > _DENSE + reach * reach * i.size:
            return self._apart(key, i, j, reach)
        box = self._box(key, west, south, east, north)
        first = (j - south) * width + (i - west)
        return box.reshape(len(box), -1), [
            [first + (up * width + right) for right in range(reach)] for up in range(reach)
        ]

    def _apart(self, key: Key, i: Ints, j: Ints, reach: int) -> tuple[Floats, list[list[Ints]]]:
        """Only the nodes that are needed, for places far from each other."""
        steps = np.arange(reach)
        wanted = ((j + _FAR)[:, None, None] + steps[:, None]) * (2 * _FAR) + (
            (i + _FAR)[:, None, None] + steps
        )
        codes, place = np.unique(wanted.ravel(), return_inverse=True)
        x = (codes % (2 * _FAR) - _FAR) * self.step_m
        y = (codes // (2 * _FAR) - _FAR) * self.step_m
        values = np.concatenate(
            [
                single(self._layers(key, x[at : at + _AT_ONCE], y[at : at + _AT_ONCE]))
                for at in range(0, len(codes), _AT_ONCE)
            ],
            axis=1,
        )
        around = place.reshape(-1, reach, reach)
        return values, [
            [np.ascontiguousarray(around[:, up, right]) for right in range(reach)]
            for up in range(reach)
        ]

    def _box(self, key: Key, west: int, south: int, east: int, north: int) -> Floats:
        """Nodes of a box, put together of pieces."""
        side = self.side
        rows = []
        for row in range(south // side, (north - 1) // side + 1):
            low, high = max(south - row * side, 0), min(north - row * side, side)
            line = []
            for column in range(west // side, (east - 1) // side + 1):
                left, right = max(west - column * side, 0), min(east - column * side, side)
                line.append(self._piece(key, column, row)[:, low:high, left:right])
            rows.append(np.concatenate(line, axis=2))
        return np.concatenate(rows, axis=1)


def spline(
    lattice: Lattice, key: Key, x: Floats, y: Floats, slopes: tuple[int, ...] = ()
) -> tuple[list[Floats], list[tuple[Floats, Floats]]]:
    """
    Layers of a lattice, spread by quadratic B-splines.

    Args:
        slopes: the layers whose slopes eastwards and northwards are asked for, per metre
    """
    per_m = 1.0 / lattice.step_m
    p, q = x * per_m, y * per_m
    near_p, near_q = np.floor(p + 0.5), np.floor(q + 0.5)
    u, v = single(p - near_p), single(q - near_q)
    values, around = lattice.nodes(key, near_p - 1.0, near_q - 1.0, 3)
    weights_u, weights_v = _weights(u), _weights(v)
    drift_u, drift_v = (u - 0.5, -2.0 * u, u + 0.5), (v - 0.5, -2.0 * v, v + 0.5)
    spread, sloping = [], []
    for number, layer in enumerate(values):
        total, east, north = (single(np.zeros(x.shape)) for _ in range(3))
        for row in range(3):
            nodes = [np.take(layer, one) for one in around[row]]
            line = nodes[0] * weights_u[0] + nodes[1] * weights_u[1] + nodes[2] * weights_u[2]
            total = total + line * weights_v[row]
            if number in slopes:
                tilt = nodes[0] * drift_u[0] + nodes[1] * drift_u[1] + nodes[2] * drift_u[2]
                east = east + tilt * weights_v[row]
                north = north + line * drift_v[row]
        spread.append(total)
        if number in slopes:
            sloping.append((east * per_m, north * per_m))
    return spread, sloping


def _weights(u: Floats) -> tuple[Floats, Floats, Floats]:
    return 0.5 * (0.5 - u) * (0.5 - u), 0.75 - u * u, 0.5 * (0.5 + u) * (0.5 + u)


def linear(lattice: Lattice, key: Key, x: Floats, y: Floats) -> list[Floats]:
    """Layers of a lattice, straight between its nodes."""
    p, q = x * (1.0 / lattice.step_m), y * (1.0 / lattice.step_m)
    low_p, low_q = np.floor(p), np.floor(q)
    u, v = single(p - low_p), single(q - low_q)
    values, around = lattice.nodes(key, low_p, low_q, 2)
    spread = []
    for layer in values:
        rows = []
        for row in range(2):
            left = np.take(layer, around[row][0])
            rows.append(left + u * (np.take(layer, around[row][1]) - left))
        spread.append(np.asarray(rows[0] + v * (rows[1] - rows[0])))
    return spread
