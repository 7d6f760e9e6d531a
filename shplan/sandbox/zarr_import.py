"""
What a Zarr group in a bucket holds that may be imported.

The group is read within bounds, the rules stand in `zarr_checks`. Loaded when the first group is
read, since it brings numpy along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shplan.sandbox import zarr_axes, zarr_checks
from shplan.sandbox.zarr_files import ARRAY, ATTRIBUTES, GROUP, GroupFiles, ZarrError
from shplan.sandbox.zarr_metadata import array_of

if TYPE_CHECKING:
    from shplan.sandbox.storage import Storage
    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.zarr_axes import Times
    from shplan.sandbox.zarr_checks import Grid
    from shplan.sandbox.zarr_metadata import ArrayMetadata
    from shplan.sandbox.zarr_rows import ZarrCollection

# Our own bound: a message is for a person.
MAX_TOLD_FAULTS = 20


@dataclass(frozen=True, slots=True)
class Import:
    """
    What was found in a group.

    Args:
        faults: of the arrays that were skipped
    """

    facts: JsonObject
    arrays: list[ArrayMetadata]
    faults: list[str]

    @property
    def told(self) -> str | None:
        """The faults in words; none if there are none."""
        return _told(self.faults)


def examined(
    storage: Storage, collection: ZarrCollection, *, before: dict[str, JsonObject], skips: bool
) -> Import:
    """
    What the group holds that may be imported.

    Args:
        before: the `.zarray` of what was ingested already, by name
        skips: arrays that break a rule are skipped; else they fail all

    Raises:
        ZarrError: why nothing can be
    """
    files = GroupFiles(storage, collection.bucket, collection.path)
    _check_group(files)
    arrays, faults = _arrays(files)
    grid, time_fault = _grid(files, arrays, collection.epsg)
    usable = []
    for array in arrays.values():
        if array.name in (*grid.names, zarr_checks.TIME):
            continue
        fault = zarr_checks.offence(array, grid, time_fault=time_fault)
        if fault is None:
            usable.append(array)
        else:
            faults.append(fault)
    kept, uneven = zarr_checks.split_by_time_chunk(usable)
    faults += uneven
    if not kept or (faults and not skips):
        nothing = "The group has no data array that can be ingested."
        raise ZarrError(" ".join(filter(None, [nothing if not kept else None, _told(faults)])))
    _check_unchanged(collection, kept, grid, before)
    attributes = files.metadata(ATTRIBUTES)
    return Import(zarr_checks.facts_of(grid, kept, attributes), kept, faults)


def _check_group(files: GroupFiles) -> None:
    group = files.metadata(GROUP)
    if group is None:
        told = (
            " It holds one of version 3, which is not supported." if files.has("zarr.json") else ""
        )
        msg = f"There is no Zarr group of version 2 at the path.{told}"
        raise ZarrError(msg)
    if group.get("zarr_format") != 2:
        msg = "The Zarr group is not of version 2."
        raise ZarrError(msg)


def _arrays(files: GroupFiles) -> tuple[dict[str, ArrayMetadata], list[str]]:
    """The arrays of a group by name, and the faults of those that cannot be understood."""
    arrays: dict[str, ArrayMetadata] = {}
    faults = []
    for name in files.arrays():
        try:
            content = files.metadata(f"{name}/{ARRAY}")
            if content is not None:
                arrays[name] = array_of(name, content, files.metadata(f"{name}/{ATTRIBUTES}"))
        except ZarrError as error:
            faults.append(str(error))
    return arrays, faults


def _grid(
    files: GroupFiles, arrays: dict[str, ArrayMetadata], epsg: int
) -> tuple[Grid, str | None]:
    across, down = zarr_checks.space_of(list(arrays))
    columns, rows = (
        zarr_axes.axis_of(arrays[name], zarr_axes.values_of(files, arrays[name]))
        for name in (across, down)
    )
    times: Times | None = None
    time_fault = "The group has no time array."
    if zarr_checks.TIME in arrays:
        try:
            array = arrays[zarr_checks.TIME]
            times = zarr_axes.times_of(array, zarr_axes.values_of(files, array))
        except ZarrError as error:
            time_fault = str(error)
    grid = zarr_checks.Grid(epsg, (across, down), columns, rows, times)
    zarr_checks.check_place(grid)
    return grid, None if times is not None else time_fault


def _check_unchanged(
    collection: ZarrCollection,
    arrays: list[ArrayMetadata],
    grid: Grid,
    before: dict[str, JsonObject],
) -> None:
    """
    Do nothing if all that was ingested already is still there, as it was.

    Source: the page on Zarr import, "Reingesting": data already ingested cannot be changed, new
    chunks can be added and time can be expanded.
    """
    if not collection.facts:
        return
    present = {array.name: array for array in arrays}
    for name, content in before.items():
        fault = f"The array {name} was ingested and cannot be any more."
        if name in present:
            fault = zarr_checks.changed(present[name], content) or ""
        if fault:
            raise ZarrError(fault)
    if not grid.extends(collection.facts):
        msg = "The coordinates of what was ingested have changed since."
        raise ZarrError(msg)


def _told(faults: list[str]) -> str | None:
    told = faults[:MAX_TOLD_FAULTS]
    if len(faults) > len(told):
        told.append(f"{len(faults) - len(told)} more arrays were skipped.")
    return " ".join(told) or None
