"""
Buckets: each is a directory of the sandbox, or lies behind an endpoint of S3, and who reads or writes need not know.

One port for both: find, list, put. A directory goes before what is called the same elsewhere. Whatever asks an
endpoint takes its time, so that it is asked in threads only; `Storage.is_far` tells without asking.
"""

from __future__ import annotations

import glob
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shplan.sandbox.bucket_files import LocalFile, UnreadableError
from shplan.sandbox.objects import Objects, ObjectStoreError
from shplan.sandbox.remote_buckets import DeniedError, NoBucketError
from shplan.sandbox.scratch import scratch_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from shplan.sandbox.batch_paths import Place
    from shplan.sandbox.bucket_files import BucketFile
    from shplan.sandbox.remote_buckets import RemoteBuckets

NO_BUCKET, NO_KEY = "NoSuchBucket", "NoSuchKey"
# Our own bounds: of a file that is needed whole on disk, and of folders that are looked through.
MOST_FETCHED_BYTES = 1 << 30
MOST_ENTRIES = 10_000
_PIECE_BYTES = 1 << 22


class Bucket(Protocol):
    """One bucket; every method raises `ObjectStoreError` if it is not there or refuses."""

    def check(self) -> None:
        """Do nothing if it is there."""

    def find(self, key: str) -> BucketFile | None:
        """The file of a key; folders, pipes and the like are no files, whatever they are called."""

    def like(self, parts: Sequence[str], ending: str) -> list[str]:
        """Keys in order, those among them that may have something between the parts of a template."""

    def present(self, keys: Sequence[str]) -> set[str]:
        """Those among some keys of which there is a file."""

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with a prefix, one after the other."""

    def has_folder(self, prefix: str) -> bool:
        """Whether there is a folder, named with a slash at its end."""

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders right below a folder, in order; whatever a link leads to may be one."""

    def put(self, key: str, content: bytes) -> None:
        """Write a file in one step: it has the old content or the new, never a part."""


@dataclass(frozen=True, slots=True)
class NearBucket:
    """A directory of the sandbox."""

    objects: Objects
    name: str

    def check(self) -> None:
        """As in `Bucket`."""
        if not self.objects.has_bucket(self.name):
            raise no_bucket()

    def find(self, key: str) -> BucketFile | None:
        """As in `Bucket`."""
        try:
            # What is not there at all needs no look at every folder above it.
            is_file = os.path.isfile(self.objects.root / self.name / key)  # noqa: PTH113
        except ValueError:
            return None
        return LocalFile(self.objects.find(self.name, key)) if is_file else None

    def like(self, parts: Sequence[str], ending: str) -> list[str]:
        """As in `Bucket`."""
        pattern = "*".join(map(glob.escape, parts)) + ending
        return sorted(glob.glob(pattern, root_dir=self.objects.root / self.name))  # noqa: PTH207

    def present(self, keys: Sequence[str]) -> set[str]:
        """As in `Bucket`."""
        return {key for key in keys if self.objects.exists(self.name, key)}

    def keys(self, prefix: str) -> Iterator[str]:
        """As in `Bucket`."""
        return (entry.key for entry in self.objects.list(self.name, prefix))

    def has_folder(self, prefix: str) -> bool:
        """As in `Bucket`."""
        return self.objects.path(self.name, prefix.removesuffix("/")).is_dir()

    def folders(self, prefix: str) -> list[str]:
        """As in `Bucket`."""
        folder = self.objects.path(self.name, prefix.removesuffix("/"))
        names = []
        try:
            with os.scandir(folder) as entries:
                for number, entry in enumerate(entries):
                    if number == MOST_ENTRIES:
                        raise _too_many(prefix)
                    if not entry.is_file(follow_symlinks=False):
                        names.append(entry.name)
        except OSError as error:
            raise ObjectStoreError(404, NO_KEY, "There is no such folder.") from error
        return sorted(names)

    def put(self, key: str, content: bytes) -> None:
        """As in `Bucket`."""
        self.objects.write(self.name, key, content)


@dataclass(frozen=True, slots=True)
class FarBucket:
    """A bucket behind an endpoint."""

    remote: RemoteBuckets
    name: str

    def check(self) -> None:
        """As in `Bucket`."""
        with _translated():
            self.remote.check(self.name)

    def find(self, key: str) -> BucketFile | None:
        """As in `Bucket`."""
        with _translated():
            return self.remote.find(self.name, key)

    def like(self, parts: Sequence[str], ending: str) -> list[str]:
        """As in `Bucket`."""
        del ending
        with _translated():
            return self.remote.keys(self.name, parts[0])

    def present(self, keys: Sequence[str]) -> set[str]:
        """As in `Bucket`."""
        with _translated():
            return self.remote.present(self.name, keys)

    def keys(self, prefix: str) -> Iterator[str]:
        """As in `Bucket`."""
        with _translated():
            yield from self.remote.listing(self.name, prefix)

    def has_folder(self, prefix: str) -> bool:
        """As in `Bucket`."""
        with _translated():
            return self.remote.has_any(self.name, prefix)

    def folders(self, prefix: str) -> list[str]:
        """As in `Bucket`."""
        with _translated():
            return self.remote.folders(self.name, prefix)

    def put(self, key: str, content: bytes) -> None:
        """As in `Bucket`."""
        with _translated():
            self.remote.put(self.name, key, content)


@dataclass(frozen=True, slots=True)
class Storage:
    """
    All buckets there are, for any thread.

    Args:
        remote: where a bucket may be that is no directory; none: nowhere
        makes_buckets: whether what is written to a bucket that is nowhere makes a directory of it
    """

    objects: Objects
    remote: RemoteBuckets | None = None
    makes_buckets: bool = False

    def is_far(self, bucket: str) -> bool:
        """Whether only an endpoint can tell of a bucket; nobody is asked."""
        if self.remote is None or not self.remote.is_asked_for(bucket):
            return False
        try:
            self.objects.bucket(bucket)
        except ObjectStoreError as error:
            # A link that leads out is refused, and nobody else is asked for what it is called.
            return error.code == NO_BUCKET
        return False

    def bucket(self, name: str) -> Bucket:
        """
        A bucket; one behind an endpoint may still turn out not to be there.

        Raises:
            ObjectStoreError: there is no such bucket, or a link leads out of it
        """
        if self.is_far(name):
            assert self.remote is not None  # as it was asked
            return FarBucket(self.remote, name)
        # Tells a link that leads out from what is not there.
        self.objects.bucket(name)
        return NearBucket(self.objects, name)

    def find(self, place: Place) -> BucketFile:
        """
        The file at a place.

        Raises:
            ObjectStoreError: there is none, or it is refused
        """
        bucket = self.bucket(place.bucket)
        file = bucket.find(place.key)
        if file is None:
            raise ObjectStoreError(404, NO_KEY, "The key does not exist.")
        return file

    def put(self, place: Place, content: bytes) -> None:
        """
        Write a file into a bucket, which is made if that is wanted and it is nowhere.

        Raises:
            ObjectStoreError: the bucket is not there, or cannot take it
        """
        try:
            self.bucket(place.bucket).put(place.key, content)
        except ObjectStoreError as error:
            if error.code != NO_BUCKET or not self.makes_buckets:
                raise
            self.objects.make_bucket(place.bucket)
            self.objects.write(place.bucket, place.key, content)

    def check_writable(self, bucket: str) -> None:
        """
        Do nothing if results can go to a bucket, as far as that can be told without writing.

        Raises:
            ObjectStoreError: they cannot
        """
        try:
            self.bucket(bucket).check()
        except ObjectStoreError as error:
            if error.code != NO_BUCKET or not self.makes_buckets:
                raise

    @contextmanager
    def on_disk(self, place: Place) -> Iterator[Path]:
        """
        The file at a place as a path, for those who need it whole; it is not to be written to.

        Raises:
            ObjectStoreError: there is none, it cannot be read, or it is too large to be fetched
        """
        file = self.find(place)
        if isinstance(file, LocalFile):
            yield file.path
            return
        copy, path = scratch_file(self.objects.scratch, "fetched")
        try:
            with copy, _translated(), file.opened() as (content, size):
                if size > MOST_FETCHED_BYTES:
                    msg = f"The file has more than {MOST_FETCHED_BYTES:,} bytes."
                    raise ObjectStoreError(400, "EntityTooLarge", msg)
                while piece := content.read(_PIECE_BYTES):
                    copy.write(piece)
            yield path
        finally:
            path.unlink(missing_ok=True)


def no_bucket() -> ObjectStoreError:
    """There is no such bucket."""
    return ObjectStoreError(404, NO_BUCKET, "The bucket does not exist.")


def _too_many(prefix: str) -> ObjectStoreError:
    msg = f"There are more than {MOST_ENTRIES:,} files and folders below {prefix}."
    return ObjectStoreError(400, "InvalidRequest", msg)


@contextmanager
def _translated() -> Iterator[None]:
    """Tell what an endpoint refuses as a directory would."""
    try:
        yield
    except NoBucketError as error:
        raise no_bucket() from error
    except DeniedError as error:
        raise ObjectStoreError(403, "AccessDenied", str(error)) from error
    except UnreadableError as error:
        raise ObjectStoreError(503, "ServiceUnavailable", str(error)) from error
