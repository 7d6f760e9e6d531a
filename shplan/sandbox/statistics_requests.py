"""
What the Statistical API asks for, as values: an area, data, intervals of time, and numbers about each output.

The schema was checked before. Source: the statistics pages and schemas: the time of a data set is that of the
aggregation, a histogram has one of `nBins`, `binWidth` and `bins`, `default` stands for every output or band
that has no entry of its own, and whole numbers as edges need an output of whole numbers.
"""

# ruff: noqa: EM101, EM102  the texts are answers, and functions make the errors

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from shplan.sandbox import aggregation, tallies
from shplan.sandbox.aggregation import DurationError
from shplan.sandbox.errors import violation
from shplan.sandbox.process_requests import AGGREGATED, DEFAULT, data_of, grid_of
from shplan.sandbox.samples import AUTO, FLOAT32
from shplan.sandbox.wire import parse_instant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shplan.sandbox.aggregation import Interval
    from shplan.sandbox.areas import Area
    from shplan.sandbox.process_requests import DataSet
    from shplan.sandbox.raster_sources import Grid
    from shplan.sandbox.tallies import Histogram, Wanted
    from shplan.sandbox.wire import JsonObject
    from shplan.script.facts import OutputFacts

MASK = "dataMask"
_FORMS = ("nBins", "binWidth", "bins")


@dataclass(frozen=True, slots=True)
class Aggregation:
    """
    Which times are looked at, and how.

    Args:
        intervals: in their order
        data: the data sets, each within the whole of the time
    """

    evalscript: str
    intervals: tuple[Interval, ...]
    data: tuple[DataSet, ...]
    calculations: JsonObject


@dataclass(frozen=True, slots=True)
class StatisticsRequest:
    """
    A request that may be computed.

    Args:
        area: in the CRS of the grid
        is_clipped: whether pixels outside the area are no data
    """

    aggregation: Aggregation
    grid: Grid
    area: Area
    is_clipped: bool


def read(body: JsonObject) -> StatisticsRequest:
    """
    Read a body that is valid by its schema.

    Raises:
        ApiError: 400
    """
    inputs = cast("JsonObject", body["input"])
    wanted = cast("JsonObject", body["aggregation"])
    bounds = cast("JsonObject", inputs["bounds"])
    grid, area, is_clipped = grid_of(bounds, wanted, AGGREGATED)
    found = aggregation_of(body, evalscript=str(wanted["evalscript"]))
    return StatisticsRequest(found, grid, area, is_clipped)


def aggregation_of(body: JsonObject, *, evalscript: str) -> Aggregation:
    """
    Everything of a request but where its pixels lie, which a batch has for each feature.

    Raises:
        ApiError: 400
    """
    wanted = cast("JsonObject", body["aggregation"])
    calculations = cast("JsonObject", body.get("calculations", {}))
    for identifier, definition in calculations.items():
        _check_calculation(f"calculations->{identifier}", cast("JsonObject", definition))
    cut = _intervals(wanted)
    items = cast("list[JsonObject]", cast("JsonObject", body["input"])["data"])
    data = data_of([_timeless(item) for item in items])
    if cut:
        data = tuple(within(one, cut[0].from_ms, cut[-1].to_ms) for one in data)
    return Aggregation(evalscript, cut, data, calculations)


def within(data: DataSet, from_ms: int, to_ms: int) -> DataSet:
    """A data set within a time whose end is not in it."""
    span = (aggregation.told(from_ms), aggregation.told(to_ms))
    return replace(data, from_ms=from_ms, to_ms=to_ms - 1, span=span)


def _timeless(item: JsonObject) -> JsonObject:
    """Source: the statistics pages: what a data set says of time is not used."""
    chosen = item.get("dataFilter")
    if not isinstance(chosen, dict):
        return item
    return {**item, "dataFilter": {k: v for k, v in chosen.items() if k != "timeRange"}}


def _intervals(wanted: JsonObject) -> tuple[Interval, ...]:
    span = cast("JsonObject", wanted["timeRange"])
    by = cast("JsonObject", wanted["aggregationInterval"])
    place = "aggregation->timeRange"
    try:
        from_ms, to_ms = parse_instant(str(span["from"])), parse_instant(str(span["to"]))
    except (ValueError, OverflowError):
        raise violation(place, "must be date-times") from None
    if from_ms > to_ms:
        raise violation(place, "must not end before it begins")
    last = str(by.get("lastIntervalBehavior", aggregation.SKIP))
    try:
        of = aggregation.duration_of(str(by["of"]))
        return aggregation.intervals(from_ms, to_ms, of=of, last=last)
    except DurationError as error:
        raise violation("aggregation->aggregationInterval->of", str(error)) from error


def _check_calculation(place: str, definition: JsonObject) -> None:
    histograms = cast("dict[str, JsonObject]", definition.get("histograms", {}))
    for band, histogram in histograms.items():
        _check_histogram(f"{place}->histograms->{band}", histogram)


def _check_histogram(place: str, histogram: JsonObject) -> None:
    if len([name for name in _FORMS if name in histogram]) != 1:
        raise violation(place, f"must have one of {', '.join(_FORMS)}")
    low, high = histogram.get("lowEdge"), histogram.get("highEdge")
    if low is not None and high is not None and cast("float", low) >= cast("float", high):
        raise violation(place, "must have its lowEdge before its highEdge")
    if "nBins" in histogram:
        count = cast("float", histogram["nBins"])
        if not float(count).is_integer() or not 1 <= count <= tallies.MOST_BINS:
            raise violation(
                f"{place}->nBins", f"must be a whole number from 1 to {tallies.MOST_BINS}"
            )
    elif "binWidth" in histogram:
        _check_width(f"{place}->binWidth", cast("float", histogram["binWidth"]), low, high)
    else:
        edges = cast("list[float]", histogram["bins"])
        ascends = all(one < other for one, other in pairwise(edges))
        if not 2 <= len(edges) <= tallies.MOST_BINS + 1 or not ascends:
            raise violation(f"{place}->bins", "must be two or more edges that ascend")


def _check_width(place: str, width: float, low: object, high: object) -> None:
    if width <= 0:
        raise violation(place, "must be greater than 0")
    known = low is not None and high is not None
    if known and (cast("float", high) - cast("float", low)) / width > tallies.MOST_BINS:
        raise violation(place, f"makes more than {tallies.MOST_BINS} bins")


# What is asked for of each output, once the script has told which there are.


@dataclass(frozen=True, slots=True)
class Measured:
    """
    One output that is measured.

    Args:
        bands: what is asked for of each, by name
        sample_type: of its samples
        mask_band: number of the band of the data mask that decides what counts; none: everything does
    """

    id: str
    bands: Mapping[str, Wanted]
    sample_type: str
    mask_band: int | None


def measured(
    outputs: Sequence[OutputFacts], calculations: JsonObject, *, is_strict: bool
) -> tuple[Measured, ...]:
    """
    What is measured, in the order in which the script declares it.

    Args:
        is_strict: whether edges that are no numbers of the output's kind are refused

    Raises:
        ApiError: 400, the script has no mask, or what is asked for does not fit its outputs
    """
    by_id = {one.id: one for one in outputs}
    mask = by_id.pop(MASK, None)
    if mask is None:
        raise violation("aggregation->evalscript", f"must have an output with the id {MASK}")
    if not by_id:
        raise violation("aggregation->evalscript", f"must have an output beside {MASK}")
    for identifier in calculations:
        if identifier not in by_id and identifier != DEFAULT:
            known = ", ".join(by_id)
            raise violation(
                f"calculations->{identifier}", f"is no output of the script; it has {known}"
            )
    masks = _mask_bands(mask, list(by_id))
    return tuple(
        _measured(one, calculations, masks.get(one.id), is_strict=is_strict)
        for one in by_id.values()
    )


def _mask_bands(mask: OutputFacts, outputs: list[str]) -> dict[str, int]:
    """
    Which band of the mask is for which output.

    Source: the example of the pages: bands that are named are each for the output of that name, and what
    is not named has no mask. Several bands without names are taken in the order of the outputs.
    """
    if mask.band_names and (mask.bands > 1 or mask.band_names[0] in outputs):
        unknown = [name for name in mask.band_names if name not in outputs]
        if unknown:
            raise violation(
                "aggregation->evalscript", f"has a band {unknown[0]} of {MASK}, but no such output"
            )
        return {name: number for number, name in enumerate(mask.band_names)}
    if mask.bands == 1:
        return dict.fromkeys(outputs, 0)
    if mask.bands != len(outputs):
        raise violation(
            "aggregation->evalscript", f"must have one band of {MASK}, or one for each output"
        )
    return {name: number for number, name in enumerate(outputs)}


def _measured(
    output: OutputFacts, calculations: JsonObject, mask_band: int | None, *, is_strict: bool
) -> Measured:
    # Source: the statistics pages: 32-bit floats unless the script says otherwise.
    sample_type = FLOAT32 if output.sample_type == AUTO else output.sample_type
    key = output.id if output.id in calculations else DEFAULT
    definition = cast("dict[str, dict[str, JsonObject]]", calculations.get(key, {}))
    names = output.band_names or tuple(f"B{number}" for number in range(output.bands))
    # What is asked for of every output may name bands that only some have.
    if key != DEFAULT:
        _check_bands(output.id, definition, names)
    place = f"calculations->{key}->histograms"
    bands = {
        name: tallies.Wanted(
            _percentiles(_entry(definition.get("statistics", {}), name)),
            _histogram(
                place,
                _entry(definition.get("histograms", {}), name),
                is_whole=sample_type != FLOAT32,
                is_strict=is_strict,
            ),
        )
        for name in names
    }
    return Measured(output.id, bands, sample_type, mask_band)


def _check_bands(
    output: str, definition: Mapping[str, Mapping[str, JsonObject]], names: tuple[str, ...]
) -> None:
    for kind in ("statistics", "histograms"):
        for name in definition.get(kind, {}):
            if name not in names and name != DEFAULT:
                raise violation(
                    f"calculations->{output}->{kind}->{name}", f"is no band of the output {output}"
                )


def _entry(entries: Mapping[str, JsonObject], name: str) -> JsonObject:
    return entries.get(name, entries.get(DEFAULT, {}))


def _percentiles(definition: JsonObject) -> tuple[float, ...]:
    found = cast("JsonObject", definition.get("percentiles", {}))
    return tuple(cast("list[float]", found.get("k", [])))


def _histogram(
    place: str, definition: JsonObject, *, is_whole: bool, is_strict: bool
) -> Histogram | None:
    if not definition:
        return None
    _check_numbers(place, definition, is_whole=is_whole, is_strict=is_strict)
    bins = cast("list[float] | None", definition.get("bins"))
    count = cast("float | None", definition.get("nBins"))
    numbers = [*(bins or ()), *_given(definition)]
    return tallies.Histogram(
        bins=None if bins is None else tuple(bins),
        count=None if count is None else int(count),
        width=cast("float | None", definition.get("binWidth")),
        low=cast("float | None", definition.get("lowEdge")),
        high=cast("float | None", definition.get("highEdge")),
        is_whole=is_whole and all(isinstance(number, int) for number in numbers),
    )


def _given(definition: JsonObject) -> list[float]:
    names = ("binWidth", "lowEdge", "highEdge")
    return [cast("float", definition[name]) for name in names if name in definition]


def _check_numbers(place: str, definition: JsonObject, *, is_whole: bool, is_strict: bool) -> None:
    """
    Whether the numbers that make bins are of the output's kind.

    Source: schema `HistogramDefinition`: whole numbers as both edges, as the width or as all bins choose
    whole arithmetic, any others choose floating point, and the output must match.
    """
    if not is_strict:
        return
    edges = [name for name in ("lowEdge", "highEdge") if name in definition]
    decides = "bins" in definition or "binWidth" in definition or len(edges) == 2
    numbers = [*cast("list[float]", definition.get("bins", [])), *_given(definition)]
    if not numbers:
        return
    chosen_whole = all(isinstance(number, int) for number in numbers)
    if chosen_whole and not is_whole and decides:
        raise violation(place, "has whole numbers, but the output is of floating point numbers")
    if not chosen_whole and is_whole:
        raise violation(place, "has floating point numbers, but the output is of whole numbers")
