"""Files that are no GeoTIFFs, whatever they are called: a failed tile with a cause, and nothing else."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from shplan.sandbox import cog
from shplan.sandbox.bucket_files import LocalFile
from shplan.sandbox.buckets import IngestionError
from shplan.sandbox.ingestion import UNFORESEEN, UNREADABLE
from tests.support.bounded import bounded
from tests.support.samples import some

from .support import BUCKET, Driver, sandbox, write_cog


class Ingester:
    """Ingests files into one collection, each with a good one beside it."""

    def __init__(self, api: Driver, bucket: Path) -> None:
        self.api = api
        self.bucket = bucket
        bands = {"B1": {"bitDepth": 16, "sampleFormat": "UINT"}}
        self.collection = api.collection(additionalData={"bands": bands})["id"]
        self.valid = write_cog(bucket / "good/B1.tif", size=512).read_bytes()
        self._count = 0

    def tile(self) -> tuple[str, Path]:
        """A new tile, and the place of its file."""
        self._count += 1
        path = self.bucket / f"t{self._count}" / "B1.tif"
        path.parent.mkdir()
        return self.api.tile(self.collection, f"t{self._count}/(BAND).tif")["id"], path

    def outcome(self, tile: str) -> tuple[str, str]:
        """Status and cause, after the time it takes; asking does not take long."""
        with bounded():
            self.api.tick(10)
            found = self.api.read(self.collection, tile)
        return found["status"], found.get("additionalData", {}).get("failedIngestionCause", "")

    def ingest(self, content: bytes) -> tuple[str, str]:
        tile, path = self.tile()
        path.write_bytes(content)
        return self.outcome(tile)


@pytest.fixture(scope="module")
def ingester(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingester]:
    data = tmp_path_factory.mktemp("broken")
    with sandbox(data) as driver:
        driver.login().configure(expires_in_s=10**8)
        yield Ingester(driver.login(), data / "buckets" / BUCKET)


def little(*entries: tuple[int, int, int, int], following: int = 0, at: int = 8) -> bytes:
    """A small TIFF of one directory: entries of tag, kind, count and value."""
    body = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *one) for one in entries)
    return b"II*\0" + struct.pack("<I", at) + body + struct.pack("<I", following)


def big(*entries: tuple[int, int, int, int], count: int | None = None, at: int = 16) -> bytes:
    body = struct.pack("<Q", len(entries) if count is None else count)
    body += b"".join(struct.pack("<HHQQ", *one) for one in entries)
    return b"II+\0" + struct.pack("<HHQ", 8, 0, at) + body + struct.pack("<Q", 0)


SIZE = ((256, 4, 1, 256), (257, 4, 1, 256))
HUGE = 2**32 - 1
BROKEN = {
    "nothing": b"",
    "one byte": b"I",
    "half a header": b"II*\0\x08",
    "text": b"hello " * 100,
    "html": b"<html>404</html>",
    "png": b"\x89PNG\r\n\x1a\n" + b"\0" * 500,
    "no directory": b"II*\0" + struct.pack("<I", 0),
    "directory beyond the end": little(at=HUGE),
    "directory within the header": little(at=0),
    "directory at itself": little(*SIZE, following=8),
    "values beyond the end": little(*SIZE, (258, 3, HUGE, HUGE)),
    "values of no kind": little(*SIZE, (258, 99, 1, 1)),
    "size as text": little((256, 2, 4, 1), (257, 2, 4, 1)),
    "no size": little((256, 4, 0, 0), (257, 4, 0, 0)),
    "size of nothing": little((256, 4, 1, 0), (257, 4, 1, 0)),
    "size of everything": little((256, 4, 1, HUGE), (257, 4, 1, HUGE), (322, 4, 1, 256), (323, 4, 1, 256)),
    "samples without number": little(*SIZE, (277, 4, 1, HUGE)),
    "no samples": little(*SIZE, (277, 4, 1, 0)),
    "tiles of nothing": little(*SIZE, (322, 4, 1, 0), (323, 4, 1, 0)),
    "entries without number": b"II*\0\x08\0\0\0\xff\xff" + b"\0\1\4\0" * 200_000,
    "one entry many times": little(*SIZE, *[(258, 3, 60_000, 8)] * 500) + b"\1" * 200_000,
    "big: nothing": b"II+\0",
    "big: entries without number": big(*SIZE, count=2**64 - 1),
    "big: directory beyond numbers": big(*SIZE, at=2**64 - 1),
    "big: directory at the largest offset": big(*SIZE, at=2**63 - 1),
    "big: values beyond numbers": big(*SIZE, (258, 16, 2**64 - 1, 2**64 - 1)),
    "big: size beyond numbers": big((256, 16, 1, 2**64 - 1), (257, 16, 1, 2**64 - 1)),
    "big: good directory": big(*SIZE, (322, 4, 1, 256), (323, 4, 1, 256)),
    "motorola": b"MM\0*" + struct.pack(">I", 8) + b"\xff" * 100,
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_file_fails_its_tile_with_a_cause(ingester: Ingester, name: str) -> None:
    status, cause = ingester.ingest(BROKEN[name])
    assert status == "FAILED"
    assert "B1" in cause
    assert ingester.ingest(ingester.valid)[0] == "INGESTED"


def test_directories_that_run_in_a_circle(ingester: Ingester) -> None:
    one = little(*SIZE, following=38)
    assert len(one) == 38
    status, cause = ingester.ingest(one + one[8:34] + struct.pack("<I", 8))
    assert (status, "do not end" in cause) == ("FAILED", True)


def test_file_cut_anywhere_fails_or_is_whole_enough(ingester: Ingester) -> None:
    for length in [
        *range(0, 600, 23),
        *range(600, len(ingester.valid), len(ingester.valid) // 12 + 1),
    ]:
        status, cause = ingester.ingest(ingester.valid[:length])
        assert status == "FAILED" or length > 600
        assert cause not in (UNFORESEEN, UNREADABLE)


def mutated(content: bytes, rng: Random) -> bytes:
    """A file with bytes changed, mostly where its directories are, and sometimes cut or doubled."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        place = rng.randrange(min(len(changed), rng.choice((16, 600, 600, len(changed)))))
        how = rng.random()
        if how < 0.5:
            changed[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif how < 0.8:
            changed[place : place + 4] = rng.choice((b"\xff" * 4, b"\0" * 4, rng.randbytes(4)))
        elif how < 0.9:
            changed[place:place] = rng.randbytes(rng.randrange(9))
        else:
            del changed[place : place + rng.randrange(9)]
    return bytes(changed[: rng.choice((None, None, rng.randrange(1, len(changed) + 1)))])


def fuzz(ingester: Ingester, numbers: range, **options: Any) -> None:
    path = ingester.bucket / "mutated/B1.tif"
    content = write_cog(path, size=512, **options).read_bytes()
    for number in numbers:
        rng = Random(f"{options}/{number}")
        status, cause = ingester.ingest(mutated(content, rng))
        assert status in ("INGESTED", "FAILED")
        assert cause not in (UNFORESEEN, UNREADABLE), number
    assert ingester.ingest(ingester.valid)[0] == "INGESTED"


@pytest.mark.sampled
@pytest.mark.parametrize("options", [{}, {"nodata": 0, "bigtiff": "yes"}])
def test_mutated_files(ingester: Ingester, options: dict[str, Any]) -> None:
    fuzz(ingester, range(some(60, thorough=120)), **options)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bands": 3, "nodata": 7},
        {"bigtiff": "yes"},
        {"epsg": 4326, "west": 1, "north": 1, "pixel": 0.001},
    ],
)
def test_many_mutated_files(ingester: Ingester, options: dict[str, Any]) -> None:
    """A few hundred of each; `make slow` tries five times as many."""
    fuzz(ingester, range(120, some(400, thorough=1500)), **options)


def test_neighbours_of_broken_files_are_ingested(ingester: Ingester) -> None:
    """All at once, in one collection, as a folder of an upload that failed halfway."""
    broken, good = [], []
    for content in BROKEN.values():
        for kept, what in ((broken, content), (good, ingester.valid)):
            tile, path = ingester.tile()
            path.write_bytes(what)
            kept.append(tile)
    assert {ingester.outcome(tile)[0] for tile in good} == {"INGESTED"}
    assert {ingester.outcome(tile)[0] for tile in broken} == {"FAILED"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_file_that_may_not_be_read(ingester: Ingester) -> None:
    tile, path = ingester.tile()
    path.write_bytes(ingester.valid)
    path.chmod(0)
    status, cause = ingester.outcome(tile)
    assert (status, "cannot be read" in cause) == ("FAILED", True)


def test_file_that_changes_while_it_is_read(
    ingester: Ingester, tmp_path: Path, monkeypatch: Any
) -> None:
    path = tmp_path / "B1.tif"
    path.write_bytes(ingester.valid)
    placed = cog._placed

    def slowly(*given: Any) -> Any:
        found = placed(*given)
        path.write_bytes(ingester.valid + b"more")
        return found

    monkeypatch.setattr(cog, "_placed", slowly)
    with pytest.raises(IngestionError, match="changed while it was read"):
        cog.read("B1", LocalFile(path))


def test_cover_that_the_crs_of_the_file_cannot_show(ingester: Ingester) -> None:
    """The date line has no finite place in a UTM zone of America; the tile is served all the same."""
    ring = [[179, -1], [180, 0], [180, 1], [179, -1]]
    cover = {"type": "Polygon", "coordinates": [ring]}
    tile, path = ingester.tile()
    write_cog(path, epsg=32614)
    place = f"/byoc/v1/collections/{ingester.collection}/tiles/{tile}"
    for _ in range(2):
        assert ingester.api.put(place, {"coverGeometry": cover}).status_code == 204
        assert ingester.outcome(tile) == ("INGESTED", "")
    found = ingester.api.get(place).json()["data"]
    assert found["coverGeometry"]["coordinates"] == [ring]
    assert found["coverGeometry"]["crs"]["properties"]["name"].endswith(":4326")
