"""
Files of BYOC tiles: their names, and their bytes, whole or by range.

Source: operations `listByocTileFiles`, `getByocTileFile` and `headByocTileFile`. The document has
them for collections that Planet delivered; the setting `tile_files` says who else.
"""

# ruff: noqa: EM101, TRY003  the texts are answers, and functions make the errors

from __future__ import annotations

import os
from email.utils import formatdate
from typing import TYPE_CHECKING

from shplan.sandbox.bucket_files import LocalFile
from shplan.sandbox.buckets import IngestionError, locate
from shplan.sandbox.errors import BAD_PAYLOAD, ApiError, not_found
from shplan.sandbox.ranges import FilePart, RangeError, span_of
from shplan.sandbox.routes.byoc_collections import owned
from shplan.sandbox.routes.byoc_tiles import tile_of
from shplan.sandbox.routes.endpoint import Call, Operation, Reply, route
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.routing import Route

    from shplan.sandbox.world import World

MEDIA_TYPE = "application/octet-stream"


def routes(world: World) -> list[Route]:
    """The routes of files."""
    base = "/byoc/v1/collections/{collection}/tiles/{tile}/files"
    one = {"GET": Operation(get_file), "HEAD": Operation(head_file)}
    table = {base: {"GET": Operation(list_files)}, f"{base}/{{path:path}}": one}
    return [route(world, path, operations, tells_tasks=False) for path, operations in table.items()]


def list_files(call: Call) -> Reply:
    """The keys in the bucket; none while there are no files at the tile's path."""
    return Reply(200, encode([*sorted(_files(call))]))


def _files(call: Call) -> dict[str, Path]:
    """The tile's files by their keys."""
    collection = owned(call, call.params["collection"])
    tile = tile_of(call, collection)
    if call.settings.tile_files == "delivered":
        raise not_found("The collection was not created by a Planet subscription or order.")
    bands = collection.bands
    sources = sorted({str(band["source"]) for band in bands.values()}) if bands else None
    try:
        located = locate(call.world.buckets, collection.bucket, str(tile["path"]), sources)
    except IngestionError:
        return {}
    bucket = call.world.buckets / collection.bucket
    # Those behind an endpoint are never found, because that is not asked here.
    paths = [file.path for file in located.files.values() if isinstance(file, LocalFile)]
    files = {path.relative_to(bucket).as_posix(): path for path in paths}
    return {name: path for name, path in files.items() if _is_text(name)}


def _is_text(name: str) -> bool:
    """Whether a name can be told in an answer; a file may have any bytes for a name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def get_file(call: Call) -> Reply:
    """
    The bytes of a file, or a range of them.

    Source: RFC 9110 sections 13.1.5 and 14.2: a range counts unless `If-Range` names another state.
    """
    try:
        file = _path(call).open("rb")
    except OSError as error:
        raise _missing(call) from error
    status = os.fstat(file.fileno())
    headers = _headers(status)
    wanted = call.headers.get("range")
    if call.headers.get("if-range") not in (None, headers["ETag"], headers["Last-Modified"]):
        wanted = None
    try:
        span = span_of(wanted, status.st_size)
    except RangeError as error:
        file.close()
        raise _outside(status.st_size) from error
    first, last = span or (0, status.st_size - 1)
    if span is not None:
        headers["Content-Range"] = f"bytes {first}-{last}/{status.st_size}"
    part = FilePart(file, first, last - first + 1)
    return Reply(200 if span is None else 206, part=part, media_type=MEDIA_TYPE, headers=headers)


def head_file(call: Call) -> Reply:
    """The size of a file. Source: RFC 9110 section 14.2: a range means something in a GET only."""
    try:
        status = _path(call).stat()
    except OSError as error:
        raise _missing(call) from error
    told = {"Content-Length": str(status.st_size), "Content-Type": MEDIA_TYPE}
    return Reply(200, headers={**_headers(status), **told})


def _path(call: Call) -> Path:
    """One of the tile's files, found among their keys, so that no path can lead elsewhere."""
    path = _files(call).get(call.params["path"])
    if path is None:
        raise _missing(call)
    return path


def _missing(call: Call) -> ApiError:
    return not_found(f"File {call.params['path']} not found.")


def _headers(status: os.stat_result) -> dict[str, str]:
    return {
        "Accept-Ranges": "bytes",
        "ETag": f'"{status.st_mtime_ns:x}-{status.st_size:x}"',
        "Last-Modified": formatdate(status.st_mtime, usegmt=True),
    }


def _outside(size: int) -> ApiError:
    headers = {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}
    return ApiError(416, BAD_PAYLOAD, "The range lies outside of the file.", headers=headers)
