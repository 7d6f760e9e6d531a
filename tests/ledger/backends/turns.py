"""Stories that run at the same time, in an order that a test decides, step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

_STEPS = (
    "head",
    "acquire",
    "beat",
    "bury",
    "release",
    "repair",
    "append",
    "replace",
)


class Turns:
    """Whoever asks for a turn waits until it is chosen."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def take(self, who: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting[who] = turn
        await turn

    async def play(
        self, choices: Iterator[int], stories: dict[str, Coroutine[Any, Any, Any]]
    ) -> dict[str, Any]:
        """
        Let the stories go on one at a time.

        Args:
            choices: which of those that wait is next, counted round; the first one, once it ends

        Returns:
            what each returned, or raised
        """
        tasks = {who: asyncio.ensure_future(story) for who, story in stories.items()}
        while not all(task.done() for task in tasks.values()):
            active = {who for who, task in tasks.items() if not task.done()}
            if active - set(self._waiting):
                # Threads have to get on as well.
                await asyncio.sleep(0.0005)
                continue
            order = sorted(active)
            chosen = order[next(choices, 0) % len(order)]
            self._waiting.pop(chosen).set_result(None)
        ended = await asyncio.gather(*tasks.values(), return_exceptions=True)
        return dict(zip(tasks, ended, strict=True))


class TurnTaking:
    """A backend whose every step waits for its turn."""

    def __init__(self, inner: Any, turns: Turns, who: str) -> None:
        self._inner = inner
        self._turns = turns
        self._who = who

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in _STEPS:
            return found

        async def step(*arguments: Any, **options: Any) -> Any:
            await self._turns.take(self._who)
            return await found(*arguments, **options)

        return step


def every(options: int, length: int) -> Iterator[Sequence[int]]:
    """Every sequence of choices of this length."""
    import itertools

    yield from itertools.product(range(options), repeat=length)
