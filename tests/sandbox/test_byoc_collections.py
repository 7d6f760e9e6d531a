from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .support import BUCKET, CHECKED, COLLECTIONS, Driver, write_cog

BANDS = {
    "B04": {"source": "B04", "bandIndex": 1, "bitDepth": 16, "sampleFormat": "UINT"},
    "B08": {"source": "B08", "bandIndex": 1, "bitDepth": 16, "sampleFormat": "UINT"},
}


def put_body(**changes: Any) -> dict[str, Any]:
    return {"name": "fields", "s3Bucket": BUCKET, **changes}


def refusal(answer: Any) -> tuple[int, dict[str, str]]:
    return answer.status_code, answer.json()["error"].get("errors", {})


def test_created_collection_is_answered_wrapped_and_read_back(api: Driver) -> None:
    created = api.collection()
    assert created["created"] == "2025-01-01T00:00:00.000Z"
    assert created["isConfigured"] is False
    assert created["requiresMetadataUpdate"] is False
    assert "noData" not in created
    assert api.read(created["id"]) == created


def test_answers_of_all_tests_are_checked_against_the_published_schemas(api: Driver) -> None:
    CHECKED.clear()
    created = api.collection(additionalData={"bands": BANDS}, noData=0)
    api.read(created["id"])
    api.get("/api/v1/byoc/collections/")
    assert CHECKED == [201, 200, 200]


def test_both_path_styles_and_trailing_slashes_lead_to_one_place(api: Driver) -> None:
    one = api.collection()["id"]
    for path in (
        f"/byoc/v1/collections/{one}",
        f"/api/v1/byoc/collections/{one}",
        f"/api/v1/byoc/collections/{one}/",
    ):
        assert api.get(path).json()["data"]["id"] == one


def test_nulls_and_read_only_fields_of_clients_are_ignored(api: Driver) -> None:
    created = api.collection(
        additionalData=None, id=None, userId=None, created=None, noData=None, otherData={}
    )
    bands: dict[str, Any] = {
        "B04": {
            "source": None,
            "bandIndex": None,
            "bitDepth": 8,
            "sampleFormat": "UINT",
            "noData": None,
            "otherData": {},
        }
    }
    extra = {"bands": bands, "maxMetersPerPixel": None, "maxMetersPerPixelOverride": None}
    body = {**created, "additionalData": extra, "userId": None, "otherData": {}}
    assert api.put(f"{COLLECTIONS}/{created['id']}", body).status_code == 204
    stored = api.read(created["id"])["additionalData"]["bands"]
    assert stored == {
        "B04": {"source": "B04", "bandIndex": 1, "bitDepth": 8, "sampleFormat": "UINT"}
    }


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"s3Bucket": "b"}, "name"),
        ({"name": "n"}, "s3Bucket"),
        ({"name": 1, "s3Bucket": "b"}, "name"),
        ({"name": "", "s3Bucket": "b"}, "name"),
        (put_body(noData="0"), "noData"),
        (
            put_body(additionalData={"bands": {"B": {"bitDepth": 12, "sampleFormat": "UINT"}}}),
            "additionalData->bands->B->bitDepth",
        ),
        (
            put_body(additionalData={"bands": {"B": {"bitDepth": 16}}}),
            "additionalData->bands->B->sampleFormat",
        ),
        *(
            (
                put_body(additionalData={"bands": {"B": {**BANDS["B04"], "bandIndex": index}}}),
                "additionalData->bands->B->bandIndex",
            )
            for index in (0, -5)
        ),
        (
            put_body(additionalData={"bands": {"1B": {"bitDepth": 16, "sampleFormat": "UINT"}}}),
            "additionalData->bands->1B",
        ),
        (
            put_body(additionalData={"bands": {"class": {"bitDepth": 8, "sampleFormat": "UINT"}}}),
            "additionalData->bands->class",
        ),
        (
            put_body(additionalData={"bands": {"B": {"bitDepth": 16, "sampleFormat": "FLOAT"}}}),
            "additionalData->bands->B->bitDepth",
        ),
    ],
)
def test_invalid_collection_names_the_parameter(
    api: Driver, body: dict[str, Any], parameter: str
) -> None:
    answer = api.post(COLLECTIONS, body)
    status, errors = refusal(answer)
    assert status == 400
    assert answer.json()["error"]["code"] == "COMMON_BAD_PAYLOAD"
    assert list(errors) == [parameter]
    assert all(errors.values())


def test_more_than_a_hundred_bands_are_refused(api: Driver) -> None:
    band = {"bitDepth": 8, "sampleFormat": "UINT"}
    bands = {f"B{number}": band for number in range(101)}
    assert api.post(COLLECTIONS, put_body(additionalData={"bands": bands})).status_code == 400


def test_sample_format_may_be_left_out_where_the_setting_says_so(api: Driver) -> None:
    api.configure(sample_format_required=False)
    api.lenient = True  # answers then lack what the document requires
    created = api.collection(additionalData={"bands": {"B": {"bitDepth": 16}}})
    assert "sampleFormat" not in created["additionalData"]["bands"]["B"]


@pytest.mark.parametrize(("mode", "status"), [("ignore", 201), ("refuse", 400)])
def test_unknown_fields_are_treated_as_the_setting_says(
    api: Driver, mode: str, status: int
) -> None:
    api.configure(unknown_fields=mode)
    assert api.post(COLLECTIONS, put_body(colour="red")).status_code == status


def test_whole_numbers_are_told_as_such_however_they_are_written(api: Driver) -> None:
    band = {"bitDepth": 16.0, "bandIndex": 2.0, "sampleFormat": "UINT"}
    answer = api.post(COLLECTIONS, put_body(additionalData={"bands": {"B": band}}))
    assert '"bandIndex":2,"bitDepth":16,' in answer.text


def test_no_data_stands_on_the_collection_or_on_bands_not_on_both(api: Driver) -> None:
    bands = {"B": {**BANDS["B04"], "noData": 0}}
    answer = api.post(COLLECTIONS, put_body(noData=0, additionalData={"bands": bands}))
    assert answer.status_code == 400


def test_names_may_repeat_unless_the_setting_forbids_it(api: Driver) -> None:
    first, second = api.collection()["id"], api.collection("other")["id"]
    api.collection()
    api.configure(unique_collection_names=True)
    assert api.post(COLLECTIONS, put_body()).status_code == 409
    assert api.put(f"{COLLECTIONS}/{second}", put_body()).status_code == 409
    assert api.put(f"{COLLECTIONS}/{first}", put_body(name="fields")).status_code == 204


def test_body_that_is_no_json_is_refused(api: Driver) -> None:
    headers = {"content-type": "application/json"}
    for content in (b"", b"{", b'{"noData": NaN}', b"[]"):
        answer = api.send("POST", COLLECTIONS, content=content, headers=headers)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "COMMON_BAD_PAYLOAD"


def test_other_media_types_and_methods_are_refused(api: Driver) -> None:
    answer = api.send(
        "POST", COLLECTIONS, content=b"name=x", headers={"content-type": "text/plain"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (
        415,
        "COMMON_UNSUPPORTED_MEDIA_TYPE",
    )
    answer = api.send("PATCH", COLLECTIONS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (
        405,
        "COMMON_METHOD_NOT_ALLOWED",
    )
    assert answer.headers["allow"] == "GET, POST"
    assert api.get("/byoc/v1/nothing").json()["error"]["code"] == "COMMON_NOT_FOUND"


def test_unknown_collection_is_not_found(api: Driver) -> None:
    for name in ("not-a-uuid", "017aa0ae-33a6-45d3-8548-0f7d1041b40c"):
        answer = api.get(f"{COLLECTIONS}/{name}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "COMMON_NOT_FOUND")


# Lists.


def test_list_pages_by_token_until_there_is_none(api: Driver) -> None:
    made = [api.collection(f"c{number}")["id"] for number in range(5)]
    seen: list[str] = []
    query: dict[str, Any] = {"count": 2}
    for _ in range(3):
        answer = api.get("/api/v1/byoc/collections", **query).json()
        seen += [entry["id"] for entry in answer["data"]]
        token = answer["links"].get("nextToken")
        if token:
            assert answer["links"]["next"].startswith("http://sandbox/api/v1/byoc/collections?")
            query["viewtoken"] = token
    assert token is None
    assert seen == sorted(made)
    assert seen != made
    assert answer["links"]["@id"].endswith(query["viewtoken"])


def test_next_address_and_previous_token_lead_to_the_neighbours(api: Driver) -> None:
    for number in range(5):
        api.collection(f"c{number}")
    first = api.get(COLLECTIONS, count=2).json()
    second = api.send("GET", first["links"]["next"]).json()
    assert "previousToken" not in first["links"]
    back = api.send("GET", second["links"]["previous"]).json()
    assert back["data"] == first["data"]
    assert "previousToken" not in back["links"]
    assert api.send("GET", back["links"]["next"]).json()["data"] == second["data"]


@pytest.mark.parametrize(
    "query", [{"count": 0}, {"count": 101}, {"count": "x"}, {"viewtoken": "?"}]
)
def test_page_that_cannot_be_is_refused(api: Driver, query: dict[str, Any]) -> None:
    assert api.get(COLLECTIONS, **query).status_code == 400


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("wheat", {"wheat 2024", "Wheat 2025"}),
        ("wheat&2025", {"Wheat 2025"}),
        ("wheat 2025", {"Wheat 2025"}),
        ("2024|rye", {"wheat 2024", "rye"}),
        ("barley", set()),
        ("%", set()),
    ],
)
def test_search_takes_any_or_all_words_of_the_name(
    api: Driver, search: str, names: set[str]
) -> None:
    for name in ("wheat 2024", "Wheat 2025", "rye"):
        api.collection(name)
    found = api.get(COLLECTIONS, search=search).json()["data"]
    assert {entry["name"] for entry in found} == names


def test_list_lag_hides_what_is_new_from_lists_only(api: Driver) -> None:
    api.configure(list_lag_s=5)
    made = api.collection()["id"]
    assert api.get(COLLECTIONS).json()["data"] == []
    assert api.get(f"{COLLECTIONS}/{made}").status_code == 200
    api.tick(5)
    assert [entry["id"] for entry in api.get(COLLECTIONS).json()["data"]] == [made]


def test_get_lag_answers_404_for_what_is_new(api: Driver) -> None:
    api.configure(get_lag_s=5)
    made = api.collection()["id"]
    assert api.get(f"{COLLECTIONS}/{made}").status_code == 404
    api.tick(5)
    assert api.get(f"{COLLECTIONS}/{made}").status_code == 200


def test_global_listing_tells_where_a_collection_lives(api: Driver) -> None:
    one, two = api.collection("a")["id"], api.collection("b")["id"]
    data = api.get(f"/api/v1/byoc/global/{one}").json()["data"]
    assert (data["id"], data["s3Bucket"], data["location"]) == (one, BUCKET, "aws-eu-central-1")
    listed = api.get("/api/v1/byoc/global", ids=f"{two},{one}").json()["data"]
    assert [entry["id"] for entry in listed] == [two, one]
    everything = api.get("/byoc/v1/global").json()["data"]
    assert {entry["location"] for entry in everything} == {"aws-eu-central-1"}


def test_global_listing_pages_and_keeps_to_the_account(api: Driver) -> None:
    api.configure(clients={"other": {"secret": "s", "account": "other"}})
    mine = sorted(api.collection(f"c{number}")["id"] for number in range(3))
    first = api.get("/api/v1/byoc/global", count=2).json()
    second = api.send("GET", first["links"]["next"]).json()
    assert [one["id"] for one in (*first["data"], *second["data"])] == mine
    assert second["data"][0]["location"] == "aws-eu-central-1"
    api.login("other", "s")
    assert api.get("/api/v1/byoc/global").json()["data"] == []
    assert api.get("/api/v1/byoc/global", ids=",".join(mine)).json()["data"] == []
    assert api.get(f"/api/v1/byoc/global/{mine[0]}").status_code == 403


# Updates.


def test_storage_identifier_is_kept_until_an_update_leaves_it_out(
    api: Driver, bucket: Path
) -> None:
    write_cog(bucket / "a/B04.tif")
    one = api.collection(additionalData={"storageIdentifier": "waw4-1"})["id"]
    assert api.put(f"{COLLECTIONS}/{one}", put_body()).status_code == 204
    api.tile(one, "a")
    api.tick(64)
    additional = api.read(one)["additionalData"]
    assert (additional["storageIdentifier"], additional["hasSensingTimes"]) == ("waw4-1", "NO")
    stated = {"bands": additional["bands"]}
    assert api.put(f"{COLLECTIONS}/{one}", put_body(additionalData=stated)).status_code == 204
    after = api.read(one)["additionalData"]
    assert "storageIdentifier" not in after
    assert after["extent"] == additional["extent"]
    answer = api.post(COLLECTIONS, put_body(additionalData={"storageIdentifier": 7}))
    assert answer.status_code == 400


def test_update_without_no_data_deletes_it(api: Driver) -> None:
    one = api.collection(noData=7)["id"]
    assert api.put(f"{COLLECTIONS}/{one}", put_body()).status_code == 204
    assert "noData" not in api.read(one)


def test_update_without_additional_data_keeps_the_bands(api: Driver) -> None:
    one = api.collection(additionalData={"bands": BANDS})["id"]
    for body in (put_body(name="renamed"), put_body(name="renamed", additionalData=None)):
        assert api.put(f"{COLLECTIONS}/{one}", body).status_code == 204
    read = api.read(one)
    assert (read["name"], read["additionalData"]["bands"]) == ("renamed", BANDS)


@pytest.mark.parametrize("additional", [{}, {"bands": {}}])
def test_bands_are_removed_all_together_only_while_empty(
    api: Driver, additional: dict[str, Any]
) -> None:
    one = api.collection(additionalData={"bands": BANDS})["id"]
    tile = api.tile(one, "x")["id"]
    body = put_body(additionalData=additional)
    assert api.put(f"{COLLECTIONS}/{one}", body).status_code == 400
    api.delete(f"{COLLECTIONS}/{one}/tiles/{tile}")
    assert api.put(f"{COLLECTIONS}/{one}", body).status_code == 204
    assert api.read(one)["isConfigured"] is False


def with_band(**changes: Any) -> dict[str, Any]:
    return {**BANDS, "B04": {**BANDS["B04"], **changes}}


@pytest.mark.parametrize(
    ("bands", "with_tile", "without"),
    [
        ({"red": BANDS["B04"], "nir": BANDS["B08"]}, 204, 204),
        ({"B04": BANDS["B04"]}, 204, 204),
        (with_band(noData=3), 204, 204),
        ({**BANDS, "B11": {**BANDS["B04"], "source": "B11"}}, 400, 204),
        (with_band(bitDepth=8), 400, 204),
        (with_band(bandIndex=2), 400, 204),
        (with_band(source="B05"), 400, 204),
        (with_band(sampleFormat="INT"), 400, 400),
    ],
)
def test_what_the_first_tile_freezes(
    api: Driver, bands: dict[str, Any], with_tile: int, without: int
) -> None:
    for status in (with_tile, without):
        one = api.collection(additionalData={"bands": BANDS})["id"]
        if status is with_tile:
            api.tile(one, "x")
        body = put_body(additionalData={"bands": bands})
        answer = api.put(f"{COLLECTIONS}/{one}", body)
        assert answer.status_code == status, answer.text
        expected = bands if status == 204 else BANDS
        assert api.read(one)["additionalData"]["bands"] == expected


@pytest.mark.parametrize(("mode", "empty"), [("when_empty", 204), ("never", 409)])
def test_bucket_changes_only_while_empty_if_ever(api: Driver, mode: str, empty: int) -> None:
    api.configure(bucket_change=mode, frozen_change_status=409)
    one = api.collection()["id"]
    other = put_body(s3Bucket="other")
    assert api.put(f"{COLLECTIONS}/{one}", other).status_code == empty
    bucket = api.read(one)["s3Bucket"]
    api.tile(one, "x")
    assert api.put(f"{COLLECTIONS}/{one}", put_body(s3Bucket="third")).status_code == 409
    assert api.read(one)["s3Bucket"] == bucket


# Deletes.


def test_delete_takes_the_tiles_along_and_leaves_the_files(api: Driver, tmp_path: Path) -> None:
    file = tmp_path / "buckets" / BUCKET / "x.txt"
    file.parent.mkdir(parents=True)
    file.write_text("kept")
    one = api.collection()["id"]
    tile = api.tile(one, "x")["id"]
    assert api.delete(f"{COLLECTIONS}/{one}").status_code == 204
    assert api.get(f"{COLLECTIONS}/{one}").status_code == 404
    assert api.get(f"{COLLECTIONS}/{one}/tiles/{tile}").status_code == 404
    assert api.get("/_sandbox/dump").json()["tiles"] == []
    assert file.exists()


@pytest.mark.parametrize("status", [404, 204])
def test_second_delete_answers_as_the_setting_says(api: Driver, status: int) -> None:
    api.configure(second_delete=status)
    one = api.collection()["id"]
    api.delete(f"{COLLECTIONS}/{one}")
    assert api.delete(f"{COLLECTIONS}/{one}").status_code == status
    never = "017aa0ae-33a6-45d3-8548-0f7d1041b40c"
    assert api.delete(f"{COLLECTIONS}/{never}").status_code == 404
