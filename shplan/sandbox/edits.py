"""
Edits behind the client's back, as by somebody in the service's web pages: `/_sandbox/edit`.

An edit is the operation itself, done as an account: what the service refuses is refused, and its
answer is the answer. It takes no token, costs nothing, meets no fault and no limit, and is not
among the listed requests. So every family that is served can be edited.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, unquote

from starlette.responses import Response
from starlette.routing import Route

from shplan.sandbox.errors import bad_payload
from shplan.sandbox.misfortunes import Answer, given
from shplan.sandbox.path_styles import plain_path
from shplan.sandbox.routes.endpoint import BEHIND, ORIGINAL_URL
from shplan.sandbox.wire import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import Scope

    from shplan.sandbox.wire import Json, JsonObject
    from shplan.sandbox.world import World

DEFAULT_ACCOUNT = "sandbox"
_MEMBERS = frozenset({"method", "path", "body", "change", "account"})


@dataclass(frozen=True, slots=True)
class Edit:
    """
    One edit.

    Args:
        path: of the operation, in either style, with its query
        body: of the request, if it has one
        change: instead of method and body: the object is read, merged with this (RFC 7396) and put
        account: name of the account as the settings have it
    """

    path: str
    method: str = "PUT"
    body: Json = None
    change: JsonObject | None = None
    account: str = DEFAULT_ACCOUNT


def route(world: World, path: str, read: Callable[[Request, bytes], JsonObject]) -> Route:
    """
    The route of edits.

    Args:
        read: admits the caller and gives the object in the request's body
    """

    async def serve(request: Request) -> Response:
        edit = _edit(read(request, await request.body()))
        if edit.change is None:
            return _response(await _ask(world, request, edit, edit.method, edit.body))
        found = await _ask(world, request, edit, "GET", None)
        if found.start is None or found.start["status"] != 200:
            return _response(found)
        content = decode(bytes(found.body))
        if isinstance(content, dict) and content.keys() <= {"data"}:
            content = content["data"]
        merged = _merged(content, edit.change)
        return _response(await _ask(world, request, edit, "PUT", merged))

    return Route(path, serve, methods=["POST"])


def _edit(content: JsonObject) -> Edit:
    unknown = sorted(content.keys() - _MEMBERS)
    if unknown:
        msg = f"there is no {', '.join(unknown)}; an edit has {', '.join(sorted(_MEMBERS))}"
        raise bad_payload(msg)
    path, change = content.get("path"), content.get("change")
    texts = [content.get(name, "") for name in ("method", "account")]
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("/_"):
        msg = "path is the path of an operation, e.g. /byoc/v1/collections/<id>"
        raise bad_payload(msg)
    if not all(isinstance(text, str) and text.isascii() for text in texts):
        msg = "method and account are texts"
        raise bad_payload(msg)
    if change is not None and (not isinstance(change, dict) or content.keys() & {"method", "body"}):
        msg = "change is an object, and stands in place of method and body"
        raise bad_payload(msg)
    known = cast("dict[str, str]", {n: content[n] for n in ("method", "account") if n in content})
    return Edit(path=path, body=content.get("body"), change=change, **known)


def _merged(value: Json, change: Json) -> Json:
    """Source: RFC 7396, section 2: null removes, objects are merged, all else replaces."""
    if not isinstance(change, dict):
        return change
    merged: JsonObject = dict(value) if isinstance(value, dict) else {}
    for name, inner in change.items():
        if inner is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), inner)
    return merged


async def _ask(world: World, request: Request, edit: Edit, method: str, body: Json) -> Answer:
    path, _, query = edit.path.partition("?")
    content = b"" if body is None else encode(body).encode()
    scope: Scope = {
        **request.scope,
        "method": method.upper(),
        "path": plain_path(unquote(path)),
        "raw_path": path.encode(),
        "query_string": quote(query, safe="%=&+;,:/?-._~").encode(),
        "headers": [(b"content-type", b"application/json")],
        ORIGINAL_URL: str(request.base_url).rstrip("/") + edit.path,
        BEHIND: world.account_id(edit.account),
    }
    for name in ("path_params", "endpoint", "route"):
        scope.pop(name, None)
    answer = Answer()
    await request.app.router(scope, given(content), answer.catch)
    return answer


def _response(answer: Answer) -> Response:
    assert answer.start is not None
    body = bytes(answer.body)
    status: int = answer.start["status"]
    return Response(body or None, status, media_type="application/json" if body else None)
