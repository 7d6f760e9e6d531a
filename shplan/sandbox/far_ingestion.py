"""
Ingestion of tiles behind an endpoint of S3: read beside the loop, because an endpoint may be slow.

What lies on disk is read in the loop, by `ingestion`, which also decides what is stored.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from shplan.sandbox import byoc_rows as rows
from shplan.sandbox import ingestion
from shplan.sandbox.beside import beside

if TYPE_CHECKING:
    from sqlite3 import Row

    from shplan.sandbox.byoc_rows import Collection
    from shplan.sandbox.ingestion import Examined, Examiner
    from shplan.sandbox.world import World

# Read before any of it is stored, so that whoever asks beside sees progress.
MOST_AT_ONCE = 16


async def settle(world: World, account: str) -> None:
    """Bring the far collections of an account up to date; others are served meanwhile."""
    seen: set[tuple[object, ...]] = set()
    while world.remote is not None:
        with world.holding():
            found = _due(world, account)
            examiner = ingestion.examiner(world)
        if found is None:
            return
        collection, tiles = found
        # What was not stored, because somebody changed it meanwhile, is left to who settles next.
        state = (tiles[0]["id"], tiles[0]["round_ms"], str(collection.bands))
        if state in seen:
            return
        seen.add(state)

        results = await beside(partial(_read, examiner, collection, tiles), in_turn=False)
        if world.is_closed:
            return
        with world.holding():
            for tile, examined in results:
                ingestion.store(world, collection, tile, examined)


def _read(
    examiner: Examiner, collection: Collection, tiles: list[Row]
) -> list[tuple[Row, Examined]]:
    return [(tile, examiner.examined(collection, tile)) for tile in tiles]


def _due(world: World, account: str) -> tuple[Collection, list[Row]] | None:
    """A far collection with tiles that are due; none: there is none."""
    now_ms = world.now_ms()
    for identifier in rows.due_collections(world.store, account, now_ms=now_ms):
        collection = rows.find_collection(world.store, identifier)
        if collection is None or not _is_far(world, collection.bucket):
            continue
        # The first tile configures the collection, by which the others are read.
        limit = MOST_AT_ONCE if collection.bands else 1
        if tiles := rows.due_tiles(world.store, collection.seq, now_ms=now_ms, limit=limit):
            return collection, tiles
    return None


def _is_far(world: World, bucket: str) -> bool:
    remote = world.remote
    return (
        remote is not None and remote.is_asked_for(bucket) and not world.objects.has_bucket(bucket)
    )
