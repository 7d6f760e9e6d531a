"""
Objects in the bucket directories: keys to files, listings, entity tags, writing in one step.

An object is a file; folders are what its key's slashes make. So a bucket cannot hold both `a` and
`a/b`, as a store of objects could.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shplan.sandbox.batch_paths import is_safe_key

if TYPE_CHECKING:
    from pathlib import Path


class ObjectStoreError(Exception):
    """
    A refusal of the object store.

    Args:
        code: the store's word for it, e.g. `NoSuchKey`
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a listing; time in nanoseconds since 1970."""

    key: str
    size: int
    modified_ns: int


class Objects:
    """
    The buckets below one directory.

    Args:
        root: directory of the buckets
        scratch: directory on the same disk for files that are not complete yet
    """

    def __init__(self, root: Path, *, scratch: Path) -> None:
        self._root = root
        self._scratch = scratch
        self._digests: dict[tuple[str, int, int], str] = {}

    def buckets(self) -> list[str]:
        """Names of all buckets, in order."""
        return sorted(entry.name for entry in self._root.iterdir() if entry.is_dir())

    def has_bucket(self, bucket: str) -> bool:
        """Whether there is such a bucket."""
        return _is_name(bucket) and (self._root / bucket).is_dir()

    def make_bucket(self, bucket: str) -> None:
        """
        Make a bucket; one that is there stays as it is.

        Raises:
            ObjectStoreError: 400, it cannot have this name
        """
        if not _is_name(bucket):
            raise ObjectStoreError(400, "InvalidBucketName", "The bucket's name is not valid.")
        try:
            (self._root / bucket).mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise ObjectStoreError(400, "InvalidBucketName", str(error)) from error

    def path(self, bucket: str, key: str) -> Path:
        """
        The file of a key, which may not exist.

        Raises:
            ObjectStoreError: 404, no such bucket; 400, a key that could lead out of it
        """
        if not self.has_bucket(bucket):
            raise ObjectStoreError(404, "NoSuchBucket", "The bucket does not exist.")
        if not is_safe_key(key):
            raise ObjectStoreError(400, "InvalidArgument", "The key is not safe as a path.")
        return self._root / bucket / key

    def find(self, bucket: str, key: str) -> Path:
        """
        The file of an object.

        Raises:
            ObjectStoreError: as `path`, and 404 if there is no such object
        """
        # What ends in a slash is a folder, of which a store of objects knows nothing.
        path = self.path(bucket, key.removesuffix("/"))
        try:
            found = path.is_file() and not key.endswith("/")
        except OSError:
            found = False
        if not found:
            raise ObjectStoreError(404, "NoSuchKey", "The key does not exist.")
        return path

    def exists(self, bucket: str, key: str) -> bool:
        """Whether there is such an object."""
        try:
            self.find(bucket, key)
        except ObjectStoreError:
            return False
        return True

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """
        Write an object in one step: it has the old content or the new, never a part.

        Raises:
            ObjectStoreError: as `path`, and 400 if a file stands where a folder must be
        """
        path = self.path(bucket, key)
        scratch = self._scratch / f".object.{os.getpid()}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_bytes(content)
            scratch.replace(path)
        except OSError as error:
            msg = "An object and a folder would have one name, or the key is too long."
            raise ObjectStoreError(400, "InvalidRequest", msg) from error

    def list(self, bucket: str, prefix: str = "") -> list[Entry]:
        """
        The objects whose keys begin with a prefix, in the order of their bytes.

        Raises:
            ObjectStoreError: 404, no such bucket
        """
        if not self.has_bucket(bucket):
            raise ObjectStoreError(404, "NoSuchBucket", "The bucket does not exist.")
        folder = prefix.rpartition("/")[0]
        if folder and not is_safe_key(folder):
            return []
        base = self._root / bucket
        found = []
        for place, _, names in os.walk(base / folder if folder else base, followlinks=True):
            inner = os.path.relpath(place, base).replace(os.sep, "/")
            for name in names:
                key = name if inner == "." else f"{inner}/{name}"
                if key.startswith(prefix) and (entry := _entry(base / key, key)):
                    found.append(entry)
        return sorted(found, key=lambda entry: entry.key.encode("utf-8", "surrogateescape"))

    def digest(self, path: Path) -> str:
        """MD5 of a file, which is its entity tag; computed once for each state of the file."""
        status = path.stat()
        mark = (str(path), status.st_mtime_ns, status.st_size)
        if mark not in self._digests:
            with path.open("rb") as file:
                self._digests[mark] = hashlib.file_digest(file, _md5).hexdigest()
        return self._digests[mark]


def _entry(path: Path, key: str) -> Entry | None:
    try:
        status = path.stat()
    except OSError:  # gone meanwhile, or a link that leads nowhere
        return None
    return Entry(key, status.st_size, status.st_mtime_ns)


def _md5() -> hashlib._Hash:
    # The store's entity tag, nothing that has to be secure.
    return hashlib.md5(usedforsecurity=False)


def _is_name(bucket: str) -> bool:
    return bucket not in ("", ".", "..") and not set(bucket) & set("/\\\0")
