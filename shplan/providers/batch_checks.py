"""
What a schema cannot say of a Batch V2 request: grid, area on it, outputs, output paths.

What holds for requests of every kind is in `request_checks`.

Offline: everything here is found before a server is asked. Facts: the documentation's page on
Batch V2 (tiling grids, output paths) and the API description's schemas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from shplan.core.diagnostic import Diagnostic
from shplan.core.grids import Grid, grid_by_id, grids
from shplan.core.job_input import touched_tiles
from shplan.core.nearest import nearest
from shplan.core.paths import PLACEHOLDERS, Delivery, template_problems
from shplan.core.request_area import Area, read_area
from shplan.core.request_rings import DEGREES
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, Object, Path, Value, is_known

# Where a response of this name comes from: the script's own metadata, never an output.
USERDATA = "userdata"
_SCHEMES = ("s3://", "gs://")
_Found: TypeAlias = Iterator[Diagnostic]


def check_batch(desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
    """Return what is wrong with a request, each at its place."""
    return check_in_common(desired, tables)


def check_in_common(
    desired: Desired,
    tables: Mapping[str, JsonObject],
    *,
    placeholders: Sequence[str] = PLACEHOLDERS,
) -> list[Diagnostic]:
    """
    Return what is wrong with a request in either version of the API.

    Args:
        desired: its request in the words of version 2
        placeholders: of delivery paths
    """
    return [
        *_check_bounds(desired),
        *_check_grid(desired, tables["tiling-grids"]),
        *_check_outputs(desired),
        *_check_places(desired, placeholders),
    ]


def _check_bounds(desired: Desired) -> _Found:
    bounds = _at(desired.spec, "processRequest", "input", "bounds")
    wanted = _at(desired.spec, "input", "type") == "tiling-grid"
    if wanted and isinstance(bounds, dict) and not {"bbox", "geometry"} & bounds.keys():
        yield _wrong(
            desired,
            ("spec", "processRequest", "input", "bounds"),
            summary="Area missing",
            what="`bounds` has neither `bbox` nor `geometry`.",
            why="With a tiling grid the area decides which tiles are processed, and paid.",
            hint="write `geometry: \"{{ geojson('../aoi/area.geojson') }}\"`, or a bbox",
        )


def _check_grid(desired: Desired, table: JsonObject) -> _Found:
    wanted = _at(desired.spec, "input")
    if not isinstance(wanted, dict) or wanted.get("type") != "tiling-grid":
        return
    number = wanted.get("id")
    grid = grid_by_id(table, number) if isinstance(number, int) else None
    if isinstance(number, int) and grid is None:
        known = ", ".join(f"{one.id} ({one.name})" for one in grids(table))
        yield _wrong(
            desired,
            ("spec", "input", "id"),
            summary="No such tiling grid",
            what=f"there is no tiling grid {number}.",
            why=f"There are {known}.",
        )
    if grid is None:
        return
    yield from _check_resolution(desired, grid, wanted.get("resolution"))
    yield from _check_buffers(desired, wanted)
    yield from _check_area(desired, grid, table)


def _check_resolution(desired: Desired, grid: Grid, resolution: Value) -> _Found:
    if not isinstance(resolution, int | float) or resolution in grid.resolutions:
        return
    near = min(grid.resolutions, key=lambda one: abs(one - resolution))
    yield _wrong(
        desired,
        ("spec", "input", "resolution"),
        summary="Resolution not offered",
        what=f"grid {grid.id} ({grid.name}) has no resolution {resolution:g}; it has"
        f" {', '.join(f'{one:g}' for one in grid.resolutions)}.",
        hint=f"write `resolution: {near:g}`",
    )


def _check_buffers(desired: Desired, wanted: Object) -> _Found:
    for name in ("bufferX", "bufferY"):
        stated = wanted.get(name)
        if isinstance(stated, int) and stated < 0:
            yield _wrong(
                desired,
                ("spec", "input", name),
                summary="Value not allowed",
                what=f"`{name}` is {stated}; a buffer adds pixels on both sides, so 0 is the least.",
            )


def _check_area(desired: Desired, grid: Grid, table: JsonObject) -> _Found:
    tiles = touched_tiles(desired.spec, table)
    if tiles is None or tiles.count:
        return
    area = read_area(_at(desired.spec, "processRequest", "input", "bounds"))
    if any(fault.sure for fault in area.faults):
        # What is wrong with the coordinates themselves is said where they stand.
        return
    west, south, east, north = grid.bounds
    yield _wrong(
        desired,
        ("spec", "processRequest", "input", "bounds"),
        summary="Area outside of the grid",
        what=f"no tile of grid {grid.id} ({grid.name}) touches the area.",
        why=f"The grid covers longitudes {west:g} to {east:g} and latitudes {south:g} to {north:g}."
        " Coordinates are x, y: longitude first.",
        hint="if latitudes stand first, exchange x and y of every position"
        if _fits_exchanged(area, grid)
        else "",
    )


def _fits_exchanged(area: Area, grid: Grid) -> bool:
    """Tell whether the area would lie on the grid if its numbers were latitude and longitude."""
    if area.extent is None or area.crs != DEGREES:
        return False
    south, west, north, east = area.extent
    left, low, right, high = grid.bounds
    return left <= west and east <= right and low <= south and north <= high


def _check_outputs(desired: Desired) -> _Found:
    """Every response needs an output of the script of the same name."""
    responses = _at(desired.spec, "processRequest", "output", "responses")
    if desired.script is None or not isinstance(responses, list):
        return
    known = {one.id for one in desired.script.outputs}
    asked: set[str] = set()
    for index, one in enumerate(responses):
        name = one.get("identifier", "default") if isinstance(one, dict) else None
        path = ("spec", "processRequest", "output", "responses", index)
        if not isinstance(name, str) or name == USERDATA:
            continue
        if name in asked:
            yield _wrong(
                desired,
                path,
                summary="Response asked for twice",
                what=f"two responses are called `{name}`.",
            )
        asked.add(name)
        if name not in known:
            listed = ", ".join(f"`{other}`" for other in sorted(known))
            near = min(known) if len(known) == 1 else nearest(name, known)
            yield _wrong(
                desired,
                (*path, "identifier") if isinstance(one, dict) and "identifier" in one else path,
                summary="No such output",
                what=f"the evalscript has no output `{name}`; it has {listed}.",
                why="A response is an output of `setup()`; the service fails the request in its"
                " analysis.",
                hint=f"write `identifier: {near}`" if near else "",
            )


def _check_places(desired: Desired, placeholders: Sequence[str]) -> _Found:
    forms = {"raster": Delivery.RASTER, "zarr": Delivery.ZARR}
    form = forms.get(str(_at(desired.spec, "output", "type")))
    for store in ("s3", "gs"):
        url = _at(desired.spec, "output", "delivery", store, "url")
        # What is no address at all, or has no bucket, is said of the places of every kind.
        if not isinstance(url, str) or form is None or not url.startswith(_SCHEMES):
            continue
        if url.startswith("s3:///"):
            continue
        outputs = _identifiers(desired.spec)
        for problem in template_problems(url, outputs, delivery=form, placeholders=placeholders):
            yield _wrong(
                desired,
                ("spec", "output", "delivery", store, "url"),
                summary="Output path cannot be used",
                what=problem.what,
                why=problem.why,
                hint=problem.hint,
            )


def _identifiers(spec: Object) -> tuple[str, ...]:
    responses = _at(spec, "processRequest", "output", "responses")
    listed = responses if isinstance(responses, list) else []
    return tuple(str(one.get("identifier", "default")) for one in listed if isinstance(one, dict))


def _at(value: Value, *path: str) -> Value:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value if is_known(value) else None


def _wrong(
    desired: Desired, path: Path, *, summary: str, what: str, why: str = "", hint: str = ""
) -> Diagnostic:
    return Diagnostic(
        code="batch/request",
        summary=summary,
        # Of the manifest, so that a thousand instances complain once.
        what=f"{desired.address.base}: {what}",
        why=why,
        hint=hint,
        span=desired.source.span(path),
        address=str(desired.address.base),
    )
