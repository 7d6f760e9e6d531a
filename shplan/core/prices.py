"""
The price of each API's requests: one pure function for each, of the body and its evalscript.

What is missing, or known only after apply, makes a price unknown (None), which is no error here.
The formula stands in `job_cost` and `job_terms`, what a body says about it in `job_input`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import TypeAlias, cast

from shplan.core.acquisitions import (
    Catalogue,
    Search,
    counted,
    counted_intervals,
    margin_of,
    search_of,
)
from shplan.core.areas import NotAnAreaError, boxes_of
from shplan.core.compare import instant
from shplan.core.cost import Cost, CostTerm, exactly
from shplan.core.delivery_price import delivery_cost
from shplan.core.image_size import ASSUMED_PX, ImageSize, extent_km, image_size
from shplan.core.job_cost import (
    ASYNC,
    BATCH,
    BATCH_STATISTICS,
    MOST_TILES_PER_DAY,
    PROCESS,
    STATISTICS,
    CostInput,
    Features,
    Output,
    Samples,
    Tariff,
    interval_samples,
    tiles_a_day,
)
from shplan.core.job_input import (
    Sampling,
    ScriptShape,
    cost_input,
    data_of,
    image_input,
    is_timeless,
    most_tiles,
    object_of,
    priced,
    reads,
    samples_of,
    text_of,
)
from shplan.core.job_terms import cost_of
from shplan.core.statistic_intervals import Intervals, cut
from shplan.core.value import JsonObject, Object, Value, is_known

Price: TypeAlias = "Callable[[PriceInput], Cost | None]"

_SEARCH_LEAST = 0.01
_SEARCH_SOURCE = "processing units: area by months, from 0.01 to 1"
# Rasters of features begin and end with whole pixels.
_FEATURE_MARGIN_M = 1_000.0
_EARTH_RADIUS_KM = 6_371.0088
_JSON = (Output("FLOAT32", "application/json"),)


@dataclass(frozen=True, slots=True)
class PriceInput:
    """
    What the price of a request is computed from.

    Args:
        request: the body, in the API's own words, with references to ids unresolved where they are
        script: of its evalscript, as `setup()` says
        tables: published tables of the service by name, as data: `tiling-grids`
        features: of the file that the request names, by size; None where it names none or it
            cannot be read
        already_done: features that an earlier attempt delivered, with `skipExisting`
        catalogue: what it has said of acquisitions; where it was not asked, they are assumed
        deployment: as run keys name it
        around: where the features of the file lie, as `input.bounds` says it; None: not known
    """

    request: Object
    script: ScriptShape
    tables: Mapping[str, JsonObject] = field(default_factory=dict)
    features: tuple[Features, ...] | None = None
    already_done: int = 0
    catalogue: Catalogue = field(default_factory=Catalogue)
    around: Value = None
    deployment: str = ""


def _within_reason(price: Price) -> Price:
    """Have what no computer counts with make a price unknown, as what is missing does."""

    @wraps(price)
    def guarded(asked: PriceInput) -> Cost | None:
        try:
            cost = price(asked)
        except OverflowError:
            return None
        return cost if cost is None or math.isfinite(cost.maximum_pu) else None

    return guarded


@_within_reason
def process_cost(asked: PriceInput) -> Cost | None:
    """Return the price of a Process request."""
    return _image(asked, PROCESS, assumed_px=ASSUMED_PX)


@_within_reason
def async_cost(asked: PriceInput) -> Cost | None:
    """Return the price of an asynchronous Process request, which assumes no size, and its delivery."""
    image = _image(asked, ASYNC, assumed_px=None)
    delivery = delivery_cost(asked.request, asked.script, asked.deployment)
    return None if image is None or delivery is None else image + delivery


@_within_reason
def statistics_cost(asked: PriceInput) -> Cost | None:
    """Return the price of a Statistical request: of its area, over all intervals."""
    bounds = object_of(asked.request.get("input")).get("bounds")
    wanted = object_of(asked.request.get("aggregation"))
    size = image_size(bounds, wanted, assumed_px=ASSUMED_PX)
    given = _statistics(asked, tiles=tiles_a_day(extent_km(bounds)))
    if size is None or given is None:
        return None
    area = Features(1, size.width_px, size.height_px, counted=size.counted, noun="an area")
    return cost_of(replace(given, features=(area,)), STATISTICS)


@_within_reason
def batch_statistics_cost(asked: PriceInput) -> Cost | None:
    """Return the price of a Batch Statistical request: of each feature, over all intervals."""
    given = _statistics(asked, tiles=MOST_TILES_PER_DAY)
    features = asked.features
    if features is None or given is None:
        return None
    given = replace(given, features=features, already_done=asked.already_done)
    return cost_of(given, BATCH_STATISTICS)


@_within_reason
def batch_v2_cost(asked: PriceInput) -> Cost | None:
    """Return the price of a Batch V2 request: of each tile of its grid, or of each feature."""
    table = asked.tables.get("tiling-grids")
    process = object_of(asked.request.get("processRequest"))
    if table is None or not _is_stated(process) or not is_known(asked.request.get("input")):
        return None
    given = cost_input(
        asked.request,
        asked.script,
        table,
        features=asked.features,
        already_done=asked.already_done,
        sampling=_batch_sampling(asked, process),
    )
    return None if given is None else cost_of(given, BATCH)


def batch_v1_cost(asked: PriceInput) -> Cost | None:
    """
    Return the price of a Batch V1 request, which is that of V2 for the same tiles.

    The service's own `valueEstimate`, once it is there, is the better word.
    """
    grid = object_of(asked.request.get("tilingGrid"))
    request = {**asked.request, "input": {**grid, "type": "tiling-grid"}}
    return batch_v2_cost(replace(asked, request=request, features=None))


def catalogue_cost(search: Object, *, pages: int = 1) -> Cost:
    """
    Return the price of a catalogue's search, at most.

    Source: processing units: square kilometres over a million, at least 0.01, times the months
    that begin; at least 0.01 PU and at most 1. A search for ids has neither area nor time.
    """
    if search.get("ids"):
        label = "read a page of the catalogue by ids"
        return exactly(CostTerm(label, pages, _SEARCH_LEAST, _SEARCH_SOURCE))
    area = _square_km(search)
    months = _months(text_of(search.get("datetime")))
    pu = 1.0
    if area is not None and months is not None:
        pu = min(max(area / 1_000_000, 0.01) * months, pu)
    return exactly(CostTerm("read a page of the catalogue", pages, pu, _SEARCH_SOURCE))


def _square_km(search: Object) -> float | None:
    """Return the area of a search, of the boxes of its parts at most; None where it has none."""
    area = search.get("bbox") or search.get("intersects")
    if not isinstance(area, list | dict):
        return None
    try:
        boxes = boxes_of(cast("Object | list[float]", area))
    except NotAnAreaError:
        return None
    if not boxes:
        return None
    west, south, east, north = (list(side) for side in zip(*boxes, strict=True))
    whole = _box_square_km(min(west), min(south), max(east), max(north))
    return min(sum(_box_square_km(*box) for box in boxes), whole)


def _box_square_km(west: float, south: float, east: float, north: float) -> float:
    band = math.sin(math.radians(north)) - math.sin(math.radians(south))
    return _EARTH_RADIUS_KM**2 * math.radians(east - west) * band


def _months(span: str) -> int | None:
    """Return the months that a time takes, begun ones whole; None where it is open."""
    since, _, until = span.partition("/")
    first, last = instant(since), instant(until or since)
    if first is None or last is None:
        return None
    whole = (last.year - first.year) * 12 + last.month - first.month
    begun = (last.day, last.time()) > (first.day, first.time())
    return max(whole + begun, 1)


def _is_stated(process: Object) -> bool:
    """
    Tell whether everything is known that decides a price.

    The id of a collection does not, nor does the place that results go to.
    """
    given, output = object_of(process.get("input")), object_of(process.get("output"))
    collections = [{**one, "type": "", "id": ""} for one in data_of(process)]
    return (
        is_known(cast("Value", collections))
        and is_known({**given, "data": None})
        and is_known({**output, "delivery": None})
    )


def _image(asked: PriceInput, tariff: Tariff, *, assumed_px: int | None) -> Cost | None:
    if not _is_stated(asked.request):
        return None
    bounds = object_of(asked.request.get("input")).get("bounds")
    output = object_of(asked.request.get("output"))
    size: ImageSize | None = image_size(bounds, output, assumed_px=assumed_px)
    if size is None:
        return None
    tiles = tiles_a_day(extent_km(bounds))

    def sampling(mosaicking: str, data: Object) -> Samples | None:
        assumed = samples_of(mosaicking, data, tiles_a_day=tiles)
        if assumed is None:
            return None
        whole, search = not asked.script.chooses, search_of(bounds, data, _span_of(data))
        return counted(assumed, mosaicking, search, asked.catalogue, whole=whole)

    given = image_input(asked.request, asked.script, size, sampling)
    return None if given is None else cost_of(given, tariff)


def _statistics(asked: PriceInput, *, tiles: int) -> CostInput | None:
    """Return what does not depend on the area: the answer is JSON, whatever the script writes."""
    wanted = {**asked.request, "output": asked.request.get("aggregation")}
    if not _is_stated({**wanted, "input": {**object_of(wanted.get("input")), "features": None}}):
        return None
    intervals = intervals_of(asked.request)
    if intervals is None:
        return None

    def sampling(mosaicking: str, data: Object) -> Samples:
        timeless = is_timeless(data)
        assumed = interval_samples(
            mosaicking, intervals, timeless=timeless, tiles_a_day=most_tiles(data, tiles)
        )
        search = _statistics_search(asked, data, intervals)
        fused = len(data_of(asked.request)) > 1
        return counted_intervals(
            assumed, mosaicking, search, asked.catalogue, intervals, fused=fused
        )

    read = reads(asked.request, asked.script, sampling)
    return None if read is None else priced(asked.request, read, _JSON)


def searches(asked: PriceInput) -> tuple[Search, ...]:
    """
    Return what a price would ask the catalogue: nothing where it does not depend on acquisitions.

    Args:
        asked: of any API; batch requests in the words of version 2
    """
    request = asked.request
    if not isinstance(request.get("processRequest"), dict):
        found = _direct_searches(asked)
    else:
        found = _batch_searches(asked, object_of(request["processRequest"]))
    try:
        return tuple({one.key: one for one in found if one is not None}.values())
    except OverflowError:
        # It has no price either.
        return ()


def _direct_searches(asked: PriceInput) -> Iterator[Search | None]:
    request = asked.request
    bounds = object_of(request.get("input")).get("bounds")
    intervals = intervals_of(request) if "aggregation" in request else None
    for data in data_of(request):
        if intervals is not None:
            yield _statistics_search(asked, data, intervals)
        elif "aggregation" not in request and _many(asked.script):
            yield search_of(bounds, data, _span_of(data))


def _batch_searches(asked: PriceInput, process: Object) -> Iterator[Search | None]:
    if _many(asked.script):
        for data in data_of(process):
            yield _batch_search(asked, process, data)


def _batch_search(asked: PriceInput, process: Object, data: Object) -> Search | None:
    """Ask about all that may be read: beyond the area as far as tiles reach, or around features."""
    table, bounds = asked.tables.get("tiling-grids"), object_of(process.get("input")).get("bounds")
    margin_m = None if table is None else margin_of(asked.request, table)
    if margin_m is None:
        bounds, margin_m = asked.around, _FEATURE_MARGIN_M
    return search_of(bounds, data, _span_of(data), margin_m=margin_m, estimated=True)


def _batch_sampling(asked: PriceInput, process: Object) -> Sampling:
    def sampling(mosaicking: str, data: Object) -> Samples | None:
        assumed = samples_of(mosaicking, data)
        if assumed is None:
            return None
        search = _batch_search(asked, process, data)
        return counted(assumed, mosaicking, search, asked.catalogue, whole=False)

    return sampling


def _statistics_search(asked: PriceInput, data: Object, intervals: Intervals) -> Search | None:
    """Ask about whole days: an interval may begin or end within one."""
    if not intervals.spans:
        return None
    span = (f"{intervals.spans[0][0]}T00:00:00Z", f"{intervals.spans[-1][1]}T23:59:59Z")
    if asked.around is not None:
        return search_of(asked.around, data, span, margin_m=_FEATURE_MARGIN_M)
    return search_of(object_of(asked.request.get("input")).get("bounds"), data, span)


def _span_of(data: Object) -> tuple[str, str]:
    within = object_of(object_of(data.get("dataFilter")).get("timeRange"))
    return text_of(within.get("from")), text_of(within.get("to"))


def _many(script: ScriptShape) -> bool:
    """Tell whether any input has a sample for each acquisition."""
    return any(one.mosaicking in ("ORBIT", "TILE") for one in script.inputs)


def intervals_of(request: Object) -> Intervals | None:
    """Return what a statistical request cuts its time range into; None where it does not say."""
    wanted = object_of(request.get("aggregation"))
    span, each = object_of(wanted.get("timeRange")), object_of(wanted.get("aggregationInterval"))
    since, until = (instant(text_of(span.get(name))) for name in ("from", "to"))
    if since is None or until is None or until < since:
        return None
    last = text_of(each.get("lastIntervalBehavior")) or "SKIP"
    return cut(since, until, of=text_of(each.get("of")), last=last)
