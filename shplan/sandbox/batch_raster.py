"""
The source of a batch collection: the tiles that requests of version 1 have processed into it.

Read as an account's own tiles are. Source: the older batch reference, by which the results of a request
are added to a collection that data sets name `batch-<id>`. Assumption: a tile was sensed when the range
of time of its request's first data set begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from shplan.sandbox import areas, batch_v1_requests
from shplan.sandbox import batch_v1_rows as rows
from shplan.sandbox.batch_collection_rows import PREFIX
from shplan.sandbox.batch_requests import sensing_ms
from shplan.sandbox.byoc_raster import ByocRaster, Tile
from shplan.sandbox.byoc_rows import Collection
from shplan.sandbox.objects import ObjectStoreError
from shplan.sandbox.raster_sources import Scene, SourceError
from shplan.sandbox.wire import decode_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shplan.sandbox.areas import Area
    from shplan.sandbox.batch_collection_rows import BatchCollection
    from shplan.sandbox.batch_paths import Delivery
    from shplan.sandbox.bucket_files import BucketFile
    from shplan.sandbox.storage import Storage
    from shplan.sandbox.store import Store
    from shplan.sandbox.wire import JsonObject


def open_source(
    store: Store, collection: BatchCollection, storage: Storage, area: Area
) -> BatchRaster:
    """
    The collection as far as an area reaches; afterwards the store is not needed.

    Args:
        area: in longitude and latitude
    """
    found = [
        (task, tile)
        for task in rows.filling(store, collection.id)
        for tile in rows.processed(store, task)
        if areas.share_area(area, areas.to_wgs84(_cell(tile), tile.epsg))
    ]
    deliveries: dict[str, tuple[Delivery, str]] = {}
    tiles = []
    for task, tile in found:
        place = f"{task.id}/{tile.name}"
        delivery = batch_v1_requests.delivery_of(task.content, task.url, task_id=task.id)
        deliveries[place] = delivery, tile.name
        process = batch_v1_requests.process_of(task.content)
        cell = _cell(tile)
        footprint = areas.to_wgs84(cell, tile.epsg)
        scene = Scene(id=place, at_ms=sensing_ms(process), data_path=place, footprint=footprint)
        tiles.append(Tile(scene, cell, tile.epsg, tile.epsg))
    # The newest first, and those without a time last; of one instant the request that came later.
    tiles.sort(key=lambda tile: (tile.scene.at_ms is None, -(tile.scene.at_ms or 0)))
    return BatchRaster(_as_own(collection), storage, tiles, deliveries)


def _cell(tile: rows.Tile) -> Area:
    east, north = tile.west + tile.size, tile.south + tile.size
    return areas.of_hex(areas.box_hex(tile.west, tile.south, east, north))


def _as_own(collection: BatchCollection) -> Collection:
    """The collection in the words of an account's own ones."""
    bands = None if collection.bands is None else decode_object(collection.bands)
    return Collection(
        seq=collection.seq,
        id=collection.id,
        account=collection.account,
        name=collection.name,
        bucket=collection.bucket,
        no_data=None,
        bands=cast("dict[str, JsonObject] | None", bands),
        created_ms=collection.created_ms,
        metadata_due_ms=None,
        metadata={},
    )


class BatchRaster(ByocRaster):
    """
    Tiles of a batch collection, each with its files where its request delivered them.

    Args:
        deliveries: of each tile, by the id of its scene, with the tile's name
    """

    def __init__(
        self,
        collection: Collection,
        storage: Storage,
        tiles: list[Tile],
        deliveries: Mapping[str, tuple[Delivery, str]],
    ) -> None:
        super().__init__(collection, storage, tiles, prefix=PREFIX)
        self._deliveries = deliveries

    def _files(self, scene: Scene, sources: list[str]) -> Mapping[str, BucketFile]:
        return dict(self._located(scene, sources))

    def _located(self, scene: Scene, sources: list[str]) -> Iterator[tuple[str, BucketFile]]:
        delivery, name = self._deliveries[scene.id]
        for source in sources:
            place = delivery.output(tile=name, output=source, media_type="image/tiff")
            try:
                file = self._storage.bucket(place.bucket).find(place.key)
            except ObjectStoreError as error:
                raise SourceError(error.message) from error
            if file is None:
                msg = f"The file of band {source} is missing: there is no {place.key}."
                raise SourceError(msg)
            yield source, file
