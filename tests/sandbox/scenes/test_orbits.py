"""Passes as they are published: who comes when, how often, and at what time of day."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Point

from shplan.sandbox.scenes import landsat, sentinel1, sentinel2, sentinel3, sentinel5p
from shplan.sandbox.scenes.mgrs import tile_table
from shplan.sandbox.scenes.missions import missions
from shplan.sandbox.scenes.orbits import Orbit, sun_elevation_sine, turned, vectors
from shplan.sandbox.scenes.scene import Scene
from shplan.sandbox.wire import parse_instant

DAY = 86_400_000
ORBITS = [sentinel1.ORBIT, sentinel2.ORBIT, sentinel3.ORBIT, sentinel5p.ORBIT, landsat.ORBIT]


def scenes(name: str, lon: float, lat: float, begin: str, days: int) -> list[Scene]:
    from_ms = parse_instant(f"{begin}T00:00:00Z")
    to_ms = from_ms + days * DAY - 1
    return list(missions()[name].scenes(Point(lon, lat), from_ms=from_ms, to_ms=to_ms))


def passes(found: list[Scene]) -> list[int]:
    """Instants of passing, tiles and slices of one pass taken together."""
    starts: list[int] = []
    for scene in sorted(found, key=lambda one: one.at_ms):
        if not starts or scene.at_ms - starts[-1] > 1_800_000:
            starts.append(scene.at_ms)
    return starts


def local_hour(scene: Scene, lon: float) -> float:
    return (scene.at_ms / 3_600_000 + lon / 15.0) % 24.0


def test_the_published_scene_comes_out() -> None:
    """Datatake, instant, tile and slanted edge. Source: the service's example of an item."""
    example = "S2B_MSIL2A_20201229T101329_N0214_R022_T33TUK"
    found = scenes("sentinel-2-l2a", 12.6, 44.6, "2020-12-29", 1)
    scene = next(one for one in found if one.id.startswith(example))
    assert scene.at_ms == parse_instant("2020-12-29T10:18:19Z")
    assert scene.epsg == 32633
    assert scene.box == (300_000, 4_890_240, 409_800, 5_000_040)
    assert scene.properties["platform"] == "sentinel-2b"
    assert scene.href == "s3://sentinel-s2-l2a/tiles/33/T/UK/2020/12/29/0/"
    published = shapely.Polygon(
        [(300_000, 5_000_039), (300_000, 4_890_241), (352_314.5, 4_890_241), (386_653.9, 5_000_039)]
    )
    assert scene.outline.symmetric_difference(published).area < 0.002 * published.area


def test_a_published_row_comes_out() -> None:
    """Landsat 8 came over San Francisco, path 44 and row 34, on 2014-03-18 at 18:45."""
    found = [one.id for one in scenes("landsat-ot-l1", -122.4, 37.6, "2014-03-18", 1)]
    assert [name[:25] for name in found] == ["LC08_L1TP_044034_20140318"]


@pytest.mark.parametrize(
    ("tile", "orbits"), [("32UPU", {22, 65}), ("33TWM", {79, 122}), ("33TUK", {22, 122})]
)
def test_tiles_are_passed_on_the_orbits_that_products_name(tile: str, orbits: set[int]) -> None:
    index = tile_table().index_of(tile)
    assert index is not None
    assert {frame.track + 1 for frame in sentinel2.frames_of_tile(index)} == orbits


@pytest.mark.parametrize(
    ("begin", "platforms"),
    [
        ("2016-06-01", {"sentinel-2a"}),
        ("2020-06-01", {"sentinel-2a", "sentinel-2b"}),
        ("2025-06-01", {"sentinel-2b", "sentinel-2c"}),
    ],
)
def test_satellites_come_and_go(begin: str, platforms: set[str]) -> None:
    found = scenes("sentinel-2-l1c", 14.5, 46.0, begin, 30)
    assert {scene.properties["platform"] for scene in found} == platforms


@given(st.floats(-179.0, 179.0), st.floats(-55.0, 70.0))
def test_each_relative_orbit_comes_back_every_five_days(lon: float, lat: float) -> None:
    found = scenes("sentinel-2-l2a", lon, lat, "2021-05-01", 40)
    by_tile_and_orbit: dict[str, list[int]] = {}
    for scene in found:
        key = "_".join(scene.id.split("_")[4:6])
        by_tile_and_orbit.setdefault(key, []).append(scene.at_ms)
    assert by_tile_and_orbit
    for instants in by_tile_and_orbit.values():
        gaps = np.diff(sorted(instants))
        assert ((gaps > 0) & (gaps % (5 * DAY) <= 1000)).all()
        if lat < 50.0:  # further north the sun may set within these weeks
            assert (np.abs(gaps - 5 * DAY) <= 1000).all()


def test_revisits_are_more_frequent_towards_the_poles() -> None:
    def mean_days(lat: float) -> float:
        """Days between passes, over places all around the Earth."""
        counts = [
            len(passes(scenes("sentinel-2-l2a", lon, lat, "2021-05-01", 40)))
            for lon in np.linspace(-175.0, 175.0, 15)
        ]
        return 40.0 / float(np.mean(counts))

    equator, middle, north = mean_days(0.0), mean_days(46.0), mean_days(60.0)
    assert 4.5 < equator <= 5.1
    assert 2.4 < middle < 4.0
    assert 2.0 < north < middle


@pytest.mark.parametrize(
    ("name", "hours"),
    [
        ("sentinel-2-l2a", (9.8, 11.7)),
        ("landsat-ot-l1", (9.6, 11.0)),
        ("sentinel-3-olci", (8.5, 12.2)),
        ("sentinel-5p-l2", (10.0, 15.5)),
    ],
)
@pytest.mark.parametrize(("lon", "lat"), [(14.5, 46.0), (-60.0, -10.0), (150.0, -34.0)])
def test_the_time_of_day(name: str, hours: tuple[float, float], lon: float, lat: float) -> None:
    found = scenes(name, lon, lat, "2021-03-01", 40)
    assert len(found) > 1
    for scene in found:
        assert hours[0] < local_hour(scene, lon) < hours[1]


def test_radar_comes_at_six_in_the_morning_and_in_the_evening() -> None:
    found = scenes("sentinel-1-grd", 11.4, 47.3, "2020-03-01", 24)
    for scene in found:
        middle = {"descending": 6.0, "ascending": 18.0}[str(scene.properties["sat:orbit_state"])]
        assert abs(local_hour(scene, 11.4) - middle) < 1.2
        assert scene.properties["sar:instrument_mode"] == "IW"
        assert scene.properties["sar:polarizations"] == ["VV", "VH"]
    tracks = Counter(
        (one.properties["sat:relative_orbit"], one.properties["sat:orbit_state"]) for one in found
    )
    # Both satellites, each twice in 24 days; twice as many where slices meet.
    assert all(count % 4 == 0 for count in tracks.values())
    assert (117, "ascending") in tracks


def test_numbers_of_orbits_follow_one_another() -> None:
    """Source: relative orbit = (absolute orbit - 73) mod 175 + 1, for the second satellite 27."""
    begin = parse_instant("2020-01-03T00:00:00Z")
    found = missions()["sentinel-1-grd"].scenes(None, from_ms=begin, to_ms=begin + DAY // 4)
    numbers: dict[object, set[int]] = {}
    for scene in found:
        absolute, relative = (
            scene.properties[f"sat:{one}_orbit"] for one in ("absolute", "relative")
        )
        assert isinstance(absolute, int)
        first = {"sentinel-1a": 73, "sentinel-1b": 27}[str(scene.properties["platform"])]
        assert relative == (absolute - first) % 175 + 1
        numbers.setdefault(scene.properties["platform"], set()).add(absolute)
    for one in numbers.values():
        assert sorted(one) == list(range(min(one), max(one) + 1))
        assert len(one) in (4, 5)


def test_radar_of_the_polar_regions_is_extra_wide() -> None:
    found = scenes("sentinel-1-grd", 20.0, 79.0, "2020-03-01", 4)
    assert {str(scene.properties["sar:instrument_mode"]) for scene in found} == {"EW"}
    assert {str(scene.properties["s1:polarization"]) for scene in found} == {"DH"}


@pytest.mark.parametrize(
    ("name", "most_days"),
    [("sentinel-5p-l2", 1.1), ("sentinel-3-olci", 2.1), ("sentinel-3-slstr", 1.1)],
)
def test_wide_swaths_come_daily(name: str, most_days: float) -> None:
    gaps = np.diff(passes(scenes(name, 14.5, 46.0, "2021-04-01", 30))) / DAY
    assert gaps.max() < most_days


def test_each_product_of_the_air_once_a_pass() -> None:
    found = scenes("sentinel-5p-l2", 14.5, 46.0, "2021-04-01", 3)
    kinds = Counter(str(scene.properties["s5p:type"]) for scene in found)
    assert len(kinds) == 8
    assert len(set(kinds.values())) == 1


def test_nothing_is_recorded_in_the_polar_night() -> None:
    assert scenes("sentinel-2-l2a", 20.0, 78.0, "2020-12-01", 31) == []
    assert scenes("landsat-ot-l1", 20.0, 78.0, "2020-12-01", 31) == []
    assert len(scenes("sentinel-2-l2a", 20.0, 78.0, "2020-06-01", 10)) > 20
    assert scenes("sentinel-1-grd", 20.0, 78.0, "2020-12-01", 4)


def test_nothing_is_recorded_beyond_the_tiles() -> None:
    assert scenes("sentinel-2-l2a", 20.0, 86.0, "2020-06-01", 10) == []
    assert scenes("sentinel-2-l2a", 20.0, -60.0, "2020-12-01", 10) == []


@pytest.mark.parametrize("orbit", ORBITS, ids=lambda one: f"{one.revolutions}/{one.days}")
@given(data=st.data())
def test_where_a_satellite_is_it_is_found(orbit: Orbit, data: st.DataObject) -> None:
    """A place so far to the left of a track is abeam of it just there."""
    track = data.draw(st.integers(0, orbit.revolutions - 1))
    descending = data.draw(st.booleans())
    u = data.draw(st.floats(-1.4, 1.4)) + (math.pi if descending else 0.0)
    across = data.draw(st.floats(-0.19, 0.19))
    node = orbit.node_of(track)
    lon, lat = orbit.abeam(np.array([u]), across, node)
    found, left = orbit.locate(turned(vectors(lon, lat), node), descending=descending)
    assert found[0] == pytest.approx(u, abs=1e-6)
    assert left[0] == pytest.approx(across, abs=1e-6)


@pytest.mark.parametrize("orbit", ORBITS, ids=lambda one: f"{one.revolutions}/{one.days}")
def test_tracks_are_evenly_spread(orbit: Orbit) -> None:
    nodes = np.sort(orbit.nodes() % 360.0)
    assert np.allclose(np.diff(nodes), 360.0 / orbit.revolutions)
    assert [orbit.node_of(track) for track in range(3)] == pytest.approx(
        ((orbit.nodes()[:3] + 180.0) % 360.0 - 180.0).tolist()
    )


def test_the_sun_is_where_it_should_be() -> None:
    noon, midnight = (parse_instant(f"2021-06-21T{hour}:00:00Z") for hour in ("12", "00"))
    assert math.degrees(math.asin(sun_elevation_sine(0.0, 46.0, noon))) == pytest.approx(
        67.4, abs=0.3
    )
    assert sun_elevation_sine(0.0, 46.0, midnight) < 0.0
    assert sun_elevation_sine(0.0, 80.0, midnight) > 0.0
