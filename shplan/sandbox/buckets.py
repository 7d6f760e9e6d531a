"""
Which files in a bucket a tile's path stands for.

Source: the BYOC page: a folder holds `<source>.<ext>` for each band, or the path names the
place with `(BAND)`; the extension may be left out and is the same for all files of a tile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shplan.sandbox.batch_paths import is_safe_key
from shplan.sandbox.objects import ObjectStoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shplan.sandbox.bucket_files import BucketFile
    from shplan.sandbox.storage import Bucket, Storage

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

    files: Mapping[str, BucketFile]
    path: str


def locate(storage: Storage, bucket_name: str, path: str, sources: Sequence[str] | None) -> Located:
    """
    The files that a path stands for: of these sources, or of whatever lies there.

    Args:
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
    template = path if BAND in path else f"{path}/{BAND}"
    try:
        files = _files(storage, bucket_name, template, sources)
    except ObjectStoreError as error:
        msg = f"The bucket {bucket_name} does not exist, or there is no permission to read it."
        raise IngestionError(msg if error.status == 404 else str(error)) from error
    suffixes = sorted({file.suffix for file in files.values()})
    if not files:
        msg = f"There are no TIFF files at {template}."
        raise IngestionError(msg)
    if len(suffixes) > 1:
        msg = f"All files of a tile must have one extension, but there are {', '.join(suffixes)}."
        raise IngestionError(msg)
    return Located(files=files, path=path if BAND in path else template + suffixes[0])


def _files(
    storage: Storage, bucket_name: str, template: str, sources: Sequence[str] | None
) -> Mapping[str, BucketFile]:
    place = storage.bucket(bucket_name)
    if sources is None:
        return _listed(place, template)
    return {source: _named(place, template, source) for source in sources}


def _named(place: Bucket, template: str, source: str) -> BucketFile:
    """A band's file."""
    name = template.replace(BAND, source)
    tried = [name] if _EXTENSION.search(template) else [f"{name}.{ext}" for ext in EXTENSIONS]
    for candidate in tried:
        if (file := place.find(candidate)) is not None:
            return file
    msg = f"The file of band {source} is missing: there is no {tried[0]}."
    raise IngestionError(msg)


def _listed(place: Bucket, template: str) -> dict[str, BucketFile]:
    """Whatever files fit, by band."""
    parts = template.split(BAND)
    ending = "" if _EXTENSION.search(template) else ".*"
    pattern = _pattern(parts) + ("" if ending == "" else r"\.tiff?")
    expression = re.compile(pattern, re.IGNORECASE if ending else 0)
    files: dict[str, BucketFile] = {}
    for name in place.like(parts, ending):
        match = expression.fullmatch(name)
        if match and (file := place.find(name)) is not None:
            if match["band"] in files:
                msg = "All files of a tile must have one extension, but one band has several files."
                raise IngestionError(msg)
            files[match["band"]] = file
    return files


def _pattern(parts: list[str]) -> str:
    first, *rest = map(re.escape, parts)
    return first + "(?P<band>[^/]+?)" + "(?P=band)".join(rest)
