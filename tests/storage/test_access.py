"""Who reads buckets, and who is told why not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shplan.core.errors import StorageError
from shplan.storage.access import may_ask_the_machine, region_of, why_closed
from shplan.storage.closed import ClosedStorage
from shplan.storage.directory import DirectoryStorage
from shplan.storage.port import MissingObjectError, StoredObject
from shplan.storage.told import ToldStorage


@pytest.mark.parametrize(
    "name",
    [
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
    ],
)
def test_one_variable_opens_the_buckets(name: str) -> None:
    assert why_closed({name: "x"}) == ""
    assert "AWS_PROFILE" in why_closed({name: ""})


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"HOME": "/somewhere"},
        {"AWS_REGION": "eu-central-1"},
        {"AWS_SECRET_ACCESS_KEY": "x"},
        {"AWS_EC2_METADATA_DISABLED": "true"},
    ],
)
def test_nothing_else_does(environment: dict[str, str]) -> None:
    assert "AWS_PROFILE" in why_closed(environment)
    assert not may_ask_the_machine(environment)


def test_the_role_of_the_machine_is_asked_for_by_name() -> None:
    environment = {"AWS_EC2_METADATA_DISABLED": "false"}
    assert why_closed(environment) == ""
    assert may_ask_the_machine(environment)
    assert not may_ask_the_machine({"AWS_PROFILE": "acme"})


def test_the_region_has_two_names() -> None:
    assert region_of({"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}) == "a"
    assert region_of({"AWS_DEFAULT_REGION": "b"}) == "b"
    assert region_of({}) == ""


def test_closed_buckets_say_why() -> None:
    storage = ClosedStorage("nobody said how")
    for call, said in (
        (lambda: storage.get("b", "k"), "s3://b/k cannot be read: nobody said how"),
        (lambda: storage.head("b", "k"), "s3://b/k cannot be read: nobody said how"),
        (lambda: storage.list("b", "p/"), "s3://b/p/ cannot be read: nobody said how"),
        (lambda: storage.put("b", "k", b""), "s3://b/k cannot be written: nobody said how"),
    ):
        with pytest.raises(StorageError) as caught:
            asyncio.run(call())
        assert str(caught.value) == said


def test_a_refusal_is_told_once_for_each_bucket() -> None:
    told: list[tuple[str, str]] = []
    storage = ToldStorage(ClosedStorage("shut"), lambda *one: told.append(one))
    for bucket, key in (("a", "1"), ("a", "2"), ("b", "3")):
        with pytest.raises(StorageError):
            asyncio.run(storage.get(bucket, key))
    assert told == [
        ("a", "s3://a/1 cannot be read: shut"),
        ("b", "s3://b/3 cannot be read: shut"),
    ]


def test_what_is_merely_not_there_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "imagery").mkdir()
    told: list[tuple[str, str]] = []
    storage = ToldStorage(DirectoryStorage(tmp_path), lambda *one: told.append(one))
    for call in (lambda: storage.get("imagery", "a"), lambda: storage.list("nowhere", "")):
        with pytest.raises(MissingObjectError):
            asyncio.run(call())
    assert asyncio.run(storage.head("imagery", "a")) is None
    put = asyncio.run(storage.put("imagery", "a", b"1"))
    assert isinstance(put, StoredObject)
    assert asyncio.run(storage.head("imagery", "a")) == put
    assert asyncio.run(storage.list("imagery", "")) == [put]
    assert asyncio.run(storage.get("imagery", "a")) == b"1"
    assert told == []
