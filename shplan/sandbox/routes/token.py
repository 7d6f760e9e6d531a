"""
The token endpoint in its three places: client credentials, form encoded.

Source: RFC 6749 sections 4.4 and 5.2; the service's page on authentication for the paths.
"""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote_plus

from starlette.responses import Response
from starlette.routing import Route

from shplan.sandbox import tokens
from shplan.sandbox.routes.endpoint import refuse_after
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from starlette.requests import Request

    from shplan.sandbox.settings import ClientEntry
    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.world import World

PATHS = (
    "/auth/realms/main/protocol/openid-connect/token",
    "/auth/realms/CDSE/protocol/openid-connect/token",
    "/oauth/token",
)
# Our own bound: the grant has four.
MOST_FIELDS = 100


def routes(world: World) -> list[Route]:
    """The routes of the token endpoint."""

    async def serve(request: Request) -> Response:
        content = await request.body()
        with world.holding():
            return _answer(world, request, content)

    return [Route(path, serve, methods=["POST"]) for path in PATHS]


def _answer(world: World, request: Request, content: bytes) -> Response:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return _refused(400, "invalid_request", "The request must be form encoded.")
    try:
        fields = parse_qs(content.decode("latin-1"), max_num_fields=MOST_FIELDS)
    except ValueError:
        return _refused(400, "invalid_request", "The form has too many fields.")
    form = {name: values[-1] for name, values in fields.items()}
    if "grant_type" not in form:
        return _refused(400, "invalid_request", "Missing form parameter: grant_type")
    if form["grant_type"] != "client_credentials":
        return _refused(400, "unsupported_grant_type", "Unsupported grant_type")
    client_id, secret = _credentials(request.headers.get("authorization", ""), form)
    client = world.settings.clients.get(client_id)
    if client is None or not _is_secret(client, secret):
        return _refused(401, "invalid_client", "Invalid client or Invalid client credentials")
    wait_ms = world.allow(
        f"tokens/{client_id}",
        wanted=1.0,
        per_minute=world.settings.token_requests_per_minute,
    )
    refuse_after(world.settings, wait_ms)
    return _granted(world, client_id, client)


def _credentials(authorization: str, form: dict[str, str]) -> tuple[str, str]:
    """
    The client and its secret, from the form or else from the header.

    Source: RFC 6749, section 2.3.1: servers take both; each half of the header is form encoded.
    """
    scheme, _, value = authorization.partition(" ")
    if "client_secret" in form or scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        text = base64.b64decode(value.strip(), validate=True).decode("latin-1")
    except ValueError:
        return "", ""
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def _is_secret(client: ClientEntry, given: str) -> bool:
    return hmac.compare_digest(client.secret.encode(), given.encode())


def _granted(world: World, client_id: str, client: ClientEntry) -> Response:
    settings = world.settings
    now_s = world.now_s()
    account = world.account_id(client.account)
    payload: JsonObject = {
        "iss": "sandbox",
        "azp": client_id,
        "sub": account,
        "account": account,
        "iat": int(now_s),
        # The client counts in its own seconds, of which a fast sandbox sees more.
        "exp": now_s + settings.expires_in_s * max(settings.speed, 1.0),
    }
    content: JsonObject = {
        "access_token": tokens.issue(payload, key=world.store.signing_key),
        "expires_in": int(settings.expires_in_s),
        "token_type": "Bearer",
    }
    return _json(200, content)


def _refused(status: int, error: str, description: str) -> Response:
    return _json(status, {"error": error, "error_description": description})


def _json(status: int, content: JsonObject) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(encode(content), status, headers, "application/json")
