"""
Planes of numbers, cut into blocks of rows and handed over as bytes.

A plane goes as the type that it has, where JavaScript has one: its numbers are the same doubles in the end, and
half the bytes. Values come back as doubles, interleaved as images are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.generic]
Pixels = NDArray[np.float64]
# As in `exchange.js`.
_TYPES = {"f4", "f8", "u1", "i1", "u2", "i2", "u4", "i4"}
_STEP = 8
_PADDING = memoryview(bytes(_STEP))


@dataclass(frozen=True, slots=True)
class Stack:
    """
    The planes of one band.

    Args:
        array: (scene, row, column), contiguous
        type: kind and size in bytes of its numbers
    """

    array: Plane
    type: str

    @property
    def scenes(self) -> int:
        """Return how many planes there are."""
        return len(self.array)

    @property
    def size(self) -> int:
        """Return the bytes of one number."""
        return self.array.dtype.itemsize

    def parts(self, first: int, last: int) -> Iterator[memoryview]:
        """Yield the bytes of some rows of all planes, up to the next multiple of eight."""
        total = 0
        for plane in self.array:
            part = plane[first:last].reshape(-1).view(np.uint8).data
            total += len(part)
            yield part
        yield _PADDING[: -total % _STEP]


class Image:
    """
    The planes of a request, and how they are cut.

    Args:
        arrays: of each band: (scene, row, column), or (row, column) for one scene
        height: in pixels
        width: in pixels
        block_bytes: how large a block may be, if it is more than one row

    Raises:
        ValueError: an array has another shape
    """

    def __init__(
        self, arrays: Sequence[Plane], height: int, width: int, *, block_bytes: int
    ) -> None:
        self.stacks = [_stack(one, height, width) for one in arrays]
        self.height = height
        self.width = width
        self._block_bytes = block_bytes

    def told(self) -> list[dict[str, object]]:
        """Return what is told of each band before its numbers."""
        return [{"type": one.type, "size": one.size, "scenes": one.scenes} for one in self.stacks]

    def blocks(self, bands: int) -> list[tuple[int, int]]:
        """Return first row and the row behind the last of each block, with so many values that come back."""
        row_bytes = self._row_bytes(bands)
        step = max(1, self._block_bytes // max(row_bytes, 1))
        return [(first, min(first + step, self.height)) for first in range(0, self.height, step)]

    def block_size(self, bands: int) -> int:
        """Return how many bytes the largest block takes, there and back."""
        first, last = self.blocks(bands)[0]
        return (last - first) * self._row_bytes(bands)

    def request(self, first: int, last: int) -> dict[str, object]:
        """Return the size of a block."""
        pixels = (last - first) * self.width
        size = sum(-(-one.size * one.scenes * pixels // _STEP) * _STEP for one in self.stacks)
        return {"pixels": pixels, "size": size}

    def parts(self, first: int, last: int) -> list[memoryview]:
        """Return the bytes of a block."""
        return [part for one in self.stacks for part in one.parts(first, last)]

    def _row_bytes(self, bands: int) -> int:
        given = sum(one.size * one.scenes for one in self.stacks)
        return (given + _STEP * bands) * self.width


def count_of(array: Plane) -> int:
    """Return how many scenes an array has a plane of."""
    return len(array) if array.ndim == 3 else 1


def empty(height: int, width: int, bands: int) -> Pixels:
    """Return room for the values of an output: (row, column, band)."""
    return np.empty((height, width, bands), np.float64)


def bytes_of(pixels: Pixels, first: int, last: int) -> memoryview:
    """Return the memory of some rows."""
    rows = pixels[first:last]
    return rows.reshape(-1).view(np.uint8).data


def settle(pixels: Pixels) -> None:
    """Make all that is not a number the same bytes, whichever way an engine came to it."""
    odd = np.isnan(pixels)
    if odd.any():
        pixels[odd] = np.nan


def _stack(array: Plane, height: int, width: int) -> Stack:
    """
    Return one band's planes as they are handed over.

    Args:
        array: (scene, row, column), or (row, column) for one scene; numbers of any type

    Raises:
        ValueError: it has another shape
    """
    shaped = array[np.newaxis] if array.ndim == 2 else array
    if shaped.ndim != 3 or shaped.shape[1:] != (height, width):
        msg = f"planes of shape {array.shape} where (scenes, {height}, {width}) are wanted"
        raise ValueError(msg)
    kind = f"{shaped.dtype.kind}{shaped.dtype.itemsize}"
    if kind == "b1":
        shaped, kind = shaped.view(np.uint8), "u1"
    if kind not in _TYPES or not shaped.dtype.isnative:
        shaped, kind = shaped.astype(np.float64), "f8"
    return Stack(np.ascontiguousarray(shaped), kind)
