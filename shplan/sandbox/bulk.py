"""
Tiles by the thousand, for measuring: inserted as ingested, without any look at files.

They take the facts of one tile that was really ingested. Nothing of the service does this;
it stands behind `/_sandbox/populate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.sandbox import byoc_rows as rows
from shplan.sandbox import ingestion, lifecycle
from shplan.sandbox.errors import bad_payload, not_found
from shplan.sandbox.wire import decode_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shplan.sandbox.world import World


def populate(world: World, collection_id: str, *, like: str, paths: Sequence[str]) -> None:
    """
    Add ingested tiles to a collection in one transaction.

    Args:
        world: the open sandbox
        collection_id: collection that gets the tiles
        like: identifier of its ingested tile whose facts they take
        paths: one for each tile, none of them taken

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
    now_ms = world.now_ms()
    facts = decode_object(model["facts"])
    instants = lifecycle.Round(now_ms, now_ms, now_ms, now_ms)
    with world.store.writing():
        for path in paths:
            tile = rows.NewTile(
                id=world.store.mint("tile"),
                path=path,
                created_ms=now_ms,
                sensing_ms=model["sensing_ms"],
                cover=None,
                outcome=lifecycle.INGESTED,
                facts=facts,
            )
            rows.insert_tile(world.store, collection.seq, tile, instants)
