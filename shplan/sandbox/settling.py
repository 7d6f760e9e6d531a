"""
What was due before a request happens first: every family brought up to date.

Nothing runs in the background. So whoever looks, at whatever time, finds what would be there if
somebody had looked all along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.sandbox import async_process, batch, batch_v1, ingestion, task_settling, zarr_ingestion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shplan.sandbox.world import World

# What spends processing units as time passes.
TASKS = (batch.STEPS, batch_v1.STEPS, async_process.STEPS)


def settle(world: World, params: Mapping[str, str]) -> None:
    """Bring up to date what a request can see; `params` are those of its path."""
    task_settling.settle(world, TASKS)
    zarr_ingestion.settle(world)
    if "collection" in params:
        ingestion.settle(world, params["collection"])
