"""Sentinel-2: fields that grow, water, snow and clouds, as masks and colours agree on them."""

from __future__ import annotations

import numpy as np
import pytest

from shplan.sandbox.imagery import reading
from shplan.sandbox.imagery.grid import snap
from shplan.sandbox.scenes.clouds import cloud_mask
from shplan.sandbox.scenes.missions import missions
from shplan.sandbox.scenes.noise import Floats
from shplan.sandbox.scenes.sampling import sample_points
from shplan.sandbox.scenes.scene import Scene
from tests.sandbox.imagery.places import FARMS, first, grid, scenes

L2A = "sentinel-2-l2a"
MIXED = first(
    L2A, FARMS, "2022-04-01", "2022-09-01",
    lambda one: 25.0 < missions()[L2A].cloud_cover(one) < 75.0,
)  # fmt: skip


def ndvi(scene: Scene, lon: Floats, lat: Floats) -> Floats:
    found = reading.read(scene, ["B04", "B08"], lon, lat, {})
    return np.asarray((found["B08"] - found["B04"]) / (found["B08"] + found["B04"]))


def spread(scene: Scene, size: int = 60) -> tuple[Floats, Floats]:
    """Places over a whole tile."""
    west, south, east, north = scene.footprint.bounds
    lon, lat = np.meshgrid(
        np.linspace(west, east, size + 2)[1:-1], np.linspace(south, north, size + 2)[1:-1]
    )
    return lon, lat


def test_numbers_are_whole_and_reflectances_are_their_ten_thousandths() -> None:
    lon, lat = grid(FARMS, 10.0, 24)
    names = [name for name in reading.bands(L2A) if "DN" in reading.bands(L2A)[name].units]
    numbers = reading.read(MIXED, names, lon, lat, dict.fromkeys(names, "DN"))
    for name in names:
        assert (numbers[name] == np.floor(numbers[name])).all(), name
        assert numbers[name].min() >= 0.0
        assert numbers[name].max() <= (255 if reading.bands(L2A)[name].sample == "UINT8" else 32767)
    scaled = reading.read(MIXED, ["B04", "AOT"], lon, lat, {})
    assert (scaled["B04"] == numbers["B04"] / 10_000.0).all()
    assert (scaled["AOT"] == numbers["AOT"] / 1000.0).all()


@pytest.mark.parametrize("place", [FARMS, (2.0, 47.5), (24.0, 55.0), (-60.5, -35.0)])
def test_the_catalogue_lists_the_clouds_that_are_in_the_pixels(place: tuple[float, float]) -> None:
    for scene in scenes(L2A, place, "2022-03-01", "2022-03-20")[:3]:
        lon, lat = sample_points(scene.epsg, scene.box, scene.outline)
        found = reading.read(scene, ["CLM"], lon, lat, {})
        assert found["dataMask"].mean() > 0.99
        cover = 100.0 * float(found["CLM"].mean())
        assert cover == pytest.approx(missions()[L2A].cloud_cover(scene), abs=1.5)


def test_the_cloud_mask_is_the_cloud_at_the_centres_of_its_pixels() -> None:
    lon, lat = spread(MIXED)
    found = reading.read(MIXED, ["CLM", "CLP"], lon, lat, {})
    inside = found["dataMask"] == 1.0
    true = cloud_mask(*snap(MIXED, lon, lat, 160.0), MIXED.at_ms)
    assert (found["CLM"] == (true & inside)).all()
    assert (found["CLP"][inside & true] > 102.0).all()
    assert (found["CLP"][inside & ~true] < 102.0).all()


def test_classes_of_the_scene_agree_with_colours_and_masks() -> None:
    lon, lat = spread(MIXED, 80)
    found = reading.read(
        MIXED, ["SCL", "CLM", "CLD", "SNW", "B02", "B04", "B08", "B11"], lon, lat, {}
    )
    inside = found["dataMask"] == 1.0
    classes = found["SCL"]
    assert set(np.unique(classes)) <= set(range(12))
    assert (classes[~inside] == 0.0).all()
    cloudy = np.isin(classes, [8.0, 9.0])
    # The mask's pixels are larger: they differ along edges only.
    assert (cloudy == (found["CLM"] == 1.0))[inside].mean() > 0.96
    assert (found["CLD"][cloudy] >= 40.0).all()
    assert (found["CLD"][inside & ~cloudy] < 40.0).all()
    index = (found["B08"] - found["B04"]) / (found["B08"] + found["B04"] + 1e-9)
    assert np.median(found["B02"][classes == 9.0]) > 0.3
    assert np.median(index[classes == 4.0]) > 0.5
    assert np.median(index[classes == 5.0]) < 0.4
    clear_light, shaded = found["B08"][classes == 4.0], found["B08"][classes == 3.0]
    assert np.median(shaded) < 0.8 * np.median(clear_light)


def test_a_field_is_sown_grows_and_is_harvested() -> None:
    """The index of every field rises and falls without leaps, and is highest in season."""
    lon, lat = grid(FARMS, 250.0, 12)
    series: list[Floats] = []
    year = list(reversed(scenes(L2A, FARMS, "2021-10-05", "2022-09-25", 50.0)))
    for scene in year:
        found = reading.read(scene, ["B04", "B08", "SCL"], lon, lat, {})
        clear = np.isin(found["SCL"], [4.0, 5.0, 7.0])
        index = (found["B08"] - found["B04"]) / (found["B08"] + found["B04"] + 1e-9)
        series.append(np.where(clear, index, np.nan))
    values = np.array(series).reshape(len(series), -1)
    known = np.isfinite(values).sum(axis=0) > 8
    ranges = np.nanmax(values[:, known], axis=0) - np.nanmin(values[:, known], axis=0)
    assert (ranges > 0.45).mean() > 0.4
    peaks = np.nanargmax(np.where(np.isnan(values), -1.0, values), axis=0)[known]
    months = np.array([int(scene.id.split("_")[2][4:6]) for scene in year])
    assert np.isin(months[peaks[ranges > 0.45]], [4, 5, 6, 7, 8, 9]).mean() > 0.9
    # From one clear day to the next of the same fortnight.
    steps = np.abs(np.diff(values[:, known], axis=0))
    assert np.nanmedian(steps) < 0.08


def test_snow_lies_in_winter_and_is_dark_beyond_the_visible() -> None:
    place = (25.5, 62.5)
    found = []
    for scene in scenes(L2A, place, "2022-03-01", "2022-03-31")[::12]:
        lon, lat = spread(scene, 40)
        read = reading.read(scene, ["SCL", "SNW", "B03", "B11"], lon, lat, {})
        snow = read["SCL"] == 11.0
        found.append(snow.mean())
        if snow.any():
            index = (read["B03"] - read["B11"]) / (read["B03"] + read["B11"] + 1e-9)
            assert np.median(index[snow]) > 0.4
            assert np.median(read["SNW"][snow]) > 50.0
    assert max(found) > 0.2
    summer = scenes(L2A, place, "2022-07-20", "2022-07-31")[0]
    assert (reading.read(summer, ["SCL"], *spread(summer, 40), {})["SCL"] != 11.0).all()


def test_water_is_darkest_in_the_infrared() -> None:
    place = (-30.0, 35.0)
    sea = first(L2A, (11.5, 55.0), "2022-06-01", "2022-07-30",
                lambda one: missions()[L2A].cloud_cover(one) < 60.0)  # fmt: skip
    lon, lat = spread(sea, 60)
    read = reading.read(sea, ["SCL", "B03", "B04", "B08"], lon, lat, {})
    water = read["SCL"] == 6.0
    assert water.sum() > 20, place
    index = (read["B08"] - read["B04"]) / (read["B08"] + read["B04"] + 1e-9)
    assert np.median(index[water]) < 0.0
    assert np.median(read["B03"][water]) < 0.1


def test_the_air_adds_blue_and_hides_the_ground_at_the_cirrus_band() -> None:
    below = first(L2A, FARMS, "2022-06-01", "2022-08-30",
                  lambda one: missions()[L2A].cloud_cover(one) < 20.0)  # fmt: skip
    above = first("sentinel-2-l1c", FARMS, "2022-06-01", "2022-08-30",
                  lambda one: one.at_ms == below.at_ms)  # fmt: skip
    lon, lat = grid(FARMS, 10.0, 48)
    ground = reading.read(below, ["B02", "B04", "B08"], lon, lat, {})
    air = reading.read(above, ["B02", "B04", "B08", "B10"], lon, lat, {})
    assert np.median(air["B02"]) > np.median(ground["B02"]) + 0.03
    assert np.median(air["B04"] - ground["B04"]) < np.median(air["B02"] - ground["B02"])
    assert np.median(air["B10"]) < 0.02
    assert "B10" not in reading.bands(L2A)
