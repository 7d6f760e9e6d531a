"""
Finds known secrets in what a server or a library says, however they are spelled there.

A secret comes back as it was sent, or inside JSON, a URL, a page, base 64 or hexadecimal digits,
these inside each other, broken into lines, or one part of it alone: a line of a key, a member of a
document of credentials. What the secrets are is known only to the run that has used them.
"""

from __future__ import annotations

import binascii
import html
import json
import re
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import msgspec

from shplan.api.redaction import is_secret_name
from shplan.core.value import SENSITIVE, JsonValue

T = TypeVar("T")
_SHORTEST_SECRET = 4
# Of what is looked for in other alphabets, and across line breaks.
_SHORTEST_ENCODED = 8
# Of what is replaced inside the values that are compared, not only in messages.
SHORTEST_WITHIN = 8
_SHORTEST_PART = 16
_DEEPEST_PART = 3
# How often escapes are read: as many texts stand in each other in any echo.
_ROUNDS = 3
# A longer text is read once in each way, so that a large answer takes no long time.
_LONGEST_ROUNDS = 1 << 16
_MARKS = (b"\\", b"%", b"&")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_REFERENCE = re.compile(
    r"&(?:#(?:[xX]0*([0-9A-Fa-f]{1,6})|0*([0-9]{1,7}))|[A-Za-z][A-Za-z0-9]{1,31});?", re.ASCII
)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_SPACE = b" \t\r\n"


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace known secrets, and what looks like one, in a server's or a library's text."""
    text = without(text, forms(secrets))
    for pattern in _in_text():
        text = pattern.sub(rf"\g<kept>{SENSITIVE}", text)
    return text


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
    """
    Replace known secrets, and nothing else, in every text of what an answer was read into.

    A short one may be a part of any word, so that it is replaced only where it stands by itself:
    what objects are found and compared by must not change.
    """
    short = {one for one in secrets if len(one) < SHORTEST_WITHIN}
    found = forms(one for one in secrets if one not in short)

    def visit(one: Any) -> Any:
        if isinstance(one, str):
            alone = one in short and len(one) >= _SHORTEST_SECRET
            return SENSITIVE if alone else without(one, found)
        if isinstance(one, dict):
            return {visit(name): visit(member) for name, member in one.items()}
        return type(one)(map(visit, one)) if isinstance(one, list | tuple) else one

    scrubbed: T = visit(value)
    return scrubbed


def may_repeat(content: bytes, secrets: Iterable[str]) -> bool:
    """Tell cheaply whether an answer can repeat a secret; False is certain."""
    found = forms(secrets)
    if not found:
        return False
    # What stands behind an escape is seen only when the answer has been read.
    return any(mark in content for mark in _MARKS) or _is_in(content, found)


def repeats(content: bytes, secrets: Iterable[str]) -> bool:
    """Tell whether a file repeats a secret: as bytes, and if it is a text, however it is spelled."""
    found = forms(secrets)
    if not found or _is_in(content, found):
        return bool(found)
    try:
        text = "" if b"\0" in content else content.decode()
    except UnicodeDecodeError:
        return False
    return without(text, found) != text


def forms(secrets: Iterable[str]) -> tuple[str, ...]:
    """
    Return the texts by which secrets can be echoed, the longest first.

    As they are, inside JSON (twice, for JSON in a text), in a URL or a form, in base 64, there
    also behind something else, as in `Basic`, and in hexadecimal digits.
    """
    found: set[str] = set()
    for secret in dict.fromkeys(secrets):
        if len(secret.strip()) >= _SHORTEST_SECRET:
            found |= _forms(secret)
    return tuple(sorted(found, key=lambda one: (-len(one), one)))


def without(text: str, found: tuple[str, ...]) -> str:
    """Return a text without any of these forms; with its escapes read, if one is behind them."""
    if not found:
        return text
    text = _replaced(text, found)
    for reading in _readings(text):
        if (replaced := _replaced(reading, found)) != reading:
            return without(replaced, found)
    return text


def _replaced(text: str, found: tuple[str, ...]) -> str:
    squeezed = "".join(text.split())
    for form in found:
        bare = "".join(form.split())
        if bare not in squeezed:
            continue
        if form in text:
            text = text.replace(form, SENSITIVE)
        elif len(bare) >= _SHORTEST_ENCODED:
            text = re.sub(r"\s*".join(map(re.escape, bare)), SENSITIVE, text)
        squeezed = "".join(text.split())
    return text


def _is_in(content: bytes, found: tuple[str, ...]) -> bool:
    sought = [form.encode("utf-8", "surrogatepass") for form in found]
    if any(form in content for form in sought):
        return True
    squeezed = content.translate(None, _SPACE)
    bare = (form.translate(None, _SPACE) for form in sought)
    return any(len(form) >= _SHORTEST_ENCODED and form in squeezed for form in bare)


def _readings(text: str) -> Iterator[str]:
    """Yield what a text says once the escapes in it are read, in each way and in their orders."""
    seen, last = {text}, [text]
    for _ in range(_ROUNDS if len(text) <= _LONGEST_ROUNDS else 1):
        texts, last = last, []
        for one in texts:
            for mark, read in _WAYS:
                if mark in one and (reading := read(one)) not in seen:
                    seen.add(reading)
                    last.append(reading)
                    yield reading


def _unescaped(text: str) -> str:
    """Read escapes as JSON and JavaScript have them; two halves of a character become one."""
    plain = _ESCAPE.sub(_unescaped_one, text)
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _unescaped_one(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else _LETTERS.get(match[3], match[3])


def _from_page(text: str) -> str:
    """Read references to characters as pages have them; one of any length is none."""
    return _REFERENCE.sub(_referenced, text)


def _referenced(match: re.Match[str]) -> str:
    hexadecimal, decimal = match[1], match[2]
    if not hexadecimal and not decimal:
        return html.unescape(match[0])
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    return chr(code) if code <= sys.maxunicode else match[0]


_WAYS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("\\", _unescaped),
    ("%", unquote),
    ("+", unquote_plus),
    ("&", _from_page),
)


@lru_cache(maxsize=64)
def _forms(secret: str) -> frozenset[str]:
    found = {form for part in {secret, *_parts(secret)} for form in _forms_of(part)}
    return frozenset(one for one in found if len(one) >= _SHORTEST_SECRET)


def _forms_of(secret: str) -> Iterator[str]:
    escaped = json.dumps(secret)[1:-1]
    plain = json.dumps(secret, ensure_ascii=False)[1:-1]
    yield from (secret, escaped, plain, json.dumps(escaped)[1:-1], json.dumps(plain)[1:-1])
    yield from (quote(secret, safe=""), quote(secret), quote_plus(secret), html.escape(secret))
    content = secret.encode("utf-8", "surrogatepass")
    if len(content) < _SHORTEST_ENCODED:
        return
    yield from (secret.upper(), secret.lower(), content.hex(), content.hex().upper())
    for behind in range(3):
        # The characters at both ends depend on what stands beside the secret.
        encoded = b64encode(b"\0" * behind + content).decode().rstrip("=")
        core = encoded[(0, 2, 3)[behind] : len(encoded) - ((len(content) + behind) % 3 != 0)]
        yield from (core, core.replace("+", "-").replace("/", "_"))


def _parts(secret: str, depth: int = 0) -> Iterator[str]:
    """Yield what of a secret is one by itself: lines of a key, secret members of a document."""
    if depth >= _DEEPEST_PART:
        return
    lines = [line.strip() for line in secret.splitlines()]
    if len(lines) > 1:
        # Source: RFC 7468: the lines around a key begin with five hyphens.
        yield from (
            line for line in lines if len(line) >= _SHORTEST_PART and not line.startswith("-----")
        )
    for text in (secret, _from_base64(secret)):
        for part in _members(text):
            yield part
            yield from _parts(part, depth + 1)


def _members(text: str) -> list[str]:
    """Return the texts in the secret members of a document in JSON."""
    if not text.lstrip().startswith("{"):
        return []
    try:
        document: Any = msgspec.json.decode(text.encode("utf-8", "surrogatepass"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    members = document.items() if isinstance(document, dict) else ()
    return [one for name, one in members if isinstance(one, str) and is_secret_name(str(name))]


def _from_base64(text: str) -> str:
    try:
        return b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


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
