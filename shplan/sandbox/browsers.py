"""
Pages of other places that ask from within a browser: their preflights, and what their scripts may read.

The controls of the sandbox are no part of the service, so no page reaches them. Source: the Fetch standard, "CORS
protocol". Assumption: any place may ask, as on the service, because what counts is the token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response

from shplan.sandbox.path_styles import plain_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
# What is asked with beside the headers that need no permission.
_HEADERS = "Authorization, Content-Type, Accept, Accept-Crs, Cache-Control, Range, If-Range"
_EXPOSED = "Content-Disposition, Content-Range, Date, ETag, Retry-After, X-ProcessingUnits-Spent"
_MAX_AGE_S = 3600


class Browsers:
    """
    What stands before an application that browsers ask.

    Args:
        closed: beginning of the paths that no page reaches
        is_open: whether pages reach the others, as it is set now
    """

    def __init__(self, app: ASGIApp, *, closed: str, is_open: Callable[[], bool]) -> None:
        self._app = app
        self._closed = closed
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, and tell a page that it may read an answer."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        is_page = "origin" in headers and not plain_path(scope["path"]).startswith(self._closed)
        if not is_page or not self._is_open():
            await self._app(scope, receive, send)
        elif scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _preflight(headers)(scope, receive, send)
        else:
            await self._app(scope, receive, _readable(send))


def _preflight(asked: Headers) -> Response:
    headers = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": asked.get("access-control-request-headers", _HEADERS),
        "Access-Control-Max-Age": str(_MAX_AGE_S),
        "Vary": "Access-Control-Request-Headers",
    }
    return Response(status_code=200, headers=headers)


def _readable(send: Send) -> Send:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = "*"
            headers["Access-Control-Expose-Headers"] = _EXPOSED
        await send(message)

    return told
