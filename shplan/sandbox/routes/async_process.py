"""
The Asynchronous Process API: a request for pixels that are delivered into a bucket, and whether it still runs.

Source: the `async_process` operations of the OpenAPI document; the pages on asynchronous processing. There is no
list, no cancel and no update. Paths are in the newer style; the older is an alias.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from shplan.sandbox import async_files, async_requests, units
from shplan.sandbox import async_rows as rows
from shplan.sandbox.errors import RATE_LIMIT_EXCEEDED, ApiError
from shplan.sandbox.masking import masked
from shplan.sandbox.metering import ASYNC_MINIMUM_PU
from shplan.sandbox.routes import tasks
from shplan.sandbox.routes.endpoint import Call, Later, Operation, Reply, route

if TYPE_CHECKING:
    from starlette.routing import Route

    from shplan.sandbox.world import World


def routes(world: World) -> list[Route]:
    """The routes of asynchronous requests."""
    base = "/async/v1/process"
    create_one = Operation(create, body="createNewAsyncProcessRequest")
    return [
        route(world, base, {"POST": create_one}),
        route(world, f"{base}/{{request}}", {"GET": Operation(get)}),
    ]


def create(call: Call) -> Reply | Later:
    """
    A new request, which runs at once; the copy of it is written at once too.

    Assumption: who has not even the least price left is refused here.
    """
    if units.left(call.world, call.account) < ASYNC_MINIMUM_PU:
        raise units.insufficient()
    asked = async_requests.check(call.body)
    async_requests.check_data(call.world, call.account, asked)
    _refuse_the_busy(call)
    kept = masked(call.body, async_requests.NOT_KEPT)

    def insert(request_id: str) -> Reply:
        # Others may have come meanwhile.
        _refuse_the_busy(call)
        request = rows.insert(
            call.store,
            request_id=request_id,
            account=call.account,
            request=kept,
            now_ms=call.now_ms,
            due_ms=call.now_ms + round(call.settings.async_processing_s * 1000),
        )
        return Reply(200, request.as_text())

    return tasks.created(
        call, "async", partial(async_files.copy, body=kept), insert, place="output->delivery"
    )


def _refuse_the_busy(call: Call) -> None:
    """Source: operation `createNewAsyncProcessRequest`, its 429."""
    most = call.settings.async_concurrent
    count, due_ms = rows.running(call.store, call.account)
    if most is None or count < most:
        return
    headers = {}
    if call.settings.retry_after and due_ms is not None:
        wait_ms = (due_ms - call.now_ms) / call.settings.speed
        headers["Retry-After"] = str(max(1, round(wait_ms)))
    msg = "The maximum number of concurrent async requests is reached."
    raise ApiError(429, RATE_LIMIT_EXCEEDED, msg, headers=headers)


def get(call: Call) -> Reply:
    """A request that runs; whatever is over, well or not, is not found any more."""
    return Reply(200, tasks.owned(call, rows.REQUESTS, "request", what="Request").as_text())
