"""
Archives of plain files, read by what their headers say and nothing more, in one pass.

Python's own reader follows extended headers into each other, matches them with expressions that
may take for ever, and knows files with holes; an answer has none of it.
Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar, long names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_BLOCK: Final = 512
_SIZE: Final = slice(124, 136)
_CHECKSUM: Final = slice(148, 156)
_KIND: Final = slice(156, 157)
_PREFIX: Final = slice(345, 500)
_PLAIN: Final = (b"0", b"\0")
_EXTENDED, _EVERYWHERE, _LONG_NAME = b"x", b"g", b"L"
# No name or size takes more.
_MOST_EXTENDED_BYTES: Final = 1 << 16


class ArchiveError(ValueError):
    """It is no archive, or ends too early."""


class OtherMemberError(ValueError):
    """
    An archive holds what is no plain file.

    Args:
        name: of the member
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Member:
    """
    A plain file of an archive.

    Args:
        is_whole: the archive does not end within it
    """

    name: str
    content: bytes
    is_whole: bool


def plain_members(archive: bytes) -> Iterator[Member]:
    """
    Yield the files of an archive.

    Raises:
        ArchiveError: it is none
        OtherMemberError: it holds something else
    """
    at = 0
    extended: dict[str, str] = {}
    while at < len(archive):
        header = archive[at : at + _BLOCK]
        if not any(header):
            return
        kind, size = _checked(header)
        is_extended = kind in (_EXTENDED, _EVERYWHERE, _LONG_NAME)
        size = size if is_extended else _size_in(extended, size)
        name = extended.get("path") or _name_in(header)
        content = archive[at + _BLOCK : at + _BLOCK + size]
        at += _BLOCK + -(-size // _BLOCK) * _BLOCK
        if is_extended:
            told = _told(kind, content, size)
            extended = extended if kind == _EVERYWHERE else {**extended, **told}
            continue
        if kind not in _PLAIN or "sparse" in extended:
            raise OtherMemberError(name)
        yield Member(name, content, len(content) == size)
        extended = {}
    if extended or at == 0:
        message = "end of file"
        raise ArchiveError(message)


def _checked(header: bytes) -> tuple[bytes, int]:
    """Return kind and size of a member, its checksum compared."""
    if len(header) < _BLOCK:
        message = "truncated header"
        raise ArchiveError(message)
    # The sum is that of the header with blanks in the place of the sum.
    total = sum(header) - sum(header[_CHECKSUM]) + 8 * ord(" ")
    if _number(header[_CHECKSUM]) != total:
        message = "bad checksum"
        raise ArchiveError(message)
    return header[_KIND], _number(header[_SIZE])


def _number(field: bytes) -> int:
    """Read octal digits; or, as GNU tar writes what does not fit, the bytes of the number."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.partition(b"\0")[0].strip()
    if digits.strip(b"01234567"):
        message = "invalid header"
        raise ArchiveError(message)
    return int(digits or b"0", 8)


def _name_in(header: bytes) -> str:
    name = _text(header[:100])
    prefix = _text(header[_PREFIX]) if header[257:265] == b"ustar\x0000" else ""
    return f"{prefix}/{name}" if prefix else name


def _told(kind: bytes, content: bytes, size: int) -> dict[str, str]:
    """Read what is told of the next member before it."""
    if len(content) < size or size > _MOST_EXTENDED_BYTES:
        message = "a header that is too long" if len(content) == size else "end of file"
        raise ArchiveError(message)
    return {"path": _text(content)} if kind == _LONG_NAME else dict(_records(content))


def _records(content: bytes) -> Iterator[tuple[str, str]]:
    """Yield the records of an extended header, each `LENGTH KEY=VALUE` and a line break."""
    at = 0
    while at < len(content) and content[at : at + 1] != b"\0":
        blank = content.find(b" ", at, at + 8)
        length = content[at:blank] if blank > at else b""
        end = at + int(length) if length.isdigit() else at
        key, equals, value = content[blank + 1 : end - 1].partition(b"=")
        if not equals or not key or content[end - 1 : end] != b"\n":
            message = "invalid header"
            raise ArchiveError(message)
        if key in (b"path", b"size"):
            yield key.decode(), _text(value)
        elif key.startswith(b"GNU.sparse"):
            yield "sparse", ""
        at = end


def _size_in(extended: dict[str, str], size: int) -> int:
    stated = extended.get("size", "")
    if stated and not (stated.isascii() and stated.isdigit() and len(stated) < 20):
        message = "invalid header"
        raise ArchiveError(message)
    return int(stated) if stated else size


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")
