"""
httpx's requests and answers: the only module that sends over it.

Every exception of the library becomes a `TransportFault` here, which says the one
thing that decides what follows: whether the request can have been received.
Nothing is followed, stored or taken from the environment: no redirects, no
cookies, no .netrc, no proxy that was not named. Real ports are in `network`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from shplan.api.echoes import scrub
from shplan.api.lean_httpx import httpx
from shplan.api.wire import Network, Received, Timeouts, TransportFault

_Message: TypeAlias = MutableMapping[str, Any]
AsgiApp: TypeAlias = Callable[
    [_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]],
    Awaitable[None],
]
# All that can come out of the library, and of an application in this process.
BORDER: tuple[type[Exception], ...] = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.CookieConflict,
    httpx.StreamError,
    OSError,
)
_PIECE_BYTES = 1 << 20
_NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
    ConnectionRefusedError,
    socket.gaierror,
)
_PERMANENT = (httpx.InvalidURL, httpx.UnsupportedProtocol, ssl.SSLCertVerificationError)


class Routes(Protocol):
    """Knows which of httpx's transports leads to a URL, and what its exceptions mean."""

    @property
    def border(self) -> tuple[type[Exception], ...]:
        """The exceptions that may come out."""
        ...

    @property
    def opened(self) -> tuple[httpx.AsyncBaseTransport, ...]:
        """Those that were used."""
        ...

    def to(self, url: str) -> httpx.AsyncBaseTransport:
        """Return the one for this URL."""
        ...

    def never_left(self, error: Exception) -> bool:
        """Tell whether it is certain that the request did not reach the server."""
        ...


class HttpxTransport:
    """httpx's requests and answers over a transport of its kind; no client in between."""

    def __init__(self, routes: Routes, *, timeouts: Timeouts, longest_answer_bytes: int) -> None:
        self._routes = routes
        self._whole_s = timeouts.whole_s
        self._longest_bytes = longest_answer_bytes
        self._extensions = {
            # Waiting for a free connection is queueing, not a failure: no limit on `pool`.
            "timeout": {
                "connect": timeouts.connect_s,
                "read": timeouts.read_s,
                "write": timeouts.read_s,
                "pool": None,
            }
        }

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes
    ) -> Received:
        """Send one request; see `Transport`."""
        try:
            request = httpx.Request(
                method, url, headers=headers, content=content, extensions=self._extensions
            )
            async with asyncio.timeout(self._whole_s):
                return await self._exchange(url, request)
        except self._routes.border as error:
            raise _fault(error, left=not self._routes.never_left(error)) from error

    async def close(self) -> None:
        """Close all connections."""
        for transport in self._routes.opened:
            await transport.aclose()

    async def _exchange(self, url: str, request: httpx.Request) -> Received:
        response = await self._routes.to(url).handle_async_request(request)
        try:
            content = await self._read(response)
        finally:
            await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Received(response.status_code, headers, content)

    async def _read(self, response: httpx.Response) -> bytes:
        parts: list[bytes] = []
        size_bytes = 0
        unpack = _unpacking(response.headers.get("content-encoding", ""))
        stream = response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        async for packed in stream:
            # A thousand times as much can come out of what came in, so never all at once.
            for part in unpack(packed):
                size_bytes += len(part)
                if size_bytes > self._longest_bytes:
                    msg = f"the answer is longer than {self._longest_bytes} bytes"
                    raise TransportFault(msg, left=True, permanent=True)
                parts.append(part)
        return b"".join(parts)


def _unpacking(encoding: str) -> Callable[[bytes], Iterator[bytes]]:
    """Return what unpacks an answer, piece by piece; only gzip was asked for, and only once."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return lambda packed: iter((packed,))
    if name not in ("gzip", "x-gzip"):
        msg = "the answer is packed in a way that was not asked for"
        raise TransportFault(msg, left=True)
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def unpack(packed: bytes) -> Iterator[bytes]:
        rest = packed
        while rest and not stream.eof:
            try:
                yield stream.decompress(rest, _PIECE_BYTES)
            except zlib.error as error:
                msg = "the answer cannot be unpacked"
                raise TransportFault(msg, left=True) from error
            rest = stream.unconsumed_tail

    return unpack


def in_process_transport(app: AsgiApp, *, timeouts: Timeouts | None = None) -> HttpxTransport:
    """
    Return the transport to an ASGI application in this process: the embedded sandbox.

    An `OSError` out of the application stands for a lost connection (refused: before it was
    served); anything else is a bug there and passes through.
    """
    return HttpxTransport(
        _OneRoute(httpx.ASGITransport(app)),
        timeouts=timeouts or Timeouts(),
        longest_answer_bytes=Network().longest_answer_bytes,
    )


def never_left(error: Exception) -> bool:
    """Tell by httpx's own classes whether the request did not leave; in doubt, it has."""
    return isinstance(error, _NEVER_LEFT)


@dataclass(frozen=True, slots=True)
class _OneRoute:
    transport: httpx.AsyncBaseTransport

    @property
    def border(self) -> tuple[type[Exception], ...]:
        return BORDER

    @property
    def opened(self) -> tuple[httpx.AsyncBaseTransport, ...]:
        return (self.transport,)

    def to(self, url: str) -> httpx.AsyncBaseTransport:
        return self.transport

    def never_left(self, error: Exception) -> bool:
        return never_left(error)


def _fault(error: Exception, *, left: bool) -> TransportFault:
    causes = _causes(error)
    permanent = not left and any(isinstance(cause, _PERMANENT) for cause in causes)
    return TransportFault(_reason(error, causes), left=left, permanent=permanent)


def _causes(error: BaseException) -> tuple[BaseException, ...]:
    # Never `__context__`: it may hold what the caller was handling when it called us.
    causes = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    return tuple(causes)


def _reason(error: Exception, causes: tuple[BaseException, ...]) -> str:
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            # aiohttp's own kind of this error lacks the attribute.
            detail = getattr(cause, "verify_message", "") or scrub(str(cause))
            return f"the server's certificate is not trusted: {detail}"
        if isinstance(cause, socket.gaierror):
            return "the host's name is not known"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
    if any(isinstance(cause, TimeoutError | httpx.ReadTimeout) for cause in causes):
        return "the server took too long"
    return scrub(str(error)) or type(error).__name__
