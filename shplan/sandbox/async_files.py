"""
What the service writes for an asynchronous request: its outputs, the copy of the request, and what went wrong.

Source: the pages on asynchronous processing: the copy is written at creation, and again with the price; a failure
leaves `error.json`. The names and the members of both are assumptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.sandbox import async_paths, async_requests
from shplan.sandbox.batch_files import put
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shplan.sandbox.async_rows import Request
    from shplan.sandbox.result_files import ResultFile
    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.world import World


def write_request(world: World, request: Request, *, cost_pu: float | None = None) -> None:
    """
    Write the copy of the request, with its price once that is known; never with secrets.

    Raises:
        ObjectStoreError: the bucket is not there, or cannot take it
    """
    content: JsonObject = {"id": request.id, "request": request.content}
    if cost_pu is not None:
        content["costPU"] = cost_pu
    _write(world, request, async_paths.REQUEST, content)


def write_error(world: World, request: Request, cause: str) -> None:
    """
    Write why there are no results.

    Raises:
        ObjectStoreError: as above
    """
    _write(world, request, async_paths.ERROR, {"id": request.id, "error": {"message": cause}})


def write_results(world: World, request: Request, files: Sequence[ResultFile]) -> None:
    """
    Write the outputs.

    Raises:
        ObjectStoreError: as above
    """
    delivery = async_requests.delivery_of(request.content, request_id=request.id)
    for file in files:
        put(world, delivery.output(file.name), file.content)


def _write(world: World, request: Request, name: str, content: JsonObject) -> None:
    delivery = async_requests.delivery_of(request.content, request_id=request.id)
    put(world, delivery.beside(name), encode(content).encode() + b"\n")
