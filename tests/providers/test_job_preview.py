"""The places of results, as a plan shows them before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from shplan.core.job_cost import Features
from shplan.providers.batch_v1_body import delivery_of, in_version_2
from shplan.providers.job_preview import count_features, preview
from shplan.schema.store import table
from tests.support.jobs import TWO_TILES, body, body_v1

GRIDS = table("tiling-grids")


def shown(spec: Any, url: str, key: str = "") -> list[str]:
    told = preview(spec, GRIDS, delivery=url, key=key)
    return [one for one in told if one.startswith(("delivers", "fills"))]


def asking(spec: Any, *names: str) -> Any:
    responses = [{"identifier": name, "format": {"type": "image/tiff"}} for name in names]
    process = {**spec["processRequest"], "output": {"responses": responses}}
    return {**spec, "processRequest": process}


def test_each_output_of_the_first_tile_is_shown_and_the_others_are_counted() -> None:
    spec = asking(in_version_2(body_v1(area=TWO_TILES)), "a", "b")
    (two,) = shown(spec, "s3://x/y")
    folder = "s3://x/y/<requestId>/33N_23_254"
    assert two == f"delivers {folder}/a.tif, {folder}/b.tif and 2 more"
    (many,) = shown(asking(spec, "a", "b", "c", "d"), "s3://x/<tileName>-<outputId>.<format>")
    assert many == (
        "delivers s3://x/33N_23_254-a.tif, s3://x/33N_23_254-b.tif, s3://x/33N_23_254-c.tif"
        " and 5 more"
    )


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://x/<tileId>/<outputId>.<format>", "s3://x/<tileId>/default.tif"),
        ("s3://x/{{ run.key }}", "s3://x/abc/<requestId>/33N_23_254/default.tif"),
    ],
)
def test_what_nobody_knows_before_stays_as_it_is(url: str, place: str) -> None:
    spec = body_v1(url=url)
    assert shown(in_version_2(spec), delivery_of(spec), key="abc") == [f"delivers {place}"]


def test_features_and_zarr_groups_have_places_too() -> None:
    spec: Any = body()
    features = {**spec, "input": {"type": "geopackage", "features": {"s3": {"url": "s3://a/b"}}}}
    assert shown(features, "s3://x/y") == [
        "delivers s3://x/y/<requestId>/<tileName>/default.tif for each feature"
    ]
    zarr = {**spec, "output": {**spec["output"], "type": "zarr"}}
    assert shown(zarr, "s3://x/<requestId>") == ["delivers one Zarr group, s3://x/<requestId>"]


def test_the_collection_that_is_filled_is_said() -> None:
    told = shown(body(createCollection=True), "s3://x")
    assert (
        told[1] == "fills a new collection; once it has run, `collectionId` of this job is its id"
    )
    assert shown(body(collectionId="0e1d"), "s3://x")[1] == "fills collection 0e1d"


@pytest.mark.parametrize(
    ("features", "told"),
    [
        (None, ()),
        ((), ()),
        ([Features(1, 40, 30)], ("1 feature of the GeoPackage, 40 x 30 px",)),
        ([Features(1200, 40, 30)], ("1,200 features of the GeoPackage, 40 x 30 px each",)),
        (
            [Features(3, 10, 90), Features(2, 40, 30, 2)],
            ("5 features of the GeoPackage, 40 x 30 px at most",),
        ),
        # The request has an area as well.
        ([Features(3, 40, 30, 0)], ("at most 3 features of the GeoPackage, 40 x 30 px each",)),
    ],
)
def test_features_of_a_file_are_counted_where_it_could_be_read(features: Any, told: Any) -> None:
    assert count_features(features) == told
