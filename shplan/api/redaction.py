"""
Keeps secrets out of what came from the server by the names of members.

The service may echo what it was sent, access keys included, so everything that is
received passes here. What is known by its content is found in `echoes`.
"""

from __future__ import annotations

import re

import msgspec

from shplan.core.value import JsonValue

# Source: API description, object storage access (`accessKey`, `secretAccessKey`, `credentials`),
# and the token endpoint's members; compared without case and punctuation.
SECRET_NAMES = frozenset(
    {
        "accesskey",
        "accesskeyid",
        "accesstoken",
        "apikey",
        "authorization",
        "awsaccesskeyid",
        "awssecretaccesskey",
        "clientsecret",
        "credentials",
        "password",
        "privatekey",
        "refreshtoken",
        "secret",
        "secretaccesskey",
        "secretkey",
        "sessiontoken",
    }
)
# Each secret name has one of these in it, whatever its punctuation; a test compares.
_TRACES = (
    b"access",
    b"api",
    b"authorization",
    b"credential",
    b"password",
    b"private",
    b"refresh",
    b"secret",
    b"session",
)
_NOT_LETTERS = re.compile(r"[^a-z0-9]")
_DEEPEST = 200


def is_secret_name(name: str) -> bool:
    """Tell whether a member of this name holds a secret."""
    return _NOT_LETTERS.sub("", name.lower()) in SECRET_NAMES


def redact(value: JsonValue, depth: int = 0) -> JsonValue:
    """
    Remove every member whose name says that it is secret; the rest stays as it is.

    Raises:
        RecursionError: it is nested more deeply than anything that the service has
    """
    if isinstance(value, dict | list) and depth >= _DEEPEST:
        raise RecursionError
    if isinstance(value, dict):
        return {
            name: redact(member, depth + 1)
            for name, member in value.items()
            if not is_secret_name(name)
        }
    if isinstance(value, list):
        return [redact(member, depth + 1) for member in value]
    return _redact_text(value) if isinstance(value, str) and "{" in value else value


def _redact_text(text: str) -> str:
    """Remove secret members of JSON that was put into a text; any other text stays as it is."""
    content = text.encode("utf-8", "surrogatepass")
    if text.lstrip()[:1] not in ("{", "[") or not may_hold_secrets(content):
        return text
    try:
        value: JsonValue = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return text
    redacted = redact(value)
    return text if redacted == value else msgspec.json.encode(redacted).decode()


def may_hold_secrets(content: bytes) -> bool:
    """
    Tell cheaply whether JSON bytes can have a secret name; False is certain.

    A name with a character written as an escape counts as one that can.
    """
    lowered = content.lower()
    return b"\\u" in lowered or any(trace in lowered for trace in _TRACES)
