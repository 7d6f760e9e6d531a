"""Costs as text: what was billed beside what was estimated, term by term."""

from __future__ import annotations

import pytest

from shplan.core.cost import Cost, CostTerm, Factor
from shplan.core.cost_form import terms_json
from shplan.core.resource import Receipt
from shplan.views.costs import explain_cost, explain_receipt

SAMPLES = Factor("samples over 30 days", 0, 10, 30, "30", "one a day at most")
TERM = CostTerm("process tiles", 4, 3.0, "a grid", (SAMPLES,), minimum_pu=0.0, expected_pu=4.0)
RAISED = CostTerm("reach the minimum", 1, 88.0, "a page", minimum_pu=100.0, expected_pu=96.0)


def receipt(
    cost_pu: float | None, estimate: tuple[float, float, float] | None = (100.0, 100.0, 120.0)
) -> Receipt:
    terms = terms_json([TERM]) if estimate else ()
    return Receipt("k", 2, "t", "DONE", cost_pu=cost_pu, estimate_pu=estimate, estimate_terms=terms)


def test_bill_and_estimate_stand_side_by_side() -> None:
    assert explain_receipt(receipt(104.5)) == [
        "  attempt 2, by its receipt:",
        "    billed: 104.5 PU",
        "    estimated: 100 to 120 PU, 100 PU expected",
        "      4 x 3 PU to process tiles (a grid): 0 to 12 PU, 4 PU expected",
        "        = 30",
        "        30  samples over 30 days; 0 at least, 10 expected (one a day at most)",
    ]


@pytest.mark.parametrize(
    ("cost_pu", "told"),
    [
        (None, "nobody knows: no server has said it"),
        (0.0, "0 PU, 100 PU less than the least that was estimated"),
        (100.0, "100 PU"),
        # A bill of many parts is rounded.
        (120.0005, "120.001 PU"),
        (170.0, "170 PU, 50 PU more than the most that was estimated"),
    ],
)
def test_a_bill_beyond_its_estimate_is_called_so(cost_pu: float | None, told: str) -> None:
    assert explain_receipt(receipt(cost_pu))[1] == f"    billed: {told}"


def test_a_receipt_without_an_estimate_says_so() -> None:
    assert explain_receipt(receipt(7, None))[-1] == "    estimated: nothing is kept of an estimate"
    older = Receipt("k", 1, "t", "DONE", cost_pu=7, estimate_pu=(7, 7, 7))
    assert explain_receipt(older)[-1] == "      its terms were not kept"


def test_what_shrinks_where_the_rest_grows_has_no_bounds_of_its_own() -> None:
    """What is missing to the minimum is least where the rest costs most."""
    assert explain_cost(Cost(100, 100, 100, (RAISED,)))[-1] == (
        "    1 x 88 PU to reach the minimum (a page)"
    )


def test_a_price_that_nobody_can_say_is_no_price_of_nothing() -> None:
    assert explain_cost(Cost(), is_known=False) == ["  cost: nobody can say"]


def test_a_receipt_file_gives_a_terminal_nothing_to_obey() -> None:
    terms = ({"label": "\x1b[31mx", "count": 1, "each": 1.0, "source": "\x1b]0;t\x07"},)
    shown = explain_receipt(
        Receipt("k", 1, "t", "DONE", estimate_pu=(1, 1, 1), estimate_terms=terms)
    )
    assert "\x1b" not in "".join(shown)
