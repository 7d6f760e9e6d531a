"""
What was due before a request happens first: every family brought up to date.

Nothing runs until somebody looks. So whoever looks, at whatever time, finds what would be there if
somebody had looked all along. What takes long goes on in a thread while others are served: one
settling at a time for each account, for which its requests wait within a bound, and then see what there is by then.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from shplan.sandbox import (
    async_process,
    batch,
    batch_statistics,
    batch_v1,
    far_ingestion,
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


def begin(world: World) -> dict[str, asyncio.Task[None]]:
    """
    Bring tasks up to date as far as that takes no work, and have the rest done beside the loop.

    Each account has turns of its own: what takes long for one keeps no other waiting.

    Returns:
        what goes on, by account; those that are not there are up to date
    """
    loop = asyncio.get_running_loop()
    # A task of a loop that has ended, or of another thread's, is nothing to wait for.
    world.settling = {
        account: going
        for account, going in world.settling.items()
        if not going.done() and going.get_loop() is loop
    }
    for account in task_settling.due_accounts(world, TASKS):
        if account in world.settling:
            continue
        # Whoever has an endpoint looks there first, for what tasks read.
        step = None if world.remote is not None else _next(world, account)
        if step is not None or world.remote is not None:
            world.settling[account] = loop.create_task(_go_on(world, account, step))
    if not world.settling:
        task_settling.forget(world, TASKS)
    return dict(world.settling)


def _next(world: World, account: str) -> Step[Any] | None:
    return task_settling.next_step(world, TASKS, account=account)


async def _go_on(world: World, account: str, step: Step[Any] | None) -> None:
    while True:
        if step is None:
            await far_ingestion.settle(world, account)
            if world.is_closed:
                return
            with world.holding():
                step = _next(world, account)
            if step is None:
                return
        # Not in turn with searches of the catalogue: they would wait for it.
        result = await beside(step.work, in_turn=False)
        if world.is_closed:
            return
        with world.holding():
            step = step.done(result)


async def waited(*goings: asyncio.Task[None]) -> None:
    """
    Wait for what goes on, but not for ever; it goes on even if nobody waits.

    Raises:
        Exception: what it failed of
    """
    finished, _ = await asyncio.wait(goings, timeout=MOST_WAIT_S)
    for going in finished:
        if not going.cancelled():
            going.result()


async def settle(world: World) -> None:
    """
    Bring everything up to date before a request is served, within the bound.

    Raises:
        Exception: as `waited`
    """
    with world.holding():
        goings = begin(world)
    if goings:
        await waited(*goings.values())
    with world.holding():
        finish(world, {})


def finish(world: World, params: Mapping[str, str]) -> None:
    """Bring up to date what is no task and what a request can see; `params` are those of its path."""
    zarr_ingestion.settle(world)
    if "collection" in params:
        ingestion.settle(world, params["collection"])


def settle_at_once(world: World, params: Mapping[str, str]) -> None:
    """Bring up to date what a caller can see who has no loop; it waits as long as that takes."""
    far_ingestion.settle_at_once(world)
    task_settling.settle_at_once(world, TASKS)
    finish(world, params)
