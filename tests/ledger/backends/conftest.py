"""A database for each test, on one server for all."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.ledger.backends.places import BucketPlace, DirectoryPlace, Place, PostgresPlace, Schemas
from tests.support.postgres import Cluster, cluster

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # The workers of one session lie beside each other.
        shared = shared.parent
    with cluster(shared) as server:
        yield server


@pytest.fixture
def database(postgres: Cluster) -> Iterator[Mapping[str, str]]:
    import psycopg

    name = f"test_{os.getpid()}_{next(_NUMBERS)}"
    with psycopg.connect(autocommit=True, **postgres.parameters("postgres")) as connection:
        connection.execute(f"CREATE DATABASE {name} STRATEGY file_copy")  # type: ignore[arg-type]
        yield postgres.parameters(name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


@pytest.fixture(params=["directory", "s3", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "postgres":
        return PostgresPlace(request.getfixturevalue("database"))
    return BucketPlace() if request.param == "s3" else DirectoryPlace(tmp_path / "ledger")


@pytest.fixture(params=["directory", "s3"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Place]:
    """A place for each example of a law."""
    if request.param == "s3":
        return BucketPlace
    return lambda: DirectoryPlace(tmp_path / str(next(_NUMBERS)) / "ledger")


@pytest.fixture
def schemas(database: Mapping[str, str]) -> Schemas:
    return Schemas(database)


@pytest.fixture
def table(database: Mapping[str, str]) -> PostgresPlace:
    return PostgresPlace(database)
