"""
Ingestion brought up to date: whatever was over before now is checked and its result stored.

There is no background task. Tiles are taken in the order in which their ingestion ended, so
that the first of them configures the collection whoever looks first.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, cast

from shplan.sandbox import byoc_rows as rows
from shplan.sandbox import checks, cog, geometry, lifecycle
from shplan.sandbox.buckets import IngestionError, locate
from shplan.sandbox.wire import decode_object, encode, instant

if TYPE_CHECKING:
    from collections.abc import Iterable
    from sqlite3 import Row

    from shplan.sandbox.byoc_rows import Collection
    from shplan.sandbox.geometry import Box
    from shplan.sandbox.storage import Storage
    from shplan.sandbox.wire import Json, JsonObject
    from shplan.sandbox.world import World

# Source: the collection's resolution limit: five times the median of the coarsest overviews, and
# never stricter than so many metres.
RESOLUTION_FACTOR = 5
STRICTEST_LIMIT_M = 500.0

UNREADABLE = "The files of the tile cannot be read."
# A bug of the sandbox; the tests look for it.
UNFORESEEN = "The files of the tile are not understood."


def settle(world: World, collection_id: str) -> None:
    """
    Bring one collection up to date: ingestions that are over, then its metadata.

    What lies behind an endpoint is not read here, where others would wait: see `far_ingestion`.
    """
    now_ms = world.now_ms()
    collection = rows.find_collection(world.store, collection_id)
    while collection is not None and not world.storage.is_far(collection.bucket):
        due = rows.due_tile(world.store, collection.seq, now_ms=now_ms)
        if due is None:
            break
        # The files are read before the lock is taken. Another process that raced us found the same.
        store(world, collection, due, examiner(world).examined(collection, due))
        collection = rows.find_collection(world.store, collection_id)
    if collection is not None and (collection.metadata_due_ms or now_ms + 1) <= now_ms:
        _refresh_metadata(world, collection)


def settle_account(world: World, account: str) -> None:
    """Bring every collection of an account up to date that has anything due."""
    for collection_id in rows.due_collections(world.store, account, now_ms=world.now_ms()):
        settle(world, collection_id)


@dataclass(frozen=True, slots=True)
class Examined:
    """
    What the files of a tile mean for it.

    Args:
        result: none of a tile that failed
        path: as the service writes it
        facts: of the tile, or why it failed
    """

    result: checks.Ingestion | None
    path: str
    facts: JsonObject

    @property
    def outcome(self) -> str:
        """What becomes of the tile."""
        return lifecycle.FAILED if self.result is None else lifecycle.INGESTED


@dataclass(frozen=True, slots=True)
class Examiner:
    """Reads the files of tiles; asks neither the store nor the settings, so that any thread may."""

    storage: Storage
    allow_nan: bool

    def examined(self, collection: Collection, tile: Row) -> Examined:
        """What becomes of a tile; never raises."""
        try:
            result, path = self._read(collection, str(tile["path"]))
            encode(result.facts)
        except Exception as error:  # noqa: BLE001 one bad tile must not keep others from being served
            told = UNREADABLE if isinstance(error, OSError) else UNFORESEEN
            told = str(error) if isinstance(error, IngestionError) else told
            cause: JsonObject = {"failedIngestionCause": told}
            facts = {**decode_object(tile["facts"]), "additionalData": cause}
            return Examined(None, str(tile["path"]), facts)
        return Examined(result, path, result.facts)

    def _read(self, collection: Collection, path: str) -> tuple[checks.Ingestion, str]:
        bands = collection.bands
        sources = sorted({str(band["source"]) for band in bands.values()}) if bands else None
        located = locate(self.storage, collection.bucket, path, sources)
        files = [cog.read(source, file) for source, file in sorted(located.files.items())]
        result = checks.ingest(
            files, bands=bands, no_data=collection.no_data, allow_nan=self.allow_nan
        )
        return result, located.path


def examiner(world: World) -> Examiner:
    """Who reads the files of this sandbox's tiles, as it is set now."""
    allow_nan = world.settings.nan_nodata == "ignore"
    return Examiner(world.storage, allow_nan)


def store(world: World, collection: Collection, tile: Row, found: Examined) -> None:
    """
    Store what became of a tile, unless somebody changed it, or its collection, meanwhile.

    Args:
        collection: as it was when the files were read, and `tile`
    """
    path, result = found.path, found.result
    with world.store.writing():
        fresh = rows.find_tile(world.store, collection.seq, tile["id"])
        if fresh is None or fresh["outcome"] is not None or fresh["round_ms"] != tile["round_ms"]:
            return
        if _configuration(rows.find_collection(world.store, collection.id)) != _configuration(
            collection
        ):
            return
        if path != fresh["path"] and rows.find_tile_by_path(world.store, collection.seq, path):
            path = fresh["path"]
        rows.rewrite_tile(
            world.store, fresh, outcome=found.outcome, facts=encode(found.facts), path=path
        )
        if result is not None:
            rows.update_collection(
                world.store,
                collection.seq,
                name=collection.name,
                bucket=collection.bucket,
                no_data=result.no_data,
                bands=result.bands,
            )
        due_ms = tile["done_ms"] + round(world.settings.metadata_refresh_s * 1000)
        rows.touch_metadata(world.store, collection.seq, due_ms=due_ms)


def _configuration(collection: Collection | None) -> object:
    if collection is None:
        return None
    return collection.name, collection.bucket, collection.no_data, collection.bands


def _refresh_metadata(world: World, collection: Collection) -> None:
    """Source: schema `BYOCCollectionAdditionalData`, its read-only fields."""
    # Row by row: a collection may have more tiles than memory.
    tiles = world.store.run(
        "select sensing_ms, cover, facts from tiles where coll = ? and outcome = ?",
        collection.seq,
        lifecycle.INGESTED,
    )
    stated = {n: v for n, v in collection.metadata.items() if n == rows.STORAGE}
    metadata = {**stated, **_metadata(tiles)}
    with world.store.writing():
        world.store.run(
            "update collections set metadata = ?, metadata_due_ms = null"
            " where seq = ? and metadata_due_ms = ?",
            encode(metadata),
            collection.seq,
            collection.metadata_due_ms,
        )


def _metadata(tiles: Iterable[Row]) -> JsonObject:
    times: list[int] = []
    extent: Box | None = None
    coarsest: list[float] = []
    for tile in tiles:
        if tile["sensing_ms"] is not None:
            times.append(tile["sensing_ms"])
        facts = decode_object(tile["facts"])
        box = _extent(tile, facts)
        extent = box if extent is None else extent.union(box)
        additional = cast("JsonObject", facts["additionalData"])
        coarsest.append(cast("float", additional["maxMetersPerPixel"]))
    if extent is None:
        return {}
    has_times = "NO" if not times else "YES" if len(times) == len(coarsest) else "PARTIALLY"
    metadata: JsonObject = {
        "extent": extent.polygon(),
        "maxMetersPerPixel": max(median(coarsest) * RESOLUTION_FACTOR, STRICTEST_LIMIT_M),
        "hasSensingTimes": has_times,
    }
    if times:
        metadata["fromSensingTime"] = instant(min(times))
        metadata["toSensingTime"] = instant(max(times))
    return metadata


def _extent(tile: Row, facts: JsonObject) -> Box:
    if tile["cover"] is not None:
        return geometry.bounds(decode_object(tile["cover"]))
    west, south, east, north = cast("list[Json]", facts["extent"])
    return geometry.Box(*(cast("float", side) for side in (west, south, east, north)))
