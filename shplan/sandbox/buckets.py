"""
Buckets as directories, and which files in them a tile's path stands for.

Source: the BYOC page: a folder holds `<source>.<ext>` for each band, or the path names the
place with `(BAND)`; the extension may be left out and is the same for all files of a tile.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shplan.sandbox.batch_paths import is_safe_key
from shplan.sandbox.objects import ObjectStoreError, enclosed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

BAND = "(BAND)"
EXTENSIONS = ("tiff", "tif", "TIFF", "TIF")

_EXTENSION = re.compile(r"\.(tiff?)$", re.IGNORECASE)


class IngestionError(Exception):
    """Why a tile cannot be ingested, in words for its owner."""


@dataclass(frozen=True, slots=True)
class Located:
    """
    The files of a tile.

    Args:
        files: by what stands in place of `(BAND)`
        path: the tile's path as the service writes it once ingested
    """

    files: Mapping[str, Path]
    path: str


def locate(root: Path, bucket_name: str, path: str, sources: Sequence[str] | None) -> Located:
    """
    The files that a path stands for: of these sources, or of whatever lies there.

    Args:
        root: directory that holds the buckets
        bucket_name: the bucket as the collection names it
        path: the tile's path in the bucket
        sources: what to put in place of `(BAND)`; none: whatever fits

    Raises:
        IngestionError: bucket, folder or files are not there, extensions are mixed, or a link leads
            out of the buckets
    """
    if not is_safe_key(path):
        msg = f"There are no files at {path}."
        raise IngestionError(msg)
    try:
        bucket = enclosed(root, bucket_name, "")
        template = path if BAND in path else f"{path}/{BAND}"
        names = (
            _listed(bucket, template)
            if sources is None
            else {source: _named(bucket, template, source) for source in sources}
        )
        files = {source: enclosed(root, bucket_name, name) for source, name in names.items()}
    except ObjectStoreError as error:
        msg = f"The bucket {bucket_name} does not exist, or there is no permission to read it."
        raise IngestionError(msg if error.status == 404 else error.message) from error
    suffixes = sorted({file.suffix for file in files.values()})
    if not files:
        msg = f"There are no TIFF files at {template}."
        raise IngestionError(msg)
    if len(suffixes) > 1:
        msg = f"All files of a tile must have one extension, but there are {', '.join(suffixes)}."
        raise IngestionError(msg)
    return Located(files=files, path=path if BAND in path else template + suffixes[0])


def _named(bucket: Path, template: str, source: str) -> str:
    """The key of a band's file."""
    name = template.replace(BAND, source)
    tried = [name] if _EXTENSION.search(template) else [f"{name}.{ext}" for ext in EXTENSIONS]
    for candidate in tried:
        # Folders, pipes and the like are no files, whatever they are called.
        if (bucket / candidate).is_file():
            return candidate
    msg = f"The file of band {source} is missing: there is no {tried[0]}."
    raise IngestionError(msg)


def _listed(bucket: Path, template: str) -> dict[str, str]:
    """The keys of whatever files fit, by band."""
    parts = template.split(BAND)
    ending = "" if _EXTENSION.search(template) else ".*"
    found = glob.glob("*".join(map(glob.escape, parts)) + ending, root_dir=bucket)  # noqa: PTH207
    pattern = _pattern(parts) + ("" if ending == "" else r"\.tiff?")
    expression = re.compile(pattern, re.IGNORECASE if ending else 0)
    files = {}
    for name in sorted(found):
        match = expression.fullmatch(name)
        if match and (bucket / name).is_file():
            if match["band"] in files:
                msg = "All files of a tile must have one extension, but one band has several files."
                raise IngestionError(msg)
            files[match["band"]] = name
    return files


def _pattern(parts: list[str]) -> str:
    first, *rest = map(re.escape, parts)
    return first + "(?P<band>[^/]+?)" + "(?P=band)".join(rest)
