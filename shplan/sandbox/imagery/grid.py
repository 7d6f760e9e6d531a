"""
Native pixels: where a scene's pixels lie, and which of them a place belongs to.

A place is first moved to the centre of the native pixel that it is in, so that it has one value
whatever grid asks for it. Maps between degrees and UTM are polynomials, one for each of fixed small
cells, fitted to the exact ones and nearer than a centimetre: exact ones would cost
more than the picture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import EllipsisType

import numpy as np
import numpy.typing as npt
import shapely

from shplan.sandbox.geometry import WGS84
from shplan.sandbox.imagery.lattice import Ints
from shplan.sandbox.scenes.noise import Floats
from shplan.sandbox.scenes.scene import Scene
from shplan.sandbox.scenes.utm import from_utm, to_utm

_CELL_DEG = 0.125
_CELL_M = 12_800.0
_DEGREE = 3
_TERMS = [(i, total - i) for total in range(_DEGREE + 1) for i in range(total + 1)]
# A place on the edge of two pixels belongs to the same one whatever its last digits are.
_EDGE = 1e-4
_LAST_DIGIT = 1e9
# Straight edges in the plane are bent in degrees, by a kilometre at most between known points.
_MARGIN_DEG = 0.1


@dataclass(frozen=True, slots=True)
class Pixels:
    """
    Native pixels of a scene.

    Args:
        column, row: their numbers, counted from the origin of the scene's CRS
        x, y: their centres in that CRS
        lon, lat: their centres in degrees
        key: what they are all known by; those of one key are the same
    """

    column: Ints
    row: Ints
    x: Floats
    y: Floats
    lon: Floats
    lat: Floats
    key: tuple[object, ...]

    def some(self, here: Ints, name: object) -> Pixels:
        """Those of places in the row, by a name that tells them from others of these pixels."""
        return Pixels(
            self.column[here],
            self.row[here],
            self.x[here],
            self.y[here],
            self.lon[here],
            self.lat[here],
            (*self.key, name),
        )


def to_plane(epsg: int, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Places in degrees in the scene's CRS."""
    return (lon, lat) if epsg == WGS84 else project(epsg, lon, lat)


def cells(epsg: int, lon: Floats, lat: Floats, resolution_m: float) -> tuple[Ints, Ints]:
    """Columns and rows of the native pixels that places are in, counted from the CRS's origin."""
    return cells_at(epsg, *to_plane(epsg, lon, lat), resolution_m)


def cells_at(epsg: int, x: Floats, y: Floats, resolution_m: float) -> tuple[Ints, Ints]:
    """The same of places in that CRS."""
    per = 1.0 / step_of(epsg, resolution_m)
    return _whole(x * per + _EDGE), _whole(y * per + _EDGE)


def centres(epsg: int, column: Ints, row: Ints, resolution_m: float) -> tuple[Floats, Floats]:
    """The middles of native pixels in the CRS."""
    step = step_of(epsg, resolution_m)
    return np.asarray((column + 0.5) * step), np.asarray((row + 0.5) * step)


def pixels(epsg: int, column: Ints, row: Ints, resolution_m: float) -> Pixels:
    """Native pixels of columns and rows."""
    digest = hashlib.blake2b(column.tobytes(), digest_size=16)
    digest.update(row.tobytes())
    return _pixels(epsg, column, row, resolution_m, digest.digest())


def window(
    epsg: int, west: int, south: int, width: int, height: int, resolution_m: float
) -> Pixels:
    """The native pixels of a rectangle, row by row from its first column and row on."""
    column = np.tile(np.arange(west, west + width), height)
    row = np.repeat(np.arange(south, south + height), width)
    return _pixels(epsg, column, row, resolution_m, (west, south, width, height))


def _pixels(epsg: int, column: Ints, row: Ints, resolution_m: float, name: object) -> Pixels:
    x, y = centres(epsg, column, row, resolution_m)
    lon, lat = (_rounded(x), _rounded(y)) if epsg == WGS84 else unproject(epsg, x, y)
    return Pixels(column, row, x, y, lon, lat, (epsg, resolution_m, name))


def snap(scene: Scene, lon: Floats, lat: Floats, resolution_m: float) -> tuple[Floats, Floats]:
    """Move places to the centres of the native pixels that they are in; degrees, any shape."""
    found = pixels(
        scene.epsg, *cells(scene.epsg, lon.ravel(), lat.ravel(), resolution_m), resolution_m
    )
    return found.lon.reshape(lon.shape), found.lat.reshape(lat.shape)


def step_of(epsg: int, resolution_m: float) -> float:
    """The side of a pixel in the CRS; thirty metres are a second of arc."""
    return resolution_m / 108_000.0 if epsg == WGS84 else resolution_m


def _whole(value: Floats) -> Ints:
    return np.asarray(np.floor(value).astype(np.int64))


def project(epsg: int, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Eastings and northings of places in degrees, in a zone of UTM."""
    return _by_cells(epsg, lon, lat, _CELL_DEG, _forward)


def unproject(epsg: int, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Degrees of eastings and northings, to a tenth of a millimetre."""
    lon, lat = _by_cells(epsg, x, y, _CELL_M, _backward)
    return _rounded(lon), _rounded(lat)


def near(scene: Scene, lon: Floats, lat: Floats) -> npt.NDArray[np.bool_]:
    """Which places in degrees may lie in a scene's outline; projecting the others would be dear."""
    west, south, east, north = scene.footprint.bounds
    turns = (lon - (west - _MARGIN_DEG)) / 360.0
    away = (turns - np.floor(turns)) * 360.0
    aside = away <= east - west + 2.0 * _MARGIN_DEG
    return np.asarray(aside & (lat >= south - _MARGIN_DEG) & (lat <= north + _MARGIN_DEG))


def inside(scene: Scene, x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
    """Which places, in the scene's CRS, lie in its outline."""
    shapely.prepare(scene.outline)
    if scene.outline.covers(shapely.box(x.min(), y.min(), x.max(), y.max())):
        return np.ones(x.shape, dtype=np.bool_)
    if scene.epsg != WGS84:
        return np.asarray(shapely.contains_xy(scene.outline, x, y))
    # A footprint that crosses longitude 180 goes on beyond it.
    west = scene.box[0]
    turned = west + (x - west) % 360.0
    return np.asarray(shapely.contains_xy(scene.outline, turned, y))


def _rounded(value: Floats) -> Floats:
    return np.asarray(np.floor(value * _LAST_DIGIT + 0.5) / _LAST_DIGIT)


_Fit = Callable[[int, int, int], tuple[Floats, Floats]]


def _by_cells(epsg: int, a: Floats, b: Floats, cell: float, fit: _Fit) -> tuple[Floats, Floats]:
    """Apply to each place the polynomials of the cell that it is in."""
    p, q = a * (1.0 / cell), b * (1.0 / cell)
    column, row = np.floor(p), np.floor(q)
    i0, i1 = int(column.min()), int(column.max())
    j0, j1 = int(row.min()), int(row.max())
    first, second = np.empty(a.shape), np.empty(a.shape)
    for j in range(j0, j1 + 1):
        line = None if j0 == j1 else np.flatnonzero(row == j)
        for i in range(i0, i1 + 1):
            here = _of_cell(column, line, i, alone=i0 == i1)
            u, v = (p[here] - i) * 2.0 - 1.0, (q[here] - j) * 2.0 - 1.0
            if u.size:
                first[here], second[here] = (_polynomial(one, u, v) for one in fit(epsg, i, j))
    return first, second


def _of_cell(column: Floats, line: Ints | None, wanted: int, *, alone: bool) -> Ints | EllipsisType:
    """The places of a column, of those of a row; no choice where there is no other."""
    if line is None:
        return ... if alone else np.flatnonzero(column == wanted)
    return line if alone else line[column[line] == wanted]


def _polynomial(coefficients: Floats, u: Floats, v: Floats) -> Floats:
    """By Horner's rule in both directions."""
    table = dict(zip(_TERMS, coefficients.tolist(), strict=True))
    total: Floats = np.full(u.shape, table[_DEGREE, 0])
    for i in range(_DEGREE - 1, -1, -1):
        line = v * table[i, _DEGREE - i]
        for j in range(_DEGREE - i - 1, 0, -1):
            line += table[i, j]
            line *= v
        line += table[i, 0]
        total *= u
        total += line
    return total


def _chebyshev(degree: int, x: Floats) -> Floats:
    """The polynomials up to a degree at places, shape (degree + 1, place)."""
    found = [np.ones(x.shape), x]
    while len(found) <= degree:
        found.append(2.0 * x * found[-1] - found[-2])
    return np.stack(found[: degree + 1])


# Zeros of the sixth of the polynomials: asked for there, the fitted map is nearly the best one.
_ZEROS = np.array([-0.9659258262890683, -0.7071067811865476, -0.25881904510252074,
                   0.25881904510252074, 0.7071067811865476, 0.9659258262890683])  # fmt: skip
_AT_ZEROS = _chebyshev(_DEGREE, _ZEROS)
# What a sum at the knots counts for, by the degrees of both polynomials.
_SHARES = np.array([[1.0, 2.0, 2.0, 2.0], *[[2.0, 4.0, 4.0, 4.0]] * 3]) / len(_ZEROS) ** 2
# What the powers of each polynomial are, the lowest first.
_POWERS = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (-1.0, 0.0, 2.0, 0.0), (0.0, -3.0, 0.0, 4.0))


def _knots() -> tuple[Floats, Floats]:
    """Points of a cell in [-1, 1] at which the exact maps are asked."""
    return np.tile(_ZEROS, len(_ZEROS)), np.repeat(_ZEROS, len(_ZEROS))


def _fitted(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """
    Coefficients of `_TERMS` that fit values at the knots.

    Weighted sums, added up in one order: solvers differ from machine to machine.
    """
    count = len(_ZEROS)
    values = np.stack([first, second]).reshape(2, count, 1, count)
    middles = values[:, :1, :, :1]
    values = values - middles
    lines = np.zeros((2, _DEGREE + 1, count))
    for knot in range(count):
        lines = lines + values[:, knot] * _AT_ZEROS[:, knot, None]
    sums = np.zeros((2, _DEGREE + 1, _DEGREE + 1))
    for knot in range(count):
        sums = sums + lines[:, :, knot, None] * _AT_ZEROS[:, knot]
    # By degree along, then across.
    tables = (sums * _SHARES).tolist()
    return (
        _by_powers(tables[0], float(middles[0, 0, 0, 0])),
        _by_powers(tables[1], float(middles[1, 0, 0, 0])),
    )


def _by_powers(table: list[list[float]], middle: float) -> Floats:
    """Coefficients of powers, of those of Chebyshev's polynomials."""
    found = dict.fromkeys(_TERMS, 0.0)
    for i, j in _TERMS:
        for p, across in enumerate(_POWERS[i]):
            for q, along in enumerate(_POWERS[j]):
                if across and along:
                    found[p, q] += table[j][i] * across * along
    found[0, 0] += middle
    return np.array([found[term] for term in _TERMS])


@lru_cache(maxsize=8_192)
def _forward(epsg: int, column: int, row: int) -> tuple[Floats, Floats]:
    u, v = _knots()
    x, y = to_utm(epsg, (column + 0.5 + u / 2) * _CELL_DEG, (row + 0.5 + v / 2) * _CELL_DEG)
    return _fitted(x, y)


@lru_cache(maxsize=8_192)
def _backward(epsg: int, column: int, row: int) -> tuple[Floats, Floats]:
    u, v = _knots()
    lon, lat = from_utm(epsg, (column + 0.5 + u / 2) * _CELL_M, (row + 0.5 + v / 2) * _CELL_M)
    return _fitted(lon, lat)
