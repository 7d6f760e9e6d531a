"""
Parcels: fields, blocks of houses and the ways between them, lines that people drew.

The Earth is cut into rows along the latitudes and rows into blocks of country, a whole number of
them around the Earth, as a wall is laid of bricks, with every joint moved and slanted by its own
hash: no seam anywhere. Each block is cut again, in its own direction and sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shplan.sandbox.imagery.lattice import METRES_PER_DEG, Ints, Words, again, hashed, single
from shplan.sandbox.scenes.noise import Floats, sine_of_turns

_ROW_M, _BLOCK_M = 1_900.0, 2_700.0


@dataclass(frozen=True, slots=True)
class Parcels:
    """
    The parcels at places, and what is known of each of them.

    Args:
        label: of places, which parcel they are in, counted from 0
        name: a word for each parcel
        lon, lat: of the middle of each parcel's block, degrees
        border_m: metres from places to the next border of the parcel
        road_m: metres from places to the next border of the block
        across: metres across the rows, for what is ploughed along them
    """

    label: Ints
    name: Words
    lon: Floats
    lat: Floats
    border_m: Floats
    road_m: Floats
    across: Floats


def parcels(
    lon: Floats, lat: Floats, bend: tuple[Floats, Floats], seed: int, size: float
) -> Parcels:
    """
    Parcels on the Earth.

    Args:
        bend: metres by which borders of blocks are led astray, eastwards and northwards
        size: 1 for fields of one to four hectares or some more; towns have smaller ones
    """
    tall, salt = _ROW_M * size, np.array([seed + 7]).astype(np.uint32)
    up = lat * (METRES_PER_DEG / tall)
    nothing = np.zeros(lat.shape, dtype=np.int64)
    row, inner, below, above = _cut(up + bend[1] / tall, None, nothing, nothing, salt)
    rows, (numbers,) = labelled(row)
    count, wide = (one[rows] for one in _of_rows(numbers, size))
    # Begun where there is sea.
    around = lon * (1.0 / 360.0) + 0.5
    along = (around - np.floor(around)) * count
    column, _, left, right = _cut(
        along + bend[0] / wide, inner - 0.5, nothing, row, salt + np.uint32(99)
    )
    road_m = np.minimum(np.minimum(below, above) * tall, np.minimum(left, right) * single(wide))
    block, (lines, columns) = labelled(row, column)
    name = hashed(columns, lines, int(salt[0]) + 5)
    turn = 1.8 * again(name, 1) - 0.9
    whole = 1.0 / (1.0 + turn * turn)
    cos, sin = single((1.0 - turn * turn) * whole), single(2.0 * turn * whole)
    x = single((along - (columns + 0.5)[block]) * wide)
    y = single((up - (lines + 0.5)[block]) * tall)
    p, q = cos[block] * x + sin[block] * y, cos[block] * y - sin[block] * x
    high = single((110.0 + 190.0 * again(name, 2)) * size)
    long = single(1.1 + 1.5 * again(name, 3)) * high
    salts = name + np.uint32(seed)
    label, owner, names, border_m = _bricks(p, q, long[block], high[block], block, salts)
    west = (columns + 0.5) / _of_rows(lines, size)[0] * 360.0 - 180.0
    north: Floats = np.asarray((lines + 0.5) * (tall / METRES_PER_DEG), dtype=np.float64)
    return Parcels(
        label=label,
        name=names,
        lon=west[owner],
        lat=north[owner],
        border_m=np.minimum(border_m, road_m),
        road_m=road_m,
        across=q,
    )


def _of_rows(row: Ints, size: float) -> tuple[Floats, Floats]:
    """How many blocks rows have, which is whole, and the width of one in metres."""
    lat: Floats = np.asarray((row + 0.5) * (_ROW_M * size / METRES_PER_DEG), dtype=np.float64)
    around = 360.0 * METRES_PER_DEG * np.maximum(sine_of_turns(lat / 360.0 + 0.25), 1e-4)
    count = np.maximum(np.floor(around / (_BLOCK_M * size)), 1.0)
    return count, around / count


def _bricks(
    p: Floats, q: Floats, wide: Floats, tall: Floats, group: Ints, salts: Words
) -> tuple[Ints, Ints, Words, Floats]:
    """
    Cut blocks into bricks.

    Returns:
        the brick that each place is in; for each brick its block, and a word; for each place
        metres to its brick's nearest joint
    """
    row, up, below, above = _cut(q / tall, None, group, np.zeros(group.shape, np.int64), salts)
    column, _, left, right = _cut(p / wide, up - 0.5, group, row, salts + np.uint32(99))
    label, (owner, rows, columns) = labelled(group, row, column)
    names = hashed(columns, rows, salts[owner] + np.uint32(5))
    border = np.minimum(np.minimum(below, above) * tall, np.minimum(left, right) * wide)
    return label, owner, names, border


def labelled(*numbers: Ints) -> tuple[Ints, tuple[Ints, ...]]:
    """
    Count the combinations of whole numbers at places.

    Returns:
        the combination at each place, and the numbers of each combination; where places are near
        each other, there are some that no place has
    """
    lows = [int(one.min()) for one in numbers]
    spans = [int(one.max()) - low + 1 for one, low in zip(numbers, lows, strict=True)]
    code = numbers[0] - lows[0]
    for one, low, span in zip(numbers[1:], lows[1:], spans[1:], strict=True):
        code = code * span + (one - low)
    size = 1
    for span in spans:
        size *= span
    if size <= code.size:
        label, codes = code, np.arange(size)
    else:
        codes, label = np.unique(code, return_inverse=True)
    found: list[Ints] = []
    for low, span in zip(reversed(lows), reversed(spans), strict=True):
        found.append(codes % span + low)
        codes = codes // span
    return label, tuple(reversed(found))


def _cut(
    along: Floats, slant: Floats | None, group: Ints, line: Ints, salts: Words
) -> tuple[Ints, Floats, Floats, Floats]:
    """
    Cut lines at joints about one apart.

    Args:
        slant: how far across the line, in -0.5..0.5; none for joints that do not lean
        group: of places; lines of one group share a salt

    Returns:
        the number of the piece, the way through it in 0..1 or so, and how far both its ends are
    """
    first = np.floor(along)
    cell = first.astype(np.int64)
    place, (groups, lines, cells) = labelled(group, line, cell)
    # Of each cell the joint in it, and those of both its neighbours.
    joints = []
    for step in (-1, 0, 1):
        word = hashed(cells + step, lines, salts[groups])
        joint = single(again(word, 11) * 0.55 + (0.1 + step))
        if slant is None:
            joints.append(joint[place])
        else:
            joints.append(joint[place] + slant * single(0.36 * again(word, 12) - 0.18)[place])
    along = single(along - first)
    before = along < joints[1]
    # A joint never moves to where its neighbour is, so one step is enough.
    low, high = np.where(before, joints[0], joints[1]), np.where(before, joints[1], joints[2])
    return cell - before, (along - low) / (high - low), along - low, high - along
