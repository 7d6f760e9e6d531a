"""
What a run would process and where its results would lie, in sentences for the plan.
"""

from __future__ import annotations

from collections.abc import Iterator

from shplan.core.grids import Tiles, grid_by_id, tile_size
from shplan.core.job_input import touched_tiles
from shplan.core.key_format import put_key
from shplan.core.paths import expand_template
from shplan.core.value import JsonObject, Object, Value

_NAMED = 1
# Source: schema BatchV2TilingGridDescriptorProperties, `unit`.
_UNITS = {"METRE": "m", "DEGREE": "degrees"}


def preview(spec: Object, table: JsonObject | None, *, delivery: str, key: str) -> tuple[str, ...]:
    """
    Say how many tiles are processed, which ones only partly lie inside, and the first place.

    Args:
        delivery: the URL that results go to, as the manifest has it
        key: what stands for `{{ run.key }}` there, empty while it is not known
    """
    tiles = None if table is None else touched_tiles(spec, table, most=_NAMED)
    if table is None or tiles is None:
        return ()
    return (*_counted(spec, table, tiles), *_placed(spec, tiles, delivery, key))


def _counted(spec: Object, table: JsonObject, tiles: Tiles) -> Iterator[str]:
    wanted = spec.get("input")
    assert isinstance(wanted, dict), "its tiles were counted"
    grid = grid_by_id(table, _integer(wanted.get("id")))
    resolution = wanted.get("resolution")
    if grid is None or not isinstance(resolution, int | float):
        return
    size = tile_size(
        grid,
        resolution=resolution,
        buffer_x_px=_integer(wanted.get("bufferX")),
        buffer_y_px=_integer(wanted.get("bufferY")),
    )
    noun = "tile" if tiles.count == 1 else "tiles"
    unit = _UNITS.get(grid.unit, "")
    yield (
        f"{tiles.count:,} {noun} of the {grid.name} at {resolution:g} {unit}, "
        f"{size.width_px} x {size.height_px} px each"
    )
    if tiles.count == tiles.partial == 1:
        yield "it lies partly outside of the area: processed and paid whole"
    elif tiles.partial:
        verb = "lies" if tiles.partial == 1 else "lie"
        yield f"{tiles.partial:,} of them {verb} partly outside of the area: processed and paid whole"
    if len(tiles.crs) > 1:
        yield f"results come in {len(tiles.crs)} CRS: {', '.join(tiles.crs)}"


def _placed(spec: Object, tiles: Tiles, delivery: str, key: str) -> Iterator[str]:
    responses = _responses(spec)
    if not delivery or not tiles.names or not responses:
        return
    name, media_type = responses[0]
    url = put_key(delivery, key) if key else delivery
    first = expand_template(url, tile_name=tiles.names[0], output_id=name, media_type=media_type)
    more = tiles.count * len(responses) - 1
    yield f"delivers {first}" + (f" and {more:,} more" if more else "")


def _responses(spec: Object) -> list[tuple[str, str]]:
    process = spec.get("processRequest")
    output = process.get("output") if isinstance(process, dict) else None
    listed = output.get("responses") if isinstance(output, dict) else None
    found = []
    for one in listed if isinstance(listed, list) else ():
        form = one.get("format") if isinstance(one, dict) else None
        media_type = form.get("type") if isinstance(form, dict) else None
        if isinstance(one, dict) and isinstance(media_type, str):
            found.append((str(one.get("identifier", "default")), media_type))
    return found


def _integer(value: Value) -> int:
    return value if isinstance(value, int) else 0
