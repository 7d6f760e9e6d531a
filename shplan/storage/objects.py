"""
Objects of one bucket that are written under a condition: only where there is none, or only in the
place of the one that was read.

Of two writers with one condition one wins; the other gets `ConditionError`. A request whose answer
was lost may have been carried out, and a retry of it then meets its own work: whoever asks reads
and compares before it believes in a loss.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol

from shplan.core.errors import StorageError
from shplan.storage.aws import Aws, check_key, etag_of
from shplan.storage.port import ConditionError, MissingBucketError, MissingObjectError, StoredObject

MOST_BYTES: Final = 2**30
PAGE_SIZE: Final = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """
    An object as it was read.

    Args:
        etag: of this version, without quotes
        age_s: seconds since it was written, by the clock of the store alone
    """

    content: bytes
    etag: str
    age_s: float


class Objects(Protocol):
    """
    The objects of one bucket.

    Every operation raises `StorageError` where it is refused or nobody answers.
    """

    @property
    def name(self) -> str:
        """What messages call the bucket."""
        ...

    async def get(self, key: str) -> Found | None:
        """Return an object, None where there is none."""
        ...

    async def get_many(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """Return the content of each, None where there is none."""
        ...

    async def list(self, prefix: str) -> Sequence[StoredObject]:
        """Return the objects whose keys begin with `prefix`, in the order of the keys' bytes."""
        ...

    async def folders(self, prefix: str) -> Sequence[str]:
        """Return what stands between `prefix` and the next slash of the keys that have one."""
        ...

    async def put(self, key: str, content: bytes, *, over: str | None) -> str:
        """
        Write an object and return its ETag.

        Args:
            over: ETag of the version whose place it takes, None: only where there is none

        Raises:
            ConditionError: there is another version, or none
        """
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; what is not there is no error."""
        ...


class S3Objects:
    """
    A bucket over S3.

    Args:
        aws: the way there
        bucket: its name
        page_size: how many objects one request lists, 1000 at most
    """

    def __init__(self, aws: Aws, bucket: str, *, page_size: int = PAGE_SIZE) -> None:
        self._aws = aws
        self._bucket = bucket
        self._page_size = page_size

    @property
    def name(self) -> str:
        """What messages call the bucket."""
        return f"s3://{self._bucket}"

    async def get(self, key: str) -> Found | None:
        """
        Return an object, None where there is none.

        Raises:
            StorageError: it cannot be read
        """
        try:
            return await self._aws.call(_found, self._bucket, key)
        except MissingBucketError:
            raise
        except MissingObjectError:
            return None

    async def get_many(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """
        Return the content of each, None where there is none; several are on their way at a time.

        Raises:
            StorageError: one cannot be read
        """
        found = await asyncio.gather(*(self.get(key) for key in keys))
        return [None if one is None else one.content for one in found]

    async def list(self, prefix: str) -> Sequence[StoredObject]:
        """
        Return the objects whose keys begin with `prefix`, in the order of the keys' bytes.

        Raises:
            StorageError: it cannot be listed
        """

        def run(client: Any, bucket: str, prefix: str) -> list[StoredObject]:
            pages = self._pages(client, bucket, prefix)
            found = [
                StoredObject(one["Key"], int(one["Size"]), etag_of(one))
                for page in pages
                for one in page.get("Contents", ())
            ]
            return sorted(found, key=lambda one: one.key.encode())

        return await self._aws.call(run, self._bucket, prefix)

    async def folders(self, prefix: str) -> Sequence[str]:
        """
        Return what stands between `prefix` and the next slash of the keys that have one.

        Raises:
            StorageError: it cannot be listed
        """

        def run(client: Any, bucket: str, prefix: str) -> list[str]:
            pages = self._pages(client, bucket, prefix, Delimiter="/")
            found = [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", ())]
            return sorted(name.removeprefix(prefix).removesuffix("/") for name in found)

        return await self._aws.call(run, self._bucket, prefix)

    async def put(self, key: str, content: bytes, *, over: str | None) -> str:
        """
        Write an object and return its ETag.

        Raises:
            ConditionError: there is another version, or none
            StorageError: it cannot be written, or it is unknown whether it was
        """

        def put(client: Any, bucket: str, key: str) -> str:
            check_key(bucket, key)
            # Source: Amazon S3 User Guide, "How to prevent object overwrites with conditional
            # writes".
            condition = {"IfNoneMatch": "*"} if over is None else {"IfMatch": f'"{over}"'}
            return etag_of(client.put_object(Bucket=bucket, Key=key, Body=content, **condition))

        try:
            return await self._aws.call(put, self._bucket, key, verb="written")
        except MissingBucketError:
            raise
        except MissingObjectError as error:
            msg = f"{self.name}/{key} is not there any more"
            raise ConditionError(msg) from error

    async def delete(self, keys: Sequence[str]) -> None:
        """
        Remove objects; what is not there is no error.

        Raises:
            StorageError: one cannot be removed; others may be gone
        """

        def delete(client: Any, bucket: str, key: str) -> None:
            check_key(bucket, key)
            client.delete_object(Bucket=bucket, Key=key)

        calls = (self._aws.call(delete, self._bucket, key, verb="removed") for key in keys)
        await asyncio.gather(*calls)

    def _pages(self, client: Any, bucket: str, prefix: str, **options: str) -> Any:
        paginator = client.get_paginator("list_objects_v2")
        config = {"PageSize": self._page_size}
        for page in paginator.paginate(
            Bucket=bucket, Prefix=prefix, PaginationConfig=config, **options
        ):
            if "Name" not in page:
                msg = f"s3://{bucket}/{prefix} cannot be read: the answer is no listing of S3"
                raise StorageError(msg)
            yield page


def _found(client: Any, bucket: str, key: str) -> Found:
    check_key(bucket, key)
    answer = client.get_object(Bucket=bucket, Key=key)
    if int(answer["ContentLength"]) > MOST_BYTES:
        answer["Body"].close()
        msg = f"s3://{bucket}/{key} cannot be read: it is larger than {MOST_BYTES:,} bytes"
        raise StorageError(msg)
    content: bytes = answer["Body"].read()
    return Found(content, etag_of(answer), _age_s(answer))


def _age_s(answer: Any) -> float:
    # Both instants are the store's: no clock of ours has a say in who holds a lease.
    told = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    try:
        now = parsedate_to_datetime(told)
    except ValueError as error:
        msg = "the answer of the store tells no time"
        raise StorageError(msg) from error
    modified: datetime = answer["LastModified"]
    aware = now if now.tzinfo is not None else now.replace(tzinfo=UTC)
    return (aware - modified).total_seconds()
