"""
The source of an account's own tiles: COGs in buckets.

Source: the BYOC pages: the cover geometry decides which tile is used, band units are numbers as stored,
NaN and `noData` are no data, of tiles of one instant that which was created later comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from shplan.sandbox import areas, buckets, geometry, sensed_tiles, warping
from shplan.sandbox.buckets import IngestionError
from shplan.sandbox.raster_sources import LEAST_RECENT, Band, Layer, Scene, SourceError
from shplan.sandbox.wire import decode_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from sqlite3 import Row

    from shplan.sandbox.areas import Area
    from shplan.sandbox.bucket_files import BucketFile
    from shplan.sandbox.byoc_rows import Collection
    from shplan.sandbox.raster_sources import Grid, Mask, Plane, Resampling, Search
    from shplan.sandbox.storage import Storage
    from shplan.sandbox.store import Store
    from shplan.sandbox.wire import JsonObject

PREFIX = "byoc-"
_DTYPES = {
    ("UINT", 8): "uint8", ("UINT", 16): "uint16", ("UINT", 32): "uint32",
    ("INT", 8): "int8", ("INT", 16): "int16", ("INT", 32): "int32", ("FLOAT", 32): "float32",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile, with its cover geometry in the CRS of `epsg`; its files are in that of `file_epsg`."""

    scene: Scene
    cover: Area
    epsg: int
    file_epsg: int


def open_source(
    store: Store,
    collection: Collection,
    storage: Storage,
    area: Area,
    *,
    from_ms: int | None,
    to_ms: int | None,
) -> ByocRaster:
    """
    The collection as far as an area and a range of time reach; afterwards the store is not needed.

    Args:
        area: in longitude and latitude
    """
    near = sensed_tiles.listed(
        store,
        collection.seq,
        from_ms=from_ms,
        to_ms=to_ms,
        after=None,
        box=area.bounds,
        skip=0,
    )
    found = [_row(store, row) for row in near]
    return ByocRaster(collection, storage, [_tile(row) for row in found])


def _row(store: Store, place: Row) -> Row:
    row = store.row(
        "select id, path, sensing_ms, cover, facts from tiles where coll = ? and seq = ?",
        place["coll"],
        place["seq"],
    )
    assert row is not None
    return row


def _tile(row: Row) -> Tile:
    facts = decode_object(row["facts"])
    file_epsg = cast("int", facts["epsg"])
    if row["cover"] is not None:
        cover, epsg = areas.shape_of(decode_object(row["cover"])), geometry.WGS84
    else:
        cover, epsg = areas.shape_of(cast("JsonObject", facts["coverGeometry"])), file_epsg
    scene = Scene(
        id=row["id"],
        at_ms=row["sensing_ms"],
        data_path=row["path"],
        footprint=areas.to_wgs84(cover, epsg),
    )
    return Tile(scene, cover, epsg, file_epsg)


class ByocRaster:
    """Tiles of a collection, the newest first; those without a sensing time last."""

    def __init__(
        self,
        collection: Collection,
        storage: Storage,
        tiles: list[Tile],
        *,
        prefix: str = PREFIX,
    ) -> None:
        self._prefix = prefix
        self._collection = collection
        self._storage = storage
        self._tiles = {tile.scene.id: tile for tile in tiles}

    @property
    def name(self) -> str:
        """The collection as a request names it."""
        return self._prefix + self._collection.id

    @property
    def bands(self) -> Mapping[str, Band]:
        """Its bands by name."""
        return {
            name: Band(_DTYPES[str(one.get("sampleFormat", "UINT")), cast("int", one["bitDepth"])])
            for name, one in (self._collection.bands or {}).items()
        }

    @property
    def coarsest_m(self) -> float | None:
        """Source: the BYOC page: the limit is a matter of the collection's metadata."""
        return cast("float | None", self._collection.metadata.get("maxMetersPerPixel"))

    @property
    def normalization(self) -> float:
        """Numbers stay as they are stored."""
        return 1.0

    def scenes(self, search: Search) -> list[Scene]:
        """Find tiles; nobody knows of clouds in them, so `max_cloud` leaves none out."""
        found = [
            tile.scene
            for tile in self._tiles.values()
            if search.has(tile.scene.at_ms) and areas.share_area(search.area, tile.scene.footprint)
        ]
        if search.order != LEAST_RECENT:
            return found
        timed = [scene for scene in found if scene.at_ms is not None]
        return timed[::-1] + [scene for scene in found if scene.at_ms is None]

    def read(
        self,
        scene: Scene,
        bands: Mapping[str, str],
        grid: Grid,
        resampling: Resampling,
        *,
        wanted: Mask,
    ) -> Layer:
        """Read a tile, all of it; it has data where all bands that are read have some."""
        del wanted
        tile = self._tiles[scene.id]
        covered = warping.inside(tile.cover, tile.epsg, grid)
        # `dataMask` alone is that of the first band.
        names = list(bands) or list(self._collection.bands or {})[:1]
        read = self._read(tile, names, grid, resampling)
        valid = covered.copy()
        planes = {}
        for name in names:
            plane, has_data = read[name]
            valid &= has_data
            if name in bands:
                plane[~covered] = 0
                planes[name] = plane
        return Layer(planes=planes, covered=covered, valid=valid)

    def _read(
        self, tile: Tile, names: list[str], grid: Grid, resampling: Resampling
    ) -> dict[str, tuple[Plane, Mask]]:
        """Each band with where it has data; bands of one file are read together."""
        known = self._collection.bands or {}
        together: dict[tuple[str, float | None], list[str]] = {}
        for name in names:
            key = str(known[name]["source"]), self._no_data(known[name])
            together.setdefault(key, []).append(name)
        files = self._files(tile.scene, sorted({source for source, _ in together}))
        found: dict[str, tuple[Plane, Mask]] = {}
        for (source, no_data), several in together.items():
            indexes = [cast("int", known[name].get("bandIndex", 1)) for name in several]
            read = warping.read_bands(
                warping.File(files[source], tile.file_epsg), indexes, no_data, grid, resampling
            )
            found |= dict(zip(several, read, strict=True))
        return {
            name: (np.ascontiguousarray(plane, self.bands[name].dtype), has_data)
            for name, (plane, has_data) in found.items()
        }

    def _no_data(self, band: JsonObject) -> float | None:
        value = band.get("noData", self._collection.no_data)
        return None if value is None else float(cast("float", value))

    def _files(self, scene: Scene, sources: list[str]) -> Mapping[str, BucketFile]:
        bucket = self._collection.bucket
        try:
            return buckets.locate(self._storage, bucket, scene.data_path, sources).files
        except IngestionError as error:
            raise SourceError(str(error)) from error
