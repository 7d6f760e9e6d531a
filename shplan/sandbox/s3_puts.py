"""
PutObject: a body that is stored while it arrives, and an object that is there whole or not at all.

Source: the Amazon S3 API reference: PutObject, its conditional writes, the chunked upload of
signature version 4, and the largest object that one PUT takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from shplan.sandbox.errors import ApiError
from shplan.sandbox.intake import bounded
from shplan.sandbox.objects import ObjectStoreError
from shplan.sandbox.settling import settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from shplan.sandbox.world import World

# Our own bound of a chunk's head: a size and a signature.
MOST_HEAD_BYTES = 1000


async def bounded_body(request: Request, *, most: int) -> AsyncIterator[bytes]:
    """
    The body of a request, piece by piece.

    Raises:
        ObjectStoreError: 400, it has more bytes than `most`
    """
    bound = Request(request.scope, bounded(request.receive, most=most))
    try:
        async for piece in bound.stream():
            yield piece
    except ApiError as error:
        msg = "Your proposed upload exceeds the maximum allowed size"
        raise ObjectStoreError(400, "EntityTooLarge", msg) from error


async def put(world: World, request: Request) -> Response:
    """
    Store an object.

    Raises:
        ObjectStoreError: it is refused, and what was there stays
    """
    bucket, key = request.path_params["bucket"], request.path_params["key"]
    is_chunked = "aws-chunked" in request.headers.get("content-encoding", "")
    chunks = _Chunks()
    with world.objects.upload() as upload:
        async for piece in bounded_body(request, most=round(world.settings.most_object_mb * 1e6)):
            for part in chunks.read(piece) if is_chunked else (piece,):
                upload.write(part)
        if is_chunked and not chunks.is_over:
            raise _incomplete()
        if request.query_params or "x-amz-copy-source" in request.headers:
            raise ObjectStoreError(501, "NotImplemented", "Objects are put whole, or not at all.")
        await settle(world)
        # Nobody else writes between the look at what is there and the write.
        with world.store.writing():
            _check_conditions(world, request, bucket, key)
            tag = world.objects.keep(upload, bucket, key)
    return Response(status_code=200, headers={"ETag": f'"{tag}"'})


def _check_conditions(world: World, request: Request, bucket: str, key: str) -> None:
    """Source: conditional writes: `If-None-Match: *`, and `If-Match` with an entity tag."""
    exists = world.objects.exists(bucket, key)
    wanted = request.headers.get("if-match")
    tag = world.objects.digest(world.objects.find(bucket, key)) if exists else None
    if wanted is not None and tag is None:
        raise ObjectStoreError(404, "NoSuchKey", "The key does not exist.")
    refused = exists and request.headers.get("if-none-match") == "*"
    if refused or (wanted is not None and wanted.strip('"') != tag):
        raise ObjectStoreError(412, "PreconditionFailed", "The object is not as it was expected.")


def _incomplete() -> ObjectStoreError:
    return ObjectStoreError(400, "IncompleteBody", "The chunks of the body are not whole.")


class _Chunks:
    """Reads a body of signed chunks: `<hex size>[;...]CRLF<bytes>CRLF`, up to size 0."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._left = 0
        self._between = 0
        self.is_over = False

    def read(self, piece: bytes) -> Iterator[bytes]:
        """
        The bytes of the object in a piece of the body; what follows the last chunk is passed over.

        Raises:
            ObjectStoreError: 400, these are no chunks
        """
        place = 0
        while place < len(piece) and not self.is_over:
            if self._left:
                part = piece[place : place + self._left]
                place += len(part)
                self._left -= len(part)
                self._between = 0 if self._left else 2
                yield part
            elif self._between:
                self._between -= 1
                place += 1
            else:
                end = piece.find(b"\n", place)
                end = len(piece) if end < 0 else end + 1
                self._head += piece[place:end]
                place = end
                self._read_head()

    def _read_head(self) -> None:
        if not self._head.endswith(b"\r\n"):
            if len(self._head) > MOST_HEAD_BYTES:
                raise _incomplete()
            return
        digits = bytes(self._head[:-2]).partition(b";")[0]
        self._head.clear()
        if not digits or len(digits) > 15 or digits.strip(b"0123456789abcdefABCDEF"):
            raise _incomplete()
        self._left = int(digits, 16)
        self.is_over = self._left == 0
