"""
Conditional writes whose outcome is known: what no answer tells, reading decides.

A write may have been carried out although its answer was lost, and what a library then sends again
meets its own work and is refused. So every refusal is looked at: if what is there is what was to be
written, it was written. For the same reason a write may be sent again as often as one likes.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from shplan.core.errors import StorageError
from shplan.storage.objects import Objects
from shplan.storage.port import ConditionError, UnansweredError

_ATTEMPTS: Final = 3
_QUESTION: Final = b"Does this store obey the conditions of writes?\n"


async def _at_once(seconds: float) -> None:
    """Wait for nothing: who has no patience never waits."""


@dataclass(frozen=True, slots=True)
class Patience:
    """
    For how long a store that does not answer is asked again.

    Args:
        most_s: from the beginning of a write; 0: it is not
        pause_s: before the first repetition; doubled before each further one
        monotonic: seconds of a clock that never jumps
        sleep: waits so many seconds
    """

    most_s: float = 0.0
    pause_s: float = 0.2
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = _at_once


NO_PATIENCE: Final = Patience()


async def put(
    objects: Objects,
    key: str,
    content: bytes,
    *,
    over: str | None,
    patience: Patience = NO_PATIENCE,
) -> str:
    """
    Write an object and return its ETag; content that others could write as well proves nothing.

    Args:
        objects: the bucket
        key: its name
        content: unlike that of every other writer
        over: ETag of the version whose place it takes, None: only where there is none
        patience: with a store that does not answer

    Raises:
        ConditionError: something else is there; nothing was written
        StorageError: it is unknown whether it was written
    """
    until = patience.monotonic() + patience.most_s
    pause_s = patience.pause_s
    while True:
        try:
            return await _put(objects, key, content, over)
        except UnansweredError:
            left_s = until - patience.monotonic()
            if left_s <= 0:
                raise
            await patience.sleep(min(pause_s, left_s))
            pause_s *= 2


async def _put(objects: Objects, key: str, content: bytes, over: str | None) -> str:
    for left in range(_ATTEMPTS - 1, -1, -1):
        try:
            return await objects.put(key, content, over=over)
        except StorageError as error:
            there = await objects.get(key)
            if there is not None and there.content == content:
                return there.etag
            if (None if there is None else there.etag) != over:
                msg = f"{objects.name}/{key} was written by somebody else"
                raise ConditionError(msg) from error
            # Nothing has changed. Two writers at the same moment are both asked to try again;
            # any other refusal will be the same the next time.
            if not left or not isinstance(error, ConditionError):
                raise
    raise AssertionError


async def demand_conditions(objects: Objects, key: str) -> None:
    """
    Make sure that the store obeys conditions, by writes that it has to refuse.

    Raises:
        StorageError: it does not, or it cannot be written at all
    """
    if not await _refuses(objects, key, None):
        # The first time there was nothing yet; from now on there is.
        await _demand(objects, key, None)
    await _demand(objects, key, "0" * 32)


async def has_asked(objects: Objects, key: str) -> bool:
    """Tell whether nothing lies there but the question that `demand_conditions` asks."""
    found = await objects.get(key)
    return found is None or found.content == _QUESTION


async def _demand(objects: Objects, key: str, over: str | None) -> None:
    if not await _refuses(objects, key, over):
        msg = (
            f"{objects.name} ignores the conditions of writes (If-None-Match, If-Match): "
            "two writers would overwrite each other"
        )
        raise StorageError(msg)


async def _refuses(objects: Objects, key: str, over: str | None) -> bool:
    try:
        await objects.put(key, _QUESTION, over=over)
    except ConditionError:
        return True
    return False
