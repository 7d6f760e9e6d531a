"""One warm worker for each engine: most tests read one script and leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shplan.script import Limits, Worker
from tests.script.scripts import ENGINES
from tests.support.workers import own_workers


@pytest.fixture(autouse=True, scope="package")
def processes_of_their_own() -> Iterator[None]:
    """How they start and end is what is tested here."""
    with own_workers():
        yield


@pytest.fixture(scope="session")
def workers() -> Iterator[dict[str, Worker]]:
    # Generous, because what is tested here ends by itself, on however busy a machine.
    limits = Limits(time_s=20)
    made = {engine: Worker(limits=limits, engine=engine) for engine in ENGINES}
    yield made
    for worker in made.values():
        worker.close()


@pytest.fixture(params=ENGINES)
def worker(request: pytest.FixtureRequest, workers: dict[str, Worker]) -> Worker:
    return workers[request.param]
