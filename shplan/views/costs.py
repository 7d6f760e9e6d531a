"""
A cost as text, term by term: before a run, and beside what the run has cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shplan.core.cost import Cost, CostTerm, Factor, is_over, pu_text, range_text
from shplan.core.cost_form import terms_of
from shplan.core.resource import Receipt
from shplan.views.values import pu, safe

# Bills of many parts are rounded.
_ROUNDED_PU = 1e-3


def explain_cost(cost: Cost, *, is_known: bool = True) -> list[str]:
    """
    Word a cost: its bounds, then each term, at its most, with the factors of its price.

        cost: 100 to 1,430 PU, 429 PU expected
          140 x 10.213 PU to process tiles of 2004 x 2004 px (tiles of the UTM 20km grid)
            = 15.32 x 2/3 x 3 x 1/3
            15.32  area: 2004 x 2004 px over 262,144 (processing units: at least 0.01)

    Args:
        is_known: somebody can say it; else nothing of it is known but the terms there are
    """
    told = range_text(cost.levels) if is_known else "nobody can say"
    return [f"  cost: {told}", *_terms(cost.terms)]


def explain_receipt(receipt: Receipt) -> list[str]:
    """Word what a run has cost, and beside it what it was estimated to cost, term by term."""
    billed = "nobody knows: no server has said it"
    if receipt.cost_pu is not None:
        billed = f"{pu(receipt.cost_pu)}{_against(receipt.cost_pu, receipt.estimate_pu)}"
    lines = [f"  attempt {receipt.attempt}, by its receipt:", f"    billed: {billed}"]
    if receipt.estimate_pu is None:
        return [*lines, "    estimated: nothing is kept of an estimate"]
    lines.append(f"    estimated: {range_text(receipt.estimate_pu)}")
    terms = terms_of(receipt.estimate_terms)
    if not terms:
        return [*lines, "      its terms were not kept"]
    return [*lines, *(f"  {line}" for line in _terms(terms))]


def _against(cost_pu: float, estimate: tuple[float, float, float] | None) -> str:
    """Say where a bill lies, where that is not what was to be expected."""
    if estimate is None:
        return ""
    least, _, most = estimate
    if is_over(cost_pu, most + _ROUNDED_PU):
        return f", {pu(cost_pu - most)} more than the most that was estimated"
    if is_over(least, cost_pu + _ROUNDED_PU):
        return f", {pu(least - cost_pu)} less than the least that was estimated"
    return ""


def _terms(terms: Iterable[CostTerm]) -> Iterator[str]:
    for term in terms:
        count, source = f"{term.count:,} x {pu(term.each_pu)}", safe(term.source)
        yield f"    {count} to {safe(term.label)} ({source}){_bounds(term)}"
        if term.factors:
            yield f"      = {' x '.join(safe(factor.shown) for factor in term.factors)}"
        width = max((len(factor.shown) for factor in term.factors), default=0)
        for factor in term.factors:
            shown = f"{safe(factor.shown):>{width}}  {safe(factor.label)}{_reach(factor)}"
            yield f"      {shown} ({safe(factor.source)})"


def _bounds(term: CostTerm) -> str:
    """Say of a term at its most what it is at least, where that is less."""
    if term.least_pu >= term.total_pu:
        return ""
    return f": {range_text((term.least_pu, term.likely_pu, term.total_pu))}"


def _reach(factor: Factor) -> str:
    """Say of a factor at its most what it is at least and expected to be."""
    if factor.minimum == factor.maximum:
        return ""
    return f"; {pu_text(factor.minimum)} at least, {pu_text(factor.expected)} expected"
