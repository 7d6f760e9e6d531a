"""Pixels of Zarr collections, compared with the arrays that the zarr package wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from . import processing as p
from . import statistical as s
from . import zarrs as z
from .support import Driver

# What `write_group` makes: 40 by 30 pixels of 10 metres, on days 0, 5 and 17 of 2024.
WHOLE = [500_000.0, 5_200_000.0, 500_400.0, 5_200_300.0]
SIZE = (40, 30)
DAYS = ("2024-01-01T00:00:00Z", "2024-01-06T00:00:00Z", "2024-01-18T00:00:00Z")
FILL = -1


def values(seed: int, *, kind: str = "f4") -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 10_000, (3, 30, 40)).astype(kind)


@pytest.fixture
def cube(api: Driver, bucket: Path) -> str:
    """Two arrays of three instants, and one without time."""
    group = z.write_group(bucket, bands=())
    for seed, kind in ((4, "f4"), (8, "i4")):
        z.write_array(group, f"B0{seed}", values(seed, kind=kind), dimensions=z.DIMENSIONS,
                      chunks=(2, 17, 20), fill_value=FILL)  # fmt: skip
    z.write_array(group, "HEIGHT", values(1)[0], dimensions=z.DIMENSIONS[1:], chunks=(20, 20))
    made = z.ingested(api)
    assert made["status"] == "INGESTED", made["ingestionErrors"]
    return f"zarr-{made['id']}"


def asked(kind: str, bands: str = '["B04"]', **parts: Any) -> dict[str, Any]:
    names = [one.strip(' []"') for one in bands.split(",")]
    text = p.script(f"return [{', '.join(f'samples.{one}' for one in names)}];", bands=bands,
                    output=f'{{bands: {len(names)}, sampleType: "FLOAT32"}}')  # fmt: skip
    return p.body(kind, text, **{"bbox": WHOLE, "size": SIZE, **parts})


def test_one_mosaic_is_the_newest_instant(api: Driver, cube: str) -> None:
    found = p.pixels(api, asked(cube, '["B04", "B08", "HEIGHT", "dataMask"]'))
    assert np.array_equal(found[0], values(4)[2])
    assert np.array_equal(found[1], values(8)[2])
    assert np.array_equal(found[2], values(1)[0])
    assert (found[3] == 1).all()


@pytest.mark.parametrize(("number", "chosen"), [
    (0, {"mosaickingOrder": "leastRecent"}),
    (1, {"timeRange": {"from": DAYS[0], "to": DAYS[1]}}),
    (0, {"timeRange": {"from": DAYS[0], "to": "2024-01-05T23:59:59Z"}}),
])  # fmt: skip
def test_time_and_order_choose_the_instant(
    api: Driver, cube: str, number: int, chosen: dict[str, Any]
) -> None:
    found = p.pixels(api, asked(cube, item={"dataFilter": chosen}))
    assert np.array_equal(found, values(4)[number])


def test_every_instant_is_a_sample(api: Driver, cube: str) -> None:
    text = p.script("return samples.map(one => one.B08);", bands='["B08"]', mosaicking="TILE",
                    output='{bands: 3, sampleType: "FLOAT32"}')  # fmt: skip
    found = p.pixels(api, p.body(cube, text, bbox=WHOLE, size=SIZE))
    assert np.array_equal(found, values(8)[::-1])


def test_there_are_no_days(api: Driver, cube: str) -> None:
    """Source: the page on Zarr collections."""
    text = p.script("return [1];", bands='["B08"]', mosaicking="ORBIT")
    error = p.refused(api, p.body(cube, text, bbox=WHOLE, size=SIZE))
    assert "ORBIT" in error["message"]


def test_beyond_the_envelope_there_are_no_data(api: Driver, cube: str) -> None:
    wide = [WHOLE[0] - 100, WHOLE[1] - 100, WHOLE[2] + 100, WHOLE[3] + 100]
    value, mask = p.pixels(api, asked(cube, '["B04", "dataMask"]', bbox=wide, size=(60, 50)))
    assert np.array_equal(value, np.pad(values(4)[2], 10))
    assert np.array_equal(mask, np.pad(np.ones((30, 40)), 10))


def test_a_chunk_that_was_never_written_holds_the_fill_value(
    api: Driver, cube: str, bucket: Path
) -> None:
    """The mask is 1 in the whole envelope all the same; source: the page on Zarr collections."""
    (bucket / z.PATH / "B04" / "1.0.0").unlink()
    value, mask = p.pixels(api, asked(cube, '["B04", "dataMask"]'))
    expected = values(4)[2].copy()
    expected[:17, :20] = FILL
    assert np.array_equal(value, expected)
    assert mask.all()


def test_bilinear_pixels_leave_no_data_out(api: Driver, cube: str, bucket: Path) -> None:
    """In the middle of four pixels there is their mean, of those that have a value."""
    (bucket / z.PATH / "B04" / "1.0.0").unlink()
    middles = [WHOLE[0] + 5, WHOLE[1] + 5, WHOLE[2] - 5, WHOLE[3] - 5]
    item = {"processing": {"upsampling": "BILINEAR", "downsampling": "BILINEAR"}}
    found = p.pixels(api, asked(cube, bbox=middles, size=(39, 29), item=item))
    known = values(4)[2].astype(float)
    mean = (known[:-1, :-1] + known[1:, :-1] + known[:-1, 1:] + known[1:, 1:]) / 4
    assert np.allclose(found[17:, 20:], mean[17:, 20:])
    assert (found[:16, :19] == FILL).all()
    assert (found[17:, :] >= 0).all()


def test_pixels_of_another_crs(api: Driver, cube: str) -> None:
    degrees = [15.001, 46.954, 15.004, 46.956]
    found = p.pixels(api, asked(cube, bbox=degrees, epsg=4326, size=(20, 10)))
    assert set(found.ravel()) <= set(values(4)[2].ravel())
    assert len(set(found.ravel())) > 5


def test_the_coarsest_pixels_are_three_native_ones(api: Driver, cube: str) -> None:
    assert p.pixels(api, asked(cube, size=(14, 10))).shape == (10, 14)
    assert "meters per pixel" in p.refused(api, asked(cube, size=(10, 10)))["message"]


def test_a_damaged_chunk_is_told(api: Driver, cube: str, bucket: Path) -> None:
    (bucket / z.PATH / "B04" / "1.0.0").write_bytes(b"nothing")
    answer = p.asked(api, asked(cube))
    assert answer.status_code == 500
    assert "damaged" in answer.json()["error"]["message"]


def test_only_what_is_ingested_and_ones_own_is_read(api: Driver, cube: str) -> None:
    unknown = "zarr-00000000-0000-4000-8000-000000000000"
    assert "not found" in p.refused(api, asked(unknown))["message"]
    early = z.create(api)
    assert "not ingested" in p.refused(api, asked(f"zarr-{early['id']}"))["message"]
    assert p.pixels(api, asked(cube)).any()


@pytest.mark.parametrize("path", ["/process/v1", s.STATISTICS])
def test_a_damaged_time_axis_is_told(api: Driver, cube: str, bucket: Path, path: str) -> None:
    for chunk in (bucket / z.PATH / "time").glob("[0-9]*"):
        chunk.write_bytes(b"no numbers")
    place = {"bbox": WHOLE, "properties": {"crs": p.EPSG.format(32633)}}
    span = ("2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z")
    request = s.body(cube, time=span, bounds=place) if path == s.STATISTICS else asked(cube)
    answer = api.post(path, request)
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "RENDERER_EXCEPTION"
