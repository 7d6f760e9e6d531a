from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shapely.geometry import box, shape

from shplan.sandbox import sensed_tiles
from shplan.sandbox.store import FILE_NAME
from tests.support.bounded import bounded

from .catalogs import ALWAYS, CATALOG, S2, Catalogue
from .support import COLLECTIONS, Driver, sandbox


@pytest.fixture
def catalogue(api: Driver, tmp_path: Path) -> Catalogue:
    return Catalogue(api, tmp_path)


def listed(catalogue: Catalogue, collection: str) -> list[str]:
    return catalogue.ids(f"byoc-{collection}", datetime=ALWAYS)


def test_tile_is_an_item_as_soon_as_it_is_ingested(catalogue: Catalogue) -> None:
    collection = catalogue.collection()
    tile = catalogue.tile(collection, "a", sensingTime="2024-05-01T10:00:00.5Z")
    path = f"/collections/byoc-{collection}/items/{tile}"
    for seconds in (0, 3):
        catalogue.api.tick(seconds)
        assert listed(catalogue, collection) == []
        assert catalogue.get(path).status_code == 404
    catalogue.api.tick(1)
    assert listed(catalogue, collection) == [tile]
    item = catalogue.get(path).json()
    assert item["properties"]["datetime"] == "2024-05-01T10:00:00.500Z"
    assert item["properties"]["proj:epsg"] == 32633
    assert item["properties"]["proj:bbox"] == [500_000, 5_197_440, 502_560, 5_200_000]
    assert item["assets"]["data"]["href"] == "s3://imagery/a/(BAND).tiff"
    stored = catalogue.api.read(collection, tile)["coverGeometry"]
    shown = item["properties"]["proj:geometry"]
    assert shape(shown).equals_exact(
        shape({"type": "MultiPolygon", "coordinates": [stored["coordinates"]]}), 1e-6
    )


def test_tile_that_fails_is_none(catalogue: Catalogue) -> None:
    collection = catalogue.collection()
    catalogue.api.tile(collection, "nothing/there", sensingTime="2024-05-01T10:00:00Z")
    catalogue.api.tick(10)
    assert listed(catalogue, collection) == []


def test_changes_of_a_tile_are_seen_at_once(catalogue: Catalogue) -> None:
    collection, (third, second, first) = catalogue.days(3)
    tiles = f"{COLLECTIONS}/{collection}/tiles"
    catalogue.api.put(f"{tiles}/{first}", {"path": "1", "sensingTime": "2025-01-01T00:00:00Z"})
    assert listed(catalogue, collection) == [first, third, second]
    catalogue.api.post(f"{tiles}/{third}/reingest")
    assert listed(catalogue, collection) == [first, second]
    catalogue.api.tick(10)
    assert listed(catalogue, collection) == [first, third, second]
    catalogue.api.delete(f"{tiles}/{second}")
    assert listed(catalogue, collection) == [first, third]
    other = catalogue.collection()
    catalogue.api.post(f"{COLLECTIONS}/{collection}/copyTiles?toCollection={other}")
    catalogue.api.tick(10)
    assert len(listed(catalogue, other)) == 2
    catalogue.api.delete(f"{COLLECTIONS}/{collection}")
    assert catalogue.get(f"/collections/byoc-{collection}/items").status_code == 404
    assert len(listed(catalogue, other)) == 2
    catalogue.api.post("/_sandbox/reset")


def test_cover_geometry_is_the_geometry(catalogue: Catalogue) -> None:
    collection = catalogue.collection()
    cover = {
        "type": "Polygon",
        "coordinates": [[[15.0, 46.94], [15.01, 46.94], [15.01, 46.95], [15.0, 46.94]]],
    }
    tile = catalogue.tile(collection, "a", coverGeometry=cover)
    catalogue.api.tick(10)
    name = f"byoc-{collection}"
    item = catalogue.search(name, datetime=ALWAYS)["features"][0]
    assert shape(item["geometry"]).equals(shape(cover))
    assert item["bbox"] == [15.0, 46.94, 15.01, 46.95]
    # A box in the corner that the triangle leaves out: within the box of the tile, not its cover.
    assert catalogue.ids(name, bbox=[15.001, 46.948, 15.002, 46.949], datetime=ALWAYS) == []
    assert catalogue.ids(name, bbox=[15.008, 46.941, 15.02, 46.942], datetime=ALWAYS) == [tile]


def test_tile_without_time_belongs_to_every_time_and_comes_last(catalogue: Catalogue) -> None:
    collection, tiles = catalogue.days(3)
    timeless = [catalogue.tile(collection, name) for name in ("u", "v")]
    catalogue.api.tick(10)
    name = f"byoc-{collection}"
    assert listed(catalogue, collection) == [*tiles, *timeless[::-1]]
    for limit in (1, 2, 4):
        assert catalogue.ids(name, datetime=ALWAYS, limit=limit) == [*tiles, *timeless[::-1]]
    for offset in range(6):
        page = catalogue.search(name, datetime=ALWAYS, limit=1, next=offset)["features"]
        assert [one["id"] for one in page] == [*tiles, *timeless[::-1]][offset : offset + 1]
    may_2 = catalogue.ids(name, datetime="2024-05-02T00:00:00Z/2024-05-02T23:59:59Z")
    assert may_2 == [tiles[1], *timeless[::-1]]
    properties = catalogue.get(f"/collections/{name}/items/{timeless[0]}").json()["properties"]
    assert properties["datetime"] is None
    assert properties["start_datetime"] < properties["end_datetime"]
    dates = catalogue.search(name, datetime=ALWAYS, distinct="date")
    assert dates["features"] == ["2024-05-03", "2024-05-02", "2024-05-01"]


def test_places_of_tiles(catalogue: Catalogue) -> None:
    collection, tiles = catalogue.days(6)
    name = f"byoc-{collection}"
    shapes = {
        one["id"]: shape(one["geometry"])
        for one in catalogue.search(name, datetime=ALWAYS)["features"]
    }
    for asked in ((12.4, 46.8, 12.6, 47), (12.5, 46.9, 12.7, 46.95), (12.5, 46.0, 13, 46.1)):
        expected = [tile for tile in tiles if shapes[tile].intersects(box(*asked))]
        for limit in (1, 2, 100):
            found = catalogue.ids(name, bbox=list(asked), datetime=ALWAYS, limit=limit)
            assert found == expected
        for offset in range(len(expected) + 1):
            page = catalogue.search(name, bbox=list(asked), datetime=ALWAYS, limit=1, next=offset)
            assert [one["id"] for one in page["features"]] == expected[offset : offset + 1]


def test_tiles_have_no_queryables(catalogue: Catalogue) -> None:
    name = f"byoc-{catalogue.collection()}"
    told = catalogue.refused(collections=[name], datetime=ALWAYS, filter="eo:cloud_cover < 5")
    assert "none" in told


def test_bare_identifier_is_taken_as_well(catalogue: Catalogue) -> None:
    collection, tiles = catalogue.days(2)
    for name in (collection, collection.upper(), f"byoc-{collection}"):
        found = catalogue.search(name, datetime=ALWAYS)["features"]
        assert [one["id"] for one in found] == tiles
        assert found[0]["collection"] == f"byoc-{collection}"


def test_awkward_paths_make_valid_addresses(catalogue: Catalogue) -> None:
    collection = catalogue.collection()
    catalogue.tile(collection, "ä b/#1?/100%")
    catalogue.api.tick(10)
    item = catalogue.search(f"byoc-{collection}", datetime=ALWAYS)["features"][0]
    href = item["assets"]["data"]["href"]
    assert href == "s3://imagery/%C3%A4%20b/%231%3F/100%25/(BAND).tiff"


def test_directory_without_the_order_gets_it(tmp_path: Path) -> None:
    """What was ingested before the sandbox had a catalogue is in it."""
    with sandbox(tmp_path) as driver:
        catalogue = Catalogue(driver.login(), tmp_path)
        collection, tiles = catalogue.days(3)
        timeless = catalogue.tile(collection, "u")
        driver.tick(10)
        assert listed(catalogue, collection) == [*tiles, timeless]
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("drop table sensed_tiles")
    connection.execute("pragma user_version = 1")
    connection.commit()
    connection.close()
    with sandbox(tmp_path) as driver:
        catalogue = Catalogue(driver.login(), tmp_path)
        assert listed(catalogue, collection) == [*tiles, timeless]
        name = f"byoc-{collection}"
        assert catalogue.ids(name, bbox=[12, 46, 16, 48], datetime=ALWAYS) == [*tiles, timeless]
        assert catalogue.ids(name, bbox=[0, 46, 1, 48], datetime=ALWAYS) == []
        driver.delete(f"{COLLECTIONS}/{collection}/tiles/{tiles[0]}")
        assert listed(catalogue, collection) == [*tiles[1:], timeless]


def test_pages_of_many_tiles_cost_the_same_at_any_depth(catalogue: Catalogue) -> None:
    """Each page is one range of one key: what SQLite does for it does not grow with the offset."""
    collection, tiles = catalogue.days(1)
    paths = [f"p/{number}" for number in range(3000)]
    body = {"collection": collection, "like": tiles[0], "paths": paths}
    assert catalogue.api.post("/_sandbox/populate", body).status_code == 200
    store = catalogue.api.app.state.world.store
    steps: list[int] = []
    name = f"byoc-{collection}"
    asked: dict[str, Any] = {"datetime": ALWAYS, "limit": 100}
    seen: list[str] = []
    while True:
        ticks = [0]

        def tick(count: list[int] = ticks) -> int:
            count[0] += 1
            return 0

        store._connection.set_progress_handler(tick, 100)
        page = catalogue.search(name, **asked)
        store._connection.set_progress_handler(None, 0)
        steps.append(ticks[0])
        seen += [one["id"] for one in page["features"]]
        if "next" not in page["context"]:
            break
        asked["next"] = page["context"]["next"]
    assert len(seen) == len(set(seen)) == 3001
    assert max(steps[1:-1]) < 2 * min(steps[1:-1])


def test_narrow_search_among_many_opens_few_tiles(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that runs past thousands of boxes is compared with boxes, not with tiles."""
    collection, tiles = catalogue.days(2)
    paths = [f"p/{number}" for number in range(2000)]
    body = {"collection": collection, "like": tiles[1], "paths": paths}
    assert catalogue.api.post("/_sandbox/populate", body).status_code == 200
    east = catalogue.search(f"byoc-{collection}", ids=[tiles[0]])["features"][0]["bbox"]
    line = {"type": "LineString", "coordinates": [[east[2], 40], [east[2], 50]]}
    opened: list[str] = []
    inner = sensed_tiles.listed

    def counted(*args: Any, **options: Any) -> Any:
        for row in inner(*args, **options):
            opened.append(str(row["seq"]))
            yield row

    monkeypatch.setattr(sensed_tiles, "listed", counted)
    found = catalogue.ids(f"byoc-{collection}", intersects=line, datetime=ALWAYS)
    assert found == [tiles[0]]
    assert len(opened) < 10


# Bodies that nobody needs.


def polygon_of(points: int) -> Any:
    ring = [[index * 1e-5, (index % 2) * 1e-5] for index in range(points)]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def nested(depth: int) -> Any:
    geometry: Any = {"type": "Point", "coordinates": [1, 1]}
    for _ in range(depth):
        geometry = {"type": "GeometryCollection", "geometries": [geometry]}
    return geometry


# Name: what makes the body; made when it is sent, not when tests are gathered.
HUGE: dict[str, Callable[[], Any]] = {
    "too many points": lambda: {"intersects": polygon_of(200_000)},
    "many points": lambda: {"intersects": polygon_of(49_000)},
    "deep": lambda: {"intersects": nested(30)},
    "too deep": lambda: {"intersects": nested(200)},
    "a multipoint": lambda: {
        "intersects": {"type": "MultiPoint", "coordinates": [[0, 0]] * 60_000}
    },
    "a long point": lambda: {"intersects": {"type": "Point", "coordinates": [0] * 400_000}},
    "a short point": lambda: {
        "intersects": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1]]]}
    },
    "identifiers": lambda: {"ids": ["x"] * 200_000},
    "fields": lambda: {"fields": {"include": ["x"] * 200_000}},
    "next": lambda: {"next": 2**64},
    "limit": lambda: {"limit": 2**64},
    "bbox": lambda: {"bbox": [1e300, 0, 1, 1]},
}


@pytest.mark.parametrize("name", HUGE)
def test_huge_and_deep_bodies_are_answered_in_bounded_time(catalogue: Catalogue, name: str) -> None:
    body = HUGE[name]()
    with bounded():
        answer = catalogue.api.post(
            f"{CATALOG}/search", {"collections": [S2], "datetime": "2020-12-29T10:18:19Z", **body}
        )
    assert answer.status_code == 400 or name == "deep"
    assert answer.status_code < 500


@pytest.mark.parametrize("depth", [100, 900, 5_000, 100_000])
def test_deep_json_is_no_server_error(catalogue: Catalogue, depth: int) -> None:
    for opening, closing in (("[", "]"), ('{"args":', "}")):
        inner = opening * depth + "1" + closing * depth
        for member in ("intersects", "filter", "bbox", "unknown"):
            text = (
                f'{{"collections":["{S2}"],"datetime":"2020-12-29T10:18:19Z","{member}":{inner}}}'
            )
            answer = catalogue.api.send(
                "POST",
                f"{CATALOG}/search",
                content=text.encode(),
                headers={"content-type": "application/json"},
            )
            assert answer.status_code == 400
