"""
Where receipt files go: `receipts:` in shplan.yaml, read into a path below the project.

The path counts from the project's directory, whose files it is committed with. Nothing leads out of
it, and nothing into what shplan or git keep there.
"""

from __future__ import annotations

import posixpath
import re

from shplan.core.diagnostic import Diagnostic
from shplan.manifest.origin import Origin

_KEPT = {
    ".git": "git keeps files of its own",
    ".shplan": "shplan keeps files that are not committed",
}
_FILES = frozenset({"shplan.yaml", "shplan.lock"})
_DRIVE = re.compile(r"[A-Za-z]:")
_LONGEST_STEP = 200
_HINT = "write `receipts: receipts/`"


def receipts_directory(stated: str) -> str:
    """Return the directory below the project, without a slash at its end; empty for none."""
    return posixpath.normpath(stated) if stated else ""


def check_receipts(stated: str, origin: Origin) -> list[Diagnostic]:
    """Say what is wrong with the place of receipt files."""
    if not stated:
        return []
    what, why = _complaint(stated)
    if not what:
        return []
    span = origin.span(("spec", "receipts"))
    return [Diagnostic("project/receipts", "No place for receipts", what, why, _HINT, span)]


def _complaint(stated: str) -> tuple[str, str]:
    odd = "\\" in stated or stated != stated.strip() or not stated.isprintable()
    if odd:
        return f"`receipts` is {stated!r}, which is no path of a directory.", ""
    path = receipts_directory(stated)
    steps = path.split("/")
    if stated.startswith(("/", "~")) or _DRIVE.match(stated) or steps[0] == "..":
        why = "Receipts are written into the project and nowhere else, to be committed with it."
        return f"`receipts` is {stated}, which lies outside the project.", why
    if path == ".":
        why = "They have a directory for themselves, to be committed and reviewed."
        return f"`receipts` is {stated}, which is the project's own directory.", why
    # Names of Windows end before dots and blanks at their end.
    kept = next((step for step in steps if step.lower().rstrip(". ") in _KEPT), "")
    if kept:
        why = _KEPT[kept.lower().rstrip(". ")]
        return f"`receipts` is {stated}, and below {kept} {why}.", ""
    if path.lower() in _FILES:
        return f"`receipts` is {stated}, which is a file of the project.", ""
    if max(len(step.encode()) for step in steps) > _LONGEST_STEP:
        return f"`receipts` has a name of more than {_LONGEST_STEP} bytes.", ""
    return "", ""
