"""Pixels of public collections: on their native grids, in their units, resampled and filtered as was asked for."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pyproj import Transformer
from rasterio.transform import from_bounds
from rasterio.warp import Resampling, reproject

from shplan.sandbox.imagery import reading
from shplan.sandbox.imagery.grid import cells
from shplan.sandbox.imagery.sentinel1 import incidence_deg
from shplan.sandbox.processing_options import Native, displaced
from shplan.sandbox.scenes.instants import ms
from shplan.sandbox.scenes.missions import missions
from shplan.sandbox.scenes.scene import Scene
from shplan.sandbox.scenes.sentinel3 import oblique

from . import processing as p
from .public_pixels import (
    DEM,
    L1C,
    L2A,
    L8,
    L8_SURFACE,
    OLCI,
    PLACE,
    S1,
    S5P,
    SIZE,
    SLSTR,
    SUMMER,
    UTM,
    heard,
    item,
    listed,
    numbers,
)
from .support import Driver

CLEAR = item(L2A, mosaickingOrder="leastCC")


def centres(bbox: list[float], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes of the pixels of a request in the zone of its tile."""
    transform = from_bounds(*bbox, *size)
    columns, rows = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    x, y = transform * (columns, rows)
    lon, lat = Transformer.from_crs(UTM, 4326, always_xy=True).transform(x, y)
    return lon, lat


@pytest.mark.parametrize(
    ("kind", "bands"),
    [
        (L1C, ("B02", "B05", "B10", "CLP", "sunZenithAngles")),
        (L2A, ("B08", "B11", "B01", "SCL", "AOT", "SNW", "CLD", "viewAzimuthMean")),
        (S1, ("VV", "VH")),
        (L8, ("B04", "B10", "BQA", "SZA")),
        (L8_SURFACE, ("B05", "B10", "QA_RADSAT", "ST_CDIST")),
        (OLCI, ("B08", "QUALITY_FLAGS", "HUMIDITY")),
        (SLSTR, ("S2", "S8")),
    ],
)
def test_pixels_are_those_that_the_scene_has_there(
    api: Driver, kind: str, bands: tuple[str, ...]
) -> None:
    """Each band from the native pixel that the place is in."""
    size = (9, 7)
    bbox = [480_000.0, 5_100_000.0, 480_900.0, 5_100_700.0]
    told = heard(api, item(kind), bbox=bbox)[0]
    scene = missions()[kind].find(told["shId"])
    assert scene is not None
    names = (*bands, "dataMask")
    # Without a correction, radar images are elsewhere.
    data = item(kind, processing={"orthorectify": True} if kind == S1 else {})
    found = numbers(api, data, *names, bbox=bbox, size=size)
    expected = reading.read(scene, names, *centres(bbox, size), {})
    assert expected["dataMask"].any()
    for plane, name in zip(found, names, strict=True):
        here = expected["dataMask"] == 1
        assert np.array_equal(plane[here], expected[name].astype("float32")[here]), name


@pytest.mark.parametrize("method", ["BILINEAR", "BICUBIC"])
def test_between_pixels_is_what_gdal_reckons(api: Driver, method: str) -> None:
    """From the native pixels, which another request reads as they are."""
    inner = [480_100.0, 5_100_100.0, 480_200.0, 5_100_200.0]
    native = numbers(api, CLEAR, "B08", units="DN")
    options = {**CLEAR, "processing": {"upsampling": method, "downsampling": "NEAREST"}}
    found = numbers(api, options, "B08", units="DN", bbox=inner, size=(40, 40))
    expected = np.zeros((40, 40), "float32")
    reproject(
        native,
        expected,
        src_transform=from_bounds(*PLACE, *SIZE),
        src_crs=f"EPSG:{UTM}",
        dst_transform=from_bounds(*inner, 40, 40),
        dst_crs=f"EPSG:{UTM}",
        resampling=Resampling.bilinear if method == "BILINEAR" else Resampling.cubic,
        XSCALE=1,
        YSCALE=1,
    )
    assert expected.std() > 1
    assert np.allclose(found, expected, rtol=1e-5)


def test_coarse_pixels_are_smoother_where_they_are_interpolated(api: Driver) -> None:
    """The method of downsampling counts where pixels are coarser than native ones."""
    wide = [470_000.0, 5_090_000.0, 476_400.0, 5_096_400.0]
    near = numbers(api, CLEAR, "B08", bbox=wide, size=SIZE)
    up = numbers(
        api, {**CLEAR, "processing": {"upsampling": "BICUBIC"}}, "B08", bbox=wide, size=SIZE
    )
    down = {**CLEAR, "processing": {"downsampling": "BILINEAR"}}
    smooth = numbers(api, down, "B08", bbox=wide, size=SIZE)
    assert np.array_equal(near, up)
    assert 0.3 * near.std() < smooth.std() <= near.std()
    assert abs(smooth.mean() - near.mean()) < 0.02


def test_codes_are_never_interpolated(api: Driver) -> None:
    data = {**CLEAR, "processing": {"upsampling": "BICUBIC"}}
    inner = [480_100.0, 5_100_100.0, 480_200.0, 5_100_200.0]
    codes = numbers(api, data, "SCL", bbox=inner, size=(40, 40))
    assert np.array_equal(codes, np.floor(codes))
    assert np.array_equal(codes, numbers(api, CLEAR, "SCL", bbox=inner, size=(40, 40)))


def test_every_crs_sees_the_same_ground(api: Driver) -> None:
    """A grid of degrees whose centres are those of native pixels reads the same numbers."""
    native = numbers(api, CLEAR, "B04")
    lon, lat = centres(PLACE, SIZE)
    at = np.ix_([3, 16, 28], [2, 11, 30])
    for value, x, y in zip(native[at].ravel(), lon[at].ravel(), lat[at].ravel(), strict=True):
        for epsg in (4326, 3857, 3035, 32632):
            east, north = Transformer.from_crs(4326, epsg, always_xy=True).transform(x, y)
            half = 1e-5 if epsg == 4326 else 1.0
            box = [east - half, north - half, east + half, north + half]
            assert numbers(api, CLEAR, "B04", bbox=box, epsg=epsg, size=(1, 1)) == value


def test_units_of_reflectance(api: Driver) -> None:
    stored = numbers(api, CLEAR, "B04", units="DN")
    assert np.array_equal(stored, np.floor(stored))
    assert np.array_equal(numbers(api, CLEAR, "B04"), (stored / 1e4).astype("float32"))
    aot = numbers(api, CLEAR, "AOT", units="DN") / 1e3
    assert np.array_equal(numbers(api, CLEAR, "AOT", units="OPTICAL_DEPTH"), aot.astype("float32"))


def test_an_unknown_unit_is_refused(api: Driver) -> None:
    text = p.script("return [samples.B04];", bands='[{bands: ["B04"], units: "KELVIN"}]')
    error = p.refused(api, p.body([CLEAR], text, bbox=PLACE, epsg=UTM, size=SIZE))
    assert "Supported units: REFLECTANCE, DN" in error["message"]


@pytest.mark.parametrize("kind", [L1C, L2A])
@pytest.mark.parametrize(
    ("span", "offset"),
    [
        (("2022-01-01T00:00:00Z", "2022-01-24T23:59:59Z"), 0),
        (("2022-01-25T00:00:00Z", "2022-02-10T00:00:00Z"), 1000),
    ],
)
def test_numbers_of_newer_baselines_have_an_offset_that_is_taken_off(
    api: Driver, kind: str, span: tuple[str, str], offset: int
) -> None:
    """Source: page of Sentinel-2, "Harmonize values"; the masks have no offset."""
    raw = item(kind, span, processing={"harmonizeValues": False})
    for band, expected in (("B04", offset), ("B8A", offset), ("CLP", 0)):
        harmonized = numbers(api, item(kind, span), band, units="DN")
        assert np.array_equal(numbers(api, raw, band, units="DN"), harmonized + expected)
    assert np.array_equal(numbers(api, raw, "B04"), numbers(api, item(kind, span), "B04"))


def test_forests_are_green_in_summer(api: Driver) -> None:
    wide = [470_000.0, 5_090_000.0, 480_000.0, 5_100_000.0]
    red, infrared, kind = numbers(api, CLEAR, "B04", "B08", "SCL", bbox=wide, size=SIZE)
    green = kind == 4
    assert green.sum() > 100
    assert np.median(((infrared - red) / (infrared + red))[green]) > 0.6


def test_clouds_in_the_pixels_are_those_of_the_catalogue(api: Driver) -> None:
    """Of three scenes of a tile, the part of its mask is what the catalogue says."""
    tile = [399_960.0, 5_090_220.0, 509_760.0, 5_200_020.0]
    seen = 0
    for one in listed(api, L2A, SUMMER, bbox=[14.0, 46.5, 14.01, 46.51]):
        cover = one["properties"]["eo:cloud_cover"]
        if "_T33TVM_" not in one["id"] or not 5 < cover < 95:
            continue
        at = one["properties"]["datetime"]
        # The neighbours were taken at other seconds.
        mask, cloud = numbers(api, item(L2A, (at, at)), "dataMask", "CLM", bbox=tile, size=(80, 80))
        assert abs(100 * cloud[mask == 1].mean() - cover) < 3
        seen += 1
        if seen == 3:
            break
    assert seen == 3


def test_coefficients_of_backscatter(api: Driver) -> None:
    """Source: sigma is gamma times the cosine of the angle of incidence, and beta times its sine."""

    def power(name: str) -> np.ndarray:
        return numbers(api, item(S1, processing={"backCoeff": name}), "VV")

    gamma = numbers(api, item(S1), "VV")
    assert np.array_equal(gamma, power("GAMMA0_ELLIPSOID"))
    scene = missions()[S1].find(heard(api, item(S1))[0]["shId"])
    assert scene is not None
    lon, _ = centres(PLACE, SIZE)
    angle = np.radians(incidence_deg(scene, lon))
    assert np.allclose(power("SIGMA0_ELLIPSOID"), gamma * np.cos(angle), rtol=1e-3, atol=1e-6)
    assert np.allclose(power("BETA0"), gamma / np.tan(angle), rtol=1e-3, atol=1e-6)


def test_flattened_backscatter_is_free_of_slopes(api: Driver) -> None:
    """Gamma over the terrain is gamma over the area that sends back."""
    flat = {"backCoeff": "GAMMA0_TERRAIN", "orthorectify": True}
    area, terrain = numbers(api, item(S1, processing=flat), "scatteringArea", "VV")
    assert area.std() > 0
    corrected = numbers(api, item(S1, processing={"orthorectify": True}), "VV")
    assert np.allclose(terrain * area, corrected, rtol=1e-4, atol=1e-5)


def displacement(scene: Scene, side: int = 2_000) -> tuple[np.ndarray, np.ndarray]:
    """Of a square of pixels of an image that is not corrected: how far off they are, and their heights."""
    column, row = cells(scene.epsg, np.array([14.4]), np.array([46.35]), 10.0)
    columns, rows = np.meshgrid(np.arange(0, side, 50), np.arange(0, side, 50))
    native = Native(scene, 10.0, column + columns.ravel(), row + rows.ravel())
    seen = displaced(native)
    heights = reading.heights(scene, seen.column, seen.row, 10.0)
    return native.column - seen.column, heights


@pytest.mark.parametrize(("state", "way"), [("ASCENDING", -1), ("DESCENDING", 1)])
def test_what_is_high_lies_too_near_to_the_sensor(api: Driver, state: str, way: int) -> None:
    """Westwards where the satellite flies north, eastwards where it flies south; by its height, and no further."""
    scene = missions()[S1].find(heard(api, item(S1, orbitDirection=state))[0]["shId"])
    assert scene is not None
    columns, heights = displacement(scene)
    assert np.ptp(heights) > 500
    assert np.corrcoef(way * columns, heights)[0, 1] > 0.85
    metres = np.ptp(columns) * 111_320 / 10_800 * np.cos(np.radians(46.35))
    assert 0.8 * np.ptp(heights) < metres < 2.0 * np.ptp(heights)


def test_images_that_are_not_corrected_show_the_ground_from_elsewhere(api: Driver) -> None:
    """Each pixel is one of the corrected image, from where the height there says."""
    scene = missions()[S1].find(heard(api, item(S1))[0]["shId"])
    assert scene is not None
    lon, lat = centres(PLACE, SIZE)
    native = Native(scene, 10.0, *cells(scene.epsg, lon.ravel(), lat.ravel(), 10.0))
    elsewhere = displaced(native).measured(["VV"])["VV"].reshape(SIZE)
    raw = numbers(api, item(S1), "VV")
    assert np.array_equal(raw, elsewhere.astype("float32"))
    corrected = numbers(api, item(S1, processing={"orthorectify": True}), "VV")
    assert not np.array_equal(raw, corrected)


def test_coarser_models_of_the_ground_flatten_less(api: Driver) -> None:
    """Slopes of a coarse model are the same over many pixels, those of a finer sampling over fewer."""

    def steps(**options: object) -> int:
        flat = {"backCoeff": "GAMMA0_TERRAIN", "orthorectify": True, **options}
        return len(np.unique(numbers(api, item(S1, processing=flat), "scatteringArea")))

    default = steps()
    assert default == steps(demInstance="MAPZEN", radiometricTerrainOversampling=2)
    assert steps(demInstance="COPERNICUS_90") < steps(demInstance="COPERNICUS_30") < default
    assert steps(radiometricTerrainOversampling=1) < default
    finer = {"backCoeff": "GAMMA0_TERRAIN", "orthorectify": True,
             "radiometricTerrainOversampling": 4}  # fmt: skip
    plain = {"backCoeff": "GAMMA0_TERRAIN", "orthorectify": True}
    found = [numbers(api, item(S1, processing=one), "VV") for one in (plain, finer)]
    assert not np.array_equal(*found)


def test_previews_may_be_coarser(api: Driver) -> None:
    """Older clients say DETAIL with every request."""
    bbox = [400_000.0, 5_000_000.0, 420_000.0, 5_020_000.0]
    text = p.script("return [samples.B04];", bands='["B04"]')

    def asked(mode: object, size: tuple[int, int]) -> dict[str, object]:
        return p.body([item(L1C, previewMode=mode)], text, bbox=bbox, epsg=UTM, size=size)

    for mode in ("DETAIL", "TILE_PREVIEW", "PREVIEW", "EXTENDED_PREVIEW"):
        p.processed(api, asked(mode, (14, 14)))
    for mode in ("DETAIL", "PREVIEW"):
        assert "meters per pixel" in p.refused(api, asked(mode, (10, 10)))["message"]
    p.processed(api, asked("EXTENDED_PREVIEW", (10, 10)))
    assert "meters per pixel" in p.refused(api, asked("EXTENDED_PREVIEW", (7, 7)))["message"]
    assert "previewMode" in json.dumps(p.refused(api, asked("ALL", (14, 14))))


@pytest.mark.parametrize(
    ("processing", "band", "wanted"),
    [
        ({"backCoeff": "GAMMA0_TERRAIN"}, "VV", "orthorectify"),
        ({}, "localIncidenceAngle", "orthorectify"),
        ({"orthorectify": True}, "shadowMask", "GAMMA0_TERRAIN"),
        ({"orthorectify": True}, "scatteringArea", "GAMMA0_TERRAIN"),
    ],
)
def test_what_needs_a_correction_is_refused_without(
    api: Driver, processing: dict[str, object], band: str, wanted: str
) -> None:
    text = p.script(f"return [samples.{band}];", bands=f'["{band}"]')
    request = p.body([item(S1, processing=processing)], text, bbox=PLACE, epsg=UTM, size=SIZE)
    assert wanted in json.dumps(p.refused(api, request))


def test_bands_of_corrected_radar_images(api: Driver) -> None:
    flat = {"backCoeff": "GAMMA0_TERRAIN", "orthorectify": True}
    angle, shadow = numbers(api, item(S1, processing=flat), "localIncidenceAngle", "shadowMask")
    assert ((angle > 0) & (angle < 90)).all()
    assert set(np.unique(shadow)) <= {0, 1}


def test_polarisations_that_were_not_received_have_no_data(api: Driver) -> None:
    """Scenes without any of the bands are not used; a band that is missing in them has no data."""
    assert not numbers(api, item(S1, polarization="DV"), "HH", "dataMask").any()
    both = numbers(api, item(S1, polarization="DV"), "HH", "VV", "dataMask")
    assert np.isnan(both[0]).all()
    assert (both[1] > 0).all()
    assert both[2].all()


def test_speckle_is_smoothed(api: Driver) -> None:
    """Lee's filter keeps the mean and takes variance away, the more the wider its window is."""

    def filtered(side: int) -> np.ndarray:
        lee = {"type": "LEE", "windowSizeX": side, "windowSizeY": side}
        return numbers(api, item(S1, processing={"speckleFilter": lee}), "VV")

    raw = numbers(api, item(S1), "VV")
    none = item(S1, processing={"speckleFilter": {"type": "NONE"}})
    assert np.array_equal(raw, numbers(api, none, "VV"))
    assert np.allclose(filtered(1), raw)
    spreads = [one.std() / one.mean() for one in (raw, filtered(3), filtered(7))]
    assert spreads[0] > 1.3 * spreads[1] > 1.3 * spreads[2]
    assert abs(filtered(5).mean() / raw.mean() - 1) < 0.1


SEA, DEGREES = [170.0, 45.0, 170.05, 45.05], 4326


def test_models_of_elevation(api: Driver) -> None:
    """One knows the floor of the sea, if it is not clamped; one has coarser cells."""

    def heights(bbox: list[float], epsg: int, instance: str, **processing: bool) -> np.ndarray:
        data = item(DEM, None, demInstance=instance, processing=processing)
        return numbers(api, data, "DEM", bbox=bbox, epsg=epsg)

    deep = numbers(api, item(DEM, None), "DEM", bbox=SEA, epsg=DEGREES)
    assert deep.max() < 0
    assert np.array_equal(deep, heights(SEA, DEGREES, "MAPZEN"))
    assert not heights(SEA, DEGREES, "MAPZEN", clampNegative=True).any()
    assert not heights(SEA, DEGREES, "COPERNICUS_30").any()
    assert np.array_equal(
        numbers(api, item(DEM, None), "DEM"), heights(PLACE, UTM, "COPERNICUS_30")
    )
    fine, coarse = (heights(PLACE, UTM, one) for one in ("COPERNICUS_30", "COPERNICUS_90"))
    assert len(np.unique(fine)) > 3 * len(np.unique(coarse)) > 3
    assert abs(fine.mean() - coarse.mean()) < 20


def test_ellipsoidal_heights_are_above_those_of_the_sea_in_the_alps(api: Driver) -> None:
    """By some 46 metres; source: EGM2008."""
    plain = numbers(api, item(DEM, None), "DEM")
    raised = numbers(api, item(DEM, None, processing={"egm": True}), "DEM") - plain
    assert (np.abs(raised - 46) < 15).all()
    assert np.ptp(raised) < 0.1


def test_the_least_quality_of_gases(api: Driver) -> None:
    """Pixels of less quality have no data; of NO2 the default is 75, of others 50."""
    wide = [100_000.0, 4_900_000.0, 900_000.0, 5_700_000.0]
    span = ("2023-06-10T00:00:00Z", "2023-06-11T00:00:00Z")

    def part(band: str, **processing: int) -> float:
        value, mask = numbers(
            api, item(S5P, span, processing=processing), band, "dataMask", bbox=wide
        )
        assert not value[mask == 0].any()
        return float(mask.mean())

    for band, least in (("NO2", 75), ("CO", 50)):
        assert part(band) == part(band, minQa=least)
    parts = [part("NO2", minQa=least) for least in (0, 60, 75, 90)]
    assert parts == sorted(parts, reverse=True)
    assert parts[0] == 1
    assert 0 < parts[3] < parts[1]


def test_the_view_ahead_goes_through_more_air(api: Driver) -> None:
    """It makes the ground colder, and what is dark brighter."""
    ahead = item(SLSTR, processing={"view": "OBLIQUE"})
    down = item(SLSTR, processing={"view": "NADIR"})
    for band, sign in (("S8", -1), ("S9", -1)):
        plain = numbers(api, item(SLSTR), band)
        assert np.array_equal(plain, numbers(api, down, band))
        assert (sign * (numbers(api, ahead, band) - plain) > 0).all()
    light = numbers(api, item(SLSTR), "S2")
    brighter = numbers(api, ahead, "S2") - light
    assert ((brighter > 0) == (light < 0.35)).all()


def test_the_view_ahead_is_narrower(api: Driver) -> None:
    """It reaches to 370 km at both sides of the track; the other to 540 and to 880."""
    bbox, size = [0.0, 40.0, 30.0, 50.0], (60, 20)
    one_day = ("2023-06-05T08:00:00Z", "2023-06-05T11:00:00Z")
    masks = [
        numbers(api, item(SLSTR, one_day, processing={"view": view}), "dataMask", bbox=bbox,
                epsg=4326, size=size)
        for view in ("NADIR", "OBLIQUE")
    ]  # fmt: skip
    assert masks[0].sum() > masks[1].sum() > 0
    assert not (masks[1] > masks[0]).any()
    scene = missions()[SLSTR].find(
        heard(api, item(SLSTR, one_day), bbox=bbox, epsg=4326)[0]["shId"]
    )
    assert scene is not None
    part = oblique(scene).footprint.area / scene.footprint.area
    assert 0.4 < part < 0.65


def test_landsat_has_no_numbers_outside(api: Driver) -> None:
    """Source: the evalscript page: bands are 0 where there are no data, and NaN for Landsat."""
    never = ("2000-01-01T00:00:00Z", "2000-02-01T00:00:00Z")
    assert np.isnan(numbers(api, item(L8, never), "B04")).all()
    assert not numbers(api, item(L2A, never), "B04").any()
    kelvin = numbers(api, item(L8), "B10", units="BRIGHTNESS_TEMPERATURE")
    assert ((kelvin > 200) & (kelvin < 330)).all()


def test_pixels_outside_the_polygon_have_no_data(api: Driver) -> None:
    west, south, east, north = PLACE
    middle = (south + north) / 2
    ring = [[west, north], [east, north], [east, middle], [west, north]]
    bounds = {
        "bbox": PLACE,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"crs": p.EPSG.format(UTM)},
    }
    text = p.script("return [samples.B04, samples.dataMask];", bands='["B04", "dataMask"]',
                    output='{bands: 2, sampleType: "FLOAT32"}')  # fmt: skip
    value, mask = p.pixels(api, p.body([CLEAR], text, bounds=bounds, size=SIZE))
    whole = numbers(api, CLEAR, "B04")
    rows, columns = np.indices(mask.shape) + 0.5
    assert np.array_equal(mask == 1, rows * 2 < columns)
    assert np.array_equal(value, np.where(mask == 1, whole, 0))


def test_optical_and_radar_images_are_fused(api: Driver) -> None:
    """Each by its own identifier."""
    text = p.script(
        "return [samples.colour[0].B04, samples.radar[0].VV];",
        bands='[{datasource: "colour", bands: ["B04"]}, {datasource: "radar", bands: ["VV"]}]',
        output='{bands: 2, sampleType: "FLOAT32"}',
    )
    data = [{**CLEAR, "id": "colour"}, {**item(S1), "id": "radar"}]
    red, power = p.pixels(api, p.body(data, text, bbox=PLACE, epsg=UTM, size=SIZE))
    assert np.array_equal(red, numbers(api, CLEAR, "B04"))
    assert np.array_equal(power, numbers(api, item(S1), "VV"))


def test_the_factor_that_makes_reflectance_is_told(api: Driver) -> None:
    for kind, expected in ((L2A, 1e-4), (S1, 1)):
        text = p.script("outputMetadata.userData = {factor: inputMetadata.normalizationFactor};",
                        bands='["dataMask"]')  # fmt: skip
        request = p.body([item(kind)], text, bbox=PLACE, epsg=UTM, size=(1, 1),
                         formats={"userdata": p.JSON})  # fmt: skip
        assert json.loads(p.processed(api, request)) == {"factor": expected}


def test_a_date_line_is_no_border(api: Driver) -> None:
    """On both sides of it there are scenes, and all of their pixels."""
    for bbox in ([179.9, -17.0, 180.0, -16.9], [-180.0, -17.0, -179.9, -16.9]):
        found = numbers(api, item(SLSTR), "dataMask", bbox=bbox, epsg=4326, size=(5, 5))
        assert found.all()


def test_the_offset_of_a_baseline_begins_with_its_name() -> None:
    """The first scenes that have the offset are the first whose names say so."""
    begin = ms("2022-01-25")
    for kind in (L1C, L2A):
        before = next(missions()[kind].scenes(None, from_ms=begin - 10**7, to_ms=begin - 1))
        after = next(missions()[kind].scenes(None, from_ms=begin, to_ms=begin + 10**7))
        assert "_N0301_" in before.id
        assert "_N0400_" in after.id
