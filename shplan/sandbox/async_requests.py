"""
What the service checks of an asynchronous request at its creation: everything but what the evalscript does.

The schema was checked before. Source: schema `AsyncProcessRequest`; the pages on asynchronous processing. What goes
wrong later is told in the bucket.
"""

# ruff: noqa: EM101, EM102  the texts are answers, and functions make the errors

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from shplan.sandbox import async_paths
from shplan.sandbox.batch_paths import DeliveryError, place_of
from shplan.sandbox.batch_requests import DELIVERY, check_access, check_marks
from shplan.sandbox.errors import violation
from shplan.sandbox.masking import KEY, SECRETS

if TYPE_CHECKING:
    from shplan.sandbox.async_paths import Delivery
    from shplan.sandbox.batch_paths import Place
    from shplan.sandbox.process_requests import ProcessRequest
    from shplan.sandbox.wire import Json, JsonObject
    from shplan.sandbox.world import World

REFERENCE = "evalscriptReference"
# Here the name of a key too, as nothing asks for it again.
NOT_KEPT = (*SECRETS, KEY)


def check(body: JsonObject) -> ProcessRequest:
    """
    Refuse what the service refuses at creation; returns what is asked for, its script not read yet.

    Raises:
        ApiError: 400
    """
    if ("evalscript" in body) == (REFERENCE in body):
        raise violation("evalscript", f"must be there, or {REFERENCE}, and not both")
    request = read(body, evalscript="")
    output = cast("JsonObject", body["output"])
    check_access(output["delivery"], DELIVERY)
    check_marks(_url(output["delivery"]), async_paths.MARKS, f"{DELIVERY}->url")
    delivery_of(body, request_id="00000000-0000-0000-0000-000000000000")
    if REFERENCE in body:
        check_access(body[REFERENCE], REFERENCE)
        script_place(body)
    return request


def check_data(world: World, account: str, request: ProcessRequest) -> None:
    """
    Refuse data that are not there for this account, and pixels that they are too fine for.

    Raises:
        ApiError: 400
    """
    from shplan.sandbox import process, raster_opening  # noqa: PLC0415 as below

    sources = raster_opening.opened(world, account, request.data, request.area, request.grid.epsg)
    for source in sources:
        process.check_resolution(request.grid, source)


def read(body: JsonObject, *, evalscript: str) -> ProcessRequest:
    """
    What a body asks for.

    Raises:
        ApiError: 400
    """
    # Images, and opening a sandbox needs none.
    from shplan.sandbox import process_requests  # noqa: PLC0415

    return process_requests.read_delivered(body, evalscript=evalscript)


def delivery_of(body: JsonObject, *, request_id: str) -> Delivery:
    """
    Where the files of a request go.

    Raises:
        ApiError: 400, the delivery's URL is wrong
    """
    from shplan.sandbox.result_files import file_name  # noqa: PLC0415 as above

    output = cast("JsonObject", body["output"])
    names = tuple(
        file_name(wanted.identifier, wanted.media_type)
        for wanted in read(body, evalscript="").wanted
    )
    try:
        return async_paths.delivery(_url(output["delivery"]), request_id=request_id, names=names)
    except DeliveryError as error:
        raise violation(f"{DELIVERY}->url", str(error)) from error


def script_place(body: JsonObject) -> Place:
    """
    Where the evalscript lies that a body refers to.

    Raises:
        ApiError: 400, the URL names no object
    """
    try:
        place = place_of(_url(body[REFERENCE]))
        if place.key:
            return place
        told = "names no object"
    except DeliveryError as error:
        told = str(error)
    raise violation(f"{REFERENCE}->url", told)


def _url(storage: Json) -> str:
    held = cast("JsonObject", storage)
    return str(cast("JsonObject", held.get("s3", held.get("gs")))["url"])
