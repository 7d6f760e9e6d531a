"""Nothing that is read crashes what reads it: a fixed sample of what `make fuzz` tries."""

from __future__ import annotations

import pytest

from tests.fuzz.bending import bent
from tests.fuzz.targets import TARGETS
from tests.support.bounded import bounded


@pytest.mark.parametrize("name", TARGETS)
def test_good_input_is_read(name: str) -> None:
    target = TARGETS[name]
    for seed in target.seeds:
        try:
            target.read(seed)
        except target.says:
            assert name in ("expressions", "answers", "saved plans")


@pytest.mark.parametrize("name", TARGETS)
def test_bent_input_is_refused_in_words(name: str) -> None:
    target = TARGETS[name]
    with bounded(name):
        for number in range(40):
            try:
                target.read(bent(target.seeds, number))
            except target.says:
                pass


def test_the_same_number_gives_the_same_input() -> None:
    seeds = TARGETS["manifests"].seeds
    assert [bent(seeds, n) for n in range(50)] == [bent(seeds, n) for n in range(50)]
    assert len({bent(seeds, n) for n in range(50)}) > 40
