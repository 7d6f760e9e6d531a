"""
Buckets that are not read: whoever asks is told why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from shplan.core.errors import StorageError
from shplan.storage.port import StoredObject


class ClosedStorage:
    """
    Every call is refused.

    Args:
        why: said each time, after the name of what was asked for
    """

    def __init__(self, why: str) -> None:
        self._why = why

    async def head(self, bucket: str, key: str) -> StoredObject | None:
        """
        Refuse.

        Raises:
            StorageError: always
        """
        self._refuse(bucket, key)

    async def get(self, bucket: str, key: str) -> bytes:
        """
        Refuse.

        Raises:
            StorageError: always
        """
        self._refuse(bucket, key)

    async def read(self, bucket: str, key: str, *, start: int, length: int) -> bytes:
        """
        Refuse.

        Raises:
            StorageError: always
        """
        del start, length
        self._refuse(bucket, key)

    async def list(self, bucket: str, prefix: str) -> Sequence[StoredObject]:
        """
        Refuse.

        Raises:
            StorageError: always
        """
        self._refuse(bucket, prefix)

    async def put(self, bucket: str, key: str, content: bytes) -> StoredObject:
        """
        Refuse.

        Raises:
            StorageError: always
        """
        self._refuse(bucket, key, verb="written")

    def _refuse(self, bucket: str, key: str, *, verb: str = "read") -> NoReturn:
        msg = f"s3://{bucket}/{key} cannot be {verb}: {self._why}"
        raise StorageError(msg)
