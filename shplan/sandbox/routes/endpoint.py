"""
What every operation of the service has in common: token, limits, body, one transaction, price.

A handler is a plain function from a `Call` to a `Reply`; it raises `ApiError` to refuse. This
module turns such functions into endpoints.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from shplan.sandbox import far_ingestion, multipart, settling, tokens, units
from shplan.sandbox.beside import beside
from shplan.sandbox.contract import checked
from shplan.sandbox.errors import (
    METHOD_NOT_ALLOWED,
    RATE_LIMIT_EXCEEDED,
    UNSUPPORTED_MEDIA_TYPE,
    ApiError,
    bad_payload,
    unauthorized,
)
from shplan.sandbox.wire import decode

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from shplan.sandbox.ranges import FilePart
    from shplan.sandbox.settings import Settings
    from shplan.sandbox.store import Store
    from shplan.sandbox.tokens import Bearer
    from shplan.sandbox.wire import Json, JsonObject
    from shplan.sandbox.world import World

# Source: the page on processing units: each BYOC call that is not a GET costs one.
BYOC_CALL_PU = 1.0

# Hundredths that were added up are not quite what is left.
_ROUNDING_PU = 1e-6

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

ORIGINAL_URL = "shplan.sandbox.url"
ACCOUNT = "shplan.sandbox.account"
# For whom an edit behind the client's back is done: no token, no limit, no charge.
BEHIND = "shplan.sandbox.behind"


@dataclass(frozen=True, slots=True)
class Call:
    """
    One request that may be served.

    Args:
        account: identifier of the caller's account; empty where no token was asked for
        params: parameters in the path
        query: parameters in the address, the last of each name
        url: address as the caller wrote it
        body: valid and without nulls and read-only fields
        said: members of the body as it came, nulls included
        content: bytes of the body
        headers: names in lower case
    """

    world: World
    account: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    url: str
    body: JsonObject
    said: frozenset[str]
    now_ms: int
    settings: Settings
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        """The sandbox's state."""
        return self.world.store


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What a handler answers.

    Args:
        text: of the body, in `media_type`; none: an empty body, or `content`
        content: bytes of the body, in `media_type`
        part: of a file, which is the body, in `media_type`
    """

    status: int
    text: str | None = None
    content: bytes | None = None
    part: FilePart | None = None
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Later:
    """
    An answer that takes long to compute: others are served meanwhile.

    Args:
        work: asks neither the store nor the world, which belong to whoever is being served
        answer: makes the reply of what the work returned, as a handler does
        in_turn: whether one such work is done after the other
    """

    work: Callable[[], Any]
    answer: Callable[[Any], Reply]
    in_turn: bool = True


@dataclass(frozen=True, slots=True)
class Operation:
    """
    A handler and what is done before it.

    Args:
        handler: may answer later if the operation costs nothing of its own
        body: operation id whose body it takes, if it takes one
        script_at: of a body in parts, the members that lead to the evalscript; none: it takes none
        is_open: whether no token is asked for
    """

    handler: Callable[[Call], Reply | Later]
    body: str | None = None
    script_at: tuple[str, ...] | None = None
    cost_pu: float = 0.0
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class _Admitted:
    """A request that may be served: who asks, for what, and whether it is free."""

    operation: Operation
    account: str
    free: bool


def route(
    world: World, path: str, operations: Mapping[str, Operation], *, tells_tasks: bool = True
) -> Route:
    """
    The route of one path: its operations by method; it answers any other with 405 itself.

    Args:
        tells_tasks: whether the answers depend on tasks, so that whoever asks waits until those are
            up to date; others are served while that goes on
    """
    return Route(path, _endpoint(world, operations, tells_tasks=tells_tasks), methods=_METHODS)


def _endpoint(
    world: World, operations: Mapping[str, Operation], *, tells_tasks: bool
) -> Callable[[Request], Awaitable[Response]]:
    def answer(request: Request, content: bytes, who: _Admitted) -> Response | Later:
        operation = who.operation
        settling.finish(world, request.path_params)
        body = (
            read_body(
                request.headers.get("content-type", ""), content, script_at=operation.script_at
            )
            if operation.body
            else None
        )
        settings = world.settings
        call = Call(
            world=world,
            account=who.account,
            params=request.path_params,
            query=dict(request.query_params),
            url=str(request.scope[ORIGINAL_URL]),
            body=checked(operation.body, body, settings) if operation.body else {},
            said=frozenset(body) if isinstance(body, dict) else frozenset(),
            now_ms=world.now_ms(),
            settings=settings,
            content=content,
            headers=request.headers,
        )
        return _answered(call, operation, free=who.free)

    def begun(
        request: Request, content: bytes, who: _Admitted
    ) -> tuple[Response | Later | None, asyncio.Task[None] | None]:
        """The answer, or what it has to wait for."""
        going = settling.begin(world).get(who.account)
        # Where units run out, what is left of them depends on tasks as well.
        waits = tells_tasks or world.settings.account_pu is not None
        if going is not None and waits:
            return None, going
        return answer(request, content, who), None

    async def serve(request: Request) -> Response:
        content = await request.body()
        found: Response | Later | None = None
        going = None
        with world.holding():
            who = _admitted(world, request, operations)
            if world.remote is None:
                found, going = begun(request, content, who)
        if world.remote is not None:
            await far_ingestion.settle(world, who.account)
            with world.holding():
                found, going = begun(request, content, who)
        if going is not None:
            await settling.waited(going)
        if found is None:
            with world.holding():
                found = answer(request, content, who)
        if isinstance(found, Response):
            return found
        result = await (beside if found.in_turn else run_in_threadpool)(found.work)
        with world.holding():
            return _response(found.answer(result), cost_pu=None)

    return serve


def _admitted(world: World, request: Request, operations: Mapping[str, Operation]) -> _Admitted:
    """
    Let a request in.

    Raises:
        ApiError: 401, 405, 429
    """
    operation = operations.get(request.method)
    account = behind = request.scope.get(BEHIND, "")
    if not behind and (operation is None or not operation.is_open):
        account = request.scope[ACCOUNT] = authorised(world, request).account
        _limit_requests(world, account)
    if operation is None:
        allowed = ", ".join(sorted(operations))
        msg = f"The method {request.method} is not allowed here."
        raise ApiError(405, METHOD_NOT_ALLOWED, msg, headers={"Allow": allowed})
    return _Admitted(operation, account, free=bool(behind))


def _answered(call: Call, operation: Operation, *, free: bool) -> Response | Later:
    if not operation.cost_pu:
        reply = operation.handler(call)
        return reply if isinstance(reply, Later) else _response(reply, cost_pu=None)
    with call.store.writing():
        if free:
            return _response(_at_once(operation.handler(call)), cost_pu=None)
        # The allowance and the charge share the handler's fate: a refused call costs nothing.
        afford(call, operation.cost_pu)
        reply = _at_once(operation.handler(call))
        call.store.charge(call.account, operation.cost_pu)
    return _response(reply, cost_pu=operation.cost_pu)


def paid(call: Call, reply: Reply, cost_pu: float) -> Reply:
    """
    A reply whose price was not known before it was made, once it is paid for.

    Raises:
        ApiError: as `afford`
    """
    with call.store.writing():
        afford(call, cost_pu)
        call.store.charge(call.account, cost_pu)
    return replace(reply, headers={**reply.headers, "X-ProcessingUnits-Spent": str(cost_pu)})


def _at_once(reply: Reply | Later) -> Reply:
    assert isinstance(reply, Reply)  # see `Operation`
    return reply


def _response(reply: Reply, *, cost_pu: float | None) -> Response:
    headers = dict(reply.headers)
    if cost_pu is not None:
        headers["X-ProcessingUnits-Spent"] = str(cost_pu)
    if reply.part is not None:
        headers["Content-Length"] = str(reply.part.length)
        return StreamingResponse(reply.part.pieces(), reply.status, headers, reply.media_type)
    body = reply.content if reply.text is None else reply.text
    return Response(body, reply.status, headers, None if body is None else reply.media_type)


def authorised(world: World, request: Request) -> Bearer:
    """
    Whom the request's token stands for.

    Raises:
        ApiError: 401
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        msg = "A bearer token is required."
        raise unauthorized(msg)
    try:
        return tokens.read(token.strip(), key=world.store.signing_key, now_s=world.now_s())
    except tokens.BadTokenError as error:
        raise unauthorized(str(error)) from error


def _limit_requests(world: World, account: str) -> None:
    settings = world.settings
    wait_ms = world.allow(
        f"requests/{account}", wanted=1.0, per_minute=settings.requests_per_minute
    )
    refuse_after(settings, wait_ms)


def afford(call: Call, cost_pu: float) -> None:
    """
    Take what a call costs from the allowance of the minute; the charge itself is the caller's.

    Raises:
        ApiError: 403 if the account has too few units left, else 429. Source: the page on rate
            limiting: all policies must be met, and only that of the minute is waited for.
    """
    if units.left(call.world, call.account) < cost_pu - _ROUNDING_PU:
        raise units.insufficient()
    wait_ms = call.world.allow(
        f"pu/{call.account}", wanted=cost_pu, per_minute=call.settings.pu_per_minute
    )
    refuse_after(call.settings, wait_ms)


def refuse_after(settings: Settings, wait_ms: int | None) -> None:
    """
    Do nothing if there is nothing to wait for.

    Raises:
        ApiError: 429. Source: the page on rate limiting: `Retry-After` counts milliseconds.
    """
    if wait_ms is None:
        return
    headers = {"Retry-After": str(wait_ms)} if settings.retry_after else {}
    msg = "You have exceeded your rate limit"
    raise ApiError(429, RATE_LIMIT_EXCEEDED, msg, headers=headers)


def read_body(media_type: str, content: bytes, *, script_at: tuple[str, ...] | None = None) -> Json:
    """
    The value that a request carries; `script_at` as in `Operation`.

    Raises:
        ApiError: 400, 415
    """
    if not content.strip():
        msg = "The request body should be non-empty."
        raise bad_payload(msg)
    kind = media_type.partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            return decode(content)
        if kind == multipart.MEDIA_TYPE and script_at is not None:
            return multipart.request(media_type, content, script_at=script_at)
    except ValueError as error:
        msg = f"The request body is not valid: {error}"
        raise bad_payload(msg) from error
    msg = f"Content type {kind or 'none'} is not supported; send application/json."
    raise ApiError(415, UNSUPPORTED_MEDIA_TYPE, msg)
