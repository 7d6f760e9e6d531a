"""
Files that a command line names, and the directory that shplan keeps for itself: anybody's, too.

What is named may lie in the repository, where a name can stand for a device or for more than the
memory holds; and what shplan keeps is not written to where a link in the repository leads.
"""

from __future__ import annotations

from pathlib import Path

from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import ShplanError

MOST_BYTES = 256 << 20


def read_given(path: Path) -> bytes:
    """
    Read a file whole; a pipe is waited for, as it is somebody's own.

    Raises:
        ShplanError: it is larger than anything that is meant
        OSError: it cannot be read
    """
    with path.open("rb") as stream:
        content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        what = f"{path} is larger than {MOST_BYTES >> 20} MB, more than is read whole."
        raise _refused(summary="File is too large", what=what, hint="name another file")
    return content


def read_given_text(path: Path) -> str:
    """
    Read a text file.

    Raises:
        ShplanError: it is too large, or not UTF-8
        OSError: it cannot be read
    """
    try:
        return read_given(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"{path} is not UTF-8."
        raise _refused(
            summary="File is no text", what=what, hint="save the file as UTF-8"
        ) from error


def kept_place(root: Path, place: str) -> Path:
    """
    Return where something of shplan's own lies below a project.

    Raises:
        ShplanError: a link leads out of the project
    """
    path = root / place
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        inside = False
    if inside:
        return path
    raise _refused(
        summary="Place is outside",
        what=f"{place} is reached by a link that leads out of the project, or to itself.",
        why="A link can come with the repository, and what shplan keeps is not for another place.",
        hint="remove the link; a ledger elsewhere is named by `ledger:` of the environment",
    )


def _refused(*, summary: str, what: str, why: str = "", hint: str) -> ShplanError:
    diagnostic = Diagnostic(code="cli/file", summary=summary, what=what, why=why, hint=hint)
    return ShplanError(diagnostic.what, diagnostics=(diagnostic,))
