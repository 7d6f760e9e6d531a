"""
A request as it is sent: its URL, its bytes, and the secrets that stand in them.

Secrets are revealed here and for one request. When it is sent, and whether it is sent again, is
decided in `exchange`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import field
from urllib.parse import quote, urlencode

import msgspec

from shplan.api.deployment import Deployment
from shplan.api.echoes import SHORTEST_WITHIN
from shplan.api.errors import Asked
from shplan.api.ports import Secrets
from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import SecretError, UnreachableError
from shplan.core.frozen import dataclass
from shplan.core.request import ApiRequest, Effect
from shplan.core.value import (
    NotCanonicalError,
    SecretReference,
    Sensitive,
    Unknown,
    Value,
    map_leaves,
)

_TOKEN_OPERATION = "token"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Prepared:
    """
    A request as bytes, with the secrets that it carries.

    Args:
        still: asked right before each attempt; what it raises ends the sending
    """

    asked: Asked
    method: str
    url: str
    content: bytes = field(repr=False)
    content_type: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    authorised: bool = True
    accept: str = "application/json"
    still: Callable[[], Awaitable[None]] | None = field(default=None, compare=False)


def prepare(
    request: ApiRequest,
    query: tuple[tuple[str, str], ...],
    *,
    deployment: Deployment,
    secrets: Secrets,
) -> Prepared:
    """
    Fill in a request's path, write its body, and reveal its secrets.

    Raises:
        UnreachableError: a parameter cannot stand in a path; nothing was sent
        CredentialsError: a secret is missing
    """
    path = _fill(deployment.served(request.path), request)
    # `quote`, not `quote_plus`: a plus sign in a path of a tile is a plus sign.
    suffix = f"?{urlencode(query, quote_via=quote, safe='')}" if query else ""
    content, revealed = _encode(request.body, secrets)
    return Prepared(
        asked=Asked(request.operation, request.effect),
        method=request.method,
        url=f"{deployment.base_url}{path}{suffix}",
        content=content,
        content_type="application/json" if content else "",
        secrets=revealed,
    )


def token_request(deployment: Deployment, form: bytes) -> Prepared:
    """Return the request for a token; its form carries the client's secret."""
    return Prepared(
        # Asking for a token changes nothing, whatever the verb.
        asked=Asked(_TOKEN_OPERATION, Effect.READ),
        method="POST",
        url=deployment.token_url,
        content=form,
        content_type="application/x-www-form-urlencoded",
        authorised=False,
    )


def _fill(template: str, request: ApiRequest) -> str:
    path = template
    for name, value in request.parameters.items():
        if not isinstance(value, str | int) or isinstance(value, bool):
            msg = f"{request.operation}: {name} is not known yet. This is a bug in shplan."
            raise TypeError(msg)
        step = str(value)
        if step in {"", ".", ".."}:
            # Such a step would be taken away by every URL parser: another object would be meant.
            msg = f"{request.operation}: {step!r} is no {name}; nothing was sent"
            raise UnreachableError(msg)
        path = path.replace("{" + name + "}", quote(step, safe=""))
    if "{" in path:
        msg = f"{request.operation}: {path} lacks a parameter. This is a bug in shplan."
        raise TypeError(msg)
    return path


def _encode(body: Value, secrets: Secrets) -> tuple[bytes, tuple[str, ...]]:
    """
    Return the body's bytes and the secrets in them, revealed for this request only.

    Raises:
        SecretError: a secret is missing, or stands in the request in the open as well
    """
    if body is None:
        return b"", ()
    revealed: dict[str, SecretReference | None] = {}
    shown: list[str] = []

    def leaf(value: Value) -> Value:
        if isinstance(value, Sensitive):
            text = secrets.reveal(value)
            revealed.setdefault(text, None)
            for part in value.parts:
                if isinstance(part, SecretReference):
                    revealed[secrets.reveal(Sensitive((part,)))] = part
            return text
        if isinstance(value, str):
            shown.append(value)
        return _encodable(value)

    content = msgspec.json.encode(map_leaves(body, leaf))
    for secret, part in revealed.items():
        if part is not None:
            _require_hidden(secret, part, shown)
    return content, tuple(revealed)


def _encodable(value: Value) -> Value:
    if isinstance(value, Unknown):
        msg = f"{value.template} is not known yet. This is a bug in shplan."
        raise TypeError(msg)
    if isinstance(value, float) and not math.isfinite(value):
        msg = f"{value} has no form in JSON"
        raise NotCanonicalError(msg)
    return value


def _require_hidden(secret: str, part: SecretReference, shown: list[str]) -> None:
    """
    Refuse a request that shows a secret: what it shows is in plans, in the ledger, and at the service.

    Nor could an echo of the request be recognised without the secret that it repeats.
    """
    if len(secret) >= SHORTEST_WITHIN and any(secret in text for text in shown):
        diagnostic = Diagnostic(
            code="credentials/secret",
            summary="Secret is in the open",
            what=f"the value of secret('{part.text}') stands in the same request in the open as well.",
            why="What is not said to be secret is written to plans and to the ledger.",
            hint="take it out of the manifest and replace it where it was issued; a value that is "
            "also the name of something, as of a bucket, is no secret",
        )
        raise SecretError(diagnostic.what, diagnostics=(diagnostic,))
