"""
A file in a bucket as ingestion and pixels need it, wherever the bucket is: on disk, or behind an endpoint of S3.

Here is the port, and the file on disk; the other stands in `remote_buckets`.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from rasterio import DatasetReader


class UnreadableError(OSError):
    """Why a file cannot be read, in words for its owner."""


class BucketFile(Protocol):
    """One file of a tile; for one thread at a time."""

    @property
    def name(self) -> str:
        """The last step of its key."""

    @property
    def suffix(self) -> str:
        """What stands behind the last dot of its name, with the dot."""

    def state(self) -> object:
        """
        What is another thing once the file was changed.

        Raises:
            OSError: it cannot be read
        """

    def etag(self) -> str:
        """
        The file's entity tag, as object storage has it.

        Raises:
            OSError: it cannot be read
        """

    def opened(self) -> AbstractContextManager[tuple[BinaryIO, int]]:
        """
        Open it to read from any place; with its size in bytes.

        Raises:
            OSError: it cannot be read
        """

    def raster(self, **options: Any) -> AbstractContextManager[DatasetReader]:
        """
        Open it as a GeoTIFF.

        Raises:
            RasterioError: it is none
            OSError: it cannot be read
        """


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on disk."""

    path: Path

    @property
    def name(self) -> str:
        """As in `BucketFile`."""
        return self.path.name

    @property
    def suffix(self) -> str:
        """As in `BucketFile`."""
        return self.path.suffix

    def state(self) -> object:
        """As in `BucketFile`."""
        status = self.path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns

    def etag(self) -> str:
        """As in `BucketFile`: the MD5 of the content."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, _md5).hexdigest()

    @contextmanager
    def opened(self) -> Iterator[tuple[BinaryIO, int]]:
        """As in `BucketFile`."""
        with self.path.open("rb") as file:
            # What is really there, whatever the file says of itself.
            size = file.seek(0, 2)
            file.seek(0)
            yield file, size

    @contextmanager
    def raster(self, **options: Any) -> Iterator[DatasetReader]:
        """As in `BucketFile`."""
        import rasterio  # noqa: PLC0415 costs a quarter of a second, and most commands need none

        with (
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"),
            rasterio.open(self.path, driver="GTiff", **options) as raster,
        ):
            yield raster


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)
