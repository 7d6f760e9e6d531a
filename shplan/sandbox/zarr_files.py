"""
A Zarr group in a bucket as bytes: metadata and chunks, within bounds, never a file outside.

What lies in a bucket was written by anybody: links may lead out of it, a file may have no end, a
folder may hold millions. Whatever passes a bound is refused with a cause, before it is read.
Source: the Zarr storage specification version 2.
"""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, cast

from shplan.sandbox.batch_paths import is_safe_key
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from pathlib import Path

    from shplan.sandbox.wire import JsonObject

# Our own bounds: the reference names none.
MAX_METADATA_BYTES = 1 << 20
MAX_ALL_METADATA_BYTES = 32 << 20
MAX_ENTRIES = 10_000
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
        root: directory of the buckets
        prefix: where the group lies in the bucket, with a slash at its end

    Raises:
        ZarrError: there is no such bucket or folder, or it lies somewhere else
    """

    def __init__(self, root: Path, bucket: str, prefix: str) -> None:
        self._left = MAX_ALL_METADATA_BYTES
        try:
            base = root.resolve()
            self._bucket = (base / bucket).resolve()
            # A bucket may be a link, but not to what lies outside of all buckets.
            is_name = bucket not in ("", ".", "..") and not set(bucket) & set("/\\\0")
            known = is_name and self._bucket.parent == base and self._bucket.is_dir()
        except (OSError, RuntimeError, ValueError):
            known = False
        if not known:
            msg = f"The bucket {told(bucket)} does not exist, or there is no permission to read it."
            raise ZarrError(msg)
        self._folder = self._bucket / prefix
        if not is_safe_key(prefix.removesuffix("/")) or not _is_folder(self._folder, self._bucket):
            msg = f"There is no folder {told(prefix)} in the bucket."
            raise ZarrError(msg)

    def arrays(self) -> list[str]:
        """
        Names of the folders that hold an array, in order; subgroups are none.

        Raises:
            ZarrError: too many entries to look through
        """
        names = []
        with os.scandir(self._folder) as entries:
            for number, entry in enumerate(entries):
                if number == MAX_ENTRIES:
                    msg = f"The group has more than {MAX_ENTRIES} files and folders."
                    raise ZarrError(msg)
                # Most entries that are no array are plain files, which need no second look.
                is_file = entry.is_file(follow_symlinks=False)
                if not is_file and self.has(f"{entry.name}/{ARRAY}"):
                    names.append(entry.name)
        return sorted(names)

    def has(self, key: str) -> bool:
        """Whether there is such a file in the group."""
        return self._size(key) is not None

    def metadata(self, key: str) -> JsonObject | None:
        """
        The JSON object of a metadata file; none if there is no such file.

        Writers print NaN and infinity without quotes, which is no JSON; they become texts.

        Raises:
            ZarrError: it is no JSON object, or too large
        """
        size = self._size(key)
        if size is None:
            return None
        if size > min(MAX_METADATA_BYTES, self._left):
            msg = f"The metadata in {told(key)} is too large."
            raise ZarrError(msg)
        self._left -= size
        content = self._read(key, limit=size)
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
        size = self._size(key)
        if size is None:
            return None
        if size > limit:
            msg = f"The chunk {told(key)} is larger than what it may hold."
            raise ZarrError(msg)
        return self._read(key, limit=limit)

    def _read(self, key: str, *, limit: int) -> bytes:
        try:
            with (self._folder / key).open("rb") as file:
                return file.read(limit)
        except OSError as error:
            msg = f"The file {told(key)} cannot be read."
            raise ZarrError(msg) from error

    def _size(self, key: str) -> int | None:
        """Size of a regular file inside the bucket; a pipe or device is none, nor is one outside."""
        try:
            place = (self._folder / key).resolve()
            status = place.stat()
        except (OSError, RuntimeError, ValueError):
            return None
        inside = place.is_relative_to(self._bucket)
        return status.st_size if inside and stat.S_ISREG(status.st_mode) else None


def _is_folder(folder: Path, bucket: Path) -> bool:
    try:
        return folder.is_dir() and folder.resolve().is_relative_to(bucket)
    except (OSError, RuntimeError, ValueError):
        return False
