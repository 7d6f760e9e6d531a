"""
Zarr ingestion brought up to date: groups whose ingestion is over are read, and what was found stored.

There is no background task. A group is read once, when somebody first looks after its time, and
within bounds; reading it changes nothing in the bucket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.sandbox import zarr_rows
from shplan.sandbox.wire import encode
from shplan.sandbox.zarr_files import ZarrError

if TYPE_CHECKING:
    from shplan.sandbox.world import World
    from shplan.sandbox.zarr_metadata import ArrayMetadata
    from shplan.sandbox.zarr_rows import ZarrCollection

UNREADABLE = "The files of the group cannot be read."
# A bug of the sandbox.
UNFORESEEN = "The files of the group are not understood."


def settle(world: World) -> None:
    """Read every group whose ingestion was over before now."""
    now_ms = world.now_ms()
    while (due := zarr_rows.due(world.store, now_ms=now_ms)) is not None:
        _settle_collection(world, due)


def _settle_collection(world: World, due: ZarrCollection) -> None:
    # Read before the lock is taken; stored only if nobody sent it round again meanwhile.
    from shplan.sandbox import zarr_import  # noqa: PLC0415 brings numpy; most sandboxes have no Zarr

    before = zarr_rows.arrays_of(world.store, due.seq)
    found, outcome = None, zarr_rows.FAILED
    try:
        found = zarr_import.examined(
            world.buckets,
            due,
            before=before,
            skips=world.settings.zarr_offending_arrays == "skip",
        )
        errors, outcome = found.told, zarr_rows.INGESTED
    except ZarrError as error:
        errors = str(error)
    except OSError:
        errors = UNREADABLE
    except Exception:  # noqa: BLE001 one bad group must not keep others from being served
        errors = UNFORESEEN
    with world.store.writing():
        fresh = zarr_rows.find(world.store, due.id)
        if fresh is None or fresh.outcome is not None or fresh.round != due.round:
            return
        zarr_rows.end_round(world.store, due.seq, outcome=outcome, errors=errors)
        if found is not None:
            arrays = [(one.name, encode(one.content), _text(one)) for one in found.arrays]
            zarr_rows.replace_contents(world.store, due.seq, facts=found.facts, arrays=arrays)


def _text(array: ArrayMetadata) -> str | None:
    return None if array.attributes is None else encode(array.attributes)
