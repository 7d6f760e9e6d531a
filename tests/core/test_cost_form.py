"""Costs as JSON and back, and words for numbers of processing units."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.cost import Cost, CostTerm, Factor, is_over, pu_text, range_text
from shplan.core.cost_form import cost_json, cost_of, levels_of, terms_of

NUMBERS = st.floats(0, 1e9)
FACTORS = st.builds(Factor, st.text(), NUMBERS, NUMBERS, NUMBERS, st.text(), st.text())
TERMS = st.builds(
    CostTerm,
    st.text(),
    st.integers(0, 10**9),
    NUMBERS,
    st.text(),
    st.lists(FACTORS, max_size=3).map(tuple),
    minimum_pu=NUMBERS,
    expected_pu=NUMBERS,
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["label", "count", "each"]), inner)
    ),
)


@given(NUMBERS, NUMBERS, NUMBERS, st.lists(TERMS, max_size=3).map(tuple))
def test_writing_and_reading_is_the_identity(
    least: float, likely: float, most: float, terms: tuple[CostTerm, ...]
) -> None:
    cost = Cost(least, likely, most, terms)
    assert cost_of(cost_json(cost)) == cost


@given(JUNK)
def test_whatever_somebody_has_written_is_read_or_is_none(stated: Any) -> None:
    assert all(math.isfinite(term.each_pu) for term in terms_of(stated))
    assert levels_of(stated) is None


@pytest.mark.parametrize(
    "stated",
    [{}, {"minimum": 1, "expected": 1}, {"minimum": 1, "expected": math.nan, "maximum": 1}],
)
def test_a_cost_has_three_numbers(stated: Any) -> None:
    with pytest.raises(ValueError, match="bounds"):
        cost_of(stated)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.0067, "0.0067"),
        (0.00012345, "0.00012"),
        (0.0494, "0.049"),
        (2.5202064514160156, "2.52"),
        (1.9999, "2"),
        (1430.5, "1,430.5"),
        (2_000_000, "2,000,000"),
        (1e21, "1,000,000,000,000,000,000,000"),
    ],
)
def test_units_are_worded_without_exponents(number: float, text: str) -> None:
    assert pu_text(number) == text


def test_a_range_names_what_is_expected() -> None:
    assert range_text((100, 100, 100)) == "100 PU"
    assert range_text((0.5, 3.2, 6.4)) == "0.5 to 6.4 PU, 3.2 PU expected"


@pytest.mark.parametrize(
    ("cost", "limit", "over"),
    [
        (0.0, 0.0, False),
        (1e-9, 0.0, True),
        # Three times a tenth is a little more than three tenths.
        (0.1 + 0.1 + 0.1, 0.3, False),
        (100.001, 100, True),
        (math.inf, 1e300, True),
        (math.nan, 1e300, True),
    ],
)
def test_limits(cost: float, limit: float, *, over: bool) -> None:
    """What is no number is above every limit: it must never pass for cheap."""
    assert is_over(cost, limit) is over
