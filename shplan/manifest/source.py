"""
The files of a project: where they are, what they hold, and nothing outside the project.

Everything that the manifest room reads passes through one `Reader`, and every file read is
remembered with its digest, so that a plan can say what it was computed from.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

PROJECT_FILE = "shplan.yaml"
# Files that are held in memory; tables are read in pieces.
MAX_BYTES = 256 << 20
_SUFFIXES = (".yaml", ".yml")
# Tests of evalscripts, which may stand beside manifests.
_TESTS = (".test.yaml", ".test.yml")


class FileError(Exception):
    """A file cannot be used; the message is a sentence without the path."""


class Reader(Protocol):
    """What the manifest room needs of a disk."""

    def open(self, path: Path) -> BinaryIO:
        """Open a file for reading bytes."""
        ...


class DiskReader:
    """Reads the disk."""

    def open(self, path: Path) -> BinaryIO:
        """Open a file for reading bytes; a pipe or a device would keep us waiting for ever."""
        # What it is may change between a look and the opening: so it is opened first, without waiting.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        stream = open(os.open(path, flags), "rb")  # noqa: SIM115, PTH123 - handed out
        mode = os.fstat(stream.fileno()).st_mode
        if stat.S_ISREG(mode):
            return stream
        stream.close()
        raise OSError(errno.EINVAL, "it is no regular file")


@dataclass(frozen=True, slots=True)
class Found:
    """One manifest file: its place on the disk and its path relative to the project."""

    path: Path
    relative: str


class Files:
    """The files of one project, read through one reader and remembered by digest."""

    def __init__(self, root: Path, reader: Reader) -> None:
        self.root = root
        self._real_root = root.resolve()
        self._reader = reader
        self.digests: dict[str, str] = {}

    def relative(self, path: Path) -> str:
        """Return the path below the project with forward slashes, for messages."""
        return Path(os.path.relpath(path, self.root)).as_posix()

    def locate(self, text: str, *, base: Path) -> Path:
        """
        Return the place of a file that a manifest names.

        Args:
            text: as written, relative to `base`
            base: the directory of the manifest

        Raises:
            FileError: outside the project, absent, or not a file
        """
        path = self.inside(text, base=base)
        if path.is_dir():
            msg = "is a directory"
            raise FileError(msg)
        if not path.exists():
            msg = "does not exist"
            raise FileError(msg)
        return path

    def inside(self, text: str, *, base: Path) -> Path:
        """
        Return a path that is known to lie inside the project, links followed.

        Raises:
            FileError: it does not, or the text is no path
        """
        if not text or "\0" in text or len(text) > 4096 or max(map(len, text.split("/"))) > 255:
            msg = "is no path"
            raise FileError(msg)
        path = Path(os.path.normpath(base / text))
        try:
            real = path.resolve(strict=False)
        except (OSError, RuntimeError) as error:
            msg = "is a link that leads back to itself"
            raise FileError(msg) from error
        if Path(text).is_absolute() or not real.is_relative_to(self._real_root):
            msg = "lies outside the project"
            raise FileError(msg)
        return path

    def read(self, path: Path) -> bytes:
        """
        Read a file whole and remember its digest.

        Raises:
            FileError: it cannot be read
        """
        try:
            with self._reader.open(path) as stream:
                content = stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise FileError(_os_reason(error)) from error
        if len(content) > MAX_BYTES:
            msg = f"is larger than {MAX_BYTES >> 20} MB, more than is read whole"
            raise FileError(msg)
        self.digests[self.relative(path)] = hashlib.sha256(content).hexdigest()
        return content

    def read_text(self, path: Path) -> str:
        """
        Read a UTF-8 text without its byte order mark.

        Raises:
            FileError: it cannot be read or is not UTF-8
        """
        return decode(self.read(path))

    def blocks(self, path: Path) -> Iterator[bytes]:
        """
        Read a file in pieces and remember its digest at the end.

        Raises:
            FileError: it cannot be read
        """
        digest = hashlib.sha256()
        try:
            with self._reader.open(path) as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
                    yield block
        except OSError as error:
            raise FileError(_os_reason(error)) from error
        self.digests[self.relative(path)] = digest.hexdigest()


def decode(content: bytes) -> str:
    """
    Return the text of a UTF-8 file without its byte order mark.

    Raises:
        FileError: not UTF-8, or with characters that no text has
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        msg = "is encoded as UTF-16; save it as UTF-8"
        raise FileError(msg)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        msg = f"is not UTF-8: byte 0x{content[error.start]:02x} on line {line}"
        raise FileError(msg) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        msg = f"holds a NUL character on line {line}; it is not a text"
        raise FileError(msg)
    return text


def find_project(start: Path) -> Path | None:
    """Return the directory that holds `shplan.yaml`: `start` or the nearest one above it."""
    start = start.resolve()
    for directory in (start, *start.parents):
        if (directory / PROJECT_FILE).is_file():
            return directory
    return None


def find_manifests(files: Files, entry: str) -> list[Found]:
    """
    Return the manifests that an entry of `spec.manifests` names: a file, or a tree of them.

    Hidden files and directories are left out; the order is that of the relative paths.

    Raises:
        FileError: the entry lies outside the project or does not exist
    """
    top = files.inside(entry, base=files.root)
    if top.is_file():
        return [Found(top, files.relative(top))]
    if not top.is_dir():
        msg = "does not exist"
        raise FileError(msg)
    found = [Found(path, files.relative(path)) for path in _walk(files, top)]
    return sorted(found, key=lambda one: one.relative)


def _walk(files: Files, top: Path) -> Iterator[Path]:
    seen: set[Path] = set()
    real_root = files.root.resolve()
    project_file = real_root / PROJECT_FILE
    for name, directories, names in os.walk(top, followlinks=True):
        here = Path(name).resolve()
        # A link may lead back to a directory above it, or out of the project.
        if here in seen or not here.is_relative_to(real_root):
            directories.clear()
            continue
        seen.add(here)
        directories[:] = sorted(one for one in directories if not one.startswith("."))
        for one in sorted(names):
            path = Path(name) / one
            if not one.endswith(_SUFFIXES) or one.startswith(".") or one.endswith(_TESTS):
                continue
            try:
                real = path.resolve()
            except (OSError, RuntimeError) as error:
                msg = f"holds {one}, a link that leads back to itself"
                raise FileError(msg) from error
            if not real.is_relative_to(real_root):
                msg = f"holds {one}, a link that leads out of the project"
                raise FileError(msg)
            if real != project_file:
                yield path


def _os_reason(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "may not be read by this user"
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, IsADirectoryError):
        return "is a directory"
    return f"cannot be read: {error.strerror or 'input/output error'}"


class Texts(Mapping[str, str]):
    """
    The texts of files by relative path, for messages; read when asked for, secrets blanked out.

    Args:
        files: the project's files
        masks: by relative path, stretches (offsets) that must never be shown
    """

    def __init__(self, files: Files, masks: Mapping[str, list[tuple[int, int]]]) -> None:
        self._files = files
        self._masks = masks
        self._known: dict[str, str] = {}
        self._shown: dict[str, tuple[int, str]] = {}

    def remember(self, file: str, text: str) -> None:
        """Keep a text that was read already."""
        self._known[file] = text

    def __getitem__(self, file: str) -> str:
        if file not in self._known:
            try:
                self._known[file] = self._files.read_text(self._files.root / file)
            except FileError as error:
                raise KeyError(file) from error
        masks = self._masks.get(file, [])
        if not masks:
            return self._known[file]
        if self._shown.get(file, (0, ""))[0] != len(masks):
            self._shown[file] = (len(masks), masked(self._known[file], masks))
        return self._shown[file][1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def masked(text: str, stretches: Sequence[tuple[int, int]]) -> str:
    """Blank out stretches of a text, so that lines and columns stay where they are."""
    parts, position = [], 0
    for first, last in sorted(stretches):
        begin = max(first, position)
        parts.append(text[position:begin])
        parts.append("".join(one if one in "\r\n" else "*" for one in text[begin:last]))
        position = max(last, position)
    return "".join((*parts, text[position:]))
