"""
What of a request only its owner may know: it is neither kept nor told, not even in a refusal.

Source: schemas of deliveries and references, of which `credentials` is required where it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shplan.sandbox.wire import Json, JsonObject

SECRETS = ("secretAccessKey", "credentials")
MASK = "***"


def masked(request: JsonObject, names: tuple[str, ...] = SECRETS) -> JsonObject:
    """The request with its secrets covered, wherever they stand."""
    kept: JsonObject = {}
    for name, value in request.items():
        inner = masked(value, names) if isinstance(value, dict) else value
        kept[name] = MASK if name in names else inner
    return kept


def covered(text: str, body: Json) -> str:
    """A text about a body, which may quote any part of it, without the body's secrets."""
    for secret in sorted(set(_secrets(body)), key=len, reverse=True):
        text = text.replace(encode(secret)[1:-1], MASK).replace(secret, MASK)
    return text


def _secrets(body: Json, *, inside: bool = False) -> Iterator[str]:
    """Every text that stands below a secret name, of whatever kind its value is."""
    if isinstance(body, str):
        if inside and body:
            yield body
    elif isinstance(body, list):
        for item in body:
            yield from _secrets(item, inside=inside)
    elif isinstance(body, dict):
        for name, value in body.items():
            yield from _secrets(value, inside=inside or name in SECRETS)
