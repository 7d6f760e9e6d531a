from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shplan.sandbox.settings import Settings

from .support import BUCKET, Driver, sandbox


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Driver]:
    """A fresh sandbox, with a token; its chances are the same in every run."""
    with sandbox(tmp_path, settings=Settings(seed="tests")) as driver:
        yield driver.login()


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """The directory of the bucket that collections of the tests use."""
    place = tmp_path / "buckets" / BUCKET
    place.mkdir(parents=True)
    return place
