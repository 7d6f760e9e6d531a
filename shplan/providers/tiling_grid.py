"""
`TilingGrid`: a grid of batch processing, known offline from the published table and compared with the service.

Source: operations `getBatchV2TilingGridProperties` and, where a deployment has only the older API,
`getBatchTilingGridProperties`. The service says measures and resolutions; coverage and CRS are the table's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

from shplan.core.areas import NotAnAreaError
from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import RefusedError
from shplan.core.grid_tiles import listed_tiles
from shplan.core.grids import Grid, aoi_of, grid_by_id, tile_size, tiles_touching
from shplan.core.request import Answer, ApiRequest, Effect
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, JsonValue, Object, is_known
from shplan.providers.base import ChangeFailedError
from shplan.providers.data import DataProvider, Tables
from shplan.providers.steps import Flow, Read

TABLE: Final = "tiling-grids"
# Our own bound: of more tiles nobody makes manifests. They are counted all the same.
MAX_TILES: Final = 5_000
_SAID: Final = ("name", "unit", "tileWidth", "tileHeight", "resolutions")
_NOT_FOUND: Final = 404


class TilingGrid(DataProvider):
    """The provider of the kind."""

    kind = "TilingGrid"
    tables = (TABLE,)
    names = frozenset(
        [
            *("id", "name", "unit", "tileWidth", "tileHeight", "resolutions", "crs", "extent"),
            *("tilePixels", "tiles", "byName", "names", "count", "partial"),
        ]
    )

    def check(self, desired: Desired, tables: Tables) -> list[Diagnostic]:
        """Check that the grid has the resolution, and that the area is one."""
        grid = _grid(desired.spec, tables)
        return [] if grid is None else [*_resolution(desired, grid), *_area(desired, grid)]

    def offline(self, spec: Object, tables: Tables) -> JsonObject | None:
        """Return what the published table says, None for a grid that it has not."""
        grid = _grid(spec, tables)
        return None if grid is None else _content(grid, spec)

    def read(self, spec: Object, tables: Tables) -> Flow[JsonObject]:
        """Ask the service; what it does not say of a grid is taken from the table."""
        descriptor = yield from _descriptor(_number(spec))
        told = _measures(descriptor)
        grid = _grid(spec, tables)
        if grid is None:
            if "bounds" in spec:
                message = f"where the tiles of grid {_number(spec)} lie is not published: leave `bounds` out"
                raise ChangeFailedError(message)
            return {"id": _number(spec), **told}
        return {**_content(grid, spec), **told}

    def seen(self, content: JsonObject) -> Object:
        """Return the measures, and the tiles of the area by themselves and by name."""
        tiles = [one for one in _list(content.get("tiles")) if isinstance(one, dict)]
        listed: JsonObject = {
            "tiles": [*tiles],
            "byName": {str(one["name"]): one for one in tiles},
            "names": [one["name"] for one in tiles],
        }
        return cast("Object", {**content, **listed} if "tiles" in content else content)

    def compared(self, known: JsonObject, answer: JsonObject) -> tuple[str, ...]:
        """Say where the service contradicts the published table."""
        return tuple(
            f"the service says {name} {answer[name]}, and the published table {known[name]}"
            for name in _SAID
            if name in answer and _form(answer[name]) != _form(known.get(name))
        )

    def told(self, content: JsonObject) -> tuple[str, ...]:
        """Say which grid it is, and how many tiles the area has."""
        line = str(content.get("name", content["id"]))
        if "count" not in content:
            return (line,)
        count, partial = content["count"], content["partial"]
        noun = "tile" if count == 1 else "tiles"
        return (f"{line}: {count:,} {noun}, {partial:,} of them partly outside of the area",)


def _grid(spec: Object, tables: Tables) -> Grid | None:
    number = spec.get("id")
    return grid_by_id(tables[TABLE], number) if isinstance(number, int) else None


def _content(grid: Grid, spec: Object) -> JsonObject:
    content: JsonObject = {
        "id": grid.id,
        "name": grid.name,
        "unit": grid.unit,
        "tileWidth": grid.tile_width,
        "tileHeight": grid.tile_height,
        "resolutions": [*grid.resolutions],
        "crs": grid.crs,
        "extent": [*grid.bounds],
    }
    resolution = spec.get("resolution")
    # Another one is complained about; it may be too small to be divided by.
    if isinstance(resolution, int | float) and resolution in grid.resolutions:
        size = tile_size(
            grid,
            resolution=resolution,
            buffer_x_px=_integer(spec, "bufferX"),
            buffer_y_px=_integer(spec, "bufferY"),
        )
        content["tilePixels"] = {"width": size.width_px, "height": size.height_px}
    area = aoi_of(spec.get("bounds"))
    if area is None:
        return content
    try:
        counted = tiles_touching(grid, area[0], crs=area[1])
        if counted.count > MAX_TILES:
            # Said by `check`; whoever asks for their names gets none.
            return {**content, "count": counted.count, "partial": counted.partial}
        tiles = listed_tiles(grid, area[0], crs=area[1], most=MAX_TILES)
    except NotAnAreaError:
        return content
    return {
        **content,
        "tiles": [tile.as_json() for tile in tiles],
        "count": counted.count,
        "partial": counted.partial,
    }


def _descriptor(number: int) -> Flow[JsonObject]:
    """Ask the API that batch requests use today, then the older one."""
    try:
        answer: Answer = yield Read(_request("getBatchV2TilingGridProperties", "/batch/v2", number))
    except RefusedError as error:
        if error.status != _NOT_FOUND:
            raise
        answer = yield Read(_request("getBatchTilingGridProperties", "/api/v1/batch", number))
    return answer.body if isinstance(answer.body, dict) else {}


def _request(operation: str, base: str, number: int) -> ApiRequest:
    return ApiRequest(
        operation, "GET", f"{base}/tilinggrids/{{id}}", Effect.READ, parameters={"id": str(number)}
    )


def _measures(descriptor: JsonObject) -> JsonObject:
    """Take in an answer. Source: schema BatchV2TilingGridDescriptor."""
    inner = descriptor.get("properties")
    told = {**descriptor, **(inner if isinstance(inner, dict) else {})}
    return {name: told[name] for name in _SAID if name in told}


def _resolution(desired: Desired, grid: Grid) -> Iterator[Diagnostic]:
    stated = desired.spec.get("resolution")
    if not isinstance(stated, int | float) or stated in grid.resolutions:
        return
    offered = ", ".join(f"{one:g}" for one in grid.resolutions)
    yield Diagnostic(
        "grid/resolution",
        "Resolution that the grid does not offer",
        f"{desired.address.base} asks the {grid.name} for a resolution of {stated:g}.",
        why="Tiles are whole pixels of the resolutions that a grid offers.",
        hint=f"there are {offered}",
        span=desired.source.span(("spec", "resolution")),
        address=str(desired.address.base),
    )


def _area(desired: Desired, grid: Grid) -> Iterator[Diagnostic]:
    bounds = desired.spec.get("bounds")
    area = aoi_of(bounds) if bounds is not None and is_known(bounds) else None
    if area is None:
        return
    what = hint = ""
    try:
        counted = tiles_touching(grid, area[0], crs=area[1]).count
    except NotAnAreaError as error:
        what, hint = f"has `bounds` that make no area: {error}.", "write a polygon or a bbox"
    else:
        if not counted:
            what = f"has `bounds` where the {grid.name} has no tile."
            west, south, east, north = grid.bounds
            hint = f"it reaches from {west:g}, {south:g} to {east:g}, {north:g} degrees"
        elif counted > MAX_TILES:
            what = f"has `bounds` with {counted:,} tiles; at most {MAX_TILES:,} are listed."
            hint = "divide the area"
    if what:
        yield Diagnostic(
            "grid/area",
            "Area without tiles to list",
            f"{desired.address.base} {what}",
            hint=hint,
            span=desired.source.span(("spec", "bounds")),
            address=str(desired.address.base),
        )


def _number(spec: Object) -> int:
    return _integer(spec, "id")


def _integer(spec: Object, name: str) -> int:
    value = spec.get(name)
    return value if isinstance(value, int) else 0


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _form(value: JsonValue) -> JsonValue:
    """Numbers are equal however they are written, and lists in whatever order."""
    if isinstance(value, list):
        return cast(
            "JsonValue", sorted(float(one) for one in value if isinstance(one, int | float))
        )
    return float(value) if isinstance(value, int | float) else value
