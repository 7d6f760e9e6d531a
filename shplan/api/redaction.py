"""
Keeps secrets out of what came from the server: by name in values, by content in text.

The service may echo what it was sent, access keys included, so everything that is
received passes here. What the secrets are is known only while a request is sent.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

import msgspec

from shplan.core.value import SENSITIVE, JsonValue

T = TypeVar("T")
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
_SHORTEST_ENCODED = 8
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


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace known secrets, and what looks like one, in a server's or a library's text."""
    for form in forms(secrets):
        text = text.replace(form, SENSITIVE)
    for pattern in _in_text():
        text = pattern.sub(rf"\g<kept>{SENSITIVE}", text)
    return text


def forms(secrets: Iterable[str]) -> tuple[str, ...]:
    """
    Return the texts by which secrets can be echoed, the longest first.

    As they are, inside JSON (twice, for JSON in a text), in a URL or a form, and in base 64, there
    also behind something else, as in `Basic`.
    """
    found: set[str] = set()
    for secret in dict.fromkeys(secrets):
        if len(secret) >= _SHORTEST_SECRET:
            found |= _forms(secret)
    return tuple(sorted(found, key=lambda one: (-len(one), one)))


@lru_cache(maxsize=64)
def _forms(secret: str) -> frozenset[str]:
    escaped = json.dumps(secret)[1:-1]
    plain = json.dumps(secret, ensure_ascii=False)[1:-1]
    found = {secret, escaped, plain, json.dumps(escaped)[1:-1], json.dumps(plain)[1:-1]}
    found |= {quote(secret, safe=""), quote(secret), quote_plus(secret), html.escape(secret)}
    content = secret.encode("utf-8", "surrogatepass")
    if len(content) >= _SHORTEST_ENCODED:
        for behind in range(3):
            # The characters at both ends depend on what stands beside the secret.
            encoded = b64encode(b"\0" * behind + content).decode().rstrip("=")
            core = encoded[(0, 2, 3)[behind] : len(encoded) - ((len(content) + behind) % 3 != 0)]
            found |= {core, core.replace("+", "-").replace("/", "_")}
    return frozenset(one for one in found if len(one) >= _SHORTEST_SECRET)


def scrub_value(value: JsonValue, secrets: tuple[str, ...]) -> JsonValue:
    """Replace known secrets in every text of a value."""
    if isinstance(value, str):
        return scrub(value, secrets)
    if isinstance(value, dict):
        return {scrub(name, secrets): scrub_value(one, secrets) for name, one in value.items()}
    if isinstance(value, list):
        return [scrub_value(member, secrets) for member in value]
    return value


def scrub_all(value: T, secrets: tuple[str, ...]) -> T:
    """Replace known secrets, and nothing else, in every text of what an answer was read into."""
    found = forms(secrets)

    def visit(one: Any) -> Any:
        if isinstance(one, str):
            for form in found:
                one = one.replace(form, SENSITIVE)
            return one
        if isinstance(one, dict):
            return {visit(name): visit(member) for name, member in one.items()}
        return type(one)(map(visit, one)) if isinstance(one, list | tuple) else one

    scrubbed: T = visit(value)
    return scrubbed


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
