"""
What a job costs, term by term: one term for each size of its tiles, features or images.

Where the documentation leaves something open the least takes the lower reading and the rest the
higher one, so that limits hold. The rules of the factors stand in `job_cost`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from shplan.core.cost import Cost, CostTerm, Factor
from shplan.core.job_cost import (
    BANDS,
    BATCH,
    DATA_MASK,
    DISCOUNT_FROM_PX,
    LEAST_AREA,
    TILE_PX,
    CostInput,
    Features,
    Output,
    Samples,
    Tariff,
    area_factor,
    billed_bands,
    format_factor,
    fusion_factor,
)

_MOST_TERMS = 20
_PU_PAGE = "processing units"
# Formats of which the page does not say what they cost, or that the request does not say.
_OPEN = ("zarr/array", "")
_PART = {"1/3": "a third", "2/3": "two thirds"}


def batch_cost(given: CostInput) -> Cost:
    """Return what a batch job costs, at least, as expected and at most; never below 100 PU."""
    return cost_of(given, BATCH)


def cost_of(given: CostInput, tariff: Tariff) -> Cost:
    """
    Return what a job costs, at least, as expected and at most; never below its API's minimum.

    Source: API reference, processing units: minimum of a request, discounts.
    """
    shared = _shared(given)
    least = [
        one.count if one.least is None else min(one.least, one.count) for one in given.features
    ]
    most = [one.count for one in given.features]
    ascending = sorted(
        range(len(most)), key=lambda index: _area_each(given.features[index], tariff)
    )
    # Which features are done is not said: the most assumes the cheapest, the least the dearest.
    _take(most, given.already_done, ascending)
    _take(least, given.already_done, ascending[::-1])
    terms = [
        _term(feature, fewest, count, shared=shared, tariff=tariff)
        for feature, fewest, count in zip(given.features, least, most, strict=True)
        if count
    ]
    levels = (
        math.fsum(term.least_pu for term in terms),
        math.fsum(term.likely_pu for term in terms),
        math.fsum(term.total_pu for term in terms),
    )
    minimum, expected, maximum = (max(pu, tariff.minimum_pu) for pu in levels)
    return Cost(minimum, expected, maximum, (*_brief(terms), *_raised(levels, tariff)))


def _shared(given: CostInput) -> tuple[Factor, ...]:
    """Return the factors that do not depend on a feature's size."""
    return (_bands(given), _format(given), _samples(given), *_fusion(given), *_radar(given))


def _bands(given: CostInput) -> Factor:
    """
    Return B, in its readings.

    Least: a band that two inputs read of one collection counts once. Most: `dataMask` alone
    counts for each input that reads nothing else.
    """
    read: dict[str, set[str]] = {}
    for one in given.sources:
        read.setdefault(one.reads, set()).update(one.bands)
    least = billed_bands([tuple(bands) for bands in read.values()])
    likely = billed_bands(one.bands for one in given.sources)
    most = max(sum(billed_bands([one.bands]) for one in given.sources), 1)
    shown = f"{most // BANDS}" if most % BANDS == 0 else f"{most}/{BANDS}"
    label = f"bands: {most} input {'band' if most == 1 else 'bands'} over {BANDS}"
    source = f"{_PU_PAGE}: {DATA_MASK} is free unless alone"
    return Factor(label, least / BANDS, likely / BANDS, most / BANDS, shown, source)


def _format(given: CostInput) -> Factor:
    images = [one for one in given.outputs if one.format != "application/json"]
    lower = [format_factor(one.sample_type, one.format) for one in images] or [1.0]
    upper = [_format_at_most(one) for one in images] or [1.0]
    most = max(upper)
    told = "32-bit float" if most == 2.0 else "raw" if most > 1 else "8 or 16 bit"
    if given.outputs and not images:
        told = "JSON"
    source = f"{_PU_PAGE}: 2 for TIFF of 32-bit floats"
    if any(one.format == "zarr/array" for one in images) and most > 1:
        source += "; nothing is said of Zarr, so that the least is 1"
    if any(not one.format for one in images) and most > 1:
        source += "; where no format is stated the least is 1"
    if min(lower) < max(lower):
        source += (
            "; whether it counts for all responses is not said, so that the least is the cheapest"
        )
    return Factor(f"format: {told}", min(lower), most, most, f"{most:g}", source)


def _format_at_most(output: Output) -> float:
    """For Zarr the page has no rule, and a format may be left out: the dearest is assumed, TIFF."""
    media_type = "image/tiff" if output.format in _OPEN else output.format
    return format_factor(output.sample_type, media_type)


def _samples(given: CostInput) -> Factor:
    every = [source.samples for source in given.sources] or [Samples()]
    widest = max(every, key=lambda one: (one.maximum, one.expected))
    return Factor(
        widest.label,
        min(one.minimum for one in every),
        max(one.expected for one in every),
        widest.maximum,
        f"{widest.maximum}",
        f"{_PU_PAGE}: {widest.source}",
    )


def _fusion(given: CostInput) -> Iterable[Factor]:
    most = fusion_factor(given.collections, given.remote)
    if most > 1:
        label = f"fusion of {given.collections + given.remote} collections"
        # Where a collection lies is the deployment's to say: at the least, all of them there.
        least = min(fusion_factor(given.distinct + given.remote), most)
        source = f"{_PU_PAGE}: the local collections and twice the remote ones"
        yield Factor(label, least, most, most, f"{most:g}", source)


def _radar(given: CostInput) -> Iterable[Factor]:
    every = [source.radar for source in given.sources] or [1.0]
    most = max(every)
    if most > 1:
        source = f"{_PU_PAGE}: terrain correction 2.5, else orthorectification 2; speckle filter 2"
        yield Factor("Sentinel-1 processing", min(every), most, most, f"{most:g}", source)


def _known(label: str, value: float, shown: str, source: str) -> Factor:
    return Factor(label, value, value, value, shown, source)


def _area_each(feature: Features, tariff: Tariff) -> float:
    area = area_factor(feature.width_px, feature.height_px)
    return area * tariff.discount_of(feature.width_px * feature.height_px)


def _term(
    feature: Features, least: int, count: int, *, shared: tuple[Factor, ...], tariff: Tariff
) -> CostTerm:
    size = f"{feature.width_px} x {feature.height_px} px"
    area = area_factor(feature.width_px, feature.height_px)
    factors = (
        _known(
            f"area: {size} over {TILE_PX:,}",
            area,
            f"{area:.4g}",
            f"{_PU_PAGE}: at least {LEAST_AREA}",
        ),
        *shared,
        *_discount(feature, tariff),
    )
    return CostTerm(
        f"process {feature.noun} of {size}",
        count,
        math.prod(factor.maximum for factor in factors),
        feature.counted,
        factors,
        minimum_pu=least * math.prod(factor.minimum for factor in factors),
        expected_pu=count * math.prod(factor.expected for factor in factors),
    )


def _discount(feature: Features, tariff: Tariff) -> Iterable[Factor]:
    if tariff.discount == 1:
        return
    discount = tariff.discount_of(feature.width_px * feature.height_px)
    yield _known(
        f"{tariff.request} discount",
        discount,
        tariff.shown if discount < 1 else "1",
        f"{_PU_PAGE}: {_PART[tariff.shown]} from {DISCOUNT_FROM_PX:,} pixels {tariff.each}",
    )


def _take(counts: list[int], number: int, order: Iterable[int]) -> None:
    """Take so many features away, in this order of sizes."""
    for index in order:
        taken = min(counts[index], number)
        counts[index] -= taken
        number -= taken


def _brief(terms: list[CostTerm]) -> Iterable[CostTerm]:
    """Yield the dearest terms, and one for all the others."""
    ranked = sorted(terms, key=lambda term: (-term.total_pu, term.label))
    yield from ranked[:_MOST_TERMS]
    rest = ranked[_MOST_TERMS:]
    if rest:
        count = sum(term.count for term in rest)
        yield CostTerm(
            f"process features of {len(rest)} other sizes",
            count,
            math.fsum(term.total_pu for term in rest) / count,
            f"{_PU_PAGE}: the same factors, by size",
            minimum_pu=math.fsum(term.least_pu for term in rest),
            expected_pu=math.fsum(term.likely_pu for term in rest),
        )


def _raised(levels: tuple[float, float, float], tariff: Tariff) -> Iterable[CostTerm]:
    least, expected, most = (max(tariff.minimum_pu - pu, 0.0) for pu in levels)
    if most:
        label = f"reach the minimum of {tariff.minimum_pu:g} PU"
        article = "an" if tariff.request[0] in "aeiou" else "a"
        source = f"{_PU_PAGE}: the least that {article} {tariff.request} request costs"
        yield CostTerm(label, 1, most, source, minimum_pu=least, expected_pu=expected)
