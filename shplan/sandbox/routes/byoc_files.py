"""
Files of BYOC tiles: their names, and their bytes, whole or by range.

Source: operations `listByocTileFiles`, `getByocTileFile` and `headByocTileFile`. The document has
them for collections that Planet delivered; the setting `tile_files` says who else.
"""

# ruff: noqa: EM101, TRY003  the texts are answers, and functions make the errors

from __future__ import annotations

import os
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from shplan.sandbox.bucket_files import LocalFile
from shplan.sandbox.buckets import IngestionError, locate
from shplan.sandbox.errors import BAD_PAYLOAD, ApiError, not_found
from shplan.sandbox.ranges import FilePart, RangeError, span_of
from shplan.sandbox.remote_files import RemoteFile
from shplan.sandbox.routes.byoc_collections import owned
from shplan.sandbox.routes.byoc_tiles import tile_of
from shplan.sandbox.routes.endpoint import Call, Later, Operation, Reply, route
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.routing import Route

    from shplan.sandbox.bucket_files import BucketFile
    from shplan.sandbox.storage import Storage
    from shplan.sandbox.world import World

MEDIA_TYPE = "application/octet-stream"


def routes(world: World) -> list[Route]:
    """The routes of files."""
    base = "/byoc/v1/collections/{collection}/tiles/{tile}/files"
    one = {"GET": Operation(get_file), "HEAD": Operation(head_file)}
    table = {base: {"GET": Operation(list_files)}, f"{base}/{{path:path}}": one}
    return [route(world, path, operations, tells_tasks=False) for path, operations in table.items()]


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of a tile, wherever they are; for any thread."""

    storage: Storage
    bucket: str
    path: str
    sources: list[str] | None

    def by_key(self) -> dict[str, BucketFile]:
        """The files by their keys; none while there are none at the tile's path."""
        try:
            located = locate(self.storage, self.bucket, self.path, self.sources)
        except IngestionError:
            return {}
        files = {self._key(file): file for file in located.files.values()}
        return {name: file for name, file in files.items() if _is_text(name)}

    def _key(self, file: BucketFile) -> str:
        if isinstance(file, RemoteFile):
            return file.key
        assert isinstance(file, LocalFile)  # there are no others
        return file.path.relative_to(self.storage.objects.root / self.bucket).as_posix()

    def find(self, key: str) -> BucketFile:
        """
        One of them, found among their keys, so that no path can lead elsewhere.

        Raises:
            ApiError: 404
        """
        file = self.by_key().get(key)
        if file is None:
            raise _missing(key)
        return file


def _answered(call: Call, answer: Callable[[_Files], Reply]) -> Reply | Later:
    """Answer from the files of a tile, and while others are served if they lie behind an endpoint."""
    collection = owned(call, call.params["collection"])
    tile = tile_of(call, collection)
    if call.settings.tile_files == "delivered":
        raise not_found("The collection was not created by a Planet subscription or order.")
    bands = collection.bands
    sources = sorted({str(band["source"]) for band in bands.values()}) if bands else None
    files = _Files(call.world.storage, collection.bucket, str(tile["path"]), sources)
    if files.storage.is_far(files.bucket):
        return Later(partial(answer, files), _as_it_is, in_turn=False)
    return answer(files)


def _as_it_is(reply: Reply) -> Reply:
    return reply


def list_files(call: Call) -> Reply | Later:
    """The keys in the bucket; none while there are no files at the tile's path."""
    return _answered(call, lambda files: Reply(200, encode([*sorted(files.by_key())])))


def _is_text(name: str) -> bool:
    """Whether a name can be told in an answer; a file may have any bytes for a name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def get_file(call: Call) -> Reply | Later:
    """
    The bytes of a file, or a range of them.

    Source: RFC 9110 sections 13.1.5 and 14.2: a range counts unless `If-Range` names another state.
    """
    key, wanted = call.params["path"], call.headers.get("range")
    condition = call.headers.get("if-range")

    def answer(files: _Files) -> Reply:
        try:
            opened = _opened(files.find(key))
        except OSError as error:
            raise _missing(key) from error
        return _part(opened, wanted, condition)

    return _answered(call, answer)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file that is open to be read: its bytes, their number, and what its state is called."""

    content: BinaryIO
    size: int
    tag: str
    modified_s: float

    @property
    def headers(self) -> dict[str, str]:
        return {
            "Accept-Ranges": "bytes",
            "ETag": f'"{self.tag}"',
            "Last-Modified": formatdate(self.modified_s, usegmt=True),
        }


def _opened(file: BucketFile) -> _Opened:
    if isinstance(file, RemoteFile):
        return _Opened(file.reader(), file.size, file.tag, file.modified_s)
    assert isinstance(file, LocalFile)  # there are no others
    content = file.path.open("rb")
    status = os.fstat(content.fileno())
    tag = f"{status.st_mtime_ns:x}-{status.st_size:x}"
    return _Opened(content, status.st_size, tag, status.st_mtime)


def _part(opened: _Opened, wanted: str | None, condition: str | None) -> Reply:
    headers = opened.headers
    if condition not in (None, headers["ETag"], headers["Last-Modified"]):
        wanted = None
    try:
        span = span_of(wanted, opened.size)
    except RangeError as error:
        opened.content.close()
        raise _outside(opened.size) from error
    first, last = span or (0, opened.size - 1)
    if span is not None:
        headers["Content-Range"] = f"bytes {first}-{last}/{opened.size}"
    part = FilePart(opened.content, first, last - first + 1)
    return Reply(200 if span is None else 206, part=part, media_type=MEDIA_TYPE, headers=headers)


def head_file(call: Call) -> Reply | Later:
    """The size of a file. Source: RFC 9110 section 14.2: a range means something in a GET only."""
    key = call.params["path"]

    def answer(files: _Files) -> Reply:
        try:
            opened = _opened(files.find(key))
        except OSError as error:
            raise _missing(key) from error
        opened.content.close()
        told = {"Content-Length": str(opened.size), "Content-Type": MEDIA_TYPE}
        return Reply(200, headers={**opened.headers, **told})

    return _answered(call, answer)


def _missing(key: str) -> ApiError:
    return not_found(f"File {key} not found.")


def _outside(size: int) -> ApiError:
    headers = {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}
    return ApiError(416, BAD_PAYLOAD, "The range lies outside of the file.", headers=headers)
