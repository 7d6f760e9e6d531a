"""
A ledger in a bucket: a write is an object that is put, or removed. The results lie in others.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.crash.store import LEDGERS as BUCKET
from tests.crash.strikes import Moment, Place, Striker

PREFIX = "crash"


class Bucket:
    """A ledger below a prefix of a bucket of a server of S3, which passes on what others hold."""

    def __init__(self, home: Path, results: str) -> None:
        import boto3

        command = [sys.executable, "-m", "tests.crash.store", results]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(home / "store").open("w"),
        )
        assert self._process.stdout is not None
        self._endpoint = self._process.stdout.readline().decode().strip()
        assert self._endpoint, (home / "store").read_text()
        self._client = boto3.client(
            "s3",
            endpoint_url=self._endpoint,
            region_name="us-east-1",
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox",
        )
        self._client.create_bucket(Bucket=BUCKET)
        self._ready = self._opened()

    def url(self) -> str:
        return f"s3://{BUCKET}/{PREFIX}"

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_REGION": "us-east-1",
        }

    def _opened(self) -> Any:
        """What every process would make anew in half a second; nothing was sent with it yet."""
        from shplan.storage.aws import Aws

        before = dict(os.environ)
        os.environ.update(self.environment())
        try:
            return Aws(region="us-east-1")._open()
        finally:
            os.environ.clear()
            os.environ.update(before)

    def lose(self) -> None:
        for key in self._keys():
            self._client.delete_object(Bucket=BUCKET, Key=key)

    def save(self) -> Callable[[], None]:
        kept = {
            key: self._client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            for key in self._keys()
        }

        def put_back() -> None:
            for key in self._keys():
                if key not in kept:
                    self._client.delete_object(Bucket=BUCKET, Key=key)
            for key, content in kept.items():
                self._client.put_object(Bucket=BUCKET, Key=key, Body=content)

        return put_back

    def _keys(self) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [one["Key"] for page in pages for one in page.get("Contents", ())]

    def strike_writes(self, striker: Striker) -> None:
        from shplan.storage.aws import Aws
        from shplan.storage.objects import S3Objects

        Aws._open = lambda _: self._ready  # type: ignore[method-assign]
        puts, deletes = S3Objects.put, S3Objects.delete

        async def put(self: Any, key: str, content: bytes, *, over: str | None) -> str:
            number = striker.begins(Place.WRITE, f"object {key}")
            striker.strike(Place.WRITE, number, Moment.BEFORE)
            etag = await puts(self, key, content, over=over)
            striker.strike(Place.WRITE, number, Moment.WRITTEN)
            return etag

        async def delete(self: Any, keys: Any) -> None:
            number = striker.begins(Place.WRITE, f"object {len(keys)} removed")
            striker.strike(Place.WRITE, number, Moment.BEFORE)
            await deletes(self, keys)
            striker.strike(Place.WRITE, number, Moment.WRITTEN)

        S3Objects.put = put  # type: ignore[method-assign]
        S3Objects.delete = delete  # type: ignore[method-assign]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
