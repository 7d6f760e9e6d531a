"""
What the service checks of a batch request of version 1 at its creation, and its form in version 2.

The schema was checked before. A request of version 1 says the same as one of version 2 in other
words, so it is translated, and what both have in common is checked and analysed there. Source:
the older batch reference; the batch pages; the guide from version 1 to 2.
"""

# ruff: noqa: EM101, EM102, TRY003  the texts are answers, and functions make the errors

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from shplan.sandbox import batch_paths, batch_requests
from shplan.sandbox.batch_paths import DeliveryError
from shplan.sandbox.batch_requests import USERDATA
from shplan.sandbox.errors import ApiError, bad_payload, violation
from shplan.sandbox.grids import grids, tile_id
from shplan.sandbox.metering import responses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shplan.sandbox.batch_collection_rows import BatchCollection
    from shplan.sandbox.batch_paths import Delivery
    from shplan.sandbox.wire import Json, JsonObject
    from shplan.script.facts import OutputFacts

TARGETS = ("output", "bucketName", "zarrOutput")
# Source: schema `BatchCogParameters`, whose defaults are others.
_BLOCKS: JsonObject = {"blockxsize": 1024, "blockysize": 1024}
# Only its form counts where a request is checked before it has an identifier.
_ANY_ID = "00000000-0000-0000-0000-000000000000"


def target_of(request: JsonObject) -> str:
    """
    The member that says where results go.

    Raises:
        ApiError: 400, there is none or more than one
    """
    found = [name for name in TARGETS if name in request]
    if len(found) != 1:
        raise bad_payload(f"Exactly one of {', '.join(TARGETS)} is required.")
    return found[0]


def url_of(request: JsonObject, collection: BatchCollection | None) -> str:
    """
    Where results go, as a URL that may hold placeholders.

    Args:
        collection: the one that is filled; its bucket is where results go that nobody sends
            elsewhere

    Raises:
        ApiError: 400, it is not said
    """
    target = target_of(request)
    if target == "bucketName":
        name = str(request["bucketName"])
        if not name or "/" in name:
            raise violation("bucketName", "must be the name of a bucket")
        return f"s3://{name}"
    member = "path" if target == "zarrOutput" else "defaultTilePath"
    said = cast("JsonObject", request[target]).get(member)
    if said is None and collection is not None:
        return f"s3://{collection.bucket}"
    if said is None:
        raise violation(f"{target}->{member}", "must not be missing")
    return str(said)


def as_version_2(request: JsonObject) -> JsonObject:
    """The request in the words of version 2, without a delivery: version 1 sends no credentials."""
    target = target_of(request)
    kind = "zarr" if target == "zarrOutput" else "raster"
    said = {} if target == "bucketName" else cast("JsonObject", request[target])
    output: JsonObject = {**said, "type": kind}
    # A collection of version 1 is no BYOC collection, which is what version 2 would look for.
    output.pop("collectionId", None)
    output.pop("createCollection", None)
    if output.get("cogOutput"):
        output["cogParameters"] = {
            **_BLOCKS,
            **cast("JsonObject", output.get("cogParameters") or {}),
        }
    return {
        "processRequest": process_of(request),
        "input": {"type": "tiling-grid", **grid_of(request)},
        "output": output,
    }


def process_of(request: JsonObject) -> JsonObject:
    """What is processed; version 1 lets its output be left out."""
    return {"output": {}, **cast("JsonObject", request["processRequest"])}


def grid_of(request: JsonObject) -> JsonObject:
    """
    The tiling grid, also where it is said in the older way.

    Raises:
        ApiError: 400, it is not said
    """
    said = request.get("tilingGrid")
    if said is not None:
        return cast("JsonObject", said)
    if "tilingGridId" not in request:
        raise violation("tilingGrid", "must not be missing")
    if "resolution" not in request:
        raise violation("resolution", "must not be missing")
    return {"id": request["tilingGridId"], "resolution": request["resolution"]}


def delivery_of(request: JsonObject, url: str, *, task_id: str) -> Delivery:
    """
    Where the files of a request go.

    Raises:
        ApiError: 400, the URL is wrong
    """
    target = target_of(request)
    try:
        if target == "zarrOutput":
            return batch_paths.zarr(url, task_id=task_id)
        asked = responses(process_of(request))
        number_of = partial(tile_id, cast("int", grid_of(request)["id"]))
        return batch_paths.raster(url, task_id=task_id, outputs=len(asked), number_of=number_of)
    except DeliveryError as error:
        raise violation(_place_of_url(target), str(error)) from error


def check(request: JsonObject, url: str, collection: BatchCollection | None) -> None:
    """
    Refuse what the service refuses at creation.

    Raises:
        ApiError: 400
    """
    target = target_of(request)
    zarr = target == "zarrOutput"
    marks = (batch_paths.REQUEST_ID,) if zarr else (*batch_paths.MARKS, batch_paths.TILE_ID)
    batch_requests.check_marks(url, marks, _place_of_url(target))
    try:
        batch_requests.check_task(as_version_2(request))
    except ApiError as error:
        raise _in_words_of_version_1(error) from error
    delivery_of(request, url, task_id=_ANY_ID)
    check_ingestion(request, collection)


def check_ingestion(request: JsonObject, collection: BatchCollection | None) -> None:
    """
    Refuse a collection that the request's results cannot fill.

    Raises:
        ApiError: 400
    """
    output = request.get("output")
    if not isinstance(output, dict):
        return
    creates = bool(output.get("createCollection"))
    if creates and collection is not None:
        raise violation("output->createCollection", "must not be true if collectionId is given")
    if not creates and collection is None:
        return
    if not output.get("cogOutput"):
        raise violation("output->cogOutput", "must be true to ingest into a collection")
    # Source: schema `BatchCogParameters`: the layout of a collection's files is the service's own.
    for name in cast("JsonObject", output.get("cogParameters") or {}):
        if name != "resamplingAlgorithm":
            raise violation(
                f"output->cogParameters->{name}", "must not be set to fill a collection"
            )
    asked = responses(process_of(request))
    if any(media_type != "image/tiff" for name, media_type in asked if name != USERDATA):
        raise violation("processRequest->output->responses", "must be image/tiff to be ingested")
    if collection is not None and collection.grid not in (None, grid_of(request)["id"]):
        raise violation("tilingGrid->id", "is not the grid of the collection")


def ingests(request: JsonObject) -> bool:
    """Whether the results of a request are to fill a collection."""
    output = request.get("output")
    if not isinstance(output, dict):
        return False
    return bool(output.get("createCollection")) or output.get("collectionId") is not None


def asked_outputs(request: JsonObject, known: Sequence[OutputFacts]) -> list[OutputFacts]:
    """Those outputs of the evalscript whose results the request wants."""
    wanted = {name for name, _ in responses(process_of(request))}
    return [output for output in known if output.id in wanted]


def expected_tiles(request: JsonObject) -> int:
    """
    How many tiles of the grid the area touches, which is told before any analysis.

    Raises:
        ApiError: 400, more than a request may have
    """
    # Heavy, and opening a sandbox needs none of it.
    from shplan.sandbox.tiles import TooManyTilesError, tiles_within  # noqa: PLC0415

    grid_id = cast("int", grid_of(request)["id"])
    try:
        return len(tiles_within(grid_id, batch_requests.bounds_text(request)))
    except TooManyTilesError:
        raise violation("processRequest->input->bounds", "touch too many tiles") from None


def tile_pixels(request: JsonObject) -> int:
    """Width and height of a tile in pixels, without its buffer."""
    said = grid_of(request)
    grid = grids()[cast("int", said["id"])]
    return round(grid.tile / cast("float", said["resolution"]))


def _in_words_of_version_1(error: ApiError) -> ApiError:
    """The same refusal, with the parameters of the request that was sent."""
    renamed = {
        "input->": "tilingGrid->",
        "output->group": "zarrOutput->group",
        "output->array": "zarrOutput->array",
    }
    errors: list[Json] = []
    for one in cast("list[JsonObject]", error.errors or []):
        parameter = str(one["parameter"])
        for before, after in renamed.items():
            if parameter.startswith(before):
                parameter = after + parameter.removeprefix(before)
                break
        errors.append({**one, "parameter": parameter})
    return ApiError(error.status, error.code, error.message, errors=errors)


def _place_of_url(target: str) -> str:
    return {
        "output": "output->defaultTilePath",
        "bucketName": "bucketName",
        "zarrOutput": "zarrOutput->path",
    }[target]
