"""
Ingestion of what lies behind an endpoint of S3: read beside the loop, because an endpoint may be slow.

What lies on disk is read in the loop, by `ingestion` and `zarr_ingestion`, which also decide what is stored.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from shplan.sandbox import byoc_rows as rows
from shplan.sandbox import ingestion, zarr_ingestion, zarr_rows
from shplan.sandbox.beside import beside
from shplan.sandbox.task_settling import Step

if TYPE_CHECKING:
    from sqlite3 import Row

    from shplan.sandbox.byoc_rows import Collection
    from shplan.sandbox.ingestion import Examined, Examiner
    from shplan.sandbox.world import World
    from shplan.sandbox.zarr_ingestion import Found
    from shplan.sandbox.zarr_rows import ZarrCollection

# Read before any of it is stored, so that whoever asks beside sees progress.
MOST_AT_ONCE = 16


async def settle(world: World, account: str) -> None:
    """Bring the far collections of an account up to date; others are served meanwhile."""
    far = _Far(world, account)
    while world.remote is not None:
        with world.holding():
            step = far.next_step()
        if step is None:
            return
        result = await beside(step.work, in_turn=False)
        if world.is_closed:
            return
        with world.holding():
            step.done(result)


def settle_at_once(world: World) -> None:
    """The same of all accounts, for a caller who has no loop; it waits as long as that takes."""
    if world.remote is None:
        return
    now_ms = world.now_ms()
    accounts = {one.account for one in zarr_rows.due(world.store, now_ms=now_ms)}
    for account in sorted(accounts | set(rows.due_accounts(world.store, now_ms=now_ms))):
        far = _Far(world, account)
        while (step := far.next_step()) is not None:
            step.done(step.work())


class _Far:
    """The far collections of an account, step by step."""

    def __init__(self, world: World, account: str) -> None:
        self._world = world
        self._account = account
        # What was not stored, because somebody changed it meanwhile, is left to who settles next.
        self._seen: set[tuple[object, ...]] = set()

    def next_step(self) -> Step[Any] | None:
        """What is to be read next; none: all is up to date."""
        for step in (self._tiles(), self._group()):
            if step is not None:
                return step
        return None

    def _tiles(self) -> Step[list[tuple[Row, Examined]]] | None:
        found = _due(self._world, self._account)
        if found is None:
            return None
        collection, tiles = found
        if not self._is_new(tiles[0]["id"], tiles[0]["round_ms"], str(collection.bands)):
            return None
        world, examiner = self._world, ingestion.examiner(self._world)

        def done(results: list[tuple[Row, Examined]]) -> None:
            for tile, examined in results:
                ingestion.store(world, collection, tile, examined)

        return Step(partial(_read, examiner, collection, tiles), done)

    def _group(self) -> Step[Found] | None:
        due = _due_group(self._world, self._account)
        if due is None or not self._is_new(due.id, due.round):
            return None
        world = self._world

        def done(found: Found) -> None:
            zarr_ingestion.store(world, due, found)

        return Step(zarr_ingestion.reader(world, due).read, done)

    def _is_new(self, *state: object) -> bool:
        known = state in self._seen
        self._seen.add(state)
        return not known


def _read(
    examiner: Examiner, collection: Collection, tiles: list[Row]
) -> list[tuple[Row, Examined]]:
    return [(tile, examiner.examined(collection, tile)) for tile in tiles]


def _due(world: World, account: str) -> tuple[Collection, list[Row]] | None:
    """A far collection with tiles that are due; none: there is none."""
    now_ms = world.now_ms()
    for identifier in rows.due_collections(world.store, account, now_ms=now_ms):
        collection = rows.find_collection(world.store, identifier)
        if collection is None or not world.storage.is_far(collection.bucket):
            continue
        # The first tile configures the collection, by which the others are read.
        limit = MOST_AT_ONCE if collection.bands else 1
        if tiles := rows.due_tiles(world.store, collection.seq, now_ms=now_ms, limit=limit):
            return collection, tiles
    return None


def _due_group(world: World, account: str) -> ZarrCollection | None:
    """A far group that is due; none: there is none."""
    for collection in zarr_rows.due(world.store, now_ms=world.now_ms()):
        if collection.account == account and world.storage.is_far(collection.bucket):
            return collection
    return None
