"""The unmodified `sentinelhub` package against the catalogue."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from sentinelhub import CRS, BBox, DataCollection, Geometry, SentinelHubCatalog, SHConfig
from sentinelhub.api.catalog import get_available_timestamps
from sentinelhub.exceptions import DownloadFailedException
from shapely.geometry import box

from tests.support.served import Served

from .catalog_support import TILES, CatalogServer, serving_catalog

BOX = BBox((13, 45, 14, 46), CRS.WGS84)
DECEMBER = ("2020-12-10", "2020-12-30")
SUMMER = ("2020-07-01", "2020-07-31")
S2 = DataCollection.SENTINEL2_L2A


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CatalogServer]:
    with serving_catalog(tmp_path_factory.mktemp("catalogue")) as running:
        yield running


@pytest.fixture
def served(server: CatalogServer) -> Served:
    """The module's sandbox; what is in it stays."""
    return server.served


@pytest.fixture
def catalog(config: SHConfig) -> SentinelHubCatalog:
    return SentinelHubCatalog(config=config)


def test_info_and_conformance(catalog: SentinelHubCatalog) -> None:
    info = catalog.get_info()
    assert info["type"] == "Catalog"
    assert info["stac_version"] == "1.0.0"
    assert info["links"]
    assert catalog.get_conformance()["conformsTo"] == info["conformsTo"]


def test_collections(catalog: SentinelHubCatalog, server: CatalogServer) -> None:
    listed = [collection["id"] for collection in catalog.get_collections()]
    assert "sentinel-2-l1c" in listed
    assert server.collection in listed
    assert catalog.get_collection(S2)["id"] == "sentinel-2-l2a"
    own = DataCollection.define_byoc(server.collection.removeprefix("byoc-"))
    assert catalog.get_collection(own)["id"] == server.collection


def test_feature(catalog: SentinelHubCatalog, server: CatalogServer) -> None:
    own = DataCollection.define_byoc(server.collection.removeprefix("byoc-"))
    feature = catalog.get_feature(own, server.tiles[0])
    assert feature["properties"]["datetime"] == "2024-05-01T10:00:00Z"
    found = next(iter(catalog.search(S2, bbox=BOX, time=DECEMBER, limit=1)))
    assert catalog.get_feature(S2, found["id"]) == found


def test_search_of_the_data_search_tutorial(catalog: SentinelHubCatalog) -> None:
    """A text filter, and fields that bring back less."""
    search = catalog.search(
        S2,
        bbox=BOX,
        time=SUMMER,
        filter="eo:cloud_cover < 5",
        fields={
            "include": ["id", "properties.datetime", "properties.eo:cloud_cover"],
            "exclude": [],
        },
    )
    found = list(search)
    assert found
    assert all(one["properties"]["eo:cloud_cover"] < 5 for one in found)
    assert all(set(one["properties"]) == {"datetime", "eo:cloud_cover"} for one in found)
    stamps = search.get_timestamps()
    assert stamps == sorted(stamps, reverse=True)
    assert len(search.get_ids()) == len(set(search.get_ids())) == len(found)
    assert all(shape.crs is CRS.WGS84 for shape in search.get_geometries())


def test_json_filter_finds_the_same(catalog: SentinelHubCatalog) -> None:
    by_text = catalog.search(S2, bbox=BOX, time=SUMMER, filter="eo:cloud_cover BETWEEN 5 AND 95")
    by_json = catalog.search(
        S2,
        bbox=BOX,
        time=SUMMER,
        filter={"op": "between", "args": [{"property": "eo:cloud_cover"}, 5, 95]},
        filter_lang="cql2-json",
        filter_crs="http://www.opengis.net/def/crs/OGC/1.3/CRS84",
    )
    assert by_text.get_ids() == by_json.get_ids() != []


@pytest.mark.filterwarnings("ignore:The 'shapely.ops.transform:DeprecationWarning")
def test_geometry_in_another_crs(catalog: SentinelHubCatalog) -> None:
    shape = Geometry(box(500_000, 5_000_000, 510_000, 5_010_000), CRS.UTM_33N)
    found = list(catalog.search(S2, geometry=shape, time=DECEMBER))
    lonlat = shape.transform(CRS.WGS84).geometry
    assert found
    for one in found:
        assert Geometry.from_geojson(one["geometry"]).geometry.intersects(lonlat)


@pytest.mark.parametrize("limit", [1, 5, 100])
def test_pages_are_followed(catalog: SentinelHubCatalog, server: CatalogServer, limit: int) -> None:
    own = DataCollection.define_byoc(server.collection.removeprefix("byoc-"))
    search = catalog.search(own, time=("2024-05-01", "2024-05-31"), limit=limit)
    assert search.get_ids() == list(reversed(server.tiles))


def test_open_times(catalog: SentinelHubCatalog, server: CatalogServer) -> None:
    assert len(list(catalog.search(server.collection, time=(None, None)))) == TILES
    assert len(list(catalog.search(server.collection, time=("2024-05-20", None)))) == TILES - 19
    assert len(list(catalog.search(server.collection, time="2024-05-07"))) == 1


def test_ids_need_no_time(catalog: SentinelHubCatalog, server: CatalogServer) -> None:
    wanted = [server.tiles[5], server.tiles[2]]
    assert catalog.search(server.collection, ids=wanted).get_ids() == wanted


def test_distinct_dates(catalog: SentinelHubCatalog) -> None:
    dates = list(catalog.search(S2, bbox=BOX, time=DECEMBER, distinct="date", limit=3))
    days = {
        stamp.date().isoformat()
        for stamp in catalog.search(S2, bbox=BOX, time=DECEMBER).get_timestamps()
    }
    assert sorted(dates) == sorted(days)


def test_available_timestamps(config: SHConfig) -> None:
    """With a collection of this deployment, as users must define it."""
    local = S2.define_from("S2L2A_OF_THE_SANDBOX", service_url=config.sh_base_url)
    day = dt.timedelta(days=1)
    found = get_available_timestamps(
        BOX, SUMMER, local, time_difference=day, maxcc=0.5, config=config
    )
    everything = get_available_timestamps(BOX, SUMMER, local, config=config)
    assert set(found) < set(everything)
    assert all(later - earlier > day for earlier, later in zip(found, found[1:], strict=False))


def test_refusals_reach_the_user(catalog: SentinelHubCatalog) -> None:
    with pytest.raises(DownloadFailedException) as caught:
        list(catalog.search("sentinel-9", bbox=BOX, time=DECEMBER))
    answer = caught.value.request_exception.response
    assert answer is not None
    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "description"}


def test_filters_of_predefined_collections(catalog: SentinelHubCatalog) -> None:
    """The package turns swath mode, polarization, resolution and orbit into filters of its own."""
    ascending = list(catalog.search(DataCollection.SENTINEL1_IW_ASC, bbox=BOX, time=DECEMBER))
    descending = list(catalog.search(DataCollection.SENTINEL1_IW_DES, bbox=BOX, time=DECEMBER))
    both = catalog.search(DataCollection.SENTINEL1_IW, bbox=BOX, time=DECEMBER).get_ids()
    assert {one["properties"]["sat:orbit_state"] for one in ascending} == {"ascending"}
    assert {one["properties"]["sat:orbit_state"] for one in descending} == {"descending"}
    assert sorted(one["id"] for one in ascending + descending) == sorted(both)


@pytest.mark.parametrize(
    "collection",
    [
        DataCollection.SENTINEL2_L1C,
        DataCollection.LANDSAT_OT_L2,
        DataCollection.SENTINEL3_OLCI,
        DataCollection.SENTINEL3_SLSTR,
        DataCollection.SENTINEL5P,
    ],
    ids=lambda collection: collection.name,
)
def test_other_public_collections(catalog: SentinelHubCatalog, collection: DataCollection) -> None:
    found = list(catalog.search(collection, bbox=BOX, time=DECEMBER, limit=50))
    assert found
    assert {one["collection"] for one in found} == {collection.catalog_id}
    assert all(one["properties"]["datetime"].startswith("2020-12-") for one in found)
