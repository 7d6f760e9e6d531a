from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .support import CHECKED, Driver
from .zarrs import DIMENSIONS, create, ingested, write_array, write_group

LOCATION = "/api/v1/metadata/location"
COLLECTION = "/api/v1/metadata/collection"
NEVER = "017aa0ae-33a6-45d3-8548-0f7d1041b40c"


def band(depth: int, sample_format: str) -> dict[str, Any]:
    return {"bitDepth": depth, "sampleFormat": sample_format}


def test_the_only_location_is_this_sandbox(api: Driver) -> None:
    CHECKED.clear()
    (one,) = api.get(LOCATION).json()
    assert one == api.get(f"{LOCATION}/aws-eu-central-1").json()
    assert CHECKED == [200, 200]
    assert (one["id"], one["url"]) == ("aws-eu-central-1", "http://sandbox")
    assert all(one[key].startswith("http://sandbox/") for key in ("processUrl", "catalogUrl"))
    assert api.get(f"{LOCATION}/aws-us-west-2").status_code == 404
    api.configure(location="aws-us-west-2")
    assert [entry["id"] for entry in api.get(LOCATION).json()] == ["aws-us-west-2"]


@pytest.mark.parametrize(
    ("depth", "sample_format", "sample_type"),
    [
        (8, "UINT", "UINT8"),
        (16, "UINT", "UINT16"),
        (32, "UINT", "FLOAT64"),
        (8, "INT", "FLOAT32"),
        (16, "INT", "FLOAT32"),
        (32, "INT", "FLOAT64"),
        (32, "FLOAT", "FLOAT32"),
    ],
)
def test_bands_of_a_byoc_collection_have_the_type_that_holds_them(
    api: Driver, depth: int, sample_format: str, sample_type: str
) -> None:
    one = api.collection(additionalData={"bands": {"B04": band(depth, sample_format)}})["id"]
    CHECKED.clear()
    told = api.get(f"{COLLECTION}/byoc-{one}").json()
    assert CHECKED == [200]
    assert (told["id"], told["datasetType"]) == (one, "custom")
    assert told["location"] == api.get(LOCATION).json()[0]
    assert told["bands"] == [{"name": "B04", "sampleType": sample_type}]


def test_collection_without_bands_has_none(api: Driver) -> None:
    one = api.collection()["id"]
    assert api.get(f"{COLLECTION}/byoc-{one}").json()["bands"] == []


def test_arrays_of_a_zarr_collection_are_its_bands(api: Driver, bucket: Path) -> None:
    group = write_group(bucket, bands=())
    for kind in ("u4", "i4", "i8", "f4", ">f8"):
        name = f"array_{kind.strip('>')}"
        write_array(group, name, np.zeros((3, 30, 40), dtype=kind), dimensions=DIMENSIONS)
    fresh = create(api)["id"]
    assert api.get(f"{COLLECTION}/zarr-{fresh}").json()["bands"] == []
    one = ingested(api)["id"]
    told = api.get(f"{COLLECTION}/zarr-{one}").json()
    assert {entry["name"]: entry["sampleType"] for entry in told["bands"]} == {
        "array_u4": "FLOAT64",
        "array_i4": "FLOAT64",
        "array_i8": "FLOAT64",
        "array_f4": "FLOAT32",
        "array_f8": "FLOAT64",
    }


@pytest.mark.parametrize("kind", ["byoc", "zarr"])
def test_what_is_not_there_or_of_others_is_not_found(api: Driver, kind: str) -> None:
    """The document knows no 403 here."""
    api.configure(clients={"other": {"secret": "s", "account": "other"}})
    one = (api.collection() if kind == "byoc" else create(api))["id"]
    other = "zarr" if kind == "byoc" else "byoc"
    assert api.get(f"{COLLECTION}/{kind}-{one}").status_code == 200
    for name in (f"{other}-{one}", f"{kind}-{NEVER}", f"{kind}-x", one):
        answer = api.get(f"{COLLECTION}/{name}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "COMMON_NOT_FOUND")
    api.login("other", "s")
    assert api.get(f"{COLLECTION}/{kind}-{one}").status_code == 404


@pytest.mark.parametrize("kind", ["byoc", "zarr"])
def test_what_is_new_is_not_found_as_long_as_nobody_finds_it(api: Driver, kind: str) -> None:
    api.configure(get_lag_s=5)
    one = (api.collection() if kind == "byoc" else create(api))["id"]
    assert api.get(f"{COLLECTION}/{kind}-{one}").status_code == 404
    api.tick(5)
    assert api.get(f"{COLLECTION}/{kind}-{one}").status_code == 200


def test_metadata_is_read_only_and_costs_nothing(api: Driver) -> None:
    for path in (LOCATION, f"{LOCATION}/aws-eu-central-1", f"{COLLECTION}/byoc-{NEVER}"):
        assert api.post(path, {}).status_code == 405
        assert "x-processingunits-spent" not in api.get(path).headers
    assert api.send("GET", LOCATION, headers={"authorization": ""}).status_code == 401
