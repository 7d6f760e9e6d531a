"""Files of tiles over a real port: ranges, HEAD, a file larger than what a server may hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import httpx
import pytest

from tests.support.served import serving

BUCKET = "downloads"
LARGE_BYTES = 2 << 30
CONTENT = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, str]]:
    """A client with a token, and the address of a tile's files."""
    data = tmp_path_factory.mktemp("served")
    folder = data / "buckets" / BUCKET / "a"
    folder.mkdir(parents=True)
    (folder / "B04.tif").write_bytes(CONTENT)
    with (folder / "B08.tif").open("wb") as sparse:
        sparse.truncate(LARGE_BYTES)
    with serving(data) as served, served.client() as http:
        collections = "/api/v1/byoc/collections"
        made = http.post(collections, json={"name": "files", "s3Bucket": BUCKET})
        tiles = f"{collections}/{made.json()['data']['id']}/tiles"
        tile = http.post(tiles, json={"path": "a"}).json()["data"]["id"]
        yield http, f"{tiles}/{tile}/files"


def test_a_download_in_parts_is_the_file(place: tuple[httpx.Client, str]) -> None:
    """As a program resumes: it asks for the size, then for one part after the other."""
    http, files = place
    name, _ = http.get(files).json()
    told = http.head(f"{files}/{name}")
    assert (told.status_code, told.content) == (200, b"")
    size = int(told.headers["content-length"])
    parts = []
    for first in range(0, size, 300_000):
        asked = {"range": f"bytes={first}-{first + 299_999}", "if-range": told.headers["etag"]}
        answer = http.get(f"{files}/{name}", headers=asked)
        assert answer.status_code == 206
        parts.append(answer.content)
    assert hashlib.sha256(b"".join(parts)).digest() == hashlib.sha256(CONTENT).digest()
    beyond = http.get(f"{files}/{name}", headers={"range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")


def test_a_download_that_is_broken_off_hurts_nobody(place: tuple[httpx.Client, str]) -> None:
    http, files = place
    for _ in range(5):
        with http.stream("GET", f"{files}/a/B08.tif") as answer:
            assert answer.headers["content-length"] == str(LARGE_BYTES)
            assert len(next(answer.iter_raw())) > 0
    end = http.get(f"{files}/a/B08.tif", headers={"range": "bytes=-5"})
    assert (end.status_code, end.content) == (206, bytes(5))
    assert (
        end.headers["content-range"] == f"bytes {LARGE_BYTES - 5}-{LARGE_BYTES - 1}/{LARGE_BYTES}"
    )
