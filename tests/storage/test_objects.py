"""Conditional writes over S3: one of two wins, and the store's clock tells how old an object is."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from shplan.core.errors import StorageError
from shplan.storage.aws import Aws
from shplan.storage.objects import Objects, S3Objects
from shplan.storage.port import ConditionError, InvalidKeyError, MissingBucketError
from shplan.storage.threads import whole
from tests.ledger.backends.memory import Bucket, MemoryObjects
from tests.support.s3 import answer, make_bucket, moto_served, no_aws, scripted, with_keys

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_served() as url:
        yield url


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_aws(monkeypatch, tmp_path)


@pytest.fixture(params=["moto", "memory"])
def objects(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Objects:
    """The bucket in memory, over which the laws of the ledger hold, does what a server does."""
    if request.param == "memory":
        return MemoryObjects(Bucket(page=2))
    endpoint, name = request.getfixturevalue("moto"), f"bucket-{next(NUMBERS)}"
    with_keys(monkeypatch, endpoint)
    make_bucket(endpoint, name)
    return S3Objects(Aws(pause_s=0.0), name, page_size=2)


def test_an_object_is_written_where_there_is_none(objects: Objects) -> None:
    async def story() -> None:
        assert await objects.get("a/b") is None
        etag = await objects.put("a/b", b"one", over=None)
        with pytest.raises(ConditionError):
            await objects.put("a/b", b"two", over=None)
        found = await objects.get("a/b")
        assert found is not None
        assert (found.content, found.etag) == (b"one", etag)
        assert -1 <= found.age_s <= 60

    asyncio.run(story())


def test_an_object_takes_the_place_of_the_one_that_was_read(objects: Objects) -> None:
    async def story() -> None:
        first = await objects.put("k", b"one", over=None)
        second = await objects.put("k", b"two", over=first)
        assert second != first
        with pytest.raises(ConditionError):
            await objects.put("k", b"three", over=first)
        with pytest.raises(ConditionError):
            await objects.put("missing", b"three", over=first)
        found = await objects.get("k")
        assert found is not None
        assert found.content == b"two"

    asyncio.run(story())


def test_listings_have_all_pages_and_folders(objects: Objects) -> None:
    async def story() -> None:
        for key in ("p/1/a", "p/1/b", "p/1/c", "p/2/a", "p/10/a", "p/top", "other/1"):
            await objects.put(key, key.encode(), over=None)
        listed = await objects.list("p/1/")
        assert [(one.key, one.size_bytes) for one in listed] == [
            ("p/1/a", 5),
            ("p/1/b", 5),
            ("p/1/c", 5),
        ]
        assert list(await objects.folders("p/")) == ["1", "10", "2"]
        assert list(await objects.folders("nothing/")) == []
        assert list(await objects.get_many(["p/2/a", "p/missing", "p/top"])) == [
            b"p/2/a",
            None,
            b"p/top",
        ]
        await objects.delete(["p/1/a", "p/missing", "p/1/c"])
        assert [one.key for one in await objects.list("p/1/")] == ["p/1/b"]
        assert list(await objects.get_many([])) == []
        await objects.delete([])

    asyncio.run(story())


def test_a_bucket_that_is_not_there_is_no_missing_object(
    moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_keys(monkeypatch, moto)
    objects = S3Objects(Aws(pause_s=0.0), "nowhere")
    for call in (objects.get("k"), objects.put("k", b"", over=None), objects.list("")):
        with pytest.raises(MissingBucketError):
            asyncio.run(call)


def test_a_key_that_would_lead_elsewhere_is_not_asked_for(
    moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_keys(monkeypatch, moto)
    objects = S3Objects(Aws(), "bucket")
    for call in (
        objects.get("../other/k"),
        objects.put("a/../k", b"", over=None),
        objects.delete(["."]),
    ):
        with pytest.raises(InvalidKeyError):
            asyncio.run(call)


def test_a_conflict_of_two_writers_is_a_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"<Error><Code>ConditionalRequestConflict</Code></Error>"
    with scripted(answer(409, body)) as told:
        with_keys(monkeypatch, told.url)
        with pytest.raises(ConditionError):
            asyncio.run(S3Objects(Aws(), "bucket").put("k", b"", over="x"))


def test_a_store_without_a_clock_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def timeless(handler) -> None:
        handler.send_response_only(200)
        handler.send_header("Last-Modified", "Sat, 28 Nov 2026 21:00:16 GMT")
        handler.send_header("content-length", "0")
        handler.end_headers()

    with scripted(timeless) as told:
        with_keys(monkeypatch, told.url)
        with pytest.raises(StorageError, match="tells no time"):
            asyncio.run(S3Objects(Aws(), "bucket").get("k"))


def test_a_step_that_is_whole_ends_before_its_cancellation_is_said() -> None:
    done: list[str] = []

    async def step() -> str:
        for part in "abc":
            await asyncio.sleep(0)
            done.append(part)
        return "".join(done)

    async def story() -> None:
        assert await whole(step()) == "abc"
        done.clear()
        task = asyncio.ensure_future(whole(step()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done == ["a", "b", "c"]

    asyncio.run(story())


def test_who_is_cancelled_twice_does_not_wait_for_the_whole() -> None:
    async def story() -> None:
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def step() -> None:
            await never

        task = asyncio.ensure_future(whole(step()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert never.cancelled()

    asyncio.run(story())
