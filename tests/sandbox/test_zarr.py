from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .support import BUCKET, CHECKED, Driver, sandbox, violations
from .zarrs import (
    PATH,
    UTM,
    ZARRS,
    create,
    edit,
    ingested,
    read,
    reingested,
    write_array,
    write_group,
)

BODY = {"name": "fields", "s3Bucket": BUCKET, "path": PATH, "crs": UTM}
NEVER = "017aa0ae-33a6-45d3-8548-0f7d1041b40c"


def test_ingestion_begins_by_itself_and_passes_through_its_states(
    api: Driver, bucket: Path
) -> None:
    write_group(bucket)
    made = create(api)
    assert (made["status"], made["created"]) == ("CREATED", "2025-01-01T00:00:00.000Z")
    assert (made["ingestionErrors"], made["width"], made["zattrs"]) == (None, None, None)
    seen = []
    for _ in range(4):
        seen.append(read(api, made["id"])["status"])
        api.tick(1)
    assert seen == ["CREATED", "INGESTING", "INGESTING", "INGESTED"]


def test_ingested_collection_tells_what_lies_in_the_bucket(api: Driver, bucket: Path) -> None:
    write_group(bucket)
    done = ingested(api)
    assert done["status"] == "INGESTED"
    assert (done["width"], done["height"]) == (40, 30)
    assert done["zattrs"] == {"title": "fields"}
    assert done["ingestionErrors"] is None
    ring = done["envelope"]["coordinates"][0]
    # Half a pixel around the centres of the outer pixels.
    assert (min(ring), max(ring)) == ([500_000.0, 5_200_000.0], [500_400.0, 5_200_300.0])
    assert done["envelope"]["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    band = {"bitDepth": 32, "sampleFormat": "FLOAT", "noData": -1}
    assert done["additionalData"] == {"bands": {"B04": band, "B08": band}, "maxMetersPerPixel": 30}


def test_without_time_in_degrees_north_up_or_down(api: Driver, bucket: Path) -> None:
    for rows in (45 + 0.1 * np.arange(10), 45 - 0.1 * np.arange(10)):
        write_group(
            bucket,
            names=("lon", "lat"),
            columns=14 + 0.1 * np.arange(20),
            rows=rows,
            times=None,
        )
        done = ingested(api, crs="EPSG:4326")
        assert (done["status"], done["width"], done["height"]) == ("INGESTED", 20, 10)
        south = min(corner[1] for corner in done["envelope"]["coordinates"][0])
        assert south == pytest.approx(rows.min() - 0.05)
        assert done["additionalData"]["maxMetersPerPixel"] == pytest.approx(3 * 11_132)


@pytest.mark.parametrize(
    ("dtype", "sample_format"),
    [("u4", "UINT"), (">i4", "INT"), ("i8", "INT"), ("f4", "FLOAT"), (">f8", "FLOAT")],
)
def test_each_data_type_becomes_a_band(
    api: Driver, bucket: Path, dtype: str, sample_format: str
) -> None:
    group = write_group(bucket, bands=())
    cube = np.zeros((3, 30, 40), dtype=dtype)
    write_array(group, "value", cube, dimensions=["time", "y", "x"], fill_value=7)
    bands = ingested(api)["additionalData"]["bands"]
    assert bands == {"value": {"bitDepth": 32, "sampleFormat": sample_format, "noData": 7}}


@pytest.mark.parametrize("fill", ["NaN", "Infinity", None])
def test_fill_value_that_is_no_number_is_no_no_data(api: Driver, bucket: Path, fill: Any) -> None:
    group = write_group(bucket, bands=["B04"])
    edit(group / "B04" / ".zarray", fill_value=fill)
    assert "noData" not in ingested(api)["additionalData"]["bands"]["B04"]


def test_dimensions_may_be_told_by_the_shape_alone(api: Driver, bucket: Path) -> None:
    group = write_group(bucket, bands=["B04"])
    (group / "B04" / ".zattrs").unlink()
    assert ingested(api)["status"] == "INGESTED"


def test_both_path_styles_lead_to_one_place(api: Driver, bucket: Path) -> None:
    answer = api.post("/api/v1/zarr/collections", BODY)
    one = answer.json()["data"]["id"]
    assert api.get(f"/api/v1/zarr/collections/{one}/").json()["data"]["id"] == one
    assert api.get("/api/v1/zarr/collections").json()["data"][0]["id"] == one


def test_answers_are_checked_against_the_published_schemas(api: Driver, bucket: Path) -> None:
    write_group(bucket)
    CHECKED.clear()
    one = ingested(api)["id"]
    api.get(ZARRS)
    api.get(f"{ZARRS}/{one}/arrays")
    api.get(f"{ZARRS}/{one}/arrays/B04")
    api.send("PUT", f"{ZARRS}/{one}/reingest")
    assert CHECKED == [201, 200, 200, 200, 200, 200]


def test_the_list_has_the_media_type_of_json(api: Driver) -> None:
    """The document has a slip of the pen there."""
    assert api.get(ZARRS).headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"name": ...}, "name"),
        ({"name": " "}, "name"),
        ({"s3Bucket": ...}, "s3Bucket"),
        ({"s3Bucket": ""}, "s3Bucket"),
        ({"path": ...}, "path"),
        ({"path": "cube"}, "path"),
        ({"path": "/cube/"}, "path"),
        ({"path": "/"}, "path"),
        ({"path": ""}, "path"),
        ({"path": 5}, "path"),
        ({"crs": ...}, "crs"),
        ({"crs": "EPSG:2154"}, "crs"),
        ({"crs": "Mercator"}, "crs"),
        ({"crs": f"EPSG:{'9' * 5000}"}, "crs"),
    ],
)
def test_invalid_collection_names_the_parameter(
    api: Driver, changes: dict[str, Any], parameter: str
) -> None:
    body = {key: value for key, value in {**BODY, **changes}.items() if value is not ...}
    answer = api.post(ZARRS, body)
    assert answer.status_code == 400
    assert list(violations(answer)) == [parameter]


def test_read_only_fields_of_a_request_are_ignored(api: Driver) -> None:
    made = create(api, id=None, status="INGESTED", width=7, envelope=None, zattrs={})
    assert (made["status"], made["width"]) == ("CREATED", None)


# Lists and arrays.


def test_collections_and_arrays_page_by_key(api: Driver, bucket: Path) -> None:
    write_group(bucket, bands=[f"B{number}" for number in range(7)])
    made = {create(api, name=f"c{number}")["id"] for number in range(5)}
    api.tick(3)
    some = min(made)
    for url, key, all_of_them in (
        (ZARRS, "id", sorted(made)),
        (f"{ZARRS}/{some}/arrays", "name", [f"B{number}" for number in range(7)]),
    ):
        seen: list[str] = []
        query: dict[str, Any] = {"count": 2}
        for _ in range(4):
            answer = api.get(url, **query).json()
            seen += [entry[key] for entry in answer["data"]]
            if "nextToken" not in answer["links"]:
                break
            assert answer["links"]["next"].startswith("http://sandbox/zarr/v1/")
            query["viewtoken"] = answer["links"]["nextToken"]
        assert seen == all_of_them


def test_search_takes_words_of_the_name(api: Driver, bucket: Path) -> None:
    write_group(bucket)
    one = create(api, name="wheat 2024")["id"]
    create(api, name="rye")
    api.tick(3)
    assert [e["id"] for e in api.get(ZARRS, search="2024|barley").json()["data"]] == [one]
    found = api.get(f"{ZARRS}/{one}/arrays", search="b08").json()["data"]
    assert [entry["name"] for entry in found] == ["B08"]


def test_array_tells_its_metadata_and_where_it_lies(api: Driver, bucket: Path) -> None:
    group = write_group(bucket)
    edit(group / "B04" / ".zarray", secret="of the writer")
    edit(group / "B04" / ".zattrs", long_name="red")
    one = ingested(api)["id"]
    array = api.get(f"{ZARRS}/{one}/arrays/B04").json()["data"]
    assert (array["name"], array["s3Bucket"], array["path"]) == ("B04", BUCKET, f"{PATH}B04/")
    assert array["zarray"]["shape"] == [3, 30, 40]
    assert array["zarray"]["dtype"] == "<f4"
    assert "secret" not in array["zarray"]
    assert array["zattrs"] == {"long_name": "red", "_ARRAY_DIMENSIONS": ["time", "y", "x"]}
    listed = api.get(f"{ZARRS}/{one}/arrays").json()["data"]
    assert listed[0] == array
    for name in ("B05", "x", "%2e%2e", "time", "B04%2f..%2fB04"):
        assert api.get(f"{ZARRS}/{one}/arrays/{name}").status_code == 404


def test_lags_hide_what_is_new(api: Driver) -> None:
    api.configure(list_lag_s=5, get_lag_s=2)
    one = create(api)["id"]
    assert api.get(f"{ZARRS}/{one}").status_code == 404
    api.tick(2)
    assert api.get(f"{ZARRS}/{one}").status_code == 200
    assert api.get(ZARRS).json()["data"] == []
    api.tick(3)
    assert len(api.get(ZARRS).json()["data"]) == 1


# Changes.


def test_only_the_name_changes(api: Driver) -> None:
    one = create(api)["id"]
    body = {**BODY, "name": "renamed", "s3Bucket": "other", "path": "other/", "crs": "EPSG:4326"}
    assert api.put(f"{ZARRS}/{one}", body).status_code == 204
    now = read(api, one)
    assert (now["name"], now["s3Bucket"], now["path"], now["crs"]) == ("renamed", BUCKET, PATH, UTM)
    assert api.put(f"{ZARRS}/{one}", {}).status_code == 400
    assert api.put(f"{ZARRS}/{one}", {"name": ""}).status_code == 400


@pytest.mark.parametrize("status", [404, 204])
def test_deleted_collection_is_gone_and_its_files_are_not(
    api: Driver, bucket: Path, status: int
) -> None:
    api.configure(second_delete=status)
    group = write_group(bucket)
    one = ingested(api)["id"]
    assert api.delete(f"{ZARRS}/{one}").status_code == 204
    for path in (one, f"{one}/arrays", f"{one}/arrays/B04"):
        assert api.get(f"{ZARRS}/{path}").status_code == 404
    assert api.send("PUT", f"{ZARRS}/{one}/reingest").status_code == 404
    assert api.delete(f"{ZARRS}/{one}").status_code == status
    assert api.delete(f"{ZARRS}/{NEVER}").status_code == 404
    assert api.get("/_sandbox/dump").json()["zarr_arrays"] == []
    assert (group / ".zgroup").exists()


def test_calls_that_change_cost_one_unit_each(api: Driver) -> None:
    one = create(api)["id"]
    api.get(f"{ZARRS}/{one}")
    api.get(ZARRS)
    api.put(f"{ZARRS}/{one}", {"name": "other"})
    api.send("PUT", f"{ZARRS}/{one}/reingest")
    answer = api.delete(f"{ZARRS}/{one}")
    assert answer.headers["x-processingunits-spent"] == "1.0"
    (account,) = api.get("/_sandbox/meter").json()["accounts"].values()
    assert account == {"pu": 4.0, "calls": 4}


@pytest.mark.parametrize("status", [403, 404])
def test_what_belongs_to_others_is_refused(tmp_path: Path, status: int) -> None:
    with sandbox(tmp_path) as api:
        api.login()
        api.configure(
            foreign_objects=status, clients={"other": {"secret": "s", "account": "other"}}
        )
        one = create(api)["id"]
        api.login("other", "s")
        assert api.get(ZARRS).json()["data"] == []
        answers = [
            api.get(f"{ZARRS}/{one}"),
            api.put(f"{ZARRS}/{one}", {"name": "mine"}),
            api.delete(f"{ZARRS}/{one}"),
            api.send("PUT", f"{ZARRS}/{one}/reingest"),
            api.get(f"{ZARRS}/{one}/arrays"),
            api.get(f"{ZARRS}/{one}/arrays/B04"),
        ]
        assert {answer.status_code for answer in answers} == {status}


# Reingestion.


def test_reingest_picks_up_a_longer_time_axis(api: Driver, bucket: Path) -> None:
    write_group(bucket, times=(0, 5))
    one = ingested(api)["id"]
    write_group(bucket, times=(0, 5, 9))
    assert reingested(api, one)["status"] == "INGESTED"
    array = api.get(f"{ZARRS}/{one}/arrays/B04").json()["data"]
    assert array["zarray"]["shape"] == [3, 30, 40]


def test_reingest_picks_up_what_was_skipped_before(api: Driver, bucket: Path) -> None:
    group = write_group(bucket)
    edit(group / "B08" / ".zarray", order="F")
    one = ingested(api)
    assert list(one["additionalData"]["bands"]) == ["B04"]
    edit(group / "B08" / ".zarray", order="C")
    again = reingested(api, one["id"])
    assert list(again["additionalData"]["bands"]) == ["B04", "B08"]
    assert again["ingestionErrors"] is None


def test_reingest_heals_what_failed(api: Driver, bucket: Path) -> None:
    one = ingested(api)
    assert one["status"] == "FAILED"
    write_group(bucket)
    assert reingested(api, one["id"])["status"] == "INGESTED"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"times": (0, 6, 17)}, "coordinates"),
        ({"times": (0, 5)}, "B04"),
        ({"times": (1, 0, 5, 17)}, "coordinates"),
        ({"columns": 500_015.0 + 10.0 * np.arange(40)}, "coordinates"),
        ({"rows": 5_200_295.0 - 20.0 * np.arange(30)}, "coordinates"),
        ({"columns": 500_005.0 + 10.0 * np.arange(50)}, "B04"),
        ({"bands": ["B04"]}, "B08"),
        ({"names": ("lon", "lat")}, "coordinates"),
    ],
)
def test_what_was_ingested_cannot_change(
    api: Driver, bucket: Path, change: dict[str, Any], told: str
) -> None:
    write_group(bucket)
    before = ingested(api)
    write_group(bucket, **change)
    after = reingested(api, before["id"])
    assert after["status"] == "FAILED"
    assert told in after["ingestionErrors"]
    assert after["envelope"] == before["envelope"]
    assert after["additionalData"] == before["additionalData"]
    write_group(bucket)
    assert reingested(api, before["id"])["status"] == "INGESTED"


@pytest.mark.parametrize("key", ["dtype", "fill_value", "compressor"])
def test_metadata_of_what_was_ingested_cannot_change(api: Driver, bucket: Path, key: str) -> None:
    group = write_group(bucket)
    one = ingested(api)["id"]
    other = {"dtype": "<f8", "fill_value": 0, "compressor": {"id": "zlib", "level": 1}}
    edit(group / "B04" / ".zarray", **{key: other[key]})
    after = reingested(api, one)
    assert (after["status"], "B04" in after["ingestionErrors"]) == ("FAILED", True)


@pytest.mark.parametrize(("mode", "status"), [("accept", 200), ("refuse", 400)])
def test_reingest_while_an_ingestion_runs_is_as_the_setting_says(
    api: Driver, bucket: Path, mode: str, status: int
) -> None:
    api.configure(zarr_reingest_running=mode)
    write_group(bucket)
    one = create(api)["id"]
    assert api.send("PUT", f"{ZARRS}/{one}/reingest").status_code == status
    api.tick(3)
    assert read(api, one)["status"] == "INGESTED"


def test_without_any_duration_the_first_look_finds_it_done(api: Driver, bucket: Path) -> None:
    api.configure(zarr_created_s=0, zarr_ingesting_s=0)
    write_group(bucket)
    made = create(api)
    assert made["status"] == "CREATED"
    assert read(api, made["id"])["status"] == "INGESTED"


def test_an_ingestion_ends_as_if_somebody_had_looked_in_time(tmp_path: Path) -> None:
    """What was acknowledged is there after a restart, and only then read."""
    with sandbox(tmp_path) as api:
        api.login()
        one = create(api)["id"]
    write_group(tmp_path / "buckets" / BUCKET)
    with sandbox(tmp_path) as api:
        api.login()
        assert read(api, one)["status"] == "CREATED"
        api.tick(3)
        assert read(api, one)["status"] == "INGESTED"


def test_reset_forgets_collections(api: Driver) -> None:
    create(api)
    assert api.post("/_sandbox/reset", {}).status_code == 200
    api.login()
    assert api.get(ZARRS).json()["data"] == []
