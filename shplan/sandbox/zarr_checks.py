"""
Whether a Zarr group may be imported, which of its arrays may, and what follows: pure decisions.

Source: the page on Zarr import, its data constraints, which says that ingestion fails or that
the offending arrays are skipped. Which of the two is this module's reading: what concerns the
group fails it, what concerns one array skips that. The wording of causes is ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shplan.sandbox import geometry, zarr_codecs
from shplan.sandbox.checks import TILE_CRS, crosses_pole, is_band_name
from shplan.sandbox.geometry import Box
from shplan.sandbox.zarr_axes import KINDS, Axis
from shplan.sandbox.zarr_files import ZarrError, told
from shplan.sandbox.zarr_metadata import DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shplan.sandbox.wire import Json, JsonObject
    from shplan.sandbox.zarr_axes import Times
    from shplan.sandbox.zarr_metadata import ArrayMetadata

# Source: the page on Zarr import has the list that the page on BYOC has.
CRS = TILE_CRS
MAX_SPATIAL_CHUNK = 3072
MAX_TIME_CHUNK = 50
TIME = "time"
SPACES = (("x", "y"), ("lon", "lat"))
# Source: the page on Zarr data: about three times the resolution of what was ingested.
RESOLUTION_FACTOR = 3

_FORMATS = {"u": "UINT", "i": "INT", "f": "FLOAT"}


@dataclass(frozen=True, slots=True)
class Grid:
    """
    Where the pixels of a group lie, and when.

    Args:
        names: of the dimensions: columns, then rows
        times: none if the group has no usable time array
    """

    epsg: int
    names: tuple[str, str]
    columns: Axis
    rows: Axis
    times: Times | None

    @property
    def box(self) -> Box:
        """The outer edges."""
        west, east = self.columns.ends
        south, north = self.rows.ends
        return Box(west, south, east, north)

    def extends(self, facts: JsonObject) -> bool:
        """Whether all pixels and instants of an earlier ingestion are here, in their places."""
        if facts["names"] != list(self.names):
            return False
        for axis, key in ((self.columns, "columns"), (self.rows, "rows")):
            start, step, count = cast("list[float]", facts[key])
            if not axis.is_as(Axis(start, step, int(count))):
                return False
        then = cast("JsonObject | None", facts["times"])
        if then is None or self.times is None:
            return then is None
        count = cast("int", then["count"])
        return len(self.times.instants_ms) >= count and self.times.digest(count) == then["digest"]


def space_of(names: Sequence[str]) -> tuple[str, str]:
    """
    The two spatial coordinate arrays among the arrays of a group: columns, then rows.

    Raises:
        ZarrError: not exactly two of one kind
    """
    found = [pair for pair in SPACES if set(pair) & set(names)]
    if len(found) != 1 or not set(found[0]) <= set(names):
        msg = "The group needs exactly two spatial coordinate arrays: x and y, or lat and lon."
        raise ZarrError(msg)
    return found[0]


def check_place(grid: Grid) -> None:
    """
    Do nothing if the pixels lie where an import may lie.

    Raises:
        ZarrError: in a CRS that is not supported, or over a pole
    """
    if grid.epsg not in CRS:
        msg = f"EPSG:{grid.epsg} is not supported."
        raise ZarrError(msg)
    if crosses_pole(grid.epsg, grid.box):
        msg = "The data crosses a pole."
        raise ZarrError(msg)


def offence(array: ArrayMetadata, grid: Grid, *, time_fault: str | None) -> str | None:
    """
    What keeps a data array from being imported; none: it may be.

    Args:
        time_fault: why the group has no usable time array
    """
    name = told(array.name)
    if not is_band_name(array.name):
        return f"The array {name} has a name that is no JavaScript identifier."
    if array.kind not in KINDS:
        return f"The array {name} has data of type {told(array.dtype)}, not u4, i4, i8, f4 or f8."
    if array.order != "C":
        return f"The array {name} is not stored in row-major order."
    fault = _misshapen(array, grid, time_fault)
    if fault is not None:
        return f"The array {name} {fault}"
    if not zarr_codecs.is_known(array):
        return f"The array {name} is compressed in a way that is not supported."
    return None


def _misshapen(array: ArrayMetadata, grid: Grid, time_fault: str | None) -> str | None:
    across, down = grid.names
    count = len(array.shape)
    if count not in (2, 3):
        return f"has {count} dimensions; two or three are allowed."
    wanted = (TIME, down, across)[-count:]
    if array.dimensions is not None and array.dimensions != wanted:
        return f"has the dimensions {told(str(list(array.dimensions)))} in {DIMENSIONS}, not {list(wanted)}."
    if max(array.chunks[-2:]) > MAX_SPATIAL_CHUNK:
        return f"has spatial chunks of more than {MAX_SPATIAL_CHUNK}."
    space = (grid.rows.count, grid.columns.count)
    if count == 2:
        return None if array.shape == space else f"has not the shape {list(space)} of the axes."
    if grid.times is None:
        return f"has three dimensions, but there is no time to go with it. {time_fault}"
    if array.chunks[0] > MAX_TIME_CHUNK:
        return f"has chunks of {array.chunks[0]} in time; {MAX_TIME_CHUNK} are allowed."
    shape = (len(grid.times.instants_ms), *space)
    return None if array.shape == shape else f"has not the shape {list(shape)} of the axes."


def split_by_time_chunk(
    arrays: Sequence[ArrayMetadata],
) -> tuple[list[ArrayMetadata], list[str]]:
    """
    The arrays whose chunks in time are as long as those of the first, and what the others lack.

    Source: the chunk size in time must be the same for all data arrays.
    """
    deep = [array for array in arrays if len(array.shape) == 3]
    length = deep[0].chunks[0] if deep else 0
    kept, faults = [], []
    for array in arrays:
        if len(array.shape) == 3 and array.chunks[0] != length:
            faults.append(
                f"The array {told(array.name)} has chunks of {array.chunks[0]} in time,"
                f" {told(deep[0].name)} of {length}; they must be equal."
            )
        else:
            kept.append(array)
    return kept, faults


def changed(array: ArrayMetadata, before: JsonObject) -> str | None:
    """
    What differs in an array that was ingested already; none: nothing that may not.

    Source: data already ingested cannot be changed; the time axis may grow.
    """
    now = dict(array.content)
    then = dict(before)
    shape_now, shape_then = list(array.shape), cast("list[int]", then.pop("shape"))
    now.pop("shape")
    grown = len(shape_now) == 3 and len(shape_then) == 3 and shape_now[0] >= shape_then[0]
    same = shape_now[1:] == shape_then[1:] if grown else shape_now == shape_then
    if now == then and same:
        return None
    return f"The array {told(array.name)} was ingested and has changed since."


def facts_of(
    grid: Grid, arrays: Sequence[ArrayMetadata], attributes: JsonObject | None
) -> JsonObject:
    """What a successful ingestion leaves behind of the collection."""
    times = None if grid.times is None else grid.times.as_json()
    bands: JsonObject = {array.name: _band(array) for array in arrays}
    pixel = max(abs(grid.columns.step), abs(grid.rows.step))
    metres = pixel * (geometry.METRES_PER_DEGREE if grid.epsg == geometry.WGS84 else 1.0)
    return {
        "names": list(grid.names),
        "columns": grid.columns.as_json(),
        "rows": grid.rows.as_json(),
        "times": times,
        "envelope": geometry.with_crs(grid.box.polygon(), grid.epsg),
        "zattrs": attributes,
        "bands": bands,
        "maxMetersPerPixel": metres * RESOLUTION_FACTOR,
    }


def _band(array: ArrayMetadata) -> Json:
    # The schema knows no 64 bits: what has them is told as 32.
    band: JsonObject = {"bitDepth": 32, "sampleFormat": _FORMATS[array.kind[0]]}
    fill = array.fill_number
    if fill is not None and math.isfinite(fill):
        band["noData"] = fill
    return band
