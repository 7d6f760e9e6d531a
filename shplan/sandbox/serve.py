"""
The sandbox on a socket, for clients in other processes: uvicorn, on this machine only.

Prints nothing: what a person has to be told is handed to the caller.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from shplan.sandbox.app import close_app, create_app
from shplan.sandbox.clock import Clock, SystemClock
from shplan.sandbox.misfortunes import DROP
from shplan.sandbox.s3 import REGION, create_s3_app

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

    from shplan.sandbox.settings import Settings

TOKEN_PATH = "/auth/realms/main/protocol/openid-connect/token"  # noqa: S105 a path
INSECURE_TRANSPORT = "export OAUTHLIB_INSECURE_TRANSPORT=1"
LOOPBACK = "127.0.0.1"


def instructions(port: int, *, host: str = LOOPBACK) -> tuple[str, str]:
    """
    What the `sentinelhub` package needs to use this sandbox.

    Returns:
        a profile for its configuration file, in TOML, and the line of a shell that sets the
        variable without which its OAuth library refuses plain HTTP
    """
    base = _base(port, host)
    profile = "\n".join(
        [
            "[sandbox]",
            'sh_client_id = "sandbox"',
            'sh_client_secret = "sandbox"',
            f'sh_base_url = "{base}"',
            f'sh_token_url = "{base}{TOKEN_PATH}"',
        ]
    )
    return profile, INSECURE_TRANSPORT


def bucket_instructions(port: int, *, host: str = LOOPBACK) -> str:
    """What clients of S3 need to read the buckets: lines of a shell; any keys do."""
    return "\n".join(
        [
            f"export AWS_ENDPOINT_URL={_base(port, host)}",
            f"export AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox AWS_REGION={REGION}",
        ]
    )


def _base(port: int, host: str) -> str:
    reachable = LOOPBACK if host in ("0.0.0.0", "::") else host  # noqa: S104 compared, not bound
    return f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{port}"


def serve(
    data: Path,
    *,
    port: int = 0,
    s3_port: int | None = None,
    host: str = LOOPBACK,
    clock: Clock | None = None,
    settings: Settings | None = None,
    announce: Callable[[str], None] = lambda _: None,
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
        announce: called once requests are accepted, with what a person needs to use it
    """
    app = create_app(data, clock=clock or SystemClock(), settings=settings)
    beside = None
    if s3_port is not None:
        beside = _Beside(_config(create_s3_app(app.state.world), host=host, port=s3_port))

    def ready(bound: int) -> None:
        lines = list(instructions(bound, host=host))
        if beside is not None:
            lines.append(bucket_instructions(beside.port, host=host))
        announce("\n".join(lines))

    try:
        # The gate sends a date of its own: sandbox time.
        config = _config(app, host=host, port=port, date_header=False)
        _Server(config, ready, beside).run()
    finally:
        close_app(app)


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


class _Beside(uvicorn.Server):
    """A second server in the loop of the first, which hears the signals for both."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
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

    def __init__(
        self, config: uvicorn.Config, announce: Callable[[int], None], beside: _Beside | None
    ) -> None:
        super().__init__(config)
        self._announce = announce
        self._beside = beside
        self._beside_task: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._beside is not None:
            # If its port is taken it ends the process, as the first one does.
            self._beside_task = asyncio.create_task(self._beside.serve())
            await self._beside.ready.wait()
        if self.started:
            self._announce(self.servers[0].sockets[0].getsockname()[1])

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        if self._beside is not None and self._beside_task is not None:
            self._beside.should_exit = True
            await self._beside_task
        await super().shutdown(sockets)


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

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, content: bytes) -> None:
        """Send soon; in order."""
        if not content:
            return
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(content)

    def close(self) -> None:
        """Send what waits, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._transport.write(b"".join(waiting))
