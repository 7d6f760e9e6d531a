"""
Buckets behind an endpoint of S3, where a bucket is no directory of the sandbox: find, list, read and put.

Endpoint, credentials and region are those of AWS's own tools, found by botocore and never seen here; nothing is
imported or opened before the first call. Every wait is bounded, and an endpoint that cannot be reached is left
alone for a while, so that many tiles do not wait for it one after the other. Pixels are read by ranges, each of
the state of the file that was found first.
"""

from __future__ import annotations

import ipaddress
import re
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from shplan.sandbox.batch_paths import is_safe_key
from shplan.sandbox.bucket_files import UnreadableError
from shplan.sandbox.remote_files import RemoteFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 15.0
ATTEMPTS = 2
PAUSE_S = 10.0
# Our own bound, of a listing for files whose names are not known.
MOST_LISTED = 10_000
# As many keys are looked for one by one; of a listing, as many pages are turned.
MOST_ASKED = 16
MOST_PAGES = 2000

# Source: Amazon S3 User Guide, "Bucket naming rules". Not an ARN: that could name another host.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_CODE = re.compile(r"[A-Za-z0-9.]{1,60}")
_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_GONE = frozenset({"NoSuchBucket", "NoSuchKey", "404", "NotFound"})
_CHANGED = frozenset({"PreconditionFailed", "412"})
_DENIED = frozenset({"AccessDenied", "403", "Forbidden", "AllAccessDisabled"})


class NoBucketError(UnreadableError):
    """There is no such bucket."""


class DeniedError(UnreadableError):
    """Nobody may do that with the credentials there are."""


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
            self.check(bucket)
            return None
        size, modified = int(answer["ContentLength"]), answer.get("LastModified")
        modified_s = 0.0 if modified is None else modified.timestamp()
        return RemoteFile(self, bucket, key, size, _etag(answer), modified_s)

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """
        The keys that begin with a prefix, in order.

        Raises:
            UnreadableError: they cannot be listed, or there are too many
            NoBucketError: there is no such bucket
        """
        found: list[str] = []
        for key in self.listing(bucket, prefix):
            found.append(key)
            if len(found) > MOST_LISTED:
                msg = f"There are more than {MOST_LISTED:,} files below {prefix} in {bucket}."
                raise UnreadableError(msg)
        return sorted(found)

    def present(self, bucket: str, keys: Sequence[str]) -> set[str]:
        """
        Those among some keys of which there is a file; few are asked for one by one, many by a listing.

        Raises:
            UnreadableError: as `keys`
            NoBucketError: there is no such bucket
        """
        if len(keys) <= MOST_ASKED:
            return {key for key in keys if self.find(bucket, key) is not None}
        wanted = set(keys)
        return {key for key in self.listing(bucket, _common(keys)) if key in wanted}

    def listing(self, bucket: str, prefix: str) -> Iterator[str]:
        """
        The keys that begin with a prefix, as the endpoint tells them.

        Raises:
            UnreadableError: as `keys`
            NoBucketError: there is no such bucket
        """
        for page in self._pages(bucket, prefix):
            yield from _keys(page)

    def folders(self, bucket: str, prefix: str) -> list[str]:
        """
        Names of the folders right below a prefix that ends in a slash, in order.

        Raises:
            UnreadableError: as `keys`
            NoBucketError: there is no such bucket
        """
        found: list[str] = []
        for page in self._pages(bucket, prefix, Delimiter="/"):
            names = (str(one["Prefix"]) for one in page.get("CommonPrefixes", ()))
            found += [name.removeprefix(prefix).removesuffix("/") for name in names]
            if len(found) > MOST_LISTED:
                msg = f"There are more than {MOST_LISTED:,} folders below {prefix} in {bucket}."
                raise UnreadableError(msg)
        return sorted(found)

    def has_any(self, bucket: str, prefix: str) -> bool:
        """
        Whether the key of any file begins with a prefix.

        Raises:
            UnreadableError: as `keys`
            NoBucketError: there is no such bucket
        """
        return bool(_keys(next(self._pages(bucket, prefix, MaxKeys=1))))

    def _pages(self, bucket: str, prefix: str, **options: str | int) -> Iterator[Mapping[str, Any]]:
        """
        A listing, page by page.

        Raises:
            UnreadableError: it cannot be listed, or has no end
            NoBucketError: there is no such bucket
        """
        more: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            answer = self._asked(bucket, "list_objects_v2", Prefix=prefix, **options, **more)
            if answer is None:
                raise _no_bucket(bucket)
            yield answer
            if not answer.get("NextContinuationToken"):
                return
            more = {"ContinuationToken": str(answer["NextContinuationToken"])}
        msg = f"There are too many files below {prefix} in {bucket} to look through."
        raise UnreadableError(msg)

    def check(self, bucket: str) -> None:
        """
        Do nothing if there is such a bucket.

        Raises:
            UnreadableError: nobody can tell
            NoBucketError: there is none
        """
        if self._asked(bucket, "head_bucket") is None:
            raise _no_bucket(bucket)

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """
        Write a file in one step, over what is there.

        Raises:
            UnreadableError: it cannot be written, or nobody can tell whether it was
            NoBucketError: there is no such bucket
        """
        if self._asked(bucket, "put_object", Key=key, Body=content) is None:
            raise _no_bucket(bucket)

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

    def _asked(self, bucket: str, operation: str, **options: object) -> Mapping[str, Any] | None:
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
                kind = DeniedError if code in _DENIED else UnreadableError
                raise kind(_told(bucket, f"its endpoint answers {said}")) from error
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
    return UnreadableError(_told(bucket, why))


def _told(bucket: str, why: str) -> str:
    return f"The bucket {bucket} is no directory of the sandbox, and cannot be used over S3: {why}."


def _common(keys: Sequence[str]) -> str:
    """What all keys begin with."""
    least, most = min(keys), max(keys)
    pairs = enumerate(zip(least, most, strict=False))
    return least[: next((n for n, (one, other) in pairs if one != other), len(least))]


def _keys(page: Mapping[str, Any]) -> list[str]:
    return [str(one["Key"]) for one in page.get("Contents", ())]
