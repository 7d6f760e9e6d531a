"""
The sandbox as an ASGI application, for a socket or for a client in the same process.

Here requests pass the gate (path styles, faults, date, the list of requests) and errors get
their body. What the service does stands in `routes`, what the sandbox adds in `control`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from shplan.sandbox import control, faults
from shplan.sandbox.browsers import Browsers
from shplan.sandbox.errors import (
    EXCEPTION,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    ApiError,
    bad_payload,
)
from shplan.sandbox.intake import bounded
from shplan.sandbox.misfortunes import suffer
from shplan.sandbox.path_styles import plain_path
from shplan.sandbox.routes import (
    async_process,
    batch,
    batch_collections,
    batch_statistics,
    batch_v1,
    byoc_collections,
    byoc_files,
    byoc_tiles,
    catalog,
    metadata,
    process,
    statistics,
    token,
    zarr,
)
from shplan.sandbox.routes.endpoint import ACCOUNT, ORIGINAL_URL
from shplan.sandbox.settings import SettingsError
from shplan.sandbox.wire import encode
from shplan.sandbox.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from shplan.sandbox.clock import Clock
    from shplan.sandbox.faults import Blow
    from shplan.sandbox.remote_buckets import RemoteBuckets
    from shplan.sandbox.scripts import Scripts
    from shplan.sandbox.settings import Settings

# Source: schema of error answers of the Catalog, which is STAC's.
CATALOG = "/catalog/"

# Our own bound: lists of a million paths come in pieces.
MOST_CONTROL_BYTES = 256_000_000

Sleep: TypeAlias = Callable[[float], Awaitable[None]]


def create_app(
    data: Path,
    *,
    clock: Clock,
    settings: Settings | None = None,
    sleep: Sleep = asyncio.sleep,
    scripts: Scripts | None = None,
    remote: RemoteBuckets | None = None,
) -> Starlette:
    """
    Open the sandbox of a data directory.

    Args:
        data: directory of the state and the buckets; made if it is not there
        clock: where time comes from; the directory keeps how sandbox time runs along it
        settings: become those of the directory; none: those that it has, or the defaults
        sleep: how a request waits that a fault delays, seconds
        scripts: who reads evalscripts; none: the JavaScript worker
        remote: where buckets are read that are no directories; none: nowhere
    """
    world = World(data, clock=clock, settings=settings, scripts=scripts, remote=remote)
    app = Starlette(
        routes=[
            *token.routes(world),
            *byoc_collections.routes(world),
            *byoc_tiles.routes(world),
            *byoc_files.routes(world),
            *batch.routes(world),
            *batch_v1.routes(world),
            *batch_collections.routes(world),
            *batch_statistics.routes(world),
            *zarr.routes(world),
            *metadata.routes(world),
            *process.routes(world),
            *async_process.routes(world),
            *statistics.routes(world),
            *catalog.routes(world),
            *control.routes(world),
        ],
        middleware=[
            Middleware(Browsers, closed=control.PREFIX, is_open=partial(_is_open, world)),
            Middleware(Gate, world=world, sleep=sleep),
        ],
        exception_handlers={
            ApiError: _refused,
            HTTPException: _unknown,
            ClientDisconnect: _left_alone,
            SettingsError: _damaged,
            sqlite3.DatabaseError: _damaged,
            Exception: _stumbled,
        },
    )
    # Trailing slashes are cut at the gate; a redirect would lose the bodies of old clients.
    app.router.redirect_slashes = False
    app.state.world = world
    return app


def _is_open(world: World) -> bool:
    """Whether pages of other places reach the service; files that cannot be read are told further in."""
    try:
        return world.settings.browsers == "any"
    except (SettingsError, sqlite3.DatabaseError):
        return False


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
        scope["path"] = plain_path(scope["path"])
        try:
            if not _is_address(scope[ORIGINAL_URL]):
                # Source: RFC 9112, section 3.2: an invalid Host is a 400.
                error = bad_payload("The Host header is not valid.")
                await _error_response(self._world, error, path=scope["path"])(scope, receive, send)
                return
            await self._serve(scope, receive, send)
        except (SettingsError, sqlite3.DatabaseError) as error:
            # Not even the date can be told.
            await _unreadable(error)(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(control.PREFIX):
            await self._app(scope, bounded(receive, most=MOST_CONTROL_BYTES), send)
            return
        most = round(self._world.settings.most_body_mb * 1e6)
        receive = bounded(receive, most=most)
        send = self._dated(send)
        blow = faults.struck(self._world.store, method=scope["method"], path=scope["path"])
        try:
            if blow is None:
                await self._deliver(scope, receive, send)
            else:
                await self._suffer(blow, scope, receive, send)
        except ApiError as error:
            # What a fault reads ahead of the application is refused here.
            await _error_response(self._world, error, path=scope["path"])(scope, receive, send)

    async def _suffer(self, blow: Blow, scope: Scope, receive: Receive, send: Send) -> None:
        fault, path = blow.fault, scope["path"]
        if blow.delay_s:
            await self._sleep(blow.delay_s)
        if fault.kind == "before":
            self._log(scope, None, fault.kind)
        elif fault.kind in faults.REFUSALS and not fault.served:
            self._log(scope, int(fault.kind), fault.kind)

        async def deliver(scope: Scope, receive: Receive, send: Send) -> None:
            # A copy each time: what one delivery leaves in the scope is not the other's.
            await self._deliver(dict(scope), receive, send, fault=fault.kind)

        def refuse(error: ApiError) -> ASGIApp:
            return _error_response(self._world, error, path=path)

        await suffer(fault, deliver, scope, receive, send, refuse=refuse)

    async def _deliver(
        self, scope: Scope, receive: Receive, send: Send, *, fault: str | None = None
    ) -> None:
        """Have the request served, and list it with the status that it got."""
        status: int | None = None

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        await self._app(scope, receive, watched)
        # The answer has left: on a full disk the list of requests lacks one, and nobody is answered twice.
        with suppress(sqlite3.DatabaseError):
            self._log(scope, status, fault)

    def _dated(self, send: Send) -> Send:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The client bounds its searches by the server's time, which is sandbox time.
                date = formatdate(self._world.now_s(), usegmt=True).encode()
                message["headers"] = [*message.get("headers", []), (b"date", date)]
            await send(message)

        return dated

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


def _is_address(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _error_response(world: World, error: ApiError, *, path: str) -> Response:
    settings = world.settings
    if error.status == 401 and not settings.error_401_body:
        return Response(status_code=401, headers=error.headers)
    content = error.content(details=settings.error_details)
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


async def _left_alone(_: Request, __: Exception) -> Response:
    """The client left before its request was whole: nobody hears this."""
    return Response(status_code=400)


def _unreadable(error: Exception) -> Response:
    """The sandbox's own files are damaged: said with the way out, in the service's shape."""
    if isinstance(error, SettingsError):
        told = f"settings.json cannot be used: {error}. Correct it, or delete it for the defaults."
    elif getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        # Nothing is damaged: what was answered is kept, and what was asked did not happen.
        told = f"{error}. Make room; nothing else has to be done."
    else:
        told = f"the database cannot be used: {error}. Run `shplan sandbox reset`."
    content = ApiError(500, EXCEPTION, f"The sandbox cannot be read; {told}").content()
    return Response(encode({"error": content}), 500, media_type="application/json")


async def _damaged(_: Request, error: Exception) -> Response:
    return _unreadable(error)


async def _stumbled(request: Request, _: Exception) -> Response:
    """A bug of the sandbox: an answer in the service's shape, and the traceback to the server."""
    error = ApiError(500, EXCEPTION, "This is a bug in the sandbox of shplan.")
    return _error_response(request.app.state.world, error, path=request.url.path)
