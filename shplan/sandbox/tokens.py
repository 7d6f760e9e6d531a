"""
Access tokens: three-part JWTs, signed with the instance's own secret.

Clients decode the payload without checking it, so it holds what they look for (`azp`,
`exp`). Source: RFC 7519, RFC 7515; the payload's names are those that clients read. The released
Python client decodes with the plain alphabet of base64, which drops the two letters that differ.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from shplan.sandbox.wire import decode, encode

if TYPE_CHECKING:
    from shplan.sandbox.wire import JsonObject


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whom a token stands for."""

    client_id: str
    account: str


@dataclass(frozen=True, slots=True)
class _Granted:
    """A token that we have signed, and until when it counts, seconds since 1970."""

    bearer: Bearer
    expires_s: float


class BadTokenError(ValueError):
    """A token that is not ours, or no longer valid."""


def issue(payload: JsonObject, *, key: bytes) -> str:
    """Return the signed token of a payload."""
    header = _part(encode({"alg": "HS256", "typ": "JWT"}).encode())
    signed = f"{header}.{_part(_plain(payload))}"
    return f"{signed}.{_signature(signed, key)}"


def read(token: str, *, key: bytes, now_s: float) -> Bearer:
    """
    Whom the token stands for.

    Raises:
        BadTokenError: malformed, signed by another instance, or expired
    """
    granted = _granted(token, key)
    if granted.expires_s <= now_s:
        msg = "The token has expired."
        raise BadTokenError(msg)
    return granted.bearer


@lru_cache(maxsize=1024)
def _granted(token: str, key: bytes) -> _Granted:
    """What a token of ours says; clients show theirs with every request."""
    signed, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(signed, key).encode()):
        msg = "The token's signature does not match."
        raise BadTokenError(msg)
    payload = decode(_bytes(signed.partition(".")[2]))
    assert isinstance(payload, dict)  # we signed it
    expires, client_id, account = payload["exp"], payload["azp"], payload["account"]
    assert isinstance(expires, int | float)
    return _Granted(Bearer(client_id=str(client_id), account=str(account)), float(expires))


def _plain(payload: JsonObject) -> bytes:
    """JSON whose base64 is the same in both alphabets: ASCII, without what fills six low bits."""
    text = json.dumps(payload, separators=(",", ":"))
    return re.sub("[>?~\x7f]", lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def _signature(signed: str, key: bytes) -> str:
    return _part(hmac.new(key, signed.encode(), hashlib.sha256).digest())


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
