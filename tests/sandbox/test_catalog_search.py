from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from shapely.geometry import box, shape

from .catalogs import ALWAYS, BBOX, CATALOG, DECEMBER, OLD_STYLE, S2, SUMMER, Catalogue
from .support import Driver

POLYGON = {
    "type": "Polygon",
    "coordinates": [[[13, 45], [14, 45], [14, 46], [13, 46], [13, 45]]],
}


@pytest.fixture
def catalogue(api: Driver, tmp_path: Path) -> Catalogue:
    return Catalogue(api, tmp_path)


# Place.


def test_bbox_is_the_intersects_of_its_polygon(catalogue: Catalogue) -> None:
    by_box = catalogue.ids(bbox=BBOX, datetime=DECEMBER, limit=100)
    assert by_box == catalogue.ids(intersects=POLYGON, datetime=DECEMBER, limit=7)
    assert by_box == catalogue.ids(bbox=[13, 45, -100, 14, 46, 9000], datetime=DECEMBER)
    assert len(by_box) > 20


def test_what_is_found_touches_what_was_asked(catalogue: Catalogue) -> None:
    asked = box(13, 45, 14, 46)
    for one in catalogue.search(bbox=BBOX, datetime=DECEMBER, limit=100)["features"]:
        assert shape(one["geometry"]).intersects(asked)
        assert list(shape(one["geometry"]).bounds) == one["bbox"]


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [13.5, 45.5]},
        {"type": "Point", "coordinates": [13.5, 45.5, 100]},
        {"type": "MultiPoint", "coordinates": [[13.5, 45.5], [13.6, 45.5]]},
        {"type": "LineString", "coordinates": [[13, 45], [14, 46]]},
        {"type": "MultiLineString", "coordinates": [[[13, 45], [14, 46]], [[13, 46], [14, 45]]]},
        {"type": "MultiPolygon", "coordinates": [POLYGON["coordinates"]]},
        {"type": "GeometryCollection", "geometries": [POLYGON]},
        {**POLYGON, "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC::CRS84"}}},
    ],
    ids=lambda geometry: str(geometry["type"]),
)
def test_every_kind_of_geometry_is_taken(catalogue: Catalogue, geometry: Any) -> None:
    found = catalogue.search(intersects=geometry, datetime=DECEMBER, limit=100)["features"]
    assert found
    whole = set(catalogue.ids(bbox=BBOX, datetime=DECEMBER))
    assert {one["id"] for one in found} <= whole


def test_box_across_the_antimeridian(catalogue: Catalogue) -> None:
    west = set(catalogue.ids(bbox=[179, -18, 180, -16], datetime=DECEMBER))
    east = set(catalogue.ids(bbox=[-180, -18, -179, -16], datetime=DECEMBER))
    across = catalogue.ids(bbox=[179, -18, -179, -16], datetime=DECEMBER)
    assert west
    assert east
    assert set(across) == west | east
    for one in catalogue.search(bbox=[179, -18, -179, -16], datetime=DECEMBER, limit=100)[
        "features"
    ]:
        low, _, high, _ = one["bbox"]
        assert -180 <= low <= 180
        if low > high:
            assert len(one["geometry"]["coordinates"]) > 1


def test_tile_across_the_antimeridian_is_cut(catalogue: Catalogue) -> None:
    """RFC 7946: two parts, and a box whose west is beyond its east."""
    collection = catalogue.collection()
    # In zone 60, longitude 180 lies at 815 km where the latitude is 18 degrees.
    tile = catalogue.tile(collection, "a", epsg=32660, west=816_000.0, north=2_000_000.0)
    catalogue.api.tick(10)
    name = f"byoc-{collection}"
    one = catalogue.get(f"/collections/{name}/items/{tile}").json()
    assert one["geometry"]["type"] == "MultiPolygon"
    assert len(one["geometry"]["coordinates"]) == 2
    west, _, east, _ = one["bbox"]
    assert 179 < west < 180
    assert -180 < east < -179
    for bbox in ([179.9, 17, 180, 19], [-180, 17, -179.99, 19], [179, 17, -179, 19]):
        assert catalogue.ids(name, bbox=bbox, datetime=ALWAYS) == [tile]
    assert catalogue.ids(name, bbox=[0, 17, 1, 19], datetime=ALWAYS) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"bbox": [13, 45, 14]},
        {"bbox": [13, 45, 14, 46, 1]},
        {"bbox": [13, 46, 14, 45]},
        {"bbox": [13, 45, 14, 91]},
        {"bbox": [-181, 45, 14, 46]},
        {"bbox": ["13", 45, 14, 46]},
        {"bbox": BBOX, "intersects": POLYGON},
        {"intersects": {"type": "Polygon", "coordinates": []}},
        {"intersects": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1]]]}},
        {"intersects": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1], [1, 0]]]}},
        {
            "intersects": {
                "type": "Polygon",
                "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]],
            }
        },
        {"intersects": {"type": "Polygon", "coordinates": [[[0, 0], [999, 1], [1, 0], [0, 0]]]}},
        {"intersects": {"type": "Point", "coordinates": ["NaN", 1]}},
        {"intersects": {"type": "Point", "coordinates": [1e308, 1]}},
        {"intersects": {"type": "Point", "coordinates": [1]}},
        {"intersects": {"type": "Circle", "coordinates": [1, 1]}},
        {"intersects": {"type": "GeometryCollection", "geometries": []}},
        {"intersects": {"type": "Polygon"}},
        {"intersects": "POINT(1 1)"},
        {"intersects": []},
    ],
    ids=str,
)
def test_wrong_places_are_refused(catalogue: Catalogue, wrong: Any) -> None:
    catalogue.refused(collections=[S2], datetime=DECEMBER, **wrong)


# Time.


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("2024-05-03T10:00:00Z", 1),
        ("2024-05-03T12:00:00+02:00", 1),
        ("2024-05-03T10:00:00.000Z/2024-05-03T10:00:00Z", 1),
        ("2024-05-03t10:00:00z/2024-05-04T09:59:59.999Z", 1),
        ("2024-05-03T10:00:00Z/..", 3),
        ("2024-05-03T10:00:00Z/", 3),
        ("../2024-05-02T10:00:00Z", 2),
        ("/2024-05-02T10:00:00Z", 2),
        ("../..", 5),
        ("2023-01-01T00:00:00Z/2023-12-31T23:59:59Z", 0),
    ],
)
def test_times(catalogue: Catalogue, text: str, count: int) -> None:
    collection, _ = catalogue.days(5)
    assert len(catalogue.ids(f"byoc-{collection}", datetime=text)) == count


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "yesterday",
        "2024-05-03",
        "2024-05-03T10:00:00",
        "2024-05-03T10:00:00Z/2024-05-02T10:00:00Z",
        "2024-05-03T10:00:00Z/2024-05-04T10:00:00Z/2024-05-05T10:00:00Z",
        "2024-13-03T10:00:00Z",
        "2024-05-03T25:00:00Z",
        "0000-01-01T00:00:00Z",
        "NaN/NaN",
        "٢٠٢٤-05-03T10:00:00Z",
    ],
)
def test_wrong_times_are_refused(catalogue: Catalogue, text: str) -> None:
    assert "datetime" in catalogue.refused(collections=[S2], datetime=text)


def test_times_at_the_end_of_the_calendar(catalogue: Catalogue) -> None:
    for text in ("0001-01-01T00:00:00+14:00/..", "../9999-12-31T23:59:59-14:00"):
        assert catalogue.post(collections=[S2], datetime=text, bbox=BBOX).status_code == 200


def test_time_is_needed_unless_items_are_named(catalogue: Catalogue) -> None:
    collection, tiles = catalogue.days(2)
    assert "datetime" in catalogue.refused(collections=[S2])
    assert "datetime" in catalogue.refused(collections=[S2], ids=[])
    assert catalogue.ids(f"byoc-{collection}", ids=[tiles[1]]) == [tiles[1]]


# Identifiers, pages, order.


def test_identifiers_are_found_among_the_rest_of_the_search(catalogue: Catalogue) -> None:
    found = catalogue.search(bbox=BBOX, datetime=DECEMBER, limit=4)["features"]
    ids = [one["id"] for one in found]
    assert catalogue.ids(ids=[*reversed(ids), ids[0], "nothing"]) == ids
    assert catalogue.ids(ids=ids, limit=1) == ids
    assert catalogue.ids(ids=ids, datetime="2019-01-01T00:00:00Z") == []
    assert catalogue.ids(ids=ids, bbox=[0, 0, 1, 1]) == []
    clear = [one["id"] for one in found if one["properties"]["eo:cloud_cover"] < 50]
    assert (
        catalogue.ids(ids=ids, filter="eo:cloud_cover < 50", **{"filter-lang": "cql2-text"})
        == clear
    )
    assert catalogue.refused(collections=[S2], ids=["x"] * 1001)


@pytest.mark.parametrize("limit", [1, 3, 10, 100])
def test_pages_give_every_item_exactly_once(catalogue: Catalogue, limit: int) -> None:
    collection, tiles = catalogue.days(12)
    assert catalogue.ids(f"byoc-{collection}", datetime=ALWAYS, limit=limit) == tiles
    whole = catalogue.ids(bbox=BBOX, datetime=DECEMBER, limit=100)
    assert catalogue.ids(bbox=BBOX, datetime=DECEMBER, limit=limit) == whole
    assert len(set(whole)) == len(whole)


def test_newest_first(catalogue: Catalogue) -> None:
    found = catalogue.search(bbox=BBOX, datetime=DECEMBER, limit=100)["features"]
    order = [one["properties"]["datetime"] for one in found]
    assert order == sorted(order, reverse=True)


def test_offset_without_the_pages_before_is_the_same(catalogue: Catalogue) -> None:
    collection, tiles = catalogue.days(12)
    for offset in (0, 1, 5, 11):
        page = catalogue.search(f"byoc-{collection}", datetime=ALWAYS, limit=4, next=offset)
        assert [one["id"] for one in page["features"]] == tiles[offset : offset + 4]
    beyond = catalogue.search(f"byoc-{collection}", datetime=ALWAYS, next=12)
    assert (beyond["features"], beyond["context"]) == ([], {"limit": 10, "returned": 0})
    whole = catalogue.ids(bbox=BBOX, datetime=DECEMBER)
    page = catalogue.search(bbox=BBOX, datetime=DECEMBER, next=13, limit=2)
    assert [one["id"] for one in page["features"]] == whole[13:15]


def test_pages_survive_what_comes_meanwhile(catalogue: Catalogue) -> None:
    collection, tiles = catalogue.days(6)
    name = f"byoc-{collection}"
    first = catalogue.search(name, datetime=ALWAYS, limit=3)
    catalogue.tile(collection, "new", sensingTime="2024-07-01T00:00:00Z")
    catalogue.api.tick(10)
    rest = catalogue.search(name, datetime=ALWAYS, limit=3, next=first["context"]["next"])
    assert [one["id"] for one in first["features"] + rest["features"]] == tiles


def test_links_of_pages(catalogue: Catalogue) -> None:
    body = {"bbox": BBOX, "datetime": DECEMBER, "limit": 2}
    posted = catalogue.search(**body)
    assert posted["context"] == {"next": 2, "limit": 2, "returned": 2}
    assert posted["links"][0]["rel"] == "self"
    following = posted["links"][1]
    assert following == {
        "rel": "next",
        "href": "http://sandbox/catalog/v1/search",
        "type": "application/geo+json",
        "title": "Next set of results",
        "method": "POST",
        "body": {"next": 2},
        "merge": True,
    }
    query = {"collections": S2, "bbox": "13,45,14,46", "datetime": DECEMBER, "limit": 2}
    got = catalogue.get("/search", base=OLD_STYLE, **query)
    assert got.headers["content-type"] == "application/geo+json"
    second = catalogue.api.get(got.json()["links"][1]["href"]).json()
    merged = catalogue.search(**{**body, **following["body"]})
    assert second["features"][0]["id"] == merged["features"][0]["id"]
    assert second["context"] == merged["context"] == {"next": 4, "limit": 2, "returned": 2}
    assert "next" not in catalogue.search(**{**body, "limit": 100})["context"]


def test_get_says_the_same_as_post(catalogue: Catalogue) -> None:
    collection, tiles = catalogue.days(3)
    pairs: list[tuple[dict[str, str], dict[str, Any]]] = [
        ({"bbox": "13,45,14,46", "limit": "3"}, {"bbox": BBOX, "limit": 3}),
        ({"intersects": json.dumps(POLYGON)}, {"intersects": POLYGON}),
        ({"filter": "eo:cloud_cover>50"}, {"filter": "eo:cloud_cover>50"}),
        ({"fields": "id,-links"}, {"fields": {"include": ["id"], "exclude": ["links"]}}),
        ({"distinct": "date", "next": "2"}, {"distinct": "date", "next": 2}),
    ]
    for query, body in pairs:
        area = {} if "intersects" in query or "bbox" in query else {"bbox": "13,45,14,46"}
        got = catalogue.get("/search", collections=S2, datetime=SUMMER, **area, **query).json()
        box_of = {"bbox": BBOX} if area else {}
        posted = catalogue.search(datetime=SUMMER, **box_of, **body)
        assert got["features"] == posted["features"] != []
        assert got["context"] == posted["context"]
    ids = catalogue.get("/search", collections=f"byoc-{collection}", ids=",".join(tiles[1:]))
    assert [one["id"] for one in ids.json()["features"]] == tiles[1:]


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": 101},
        {"limit": -1},
        {"limit": 1.5},
        {"limit": "ten"},
        {"limit": 10**30},
        {"next": -1},
        {"next": "1"},
        {"next": 10**30},
        {"collections": []},
        {"collections": [S2, "sentinel-2-l1c"]},
        {"collections": S2},
        {"collections": [7]},
        {"ids": "x"},
        {"ids": [1]},
        {"datetime": 5},
        {"distinct": "eo:cloud_cover"},
        {"distinct": "nothing"},
        {"fields": ["id"]},
        {"fields": {"include": "id"}},
    ],
    ids=str,
)
def test_wrong_bodies_are_refused(catalogue: Catalogue, wrong: Any) -> None:
    catalogue.refused(**{"collections": [S2], "datetime": DECEMBER, **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": "0"},
        {"limit": "1_0"},
        {"limit": "９"},
        {"next": "x"},
        {"bbox": "13,45,14,nan"},
        {"bbox": "13,45,14,inf"},
        {"bbox": ""},
        {"intersects": "{"},
        {"intersects": "7"},
        {"collections": ""},
        {"collections": f"{S2},{S2}"},
        {"filter": "{}", "filter_lang": "cql2-json"},
    ],
    ids=str,
)
def test_wrong_queries_are_refused(catalogue: Catalogue, wrong: Any) -> None:
    query = {"collections": S2, "datetime": DECEMBER, **wrong}
    assert catalogue.get("/search", **query).status_code == 400


# Distinct values.


def test_distinct_dates_are_those_of_the_items(catalogue: Catalogue) -> None:
    """Programs in the field read `features` as a list of days."""
    items = catalogue.search(bbox=BBOX, datetime=SUMMER, limit=100)["features"]
    days = list(dict.fromkeys(one["properties"]["datetime"][:10] for one in items))
    page = catalogue.search(bbox=BBOX, datetime=SUMMER, distinct="date", limit=100)
    assert page["features"] == days
    assert page["context"] == {"limit": 100, "returned": len(days)}
    first = catalogue.search(bbox=BBOX, datetime=SUMMER, distinct="date", limit=3)
    second = catalogue.search(bbox=BBOX, datetime=SUMMER, distinct="date", limit=3, next=3)
    assert first["features"] + second["features"] == days[:6]
    clear = catalogue.search(
        bbox=BBOX, datetime=SUMMER, distinct="date", limit=100, filter="eo:cloud_cover < 10"
    )
    assert clear["features"] == list(
        dict.fromkeys(
            one["properties"]["datetime"][:10]
            for one in items
            if one["properties"]["eo:cloud_cover"] < 10
        )
    )


def test_distinct_dates_of_tiles(catalogue: Catalogue) -> None:
    collection, tiles = catalogue.days(3)
    name = f"byoc-{collection}"
    whole = catalogue.search(name, datetime=ALWAYS, distinct="date")
    assert whole["features"] == ["2024-05-03", "2024-05-02", "2024-05-01"]
    some = catalogue.search(name, ids=tiles[:2], distinct="date")
    assert some["features"] == ["2024-05-03", "2024-05-02"]


# What it costs.


@pytest.mark.parametrize(
    ("about", "pu"),
    [
        ({"bbox": BBOX, "datetime": "2020-12-01T00:00:00Z/2020-12-31T23:59:59Z"}, 0.01),
        ({"bbox": BBOX, "datetime": "2020-12-01T00:00:00Z/2021-01-01T00:00:00.001Z"}, 0.02),
        ({"bbox": BBOX, "datetime": "2020-01-01T00:00:00Z/2020-12-31T23:59:59Z"}, 0.12),
        ({"bbox": BBOX, "datetime": "2020-12-29T10:18:19Z"}, 0.01),
        ({"bbox": BBOX, "datetime": "2016-01-01T00:00:00Z/.."}, 0.98),
        ({"bbox": [0, 40, 10, 50], "datetime": DECEMBER}, 0.874),
        ({"datetime": DECEMBER}, 1.0),
        ({"ids": ["x"]}, 0.01),
    ],
    ids=str,
)
def test_price_is_area_by_months(catalogue: Catalogue, about: Any, pu: float) -> None:
    """10 by 10 degrees at these latitudes are 874,000 square kilometres."""
    answer = catalogue.post(collections=[S2], limit=1, **about)
    assert float(answer.headers["x-processingunits-spent"]) == pytest.approx(pu, rel=0.005)
    meter = catalogue.api.get("/_sandbox/meter").json()
    assert meter["pu"] == pytest.approx(pu, rel=0.005)


def test_only_searches_that_succeed_are_charged(catalogue: Catalogue) -> None:
    catalogue.refused(collections=[S2], datetime="x")
    catalogue.get("/collections")
    catalogue.get(f"/collections/{S2}/items", limit=1)
    assert catalogue.api.get("/_sandbox/meter").json()["accounts"] == {}
    catalogue.api.configure(catalog_costs=False)
    answer = catalogue.post(collections=[S2], datetime=DECEMBER, bbox=BBOX)
    assert "x-processingunits-spent" not in answer.headers
    assert catalogue.api.get("/_sandbox/meter").json()["accounts"] == {}


def test_a_search_without_units_is_refused(catalogue: Catalogue) -> None:
    body = {"collections": [S2], "datetime": DECEMBER, "limit": 1}
    assert catalogue.api.post(f"{CATALOG}/search", body).status_code == 200
    catalogue.api.configure(account_pu=catalogue.api.get("/_sandbox/meter").json()["pu"])
    answer = catalogue.api.post(f"{CATALOG}/search", body)
    assert answer.status_code == 403
    assert set(answer.json()) == {"code", "description"}
    assert catalogue.get("/collections")


def test_allowance_of_processing_units_holds_searches_up(catalogue: Catalogue) -> None:
    catalogue.api.configure(pu_per_minute=1.0)
    body = {"collections": [S2], "datetime": DECEMBER, "limit": 1}
    assert catalogue.api.post(f"{CATALOG}/search", body).status_code == 200
    answer = catalogue.api.post(f"{CATALOG}/search", body)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
