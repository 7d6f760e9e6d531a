"""
Buckets as directories: `<root>/<bucket>/<key>`.

An object's ETag is the MD5 of its content, as S3 gives it for an object uploaded in one part. A key
that leads out of its bucket, by its name or by a symbolic link, is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from shplan.core.errors import StorageError
from shplan.storage.port import InvalidKeyError, MissingObjectError, StoredObject

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Drafts lie beside the buckets, on their file system; no bucket's name begins with a dot.
_DRAFTS = ".drafts"
_SETTLED_NS = 2 * 10**9


class DirectoryStorage:
    """
    The buckets below one directory.

    Args:
        root: the directory of the buckets
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._etags: dict[Path, tuple[tuple[int, int, int], str]] = {}
        self._numbers = itertools.count()

    async def head(self, bucket: str, key: str) -> StoredObject | None:
        """
        Return size and ETag of an object, None where there is none.

        Raises:
            StorageError: the file cannot be read
        """
        return await asyncio.to_thread(self._head, bucket, key)

    async def get(self, bucket: str, key: str) -> bytes:
        """
        Return the content of an object.

        Raises:
            MissingObjectError: there is none
            StorageError: the file cannot be read
        """
        return await asyncio.to_thread(self._get, bucket, key)

    async def read(self, bucket: str, key: str, *, start: int, length: int) -> bytes:
        """
        Return a part of an object; less where the object ends before.

        Raises:
            MissingObjectError: there is none
            StorageError: the file cannot be read
        """
        return await asyncio.to_thread(self._read, bucket, key, start, length)

    async def list(self, bucket: str, prefix: str) -> Sequence[StoredObject]:
        """
        Return the objects whose keys begin with `prefix`, in the order of the keys' bytes.

        Source: Amazon S3 API, ListObjectsV2: keys are listed in UTF-8 binary order.

        Raises:
            MissingObjectError: there is no such bucket
            StorageError: a directory cannot be read
        """
        return await asyncio.to_thread(self._list, bucket, prefix)

    async def put(self, bucket: str, key: str, content: bytes) -> StoredObject:
        """
        Write an object: a reader sees the old content or the new, never a part.

        Raises:
            MissingObjectError: there is no such bucket
            StorageError: the file cannot be written
        """
        return await asyncio.to_thread(self._put, bucket, key, content)

    def _head(self, bucket: str, key: str) -> StoredObject | None:
        path = self._file(bucket, key)
        with _translated(bucket, key, verb="read"):
            return self._describe(path, key) if path.is_file() else None

    def _get(self, bucket: str, key: str) -> bytes:
        path = self._file(bucket, key)
        with _translated(bucket, key, verb="read"):
            return path.read_bytes()

    def _read(self, bucket: str, key: str, start: int, length: int) -> bytes:
        path = self._file(bucket, key)
        with _translated(bucket, key, verb="read"), path.open("rb") as file:
            file.seek(start)
            return file.read(length)

    def _list(self, bucket: str, prefix: str) -> Sequence[StoredObject]:
        home = self._existing_bucket(bucket)
        # Whole directories of the prefix need no look at their neighbours.
        folder = prefix.rpartition("/")[0]
        start = self._file(bucket, folder) if folder else home
        with _translated(bucket, prefix, verb="read"):
            found = [
                self._describe(path, key)
                for path, key in _walk(start, home)
                if key.startswith(prefix)
            ]
        return sorted(found, key=lambda item: item.key.encode())

    def _put(self, bucket: str, key: str, content: bytes) -> StoredObject:
        self._existing_bucket(bucket)
        path = self._file(bucket, key)
        with _translated(bucket, key, verb="written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._write_draft(content)
            try:
                draft.replace(path)
            except OSError:
                draft.unlink()
                raise
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return StoredObject(key, len(content), etag)

    def _write_draft(self, content: bytes) -> Path:
        folder = self._root / _DRAFTS
        folder.mkdir(exist_ok=True)
        while True:
            draft = folder / f"{os.getpid()}-{next(self._numbers)}"
            with suppress(FileExistsError), draft.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                return draft

    def _existing_bucket(self, bucket: str) -> Path:
        home = self._bucket(bucket)
        if not home.is_dir():
            msg = f"there is no bucket {bucket}: it would be the directory {home.as_posix()}"
            raise MissingObjectError(msg)
        return home

    def _bucket(self, bucket: str) -> Path:
        if not _BUCKET.fullmatch(bucket):
            msg = f"{bucket!r} is not the name of a bucket"
            raise InvalidKeyError(msg)
        return self._root / bucket

    def _file(self, bucket: str, key: str) -> Path:
        home = self._bucket(bucket)
        parts = key.split("/")
        if any(part in ("", ".", "..") for part in parts) or re.search(r"[\\:\0]", key):
            msg = f"the key {key!r} of bucket {bucket} has no place in a directory"
            raise InvalidKeyError(msg)
        path = home.joinpath(*parts)
        if not _inside(path, home):
            msg = f"the key {key!r} leads out of bucket {bucket} by a symbolic link"
            raise InvalidKeyError(msg)
        return path

    def _describe(self, path: Path, key: str) -> StoredObject:
        found = path.stat()
        state = (found.st_ino, found.st_size, found.st_mtime_ns)
        known = self._etags.get(path)
        if known is not None and known[0] == state:
            return StoredObject(key, found.st_size, known[1])
        # A file that was written a moment ago may be written again within the same tick of its
        # time stamp: its ETag is not remembered yet.
        settled = time.time_ns() - found.st_mtime_ns > _SETTLED_NS
        etag = _md5(path)
        if settled:
            self._etags[path] = (state, etag)
        return StoredObject(key, found.st_size, etag)


def _walk(start: Path, home: Path) -> Iterator[tuple[Path, str]]:
    for folder, _, names in os.walk(start, onerror=_reraise):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and _inside(path, home):
                yield path, path.relative_to(home).as_posix()


def _reraise(error: OSError) -> None:
    # A prefix without objects is an empty list.
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _inside(path: Path, home: Path) -> bool:
    return path.resolve().is_relative_to(home.resolve())


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@contextmanager
def _translated(bucket: str, key: str, *, verb: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        msg = f"there is no object s3://{bucket}/{key}"
        raise MissingObjectError(msg) from error
    except OSError as error:
        msg = f"s3://{bucket}/{key} cannot be {verb}: {error.strerror or error}"
        raise StorageError(msg) from error
