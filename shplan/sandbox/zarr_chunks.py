"""
The chunks of one tile of a batch task, at their place in the arrays.

Source: schema `BatchV2ZarrOutputArrayParameters`: chunks divide tiles, and one that holds nothing but the fill
value is not written; the Zarr storage specification version 2, "Chunks".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shplan.sandbox import zarr_codecs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from shplan.sandbox.raster_sources import Grid
    from shplan.sandbox.zarr_layout import ZarrLayout


def zarr_chunks(
    layout: ZarrLayout, name: str, pixels: NDArray[Any], *, grid: Grid
) -> list[tuple[str, bytes]]:
    """
    The chunks of a tile.

    Args:
        name: of the array
        pixels: (row, column), numbers of the output's sample type, buffers included
        grid: where they lie

    Returns:
        keys below the folder of the array, and contents
    """
    array = layout.arrays[name]
    dtype = np.dtype(str(array["dtype"]))
    codec = zarr_codecs.encoder(zarr_codecs.compressor_of(array))
    fill = np.array(array["fill_value"]).astype(dtype)
    values = _stored(layout, pixels).astype(dtype)
    return [
        (key, codec(chunk))
        for key, chunk in _chunks(layout, name, values, grid)
        if not np.array_equal(chunk, np.broadcast_to(fill, chunk.shape))
    ]


def tile_key(layout: ZarrLayout, grid: Grid) -> str:
    """The number of a tile in the group, from its first row and column: `1.0` is the second row's first."""
    row, column = _place(layout, grid)
    return f"{row // layout.tile}.{column // layout.tile}"


def _stored(layout: ZarrLayout, pixels: NDArray[Any]) -> NDArray[Any]:
    """The pixels of the tile itself, in the order of the rows of the array."""
    across, down = layout.buffers
    inner = pixels[down : down + layout.tile, across : across + layout.tile]
    return inner[::-1] if layout.is_upward else inner


def _chunks(
    layout: ZarrLayout, name: str, values: NDArray[Any], grid: Grid
) -> Iterator[tuple[str, NDArray[Any]]]:
    height, width = layout.lengths(name)
    first_row, first_column = _place(layout, grid)
    for row in range(0, layout.tile, height):
        for column in range(0, layout.tile, width):
            key = f"0.{(first_row + row) // height}.{(first_column + column) // width}"
            yield key, np.ascontiguousarray(values[row : row + height, column : column + width])


def _place(layout: ZarrLayout, grid: Grid) -> tuple[int, int]:
    """Row and column of the tile's first pixel in the arrays."""
    west, south, _, north = layout.sides
    across, down = layout.buffers
    column = round((grid.west - west) / layout.resolution) + across
    if layout.is_upward:
        return round((grid.south - south) / layout.resolution) + down, column
    return round((north - grid.north) / layout.resolution) + down, column
