"""
What a `.zarray` says, as values: checked for form only, not for the rules of an import.

Source: the Zarr storage specification version 2, "Arrays".
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shplan.sandbox.zarr_files import ZarrError, told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shplan.sandbox.wire import Json, JsonObject

DIMENSIONS = "_ARRAY_DIMENSIONS"
SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

# Source: schema `ZArray`, "a subset of the metadata": that of the specification, and nothing else.
_KEYS = (
    "zarr_format",
    "shape",
    "chunks",
    "dtype",
    "order",
    "fill_value",
    "compressor",
    "filters",
    "dimension_separator",
)
_DTYPE = re.compile(r"([<>|])([uifbcmMSUV])(\d{1,9}).*")


@dataclass(frozen=True, slots=True)
class ArrayMetadata:
    """
    One array.

    Args:
        dtype: as written, with its byte order
        fill_value: as written
        filters: as written, in the order of writing
        separator: what stands between the numbers of a chunk's name
        content: what of the file is shown in answers
        attributes: of its `.zattrs`; none where there is no such file
    """

    name: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: str
    order: str
    fill_value: Json
    compressor: JsonObject | None
    filters: tuple[JsonObject, ...]
    separator: str
    content: JsonObject
    attributes: JsonObject | None

    @property
    def kind(self) -> str:
        """The data type without its byte order, e.g. `f4`."""
        return self.dtype[1:]

    @property
    def dimensions(self) -> tuple[str, ...] | None:
        """Names of the dimensions, where the attributes tell them."""
        stated = (self.attributes or {}).get(DIMENSIONS)
        if not isinstance(stated, list):
            return None
        return tuple(str(name) for name in stated)

    @property
    def fill_number(self) -> float | None:
        """The fill value as a number, NaN and infinity among them; none if it is none."""
        value = self.fill_value
        if isinstance(value, str):
            return SPECIAL.get(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return value

    def chunk_key(self, numbers: tuple[int, ...]) -> str:
        """Where a chunk lies in the group."""
        return f"{self.name}/{self.separator.join(map(str, numbers))}"


def array_of(name: str, content: JsonObject, attributes: JsonObject | None) -> ArrayMetadata:
    """
    The array of a `.zarray`.

    Raises:
        ZarrError: it is no metadata of an array of version 2
    """
    if content.get("zarr_format") != 2:
        raise _wrong(name, "zarr_format", content)
    shape, chunks = _lengths(name, "shape", content), _lengths(name, "chunks", content)
    if len(shape) != len(chunks):
        raise _wrong(name, "chunks", content)
    dtype = content.get("dtype")
    if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
        raise _wrong(name, "dtype", content)
    if content.get("order") not in ("C", "F"):
        raise _wrong(name, "order", content)
    separator = content.get("dimension_separator", ".")
    if separator not in (".", "/"):
        raise _wrong(name, "dimension_separator", content)
    compressor = content.get("compressor")
    filters = content.get("filters") or []
    if compressor is not None and not _is_codec(compressor):
        raise _wrong(name, "compressor", content)
    if not isinstance(filters, list) or not all(map(_is_codec, filters)):
        raise _wrong(name, "filters", content)
    return ArrayMetadata(
        name=name,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        order=str(content["order"]),
        fill_value=content.get("fill_value"),
        compressor=cast("JsonObject | None", compressor),
        filters=tuple(cast("list[JsonObject]", filters)),
        separator=str(separator),
        content={key: content[key] for key in _KEYS if key in content},
        attributes=attributes,
    )


def _wrong(name: str, key: str, content: Mapping[str, Json]) -> ZarrError:
    value = told(str(content.get(key, "missing")))
    return ZarrError(f"The array {told(name)} has metadata with {key} {value}.")


def _lengths(name: str, key: str, content: JsonObject) -> tuple[int, ...]:
    value = content.get(key)
    least = 1 if key == "chunks" else 0
    if not isinstance(value, list) or not all(type(n) is int and n >= least for n in value):
        raise _wrong(name, key, content)
    return tuple(cast("list[int]", value))


def _is_codec(value: Json) -> bool:
    return isinstance(value, dict) and isinstance(value.get("id"), str)
