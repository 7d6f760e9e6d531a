"""
Processing units: what a change costs, term by term, each with its source.

Only arithmetic stands here. Which calls a kind makes is the business of its
provider, what a job costs that of `job_cost`; how the service meters them is the
business of the sandbox's own code.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from shplan.core.frozen import dataclass

# Source: the documentation's page on processing units: each BYOC and Zarr call that is not a
# GET costs one processing unit, and only successful calls are charged.
BYOC_CALL_PU = 1.0
# Sums of fractions differ from the same sum by less.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Factor:
    """
    One factor of a term: the least, the expected and the most it can be.

    Args:
        label: what it is taken of
        shown: as people write it at its most: `2/3`
        source: where the rule comes from
    """

    label: str
    minimum: float
    expected: float
    maximum: float
    shown: str
    source: str


@dataclass(frozen=True, slots=True)
class CostTerm:
    """
    One summand: at most `count` times `each_pu` processing units.

    Args:
        label: what is done so often
        count: how often, at most
        each_pu: processing units of each, at most
        source: where the price comes from
        factors: what `each_pu` is the product of; empty for a price that is one number
        minimum_pu, expected_pu: of the whole term; None where it is known in advance
    """

    label: str
    count: int
    each_pu: float
    source: str
    factors: tuple[Factor, ...] = ()
    minimum_pu: float | None = None
    expected_pu: float | None = None

    @property
    def total_pu(self) -> float:
        """Processing units of the whole term, at most."""
        return self.count * self.each_pu

    @property
    def least_pu(self) -> float:
        """Processing units of the whole term, at least."""
        return self.total_pu if self.minimum_pu is None else self.minimum_pu

    @property
    def likely_pu(self) -> float:
        """Processing units of the whole term, as expected."""
        return self.total_pu if self.expected_pu is None else self.expected_pu


@dataclass(frozen=True, slots=True)
class Cost:
    """Processing units of a change: the least, the expected and the most it can cost."""

    minimum_pu: float = 0.0
    expected_pu: float = 0.0
    maximum_pu: float = 0.0
    terms: tuple[CostTerm, ...] = ()

    @property
    def levels(self) -> tuple[float, float, float]:
        """At least, as expected, at most."""
        return self.minimum_pu, self.expected_pu, self.maximum_pu

    def times(self, share: float, *, label: str, source: str) -> Cost:
        """Return the cost of a share of it; what the share is, is a factor of each term."""
        factor = Factor(label, share, share, share, f"{share:.4g}", source)
        terms = tuple(
            replace(
                term,
                each_pu=term.each_pu * share,
                factors=(*term.factors, factor) if term.factors else (),
                minimum_pu=None if term.minimum_pu is None else term.minimum_pu * share,
                expected_pu=None if term.expected_pu is None else term.expected_pu * share,
            )
            for term in self.terms
        )
        return Cost(
            self.minimum_pu * share, self.expected_pu * share, self.maximum_pu * share, terms
        )

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.minimum_pu + other.minimum_pu,
            self.expected_pu + other.expected_pu,
            self.maximum_pu + other.maximum_pu,
            self.terms + other.terms,
        )


def is_over(cost_pu: float, limit_pu: float) -> bool:
    """
    Tell whether a price is above a limit, but for what adding fractions up has made of it.

    What is no number is above every limit.
    """
    return not cost_pu <= limit_pu * (1 + _ROUNDING)


def pu_text(number: float) -> str:
    """Word processing units without their name, to a thousandth: `1,430.5`; of less, two digits."""
    digits = 3
    if 0 < number < 0.01:
        digits = min(1 - math.floor(math.log10(number)), 12)
    text = f"{number:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def range_text(levels: tuple[float, float, float]) -> str:
    """Word the least, the most and the expected: `100 to 1,430 PU, 429 PU expected`."""
    least, likely, most = (pu_text(one) for one in levels)
    if levels[0] == levels[2]:
        return f"{most} PU"
    return f"{least} to {most} PU, {likely} PU expected"


def exactly(*terms: CostTerm) -> Cost:
    """Return a cost that is known in advance."""
    total = sum(term.total_pu for term in terms)
    return Cost(total, total, total, tuple(term for term in terms if term.count))


def calls(count: int, *, label: str, each_pu: float = BYOC_CALL_PU) -> Cost:
    """Return the cost of so many calls of the BYOC or Zarr API that are not a GET."""
    source = "processing units: one for each BYOC or Zarr call that is not a GET"
    return exactly(CostTerm(label, count if each_pu else 0, each_pu, source))


def total(costs: Iterable[Cost]) -> Cost:
    """Add costs up."""
    result = Cost()
    for cost in costs:
        result += cost
    return result
