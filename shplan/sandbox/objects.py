"""
Objects in the bucket directories: keys to files, listings, entity tags, writing in one step.

An object is a file; folders are what its key's slashes make. So a bucket cannot hold both `a` and
`a/b`, as a store of objects could. Whether a key names a file of the buckets and nothing else is
decided here, in `enclosed`, for everybody: symbolic links are followed only to what lies below the
directory of the buckets too (which may itself be reached by one).
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from shplan.sandbox.batch_paths import is_safe_key
from shplan.sandbox.scratch import scratch_file


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


LEADS_OUT = "The path leads out of the sandbox's buckets by a symbolic link, which is not followed."


def enclosed(root: Path, bucket: str, key: str) -> Path:
    """
    The file of a key in a bucket, or the bucket itself for an empty key; it may not exist.

    Args:
        root: directory of the buckets

    Raises:
        ObjectStoreError: 404, no such bucket; 400, a key that could lead out of it; 403, a link that does
    """
    # Not `Path.is_dir`: a name that is too long for the file system is no bucket either.
    if not is_bucket_name(bucket) or not os.path.isdir(root / bucket):  # noqa: PTH112
        raise ObjectStoreError(404, "NoSuchBucket", "The bucket does not exist.")
    if not is_safe_key(key, empty=True):
        raise ObjectStoreError(400, "InvalidArgument", "The key is not safe as a path.")
    path = root / bucket / key
    if not _is_below(path, root):
        raise ObjectStoreError(403, "AccessDenied", LEADS_OUT)
    return path


def _is_below(path: Path, root: Path) -> bool:
    """Whether the path leads below the root, all links followed; whatever of it exists."""
    return os.path.realpath(path).startswith(os.path.realpath(root) + os.sep)


def _followed(root: Path, place: Path, folders: list[str]) -> list[str]:
    """The folders in which a listing looks: of links, those that lead to no other; circles end."""
    # Where a link was followed already, the place is not what it is called.
    called = Path(os.path.realpath(root), place.relative_to(root))
    is_linked = os.path.realpath(place) != str(called)
    return [
        name
        for name in folders
        if not (place / name).is_symlink() or (not is_linked and _is_below(place / name, root))
    ]


def is_bucket_name(name: str) -> bool:
    """Whether the name is one step of a path, and neither this directory nor the one above."""
    return is_safe_key(name) and "/" not in name


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a listing; time in nanoseconds since 1970."""

    key: str
    size: int
    modified_ns: int


class Upload:
    """
    A file that is not complete yet; closing it forgets it, unless it was moved to its place.

    While it is open it is locked, so that who cleans up after a process that died can tell.
    """

    def __init__(self, scratch: Path) -> None:
        self._file, self._path = scratch_file(scratch, "object")
        self._digest = _md5()
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def write(self, piece: bytes) -> None:
        """Add a piece at the end."""
        self._file.write(piece)
        self._digest.update(piece)
        self.size += len(piece)

    @property
    def digest(self) -> str:
        """MD5 of what was written."""
        return self._digest.hexdigest()

    def move_to(self, path: Path) -> None:
        """Put it into its place, where it replaces what is there."""
        self._file.flush()
        self._path.replace(path)


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

    @property
    def root(self) -> Path:
        """Directory of the buckets."""
        return self._root

    @property
    def scratch(self) -> Path:
        """Directory for files that are not complete yet."""
        return self._scratch

    def bucket(self, name: str) -> Path:
        """
        The directory of a bucket.

        Raises:
            ObjectStoreError: as `enclosed`
        """
        return enclosed(self._root, name, "")

    def buckets(self) -> list[str]:
        """Names of all buckets, in order."""
        return sorted(entry.name for entry in self._root.iterdir() if self.has_bucket(entry.name))

    def has_bucket(self, bucket: str) -> bool:
        """Whether there is such a bucket."""
        try:
            enclosed(self._root, bucket, "")
        except ObjectStoreError:
            return False
        return True

    def make_bucket(self, bucket: str) -> None:
        """
        Make a bucket; one that is there stays as it is.

        Raises:
            ObjectStoreError: 400, it cannot have this name
        """
        if not is_bucket_name(bucket):
            raise ObjectStoreError(400, "InvalidBucketName", "The bucket's name is not valid.")
        try:
            (self._root / bucket).mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            msg = "A file has the bucket's name, or the name is too long."
            raise ObjectStoreError(400, "InvalidBucketName", msg) from error

    def path(self, bucket: str, key: str) -> Path:
        """
        The file of a key, which may not exist.

        Raises:
            ObjectStoreError: as `enclosed`
        """
        if not key:
            raise ObjectStoreError(400, "InvalidArgument", "The key is empty.")
        return enclosed(self._root, bucket, key)

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
            # What is not there at all needs no look at every folder above it: an analysis asks for
            # a file of each of its features.
            os.stat(f"{self._root}/{bucket}/{key}")  # noqa: PTH116 a Path costs more than the look
            self.find(bucket, key)
        except (ObjectStoreError, OSError, ValueError):
            return False
        return True

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """
        Write an object in one step: it has the old content or the new, never a part.

        Raises:
            ObjectStoreError: as `path`, and 400 if a file stands where a folder must be
        """
        with self.upload() as upload:
            upload.write(content)
            self.keep(upload, bucket, key)

    def upload(self) -> Upload:
        """An object that arrives piece by piece; it is nowhere until it is kept."""
        return Upload(self._scratch)

    def keep(self, upload: Upload, bucket: str, key: str) -> str:
        """
        Make an upload the object of a key in one step; returns its entity tag.

        Raises:
            ObjectStoreError: as `write`
        """
        path = self.path(bucket, key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            upload.move_to(path)
        except OSError as error:
            msg = "An object and a folder would have one name, or the key is too long."
            raise ObjectStoreError(400, "InvalidRequest", msg) from error
        return upload.digest

    def list(self, bucket: str, prefix: str = "") -> list[Entry]:
        """
        The objects whose keys begin with a prefix, in the order of their bytes.

        Raises:
            ObjectStoreError: as `enclosed` for the bucket
        """
        base = enclosed(self._root, bucket, "")
        folder = prefix.rpartition("/")[0]
        if not is_safe_key(folder, empty=True) or not _is_below(base / folder, self._root):
            return []
        found = []
        for place, folders, names in os.walk(base / folder, followlinks=True):
            folders[:] = _followed(self._root, Path(place), folders)
            inner = os.path.relpath(place, base).replace(os.sep, "/")
            for name in names:
                key = name if inner == "." else f"{inner}/{name}"
                if key.startswith(prefix) and (entry := self._entry(base / key, key)):
                    found.append(entry)
        return sorted(found, key=lambda entry: entry.key.encode("utf-8", "surrogateescape"))

    def _entry(self, path: Path, key: str) -> Entry | None:
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):  # a pipe would never end
                return None
            if path.is_symlink() and not _is_below(path, self._root):
                return None
        except OSError:  # gone meanwhile, or a link that leads nowhere
            return None
        return Entry(key, status.st_size, status.st_mtime_ns)

    def digest(self, path: Path) -> str:
        """MD5 of a file, which is its entity tag; computed once for each state of the file."""
        status = path.stat()
        mark = (str(path), status.st_mtime_ns, status.st_size)
        if mark not in self._digests:
            with path.open("rb") as file:
                self._digests[mark] = hashlib.file_digest(file, _md5).hexdigest()
        return self._digests[mark]


def _md5() -> hashlib._Hash:
    # The store's entity tag, nothing that has to be secure.
    return hashlib.md5(usedforsecurity=False)
