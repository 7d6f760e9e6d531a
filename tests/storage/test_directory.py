"""Buckets in a directory behave like buckets: no half objects, no way out."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shplan.core.errors import StorageError
from shplan.storage.directory import DirectoryStorage
from shplan.storage.port import InvalidKeyError, MissingObjectError, StoredObject


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "imagery").mkdir()
    return tmp_path


@pytest.fixture
def storage(root: Path) -> DirectoryStorage:
    return DirectoryStorage(root)


def keys(found) -> list[str]:
    return [item.key for item in found]


def test_what_is_put_is_got_with_its_md5_as_etag(storage: DirectoryStorage) -> None:
    content = b"pixels"
    put = asyncio.run(storage.put("imagery", "2025/B04.tiff", content))
    assert put == StoredObject("2025/B04.tiff", 6, hashlib.md5(content).hexdigest())
    assert asyncio.run(storage.get("imagery", "2025/B04.tiff")) == content
    assert asyncio.run(storage.head("imagery", "2025/B04.tiff")) == put


def test_a_missing_object_has_no_head_and_no_content(storage: DirectoryStorage) -> None:
    assert asyncio.run(storage.head("imagery", "nothing")) is None
    assert asyncio.run(storage.head("other", "nothing")) is None
    with pytest.raises(MissingObjectError, match="s3://imagery/nothing"):
        asyncio.run(storage.get("imagery", "nothing"))


def test_a_directory_is_no_object(storage: DirectoryStorage, root: Path) -> None:
    (root / "imagery" / "2025").mkdir()
    assert asyncio.run(storage.head("imagery", "2025")) is None
    with pytest.raises(StorageError, match="s3://imagery/2025 cannot be read"):
        asyncio.run(storage.get("imagery", "2025"))


def test_a_missing_bucket_is_named(storage: DirectoryStorage) -> None:
    with pytest.raises(MissingObjectError, match="no bucket other"):
        asyncio.run(storage.list("other", ""))
    with pytest.raises(MissingObjectError, match="no bucket other"):
        asyncio.run(storage.put("other", "key", b""))


def test_lists_by_prefix_in_byte_order(storage: DirectoryStorage) -> None:
    for key in ("b/2", "b/10", "a", "b-1", "bé", "b/c/d"):
        asyncio.run(storage.put("imagery", key, b"x"))
    assert keys(asyncio.run(storage.list("imagery", ""))) == [
        "a", "b-1", "b/10", "b/2", "b/c/d", "bé",
    ]  # fmt: skip
    assert keys(asyncio.run(storage.list("imagery", "b/"))) == ["b/10", "b/2", "b/c/d"]
    assert keys(asyncio.run(storage.list("imagery", "b/1"))) == ["b/10"]
    assert keys(asyncio.run(storage.list("imagery", "none/at/all"))) == []
    assert keys(asyncio.run(storage.list("imagery", "a/below-a-file"))) == []


@pytest.mark.parametrize(
    "key", ["../out", "a/../../out", "/etc/passwd", "", "a//b", "a/", ".", "a\\..\\b", "c:x", "a\0"]
)
def test_a_key_that_leads_out_is_refused(storage: DirectoryStorage, root: Path, key: str) -> None:
    for call in (
        lambda: storage.head("imagery", key),
        lambda: storage.get("imagery", key),
        lambda: storage.put("imagery", key, b"x"),
    ):
        with pytest.raises(InvalidKeyError):
            asyncio.run(call())
    assert list(root.iterdir()) == [root / "imagery"]


@pytest.mark.parametrize("bucket", ["..", ".", "", "a/b", ".drafts", "../imagery"])
def test_a_bucket_that_is_no_name_is_refused(storage: DirectoryStorage, bucket: str) -> None:
    with pytest.raises(InvalidKeyError):
        asyncio.run(storage.head(bucket, "key"))


def test_a_link_out_of_the_bucket_is_refused_and_not_listed(
    storage: DirectoryStorage, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret").write_bytes(b"secret")
    (root / "imagery" / "link").symlink_to(outside)
    (root / "imagery" / "file").symlink_to(outside / "secret")
    with pytest.raises(InvalidKeyError, match="symbolic link"):
        asyncio.run(storage.get("imagery", "link/secret"))
    with pytest.raises(InvalidKeyError, match="symbolic link"):
        asyncio.run(storage.put("imagery", "file", b"changed"))
    with pytest.raises(InvalidKeyError):
        asyncio.run(storage.list("imagery", "link/"))
    assert keys(asyncio.run(storage.list("imagery", ""))) == []
    assert (outside / "secret").read_bytes() == b"secret"


def test_a_bucket_may_itself_be_a_link(
    storage: DirectoryStorage, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = tmp_path_factory.mktemp("data")
    (root / "linked").symlink_to(data)
    asyncio.run(storage.put("linked", "a/b", b"x"))
    assert (data / "a" / "b").read_bytes() == b"x"
    assert keys(asyncio.run(storage.list("linked", ""))) == ["a/b"]


def test_the_etag_follows_the_content_even_when_size_and_moment_are_the_same(
    storage: DirectoryStorage, root: Path
) -> None:
    path = root / "imagery" / "a"
    path.write_bytes(b"one")
    stamp = path.stat().st_mtime_ns
    first = asyncio.run(storage.head("imagery", "a"))
    path.write_bytes(b"two")
    os.utime(path, ns=(stamp, stamp))
    second = asyncio.run(storage.head("imagery", "a"))
    assert first is not None
    assert second is not None
    assert (first.etag, second.etag) == tuple(
        hashlib.md5(content).hexdigest() for content in (b"one", b"two")
    )


def test_an_old_file_is_read_once_for_its_etag(storage: DirectoryStorage, root: Path) -> None:
    path = root / "imagery" / "a"
    path.write_bytes(b"one")
    os.utime(path, ns=(10**18, 10**18))
    first = asyncio.run(storage.head("imagery", "a"))
    # Only a second reading could notice this: inode, size and time stay the same.
    path.write_bytes(b"two")
    os.utime(path, ns=(10**18, 10**18))
    assert asyncio.run(storage.head("imagery", "a")) == first
    path.write_bytes(b"three")
    assert asyncio.run(storage.head("imagery", "a")) != first


def test_a_put_that_fails_leaves_the_old_content_and_no_draft(
    storage: DirectoryStorage, root: Path
) -> None:
    (root / "imagery" / "folder").mkdir()
    (root / "imagery" / "folder" / "inside").write_bytes(b"x")
    with pytest.raises(StorageError, match="cannot be written"):
        asyncio.run(storage.put("imagery", "folder", b"new"))
    with pytest.raises(StorageError, match="cannot be written"):
        asyncio.run(storage.put("imagery", "folder/inside/below", b"new"))
    assert (root / "imagery" / "folder" / "inside").read_bytes() == b"x"
    assert list((root / ".drafts").iterdir()) == []


PARTS = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\:\0", exclude_categories=["Cs"]),
    min_size=1,
    max_size=8,
).filter(lambda part: part not in (".", ".."))


@settings(max_examples=40, deadline=None)
@given(
    contents=st.dictionaries(
        st.lists(PARTS, min_size=1, max_size=3).map("/".join), st.binary(max_size=20), max_size=6
    )
)
def test_a_listing_is_what_was_put(
    tmp_path_factory: pytest.TempPathFactory, contents: dict[str, bytes]
) -> None:
    # A file system has no room for both `a` and `a/b`.
    names = [key for key in contents if not any(o.startswith(key + "/") for o in contents)]
    root = tmp_path_factory.mktemp("root")
    (root / "bucket").mkdir()
    storage = DirectoryStorage(root)

    async def run() -> None:
        put = [await storage.put("bucket", key, contents[key]) for key in names]
        found = await storage.list("bucket", "")
        assert list(found) == sorted(put, key=lambda item: item.key.encode())
        for key in names:
            assert await storage.get("bucket", key) == contents[key]

    asyncio.run(run())


def test_a_part_of_an_object_is_read(storage: DirectoryStorage) -> None:
    asyncio.run(storage.put("imagery", "x", b"0123456789"))
    assert asyncio.run(storage.read("imagery", "x", start=2, length=3)) == b"234"
    assert asyncio.run(storage.read("imagery", "x", start=8, length=9)) == b"89"
    with pytest.raises(MissingObjectError):
        asyncio.run(storage.read("imagery", "y", start=0, length=1))
