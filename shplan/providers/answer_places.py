"""
Where the answer of an immediate job goes: `run.output`, read into paths below the project.

A path counts from the project's directory; one that begins with `./` or `../` counts from the
manifest's, as the paths of files that are read do. Nothing leads out of the project, and nothing
into what shplan or git keep there.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from shplan.core.key_format import put_key
from shplan.core.value import Path, Value

RECEIPT_SUFFIX: Final = ".receipt.json"
SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "png": (".png",),
    "jpeg": (".jpg", ".jpeg"),
    "tiff": (".tif", ".tiff"),
    "json": (".json",),
    "tar": (".tar",),
    "csv": (".csv",),
    "parquet": (".parquet", ".pq"),
}
# Of files that are written in none of these forms.
_OTHERS: Final = frozenset(
    [
        *(".bmp", ".gif", ".jp2", ".webp", ".svg", ".pdf", ".vrt", ".nc", ".zarr"),
        *(".geojson", ".gpkg", ".shp", ".kml", ".xml", ".yaml", ".html", ".xlsx", ".zip", ".gz"),
    ]
)
_RESERVED: Final = frozenset({".git", ".shplan"})
_FILES_OF_OURS: Final = frozenset({"shplan.yaml", "shplan.lock"})
_LONGEST_STEP: Final = 200
_DRIVE = re.compile(r"[A-Za-z]:")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class PlaceError(ValueError):
    """
    `run.output` names no place for the answer.

    Args:
        path: below `run.output`
    """

    def __init__(self, what: str, *, path: Path = (), why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.path, self.what, self.why, self.hint = path, what, why, hint


@dataclass(frozen=True, slots=True)
class Target:
    """
    One file that an answer becomes.

    Args:
        name: which part of the answer: the identifier of a response; empty for the whole
        path: below the project
        form: `png`, `jpeg`, `tiff`, `json`, `tar`, `csv` or `parquet`
    """

    name: str
    path: str
    form: str


@dataclass(frozen=True, slots=True)
class Places:
    """
    All files of one address.

    Args:
        witness: the receipt file beside them, which says what they are
        directory: the one that they have for themselves, empty where they have none
    """

    targets: tuple[Target, ...]
    witness: str
    directory: str = ""

    def keyed(self, key: str) -> Places:
        """
        Put the run key where a path has `{{ run.key }}`.

        Raises:
            PlaceError: a path becomes none by it
        """
        targets = tuple(replace(one, path=put_key(one.path, key)) for one in self.targets)
        return Places(targets, put_key(self.witness, key), put_key(self.directory, key))

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path, the receipt file's last."""
        return (*(one.path for one in self.targets), self.witness)


def part_of(path: str, key: str) -> str:
    """Return where a file is written before it is put in its place."""
    folder, name = posixpath.split(path)
    return posixpath.join(folder, f".{name}.{key[:16]}.part")


def project_path(text: Value, *, directory: str, at: Path = ()) -> str:
    """
    Read one path.

    Args:
        directory: the manifest's, below the project
        at: where below `run.output` it stands

    Raises:
        PlaceError: it is none, or leads out of the project
    """
    if text is None:
        msg = "it is not stated."
        raise PlaceError(msg, path=at, hint="say where the answer goes: `run: {output: out/FILE}`")
    if not isinstance(text, str) or not text.strip() or text != text.strip():
        msg = f"{text!r} is no path of a file."
        raise PlaceError(msg, path=at)
    if "\\" in text or any(not letter.isprintable() for letter in text):
        msg = f"{text!r} is no path of a file."
        raise PlaceError(msg, path=at, hint="write it with forward slashes")
    if _ADDRESS.match(text):
        raise _address(text, at)
    if text.startswith(("/", "~")) or _DRIVE.match(text):
        raise _outside(text, at)
    base = directory if text.startswith(("./", "../")) else ""
    path = posixpath.normpath(posixpath.join(base, text))
    if text.endswith("/") or path == ".":
        msg = f"{text} is a directory, and the answer goes to a file."
        raise PlaceError(
            msg,
            path=at,
            hint=f"write `output: {{dir: {text.rstrip('/') or 'out'}}}`",
        )
    first, *_ = steps = path.split("/")
    if first == "..":
        raise _outside(text, at)
    if _RESERVED & {step.lower() for step in steps} or path.lower() in _FILES_OF_OURS:
        msg = f"{text} lies where shplan or git keep files of their own."
        raise PlaceError(
            msg,
            path=at,
            hint=f"write `output: out/{steps[-1]}`",
        )
    if max(len(step.encode()) for step in steps) > _LONGEST_STEP:
        msg = f"{text} has a name of more than {_LONGEST_STEP} bytes."
        raise PlaceError(msg, path=at)
    return path


def _within(text: str) -> str:
    return f"write `output: out/{posixpath.basename(text.rstrip('/')) or 'answer'}`"


def _outside(text: str, at: Path) -> PlaceError:
    return PlaceError(
        f"{text} lies outside the project.",
        path=at,
        why="An answer is written into the project and nowhere else. A path counts from the"
        " project's directory, or with ./ or ../ from the manifest's.",
        hint=_within(text),
    )


def _address(text: str, at: Path) -> PlaceError:
    return PlaceError(
        f"{text} is an address, and the answer goes to a file.",
        path=at,
        why="An answer is written into the project and nowhere else; an AsyncProcess, a BatchProcess"
        " and BatchStatistics deliver to buckets.",
        hint=_within(text),
    )


def form_of_path(path: str) -> str:
    """Return the form that a path's suffix tells of, also of one that nobody writes; empty for none."""
    suffix = posixpath.splitext(path)[1].lower()
    other = suffix[1:] if suffix in _OTHERS else ""
    return next((form for form, suffixes in SUFFIXES.items() if suffix in suffixes), other)


def places(targets: Iterable[Target], *, beside: str, directory: str = "") -> Places:
    """
    Put targets together.

    Args:
        beside: the path that the receipt file lies beside

    Raises:
        PlaceError: two of them are one file
    """
    found = tuple(targets)
    if len({one.path for one in found}) < len(found):
        msg = "two responses have the same path."
        raise PlaceError(msg)
    return Places(found, beside + RECEIPT_SUFFIX, directory)


__all__ = [
    "RECEIPT_SUFFIX",
    "SUFFIXES",
    "PlaceError",
    "Places",
    "Target",
    "form_of_path",
    "part_of",
    "places",
    "project_path",
]
