"""
The sandbox as an ASGI application, for a socket or for a client in the same process.

Here requests pass the gate (path styles, faults, date, the list of requests) and errors get
their body. What the service does stands in `routes`, what the sandbox adds in `control`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import TYPE_CHECKING, TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from shplan.sandbox import control, faults
from shplan.sandbox.errors import (
    EXCEPTION,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    RATE_LIMIT_EXCEEDED,
    ApiError,
)
from shplan.sandbox.routes import batch, byoc_collections, byoc_tiles, catalog, token
from shplan.sandbox.routes.endpoint import ACCOUNT, ORIGINAL_URL
from shplan.sandbox.wire import encode
from shplan.sandbox.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from shplan.sandbox.clock import Clock
    from shplan.sandbox.faults import Fault
    from shplan.sandbox.scripts import Scripts
    from shplan.sandbox.settings import Settings

# Where a server puts the function that cuts the connection of a request.
DROP = "shplan.sandbox.drop"

# What stands in the older style alone (Batch V1, Metadata) keeps it.
NEW_STYLES = {
    "/api/v1/async": "/async/v1",
    "/api/v1/byoc": "/byoc/v1",
    "/api/v1/catalog/1.0.0": "/catalog/v1",
    "/api/v1/process": "/process/v1",
    "/api/v1/statistics/batch": "/statistics/batch/v1",
    "/api/v1/statistics": "/statistics/v1",
    "/api/v1/zarr": "/zarr/v1",
    "/api/v2/batch": "/batch/v2",
}
# Source: schema of error answers of the Catalog, which is STAC's.
CATALOG = "/catalog/"

Sleep: TypeAlias = Callable[[float], Awaitable[None]]


def create_app(
    data: Path,
    *,
    clock: Clock,
    settings: Settings | None = None,
    sleep: Sleep = asyncio.sleep,
    scripts: Scripts | None = None,
) -> Starlette:
    """
    Open the sandbox of a data directory.

    Args:
        data: directory of the state and the buckets; made if it is not there
        clock: where time comes from; the directory keeps how sandbox time runs along it
        settings: become those of the directory; none: those that it has, or the defaults
        sleep: how the fault `latency` waits, seconds
        scripts: who reads evalscripts; none: the JavaScript worker
    """
    world = World(data, clock=clock, settings=settings, scripts=scripts)
    app = Starlette(
        routes=[
            *token.routes(world),
            *byoc_collections.routes(world),
            *byoc_tiles.routes(world),
            *batch.routes(world),
            *catalog.routes(world),
            *control.routes(world),
        ],
        middleware=[Middleware(Gate, world=world, sleep=sleep)],
        exception_handlers={
            ApiError: _refused,
            HTTPException: _unknown,
            Exception: _stumbled,
        },
    )
    # Trailing slashes are cut at the gate; a redirect would lose the bodies of old clients.
    app.router.redirect_slashes = False
    app.state.world = world
    return app


def close_app(app: Starlette) -> None:
    """Close the sandbox's files, and end the process that reads evalscripts."""
    app.state.world.close()


class Gate:
    """What every request passes first, and every answer last."""

    def __init__(self, app: ASGIApp, *, world: World, sleep: Sleep) -> None:
        self._app = app
        self._world = world
        self._sleep = sleep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[ORIGINAL_URL] = str(Request(scope).url)
        scope["path"] = _plain_path(scope["path"])
        if scope["path"].startswith(control.PREFIX):
            await self._app(scope, receive, send)
            return
        fault = faults.struck(self._world.store, method=scope["method"], path=scope["path"])
        await self._serve(scope, receive, send, fault)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, fault: Fault | None) -> None:
        kind = None if fault is None else fault.kind
        if fault is not None and kind == "latency":
            await self._sleep(fault.seconds)
        if kind == "before":
            self._log(scope, None, kind)
            await _drop(scope, receive)
            return
        if fault is not None and kind in ("429", "500", "503"):
            app: ASGIApp = _misfortune(self._world, fault, path=scope["path"])
        else:
            app = self._app
        seen: list[int] = []
        lost = kind == "lost-answer"
        await app(scope, receive, self._watch(send, seen, silent=lost))
        self._log(scope, seen[0] if seen else None, kind)
        if lost:
            await _drop(scope, receive)

    def _watch(self, send: Send, seen: list[int], *, silent: bool) -> Send:
        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.append(message["status"])
                # The client bounds its searches by the server's time, which is sandbox time.
                date = formatdate(self._world.now_s(), usegmt=True).encode()
                message["headers"] = [*message.get("headers", []), (b"date", date)]
            if not silent:
                await send(message)

        return watched

    def _log(self, scope: Scope, status: int | None, fault: str | None) -> None:
        if not self._world.settings.log_requests:
            return
        query = scope["query_string"].decode("latin-1")
        self._world.store.log(
            at_ms=self._world.now_ms(),
            method=scope["method"],
            path=scope["path"] + (f"?{query}" if query else ""),
            status=status,
            account=scope.get(ACCOUNT),
            fault=fault,
        )


def _plain_path(path: str) -> str:
    """One spelling of a path: the newer style, without a trailing slash."""
    for old, new in NEW_STYLES.items():
        if path == old or path.startswith(old + "/"):
            path = new + path.removeprefix(old)
            break
    return path.rstrip("/") or "/"


async def _drop(scope: Scope, receive: Receive) -> None:
    """Cut the connection without an answer."""
    cut = scope.get("extensions", {}).get(DROP)
    if cut is None:
        msg = "The connection was dropped."
        raise faults.ConnectionDroppedError(msg)
    cut()
    while (await receive())["type"] != "http.disconnect":
        pass


def _misfortune(world: World, fault: Fault, *, path: str) -> ASGIApp:
    status = int(fault.kind)
    code = RATE_LIMIT_EXCEEDED if status == 429 else EXCEPTION
    told = fault.retry_after_ms
    headers = {} if told is None else {"Retry-After": str(told)}
    error = ApiError(status, code, "This failure was asked for.", headers=headers)
    return _error_response(world, error, path=path)


def _error_response(world: World, error: ApiError, *, path: str) -> Response:
    settings = world.settings
    if error.status == 401 and not settings.error_401_body:
        return Response(status_code=401, headers=error.headers)
    content = error.content()
    if path.startswith(CATALOG):
        content = {"code": str(error.status), "description": error.message}
    elif error.status != 429 or settings.error_429_wrapped:
        content = {"error": content}
    return Response(encode(content), error.status, error.headers, "application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _error_response(request.app.state.world, error, path=request.url.path)


async def _unknown(request: Request, error: Exception) -> Response:
    """What the router refuses: a path or a method that nobody serves."""
    assert isinstance(error, HTTPException)
    code = METHOD_NOT_ALLOWED if error.status_code == 405 else NOT_FOUND
    message = f"{request.method} {request.url.path} is not served here."
    refusal = ApiError(error.status_code, code, message, headers=error.headers)
    return _error_response(request.app.state.world, refusal, path=request.url.path)


async def _stumbled(request: Request, _: Exception) -> Response:
    """A bug of the sandbox: an answer in the service's shape, and the traceback to the server."""
    error = ApiError(500, EXCEPTION, "This is a bug in the sandbox of shplan.")
    return _error_response(request.app.state.world, error, path=request.url.path)
