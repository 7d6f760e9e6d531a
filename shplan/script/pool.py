"""
Several workers, for requests that come at the same time; one more than are in use stands ready.

A request that meets a limit costs its worker's process. The next one finds another that has started, because
the start of a process is what takes longest in a small request.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from shplan.script.limits import Limits
from shplan.script.worker import Worker

_DEFAULT_LIMITS = Limits()


class Pool:
    """
    Hands out workers, one thread's each; for any number of threads.

    Args:
        size: how many requests run at the same time; who comes then waits
        limits: of each worker
        engine: as for `Worker`
    """

    def __init__(
        self, size: int, *, limits: Limits = _DEFAULT_LIMITS, engine: str | None = None
    ) -> None:
        self._size = size
        self._limits = limits
        self._engine = engine
        self._free = threading.Semaphore(size)
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._count = 0
        self._closed = False

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        """Take a worker, and give it back in the end; while it is taken it is nobody else's."""
        with self._free:
            worker = self._take()
            try:
                yield worker
            finally:
                self._give(worker)

    def close(self) -> None:
        """End all processes, those in use when they are given back; another request starts others."""
        with self._lock:
            self._closed = True
            for worker in self._idle:
                worker.close()

    def _take(self) -> Worker:
        with self._lock:
            self._closed = False
            worker = self._idle.pop() if self._idle else self._made()
            if not self._idle and self._count <= self._size:
                self._idle.append(self._made())
            for one in self._idle[-1:]:
                one.start()
        return worker

    def _give(self, worker: Worker) -> None:
        with self._lock:
            if self._closed:
                worker.close()
            else:
                worker.start()
            # The last is taken first: one whose process runs.
            self._idle.insert(len(self._idle) if worker.is_ready else 0, worker)

    def _made(self) -> Worker:
        self._count += 1
        return Worker(limits=self._limits, engine=self._engine)
