"""
What a batch job costs: the published formula, PU = A x B x F x S x U x R x D.

The factors are functions of plain values, each with its rule. Where the documentation
leaves something open the least takes the lower reading and the rest the higher one, so that
limits hold. What a request says about these values is read by `job_input`.

Source: the documentation's page on processing units, for every rule that names no other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shplan.core.cost import Cost, CostTerm, Factor

BATCH_MINIMUM_PU = 100.0
_TILE_PX = 512 * 512
_LEAST_AREA = 0.01
_BANDS = 3
_DISCOUNT_FROM_PX = 10_000
_BATCH_DISCOUNT = 1 / 3
_REMOTE = 2
_DATA_MASK = "dataMask"
_FLOAT = "FLOAT32"
# An assumption: a pixel lies in up to four overlapping tiles of one zone, and at a zone's
# border in two more of the next. A collection of one's own may have any number.
MOST_TILES_PER_DAY = 6
# Source: API reference of Batch V1, `valueEstimate`.
_DAYS_PER_SAMPLE = 3
# A plan names so many sizes of features, and counts the others together.
_MOST_TERMS = 20
_PU_PAGE = "processing units"


@dataclass(frozen=True, slots=True)
class Samples:
    """How many data samples a pixel has: the least, the expected and the most."""

    minimum: int = 1
    expected: int = 1
    maximum: int = 1
    label: str = "samples: one with mosaicking SIMPLE"


@dataclass(frozen=True, slots=True)
class Features:
    """
    Tiles or features of one size.

    Args:
        count: how many, at most
        width_px, height_px: of the raster of each, with buffers
        least: how many there are at least; None where the count is exact
        counted: how the count was made, for people
        noun: what they are
    """

    count: int
    width_px: int
    height_px: int
    least: int | None = None
    counted: str = "features given"
    noun: str = "features"


@dataclass(frozen=True, slots=True)
class Source:
    """
    What an evalscript reads of one collection.

    Args:
        bands: as its input object names them
        samples: by mosaicking and time range
        radar: the factor of Sentinel-1's processing options
    """

    bands: tuple[str, ...]
    samples: Samples = Samples()
    radar: float = 1.0


@dataclass(frozen=True, slots=True)
class Output:
    """A response that is delivered: the type of its samples and its media type."""

    sample_type: str
    format: str


@dataclass(frozen=True, slots=True)
class BatchCostInput:
    """
    Everything that the price of a batch job is computed from.

    Args:
        features: by size
        sources: one for each input object of the evalscript
        outputs: one for each response
        collections: how many `input.data` has on the deployment itself
        distinct: how many of these are different collections
        remote: how many are on another deployment, which batch does not offer
        already_done: features that an earlier attempt delivered, with `skipExisting`
    """

    features: tuple[Features, ...]
    sources: tuple[Source, ...]
    outputs: tuple[Output, ...]
    collections: int = 1
    distinct: int = 1
    remote: int = 0
    already_done: int = 0


def batch_cost(given: BatchCostInput) -> Cost:
    """
    Return what a batch job costs, at least, as expected and at most; never below 100 PU.

    Source: API reference, processing units: minimum of a batch request, discount of a third.
    """
    shared = _shared(given)
    least = [
        one.count if one.least is None else min(one.least, one.count) for one in given.features
    ]
    most = [one.count for one in given.features]
    ascending = sorted(range(len(most)), key=lambda index: _area_each(given.features[index]))
    # Which features are done is not said: the most assumes the cheapest, the least the dearest.
    _take(most, given.already_done, ascending)
    _take(least, given.already_done, ascending[::-1])
    terms = [
        _term(feature, fewest, count, shared)
        for feature, fewest, count in zip(given.features, least, most, strict=True)
        if count
    ]
    levels = (
        math.fsum(term.least_pu for term in terms),
        math.fsum(term.likely_pu for term in terms),
        math.fsum(term.total_pu for term in terms),
    )
    minimum, expected, maximum = (max(pu, BATCH_MINIMUM_PU) for pu in levels)
    return Cost(minimum, expected, maximum, (*_brief(terms), *_raised(levels)))


def product(factors: Iterable[float], *, minimum_pu: float) -> float:
    """Multiply the factors of one request and raise the result to its API's minimum."""
    return max(math.prod(factors), minimum_pu)


def area_factor(width_px: int, height_px: int) -> float:
    """A: pixels of the bounding box over 512 x 512, at least 0.01."""
    return max(width_px * height_px / _TILE_PX, _LEAST_AREA)


def band_factor(inputs: Iterable[Sequence[str]]) -> float:
    """
    B: bands over all input objects, over three; `dataMask` is free unless it is alone.

    Whether a band that two input objects name counts once is not published: it counts twice.
    """
    return _billed(inputs) / _BANDS


def format_factor(sample_type: str, media_type: str) -> float:
    """F: 2 for TIFF of 32-bit floats, 1.4 for application/octet-stream, else 1."""
    if media_type == "application/octet-stream":
        return 1.4
    return 2.0 if media_type == "image/tiff" and sample_type.upper() == _FLOAT else 1.0


def samples_factor(
    mosaicking: str, since: datetime | None, until: datetime | None
) -> Samples | None:
    """
    S: samples of a pixel; None where ORBIT or TILE has no bounded time range.

    ORBIT groups by UTC day, so that each day of the range gives one sample at most. TILE
    gives one for each tile: `MOST_TILES_PER_DAY` bounds that by assumption. As expected count
    Batch V1's one sample for three days; at least none, since a range may hold no acquisition
    and `preProcessScenes` may drop them all.

    Args:
        mosaicking: SIMPLE, ORBIT or TILE
        since, until: the time range, both inclusive
    """
    if mosaicking not in ("ORBIT", "TILE"):
        return Samples()
    if since is None or until is None or until < since:
        return None
    days = (until.astimezone(UTC).date() - since.astimezone(UTC).date()).days + 1
    expected = math.ceil(days / _DAYS_PER_SAMPLE)
    label = f"samples with mosaicking {mosaicking} over {days} {'day' if days == 1 else 'days'}"
    if mosaicking == "ORBIT":
        return Samples(0, expected, days, f"{label}: one a day at most")
    most = days * MOST_TILES_PER_DAY
    return Samples(0, expected, most, f"{label}: assumed {MOST_TILES_PER_DAY} a day at most")


def fusion_factor(local: int, remote: int = 0) -> float:
    """U: for several collections, those on the deployment and twice those on others."""
    return float(local + _REMOTE * remote) if local + remote > 1 else 1.0


def radar_factor(*, orthorectified: bool, terrain_corrected: bool, speckle_filtered: bool) -> float:
    """R: 2.5 for radiometric terrain correction, else 2 for orthorectification; 2 for speckle."""
    correction = 2.5 if terrain_corrected else 2.0 if orthorectified else 1.0
    return correction * (2.0 if speckle_filtered else 1.0)


def batch_discount(pixels: int) -> float:
    """D: a third for batch processing, if the tile has at least 10,000 pixels."""
    return _BATCH_DISCOUNT if pixels >= _DISCOUNT_FROM_PX else 1.0


def _shared(given: BatchCostInput) -> tuple[Factor, ...]:
    """Return the factors that do not depend on a feature's size."""
    return (_bands(given), _format(given), _samples(given), *_fusion(given), *_radar(given))


def _bands(given: BatchCostInput) -> Factor:
    billed = _billed(source.bands for source in given.sources)
    shown = f"{billed // _BANDS}" if billed % _BANDS == 0 else f"{billed}/{_BANDS}"
    label = f"bands: {billed} input {'band' if billed == 1 else 'bands'} over {_BANDS}"
    return _known(label, billed / _BANDS, shown, f"{_PU_PAGE}: {_DATA_MASK} is free unless alone")


def _format(given: BatchCostInput) -> Factor:
    images = [one for one in given.outputs if one.format != "application/json"]
    lower = [format_factor(one.sample_type, one.format) for one in images] or [1.0]
    upper = [_format_at_most(one) for one in images] or [1.0]
    most = max(upper)
    told = "32-bit float" if most == 2.0 else "raw" if most > 1 else "8 or 16 bit"
    source = f"{_PU_PAGE}: 2 for TIFF of 32-bit floats"
    if any(one.format == "zarr/array" for one in images) and most > 1:
        source += "; nothing is said of Zarr, so that the least is 1"
    return Factor(f"format: {told}", min(lower), most, most, f"{most:g}", source)


def _format_at_most(output: Output) -> float:
    """For Zarr the page has no rule: floats are assumed to cost what they cost as TIFF."""
    media_type = "image/tiff" if output.format == "zarr/array" else output.format
    return format_factor(output.sample_type, media_type)


def _samples(given: BatchCostInput) -> Factor:
    every = [source.samples for source in given.sources] or [Samples()]
    widest = max(every, key=lambda one: (one.maximum, one.expected))
    return Factor(
        widest.label,
        min(one.minimum for one in every),
        max(one.expected for one in every),
        widest.maximum,
        f"{widest.maximum}",
        f"{_PU_PAGE}: data samples per pixel; expected is one for {_DAYS_PER_SAMPLE} days",
    )


def _fusion(given: BatchCostInput) -> Iterable[Factor]:
    most = fusion_factor(given.collections, given.remote)
    if most > 1:
        label = f"fusion of {given.collections + given.remote} collections"
        least = min(fusion_factor(given.distinct, given.remote), most)
        source = f"{_PU_PAGE}: the local collections and twice the remote ones"
        yield Factor(label, least, most, most, f"{most:g}", source)


def _radar(given: BatchCostInput) -> Iterable[Factor]:
    every = [source.radar for source in given.sources] or [1.0]
    most = max(every)
    if most > 1:
        source = f"{_PU_PAGE}: terrain correction 2.5, else orthorectification 2; speckle filter 2"
        yield Factor("Sentinel-1 processing", min(every), most, most, f"{most:g}", source)


def _known(label: str, value: float, shown: str, source: str) -> Factor:
    return Factor(label, value, value, value, shown, source)


def _billed(inputs: Iterable[Sequence[str]]) -> int:
    return max(sum(len({*bands} - {_DATA_MASK}) for bands in inputs), 1)


def _area_each(feature: Features) -> float:
    area = area_factor(feature.width_px, feature.height_px)
    return area * batch_discount(feature.width_px * feature.height_px)


def _term(feature: Features, least: int, count: int, shared: tuple[Factor, ...]) -> CostTerm:
    size = f"{feature.width_px} x {feature.height_px} px"
    area = area_factor(feature.width_px, feature.height_px)
    discount = batch_discount(feature.width_px * feature.height_px)
    factors = (
        _known(
            f"area: {size} over {_TILE_PX:,}",
            area,
            f"{area:.4g}",
            f"{_PU_PAGE}: at least {_LEAST_AREA}",
        ),
        *shared,
        _known(
            "batch discount",
            discount,
            "1/3" if discount < 1 else "1",
            f"{_PU_PAGE}: a third from {_DISCOUNT_FROM_PX:,} pixels a tile",
        ),
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


def _raised(levels: tuple[float, float, float]) -> Iterable[CostTerm]:
    least, expected, most = (max(BATCH_MINIMUM_PU - pu, 0.0) for pu in levels)
    if most:
        label = f"reach the minimum of {BATCH_MINIMUM_PU:g} PU"
        source = f"{_PU_PAGE}: the least that a batch request costs"
        yield CostTerm(label, 1, most, source, minimum_pu=least, expected_pu=expected)
