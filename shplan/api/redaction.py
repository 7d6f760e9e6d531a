"""
Keeps secrets out of what came from the server: by name in values, by content in text.

The service may echo what it was sent, access keys included, so everything that is
received passes here. What the secrets are is known only while a request is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from shplan.core.value import SENSITIVE, JsonValue

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
_SHORTEST_SECRET = 4


def is_secret_name(name: str) -> bool:
    """Tell whether a member of this name holds a secret."""
    return _NOT_LETTERS.sub("", name.lower()) in SECRET_NAMES


def redact(value: JsonValue) -> JsonValue:
    """Remove every member whose name says that it is secret; the rest stays as it is."""
    if isinstance(value, dict):
        return {name: redact(member) for name, member in value.items() if not is_secret_name(name)}
    if isinstance(value, list):
        return [redact(member) for member in value]
    return value


def may_hold_secrets(content: bytes) -> bool:
    """
    Tell cheaply whether JSON bytes can have a secret name; False is certain.

    A name with a character written as an escape counts as one that can.
    """
    lowered = content.lower()
    return b"\\u" in lowered or any(trace in lowered for trace in _TRACES)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace known secrets, and what looks like one, in a server's or a library's text."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, SENSITIVE)
    for pattern in _in_text():
        text = pattern.sub(rf"\g<kept>{SENSITIVE}", text)
    return text


def scrub_value(value: JsonValue, secrets: tuple[str, ...]) -> JsonValue:
    """Replace known secrets in every text of a value."""
    if isinstance(value, str):
        return scrub(value, secrets)
    if isinstance(value, dict):
        return {name: scrub_value(member, secrets) for name, member in value.items()}
    if isinstance(value, list):
        return [scrub_value(member, secrets) for member in value]
    return value


@cache
def _in_text() -> tuple[re.Pattern[str], ...]:
    """Return what looks like a secret; compiled when the first text is scrubbed, not at import."""
    return (
        re.compile(r"(?P<kept>[Bb]earer\s+)[A-Za-z0-9._~+/=-]+"),
        re.compile(r"(?P<kept>[?&](?:X-Amz-[A-Za-z-]+|Signature|AWSAccessKeyId|sig)=)[^&\s\"']+"),
        re.compile(r"(?P<kept>://)[^/\s@]+(?=@)"),
        re.compile(
            r"(?P<kept>\b(?:client_?secret|secret_?access_?key|access_?key|access_?token|password)"
            r"[\"']?\s*[=:]\s*[\"']?)[^\s\"',&}]+",
            re.IGNORECASE,
        ),
    )
