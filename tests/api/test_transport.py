"""Every exception of the HTTP libraries says one thing: can the request have been received?"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import aiohttp
import httpx
import pytest

from shplan.api import network, transport
from shplan.api.exchange import connect
from shplan.api.hosts import Origin, Url
from shplan.api.network import network_transport
from shplan.api.transport import HttpxTransport, in_process_transport
from shplan.api.wire import Network, Timeouts, TransportFault
from shplan.core.errors import ApiError, NoAnswerError, UnreachableError
from shplan.core.request import ApiRequest, Effect

from .server import FakeClock, FixedSecrets, Reply, access, deployment_of, serving, token_reply

CREATE = ApiRequest("createByocCollection", "POST", "/byoc/v1/collections", Effect.CREATE)


def tree(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__.startswith(("httpx", "aiohttp")):
            yield from tree(child)


def instance(kind: type[Exception]) -> Exception:
    """An exception of this class, however its own constructor wants to be called."""
    plain = type(
        kind.__name__, (kind,), {"__init__": lambda self: None, "__str__": lambda self: "boom"}
    )
    return plain()


HTTPX = {
    kind
    for root in (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError)
    for kind in tree(root)
}
NEVER_LEFT = {
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
}
AIOHTTP = set(tree(aiohttp.ClientError))
NEVER_LEFT_BENEATH = {
    *tree(aiohttp.ClientConnectorError),
    *tree(aiohttp.InvalidURL),
    *tree(aiohttp.NonHttpUrlClientError),
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ServerFingerprintMismatch,
}


class Failing(httpx.AsyncBaseTransport):
    def __init__(self, error: Exception, cause: Exception | None = None) -> None:
        self.error = error
        self.cause = cause

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("token"):
            return httpx.Response(200, content=token_reply().body)
        raise self.error from self.cause


class Through(network._NetworkRoutes):
    """The real routes' judgement of exceptions, over a transport that fails as told."""

    def __init__(self, error: Exception, cause: Exception | None = None) -> None:
        super().__init__(Network())
        self.failing = Failing(error, cause)

    def to(self, url: str) -> httpx.AsyncBaseTransport:
        return self.failing


async def outcome_of(error: Exception, cause: Exception | None = None) -> ApiError:
    failing = HttpxTransport(Through(error, cause), timeouts=Timeouts(), longest_answer_bytes=1000)

    class Nowhere:
        url = "http://127.0.0.1:1"

    exchange = connect(
        deployment_of(Nowhere()),  # type: ignore[arg-type]
        access(),
        transport=failing,
        clock=FakeClock(),
        secrets=FixedSecrets(),
    )
    with pytest.raises(ApiError) as caught:
        await exchange.send(CREATE)
    return caught.value


def test_the_trees_were_found() -> None:
    assert len(HTTPX) > 25
    assert len(AIOHTTP) > 25


@pytest.mark.parametrize("kind", sorted(HTTPX, key=lambda kind: kind.__name__))
def test_every_httpx_error_is_mapped(kind: type[Exception]) -> None:
    expected = UnreachableError if kind in NEVER_LEFT else NoAnswerError
    assert type(asyncio.run(outcome_of(instance(kind)))) is expected


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("kind", sorted(AIOHTTP, key=lambda kind: kind.__name__))
def test_every_aiohttp_error_is_mapped_also_beneath_a_misleading_one(
    kind: type[Exception], wrapped: bool
) -> None:
    """The adapter wraps a connection that was lost after sending as ConnectTimeout."""
    expected = UnreachableError if kind in NEVER_LEFT_BENEATH else NoAnswerError
    beneath = instance(kind)
    outcome = outcome_of(httpx.ConnectTimeout("x"), beneath) if wrapped else outcome_of(beneath)
    assert type(asyncio.run(outcome)) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(), UnreachableError),
        (socket.gaierror(-2, "unknown"), UnreachableError),
        (ConnectionResetError(), NoAnswerError),
        (BrokenPipeError(), NoAnswerError),
        (TimeoutError(), NoAnswerError),
        (OSError(5, "x"), NoAnswerError),
    ],
)
def test_errors_of_the_system_are_mapped(error: OSError, expected: type[ApiError]) -> None:
    assert type(asyncio.run(outcome_of(error))) is expected


def test_what_the_caller_was_handling_does_not_count() -> None:
    """Only causes are asked: the context may be another request's refused connection."""

    async def run() -> None:
        try:
            raise aiohttp.ServerFingerprintMismatch(b"", b"", "h", 1)
        except aiohttp.ClientError:
            assert type(await outcome_of(httpx.ReadError("x"))) is NoAnswerError

    asyncio.run(run())


def test_an_application_in_this_process_answers() -> None:
    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        assert (await receive())["body"] == b"hello"
        await send({"type": "http.response.start", "status": 201, "headers": [(b"X-A", b"b")]})
        await send({"type": "http.response.body", "body": b"world"})

    async def run() -> None:
        sending = in_process_transport(app)
        received = await sending.send("POST", "http://localhost/x", headers={}, content=b"hello")
        assert (received.status, received.content) == (201, b"world")
        assert received.headers["x-a"] == "b"
        await sending.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("error", "left"), [(ConnectionRefusedError, False), (ConnectionResetError, True)]
)
def test_an_application_in_this_process_can_lose_the_connection(
    error: type[OSError], left: bool
) -> None:
    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        raise error

    async def run() -> None:
        with pytest.raises(TransportFault) as caught:
            await in_process_transport(app).send("GET", "http://localhost", headers={}, content=b"")
        assert caught.value.left is left

    asyncio.run(run())


def test_a_bug_of_the_application_stays_a_bug() -> None:
    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        raise KeyError("bug")

    with pytest.raises(KeyError):
        asyncio.run(
            in_process_transport(app).send("GET", "http://localhost", headers={}, content=b"")
        )


def test_only_two_modules_know_the_libraries() -> None:
    assert transport.httpx is httpx
    assert not hasattr(transport, "aiohttp")
    assert network.aiohttp is aiohttp


def test_a_proxy_that_refuses_has_let_nothing_through() -> None:

    async def run() -> None:
        async with serving(lambda _: Reply(403)) as server:
            origin = Origin("https", "sh.acme.test", 443)
            sending = network_transport(Network(proxies={origin: server.url}))
            with pytest.raises(TransportFault) as caught:
                await sending.send(
                    "POST", f"{origin}/x", headers={"A": "canary"}, content=b"canary"
                )
            await sending.close()
        assert not caught.value.left
        (heard,) = server.heard
        assert (heard.method, heard.target) == ("CONNECT", "sh.acme.test:443")
        assert "canary" not in repr(heard)

    asyncio.run(run())


def test_loopback_is_never_asked_through_a_proxy() -> None:

    async def run() -> None:
        async with serving(lambda _: Reply(204)) as server, serving(lambda _: Reply(403)) as proxy:
            origin = Url.parse(server.url).origin
            sending = network_transport(Network(proxies={origin: proxy.url}))
            received = await sending.send("GET", f"{server.url}/x", headers={}, content=b"")
            await sending.close()
        assert received.status == 204
        assert proxy.heard == []

    asyncio.run(run())


def test_tls_to_a_server_without_it_has_not_sent() -> None:

    async def run() -> None:
        async with serving(lambda _: Reply(204)) as server:
            sending = network_transport(Network())
            url = f"https://127.0.0.1:{server.port}/x"
            with pytest.raises(TransportFault) as caught:
                await sending.send("POST", url, headers={"A": "canary"}, content=b"canary")
            await sending.close()
        assert not caught.value.left
        assert server.heard == []

    asyncio.run(run())
