"""
What a Batch V2 request and its evalscript say about the price of the job.

Read leniently, since schema and meaning are checked elsewhere: what is missing, or known
only after apply, makes the cost unknown and is no error here. Prices stand in `job_cost`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

from shplan.core.areas import NotAnAreaError
from shplan.core.compare import instant
from shplan.core.grids import Tiles, aoi_of, grid_by_id, tile_size, tiles_touching
from shplan.core.job_cost import (
    BatchCostInput,
    Features,
    Output,
    Samples,
    Source,
    radar_factor,
    samples_factor,
)
from shplan.core.value import JsonObject, Object, Value

_TIMELESS = "dem"
_RADAR = "sentinel-1-grd"
_USER_DATA = "userdata"
_FLOAT = "FLOAT32"


class ScriptInput(NamedTuple):
    """
    An input object of `setup()`.

    Args:
        datasource: the `id` of the `input.data` that it reads; None where it names none
        bands: names
        mosaicking: SIMPLE, ORBIT or TILE
    """

    datasource: str | None
    bands: tuple[str, ...]
    mosaicking: str


class ScriptOutput(NamedTuple):
    """An output object of `setup()`: id, number of bands, type of the samples."""

    id: str
    bands: int
    sample_type: str


@dataclass(frozen=True, slots=True)
class ScriptShape:
    """What the `setup()` of an evalscript returned."""

    inputs: tuple[ScriptInput, ...]
    outputs: tuple[ScriptOutput, ...]


def cost_input(
    request: Object,
    script: ScriptShape,
    table: JsonObject,
    *,
    features: tuple[Features, ...] | None = None,
    already_done: int = 0,
) -> BatchCostInput | None:
    """
    Return what the price of a Batch V2 request is computed from; None where it is unknown.

    Args:
        request: the body of the create request, in the API's own words
        script: of its evalscript
        table: the tiling grids, with the rule that counts their tiles
        features: of a GeoPackage, where they are known
        already_done: features that an earlier attempt delivered, with `skipExisting`
    """
    process = _object(request.get("processRequest"))
    counted = features if features is not None else _grid_features(request, table)
    data = [_object(one) for one in _list(_object(process.get("input")).get("data"))]
    sources = _sources(script, data)
    if counted is None or sources is None:
        return None
    return BatchCostInput(
        counted,
        sources,
        _outputs(request, process, script),
        collections=len(data),
        distinct=len({str(one.get("type")) for one in data}),
        already_done=already_done,
    )


def touched_tiles(request: Object, table: JsonObject, *, most: int = 0) -> Tiles | None:
    """
    Return the tiles that a request for a tiling grid touches.

    None where the request has another input, no readable area or an unknown grid.
    """
    wanted = _object(request.get("input"))
    grid_id = wanted.get("id")
    process = _object(request.get("processRequest"))
    area = aoi_of(_object(process.get("input")).get("bounds"))
    if wanted.get("type") != "tiling-grid" or not isinstance(grid_id, int) or area is None:
        return None
    grid = grid_by_id(table, grid_id)
    if grid is None:
        return None
    aoi, crs = area
    try:
        return tiles_touching(grid, aoi, crs=crs, most=most)
    except NotAnAreaError:
        return None


def _grid_features(request: Object, table: JsonObject) -> tuple[Features, ...] | None:
    wanted = _object(request.get("input"))
    resolution = _number(wanted.get("resolution"))
    tiles = touched_tiles(request, table)
    if tiles is None or resolution <= 0:
        return None
    grid = grid_by_id(table, cast("int", wanted["id"]))
    assert grid is not None, "tiles were counted on it"
    size = tile_size(
        grid,
        resolution=resolution,
        buffer_x_px=int(_number(wanted.get("bufferX"))),
        buffer_y_px=int(_number(wanted.get("bufferY"))),
    )
    counted = f"tiles of the {grid.name} that share area with the area of interest"
    if tiles.overlapping:
        counted += f", at most: {tiles.overlapping} overlap others across a zone's border"
    return (Features(tiles.count, size.width_px, size.height_px, tiles.least, counted, "tiles"),)


def _sources(script: ScriptShape, data: list[Object]) -> tuple[Source, ...] | None:
    """Return a source for each input object; None where one has samples without bound."""
    sources: list[Source] = []
    for index, one in enumerate(script.inputs):
        collections = _read_by(one, index, script, data)
        samples = [_samples(one.mosaicking, read) for read in collections]
        known = [number for number in samples if number is not None]
        if not known or len(known) < len(samples):
            return None
        widest = max(known, key=lambda number: number.maximum)
        radar = max(_radar(read) for read in collections)
        sources.append(Source(one.bands, widest, radar))
    return tuple(sources)


def _read_by(one: ScriptInput, index: int, script: ScriptShape, data: list[Object]) -> list[Object]:
    """
    Return the collections that an input object reads: by id, else by its number, else any.

    Source: API reference, `evaluatePixel`: without ids the keys are "0", "1", in the order
    of the request.
    """
    if one.datasource is not None:
        named = [each for each in data if each.get("id") == one.datasource]
        if named:
            return named
        if one.datasource.isdecimal() and int(one.datasource) < len(data):
            return [data[int(one.datasource)]]
    elif len(script.inputs) == len(data):
        return [data[index]]
    return data


def _samples(mosaicking: str, data: Object) -> Samples | None:
    if data.get("type") == _TIMELESS:
        return Samples()
    within = _object(_object(data.get("dataFilter")).get("timeRange"))
    since, until = (_text(within.get(name)) for name in ("from", "to"))
    return samples_factor(mosaicking, instant(since), instant(until))


def _radar(data: Object) -> float:
    """Source: API description, `S1Processing`; GAMMA0_TERRAIN is terrain correction."""
    if data.get("type") != _RADAR:
        return 1.0
    processing = _object(data.get("processing"))
    return radar_factor(
        orthorectified=processing.get("orthorectify") is True,
        terrain_corrected=processing.get("backCoeff") == "GAMMA0_TERRAIN",
        speckle_filtered=_object(processing.get("speckleFilter")).get("type") == "LEE",
    )


def _outputs(request: Object, process: Object, script: ScriptShape) -> tuple[Output, ...]:
    """Return the delivered responses; without any, the script's outputs as TIFF."""
    types = {one.id: one.sample_type for one in script.outputs}
    responses = [_object(one) for one in _list(_object(process.get("output")).get("responses"))]
    if not responses:
        return tuple(Output(one, "image/tiff") for one in types.values())
    arrays = _object(request.get("output"))
    return tuple(_output(one, types, arrays) for one in responses)


def _output(response: Object, types: dict[str, str], arrays: Object) -> Output:
    identifier = _text(response.get("identifier")) or "default"
    format_type = _text(_object(response.get("format")).get("type"))
    if identifier == _USER_DATA:
        return Output("", "application/json")
    if format_type == "zarr/array" and _is_float_array(identifier, arrays):
        return Output(_FLOAT, format_type)
    # An id that the script does not have is refused elsewhere; here it is the dearest it can be.
    dearest = max(types.values(), key=lambda one: one.upper() == _FLOAT, default="AUTO")
    return Output(types.get(identifier, dearest), format_type)


def _is_float_array(identifier: str, arrays: Object) -> bool:
    """Tell whether a Zarr array holds floats; source: API description, `dtype`: `<f4`, `>f8`."""
    override = _object(_object(arrays.get("arrayOverrides")).get(identifier))
    dtype = override.get("dtype") or _object(arrays.get("arrayParameters")).get("dtype")
    return _text(dtype)[1:2] == "f"


def _object(value: Value) -> Object:
    return value if isinstance(value, dict) else {}


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Value) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
