"""Each rule of an import broken once, and groups that mean harm."""

from __future__ import annotations

import bz2
import json
import lzma
import os
import shutil
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shplan.sandbox.objects import Objects
from shplan.sandbox.storage import Storage
from shplan.sandbox.wire import encode
from shplan.sandbox.zarr_axes import axis_of, times_of
from shplan.sandbox.zarr_codecs import decoded
from shplan.sandbox.zarr_files import GroupFiles, ZarrError
from shplan.sandbox.zarr_import import examined
from shplan.sandbox.zarr_metadata import array_of
from shplan.sandbox.zarr_rows import ZarrCollection, ZarrRound
from tests.support.bounded import bounded

from .support import Driver
from .zarrs import PATH, Breaker, edit, ingested, write_array, write_group

CUBE = np.ones((3, 30, 40), dtype="f4")
DIMS = ["time", "y", "x"]


def near(buckets: Path) -> Storage:
    return Storage(Objects(buckets, scratch=buckets))


def zarray(name: str, **changes: Any) -> Breaker:
    return lambda group: edit(group / name / ".zarray", **changes)


def zattrs(name: str, **changes: Any) -> Breaker:
    return lambda group: edit(group / name / ".zattrs", **changes)


def added(name: str, values: Any, *, dimensions: Any = DIMS, **options: Any) -> Breaker:
    return lambda group: write_array(group, name, values, dimensions=dimensions, **options)


def removed(name: str) -> Breaker:
    return lambda group: shutil.rmtree(group / name)


def text(file: str, content: str) -> Breaker:
    def write(group: Path) -> None:
        (group / file).write_text(content)

    return write


# One array breaks a rule: it is skipped, the other is ingested, and the errors name it.
OFFENCES: dict[str, tuple[str, Breaker]] = {
    "name begins with a digit": ("8A", added("8A", CUBE)),
    "name has a hyphen": ("B-8", added("B-8", CUBE)),
    "name is a reserved word": ("class", added("class", CUBE)),
    "one dimension": ("flat", added("flat", np.ones(3, "f4"), dimensions=["time"])),
    "no dimension": ("spatial_ref", added("spatial_ref", np.int64(0), dimensions=[])),
    "four dimensions": (
        "deep",
        added("deep", np.ones((1, 3, 30, 40), "f4"), dimensions=["band", *DIMS]),
    ),
    "dimensions in another order": ("B08", zattrs("B08", _ARRAY_DIMENSIONS=["time", "x", "y"])),
    "time is not first": (
        "B08",
        zattrs("B08", _ARRAY_DIMENSIONS=["y", "x", "time"]),
    ),
    "dimensions of another name": ("B08", zattrs("B08", _ARRAY_DIMENSIONS=["t", "y", "x"])),
    "column-major order": ("B08", zarray("B08", order="F")),
    "8 bits": ("small", added("small", CUBE.astype("u1"))),
    "16 bits": ("short", added("short", CUBE.astype("i2"))),
    "unsigned 64 bits": ("long", added("long", CUBE.astype("u8"))),
    "half floats": ("half", added("half", CUBE.astype("f2"))),
    "logical values": ("mask", added("mask", CUBE.astype("?"))),
    "spatial chunks too large": ("B08", zarray("B08", chunks=[1, 20, 3073])),
    "chunks in time too large": ("B08", zarray("B08", chunks=[51, 20, 20])),
    "chunks in time that differ": ("B08", zarray("B08", chunks=[2, 20, 20])),
    "another shape than the axes": ("B08", zarray("B08", shape=[3, 30, 41])),
    "another shape than time": ("B08", zarray("B08", shape=[4, 30, 40])),
    "a flat one of another shape": (
        "flat",
        added("flat", np.ones((30, 41), "f4"), dimensions=["y", "x"]),
    ),
    "unknown compressor": ("B08", zarray("B08", compressor={"id": "secret"})),
    "unknown filter": ("B08", zarray("B08", filters=[{"id": "pickle"}])),
    "filter of a strange type": (
        "B08",
        zarray("B08", filters=[{"id": "astype", "encode_dtype": "S999999999", "decode_dtype": "f4"}]),
    ),
    "version 3 of metadata": ("B08", zarray("B08", zarr_format=3)),
    "shape that is no list": ("B08", zarray("B08", shape="large")),
    "shape below zero": ("B08", zarray("B08", shape=[3, -30, 40])),
    "chunks of zero": ("B08", zarray("B08", chunks=[1, 0, 20])),
    "fewer chunks than dimensions": ("B08", zarray("B08", chunks=[20, 20])),
    "structured data": ("B08", zarray("B08", dtype=[["a", "<f4"]])),
    "no order": ("B08", zarray("B08", order=...)),
    "another separator": ("B08", zarray("B08", dimension_separator="..")),
    "compressor that is no object": ("B08", zarray("B08", compressor="zlib")),
    "filters that are no list": ("B08", zarray("B08", filters={"id": "delta"})),
    "metadata that is no JSON": ("B08", text("B08/.zarray", "{")),
    "metadata that is no object": ("B08", text("B08/.zarray", "[]")),
    "metadata nested without end": ("B08", text("B08/.zarray", "[" * 100_000)),
    "number without bound": ("B08", text("B08/.zattrs", '{"a": 1e999}')),
    "half a character": ("B08", text("B08/.zattrs", '{"a": "\\ud800"}')),
    "metadata without end": ("B08", text("B08/.zattrs", f'{{"a": "{"x" * (1 << 20)}"}}')),
}  # fmt: skip


@pytest.mark.parametrize("rule", OFFENCES)
def test_array_that_breaks_a_rule_is_skipped(api: Driver, bucket: Path, rule: str) -> None:
    name, spoil = OFFENCES[rule]
    spoil(write_group(bucket))
    done = ingested(api)
    assert done["status"] == "INGESTED"
    assert list(done["additionalData"]["bands"]) == sorted({"B04", "B08"} - {name})
    assert f" {name} " in f"{done['ingestionErrors']} ".replace("/", " ")


def test_any_offending_array_fails_all_where_the_setting_says_so(api: Driver, bucket: Path) -> None:
    api.configure(zarr_offending_arrays="fail")
    zarray("B08", order="F")(write_group(bucket))
    done = ingested(api)
    assert (done["status"], "B08" in done["ingestionErrors"]) == ("FAILED", True)
    assert "additionalData" not in done


def all_of(*breakers: Breaker) -> Breaker:
    def spoil(group: Path) -> None:
        for one in breakers:
            one(group)

    return spoil


def axis(name: str, values: Any) -> Breaker:
    """Another coordinate array of the same length."""

    def spoil(group: Path) -> None:
        shutil.rmtree(group / name)
        write_array(group, name, values, dimensions=[name])

    return spoil


BENT = np.array([*(500_005.0 + 10.0 * np.arange(39)), 500_396.0])

# What concerns the group fails it.
FAILURES: dict[str, tuple[str, Breaker]] = {
    "no group": ("no Zarr group", lambda group: (group / ".zgroup").unlink()),
    "a group of version 3": (
        "version 3",
        all_of(lambda group: (group / ".zgroup").unlink(), text("zarr.json", "{}")),
    ),
    "another version": ("version 2", text(".zgroup", '{"zarr_format": 1}')),
    "group that is no JSON": (".zgroup", text(".zgroup", "{")),
    "attributes that are no JSON": (".zattrs", text(".zattrs", "nothing")),
    "no columns": ("two spatial", removed("x")),
    "no rows": ("two spatial", removed("y")),
    "both kinds of coordinates": (
        "two spatial",
        all_of(
            added("lat", np.arange(30.0), dimensions=["lat"]),
            added("lon", np.arange(40.0), dimensions=["lon"]),
        ),
    ),
    "coordinates of two dimensions": (
        "one dimension",
        axis("x", np.ones((30, 40))),
    ),
    "coordinates of 16 bits": ("u4, i4", axis("x", np.arange(40, dtype="i2"))),
    "coordinates that are not equidistant": ("equidistant", axis("x", BENT)),
    "coordinates that stand still": ("equidistant", axis("x", np.full(40, 5.0))),
    "coordinates beyond the world": ("outside", axis("x", 1e308 * np.arange(-1, 1, 0.05))),
    "coordinates that are no numbers": ("no numbers", axis("x", np.full(40, np.nan))),
    "no coordinates": ("empty", zarray("x", shape=[0])),
    "one coordinate": ("two values", zarray("x", shape=[1])),
    "no data array": ("no data array", all_of(removed("B04"), removed("B08"))),
    "only offending arrays": ("B08", all_of(removed("B04"), zarray("B08", order="F"))),
    "a missing chunk without fill value": (
        "lacks chunk",
        all_of(zarray("x", fill_value=None), lambda group: (group / "x" / "0").unlink()),
    ),
    "a cut chunk": (
        "damaged",
        lambda group: (group / "x" / "0").write_bytes((group / "x" / "0").read_bytes()[:-9]),
    ),
    "time without units": ("no time", zattrs("time", units=...)),
    "time in units that do not exist": ("no time", zattrs("time", units="eons since 1970-01-01")),
    "time since no instant": ("no time", zattrs("time", units="days since creation")),
    "time since a day that does not exist": (
        "no time",
        zattrs("time", units="days since 2023-02-29"),
    ),
    "time of another calendar": ("no time", zattrs("time", calendar="360_day")),
    "time outside of the calendar": ("no time", zattrs("time", units="days since 9999-12-30")),
    "time of 16 bits": ("no time", axis("time", np.arange(3, dtype="i2"))),
    "no time": ("no time", removed("time")),
}


@pytest.mark.parametrize("rule", FAILURES)
def test_group_that_breaks_a_rule_fails_with_its_cause(
    api: Driver, bucket: Path, rule: str
) -> None:
    cause, spoil = FAILURES[rule]
    spoil(write_group(bucket))
    done = ingested(api)
    assert (done["status"], done["width"]) == ("FAILED", None)
    assert cause in done["ingestionErrors"]
    assert "envelope" not in done
    assert api.get(f"/zarr/v1/collections/{done['id']}/arrays").json()["data"] == []


@pytest.mark.parametrize(
    ("crs", "columns", "rows", "status"),
    [
        ("EPSG:4326", np.arange(40.0), 90.0 - np.arange(30), "FAILED"),
        ("EPSG:4326", np.arange(40.0), 89.5 - np.arange(30), "INGESTED"),
        ("EPSG:4326", np.arange(40.0), -90.2 + np.arange(30), "FAILED"),
        ("EPSG:32633", 480_000 + 1e3 * np.arange(40), 9_990_000 + 1e3 * np.arange(30), "FAILED"),
        ("EPSG:3857", 1e6 + 10 * np.arange(40), 6e6 + 10 * np.arange(30), "INGESTED"),
        ("EPSG:3035", 4e6 + 10 * np.arange(40), 3e6 + 10 * np.arange(30), "INGESTED"),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", np.arange(40.0), np.arange(30.0), "INGESTED"),
    ],
)
def test_each_crs_and_no_pole(
    api: Driver, bucket: Path, crs: str, columns: Any, rows: Any, status: str
) -> None:
    write_group(bucket, columns=columns, rows=rows)
    done = ingested(api, crs=crs)
    assert done["status"] == status, done
    assert status == "INGESTED" or "pole" in done["ingestionErrors"]


def test_subgroups_and_other_files_are_passed_over(api: Driver, bucket: Path) -> None:
    group = write_group(bucket)
    write_group(bucket, path=f"{PATH}inner/")
    (group / "README").write_text("a cube")
    (group / ".zmetadata").write_text("{")
    done = ingested(api)
    assert (done["status"], done["ingestionErrors"]) == ("INGESTED", None)
    assert ingested(api, path=f"{PATH}inner/")["status"] == "INGESTED"


# Groups that mean harm.


@pytest.mark.parametrize(
    "path",
    [
        "../",
        "a/../../",
        "cubes/./",
        "cubes//",
        "nothing/",
        "cubes/\x00/",
        "c\\d/",
        "x" * 5000 + "/",
    ],
)
def test_path_that_leads_nowhere_or_out_of_the_bucket(api: Driver, bucket: Path, path: str) -> None:
    write_group(bucket)
    write_group(bucket.parent.parent, path="")
    assert ingested(api, path=path)["status"] == "FAILED"


@pytest.mark.parametrize("name", ["..", ".", "../buckets/imagery", "a/b", "no\x00", "other"])
def test_bucket_that_is_none(api: Driver, bucket: Path, name: str) -> None:
    write_group(bucket)
    done = ingested(api, s3Bucket=name)
    assert (done["status"], "bucket" in done["ingestionErrors"]) == ("FAILED", True)


def linked(link: str) -> Callable[[Path, Path], None]:
    """Put a part of a good group outside, with a link in its place."""

    def spoil(bucket: Path, outside: Path) -> None:
        place = bucket / link
        shutil.move(place, outside)
        place.symlink_to(outside)

    return spoil


@pytest.mark.parametrize(
    "link", [PATH.rstrip("/"), f"{PATH}.zgroup", f"{PATH}x", f"{PATH}x/0", f"{PATH}B04", ""]
)
def test_link_out_of_the_bucket_is_not_followed(
    api: Driver, bucket: Path, tmp_path: Path, link: str
) -> None:
    write_group(bucket, bands=["B04"])
    linked(link)(bucket, tmp_path / "outside")
    # A chunk that is not there has the fill value, and coordinates do not stand still.
    done = ingested(api)
    assert done["status"] == "FAILED"
    assert done["ingestionErrors"]


def test_links_in_a_circle_and_pipes_are_no_files(api: Driver, bucket: Path) -> None:
    group = write_group(bucket)
    (group / "circle").symlink_to("circle")
    (group / "pipe").mkdir()
    os.mkfifo(group / "pipe" / ".zarray")
    assert ingested(api)["status"] == "INGESTED"
    (group / "x" / "0").unlink()
    os.mkfifo(group / "x" / "0")
    assert ingested(api)["status"] == "FAILED"


HUGE: dict[str, Breaker] = {
    "an axis of a million million": zarray("x", shape=[10**12], chunks=[1]),
    "an axis in a million files": zarray("x", shape=[10**6], chunks=[1]),
    "a chunk of a million million": zarray("x", chunks=[10**12]),
    "time without end": zarray("time", shape=[10**18], chunks=[10**18]),
    "a number with a thousand digits": text("x/.zarray", '{"shape": [' + "9" * 1000 + "]}"),
    "a number with ten thousand digits": text("x/.zarray", '{"shape": [' + "9" * 10_000 + "]}"),
}


@pytest.mark.parametrize("harm", HUGE)
def test_what_is_too_much_is_refused_before_it_is_read(
    api: Driver, bucket: Path, harm: str
) -> None:
    HUGE[harm](write_group(bucket))
    tracemalloc.start()
    try:
        with bounded():
            assert ingested(api)["status"] == "FAILED"
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_group_with_too_many_entries_is_refused(api: Driver, bucket: Path) -> None:
    group = write_group(bucket)
    for number in range(10_001):
        (group / f"f{number}").touch()
    assert "more than" in ingested(api)["ingestionErrors"]


BOMB = bytes(4 * 10**7)
BOMBS: dict[str, tuple[dict[str, Any], bytes]] = {
    "zlib": ({"id": "zlib", "level": 1}, zlib.compress(BOMB)),
    "gzip": ({"id": "gzip", "level": 1}, numcodecs.GZip().encode(BOMB)),
    "bz2": ({"id": "bz2", "level": 1}, bz2.compress(BOMB)),
    "lzma": ({"id": "lzma"}, lzma.compress(BOMB, preset=0)),
    "blosc": ({"id": "blosc"}, numcodecs.Blosc(cname="zstd").encode(BOMB)),
    "lz4": ({"id": "lz4"}, numcodecs.LZ4().encode(BOMB)),
    "zstd": ({"id": "zstd"}, numcodecs.Zstd().encode(BOMB)),
}


def stored(group: Path, codec: dict[str, Any], data: bytes, **changes: Any) -> None:
    edit(group / "x" / ".zarray", compressor=codec, filters=None, **changes)
    (group / "x" / "0").write_bytes(data)


@pytest.mark.parametrize("name", BOMBS)
def test_few_bytes_that_stand_for_very_many(api: Driver, bucket: Path, name: str) -> None:
    codec, data = BOMBS[name]
    stored(write_group(bucket), codec, data)
    done = ingested(api)
    assert (done["status"], " x" in done["ingestionErrors"]) == ("FAILED", True)


@pytest.mark.parametrize("name", BOMBS)
def test_no_codec_unpacks_more_than_a_chunk_holds(name: str) -> None:
    codec, data = BOMBS[name]
    content = {
        "zarr_format": 2, "shape": [64], "chunks": [64], "dtype": "<f8", "order": "C",
        "fill_value": 0, "compressor": codec, "filters": None,
    }  # fmt: skip
    array = array_of("x", content, None)
    tracemalloc.start()
    try:
        with pytest.raises(ZarrError, match="damaged"):
            decoded(data, array, count=64, item_bytes=8)
        # The dictionary of LZMA is as large as its header says, up to a bound.
        assert tracemalloc.get_traced_memory()[1] < 15e6
    finally:
        tracemalloc.stop()


CODECS = [
    numcodecs.Zlib(),
    numcodecs.GZip(),
    numcodecs.BZ2(),
    numcodecs.LZMA(),
    numcodecs.Blosc(cname="lz4", shuffle=1),
    numcodecs.Blosc(cname="zstd", shuffle=2),
    numcodecs.LZ4(),
    numcodecs.Zstd(),
]


@pytest.mark.parametrize("codec", CODECS, ids=str)
@pytest.mark.parametrize("filtered", [False, True])
def test_every_common_codec_is_read(api: Driver, bucket: Path, codec: Any, filtered: bool) -> None:
    group = write_group(bucket)
    values = 500_005.0 + 10.0 * np.arange(40)
    filters = [numcodecs.Delta("<f8", "<f4"), numcodecs.Shuffle(4)] if filtered else []
    data: Any = values
    for one in filters:
        data = one.encode(data)
    stored(group, codec.get_config(), codec.encode(data))
    edit(group / "x" / ".zarray", filters=[one.get_config() for one in filters] or None)
    assert (done := ingested(api))["status"] == "INGESTED", done
    witness = zarr.open_array(group / "x", mode="r", zarr_format=2)
    assert witness[:].tolist() == values.tolist()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    codec=st.sampled_from(sorted(BOMBS)),
    cut=st.integers(0, 200),
    noise=st.binary(max_size=40),
)
def test_damaged_chunks_are_refused_in_words(
    tmp_path: Path, codec: str, cut: int, noise: bytes
) -> None:
    """Whatever a chunk holds, reading it gives values or a cause, nothing else."""
    content = {
        "zarr_format": 2, "shape": [64], "chunks": [64], "dtype": "<f8", "order": "C",
        "fill_value": 0, "compressor": {"id": codec}, "filters": None,
    }  # fmt: skip
    array = array_of("x", content, None)
    whole = bytes(numcodecs.get_codec({"id": codec}).encode(np.arange(64.0)))
    data = whole[:cut] + noise
    try:
        values, cause = decoded(data, array, count=64, item_bytes=8), ""
    except ZarrError as error:
        values, cause = b"", str(error)
    assert len(values) == 512 or "damaged" in cause


ANYTHING: list[Any] = [
    None, 0, -1, 1, 50, 10**12, 10**30, 1.5, True, "", "x", "NaN", "<f4", ">i8", "<M8[ns]", "|O",
    "|S0", "<f999999999", [], [0], [1, 2, 3], ["time", "y", "x"], {}, {"id": "zlib"}, {"id": 5},
    [{"id": "shuffle", "elementsize": -3}], [{"id": "quantize"}], [{"id": "delta", "dtype": "<f8"}],
    [{"id": "fixedscaleoffset", "scale": 0, "offset": None, "dtype": "<f8"}],
    [{"id": "astype", "encode_dtype": "<f4", "decode_dtype": "|i1"}],
    "days since 2020-01-01", "nanos since 9999-12-31", "weeks since 1", "\0", 1e308,
]  # fmt: skip
MEMBERS = (
    "zarr_format", "shape", "chunks", "dtype", "order", "fill_value", "compressor", "filters",
    "dimension_separator", "units", "calendar", "_ARRAY_DIMENSIONS",
)  # fmt: skip
FILES = [
    ".zgroup",
    *(f"{name}/{file}" for name in ("x", "y", "time", "B04") for file in (".zarray", ".zattrs")),
]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_group(tmp_path_factory.mktemp("buckets") / "b", path="g/")


GOOD = ZarrCollection(
    seq=1, id="", account="", name="", bucket="b", path="g/", crs="EPSG:32633", epsg=32633,
    created_ms=0, round=ZarrRound(0, 0, 0), outcome=None, errors=None, facts={},
)  # fmt: skip


@given(
    changes=st.lists(
        st.tuples(st.sampled_from(FILES), st.sampled_from(MEMBERS), st.sampled_from(ANYTHING)),
        min_size=1,
        max_size=3,
    )
)
@settings(max_examples=100, deadline=None)
def test_whatever_the_metadata_say_there_is_a_result_or_a_cause(
    good: Path, changes: list[tuple[str, str, Any]]
) -> None:
    """Nothing but `ZarrError` is raised, and what is found can be answered."""
    whole = {file: (good / file).read_bytes() for file, _, _ in changes}
    try:
        for file, member, value in changes:
            edit(good / file, **{member: value})
        found = examined(near(good.parents[1]), GOOD, before={}, skips=True)
    except ZarrError as error:
        found = None
        assert str(error)  # noqa: PT017 either is right
    finally:
        for file, content in whole.items():
            (good / file).write_bytes(content)
    if found is not None:
        assert encode(found.facts)
        assert all(encode(array.content) for array in found.arrays)


# Coordinates.


@given(
    start=st.floats(-1e7, 1e7),
    step=st.floats(0.0001, 1e5),
    count=st.integers(2, 300),
    down=st.booleans(),
    dtype=st.sampled_from(["<f8", "<f4"]),
)
def test_axis_written_equidistant_is_read_as_it_was(
    start: float, step: float, count: int, down: bool, dtype: str
) -> None:
    """Rounding to the data type is no fault, unless it is as large as a pixel."""
    step = -step if down else step
    values = (start + step * np.arange(count)).astype(dtype)
    rounding = float(np.abs(values).max()) * (6e-8 if dtype == "<f4" else 1e-15)
    if rounding > abs(step) / 20:
        return
    content = {
        "zarr_format": 2, "shape": [count], "chunks": [count], "dtype": dtype, "order": "C",
        "fill_value": 0, "compressor": None, "filters": None,
    }  # fmt: skip
    axis = axis_of(array_of("x", content, None), values.astype(np.float64))
    assert axis.count == count
    assert axis.step == pytest.approx(step, abs=3 * rounding)


@pytest.mark.parametrize(
    ("units", "value", "moment"),
    [
        ("days since 1970-01-01", 1, 86_400_000),
        ("day since 1970-1-1 0:0", 1, 86_400_000),
        ("hours since 1970-01-01T00:00:00Z", 2, 7_200_000),
        ("minutes since 1970-01-01 00:00:00 UTC", 1, 60_000),
        ("seconds since 1970-01-01 00:00:00", 5, 5000),
        ("s since 1970-01-01 02:00 +2:00", 0, 0),
        ("seconds since 1970-01-01T00:00:00.250-01:00", 0, 3_600_250),
        ("seconds since 1970-01-01 05:30 +0530", 0, 0),
        ("millis since 1970-01-01", 7, 7),
        ("milliseconds since 1970-01-01", 7, 7),
        ("micros since 1970-01-01", 7000, 7),
        ("microseconds since 1970-01-01", 7000, 7),
        ("nanos since 1970-01-01", 7_000_000, 7),
        ("nanoseconds since 1970-01-01", 7_000_000, 7),
        (" Days  since  1970-01-01", 1, 86_400_000),
    ],
)
def test_every_unit_of_time_is_understood(units: str, value: int, moment: int) -> None:
    content = {
        "zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "<i8", "order": "C",
        "fill_value": 0, "compressor": None, "filters": None,
    }  # fmt: skip
    array = array_of("time", content, {"units": units})
    assert times_of(array, np.array([value])).instants_ms.tolist() == [moment]


def test_metadata_of_writers_that_print_nan_is_read(tmp_path: Path) -> None:
    group = tmp_path / "b" / "g"
    group.mkdir(parents=True)
    (group / ".zattrs").write_text(json.dumps({"_FillValue": float("nan")}))
    assert GroupFiles(near(tmp_path), "b", "g/").metadata(".zattrs") == {"_FillValue": "NaN"}
