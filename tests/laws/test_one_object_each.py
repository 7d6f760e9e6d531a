"""
However resources depend on each other and are renamed: no two of them end with one object.

Collections of the service may share a name, and are found by it where no id is known; so a plan
in which two would make the same is refused, on whatever levels of dependencies they stand.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from shplan.core.address import Address
from shplan.core.resource import Desired
from tests.support.bench import Bench, FlatSource

NAMES = ("north", "south")
BUCKETS = ("x", "y")
KEYS = st.tuples(st.sampled_from(NAMES), st.sampled_from(BUCKETS))
BEFORE = st.lists(KEYS, min_size=1, max_size=3, unique=True)
AFTER = st.lists(KEYS, min_size=3, max_size=3)
PLACES = st.lists(st.frozensets(st.integers(0, 2), max_size=2), min_size=3, max_size=3)
# Two that are replaced by the same, one of which depends on the other.
TWO_LEVELS = (
    [("north", "x"), ("south", "x")],
    [("north", "y"), ("north", "y"), ("south", "x")],
    [frozenset[int](), frozenset({0}), frozenset[int]()],
)


def resources(keys: list[tuple[str, str]], places: list[frozenset[int]]) -> list[Desired]:
    """One collection for each key; each depends on some of those before it."""
    addresses = [Address("BatchCollection", f"c{at}") for at in range(len(keys))]
    return [
        Desired(
            addresses[at],
            {"name": name, "s3Bucket": bucket},
            FlatSource(),
            depends_on=tuple(addresses[other] for other in sorted(places[at]) if other < at),
        )
        for at, (name, bucket) in enumerate(keys)
    ]


async def one_object_each(
    home: Path,
    before: list[tuple[str, str]],
    after: list[tuple[str, str]],
    places: list[frozenset[int]],
) -> str:
    """Returns how it ended."""
    bench = Bench(home)
    try:
        await bench.apply(*resources(before, places))
        made = [*before, *(("", "") for _ in after[len(before) :])]
        # Another bucket is another object; another name is not, where there is one.
        makes = Counter(new for old, new in zip(made, after, strict=True) if old[1] != new[1])
        twins = any(number > 1 for number in makes.values())
        applied = await bench.apply(*resources(after, places))
        codes = {refusal.diagnostic.code for refusal in applied.planned.plan.refusals}
        assert codes == ({"plan/same-key"} if twins else set())
        recorded = await bench.journal().recorded("sandbox")
        bound = [one.id for one in recorded.values()]
        assert len(set(bound)) == len(bound) == (len(before) if twins else len(after))
        there = (await bench.call("GET", "/api/v1/batch/collections"))["data"]
        assert {one["id"] for one in there} == set(bound)
        wanted = before if twins else after
        assert Counter((one["name"], one["s3Bucket"]) for one in there) == Counter(wanted)
    finally:
        bench.close()
    return "refused" if twins else "applied"


def test_no_two_resources_end_with_one_object() -> None:
    ended: Counter[str] = Counter()

    @settings(
        max_examples=24,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(BEFORE, AFTER, PLACES)
    @example(*TWO_LEVELS)
    def law(
        before: list[tuple[str, str]], after: list[tuple[str, str]], places: list[frozenset[int]]
    ) -> None:
        with tempfile.TemporaryDirectory() as home:
            ended[asyncio.run(one_object_each(Path(home), before, after, places))] += 1

    law()
    assert min(ended["refused"], ended["applied"]) >= 3
