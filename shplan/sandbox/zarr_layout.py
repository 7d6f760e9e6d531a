"""
Where the tiles of a batch task lie in the arrays that it writes, and what the group says of itself.

The arrays reach over all tiles of the grid that the task has, have one instant, and no buffers: what a tile has
around it is its neighbours' too. Source: schemas `BatchV2ZarrOutputGroup` and
`BatchV2ZarrOutputArrayParameters`. Assumptions: the instant is the first one of the first data set's range of
time; names of attributes are those of the Attribute Convention for Data Discovery and of the CF conventions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from shplan.sandbox import areas, batch_requests, batch_zarr, metering, zarr_codecs
from shplan.sandbox.geometry import WGS84
from shplan.sandbox.grids import grids
from shplan.sandbox.tiles import tiles_within
from shplan.sandbox.wire import encode, instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from shplan.sandbox.wire import Json, JsonObject

BOTTOM_LEFT = "bottomLeft"
_EPOCH = "seconds since 1970-01-01T00:00:00Z"
# Source: the Zarr storage specification version 2: metadata of all arrays in one file.
_CONSOLIDATED = ".zmetadata"


@dataclass(frozen=True, slots=True)
class ZarrLayout:
    """
    The arrays of a task.

    Args:
        epsg: code of the CRS
        resolution: side of a pixel in units of the CRS
        sides: west, south, east, north: the outer edges of all tiles
        tile: side of a tile in pixels, without its buffers
        buffers: pixels left and right, above and below a tile, which are not stored
        is_upward: rows run from south to north
        arrays: what is said of each, by the identifier of its output
        at_ms: the instant
    """

    epsg: int
    resolution: float
    sides: tuple[float, float, float, float]
    tile: int
    buffers: tuple[int, int]
    is_upward: bool
    arrays: Mapping[str, JsonObject]
    at_ms: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        west, south, east, north = self.sides
        return round((north - south) / self.resolution), round((east - west) / self.resolution)

    def lengths(self, name: str) -> tuple[int, int]:
        """Height and width of the chunks of an array."""
        _, height, width = cast("list[int]", self.arrays[name]["chunks"])
        return height, width

    @property
    def axes(self) -> tuple[str, str]:
        """Names of the vertical and the horizontal axis."""
        return ("lat", "lon") if self.epsg == WGS84 else ("y", "x")


def layout_of(request: JsonObject, *, created_ms: int) -> ZarrLayout:
    """
    The layout of a task that was analysed.

    Args:
        request: as version 2 has it
        created_ms: when the task was created: the instant where its data are of any time
    """
    source = cast("JsonObject", request["input"])
    output = cast("JsonObject", request["output"])
    process = cast("JsonObject", request["processRequest"])
    grid = grids()[cast("int", source["id"])]
    resolution = cast("float", source["resolution"])
    tiles = tiles_within(grid.id, batch_requests.bounds_text(request))
    group = cast("JsonObject", output["group"])
    coordinates = cast("JsonObject", group.get("coordinates") or {})
    names = [name for name, _ in metering.responses(process) if name != batch_requests.USERDATA]
    return ZarrLayout(
        epsg=tiles[0].epsg,
        resolution=resolution,
        sides=(
            min(tile.west for tile in tiles),
            min(tile.south for tile in tiles),
            max(tile.west for tile in tiles) + grid.tile,
            max(tile.south for tile in tiles) + grid.tile,
        ),
        tile=round(grid.tile / resolution),
        buffers=(cast("int", source.get("bufferX", 0)), cast("int", source.get("bufferY", 0))),
        is_upward=coordinates.get("origin") == BOTTOM_LEFT,
        arrays={name: batch_zarr.array_of(output, name) for name in names},
        at_ms=_instant_of(process, created_ms),
    )


def _instant_of(process: JsonObject, created_ms: int) -> int:
    data = cast("list[JsonObject]", cast("JsonObject", process["input"])["data"])
    chosen = cast("JsonObject", data[0].get("dataFilter") or {})
    span = cast("JsonObject", chosen.get("timeRange") or {})
    told = [str(span[name]) for name in ("from", "to") if span.get(name) not in (None, "..")]
    return parse_instant(told[0]) if told else created_ms


def metadata_files(
    request: JsonObject, layout: ZarrLayout, *, changed_ms: int
) -> list[tuple[str, bytes]]:
    """
    The files of a group before any tile is processed: its metadata, and the axes as a whole.

    Args:
        request: as version 2 has it
        changed_ms: the instant that the group tells

    Returns:
        keys below the folder of the group, and contents
    """
    output = cast("JsonObject", request["output"])
    group = cast("JsonObject", output["group"])
    said: dict[str, JsonObject] = {
        ".zgroup": {"zarr_format": 2},
        ".zattrs": {
            **_discovery(layout, changed_ms),
            **cast("JsonObject", group.get("customAttributes") or {}),
        },
    }
    overrides = cast("JsonObject", output.get("arrayOverrides") or {})
    for name, array in layout.arrays.items():
        own = cast("JsonObject", overrides.get(name) or {})
        said[f"{name}/.zarray"] = _array(array, layout)
        said[f"{name}/.zattrs"] = {
            "_ARRAY_DIMENSIONS": ["time", *layout.axes],
            **cast("JsonObject", own.get("customAttributes") or {}),
        }
    chunks = []
    for axis in _axes(layout):
        said |= axis.metadata()
        chunks.append((f"{axis.name}/0", axis.values.tobytes()))
    files = [(key, encode(content).encode()) for key, content in said.items()]
    consolidated: JsonObject = {"zarr_consolidated_format": 1, "metadata": cast("JsonObject", said)}
    return [*files, (_CONSOLIDATED, encode(consolidated).encode()), *chunks]


def _array(array: JsonObject, layout: ZarrLayout) -> JsonObject:
    height, width = layout.shape
    return {
        "zarr_format": 2,
        "shape": [1, height, width],
        "chunks": array["chunks"],
        "dtype": array["dtype"],
        "compressor": zarr_codecs.compressor_of(array),
        "fill_value": _fill(array),
        "order": "C",
        "filters": None,
    }


def _fill(array: JsonObject) -> Json:
    """The fill value, as a whole number where the array has such: -1.0 is one in JSON too."""
    value = cast("float", array["fill_value"])
    return value if str(array["dtype"])[1] == "f" else int(value)


@dataclass(frozen=True, slots=True)
class _Axis:
    """A coordinate array: one chunk, not compressed."""

    name: str
    values: NDArray[np.generic]
    attributes: JsonObject

    def metadata(self) -> dict[str, JsonObject]:
        count = len(self.values)
        return {
            f"{self.name}/.zarray": {
                "zarr_format": 2,
                "shape": [count],
                "chunks": [count],
                "dtype": self.values.dtype.str,
                "compressor": None,
                "fill_value": None,
                "order": "C",
                "filters": None,
            },
            f"{self.name}/.zattrs": {"_ARRAY_DIMENSIONS": [self.name], **self.attributes},
        }


def _axes(layout: ZarrLayout) -> Iterator[_Axis]:
    west, south, _, north = layout.sides
    height, width = layout.shape
    down, across = layout.axes
    step = layout.resolution
    rows = (np.arange(height) + 0.5) * step
    is_geographic = layout.epsg == WGS84
    for name, values, of_degrees, of_metres, unit in (
        (down, south + rows if layout.is_upward else north - rows, "latitude", "y", "north"),
        (across, west + (np.arange(width) + 0.5) * step, "longitude", "x", "east"),
    ):
        standard = of_degrees if is_geographic else f"projection_{of_metres}_coordinate"
        units = f"degrees_{unit}" if is_geographic else "m"
        told: JsonObject = {"standard_name": standard, "units": units, "axis": of_metres.upper()}
        yield _Axis(name, values.astype("<f8"), told)
    told = {
        "standard_name": "time",
        "units": _EPOCH,
        "calendar": "proleptic_gregorian",
        "axis": "T",
    }
    yield _Axis("time", np.array([layout.at_ms / 1000], dtype="<f8"), told)


def _discovery(layout: ZarrLayout, changed_ms: int) -> dict[str, Json]:
    """When the group was written, and where on Earth it lies."""
    outline = areas.of_hex(areas.box_hex(*layout.sides))
    west, south, east, north = areas.to_wgs84(outline, layout.epsg).bounds
    return {
        "date_modified": instant(changed_ms),
        "geospatial_bounds": outline.wkt,
        "geospatial_bounds_crs": f"EPSG:{layout.epsg}",
        "geospatial_lat_min": south,
        "geospatial_lat_max": north,
        "geospatial_lon_min": west,
        "geospatial_lon_max": east,
    }
