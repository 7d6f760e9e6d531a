"""
What the Process API asks for, at once or later, as values: which area on which pixels, from which data, in which
formats.

The schema was checked before. Source: the process pages and schemas: size by pixels or by resolution, at most
2,500 each way, or 10,000 of what is delivered later; CRS; several answers only as an archive; `Accept` before
`output.responses`.
"""

# ruff: noqa: EM101, EM102, TRY003  the texts are answers, and functions make the errors

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shplan.sandbox import areas, images
from shplan.sandbox.archives import MIXED, TAR
from shplan.sandbox.errors import bad_payload, violation
from shplan.sandbox.raster_sources import MOST_RECENT, Grid, Resampling, Search
from shplan.sandbox.wire import parse_instant

if TYPE_CHECKING:
    from shplan.sandbox.areas import Area
    from shplan.sandbox.wire import JsonObject

DEFAULT = "default"
USERDATA = "userdata"
_ARCHIVES = {"application/tar": TAR, TAR: TAR, MIXED: MIXED}
_PLACE = "input->bounds"
_ANY = ("", "*/*", "image/*", "application/*")
_WEIGHT = re.compile(r"q=([01](?:\.[0-9]{0,3})?)")
_SINGLE = (images.PNG, images.JPEG, images.TIFF, images.JSON, images.RAW)


@dataclass(frozen=True, slots=True)
class Sizes:
    """
    The sizes of images in pixels, each way.

    Args:
        most: the greatest
        assumed: what it is unless it is said; none: it must be said
        place: of the member that says it, in the body
    """

    most: int
    assumed: int | None
    place: str = "output"


AT_ONCE = Sizes(most=2500, assumed=256)
AGGREGATED = Sizes(most=2500, assumed=256, place="aggregation")
DELIVERED = Sizes(most=10_000, assumed=None)


@dataclass(frozen=True, slots=True)
class DataSet:
    """
    One item of `input.data`.

    Args:
        id: by which a script tells it from others; its number where there is none
        from_ms: the first instant; none: any
        to_ms: the last instant; none: any
        span: both as they were written
        max_cloud: in percent
    """

    id: str
    type: str
    from_ms: int | None
    to_ms: int | None
    span: tuple[str | None, str | None]
    order: str
    max_cloud: float
    resampling: Resampling
    content: JsonObject

    def search(
        self, area: Area, *, bands: tuple[str, ...], mosaicking: str | None = None
    ) -> Search:
        """The scenes that it asks for in an area, in longitude and latitude; the rest as in `Search`."""
        return Search(area, self.from_ms, self.to_ms, self.order, self.max_cloud, bands, mosaicking)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One answer: of which output, in which format."""

    identifier: str
    media_type: str
    quality: int = images.DEFAULT_QUALITY


@dataclass(frozen=True, slots=True)
class ProcessRequest:
    """
    A request that may be computed.

    Args:
        area: in the CRS of the grid
        is_clipped: whether pixels outside the area are no data
        archive: media type of what holds the answers; none: there is one, and it stands alone
    """

    evalscript: str
    grid: Grid
    area: Area
    is_clipped: bool
    data: tuple[DataSet, ...]
    wanted: tuple[Wanted, ...]
    archive: str | None


def read(body: JsonObject, *, accept: str = "") -> ProcessRequest:
    """
    Read a body that is valid by its schema.

    Raises:
        ApiError: 400
    """
    inputs = cast("JsonObject", body["input"])
    output = cast("JsonObject", body.get("output", {}))
    grid, area, is_clipped = grid_of(cast("JsonObject", inputs["bounds"]), output)
    wanted = _wanted(output)
    archive, wanted = _accepted(accept, wanted)
    return ProcessRequest(
        evalscript=str(body["evalscript"]),
        grid=grid,
        area=area,
        is_clipped=is_clipped,
        data=data_of(cast("list[JsonObject]", inputs["data"])),
        wanted=wanted,
        archive=archive,
    )


def read_feature(
    process: JsonObject, *, epsg: int, shape: str, width: int, height: int
) -> ProcessRequest:
    """
    What is asked for of one feature of a task: its own place and size, everything else of the task.

    Where the feature is no rectangle, pixels outside it are no data.

    Args:
        process: `processRequest` of the task, valid by its schema
        epsg: code of the feature's CRS
        shape: its outline in that CRS, WKB in hexadecimal
        width: in pixels
        height: in pixels

    Raises:
        ApiError: 400
    """
    area = areas.of_hex(shape)
    sides = cast("tuple[float, float, float, float]", area.bounds)
    inputs = cast("JsonObject", process["input"])
    return ProcessRequest(
        evalscript=str(process["evalscript"]),
        grid=Grid(epsg, *sides, width, height),
        area=area,
        is_clipped=not areas.covers_box(area, sides),
        data=data_of(cast("list[JsonObject]", inputs["data"])),
        wanted=_wanted(cast("JsonObject", process.get("output", {})), assumed=images.TIFF),
        archive=None,
    )


def read_delivered(body: JsonObject, *, evalscript: str) -> ProcessRequest:
    """
    Read the body of an asynchronous request, which is valid by its schema; each answer is a file of its own.

    Args:
        evalscript: of the body, or what its reference leads to

    Raises:
        ApiError: 400
    """
    inputs = cast("JsonObject", body["input"])
    output = cast("JsonObject", body["output"])
    grid, area, is_clipped = grid_of(cast("JsonObject", inputs["bounds"]), output, DELIVERED)
    wanted = _wanted(output)
    _refuse_misfits(wanted)
    return ProcessRequest(
        evalscript=evalscript,
        grid=grid,
        area=area,
        is_clipped=is_clipped,
        data=data_of(cast("list[JsonObject]", inputs["data"])),
        wanted=wanted,
        archive=None,
    )


def grid_of(
    bounds: JsonObject, output: JsonObject, sizes: Sizes = AT_ONCE
) -> tuple[Grid, Area, bool]:
    """
    The pixels of the answer, the area, and whether it is less than the pixels.

    Args:
        output: the member that says how many pixels there are
        sizes: that are taken

    Raises:
        ApiError: 400
    """
    found = areas.area_of(bounds, place=_PLACE)
    if found is None:
        raise violation(_PLACE, "must have a bbox or a geometry")
    area, epsg = found
    sides = cast("tuple[float, float, float, float]", area.bounds)
    if "bbox" in bounds and "geometry" in bounds:
        box: JsonObject = {name: bounds[name] for name in bounds if name != "geometry"}
        whole = areas.area_of(box, place=_PLACE)
        assert whole is not None
        sides = whole[0].bounds
    width, height = size_of(sides, output, sizes)
    return Grid(epsg, *sides, width, height), area, "geometry" in bounds


def size_of(
    sides: tuple[float, float, float, float], output: JsonObject, sizes: Sizes
) -> tuple[int, int]:
    """
    Width and height in pixels of what has these sides, in units of the CRS.

    Raises:
        ApiError: 400
    """
    by_pixels = [name for name in ("width", "height") if name in output]
    by_resolution = [name for name in ("resx", "resy") if name in output]
    if by_pixels and by_resolution:
        raise violation(sizes.place, "must have width and height, or resx and resy, not both")
    if not by_resolution:
        if sizes.assumed is None and len(by_pixels) < 2:
            raise violation(sizes.place, "must have width and height, or resx and resy")
        return (
            cast("int", output.get("width", sizes.assumed)),
            cast("int", output.get("height", sizes.assumed)),
        )
    first = output[by_resolution[0]]
    across, down = (cast("float", output.get(name, first)) for name in ("resx", "resy"))
    width = _pixels(sides[2] - sides[0], across, "resx", sizes)
    height = _pixels(sides[3] - sides[1], down, "resy", sizes)
    return width, height


def _pixels(length: float, resolution: float, name: str, sizes: Sizes) -> int:
    place = f"{sizes.place}->{name}"
    if resolution <= 0:
        raise violation(place, "must be greater than 0")
    # Before it is rounded: a quotient may be greater than any whole number.
    if not math.isfinite(count := length / resolution) or count >= sizes.most + 0.5:
        raise violation(place, f"makes an image of more than {sizes.most} pixels; make it greater")
    return max(1, math.floor(count + 0.5))


def data_of(items: list[JsonObject]) -> tuple[DataSet, ...]:
    """
    The data sets of a request.

    Raises:
        ApiError: 400
    """
    found = tuple(_data_set(number, item) for number, item in enumerate(items))
    if len({one.id for one in found}) != len(found):
        raise violation("input->data", "must not have one id twice")
    return found


def _data_set(number: int, item: JsonObject) -> DataSet:
    chosen = cast("JsonObject", item.get("dataFilter", {}))
    processing = cast("JsonObject", item.get("processing", {}))
    span = cast("JsonObject", chosen.get("timeRange", {}))
    place = f"input->data->{number}->dataFilter->timeRange"
    from_ms, to_ms = _instant(span.get("from"), place), _instant(span.get("to"), place)
    if from_ms is not None and to_ms is not None and from_ms > to_ms:
        raise violation(place, "must not end before it begins")
    return DataSet(
        id=str(item.get("id", number)),
        type=str(item["type"]),
        from_ms=from_ms,
        to_ms=to_ms,
        span=(_said(span.get("from")), _said(span.get("to"))),
        order=str(chosen.get("mosaickingOrder", MOST_RECENT)),
        max_cloud=_percentage(chosen.get("maxCloudCoverage", 100), number),
        resampling=Resampling(
            up=str(processing.get("upsampling", "NEAREST")),
            down=str(processing.get("downsampling", "NEAREST")),
        ),
        content=item,
    )


def _percentage(value: object, number: int) -> float:
    """A share of clouds; the schemas of some collections say nothing of it, and clients send it nevertheless."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        place = f"input->data->{number}->dataFilter->maxCloudCoverage"
        raise violation(place, "must be between 0 and 100")
    return float(value)


def _said(value: object) -> str | None:
    return None if value is None or value == ".." else str(value)


def _instant(value: object, place: str) -> int | None:
    text = _said(value)
    if text is None:
        return None
    try:
        return parse_instant(text)
    except (ValueError, OverflowError):
        raise violation(place, "must be date-times") from None


def _wanted(output: JsonObject, *, assumed: str = images.PNG) -> tuple[Wanted, ...]:
    listed = cast("list[JsonObject]", output.get("responses") or [{}])
    found = tuple(_one_wanted(one, assumed) for one in listed)
    if len({one.identifier for one in found}) != len(found):
        raise violation("output->responses", "must not have one identifier twice")
    return found


def _one_wanted(response: JsonObject, assumed: str) -> Wanted:
    form = cast("JsonObject", response.get("format", {}))
    identifier = str(response.get("identifier", DEFAULT))
    kind = images.JSON if identifier == USERDATA else assumed
    return Wanted(
        identifier=identifier,
        media_type=str(form.get("type", kind)),
        quality=int(cast("float", form.get("quality", images.DEFAULT_QUALITY))),
    )


def _accepted(accept: str, wanted: tuple[Wanted, ...]) -> tuple[str | None, tuple[Wanted, ...]]:
    """
    What holds the answers, if anything does, and the answers in the formats that are taken.

    Source: RFC 9110, section 12.5.1. Of what is taken equally the first counts; programs that name formats and
    then take anything (`application/json, text/plain, */*`) get what the body says, unless the first one fits.
    """
    kinds = _taken(accept)
    archive = next((_ARCHIVES[kind] for kind in kinds if kind in _ARCHIVES), None)
    if archive is not None:
        _refuse_misfits(wanted)
        return archive, wanted
    if len(wanted) > 1:
        raise bad_payload(
            "Several responses need the header Accept: application/tar or multipart/mixed."
        )
    one = wanted[0]
    takes_any = any(kind in _ANY for kind in kinds)
    for kind in kinds:
        if kind in _ANY:
            break
        if kind in _SINGLE and (_fits(one.identifier, kind) or not takes_any):
            one = Wanted(one.identifier, kind, one.quality)
            break
    else:
        raise bad_payload(f"Accept: {accept[:100]} names no format that is made here.")
    _refuse_misfits((one,))
    return None, (one,)


def _taken(accept: str) -> list[str]:
    """The media types of a header, the most wanted first."""
    found = []
    for one in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in one.split(";"))
        if (weight := _weight(parameters)) > 0:
            found.append((weight, kind))
    return [kind for _, kind in sorted(found, key=lambda one: -one[0])]


def _weight(parameters: list[str]) -> float:
    """How much a media type is wanted; what cannot be read counts as nothing said."""
    for one in parameters:
        if match := _WEIGHT.fullmatch(one):
            return float(match[1])
    return 1.0


def _fits(identifier: str, kind: str) -> bool:
    return (identifier == USERDATA) == (kind == images.JSON)


def _refuse_misfits(wanted: tuple[Wanted, ...]) -> None:
    for one in wanted:
        if not _fits(one.identifier, one.media_type):
            raise violation(
                "output->responses", f"must have {USERDATA}, and nothing else, as {images.JSON}"
            )
