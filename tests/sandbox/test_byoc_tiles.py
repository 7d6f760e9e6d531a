from __future__ import annotations

from typing import Any

import pytest

from .support import COLLECTIONS, Driver, violations

SQUARE = [[[14.0, 46.0], [14.1, 46.0], [14.1, 46.1], [14.0, 46.1], [14.0, 46.0]]]


def test_created_tile_waits_and_has_no_geometry_yet(api: Driver) -> None:
    one = api.collection()["id"]
    tile = api.tile(one, "2024/a", sensingTime="2024-05-01T10:00:00Z")
    assert tile["status"] == "WAITING"
    assert tile["created"] == tile["ingestionStart"] == "2025-01-01T00:00:00.000Z"
    assert tile["sensingTime"] == "2024-05-01T10:00:00.000Z"
    assert "tileGeometry" not in tile
    assert api.read(one, tile["id"]) == tile


def test_created_tile_says_waiting_even_if_ingestion_takes_no_time(api: Driver) -> None:
    api.configure(waiting_s=0, queued_s=0, ingesting_s=0)
    one = api.collection()["id"]
    tile = api.tile(one, "a")
    assert tile["status"] == "WAITING"
    assert api.read(one, tile["id"])["status"] == "FAILED"


def test_states_follow_each_other_by_time_alone(api: Driver) -> None:
    one = api.collection()["id"]
    tile = api.tile(one, "a")["id"]
    seen = []
    for seconds in (0, 1, 1, 1, 1):
        api.tick(seconds)
        seen.append(api.read(one, tile)["status"])
    assert seen == ["WAITING", "QUEUED", "INGESTING", "INGESTING", "FAILED"]


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", None, 3])
def test_path_that_cannot_be_is_refused(api: Driver, path: Any) -> None:
    one = api.collection()["id"]
    answer = api.post(f"{COLLECTIONS}/{one}/tiles", {"path": path})
    assert answer.status_code == 400
    assert list(violations(answer)) == ["path"]


def test_path_is_unique_within_its_collection(api: Driver) -> None:
    one, two = api.collection()["id"], api.collection()["id"]
    api.tile(one, "a")
    answer = api.post(f"{COLLECTIONS}/{one}/tiles", {"path": "a"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (
        409,
        "COMMON_UNIQUE_KEY_VIOLATION",
    )
    api.tile(two, "a")


@pytest.mark.parametrize(
    ("first", "second"),
    [("x", "x/(BAND).tiff"), ("x/(BAND).tiff", "x"), ("x/(BAND)", "x/(BAND).tif")],
)
@pytest.mark.parametrize("collides", [False, True])
def test_spellings_of_a_folder_collide_as_the_setting_says(
    api: Driver, first: str, second: str, collides: bool
) -> None:
    api.configure(folder_path_collides=collides)
    one = api.collection()["id"]
    api.tile(one, first)
    answer = api.post(f"{COLLECTIONS}/{one}/tiles", {"path": second})
    assert answer.status_code == (409 if collides else 201)


def test_path_of_a_deleted_tile_is_free_again_unless_blocked(api: Driver) -> None:
    one = api.collection()["id"]
    tile = api.tile(one, "a")["id"]
    api.delete(f"{COLLECTIONS}/{one}/tiles/{tile}")
    tile = api.tile(one, "a")["id"]
    api.configure(deleted_path_blocked_s=10)
    api.delete(f"{COLLECTIONS}/{one}/tiles/{tile}")
    assert api.post(f"{COLLECTIONS}/{one}/tiles", {"path": "a"}).status_code == 409
    api.tick(10)
    api.tile(one, "a")


@pytest.mark.parametrize(
    ("cover", "parameter"),
    [
        ({}, "coverGeometry->type"),
        ({"type": "Polygon"}, "coverGeometry->coordinates"),
        ({"type": "Point", "coordinates": [1, 2]}, "coverGeometry->type"),
        ({"type": "Polygon", "coordinates": []}, "coverGeometry->coordinates"),
        ({"type": "Polygon", "coordinates": [SQUARE[0][:-1]]}, "coverGeometry->coordinates"),
        (
            {"type": "Polygon", "coordinates": [[[0, 0], [200, 0], [0, 9], [0, 0]]]},
            "coverGeometry->coordinates",
        ),
        (
            {
                "type": "Polygon",
                "coordinates": [[[i / 1000, i % 2] for i in range(100)] + [[0, 0]]],
            },
            "coverGeometry",
        ),
        (
            {
                "type": "Polygon",
                "coordinates": SQUARE,
                "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2056"}},
            },
            "coverGeometry->crs->properties->name",
        ),
    ],
)
def test_cover_geometry_that_cannot_be_is_refused(
    api: Driver, cover: dict[str, Any], parameter: str
) -> None:
    one = api.collection()["id"]
    answer = api.post(f"{COLLECTIONS}/{one}/tiles", {"path": "a", "coverGeometry": cover})
    assert answer.status_code == 400
    assert parameter in violations(answer)


@pytest.mark.parametrize("name", ["urn:ogc:def:crs:EPSG::32633", "EPSG:32633"])
def test_cover_geometry_is_kept_in_crs84_until_the_tile_has_a_crs(api: Driver, name: str) -> None:
    one = api.collection()["id"]
    ring = [[500000, 5.2e6], [501000, 5.2e6], [501000, 5.201e6], [500000, 5.2e6]]
    crs = {"type": "name", "properties": {"name": name}}
    cover = {"type": "MultiPolygon", "coordinates": [[ring]], "crs": crs}
    shown = api.tile(one, "a", coverGeometry=cover)["coverGeometry"]
    assert shown["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::4326"
    lng, lat = shown["coordinates"][0][0][0]
    assert (lng, lat) == (pytest.approx(15.0), pytest.approx(46.95, abs=0.01))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2024-05-01T12:00:00.123456+02:00", "2024-05-01T10:00:00.123Z"),
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00.000Z"),
        (None, None),
    ],
)
def test_sensing_time_is_kept_in_utc_with_milliseconds(
    api: Driver, given: str | None, shown: str | None
) -> None:
    one = api.collection()["id"]
    assert api.tile(one, "a", sensingTime=given)["sensingTime"] == shown


@pytest.mark.parametrize("given", ["2024-05-01", "yesterday", 5])
def test_sensing_time_that_is_no_date_time_is_refused(api: Driver, given: Any) -> None:
    one = api.collection()["id"]
    body = {"path": "a", "sensingTime": given}
    assert api.post(f"{COLLECTIONS}/{one}/tiles", body).status_code == 400


# Lists.


def paths(content: Any) -> list[str]:
    return [entry["path"] for entry in content["data"]]


def test_list_is_in_order_of_creation_or_its_reverse(api: Driver) -> None:
    one = api.collection()["id"]
    for path in ("b", "a", "c"):
        api.tile(one, path)
    assert paths(api.tiles(one)) == ["b", "a", "c"]
    assert paths(api.tiles(one, sort="created:desc")) == ["c", "a", "b"]
    assert api.get(f"{COLLECTIONS}/{one}/tiles", sort="path").status_code == 400


@pytest.mark.parametrize("sort", ["created:asc", "created:desc"])
def test_pages_hold_every_tile_once(api: Driver, sort: str) -> None:
    one = api.collection()["id"]
    for number in range(7):
        api.tile(one, str(number))
    seen: list[str] = []
    query: dict[str, Any] = {"count": 3, "sort": sort}
    while True:
        content = api.tiles(one, **query)
        seen += paths(content)
        if "nextToken" not in content["links"]:
            break
        query["viewtoken"] = content["links"]["nextToken"]
    expected = [str(number) for number in range(7)]
    assert seen == (expected if sort.endswith("asc") else expected[::-1])


def test_deleting_what_was_seen_does_not_shift_the_next_page(api: Driver) -> None:
    one = api.collection()["id"]
    tiles = [api.tile(one, str(number))["id"] for number in range(4)]
    first = api.tiles(one, count=2)
    api.delete(f"{COLLECTIONS}/{one}/tiles/{tiles[0]}")
    assert paths(api.tiles(one, count=2, viewtoken=first["links"]["nextToken"])) == ["2", "3"]


def test_list_by_path_is_exact(api: Driver) -> None:
    one = api.collection()["id"]
    api.tile(one, "a/(BAND).tiff")
    api.tile(one, "a/b")
    assert paths(api.tiles(one, path="a/(BAND).tiff")) == ["a/(BAND).tiff"]
    assert paths(api.tiles(one, path="a")) == []
    assert paths(api.tiles(one, path="a/b", status="INGESTED")) == []


def test_list_by_status_follows_time(api: Driver) -> None:
    one = api.collection()["id"]
    found: dict[str, list[str]] = {}
    api.tile(one, "old")
    api.tick(4)
    api.tile(one, "ingesting")
    api.tick(2)
    api.tile(one, "queued")
    api.tick(1)
    api.tile(one, "new")
    for status in ("WAITING", "QUEUED", "INGESTING", "FAILED", "INGESTED"):
        found[status] = paths(api.tiles(one, status=status))
        assert {entry["status"] for entry in api.tiles(one, status=status)["data"]} <= {status}
    assert found == {
        "WAITING": ["new"],
        "QUEUED": ["queued"],
        "INGESTING": ["ingesting"],
        "FAILED": ["old"],
        "INGESTED": [],
    }
    assert api.get(f"{COLLECTIONS}/{one}/tiles", status="DONE").status_code == 400


def test_lags_of_list_path_and_id_are_independent(api: Driver) -> None:
    api.configure(list_lag_s=3, path_lag_s=2, get_lag_s=1)
    one = api.collection()["id"]
    api.tick(3)
    tile = api.tile(one, "a")["id"]
    seen = []
    for _ in range(4):
        seen.append(
            (
                len(api.tiles(one)["data"]),
                len(api.tiles(one, path="a")["data"]),
                api.get(f"{COLLECTIONS}/{one}/tiles/{tile}").status_code,
            )
        )
        api.tick(1)
    assert seen == [(0, 0, 404), (0, 0, 200), (0, 1, 200), (1, 1, 200)]


# Updates, deletes, reingestion.


@pytest.mark.parametrize(("mode", "after"), [("clear", None), ("keep", "2024-05-01T10:00:00.000Z")])
def test_omitted_sensing_time_is_treated_as_the_setting_says(
    api: Driver, mode: str, after: str | None
) -> None:
    api.configure(tile_put_omitted_sensing_time=mode)
    one = api.collection()["id"]
    tile = api.tile(one, "a", sensingTime="2024-05-01T10:00:00Z")["id"]
    place = f"{COLLECTIONS}/{one}/tiles/{tile}"
    assert api.put(place, {}).status_code == 204
    assert api.read(one, tile)["sensingTime"] == after
    assert api.put(place, {"sensingTime": None}).status_code == 204
    assert api.read(one, tile)["sensingTime"] is None


def test_update_accepts_a_whole_tile_as_clients_send_it(api: Driver) -> None:
    one = api.collection()["id"]
    tile = api.tile(one, "a")
    tile["sensingTime"] = "2024-05-01T10:00:00Z"
    assert api.put(f"{COLLECTIONS}/{one}/tiles/{tile['id']}", tile).status_code == 204
    assert api.read(one, tile["id"])["sensingTime"] == "2024-05-01T10:00:00.000Z"


@pytest.mark.parametrize(("mode", "after"), [("ignore", "a"), ("honour", "b")])
def test_path_in_an_update_is_treated_as_the_setting_says(
    api: Driver, mode: str, after: str
) -> None:
    api.configure(tile_put_path=mode)
    one = api.collection()["id"]
    tile = api.tile(one, "a")["id"]
    api.tile(one, "c")
    place = f"{COLLECTIONS}/{one}/tiles/{tile}"
    assert api.put(place, {"path": "b"}).status_code == 204
    assert api.read(one, tile)["path"] == after
    taken = api.put(place, {"path": "c"}).status_code
    assert taken == (204 if mode == "ignore" else 409)


def test_reingest_needs_an_ingestion_that_is_over(api: Driver) -> None:
    one = api.collection()["id"]
    tile = api.tile(one, "a")["id"]
    place = f"{COLLECTIONS}/{one}/tiles/{tile}"
    assert api.post(f"{place}/reingest").status_code == 400
    api.tick(4)
    assert api.post(f"{place}/reingest").status_code == 204
    assert api.read(one, tile)["status"] == "WAITING"
    assert "failedIngestionCause" not in api.read(one, tile).get("additionalData", {})


@pytest.mark.parametrize("status", [404, 204])
def test_second_delete_of_a_tile_answers_as_the_setting_says(api: Driver, status: int) -> None:
    api.configure(second_delete=status)
    one = api.collection()["id"]
    place = f"{COLLECTIONS}/{one}/tiles/{api.tile(one, 'a')['id']}"
    assert [api.delete(place).status_code for _ in range(2)] == [204, status]
    assert api.get(place).status_code == 404


def test_tile_of_another_collection_is_not_found(api: Driver) -> None:
    one, two = api.collection()["id"], api.collection()["id"]
    tile = api.tile(one, "a")["id"]
    assert api.get(f"{COLLECTIONS}/{two}/tiles/{tile}").status_code == 404


@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("1717200000.000000000", "2024-06-01T00:00:00.000Z"),
        ("1717200000.250000000", "2024-06-01T00:00:00.250Z"),
        ("-1.000000000", "1969-12-31T23:59:59.000Z"),
        ("0.0", "1970-01-01T00:00:00.000Z"),
    ],
)
def test_sensing_time_may_be_seconds_if_the_setting_allows_it(
    api: Driver, number: str, told: str
) -> None:
    """A client in Java writes instants so."""
    tiles = f"{COLLECTIONS}/{api.collection()['id']}/tiles"
    body = f'{{"path": "a", "sensingTime": {number}}}'.encode()
    headers = {"content-type": "application/json"}
    assert api.send("POST", tiles, content=body, headers=headers).status_code == 400
    api.configure(numeric_instants="accept")
    made = api.send("POST", tiles, content=body, headers=headers)
    assert (made.status_code, made.json()["data"]["sensingTime"]) == (201, told)
    one = f"{tiles}/{made.json()['data']['id']}"
    assert api.send("PUT", one, content=body, headers=headers).status_code == 204


@pytest.mark.parametrize("number", [1e300, -1e300, 1e14, 10**15, True])
def test_sensing_time_that_is_no_instant_is_refused(api: Driver, number: float) -> None:
    one = api.collection()["id"]
    answer = api.post(f"{COLLECTIONS}/{one}/tiles", {"path": "a", "sensingTime": number})
    assert answer.status_code == 400
    assert list(violations(answer)) == ["sensingTime"]
