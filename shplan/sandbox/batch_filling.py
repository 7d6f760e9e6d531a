"""
Results of a batch task as tiles of a BYOC collection: the collection is made, and a feature is a tile.

Source: schema `BatchV2RasterOutput` and the batch pages: with `collectionId` that collection is filled,
else a new one is made with bands derived from the outputs. Assumptions: it is made as processing begins
and named after the task; a tile is there as soon as its feature is done, and was sensed when the range of
time of the first data set begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from shplan.sandbox import batch_rows as rows
from shplan.sandbox import byoc_rows, lifecycle
from shplan.sandbox.batch_requests import delivery_of, sensing_ms
from shplan.sandbox.buckets import BAND
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shplan.sandbox.batch_rows import Task
    from shplan.sandbox.byoc_rows import Collection
    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.world import World


def fills(request: JsonObject) -> bool:
    """Whether the results of a request are to become tiles."""
    output = cast("JsonObject", request["output"])
    return bool(output.get("createCollection")) or output.get("collectionId") is not None


def begin(world: World, task: Task, *, at_ms: int) -> None:
    """Make the collection that the task fills, or give it its bands, unless that was done already."""
    bands = rows.bands_of(world.store, task)
    if bands is None:
        return
    request = task.content
    output = cast("JsonObject", request["output"])
    if output.get("collectionId") is None:
        made = byoc_rows.insert_collection(
            world.store,
            collection_id=world.store.derived("collection", task.id),
            account=task.account,
            now_ms=at_ms,
            values={
                "name": f"batch-{task.id}",
                "bucket": delivery_of(request, task_id=task.id).bucket,
                "bands": bands,
            },
        )
        # How else would anybody learn which one it is.
        output["collectionId"] = made.id
        rows.change(world.store, task, request=encode(request))
        return
    found = byoc_rows.find_collection(world.store, str(output["collectionId"]))
    if found is not None and not found.bands:
        byoc_rows.update_collection(
            world.store,
            found.seq,
            name=found.name,
            bucket=found.bucket,
            no_data=found.no_data,
            bands=cast("dict[str, JsonObject]", bands),
        )


def add(world: World, task: Task, done: Sequence[tuple[str, int]]) -> None:
    """
    Make features that are done tiles, whose files the next look at them reads.

    Args:
        done: their names, and when each of them was done
    """
    request = task.content
    wanted = cast("JsonObject", request["output"]).get("collectionId")
    found = None if wanted is None else byoc_rows.find_collection(world.store, str(wanted))
    # Somebody may have deleted it meanwhile: the files are delivered all the same.
    if found is None or not done:
        return
    delivery = delivery_of(request, task_id=task.id)
    sensed_ms = sensing_ms(cast("JsonObject", request["processRequest"]))
    for name, at_ms in done:
        place = delivery.output(tile=name, output=BAND, media_type="image/tiff")
        tile_id = world.store.derived("tile", task.id, name)
        _add(world, found, place.key, tile_id=tile_id, sensed_ms=sensed_ms, at_ms=at_ms)


def _add(
    world: World,
    collection: Collection,
    path: str,
    *,
    tile_id: str,
    sensed_ms: int | None,
    at_ms: int,
) -> None:
    known = byoc_rows.find_tile_by_path(world.store, collection.seq, path)
    if known is not None:
        # The files are others now, so they are read again.
        byoc_rows.rewrite_tile(
            world.store,
            known,
            facts=encode({}),
            outcome=None,
            round_ms=at_ms,
            queued_ms=at_ms,
            ingesting_ms=at_ms,
            done_ms=at_ms,
        )
        return
    tile = byoc_rows.NewTile(
        id=tile_id,
        path=path,
        created_ms=at_ms,
        sensing_ms=sensed_ms,
        cover=None,
        outcome=None,
        facts={},
    )
    instants = lifecycle.Round(at_ms, at_ms, at_ms, at_ms)
    byoc_rows.insert_tile(world.store, collection.seq, tile, instants)
