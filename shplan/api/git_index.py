"""
Which files Git tracks: the names in a repository's index.

Read rather than asked of `git`, which may run what a repository's own configuration names.
Source: Git's documentation, gitformat-index, versions 2 to 4.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MOST_BYTES: Final = 1 << 28
_MOST_REDIRECT_BYTES: Final = 1 << 12
_HEADER: Final = struct.Struct(">4sII")
# Times, device, inode, mode, owner, size; then the name of the content and the flags.
_BEFORE_NAME: Final = 40
_HASHES: Final = (20, 32)
_EXTENDED: Final = 0x4000
_PREFIXED_VERSION: Final = 4
_VERSIONS: Final = (2, 3, 4)
_AS_THEY_ARE: Final = (b"DIRC\0\0\0\2", b"DIRC\0\0\0\3")


class UnreadableIndexError(ValueError):
    """The file is no index that this module understands."""


def is_tracked(path: Path) -> bool:
    """
    Tell whether the index of the nearest repository around a file names it.

    Args:
        path: absolute, without symbolic links

    Raises:
        UnreadableIndexError: there is a repository, and its index cannot be understood
    """
    name, content = _index_around(path)
    return bool(content) and name in set(names(content))


def tracks_below(directory: Path) -> bool:
    """
    Tell whether the index of the nearest repository around a directory names a file in it.

    Args:
        directory: absolute, without symbolic links

    Raises:
        UnreadableIndexError: there is a repository, and its index cannot be understood
    """
    name, content = _index_around(directory)
    prefix = name + b"/"
    # In the forms that are usual every name stands as it is, and looking is much cheaper than reading.
    if not content or (content[:8] in _AS_THEY_ARE and prefix not in content):
        return False
    return any(one.startswith(prefix) for one in names(content))


def _index_around(path: Path) -> tuple[bytes, bytes]:
    """Return the name of a path in the nearest repository, and its index, empty where there is none."""
    for directory in path.parents:
        index = _index_of(directory)
        if index is None:
            continue
        if not index.is_file():
            break
        if index.stat().st_size > _MOST_BYTES:
            message = "its index is too large"
            raise UnreadableIndexError(message)
        return os.fsencode(path.relative_to(directory).as_posix()), index.read_bytes()
    return b"", b""


def names(content: bytes) -> Iterator[bytes]:
    """
    Yield the path of every entry, relative to the work tree.

    Raises:
        UnreadableIndexError: it is damaged, or of a version that is not known
    """
    for size in _HASHES:
        try:
            yield from list(_names(content, size))
        except (struct.error, IndexError, ValueError):
            continue
        return
    message = "its index is of no known form"
    raise UnreadableIndexError(message)


def _index_of(directory: Path) -> Path | None:
    """Return where the index of a work tree's root lies, None where this is no such root."""
    git = directory / ".git"
    if git.is_dir():
        return git / "index"
    if git.is_file():
        # A work tree beside the first one, or a submodule.
        with git.open("rb") as stream:
            text = stream.read(_MOST_REDIRECT_BYTES)
        kind, _, place = os.fsdecode(text).strip().partition(":")
        if kind == "gitdir":
            return directory / place.strip() / "index"
    return None


def _names(content: bytes, hash_size: int) -> Iterator[bytes]:
    signature, version, count = _HEADER.unpack_from(content)
    if signature != b"DIRC" or version not in _VERSIONS:
        message = "no index"
        raise ValueError(message)
    at = _HEADER.size
    name = b""
    for _ in range(count):
        begin = at
        at += _BEFORE_NAME + hash_size
        (flags,) = struct.unpack_from(">H", content, at)
        at += 4 if flags & _EXTENDED else 2
        if version == _PREFIXED_VERSION:
            dropped, at = _offset(content, at)
            end = content.index(b"\0", at)
            name = name[: len(name) - dropped] + content[at:end]
            at = end + 1
        else:
            end = content.index(b"\0", at)
            name = content[at:end]
            # Filled up with one to eight zeros to a multiple of eight.
            at = begin + (end - begin + 8) // 8 * 8
        if flags & 0x0FFF not in (len(name), 0x0FFF):
            message = "a name of another length"
            raise ValueError(message)
        yield name
    # Most names of a split index stand in another file.
    if content[at : at + 4] == b"link":
        message = "a part of an index"
        raise ValueError(message)


def _offset(content: bytes, at: int) -> tuple[int, int]:
    """Read a number as packs write offsets: seven bits a byte, each continued one adding one."""
    byte = content[at]
    value = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = content[at]
        value = ((value + 1) << 7) | (byte & 0x7F)
    return value, at + 1
