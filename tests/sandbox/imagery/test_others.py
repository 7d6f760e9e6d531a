"""The other collections see the same planet: radar, Landsat, Sentinel-3, Sentinel-5P, heights."""

from __future__ import annotations

import numpy as np

from shplan.sandbox.imagery import reading
from shplan.sandbox.scenes.scene import Scene
from tests.sandbox.imagery.places import FARMS, first, grid

ALPS = (10.9, 46.7)


def radar(place: tuple[float, float], state: str) -> Scene:
    return first(
        "sentinel-1-grd",
        place,
        "2022-06-01",
        "2022-07-01",
        lambda one: one.properties["sat:orbit_state"] == state,
    )


def test_heights_do_not_change_and_mountains_are_high() -> None:
    lon, lat = grid(ALPS, 200.0, 60)
    cell = first("dem", ALPS, "2022-06-01", "2022-07-01")
    height = reading.read(cell, ["DEM"], lon, lat, {"DEM": "METERS"})["DEM"]
    assert 1_500.0 < height.max() < 6_000.0
    assert height.min() >= 0.0
    # Between neighbours of two hundred metres there are slopes and no cliffs.
    assert np.abs(np.diff(height, axis=1)).max() < 400.0
    plain = first("dem", FARMS, "2022-06-01", "2022-07-01")
    lowland = reading.read(plain, ["DEM"], *grid(FARMS, 200.0, 60), {})["DEM"]
    assert np.ptp(lowland) < 0.5 * np.ptp(height)


def test_speckle_is_of_each_image_and_its_mean_is_not() -> None:
    lon, lat = grid(FARMS, 10.0, 60)
    up = reading.read(radar(FARMS, "ascending"), ["VV", "VH"], lon, lat, {})
    again = reading.read(radar(FARMS, "ascending"), ["VV", "VH"], lon, lat, {})
    down = reading.read(radar(FARMS, "descending"), ["VV", "VH"], lon, lat, {})
    assert (up["VV"] == again["VV"]).all()
    assert 0.005 < np.median(up["VH"]) < np.median(up["VV"]) < 0.5
    both = (up["dataMask"] == 1.0) & (down["dataMask"] == 1.0)
    if both.any():
        assert (up["VV"] != down["VV"])[both].mean() > 0.9


def test_radar_sees_slopes_from_one_side() -> None:
    """What leans towards the west is bright from the west, which is where a rising orbit looks from."""
    lon, lat = grid(ALPS, 60.0, 100)
    height = reading.read(first("dem", ALPS, "2022-06-01", "2022-07-01"), ["DEM"], lon, lat, {})
    east = np.diff(height["DEM"], axis=1)[:-1]
    sides = {}
    for state in ("ascending", "descending"):
        found = reading.read(radar(ALPS, state), ["VV"], lon, lat, {})
        power, mask = found["VV"][:-1, :-1], found["dataMask"][:-1, :-1] == 1.0
        rising, falling = power[mask & (east > 15.0)], power[mask & (east < -15.0)]
        sides[state] = float(np.median(rising) / np.median(falling))
    assert sides["ascending"] > 1.2
    assert sides["descending"] < 0.83


def test_quality_bits_agree_with_each_other() -> None:
    scene = first("landsat-ot-l1", FARMS, "2022-04-01", "2022-09-01")
    west, south, east, north = scene.footprint.bounds
    lon, lat = np.meshgrid(np.linspace(west, east, 40), np.linspace(south, north, 40))
    found = reading.read(scene, ["BQA", "B02", "B10", "SZA"], lon, lat, {})
    inside = found["dataMask"] == 1.0
    assert np.isnan(found["B02"][~inside]).all()
    bits = found["BQA"][inside].astype(np.int64)
    cloud, clear = bits >> 3 & 1, bits >> 6 & 1
    assert not (cloud & clear).any()
    assert ((bits >> 8 & 3 == 3) == (cloud == 1)).all()
    assert ((bits >> 10 & 3 == 3) == (bits >> 4 & 1 == 1)).all()
    assert not (bits & 1).any()
    assert 200.0 < found["B10"][inside].min() < found["B10"][inside].max() < 340.0
    assert 15.0 < found["SZA"][inside].min() < found["SZA"][inside].max() < 80.0


def test_landsat_sees_the_fields_that_sentinel_2_sees() -> None:
    lon, lat = grid(FARMS, 30.0, 50)
    day = ("2022-06-01", "2022-06-20")
    one = reading.read(first("landsat-ot-l2", FARMS, *day), ["B04", "B05", "BQA"], lon, lat, {})
    two = reading.read(first("sentinel-2-l2a", FARMS, *day), ["B04", "B8A", "SCL"], lon, lat, {})
    clear = (one["BQA"].astype(np.int64) >> 6 & 1 == 1) & np.isin(two["SCL"], [4.0, 5.0])
    if clear.sum() > 300:
        a = ((one["B05"] - one["B04"]) / (one["B05"] + one["B04"]))[clear]
        b = ((two["B8A"] - two["B04"]) / (two["B8A"] + two["B04"]))[clear]
        assert np.corrcoef(a, b)[0, 1] > 0.5


def test_gases_are_smooth_and_hidden_by_clouds() -> None:
    scene = first(
        "sentinel-5p-l2",
        FARMS,
        "2022-06-01",
        "2022-07-01",
        lambda one: one.properties["s5p:type"] == "NO2",
    )
    lon, lat = grid(FARMS, 6_000.0, 80)
    found = reading.read(scene, ["NO2", "CO"], lon, lat, {})
    inside = found["dataMask"] == 1.0
    known = inside & np.isfinite(found["NO2"])
    assert 0.1 < known[inside].mean() < 1.0
    assert -2e-5 < found["NO2"][known].min() < found["NO2"][known].max() < 6e-4
    # A scene has one product.
    assert np.isnan(found["CO"][inside]).all()


def test_radiance_is_reflectance_times_irradiance() -> None:
    scene = first("sentinel-3-olci", FARMS, "2022-06-01", "2022-07-01")
    lon, lat = grid(FARMS, 300.0, 12)
    part = reading.read(scene, ["B08", "B17"], lon, lat, {})
    power = reading.read(scene, ["B08"], lon, lat, {"B08": "RADIANCE"})
    assert np.allclose(power["B08"], part["B08"] * 1530.0 / np.pi, rtol=1e-12)
    assert (part["B17"] > 0.0).all()
