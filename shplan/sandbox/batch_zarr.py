"""
Zarr output of a batch task: what its arrays must say, at creation and once the evalscript is read.

Source: schemas `BatchV2ZarrOutput` and `BatchV2ZarrOutputArrayParameters`: which data types fit which
`sampleType`, and that chunks divide the tiles. The released Python client spells `arrayParameters`
without its last letter; whether the service reads that is not known, here it does.
"""

# ruff: noqa: EM101, EM102  the texts are answers, and functions make the errors

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from shplan.sandbox import zarr_codecs
from shplan.sandbox.errors import violation
from shplan.sandbox.zarr_files import ZarrError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shplan.sandbox.errors import ApiError
    from shplan.sandbox.grids import Grid
    from shplan.sandbox.wire import Json, JsonObject

PLACE = "output->arrayParameters"
OVERRIDES = "output->arrayOverrides"
AXES = frozenset({"time", "lat", "lon", "y", "x"})
_REQUIRED = ("dtype", "order", "chunks", "fill_value")
_FLOATS = frozenset({"<f4", ">f4", "<f8", ">f8"})
_LARGEST_F4 = 3.4028234663852886e38

_WHOLE = {
    "|u1": (0, 2**8 - 1),
    "|i1": (-(2**7), 2**7 - 1),
    "<u2": (0, 2**16 - 1),
    ">u2": (0, 2**16 - 1),
    "<i2": (-(2**15), 2**15 - 1),
    ">i2": (-(2**15), 2**15 - 1),
}
_U2, _I2 = frozenset({"<u2", ">u2"}), frozenset({"<i2", ">i2"})
_FITTING = {
    "UINT8": frozenset({"|u1"}) | _U2 | _I2 | _FLOATS,
    "AUTO": frozenset({"|u1"}) | _U2 | _I2 | _FLOATS,
    "INT8": frozenset({"|i1"}) | _I2 | _FLOATS,
    "UINT16": _U2 | _FLOATS,
    "INT16": _I2 | _FLOATS,
    "FLOAT32": _FLOATS,
}


def check(output: JsonObject, outputs: Sequence[str], *, grid: Grid, source: JsonObject) -> None:
    """
    Refuse what the service refuses at creation.

    Args:
        outputs: identifiers of the responses, each of which becomes an array
        grid: over which the task runs
        source: the task's input, with resolution and buffers

    Raises:
        ApiError: 400
    """
    if cast("JsonObject", output["group"])["zarr_format"] != 2:
        raise violation("output->group->zarr_format", "must be 2")
    if grid.crs == "UTM":
        raise violation("input->id", "must be a WGS84 or LAEA grid for zarr output")
    known = cast("JsonObject", output.get("arrayOverrides", {}))
    for name in known:
        if name not in outputs:
            raise violation(f"{OVERRIDES}->{name}", "is not an output of the request")
    for name in outputs:
        _check_array(array_of(output, name), name, sides=_sides(grid, source))


def array_of(output: JsonObject, name: str) -> JsonObject:
    """What is said of the array of an output: the parameters of all, with its own over them."""
    shared = output.get("arrayParameters", output.get("arrayParameter"))
    own = cast("JsonObject", output.get("arrayOverrides", {})).get(name)
    return {
        **(shared if isinstance(shared, dict) else {}),
        **(own if isinstance(own, dict) else {}),
    }


def _sides(grid: Grid, source: JsonObject) -> tuple[int, int]:
    """Height and width of a tile in pixels: the order of the chunks' last two lengths."""
    inner = round(grid.tile / cast("float", source["resolution"]))
    height, width = (
        inner + 2 * cast("int", source.get(name, 0)) for name in ("bufferY", "bufferX")
    )
    return height, width


def _check_array(array: JsonObject, name: str, *, sides: tuple[int, int]) -> None:
    for member in _REQUIRED:
        if member not in array:
            raise violation(f"{PLACE}->{member}", f"must not be missing; array {name} has none")
    dtype = array["dtype"]
    if dtype not in _WHOLE and dtype not in _FLOATS:
        known = ", ".join([*_WHOLE, *sorted(_FLOATS)])
        raise _wrong(name, "dtype", f"must be one of {known}")
    if array["order"] != "C":
        raise _wrong(name, "order", "must be C")
    if not _divides(array["chunks"], sides):
        height, width = sides
        raise _wrong(
            name, "chunks", f"must be 1 and lengths that divide a tile of {height} x {width} pixels"
        )
    if not _is_representable(array["fill_value"], str(dtype)):
        raise _wrong(name, "fill_value", f"is no value of {dtype}")
    # What it is without a word needs no check, which would load the compressors.
    if array.get("compressor"):
        _check_compressor(array, name)


def _check_compressor(array: JsonObject, name: str) -> None:
    try:
        zarr_codecs.encoder(zarr_codecs.compressor_of(array))
    except ZarrError as error:
        raise _wrong(name, "compressor", f"cannot be used: {error}".rstrip(".")) from error


def _wrong(name: str, member: str, text: str) -> ApiError:
    return violation(f"{PLACE}->{member}", f"{text}; array {name}")


def _divides(chunks: Json, sides: tuple[int, int]) -> bool:
    if not isinstance(chunks, list) or len(chunks) != 3 or chunks[0] != 1:
        return False
    return all(
        isinstance(length, int) and length > 0 and side % length == 0
        for length, side in zip(chunks[1:], sides, strict=True)
    )


def _is_representable(value: Json, dtype: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if dtype in _WHOLE:
        least, most = _WHOLE[dtype]
        return value == int(value) and least <= value <= most
    return not dtype.endswith("4") or abs(value) <= _LARGEST_F4


def misfit(array: JsonObject, name: str, *, grid: Grid, source: JsonObject) -> str | None:
    """
    Why the tiles of a task cannot make up an array; none: they can.

    Names of axes are taken, and what a tile has around it lies in its neighbours: without that, chunks have to
    divide it too. Both are choices of ours.
    """
    if name in AXES:
        return f"Output {name} has the name of a coordinate array."
    side = round(grid.tile / cast("float", source["resolution"]))
    if not _divides(array["chunks"], (side, side)):
        return f"Chunks of {name} must divide a tile of {side} x {side} pixels without its buffers."
    return None


def fits(array: JsonObject, sample_type: str) -> bool:
    """Whether an array of this kind can hold the samples of an output."""
    return array["dtype"] in _FITTING[sample_type]
