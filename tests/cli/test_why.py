"""`shplan why` words each term of a cost, and what its price is the product of."""

from __future__ import annotations

from shplan.core.cost import Cost, calls
from shplan.core.job_cost import CostInput, Features, Output, Samples, Source
from shplan.core.job_terms import batch_cost
from shplan.views.costs import explain_cost


def job(features: int = 215, samples: Samples | None = None) -> Cost:
    return batch_cost(
        CostInput(
            (Features(features, 2004, 2004, counted="tiles of the UTM 20km grid", noun="tiles"),),
            (Source(("B04", "B08"), samples or Samples()),),
            (Output("FLOAT32", "image/tiff"),),
        )
    )


def test_calls_are_a_number_times_a_price() -> None:
    assert explain_cost(calls(2, label="create tiles")) == [
        "  cost: 2 PU",
        (
            "    2 x 1 PU to create tiles (processing units: one for each BYOC or Zarr call that"
            " is not a GET)"
        ),
    ]


def test_a_job_is_the_product_of_its_factors() -> None:
    assert explain_cost(job(samples=Samples(0, 10, 30, "samples over 30 days"))) == [
        "  cost: 100 to 43,917.004 PU, 14,639.001 PU expected",
        (
            "    215 x 204.265 PU to process tiles of 2004 x 2004 px (tiles of the UTM 20km grid):"
            " 0 to 43,917.004 PU, 14,639.001 PU expected"
        ),
        "      = 15.32 x 2/3 x 2 x 30 x 1/3",
        "      15.32  area: 2004 x 2004 px over 262,144 (processing units: at least 0.01)",
        "        2/3  bands: 2 input bands over 3 (processing units: dataMask is free unless alone)",
        "          2  format: 32-bit float (processing units: 2 for TIFF of 32-bit floats)",
        (
            "         30  samples over 30 days; 0 at least, 10 expected (processing units: data"
            " samples per pixel)"
        ),
        "        1/3  batch discount (processing units: a third from 10,000 pixels a tile)",
    ]


def test_what_is_added_to_reach_the_minimum_is_a_term() -> None:
    first, *_, last = explain_cost(job(features=1))
    assert first == "  cost: 100 PU"
    assert last == (
        "    1 x 93.191 PU to reach the minimum of 100 PU (processing units: the least that a"
        " batch request costs)"
    )
