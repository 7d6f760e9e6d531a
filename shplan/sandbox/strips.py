"""
Large images strip by strip: rows of the grid of which all samples and values have room at once.

The script goes on from strip to strip as it does from row to row. What it returned is turned into what is written
at once, because doubles take up to eight times the room. The bounds are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from shplan.sandbox import samples
from shplan.script.rendering import Output, Rendered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from shplan.sandbox.raster_sources import Grid
    from shplan.script.facts import OutputFacts

T = TypeVar("T")

# Of the samples of a strip, or of its values.
STRIP_BYTES = 1 << 29
# Of all that is written.
MOST_WRITTEN_BYTES = 1 << 31
_VALUE = 8


@dataclass(frozen=True, slots=True)
class Strip:
    """Some rows of a grid, from the top, as a grid."""

    first: int
    grid: Grid


def cut(grid: Grid, *, sample_bytes: int, bands: int) -> list[Strip]:
    """
    Cut a grid into strips; what is not large stays whole.

    Args:
        sample_bytes: what the samples of a pixel take, of all bands
        bands: values of a pixel, of all outputs
    """
    row_bytes = grid.width * max(sample_bytes, _VALUE * bands, 1)
    rows = max(1, STRIP_BYTES // row_bytes)
    if rows >= grid.height:
        return [Strip(0, grid)]
    return [Strip(first, _rows(grid, first, rows)) for first in range(0, grid.height, rows)]


def _rows(grid: Grid, first: int, rows: int) -> Grid:
    last = min(first + rows, grid.height)
    height = grid.north - grid.south
    return replace(
        grid,
        north=grid.north - height * first / grid.height,
        south=grid.north - height * last / grid.height if last < grid.height else grid.south,
        height=last - first,
    )


def written_bytes(grid: Grid, outputs: Sequence[OutputFacts]) -> int:
    """How many bytes all outputs take as they are written."""
    pixel = sum(one.bands * np.dtype(samples.DTYPES[one.sample_type]).itemsize for one in outputs)
    return grid.width * grid.height * pixel


class Joining:
    """
    The strips of an image, put together as they are made.

    Args:
        grid: of the whole image
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._made: dict[str, NDArray[Any]] = {}
        self._last: Rendered | None = None

    def add(self, strip: Strip, rendered: Rendered) -> None:
        """Keep what the script made of a strip."""
        rows = slice(strip.first, strip.first + strip.grid.height)
        for one in rendered.outputs:
            if one.facts.id not in self._made:
                shape = (self._grid.height, self._grid.width, one.facts.bands)
                dtype = samples.DTYPES[one.facts.sample_type]
                self._made[one.facts.id] = np.empty(shape, dtype)
            made = samples.written(one.pixels, one.facts.sample_type)
            self._made[one.facts.id][rows] = made
        self._last = Rendered(
            tuple(Output(one.facts, self._made[one.facts.id]) for one in rendered.outputs),
            rendered.user_data,
        )

    def whole(self) -> Rendered:
        """All of them, as they are written, with what the script said in the end."""
        assert self._last is not None
        return self._last


class Remembered(Generic[T]):
    """Things that are found one after the other, and not looked for again."""

    def __init__(self, found: Iterable[T]) -> None:
        self._coming = iter(found)
        self._known: list[T] = []

    def __iter__(self) -> Iterator[T]:
        number = 0
        while True:
            if number == len(self._known):
                try:
                    self._known.append(next(self._coming))
                except StopIteration:
                    return
            yield self._known[number]
            number += 1
