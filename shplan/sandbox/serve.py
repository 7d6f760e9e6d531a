"""
The sandbox on a socket, for clients in other processes: uvicorn, on this machine only.

Prints nothing: what a person has to be told is handed to the caller.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from shplan.sandbox.address import LOOPBACK, Address, url
from shplan.sandbox.app import close_app, create_app
from shplan.sandbox.clock import Clock, SystemClock
from shplan.sandbox.misfortunes import DROP
from shplan.sandbox.s3 import create_s3_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

    from shplan.sandbox.remote_buckets import RemoteBuckets
    from shplan.sandbox.settings import Settings


def serve(
    data: Path,
    *,
    port: int = 0,
    s3_port: int | None = None,
    host: str = LOOPBACK,
    clock: Clock | None = None,
    settings: Settings | None = None,
    remote: RemoteBuckets | None = None,
    announce: Callable[[Address], None] = lambda _: None,
) -> None:
    """
    Serve until interrupted.

    Args:
        data: directory of the state and the buckets
        port: TCP port; 0: any that is free
        s3_port: the same for the buckets over S3; none: they are not served
        host: address to listen on
        clock: where time comes from; none: the computer's clock
        settings: as for `create_app`
        remote: as for `create_app`; not asked if it is this sandbox
        announce: called once requests are accepted, with where they are

    Raises:
        ListenError: a port is taken, or the address is none of this machine
    """
    server = Server(
        data,
        port=port,
        s3_port=s3_port,
        host=host,
        clock=clock,
        settings=settings,
        remote=remote,
    )
    server.run(announce)


class ListenError(Exception):
    """
    A port or an address that cannot be had.

    Attributes:
        port: which one was asked for
        reason: what the operating system said
    """

    def __init__(self, port: int, reason: OSError) -> None:
        # The loop wraps what the system said; errors of names have numbers of their own.
        number = reason.errno or 0
        text = os.strerror(number) if number > 0 else reason.strerror or str(reason)
        super().__init__(f"port {port}: {text}")
        self.port = port
        self.reason = reason


class Server:
    """A sandbox on its sockets; the arguments are those of `serve`."""

    def __init__(
        self,
        data: Path,
        *,
        port: int = 0,
        s3_port: int | None = None,
        host: str = LOOPBACK,
        clock: Clock | None = None,
        settings: Settings | None = None,
        remote: RemoteBuckets | None = None,
    ) -> None:
        self._host = host
        self._remote = remote
        self._app = create_app(data, clock=clock or SystemClock(), settings=settings, remote=remote)
        self._beside = None
        if s3_port is not None:
            s3_app = create_s3_app(self._app.state.world)
            self._beside = _Beside(_config(s3_app, host=host, port=s3_port))
        # The gate sends a date of its own: sandbox time.
        config = _config(self._app, host=host, port=port, date_header=False)
        self._server = _Server(config, self._beside)

    def run(self, announce: Callable[[Address], None] = lambda _: None) -> None:
        """Serve until interrupted, then close."""

        def ready(bound: int) -> None:
            s3_url = None
            if self._beside is not None:
                s3_url = url(self._beside.port, host=self._host)
            address = Address(url(bound, host=self._host), s3_url)
            if self._remote is not None:
                self._remote.leave_out([address.base_url, address.s3_url])
            announce(address)

        try:
            self._server.ready = ready
            self._server.run()
        finally:
            close_app(self._app)

    def leave(self) -> None:
        """End the process at once, from another thread: files are closed, connections cut."""

        def leaving() -> None:
            close_app(self._app)
            os._exit(0)

        self._server.call(leaving)


def _config(app: ASGIApp, *, host: str, port: int, date_header: bool = True) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=date_header,
    )


@contextmanager
def _own_words(port: int) -> Iterator[None]:
    """Turn the end of the process, by which uvicorn says that it cannot listen, into an error."""
    log = logging.getLogger("uvicorn.error")
    log.disabled = True
    try:
        yield
    except SystemExit as leaving:
        if not isinstance(leaving.__context__, OSError):
            raise
        raise ListenError(port, leaving.__context__) from leaving
    finally:
        log.disabled = False


class _Beside(uvicorn.Server):
    """A second server in the loop of the first, which hears the signals for both."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

        self.refused: ListenError | None = None

    async def startup(self, sockets: list[Any] | None = None) -> None:
        try:
            with _own_words(self.config.port):
                await super().startup(sockets)
        except ListenError as error:
            self.refused = error
            self.should_exit = True
        self.ready.set()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # as above
        return nullcontext()

    @property
    def port(self) -> int:
        """The port that it got."""
        bound: int = self.servers[0].sockets[0].getsockname()[1]
        return bound


class _Server(uvicorn.Server):
    """A server that says when it is ready, and on which port."""

    def __init__(self, config: uvicorn.Config, beside: _Beside | None) -> None:
        super().__init__(config)
        self.ready: Callable[[int], None] = lambda _: None
        self._beside = beside
        self._beside_task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[Any] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        with _own_words(self.config.port):
            await super().startup(sockets)
        if self.started and self._beside is not None:
            self._beside_task = asyncio.create_task(self._beside.serve())
            await self._beside.ready.wait()
            if self._beside.refused is not None:
                await super().shutdown(sockets)
                raise self._beside.refused
        if self.started:
            self.ready(self.servers[0].sockets[0].getsockname()[1])

    def call(self, function: Callable[[], None]) -> None:
        """Call a function between two requests, once this server has started."""
        assert self._loop is not None  # the caller was told that it is ready
        self._loop.call_soon_threadsafe(function)

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        if self._beside is not None and self._beside_task is not None:
            self._beside.should_exit = True
            await self._beside_task
        await super().shutdown(sockets)


MOST_GATHERED_BYTES = 64 * 1024


class _Protocol(H11Protocol):
    """HTTP/1.1 whose application can cut the connection, as a crashed service would."""

    def connection_made(  # type: ignore[override]  # as in the class above
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(cast("asyncio.Transport", _Gathering(transport, self.loop)))
        app: Any = self.config.loaded_app

        async def with_drop(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"] = {**scope.get("extensions", {}), DROP: transport.abort}
            await app(scope, receive, send)

        self.app = with_drop


class _Gathering:
    """
    A transport that sends what one turn of the loop has written in one piece.

    Head, body and end of an answer are written one by one; a system call for each is half of what
    a small answer costs.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, content: bytes) -> None:
        """Send soon; in order."""
        if not content:
            return
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(content)
        self._size += len(content)
        if self._size > MOST_GATHERED_BYTES:
            # At once: a long answer has to feel that its reader is slow, or all of it is held here.
            self._flush()

    def close(self) -> None:
        """Send what waits, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        waiting, self._waiting, self._size = self._waiting, [], 0
        if waiting:
            self._transport.write(b"".join(waiting))
