"""
Files of the project that answers go to: looked at while planning, written whole or not at all.

Nothing is read or written through a link: a path that leads over one is nobody's of ours, wherever
it leads. A file is written beside its place under another name, synced, and renamed; before that
the place is looked at once more, so that nothing is written over that nobody has agreed to.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from shplan.core.errors import OutputError
from shplan.core.files import FileDraft, FileFound, Inspect, Prepare, Write

_BLOCK = 1 << 20
# What has no room for this has none for an answer and its receipt.
_ROOM_BYTES = 1 << 16
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class ProjectFiles:
    """
    The files below one directory.

    Args:
        root: of the project
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def inspect(self, step: Inspect) -> Mapping[str, FileFound]:
        """Look at files; what is not there is not in the answer."""
        found = {}
        for path in step.paths:
            most = step.most_bytes if path in step.contents else 0
            one = self._found(path, most_bytes=most)
            if one is not None:
                found[path] = one
        return found

    def below(self, directory: str) -> tuple[str, ...]:
        """Return what lies below a directory and is none, sorted; no link is followed."""
        try:
            if self._obstacle(f"{directory}/file") is not None:
                return ()
        except OSError:
            return ()
        return tuple(sorted(self._listed(directory)))

    def prepare(self, step: Prepare) -> None:
        """
        Make directories, and try whether there is room in them; nothing of it is left.

        Raises:
            OutputError: something cannot be written there
        """
        tried = set()
        for path in step.paths:
            self._refuse_obstacles(path)
            place = (self._root / path).parent
            if place in tried:
                continue
            tried.add(place)
            try:
                self._make_directory(place)
                _try(place / f".{_digest(path.encode())[:16]}.try")
            except OSError as error:
                message = f"{path} cannot be written: {error.strerror or type(error).__name__}"
                raise OutputError(message) from error

    def write(self, step: Write) -> None:
        """
        Write parts, then witnesses, then put each file in its place, all of it synced.

        Raises:
            OutputError: one of them cannot be written, or something else lies there by now
        """
        drafts = (*step.files, *step.witnesses)
        try:
            for draft in drafts:
                self._write_part(draft)
            for draft in (*step.witnesses, *step.files):
                self._put_in_place(draft)
        except OSError as error:
            name = draft.path
            reason = error.strerror or type(error).__name__
            message = f"{name} cannot be written: {reason}"
            raise OutputError(message) from error

    def _found(self, path: str, *, most_bytes: int) -> FileFound | None:
        try:
            obstacle = self._obstacle(path)
        except OSError as error:
            obstacle = f"cannot be looked at ({error.strerror})"
        if obstacle is not None:
            return FileFound(obstacle=obstacle)
        try:
            descriptor = os.open(self._root / path, os.O_RDONLY | _NO_LINKS)
        except FileNotFoundError:
            return None
        except OSError as error:
            return FileFound(obstacle=f"cannot be read ({error.strerror})")
        try:
            return _read(descriptor, most_bytes=most_bytes)
        except OSError as error:
            return FileFound(obstacle=f"cannot be read ({error.strerror})")
        finally:
            os.close(descriptor)

    def _listed(self, directory: str) -> Iterator[str]:
        try:
            with os.scandir(self._root / directory) as entries:
                found = sorted(entries, key=lambda one: one.name)
        except OSError:
            return
        for one in found:
            path = f"{directory}/{one.name}"
            if one.is_dir(follow_symlinks=False):
                yield from self._listed(path)
            elif one.name.isprintable():
                yield path

    def _obstacle(self, path: str) -> str | None:
        """Say why no file of ours can lie at a path, None where one can."""
        *above, last = _steps(path)
        place = self._root
        for step in above:
            place /= step
            mode = _mode(place)
            if mode is not None and not stat.S_ISDIR(mode):
                shown = place.relative_to(self._root).as_posix()
                return f"lies below {shown}, which is {_noun(mode)}"
        mode = _mode(place / last)
        return None if mode is None or stat.S_ISREG(mode) else f"is {_noun(mode)}"

    def _write_part(self, draft: FileDraft) -> None:
        self._refuse_obstacles(draft.path)
        self._refuse_obstacles(draft.part)
        part = self._root / draft.part
        self._make_directory(part.parent)
        left = self._found(draft.part, most_bytes=0)
        if left is not None and left.sha256 == _digest(draft.content):
            # What an earlier run has left is all there is of an answer: it is not taken away.
            return
        with suppress(FileNotFoundError):
            part.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS
        descriptor = os.open(part, flags, 0o666)
        try:
            _write_all(descriptor, draft.content)
            os.fsync(descriptor)
        except OSError:
            # Half of an answer is none, and it takes the room that a whole one needs.
            with suppress(OSError):
                part.unlink()
            raise
        finally:
            os.close(descriptor)
        _sync_directory(part.parent)

    def _put_in_place(self, draft: FileDraft) -> None:
        """
        Rename a part to its place.

        Raises:
            OutputError: something lies there that may not be written over
        """
        self._refuse_obstacles(draft.path)
        there = self._found(draft.path, most_bytes=0)
        if there is not None and there.sha256 not in draft.replaces | {_digest(draft.content)}:
            message = f"{draft.path} has come to be there meanwhile, and is not written over"
            raise OutputError(message)
        target = self._root / draft.path
        (self._root / draft.part).replace(target)
        _sync_directory(target.parent)

    def _refuse_obstacles(self, path: str) -> None:
        obstacle = self._obstacle(path)
        if obstacle is not None:
            message = f"{path} {obstacle}"
            raise OutputError(message)

    def _make_directory(self, place: Path) -> None:
        missing = [one for one in (place, *place.parents) if not one.exists()]
        place.mkdir(parents=True, exist_ok=True)
        for one in reversed(missing):
            _sync_directory(one.parent)


def _try(place: Path) -> None:
    """Write a file and take it away again; one that an earlier try has left is taken away too."""
    with suppress(FileNotFoundError):
        place.unlink()
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS, 0o666)
    try:
        _write_all(descriptor, bytes(_ROOM_BYTES))
    finally:
        os.close(descriptor)
        place.unlink()


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest[:_BLOCK]) :]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _steps(path: str) -> list[str]:
    """
    Return the names that a path consists of.

    Raises:
        OutputError: it leads out of the project; whoever made it should have refused it
    """
    steps = path.split("/")
    if any(step in ("", ".", "..") or "\0" in step or "\\" in step for step in steps):
        message = f"{path!r} is no path below the project"
        raise OutputError(message)
    return steps


def _mode(place: Path) -> int | None:
    """Return what an entry is, links not followed; None where there is none."""
    try:
        return place.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _noun(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a link, and nothing is written through links"
    if stat.S_ISDIR(mode):
        return "a directory"
    return "a file" if stat.S_ISREG(mode) else "no regular file"


def _read(descriptor: int, *, most_bytes: int) -> FileFound:
    size = os.fstat(descriptor).st_size
    digest = hashlib.sha256()
    blocks = []
    while block := os.read(descriptor, _BLOCK):
        digest.update(block)
        if size <= most_bytes:
            blocks.append(block)
    content = b"".join(blocks) if most_bytes > 0 and size <= most_bytes else None
    return FileFound(digest.hexdigest(), size, content=content)


def _sync_directory(place: Path) -> None:
    if sys.platform == "win32":
        return
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
