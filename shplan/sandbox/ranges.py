"""
Byte ranges of files, and their bytes piece by piece: a file may be larger than the memory.

Source: RFC 9110 section 14, of which single ranges are served; a header that asks for several, or
that cannot be understood, is passed over as section 14.2 allows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

PIECE_BYTES = 256 * 1024

_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)


class RangeError(ValueError):
    """A range that lies outside of the file."""


def span_of(header: str | None, size: int) -> tuple[int, int] | None:
    """
    First and last byte of the range that a header asks for; none: all of the file.

    Raises:
        RangeError: none of its bytes are there
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    if match[1] and match[2] and int(match[2]) < int(match[1]):
        return None
    if match[1]:
        first = int(match[1])
        last = min(int(match[2]), size - 1) if match[2] else size - 1
    else:
        first, last = max(0, size - int(match[2])), size - 1
    if first > last:
        raise RangeError
    return first, last


@dataclass(frozen=True, slots=True)
class FilePart:
    """Some bytes of an open file, from `first` on; reading it to the end, or not at all, closes it."""

    file: BinaryIO
    first: int
    length: int

    def pieces(self) -> Iterator[bytes]:
        """The bytes; fewer if somebody cut the file meanwhile."""
        with self.file as file:
            file.seek(self.first)
            left = self.length
            while left and (piece := file.read(min(PIECE_BYTES, left))):
                left -= len(piece)
                yield piece
