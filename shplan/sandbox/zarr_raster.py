"""
The source of an account's Zarr collections: arrays in buckets, decoded chunk by chunk.

Source: the pages on Zarr import and on Zarr collections: one scene an instant, `dataMask` is 1 in the whole
envelope, no data is the fill value, there is no ORBIT. No answer is so coarse that chunks would have to be
thinned out: the limit is three native pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, cast

import numpy as np

from shplan.sandbox import areas, lattices, zarr_axes, zarr_codecs
from shplan.sandbox.errors import RENDERER_EXCEPTION, ApiError
from shplan.sandbox.geometry import transformer
from shplan.sandbox.raster_sources import (
    DATA_MASK,
    LEAST_RECENT,
    ORBIT,
    Band,
    Layer,
    Scene,
    SourceError,
)
from shplan.sandbox.wire import decode_object
from shplan.sandbox.zarr_axes import Axis
from shplan.sandbox.zarr_checks import TIME
from shplan.sandbox.zarr_files import ARRAY, ATTRIBUTES, GroupFiles, ZarrError, told
from shplan.sandbox.zarr_metadata import array_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from shplan.sandbox.raster_sources import Grid, Mask, Plane, Resampling, Search
    from shplan.sandbox.storage import Storage
    from shplan.sandbox.store import Store
    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.zarr_axes import Times
    from shplan.sandbox.zarr_metadata import ArrayMetadata
    from shplan.sandbox.zarr_rows import ZarrCollection

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

PREFIX = "zarr-"
_FLAT = 2
# JavaScript has no arrays of numbers of 64 bits that are its numbers.
_DTYPES = {"u4": "uint32", "i4": "int32", "i8": "float64", "f4": "float32", "f8": "float64"}
# Our own bounds of what is unpacked at once, and of what is kept for the next instant.
_MOST_CHUNK_BYTES = 1 << 29
_MOST_KEPT_BYTES = 1 << 28


def open_source(store: Store, collection: ZarrCollection, storage: Storage) -> ZarrRaster:
    """The collection with all its arrays; afterwards the store is not needed."""
    rows = store.rows("select * from zarr_arrays where coll = ?", collection.seq)
    arrays = {}
    for row in rows:
        attributes = None if row["zattrs"] is None else decode_object(row["zattrs"])
        arrays[row["name"]] = array_of(row["name"], decode_object(row["zarray"]), attributes)
    return ZarrRaster(collection, storage, arrays)


@dataclass(frozen=True, slots=True)
class _Window:
    """Native pixels that an answer needs: first row and column, their numbers."""

    row: int
    column: int
    height: int
    width: int


class ZarrRaster:
    """Arrays of a collection, instant by instant."""

    def __init__(
        self, collection: ZarrCollection, storage: Storage, arrays: Mapping[str, ArrayMetadata]
    ) -> None:
        facts = collection.facts
        self._collection = collection
        self._storage = storage
        self._group: GroupFiles | None = None
        self._arrays = arrays
        self._columns, self._rows = (
            Axis(*cast("tuple[float, float, int]", facts[name])) for name in ("columns", "rows")
        )
        envelope = areas.shape_of(cast("JsonObject", facts["envelope"]))
        self._footprint = areas.to_wgs84(envelope, collection.epsg)
        self._chunks: dict[tuple[str, tuple[int, ...]], Plane] = {}

    @property
    def name(self) -> str:
        """The collection as a request names it."""
        return PREFIX + self._collection.id

    @property
    def bands(self) -> Mapping[str, Band]:
        """Its arrays by name."""
        return {name: Band(_DTYPES[array.kind]) for name, array in self._arrays.items()}

    @property
    def coarsest_m(self) -> float | None:
        """Three native pixels."""
        return cast("float | None", self._collection.facts.get("maxMetersPerPixel"))

    @property
    def normalization(self) -> float:
        """Numbers stay as they are stored."""
        return 1.0

    def scenes(self, search: Search) -> list[Scene]:
        """
        Find instants; without a time axis there is one scene, of any time.

        Raises:
            ApiError: 400, days are asked for
            SourceError: the time axis cannot be read
        """
        if search.mosaicking == ORBIT:
            msg = f"Mosaicking {ORBIT} is not supported for Zarr collections."
            raise ApiError(400, RENDERER_EXCEPTION, msg)
        if not areas.share_area(search.area, self._footprint):
            return []
        instants = self._instants()
        if instants is None:
            return [self._scene(0, None)]
        found = [
            self._scene(number, at_ms) for number, at_ms in enumerate(instants) if search.has(at_ms)
        ]
        return sorted(found, key=lambda one: one.at_ms or 0, reverse=search.order != LEAST_RECENT)

    def _scene(self, number: int, at_ms: int | None) -> Scene:
        collection = self._collection
        return Scene(
            id=str(number),
            at_ms=at_ms,
            data_path=f"s3://{collection.bucket}/{collection.path}",
            footprint=self._footprint,
        )

    def _instants(self) -> list[int] | None:
        """Those of the time axis, as many as were ingested; none: there is no such axis."""
        known = cast("JsonObject | None", self._collection.facts.get("times"))
        if known is None:
            return None
        try:
            found = _times(self._files()).instants_ms
        except (ZarrError, OSError) as error:
            raise SourceError(str(error)) from error
        return [int(one) for one in found[: cast("int", known["count"])]]

    def _files(self) -> GroupFiles:
        if self._group is None:
            collection = self._collection
            self._group = GroupFiles(self._storage, collection.bucket, collection.path)
        return self._group

    def read(
        self,
        scene: Scene,
        bands: Mapping[str, str],
        grid: Grid,
        resampling: Resampling,
        *,
        wanted: Mask,
    ) -> Layer:
        """
        Read an instant.

        Raises:
            SourceError: a chunk cannot be read
        """
        u, v = self._places(grid)
        covered = wanted & (u >= -0.5) & (u < self._columns.count - 0.5)
        covered &= (v >= -0.5) & (v < self._rows.count - 0.5)
        at = np.flatnonzero(covered)
        shape = (grid.height, grid.width)
        planes: dict[str, Plane] = {
            name: np.zeros(shape, self.bands[name].dtype) for name in bands if name != DATA_MASK
        }
        if len(at):
            coarse = grid.metres_per_pixel() * 3 > (self.coarsest_m or math.inf)
            method = resampling.down if coarse else resampling.up
            here = u.ravel()[at], v.ravel()[at]
            try:
                for name, plane in planes.items():
                    plane.ravel()[at] = self._values(name, int(scene.id), *here, method)
            except (ZarrError, OSError) as error:
                raise SourceError(str(error)) from error
        return Layer(planes, covered, covered.copy())

    @np.errstate(invalid="ignore")
    def _places(self, grid: Grid) -> tuple[Floats, Floats]:
        """Columns and rows, in pixels of the arrays, of the centres of a grid; NaN where there are none."""
        across, down = grid.pixel
        shape = (grid.height, grid.width)
        east = grid.west + (np.arange(grid.width) + 0.5) * across
        north = grid.north - (np.arange(grid.height) + 0.5) * down
        x, y = np.broadcast_to(east, shape), np.broadcast_to(north[:, np.newaxis], shape)
        epsg = self._collection.epsg
        if grid.epsg != epsg:
            moved = transformer(grid.epsg, epsg)(x.ravel(), y.ravel())  # type: ignore[arg-type]
            x, y = (np.reshape(one, shape) for one in moved)
        u = (x - self._columns.start) / self._columns.step
        v = (y - self._rows.start) / self._rows.step
        return np.asarray(u), np.asarray(v)

    def _values(self, name: str, number: int, u: Floats, v: Floats, method: str) -> Plane:
        """An array at places within it; what is no data there stays what it is."""
        array = self._arrays[name]
        window = _window(u, v, method, self._rows.count, self._columns.count)
        native = self._pixels(array, number, window)
        column = np.floor(u + 0.5).astype(np.int64) - window.column
        row = np.floor(v + 0.5).astype(np.int64) - window.row
        nearest: Plane = native[row, column]
        if method == lattices.NEAREST:
            return nearest
        known = native.astype(np.float64)
        if (fill := array.fill_number) is not None:
            known[known == fill] = np.nan
        before, behind = lattices.REACH[method]
        padded = np.pad(known, (before, behind), mode="edge")
        # Where a place lies before the first point or behind the last, those go on.
        u, v = u - window.column + before, v - window.row + before
        made = lattices.interpolated(padded, u, v, method)
        return np.where(np.isnan(made), nearest, made)

    def _pixels(self, array: ArrayMetadata, number: int, window: _Window) -> Plane:
        tall, wide = array.chunks[-2:]
        native = np.empty((window.height, window.width), np.dtype(array.dtype).newbyteorder("="))
        files = self._files()
        for j, i in product(
            range(window.row // tall, (window.row + window.height - 1) // tall + 1),
            range(window.column // wide, (window.column + window.width - 1) // wide + 1),
        ):
            plane = self._chunk(files, array, number, j, i)
            top, left = max(window.row, j * tall), max(window.column, i * wide)
            bottom = min(window.row + window.height, (j + 1) * tall)
            right = min(window.column + window.width, (i + 1) * wide)
            native[
                top - window.row : bottom - window.row, left - window.column : right - window.column
            ] = plane[top - j * tall : bottom - j * tall, left - i * wide : right - i * wide]
        return native

    def _chunk(
        self, files: GroupFiles, array: ArrayMetadata, number: int, row: int, column: int
    ) -> Plane:
        """The plane of an instant in a chunk; an array without time is the same at every instant."""
        if len(array.shape) == _FLAT:
            return self._decoded(files, array, (row, column))
        deep = array.chunks[0]
        whole = self._decoded(files, array, (number // deep, row, column))
        plane: Plane = whole[number % deep]
        return plane

    def _decoded(self, files: GroupFiles, array: ArrayMetadata, numbers: tuple[int, ...]) -> Plane:
        key = array.name, numbers
        if key in self._chunks:
            return self._chunks[key]
        dtype = np.dtype(array.dtype)
        count = math.prod(array.chunks)
        size = count * dtype.itemsize
        if size > _MOST_CHUNK_BYTES:
            msg = f"The chunks of the array {told(array.name)} are too large."
            raise ZarrError(msg)
        # What cannot be compressed grows a little when it is.
        data = files.chunk(array.chunk_key(numbers), limit=2 * size + 4096)
        if data is None:
            fill = array.fill_number
            found: Plane = np.full(array.chunks, 0 if fill is None else fill, dtype)
        else:
            content = zarr_codecs.decoded(data, array, count=count, item_bytes=dtype.itemsize)
            found = np.frombuffer(content, dtype).reshape(array.chunks)
        kept = sum(one.nbytes for one in self._chunks.values())
        if kept + size > _MOST_KEPT_BYTES:
            self._chunks.clear()
        self._chunks[key] = found
        return found


def _times(files: GroupFiles) -> Times:
    content = files.metadata(f"{TIME}/{ARRAY}")
    if content is None:
        msg = "The group has no time array any more."
        raise ZarrError(msg)
    array = array_of(TIME, content, files.metadata(f"{TIME}/{ATTRIBUTES}"))
    return zarr_axes.times_of(array, zarr_axes.values_of(files, array))


def _window(u: Floats, v: Floats, method: str, rows: int, columns: int) -> _Window:
    """The native pixels that places need, none outside of the arrays."""
    before, behind = lattices.REACH[method]
    left, right = math.floor(float(u.min()) + 0.5) - before - 1, math.floor(float(u.max())) + behind
    top, bottom = math.floor(float(v.min()) + 0.5) - before - 1, math.floor(float(v.max())) + behind
    left, right = max(left, 0), min(right, columns - 1)
    top, bottom = max(top, 0), min(bottom, rows - 1)
    return _Window(top, left, bottom - top + 1, right - left + 1)
