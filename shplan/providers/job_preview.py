"""
What a run would process and where its results would lie, in sentences for the plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shplan.core.grids import Tiles, grid_by_id, tile_size
from shplan.core.job_cost import Features
from shplan.core.job_input import touched_tiles
from shplan.core.key_format import put_key
from shplan.core.paths import TILE_NAME, expand_template
from shplan.core.value import JsonObject, Object, Value

_NAMED = 1
# Of how many outputs the place is written out.
_SHOWN = 3
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
    counted = () if table is None or tiles is None else _counted(spec, table, tiles)
    return (*counted, *_placed(spec, tiles, delivery, key), *_filled(spec))


def count_features(features: Sequence[Features] | None) -> tuple[str, ...]:
    """Say how many features the file of a request has, and how large they are, where that is known."""
    if not features:
        return ()
    count = sum(one.count for one in features)
    largest = max(features, key=lambda one: one.width_px * one.height_px)
    noun, sizes = ("feature", "") if count == 1 else ("features", " each")
    if len(features) > 1:
        sizes = " at most"
    told = f"{count:,} {noun} of the GeoPackage, {largest.width_px} x {largest.height_px} px{sizes}"
    # An area beside the file may leave some out.
    is_exact = all(one.least in (None, one.count) for one in features)
    return (told if is_exact else f"at most {told}",)


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


def _placed(spec: Object, tiles: Tiles | None, delivery: str, key: str) -> Iterator[str]:
    """Say where results go: each output of the first tile, and how many files there are beside."""
    responses = _responses(spec)
    url = put_key(delivery, key) if key else delivery
    if not delivery or not responses:
        return
    if _output(spec).get("type") == "zarr":
        yield f"delivers one Zarr group, {url}"
        return
    name = tiles.names[0] if tiles is not None and tiles.names else ""
    if tiles is not None and not name:
        return
    # Of features that nobody has counted, the placeholder stands for the identifier of each.
    places = [
        expand_template(url, tile_name=name or TILE_NAME, output_id=output, media_type=media_type)
        for output, media_type in responses
    ]
    shown, more = ", ".join(places[:_SHOWN]), "for each feature"
    if tiles is not None:
        others = tiles.count * len(responses) - min(len(places), _SHOWN)
        more = f"and {others:,} more" if others else ""
    yield f"delivers {shown} {more}".rstrip()


def _filled(spec: Object) -> Iterator[str]:
    output = _output(spec)
    if output.get("createCollection") is True and output.get("collectionId") is None:
        yield "fills a new collection; once it has run, `collectionId` of this job is its id"
    elif isinstance(output.get("collectionId"), str):
        yield f"fills collection {output['collectionId']}"


def _output(spec: Object) -> Object:
    output = spec.get("output")
    return output if isinstance(output, dict) else {}


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
