"""`SentinelHubBYOC` of the unmodified `sentinelhub` package: every method, every form of argument."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sentinelhub import CRS, DataCollection, Geometry, SentinelHubBYOC, SHConfig
from sentinelhub.api.byoc import (
    ByocCollection,
    ByocCollectionAdditionalData,
    ByocCollectionBand,
    ByocTile,
)
from sentinelhub.exceptions import DownloadFailedException
from shapely.geometry import MultiPolygon, box

from tests.sandbox.support import write_cog
from tests.support.served import Served

UTM_BOX = box(500_000, 5_198_000, 502_000, 5_200_000)
READ_ONLY = ("id", "created", "isConfigured", "requiresMetadataUpdate")


@pytest.fixture
def byoc(config: SHConfig) -> SentinelHubBYOC:
    return SentinelHubBYOC(config=config)


@pytest.fixture
def imagery(server: Served) -> str:
    """A bucket with two folders of a band each."""
    for folder in ("a", "b"):
        write_cog(server.data / f"buckets/imagery/{folder}/B04.tiff")
    return "imagery"


def status(ask: Any) -> int:
    with pytest.raises(DownloadFailedException) as caught:
        ask()
    return int(caught.value.request_exception.response.status_code)


def make(byoc: SentinelHubBYOC, name: str = "fields", **more: Any) -> dict[str, Any]:
    return byoc.create_collection({"name": name, "s3Bucket": "imagery", **more})


def ingested(byoc: SentinelHubBYOC, served: Served, path: str = "a") -> tuple[dict, dict]:
    collection = make(byoc)
    tile = byoc.create_tile(collection, {"path": path, "sensingTime": "2024-05-01T10:00:00Z"})
    served.tick(10)
    return collection, byoc.get_tile(collection, tile)


# Collections.


def test_a_bare_dataclass_makes_a_collection(byoc: SentinelHubBYOC) -> None:
    """It sends explicit nulls for all it does not know, and a member `otherData`."""
    sent = ByocCollection("bare", "imagery", additional_data=None)
    assert sent.to_dict()["noData"] is None
    made = byoc.create_collection(sent)
    assert (made["name"], made["s3Bucket"]) == ("bare", "imagery")
    assert not made["isConfigured"]
    read = ByocCollection.from_dict(byoc.get_collection(made))
    assert isinstance(read.created, datetime)
    assert read.created.tzinfo is not None
    assert read.collection_id == made["id"]
    assert "otherData" not in made
    assert None not in made.values()


def test_bands_of_a_dataclass(byoc: SentinelHubBYOC) -> None:
    bands = {
        "B04": ByocCollectionBand(source="B04", band_index=1, bit_depth=16),
        "temperature": ByocCollectionBand(
            source="t", band_index=2, bit_depth=32, sample_format="FLOAT", no_data=-1.5
        ),
        "plain": ByocCollectionBand(source="plain"),
    }
    sent = ByocCollection("bands", "imagery", ByocCollectionAdditionalData(bands=bands))
    read = ByocCollection.from_dict(byoc.get_collection(byoc.create_collection(sent)))
    assert read.additional_data is not None
    found = read.additional_data.bands
    assert found is not None
    assert list(found) == list(bands)
    assert (found["temperature"].no_data, found["temperature"].band_index) == (-1.5, 2)
    assert (found["plain"].band_index, found["plain"].bit_depth) == (1, 8)
    assert read.to_data_collection() == DataCollection.define_byoc(
        read.collection_id, bands=tuple(bands)
    )


@pytest.mark.parametrize(
    "spelled",
    [
        lambda made: made,
        lambda made: made["id"],
        lambda made: made["id"].upper(),
        ByocCollection.from_dict,
        lambda made: DataCollection.define_byoc(made["id"]),
    ],
    ids=["dict", "id", "capital", "dataclass", "data-collection"],
)
def test_a_collection_is_named_in_any_way(byoc: SentinelHubBYOC, spelled: Any) -> None:
    made = make(byoc)
    assert byoc.get_collection(spelled(made)) == made
    assert list(byoc.iter_tiles(spelled(made))) == []
    assert byoc.delete_collection(spelled(made)) == ""
    assert status(lambda: byoc.get_collection(made)) == 404


def test_collections_are_listed_and_searched(byoc: SentinelHubBYOC) -> None:
    made = [make(byoc, name)["id"] for name in ("red fields", "blue fields", "red roofs", "x")]
    assert sorted(one["id"] for one in byoc.iter_collections()) == sorted(made)
    assert sorted(one["id"] for one in byoc.iter_collections(count=1)) == sorted(made)

    def found(search: str) -> set[str]:
        return {one["name"] for one in byoc.iter_collections(search=search)}

    assert found("red") == {"red fields", "red roofs"}
    assert found("red&fields") == {"red fields"}
    assert found("blue|roofs") == {"blue fields", "red roofs"}
    assert found("nothing") == set()


def test_an_update_sends_the_whole_object(byoc: SentinelHubBYOC) -> None:
    made = make(byoc, additionalData={"bands": {"B": {
        "source": "B", "bandIndex": 1, "bitDepth": 8, "sampleFormat": "UINT"}}})  # fmt: skip
    whole = byoc.get_collection(made)
    assert byoc.update_collection({**whole, "name": "renamed", "noData": 7}) == ""
    again = byoc.get_collection(made)
    assert (again["name"], again["noData"]) == ("renamed", 7)
    assert {name: again[name] for name in READ_ONLY} == {name: whole[name] for name in READ_ONLY}
    assert again["additionalData"] == whole["additionalData"]
    # Without bands they stay, without a no-data value it goes.
    byoc.update_collection({"id": made["id"], "name": "bare", "s3Bucket": "imagery"})
    bare = byoc.get_collection(made)
    assert bare["additionalData"] == whole["additionalData"]
    assert "noData" not in bare


def test_an_update_by_dataclass(byoc: SentinelHubBYOC) -> None:
    read = ByocCollection.from_dict(byoc.create_collection(ByocCollection("a", "imagery", None)))
    read.name, read.no_data, read.s3_bucket = "b", 0, "other"
    read.additional_data = ByocCollectionAdditionalData(
        bands={"B04": ByocCollectionBand(source="B04", band_index=1, bit_depth=16)}
    )
    assert byoc.update_collection(read) == ""
    again = ByocCollection.from_dict(byoc.get_collection(read))
    assert (again.name, again.no_data, again.s3_bucket) == ("b", 0, "other")
    assert again.created == read.created


def test_wrong_collections_are_refused(byoc: SentinelHubBYOC) -> None:
    both = {"bands": {"B": {"source": "B", "bandIndex": 1, "bitDepth": 8,
                            "sampleFormat": "UINT", "noData": 1}}}  # fmt: skip
    assert status(lambda: make(byoc, noData=0, additionalData=both)) == 400
    assert status(lambda: byoc.create_collection({"name": "no bucket"})) == 400
    assert status(lambda: make(byoc, name=7)) == 400
    gone = {"id": "00000000-0000-4000-8000-000000000000", "name": "x", "s3Bucket": "y"}
    assert status(lambda: byoc.update_collection(gone)) == 404
    assert status(lambda: byoc.delete_collection(gone)) == 404
    assert list(byoc.iter_collections()) == []


# Tiles.


@pytest.mark.usefixtures("imagery")
def test_a_tile_becomes_ingested(byoc: SentinelHubBYOC, served: Served) -> None:
    collection = make(byoc)
    sensed = datetime(2024, 5, 1, 10, 30)
    sent = ByocTile("a", sensing_time=sensed, cover_geometry=Geometry(UTM_BOX, CRS.UTM_33N))
    created = byoc.create_tile(collection, sent)
    assert (created["status"], created["path"]) == ("WAITING", "a")
    assert created["sensingTime"].startswith("2024-05-01T10:30:00")
    seen = set()
    for _ in range(12):
        seen.add(byoc.get_tile(collection, created)["status"])
        served.tick(0.5)
    assert seen == {"WAITING", "QUEUED", "INGESTING", "INGESTED"}
    tile = ByocTile.from_dict(byoc.get_tile(collection, created))
    assert (tile.status, tile.path) == ("INGESTED", "a/(BAND).tiff")
    assert tile.sensing_time == sensed.replace(tzinfo=UTC)
    assert tile.ingestion_start is not None
    assert tile.created is not None
    assert tile.cover_geometry is not None
    assert tile.cover_geometry.crs is CRS.UTM_33N
    assert tile.cover_geometry.geometry.equals_exact(UTM_BOX, tolerance=0.01)
    assert tile.tile_geometry is not None
    assert tile.tile_geometry.crs is CRS.UTM_33N
    configured = ByocCollection.from_dict(byoc.get_collection(collection))
    assert configured.additional_data is not None
    assert list(configured.additional_data.bands or {}) == ["B04"]
    assert byoc.get_collection(collection)["requiresMetadataUpdate"]
    served.tick(61)
    refreshed = byoc.get_collection(collection)
    assert not refreshed["requiresMetadataUpdate"]
    extra = refreshed["additionalData"]
    assert (extra["hasSensingTimes"], extra["fromSensingTime"]) == ("YES", extra["toSensingTime"])
    assert extra["maxMetersPerPixel"] > 0
    assert extra["extent"]["type"] == "Polygon"


# The client projects with a function that shapely is about to drop.
@pytest.mark.filterwarnings("ignore:The 'shapely.ops.transform:DeprecationWarning")
@pytest.mark.usefixtures("imagery")
@pytest.mark.parametrize(
    ("shape", "crs"),
    [
        (box(15.001, 46.93, 15.02, 46.94), CRS.WGS84),
        (box(1_670_000, 5_930_000, 1_671_000, 5_931_000), CRS.POP_WEB),
        (MultiPolygon([UTM_BOX, box(500_000, 5_197_000, 501_000, 5_197_500)]), CRS.UTM_33N),
    ],
    ids=["wgs84", "mercator", "multi"],
)
def test_cover_geometries_come_back_in_the_crs_of_the_tile(
    byoc: SentinelHubBYOC, served: Served, shape: Any, crs: CRS
) -> None:
    """WGS84 is sent as `urn:ogc:def:crs:EPSG::4326`, longitude first."""
    collection = make(byoc)
    sent = Geometry(shape, crs)
    made = byoc.create_tile(collection, ByocTile("a", cover_geometry=sent))
    served.tick(10)
    tile = ByocTile.from_dict(byoc.get_tile(collection, made))
    assert tile.cover_geometry is not None
    assert tile.cover_geometry.crs is CRS.UTM_33N
    back = tile.cover_geometry.transform(crs).geometry
    assert back.symmetric_difference(shape).area < 1e-3 * shape.area


@pytest.mark.usefixtures("imagery")
def test_tiles_as_dictionaries(byoc: SentinelHubBYOC, served: Served) -> None:
    collection, tile = ingested(byoc, served, "a/(BAND).tiff")
    assert tile["path"] == "a/(BAND).tiff"
    assert byoc.get_tile(collection["id"], tile["id"]) == tile
    assert byoc.get_tile(collection, ByocTile.from_dict(tile)) == tile
    assert byoc.delete_tile(collection, tile["id"]) == ""
    assert status(lambda: byoc.get_tile(collection, tile)) == 404
    assert status(lambda: byoc.delete_tile(collection, tile)) == 404


def test_a_tile_that_cannot_be_ingested_says_why(byoc: SentinelHubBYOC, served: Served) -> None:
    collection = make(byoc)
    made = byoc.create_tile(collection, ByocTile("nothing/here"))
    served.tick(10)
    tile = ByocTile.from_dict(byoc.get_tile(collection, made))
    assert (tile.status, tile.path) == ("FAILED", "nothing/here")
    assert tile.additional_data is not None
    assert tile.additional_data["failedIngestionCause"]
    assert status(lambda: byoc.create_tile(collection, ByocTile("nothing/here"))) == 409


@pytest.mark.usefixtures("imagery")
def test_lists_of_tiles_are_filtered_and_sorted(byoc: SentinelHubBYOC, served: Served) -> None:
    collection = make(byoc)
    for path in ("b", "missing", "a"):
        byoc.create_tile(collection, ByocTile(path))
        served.tick(0.1)

    def paths(**query: Any) -> list[str]:
        return [tile["path"] for tile in byoc.iter_tiles(collection, **query)]

    assert paths() == paths(sort="created:asc") == ["b", "missing", "a"]
    assert paths(sort="created:desc", count=1) == ["a", "missing", "b"]
    assert paths(path="a") == ["a"]
    assert paths(status="WAITING", count=2) == ["b", "missing", "a"]
    served.tick(10)
    assert paths(path="a") == []
    assert paths(path="a/(BAND).tiff") == ["a/(BAND).tiff"]
    assert paths(status="FAILED") == ["missing"]
    assert paths(status="INGESTED") == ["b/(BAND).tiff", "a/(BAND).tiff"]
    assert status(lambda: paths(sort="path")) == 400
    assert status(lambda: paths(status="LOST")) == 400
    assert status(lambda: list(byoc.iter_tiles("no-such"))) == 404


@pytest.mark.usefixtures("imagery")
def test_an_update_of_a_tile(byoc: SentinelHubBYOC, served: Served) -> None:
    collection, made = ingested(byoc, served)
    tile = ByocTile.from_dict(made)
    tile.sensing_time = datetime(2024, 6, 1, tzinfo=UTC)
    tile.cover_geometry = Geometry(UTM_BOX.buffer(-100), CRS.UTM_33N)
    assert byoc.update_tile(collection, tile) == ""
    again = byoc.get_tile(collection, tile)
    assert again["sensingTime"] == "2024-06-01T00:00:00.000Z"
    assert again["path"] == "a/(BAND).tiff"
    assert again["coverGeometry"] != made["coverGeometry"]
    # An omitted cover geometry is reset to the bounding box of the tile.
    byoc.update_tile(collection, {"id": made["id"], "path": made["path"]})
    reset = byoc.get_tile(collection, tile)
    assert reset["coverGeometry"]["coordinates"] == reset["tileGeometry"]["coordinates"]


@pytest.mark.usefixtures("imagery")
def test_reingestion(byoc: SentinelHubBYOC, served: Served) -> None:
    collection, tile = ingested(byoc, served)
    assert byoc.reingest_tile(collection, tile) == ""
    assert byoc.get_tile(collection, tile)["status"] == "WAITING"
    assert status(lambda: byoc.reingest_tile(collection, tile)) == 400
    served.tick(10)
    assert byoc.get_tile(collection, tile)["status"] == "INGESTED"


@pytest.mark.usefixtures("imagery")
def test_copies_of_tiles(byoc: SentinelHubBYOC, served: Served) -> None:
    source, _ = ingested(byoc, served)
    byoc.create_tile(source, ByocTile("missing"))
    byoc.create_tile(source, ByocTile("b"))
    served.tick(10)
    target = make(byoc, "copy")
    assert byoc.copy_tiles(source, target["id"]) == ""
    copied = list(byoc.iter_tiles(target))
    assert [tile["path"] for tile in copied] == ["a/(BAND).tiff", "b/(BAND).tiff"]
    assert {tile["status"] for tile in copied} == {"INGESTED"}
    assert byoc.copy_tiles(ByocCollection.from_dict(source), target) == ""
    assert list(byoc.iter_tiles(target)) == copied
    assert status(lambda: byoc.copy_tiles(source, "no-such")) == 404


@pytest.mark.parametrize("path", ["/a", "a/", "a//b", "", "/"])
def test_paths_that_cannot_be(byoc: SentinelHubBYOC, path: str) -> None:
    collection = make(byoc)
    assert status(lambda: byoc.create_tile(collection, {"path": path})) == 400


@pytest.mark.usefixtures("imagery")
def test_many_tiles_come_page_by_page(byoc: SentinelHubBYOC, served: Served) -> None:
    collection, like = ingested(byoc, served)
    made = [f"t/{number}" for number in range(250)]
    served.control("populate", {"collection": collection["id"], "like": like["id"], "paths": made})
    assert [tile["path"] for tile in byoc.iter_tiles(collection)] == [like["path"], *made]
    pages = [one for one in served.requests("viewtoken=") if one["method"] == "GET"]
    assert len(pages) == 2
