"""
Which commit is checked out, read from Git's own files: no program is started for it.

Source: gitrepository-layout(5), "HEAD", "packed-refs", "commondir" and gitfiles of linked worktrees.
The files can be anybody's, as those of an archive: nothing but a commit comes out of them.
"""

from __future__ import annotations

import re
from pathlib import Path

from shplan.manifest.source import DiskReader

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REFERENCE = re.compile(r"refs(?:/(?!\.\.?(?:/|$))[^/\0]+)+")
_MOST_BYTES = 64 << 20


def commit(root: Path) -> str:
    """Return the commit that is checked out, empty where there is no repository."""
    try:
        home = next(filter(None, map(_repository, (root, *root.parents))), None)
        found = "" if home is None else _head(home)
    except (OSError, ValueError):
        return ""
    return found if _COMMIT.fullmatch(found) else ""


def _repository(directory: Path) -> Path | None:
    """Return the Git directory of a checkout: `.git`, or what the file `.git` names."""
    here = directory / ".git"
    if here.is_file():
        here = directory / _text(here).removeprefix("gitdir: ")
    return here if (here / "HEAD").is_file() else None


def _head(home: Path) -> str:
    text = _text(home / "HEAD")
    if not text.startswith("ref: "):
        return text
    name = text.removeprefix("ref: ")
    if not _REFERENCE.fullmatch(name):
        return ""
    shared = home / "commondir"
    common = home / _text(shared) if shared.is_file() else home
    for loose in (home / name, common / name):
        if loose.is_file():
            return _text(loose)
    packed = common / "packed-refs"
    lines = _text(packed).splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), "")


def _text(path: Path) -> str:
    """Read a file of Git's; what is larger than any of them is cut off."""
    with DiskReader().open(path) as stream:
        return stream.read(_MOST_BYTES).decode().strip()
