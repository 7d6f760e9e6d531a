"""
Numbers about the samples of one band: range, mean, deviation, percentiles and histogram.

Pure, over numpy. Source: the statistics pages and their examples: the deviation is that of a population, `NaN`
is a text, edges of bins are `lowEdge + i x width` in plain floating point, the last bin is closed, with `binWidth`
and no `highEdge` it reaches beyond the greatest sample; samples without a value count for nothing but
`sampleCount` and `noDataCount`. Assumptions: what is no finite number is no value; percentiles between two
samples are interpolated; where whole numbers do not divide, bins become wider. The schema and the examples
name two counts differently, so each stands twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from shplan.sandbox.wire import Json, JsonObject

NAN = "NaN"
# Our own bound: a bin for each value of 16 bits.
MOST_BINS = 65_536
_PERCENT = 100.0


class HistogramError(ValueError):
    """Bins that cannot be made of these samples."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """
    How samples are put into bins; one of the first three is given.

    Args:
        bins: edges, ascending
        count: number of bins
        width: of a bin
        low: the lower edge of the first; none: the smallest sample
        high: the upper edge of the last; none: the greatest sample
        is_whole: whether edges are whole numbers
    """

    bins: tuple[float, ...] | None = None
    count: int | None = None
    width: float | None = None
    low: float | None = None
    high: float | None = None
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for of a band beside what is always told; percentiles as they were written."""

    percentiles: tuple[float, ...] = ()
    histogram: Histogram | None = None


def of_band(samples: NDArray[Any], has_data: NDArray[np.bool_], wanted: Wanted) -> JsonObject:
    """
    The statistics of one band, as answers show them.

    Args:
        samples: as they would be written to a raster
        has_data: of each of them, whether it counts

    Raises:
        HistogramError: its bins cannot be made
    """
    values = samples[has_data].astype(np.float64)
    values = values[np.isfinite(values)]
    # Once: whatever is asked for of ranks and bins is then found without looking at each of them.
    ascending = np.sort(values)
    told: JsonObject = {"stats": _stats(values, ascending, samples.size, wanted.percentiles)}
    if wanted.histogram is not None:
        told["histogram"] = _histogram(ascending, wanted.histogram)
    return told


def _stats(
    values: NDArray[np.float64],
    ascending: NDArray[np.float64],
    sample_count: int,
    percentiles: tuple[float, ...],
) -> JsonObject:
    told: JsonObject = {
        "min": _number(ascending[0]) if values.size else NAN,
        "max": _number(ascending[-1]) if values.size else NAN,
        "mean": _number(values.mean()) if values.size else NAN,
        "stDev": _number(values.std()) if values.size else NAN,
        "sampleCount": sample_count,
        "noDataCount": sample_count - values.size,
    }
    if percentiles:
        scale = _scale(percentiles)
        told["percentiles"] = {str(float(k)): _rank(ascending, k * scale) for k in percentiles}
    return told


def _number(value: float) -> Json:
    return float(value) if math.isfinite(value) else NAN


def _rank(ascending: NDArray[np.float64], percent: float) -> Json:
    """A percentile, between two samples as numpy computes it."""
    if not ascending.size:
        return NAN
    exact = (ascending.size - 1) * (percent / _PERCENT)
    place = math.floor(exact)
    part = exact - place
    low, high = ascending[place], ascending[min(place + 1, ascending.size - 1)]
    return _number(low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part))


def _scale(percentiles: tuple[float, ...]) -> float:
    """
    What makes percents of the numbers as they were written.

    The schema says from 0 to 1, all examples are percents: a list that has a part of one, and nothing above
    one, is as the schema says.
    """
    is_share = max(percentiles) <= 1 and any(0 < k < 1 for k in percentiles)
    return _PERCENT if is_share else 1.0


def _histogram(ascending: NDArray[np.float64], wanted: Histogram) -> JsonObject:
    edges = _edges(ascending, wanted)
    if edges is None:
        return _told([], np.zeros(0, dtype=np.int64), under=0, over=0, is_whole=False)
    # What `highEdge` lets in is in a bin, and nothing else, wherever rounding puts the last edge.
    top = edges[-1] if wanted.high is None or wanted.bins else wanted.high
    begins = np.searchsorted(ascending, edges[:-1], side="left")
    end = int(np.searchsorted(ascending, top, side="right"))
    counts = np.diff(np.minimum(begins, end), append=end)
    over = ascending.size - end
    return _told(edges, counts, under=int(begins[0]), over=over, is_whole=wanted.is_whole)


def _told(
    edges: list[float], counts: NDArray[np.int64], *, under: int, over: int, is_whole: bool
) -> JsonObject:
    said: list[Json] = [int(edge) if is_whole else float(edge) for edge in edges]
    bins: list[Json] = [
        {"lowEdge": low, "highEdge": high, "count": int(count)}
        for low, high, count in zip(said, said[1:], counts, strict=False)
    ]
    return {
        "bins": bins,
        "overflow": over,
        "underflow": under,
        "overflowCount": over,
        "underflowCount": under,
    }


def _edges(ascending: NDArray[np.float64], wanted: Histogram) -> list[float] | None:
    """The edges of the bins; none where no sample tells where they are."""
    if wanted.bins is not None:
        return list(wanted.bins)
    if not ascending.size and (wanted.low is None or wanted.high is None):
        return None
    low, high = wanted.low, wanted.high
    # All samples may lie beyond the one edge that is given: then the bins are empty.
    if low is None:
        low = min(float(ascending[0]), math.inf if high is None else high)
    if high is None:
        high = max(float(ascending[-1]), low)
    if wanted.count is not None:
        return _by_count(low, high, wanted.count, is_whole=wanted.is_whole)
    return _by_width(low, high, cast("float", wanted.width), is_open=wanted.high is None)


def _by_count(low: float, high: float, count: int, *, is_whole: bool) -> list[float]:
    width = (high - low) / count
    if not math.isfinite(width):
        msg = "the edges lie too far from each other"
        raise HistogramError(msg)
    if is_whole:
        width = max(1, math.ceil(width))
    return [low + number * width for number in range(count + 1)]


def _by_width(low: float, high: float, width: float, *, is_open: bool) -> list[float]:
    exact = (high - low) / width
    if not exact < MOST_BINS:
        msg = f"there would be more than {MOST_BINS} bins"
        raise HistogramError(msg)
    if is_open:
        count = math.floor(exact) + 1
        while low + count * width <= high:
            count += 1
        return [low + number * width for number in range(count + 1)]
    # What is a whole number but for rounding is one.
    count = max(1, math.ceil(exact - 1e-9 * max(1.0, exact)))
    return [*(low + number * width for number in range(count)), high]
