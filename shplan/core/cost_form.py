"""
A cost as JSON, and back: the form of plans, of receipts and of the ledger.

What is read back may have been edited by people (a receipt file), so that what is no term is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from shplan.core.cost import Cost, CostTerm, Factor
from shplan.core.value import JsonObject, JsonValue

LEVELS = ("minimum", "expected", "maximum")


def cost_json(cost: Cost) -> JsonObject:
    """Return a cost with its terms."""
    return {**levels_json(cost.levels), "terms": [*terms_json(cost.terms)]}


def levels_json(levels: tuple[float, float, float]) -> JsonObject:
    """Return the least, the expected and the most by their names."""
    return dict(zip(LEVELS, levels, strict=True))


def levels_of(stated: object) -> tuple[float, float, float] | None:
    """Read the least, the expected and the most; None where they are not all there."""
    found = [_number(stated.get(name)) for name in LEVELS] if isinstance(stated, dict) else []
    match found:
        case [float(least), float(likely), float(most)]:
            return least, likely, most
    return None


def terms_json(terms: Iterable[CostTerm]) -> tuple[JsonObject, ...]:
    """Return summands; bounds and factors only where one has some, as most are calls."""
    return tuple(_term_json(term) for term in terms)


def terms_of(stated: object) -> tuple[CostTerm, ...]:
    """Read summands; none at all where one of them is none."""
    if not isinstance(stated, list | tuple):
        return ()
    found = [_term(one) for one in stated]
    return () if None in found else tuple(one for one in found if one is not None)


def cost_of(stated: JsonObject) -> Cost:
    """
    Read a cost.

    Raises:
        ValueError: it is none
    """
    levels = levels_of(stated)
    if levels is None:
        message = "a cost without its bounds"
        raise ValueError(message)
    return Cost(*levels, terms_of(stated.get("terms")))


def _term_json(term: CostTerm) -> JsonObject:
    told: JsonObject = {
        "label": term.label,
        "count": term.count,
        "each": term.each_pu,
        "source": term.source,
    }
    if term.minimum_pu is not None or term.expected_pu is not None:
        told |= {"minimum": term.least_pu, "expected": term.likely_pu}
    if term.factors:
        told["factors"] = [_factor_json(factor) for factor in term.factors]
    return told


def _factor_json(factor: Factor) -> JsonValue:
    return {
        "label": factor.label,
        "minimum": factor.minimum,
        "expected": factor.expected,
        "maximum": factor.maximum,
        "shown": factor.shown,
        "source": factor.source,
    }


def _term(stated: object) -> CostTerm | None:
    one = stated if isinstance(stated, dict) else {}
    count, each = one.get("count"), _number(one.get("each"))
    if not isinstance(count, int) or each is None:
        return None
    factors = [_factor(factor) for factor in one.get("factors") or () if isinstance(factor, dict)]
    return CostTerm(
        str(one.get("label", "")),
        count,
        each,
        str(one.get("source", "")),
        () if None in factors else tuple(factor for factor in factors if factor is not None),
        minimum_pu=_number(one.get("minimum")),
        expected_pu=_number(one.get("expected")),
    )


def _factor(one: dict[str, object]) -> Factor | None:
    levels = levels_of(one)
    if levels is None:
        return None
    label, shown, source = (str(one.get(name, "")) for name in ("label", "shown", "source"))
    return Factor(label, *levels, shown, source)


def _number(stated: object) -> float | None:
    if isinstance(stated, bool) or not isinstance(stated, int | float):
        return None
    try:
        number = float(stated)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
