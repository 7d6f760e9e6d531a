"""
What a fault does to a request: the answer that arrives, if one does.

How a connection is dropped depends on the server; without one, `ConnectionDroppedError` is what
the transport turns into a read error. Which requests are struck is decided in `faults`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response

from shplan.sandbox.errors import BAD_PAYLOAD, EXCEPTION, RATE_LIMIT_EXCEEDED, ApiError
from shplan.sandbox.faults import REFUSALS, ConnectionDroppedError, Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Where a server puts the function that cuts the connection of a request.
DROP = "shplan.sandbox.drop"

# Source: section 1 of the reference, errors seen in the wild: this one comes without a reason.
EMPTY_BODY = "The request body should be non-empty."


@dataclass(slots=True)
class Answer:
    """An answer that was caught on its way; the start is none as long as there is none."""

    start: Message | None = None
    body: bytearray = field(default_factory=bytearray)

    async def catch(self, message: Message) -> None:
        """Take what the application sends."""
        if message["type"] == "http.response.start":
            self.start = message
        else:
            self.body += message.get("body", b"")

    async def release(self, send: Send, *, length: int | None = None, more: bool = False) -> None:
        """
        Send it on.

        Args:
            length: bytes of the body that are sent; none: all
            more: the body is not at its end, whatever the header told
        """
        assert self.start is not None
        body = bytes(self.body[:length])
        start = dict(self.start)
        if not more:
            start["headers"] = [
                *((name, value) for name, value in start["headers"] if name != b"content-length"),
                (b"content-length", str(len(body)).encode()),
            ]
        await send(start)
        await send({"type": "http.response.body", "body": body, "more_body": more})


async def suffer(
    fault: Fault,
    app: ASGIApp,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    refuse: Callable[[ApiError], ASGIApp],
) -> None:
    """
    Serve a request that is struck.

    Args:
        refuse: the application that answers with an error in the service's shape
    """
    kind = fault.kind
    if kind == "latency":
        await app(scope, receive, send)
    elif kind == "before":
        await drop(scope, receive)
    elif kind in REFUSALS:
        if fault.served:
            await app(scope, receive, Answer().catch)
        await _refusal(fault, refuse)(scope, receive, send)
    elif kind == "duplicate":
        await _twice(fault, app, scope, receive, send)
    else:
        await _maimed(fault, app, scope, receive, send)


def _refusal(fault: Fault, refuse: Callable[[ApiError], ASGIApp]) -> ASGIApp:
    status = int(fault.kind)
    if status in (502, 504):
        # These come from what stands in front of the service, which knows nothing of its errors.
        told = f"{status} {HTTPStatus(status).phrase}"
        page = f"<html><head><title>{told}</title></head><body><h1>{told}</h1></body></html>"
        return Response(page, status, media_type="text/html")
    if status == 400:
        return refuse(ApiError(400, BAD_PAYLOAD, EMPTY_BODY))
    code = RATE_LIMIT_EXCEEDED if status == 429 else EXCEPTION
    told_ms = fault.retry_after_ms
    headers = {} if told_ms is None else {"Retry-After": str(told_ms)}
    return refuse(ApiError(status, code, "This failure was asked for.", headers=headers))


async def _twice(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Deliver a request twice, one after the other, as a proxy does that lost the first answer."""
    body = await _read(receive)
    answers: list[Answer] = []
    for _ in range(2):
        answers.append(Answer())
        await app(scope, given(body), answers[-1].catch)
    await answers[0 if fault.shown == "first" else 1].release(send)


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def given(body: bytes) -> Receive:
    """A request's body that is there already."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


async def _maimed(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve the request; of its answer arrives nothing, the head, or half of the body."""
    answer = Answer()
    await app(scope, receive, answer.catch)
    half = len(answer.body) // 2
    if fault.kind == "empty":
        await answer.release(send, length=0)
    elif fault.kind == "truncated":
        await answer.release(send, length=half)
    else:
        # What has no body cannot be cut in the middle of it: nothing arrives.
        if fault.kind == "cut" and answer.body:
            await answer.release(send, length=half, more=True)
        await drop(scope, receive)


async def drop(scope: Scope, receive: Receive) -> None:
    """Cut the connection without another byte."""
    cut: Callable[[], None] | None = scope.get("extensions", {}).get(DROP)
    if cut is None:
        msg = "The connection was dropped."
        raise ConnectionDroppedError(msg)
    cut()
    while (await receive())["type"] != "http.disconnect":
        pass
