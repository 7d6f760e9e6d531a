"""
Where a batch task's files go: the delivery URL, its placeholders, and its root.

Source: schemas `BatchV2RasterOutput` and `BatchV2ZarrOutput`: a plain prefix stands for
`/<requestId>/<tileName>/<outputId>.<format>`; version 1 has `<tileId>` as well. The root, in which manifest, execution database
and request copy lie, is read as the folders before the first one that differs by tile or output.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

REQUEST_ID, TILE, OUTPUT, FORMAT = "<requestId>", "<tileName>", "<outputId>", "<format>"
TILE_ID = "<tileId>"
MARKS = (REQUEST_ID, TILE, OUTPUT, FORMAT)
PLAIN = f"{REQUEST_ID}/{TILE}/{OUTPUT}.{FORMAT}"
EXTENSIONS = {"image/tiff": "tif", "application/json": "json", "zarr/array": "zarr"}

MOST_KEY_BYTES = 1024

_URL = re.compile(r"(s3|gs)://([^/<>]+)(?:/(.*))?", re.DOTALL)


class DeliveryError(ValueError):
    """A URL that cannot be delivered to, in words for its owner."""


@dataclass(frozen=True, slots=True)
class Place:
    """An object, or a folder, in a bucket."""

    scheme: str
    bucket: str
    key: str

    @property
    def url(self) -> str:
        """The place as a URL."""
        return f"{self.scheme}://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    A delivery of one task.

    Args:
        scheme: `s3` or `gs`
        template: key with the placeholders of tile, output and format
        root: folder of the files that are not by tile, without slashes at its ends
        number_of: the id of a tile by its name, where a template may hold it
    """

    scheme: str
    bucket: str
    template: str
    root: str
    number_of: Callable[[str], int] | None = None

    def beside(self, name: str) -> Place:
        """A file in the root."""
        return Place(self.scheme, self.bucket, f"{self.root}/{name}" if self.root else name)

    def output(self, *, tile: str, output: str, media_type: str) -> Place:
        """The file of one output of one feature."""
        values = {TILE: tile, OUTPUT: output, FORMAT: EXTENSIONS[media_type]}
        if self.number_of is not None:
            values[TILE_ID] = str(self.number_of(tile))
        # In one pass: the name of a feature may look like a placeholder.
        key = re.sub("|".join(values), lambda found: values[found[0]], self.template)
        return Place(self.scheme, self.bucket, key)


def place_of(url: str) -> Place:
    """
    The place of a URL.

    Raises:
        DeliveryError: it is no object in a bucket
    """
    match = _URL.fullmatch(url)
    if match is None:
        msg = "is not of the form s3://bucket/path or gs://bucket/path"
        raise DeliveryError(msg)
    scheme, bucket, key = match[1], match[2], (match[3] or "").strip("/")
    if bucket in (".", "..") or not is_safe_key(key, empty=True):
        msg = f"holds a step that is empty, `.` or `..`, or has more than {MOST_KEY_BYTES} bytes"
        raise DeliveryError(msg)
    return Place(scheme, bucket, key)


def is_safe_key(key: str, *, empty: bool = False) -> bool:
    """
    Whether a key names a file below the bucket and nowhere else.

    Source: the Amazon S3 guide, "Creating object key names": at most 1024 bytes of UTF-8.
    """
    if not key:
        return empty
    try:
        fits = len(key.encode("utf-8", "surrogateescape")) <= MOST_KEY_BYTES
    except UnicodeEncodeError:
        return False
    unsafe = "\0" in key or "\\" in key
    return fits and not unsafe and all(step not in ("", ".", "..") for step in key.split("/"))


def raster(
    url: str, *, task_id: str, outputs: int, number_of: Callable[[str], int] | None = None
) -> Delivery:
    """
    The delivery of a raster task.

    Args:
        number_of: the id of a tile by its name; none: templates cannot hold it

    Raises:
        DeliveryError: a wrong URL, or a template whose files would not be distinct
    """
    place = place_of(url)
    template = place.key
    marks = (TILE,) if number_of is None else (TILE, TILE_ID)
    if not any(mark in template for mark in (REQUEST_ID, *marks, OUTPUT, FORMAT)):
        root = template
        template = f"{template}/{PLAIN}" if template else PLAIN
    elif not any(mark in template for mark in marks):
        msg = f"is a template, so it must contain {' or '.join(marks)}"
        raise DeliveryError(msg)
    elif outputs > 1 and OUTPUT not in template:
        msg = f"must contain {OUTPUT}, because there are several outputs"
        raise DeliveryError(msg)
    else:
        root = _root(template, marks)
    return Delivery(
        scheme=place.scheme,
        bucket=place.bucket,
        template=template.replace(REQUEST_ID, task_id),
        root=root.replace(REQUEST_ID, task_id),
        number_of=number_of,
    )


def zarr(url: str, *, task_id: str) -> Delivery:
    """
    The delivery of a Zarr task: one folder, in which each output is an array.

    Raises:
        DeliveryError: a wrong URL
    """
    place = place_of(url)
    root = place.key.replace(REQUEST_ID, task_id)
    template = f"{root}/{OUTPUT}" if root else OUTPUT
    return Delivery(scheme=place.scheme, bucket=place.bucket, template=template, root=root)


def _root(template: str, marks: tuple[str, ...]) -> str:
    steps = []
    for step in template.split("/")[:-1]:
        if any(mark in step for mark in (*marks, OUTPUT, FORMAT)):
            break
        steps.append(step)
    return "/".join(steps)
