"""
Work beside the loop: what takes seconds must not keep everybody else from being served.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# One after the other: on two cores more of them would be in each other's way, and geometries that
# are kept from one search for the next are prepared by one thread at a time.
_TURN = threading.Lock()


async def beside(work: Callable[[], T], *, in_turn: bool = True) -> T:
    """
    Do some work in a thread, and wait for it without keeping others waiting.

    Args:
        work: touches nothing that belongs to the loop
        in_turn: whether one such work is done after the other

    Returns:
        what it returns; what it raises is raised here
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        with _TURN if in_turn else nullcontext():
            if done.cancelled():
                return
            try:
                settle = partial(done.set_result, work())
            except BaseException as error:  # noqa: BLE001 it is raised where it is waited for
                settle = partial(done.set_exception, error)
        _tell(loop, done, settle)

    # A daemon: who ends the sandbox does not wait for a search.
    threading.Thread(target=run, daemon=True).start()
    return await done


def _tell(
    loop: asyncio.AbstractEventLoop, done: asyncio.Future[Any], settle: Callable[[], None]
) -> None:
    def if_awaited() -> None:
        if not done.done():
            settle()

    if not loop.is_closed():
        loop.call_soon_threadsafe(if_awaited)
