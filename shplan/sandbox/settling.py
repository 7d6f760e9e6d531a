"""
What was due before a request happens first: every family brought up to date.

Nothing runs until somebody looks. So whoever looks, at whatever time, finds what would be there if
somebody had looked all along. What takes long goes on in a thread while others are served: one
settling at a time, for which a request waits within a bound, and then sees what there is by then.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from shplan.sandbox import (
    async_process,
    batch,
    batch_statistics,
    batch_v1,
    ingestion,
    task_settling,
    zarr_ingestion,
)
from shplan.sandbox.beside import beside

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shplan.sandbox.task_settling import Step
    from shplan.sandbox.world import World

# What spends processing units as time passes.
TASKS = (batch.STEPS, batch_v1.STEPS, async_process.STEPS, batch_statistics.STEPS)

# Shorter than any client waits for an answer: httpx gives up after five seconds.
MOST_WAIT_S = 4.0


def begin(world: World) -> asyncio.Task[None] | None:
    """
    Bring tasks up to date as far as that takes no work, and have the rest done beside the loop.

    Returns:
        what goes on; none: they are up to date
    """
    going = world.settling
    loop = asyncio.get_running_loop()
    # A task of a loop that has ended, or of another thread's, is nothing to wait for.
    if going is not None and not going.done() and going.get_loop() is loop:
        return going
    step = task_settling.next_step(world, TASKS)
    world.settling = None if step is None else loop.create_task(_go_on(world, step))
    return world.settling


async def _go_on(world: World, step: Step[Any] | None) -> None:
    while step is not None:
        # Not in turn with searches of the catalogue: they would wait for it.
        result = await beside(step.work, in_turn=False)
        if world.is_closed:
            return
        with world.holding():
            step.done(result)
            step = task_settling.next_step(world, TASKS)


async def waited(going: asyncio.Task[None]) -> None:
    """
    Wait for what goes on, but not for ever; it goes on even if nobody waits.

    Raises:
        Exception: what it failed of
    """
    finished, _ = await asyncio.wait({going}, timeout=MOST_WAIT_S)
    if finished and not going.cancelled():
        going.result()


async def settle(world: World) -> None:
    """
    Bring everything up to date before a request is served, within the bound.

    Raises:
        Exception: as `waited`
    """
    with world.holding():
        going = begin(world)
    if going is not None:
        await waited(going)
    with world.holding():
        finish(world, {})


def finish(world: World, params: Mapping[str, str]) -> None:
    """Bring up to date what is no task and what a request can see; `params` are those of its path."""
    zarr_ingestion.settle(world)
    if "collection" in params:
        ingestion.settle(world, params["collection"])


def settle_at_once(world: World, params: Mapping[str, str]) -> None:
    """Bring up to date what a caller can see who has no loop; it waits as long as that takes."""
    task_settling.settle_at_once(world, TASKS)
    finish(world, params)
