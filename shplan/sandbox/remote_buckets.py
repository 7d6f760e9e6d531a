"""
Buckets behind an endpoint of S3, read where a bucket is no directory of the sandbox.

Endpoint, credentials and region are those of AWS's own tools, found by botocore and never seen here; nothing is
imported or opened before the first call. Every wait is bounded, and an endpoint that cannot be reached is left
alone for a while, so that many tiles do not wait for it one after the other. Pixels are read by ranges, each of
the state of the file that was found first.
"""

from __future__ import annotations

import io
import ipaddress
import re
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import urlsplit

from shplan.sandbox.batch_paths import is_safe_key
from shplan.sandbox.bucket_files import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from rasterio import DatasetReader

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 15.0
ATTEMPTS = 2
PAUSE_S = 10.0
# Our own bound, of a listing for files whose names are not known.
MOST_LISTED = 10_000
BLOCK_BYTES = 1 << 18
# What is read ahead of who reads on, and what of a file is kept, in blocks.
MOST_AHEAD = 16
MOST_KEPT = 64

# Source: Amazon S3 User Guide, "Bucket naming rules". Not an ARN: that could name another host.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_CODE = re.compile(r"[A-Za-z0-9.]{1,60}")
_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_GONE = frozenset({"NoSuchBucket", "NoSuchKey", "404", "NotFound"})
_CHANGED = frozenset({"PreconditionFailed", "412"})


class NoBucketError(UnreadableError):
    """There is no such bucket."""


class RemoteBuckets:
    """
    The buckets that the credentials of the environment open at one endpoint; for any thread.

    Args:
        endpoint: its URL
        connect_timeout_s: for one connection
        read_timeout_s: between two bytes of an answer
        monotonic: seconds of a clock that never jumps
    """

    def __init__(
        self,
        endpoint: str,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint
        self._timeouts_s = (connect_timeout_s, read_timeout_s)
        self._monotonic = monotonic
        self._opening = threading.Lock()
        self._client: Any = None
        self._closed_until = 0.0
        self._closed_why = ""
        self._is_own = False

    def leave_out(self, urls: Iterable[str | None]) -> None:
        """Ask nobody where the endpoint is this sandbox itself: it would wait for its own answer."""
        self._is_own |= any(_is_one_place(self._endpoint, url) for url in urls if url)

    def is_asked_for(self, bucket: str) -> bool:
        """Whether a bucket of this name could be there at all."""
        return not self._is_own and _BUCKET.fullmatch(bucket) is not None

    def find(self, bucket: str, key: str) -> RemoteFile | None:
        """
        The file of a key; none: there is none.

        Raises:
            UnreadableError: nobody can tell
            NoBucketError: there is no such bucket
        """
        if not is_safe_key(key):
            return None
        answer = self._asked(bucket, "head_object", Key=key)
        if answer is None:
            # HEAD has no body that would tell of what there is none.
            self._check_bucket(bucket)
            return None
        return RemoteFile(self, bucket, key, int(answer["ContentLength"]), _etag(answer))

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """
        The keys that begin with a prefix, in order.

        Raises:
            UnreadableError: they cannot be listed, or there are too many
            NoBucketError: there is no such bucket
        """
        found: list[str] = []
        more: dict[str, str] = {}
        while True:
            answer = self._asked(bucket, "list_objects_v2", Prefix=prefix, **more)
            if answer is None:
                raise _no_bucket(bucket)
            found += [str(one["Key"]) for one in answer.get("Contents", ())]
            if len(found) > MOST_LISTED:
                msg = f"There are more than {MOST_LISTED:,} files below {prefix} in {bucket}."
                raise UnreadableError(msg)
            if not answer.get("NextContinuationToken"):
                return sorted(found)
            more = {"ContinuationToken": str(answer["NextContinuationToken"])}

    def span(self, file: RemoteFile, first: int, count: int) -> bytes:
        """
        So many bytes of a file, as it was when it was found.

        Raises:
            UnreadableError: it is gone or another, or cannot be read
        """
        answer = self._asked(
            file.bucket,
            "get_object",
            Key=file.key,
            Range=f"bytes={first}-{first + count - 1}",
            IfMatch=f'"{file.tag}"',
        )
        # Not every store knows the condition.
        is_same = answer is not None and _etag(answer) == file.tag
        content = cast("bytes", answer["Body"]) if answer is not None and is_same else b""
        if len(content) != count:
            msg = f"The file {file.name} was changed while it was read."
            raise UnreadableError(msg)
        return content

    def _check_bucket(self, bucket: str) -> None:
        if self._asked(bucket, "head_bucket") is None:
            raise _no_bucket(bucket)

    def _asked(self, bucket: str, operation: str, **options: str) -> Mapping[str, Any] | None:
        """What the endpoint answers, with its body as bytes; none: there is no such thing."""
        if self._monotonic() < self._closed_until:
            raise _unreadable(bucket, self._closed_why)
        client = self._opened(bucket)
        with self._translated(bucket):
            try:
                answer: dict[str, Any] = getattr(client, operation)(Bucket=bucket, **options)
            except client.exceptions.ClientError as error:
                code = str(error.response.get("Error", {}).get("Code", ""))
                if code in _GONE or code in _CHANGED:
                    return None
                said = code if _CODE.fullmatch(code) else "what nobody understands"
                raise _unreadable(bucket, f"its endpoint answers {said}") from error
            if operation == "get_object":
                with answer["Body"] as body:
                    answer["Body"] = body.read()
            return answer

    def _opened(self, bucket: str) -> Any:
        with self._opening:
            if self._client is None:
                try:
                    import botocore.session  # noqa: F401, PLC0415 rarely needed, and dear
                except ImportError as error:
                    why = "a package is missing: pip install 'shplan[sandbox]'"
                    raise _unreadable(bucket, why) from error
                with self._translated(bucket):
                    self._client = _client(self._endpoint, *self._timeouts_s)
            return self._client

    @contextmanager
    def _translated(self, bucket: str) -> Iterator[None]:
        """Translate what botocore raises; its own words may repeat what is secret."""
        from botocore import exceptions  # noqa: PLC0415 as above

        try:
            yield
        except exceptions.ConnectionError as error:
            raise self._closed(bucket, "its endpoint cannot be reached") from error
        except (exceptions.HTTPClientError, exceptions.IncompleteReadError) as error:
            raise self._closed(bucket, "its endpoint gives no answer, or half of one") from error
        except exceptions.NoCredentialsError as error:
            raise self._closed(bucket, "there are no AWS credentials") from error
        except (exceptions.BotoCoreError, ValueError) as error:
            why = f"its endpoint, or the AWS settings, do not work ({type(error).__name__})"
            raise self._closed(bucket, why) from error

    def _closed(self, bucket: str, why: str) -> UnreadableError:
        self._closed_why = why
        self._closed_until = self._monotonic() + PAUSE_S
        return _unreadable(bucket, why)


def from_environment(variables: Mapping[str, str]) -> RemoteBuckets | None:
    """The buckets of the endpoint that the variables of AWS's tools name; none: they name none."""
    endpoint = next((variables[name] for name in _VARIABLES if variables.get(name)), None)
    return None if endpoint is None else RemoteBuckets(endpoint)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as it was when it was found: its size in bytes and its entity tag."""

    buckets: RemoteBuckets
    bucket: str
    key: str
    size: int
    tag: str

    @property
    def name(self) -> str:
        """As in `BucketFile`."""
        return self.key.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """As in `BucketFile`."""
        stem, dot, ending = self.name.rpartition(".")
        return dot + ending if stem else ""

    def state(self) -> object:
        """As in `BucketFile`: asked for anew."""
        found = self.buckets.find(self.bucket, self.key)
        return None if found is None else (found.size, found.tag)

    def etag(self) -> str:
        """As in `BucketFile`."""
        return self.tag

    @contextmanager
    def opened(self) -> Iterator[tuple[BinaryIO, int]]:
        """As in `BucketFile`."""
        reader = _Reader(self)
        try:
            yield cast("BinaryIO", reader), self.size
        finally:
            # Whatever was made of an end that came too early.
            reader.check()

    @contextmanager
    def raster(self, **options: Any) -> Iterator[DatasetReader]:
        """As in `BucketFile`."""
        import rasterio  # noqa: PLC0415 costs a quarter of a second, and most commands need none
        from rasterio.errors import RasterioError  # noqa: PLC0415

        readers: list[_Reader] = []

        def opener(path: str, mode: str = "rb") -> _Reader:
            del path, mode  # there is one file, and it is read
            readers.append(_Reader(self))
            return readers[-1]

        try:
            with (
                rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"),
                rasterio.open(self.key, driver="GTiff", opener=opener, **options) as raster,
            ):
                yield raster
        except RasterioError:
            # GDAL tells that bytes are missing, and not why.
            for reader in readers:
                reader.check()
            raise


class _Reader(io.RawIOBase):
    """
    The bytes of a file, in blocks that are kept while it is open.

    Reading never raises, because GDAL reads through it and would lose the error: it ends, and `check` tells why.
    """

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self._at = 0
        self._kept: dict[int, bytes] = {}
        self._next = 0
        self._ahead = 1
        self._failure: UnreadableError | None = None

    def check(self) -> None:
        """
        Tell why reading ended too early, if it did.

        Raises:
            UnreadableError: it did
        """
        if self._failure is not None:
            raise self._failure

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._file.size if size < 0 else min(self._at + size, self._file.size)
        parts = []
        while self._at < end:
            number, within = divmod(self._at, BLOCK_BYTES)
            block = self._block(number)
            if block is None:
                break
            part = block[within : within + end - self._at]
            parts.append(part)
            self._at += len(part)
        return b"".join(parts)

    def readinto(self, buffer: Any) -> int:
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def _block(self, number: int) -> bytes | None:
        if number not in self._kept:
            try:
                self._fetch(number)
            except UnreadableError as error:
                self._failure = error
                return None
        return self._kept[number]

    def _fetch(self, number: int) -> None:
        """Fetch a block, and more and more of those behind it while they are read in turn."""
        self._ahead = min(self._ahead * 2, MOST_AHEAD) if number == self._next else 1
        first = number * BLOCK_BYTES
        count = min(self._ahead * BLOCK_BYTES, self._file.size - first)
        content = self._file.buckets.span(self._file, first, count)
        if len(self._kept) > MOST_KEPT - MOST_AHEAD:
            self._kept.clear()
        for offset in range(0, count, BLOCK_BYTES):
            self._kept[(first + offset) // BLOCK_BYTES] = content[offset : offset + BLOCK_BYTES]
        self._next = number + self._ahead


def _client(endpoint: str, connect_s: float, read_s: float) -> Any:
    from botocore.config import Config  # noqa: PLC0415 as above
    from botocore.session import Session  # noqa: PLC0415

    session = Session()
    for provider in ("iam-role", "container-role"):
        # Elsewhere than on Amazon's machines nobody answers there, after a wait.
        with suppress(ValueError):
            session.get_component("credential_provider").remove(provider)
    config = Config(
        connect_timeout=connect_s,
        read_timeout=read_s,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        # Names of buckets are seldom names of hosts elsewhere than at Amazon.
        s3={"addressing_style": "path"},
        # Other stores than Amazon's refuse the newer checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # No proxy leads to this machine.
        proxies={} if _is_loopback(urlsplit(endpoint).hostname or "") else None,
    )
    region = session.get_config_variable("region") or "us-east-1"
    return session.create_client("s3", endpoint_url=endpoint, region_name=region, config=config)


def _is_one_place(one: str, other: str) -> bool:
    try:
        mine, theirs = urlsplit(one), urlsplit(other)
        if mine.port != theirs.port:
            return False
    except ValueError:
        return False
    hosts = {mine.hostname or "", theirs.hostname or ""}
    return len(hosts) == 1 or all(map(_is_loopback, hosts))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _etag(answer: Mapping[str, Any]) -> str:
    return str(answer.get("ETag", "")).strip('"')


def _no_bucket(bucket: str) -> NoBucketError:
    return NoBucketError(f"There is no bucket {bucket}.")


def _unreadable(bucket: str, why: str) -> UnreadableError:
    msg = f"The bucket {bucket} is no directory of the sandbox, and cannot be read over S3: {why}."
    return UnreadableError(msg)
