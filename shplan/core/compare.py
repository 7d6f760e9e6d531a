"""
When two values mean the same: instants as instants, geometries as geometries, numbers as numbers.

The service writes values in its own spelling (a time with milliseconds, a
folder path with its file pattern, a geometry in the tile's CRS). A difference
of spelling is not a difference.
"""

from __future__ import annotations

from datetime import UTC, datetime

from shplan.core.fields import Sameness
from shplan.core.value import Sensitive, Unknown, Value

_BAND = "/(BAND)"


def same(left: Value, right: Value, how: Sameness) -> bool:
    """Tell whether two known values mean the same; an unknown equals nothing."""
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return False
    if isinstance(left, Sensitive) or isinstance(right, Sensitive):
        return left == right
    if left == right and _same_types(left, right):
        return True
    if left == right and not isinstance(left, dict | list):
        return False
    if left is None or right is None:
        return False
    return _same_unequal(left, right, how)


def same_tile_path(left: str, right: str) -> bool:
    """
    Tell whether two tile paths name the same files.

    Source: documentation of BYOC, "path": a folder `x` becomes `x/(BAND).tiff`, with the
    extension of its files, once it is ingested.
    """
    if left == right:
        return True
    return tile_folder(left) == tile_folder(right) and _compatible(left, right)


def tile_folder(path: str) -> str:
    """Return the folder that a path stands for: `x` of `x/(BAND).tiff`, else the path itself."""
    return _taken_apart(path)[0]


def instant(text: str) -> datetime | None:
    """Read an ISO 8601 instant, in UTC, at the service's precision of a millisecond."""
    try:
        # RFC 3339 section 5.6 has `t` and `z` as well.
        moment = datetime.fromisoformat(text.upper())
        if moment.tzinfo is None:
            return None
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _same_unequal(left: Value, right: Value, how: Sameness) -> bool:
    if how is Sameness.INSTANT and isinstance(left, str) and isinstance(right, str):
        moment = instant(left)
        return moment is not None and moment == instant(right)
    if how is Sameness.TILE_PATH and isinstance(left, str) and isinstance(right, str):
        return same_tile_path(left, right)
    if how is Sameness.GEOMETRY and isinstance(left, dict) and isinstance(right, dict):
        # Lazily: shapely and pyproj cost more to import than most plans take.
        from shplan.core.geometry import same_geometry  # noqa: PLC0415

        return same_geometry(left, right)
    return _same_nested(left, right, how)


def _same_nested(left: Value, right: Value, how: Sameness) -> bool:
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(
            same(one, other, how) for one, other in zip(left, right, strict=True)
        )
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            same(member, right[key], how) for key, member in left.items()
        )
    return False


def _same_types(left: Value, right: Value) -> bool:
    """Tell whether equal values are equal in JSON too: True == 1 in Python and nowhere else."""
    if isinstance(left, dict) and isinstance(right, dict):
        return all(_same_types(member, right[key]) for key, member in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return all(_same_types(one, other) for one, other in zip(left, right, strict=True))
    return isinstance(left, bool) == isinstance(right, bool)


def _compatible(left: str, right: str) -> bool:
    # `x` fits any extension; `x/(BAND).tif` and `x/(BAND).tiff` are different files;
    # `x/(BAND)` has its extension found by the service.
    extensions = {_extension(path) for path in (left, right)}
    extensions.discard("")
    return len(extensions) <= 1


def _extension(path: str) -> str:
    return _taken_apart(path)[1]


def _taken_apart(path: str) -> tuple[str, str]:
    """Return the folder of `x/(BAND).tiff` and its extension; any other path is a folder."""
    folder, found, extension = path.rpartition(_BAND)
    if found and (not extension or _is_extension(extension)):
        return folder, extension
    return path, ""


def _is_extension(text: str) -> bool:
    return text[0] == "." and text[1:].isalpha() and text.isascii()
