"""
What a bucket hands out, and how it says no.

The port itself is the engine's `Storage`; an adapter fulfils it by shape. Buckets and keys are
those of S3, wherever they really lie.
"""

from __future__ import annotations

from dataclasses import dataclass

from shplan.core.errors import StorageError


@dataclass(frozen=True, slots=True)
class StoredObject:
    """
    One object in a bucket.

    Args:
        key: with forward slashes, without one at its beginning
        size_bytes: of its content
        etag: without quotes; changes when the content does
    """

    key: str
    size_bytes: int
    etag: str


class MissingObjectError(StorageError):
    """The bucket or the object does not exist."""


class MissingBucketError(MissingObjectError):
    """The bucket does not exist."""


class ConditionError(StorageError):
    """The object is not, or not any more, what a conditional write expects: nothing was written."""


class UnansweredError(StorageError):
    """Nobody answers, or says only that it cannot now: the same request may succeed a moment later."""


class InvalidKeyError(StorageError):
    """A bucket or a key that this storage cannot hold, or that leads out of its bucket."""
