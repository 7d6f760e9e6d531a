"""
Real ports: httpx's API over aiohttp, the only module that knows aiohttp.

httpx's own transport is quadratic in its connections; this one is not. Certificates
are always verified. Proxies and a company's authority come from the caller.
"""

from __future__ import annotations

import ssl

import aiohttp

from shplan.api.lean_httpx import httpx
from shplan.api.transport import BORDER, HttpxTransport, never_left
from shplan.api.wire import Network

# Less than the 5 s after which uvicorn (and node, behind gateways) closes an idle connection:
# of a request that meets the closing nobody knows whether it was served.
_KEEP_ALIVE_S = 3.0
_NEVER_LEFT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    aiohttp.ServerFingerprintMismatch,
)


def network_transport(network: Network) -> HttpxTransport:
    """Return the transport for real ports; nothing is opened before the first request."""
    return HttpxTransport(
        _NetworkRoutes(network),
        timeouts=network.timeouts,
        longest_answer_bytes=network.longest_answer_bytes,
    )


class _NetworkRoutes:
    """Directly or through a proxy, with TLS or without; each made when it is first needed."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._proxies = {
            f"{origin}/": proxy
            for origin, proxy in network.proxies.items()
            if not origin.is_loopback
        }
        self._made: dict[tuple[bool, str | None], httpx.AsyncBaseTransport] = {}

    @property
    def border(self) -> tuple[type[Exception], ...]:
        return (*BORDER, aiohttp.ClientError)

    @property
    def opened(self) -> tuple[httpx.AsyncBaseTransport, ...]:
        return tuple(self._made.values())

    def to(self, url: str) -> httpx.AsyncBaseTransport:
        proxy = next((p for origin, p in self._proxies.items() if url.startswith(origin)), None)
        key = (url.startswith("https:"), proxy)
        if key not in self._made:
            self._made[key] = self._make(secure=key[0], proxy=proxy)
        return self._made[key]

    def never_left(self, error: Exception) -> bool:
        # httpx-aiohttp calls a connection that was lost after sending a ConnectTimeout too, so
        # the exception beneath decides. Source: aiohttp, "Client exceptions".
        beneath = error if isinstance(error, aiohttp.ClientError) else error.__cause__
        if isinstance(beneath, aiohttp.ClientError):
            return isinstance(beneath, _NEVER_LEFT)
        return never_left(error)

    def _make(self, *, secure: bool, proxy: str | None) -> httpx.AsyncBaseTransport:
        context = self._tls() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        limit = self._network.connections
        from httpx_aiohttp import AiohttpTransport  # noqa: PLC0415 - after the lean import of httpx

        # The package has no types; what it returns is one of httpx's transports.
        transport: httpx.AsyncBaseTransport = AiohttpTransport(
            verify=context,
            proxy=None if proxy is None else httpx.Proxy(proxy),
            client=lambda: _session(context, limit=limit),
        )
        return transport

    def _tls(self) -> ssl.SSLContext:
        context = httpx.create_ssl_context(verify=True, trust_env=False)
        if self._network.ca_file is not None:
            context.load_verify_locations(cafile=self._network.ca_file)
        return context


def _session(context: ssl.SSLContext, *, limit: int) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=limit, keepalive_timeout=_KEEP_ALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
    )
    # aiohttp repeats a PUT or DELETE by itself when the connection is lost, and that would be
    # paid twice; there is no public switch. A test counts what arrives.
    session._retry_connection = False  # noqa: SLF001
    return session
