"""
Files of the project that answers go to, as values: what lies at a path, and what is to be put there.

`Inspect`, `Prepare` and `Write` are steps of a flow (`providers.steps`); who carries them out stands in `storage`.
"""

from __future__ import annotations

from dataclasses import field

from shplan.core.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Inspect:
    """
    Look at files of the project. Reply: what is there by path (`FileFound`); nothing of the absent.

    Args:
        paths: below the project's directory, with forward slashes
        contents: those of them that are read as well, as far as they are no longer than `most`
    """

    paths: tuple[str, ...]
    contents: frozenset[str] = frozenset()
    most_bytes: int = 1 << 28


@dataclass(frozen=True, slots=True)
class Prepare:
    """
    Try whether files can be written, before what goes there is paid. Reply: None, or an `OutputError`.

    Args:
        paths: below the project's directory; their directories are made
    """

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileFound:
    """
    What lies at a path of the project.

    Args:
        sha256: of its bytes, hex; empty where nothing can be read
        obstacle: why no file of ours can be there, as the end of a sentence: `is a link`
        content: its bytes, where they were asked for
    """

    sha256: str = ""
    size_bytes: int = 0
    obstacle: str = ""
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FileDraft:
    """
    One file to be written.

    Args:
        path: below the project's directory
        part: where it is written first, in the same directory
        replaces: digests of the files that may be written over; anything else stays
    """

    path: str
    part: str
    content: bytes = field(repr=False)
    replaces: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Write:
    """
    Write files of the project: each whole or not at all. Reply: None, or an `OutputError`.

    All parts first, then the witnesses that tell what they are, then each file in its place: who
    dies in between has lost the answer, or finds all of it again.

    Args:
        files: in the order in which they are put in their places
        witnesses: small files that say what the others are and where they come from
    """

    files: tuple[FileDraft, ...]
    witnesses: tuple[FileDraft, ...] = ()
