"""Calls beside the loop: bounded, raised where they are awaited, and waited for by nobody."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from shplan.storage.threads import Threads, ahead


def test_what_a_call_returns_or_raises_comes_back() -> None:
    async def run() -> None:
        threads = Threads(2)
        assert await threads.run(lambda: 3) == 3
        with pytest.raises(KeyError, match="x"):
            await threads.run(lambda: {}["x"])
        # What ends a program ends it where it is awaited.
        with pytest.raises(SystemExit):
            await threads.run(sys.exit)

    asyncio.run(run())


def test_no_more_than_so_many_at_once() -> None:
    running, most, lock = [0], [0], threading.Lock()

    def call() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1

    async def run() -> None:
        threads = Threads(3)
        await asyncio.gather(*(threads.run(call) for _ in range(20)))

    asyncio.run(run())
    assert most[0] == 3


def test_who_stops_at_once_waits_for_no_answer() -> None:
    """A process whose bucket never answers ends all the same."""
    program = (
        "import asyncio, time\n"
        "from shplan.storage.threads import Threads\n"
        "async def run():\n"
        "    await asyncio.wait_for(Threads(1).run(lambda: time.sleep(60)), 0.1)\n"
        "try:\n"
        "    asyncio.run(run())\n"
        "except TimeoutError:\n"
        "    print('stopped')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30
    )
    assert (done.stdout, done.stderr, done.returncode) == ("stopped\n", "", 0)


def test_an_answer_that_comes_too_late_disturbs_nobody() -> None:
    go = threading.Event()
    threads = Threads(1)

    async def run() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(threads.run(lambda: go.wait(30)), 0.05)
        assert await threads.run(lambda: 1) == 1

    asyncio.run(run())
    late = [one for one in threading.enumerate() if one.name == "bucket"]
    go.set()
    for one in late:
        one.join(10)
    assert late


def test_one_loop_after_another_may_be_crowded() -> None:
    threads = Threads(2)

    async def crowd() -> list[int]:
        return list(await asyncio.gather(*(threads.run(lambda: 1) for _ in range(8))))

    for _ in range(2):
        assert asyncio.run(crowd()) == [1] * 8


def test_the_next_step_is_on_its_way_while_one_is_used() -> None:
    """Whoever uses one keeps the loop busy; the thread of the next does not wait for it."""
    begun = [threading.Event() for _ in range(3)]

    async def steps() -> AsyncGenerator[int, None]:
        threads = Threads(1)
        for number, event in enumerate(begun):
            await threads.run(event.set)
            yield number

    async def run() -> list[int]:
        used = []
        async for number in ahead(steps()):
            if number + 1 < len(begun):
                # Without giving way to the loop.
                assert begun[number + 1].wait(10)
            # And no further than that.
            assert not any(event.is_set() for event in begun[number + 2 :])
            used.append(number)
        return used

    assert asyncio.run(run()) == [0, 1, 2]


def test_who_does_not_go_on_leaves_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    ended = []

    async def steps() -> AsyncGenerator[int, None]:
        try:
            yield 1
            raise KeyError
        finally:
            ended.append("closed")

    async def run() -> None:
        async with aclosing(ahead(steps())) as some:
            assert await anext(some) == 1
        async with aclosing(ahead(steps())) as some:
            assert await anext(some) == 1
            with pytest.raises(KeyError):
                await anext(some)

    asyncio.run(run())
    gc.collect()
    assert ended == ["closed", "closed"]
    assert caplog.text == ""
