"""Workers for many threads: each is one thread's, and one more stands ready."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from shplan.script import Limits, ScriptError
from shplan.script.pool import Pool
from tests.script.pixels import planes, render, v3
from tests.script.test_worker import process_of

HERE = planes(1, 1, B04=0.25, B08=0.75)
GOOD = v3("return [samples.B04];")
ENDLESS = v3("for (;;) ;")


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool(2, limits=Limits(time_s=20, pixels_s=1), engine="quickjs")
    yield made
    made.close()


def pid(pool: Pool) -> int:
    with pool.worker() as worker:
        assert render(worker, GOOD, HERE).outputs[0].pixels[0, 0, 0] == 0.25
        return process_of(worker).pid


def test_a_worker_that_was_given_back_is_taken_again(pool: Pool) -> None:
    assert pid(pool) == pid(pool)


def test_after_a_limit_a_worker_that_has_started_serves(pool: Pool) -> None:
    first = pid(pool)
    with pool.worker() as worker:
        ended = process_of(worker)
        with pytest.raises(ScriptError):
            render(worker, ENDLESS, HERE)
        assert ended.poll() is not None
    assert first == ended.pid
    with pool.worker() as worker:
        # Before it is asked for anything.
        assert process_of(worker).poll() is None
        assert process_of(worker).pid != first


def test_threads_have_workers_of_their_own_and_wait_for_them(pool: Pool) -> None:
    seen: list[int] = []
    most: list[int] = []
    busy: list[int] = []

    def ask() -> None:
        with pool.worker() as worker:
            busy.append(1)
            most.append(len(busy))
            render(worker, GOOD, HERE)
            seen.append(process_of(worker).pid)
            time.sleep(0.02)
            busy.pop()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(seen) == 8
    assert max(most) <= 2
    assert len(set(seen)) <= 3


def test_closing_ends_what_is_idle_at_once_and_the_rest_when_it_is_given_back(pool: Pool) -> None:
    with pool.worker() as worker:
        render(worker, GOOD, HERE)
        process = process_of(worker)
        pool.close()
        assert process.poll() is None
    assert process.poll() is not None
    assert pid(pool)
