"""
Buckets over S3: a service's, CDSE's, a sandbox's.

How requests get there, with whose credentials and how long they may take, is `aws.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from shplan.core.errors import StorageError
from shplan.storage.aws import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, Aws, check_key, etag_of
from shplan.storage.port import MissingObjectError, StoredObject

# A thousand pages: beyond that a listing takes longer than a person waits for a plan.
MOST_LISTED = 1_000_000
# Files are held in memory while their digest is taken.
MOST_BYTES = 2**30
PAGE_SIZE = 1000


class S3Storage:
    """
    The buckets that a person's or a job's AWS credentials open.

    Args:
        region: where requests are signed for; empty: what the profile says, else any
        asks_machine: without other credentials, the role of the machine is asked for
        connect_timeout_s: for one connection
        read_timeout_s: between two bytes of an answer
        page_size: how many objects one request lists, 1000 at most
        most_listed: a longer listing is given up, and none of it is used
        monotonic: seconds of a clock that never jumps
    """

    def __init__(
        self,
        *,
        region: str = "",
        asks_machine: bool = False,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
        page_size: int = PAGE_SIZE,
        most_listed: int = MOST_LISTED,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._aws = Aws(
            region=region,
            asks_machine=asks_machine,
            timeouts_s=(connect_timeout_s, read_timeout_s),
            monotonic=monotonic,
        )
        self._page_size = page_size
        self._most_listed = most_listed

    async def head(self, bucket: str, key: str) -> StoredObject | None:
        """
        Return size and ETag of an object, None where there is none.

        Raises:
            StorageError: it cannot be read
        """
        try:
            return await self._aws.call(self._head, bucket, key)
        except MissingObjectError:
            return None

    async def get(self, bucket: str, key: str) -> bytes:
        """
        Return the content of an object.

        Raises:
            MissingObjectError: there is none
            StorageError: it cannot be read, or is too large to be held
        """
        return await self._aws.call(self._get, bucket, key)

    async def read(self, bucket: str, key: str, *, start: int, length: int) -> bytes:
        """
        Return a part of an object; less where the object ends before.

        Raises:
            MissingObjectError: there is none
            StorageError: it cannot be read
        """

        def read(client: Any, bucket: str, key: str) -> bytes:
            check_key(bucket, key)
            wanted = f"bytes={start}-{start + length - 1}"
            answer = client.get_object(Bucket=bucket, Key=key, Range=wanted)
            # A store that knows no ranges answers with all of it.
            whole = answer["ResponseMetadata"].get("HTTPStatusCode") == 200
            content: bytes = answer["Body"].read(start + length if whole else length)
            answer["Body"].close()
            return content[start:] if whole else content

        return await self._aws.call(read, bucket, key)

    async def list(self, bucket: str, prefix: str) -> Sequence[StoredObject]:
        """
        Return the objects whose keys begin with `prefix`, in the order of the keys' bytes.

        Raises:
            MissingObjectError: there is no such bucket
            StorageError: it cannot be listed, or there are too many
        """
        return await self._aws.call(self._list, bucket, prefix)

    async def put(self, bucket: str, key: str, content: bytes) -> StoredObject:
        """
        Write an object.

        Raises:
            MissingObjectError: there is no such bucket
            StorageError: it cannot be written
        """

        def put(client: Any, bucket: str, key: str) -> StoredObject:
            check_key(bucket, key)
            answer = client.put_object(Bucket=bucket, Key=key, Body=content)
            return StoredObject(key, len(content), etag_of(answer))

        return await self._aws.call(put, bucket, key, verb="written")

    def _head(self, client: Any, bucket: str, key: str) -> StoredObject:
        check_key(bucket, key)
        answer = client.head_object(Bucket=bucket, Key=key)
        return StoredObject(key, int(answer["ContentLength"]), etag_of(answer))

    def _get(self, client: Any, bucket: str, key: str) -> bytes:
        check_key(bucket, key)
        answer = client.get_object(Bucket=bucket, Key=key)
        if int(answer["ContentLength"]) > MOST_BYTES:
            answer["Body"].close()
            msg = f"s3://{bucket}/{key} cannot be read: it is larger than {MOST_BYTES:,} bytes"
            raise StorageError(msg)
        content: bytes = answer["Body"].read()
        return content

    def _list(self, client: Any, bucket: str, prefix: str) -> Sequence[StoredObject]:
        found: list[StoredObject] = []
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": self._page_size}
        )
        for page in pages:
            if "Name" not in page:
                msg = f"s3://{bucket}/{prefix} cannot be read: the answer is no listing of S3"
                raise StorageError(msg)
            found.extend(
                StoredObject(one["Key"], int(one["Size"]), etag_of(one))
                for one in page.get("Contents", ())
            )
            if len(found) > self._most_listed:
                most = f"more than {self._most_listed:,} objects"
                msg = f"s3://{bucket}/{prefix} cannot be read: it holds {most}"
                raise StorageError(msg)
        # Not every store lists in this order, as Amazon's does.
        return sorted(found, key=lambda one: one.key.encode())
