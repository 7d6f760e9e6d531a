"""
Parcels: fields, blocks of houses and the ways between them, straight lines that people drew.

The plane is cut into rows and rows into cells, as a wall is laid of bricks, with every joint moved
and slanted by its own hash. Blocks of country are bricks too; each has its own direction and sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shplan.sandbox.imagery.lattice import Ints, Words, again, hashed
from shplan.sandbox.scenes.noise import Floats


@dataclass(frozen=True, slots=True)
class Parcels:
    """
    The parcels at places.

    Args:
        name: a word for each parcel
        block: a word for each block of them
        border_m: metres to the next border of the parcel
        road_m: metres to the next border of the block
        across: metres across the rows, for what is ploughed along them
    """

    name: Words
    block: Words
    border_m: Floats
    road_m: Floats
    across: Floats


def parcels(x: Floats, y: Floats, seed: int, size: float) -> Parcels:
    """
    Parcels on the plane.

    Args:
        size: 1 for fields of one to four hectares or some more; towns have smaller ones
    """
    block, road_m = _bricks(
        0.9403 * x + 0.3404 * y,
        0.9403 * y - 0.3404 * x,
        2_700.0 * size,
        np.full(x.shape, 1_900.0 * size),
        seed + 7,
    )
    turn = 1.8 * again(block, 1) - 0.9
    whole = 1.0 / (1.0 + turn * turn)
    cos, sin = (1.0 - turn * turn) * whole, 2.0 * turn * whole
    p, q = cos * x + sin * y, cos * y - sin * x
    tall = (110.0 + 190.0 * again(block, 2)) * size
    wide = (1.1 + 1.5 * again(block, 3)) * tall
    name, border_m = _bricks(p, q, wide, tall, seed + (block >> np.uint32(8)).astype(np.int64))
    return Parcels(name, block, np.minimum(border_m, road_m), road_m, q)


def _bricks(
    p: Floats, q: Floats, wide: Floats | float, tall: Floats, seed: int | Ints
) -> tuple[Words, Floats]:
    """A word for the brick that each place is in, and metres to its nearest joint."""
    salt = np.asarray(seed, dtype=np.int64).astype(np.uint32)
    row, up, down_m, above_m = _cut(q / tall, 0.0 * q, salt, np.zeros(q.shape, dtype=np.int64))
    column, _, left, right = _cut(p / wide, up - 0.5, salt + np.uint32(99), row)
    name = hashed(column, row, salt + np.uint32(5))
    border = np.minimum(np.minimum(down_m, above_m) * tall, np.minimum(left, right) * wide)
    return name, border


def _cut(
    along: Floats, slant: Floats, salt: Words, line: Ints
) -> tuple[Ints, Floats, Floats, Floats]:
    """
    Cut a line at joints about one apart.

    Returns:
        the number of the piece, the way through it in 0..1 or so, and how far both its ends are
    """
    cell = np.floor(along).astype(np.int64)
    word = hashed(cell, line, salt)
    here = cell + _joint(word, slant)
    before = along < here
    cell = np.where(before, cell - 1, cell)
    other_word = hashed(np.where(before, cell, cell + 1), line, salt)
    other = np.where(before, cell, cell + 1) + _joint(other_word, slant)
    low, high = np.where(before, other, here), np.where(before, here, other)
    # A joint never moves to where its neighbour is, so one step is enough.
    return cell, (along - low) / (high - low), along - low, high - along


def _joint(word: Words, slant: Floats) -> Floats:
    return again(word, 11) * 0.55 + slant * (0.36 * again(word, 12) - 0.18) + 0.1
