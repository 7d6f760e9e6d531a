from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox.ranges import FilePart, RangeError, span_of

from .support import COLLECTIONS, Driver, write_cog

CONTENT = bytes(range(250))


@pytest.fixture
def place(api: Driver, bucket: Path) -> str:
    """Where the files of a tile are, of which one has known bytes."""
    (bucket / "a").mkdir()
    (bucket / "a/B04.tif").write_bytes(CONTENT)
    (bucket / "a/B08.tif").write_bytes(b"")
    (bucket / "secret.tif").write_bytes(b"secret")
    one = api.collection()["id"]
    return f"{COLLECTIONS}/{one}/tiles/{api.tile(one, 'a')['id']}/files"


def fetch(api: Driver, path: str, **headers: str) -> Any:
    return api.send("GET", path, headers={name.replace("_", "-"): v for name, v in headers.items()})


def test_files_of_an_ingested_tile_are_listed_and_read_back(api: Driver, bucket: Path) -> None:
    files = [write_cog(bucket / f"a/{name}.tif") for name in ("B08", "B04")]
    one = api.collection()["id"]
    tile = api.tile(one, "a")["id"]
    place = f"{COLLECTIONS}/{one}/tiles/{tile}/files"
    for _ in range(2):
        assert api.get(place).json() == ["a/B04.tif", "a/B08.tif"]
        assert api.get(f"{place}/a/B08.tif").content == files[0].read_bytes()
        api.tick(4)
    assert api.read(one, tile)["path"] == "a/(BAND).tif"


def test_whole_file_comes_with_its_size_and_says_that_ranges_are_served(
    api: Driver, place: str
) -> None:
    answer = api.get(f"{place}/a/B04.tif")
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-length"] == "250"
    assert answer.headers["accept-ranges"] == "bytes"
    assert api.get(f"{place}/a/B08.tif").content == b""
    old = place.replace("/byoc/v1", "/api/v1/byoc")
    assert api.get(f"{old}/a/B04.tif").content == CONTENT


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-9", 0, 9),
        ("bytes=240-", 240, 249),
        ("bytes=240-9999", 240, 249),
        ("bytes=-10", 240, 249),
        ("bytes=-9999", 0, 249),
        ("bytes=7-7", 7, 7),
        ("Bytes = 7-7", 7, 7),
    ],
)
def test_one_range_is_a_part(api: Driver, place: str, asked: str, first: int, last: int) -> None:
    answer = fetch(api, f"{place}/a/B04.tif", range=asked)
    assert (answer.status_code, answer.content) == (206, CONTENT[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/250"
    assert answer.headers["content-length"] == str(last - first + 1)


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,5-6",
        "bytes=9-5",
        "bytes=-",
        "bytes=x-y",
        "items=0-5",
        "bytes=",
        "",
        "bytes=" + "9" * 30 + "-",
    ],
)
def test_several_ranges_or_none_that_can_be_read_are_the_whole(
    api: Driver, place: str, asked: str
) -> None:
    answer = fetch(api, f"{place}/a/B04.tif", range=asked)
    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize(
    ("name", "asked", "size"),
    [
        ("B04", "bytes=250-", 250),
        ("B04", "bytes=999-1000", 250),
        ("B04", "bytes=-0", 250),
        ("B08", "bytes=0-", 0),
    ],
)
def test_range_outside_of_the_file_is_told(
    api: Driver, place: str, name: str, asked: str, size: int
) -> None:
    answer = fetch(api, f"{place}/a/{name}.tif", range=asked)
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{size}")
    assert answer.json()["error"]["status"] == 416


def test_range_counts_only_for_the_state_that_it_names(
    api: Driver, place: str, bucket: Path
) -> None:
    """A download that is resumed after the file has changed begins anew."""
    path = f"{place}/a/B04.tif"
    headers = api.get(path).headers
    for state in (headers["etag"], headers["last-modified"]):
        assert fetch(api, path, range="bytes=0-9", if_range=state).status_code == 206
    (bucket / "a/B04.tif").write_bytes(CONTENT[::-1])
    os.utime(bucket / "a/B04.tif", (1, 1))
    answer = fetch(api, path, range="bytes=0-9", if_range=headers["etag"])
    assert (answer.status_code, answer.content) == (200, CONTENT[::-1])


def test_head_tells_the_size_and_sends_nothing(api: Driver, place: str) -> None:
    answer = api.send("HEAD", f"{place}/a/B04.tif", headers={"range": "bytes=0-9"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "250"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["accept-ranges"] == "bytes"
    assert api.send("HEAD", f"{place}/a/B05.tif").status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "secret.tif",
        "a/../secret.tif",
        "a/%2e%2e/secret.tif",
        "a%2F..%2Fsecret.tif",
        "%2e%2e%2F%2e%2e%2Fsettings.json",
        "%2Fetc%2Fpasswd",
        "/etc/passwd",
        "a",
        "a/B04.tif%00",
        "a\\B04.tif",
        "%ff%fe",
        "A/B04.tif",
    ],
)
def test_path_that_is_none_of_the_tiles_files_is_not_found(
    api: Driver, place: str, name: str
) -> None:
    for method in ("GET", "HEAD"):
        answer = api.send(method, f"{place}/{name}")
        assert answer.status_code == 404
        assert b"secret" not in answer.content.replace(b"secret.tif", b"")


@pytest.mark.parametrize("path", ["../imagery/a", "a/../a", "..", "./a", "a/(BAND)/../../(BAND)"])
def test_tile_whose_path_leads_around_has_no_files(api: Driver, bucket: Path, path: str) -> None:
    write_cog(bucket / "a/B04.tif")
    one = api.collection()["id"]
    tile = api.tile(one, path)["id"]
    assert api.get(f"{COLLECTIONS}/{one}/tiles/{tile}/files").json() == []


def test_links_are_followed_within_the_bucket_only(
    api: Driver, place: str, bucket: Path, tmp_path: Path
) -> None:
    (bucket / "a/B12.tif").symlink_to("B12.tif")
    (bucket / "a/B13.tif").symlink_to("B04.tif")
    assert api.get(place).json() == ["a/B04.tif", "a/B08.tif", "a/B13.tif"]
    assert api.get(f"{place}/a/B13.tif").content == CONTENT
    outside = tmp_path / "outside.tif"
    outside.write_bytes(b"secret")
    (bucket / "a/B11.tif").symlink_to(outside)
    assert api.get(f"{place}/a/B11.tif").status_code == 404
    assert "a/B11.tif" not in api.get(place).json()


def test_file_whose_name_is_no_text_is_passed_over(api: Driver, place: str, bucket: Path) -> None:
    (Path(os.fsdecode(os.fsencode(bucket / "a") + b"/\xff\xfe.tif"))).touch()
    assert api.get(place).json() == ["a/B04.tif", "a/B08.tif"]


def test_file_that_is_gone_is_not_found(api: Driver, place: str, bucket: Path) -> None:
    (bucket / "a/B04.tif").unlink()
    assert api.get(f"{place}/a/B04.tif").status_code == 404
    assert api.get(place).json() == ["a/B08.tif"]
    (bucket / "a/B08.tif").unlink()
    assert api.get(place).json() == []


def test_only_delivered_collections_have_files_where_the_setting_says_so(
    api: Driver, place: str
) -> None:
    api.configure(tile_files="delivered")
    assert api.get(place).status_code == 404
    assert api.get(f"{place}/a/B04.tif").status_code == 404


def test_files_of_others_are_refused(api: Driver, place: str) -> None:
    api.configure(clients={"other": {"secret": "s", "account": "other"}})
    api.login("other", "s")
    assert api.get(place).status_code == 403
    assert api.get(f"{place}/a/B04.tif").status_code == 403


def test_large_file_is_sent_piece_by_piece(tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as sparse:
        sparse.truncate(3 * 10**8)
    tracemalloc.start()
    try:
        with file.open("rb") as opened:
            sent = sum(map(len, FilePart(opened, 5, 3 * 10**8 - 5).pieces()))
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()
    assert sent == 3 * 10**8 - 5


@given(st.integers(0, 300), st.integers(0, 300) | st.none(), st.integers(0, 300) | st.none())
def test_range_is_what_it_says_within_the_file(
    size: int, first: int | None, last: int | None
) -> None:
    """A law: what is sent lies within the file and within what was asked for, and is all of it."""
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    if first is None:
        wanted = range(max(0, size - last), size) if last is not None else None
    else:
        wanted = range(first, size if last is None else min(last + 1, size))
    if first is not None and last is not None and last < first:
        wanted = None
    if wanted is not None and not wanted:
        with pytest.raises(RangeError):
            span_of(header, size)
        return
    span = span_of(header, size)
    assert span == (None if wanted is None else (wanted[0], wanted[-1]))


def test_bucket_is_the_one_of_the_collection(api: Driver, place: str) -> None:
    one = api.collection(s3Bucket="elsewhere")["id"]
    tile = api.tile(one, "a")["id"]
    assert api.get(f"{COLLECTIONS}/{one}/tiles/{tile}/files").json() == []
