"""
The structure of a TIFF file: its directories, and how far into the file they reach.

Read byte by byte with the standard library, because no raster library tells where the
header ends. Source: TIFF 6.0, sections 2 and 15; BigTIFF; the BYOC page on the header's size.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Our own bounds, far beyond any real file: a damaged one is given up soon, and takes no memory.
MAX_DIRECTORIES = 256
MAX_ENTRIES = 512
MAX_SAMPLES = 4096
MAX_PIXELS = 2**31 - 1

# The kinds of whole numbers that have no sign: what counts pixels has no other.
_FORMATS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
          16: 8, 17: 8, 18: 8}  # fmt: skip

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_SAMPLES, _PLANAR, _TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT = 277, 284, 322, 323, 339
_SUBFILE = 254
_WANTED = frozenset({
    _SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANAR,
    _TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT,
})  # fmt: skip


class TiffError(ValueError):
    """A file that is no TIFF, or a damaged one."""


@dataclass(frozen=True, slots=True)
class Image:
    """
    One directory of the file: the raster itself, an overview or a mask.

    Args:
        width, height: pixels
        tile: width and height of an internal tile in pixels; none: stored in strips
        planar: samples lie in planes of their own
        sample_format: 1 unsigned, 2 signed, 3 floating point
    """

    width: int
    height: int
    tile: tuple[int, int] | None
    compression: int
    photometric: int
    samples: int
    planar: bool
    bits: tuple[int, ...]
    sample_format: tuple[int, ...]
    is_overview: bool
    is_mask: bool


@dataclass(frozen=True, slots=True)
class Tiff:
    """
    The structure of one file.

    Args:
        header_bytes: where the last directory or tag value ends
    """

    header_bytes: int
    images: tuple[Image, ...]


def read(path: Path) -> Tiff:
    """
    The structure of the file.

    Raises:
        TiffError: no TIFF, or damaged
        OSError: the file cannot be read
    """
    with path.open("rb") as file:
        return parse(file, os.fstat(file.fileno()).st_size)


def parse(file: BinaryIO, size: int) -> Tiff:
    """
    The structure of an open file of so many bytes.

    Raises:
        TiffError: as `read`
        OSError: as `read`
    """
    try:
        return _read(_Bytes(file, size))
    except (struct.error, KeyError, IndexError) as error:
        msg = "its directories are damaged"
        raise TiffError(msg) from error


def _read(file: _Bytes) -> Tiff:
    start = file.start(16)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    version = struct.unpack(f"{order}H", start[2:4])[0] if order else None
    if order is None or version not in (42, 43):
        msg = "it is no TIFF file"
        raise TiffError(msg)
    layout = _Layout(order, big=version == 43)
    end = 16 if layout.big else 8
    offset = layout.unpack("Q" if layout.big else "I", start[8:16] if layout.big else start[4:8])
    images: list[Image] = []
    seen: set[int] = set()
    while offset:
        if offset in seen or len(images) == MAX_DIRECTORIES:
            msg = "its directories do not end"
            raise TiffError(msg)
        seen.add(offset)
        tags, reach, offset = _directory(file, layout, offset)
        images.append(_image(tags))
        end = max(end, reach)
    return Tiff(header_bytes=end, images=tuple(images))


class _Bytes:
    """The bytes of a file that are really there, whatever it says of itself."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size

    def start(self, count: int) -> bytes:
        return self._file.read(count)

    def at(self, offset: int, count: int) -> bytes:
        """
        So many bytes from an offset on.

        Raises:
            TiffError: the file ends before
        """
        if offset + count <= self.size:
            self._file.seek(offset)
            content = self._file.read(count)
            if len(content) == count:
                return content
        msg = "it ends before its directories do"
        raise TiffError(msg)


class _Layout:
    """What differs between TIFF and BigTIFF, and between the two byte orders."""

    def __init__(self, order: str, *, big: bool) -> None:
        self.order = order
        self.big = big
        self.count_format, self.entry_size = ("Q", 20) if big else ("H", 12)
        self.offset_format, self.inline_size = ("Q", 8) if big else ("I", 4)

    def unpack(self, code: str, content: bytes) -> int:
        return int(struct.unpack(self.order + code, content)[0])


def _directory(
    file: _Bytes, layout: _Layout, offset: int
) -> tuple[Mapping[int, tuple[int, ...]], int, int]:
    """The wanted tags of a directory, where all its values end, and the next directory."""
    count_size = struct.calcsize("=" + layout.count_format)
    count = layout.unpack(layout.count_format, file.at(offset, count_size))
    if count > MAX_ENTRIES:
        msg = f"a directory has {count} entries"
        raise TiffError(msg)
    size = count * layout.entry_size + layout.inline_size
    body = file.at(offset + count_size, size)
    reach = offset + count_size + size
    tags: dict[int, tuple[int, ...]] = {}
    for start in range(0, count * layout.entry_size, layout.entry_size):
        tag, values, end = _entry(file, layout, body[start : start + layout.entry_size])
        reach = max(reach, end)
        if values:
            tags.setdefault(tag, values)
    return tags, reach, layout.unpack(layout.offset_format, body[-layout.inline_size :])


def _entry(file: _Bytes, layout: _Layout, entry: bytes) -> tuple[int, tuple[int, ...], int]:
    """An entry's tag, its values if they are wanted, and where they end if they lie elsewhere."""
    tag, kind = struct.unpack(layout.order + "HH", entry[:4])
    length = layout.unpack(layout.offset_format, entry[4 : 4 + layout.inline_size])
    field = entry[4 + layout.inline_size :]
    size, place = length * _SIZES[kind], 0
    if size > layout.inline_size:
        place = layout.unpack(layout.offset_format, field)
        if place + size > file.size:
            msg = "it ends before the values of its tags do"
            raise TiffError(msg)
    if tag not in _WANTED or kind not in _FORMATS:
        return tag, (), place + size if place else 0
    count = min(length, MAX_SAMPLES)
    content = file.at(place, count * _SIZES[kind]) if place else field[: count * _SIZES[kind]]
    values = struct.unpack(f"{layout.order}{count}{_FORMATS[kind]}", content)
    return tag, values, place + size if place else 0


def _image(tags: Mapping[int, tuple[int, ...]]) -> Image:
    samples = tags.get(_SAMPLES, (1,))[0]
    width, height = tags[_WIDTH][0], tags[_HEIGHT][0]
    if not (1 <= width <= MAX_PIXELS and 1 <= height <= MAX_PIXELS and 1 <= samples <= MAX_SAMPLES):
        msg = f"it declares {width} x {height} pixels of {samples} samples"
        raise TiffError(msg)
    subfile = tags.get(_SUBFILE, (0,))[0]
    tiled = _TILE_WIDTH in tags and _TILE_HEIGHT in tags
    return Image(
        width=width,
        height=height,
        tile=(tags[_TILE_WIDTH][0], tags[_TILE_HEIGHT][0]) if tiled else None,
        compression=tags.get(_COMPRESSION, (1,))[0],
        photometric=tags.get(_PHOTOMETRIC, (1,))[0],
        samples=samples,
        planar=tags.get(_PLANAR, (1,))[0] == 2,
        bits=_each(tags.get(_BITS, (1,)), samples),
        sample_format=_each(tags.get(_SAMPLE_FORMAT, (1,)), samples),
        is_overview=bool(subfile & 1),
        is_mask=bool(subfile & 4),
    )


def _each(values: tuple[int, ...], samples: int) -> tuple[int, ...]:
    return values if len(values) == samples else values[:1] * samples
