"""The sandbox on a socket: what no client library lets pass, and what only shows there."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.served import Served, serving

from .support import BUCKET, COLLECTIONS


def spoken(on: str, text: bytes) -> bytes:
    """What a server answers to these bytes."""
    host, port = on.removeprefix("http://").split(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        # A server that has heard enough may reset the connection.
        with contextlib.suppress(OSError):
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                answer += piece
    return answer


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("socket")) as one:
        yield one


@pytest.mark.parametrize(
    "text",
    [
        b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%ff%00%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /byoc/v1/collections HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n",
        b"GET /byoc/v1/collections HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\nabc",
        b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"HEAD /byoc/v1/collections HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET http://evil.example/byoc/v1/collections HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
)  # fmt: skip
def test_no_bytes_break_a_server(running: Served, text: bytes) -> None:
    for address in (running.base, running.s3):
        answer = spoken(address, text)
        assert not answer.startswith(b"HTTP/1.1 5")
    assert httpx.get(f"{running.base}{COLLECTIONS}").status_code == 401


@pytest.mark.parametrize("kind", ["cut", "lost-answer", "before"])
def test_connection_ends_without_a_whole_answer(running: Served, kind: str) -> None:
    httpx.post(f"{running.base}/_sandbox/faults", json={"kind": kind}).raise_for_status()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{running.base}{COLLECTIONS}")


@pytest.mark.parametrize("kind", ["empty", "truncated", "duplicate", "504", "429"])
def test_answers_that_are_none_are_whole_as_answers(running: Served, kind: str) -> None:
    fault = {"kind": kind, "retry_after_ms": 500}
    httpx.post(f"{running.base}/_sandbox/faults", json=fault).raise_for_status()
    with httpx.Client(base_url=running.base) as client:
        answer = client.get(COLLECTIONS)
        assert int(answer.headers["content-length"]) == len(answer.content)
        assert answer.headers.get_list("date") == [answer.headers["date"]]
        assert "server" not in answer.headers
        assert client.get(COLLECTIONS).status_code == 401


def test_upload_that_breaks_off_leaves_the_object_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "buckets" / BUCKET).mkdir(parents=True)
    with serving(tmp_path) as running:
        url = f"{running.s3}/{BUCKET}/key"
        assert httpx.put(url, content=b"whole").status_code == 200

        head = f"PUT /{BUCKET}/key HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n"
        assert spoken(running.s3, head.encode() + b"x" * 100_000) == b""
        assert httpx.get(url).content == b"whole"
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and list(tmp_path.glob(".scratch*")):
            time.sleep(0.05)
        assert list(tmp_path.glob(".scratch*")) == []
