"""
Blocking calls beside the event loop, in threads that nobody waits for at the end.

A thread of asyncio's own pool is waited for when the loop closes: a second interrupt, which stops
at once, would last as long as the slowest answer of a bucket.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")
# A step is handed from task to task before its thread begins.
_TURNS = 4


class Threads:
    """
    Runs calls in threads of their own.

    Args:
        most: how many run at the same time
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._slots = asyncio.Semaphore(most)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, call: Callable[[], T]) -> T:
        """Return what the call returns, or raise what it raises; a cancelled one is left alone."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Those who wait belong to one loop; what is left of an earlier one waits no more.
            self._loop, self._slots = loop, asyncio.Semaphore(self._most)
        answer: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)  # type: ignore[arg-type]  # a T, where nothing was raised

        def work() -> None:
            result: T | None = None
            raised: BaseException | None = None
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
                raised = error
            # The loop may have ended in the meantime: then nobody listens.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, result, raised)

        async with self._slots:
            threading.Thread(target=work, name="bucket", daemon=True).start()
            return await answer


async def whole(step: Coroutine[object, object, U]) -> U:
    """
    Let a step come to its end, also where whoever asked is cancelled meanwhile: then that is said.

    Half a step would leave behind what nobody knows: a request on its way, an answer unread. Who is
    cancelled a second time does not wait any longer, as if the process had ended.
    """
    task = asyncio.ensure_future(step)
    try:
        await asyncio.wait((task,))
    except asyncio.CancelledError:
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            task.cancel()
            raise
        # What it raised is of no use to who is gone; asked for, so that nobody complains.
        if not task.cancelled():
            task.exception()
        raise
    return task.result()


async def ahead(steps: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """
    Yield what `steps` yields; the next is on its way already while one is used.

    One, so that no more than two lie in memory. Whoever uses it may keep the loop to itself for as
    long: the waiting is done by threads.
    """
    coming = _following(steps)
    try:
        while True:
            try:
                here = await coming
            except StopAsyncIteration:
                return
            coming = _following(steps)
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            yield here
    finally:
        coming.cancel()
        await asyncio.wait((coming,))
        # What it raised is of no use to who does not go on; asked for, so that nobody complains.
        if not coming.cancelled():
            coming.exception()
        await steps.aclose()


def _following(steps: AsyncGenerator[T, None]) -> asyncio.Future[T]:
    async def step() -> T:
        return await anext(steps)

    return asyncio.ensure_future(step())
