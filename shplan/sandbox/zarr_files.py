"""
A Zarr group in a bucket as bytes: metadata and chunks, within bounds, never a file outside.

What lies in a bucket was written by anybody: links may lead out of it, a file may have no end, a
folder may hold millions. Whatever passes a bound is refused with a cause, before it is read.
Source: the Zarr storage specification version 2.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from shplan.sandbox.batch_paths import is_safe_key
from shplan.sandbox.bucket_files import UnreadableError
from shplan.sandbox.objects import ObjectStoreError
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from shplan.sandbox.bucket_files import BucketFile
    from shplan.sandbox.storage import Storage
    from shplan.sandbox.wire import JsonObject

# Our own bounds: the reference names none.
MAX_METADATA_BYTES = 1 << 20
MAX_ALL_METADATA_BYTES = 32 << 20
GROUP, ARRAY, ATTRIBUTES = ".zgroup", ".zarray", ".zattrs"


class ZarrError(Exception):
    """Why a group, or an array of it, cannot be ingested, in words for its owner."""


def told(name: str) -> str:
    """A name that somebody chose, fit for a message: short, and text in any case."""
    return name.encode("utf-8", "backslashreplace").decode()[:100]


class GroupFiles:
    """
    The files of one group.

    Args:
        prefix: where the group lies in the bucket, with a slash at its end

    Raises:
        ZarrError: there is no such bucket or folder, or it lies somewhere else
    """

    def __init__(self, storage: Storage, bucket: str, prefix: str) -> None:
        self._left = MAX_ALL_METADATA_BYTES
        self._prefix = prefix
        try:
            self._bucket = storage.bucket(bucket)
            self._bucket.check()
        except ObjectStoreError as error:
            if error.status not in (403, 404):
                raise ZarrError(error.message) from error
            msg = f"The bucket {told(bucket)} does not exist, or there is no permission to read it."
            raise ZarrError(msg) from error
        if not is_safe_key(prefix.removesuffix("/")) or not self._is_folder():
            msg = f"There is no folder {told(prefix)} in the bucket."
            raise ZarrError(msg)

    def _is_folder(self) -> bool:
        try:
            return self._bucket.has_folder(self._prefix)
        except ObjectStoreError as error:
            if error.status == 403:
                return False
            raise ZarrError(error.message) from error

    def arrays(self) -> list[str]:
        """
        Names of the folders that hold an array, in order; subgroups are none.

        Raises:
            ZarrError: too many entries to look through
        """
        try:
            folders = self._bucket.folders(self._prefix)
        except ObjectStoreError as error:
            raise ZarrError(error.message) from error
        return [name for name in folders if self.has(f"{name}/{ARRAY}")]

    def has(self, key: str) -> bool:
        """Whether there is such a file in the group."""
        return self._find(key) is not None

    def metadata(self, key: str) -> JsonObject | None:
        """
        The JSON object of a metadata file; none if there is no such file.

        Writers print NaN and infinity without quotes, which is no JSON; they become texts.

        Raises:
            ZarrError: it is no JSON object, or too large
        """
        limit = min(MAX_METADATA_BYTES, self._left)
        content = self._read(key, limit=limit)
        if content is None:
            return None
        if len(content) > limit:
            msg = f"The metadata in {told(key)} is too large."
            raise ZarrError(msg)
        self._left -= len(content)
        try:
            value = json.loads(content, parse_constant=str)
            # Also what JSON can say and not print again: numbers without bound, half characters.
            encode(value).encode()
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            msg = f"The metadata in {told(key)} is not a JSON object."
            raise ZarrError(msg)
        return cast("JsonObject", value)

    def chunk(self, key: str, *, limit: int) -> bytes | None:
        """
        The stored bytes of a chunk; none if it was never written.

        Raises:
            ZarrError: it is larger than `limit`
        """
        content = self._read(key, limit=limit)
        if content is not None and len(content) > limit:
            msg = f"The chunk {told(key)} is larger than what it may hold."
            raise ZarrError(msg)
        return content

    def _read(self, key: str, *, limit: int) -> bytes | None:
        """What a file holds, or one byte more than the limit; none: there is no such file."""
        file = self._find(key)
        if file is None:
            return None
        try:
            with file.opened() as (content, _):
                return content.read(limit + 1)
        except UnreadableError as error:
            raise ZarrError(str(error)) from error
        except OSError as error:
            msg = f"The file {told(key)} cannot be read."
            raise ZarrError(msg) from error

    def _find(self, key: str) -> BucketFile | None:
        """A file of the group; a pipe or device is none, nor is one outside of all buckets."""
        try:
            return self._bucket.find(self._prefix + key)
        except ObjectStoreError as error:
            if error.status in (400, 403, 404):
                return None
            raise ZarrError(error.message) from error
