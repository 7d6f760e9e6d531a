"""Servers of S3 on this machine beside the sandbox: one that we did not write, and broken ones."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest


@contextmanager
def moto_served() -> Iterator[str]:
    """The address of moto's server."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


@dataclass
class Scripted:
    """
    A server that gives every request the same answer.

    Args:
        asked: methods and paths of the requests so far
    """

    url: str = ""
    asked: list[str] = field(default_factory=list)


Respond = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def scripted(respond: Respond) -> Iterator[Scripted]:
    """A server whose every answer is `respond`'s."""
    told = Scripted()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            told.asked.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.close_connection = True
            respond(self)

        do_GET = do_HEAD = do_PUT = _any

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(status: int, body: bytes = b"", **headers: str) -> Respond:
    """What a scripted server says, whole."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)

    return respond


def no_aws(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Forget whatever the machine knows of AWS."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.upper() in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "credentials"))


def with_keys(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Set what a person exports."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-secret-key")


def make_bucket(endpoint: str, bucket: str) -> None:
    """Every server here takes requests that nobody has signed."""
    httpx.put(f"{endpoint}/{bucket}").raise_for_status()
