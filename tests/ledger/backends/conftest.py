"""A database for each test, on one server for all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.ledger.backends.places import BucketPlace, DirectoryPlace, Place, PostgresPlace, Schemas

_NUMBERS = itertools.count()


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
