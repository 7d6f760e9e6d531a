"""
What a request and its evalscript say about the price of the job.

Read leniently, since schema and meaning are checked elsewhere: what is missing, or known
only after apply, makes the cost unknown and is no error here. Prices stand in `job_cost`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias, cast

from shplan.core.areas import NotAnAreaError
from shplan.core.compare import instant
from shplan.core.grids import Tiles, aoi_of, grid_by_id, tile_size, tiles_touching
from shplan.core.image_size import ImageSize
from shplan.core.job_cost import (
    MOST_TILES_PER_DAY,
    MOST_WIDE_TILES_PER_DAY,
    CostInput,
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
_WIDE = ("sentinel-3-", "sentinel-5p-", "modis")
_WESTERN = ("landsat-", "modis", "hls")


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
    """
    An output object of `setup()`.

    Args:
        bands: their number
        sample_type: AUTO where the script says none
        names: of its bands, where the script names them
        is_typed: the script says a sample type
    """

    id: str
    bands: int
    sample_type: str
    names: tuple[str, ...] = ()
    is_typed: bool = True


@dataclass(frozen=True, slots=True)
class ScriptShape:
    """
    What the `setup()` of an evalscript returned.

    Args:
        chooses: another of its functions chooses among scenes
        changes: another of its functions may give outputs another number of bands
    """

    inputs: tuple[ScriptInput, ...]
    outputs: tuple[ScriptOutput, ...]
    chooses: bool = False
    changes: bool = False


# Tells how many samples a pixel has of one `input.data` with this mosaicking.
Sampling: TypeAlias = "Callable[[str, Object], Samples | None]"


def cost_input(
    request: Object,
    script: ScriptShape,
    table: JsonObject,
    *,
    features: tuple[Features, ...] | None = None,
    already_done: int = 0,
    sampling: Sampling | None = None,
) -> CostInput | None:
    """
    Return what the price of a Batch V2 request is computed from; None where it is unknown.

    Args:
        request: the body of the create request, in the API's own words
        script: of its evalscript
        table: the tiling grids, with the rule that counts their tiles
        features: of a GeoPackage, where they are known
        already_done: features that an earlier attempt delivered, with `skipExisting`
        sampling: how samples are counted; unless said, over the time range
    """
    process = object_of(request.get("processRequest"))
    counted = features if features is not None else _grid_features(request, table)
    read = reads(process, script, sampling or samples_of)
    if counted is None or read is None:
        return None
    arrays = object_of(request.get("output"))
    given = priced(process, read, _outputs(process, script, arrays, assumed="image/tiff"))
    return replace(given, features=counted, already_done=already_done)


def image_input(
    request: Object, script: ScriptShape, size: ImageSize, sampling: Sampling
) -> CostInput | None:
    """Return what the price of one image is computed from; None where it is unknown."""
    read = reads(request, script, sampling)
    if read is None:
        return None
    given = priced(request, read, _outputs(request, script, {}, assumed=""))
    given = _apart(given, data_of(request))
    image = Features(1, size.width_px, size.height_px, counted=size.counted, noun="an image")
    return replace(given, features=(image,))


def _apart(given: CostInput, data: list[Object]) -> CostInput:
    """
    Take collections of the western deployment as remote where others are read beside them.

    Source: the documentation's pages on data fusion and on deployments: these lie on one of the
    two, and only the main one fuses both.
    """
    kinds = [one.get("type") for one in data]
    western = [one for one in kinds if isinstance(one, str) and one.startswith(_WESTERN)]
    if not western or len(western) == len(kinds):
        return given
    local = len(kinds) - len(western)
    distinct = max(given.distinct - len(set(western)), 1)
    return replace(given, collections=local, distinct=distinct, remote=len(western))


def priced(process: Object, sources: tuple[Source, ...], outputs: tuple[Output, ...]) -> CostInput:
    """Return what does not depend on what is processed: collections, and what is read of them."""
    data = data_of(process)
    distinct = len({str(one.get("type")) for one in data})
    return CostInput((), sources, outputs, collections=len(data), distinct=distinct)


def data_of(process: Object) -> list[Object]:
    """Return the collections of a request: its `input.data`."""
    return [object_of(one) for one in list_of(object_of(process.get("input")).get("data"))]


def touched_tiles(request: Object, table: JsonObject, *, most: int = 0) -> Tiles | None:
    """
    Return the tiles that a request for a tiling grid touches.

    None where the request has another input, no readable area or an unknown grid.
    """
    wanted = object_of(request.get("input"))
    grid_id = wanted.get("id")
    process = object_of(request.get("processRequest"))
    area = aoi_of(object_of(process.get("input")).get("bounds"))
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
    wanted = object_of(request.get("input"))
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


def reads(process: Object, script: ScriptShape, sampling: Sampling) -> tuple[Source, ...] | None:
    """Return a source for each input object; None where one has samples without bound."""
    data = data_of(process)
    sources: list[Source] = []
    for index, one in enumerate(script.inputs):
        collections = _read_by(one, index, script, data)
        samples = [sampling(one.mosaicking, read) for read in collections]
        known = [number for number in samples if number is not None]
        if not known or len(known) < len(samples):
            return None
        widest = max(known, key=lambda number: number.maximum)
        radar = max(_radar(read) for read in collections)
        which = str(data.index(collections[0])) if len(collections) == 1 else ""
        sources.append(Source(one.bands, widest, radar, which))
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


def samples_of(
    mosaicking: str, data: Object, *, tiles_a_day: int = MOST_TILES_PER_DAY
) -> Samples | None:
    """Return the samples of one collection over its own time range."""
    if is_timeless(data):
        return Samples()
    within = object_of(object_of(data.get("dataFilter")).get("timeRange"))
    since, until = (text_of(within.get(name)) for name in ("from", "to"))
    most = most_tiles(data, tiles_a_day)
    return samples_factor(mosaicking, instant(since), instant(until), tiles_a_day=most)


def most_tiles(data: Object, tiles_a_day: int) -> int:
    """Return how many tiles of a collection a day may have, where others have so many."""
    kind = data.get("type")
    is_wide = isinstance(kind, str) and kind.startswith(_WIDE)
    return max(tiles_a_day, MOST_WIDE_TILES_PER_DAY) if is_wide else tiles_a_day


def is_timeless(data: Object) -> bool:
    """Tell whether a collection has no time of acquisition."""
    return data.get("type") == _TIMELESS


def _radar(data: Object) -> float:
    """Source: API description, `S1Processing`; GAMMA0_TERRAIN is terrain correction."""
    if data.get("type") != _RADAR:
        return 1.0
    processing = object_of(data.get("processing"))
    return radar_factor(
        orthorectified=processing.get("orthorectify") is True,
        terrain_corrected=processing.get("backCoeff") == "GAMMA0_TERRAIN",
        speckle_filtered=object_of(processing.get("speckleFilter")).get("type") == "LEE",
    )


def _outputs(
    process: Object, script: ScriptShape, arrays: Object, *, assumed: str
) -> tuple[Output, ...]:
    """
    Return the responses; without any, the script's outputs.

    Args:
        arrays: the batch `output`, which says the types of Zarr arrays
        assumed: the format of those without any response
    """
    types = {one.id: one.sample_type for one in script.outputs}
    responses = [
        object_of(one) for one in list_of(object_of(process.get("output")).get("responses"))
    ]
    if not responses:
        return tuple(Output(one, assumed) for one in types.values())
    return tuple(_output(one, types, arrays) for one in responses)


def _output(response: Object, types: dict[str, str], arrays: Object) -> Output:
    identifier = text_of(response.get("identifier")) or "default"
    format_type = text_of(object_of(response.get("format")).get("type"))
    if identifier == _USER_DATA:
        return Output("", "application/json")
    if format_type == "zarr/array" and _is_float_array(identifier, arrays):
        return Output(_FLOAT, format_type)
    # An id that the script does not have is refused elsewhere; here it is the dearest it can be.
    dearest = max(types.values(), key=lambda one: one.upper() == _FLOAT, default="AUTO")
    return Output(types.get(identifier, dearest), format_type)


def _is_float_array(identifier: str, arrays: Object) -> bool:
    """Tell whether a Zarr array holds floats; source: API description, `dtype`: `<f4`, `>f8`."""
    override = object_of(object_of(arrays.get("arrayOverrides")).get(identifier))
    dtype = override.get("dtype") or object_of(arrays.get("arrayParameters")).get("dtype")
    return text_of(dtype)[1:2] == "f"


def object_of(value: Value) -> Object:
    """Return an object, empty for anything else."""
    return value if isinstance(value, dict) else {}


def list_of(value: Value) -> list[Value]:
    """Return a list, empty for anything else."""
    return value if isinstance(value, list) else []


def text_of(value: Value) -> str:
    """Return a text, empty for anything else."""
    return value if isinstance(value, str) else ""


def _number(value: Value) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
