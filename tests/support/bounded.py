"""A bound for what hostile input may cost: far above what it takes, far below what hangs."""

from __future__ import annotations

import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Seconds of this process, on the slowest and busiest machine that tests run on.
MOST_CPU_S = 30.0
# Beside what a process with everything loaded holds already.
MOST_MEMORY_BYTES = 1 << 30


@contextmanager
def bounded(what: str = "") -> Iterator[None]:
    """Fail if the work takes so long that it must depend on more than the size of its input."""
    began = time.process_time()
    yield
    took_s = time.process_time() - began
    assert took_s < MOST_CPU_S, f"{what or 'it'} took {took_s:.1f} s"


def in_bounds(work: Callable[[], str], *, memory_bytes: int = MOST_MEMORY_BYTES) -> str:
    """
    Do the work in a process that the system ends when it takes too much time or memory.

    Returns:
        what the work returned; an exception is told as `!` and its traceback, an end by the
        system as `!` and its signal
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(work, writing, memory_bytes)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        told = stream.read().decode()
    status = os.waitpid(child, 0)[1]
    return told if status == 0 else f"! ended by status {status} {told}"


def _work(work: Callable[[], str], writing: int, memory_bytes: int) -> None:
    try:
        most = _address_space_bytes() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CPU, (int(MOST_CPU_S), int(MOST_CPU_S)))
        told = work()
    except BaseException:
        told = f"! {traceback.format_exc()}"
    with os.fdopen(writing, "wb") as stream:
        stream.write(told.encode("utf-8", "replace"))
    sys.stdout.flush()
    os._exit(0)


def _address_space_bytes() -> int:
    try:
        with open("/proc/self/statm") as stream:
            return int(stream.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 4 << 30
