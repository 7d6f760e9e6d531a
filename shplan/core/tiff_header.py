"""
The header of a GeoTIFF, read by ranges: images, how they are stored, where they lie on the globe.

Pure: it yields the ranges that it wants and is sent their bytes, so that a file in a bucket is never read whole.
Sources: TIFF 6.0; the BigTIFF design; OGC GeoTIFF 1.1; GDAL's tag 42113 for no data. Everything that a file says
of itself may be a lie: what is read is bounded, and offsets beyond the file are told, never followed.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import Final, TypeAlias

from shplan.core.frozen import dataclass

# A range of the file: its first byte and its length.
Range: TypeAlias = tuple[int, int]
Reading: TypeAlias = Generator[Range, bytes, "Header"]

FIRST_READ: Final = 64 << 10
_MOST_READ: Final = 8 << 20
_MOST_IMAGES: Final = 64
_MOST_ENTRIES: Final = 1024
_REDUCED, _MASK = 1, 4
# Source: TIFF 6.0 section 2, and BigTIFF's three types of eight bytes.
_TYPES: Final = {
    1: "B", 2: "s", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii",
    11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q",
}  # fmt: skip
_WANTED: Final = frozenset(
    {254, 256, 257, 258, 259, 262, 273, 277, 279, 284, 322, 323, 324, 325, 339}
    | {33550, 33922, 34264, 34735, 42113}
)
# Source: OGC GeoTIFF 1.1, GTModelTypeGeoKey and the keys that name a reference system.
_MODEL, _GEOGRAPHIC, _PROJECTED = 1024, 2048, 3072
_USER_DEFINED: Final = 32767


class NotATiffError(ValueError):
    """The bytes are no TIFF, or one that ends before its header does."""


@dataclass(frozen=True, slots=True)
class Image:
    """
    One image of a file: the full one, an overview, or a mask.

    Args:
        tile: (width, height) of its internal tiles in pixels, None where it is stored in strips
        bits, formats: of each sample; a format is 1 unsigned, 2 signed, 3 floating point, 5 and 6 complex
        first_data, last_data: the first byte of pixels and the one after the last; 0 where there are none
    """

    width: int
    height: int
    tile: tuple[int, int] | None
    bits: tuple[int, ...]
    formats: tuple[int, ...]
    compression: int
    photometric: int
    samples: int
    planar: int
    kind: int
    first_data: int
    last_data: int

    @property
    def is_overview(self) -> bool:
        """Whether it is a smaller copy of the image."""
        return bool(self.kind & _REDUCED) and not self.is_mask

    @property
    def is_mask(self) -> bool:
        """Whether it says which pixels count."""
        return bool(self.kind & _MASK)


@dataclass(frozen=True, slots=True)
class Header:
    """
    What the header of a file says.

    Args:
        size_bytes: of the file
        header_bytes: where the last directory, or value of one, ends
        scale: (x, y) of a pixel, in units of the reference system; None where no tag says
        origin: (x, y) of the upper left corner
        rotated: its rows do not run from west to east
        epsg: of the reference system; 0 where one is described and has no number, None where none is
        no_data: as the file has it, empty where it has none
    """

    size_bytes: int
    header_bytes: int
    images: tuple[Image, ...]
    scale: tuple[float, float] | None
    origin: tuple[float, float] | None
    rotated: bool
    epsg: int | None
    no_data: str

    @property
    def full(self) -> Image:
        """The image in full resolution."""
        return self.images[0]

    @property
    def overviews(self) -> tuple[Image, ...]:
        """Its smaller copies."""
        return tuple(one for one in self.images[1:] if one.is_overview)

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """What it covers (west, south, east, north), in units of its reference system."""
        if self.scale is None or self.origin is None:
            return None
        (x, y), (width, height) = self.origin, self.scale
        return x, y - height * self.full.height, x + width * self.full.width, y


def read_header(size_bytes: int) -> Reading:
    """
    Read the header of a file.

    Raises:
        NotATiffError: it is none, or cut off, or its header is beyond all bounds
    """
    file = _File(size_bytes)
    start = yield from file.take(0, min(16, size_bytes))
    order, is_big = _form(start)
    at = _number(start, 8 if is_big else 4, "Q" if is_big else "I", order)
    form = _Form(order, is_big)
    directories: list[dict[int, tuple[object, ...]]] = []
    seen: set[int] = set()
    while at and at not in seen and len(directories) < _MOST_IMAGES:
        seen.add(at)
        tags, at = yield from _directory(file, form, at, first=not directories)
        directories.append(tags)
    if not directories:
        message = "has no image"
        raise NotATiffError(message)
    return _header(size_bytes, file.furthest, directories)


class _File:
    """What was read of a file, so that neighbours are read once."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.furthest = 0
        self._start = 0
        self._content = b""
        self._read = 0

    def take(self, at: int, length: int) -> Generator[Range, bytes, bytes]:
        """Return a range; it is read in pieces that are worth a request."""
        if at < 0 or length < 0 or at + length > self.size_bytes:
            message = "ends before its header does"
            raise NotATiffError(message)
        self.furthest = max(self.furthest, at + length)
        inside = self._start <= at and at + length <= self._start + len(self._content)
        if not inside:
            wanted = min(max(length, FIRST_READ), self.size_bytes - at)
            self._read += wanted
            if self._read > _MOST_READ:
                message = f"has a header of more than {_MOST_READ >> 20} MiB"
                raise NotATiffError(message)
            content = yield at, wanted
            if len(content) < length:
                message = "ends before its header does"
                raise NotATiffError(message)
            self._start, self._content = at, content
        return self._content[at - self._start : at - self._start + length]


@dataclass(frozen=True, slots=True)
class _Form:
    """Order of bytes, and width of offsets."""

    order: str
    is_big: bool


def _form(start: bytes) -> tuple[str, bool]:
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    kind = struct.unpack(f"{order}H", start[2:4])[0] if order and len(start) >= 8 else 0
    if order is None or kind not in (42, 43) or (kind == 43 and len(start) < 16):
        message = "is no TIFF"
        raise NotATiffError(message)
    return order, kind == 43


def _number(content: bytes, at: int, code: str, order: str) -> int:
    found: int = struct.unpack_from(f"{order}{code}", content, at)[0]
    return found


def _directory(
    file: _File, form: _Form, at: int, *, first: bool
) -> Generator[Range, bytes, tuple[dict[int, tuple[object, ...]], int]]:
    head, entry, code = (8, 20, "Q") if form.is_big else (2, 12, "I")
    count = _number((yield from file.take(at, head)), 0, "Q" if form.is_big else "H", form.order)
    if count > _MOST_ENTRIES:
        message = "has a directory of more entries than any image needs"
        raise NotATiffError(message)
    offset_size = 8 if form.is_big else 4
    content = yield from file.take(at + head, count * entry + offset_size)
    tags: dict[int, tuple[object, ...]] = {}
    for index in range(count):
        raw = content[index * entry : (index + 1) * entry]
        tag, kind = struct.unpack_from(f"{form.order}HH", raw)
        number = _number(raw, 4, code, form.order)
        size = struct.calcsize(f"={_TYPES.get(kind, 'B')}") * number
        inline = raw[-offset_size:]
        if size > offset_size:
            place = _number(inline, 0, code, form.order)
            if place + size > file.size_bytes:
                message = "ends before its header does"
                raise NotATiffError(message)
            file.furthest = max(file.furthest, place + size)
            if tag not in _WANTED or (not first and tag >= 33550):
                continue
            inline = yield from file.take(place, size)
        if tag in _WANTED and kind in _TYPES:
            tags[tag] = _values(inline[:size], kind, number, form.order)
    return tags, _number(content, count * entry, code, form.order)


def _values(content: bytes, kind: int, number: int, order: str) -> tuple[object, ...]:
    code = _TYPES[kind]
    if code == "s":
        return (content.split(b"\0")[0].decode("ascii", "replace"),)
    return struct.unpack(f"{order}{number * len(code)}{code[0]}", content)


def _header(
    size_bytes: int, header_bytes: int, directories: list[dict[int, tuple[object, ...]]]
) -> Header:
    first = directories[0]
    scale, origin, rotated = _placed(first)
    no_data = first.get(42113, ("",))
    return Header(
        size_bytes,
        header_bytes,
        tuple(_image(tags) for tags in directories),
        scale,
        origin,
        rotated,
        _epsg(_integers(first, 34735)),
        str(no_data[0]).strip() if no_data else "",
    )


def _image(tags: dict[int, tuple[object, ...]]) -> Image:
    samples = _integer(tags, 277, 1)
    tile = _integer(tags, 322, 0), _integer(tags, 323, 0)
    offsets = _integers(tags, 324) or _integers(tags, 273)
    sizes = _integers(tags, 325) or _integers(tags, 279)
    stored = [(at, size) for at, size in zip(offsets, sizes, strict=False) if at and size]
    return Image(
        width=_integer(tags, 256, 0),
        height=_integer(tags, 257, 0),
        tile=tile if all(tile) else None,
        bits=_integers(tags, 258) or (1,),
        formats=_integers(tags, 339) or (1,),
        compression=_integer(tags, 259, 1),
        photometric=_integer(tags, 262, 1),
        samples=samples,
        planar=_integer(tags, 284, 1),
        kind=_integer(tags, 254, 0),
        first_data=min((at for at, _ in stored), default=0),
        last_data=max((at + size for at, size in stored), default=0),
    )


def _integer(tags: dict[int, tuple[object, ...]], tag: int, default: int) -> int:
    found = _integers(tags, tag)
    return found[0] if found else default


def _integers(tags: dict[int, tuple[object, ...]], tag: int) -> tuple[int, ...]:
    return tuple(one for one in tags.get(tag, ()) if isinstance(one, int))


def _floats(tags: dict[int, tuple[object, ...]], tag: int) -> tuple[float, ...]:
    return tuple(one for one in tags.get(tag, ()) if isinstance(one, float))


def _placed(
    tags: dict[int, tuple[object, ...]],
) -> tuple[tuple[float, float] | None, tuple[float, float] | None, bool]:
    """Return scale, origin and whether it is rotated. Source: OGC GeoTIFF 1.1, annex B.6."""
    matrix = _floats(tags, 34264)
    if len(matrix) >= 8:
        rotated = bool(matrix[1] or matrix[4] or matrix[0] <= 0 or matrix[5] >= 0)
        return (matrix[0], -matrix[5]), (matrix[3], matrix[7]), rotated
    scale, tie = _floats(tags, 33550), _floats(tags, 33922)
    if len(scale) < 2 or len(tie) < 6:
        return None, None, False
    rotated = scale[0] <= 0 or scale[1] <= 0
    x, y = tie[3] - tie[0] * scale[0], tie[4] + tie[1] * scale[1]
    return (scale[0], scale[1]), (x, y), rotated


def _epsg(keys: tuple[int, ...]) -> int | None:
    """Return the number of the reference system, 0 where it has none, None where there is none."""
    if len(keys) < 4:
        return None
    found = {
        keys[at]: keys[at + 3]
        for at in range(4, len(keys) - 3, 4)
        # Source: OGC GeoTIFF 1.1, 7.1: with location 0 the value stands in the directory itself.
        if keys[at + 1] == 0
    }
    model = found.get(_MODEL)
    code = found.get(_GEOGRAPHIC if model == 2 else _PROJECTED)
    if code is None or code in (0, _USER_DEFINED):
        return 0 if found else None
    return code
