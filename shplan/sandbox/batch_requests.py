"""
What the service checks of a batch request at its creation: everything but the evalscript.

The schema was checked before. Source: schemas of Batch V2; the batch pages (grids and their
resolutions, Zarr only on WGS84 and LAEA grids, COG rules, bounds needed with a grid).
"""

# ruff: noqa: EM101, EM102  the texts are answers, and functions make the errors

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from shplan.sandbox import batch_paths, batch_zarr
from shplan.sandbox.batch_paths import DeliveryError
from shplan.sandbox.errors import violation
from shplan.sandbox.grids import grids
from shplan.sandbox.metering import responses
from shplan.sandbox.wire import encode, parse_instant

if TYPE_CHECKING:
    from shplan.sandbox.batch_paths import Delivery, Place
    from shplan.sandbox.wire import Json, JsonObject

MOST_BUFFER = 2**15 - 1
USERDATA = "userdata"
BYOC = "byoc-"
DELIVERY = "output->delivery"
MULTIPLE = 16


def check(request: JsonObject) -> None:
    """
    Refuse what the service refuses at creation.

    Raises:
        ApiError: 400
    """
    check_task(request)
    output = cast("JsonObject", request["output"])
    check_access(output["delivery"], DELIVERY)
    marks = batch_paths.MARKS if output["type"] == "raster" else (batch_paths.REQUEST_ID,)
    check_marks(str(_access(output["delivery"])["url"]), marks, "output->delivery->url")
    delivery_of(request, task_id="00000000-0000-0000-0000-000000000000")


def check_task(request: JsonObject) -> None:
    """
    Refuse what both versions refuse: everything but where the results go.

    Raises:
        ApiError: 400
    """
    from shplan.sandbox import areas  # noqa: PLC0415 heavy, and opening a sandbox needs none

    process = cast("JsonObject", request["processRequest"])
    inputs = cast("JsonObject", process["input"])
    bounds = bounds_of(request)
    areas.area_of(bounds)
    _check_data(cast("list[JsonObject]", inputs["data"]))
    source = cast("JsonObject", request["input"])
    if source["type"] == "tiling-grid":
        _check_grid(source, bounds)
    else:
        _check_geopackage(source)
    output = cast("JsonObject", request["output"])
    _check_responses(process, output)
    if output["type"] == "zarr":
        _check_zarr(process, source, output)
    else:
        _check_raster(output)


def _check_data(data: list[JsonObject]) -> None:
    identifiers = [one["id"] for one in data if "id" in one]
    if len(set(map(str, identifiers))) != len(identifiers):
        raise violation("processRequest->input->data", "must not have one id twice")
    for one in data:
        chosen = one.get("dataFilter")
        span = chosen.get("timeRange") if isinstance(chosen, dict) else None
        if isinstance(span, dict):
            _check_time(span)


def _check_time(span: JsonObject) -> None:
    place = "processRequest->input->data->dataFilter->timeRange"
    ends = [span.get("from", ".."), span.get("to", "..")]
    try:
        instants = [parse_instant(str(end)) for end in ends if end != ".."]
    except (ValueError, OverflowError):
        raise violation(place, "must be date-times") from None
    if len(instants) == 2 and instants[0] > instants[1]:
        raise violation(place, "must not end before it begins")


def _check_grid(source: JsonObject, bounds: JsonObject) -> None:
    grid = grids().get(cast("int", source["id"]))
    if grid is None:
        raise violation("input->id", "is not the id of a tiling grid")
    if source["resolution"] not in grid.resolutions:
        known = ", ".join(str(number) for number in grid.resolutions)
        raise violation("input->resolution", f"must be one of {known}")
    if "bbox" not in bounds and "geometry" not in bounds:
        raise violation("processRequest->input->bounds", "must have a bbox or a geometry")
    for name in ("bufferX", "bufferY"):
        if not 0 <= cast("int", source.get(name, 0)) <= MOST_BUFFER:
            raise violation(f"input->{name}", f"must be between 0 and {MOST_BUFFER}")


def _check_geopackage(source: JsonObject) -> None:
    place = reference(source["features"])
    if not place.key.lower().endswith(".gpkg"):
        raise violation("input->features", "must be the URL of a .gpkg file")
    check_access(source["features"], "input->features")
    defaults = cast("JsonObject", source.get("defaults", {}))
    if "resolution" in defaults and ("width" in defaults or "height" in defaults):
        raise violation("input->defaults", "must have width and height, or resolution, not both")
    if ("width" in defaults) != ("height" in defaults):
        raise violation("input->defaults", "must have both width and height")


def check_access(storage: Json, place: str) -> None:
    """
    Not more than one way in: a role, or both keys.

    Source: the batch pages, which know these two; policies of buckets no longer let the service
    write, so a delivery needs one.

    Raises:
        ApiError: 400
    """
    kind = "s3" if "s3" in cast("JsonObject", storage) else "gs"
    held = _access(storage)
    if not str(held["url"]).startswith(f"{kind}://"):
        raise violation(f"{place}->{kind}->url", f"must begin with {kind}://")
    if kind != "s3":
        return
    keys = [name for name in ("accessKey", "secretAccessKey") if name in held]
    if len(keys) == 1:
        raise violation(f"{place}->s3", "must have both keys or none")
    if keys and "iamRoleARN" in held:
        raise violation(f"{place}->s3", "must have either iamRoleARN or both keys")
    if not keys and "iamRoleARN" not in held and place == DELIVERY:
        raise violation(f"{place}->s3", "must have iamRoleARN or both keys")


def check_marks(url: str, known: tuple[str, ...], place: str) -> None:
    """
    Refuse a template with a placeholder that is not known.

    Raises:
        ApiError: 400
    """
    for mark in re.findall("<[^/<>]*>", url):
        if mark not in known:
            raise violation(place, f"has the unknown placeholder {mark}")


def _check_responses(process: JsonObject, output: JsonObject) -> None:
    asked = responses(process)
    place = "processRequest->output->responses"
    if len({identifier for identifier, _ in asked}) != len(asked):
        raise violation(place, "must not have one identifier twice")
    for identifier, media_type in asked:
        if (identifier == USERDATA) != (media_type == "application/json"):
            raise violation(place, f"must have {USERDATA}, and nothing else, as application/json")
        if identifier != USERDATA and (media_type == "zarr/array") != (output["type"] == "zarr"):
            raise violation(place, f"has a format that does not fit {output['type']} output")


def _check_zarr(process: JsonObject, source: JsonObject, output: JsonObject) -> None:
    if source["type"] != "tiling-grid":
        raise violation("input->type", "must be tiling-grid for zarr output")
    outputs = [name for name, _ in responses(process) if name != USERDATA]
    grid = grids()[cast("int", source["id"])]
    batch_zarr.check(output, outputs, grid=grid, source=source)


def _check_raster(output: JsonObject) -> None:
    ingests = bool(output.get("createCollection")) or "collectionId" in output
    if ingests and not output.get("cogOutput"):
        raise violation("output->cogOutput", "must be true to ingest into a collection")
    parameters = cast("JsonObject", output.get("cogParameters", {}))
    for name in ("blockxsize", "blockysize"):
        # Source: the GTiff driver of GDAL, whose parameter it is.
        side = cast("int", parameters.get(name, MULTIPLE))
        if side <= 0 or side % MULTIPLE:
            raise violation(f"output->cogParameters->{name}", f"must be a multiple of {MULTIPLE}")
    if any(
        cast("int", level) < 1 for level in cast("list[Json]", parameters.get("overviewLevels", []))
    ):
        raise violation("output->cogParameters->overviewLevels", "must be at least 1")


def reference(storage: Json) -> Place:
    """
    The object that an `s3` or `gs` reference names.

    Raises:
        ApiError: 400, it names none
    """
    access = _access(storage)
    try:
        return batch_paths.place_of(str(access["url"]))
    except DeliveryError as error:
        raise violation("input->features->url", str(error)) from error


def _access(storage: Json) -> JsonObject:
    held = cast("JsonObject", storage)
    return cast("JsonObject", held.get("s3", held.get("gs")))


def delivery_of(request: JsonObject, *, task_id: str) -> Delivery:
    """
    Where the files of a task go.

    Raises:
        ApiError: 400, the delivery's URL is wrong
    """
    output = cast("JsonObject", request["output"])
    access = _access(output["delivery"])
    url = str(access["url"])
    asked = responses(cast("JsonObject", request["processRequest"]))
    try:
        if output["type"] == "zarr":
            return batch_paths.zarr(url, task_id=task_id)
        return batch_paths.raster(url, task_id=task_id, outputs=len(asked))
    except DeliveryError as error:
        raise violation("output->delivery->url", str(error)) from error


def collections_of(request: JsonObject) -> list[str]:
    """Identifiers of the BYOC collections that a request reads or fills."""
    process = cast("JsonObject", request["processRequest"])
    data = cast("list[JsonObject]", cast("JsonObject", process["input"])["data"])
    kinds = [str(one["type"]) for one in data]
    found = [kind.removeprefix(BYOC) for kind in kinds if kind.startswith(BYOC)]
    filled = cast("JsonObject", request["output"]).get("collectionId")
    return [*found, str(filled)] if filled is not None else found


def bounds_of(request: JsonObject) -> JsonObject:
    """The bounds of a request; none are needed where a GeoPackage names the features."""
    process = cast("JsonObject", request["processRequest"])
    return cast("JsonObject", cast("JsonObject", process["input"]).get("bounds", {}))


def bounds_text(request: JsonObject) -> str:
    """The area of interest as text, by which tiles that were counted before are found again."""
    return encode(bounds_of(request))


def sensing_ms(process: JsonObject) -> int | None:
    """
    When results were sensed that become tiles of a collection; none: nobody says.

    Assumption: as the first data set's range of time begins, or ends where its begin is open.
    """
    data = cast("list[JsonObject]", cast("JsonObject", process["input"])["data"])
    chosen = cast("JsonObject", data[0].get("dataFilter") or {})
    span = cast("JsonObject", chosen.get("timeRange") or {})
    told = [str(span[name]) for name in ("from", "to") if span.get(name) not in (None, "..")]
    return parse_instant(told[0]) if told else None
