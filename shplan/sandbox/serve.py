"""
The sandbox on a socket, for clients in other processes: uvicorn, on this machine only.

Prints nothing: what a person has to be told is handed to the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from shplan.sandbox.app import DROP, close_app, create_app
from shplan.sandbox.clock import Clock, SystemClock

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

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
    reachable = LOOPBACK if host in ("0.0.0.0", "::") else host  # noqa: S104 compared, not bound
    base = f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{port}"
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


def serve(
    data: Path,
    *,
    port: int = 0,
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
        host: address to listen on
        clock: where time comes from; none: the computer's clock
        settings: as for `create_app`
        announce: called once requests are accepted, with what a person needs to use it
    """
    app = create_app(data, clock=clock or SystemClock(), settings=settings)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # The gate sends a date of its own: sandbox time.
        date_header=False,
    )
    try:
        _Server(config, lambda bound: announce("\n".join(instructions(bound, host=host)))).run()
    finally:
        close_app(app)


class _Server(uvicorn.Server):
    """A server that says when it is ready, and on which port."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[int], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce(self.servers[0].sockets[0].getsockname()[1])


class _Protocol(H11Protocol):
    """HTTP/1.1 whose application can cut the connection, as a crashed service would."""

    def connection_made(  # type: ignore[override]  # as in the class above
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        app: Any = self.config.loaded_app

        async def with_drop(scope: Scope, receive: Receive, send: Send) -> None:
            extensions = {**scope.get("extensions", {}), DROP: transport.abort}
            await app({**scope, "extensions": extensions}, receive, send)

        self.app = with_drop
