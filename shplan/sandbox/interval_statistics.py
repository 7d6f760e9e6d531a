"""
A request of the Statistical API computed: the script over each interval of time, and numbers about its outputs.

It runs in a thread and asks the store for nothing. Sources are opened once for all intervals; the script begins
anew in each, as the document says. Source: the statistics pages: intervals without data are left out, and one
that fails tells so in its place. Assumptions: which kind of error stands for which, and that a script that
can be used for no interval is refused as a whole.
"""

# ruff: noqa: EM101, EM102, TRY003  the texts are answers, and functions make the errors

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shplan.sandbox import metering, process, samples, statistics_requests, tallies, warping
from shplan.sandbox.areas import to_wgs84
from shplan.sandbox.errors import RENDERER_EXCEPTION, ApiError, bad_payload, violation
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

# Our own bounds: what a request may make of one worker, some minutes of it.
MOST_INTERVALS = 2_000
MOST_PIXELS = 1_500_000_000
# A script that met a limit so many times is not run again.
MOST_STOPPED = 2
OK, PARTIAL, FAILED = "OK", "PARTIAL", "FAILED"
BAD_REQUEST, EXECUTION_ERROR, TIMEOUT = "BAD_REQUEST", "EXECUTION_ERROR", "TIMEOUT"


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
        ApiError: 400, the script cannot be used for this, or there is too much to do; 500, nobody can
            tell which instants there are
    """
    wanted = request.aggregation
    for source in sources:
        process.check_resolution(request.grid, source)
    facts = _facts(request, sources, worker)
    process.check_inputs(wanted.data, sources, facts)
    statistics_requests.measured(facts.outputs, wanted.calculations, is_strict=is_strict)
    try:
        occupied = _occupied(request, sources, facts)
    except SourceError as error:
        raise ApiError(500, RENDERER_EXCEPTION, str(error)) from error
    _check_amount(request, len(occupied))
    made = _Made(request, sources, worker, is_strict)
    told: list[Json] = [made.entry(interval) for interval in occupied]
    content: JsonObject = {
        "data": told,
        "status": made.status(len(occupied)),
        "geometryPixelCount": _pixels_inside(request),
    }
    return Statistics(content, made.full_pu)


@dataclass(slots=True)
class _Made:
    """
    What is made of the intervals, one after the other.

    Args:
        stopped: how many of them met a limit of the script
    """

    request: StatisticsRequest
    sources: Sequence[RasterSource]
    worker: Worker
    is_strict: bool
    full_pu: float = 0.0
    failed: int = 0
    stopped: int = 0

    def entry(self, interval: Interval) -> JsonObject:
        """What the answer tells of an interval."""
        told: JsonObject = {"interval": interval.as_json()}
        if self.stopped >= MOST_STOPPED:
            self.failed += 1
            message = "The script met its limits in intervals before, and was not run for this one."
            return {**told, "error": {"type": TIMEOUT, "message": message}}
        try:
            computed = process.compute(_within(self.request, interval), self.sources, self.worker)
            outputs = _outputs(self.request, computed.rendered, is_strict=self.is_strict)
        except (ApiError, HistogramError) as error:
            self.failed += 1
            self.stopped += _is_stopped(error)
            message = error.sentence() if isinstance(error, ApiError) else str(error)
            return {**told, "error": {"type": _kind(error), "message": message}}
        self.full_pu += computed.cost_pu
        return {**told, "outputs": outputs}

    def status(self, intervals: int) -> str:
        """What the answer tells of all of them."""
        if not self.failed:
            return OK
        return FAILED if self.failed == intervals else PARTIAL


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


def _occupied(
    request: StatisticsRequest, sources: Sequence[RasterSource], facts: ScriptFacts
) -> list[Interval]:
    """The intervals in which any data set has a scene."""
    wanted = request.aggregation
    intervals = wanted.intervals
    if not intervals:
        return []
    area = to_wgs84(request.area, request.grid.epsg)
    begins = [one.from_ms for one in intervals]
    found: set[int] = set()
    for data, source in zip(wanted.data, sources, strict=True):
        bands = process.bands_read(wanted.data, facts, data.id)
        scenes = source.scenes(data.search(area, bands=bands))
        for scene in scenes:
            # What has no time belongs to all of them.
            if scene.at_ms is None:
                return list(intervals)
            found.add(bisect_right(begins, scene.at_ms) - 1)
    return [intervals[number] for number in sorted(found)]


def _check_amount(request: StatisticsRequest, intervals: int) -> None:
    pixels = intervals * request.grid.width * request.grid.height
    if intervals > MOST_INTERVALS or pixels > MOST_PIXELS:
        raise bad_payload(
            f"The request is too large: {intervals} intervals with data of {request.grid.width} x"
            f" {request.grid.height} pixels. Please ask for a part of the time range."
        )


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


def _is_stopped(error: Exception) -> bool:
    cause = error.__cause__
    return isinstance(cause, ScriptError) and cause.fault in (Fault.TIMEOUT, Fault.MEMORY)


def _kind(error: ApiError | HistogramError) -> str:
    """The kind of error that the interval tells; the released client asks again after the last two."""
    cause = error.__cause__
    if isinstance(cause, ScriptError):
        return TIMEOUT if cause.fault is Fault.TIMEOUT else EXECUTION_ERROR
    return EXECUTION_ERROR if isinstance(cause, SourceError) else BAD_REQUEST


def _pixels_inside(request: StatisticsRequest) -> int:
    grid = request.grid
    if not request.is_clipped:
        return grid.width * grid.height
    return int(np.count_nonzero(warping.inside(request.area, grid.epsg, grid)))
