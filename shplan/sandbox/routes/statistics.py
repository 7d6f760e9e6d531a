"""
The Statistical API: numbers about areas and intervals of time at once.

Source: operation `submitStatisticalRequest` of the OpenAPI document. The path is in the newer style; the older is
an alias. What it takes (arrays, JavaScript) is loaded by the first request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.sandbox.routes.endpoint import Call, Later, Operation, Reply, paid, route
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from starlette.routing import Route

    from shplan.sandbox.world import World


def routes(world: World) -> list[Route]:
    """The route of the Statistical API."""
    operation = Operation(
        statistics, body="submitStatisticalRequest", script_at=("aggregation", "evalscript")
    )
    return [route(world, "/statistics/v1", {"POST": operation}, tells_tasks=False)]


def statistics(call: Call) -> Later:
    """Check a request and find its data; a thread computes it."""
    from shplan.sandbox import (  # noqa: PLC0415 see above
        interval_statistics,
        raster_opening,
        statistics_requests,
    )

    request = statistics_requests.read(call.body)
    sources = raster_opening.opened(
        call.world, call.account, request.aggregation.data, request.area, request.grid.epsg
    )
    scripts, is_strict = call.world.scripts, call.settings.histogram_mismatch == "refuse"

    def compute() -> tuple[Reply, float]:
        with scripts.worker() as worker:
            found = interval_statistics.compute(request, sources, worker, is_strict=is_strict)
        return Reply(200, encode(found.content)), found.cost_pu

    # The scripts have processes of their own.
    return Later(compute, lambda made: paid(call, *made), in_turn=False)
