"""Laws of the synthetic archive: what holds for every collection, wherever one looks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from shapely.geometry import Point, box
from shapely.geometry.base import BaseGeometry

from shplan.sandbox.scenes.clouds import cloud_mask
from shplan.sandbox.scenes.missions import missions
from shplan.sandbox.scenes.sampling import sample_points
from shplan.sandbox.scenes.scene import Mission, Scene
from shplan.sandbox.wire import encode, instant, parse_instant

GOLDEN = Path(__file__).parents[2] / "golden" / "scenes" / "archive.json"
DAY = 86_400_000
NAMES = [
    "sentinel-2-l1c",
    "sentinel-2-l2a",
    "sentinel-1-grd",
    "landsat-ot-l1",
    "landsat-ot-l2",
    "sentinel-3-olci",
    "sentinel-3-olci-l2",
    "sentinel-3-slstr",
    "sentinel-3-slstr-l2",
    "sentinel-3-synergy-l2",
    "sentinel-5p-l2",
    "dem",
]
TIMED = [name for name in NAMES if name != "dem"]
ADRIATIC = box(12.6, 44.6, 12.7, 44.7)
SPITSBERGEN = box(15.0, 78.0, 16.0, 78.3)
FIJI = shapely.union(box(179.5, -17.5, 180.0, -16.5), box(-180.0, -17.5, -179.5, -16.5))
PLACES = {"adriatic": ADRIATIC, "spitsbergen": SPITSBERGEN, "fiji": FIJI}

places = st.tuples(st.floats(-179.8, 179.7), st.floats(-80.0, 80.0)).map(
    lambda at: box(at[0], at[1], at[0] + 0.1, at[1] + 0.1)
)
instants = st.integers(parse_instant("2018-07-01T00:00:00Z"), parse_instant("2026-01-01T00:00:00Z"))
names = st.sampled_from(TIMED)


def ms(day: str) -> int:
    return parse_instant(f"{day}T00:00:00Z")


def scenes(
    name: str, area: BaseGeometry | None, begin: str, end: str, most: int | None = None
) -> list[Scene]:
    found = missions()[name].scenes(area, from_ms=ms(begin), to_ms=ms(end))
    return list(islice(found, most))


def week(name: str, area: BaseGeometry | None, at_ms: int) -> list[Scene]:
    return list(missions()[name].scenes(area, from_ms=at_ms - 7 * DAY, to_ms=at_ms))


def order(scene: Scene) -> tuple[int, str]:
    return (-scene.at_ms, scene.id)


def test_the_public_collections() -> None:
    assert list(missions()) == NAMES
    assert all(mission.collection == name for name, mission in missions().items())


@pytest.mark.parametrize("mission", missions().values(), ids=NAMES)
def test_a_collection_describes_itself(mission: Mission) -> None:
    described = mission.description
    assert described["id"] == mission.collection
    assert described["type"] == "Collection"
    assert {"title", "description", "license", "extent", "summaries"} <= described.keys()
    assert mission.has_clouds == ("eo:cloud_cover" in mission.queryables)
    encode(described)
    encode(mission.queryables)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_found_is_found_by_its_identifier(name: str, place: str) -> None:
    found = scenes(name, PLACES[place], "2022-06-01", "2022-06-12")
    assert found
    assert [missions()[name].find(scene.id) for scene in found] == found
    assert len({scene.id for scene in found}) == len(found)


@settings(max_examples=60)
@given(names, places, instants)
def test_scenes_are_in_order_in_range_and_touch_the_area(
    name: str, area: BaseGeometry, at_ms: int
) -> None:
    found = week(name, area, at_ms)
    assert found == sorted(found, key=order)
    for scene in found:
        assert at_ms - 7 * DAY <= scene.at_ms <= at_ms
        assert scene.at_ms % 1000 == 0
        assert scene.footprint.intersects(area)
        assert scene.collection == name


@settings(max_examples=8)
@given(names, places, instants)
def test_a_small_area_is_a_filter_over_a_larger_one(
    name: str, area: BaseGeometry, at_ms: int
) -> None:
    """Few tiles are looked for in another way than many."""
    from_ms = at_ms - 2 * DAY
    small = list(missions()[name].scenes(area, from_ms=from_ms, to_ms=at_ms))
    west, south, east, north = area.buffer(4.5).bounds
    larger = box(max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0))
    large = missions()[name].scenes(larger, from_ms=from_ms, to_ms=at_ms)
    assert small == [scene for scene in large if scene.footprint.intersects(area)]


@pytest.mark.parametrize("name", TIMED)
def test_an_area_is_a_filter_over_the_world(name: str) -> None:
    hour = 3_600_000
    # Europe and Africa are passed at noon, and by the radar in the evening.
    at_ms = ms("2023-05-04") + (18 if name == "sentinel-1-grd" else 12) * hour
    area = box(-30.0, -35.0, 40.0, 60.0)
    hours = {"sentinel-5p-l2": 2.0, "sentinel-2-l1c": 0.3, "sentinel-2-l2a": 0.3}.get(name, 1.0)
    from_ms = at_ms - int(hours * hour)
    world = missions()[name].scenes(None, from_ms=from_ms, to_ms=at_ms)
    found = missions()[name].scenes(area, from_ms=from_ms, to_ms=at_ms)
    expected = [scene for scene in world if scene.footprint.intersects(area)]
    assert expected
    assert list(found) == expected


@settings(max_examples=30)
@given(names, places, instants, st.integers(0, 6 * DAY), st.integers(0, 6 * DAY))
def test_a_part_of_a_range_has_a_part_of_the_scenes(
    name: str, area: BaseGeometry, at_ms: int, later: int, earlier: int
) -> None:
    found = week(name, area, at_ms)
    from_ms, to_ms = at_ms - 7 * DAY + later, at_ms - earlier
    part = list(missions()[name].scenes(area, from_ms=from_ms, to_ms=to_ms))
    assert part == [scene for scene in found if from_ms <= scene.at_ms <= to_ms]


@settings(max_examples=40)
@given(names, places, instants)
def test_footprints_are_valid_and_lie_in_their_boxes(
    name: str, area: BaseGeometry, at_ms: int
) -> None:
    for scene in week(name, area, at_ms)[:10]:
        assert scene.footprint.geom_type == "MultiPolygon"
        assert scene.footprint.is_valid
        assert scene.outline.is_valid
        assert shapely.box(-180, -90, 180, 90).covers(scene.footprint)
        assert shapely.box(*scene.box).covers(scene.outline)
        west, south, east, north = scene.box
        lon, lat = shapely.get_coordinates(scene.footprint).T
        x, y = Transformer.from_crs(4326, scene.epsg, always_xy=True).transform(lon, lat)
        slack = 2.0
        if scene.epsg == 4326:
            slack = 1e-6
            # Rasters in degrees go on beyond 180 where their footprint is cut.
            x = np.where(x < west - slack, x + 360.0, x)
        inside = (x >= west - slack) & (x <= east + slack)
        # Where it is cut, an edge stands for a longer one.
        inside |= np.abs(np.abs(lon) - 180.0) < 1e-6
        assert inside.all()
        assert ((y >= south - 200.0) & (y <= north + 200.0)).all()


@pytest.mark.parametrize("name", TIMED)
def test_footprints_are_cut_at_the_antimeridian(name: str) -> None:
    """Nothing goes around the Earth the wrong way."""
    found = scenes(name, FIJI, "2022-03-01", "2022-03-20")
    cut = [scene for scene in found if scene.footprint.bounds[::2] == (-180.0, 180.0)]
    assert cut
    # What goes around a pole is whole there.
    cut = [scene for scene in cut if max(map(abs, scene.footprint.bounds[1::2])) < 90.0]
    assert all(len(shapely.get_parts(scene.footprint)) >= 2 for scene in cut)
    assert not any(scene.footprint.contains(Point(0.0, -17.0)) for scene in found)


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize("place", ["adriatic", "fiji"])
def test_no_place_waits_for_longer_than_a_cycle(name: str, place: str) -> None:
    """Also at longitude 180, where a search has two sides to look at."""
    found = scenes(name, PLACES[place], "2021-04-01", "2021-05-01")
    gaps = np.diff(sorted(scene.at_ms for scene in found)) / DAY
    # Landsat 8 is alone yet, and comes back after sixteen days.
    assert gaps.max() < (16.1 if name.startswith("landsat") else 6.1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "S2B_MSIL2A_20201229T101329_N0214_R022_T33TUK_20201229T121621",  # made a second later
        "S2B_MSIL2A_20201229T101330_N0214_R022_T33TUK_20201229T121620",  # recorded a second later
        "S2B_MSIL2A_20201228T101329_N0214_R022_T33TUK_20201228T121620",  # wrong day
        "S2A_MSIL2A_20201229T101329_N0214_R022_T33TUK_20201229T121620",  # wrong satellite
        "S2B_MSIL2A_20201229T101329_N0214_R023_T33TUK_20201229T121620",  # wrong orbit
        "S2B_MSIL2A_20201229T101329_N0214_R022_T32TUK_20201229T121620",  # wrong tile
        "S2B_MSIL2A_20201329T101329_N0214_R022_T33TUK_20201229T121620",  # no such month
        "S2B_MSIL2A_20201229T101329_N0214_R000_T33TUK_20201229T121620",
        "S2B_MSIL2A_20201229T101329_N0214_R999_T33TUK_20201229T121620",
        "S2A_MSIL2A_20990101T101329_N0214_R022_T33TUK_20201229T121620",
        "LC08_L1TP_192029_20201227_20210108_02_T1",
        "LC08_L1TP_999029_20201228_20210109_02_T1",
        "LC08_L1TP_192999_20201228_20210109_02_T1",
        "LC08_L1TP_192029_20201328_20210109_02_T1",
        "S1A_IW_GRDH_1SDV_20200101T050000_20200101T050025_030600_0381A2_ABCD",
        "S1A_IW_GRDH_1SDV_99991231T235959_20200101T050025_999999_0381A2_ABCD",
        "S1A_IW_GRDH_1SDV_00000101T000000_20200101T050025_000000_0381A2_ABCD",
        "S3B_OL_1_EFR____20201231T093954_20201231T094253_20210101T135353_0179_036_086_2160_LN1_O_NT_002.SEN3",
        "S5P_OFFL_L2__CH4____20201231T122728_20201231T131342_99999_01_010302_20210102T124943",
        "S5P_OFFL_L2__CH4____20201231T122729_20201231T131342_16665_01_010302_20210102T124943",
        "Copernicus_DSM_COG_10_S00_00_E012_00_DEM",
        "Copernicus_DSM_COG_10_N90_00_E012_00_DEM",
        "Copernicus_DSM_COG_10_N45_00_E180_00_DEM",
    ],
)
def test_nobody_else_is_found(name: str, text: str) -> None:
    assert missions()[name].find(text) is None


@settings(max_examples=150)
@given(names, st.data())
def test_an_identifier_that_was_changed_names_nothing_else(name: str, data: st.DataObject) -> None:
    """Whatever is found has the identifier that was asked for."""
    scene = data.draw(st.sampled_from(scenes(name, ADRIATIC, "2022-06-01", "2022-06-12")))
    place = data.draw(st.integers(0, len(scene.id) - 1))
    letter = data.draw(st.sampled_from("0123456789ABTZ_²٣"))
    text = scene.id[:place] + letter + scene.id[place + 1 :]
    found = missions()[name].find(text)
    assert found is None or found.id == text
    if found is not None:
        again = missions()[name].scenes(found.footprint, from_ms=found.at_ms, to_ms=found.at_ms)
        assert found in list(again)


@pytest.mark.parametrize("name", [name for name in NAMES if missions()[name].has_clouds])
@pytest.mark.parametrize("place", PLACES)
def test_covers_are_the_mean_of_the_mask(name: str, place: str) -> None:
    mission = missions()[name]
    for scene in scenes(name, PLACES[place], "2022-06-01", "2022-06-12")[:8]:
        lon, lat = sample_points(scene.epsg, scene.box, scene.outline)
        cover = mission.cloud_cover(scene)
        assert 0.0 <= cover <= 100.0
        assert cover == round(100.0 * float(cloud_mask(lon, lat, scene.at_ms).mean()), 2)
        near = scene.footprint.buffer(0.02)
        points = shapely.points((np.asarray(lon) + 180.0) % 360.0 - 180.0, lat)
        assert shapely.intersects(near, points).mean() > 0.98


def test_both_levels_tell_of_the_same_recordings() -> None:
    for low, high in (("sentinel-2-l1c", "sentinel-2-l2a"), ("landsat-ot-l1", "landsat-ot-l2")):
        first, second = (scenes(name, ADRIATIC, "2021-01-01", "2021-03-01") for name in (low, high))
        assert len(first) > 4
        assert _acquisitions(low, first) == _acquisitions(high, second)


def _acquisitions(name: str, found: list[Scene]) -> list[object]:
    cover = missions()[name].cloud_cover
    return [
        (one.at_ms, one.epsg, one.box, one.outline.wkt, one.footprint.wkt, cover(one))
        for one in found
    ]


@pytest.mark.parametrize("name", NAMES)
def test_properties_are_what_searches_ask_for(name: str) -> None:
    mission = missions()[name]
    summaries = mission.description["summaries"]
    assert isinstance(summaries, dict)
    for scene in scenes(name, ADRIATIC, "2022-06-01", "2022-06-12"):
        assert encode(scene.properties)
        assert scene.href.startswith("s3://")
        assert mission.queryables.keys() - {"eo:cloud_cover"} <= scene.properties.keys()
        assert mission.distincts <= scene.properties.keys()
        for key in mission.queryables.keys() & summaries.keys() - {"eo:cloud_cover"}:
            assert scene.properties[key] in summaries[key]


def test_the_elevation_model_belongs_to_every_time() -> None:
    found = scenes("dem", box(13.5, 45.5, 14.5, 46.5), "1999-01-01", "1999-01-02")
    assert [scene.id[22:-4] for scene in found] == [
        "N45_00_E013_00", "N45_00_E014_00", "N46_00_E013_00", "N46_00_E014_00",
    ]  # fmt: skip
    assert len(scenes("dem", box(-180.0, 10.2, 180.0, 10.8), "2022-01-01", "2022-01-02")) == 360


def test_the_world_is_read_lazily() -> None:
    """A page of the newest costs no more because there is a decade behind it."""
    for name in NAMES:
        found: Iterator[Scene] = missions()[name].scenes(None, from_ms=0, to_ms=ms("2024-06-01"))
        page = list(islice(found, 100))
        assert len(page) == 100
        assert page == sorted(page, key=order)


def test_the_archive_stays_as_it_is() -> None:
    """`make golden` writes it anew; whoever changes it changes what everybody has found so far."""
    shown = [
        _shown(scene)
        for name in NAMES
        for area in (ADRIATIC, FIJI)
        for scene in scenes(name, area, "2022-06-01", "2022-06-12", most=2)
    ]
    if os.environ.get("SHPLAN_GOLDEN"):
        GOLDEN.write_text("[\n" + ",\n".join(json.dumps(one) for one in shown) + "\n]\n")
    assert shown == json.loads(GOLDEN.read_text())


def _shown(scene: Scene) -> dict[str, object]:
    mission = missions()[scene.collection]
    coordinates = shapely.get_coordinates(scene.footprint)
    return {
        "id": scene.id,
        "datetime": instant(scene.at_ms),
        "cover": mission.cloud_cover(scene) if mission.has_clouds else None,
        "epsg": scene.epsg,
        "box": [round(side, 3) for side in scene.box],
        "footprint": [[round(float(x), 3), round(float(y), 3)] for x, y in coordinates[:12]],
        "href": scene.href,
    }
