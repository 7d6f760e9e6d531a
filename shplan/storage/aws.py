"""
The way to S3: a client of botocore, opened late, whose every wait is bounded.

Credentials, endpoint and region are those of AWS's own tools (environment, profiles, web
identity), found by botocore and never seen here. Nothing is imported or opened before the first
call. Calls run in threads; a service that cannot be reached is left alone for a while instead of
being tried by everybody in turn.
"""

from __future__ import annotations

import ipaddress
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

from shplan.core.errors import StorageError
from shplan.storage.port import (
    ConditionError,
    InvalidKeyError,
    MissingBucketError,
    MissingObjectError,
    UnansweredError,
)
from shplan.storage.threads import Threads

T = TypeVar("T")
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
ATTEMPTS = 3
PAUSE_S = 30.0
# botocore keeps ten connections open.
AT_ONCE = 10

# Source: Amazon S3 User Guide, "Bucket naming rules". Not an ARN: that could name another host.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_CODE = re.compile(r"[A-Za-z0-9.]{1,60}")
_NO_BUCKET = frozenset({"NoSuchBucket"})
# An answer to HEAD has no body, and so no code but its status.
_NO_OBJECT = frozenset({"NoSuchKey", "404", "NotFound"})
# Source: "How to prevent object overwrites with conditional writes".
_CONDITION = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
# Source: Amazon S3 API Reference, "Error responses": to be asked for again. botocore has done so.
_BUSY = frozenset({"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout"})
_SERVER_ERROR = 500
_REFUSED = frozenset({"AccessDenied", "403", "Forbidden", "AllAccessDisabled"})


class Aws:
    """
    S3 with the AWS credentials of a person or a job.

    Args:
        region: where requests are signed for; empty: what the profile says, else any
        asks_machine: without other credentials, the role of the machine is asked for
        timeouts_s: for one connection, and between two bytes of an answer
        pause_s: how long a service that cannot be reached is left alone
        monotonic: seconds of a clock that never jumps
    """

    def __init__(
        self,
        *,
        region: str = "",
        asks_machine: bool = False,
        timeouts_s: tuple[float, float] = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
        pause_s: float = PAUSE_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._region = region
        self._asks_machine = asks_machine
        self._timeouts_s = timeouts_s
        self._pause_s = pause_s
        self._monotonic = monotonic
        self._threads = Threads(AT_ONCE)
        self._opening = threading.Lock()
        self._client: Any = None
        self._closed_until = 0.0
        self._closed_why = ""

    async def call(
        self, ask: Callable[[Any, str, str], T], bucket: str, key: str, *, verb: str = "read"
    ) -> T:
        """
        Return what `ask` returns: it is called in a thread, with client, bucket and key.

        Args:
            verb: for messages: what cannot be done

        Raises:
            MissingObjectError: there is no such object, or no such bucket
            UnansweredError: nobody answered
            StorageError: it was refused
        """
        if not _BUCKET.fullmatch(bucket):
            msg = f"{bucket!r} is not the name of a bucket"
            raise InvalidKeyError(msg)
        place = f"s3://{bucket}/{key}"

        def run() -> T:
            self._check_open(place, verb)
            client = self._opened(place, verb)
            with self._translated(place, bucket, verb):
                return ask(client, bucket, key)

        return await self._threads.run(run)

    def _opened(self, place: str, verb: str) -> Any:
        with self._opening:
            if self._client is None:
                try:
                    import botocore.session  # noqa: F401, PLC0415 - rarely needed, and dear
                except ImportError as error:
                    msg = (
                        f"{place} cannot be {verb}: a package is missing: pip install 'shplan[s3]'"
                    )
                    raise StorageError(msg) from error
                with self._translated(place, "", verb):
                    self._client = self._open()
            return self._client

    def _open(self) -> Any:
        from botocore.config import Config  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415

        session = Session()
        if not self._asks_machine:
            # Elsewhere than on Amazon's machines nobody answers there, after a wait.
            session.get_component("credential_provider").remove("iam-role")
        connect_s, read_s = self._timeouts_s
        config = Config(
            connect_timeout=connect_s,
            read_timeout=read_s,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            # Other stores than Amazon's refuse the newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        region = self._region or session.get_config_variable("region") or "us-east-1"
        client = session.create_client("s3", region_name=region, config=config)
        if getproxies() and _is_loopback(client.meta.endpoint_url):
            # No proxy leads to this machine.
            direct = config.merge(Config(proxies={}))
            client = session.create_client("s3", region_name=region, config=direct)
        return client

    def _check_open(self, place: str, verb: str) -> None:
        if self._closed_why and self._monotonic() < self._closed_until:
            msg = f"{place} cannot be {verb}: {self._closed_why}"
            raise StorageError(msg)

    def _close(self, why: str) -> str:
        self._closed_why = why
        self._closed_until = self._monotonic() + self._pause_s
        return why

    @contextmanager
    def _translated(self, place: str, bucket: str, verb: str) -> Iterator[None]:
        """Translate what botocore raises; its own words may repeat what a program has printed."""
        from botocore import exceptions  # noqa: PLC0415
        from botocore.parsers import ResponseParserError  # noqa: PLC0415

        cannot = f"{place} cannot be {verb}"
        try:
            yield
        except exceptions.ClientError as error:
            raise _refusal(error, place, bucket, verb) from error
        except exceptions.ConnectionError as error:
            why = self._close(f"its endpoint cannot be reached ({type(error).__name__})")
            msg = f"{cannot}: {why}"
            raise UnansweredError(msg) from error
        except (exceptions.HTTPClientError, exceptions.IncompleteReadError) as error:
            msg = f"{cannot}: no answer, or half of one ({type(error).__name__})"
            raise UnansweredError(msg) from error
        except (ResponseParserError, exceptions.PaginationError) as error:
            msg = f"{cannot}: the answer is none of S3"
            raise StorageError(msg) from error
        except exceptions.NoCredentialsError as error:
            msg = f"{cannot}: {self._close('there are no AWS credentials')}"
            raise StorageError(msg) from error
        except exceptions.BotoCoreError as error:
            why = self._close(f"the AWS settings do not work ({type(error).__name__})")
            msg = f"{cannot}: {why}"
            raise StorageError(msg) from error
        except RecursionError as error:
            # It asks for the bucket's region by a request that is redirected as well.
            msg = f"{cannot}: the server sends from one region to another and back"
            raise StorageError(msg) from error
        except ValueError as error:
            why = self._close("AWS_ENDPOINT_URL or AWS_REGION is not understood")
            msg = f"{cannot}: {why}"
            raise StorageError(msg) from error


def _refusal(error: Any, place: str, bucket: str, verb: str) -> StorageError:
    """
    Word a refusal of the server; its code is enough, and holds nothing of ours.

    Source: Amazon S3 API Reference, "Error responses"; GetObject: without the right to list, a
    missing object is answered with 403.
    """
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in _NO_BUCKET:
        return MissingBucketError(f"there is no bucket {bucket}")
    if code in _NO_OBJECT:
        return MissingObjectError(f"there is no object {place}")
    if code in _CONDITION:
        return ConditionError(f"{place} is not as expected any more")
    if code in _REFUSED:
        return StorageError(f"{place} cannot be {verb}: no permission")
    said = code if _CODE.fullmatch(code) else "what nobody understands"
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    kind = UnansweredError if code in _BUSY or status >= _SERVER_ERROR else StorageError
    return kind(f"{place} cannot be {verb}: the server answers {said}")


def check_key(bucket: str, key: str) -> None:
    """Refuse a key that would not arrive as it is."""
    # On the way to the server such parts are resolved, as far as into another bucket.
    if not key or any(part in (".", "..") for part in key.split("/")):
        msg = f"the key {key!r} of bucket {bucket} cannot be asked for"
        raise InvalidKeyError(msg)


def etag_of(answer: Any) -> str:
    """Return the ETag of an answer, without its quotes."""
    return str(answer.get("ETag", "")).strip('"')


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
