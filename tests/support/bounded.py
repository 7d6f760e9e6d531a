"""A bound for what hostile input may cost: far above what it takes, far below what hangs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

# Seconds of this process, on the slowest and busiest machine that tests run on.
MOST_CPU_S = 30.0


@contextmanager
def bounded(what: str = "") -> Iterator[None]:
    """Fail if the work takes so long that it must depend on more than the size of its input."""
    began = time.process_time()
    yield
    took_s = time.process_time() - began
    assert took_s < MOST_CPU_S, f"{what or 'it'} took {took_s:.1f} s"
