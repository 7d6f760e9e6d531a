"""
The published formula, PU = A x B x F x S x U x R x D: its factors, and what they are taken of.

The factors are functions of plain values, each with its rule. What a request says about these
values is read by `job_input`, the terms of a whole job are built by `job_terms`, and what
each API asks for is said by `prices`.

Source: the documentation's page on processing units, for every rule that names no other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shplan.core.statistic_intervals import Intervals

TILE_PX = 512 * 512
LEAST_AREA = 0.01
BANDS = 3
DATA_MASK = "dataMask"
DISCOUNT_FROM_PX = 10_000
_REMOTE = 2
_FLOAT = "FLOAT32"
# An assumption: a pixel lies in up to four overlapping tiles of one zone, and at a zone's
# border in two more of the next. A collection of one's own may have any number.
MOST_TILES_PER_DAY = 6
# An assumption for sensors that see most of the globe every day, from some fourteen orbits: some of
# these overlap, each is delivered in pieces, and these in up to three processings.
MOST_WIDE_TILES_PER_DAY = 48
# An assumption: tiles begin every so many kilometres, as Sentinel-2's do; others are larger.
_TILES_EVERY_KM = 100
# Source: API reference of Batch V1, `valueEstimate`.
DAYS_PER_SAMPLE = 3
_ASSUMED = f"data samples per pixel; expected is one for {DAYS_PER_SAMPLE} days"


@dataclass(frozen=True, slots=True)
class Tariff:
    """
    What an API asks for besides the factors.

    Args:
        request: what is charged at least once, for people
        minimum_pu: the least that one request costs
        discount: for images or tiles of at least 10,000 pixels; 1 where there is none
        shown: the discount as people write it
        each: what has to be so large
    """

    request: str
    minimum_pu: float
    discount: float = 1.0
    shown: str = "1"
    each: str = "a tile"

    def discount_of(self, pixels: int) -> float:
        """D: what is left of the price of an image or a tile with so many pixels."""
        return self.discount if pixels >= DISCOUNT_FROM_PX else 1.0


# Source: the page's tables of minimums and of discounts. Of a discount for batch statistics
# nothing is said.
PROCESS = Tariff("process", 0.005)
STATISTICS = Tariff("statistical", 0.01)
ASYNC = Tariff("asynchronous", 10.0, 2 / 3, "2/3", "an image")
BATCH = Tariff("batch", 100.0, 1 / 3, "1/3")
BATCH_STATISTICS = Tariff("batch statistical", 100.0)
BATCH_MINIMUM_PU = BATCH.minimum_pu


@dataclass(frozen=True, slots=True)
class Samples:
    """
    How many data samples a pixel has: the least, the expected and the most.

    Args:
        label: what they are, for people
        source: where the numbers come from
    """

    minimum: int = 1
    expected: int = 1
    maximum: int = 1
    label: str = "samples: one with mosaicking SIMPLE"
    source: str = "data samples per pixel"


@dataclass(frozen=True, slots=True)
class Features:
    """
    Tiles, features or images of one size.

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
        reads: which of the request's collections it is, where that is known
    """

    bands: tuple[str, ...]
    samples: Samples = Samples()
    radar: float = 1.0
    reads: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """A response: the type of its samples and its media type, empty where none is stated."""

    sample_type: str
    format: str


@dataclass(frozen=True, slots=True)
class CostInput:
    """
    Everything that the price of a job is computed from.

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


def product(factors: Iterable[float], *, minimum_pu: float) -> float:
    """Multiply the factors of one request and raise the result to its API's minimum."""
    return max(math.prod(factors), minimum_pu)


def area_factor(width_px: int, height_px: int) -> float:
    """A: pixels of the bounding box over 512 x 512, at least 0.01."""
    return max(width_px * height_px / TILE_PX, LEAST_AREA)


def band_factor(inputs: Iterable[Sequence[str]]) -> float:
    """
    B: bands over all input objects, over three; `dataMask` is free unless it is alone.

    Whether a band that two input objects name counts once is not published: it counts twice.
    """
    return billed_bands(inputs) / BANDS


def format_factor(sample_type: str, media_type: str) -> float:
    """F: 2 for TIFF of 32-bit floats, 1.4 for application/octet-stream, else 1."""
    if media_type == "application/octet-stream":
        return 1.4
    return 2.0 if media_type == "image/tiff" and sample_type.upper() == _FLOAT else 1.0


def samples_factor(
    mosaicking: str,
    since: datetime | None,
    until: datetime | None,
    *,
    tiles_a_day: int = MOST_TILES_PER_DAY,
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
        tiles_a_day: how many tiles a day may have, see `tiles_a_day`
    """
    if mosaicking not in ("ORBIT", "TILE"):
        return Samples()
    if since is None or until is None or until < since:
        return None
    days = (until.astimezone(UTC).date() - since.astimezone(UTC).date()).days + 1
    expected = _expected(days)
    label = f"samples with mosaicking {mosaicking} over {days} {'day' if days == 1 else 'days'}"
    if mosaicking == "ORBIT":
        return Samples(0, expected, days, f"{label}: one a day at most", _ASSUMED)
    most = days * tiles_a_day
    told = f"{label}: assumed {tiles_a_day} a day at most"
    return Samples(0, expected, most, told, _ASSUMED)


def interval_samples(
    mosaicking: str, cut: Intervals, *, timeless: bool, tiles_a_day: int = MOST_TILES_PER_DAY
) -> Samples:
    """
    S of statistics, which counts all samples over all intervals.

    An interval without data may cost nothing, so that the least is none.

    Args:
        mosaicking: SIMPLE, ORBIT or TILE, within each interval
        timeless: the collection has no time, so that each interval has data
        tiles_a_day: how many tiles a day may have, see `tiles_a_day`
    """
    intervals = f"{cut.count} {'interval' if cut.count == 1 else 'intervals'}"
    if timeless:
        return Samples(0, cut.count, cut.count, f"samples: one for each of {intervals}")
    expected = min(_expected(cut.days), cut.days)
    if mosaicking not in ("ORBIT", "TILE"):
        label = f"samples with mosaicking SIMPLE: one for each of {intervals} at most"
        return Samples(0, min(expected, cut.count), cut.count, label, _ASSUMED)
    label = f"samples with mosaicking {mosaicking} over {cut.days} days in {intervals}"
    if mosaicking == "ORBIT":
        return Samples(0, expected, cut.days, f"{label}: one a day at most", _ASSUMED)
    most = cut.days * tiles_a_day
    told = f"{label}: assumed {tiles_a_day} a day at most"
    return Samples(0, expected, most, told, _ASSUMED)


def _expected(days: int) -> int:
    """
    Return how many samples so many days are expected to give.

    Source: API reference of Batch V1, `valueEstimate`: January, to its 31st, counts as 10.
    """
    return max(days // DAYS_PER_SAMPLE, 1)


def tiles_a_day(extent_km: tuple[float, float] | None) -> int:
    """
    Return how many tiles of one day an area may touch: an assumption, see `MOST_TILES_PER_DAY`.

    Args:
        extent_km: of the area, from west to east and from south to north; None for one that is
            smaller than a tile
    """
    if extent_km is None:
        return MOST_TILES_PER_DAY
    across, down = (max(math.ceil(one / _TILES_EVERY_KM), 1) + 1 for one in extent_km)
    return math.ceil(MOST_TILES_PER_DAY / 4 * across * down)


def fusion_factor(local: int, remote: int = 0) -> float:
    """U: for several collections, those on the deployment and twice those on others."""
    return float(local + _REMOTE * remote) if local + remote > 1 else 1.0


def radar_factor(*, orthorectified: bool, terrain_corrected: bool, speckle_filtered: bool) -> float:
    """R: 2.5 for radiometric terrain correction, else 2 for orthorectification; 2 for speckle."""
    correction = 2.5 if terrain_corrected else 2.0 if orthorectified else 1.0
    return correction * (2.0 if speckle_filtered else 1.0)


def billed_bands(inputs: Iterable[Sequence[str]]) -> int:
    """Bands over all input objects, without `dataMask` unless there is no other."""
    return max(sum(len({*bands} - {DATA_MASK}) for bands in inputs), 1)
