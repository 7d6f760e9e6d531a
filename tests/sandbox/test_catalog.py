from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .catalogs import ALWAYS, BBOX, CATALOG, DECEMBER, OLD_STYLE, S2, Catalogue
from .support import Driver, sandbox

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def catalogue(api: Driver, tmp_path: Path) -> Catalogue:
    return Catalogue(api, tmp_path)


@pytest.fixture
def stranger(api: Driver) -> Iterator[Driver]:
    """A client of another account."""
    api.configure(clients={"other": {"secret": "other", "account": "other"}})
    driver = Driver(api.app)
    yield driver.login("other", "other")
    driver.close()


def test_landing_and_conformance_ask_for_no_token(tmp_path: Path) -> None:
    with sandbox(tmp_path) as driver:
        open_to_all = Catalogue(driver, tmp_path)
        landing = open_to_all.get().json()
        assert open_to_all.get("/conformance").json()["conformsTo"] == landing["conformsTo"]
        for path in ("/collections", "/search", f"/collections/{S2}", f"/collections/{S2}/items"):
            answer = driver.get(CATALOG + path)
            assert answer.status_code == 401
            assert set(answer.json()) == {"code", "description"}


def test_landing_links_to_what_there_is(catalogue: Catalogue) -> None:
    links = catalogue.get().json()["links"]
    searches = [one for one in links if one["rel"] == "search"]
    assert [(one["method"], one["type"]) for one in searches] == [
        ("GET", "application/geo+json"),
        ("POST", "application/geo+json"),
    ]
    for one in links:
        if one["href"].startswith("http://sandbox") and one["rel"] != "search":
            assert catalogue.api.get(one["href"]).status_code == 200
    assert {"root", "self", "data", "conformance", "child", "service-desc"} <= {
        one["rel"] for one in links
    }


@pytest.mark.parametrize("base", [CATALOG, OLD_STYLE])
def test_links_are_in_the_style_of_the_request(catalogue: Catalogue, base: str) -> None:
    pages = [
        catalogue.get(base=base),
        catalogue.get("/collections", base=base),
        catalogue.get(f"/collections/{S2}", base=base),
        catalogue.get(f"/collections/{S2}/items", base=base, limit=1),
        catalogue.get("/search", base=base, collections=S2, datetime=DECEMBER, limit=1),
        catalogue.post(base=base, collections=[S2], datetime=DECEMBER, limit=1),
    ]
    for page in pages:
        content = page.json()
        inner = [*content.get("collections", []), *content.get("features", [])]
        links = [one for holder in (content, *inner) for one in holder["links"]]
        for one in links:
            if not one["rel"].startswith("service"):
                assert one["href"].startswith(f"http://sandbox{base}"), one


def test_collections_are_the_public_ones_and_the_accounts(
    catalogue: Catalogue, stranger: Driver
) -> None:
    mine = catalogue.collection()
    listed = [one["id"] for one in catalogue.get("/collections").json()["collections"]]
    assert {S2, "sentinel-2-l1c"} < set(listed)
    assert listed[-1] == f"byoc-{mine}"
    others = [one["id"] for one in stranger.get(f"{CATALOG}/collections").json()["collections"]]
    assert others == listed[:-1]


def test_collection_is_the_same_alone_and_in_the_list(catalogue: Catalogue) -> None:
    mine = catalogue.collection()
    for one in catalogue.get("/collections").json()["collections"]:
        assert catalogue.get(f"/collections/{one['id']}").json() == one
    bare = catalogue.get(f"/collections/{mine}")
    assert bare.json()["id"] == f"byoc-{mine}"


def test_collection_tells_its_extent_once_the_metadata_is_refreshed(catalogue: Catalogue) -> None:
    collection, _ = catalogue.days(2)
    catalogue.api.tick(120)
    extent = catalogue.get(f"/collections/byoc-{collection}").json()["extent"]
    assert extent["temporal"]["interval"] == [
        ["2024-05-01T10:00:00.000Z", "2024-05-02T10:00:00.000Z"]
    ]
    west, south, east, north = extent["spatial"]["bbox"][0]
    assert 12 < west < east < 13
    assert 46 < south < north < 47


def test_queryables_are_a_json_schema(catalogue: Catalogue) -> None:
    answer = catalogue.get(f"/collections/{S2}/queryables")
    assert answer.headers["content-type"] == "application/schema+json"
    assert list(answer.json()["properties"]) == ["eo:cloud_cover"]
    mine = catalogue.get(f"/collections/byoc-{catalogue.collection()}/queryables").json()
    assert (mine["properties"], mine["additionalProperties"]) == ({}, False)


@pytest.mark.parametrize("tail", ["", "/queryables", "/items", "/items/any"])
@pytest.mark.parametrize("collection", ["sentinel-9", f"byoc-{UNKNOWN}", UNKNOWN, "byoc-x", "%20"])
def test_unknown_collection_is_a_404(catalogue: Catalogue, collection: str, tail: str) -> None:
    answer = catalogue.get(f"/collections/{collection}{tail}")
    assert answer.status_code == 404
    assert set(answer.json()) == {"code", "description"}


def test_unknown_collection_in_a_search_is_a_400(catalogue: Catalogue) -> None:
    for collection in ("sentinel-9", f"byoc-{UNKNOWN}"):
        assert collection in catalogue.refused(collections=[collection], datetime=ALWAYS)


@pytest.mark.parametrize("settings", [403, 404])
def test_collection_of_somebody_else(catalogue: Catalogue, stranger: Driver, settings: int) -> None:
    mine = catalogue.collection()
    catalogue.api.configure(foreign_objects=settings)
    for tail in ("", "/queryables", "/items", "/items/any"):
        answer = stranger.get(f"{CATALOG}/collections/byoc-{mine}{tail}")
        assert answer.status_code == settings
    body = {"collections": [f"byoc-{mine}"], "datetime": ALWAYS}
    searched = stranger.post(f"{CATALOG}/search", body)
    assert searched.status_code == (403 if settings == 403 else 400)


def test_unknown_item_is_a_404(catalogue: Catalogue) -> None:
    for item in (
        "S2B_MSIL2A_20201229T101329_N0214_R022_T33TUK_20201229T115443",
        "x",
        "a%2Fb",
        "%00",
    ):
        assert catalogue.get(f"/collections/{S2}/items/{item}").status_code == 404
    mine = catalogue.collection()
    assert catalogue.get(f"/collections/byoc-{mine}/items/{UNKNOWN}").status_code == 404


def test_item_alone_is_the_item_of_the_search(catalogue: Catalogue) -> None:
    found = catalogue.search(bbox=BBOX, datetime=DECEMBER, limit=3)["features"]
    for one in found:
        answer = catalogue.get(f"/collections/{S2}/items/{one['id']}")
        assert answer.headers["content-type"] == "application/geo+json"
        assert answer.json() == one


def test_item_of_a_scene(catalogue: Catalogue) -> None:
    one = catalogue.search(bbox=BBOX, datetime=DECEMBER, limit=1)["features"][0]
    assert one["collection"] == S2
    assert one["geometry"]["type"] == "MultiPolygon"
    assert one["geometry"]["crs"]["properties"]["name"] == "urn:ogc:def:crs:OGC::CRS84"
    properties = one["properties"]
    assert 0 <= properties["eo:cloud_cover"] <= 100
    assert properties["proj:epsg"] in range(32601, 32661)
    assert (
        properties["proj:geometry"]["crs"]["properties"]["name"]
        == f"urn:ogc:def:crs:EPSG::{properties['proj:epsg']}"
    )
    assert one["assets"]["data"]["href"].startswith("s3://sentinel-s2-l2a/tiles/")
    assert {one["rel"]: one["type"] for one in one["links"]} == {
        "root": "application/json",
        "self": "application/geo+json",
        "parent": "application/json",
        "collection": "application/json",
    }


def test_items_page_is_the_search_of_the_same(catalogue: Catalogue) -> None:
    collection, _ = catalogue.days(5)
    for name in (f"byoc-{collection}", S2):
        time = "2020-12-10T00:00:00Z/2024-12-30T00:00:00Z"
        page = catalogue.get(
            f"/collections/{name}/items", bbox="12,44,14,48", datetime=time, limit=4
        )
        assert page.headers["content-type"] == "application/geo+json"
        searched = catalogue.search(name, bbox=[12, 44, 14, 48], datetime=time, limit=4)
        assert page.json()["features"] == searched["features"]
        assert page.json()["numberReturned"] == 4


def test_items_without_anything_are_the_newest_ten(catalogue: Catalogue) -> None:
    collection, tiles = catalogue.days(12)
    path = f"/collections/byoc-{collection}/items"
    page = catalogue.get(path).json()
    assert [one["id"] for one in page["features"]] == tiles[:10]
    following = next(one["href"] for one in page["links"] if one["rel"] == "next")
    rest = catalogue.api.get(following).json()
    assert [one["id"] for one in rest["features"]] == tiles[10:]
    assert not any(one["rel"] == "next" for one in rest["links"])
    for wrong in (
        {"limit": 0},
        {"limit": 101},
        {"limit": "x"},
        {"bbox": "1,2,3"},
        {"datetime": "x"},
    ):
        assert catalogue.get(path, **wrong).status_code == 400


def test_methods_that_are_not_served(catalogue: Catalogue) -> None:
    for path in ("", "/search", "/collections", f"/collections/{S2}"):
        answer = catalogue.api.delete(CATALOG + path)
        assert answer.status_code == 405
        assert set(answer.json()) == {"code", "description"}


def test_search_needs_json(catalogue: Catalogue) -> None:
    post = catalogue.api.send
    assert post("POST", f"{CATALOG}/search", content=b"{}").status_code == 415
    headers = {"content-type": "application/json"}
    for content in (b"", b"{", b"[]", b"7", b'{"a": NaN}', b"\xff"):
        answer = post("POST", f"{CATALOG}/search", content=content, headers=headers)
        assert answer.status_code == 400


def test_nothing_is_told_of_the_future(tmp_path: Path) -> None:
    with sandbox(tmp_path) as driver:
        catalogue = Catalogue(driver.login(), tmp_path)
        newest = catalogue.search(bbox=BBOX, datetime="../..", limit=1)["features"][0]
        assert newest["properties"]["datetime"] < "2025-01-01"
        later = catalogue.search(bbox=BBOX, datetime="2030-01-01T00:00:00Z/..")
        assert later["features"] == []
