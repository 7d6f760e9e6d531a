"""
A request of the Statistical API computed: the script over each interval of time, and numbers about its outputs.

It runs in a thread and asks the store for nothing. Sources are opened once for all intervals; the script begins
anew in each, as the document says. Source: the statistics pages: intervals without data are left out, and one
that fails tells so in its place. Assumptions: which kind of error stands for which, and that a script without
a use for any interval is refused as a whole.
"""

# ruff: noqa: EM101  the texts are answers, and functions make the errors

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shplan.sandbox import metering, process, samples, statistics_requests, tallies, warping
from shplan.sandbox.areas import to_wgs84
from shplan.sandbox.errors import ApiError, violation
from shplan.sandbox.process_requests import ProcessRequest
from shplan.sandbox.raster_sources import DATA_MASK, SourceError
from shplan.sandbox.statistics_requests import MASK, within
from shplan.sandbox.tallies import HistogramError
from shplan.script.errors import Fault, ScriptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shplan.sandbox.aggregation import Interval
    from shplan.sandbox.raster_sources import Mask, RasterSource
    from shplan.sandbox.statistics_requests import Measured, StatisticsRequest
    from shplan.sandbox.wire import Json, JsonObject
    from shplan.script.facts import ScriptFacts
    from shplan.script.rendering import Output, Rendered
    from shplan.script.worker import Worker

OK, PARTIAL, FAILED = "OK", "PARTIAL", "FAILED"
BAD_REQUEST, EXECUTION_ERROR, TIMEOUT = "BAD_REQUEST", "EXECUTION_ERROR", "TIMEOUT"
# Our own bound: a script that did not end in so many intervals does not get its time for each of the others.
MOST_ENDLESS = 3


@dataclass(frozen=True, slots=True)
class Statistics:
    """What was computed, and what it costs in processing units, without any minimum."""

    content: JsonObject
    full_pu: float

    @property
    def cost_pu(self) -> float:
        """The price of a request by itself."""
        return max(self.full_pu, metering.STATISTICS_MINIMUM_PU)


def compute(
    request: StatisticsRequest, sources: Sequence[RasterSource], worker: Worker, *, is_strict: bool
) -> Statistics:
    """
    Compute a request.

    Args:
        sources: one for each data set
        is_strict: whether histograms must fit the kind of numbers of the output

    Raises:
        ApiError: 400, the script cannot be used for this; 500, its data cannot be read
    """
    wanted = request.aggregation
    for source in sources:
        process.check_resolution(request.grid, source)
    facts = _facts(request, sources, worker)
    process.check_inputs(wanted.data, sources, facts)
    statistics_requests.measured(facts.outputs, wanted.calculations, is_strict=is_strict)
    told: list[Json] = []
    full_pu, failed = 0.0, 0
    endless: list[Json] = []
    for interval in _occupied(request, sources):
        entry: JsonObject = {"interval": interval.as_json()}
        told.append(entry)
        if len(endless) == MOST_ENDLESS:
            entry["error"] = endless[-1]
            failed += 1
            continue
        try:
            computed = process.compute(_within(request, interval), sources, worker)
            entry["outputs"] = _outputs(request, computed.rendered, is_strict=is_strict)
            full_pu += computed.cost_pu
        except (ApiError, HistogramError) as error:
            kind = _kind(error)
            entry["error"] = {"type": kind, "message": str(error)}
            endless += [entry["error"]] if kind == TIMEOUT else []
            failed += 1
    content: JsonObject = {
        "data": told,
        "status": _status(len(told), failed),
        "geometryPixelCount": _pixels_inside(request),
    }
    return Statistics(content, full_pu)


def _facts(
    request: StatisticsRequest, sources: Sequence[RasterSource], worker: Worker
) -> ScriptFacts:
    known = dict.fromkeys(name for source in sources for name in (*source.bands, DATA_MASK))
    try:
        with worker.begin(request.aggregation.evalscript, bands=known) as rendering:
            facts = rendering.facts
    except ScriptError as error:
        raise process.script_failed(error) from error
    if facts.is_simple:
        raise violation("aggregation->evalscript", f"must have setup() with an output {MASK}")
    return facts


def _occupied(request: StatisticsRequest, sources: Sequence[RasterSource]) -> list[Interval]:
    """The intervals in which any data set has a scene."""
    intervals = request.aggregation.intervals
    if not intervals:
        return []
    area = to_wgs84(request.area, request.grid.epsg)
    begins = [one.from_ms for one in intervals]
    found: set[int] = set()
    for data, source in zip(request.aggregation.data, sources, strict=True):
        scenes = source.scenes(
            area, from_ms=data.from_ms, to_ms=data.to_ms, order=data.order, max_cloud=data.max_cloud
        )
        for scene in scenes:
            # What has no time belongs to all of them.
            if scene.at_ms is None:
                return list(intervals)
            found.add(bisect_right(begins, scene.at_ms) - 1)
    return [intervals[number] for number in sorted(found)]


def _within(request: StatisticsRequest, interval: Interval) -> ProcessRequest:
    return ProcessRequest(
        evalscript=request.aggregation.evalscript,
        grid=request.grid,
        area=request.area,
        is_clipped=request.is_clipped,
        data=tuple(
            within(one, interval.from_ms, interval.to_ms) for one in request.aggregation.data
        ),
        wanted=(),
        archive=None,
    )


def _outputs(request: StatisticsRequest, rendered: Rendered, *, is_strict: bool) -> JsonObject:
    """What answers tell of each output; `updateOutput()` may have changed how many bands it has."""
    by_id = {one.facts.id: one for one in rendered.outputs}
    asked = statistics_requests.measured(
        [one.facts for one in rendered.outputs],
        request.aggregation.calculations,
        is_strict=is_strict,
    )
    mask_type = by_id[MASK].facts.sample_type
    # As everywhere here, AUTO is what no script says.
    mask = samples.written(
        by_id[MASK].pixels, samples.FLOAT32 if mask_type == samples.AUTO else mask_type
    )
    # NaN is no yes.
    has_data: Mask = np.nan_to_num(mask) != 0
    return {
        one.id: {
            "bands": _bands(
                one,
                by_id[one.id],
                np.ones(has_data.shape[:2], dtype=bool)
                if one.mask_band is None
                else has_data[..., one.mask_band],
            )
        }
        for one in asked
    }


def _bands(asked: Measured, output: Output, has_data: Mask) -> JsonObject:
    pixels = samples.written(output.pixels, asked.sample_type)
    counts = has_data.ravel()
    return {
        name: tallies.of_band(np.ascontiguousarray(pixels[..., number]).ravel(), counts, wanted)
        for number, (name, wanted) in enumerate(asked.bands.items())
    }


def _kind(error: ApiError | HistogramError) -> str:
    """The kind of error that the interval tells; the released client asks again after the last two."""
    cause = error.__cause__
    if isinstance(cause, ScriptError):
        return TIMEOUT if cause.fault is Fault.TIMEOUT else EXECUTION_ERROR
    return EXECUTION_ERROR if isinstance(cause, SourceError) else BAD_REQUEST


def _status(told: int, failed: int) -> str:
    if not failed:
        return OK
    return FAILED if failed == told else PARTIAL


def _pixels_inside(request: StatisticsRequest) -> int:
    grid = request.grid
    if not request.is_clipped:
        return grid.width * grid.height
    return int(np.count_nonzero(warping.inside(request.area, grid.epsg, grid)))
