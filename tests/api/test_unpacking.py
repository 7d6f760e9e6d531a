"""Answers are unpacked in pieces, once, and no further than an answer may be long."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc

import pytest

from shplan.api.lean_httpx import httpx
from shplan.api.transport import BORDER, HttpxTransport, never_left
from shplan.api.wire import Received, Timeouts, TransportFault

MOST_BYTES = 1 << 20


class One:
    """The way to an answer that is written down."""

    border = BORDER
    opened = ()

    def __init__(self, content: bytes, encoding: str) -> None:
        headers = {"Content-Encoding": encoding} if encoding else {}
        stream = httpx.ByteStream(content)
        self._answer = httpx.Response(200, headers=headers, stream=stream)

    def to(self, url: str) -> httpx.MockTransport:
        return httpx.MockTransport(lambda _: self._answer)

    def never_left(self, error: Exception) -> bool:
        return never_left(error)


def received(content: bytes, encoding: str) -> Received:
    transport = HttpxTransport(
        One(content, encoding), timeouts=Timeouts(), longest_answer_bytes=MOST_BYTES
    )
    return asyncio.run(transport.send("GET", "http://x.test/", headers={}, content=b""))


@pytest.mark.parametrize("encoding", ["", "identity", "GZIP", "gzip"])
def test_an_answer_is_unpacked(encoding: str) -> None:
    content = b"x" * MOST_BYTES
    sent = gzip.compress(content, mtime=0) if "gzip" in encoding.lower() else content
    assert received(sent, encoding).content == content


def test_a_bomb_is_not_unpacked() -> None:
    """It would be a gigabyte; no more than the limit is ever held."""
    sent = gzip.compress(b"x" * (256 << 20), 1) * 4
    tracemalloc.start()
    try:
        with pytest.raises(TransportFault, match="longer than"):
            received(sent, "gzip")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 16 << 20


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "deflate", "zstd", "compress", "x"])
def test_what_was_not_asked_for_is_no_answer(encoding: str) -> None:
    with pytest.raises(TransportFault, match="not asked for"):
        received(b"x", encoding)


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"x", mtime=0)[:-12] + b"\xff" * 12])
def test_what_cannot_be_unpacked_is_no_answer(content: bytes) -> None:
    with pytest.raises(TransportFault):
        received(content, "gzip")
