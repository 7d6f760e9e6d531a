"""
Which commit is checked out, read from Git's own files: no program is started for it.

Source: gitrepository-layout(5), "HEAD", "packed-refs", "commondir" and gitfiles of linked worktrees.
"""

from __future__ import annotations

from pathlib import Path


def commit(root: Path) -> str:
    """Return the commit that is checked out, empty where there is no repository."""
    try:
        home = next(filter(None, map(_repository, (root, *root.parents))), None)
        return "" if home is None else _head(home)
    except (OSError, UnicodeDecodeError):
        return ""


def _repository(directory: Path) -> Path | None:
    """Return the Git directory of a checkout: `.git`, or what the file `.git` names."""
    here = directory / ".git"
    if here.is_file():
        here = directory / here.read_text("utf-8").strip().removeprefix("gitdir: ")
    return here if (here / "HEAD").is_file() else None


def _head(home: Path) -> str:
    text = (home / "HEAD").read_text("utf-8").strip()
    if not text.startswith("ref: "):
        return text
    name = text.removeprefix("ref: ")
    shared = home / "commondir"
    common = home / shared.read_text("utf-8").strip() if shared.is_file() else home
    for loose in (home / name, common / name):
        if loose.is_file():
            return loose.read_text("utf-8").strip()
    packed = common / "packed-refs"
    lines = packed.read_text("utf-8").splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), "")
