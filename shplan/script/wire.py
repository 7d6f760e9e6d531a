"""
Messages between a worker and its child: four bytes of length, then that many bytes of JSON.
"""

from __future__ import annotations

import json
from typing import IO, TypeAlias

Message: TypeAlias = dict[str, object]
_LENGTH = 4


def send(stream: IO[bytes], message: Message) -> None:
    """
    Write one message and flush.

    Raises:
        OSError: nobody reads any more
    """
    body = json.dumps(message).encode("ascii")
    stream.write(len(body).to_bytes(_LENGTH, "big") + body)
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
