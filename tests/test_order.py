"""The order in which tests are run loses none of them, and lets no worker begin with all that takes long."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.order import LONG_S, arranged, seconds


@dataclass(frozen=True)
class Known:
    nodeid: str


SHORT = [Known(f"tests/core/test_x.py::test_{number}") for number in range(200)]
LONG = [Known(f"tests/{name}") for name in LONG_S]


@pytest.mark.parametrize("workers", [1, 2, 3, 6, 500])
def test_every_test_is_run_once(workers: int) -> None:
    tests = [*SHORT[:150], *LONG, *SHORT[150:]]
    found = arranged(tests, workers)
    assert sorted(one.nodeid for one in found) == sorted(one.nodeid for one in tests)
    assert [one for one in found if one in SHORT] == SHORT
    assert arranged(found, workers) == found


@pytest.mark.parametrize("workers", [2, 3, 6])
def test_each_worker_begins_with_its_share_of_what_takes_long(workers: int) -> None:
    tests = [*SHORT, *LONG]
    found, size = arranged(tests, workers), len(tests) // workers
    shares = [sum(map(seconds, found[n * size : (n + 1) * size])) for n in range(workers)]
    assert sum(shares) == sum(LONG_S.values())
    assert max(shares) - min(shares) <= max(LONG_S.values())
    for n in range(workers):
        length = [seconds(one) for one in found[n * size : (n + 1) * size]]
        assert length == sorted(length, reverse=True)


def test_one_worker_goes_by_the_files() -> None:
    assert arranged([*SHORT, *LONG], 1) == [*SHORT, *LONG]


def test_a_test_with_parameters_takes_what_its_function_takes() -> None:
    assert seconds(Known("tests/laws/test_canary.py::test_x[1]")) == 0
    name = "tests/sandbox/test_bad_input.py::test_damaged_bodies"
    assert seconds(Known(name + "[a-b]")) == seconds(Known(name)) > 0


@pytest.mark.parametrize("name", LONG_S)
def test_what_is_named_is_there(name: str) -> None:
    file, _, function = name.partition("[")[0].partition("::")
    assert re.search(rf"def {function}\(", (Path(__file__).parent / file).read_text())
