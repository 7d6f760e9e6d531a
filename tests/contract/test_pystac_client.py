"""The unmodified pystac-client against the catalogue."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pystac
import pytest
from pystac_client import Client, CollectionClient, ConformanceClasses
from pystac_client.exceptions import APIError

from .catalog_support import TILES, CatalogServer, serving_catalog

BBOX = (13.0, 45.0, 14.0, 46.0)
DECEMBER = "2020-12-10T00:00:00Z/2020-12-30T00:00:00Z"
SUMMER = "2020-07-01T00:00:00Z/2020-07-31T00:00:00Z"
S2 = "sentinel-2-l2a"
AREA = {
    "type": "Polygon",
    "coordinates": [[[13.0, 45.0], [14.0, 45.0], [14.0, 46.0], [13.0, 46.0], [13.0, 45.0]]],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CatalogServer]:
    with serving_catalog(tmp_path_factory.mktemp("catalogue")) as running:
        yield running


@pytest.fixture(scope="module", params=["/catalog/v1", "/api/v1/catalog/1.0.0"])
def stac(server: CatalogServer, request: pytest.FixtureRequest) -> Client:
    """The client; it warns of whatever a server does not conform to, which fails a test here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Client.open(server.base + request.param, headers=server.headers)


def test_root_is_an_api_that_conforms(stac: Client) -> None:
    assert stac.id == "sentinel-hub"
    for conforming in (
        ConformanceClasses.CORE,
        ConformanceClasses.COLLECTIONS,
        ConformanceClasses.FEATURES,
        ConformanceClasses.ITEM_SEARCH,
        ConformanceClasses.FIELDS,
        ConformanceClasses.FILTER,
    ):
        assert stac.conforms_to(conforming)


def test_root_needs_no_token(server: CatalogServer) -> None:
    assert Client.open(server.root).title == "Sentinel Hub STAC catalog"


def test_collections(stac: Client, server: CatalogServer) -> None:
    listed = {collection.id: collection for collection in stac.get_collections()}
    assert {"sentinel-2-l1c", S2, server.collection} <= set(listed)
    assert listed[server.collection].title == "days"
    one = stac.get_collection(S2)
    assert isinstance(one, CollectionClient)
    assert one.extent.spatial.bboxes[0][0] == -180
    assert one.summaries.get_list("constellation") == ["sentinel-2"]
    assert list(one.get_queryables()["properties"]) == ["eo:cloud_cover"]


def test_unknown_collection_is_told(stac: Client) -> None:
    assert stac.get_collection("sentinel-9") is None


def test_items_of_a_collection(stac: Client, server: CatalogServer) -> None:
    one = stac.get_collection(server.collection)
    assert [item.id for item in one.get_items()] == list(reversed(server.tiles))
    newest = server.tiles[-1]
    item = one.get_item(newest)
    assert isinstance(item, pystac.Item)
    assert item.datetime is not None
    assert item.datetime.isoformat() == f"2024-05-{TILES:02d}T10:00:00+00:00"
    assert item.assets["data"].href == f"s3://imagery/{TILES}/(BAND).tiff"
    assert item.collection_id == server.collection
    assert one.get_item("no-such-tile") is None


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("limit", [1, 10, 100])
def test_pages_give_every_item_once(
    stac: Client, server: CatalogServer, method: str, limit: int
) -> None:
    search = stac.search(
        method=method, collections=[server.collection], datetime="2024-05", limit=limit
    )
    assert [item.id for item in search.items()] == list(reversed(server.tiles))
    pages = list(search.pages_as_dicts())
    assert [len(page["features"]) for page in pages][:-1] == [limit] * (len(pages) - 1)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_search_by_place_and_time(stac: Client, method: str) -> None:
    by_box = stac.search(method=method, collections=[S2], bbox=BBOX, datetime=DECEMBER)
    by_shape = stac.search(method=method, collections=[S2], intersects=AREA, datetime=DECEMBER)
    found = [item.id for item in by_box.items()]
    assert len(found) > 20
    assert found == [item.id for item in by_shape.items()]
    assert all(item.datetime is not None for item in by_box.items())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_search_by_ids(stac: Client, server: CatalogServer, method: str) -> None:
    wanted = [server.tiles[3], server.tiles[1]]
    search = stac.search(method=method, collections=[server.collection], ids=wanted)
    assert [item.id for item in search.items()] == wanted


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "given",
    ["eo:cloud_cover < 20", {"op": "<", "args": [{"property": "eo:cloud_cover"}, 20]}],
    ids=["text", "json"],
)
def test_search_by_filter(stac: Client, method: str, given: object) -> None:
    search = stac.search(
        method=method, collections=[S2], bbox=BBOX, datetime=SUMMER, filter=given, limit=7
    )
    everything = stac.search(collections=[S2], bbox=BBOX, datetime=SUMMER)
    clear = [i.id for i in everything.items() if i.properties["eo:cloud_cover"] < 20]
    assert [item.id for item in search.items()] == clear
    assert clear


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_search_with_fields(stac: Client, method: str) -> None:
    search = stac.search(
        method=method,
        collections=[S2],
        bbox=BBOX,
        datetime=DECEMBER,
        fields=["id", "properties.eo:cloud_cover", "-geometry", "-assets"],
        max_items=3,
    )
    found = list(search.items_as_dicts())
    assert len(found) == 3
    assert {name for one in found for name in one} == {"id", "type", "bbox", "links", "properties"}
    assert set(found[0]["properties"]) == {"datetime", "eo:cloud_cover"}


def test_max_items_and_open_intervals(stac: Client, server: CatalogServer) -> None:
    newest = stac.search(collections=[server.collection], datetime="../2024-05-10", max_items=2)
    assert [item.id for item in newest.items()] == [server.tiles[9], server.tiles[8]]
    since = stac.search(collections=[server.collection], datetime="2024-05-20T00:00:00Z/..")
    assert len(since.item_collection()) == TILES - 19


def test_refusals_are_told(stac: Client) -> None:
    with pytest.raises(APIError, match="queryables"):
        list(stac.search(collections=[S2], datetime=DECEMBER, filter="nothing = 1").items())
    with pytest.raises(APIError, match="datetime"):
        list(stac.search(collections=[S2]).items())


def test_items_are_valid_stac(stac: Client, server: CatalogServer) -> None:
    """As far as can be told without the schemas of the web: an item survives a round trip."""
    for collection, time in ((server.collection, "2024-05"), (S2, DECEMBER)):
        for item in stac.search(collections=[collection], datetime=time, max_items=5).items():
            assert item.bbox is not None
            again = pystac.Item.from_dict(item.to_dict(transform_hrefs=False))
            assert again.to_dict(transform_hrefs=False) == item.to_dict(transform_hrefs=False)
            parent = item.get_single_link("collection")
            assert parent is not None
            assert parent.href.startswith(server.base)
