"""
The options of `shplan evalscript render`: where, when and how large an image is.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

if TYPE_CHECKING:
    from shplan.core.value import JsonObject

_MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EPSG = re.compile(r"(?:EPSG:)?(\d{4,6})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of the command, as they were given."""

    out: Path
    collections: tuple[str, ...]
    cog: Path | None
    bands: str
    scale: float
    bbox: str
    crs: str
    span: str
    width: int | None
    height: int | None
    res: float | None
    identifier: str
    size: int
    values: tuple[float, float]

    @property
    def media_type(self) -> str:
        """Of the image, by the name of its file."""
        return _MEDIA_TYPES[self.out.suffix.lower()]


def check_out(wanted: Wanted) -> None:
    """
    Check where an image is written to: a manifest that stands there by mistake is not overwritten.

    Raises:
        UsageError: it has the name of no image, or the values are no range
    """
    least, greatest = wanted.values
    if not (math.isfinite(least) and math.isfinite(greatest) and least < greatest):
        message = "--range needs two numbers, a LEAST that is below its GREATEST"
        raise click.UsageError(message)
    suffix = wanted.out.suffix.lower()
    if suffix not in _MEDIA_TYPES:
        message = f"--out {wanted.out}: an image is written; its name ends with .png, .jpg or .tif"
        raise click.UsageError(message)
    if suffix != ".png" and not wanted.collections and not wanted.cog:
        message = f"--out {wanted.out}: the picture is a PNG; its name ends with .png"
        raise click.UsageError(message)


def bounds_of(wanted: Wanted) -> JsonObject:
    """Return the place as the API's `bounds` have it."""
    corners = [_number(one) for one in wanted.bbox.split(",")] if wanted.bbox else []
    if len(corners) != 4 or None in corners:
        message = "--bbox names the place: WEST,SOUTH,EAST,NORTH"
        raise click.UsageError(message)
    west, south, east, north = cast("list[float]", corners)
    if not (west < east and south < north):
        message = "--bbox: WEST is less than EAST, and SOUTH less than NORTH"
        raise click.UsageError(message)
    crs = f"http://www.opengis.net/def/crs/EPSG/0/{epsg_of(wanted.crs)}"
    return {"bbox": [west, south, east, north], "properties": {"crs": crs}}


def epsg_of(crs: str) -> int:
    """Return the code of a CRS."""
    found = _EPSG.fullmatch(crs)
    if found is None:
        message = f"--crs {crs}: a code, as EPSG:32633"
        raise click.UsageError(message)
    return int(found[1])


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def size_of(bounds: JsonObject, wanted: Wanted) -> JsonObject:
    """Return the size as the API's `output` has it."""
    from shplan.core.pictures import proportions  # noqa: PLC0415

    if wanted.res is not None:
        if wanted.width or wanted.height or wanted.res <= 0:
            message = "--res, greater than 0, or --width and --height"
            raise click.UsageError(message)
        return {"resx": wanted.res, "resy": wanted.res}
    width, height = proportions(bounds, wanted.size)
    # What one side is given, the other follows.
    if wanted.width and not wanted.height:
        height = max(round(height * wanted.width / width), 1)
    if wanted.height and not wanted.width:
        width = max(round(width * wanted.height / height), 1)
    return {"width": wanted.width or width, "height": wanted.height or height}


def span_of(text: str) -> tuple[str, str] | None:
    """
    Return two instants: of a day, of two days, or as they are written.

    Raises:
        UsageError: they are none, or in the wrong order
    """
    from shplan.core.compare import instant  # noqa: PLC0415

    if not text:
        return None
    since, _, until = text.partition("/")
    until = until or since
    span = (
        f"{since}T00:00:00Z" if _DAY.fullmatch(since) else since,
        f"{until}T23:59:59Z" if _DAY.fullmatch(until) else until,
    )
    first, last = instant(span[0]), instant(span[1])
    if first is None or last is None:
        wrong = since if first is None else until
        message = f"--time: {wrong} is no day, and no instant such as 2025-06-01T10:00:00Z"
        raise click.UsageError(message)
    if first > last:
        message = f"--time: {since} is later than {until}"
        raise click.UsageError(message)
    return span
