"""Buckets behind an endpoint of S3: another sandbox's, one that we did not write, and broken ones."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shplan.sandbox import remote_buckets
from shplan.sandbox.bucket_files import UnreadableError
from shplan.sandbox.remote_buckets import RemoteBuckets, from_environment
from shplan.sandbox.remote_files import BLOCK_BYTES, RemoteFile
from shplan.sandbox.testing import Sandbox
from tests.support.s3 import answer, make_bucket, moto_served, no_aws, scripted, with_keys

from . import processing as p
from .support import BUCKET, COLLECTIONS, TOKEN, Driver, sandbox

SAME = p.script("return [samples.B04, samples.B08];", output='{bands: 2, sampleType: "UINT16"}')
KEY = "canary-secret-key"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The sandbox whose buckets others read."""
    with Sandbox(tmp_path_factory.mktemp("first"), stopped=True) as one:
        yield one


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_served() as endpoint:
        yield endpoint


@pytest.fixture(params=["sandbox", "moto"])
def endpoint(request: pytest.FixtureRequest) -> str:
    if request.param == "moto":
        return str(request.getfixturevalue("moto"))
    one: Sandbox = request.getfixturevalue("first")
    return one.s3_url


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_aws(monkeypatch, tmp_path)
    with_keys(monkeypatch, "http://127.0.0.1:9")


def far(endpoint: str) -> RemoteBuckets:
    """Buckets of an endpoint that may be slow, as everything is on a busy machine."""
    return RemoteBuckets(endpoint, connect_timeout_s=60, read_timeout_s=60)


def reading(data: Path, endpoint: str) -> Any:
    return sandbox(data, remote=far(endpoint))


def upload(endpoint: str, folder: str, tmp_path: Path, **data: np.ndarray) -> None:
    make_bucket(endpoint, BUCKET)
    for name, numbers in data.items():
        content = p.write(tmp_path / "made" / f"{name}.tif", numbers).read_bytes()
        httpx.put(f"{endpoint}/{BUCKET}/{folder}/{name}.tif", content=content).raise_for_status()


def test_tiles_are_ingested_and_read_from_there(endpoint: str, tmp_path: Path) -> None:
    data = {"B04": p.numbers(4), "B08": p.numbers(8)}
    upload(endpoint, "far", tmp_path, **data)
    with reading(tmp_path, endpoint) as api:
        collection = p.collection(api.login(), {"far": "2025-06-01T10:00:00Z"})
        (tile,) = api.tiles(collection.removeprefix("byoc-"))["data"]
        assert tile["path"] == "far/(BAND).tif"
        found = p.pixels(api, p.body(collection, SAME))
        assert np.array_equal(found, np.stack(list(data.values())))
        small = p.pixels(api, p.body(collection, SAME, size=(128, 128)))
        assert small.shape == (2, 128, 128)
    assert not (tmp_path / "buckets" / BUCKET).exists()


def test_what_is_ingested_there_is_what_is_ingested_here(first: Sandbox, tmp_path: Path) -> None:
    """The same tile, in a bucket on disk and behind an endpoint, has the same facts."""
    upload(first.s3_url, "same", tmp_path, B04=p.numbers(4))
    facts = []
    for name, remote in (("here", None), ("there", far(first.s3_url))):
        data = tmp_path / name
        if remote is None:
            p.write(data / "buckets" / BUCKET / "same" / "B04.tif", p.numbers(4))
        with sandbox(data, remote=remote) as api:
            collection = api.login().collection()["id"]
            api.tile(collection, "same")
            api.tick(60)
            (tile,) = api.tiles(collection)["data"]
            facts.append({key: value for key, value in tile.items() if key != "id"})
    assert facts[0] == facts[1]


def test_a_bucket_on_disk_is_that_bucket(first: Sandbox, tmp_path: Path) -> None:
    upload(first.s3_url, "both", tmp_path, B04=p.numbers(4))
    (tmp_path / "buckets" / BUCKET).mkdir(parents=True)
    with reading(tmp_path, first.s3_url) as api:
        assert failure(api.login(), "both") == "There are no TIFF files at both/(BAND)."


def failure(api: Driver, path: str, **body: Any) -> str:
    """Why a tile failed."""
    collection = api.collection(**body)["id"]
    api.tile(collection, path)
    api.tick(60)
    (tile,) = api.tiles(collection)["data"]
    assert tile["status"] == "FAILED"
    return str(tile["additionalData"]["failedIngestionCause"])


def test_what_is_not_there_is_told_as_on_disk(endpoint: str, tmp_path: Path) -> None:
    make_bucket(endpoint, BUCKET)
    with reading(tmp_path, endpoint) as api:
        api.login()
        assert failure(api, "nothing") == "There are no TIFF files at nothing/(BAND)."
        bands = {"bands": {"B04": {"source": "B04", "bitDepth": 16, "sampleFormat": "UINT"}}}
        said = failure(api, "nothing", additionalData=bands)
        assert said == "The file of band B04 is missing: there is no nothing/B04.tiff."
        for more in ({}, {"additionalData": bands}):
            said = failure(api, "far", s3Bucket="no-such-bucket", **more)
            assert "bucket no-such-bucket does not exist" in said


def test_a_file_that_changes_is_read_as_neither(first: Sandbox, tmp_path: Path) -> None:
    make_bucket(first.s3_url, BUCKET)
    place = f"{first.s3_url}/{BUCKET}/changing"
    httpx.put(place, content=b"a" * 3 * BLOCK_BYTES)
    file = far(first.s3_url).find(BUCKET, "changing")
    assert file is not None
    before = file.state()

    def read_on() -> bytes:
        with file.opened() as (one, _):
            assert one.read(1) == b"a"
            httpx.put(place, content=b"b" * 3 * BLOCK_BYTES)
            one.seek(2 * BLOCK_BYTES)
            return one.read(1)

    with pytest.raises(UnreadableError, match="changed while it was read"):
        read_on()
    assert file.state() not in (before, None)


# Endpoints that do not work.


def test_an_endpoint_that_is_not_there_is_told_and_left_alone(tmp_path: Path) -> None:
    now = [0.0]
    buckets = RemoteBuckets("http://127.0.0.1:9", monotonic=lambda: now[0])
    with sandbox(tmp_path, remote=buckets) as api:
        said = failure(api.login(), "far")
        assert said == (
            f"The bucket {BUCKET} is no directory of the sandbox, and cannot be used over S3:"
            " its endpoint cannot be reached."
        )
    with scripted(answer(404)) as server:
        # It would answer now, but is not asked before the pause is over.
        buckets._client = remote_buckets._client(server.url, 60, 60)
        with pytest.raises(UnreadableError, match="cannot be reached"):
            buckets.find(BUCKET, "a")
        assert server.asked == []
        now[0] += remote_buckets.PAUSE_S
        with pytest.raises(UnreadableError, match="no bucket"):
            buckets.find(BUCKET, "a")


def test_others_are_served_while_an_endpoint_is_slow(tmp_path: Path) -> None:
    asked, answered = threading.Event(), threading.Event()

    def slowly(handler: BaseHTTPRequestHandler) -> None:
        asked.set()
        answered.wait(timeout=60)
        answer(404)(handler)

    with scripted(slowly) as server, reading(tmp_path, server.url) as api:
        collection = api.login().collection()["id"]
        api.tile(collection, "far")
        api.tick(60)

        async def both() -> httpx.Response:
            waiting = asyncio.create_task(api.asked("GET", f"{COLLECTIONS}/{collection}/tiles"))
            await asyncio.to_thread(asked.wait)
            token = await api.asked("POST", TOKEN)
            assert token.status_code == 400
            assert not waiting.done()
            answered.set()
            return await waiting

        (tile,) = api.run(both()).json()["data"]
        assert tile["status"] == "FAILED"


def test_many_tiles_are_read_in_the_order_of_their_ingestion(
    first: Sandbox, tmp_path: Path
) -> None:
    """The first one configures the collection, and the others are read by that."""
    for number in range(3):
        upload(first.s3_url, f"many/{number}", tmp_path, B04=p.numbers(number))
    upload(first.s3_url, "many/other", tmp_path, B08=p.numbers(9))
    with reading(tmp_path, first.s3_url) as api:
        collection = api.login().collection()["id"]
        for name in ("0", "1", "other", "2"):
            api.tile(collection, f"many/{name}")
        api.tick(60)
        found = {one["path"]: one["status"] for one in api.tiles(collection)["data"]}
        assert found == {
            "many/0/(BAND).tif": "INGESTED",
            "many/1/(BAND).tif": "INGESTED",
            "many/other": "FAILED",
            "many/2/(BAND).tif": "INGESTED",
        }
        assert list(api.read(collection)["additionalData"]["bands"]) == ["B04"]


@pytest.mark.parametrize(
    ("respond", "told"),
    [
        (answer(403, b"<Error><Code>AccessDenied</Code></Error>"), "answers AccessDenied"),
        (answer(200, b"no listing"), "answers 500"),
        (answer(418), "answers 418"),
    ],
)
def test_an_endpoint_that_is_none_is_told(respond: Any, told: str) -> None:
    with scripted(respond) as server, pytest.raises(UnreadableError, match=told) as refused:
        RemoteBuckets(server.url).keys(BUCKET, "a")
    assert KEY not in str(refused.value)


def test_an_endpoint_that_never_answers_is_given_up() -> None:
    ended = threading.Event()
    with scripted(lambda _: ended.wait(timeout=60)) as server:
        buckets = RemoteBuckets(server.url, read_timeout_s=0.05)
        with pytest.raises(UnreadableError, match="gives no answer"):
            buckets.find(BUCKET, "a")
        ended.set()


def test_without_credentials_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with (
        scripted(answer(200)) as server,
        pytest.raises(UnreadableError, match="there are no AWS credentials"),
    ):
        RemoteBuckets(server.url).find(BUCKET, "a")
    assert server.asked == []


@pytest.mark.parametrize("name", ["", "..", "a/b", "arn:aws:s3:x:y:z", "a b", "-a"])
def test_names_that_could_lead_elsewhere_are_not_asked_for(name: str) -> None:
    assert not RemoteBuckets("http://127.0.0.1:9").is_asked_for(name)


@pytest.mark.parametrize("key", ["", "..", "a/../../other", "a//b"])
def test_keys_that_could_lead_elsewhere_are_not_asked_for(key: str) -> None:
    assert RemoteBuckets("http://127.0.0.1:9").find(BUCKET, key) is None


@pytest.mark.parametrize(
    ("own", "is_own"),
    [
        ("http://127.0.0.1:9000", True),
        ("http://localhost:9000/", True),
        ("http://[::1]:9000", True),
        ("http://127.0.0.1:9001", False),
        ("http://192.0.2.1:9000", False),
        (None, False),
    ],
)
def test_a_sandbox_does_not_ask_itself(own: str | None, *, is_own: bool) -> None:
    buckets = RemoteBuckets("http://localhost:9000")
    buckets.leave_out([own, "http://127.0.0.1:8000"])
    assert buckets.is_asked_for(BUCKET) is not is_own


def test_the_endpoint_is_that_of_the_environment() -> None:
    assert from_environment({"AWS_ACCESS_KEY_ID": "x"}) is None
    assert from_environment({"AWS_ENDPOINT_URL": ""}) is None
    assert from_environment({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}) is not None
    assert from_environment({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}) is not None


def test_a_served_sandbox_reads_where_the_environment_points(
    first: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(first.s3_url, "served", tmp_path, B04=p.numbers(4))
    monkeypatch.setenv("AWS_ENDPOINT_URL", first.s3_url)
    with Sandbox(tmp_path / "second", stopped=True) as second:
        bearer = {"authorization": f"Bearer {token_of(second)}"}
        with httpx.Client(base_url=second.base_url, headers=bearer, trust_env=False) as http:
            made = http.post("/byoc/v1/collections", json={"name": "far", "s3Bucket": BUCKET})
            tiles = f"/byoc/v1/collections/{made.json()['data']['id']}/tiles"
            http.post(tiles, json={"path": "served"}).raise_for_status()
            second.tick(60)
            assert [one["status"] for one in http.get(tiles).json()["data"]] == ["INGESTED"]


def token_of(one: Sandbox) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": one.client_id,
        "client_secret": one.client_secret,
    }
    return str(httpx.post(one.token_url, data=form, trust_env=False).json()["access_token"])


# Reading by ranges.


class Held(RemoteBuckets):
    """Buckets whose one file is in memory."""

    def __init__(self, content: bytes) -> None:
        super().__init__("http://127.0.0.1:9")
        self.content = content
        self.spans: list[tuple[int, int]] = []

    def span(self, file: RemoteFile, first: int, count: int) -> bytes:
        self.spans.append((first, count))
        return self.content[first : first + count]


STEPS = st.lists(
    st.tuples(
        st.sampled_from([io.SEEK_SET, io.SEEK_CUR, io.SEEK_END]),
        st.integers(-3 * BLOCK_BYTES, 3 * BLOCK_BYTES),
        st.integers(-1, 2 * BLOCK_BYTES),
    ),
    max_size=12,
)


@settings(max_examples=50)
@given(size=st.sampled_from([0, 1, BLOCK_BYTES, 2 * BLOCK_BYTES + 77]), steps=STEPS)
def test_what_is_read_is_what_a_file_would_give(size: int, steps: list[Any]) -> None:
    """Law: however one seeks and reads, the bytes are those of the same file on disk."""
    content = np.random.default_rng(size).bytes(size)
    held = Held(content)
    same = io.BytesIO(content)
    with RemoteFile(held, BUCKET, "x", size, "tag").opened() as (one, told):
        assert told == size
        for whence, offset, count in steps:
            place = {io.SEEK_SET: 0, io.SEEK_CUR: same.tell(), io.SEEK_END: size}[whence]
            same.seek(max(0, place + offset))
            assert one.seek(offset, whence) == same.tell()
            assert one.read(count) == same.read(count)
            assert one.tell() == same.tell()


def test_who_reads_on_is_given_more_at_once() -> None:
    held = Held(bytes(40 * BLOCK_BYTES))
    file = RemoteFile(held, BUCKET, "x", len(held.content), "tag")
    with file.opened() as (one, size):
        assert len(one.read()) == size
    counts = [count // BLOCK_BYTES for _, count in held.spans]
    assert counts[:5] == [2, 4, 8, 16, 10]
    assert sum(counts) == 40
