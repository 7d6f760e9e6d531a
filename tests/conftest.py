"""What holds for every test: the same examples every time, and no network but loopback."""

from __future__ import annotations

import gc
import ipaddress
import itertools
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.support.postgres import Cluster

pytest_plugins = ["tests.support.canaries"]
_NUMBERS = itertools.count()

# Derandomised: a red test is red for everybody. Slow machines are no failures of the code.
# Each law gets a fixed sample of examples, and `make slow` many times as many.
for profile, examples in (("shplan", 15), ("thorough", 100)):
    settings.register_profile(
        profile,
        derandomize=True,
        deadline=None,
        max_examples=examples,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
settings.load_profile("shplan")

# Nothing becomes garbage while thousands of tests are gathered, and to look for it takes seconds.
gc.disable()

# Ledgers and databases wait for the disk each time they are written, which protects from a loss of
# power. No test causes one, so their files lie in memory where there is plenty.
MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 4e9:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    from tests.support.order import arranged

    items[:] = arranged(items)


def pytest_collection_finish() -> None:
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def only_loopback() -> Iterator[None]:
    """Nothing leaves this machine, whatever a test gets wrong."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else None
        if isinstance(host, str) and not _is_loopback(host):
            raise AssertionError(f"a test connects to {host}")
        connect(self, address)

    socket.socket.connect = guarded  # type: ignore[method-assign, assignment]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]


@pytest.fixture(autouse=True, scope="session")
def patient_sandboxes() -> Iterator[None]:
    """What a sandbox of this process answers does not depend on how busy the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shplan.sandbox.settling.MOST_WAIT_S", 250.0)
        yield


@pytest.fixture(autouse=True, scope="session")
def kept_workers() -> Iterator[None]:
    """What runs the scripts of one test runs those of the next."""
    from tests.support import workers

    with workers.kept_workers():
        yield


@pytest.fixture(autouse=True, scope="session")
def one_of_each() -> Iterator[None]:
    """What every test would make alike is made once."""
    from tests.support import once

    with once.made_once():
        yield


@pytest.fixture(autouse=True, scope="session")
def nobodys_buckets() -> Iterator[None]:
    """AWS variables open buckets: those of whoever runs the tests are not ours to read."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [one for one in os.environ if one.startswith("AWS_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The server that all workers of a session share."""
    from tests.support.postgres import cluster

    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # The workers of one session lie beside each other.
        shared = shared.parent
    with cluster(shared) as server:
        yield server


@pytest.fixture
def database(postgres: Cluster) -> Iterator[Mapping[str, str]]:
    """An empty database: the parameters of a connection."""
    import psycopg

    name = f"test_{os.getpid()}_{next(_NUMBERS)}"
    with psycopg.connect(autocommit=True, **postgres.parameters("postgres")) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        yield postgres.parameters(name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
