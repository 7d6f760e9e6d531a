"""
Messages between a worker and its child: four bytes of length, then that many bytes of JSON.

A message with a member `size` is followed by that many bytes, which whoever reads it takes from the stream
straight to where they belong: pixels are never JSON, and are copied once on each side.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import IO, TypeAlias

Message: TypeAlias = dict[str, object]
_LENGTH = 4


def send(stream: IO[bytes], message: Message, parts: Iterable[memoryview] = ()) -> None:
    """
    Write one message with the bytes that follow it, and flush.

    Raises:
        OSError: nobody reads any more
    """
    body = json.dumps(message).encode("ascii")
    stream.write(len(body).to_bytes(_LENGTH, "big") + body)
    for part in parts:
        stream.write(part)
    stream.flush()


def receive(stream: IO[bytes]) -> Message | None:
    """Read one message; None where the other end is gone, also in the middle of a message."""
    head = stream.read(_LENGTH)
    if len(head) < _LENGTH:
        return None
    length = int.from_bytes(head, "big")
    body = stream.read(length)
    if len(body) < length:
        return None
    message = json.loads(body)
    assert isinstance(message, dict)
    return message


def receive_into(stream: IO[bytes], part: memoryview) -> bool:
    """Read as many bytes as there is room for; False where the other end is gone."""
    at = 0
    while at < len(part):
        count = stream.readinto(part[at:])  # type: ignore[attr-defined]
        if not count:
            return False
        at += count
    return True


def size_of(message: Message) -> int:
    """Return how many bytes follow a message."""
    size = message.get("size", 0)
    assert isinstance(size, int)
    return size
