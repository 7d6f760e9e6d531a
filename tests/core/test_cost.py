"""Sums of processing units: exact prices, and prices within bounds."""

from __future__ import annotations

from shplan.core.cost import Cost, CostTerm, Factor, calls, exactly, total

FACTOR = Factor("samples", 0, 2, 5, "5", "a page")
BOUND = CostTerm("process tiles", 3, 5.0, "counted", (FACTOR,), minimum_pu=0.0, expected_pu=6.0)


def test_a_price_that_is_known_is_its_own_bounds() -> None:
    term = CostTerm("create tiles", 4, 1.0, "a page")
    assert (term.least_pu, term.likely_pu, term.total_pu) == (4, 4, 4)
    assert exactly(term) == Cost(4, 4, 4, (term,))


def test_a_price_within_bounds_has_three_sums() -> None:
    assert (BOUND.least_pu, BOUND.likely_pu, BOUND.total_pu) == (0, 6, 15)


def test_calls_cost_one_each_and_none_is_no_term() -> None:
    assert calls(3, label="create tiles").maximum_pu == 3
    assert calls(0, label="create tiles").terms == ()


def test_costs_add_up_with_their_terms() -> None:
    one = Cost(0, 6, 15, (BOUND,))
    both = total([one, calls(2, label="create tiles")])
    assert (both.minimum_pu, both.expected_pu, both.maximum_pu) == (2, 8, 17)
    assert [term.label for term in both.terms] == ["process tiles", "create tiles"]
    assert total([]) == Cost()
