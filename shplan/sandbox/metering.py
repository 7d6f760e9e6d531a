"""
What a feature of a batch task costs, and a request of the Process API, in processing units.

The sandbox's own reading of the published formula, A x B/3 x F x S x U x R x D; the client has
another. Source: the page on processing units. Assumptions: bands, samples and radar factors are
added up over the data sets of a fusion; the units of a task whose features cost less than the
minimum together are raised in proportion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shplan.sandbox.wire import parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from shplan.sandbox.wire import Json, JsonObject
    from shplan.script.facts import InputFacts, ScriptFacts

MINIMUM_PU = 100.0
PROCESS_MINIMUM_PU = 0.005
ASYNC_MINIMUM_PU = 10.0
STATISTICS_MINIMUM_PU = 0.01
UNIT_PIXELS = 512 * 512
UNIT_BANDS = 3
SMALLEST_AREA = 0.01
DISCOUNT = 1 / 3
ASYNC_DISCOUNT = 2 / 3
# Source: the page on processing units, the factor of the format.
FLOAT_TIFF, RAW = 2.0, 1.4
# A megabyte that is delivered to another region.
ABROAD_MB_PU = 0.03
_REGIONS = {
    "aws-eu-central-1": ("eu-central-1",),
    "aws-us-west-2": ("us-west-2",),
    "cdse": ("waw3-1", "waw3-2", "waw4-1"),
}
# Smaller images get no discount.
DISCOUNT_FROM_PIXELS = 10_000

_DAY_MS = 86_400_000
# Where an open range begins for the count of acquisitions: a choice of ours.
_OPEN_FROM_MS = 1_420_070_400_000


@dataclass(frozen=True, slots=True)
class Tariff:
    """What a pixel costs: everything of the formula but the area and the discount."""

    factor: float

    def feature_pu(self, *, width: int, height: int) -> float:
        """The units of an image of this size, in pixels."""
        discount = DISCOUNT if width * height >= DISCOUNT_FROM_PIXELS else 1.0
        return self.full_pu(width=width, height=height) * discount

    def full_pu(self, *, width: int, height: int) -> float:
        """The same without the discount of batch processing."""
        return max(width * height / UNIT_PIXELS, SMALLEST_AREA) * self.factor


def raise_to_minimum(pu: Sequence[float]) -> float:
    """The number by which each feature's units are multiplied, so that the task costs enough."""
    total = math.fsum(pu)
    return max(1.0, MINIMUM_PU / total) if total else 1.0


def tariff(
    request: JsonObject,
    facts: ScriptFacts,
    *,
    now_ms: int,
    acquisition_every_days: float,
    rounding: Callable[[float], int] = math.ceil,
) -> Tariff:
    """
    The tariff of a task.

    Args:
        request: its `processRequest`
        facts: what its evalscript says of itself
        now_ms: end of a time range that is open
        acquisition_every_days: how samples are counted while there is no catalogue
        rounding: of the number of samples
    """
    inputs = cast("JsonObject", request["input"])
    data = cast("list[JsonObject]", inputs["data"])
    factor = math.fsum(
        _paid_bands(one.bands)
        / UNIT_BANDS
        * max(1, rounding(_samples(one, source, now_ms, every_days=acquisition_every_days)))
        * _radar(source)
        for one, source in _paired(facts.inputs, data)
    )
    fused = max(1, len(data))
    return Tariff(factor * _format(request, facts) * fused)


@dataclass(frozen=True, slots=True)
class Read:
    """
    What was read of one data set.

    Args:
        bands: by name, once each
        samples: how many a pixel had
        source: the data set as it was asked for
    """

    bands: tuple[str, ...]
    samples: int
    source: JsonObject


def answer_pu(
    reads: Sequence[Read],
    *,
    width: int,
    height: int,
    data_sets: int,
    is_float_tiff: bool,
    is_raw: bool = False,
) -> float:
    """
    The units of what was computed, without a minimum or a discount.

    No sample at all costs as one does: the page tells nothing of it.

    Args:
        width: in pixels, of the bounding box
        height: in pixels
        data_sets: of a fusion; all of them lie here, where the factor is their number
        is_float_tiff: whether any answer is a TIFF in 32-bit floating point numbers
        is_raw: whether the answer is samples alone
    """
    factor = math.fsum(
        _paid_bands(one.bands) / UNIT_BANDS * max(1, one.samples) * _radar(one.source)
        for one in reads
    )
    form = FLOAT_TIFF if is_float_tiff else RAW if is_raw else 1.0
    factor *= form * max(1, data_sets)
    return Tariff(factor).full_pu(width=width, height=height)


def async_pu(full_pu: float, *, width: int, height: int, has_discount: bool) -> float:
    """
    The units of an asynchronous request.

    Args:
        full_pu: of what was computed, without a minimum or a discount
        width: in pixels, of the bounding box
        height: in pixels
        has_discount: whether images that are large enough have one
    """
    is_large = width * height >= DISCOUNT_FROM_PIXELS
    return max(full_pu * (ASYNC_DISCOUNT if has_discount and is_large else 1.0), ASYNC_MINIMUM_PU)


def delivery_pu(delivery: JsonObject, *, location: str, delivered_bytes: int) -> float:
    """
    The units of what leaves the region of a deployment; a region that is not stated is its own.

    Source: the page on processing units, asynchronous requests. Of Google Cloud it tells nothing.
    """
    place = delivery.get("s3")
    region = place.get("region") if isinstance(place, dict) else None
    if not isinstance(region, str) or region.lower() in _REGIONS.get(location, ()):
        return 0.0
    return delivered_bytes / 1e6 * ABROAD_MB_PU


def _paired(
    inputs: Sequence[InputFacts], data: Sequence[JsonObject]
) -> list[tuple[InputFacts, JsonObject]]:
    """Each input of the script with the data set that it reads."""
    by_id = {one.get("id"): one for one in data}
    return [
        (one, by_id.get(one.datasource) or data[min(index, len(data) - 1)])
        for index, one in enumerate(inputs)
    ]


def _paid_bands(names: Iterable[str]) -> int:
    """Bands that are paid for: `dataMask` only if it stands alone."""
    return max(1, len(set(names) - {"dataMask"}))


def _samples(one: InputFacts, source: JsonObject, now_ms: int, *, every_days: float) -> float:
    if one.mosaicking == "SIMPLE":
        return 1
    chosen = source.get("dataFilter")
    span = chosen.get("timeRange") if isinstance(chosen, dict) else None
    if not isinstance(span, dict):
        return 1
    begin = _instant(span.get("from"), open_ms=_OPEN_FROM_MS)
    end = _instant(span.get("to"), open_ms=now_ms)
    return (end - begin) / (every_days * _DAY_MS)


def _instant(text: Json, *, open_ms: int) -> int:
    return parse_instant(text) if isinstance(text, str) and text != ".." else open_ms


def _radar(source: JsonObject) -> float:
    processing = source.get("processing")
    if source.get("type") != "sentinel-1-grd" or not isinstance(processing, dict):
        return 1.0
    speckle = processing.get("speckleFilter")
    filtered = isinstance(speckle, dict) and speckle.get("type", "NONE") != "NONE"
    corrected = 1.0
    if processing.get("backCoeff") == "GAMMA0_TERRAIN":
        corrected = 2.5
    elif processing.get("orthorectify"):
        corrected = 2.0
    return corrected * (2.0 if filtered else 1.0)


def _format(request: JsonObject, facts: ScriptFacts) -> float:
    """Twice for TIFF in 32-bit floating point numbers."""
    sample_types = {one.id: one.sample_type for one in facts.outputs}
    doubled = any(
        media_type == "image/tiff" and sample_types.get(identifier) == "FLOAT32"
        for identifier, media_type in responses(request)
    )
    return 2.0 if doubled else 1.0


def responses(request: JsonObject) -> list[tuple[str, str]]:
    """Output id and media type of each answer asked for, the defaults filled in."""
    output = cast("JsonObject", request["output"])
    listed = cast("list[JsonObject]", output.get("responses") or [{}])
    return [
        (
            str(one.get("identifier", "default")),
            str(cast("JsonObject", one.get("format", {})).get("type", "image/tiff")),
        )
        for one in listed
    ]
