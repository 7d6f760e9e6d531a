"""A server on loopback that misbehaves on demand, a clock that never waits, and their wiring."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import orjson

from shplan.api.credentials import Access, Credentials
from shplan.api.deployment import Deployment, custom
from shplan.api.exchange import Exchange, connect
from shplan.api.hosts import AllowedHosts
from shplan.api.network import network_transport
from shplan.api.tempo import Retry, Tempo
from shplan.api.wire import Network, Timeouts
from shplan.core.value import SecretReference, Sensitive

CLIENT_SECRET = "canary-client-secret"
TOKEN_PATH = "/oauth/token"


class FakeClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime(2025, 6, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)


class FixedSecrets:
    """Secrets by name."""

    def __init__(self, **secrets: str) -> None:
        self.secrets = secrets

    def reveal(self, value: Sensitive) -> str:
        return "".join(
            self.secrets[part.text.removeprefix("env:")]
            if isinstance(part, SecretReference)
            else part
            for part in value.parts
        )


@dataclass
class Heard:
    """One request as the server heard it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


@dataclass
class Reply:
    """
    What the server does with a request it has read.

    Args:
        drop: close without a word
        cut: promise a longer body than is sent
        delay_s: before the first byte
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    cut: bool = False
    delay_s: float = 0.0


def as_json(value: object, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, orjson.dumps(value), {"Content-Type": "application/json", **named})


def zipped(value: object) -> Reply:
    return Reply(200, gzip.compress(orjson.dumps(value)), {"Content-Encoding": "gzip"})


def token_reply(text: str = "token-1", expires_in: float = 3600) -> Reply:
    return as_json({"access_token": text, "expires_in": expires_in, "token_type": "Bearer"})


Handler = Callable[[Heard], "Reply | Awaitable[Reply]"]


class Server:
    """Speaks HTTP/1.1 by hand, so that it can do what no framework would let it do."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.heard: list[Heard] = []
        self.tokens = 0
        self.token_reply: Callable[[], Reply] = token_reply
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while (heard := await _read(reader)) is not None:
                if not await self._respond(heard, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    def close_all(self) -> None:
        for writer in self._open:
            writer.close()

    async def _respond(self, heard: Heard, writer: asyncio.StreamWriter) -> bool:
        if heard.path == TOKEN_PATH:
            self.tokens += 1
            reply = self.token_reply()
        else:
            self.heard.append(heard)
            outcome = self.handler(heard)
            reply = outcome if isinstance(outcome, Reply) else await outcome
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        if reply.drop:
            return False
        length = len(reply.body) + (100 if reply.cut else 0)
        headers = {"Date": "Sun, 01 Jun 2025 10:00:00 GMT", **reply.headers}
        if reply.status not in {204, 304}:
            headers["Content-Length"] = str(length)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {reply.status} X\r\n{head}\r\n".encode() + reply.body)
        await writer.drain()
        return not reply.cut


async def _read(reader: asyncio.StreamReader) -> Heard | None:
    line = await reader.readline()
    if not line:
        return None
    method, target, _ = line.decode().split(" ", 2)
    headers: dict[str, str] = {}
    while (line := await reader.readline()) not in {b"\r\n", b""}:
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Heard(method, target, headers, body)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Server]:
    server = Server(handler)
    listening = await asyncio.start_server(server.talk, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        server.close_all()
        await asyncio.sleep(0)


def deployment_of(server: Server) -> Deployment:
    return custom(base_url=server.url, token_url=f"{server.url}{TOKEN_PATH}")


def access() -> Access:
    return Access(Credentials("client-1", CLIENT_SECRET, "the test"), AllowedHosts())


def exchange_with(
    server: Server,
    *,
    clock: FakeClock | None = None,
    tempo: Tempo | None = None,
    secrets: FixedSecrets | None = None,
    on_retry: Callable[[Retry], None] | None = None,
    timeouts: Timeouts | None = None,
    longest_answer_bytes: int = 2**24,
) -> Exchange:
    network = Network(
        timeouts=timeouts or Timeouts(), longest_answer_bytes=longest_answer_bytes, connections=50
    )
    return connect(
        deployment_of(server),
        access(),
        transport=network_transport(network),
        clock=clock or FakeClock(),
        secrets=secrets or FixedSecrets(),
        tempo=tempo,
        on_retry=on_retry,
        jitter=lambda: 0.0,
    )
