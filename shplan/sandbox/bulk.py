"""
Tiles by the thousand, for measuring: inserted as ingested, without any look at files.

They take the facts of one tile that was really ingested. Nothing of the service does this;
it stands behind `/_sandbox/populate`.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from shplan.sandbox import byoc_rows as rows
from shplan.sandbox import ingestion, lifecycle
from shplan.sandbox.errors import bad_payload, not_found

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shplan.sandbox.world import World

# A transaction's pages stand in the journal until it ends.
AT_ONCE = 10_000


def populate(world: World, collection_id: str, *, like: str, paths: Iterable[str]) -> int:
    """
    Add ingested tiles to a collection, some thousands in one transaction.

    Args:
        world: the open sandbox
        collection_id: collection that gets the tiles
        like: identifier of its ingested tile whose facts they take
        paths: one for each tile, none of them taken

    Returns:
        how many were added

    Raises:
        ApiError: 404, no such collection or tile; 400, the tile is not ingested
    """
    ingestion.settle(world, collection_id)
    collection = rows.find_collection(world.store, collection_id)
    model = None
    if collection is not None:
        model = rows.find_tile(world.store, collection.seq, like)
    if collection is None or model is None:
        msg = "There is no such collection or tile."
        raise not_found(msg)
    if model["outcome"] != lifecycle.INGESTED:
        msg = "The tile is not ingested."
        raise bad_payload(msg)
    added = 0
    remaining = iter(paths)
    while some := list(islice(remaining, AT_ONCE)):
        with world.store.writing():
            rows.insert_alike(world.store, model, some, now_ms=world.now_ms())
        added += len(some)
    return added


def numbered(prefix: str, count: int) -> Iterator[str]:
    """So many paths, in the order of their names."""
    return (f"{prefix}{number:07d}/(BAND).tiff" for number in range(count))
