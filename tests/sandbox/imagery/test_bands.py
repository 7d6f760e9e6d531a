"""The bands of collections: names, units and native pixels as the service documents them."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import Point

from shplan.sandbox.imagery import reading
from shplan.sandbox.scenes.missions import missions
from shplan.sandbox.wire import parse_instant
from tests.sandbox.imagery.places import FARMS, first, grid

REFLECTANCE, DN = ("REFLECTANCE", "DN"), ("DN",)
COLOURS = tuple(f"B{number:02d}" for number in range(1, 22))
# Collection: units and resolution to names.
DOCUMENTED: dict[str, dict[tuple[tuple[str, ...], float], str]] = {
    "sentinel-2-l1c": {
        (REFLECTANCE, 10.0): "B02 B03 B04 B08",
        (REFLECTANCE, 20.0): "B05 B06 B07 B8A B11 B12",
        (REFLECTANCE, 60.0): "B01 B09 B10",
        (("DEGREES",), 5000.0): "sunAzimuthAngles sunZenithAngles viewAzimuthMean viewZenithMean",
        (DN, 160.0): "CLP CLM",
    },
    "sentinel-2-l2a": {
        (REFLECTANCE, 10.0): "B02 B03 B04 B08",
        (REFLECTANCE, 20.0): "B05 B06 B07 B8A B11 B12",
        (REFLECTANCE, 60.0): "B01 B09",
        (("OPTICAL_DEPTH", "DN"), 10.0): "AOT",
        (DN, 20.0): "SCL",
        (("PERCENT",), 20.0): "SNW CLD",
        (("DEGREES",), 5000.0): "sunAzimuthAngles sunZenithAngles viewAzimuthMean viewZenithMean",
        (DN, 160.0): "CLP CLM",
    },
    "sentinel-1-grd": {
        (("LINEAR_POWER",), 10.0): "VV VH HH HV",
        (DN, 10.0): "localIncidenceAngle scatteringArea shadowMask",
    },
    "landsat-ot-l1": {
        (("REFLECTANCE",), 30.0): "B01 B02 B03 B04 B05 B06 B07 B09",
        (("REFLECTANCE",), 15.0): "B08",
        (("BRIGHTNESS_TEMPERATURE",), 30.0): "B10 B11",
        (DN, 30.0): "BQA QA_RADSAT",
        (("DEGREES",), 30.0): "VAA VZA SAA SZA",
    },
    "landsat-ot-l2": {
        (("REFLECTANCE",), 30.0): "B01 B02 B03 B04 B05 B06 B07",
        (("SURFACE_TEMPERATURE",), 30.0): "B10",
        (DN, 30.0): "BQA QA_RADSAT SR_QA_AEROSOL",
        (("KELVIN",), 30.0): "ST_QA",
        (("RADIANCE",), 30.0): "ST_TRAD ST_URAD ST_DRAD",
        (("FRACTION",), 30.0): "ST_ATRAN ST_EMIS ST_EMSD",
        (("KILOMETERS",), 30.0): "ST_CDIST",
    },
    "sentinel-3-olci": {
        (("REFLECTANCE", "RADIANCE"), 300.0): " ".join(COLOURS),
        (DN, 300.0): "QUALITY_FLAGS",
        (("DEGREES",), 19000.0): "SAA SZA VAA VZA",
        (("PERCENT",), 19000.0): "HUMIDITY",
        (("HECTOPASCALS",), 19000.0): "SEA_LEVEL_PRESSURE",
        (("KG_M2",), 19000.0): "TOTAL_COLUMN_OZONE TOTAL_COLUMN_WATER_VAPOUR",
    },
    "sentinel-3-slstr": {
        (("REFLECTANCE", "RADIANCE"), 500.0): "S1 S2 S3 S4 S5 S6",
        (("BRIGHTNESS_TEMPERATURE",), 1000.0): "S7 S8 S9 F1 F2",
    },
    "sentinel-3-slstr-l2": {
        (("KELVIN",), 1000.0): "LST LST_uncertainty",
        (("INDEX",), 1000.0): "NDVI",
        (DN, 1000.0): "CLOUD BAYES POINTING CONFIDENCE",
    },
    "sentinel-3-synergy-l2": {
        (
            ("REFLECTANCE",),
            300.0,
        ): "B01 B02 B03 B04 B05 B06 B07 B08 B09 B10 B11 B12 B16 B17 B18 B21",
        (("REFLECTANCE",), 500.0): "S1 S2 S3 S5 S6",
        (
            ("REFLECTANCE",),
            1000.0,
        ): "B0_V10 B2_V10 B3_V10 MIR_V10 B0_VG1 B2_VG1 B3_VG1 MIR_VG1",
        (("INDEX",), 1000.0): "NDVI_V10 NDVI_VG1 TOA_NDVI_VG1",
        (("ATMCM",), 1000.0): "OG_V10 OG_VG1",
        (
            ("DEGREES",),
            1000.0,
        ): "SAA_V10 SZA_V10 VAA_V10 VZA_V10 SAA_VG1 SZA_VG1 VAA_VG1 VZA_VG1",
        (("GRAMS_CM2",), 1000.0): "WVG_V10 WVG_VG1",
        (("OPTICAL_DEPTH",), 1000.0): "AG_V10 AG_VG1",
    },
    "dem": {(("METERS", "DN"), 30.0): "DEM"},
}


@pytest.mark.parametrize("collection", DOCUMENTED)
def test_bands_are_those_that_are_documented(collection: str) -> None:
    found = {
        name: (band.units, band.resolution_m) for name, band in reading.bands(collection).items()
    }
    expected = {
        name: kind for kind, names in DOCUMENTED[collection].items() for name in names.split()
    }
    assert found == expected


def test_sentinel_5p_measures_what_its_products_say() -> None:
    units = {name: band.units[0] for name, band in reading.bands("sentinel-5p-l2").items()}
    gases = ("CO", "HCHO", "NO2", "O3", "SO2")
    assert {units[name] for name in gases} == {"MOL_M2"}
    assert units["CH4"] == "PPB"
    assert units["AER_AI_340_380"] == units["AER_AI_354_388"] == "INDEX"
    assert {name for name in units if name.startswith("CLOUD_")} == {
        "CLOUD_BASE_PRESSURE",
        "CLOUD_TOP_PRESSURE",
        "CLOUD_BASE_HEIGHT",
        "CLOUD_TOP_HEIGHT",
        "CLOUD_OPTICAL_THICKNESS",
        "CLOUD_FRACTION",
    }


@pytest.mark.parametrize("collection", missions())
def test_every_collection_of_the_catalogue_has_pixels(collection: str) -> None:
    scene = first(collection, FARMS, "2022-06-10", "2022-07-01")
    lon, lat = grid(FARMS, 300.0, 6)
    names = list(reading.bands(collection))
    found = reading.read(scene, names, lon, lat, {})
    assert set(found) == {*names, "dataMask"}
    assert all(values.shape == lon.shape for values in found.values())
    assert all(values.dtype == np.float64 for values in found.values())
    assert not any(np.isinf(values).any() for values in found.values())


def test_land_is_colder_by_night_and_unknown_under_clouds() -> None:
    lon, lat = grid(FARMS, 1000.0, 12)
    found = {}
    for scene in missions()["sentinel-3-slstr-l2"].scenes(
        Point(*FARMS),
        from_ms=parse_instant("2022-07-01T00:00:00Z"),
        to_ms=parse_instant("2022-07-09T00:00:00Z"),
    ):
        read = reading.read(scene, ["LST", "CLOUD"], lon, lat, {})
        assert np.isnan(read["LST"][read["CLOUD"] == 1.0]).all()
        if not np.isnan(read["LST"]).all():
            found.setdefault(scene.properties["sat:orbit_state"], []).append(
                np.nanmean(read["LST"])
            )
    assert 250.0 < np.mean(found["ascending"]) < np.mean(found["descending"]) < 330.0
