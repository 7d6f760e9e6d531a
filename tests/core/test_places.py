"""Places that runs have delivered to: found by their beginning, as by comparing each pair."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shplan.core.paths import same_places
from shplan.core.places import TakenPlaces
from shplan.core.resource import Receipt
from shplan.core.runs import RunRecord

PARTS = ["a", "b", "/", "<requestId>", "<tileName>", "<outputId>", ".tif"]
TEMPLATES = st.lists(st.sampled_from(PARTS), max_size=6).map(lambda some: "s3://r/" + "".join(some))


def runs(templates: list[str]) -> dict[str, RunRecord]:
    found = {}
    for at, template in enumerate(templates):
        receipt = receipt_of(f"key{at}", template)
        found[receipt.key] = RunRecord(receipt.key, receipt=receipt)
    return found


def receipt_of(key: str, template: str) -> Receipt:
    return Receipt(key, 1, f"task of {key}", "DONE", outputs={"template": template})


@given(st.lists(TEMPLATES, max_size=8), TEMPLATES, st.integers(0, 8))
def test_finds_the_first_that_may_write_the_same_object(
    templates: list[str], delivery: str, own: int
) -> None:
    expected = next(
        (
            f"key{at}"
            for at, template in enumerate(templates)
            if at != own and same_places(template, delivery)
        ),
        None,
    )
    taken = TakenPlaces(runs(templates)).taken(delivery, key=f"key{own}")
    assert (None if taken is None else taken.key) == expected
