"""
A file behind an endpoint of S3, as it was when it was found: its bytes by ranges, as who reads it needs them.

Each range is of that state of the file, or reading it ends; see `remote_buckets`.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from shplan.sandbox.bucket_files import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rasterio import DatasetReader

    from shplan.sandbox.remote_buckets import RemoteBuckets

BLOCK_BYTES = 1 << 18
# What is read ahead of who reads on, and what of a file is kept, in blocks.
MOST_AHEAD = 16
MOST_KEPT = 64


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """
    A file as it was when it was found.

    Args:
        size: in bytes
        tag: its entity tag
        modified_s: when it was written, seconds since 1970
    """

    buckets: RemoteBuckets
    bucket: str
    key: str
    size: int
    tag: str
    modified_s: float = 0.0

    @property
    def name(self) -> str:
        """As in `BucketFile`."""
        return self.key.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """As in `BucketFile`."""
        stem, dot, ending = self.name.rpartition(".")
        return dot + ending if stem else ""

    def state(self) -> object:
        """As in `BucketFile`: asked for anew."""
        found = self.buckets.find(self.bucket, self.key)
        return None if found is None else (found.size, found.tag)

    def etag(self) -> str:
        """As in `BucketFile`."""
        return self.tag

    def reader(self) -> BinaryIO:
        """Its bytes, for one who is told by their number whether they are all there."""
        return cast("BinaryIO", _Reader(self))

    @contextmanager
    def opened(self) -> Iterator[tuple[BinaryIO, int]]:
        """As in `BucketFile`."""
        reader = _Reader(self)
        try:
            yield cast("BinaryIO", reader), self.size
        finally:
            # Whatever was made of an end that came too early.
            reader.check()

    @contextmanager
    def raster(self, **options: Any) -> Iterator[DatasetReader]:
        """As in `BucketFile`."""
        import rasterio  # noqa: PLC0415 costs a quarter of a second, and most commands need none
        from rasterio.errors import RasterioError  # noqa: PLC0415

        readers: list[_Reader] = []

        def opener(path: str, mode: str = "rb") -> _Reader:
            del path, mode  # there is one file, and it is read
            readers.append(_Reader(self))
            return readers[-1]

        try:
            with (
                rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"),
                rasterio.open(self.key, driver="GTiff", opener=opener, **options) as raster,
            ):
                yield raster
        except RasterioError:
            # GDAL tells that bytes are missing, and not why.
            for reader in readers:
                reader.check()
            raise


class _Reader(io.RawIOBase):
    """
    The bytes of a file, in blocks that are kept while it is open.

    Reading never raises, because GDAL reads through it and would lose the error: it ends, and `check` tells why.
    """

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self._at = 0
        self._kept: dict[int, bytes] = {}
        self._next = 0
        self._ahead = 1
        self._failure: UnreadableError | None = None

    def check(self) -> None:
        """
        Tell why reading ended too early, if it did.

        Raises:
            UnreadableError: it did
        """
        if self._failure is not None:
            raise self._failure

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._file.size if size < 0 else min(self._at + size, self._file.size)
        parts = []
        while self._at < end:
            number, within = divmod(self._at, BLOCK_BYTES)
            block = self._block(number)
            if block is None:
                break
            part = block[within : within + end - self._at]
            parts.append(part)
            self._at += len(part)
        return b"".join(parts)

    def readinto(self, buffer: Any) -> int:
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def _block(self, number: int) -> bytes | None:
        if number not in self._kept:
            try:
                self._fetch(number)
            except UnreadableError as error:
                self._failure = error
                return None
        return self._kept[number]

    def _fetch(self, number: int) -> None:
        """Fetch a block, and more and more of those behind it while they are read in turn."""
        self._ahead = min(self._ahead * 2, MOST_AHEAD) if number == self._next else 1
        first = number * BLOCK_BYTES
        count = min(self._ahead * BLOCK_BYTES, self._file.size - first)
        content = self._file.buckets.span(self._file, first, count)
        if len(self._kept) > MOST_KEPT - MOST_AHEAD:
            self._kept.clear()
        for offset in range(0, count, BLOCK_BYTES):
            self._kept[(first + offset) // BLOCK_BYTES] = content[offset : offset + BLOCK_BYTES]
        self._next = number + self._ahead
