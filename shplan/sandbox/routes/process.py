"""
The Process API: pixels at once.

Source: operation `process` of the OpenAPI document. The path is in the newer style; the older is an alias.
What it takes (images, JavaScript) is loaded by the first request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.sandbox import metering
from shplan.sandbox.routes.endpoint import Call, Later, Operation, Reply, paid, route

if TYPE_CHECKING:
    from starlette.routing import Route

    from shplan.sandbox.process import Computed
    from shplan.sandbox.process_requests import ProcessRequest
    from shplan.sandbox.world import World


def routes(world: World) -> list[Route]:
    """The route of the Process API."""
    operations = {"POST": Operation(process, body="process", script_at=("evalscript",))}
    return [route(world, "/process/v1", operations, tells_tasks=False)]


def process(call: Call) -> Later:
    """Check a request and find its data; a thread computes it."""
    from shplan.sandbox import process as computing  # noqa: PLC0415 see above
    from shplan.sandbox import process_requests, raster_opening  # noqa: PLC0415

    request = process_requests.read(call.body, accept=call.headers.get("accept", ""))
    sources = raster_opening.opened(
        call.world, call.account, request.data, request.area, request.grid.epsg
    )
    scripts = call.world.scripts

    def compute() -> tuple[Reply, float]:
        with scripts.worker() as worker:
            computed = computing.compute(request, sources, worker)
        return _reply(request, computed), max(computed.cost_pu, metering.PROCESS_MINIMUM_PU)

    # The scripts have processes of their own.
    return Later(compute, lambda made: paid(call, *made), in_turn=False)


def _reply(request: ProcessRequest, computed: Computed) -> Reply:
    from shplan.sandbox import archives, result_files  # noqa: PLC0415 see above

    files = result_files.files_of(request, computed)
    if request.archive is None:
        return Reply(200, content=files[0].content, media_type=files[0].media_type)
    content, media_type = archives.packed(files, request.archive)
    return Reply(200, content=content, media_type=media_type)
