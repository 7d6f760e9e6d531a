"""
Buckets whose refusals are told: what merely does without a file leaves a person knowing why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from shplan.core.errors import StorageError
from shplan.storage.port import MissingObjectError, StoredObject


class Inner(Protocol):
    """What is passed on to: any adapter of this room."""

    async def head(self, bucket: str, key: str) -> StoredObject | None:
        """Return size and ETag of an object, None where there is none."""
        ...

    async def get(self, bucket: str, key: str) -> bytes:
        """Return the content of an object."""
        ...

    async def read(self, bucket: str, key: str, *, start: int, length: int) -> bytes:
        """Return a part of an object."""
        ...

    async def list(self, bucket: str, prefix: str) -> Sequence[StoredObject]:
        """Return the objects whose keys begin with `prefix`."""
        ...

    async def put(self, bucket: str, key: str, content: bytes) -> StoredObject:
        """Write an object."""
        ...


class ToldStorage:
    """
    Passes every call on, and tells the first refusal of each bucket.

    Args:
        inner: the buckets
        tell: called with the bucket and the reason; an object that is not there is no refusal
    """

    def __init__(self, inner: Inner, tell: Callable[[str, str], None]) -> None:
        self._inner = inner
        self._tell = tell
        self._told: set[str] = set()

    async def head(self, bucket: str, key: str) -> StoredObject | None:
        """
        Return size and ETag of an object, None where there is none.

        Raises:
            StorageError: as the inner one
        """
        with self._telling(bucket):
            return await self._inner.head(bucket, key)

    async def get(self, bucket: str, key: str) -> bytes:
        """
        Return the content of an object.

        Raises:
            StorageError: as the inner one
        """
        with self._telling(bucket):
            return await self._inner.get(bucket, key)

    async def read(self, bucket: str, key: str, *, start: int, length: int) -> bytes:
        """
        Return a part of an object; less where the object ends before.

        Raises:
            StorageError: as the inner one
        """
        with self._telling(bucket):
            return await self._inner.read(bucket, key, start=start, length=length)

    async def list(self, bucket: str, prefix: str) -> Sequence[StoredObject]:
        """
        Return the objects whose keys begin with `prefix`.

        Raises:
            StorageError: as the inner one
        """
        with self._telling(bucket):
            return await self._inner.list(bucket, prefix)

    async def put(self, bucket: str, key: str, content: bytes) -> StoredObject:
        """
        Write an object.

        Raises:
            StorageError: as the inner one
        """
        with self._telling(bucket):
            return await self._inner.put(bucket, key, content)

    @contextmanager
    def _telling(self, bucket: str) -> Iterator[None]:
        try:
            yield
        except MissingObjectError:
            raise
        except StorageError as error:
            if bucket not in self._told:
                self._told.add(bucket)
                self._tell(bucket, str(error))
            raise
