"""Arrays that batch tasks write: what the zarr package reads of them, and that they can be imported."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from shplan.sandbox import zarr_chunks, zarr_layout
from shplan.sandbox.raster_sources import Grid
from shplan.sandbox.zarr_files import ZarrError
from shplan.sandbox.zarr_layout import ZarrLayout

from . import batches, batches_v1, zarrs
from . import processing as p
from .features import CREATED_MS, task
from .support import BUCKET, Driver, violations

LAEA = "http://www.opengis.net/def/crs/EPSG/0/3035"
# Parts of two tiles of the 100 km grid, one above the other, and nothing of a third.
AOI = [4_520_000, 2_890_000, 4_530_000, 2_910_000]
TILES = {"45_28": (4_500_000, 2_800_000), "45_29": (4_500_000, 2_900_000)}
GRID: dict[str, Any] = {"type": "tiling-grid", "id": 6, "resolution": 100}
ARRAY: dict[str, Any] = {"dtype": "<f4", "order": "C", "chunks": [1, 250, 500], "fill_value": -1}


def request(
    data: str = "byoc-x",
    evalscript: str = "",
    *,
    outputs: tuple[str, ...] = ("default",),
    array: dict[str, Any] | None = None,
    source: dict[str, Any] | None = None,
    group: dict[str, Any] | None = None,
    span: dict[str, str] | None = None,
    bounds: dict[str, Any] | None = None,
    **output: Any,
) -> dict[str, Any]:
    return task(
        data,
        evalscript,
        formats=dict.fromkeys(outputs, "zarr/array"),
        item={"dataFilter": {"timeRange": span}} if span else None,
        source={**GRID, **(source or {})},
        bounds=bounds or {"bbox": AOI, "properties": {"crs": LAEA}},
        type="zarr",
        group={"zarr_format": 2, **(group or {})},
        arrayParameters={**ARRAY, **(array or {})},
        **output,
    )


def layout_of(sent: dict[str, Any]) -> ZarrLayout:
    return zarr_layout.layout_of(sent, created_ms=CREATED_MS)


def write(root: Path, files: list[tuple[str, bytes]]) -> None:
    for key, content in files:
        place = root / key
        place.parent.mkdir(parents=True, exist_ok=True)
        assert not place.exists()
        place.write_bytes(content)


def write_metadata(root: Path, sent: dict[str, Any]) -> ZarrLayout:
    layout = layout_of(sent)
    write(root, zarr_layout.metadata_files(sent, layout, changed_ms=CREATED_MS))
    return layout


def square(west: float, south: float, *, side: int = 1000, around: int = 0) -> Grid:
    """A tile of the grid at 100 m, with so many pixels around it."""
    more = around * 100
    size = side + 2 * around
    return Grid(3035, west - more, south - more, west + 1e5 + more, south + 1e5 + more, size, size)


def values(seed: int, *, size: int = 1000) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, (size, size)).astype("float32")


def write_tiles(root: Path, sent: dict[str, Any], name: str = "default") -> np.ndarray:
    """Both tiles, and what the array should be with north up."""
    layout = write_metadata(root, sent)
    whole = np.empty((2000, 1000), dtype="float32")
    for number, (west, south) in enumerate(TILES.values()):
        pixels = values(number)
        grid = square(west, south)
        chunks = zarr_chunks.zarr_chunks(layout, name, pixels, grid=grid)
        write(root / name, chunks)
        whole[(1 - number) * 1000 : (2 - number) * 1000] = pixels
    return whole


# What is said of the group.


def test_arrays_reach_over_all_tiles_of_the_task(tmp_path: Path) -> None:
    write_metadata(tmp_path, request(outputs=("red", "nir")))
    group = zarr.open_group(tmp_path, mode="r")
    assert sorted(group.array_keys()) == ["nir", "red", "time", "x", "y"]
    red = group["red"]
    assert (red.shape, red.chunks, red.dtype.str) == ((1, 2000, 1000), (1, 250, 500), "<f4")
    assert red.fill_value == -1
    assert red.attrs["_ARRAY_DIMENSIONS"] == ["time", "y", "x"]
    # Nothing was processed yet.
    assert (red[0, ::100, ::100] == -1).all()


def test_axes_are_the_centres_of_pixels(tmp_path: Path) -> None:
    write_metadata(tmp_path, request())
    group = zarr.open_group(tmp_path, mode="r")
    assert np.array_equal(group["x"][:], 4_500_050 + 100.0 * np.arange(1000))
    assert np.array_equal(group["y"][:], 2_999_950 - 100.0 * np.arange(2000))


def test_rows_may_run_upward(tmp_path: Path) -> None:
    write_metadata(tmp_path, request(group={"coordinates": {"origin": "bottomLeft"}}))
    group = zarr.open_group(tmp_path, mode="r")
    assert np.array_equal(group["y"][:], 2_800_050 + 100.0 * np.arange(2000))


def test_a_geographic_grid_has_latitudes_and_longitudes(tmp_path: Path) -> None:
    sent = request(
        source={"id": 3, "resolution": 0.0002},
        array={"chunks": [1, 5000, 5000]},
        bounds={"bbox": [14.5, 46.5, 15.5, 46.6]},
    )
    write_metadata(tmp_path, sent)
    group = zarr.open_group(tmp_path, mode="r")
    assert group["default"].shape == (1, 5000, 10_000)
    assert group["default"].attrs["_ARRAY_DIMENSIONS"] == ["time", "lat", "lon"]
    assert np.allclose(group["lon"][:], 14.0001 + 0.0002 * np.arange(10_000), rtol=0, atol=1e-9)
    assert np.allclose(group["lat"][:], 46.9999 - 0.0002 * np.arange(5000), rtol=0, atol=1e-9)
    assert group["lat"].attrs["units"] == "degrees_north"


def test_the_instant_is_the_first_that_was_asked_for(tmp_path: Path) -> None:
    span = {"from": "2025-06-01T00:00:00Z", "to": "2025-06-30T23:59:59Z"}
    write_metadata(tmp_path / "said", request(span=span))
    time = zarr.open_group(tmp_path / "said", mode="r")["time"]
    assert np.datetime64(int(time[0]), "s") == np.datetime64("2025-06-01")
    assert time.attrs["units"] == "seconds since 1970-01-01T00:00:00Z"
    write_metadata(tmp_path / "open", request())
    assert zarr.open_group(tmp_path / "open", mode="r")["time"][0] == CREATED_MS / 1000


def test_attributes_of_ones_own_win(tmp_path: Path) -> None:
    own = {"copyright": "me", "date_modified": "never"}
    sent = request(
        outputs=("red", "nir"),
        group={"customAttributes": own},
        arrayOverrides={"red": {**ARRAY, "dtype": "<f8", "customAttributes": {"units": "1"}}},
    )
    write_metadata(tmp_path, sent)
    group = zarr.open_group(tmp_path, mode="r")
    assert dict(group.attrs) | own == dict(group.attrs)
    assert group.attrs["geospatial_bounds_crs"] == "EPSG:3035"
    assert 13.5 < group.attrs["geospatial_lon_max"] < 14
    assert group["red"].dtype.str == "<f8"
    assert dict(group["red"].attrs) == {"_ARRAY_DIMENSIONS": ["time", "y", "x"], "units": "1"}
    assert group["nir"].dtype.str == "<f4"


def test_consolidated_metadata_says_the_same(tmp_path: Path) -> None:
    write_metadata(tmp_path, request(outputs=("red", "nir")))
    told = json.loads((tmp_path / ".zmetadata").read_text())["metadata"]
    files = [one for one in tmp_path.rglob(".z*") if one.name != ".zmetadata"]
    assert {
        one.relative_to(tmp_path).as_posix(): json.loads(one.read_text()) for one in files
    } == told


# Chunks.


@pytest.mark.parametrize("origin", ["topLeft", "bottomLeft"])
def test_tiles_lie_at_their_places(tmp_path: Path, origin: str) -> None:
    whole = write_tiles(tmp_path, request(group={"coordinates": {"origin": origin}}))
    found = zarr.open_group(tmp_path, mode="r")["default"][0]
    assert np.array_equal(found, whole if origin == "topLeft" else whole[::-1])


@pytest.mark.parametrize("dtype", ["|u1", "<u2", ">u2", "<i2", ">i2", "<f4", ">f4", "<f8", ">f8"])
def test_every_type_of_data_can_be_read(tmp_path: Path, dtype: str) -> None:
    whole = write_tiles(tmp_path, request(array={"dtype": dtype, "fill_value": 0}))
    found = zarr.open_group(tmp_path, mode="r")["default"]
    assert found.dtype == np.dtype(dtype)
    assert np.array_equal(found[0], whole)


@pytest.mark.parametrize(
    "compressor",
    [
        None,
        {"id": "blosc", "cname": "zstd", "clevel": 3, "shuffle": 2, "blocksize": 0},
        {"id": "zlib", "level": 1},
        {"id": "gzip", "level": 1},
        {"id": "bz2", "level": 1},
        {"id": "lzma", "preset": 0},
        {"id": "lz4"},
        {"id": "zstd", "level": 1},
    ],
    ids=lambda one: "default" if one is None else one["id"],
)
def test_every_compressor_can_be_read(tmp_path: Path, compressor: dict[str, Any] | None) -> None:
    array = {
        "chunks": [1, 1000, 1000],
        **({} if compressor is None else {"compressor": compressor}),
    }
    sent = request(array=array)
    layout = write_metadata(tmp_path, sent)
    pixels = np.zeros((1000, 1000), dtype="float32")
    pixels[300:400, 500:600] = values(3, size=100)
    made = [
        zarr_chunks.zarr_chunks(layout, "default", pixels, grid=square(*TILES["45_29"]))
        for _ in range(2)
    ]
    assert made[0] == made[1]
    write(tmp_path / "default", made[0])
    assert np.array_equal(zarr.open_group(tmp_path, mode="r")["default"][0, :1000], pixels)


def test_without_a_word_chunks_are_compressed_as_the_service_does(tmp_path: Path) -> None:
    write_metadata(tmp_path, request())
    told = json.loads((tmp_path / "default" / ".zarray").read_text())
    assert told["compressor"] == {
        "id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "compressor",
    [{"id": "nothing"}, {"id": "blosc", "clevel": "much"}, {"id": "zlib", "other": 1}, {}],
    ids=str,
)
def test_a_compressor_that_there_is_not_is_told(compressor: dict[str, Any]) -> None:
    layout = layout_of(request(array={"compressor": {"x": 1, **compressor}}))
    with pytest.raises(ZarrError, match="compressor"):
        zarr_chunks.zarr_chunks(layout, "default", values(1), grid=square(*TILES["45_28"]))


def test_chunks_of_nothing_but_the_fill_value_are_not_written() -> None:
    layout = layout_of(request())
    pixels = np.full((1000, 1000), -1, dtype="float32")
    grid = square(*TILES["45_29"])
    assert zarr_chunks.zarr_chunks(layout, "default", pixels, grid=grid) == []
    pixels[600, 400] = 3
    ((key, _),) = zarr_chunks.zarr_chunks(layout, "default", pixels, grid=grid)
    assert key == "0.2.0"


def test_what_is_no_number_is_stored_as_such(tmp_path: Path) -> None:
    layout = write_metadata(tmp_path, request())
    pixels = np.full((1000, 1000), np.nan, dtype="float32")
    write(
        tmp_path / "default",
        zarr_chunks.zarr_chunks(layout, "default", pixels, grid=square(*TILES["45_29"])),
    )
    found = zarr.open_group(tmp_path, mode="r")["default"][0]
    assert np.isnan(found[:1000]).all()
    assert (found[1000:] == -1).all()


@settings(max_examples=12)
@given(
    chunk=st.sampled_from([125, 200, 500, 1000]),
    across=st.sampled_from([125, 250, 1000]),
    is_upward=st.booleans(),
    around=st.sampled_from([(0, 0), (3, 0), (7, 11)]),
)
def test_chunks_together_are_the_tile(
    chunk: int, across: int, is_upward: bool, around: tuple[int, int]
) -> None:
    """Law: every pixel of a tile lies in one chunk, at its place; buffers lie in none."""
    buffers = {"bufferX": around[0], "bufferY": around[1]}
    sent = request(
        array={"chunks": [1, chunk, across], "compressor": {"id": "zlib", "level": 0}},
        group={"coordinates": {"origin": "bottomLeft" if is_upward else "topLeft"}},
        source=buffers,
    )
    west, south = TILES["45_28"]
    x, y = around
    pixels = np.arange((1000 + 2 * y) * (1000 + 2 * x), dtype="float32")
    pixels = pixels.reshape(1000 + 2 * y, 1000 + 2 * x)
    grid = Grid(
        3035,
        *(west - 100 * x, south - 100 * y, west + 1e5 + 100 * x, south + 1e5 + 100 * y),
        *(1000 + 2 * x, 1000 + 2 * y),
    )
    found = np.full((2000, 1000), -1, dtype="float32")
    for key, content in zarr_chunks.zarr_chunks(layout_of(sent), "default", pixels, grid=grid):
        _, row, column = map(int, key.split("."))
        part = np.frombuffer(zlib.decompress(content), "<f4").reshape(chunk, across)
        found[row * chunk : (row + 1) * chunk, column * across : (column + 1) * across] = part
    inner = pixels[y : y + 1000, x : x + 1000]
    if is_upward:
        assert np.array_equal(found[:1000], inner[::-1])
        assert (found[1000:] == -1).all()
    else:
        assert np.array_equal(found[1000:], inner)
        assert (found[:1000] == -1).all()


# What is refused before.


def test_a_compressor_that_there_is_not_is_refused(api: Driver) -> None:
    for compressor in ({"id": "nothing"}, {"id": "zlib", "level": "x"}, {"cname": "lz4"}):
        answer = api.post(batches.TASKS, batches.body(**zarr_parts(compressor=compressor)))
        assert answer.status_code == 400
        assert list(violations(answer)) == ["output->arrayParameters->compressor"]
    batches.create(api, **zarr_parts(compressor={"id": "zlib", "level": 1}))


def test_chunks_that_divide_no_tile_without_its_buffers_fail_the_analysis(
    api: Driver, tmp_path: Path
) -> None:
    (tmp_path / "buckets/results").mkdir(parents=True)
    parts = zarr_parts(chunks=[1, 1010, 1010])
    parts["grid"] |= {"bufferX": 5, "bufferY": 5}
    task = batches.analysed(api, **parts)
    assert task["status"] == "FAILED"
    assert task["error"] == (
        "Chunks of default must divide a tile of 1000 x 1000 pixels without its buffers."
    )


def test_an_output_cannot_be_an_axis(api: Driver, tmp_path: Path) -> None:
    (tmp_path / "buckets/results").mkdir(parents=True)
    parts = zarr_parts(output="time")
    setup = '{input: ["B04"], output: {id: "time", bands: 1, sampleType: "FLOAT32"}}'
    task = batches.analysed(api, **parts, evalscript=batches.script(setup))
    assert task["error"] == "Output time has the name of a coordinate array."


def zarr_parts(output: str = "default", **array: Any) -> dict[str, Any]:
    """The parts of a batch request for arrays of the 100 km grid at 100 m."""
    setup = '{input: ["B04"], output: {bands: 1, sampleType: "FLOAT32"}}'
    return {
        "responses": [{"identifier": output, "format": {"type": "zarr/array"}}],
        "output": {"type": "zarr", "group": {"zarr_format": 2},
                   "arrayParameters": {**ARRAY, **array}},
        "grid": {"id": 6, "resolution": 100},
        **({"evalscript": batches.script(setup)} if output == "default" else {}),
    }  # fmt: skip


# The whole way.

EVALSCRIPT = p.script(
    "return {one: [samples.B04], half: [samples.B04 / 2]};",
    bands='["B04"]',
    output='[{id: "one", bands: 1, sampleType: "UINT16"},'
    ' {id: "half", bands: 1, sampleType: "FLOAT32"}]',
)


def asked_of(version: int, data: str) -> tuple[str, dict[str, Any]]:
    """Where a task of this version is created, and by which body."""
    sent = request(data, EVALSCRIPT, outputs=("one", "half"), array={"chunks": [1, 500, 500]})
    told = {"identifier": "userdata", "format": {"type": p.JSON}}
    sent["processRequest"]["output"]["responses"].append(told)
    arrays = {name: sent["output"][name] for name in ("group", "arrayParameters")}
    if version == 1:
        grid = {"id": GRID["id"], "resolution": GRID["resolution"]}
        older = {"zarrOutput": {"path": f"s3://{BUCKET}/out", **arrays}, "tilingGrid": grid}
        return batches_v1.REQUESTS, {"processRequest": sent["processRequest"], **older}
    keys = {"accessKey": "key", "secretAccessKey": batches.SECRET}
    sent["output"] |= {"delivery": {"s3": {"url": f"s3://{BUCKET}/out", **keys}}}
    return batches.TASKS, sent


@pytest.mark.parametrize("version", [1, 2])
def test_a_delivered_group_holds_the_pixels_of_the_process_api_and_can_be_imported(
    api: Driver, bucket: Path, version: int
) -> None:
    west, south = TILES["45_29"]
    data = p.numbers(7)
    p.write(bucket / "a/B04.tif", data, west=west, north=south + 102_400, pixel=200, epsg=3035)
    tile = p.collection(api, {"a": "2025-06-01T10:00:00Z"})
    place, sent = asked_of(version, tile)
    made = api.post(place, sent)
    assert made.status_code == 201, made.text
    task = f"{place}/{made.json()['id']}"
    assert api.post(f"{task}/start").status_code == 204
    api.tick(60)
    assert api.get(task).json()["status"] == "DONE"
    root = bucket / "out"
    assert sorted(one.name for one in (root / "userdata").iterdir()) == ["0.0.json", "1.0.json"]
    group = zarr.open_group(root, mode="r")
    whole = p.body(
        tile,
        p.script("return [samples.B04];", bands='["B04"]'),
        bbox=[4_500_000, 2_800_000, 4_600_000, 3_000_000],
        epsg=3035,
        size=(1000, 2000),
    )
    expected = p.pixels(api, whole)
    assert expected.any()
    assert np.array_equal(group["one"][0], expected)
    assert np.array_equal(group["half"][0], expected / 2)
    imported = zarrs.ingested(api, path="out/", crs=LAEA)
    assert (imported["status"], imported["width"], imported["height"]) == ("INGESTED", 1000, 2000)
