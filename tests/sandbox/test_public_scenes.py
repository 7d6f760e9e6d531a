"""Scenes of public collections in requests: those that the catalogue lists, in the order that was asked for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from shapely import box
from shapely.geometry import shape

from shplan.sandbox.areas import to_wgs84
from shplan.sandbox.mosaics import Reading, mosaic
from shplan.sandbox.process_requests import data_of
from shplan.sandbox.public_raster import open_source
from shplan.sandbox.raster_sources import Grid, Resampling, Scene, Search
from shplan.sandbox.scenes.instants import ms

from . import processing as p
from .public_pixels import (
    DEM,
    L2A,
    L8,
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
    layers,
    listed,
    numbers,
)
from .support import Driver

DEGREES = [14.0, 46.0, 14.01, 46.01]


def identifiers(scenes: list[dict[str, Any]]) -> list[str]:
    return [one["id"] for one in scenes]


def told(api: Driver, data: dict[str, Any], **options: Any) -> list[str]:
    return [one["shId"] for one in heard(api, data, bbox=DEGREES, epsg=4326, **options)]


@pytest.mark.parametrize("kind", [L2A, L8, S1, OLCI, SLSTR])
def test_scenes_are_those_of_the_catalogue(api: Driver, kind: str) -> None:
    span = ("2023-06-01T00:00:00Z", "2023-06-20T00:00:00Z")
    expected = identifiers(listed(api, kind, span, bbox=DEGREES))
    assert len(expected) > 1
    assert told(api, item(kind, span)) == expected
    assert told(api, item(kind, span, mosaickingOrder="leastRecent")) == expected[::-1]


def test_a_script_hears_when_a_scene_was_taken_and_how_cloudy_it_is(api: Driver) -> None:
    found = listed(api, L2A, SUMMER, bbox=DEGREES)
    expected = [
        {
            "shId": one["id"],
            "date": one["properties"]["datetime"],
            "cloudCoverage": one["properties"]["eo:cloud_cover"],
            "dataPath": one["assets"]["data"]["href"].removesuffix("/"),
        }
        for one in found
    ]
    scenes = heard(api, item(L2A), bbox=DEGREES, epsg=4326)
    assert [{name: one[name] for name in expected[0]} for one in scenes] == expected


def test_a_script_that_asks_hears_where_a_scene_lies(api: Driver) -> None:
    """Source: the evalscript page, "metadata": `bounds`."""
    bands = '[{bands: ["dataMask"], metadata: ["bounds"]}]'
    told_of = heard(api, item(L2A), bands=bands, bbox=DEGREES, epsg=4326)
    known = listed(api, L2A, SUMMER, bbox=DEGREES)
    for one, expected in zip(told_of, known, strict=True):
        assert shape(one["dataGeometry"]).equals(shape(expected["geometry"]))
        sides = [one["dataEnvelope"][side] for side in ("minX", "minY", "maxX", "maxY")]
        assert sides == pytest.approx(expected["bbox"])
    plain = heard(api, item(L2A), bbox=DEGREES, epsg=4326)
    assert not {"dataGeometry", "dataEnvelope"} & set(plain[0])


def test_orbits_are_days(api: Driver) -> None:
    days = dict.fromkeys(
        one["properties"]["datetime"][:10] for one in listed(api, L2A, SUMMER, bbox=DEGREES)
    )
    found = heard(api, item(L2A), mosaicking="ORBIT", bbox=DEGREES, epsg=4326)
    assert [one["dateFrom"] for one in found] == [f"{day}T00:00:00Z" for day in days]
    assert all(one["tiles"] for one in found)


def test_least_clouds_come_first_and_too_many_are_left_out(api: Driver) -> None:
    covers = [one["properties"]["eo:cloud_cover"] for one in listed(api, L2A, SUMMER, bbox=DEGREES)]
    found = heard(api, item(L2A, mosaickingOrder="leastCC"), bbox=DEGREES, epsg=4326)
    assert [one["cloudCoverage"] for one in found] == sorted(covers)
    most = sorted(covers)[3]
    clear = heard(api, item(L2A, maxCloudCoverage=most), bbox=DEGREES, epsg=4326)
    assert [one["cloudCoverage"] for one in clear] == [one for one in covers if one <= most]


@pytest.mark.parametrize(
    ("kind", "chosen", "cql"),
    [
        (S1, {"orbitDirection": "ASCENDING"}, "sat:orbit_state = 'ascending'"),
        (S1, {"polarization": "DV"}, "s1:polarization = 'DV'"),
        (S1, {"acquisitionMode": "IW", "resolution": "HIGH"}, "sar:instrument_mode = 'IW'"),
        (S1, {"timeliness": "NRT3h"}, "s1:timeliness = 'NRT3h'"),
        (SLSTR, {"orbitDirection": "DESCENDING"}, "sat:orbit_state = 'descending'"),
        (S5P, {"timeliness": "OFFL"}, "s5p:timeliness = 'OFFL'"),
    ],
)
def test_filters_are_those_of_the_catalogue(
    api: Driver, kind: str, chosen: dict[str, str], cql: str
) -> None:
    span = ("2023-06-01T00:00:00Z", "2023-06-06T00:00:00Z")
    expected = identifiers(listed(api, kind, span, bbox=DEGREES, cql=cql))
    assert told(api, item(kind, span, **chosen)) == expected


def test_a_scene_of_gases_is_that_of_the_product(api: Driver) -> None:
    """One product a request."""
    span = ("2023-06-01T00:00:00Z", "2023-06-06T00:00:00Z")
    of = identifiers(listed(api, S5P, span, bbox=DEGREES, cql="s5p:type = 'NO2'"))
    assert of
    assert told(api, item(S5P, span), bands='["NO2", "dataMask"]') == of
    clouds = identifiers(listed(api, S5P, span, bbox=DEGREES, cql="s5p:type = 'CLOUD'"))
    assert told(api, item(S5P, span), bands='["CLOUD_FRACTION"]') == clouds


def test_one_mosaic_of_gases_is_of_one_day(api: Driver) -> None:
    """Source: page of Sentinel-5P: the last 24 hours before the end of the range."""
    mask = numbers(api, item(S5P, ("2023-06-01T00:00:00Z", "2023-06-06T02:00:00Z")), "dataMask")
    assert mask.all()
    before_noon = ("2023-06-06T02:00:00Z", "2023-06-06T06:00:00Z")
    assert not numbers(api, item(S5P, before_noon), "dataMask").any()


def test_tiers_of_landsat(api: Driver) -> None:
    every = told(api, item(L8))
    assert every
    for tiers in ("TIER_1", "ALL_TIERS", "TIER_1_AND_RT"):
        assert told(api, item(L8, tiers=tiers)) == every


def test_one_mosaic_is_the_first_scene_where_that_reaches(api: Driver) -> None:
    """Source: the page on mosaicking."""
    for order in ("mostRecent", "leastRecent", "leastCC"):
        data = item(L2A, mosaickingOrder=order)
        value, mask = layers(api, data, "B04", "dataMask", count=1)
        single = numbers(api, data, "B04")
        assert mask.any()
        assert np.array_equal(single[mask == 1], value[mask == 1])


def test_one_mosaic_is_filled_from_scenes_behind_the_first(api: Driver) -> None:
    """At the edge of a swath the first scene has only a part."""
    wide = [400_000.0, 5_000_000.0, 700_000.0, 5_300_000.0]
    size = (200, 200)
    newest = numbers(
        api, item(L2A, ("2023-07-31T00:00:00Z", SUMMER[1])), "dataMask", bbox=wide, size=size
    )
    month = numbers(api, item(L2A), "dataMask", bbox=wide, size=size)
    assert 0 < newest.mean() < month.mean() == 1


def test_nothing_was_taken_in_the_future(api: Driver) -> None:
    """Time ends with the clock of the sandbox."""
    newest = heard(api, item(L2A, ("2024-01-01T00:00:00Z", "2090-01-01T00:00:00Z")))[0]
    now = datetime.fromisoformat(api.send("GET", "/_sandbox/instance").json()["now"])
    assert now - timedelta(days=30) < datetime.fromisoformat(newest["date"]) <= now


def test_without_a_time_the_newest_scene_counts(api: Driver) -> None:
    late = item(L2A, ("2015-01-01T00:00:00Z", "2090-01-01T00:00:00Z"))
    assert np.array_equal(numbers(api, item(L2A, None), "B08"), numbers(api, late, "B08"))


def test_many_years_of_a_wide_area_are_refused(api: Driver) -> None:
    """Of samples there is a bound, as all of them are in memory."""
    years = ("2016-01-01T00:00:00Z", "2024-01-01T00:00:00Z")
    text = p.script("return [samples.length];", bands='["VV"]', mosaicking="TILE")
    europe = [0.0, 42.0, 8.0, 50.0]
    error = p.refused(api, p.body([item(S1, years)], text, bbox=europe, epsg=4326, size=(600, 600)))
    assert error["code"] == "RENDERER_EXCEPTION"
    assert "too many scenes" in error["message"]


def test_one_mosaic_of_many_years_asks_for_no_more_scenes_than_it_takes(api: Driver) -> None:
    """The same area and time, of which the newest days are enough."""
    years = ("2016-01-01T00:00:00Z", "2024-01-01T00:00:00Z")
    mask = numbers(
        api, item(S1, years), "dataMask", bbox=[0.0, 42.0, 8.0, 50.0], epsg=4326, size=(600, 600)
    )
    assert mask.all()


def test_elevations_have_no_time(api: Driver) -> None:
    some = numbers(api, item(DEM, None), "DEM")
    assert np.array_equal(some, numbers(api, item(DEM, ("1990-01-01T00:00:00Z",) * 2), "DEM"))
    assert some.any()


def test_collections_without_pixels_are_refused_by_name(api: Driver) -> None:
    text = p.script("return [samples.B01];", bands='["B01"]')
    for kind in ("landsat-8-l1c", "landsat-etm-l1", "landsat-etm-l2", "landsat-tm-l1",
                 "landsat-tm-l2", "landsat-mss-l1", "modis", "hls"):  # fmt: skip
        error = p.refused(api, p.body([item(kind)], text, bbox=PLACE, epsg=UTM, size=SIZE))
        assert kind in error["message"]


@pytest.mark.parametrize("kind", [L2A, S1, L8])
def test_pixels_that_are_too_coarse_are_refused(api: Driver, kind: str) -> None:
    """Source: the message that the service is quoted with."""
    wide = [480_000.0, 5_100_000.0, 486_004.0, 5_106_004.0]
    band = "VV" if kind == S1 else "B04"
    text = p.script(f"return [samples.{band}];", bands=f'["{band}"]')
    error = p.refused(api, p.body([item(kind)], text, bbox=wide, epsg=UTM, size=(4, 4)))
    assert "1501.00 meters per pixel" in error["message"]
    assert f"limit of 1500.00 for {kind}" in error["message"]
    assert numbers(api, item(kind), band, bbox=wide, size=(5, 5)).shape == (5, 5)


@pytest.mark.parametrize("kind", [L2A, S1, L8])
@pytest.mark.parametrize("order", ["mostRecent", "leastRecent"])
def test_scenes_that_cannot_add_to_a_mosaic_are_left_out(kind: str, order: str) -> None:
    """Fewer scenes, and the same pixels."""
    west, south, east, north = 450_000.0, 5_060_000.0, 530_000.0, 5_140_000.0
    grid = Grid(UTM, west, south, east, north, 60, 60)
    band = {S1: "VV", L2A: "sunZenithAngles", L8: "SZA"}[kind]
    area = to_wgs84(box(west, south, east, north), UTM)
    source = open_source(data_of([{"type": kind}])[0], place="", now_ms=ms("2024-01-01"))

    def found(mosaicking: str) -> list[Scene]:
        span = ms("2023-06-01"), ms("2023-08-01")
        return list(source.scenes(Search(area, *span, order=order, mosaicking=mosaicking)))

    few, many = found("SIMPLE"), found("TILE")
    assert {one.id for one in few} < {one.id for one in many}
    reading = Reading(source, {band: source.bands[band].units[0]}, grid, Resampling(), None)
    one, other = (mosaic(reading, scenes) for scenes in (few, many))
    assert one.covered.any()
    assert np.array_equal(one.planes[band], other.planes[band], equal_nan=True)
    assert np.array_equal(one.valid, other.valid)


def test_statistics_of_a_public_collection(api: Driver) -> None:
    """Only intervals with scenes are told, and their numbers are those of the pixels."""
    text = """//VERSION=3
function setup() { return {input: ["B04", "dataMask"], mosaicking: "SIMPLE", output: [
  {id: "default", bands: 1}, {id: "dataMask", bands: 1}]}; }
function evaluatePixel(s) { return {default: [s.B04], dataMask: [s.dataMask]}; }"""
    span = {"from": "2023-06-01T00:00:00Z", "to": "2023-06-11T00:00:00Z"}
    request = {
        "input": {
            "bounds": {"bbox": PLACE, "properties": {"crs": p.EPSG.format(UTM)}},
            "data": [{"type": L2A}],
        },
        "aggregation": {
            "timeRange": span,
            "aggregationInterval": {"of": "P1D"},
            "evalscript": text,
            "width": 8,
            "height": 8,
        },
    }
    told = api.send("POST", "/statistics/v1", json=request).json()["data"]
    days = [one["interval"]["from"] for one in told]
    scenes = heard(api, item(L2A, (span["from"], span["to"])), mosaicking="ORBIT")
    assert days == sorted(one["dateFrom"] for one in scenes)
    for day, one in zip(days, told, strict=True):
        of = (day, f"{day[:10]}T23:59:59Z")
        expected = numbers(api, item(L2A, of), "B04", size=(8, 8)).astype(float)
        mean = one["outputs"]["default"]["bands"]["B0"]["stats"]["mean"]
        assert mean == pytest.approx(expected.mean(), rel=1e-6)
