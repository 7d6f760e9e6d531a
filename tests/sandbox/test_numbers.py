"""
Requests of every make, and the same pixels by numpy alone from the same files.

What is equal is equal; where GDAL approximates (places of another CRS, to an eighth of a pixel; weights of
neighbours), the tolerance is stated beside the request.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import shapely
from rasterio.warp import transform_bounds

from . import processing as p
from .second_opinion import Asked, Numbers, Tile, mosaic
from .support import Driver

SIDE = 512
# Wholly within the tiles.
INNER = [p.WEST + 1_600, p.NORTH - 2_400, p.WEST + 2_400, p.NORTH - 1_600]
COVER = shapely.Polygon(
    [
        (p.WEST + 1_000, p.NORTH - 3_300),
        (p.WEST + 3_300, p.NORTH - 2_900),
        (p.WEST + 2_100, p.NORTH - 1_100),
    ]
)


def hills(seed: int) -> np.ndarray:
    """Numbers that neighbours share roughly, as images have them: 1,000 and more, by at most some tens a pixel."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    waves = sum(
        rng.uniform(100, 400) * np.sin(rng.uniform(0.02, 0.1) * x + rng.uniform(0.02, 0.1) * y + n)
        for n in range(4)
    )
    return (3_000 + waves).astype("uint16")


@dataclass(frozen=True)
class Fields:
    """The collection of the tests, and its files by tile and band."""

    kind: str
    files: dict[str, dict[str, Tile]]

    def of(self, band: str, *tiles: str) -> list[Tile]:
        return [self.files[one][band] for one in tiles]


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from .support import BUCKET, sandbox  # noqa: PLC0415 one sandbox for all

    data = tmp_path_factory.mktemp("numbers")
    bucket = data / "buckets" / BUCKET
    places = {"old": (0, 0), "west": (0, 0), "east": (1_500, 0), "cut": (500, 500)}
    files: dict[str, dict[str, Tile]] = {}
    for number, (name, (east, south)) in enumerate(places.items()):
        files[name] = {}
        for band in ("B04", "B08"):
            numbers = hills(10 * number + (band == "B08"))
            if name == "cut":
                # No data in the middle of it.
                numbers[100:140, 90:150] = 0
            path = bucket / name / f"{band}.tif"
            p.write(path, numbers, west=p.WEST + east, north=p.NORTH - south)
            cover = COVER if name == "cut" else None
            files[name][band] = Tile(path, no_data=0, cover=cover)
    with sandbox(data) as api:
        api.login()
        made = api.collection(noData=0)["id"]
        cover = {
            **shapely.geometry.mapping(COVER),
            "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}},
        }
        api.tile(made, "old", sensingTime="2025-05-20T10:00:00Z")
        api.tile(made, "west", sensingTime="2025-06-01T10:00:10Z")
        api.tile(made, "east", sensingTime="2025-06-01T10:00:00Z")
        api.tile(made, "cut", sensingTime="2025-06-11T10:00:00Z", coverGeometry=cover)
        api.tick(60)
        yield api, Fields(f"byoc-{made}", files)


NEWEST = ("cut", "west", "east", "old")
OLDEST = NEWEST[::-1]
JUNE_1 = {"timeRange": {"from": "2025-06-01T00:00:00Z", "to": "2025-06-01T23:59:59Z"}}
ALL_BUT_CUT = {"timeRange": {"from": "2025-05-01T00:00:00Z", "to": "2025-06-02T00:00:00Z"}}
NATIVE = Asked([p.WEST - 500, p.NORTH - 4_200, p.WEST + 4_000, p.NORTH + 300], (450, 450))
BAND = p.script(
    "return [samples.B04, samples.dataMask];",
    bands='["B04", "dataMask"]',
    output='{bands: 2, sampleType: "FLOAT32"}',
)
BOTH = '["B04", "B08", "dataMask"]'


def ask(fields: tuple[Driver, Fields], text: str, asked: Asked, **item: Any) -> np.ndarray:
    api, known = fields
    return p.pixels(
        api,
        p.body(
            known.kind, text, bbox=list(asked.bbox), epsg=asked.epsg, size=asked.size, item=item
        ),
    )


def moved(epsg: int, *, finer: float) -> Asked:
    """INNER in another CRS, in pixels so many times finer than those of the tiles."""
    bbox = transform_bounds("EPSG:32633", f"EPSG:{epsg}", *INNER)
    side = round(80 * finer)
    return Asked(list(bbox), (side, side), epsg)


# SIMPLE: which tile is used, what is no data, what the cover geometry cuts.


@pytest.mark.parametrize(
    ("chosen", "tiles"),
    [
        ({"mosaickingOrder": "mostRecent"}, NEWEST),
        ({"mosaickingOrder": "leastRecent"}, OLDEST),
        (ALL_BUT_CUT, ("west", "east", "old")),
        (JUNE_1, ("west", "east")),
    ],
)
def test_a_mosaic_of_tiles(
    fields: tuple[Driver, Fields], chosen: dict[str, Any], tiles: tuple[str, ...]
) -> None:
    found = ask(fields, BAND, NATIVE, dataFilter=chosen)
    values, data = mosaic(fields[1].of("B04", *tiles), NATIVE)
    np.testing.assert_array_equal(found[0], values)
    np.testing.assert_array_equal(found[1], data)
    # What is looked at is there: data, none beyond the tiles, and none within them.
    assert 0.3 < data.mean() < 1


def test_ndvi_where_both_bands_have_data(fields: tuple[Driver, Fields]) -> None:
    text = p.script(
        "return [samples.dataMask ? (samples.B08 - samples.B04) / (samples.B08 + samples.B04) : NaN];",
        bands=BOTH,
    )
    found = ask(fields, text, NATIVE)
    red, data = mosaic(fields[1].of("B04", *NEWEST), NATIVE)
    infrared, more = mosaic(fields[1].of("B08", *NEWEST), NATIVE)
    with np.errstate(invalid="ignore"):
        expected = np.where(data & more, (infrared - red) / (infrared + red), np.nan)
    np.testing.assert_array_equal(found, expected.astype("float32"))


# ORBIT and TILE.


def layers(fields: Fields, *groups: tuple[str, ...]) -> tuple[Numbers, np.ndarray]:
    made = [mosaic(fields.of("B04", *group), NATIVE) for group in groups]
    return np.stack([one[0] for one in made]), np.stack([one[1] for one in made])


def test_the_greatest_of_days(fields: tuple[Driver, Fields]) -> None:
    text = p.script(
        "return [samples.reduce((m, s) => Math.max(m, s.B04), 0), samples.filter((s) => s.dataMask).length];",
        bands='["B04", "dataMask"]',
        output='{bands: 2, sampleType: "FLOAT32"}',
        mosaicking="ORBIT",
    )
    found = ask(fields, text, NATIVE)
    values, data = layers(fields[1], ("cut",), ("west", "east"), ("old",))
    np.testing.assert_array_equal(found[0], values.max(axis=0))
    np.testing.assert_array_equal(found[1], data.sum(axis=0))


def test_the_median_of_tiles(fields: tuple[Driver, Fields]) -> None:
    text = p.script(
        "const v = samples.filter((s) => s.dataMask).map((s) => s.B04).sort((a, b) => a - b), n = v.length;"
        " return [n ? (v[Math.floor((n - 1) / 2)] + v[Math.ceil((n - 1) / 2)]) / 2 : -1];",
        bands='["B04", "dataMask"]',
        mosaicking="TILE",
    )
    found = ask(fields, text, NATIVE)
    values, data = layers(fields[1], *((one,) for one in NEWEST))
    gaps = np.where(data, values, np.nan)
    expected = np.full(data.shape[1:], -1.0)
    some = data.any(axis=0)
    expected[some] = np.nanmedian(gaps[:, some], axis=0)
    np.testing.assert_array_equal(found, expected.astype("float32"))


# Other places of pixels.


@pytest.mark.parametrize("epsg", [4326, 3857, 32632, 3035])
def test_the_nearest_pixel_in_another_crs(fields: tuple[Driver, Fields], epsg: int) -> None:
    """At most one pixel in thirty is its neighbour: the place may be an eighth of a pixel off."""
    asked = moved(epsg, finer=1.9)
    found = ask(fields, BAND, asked, dataFilter=JUNE_1)
    values, data = mosaic(fields[1].of("B04", "west"), asked)
    assert data.all()
    assert found[1].all()
    differing = found[0] != values
    assert differing.mean() < 1 / 30
    assert np.abs(found[0] - values)[differing].max(initial=0) < 100


def test_the_nearest_pixel_of_finer_ones(fields: tuple[Driver, Fields]) -> None:
    asked = Asked(INNER, (320, 320))
    values, _ = mosaic(fields[1].of("B04", "west"), asked)
    found = ask(fields, BAND, asked, dataFilter=JUNE_1)
    np.testing.assert_array_equal(found[0], values)


@pytest.mark.parametrize(("pixel", "overview"), [(10, None), (20, 0), (30, 0), (50, 0)])
def test_the_nearest_pixel_of_an_overview(
    fields: tuple[Driver, Fields], pixel: int, overview: int | None
) -> None:
    """The coarsest overview that is not coarser than the pixels of the answer."""
    asked = Asked([p.WEST, p.NORTH - 2_400, p.WEST + 2_400, p.NORTH], (2_400 // pixel,) * 2)
    west = replace(fields[1].files["west"]["B04"], overview=overview)
    values, data = mosaic([west], asked)
    assert data.all()
    found = ask(fields, BAND, asked, dataFilter=JUNE_1)
    np.testing.assert_array_equal(found[0], values)


@pytest.mark.parametrize(("epsg", "off"), [(32633, 1), (4326, 6), (3857, 6)])
def test_between_pixels(fields: tuple[Driver, Fields], epsg: int, off: int) -> None:
    """In the CRS of the tile to the last digit of what is stored; elsewhere the place is rounded."""
    asked = moved(epsg, finer=2.5)
    item = {"processing": {"upsampling": "BILINEAR"}, "dataFilter": JUNE_1}
    found = ask(fields, BAND, asked, **item)
    values, _ = mosaic(fields[1].of("B04", "west"), asked, "bilinear")
    assert np.abs(found[0] - values).max() <= off
    assert np.abs(found[0] - values).mean() < 1
    # It is not the nearest pixel that was taken.
    nearest, _ = mosaic(fields[1].of("B04", "west"), asked)
    assert np.abs(found[0] - nearest).mean() > 5


def test_shrunk_between_pixels(fields: tuple[Driver, Fields]) -> None:
    """Twice as wide as those of the overview: each is weighed by how near it is, twice as far as usual."""
    asked = Asked(INNER, (20, 20))
    item = {"processing": {"downsampling": "BILINEAR"}, "dataFilter": JUNE_1}
    found = ask(fields, BAND, asked, **item)
    # All pixels of the overview that are weighed: one more on each side.
    around = [INNER[0] - 20, INNER[1] - 20, INNER[2] + 20, INNER[3] + 20]
    west = replace(fields[1].files["west"]["B04"], overview=0)
    half, _ = mosaic([west], Asked(around, (42, 42)))
    weights = np.zeros((20, 42))
    for row in range(20):
        weights[row, 2 * row : 2 * row + 4] = [1 / 8, 3 / 8, 3 / 8, 1 / 8]
    assert np.abs(found[0] - weights @ half @ weights.T).max() <= 1


def test_a_polygon_in_degrees(fields: tuple[Driver, Fields]) -> None:
    """Pixels whose centres lie in it have data, and the script runs on all."""
    api, known = fields
    asked = moved(4326, finer=1.5)
    west, south, east, north = asked.bbox
    ring = shapely.Polygon([(west, south), (east, south), (west + 0.613 * (east - west), north)])
    text = p.script(
        "return [samples.dataMask, samples.B04 + 5];",
        bands='["B04", "dataMask"]',
        output='{bands: 2, sampleType: "FLOAT32"}',
    )
    bounds = {
        "geometry": shapely.geometry.mapping(ring),
        "properties": {"crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"},
    }
    request = p.body(known.kind, text, bounds=bounds, size=asked.size, item={"dataFilter": JUNE_1})
    found = p.pixels(api, request)
    inside = shapely.contains_xy(ring, *asked.centres(4326))
    np.testing.assert_array_equal(found[0], inside)
    assert (found[1][~inside] == 5).all()
    assert (found[1][inside] > 1_000).all()


def test_two_data_sets_of_one_request(fields: tuple[Driver, Fields]) -> None:
    """Each has its own time, and where it has no scene, no sample."""
    api, known = fields
    text = p.script(
        "return [samples.new[0].B04 - samples.old[0].B04, samples.none.length, samples.new.length];",
        bands='[{datasource: "new", bands: ["B04"]}, {datasource: "old", bands: ["B04"]},'
        ' {datasource: "none", bands: ["B04"]}]',
        output='{bands: 3, sampleType: "FLOAT32"}',
    )
    spans = {
        "new": JUNE_1,
        "old": {"timeRange": {"from": "2025-05-01T00:00:00Z", "to": "2025-05-31T00:00:00Z"}},
        "none": {"timeRange": {"from": "2020-05-01T00:00:00Z", "to": "2020-05-31T00:00:00Z"}},
    }
    items = [{"id": name, "type": known.kind, "dataFilter": one} for name, one in spans.items()]
    asked = Asked(INNER, (80, 80))
    found = p.pixels(api, p.body(items, text, bbox=INNER, size=asked.size))
    new, _ = mosaic(known.of("B04", "west", "east"), asked)
    old, _ = mosaic(known.of("B04", "old"), asked)
    np.testing.assert_array_equal(found[0], new - old)
    assert (found[1] == 0).all()
    assert (found[2] == 1).all()


# Sample types, by Python's own numbers.


def nearest_integer(least: int, most: int) -> Callable[[float], float]:
    return lambda value: min(max(math.floor(value + 0.5), least), most)


@pytest.mark.parametrize(
    ("kind", "factor", "rule"),
    [
        ("AUTO", 1 / 4_000, lambda value: nearest_integer(0, 255)(value * 255)),
        ("UINT8", 1 / 15, nearest_integer(0, 255)),
        ("INT8", 1 / 25, nearest_integer(-128, 127)),
        ("UINT16", 20.5, nearest_integer(0, 65_535)),
        ("INT16", 10.5, nearest_integer(-32_768, 32_767)),
        ("FLOAT32", 1 / 3, lambda value: float(np.float32(value))),
    ],
)
def test_values_are_rounded_and_clamped(
    fields: tuple[Driver, Fields], kind: str, factor: float, rule: Callable[[float], float]
) -> None:
    text = p.script(
        f"return [samples.B04 * {factor!r}];",
        bands='["B04"]',
        output=f'{{bands: 1, sampleType: "{kind}"}}',
    )
    asked = Asked(INNER, (80, 80))
    found = ask(fields, text, asked, dataFilter=JUNE_1)
    values, _ = mosaic(fields[1].of("B04", "west"), asked)
    expected = [rule(value * factor) for value in values.ravel().tolist()]
    assert found.ravel().tolist() == expected
    assert len(set(expected)) > 10
