"""
Zarr ingestion brought up to date: groups whose ingestion is over are read, and what was found stored.

There is no background task. A group is read once, when somebody first looks after its time, and
within bounds; reading it changes nothing in the bucket.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shplan.sandbox import zarr_rows
from shplan.sandbox.wire import encode
from shplan.sandbox.zarr_files import ZarrError

if TYPE_CHECKING:
    from shplan.sandbox.storage import Storage
    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.world import World
    from shplan.sandbox.zarr_import import Import
    from shplan.sandbox.zarr_metadata import ArrayMetadata
    from shplan.sandbox.zarr_rows import ZarrCollection

UNREADABLE = "The files of the group cannot be read."
# A bug of the sandbox.
UNFORESEEN = "The files of the group are not understood."


def settle(world: World) -> None:
    """
    Read every group whose ingestion was over before now.

    What lies behind an endpoint is not read here, where others would wait: see `far_ingestion`.
    """
    for collection in zarr_rows.due(world.store, now_ms=world.now_ms()):
        if not world.storage.is_far(collection.bucket):
            store(world, collection, reader(world, collection).read())


@dataclass(frozen=True, slots=True)
class Found:
    """
    What became of a group.

    Args:
        group: none of one that failed
        errors: why, or what was left out
    """

    group: Import | None
    errors: str | None


@dataclass(frozen=True, slots=True)
class Reader:
    """
    Reads a group; asks neither the store nor the settings, so that any thread may.

    Args:
        before: what was ingested already, as `zarr_import.examined` takes it
        skips: the same
    """

    storage: Storage
    collection: ZarrCollection
    before: dict[str, JsonObject]
    skips: bool

    def read(self) -> Found:
        """What becomes of it; never raises."""
        # Brings numpy; most sandboxes have no Zarr.
        from shplan.sandbox import zarr_import  # noqa: PLC0415

        try:
            group = zarr_import.examined(
                self.storage, self.collection, before=self.before, skips=self.skips
            )
        except ZarrError as error:
            return Found(None, str(error))
        except OSError:
            return Found(None, UNREADABLE)
        except Exception:  # noqa: BLE001 one bad group must not keep others from being served
            return Found(None, UNFORESEEN)
        return Found(group, group.told)


def reader(world: World, collection: ZarrCollection) -> Reader:
    """Who reads the group of a collection, as the sandbox is set now."""
    before = zarr_rows.arrays_of(world.store, collection.seq)
    skips = world.settings.zarr_offending_arrays == "skip"
    return Reader(world.storage, collection, before, skips)


def store(world: World, due: ZarrCollection, found: Found) -> None:
    """Store what became of a group, unless somebody sent it round again meanwhile."""
    outcome = zarr_rows.FAILED if found.group is None else zarr_rows.INGESTED
    with world.store.writing():
        fresh = zarr_rows.find(world.store, due.id)
        if fresh is None or fresh.outcome is not None or fresh.round != due.round:
            return
        zarr_rows.end_round(world.store, due.seq, outcome=outcome, errors=found.errors)
        if found.group is not None:
            arrays = [(one.name, encode(one.content), _text(one)) for one in found.group.arrays]
            zarr_rows.replace_contents(world.store, due.seq, facts=found.group.facts, arrays=arrays)


def _text(array: ArrayMetadata) -> str | None:
    return None if array.attributes is None else encode(array.attributes)
