"""
A request computed: from scenes over samples to the script's values, whoever wants to have them.

It runs in a thread and asks the store for nothing; what the values are written as stands in `result_files`.
Source: the process and evalscript pages; for errors the messages and codes that were seen in public.
"""

# ruff: noqa: EM102, TRY003  the texts are answers, and functions make the errors

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

from shplan.sandbox import images, metering, samples, warping
from shplan.sandbox.areas import to_wgs84
from shplan.sandbox.errors import RENDERER_EXCEPTION, ApiError, bad_payload
from shplan.sandbox.mosaics import Reading, Sample, mosaic, samples_of, stacked
from shplan.sandbox.process_requests import AT_ONCE, USERDATA
from shplan.sandbox.raster_sources import DATA_MASK, SIMPLE, SourceError, itemsize
from shplan.sandbox.strips import (
    MOST_WRITTEN_BYTES,
    Joining,
    Remembered,
    Strip,
    cut,
    written_bytes,
)
from shplan.script.errors import Fault, ScriptError
from shplan.script.rendering import Collection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shplan.sandbox.mosaics import Stack
    from shplan.sandbox.process_requests import DataSet, ProcessRequest
    from shplan.sandbox.raster_sources import Grid, Mask, RasterSource, Scene
    from shplan.script.facts import InputFacts, OutputFacts, ScriptFacts
    from shplan.script.rendering import Rendered, Rendering
    from shplan.script.worker import Worker

# Functions of a script that are told of the scenes of a mosaic.
_HEARING = {"updateOutput", "updateOutputMetadata"}
# Source: the evalscript page, "metadata" of inputs.
_BOUNDS = "bounds"
# Our own bounds: the scenes that a script is told of, and what all samples of a request may take in memory.
MOST_SCENES = 2_000
MOST_BYTES = 1 << 30
_TOO_MANY_BANDS = "The script returns too many bands for an image of this size."
_TOO_MANY = "The request reads too many scenes; narrow its area, time range or filters, or make its image smaller."
# So many outputs of a script an error names.
MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Input:
    """
    A data set as the script reads it.

    Args:
        key: under which the script finds its samples, where there are several
        bands: names, each with its unit
        scenes: of which one mosaic is made, where there is one, found while it is made
        samples: what there is to choose from; of one mosaic, what the script hears of it
    """

    key: str
    data: DataSet
    source: RasterSource
    bands: Mapping[str, str]
    mosaicking: str
    scenes: Iterable[Scene]
    samples: tuple[Sample, ...]

    @property
    def bytes_per_sample(self) -> int:
        """What one pixel of one sample takes in memory."""
        return sum(
            itemsize("uint8" if name == DATA_MASK else self.source.bands[name].dtype)
            for name in self.bands
        )


@dataclass(frozen=True, slots=True)
class Computed:
    """
    What a request came to.

    Args:
        rendered: the outputs, and what the script tells its user
        cost_pu: by the published formula, without any minimum or discount
        has_data: whether there was any pixel with data in what was read
    """

    rendered: Rendered
    cost_pu: float
    has_data: bool


def compute(request: ProcessRequest, sources: Sequence[RasterSource], worker: Worker) -> Computed:
    """
    Compute a request.

    Args:
        sources: one for each data set

    Raises:
        ApiError: 400, the script cannot be used for this; 500, its data cannot be read
    """
    for source in sources:
        check_resolution(request.grid, source)
    try:
        known = dict.fromkeys(name for source in sources for name in (*source.bands, DATA_MASK))
        with worker.begin(request.evalscript, bands=known) as rendering:
            return _rendered(request, sources, rendering)
    except ScriptError as error:
        raise script_failed(error) from error
    except SourceError as error:
        raise ApiError(500, RENDERER_EXCEPTION, str(error)) from error


def check_resolution(grid: Grid, source: RasterSource) -> None:
    """
    Refuse pixels that are too coarse for a source.

    Source: the message that the service is quoted with.

    Raises:
        ApiError: 400
    """
    metres, most = grid.metres_per_pixel(), source.coarsest_m
    if most is not None and metres > most:
        raise bad_payload(
            f"The bbox and size of the request make {metres:.2f} meters per pixel, which exceeds the"
            f" limit of {most:.2f} for {source.name}. Please revise the resolution."
        )


def _rendered(
    request: ProcessRequest, sources: Sequence[RasterSource], rendering: Rendering
) -> Computed:
    facts = rendering.facts
    if not facts.is_simple:
        _check_outputs(request, facts.outputs)
    inputs = _inputs(request, sources, facts)
    prepared = rendering.scenes(
        [_collection(one) for one in inputs],
        fused=len(request.data) > 1,
        input_metadata={
            "serviceVersion": "1.0.0",
            "normalizationFactor": inputs[0].source.normalization if inputs else 1.0,
        },
    )
    if not facts.is_simple:
        _check_outputs(request, prepared.outputs)
    kept = [
        [one.samples[number] for number in numbers]
        for one, numbers in zip(inputs, prepared.kept, strict=True)
    ]
    sample_bytes = _sample_bytes(request, inputs, kept)
    # A simple script tells how many bands it has by the first value that it returns.
    parts = (
        [Strip(0, request.grid)]
        if facts.is_simple
        else _strips(request, prepared.outputs, sample_bytes=sample_bytes)
    )
    joining = Joining(request.grid)
    has_data = False
    for part in parts:
        stacks = _stacks(request, inputs, kept, part.grid)
        rendered = rendering.render(
            [one.planes for one in stacks],
            height=part.grid.height,
            width=part.grid.width,
            is_last=part is parts[-1],
        )
        # What reads nothing misses nothing.
        has_data = has_data or not stacks or any(one.has_data for one in stacks)
        if len(parts) > 1:
            joining.add(part, rendered)
            rendered = joining.whole()
    _check_outputs(request, [one.facts for one in rendered.outputs])
    return Computed(rendered, _cost(request, inputs, kept, rendered), has_data)


def _strips(
    request: ProcessRequest, outputs: Sequence[OutputFacts], *, sample_bytes: int
) -> list[Strip]:
    parts = cut(request.grid, sample_bytes=sample_bytes, bands=sum(one.bands for one in outputs))
    if len(parts) > 1 and written_bytes(request.grid, outputs) > MOST_WRITTEN_BYTES:
        raise _refused(_TOO_MANY_BANDS)
    return parts


def _stacks(
    request: ProcessRequest,
    inputs: Sequence[Input],
    kept: Sequence[Sequence[Sample]],
    grid: Grid,
) -> list[Stack]:
    """What the script reads of some rows, or of all."""
    inside = warping.inside(request.area, grid.epsg, grid) if request.is_clipped else None
    return [
        _stack(request, one, chosen, grid, inside) for one, chosen in zip(inputs, kept, strict=True)
    ]


def check_inputs(
    data: Sequence[DataSet], sources: Sequence[RasterSource], facts: ScriptFacts
) -> None:
    """
    Refuse a script that reads what there is not, whether or not there are scenes.

    Raises:
        ApiError: 400
    """
    by_id = {one.id: source for one, source in zip(data, sources, strict=True)}
    for one, identifier in _asked(data, facts):
        _units(one, by_id[identifier])


def bands_read(data: Sequence[DataSet], facts: ScriptFacts, identifier: str) -> tuple[str, ...]:
    """The bands that a script reads of one data set."""
    several = [one for one, known in _asked(data, facts) if known == identifier]
    return tuple(dict.fromkeys(name for one in several for name in one.bands))


def _inputs(
    request: ProcessRequest, sources: Sequence[RasterSource], facts: ScriptFacts
) -> list[Input]:
    """What the script reads, in the order of the request's data sets."""
    asked = _asked(request.data, facts)
    found = []
    for number, (data, source) in enumerate(zip(request.data, sources, strict=True)):
        several = [one for one, identifier in asked if identifier == data.id]
        if not several:
            continue
        mosaicking = several[0].mosaicking
        bands: dict[str, str] = {}
        for one in several:
            bands |= _units(one, source)
        area = to_wgs84(request.area, request.grid.epsg)
        scenes = source.scenes(data.search(area, bands=tuple(bands), mosaicking=mosaicking))
        made: tuple[Sample, ...] = ()
        if mosaicking != SIMPLE or _HEARING & set(facts.functions):
            scenes = tuple(islice(scenes, MOST_SCENES + 1))
            if len(scenes) > MOST_SCENES:
                raise _refused(_TOO_MANY)
            asks_bounds = any(_BOUNDS in one.metadata for one in several)
            made = tuple(samples_of(scenes, mosaicking, with_bounds=asks_bounds))
        # Source: page on data fusion: by its number, if the script does not name it.
        key = several[0].datasource or str(number)
        found.append(Input(key, data, source, bands, mosaicking, Remembered(scenes), made))
    return found


def _asked(data: Sequence[DataSet], facts: ScriptFacts) -> list[tuple[InputFacts, str]]:
    """Each input of the script with the id of the data set that it reads."""
    if len(data) == 1:
        return [(one, data[0].id) for one in facts.inputs]
    identifiers = [one.id for one in data]
    found = []
    for number, one in enumerate(facts.inputs):
        identifier = one.datasource or identifiers[min(number, len(identifiers) - 1)]
        if identifier not in identifiers:
            raise _refused(f"Datasource {identifier} of the script is not an id in input.data.")
        found.append((one, identifier))
    return found


def _units(asked: InputFacts, source: RasterSource) -> dict[str, str]:
    """The bands of an input with their units."""
    found = {}
    units = asked.units or ("",) * len(asked.bands)
    for name, unit in zip(asked.bands, units, strict=True):
        if name == DATA_MASK:
            found[name] = "DN"
            continue
        band = source.bands.get(name)
        if band is None:
            raise _refused(f"Invalid script! Collection '{source.name}' has no band '{name}'.")
        wanted = unit.upper() or band.units[0]
        if wanted not in band.units:
            raise _refused(
                f"Invalid script! Band '{name}' of collection '{source.name}' requested in"
                f" unsupported units '{unit}'. Supported units: {', '.join(band.units)}."
            )
        found[name] = wanted
    return found


def _collection(one: Input) -> Collection:
    return Collection(
        id=one.key,
        mosaicking=one.mosaicking,
        scenes=tuple(sample.told for sample in one.samples),
        since=one.data.span[0],
        until=one.data.span[1],
    )


def _sample_bytes(
    request: ProcessRequest, inputs: Sequence[Input], kept: Sequence[Sequence[Sample]]
) -> int:
    """What all samples of a pixel take, which is not too much."""
    per_pixel = sum(
        one.bytes_per_sample * (1 if one.mosaicking == SIMPLE else len(chosen))
        for one, chosen in zip(inputs, kept, strict=True)
    )
    # Larger images are read strip by strip: a pixel may have as many samples as in those.
    pixels = min(request.grid.width * request.grid.height, AT_ONCE.most**2)
    if per_pixel * pixels > MOST_BYTES:
        raise _refused(_TOO_MANY)
    return per_pixel


def _stack(
    request: ProcessRequest,
    one: Input,
    chosen: Sequence[Sample],
    grid: Grid,
    inside: Mask | None,
) -> Stack:
    reading = Reading(one.source, one.bands, grid, one.data.resampling, inside)
    if one.mosaicking != SIMPLE:
        layers = (mosaic(reading, sample.scenes) for sample in chosen)
        return stacked(reading, layers, count=len(chosen))
    scenes = iter(one.scenes)
    first = list(islice(scenes, 1))
    # Alone, there is a sample everywhere; in fusion none where there is no scene.
    if not first and len(request.data) > 1:
        return stacked(reading, (), count=0)
    return stacked(reading, [mosaic(reading, chain(first, scenes))], count=1)


def _check_outputs(request: ProcessRequest, outputs: Sequence[OutputFacts]) -> None:
    by_id = {one.id: one for one in outputs}
    for wanted in request.wanted:
        if wanted.identifier == USERDATA:
            continue
        if wanted.identifier not in by_id:
            known = ", ".join([*by_id][:MOST_NAMED])
            raise bad_payload(f"The script has no output {wanted.identifier}; it has {known}.")
        problem = images.misfit(by_id[wanted.identifier], wanted.media_type)
        if problem is not None:
            raise bad_payload(problem)


def _cost(
    request: ProcessRequest,
    inputs: Sequence[Input],
    kept: Sequence[Sequence[Sample]],
    rendered: Rendered,
) -> float:
    sample_types = {one.facts.id: one.facts.sample_type for one in rendered.outputs}
    return metering.answer_pu(
        [
            metering.Read(
                bands=tuple(one.bands),
                samples=1 if one.mosaicking == SIMPLE else len(chosen),
                source=one.data.content,
            )
            for one, chosen in zip(inputs, kept, strict=True)
        ],
        width=request.grid.width,
        height=request.grid.height,
        data_sets=len(request.data),
        is_float_tiff=any(
            one.media_type == images.TIFF and sample_types.get(one.identifier) == samples.FLOAT32
            for one in request.wanted
        ),
        is_raw=any(one.media_type == images.RAW for one in request.wanted),
    )


def _refused(message: str) -> ApiError:
    return ApiError(400, RENDERER_EXCEPTION, message)


def script_failed(error: ScriptError) -> ApiError:
    """
    The refusal of a script.

    Source: texts of the service that were seen in public; where it stands in the script is ours.
    """
    status = 500 if error.fault is Fault.ENGINE else 400
    message = error.message
    if error.fault is Fault.RETURN and message.startswith("evaluatePixel"):
        message = f"Script must return an array. {message}"
    place = f" (line {error.line})" if error.line else ""
    return ApiError(status, RENDERER_EXCEPTION, f"{message}{place}")
