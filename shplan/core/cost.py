"""
Processing units: what a change costs, term by term, each with its source.

Only arithmetic stands here. Which calls a kind makes is the business of its
provider; how the service meters them is the business of the sandbox's own code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Source: the documentation's page on processing units: each BYOC and Zarr call that is not a
# GET costs one processing unit, and only successful calls are charged.
BYOC_CALL_PU = 1.0


@dataclass(frozen=True, slots=True)
class CostTerm:
    """One summand: `count` times `each_pu` processing units, and where the price comes from."""

    label: str
    count: int
    each_pu: float
    source: str

    @property
    def total_pu(self) -> float:
        """Processing units of the whole term."""
        return self.count * self.each_pu


@dataclass(frozen=True, slots=True)
class Cost:
    """Processing units of a change: the least, the expected and the most it can cost."""

    minimum_pu: float = 0.0
    expected_pu: float = 0.0
    maximum_pu: float = 0.0
    terms: tuple[CostTerm, ...] = ()

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.minimum_pu + other.minimum_pu,
            self.expected_pu + other.expected_pu,
            self.maximum_pu + other.maximum_pu,
            self.terms + other.terms,
        )


def exactly(*terms: CostTerm) -> Cost:
    """Return a cost that is known in advance."""
    total = sum(term.total_pu for term in terms)
    return Cost(total, total, total, tuple(term for term in terms if term.count))


def calls(count: int, *, label: str) -> Cost:
    """Return the cost of so many calls of the BYOC or Zarr API that are not a GET."""
    source = "processing units: one for each BYOC or Zarr call that is not a GET"
    return exactly(CostTerm(label, count, BYOC_CALL_PU, source))


def total(costs: Iterable[Cost]) -> Cost:
    """Add costs up."""
    result = Cost()
    for cost in costs:
        result += cost
    return result
