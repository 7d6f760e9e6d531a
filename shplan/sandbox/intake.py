"""
How much of a request is taken in: bodies are counted while they arrive, never after.

What is too large is read past, so that the client hears of it, but not kept, and not without end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.sandbox.errors import BAD_PAYLOAD, ApiError

if TYPE_CHECKING:
    from starlette.types import Message, Receive

# Beyond this the connection is closed on a client that has not stopped sending.
READ_PAST = 64 * 1024 * 1024


def bounded(receive: Receive, *, most: int) -> Receive:
    """
    The same request, whose body is refused by 413 once it has more than `most` bytes.

    A client that still sends would not see an answer that came first, so what it sends is read
    past before it is refused.
    """
    taken = 0

    async def receive_bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken <= most:
            return message
        while message.get("more_body") and taken <= most + READ_PAST:
            message = await receive()
            taken += len(message.get("body", b""))
        msg = f"The request body is larger than {most} bytes."
        raise ApiError(413, BAD_PAYLOAD, msg, headers={"Connection": "close"})

    return receive_bounded
