"""
The buckets over S3, as an application of its own: other programs read results as from the service.

GET with ranges, HEAD, both ListObjects and ListBuckets, with the bucket in the path; PUT stands in
`s3_puts`. Requests
may be signed, and are by every client, but no signature is checked: nothing here is secret, and
only callers on this machine are answered by default. No multipart uploads, versions or deletes.
Source: the Amazon S3 API reference, operations and error responses.
"""

from __future__ import annotations

import base64
import binascii
import errno
import re
from contextlib import suppress
from email.utils import formatdate
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote
from xml.sax.saxutils import escape

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from shplan.sandbox.address import REGION
from shplan.sandbox.objects import ObjectStoreError
from shplan.sandbox.s3_puts import bounded_body, put
from shplan.sandbox.settling import settle
from shplan.sandbox.wire import instant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from starlette.requests import Request

    from shplan.sandbox.objects import Entry
    from shplan.sandbox.world import World

MOST_KEYS = 1000
# What else than an object has a body needs none.
MOST_QUERY_BYTES = 1_000_000
PIECE_BYTES = 1_000_000

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_OWNER = "<Owner><ID>sandbox</ID><DisplayName>sandbox</DisplayName></Owner>"
_METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE"]
# What a list may be asked by; anything else names another operation, such as `acl`.
_OF_LISTS = frozenset(
    {
        *("list-type", "prefix", "delimiter", "max-keys", "encoding-type", "fetch-owner"),
        *("marker", "continuation-token", "start-after", "x-id"),
    }
)
_OF_SIGNATURES = ("x-amz-", "awsaccesskeyid", "signature", "expires")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def create_s3_app(world: World) -> Starlette:
    """The application that serves the buckets of an open sandbox."""

    def endpoint(
        answer: Callable[[World, Request], Response],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            try:
                if request.method == "PUT" and "key" in request.path_params:
                    return await put(world, request)
                async for _ in bounded_body(request, most=MOST_QUERY_BYTES):
                    pass
                # Who reads a bucket that is not there may be a settling that looks for it elsewhere.
                if world.objects.has_bucket(request.path_params.get("bucket", "")):
                    await settle(world)
                return answer(world, request)
            except ObjectStoreError as error:
                return _error(request, error)

        return serve

    return Starlette(
        routes=[
            Route("/", endpoint(_service), methods=_METHODS),
            Route("/{bucket}", endpoint(_bucket), methods=_METHODS),
            Route("/{bucket}/", endpoint(_bucket), methods=_METHODS),
            Route("/{bucket}/{key:path}", endpoint(_object), methods=_METHODS),
        ],
        exception_handlers={
            HTTPException: _refused,
            ClientDisconnect: _left_alone,
            Exception: _stumbled,
        },
    )


async def _refused(request: Request, _: Exception) -> Response:
    """What the router refuses: a method that S3 does not know either."""
    return _error(request, _not_allowed())


async def _left_alone(request: Request, _: Exception) -> Response:
    """The client left before its request was whole: nobody hears this."""
    error = ObjectStoreError(400, "RequestTimeout", "The request is not whole.")
    return _error(request, error)


async def _stumbled(request: Request, error: Exception) -> Response:
    """A bug of the sandbox, a full disk, or files of its own that cannot be read."""
    is_full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    told = "No space is left on the disk." if is_full else "see its output."
    msg = f"The sandbox cannot answer; {told}"
    return _error(request, ObjectStoreError(500, "InternalError", msg))


def _xml(text: str, status: int = 200) -> Response:
    return Response(
        f'<?xml version="1.0" encoding="UTF-8"?>\n{text}', status, media_type="application/xml"
    )


def _error(request: Request, error: ObjectStoreError) -> Response:
    if request.method == "HEAD":
        return Response(status_code=error.status)
    resource = _escaped(request.url.path)
    text = (
        f"<Error><Code>{error.code}</Code><Message>{_escaped(error.message)}</Message>"
        f"<Resource>{resource}</Resource><RequestId>0</RequestId></Error>"
    )
    return _xml(text, error.status)


def _escaped(text: str) -> str:
    """Text within XML, which cannot hold control characters in any spelling."""
    printable = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
    return escape(printable)


def _not_allowed() -> ObjectStoreError:
    return ObjectStoreError(405, "MethodNotAllowed", "The sandbox has no such operation.")


def _service(world: World, request: Request) -> Response:
    """ListBuckets."""
    if request.method not in ("GET", "HEAD"):
        raise _not_allowed()
    listed = "".join(
        f"<Bucket><Name>{_escaped(name)}</Name><CreationDate>1970-01-01T00:00:00.000Z"
        "</CreationDate></Bucket>"
        for name in world.objects.buckets()
    )
    return _xml(
        f'<ListAllMyBucketsResult xmlns="{_NAMESPACE}">{_OWNER}<Buckets>{listed}</Buckets>'
        "</ListAllMyBucketsResult>"
    )


def _bucket(world: World, request: Request) -> Response:
    """CreateBucket, HeadBucket, GetBucketLocation, ListObjects, ListObjectsV2."""
    bucket = request.path_params["bucket"]
    if request.method == "PUT" and not request.query_params:
        world.objects.make_bucket(bucket)
        return Response(status_code=200, headers={"Location": f"/{quote(bucket)}"})
    if request.method not in ("GET", "HEAD"):
        raise _not_allowed()
    if not world.objects.has_bucket(bucket):
        raise ObjectStoreError(404, "NoSuchBucket", "The bucket does not exist.")
    if request.method == "HEAD":
        return Response(status_code=200, headers={"x-amz-bucket-region": REGION})
    if "location" in request.query_params:
        return _xml(f'<LocationConstraint xmlns="{_NAMESPACE}"/>')
    other = [
        name
        for name in request.query_params
        if name not in _OF_LISTS and not name.lower().startswith(_OF_SIGNATURES)
    ]
    if other or request.query_params.get("list-type", "2") != "2":
        raise ObjectStoreError(501, "NotImplemented", "Of a bucket there are lists only.")
    return _list(world, request, bucket)


def _list(world: World, request: Request, bucket: str) -> Response:
    query = request.query_params
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    most = _most(query.get("max-keys"))
    # The first version of the operation, which some clients still use, pages by keys as they are.
    is_first = "list-type" not in query
    token = None if is_first else query.get("continuation-token")
    start = query.get("marker" if is_first else "start-after", "")
    after = start if token is None else _read_token(token)
    groups = list(_grouped(world.objects.list(bucket, prefix), prefix, delimiter, after))
    more = 0 < most < len(groups)
    shown, listed = groups[:most], []
    spelled = _url_spelled if query.get("encoding-type") == "url" else _escaped
    for name, entry in shown:
        if entry is None:
            listed.append(f"<CommonPrefixes><Prefix>{spelled(name)}</Prefix></CommonPrefixes>")
        else:
            # What vanished meanwhile, or cannot be read, is not listed.
            with suppress(OSError, ObjectStoreError):
                listed.append(_listed(world, bucket, entry, spelled))
    parts = [
        f"<Name>{_escaped(bucket)}</Name><Prefix>{spelled(prefix)}</Prefix>",
        f"<MaxKeys>{most}</MaxKeys><IsTruncated>{'true' if more else 'false'}</IsTruncated>",
        f"<Marker>{spelled(start)}</Marker>" if is_first else f"<KeyCount>{len(listed)}</KeyCount>",
    ]
    if delimiter:
        parts.append(f"<Delimiter>{spelled(delimiter)}</Delimiter>")
    if "encoding-type" in query:
        parts.append("<EncodingType>url</EncodingType>")
    if token is not None:
        parts.append(f"<ContinuationToken>{_escaped(token)}</ContinuationToken>")
    if more and is_first:
        parts.append(f"<NextMarker>{spelled(shown[-1][0])}</NextMarker>")
    elif more:
        parts.append(f"<NextContinuationToken>{_token(shown[-1][0])}</NextContinuationToken>")
    parts += listed
    return _xml(f'<ListBucketResult xmlns="{_NAMESPACE}">{"".join(parts)}</ListBucketResult>')


def _most(text: str | None) -> int:
    if text is None:
        return MOST_KEYS
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ObjectStoreError(400, "InvalidArgument", "max-keys must be a number.")
    return min(int(text), MOST_KEYS)


def _url_spelled(text: str) -> str:
    return quote(text, safe="/", errors="surrogateescape")


def _grouped(
    entries: Iterable[Entry], prefix: str, delimiter: str, after: str
) -> Iterable[tuple[str, Entry | None]]:
    """Objects, and once each what they have in common up to the delimiter."""
    last = None
    for entry in entries:
        inner = entry.key[len(prefix) :]
        cut = inner.find(delimiter) if delimiter else -1
        name = entry.key if cut < 0 else prefix + inner[: cut + len(delimiter)]
        # After a group its members are over too.
        if name == last or _bytes(name) <= _bytes(after):
            continue
        last = name
        yield name, entry if cut < 0 else None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _listed(world: World, bucket: str, entry: Entry, spelled: Callable[[str], str]) -> str:
    tag = world.objects.digest(world.objects.find(bucket, entry.key))
    changed = instant(entry.modified_ns // 1_000_000)
    return (
        f"<Contents><Key>{spelled(entry.key)}</Key><LastModified>{changed}</LastModified>"
        f"<ETag>&quot;{tag}&quot;</ETag><Size>{entry.size}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


def _token(key: str) -> str:
    return base64.urlsafe_b64encode(_bytes(key)).decode()


def _read_token(token: str) -> str:
    try:
        content = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        return content.decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError) as error:
        msg = "The continuation token is not one of this store."
        raise ObjectStoreError(400, "InvalidArgument", msg) from error


def _object(world: World, request: Request) -> Response:
    """GetObject, HeadObject."""
    bucket, key = request.path_params["bucket"], request.path_params["key"]
    if request.method not in ("GET", "HEAD"):
        raise _not_allowed()
    path = world.objects.find(bucket, key)
    try:
        status, tag = path.stat(), world.objects.digest(path)
    except OSError as error:
        raise ObjectStoreError(403, "AccessDenied", "The object cannot be read.") from error
    headers = {
        "ETag": f'"{tag}"',
        "Last-Modified": formatdate(status.st_mtime, usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Type": "binary/octet-stream",
    }
    span = _span(request.headers.get("range"), status.st_size)
    first, last = span or (0, status.st_size - 1)
    if span is not None:
        headers["Content-Range"] = f"bytes {first}-{last}/{status.st_size}"
    headers["Content-Length"] = str(last - first + 1)
    answer = 200 if span is None else 206
    if request.method == "HEAD":
        return Response(status_code=answer, headers=headers)
    # Open before anything is answered: whoever replaces the object meanwhile replaces another file.
    file = path.open("rb")
    file.seek(first)
    return StreamingResponse(_pieces(file, last - first + 1), answer, headers)


async def _pieces(file: BinaryIO, size: int) -> AsyncIterator[bytes]:
    with file:
        while size > 0 and (piece := file.read(min(size, PIECE_BYTES))):
            size -= len(piece)
            yield piece


def _span(text: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte of a range; a header that is no single range is passed over."""
    match = _RANGE.fullmatch(text.strip()) if text else None
    if match is None or match.groups() == ("", ""):
        return None
    if not match[1]:
        length = min(int(match[2]), size)
        first, last = size - length, size - 1
    else:
        first = int(match[1])
        last = min(int(match[2]), size - 1) if match[2] else size - 1
        if match[2] and int(match[2]) < first:
            return None
    if first >= size or last < first:
        raise ObjectStoreError(416, "InvalidRange", "The range lies outside of the object.")
    return first, last
