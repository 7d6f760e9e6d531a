"""
Pages and their tokens: opaque text that holds the last key seen, never an offset.

Source: the `View` schema of list answers; `count` may not exceed 100.
"""

# ruff: noqa: EM101  the texts are answers, and functions make the errors

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from shplan.sandbox.errors import violation
from shplan.sandbox.wire import decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shplan.sandbox.wire import Json, JsonObject

MAX_COUNT = 100
_KEY_LIMIT = 2**63  # what SQLite can compare

# Digits of other scripts, underscores and spaces are integers to Python only.
_WHOLE = re.compile(r"-?[0-9]{1,18}")

Key: TypeAlias = "int | str | None"


@dataclass(frozen=True, slots=True)
class Page:
    """
    Which part of a list is wanted.

    Args:
        count: entries at most
        key: the entry beside which the page starts; none: at the end it goes from
        backward: the page ends before the key instead of starting after it
    """

    count: int
    key: Key
    backward: bool


def page(query: Mapping[str, str], *, key: type[int | str]) -> Page:
    """
    The page that the query asks for, of a list whose keys are of the given type.

    Raises:
        ApiError: 400, `count` out of range or a token that is not ours
    """
    count = MAX_COUNT
    if "count" in query:
        if not _WHOLE.fullmatch(query["count"]):
            raise violation("count", "must be an integer")
        count = int(query["count"])
        if not 1 <= count <= MAX_COUNT:
            raise violation("count", f"must be between 1 and {MAX_COUNT}")
    if not query.get("viewtoken"):
        return Page(count=count, key=None, backward=False)
    start, backward = _read(query["viewtoken"], key)
    return Page(count=count, key=start, backward=backward)


def links(url: str, asked: Page, *, first: Key, last: Key, more: bool) -> JsonObject:
    """
    The links of a page.

    `url` is the address of this request in the path style in which it came, `first` and `last`
    are the keys of the page's ends (none on an empty page), and `more` says whether entries
    remain in the direction that was asked for.
    """
    current = _token(asked.key, backward=asked.backward)
    content: JsonObject = {"@id": url, "currentToken": current}
    has_next = first is not None and (more or asked.backward)
    has_previous = first is not None and (more if asked.backward else asked.key is not None)
    if has_next:
        token = _token(last, backward=False)
        content |= {"nextToken": token, "next": _with_token(url, token)}
    if has_previous:
        token = _token(first, backward=True)
        content |= {"previousToken": token, "previous": _with_token(url, token)}
    return content


def _token(key: Key, *, backward: bool) -> str:
    text = encode([key, backward])
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _read(token: str, key_type: type[int | str]) -> tuple[Key, bool]:
    try:
        content = decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error):
        content = None
    if isinstance(content, list) and len(content) == 2:
        key, backward = content
        if isinstance(backward, bool) and (key is None or _is_key(key, key_type)):
            return cast("Key", key), backward
    raise violation("viewtoken", "is not a token of this list")


def _is_key(key: Json, key_type: type[int | str]) -> bool:
    return type(key) is key_type and (not isinstance(key, int) or abs(key) < _KEY_LIMIT)


def _with_token(url: str, token: str) -> str:
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "viewtoken"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("viewtoken", token)])))
