"""Tiles from Parquet: the columns of a table, typed; what is wrong with it is said with its row."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shplan.manifest import parquet_probe
from shplan.manifest.members import Rows
from shplan.manifest.members_parquet import read_as, read_parquet
from shplan.manifest.parquet_probe import MOST_AT_ONCE, Reading
from tests.support import parquet_bombs
from tests.support.bounded import bounded, in_bounds

AREA = shapely.box(14.5, 46.0, 14.6, 46.1)
GEO = {
    "version": "1.1.0",
    "primary_column": "geometry",
    "columns": {"geometry": {"encoding": "WKB"}},
}


def parquet(metadata: Any = None, **columns: Any) -> bytes:
    table = pa.table(columns)
    if metadata is not None:
        table = table.replace_schema_metadata({"geo": json.dumps(metadata)})
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def read(content: bytes) -> Rows:
    rows, problems = read_parquet(content, file="tiles.parquet")
    assert problems == []
    return rows


def told(content: bytes) -> list[str]:
    _, problems = read_parquet(content, file="tiles.parquet")
    return [one.what for one in problems]


def test_rows_are_tiles() -> None:
    rows = read(parquet(path=["a", "b"], sensingTime=["2025-06-01T10:00:00Z", None]))
    assert list(rows) == [{"path": "a", "sensingTime": "2025-06-01T10:00:00Z"}, {"path": "b"}]
    assert rows.line(1) == 2


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([datetime(2025, 6, 1, 10, tzinfo=UTC)], pa.timestamp("us", "UTC")), "2025-06-01T10:00:00Z"),
        (pa.array([datetime(2025, 6, 1, 10, tzinfo=UTC)], pa.timestamp("s", "Europe/Ljubljana")), "2025-06-01T10:00:00Z"),
        (pa.array([datetime(2025, 6, 1, 10)], pa.timestamp("ns")), "2025-06-01T10:00:00Z"),  # noqa: DTZ001
        (pa.array([1_748_772_000_123_999_999], pa.timestamp("ns", "UTC")), "2025-06-01T10:00:00.123Z"),
        (pa.array([date(2025, 6, 1)]), "2025-06-01T00:00:00Z"),
        (pa.array(["2025-06-01T10:00:00+02:00"]).dictionary_encode(), "2025-06-01T10:00:00+02:00"),
    ],
)  # fmt: skip
def test_times_are_typed(values: Any, expected: str) -> None:
    assert read(parquet(path=["a"], sensingTime=values))[0]["sensingTime"] == expected


def test_covers_as_wkb_geojson_and_wkt() -> None:
    wanted = json.loads(shapely.to_geojson(AREA))["coordinates"]
    for value in (shapely.to_wkb(AREA), shapely.to_geojson(AREA), AREA.wkt):
        cover = read(parquet(path=["a"], coverGeometry=[value]))[0]["coverGeometry"]
        assert cover["coordinates"] == wanted  # type: ignore[index,call-overload]
    high = shapely.force_3d(AREA, 7.0)
    cover = read(parquet(path=["a"], coverGeometry=[shapely.to_wkb(high)]))[0]["coverGeometry"]
    assert cover["coordinates"] == wanted  # type: ignore[index,call-overload]


def test_a_geoparquet_file_names_its_reference_system() -> None:
    utm = shapely.box(500_000, 5_100_000, 501_000, 5_101_000)
    described = {"encoding": "WKB", "crs": {"id": {"authority": "EPSG", "code": 32633}},
                 "covering": {"bbox": {"xmin": ["bbox", "xmin"]}}}  # fmt: skip
    metadata = {**GEO, "columns": {"geometry": described}}
    content = parquet(
        metadata, path=["a"], geometry=[shapely.to_wkb(utm)], bbox=[{"xmin": 1.0}],
        __index_level_0__=[0],
    )  # fmt: skip
    cover = read(content)[0]["coverGeometry"]
    assert cover["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"  # type: ignore[index,call-overload]
    nameless = {**GEO, "columns": {"geometry": {"crs": {"type": "ProjectedCRS"}}}}
    assert told(parquet(nameless, path=["a"], geometry=[shapely.to_wkb(utm)])) == [
        "the covers are in a reference system without an EPSG number."
    ]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"paths": ["a"]}, "the table has the column `paths`"),
        ({"sensingTime": ["x"]}, "the table has no column `path`."),
        ({"path": [1]}, "the column `path` holds int64; it has to hold text."),
        ({"path": ["a"], "sensingTime": [1.5]}, "the column `sensingTime` holds double"),
        ({"path": ["a"], "cloud": [1]}, "the table has the column `cloud`"),
        ({"path": ["a", "b"], "coverGeometry": [None, b"no"]}, "row 2: coverGeometry is no WKB."),
        (
            {"path": ["a"], "coverGeometry": [shapely.to_wkb(shapely.Point(1, 2))]},
            "row 1: coverGeometry is neither",
        ),
        (
            {"path": ["a"], "coverGeometry": [shapely.to_wkb(shapely.box(500000, 1, 500001, 2))]},
            "row 1: coverGeometry ",
        ),
        (
            {"path": ["a"], "coverGeometry": ["no"]},
            "row 1: coverGeometry is neither GeoJSON nor WKT.",
        ),
    ],
)
def test_what_is_wrong_is_said(columns: Any, expected: str) -> None:
    first, *_ = told(parquet(**columns))
    assert first.startswith(expected)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 10, b"path,sensingTime\na,b\n"])
def test_what_is_no_parquet(content: bytes) -> None:
    (what,) = told(content)
    assert what.startswith("this is not Parquet")
    assert not what.endswith("..")


def test_a_table_that_unpacks_beyond_all_bounds_is_refused() -> None:
    """A value that repeats packs into nothing."""
    content = parquet(path=pa.array(["a"] * 6_000_000).dictionary_encode())
    assert len(content) < 1 << 20
    (what,) = told(content)
    assert what == "the table has 6,000,000 rows; at most 5,000,000 are read."


def test_values_that_are_told_by_the_one_before_are_read() -> None:
    """DELTA_BYTE_ARRAY: other writers use it for paths, and the library keeps no dictionary of it."""
    out = io.BytesIO()
    table = pa.table({"path": ["2025/a", "2025/b"], "sensingTime": ["2025-06-01T10:00:00Z", None]})
    encodings = {"path": "DELTA_BYTE_ARRAY", "sensingTime": "DELTA_BYTE_ARRAY"}
    pq.write_table(table, out, use_dictionary=False, column_encoding=encodings)
    assert [one["path"] for one in read(out.getvalue())] == ["2025/a", "2025/b"]


BOMBS = {
    "a page that the codec unpacks": lambda: parquet_bombs.inflating(2_000_000_000),
    "a header that asks for as much": lambda: parquet_bombs.claiming(2_000_000_000),
    "values that repeat the one before": lambda: parquet_bombs.repeating(8192, 300_000),
}
# The peak of both processes: of this one, and of the one that tries the file. What a process has used counts
# what its parent had when it began, so that of this one is asked for where only itself counts.
READER = """
import resource, sys
from pathlib import Path
from shplan.manifest.members_parquet import read_parquet
_, problems = read_parquet(sys.stdin.buffer.read(), file="tiles.parquet")
own = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) >> 10, *(f"{one.span}: {one.what} {one.hint}" for one in problems), sep="|")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no other system bounds the memory")
@pytest.mark.parametrize("kind", sorted(BOMBS))
def test_what_unpacks_to_gigabytes_takes_no_more_than_is_allowed(kind: str) -> None:
    """Neither footer nor the size of the file tell of it."""
    content = BOMBS[kind]()
    assert len(content) < 1 << 16
    done = subprocess.run(
        [sys.executable, "-c", READER], input=content, capture_output=True, check=True, timeout=120
    )
    peak_mb, said = done.stdout.decode().strip().split("|")
    assert said == (
        "tiles.parquet:1:1: the table takes more than 1 GB of memory at a time, or ends the library "
        "that reads it. write it anew in smaller row groups, or as CSV"
    )
    assert int(peak_mb) < (MOST_AT_ONCE >> 20) + 500


def test_a_library_that_ends_its_process_ends_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a file that it does not survive: here a process that cannot even begin."""
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(parquet_probe, "_known", {})
    (what,) = told(parquet(path=["a"]))
    assert what.startswith(
        "the table takes more than 1 GB of memory at a time, or ends the library"
    )


@pytest.mark.slow
def test_a_million_rows_fit() -> None:
    def work() -> str:
        count = 1_000_000
        moments = np.arange(count).astype("datetime64[s]")
        paths = pa.array([f"2025/{at:07}/(BAND).tif" for at in range(count)])
        rows, problems = read_parquet(parquet(path=paths, sensingTime=moments), file="t.parquet")
        return f"{len(rows)} {len(problems)} {rows[count - 1]['path']}"

    assert in_bounds(work) == "1000000 0 2025/0999999/(BAND).tif"


@pytest.fixture(scope="module")
def content() -> bytes:
    return parquet(path=["a", "b"], coverGeometry=[shapely.to_wkb(AREA)] * 2)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_the_bytes_it_ends(content: bytes, data: st.DataObject) -> None:
    broken = bytearray(content)
    for _ in range(data.draw(st.integers(1, 5))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    with bounded():
        rows, problems = read_as(bytes(broken), Reading.PACKED, file="tiles.parquet")
    assert isinstance(rows, Rows)
    assert all(one.code == "manifest/table" for one in problems)


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("column", ["path", "coverGeometry"])
def test_a_value_that_every_row_shares_is_counted_for_each(column: str, *, stored: bool) -> None:
    """A file of some hundred bytes can mean many gigabytes."""
    shared = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(60_000, np.int32)), pa.array(["x" * 200_000])
    )
    columns = {"path": shared, column: shared}
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, compression="zstd", store_schema=stored)
    content = out.getvalue()
    assert len(content) < 3000
    told_of = in_bounds(lambda: "".join(told(content)), memory_bytes=1 << 30)
    assert told_of == "the table unpacks to more than 2 GB."


@pytest.mark.parametrize("value", [0x22, 0x00])
def test_no_byte_of_a_file_ends_the_process(value: int) -> None:
    """The library aborts where it looks at some columns by themselves; a message is due."""
    content = parquet(path=["a", "b"], sensingTime=["2025-06-01T10:00:00Z", None])

    def read_all() -> str:
        for at in range(len(content)):
            broken = content[:at] + bytes([value]) + content[at + 1 :]
            read_as(broken, Reading.PACKED, file="tiles.parquet")
        return "read"

    assert in_bounds(read_all, memory_bytes=2 << 30) == "read"
