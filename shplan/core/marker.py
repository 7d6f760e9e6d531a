"""
The marker: what a task carries of us, so that it is found again after a crash or a lost ledger.

It stands behind the user's text in a task's `description`, or in a comment on the last line of the
evalscript where a request has no description:

    NDVI of the fields [shplan project=fields address=BatchProcess/ndvi[2025-06] key=4f0c... attempt=1]

A marker only finds candidates; whether a task is ours is decided by keying its request. Readers take
the last marker of a text and pass over words that they do not know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from shplan.core.address import Address

# Percent-encoded is whatever could be taken for the marker's own form, and all but ASCII.
_SAFE: Final = "/,:@+"
_WORD = r"[A-Za-z](?:[^\s\[\]]|\[[^\s\[\]]*+\])*+"
_MARKER = re.compile(rf"\[shplan(?P<words>(?:\s++{_WORD})++)\s*+\]")
_KEY = re.compile(r"[0-9a-f]{16,64}")
_ATTEMPT = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_COMMENT: Final = "// "


@dataclass(frozen=True, slots=True)
class Marker:
    """
    Whose a task is.

    Args:
        project: name of the project
        address: of the job
        key: the first 16 or more hex digits of the run key
        attempt: 1, 2, ... of the same key
    """

    project: str
    address: Address
    key: str
    attempt: int = 1

    def __str__(self) -> str:
        return make_marker(
            project=self.project, address=self.address, key=self.key, attempt=self.attempt
        )


def make_marker(*, project: str, address: Address, key: str, attempt: int) -> str:
    """Write a marker; whatever a name holds, it is one line without a bracket of its own."""
    instance = "" if address.key is None else f"[{_encode(address.key)}]"
    where = f"{_encode(address.kind)}/{_encode(address.name)}{instance}"
    return f"[shplan project={_encode(project)} address={where} key={key} attempt={attempt}]"


def with_marker(description: str, marker: str) -> str:
    """Return the user's text with a marker behind it."""
    return f"{description} {marker}" if description else marker


def read_marker(description: str) -> Marker | None:
    """Return the last marker in a text, or None: whatever people made of the text around it."""
    found = None
    for match in _MARKER.finditer(description):
        found = _read_words(match["words"]) or found
    return found


def without_marker(description: str) -> str:
    """Return the text without its last marker: what the user wrote."""
    last = None
    for match in _MARKER.finditer(description):
        last = match if _read_words(match["words"]) else last
    if last is None:
        return description
    return description[: last.start()].removesuffix(" ") + description[last.end() :]


def script_with_marker(script: str, marker: str) -> str:
    """Return a script with the marker as a comment on a last line of its own."""
    return f"{script}\n{_COMMENT}{marker}"


def read_script_marker(script: str) -> Marker | None:
    """Return the marker on a script's last line, or None."""
    _, _, last = script.rstrip().rpartition("\n")
    return read_marker(last) if last.startswith(_COMMENT) else None


def script_without_marker(script: str) -> str:
    """Return a script without the line that `script_with_marker` added."""
    return script.rstrip().rpartition("\n")[0] if read_script_marker(script) else script


def _read_words(text: str) -> Marker | None:
    words = dict(word.split("=", 1) for word in text.split() if "=" in word)
    address = _read_address(words.get("address", ""))
    project, key, attempt = (words.get(name, "") for name in ("project", "key", "attempt"))
    if address is None or not project or not _KEY.fullmatch(key):
        return None
    # A task that does not count its attempts is the first.
    if not _ATTEMPT.fullmatch(attempt or "1"):
        return None
    return Marker(_decode(project), address, key, int(attempt or 1))


def _read_address(text: str) -> Address | None:
    match = re.fullmatch(r"([^/\[\]]+)/([^\[\]]+)(?:\[([^\[\]]+)\])?", text)
    if match is None:
        return None
    key = None if match[3] is None else _decode(match[3])
    return Address(_decode(match[1]), _decode(match[2]), key)


def _encode(text: str) -> str:
    return quote(text, safe=_SAFE, errors="surrogatepass")


def _decode(text: str) -> str:
    return unquote(text, errors="surrogatepass")
