"""
What the service writes for an asynchronous request: its outputs, the copy of the request, and what went wrong.

Source: the pages on asynchronous processing: the copy is written at creation, and again with the price; a failure
leaves `error.json`. The names and the members of both are assumptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.sandbox import async_paths, async_requests
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shplan.sandbox.async_paths import Delivery
    from shplan.sandbox.async_rows import Request
    from shplan.sandbox.batch_paths import Place
    from shplan.sandbox.result_files import ResultFile
    from shplan.sandbox.storage import Storage
    from shplan.sandbox.wire import JsonObject


def copy(request_id: str, body: JsonObject) -> tuple[Place, bytes]:
    """
    The copy of a request, and where it goes.

    Args:
        body: without secrets
    """
    delivery = async_requests.delivery_of(body, request_id=request_id)
    content: JsonObject = {"id": request_id, "request": body}
    return delivery.beside(async_paths.REQUEST), _text(content)


def write_request(storage: Storage, request: Request, *, cost_pu: float) -> None:
    """
    Write the copy of the request again, with its price.

    Raises:
        ObjectStoreError: the bucket is not there, or cannot take it
    """
    content: JsonObject = {"id": request.id, "request": request.content, "costPU": cost_pu}
    storage.put(_delivery(request).beside(async_paths.REQUEST), _text(content))


def write_error(storage: Storage, request: Request, cause: str) -> None:
    """
    Write why there are no results.

    Raises:
        ObjectStoreError: as above
    """
    content: JsonObject = {"id": request.id, "error": {"message": cause}}
    storage.put(_delivery(request).beside(async_paths.ERROR), _text(content))


def write_results(storage: Storage, request: Request, files: Sequence[ResultFile]) -> None:
    """
    Write the outputs.

    Raises:
        ObjectStoreError: as above
    """
    delivery = _delivery(request)
    for file in files:
        storage.put(delivery.output(file.name), file.content)


def _delivery(request: Request) -> Delivery:
    return async_requests.delivery_of(request.content, request_id=request.id)


def _text(content: JsonObject) -> bytes:
    return encode(content).encode() + b"\n"
