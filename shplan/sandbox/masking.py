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
# No secret by itself, and of no use to anybody else.
KEY = "accessKey"
MASK = "***"


def masked(request: JsonObject, names: tuple[str, ...] = SECRETS) -> JsonObject:
    """The request with its secrets covered, wherever they stand."""
    kept: JsonObject = {}
    for name, value in request.items():
        inner = masked(value, names) if isinstance(value, dict) else value
        kept[name] = MASK if name in names else inner
    return kept


def covered(text: str, body: Json) -> str:
    """A text that quotes parts of a body as JSON, without the body's secrets and the names of keys."""
    for secret in set(_secrets(body)):
        text = text.replace(encode(secret), encode(MASK))
    return text


def _secrets(body: Json, *, inside: bool = False) -> Iterator[str]:
    """Every text that stands below a secret name, of whatever kind its value is."""
    if isinstance(body, str):
        if inside:
            yield body
    elif isinstance(body, list):
        for item in body:
            yield from _secrets(item, inside=inside)
    elif isinstance(body, dict):
        for name, value in body.items():
            yield from _secrets(value, inside=inside or name in (*SECRETS, KEY))
