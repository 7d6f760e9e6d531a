"""The buckets over S3: with a client that we did not write, and what it never sends by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.served import serving


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("buckets")


@pytest.fixture(scope="module")
def endpoint(data: Path) -> Iterator[str]:
    """The second port of a sandbox."""
    with serving(data) as served:
        yield served.s3


@pytest.fixture(scope="module")
def s3(endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="any",
        aws_secret_access_key="any",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


def code(caught: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def test_an_object_comes_back_as_it_was_put(s3: Any, data: Path) -> None:
    s3.create_bucket(Bucket="results")
    content = bytes(range(256)) * 10
    put = s3.put_object(Bucket="results", Key="a b/ö+%.tif", Body=content)
    got = s3.get_object(Bucket="results", Key="a b/ö+%.tif")
    assert got["Body"].read() == content
    assert put["ETag"] == got["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
    head = s3.head_object(Bucket="results", Key="a b/ö+%.tif")
    assert (head["ContentLength"], head["ETag"]) == (2560, put["ETag"])
    assert (data / "buckets/results/a b/ö+%.tif").read_bytes() == content
    assert "results" in [one["Name"] for one in s3.list_buckets()["Buckets"]]


def test_a_directory_that_was_made_by_hand_is_a_bucket(s3: Any, data: Path) -> None:
    (data / "buckets/byhand/x").mkdir(parents=True)
    (data / "buckets/byhand/x/y.txt").write_text("hello")
    assert s3.get_object(Bucket="byhand", Key="x/y.txt")["Body"].read() == b"hello"
    assert s3.get_bucket_location(Bucket="byhand")["LocationConstraint"] is None


@pytest.mark.parametrize(
    ("asked", "given", "told"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=5-99", b"56789", "bytes 5-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
    ],
)
def test_ranges(s3: Any, asked: str, given: bytes, told: str) -> None:
    s3.create_bucket(Bucket="ranges")
    s3.put_object(Bucket="ranges", Key="ten", Body=b"0123456789")
    got = s3.get_object(Bucket="ranges", Key="ten", Range=asked)
    assert (got["Body"].read(), got["ContentRange"]) == (given, told)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206


def test_a_range_outside_is_refused(s3: Any) -> None:
    s3.create_bucket(Bucket="ranges")
    s3.put_object(Bucket="ranges", Key="ten", Body=b"0123456789")
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket="ranges", Key="ten", Range="bytes=10-")
    assert code(caught) == (416, "InvalidRange")


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_listings_page_and_group(s3: Any, operation: str) -> None:
    s3.create_bucket(Bucket="many")
    keys = [f"d{d}/f{f}&<{f}>" for d in range(3) for f in range(4)] + ["top", "zebra/é"]
    for key in keys:
        s3.put_object(Bucket="many", Key=key, Body=b"")
    for size in (1, 3, 5, 1000):
        pages = s3.get_paginator(operation).paginate(
            Bucket="many", PaginationConfig={"PageSize": size}
        )
        assert [one["Key"] for page in pages for one in page["Contents"]] == sorted(keys)
        pages = s3.get_paginator(operation).paginate(
            Bucket="many", Delimiter="/", PaginationConfig={"PageSize": size}
        )
        found = list(pages)
        groups = [one["Prefix"] for page in found for one in page.get("CommonPrefixes", [])]
        assert groups == ["d0/", "d1/", "d2/", "zebra/"]
        assert [one["Key"] for page in found for one in page.get("Contents", [])] == ["top"]
    inner = s3.list_objects_v2(Bucket="many", Prefix="d1/f", StartAfter="d1/f1&<1>")
    assert [one["Key"] for one in inner["Contents"]] == ["d1/f2&<2>", "d1/f3&<3>"]
    assert s3.list_objects_v2(Bucket="many", Prefix="none/")["KeyCount"] == 0
    assert s3.list_objects_v2(Bucket="many", Prefix="../")["KeyCount"] == 0


def test_what_is_not_there(s3: Any) -> None:
    s3.create_bucket(Bucket="empty")
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket="empty", Key="nothing")
    assert code(caught) == (404, "NoSuchKey")
    with pytest.raises(ClientError) as caught:
        s3.list_objects_v2(Bucket="nowhere")
    assert code(caught) == (404, "NoSuchBucket")
    with pytest.raises(ClientError) as caught:
        s3.head_object(Bucket="empty", Key="folder/")
    assert code(caught)[0] == 404
    with pytest.raises(ClientError) as caught:
        s3.delete_object(Bucket="empty", Key="nothing")
    assert code(caught) == (405, "MethodNotAllowed")


def test_conditional_puts(s3: Any) -> None:
    s3.create_bucket(Bucket="head")
    first = s3.put_object(Bucket="head", Key="h", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket="head", Key="h", Body=b"2", IfNoneMatch="*")
    assert code(caught) == (412, "PreconditionFailed")
    s3.put_object(Bucket="head", Key="h", Body=b"2", IfMatch=first)
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket="head", Key="h", Body=b"3", IfMatch=first)
    assert code(caught) == (412, "PreconditionFailed")
    assert s3.get_object(Bucket="head", Key="h")["Body"].read() == b"2"


@pytest.mark.parametrize(
    "path",
    ["/safe/%2e%2e/%2e%2e/settings.json", "/safe/a%2f..%2f..%2fx", "/safe//x", "/safe/a%5c..", "/safe/%00"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_keys_lead_nowhere_else(endpoint: str, data: Path, method: str, path: str) -> None:
    httpx.put(f"{endpoint}/safe")
    before = (data / "settings.json").read_bytes()
    answer = httpx.request(method, endpoint + path, content=b"x" if method == "PUT" else None)
    assert answer.status_code in (400, 404)
    assert (data / "settings.json").read_bytes() == before
    assert not list((data / "buckets/safe").iterdir())


@pytest.mark.parametrize("name", ["%2e%2e", "..%2f", "%00"])
def test_a_bucket_cannot_have_any_name(endpoint: str, name: str) -> None:
    assert httpx.put(f"{endpoint}/{name}").status_code in (400, 404, 405)


def test_chunked_bodies_are_put_together(endpoint: str) -> None:
    httpx.put(f"{endpoint}/chunks")
    body = b"4;chunk-signature=0\r\nwiki\r\n5\r\npedia\r\n0\r\nx-amz-checksum-crc32:AA==\r\n\r\n"
    headers = {"content-encoding": "aws-chunked"}
    put = httpx.put(f"{endpoint}/chunks/w", content=body, headers=headers)
    assert put.status_code == 200
    assert httpx.get(f"{endpoint}/chunks/w").content == b"wikipedia"
    for broken in (b"", b"zz\r\n", b"9\r\nabc", b"-1\r\n"):
        answer = httpx.put(f"{endpoint}/chunks/b", content=broken, headers=headers)
        assert answer.status_code == 400
        assert "IncompleteBody" in answer.text


def test_a_file_cannot_be_a_folder_too(endpoint: str) -> None:
    httpx.put(f"{endpoint}/both")
    assert httpx.put(f"{endpoint}/both/a", content=b"1").status_code == 200
    assert httpx.put(f"{endpoint}/both/a/b", content=b"2").status_code == 400
    assert httpx.put(f"{endpoint}/both/{'n' * 300}", content=b"3").status_code == 400
    assert httpx.get(f"{endpoint}/both/a").content == b"1"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("acl", 501),
        ("list-type=3", 501),
        ("max-keys=x", 400),
        ("list-type=2&max-keys=x", 400),
        ("list-type=2&max-keys=-1", 400),
        ("list-type=2&continuation-token=%25", 400),
        ("list-type=2&max-keys=0", 200),
    ],
)
def test_lists_that_cannot_be(endpoint: str, query: str, status: int) -> None:
    httpx.put(f"{endpoint}/lists")
    assert httpx.get(f"{endpoint}/lists?{query}").status_code == status
