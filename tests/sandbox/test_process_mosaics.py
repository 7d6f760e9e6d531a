"""Which scenes a pixel is made of: one of them, days, tiles, and several collections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from . import processing as p
from .support import Driver

DAYS = {
    "a": "2025-06-01T10:00:00Z",
    "b": "2025-06-03T23:59:59Z",
    "c": "2025-06-02T00:00:00Z",
    "d": "2025-06-03T01:00:00Z",
}
VALUES = {"a": 1, "b": 2, "c": 3, "d": 4}
SAME = p.script("return [samples.B04, samples.dataMask];", bands='["B04", "dataMask"]',
                output='{bands: 2, sampleType: "UINT16"}')  # fmt: skip
LISTED = """
const digits = samples.reduce((sum, one) => 10 * sum + one.B04, 0);
outputMetadata.userData = {scenes: scenes.tiles || scenes.orbits};
return [samples.length, digits];
"""


def listed(mosaicking: str, more: str = "") -> str:
    return p.script(LISTED, bands='["B04"]', output='{bands: 2, sampleType: "UINT16"}',
                    mosaicking=mosaicking, more=more)  # fmt: skip


@pytest.fixture
def many(api: Driver, bucket: Path) -> str:
    """Four tiles at one place; two of them on one day."""
    for name, value in VALUES.items():
        p.write(bucket / name / "B04.tif", np.full((256, 256), value, "uint16"))
    return p.collection(api, dict(DAYS))


PLACE = [p.WEST, p.NORTH - 2560, p.WEST + 2560, p.NORTH]


def small(kind: Any, text: str, **parts: Any) -> dict[str, Any]:
    return p.body(kind, text, **{"bbox": PLACE, "size": (2, 2), **parts})


def filtered(**chosen: Any) -> dict[str, Any]:
    return {"dataFilter": chosen}


def span(begin: str, end: str) -> dict[str, str]:
    return {"from": begin, "to": end}


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, 2),
        ({"mosaickingOrder": "mostRecent"}, 2),
        ({"mosaickingOrder": "leastRecent"}, 1),
        ({"timeRange": span("2025-06-01T00:00:00Z", "2025-06-02T00:00:00Z")}, 3),
        ({"timeRange": span("2025-06-02T00:00:00.001Z", "2025-06-03T01:00:00Z")}, 4),
        ({"timeRange": span("2025-06-01T12:00:00+02:00", "2025-06-01T12:00:00+02:00")}, 1),
        ({"timeRange": span("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")}, 0),
    ],
)
def test_simple_takes_the_first_of_the_order(
    api: Driver, many: str, chosen: dict[str, Any], expected: int
) -> None:
    """Ends of a range belong to it."""
    values, mask = p.pixels(api, small(many, SAME, item=filtered(**chosen)))
    assert set(np.unique(values)) == {expected}
    assert set(np.unique(mask)) == {int(expected > 0)}


def test_of_one_instant_the_later_tile_wins(api: Driver, bucket: Path) -> None:
    for name, value in VALUES.items():
        p.write(bucket / name / "B04.tif", np.full((256, 256), value, "uint16"))
    kind = p.collection(api, dict.fromkeys("acbd", "2025-06-01T10:00:00Z"))
    assert set(np.unique(p.pixels(api, small(kind, SAME))[0])) == {4}


def test_tiles_are_used_side_by_side_and_where_they_have_nothing(api: Driver, bucket: Path) -> None:
    """The newest covers the middle and has no data in a part of it; there are none then."""
    p.write(bucket / "wide/B04.tif", np.full((512, 512), 5, "uint16"))
    part = np.full((256, 256), 6, "uint16")
    part[:64] = 0
    p.write(bucket / "part/B04.tif", part, west=p.WEST + 1280, north=p.NORTH - 1280)
    tiles = {"wide": "2025-06-01T10:00:00Z", "part": "2025-06-02T10:00:00Z"}
    values, mask = p.pixels(api, p.body(p.collection(api, dict(tiles), noData=0), SAME))
    expected = np.full((512, 512), 5)
    expected[128:384, 128:384] = part
    assert np.array_equal(values, expected)
    assert np.array_equal(mask, expected > 0)


@pytest.mark.parametrize(
    ("mosaicking", "order", "expected"),
    [
        ("TILE", "mostRecent", (4, 2431)),
        ("TILE", "leastRecent", (4, 1342)),
        ("ORBIT", "mostRecent", (3, 231)),
        ("ORBIT", "leastRecent", (3, 134)),
    ],
)
def test_samples_come_in_order(
    api: Driver, many: str, mosaicking: str, order: str, expected: tuple[int, int]
) -> None:
    """An orbit is a day, in which the first of the order is used."""
    request = small(many, listed(mosaicking), item=filtered(mosaickingOrder=order))
    found = p.pixels(api, request)
    assert {tuple(pair) for pair in found.reshape(2, -1).T.tolist()} == {expected}


def userdata(api: Driver, request: dict[str, Any]) -> Any:
    request["output"]["responses"] = [{"identifier": "userdata", "format": {"type": p.JSON}}]
    return json.loads(p.processed(api, request))


def test_scenes_are_told(api: Driver, many: str) -> None:
    tiles = userdata(api, small(many, listed("TILE")))["scenes"]
    assert [one["date"] for one in tiles] == sorted(DAYS.values(), reverse=True)
    assert [one["dataPath"][0] for one in tiles] == list("bdca")
    ids = {one["id"] for one in api.tiles(many.removeprefix("byoc-"))["data"]}
    assert {one["shId"] for one in tiles} == ids
    orbits = userdata(api, small(many, listed("ORBIT")))["scenes"]
    assert [one["dateFrom"] for one in orbits] == [f"2025-06-0{day}T00:00:00Z" for day in (3, 2, 1)]
    assert orbits[0]["dateTo"] == "2025-06-03T23:59:59Z"


def test_scenes_that_the_script_leaves_out_are_not_read(
    api: Driver, many: str, bucket: Path
) -> None:
    (bucket / "b/B04.tif").unlink()
    more = (
        "function preProcessScenes(collections) { collections.scenes.tiles ="
        " collections.scenes.tiles.filter(one => one.date < '2025-06-03T20'); return collections; }"
    )
    count, digits = p.pixels(api, small(many, listed("TILE", more)))[:, 0, 0]
    assert (count, digits) == (3, 431)
    assert p.asked(api, small(many, listed("TILE"))).status_code == 500


def test_the_number_of_bands_follows_the_scenes(api: Driver, many: str) -> None:
    text = p.script(
        "return samples.map(one => one.B04);",
        bands='["B04"]',
        output='{bands: 1, sampleType: "UINT8"}',
        mosaicking="TILE",
        more="function updateOutput(outputs, collection)"
        " { outputs.default.bands = collection.scenes.length; }",
    )
    assert p.pixels(api, small(many, text))[:, 0, 0].tolist() == [2, 4, 3, 1]


def test_no_scene_is_an_empty_list(api: Driver, many: str) -> None:
    chosen = filtered(timeRange=span("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"))
    assert not p.pixels(api, small(many, listed("TILE"), item=chosen)).any()


FUSED = """//VERSION=3
function setup() { return {
  input: [{datasource: "old", bands: ["B04"]}, {datasource: "new", bands: ["B04", "dataMask"]}],
  output: {bands: 3, sampleType: "UINT16"} }; }
function evaluatePixel(samples) {
  const first = samples.new[0];
  return [samples.old[0].B04, samples.new.length, first ? first.B04 + 100 * first.dataMask : 0];
}"""


def fused(kind: str, begin: str, end: str) -> list[dict[str, Any]]:
    return [
        {"id": "new", "type": kind, "dataFilter": {"timeRange": span(begin, end)}},
        {"id": "old", "type": kind, "dataFilter": {"mosaickingOrder": "leastRecent"}},
    ]


def test_data_of_several_collections_are_lists_by_id(api: Driver, many: str) -> None:
    data = fused(many, "2025-06-02T00:00:00Z", "2025-06-02T12:00:00Z")
    assert p.pixels(api, small(data, FUSED))[:, 0, 0].tolist() == [1, 1, 103]
    nothing = fused(many, "2026-06-02T00:00:00Z", "2026-06-02T12:00:00Z")
    assert p.pixels(api, small(nothing, FUSED))[:, 0, 0].tolist() == [1, 0, 0]


def test_data_of_several_collections_are_lists_by_number_where_the_script_names_none(
    api: Driver, many: str
) -> None:
    """Whatever the request calls them."""
    unnamed = FUSED.replace('datasource: "old", ', "").replace('datasource: "new", ', "")
    text = unnamed.replace("samples.old", "samples['0']").replace("samples.new", "samples[1]")
    new, old = fused(many, "2025-06-02T00:00:00Z", "2025-06-02T12:00:00Z")
    for data in ([old, new], [{**old, "id": "x"}, new]):
        assert p.pixels(api, small(data, text))[:, 0, 0].tolist() == [1, 1, 103]


def test_a_script_may_read_about_scenes_alone(api: Driver, many: str) -> None:
    """Published ones list what there is, without a band and without an image."""
    text = p.script(
        "return [];",
        bands='[{bands: [], metadata: ["bounds"]}]',
        output="{bands: 0}",
        mosaicking="ORBIT",
        more="function updateOutputMetadata(scenes, inputMetadata, outputMetadata) {"
        " outputMetadata.userData = {days: scenes.orbits.map((one) => one.dateFrom.slice(0, 10)),"
        " known: scenes.orbits.every((one) => one.tiles.every((tile) => tile.dataEnvelope))}; }",
    )
    request = small(many, text)
    request["output"]["responses"] = [{"identifier": "userdata", "format": {"type": p.JSON}}]
    told = json.loads(p.processed(api, request))
    assert told["known"] is True
    assert told["days"] == sorted(told["days"], reverse=True)
    assert len(told["days"]) > 1
    assert "0 bands" in p.refused(api, small(many, text))["message"]


def test_a_tile_without_a_time_is_in_every_range_and_last(api: Driver, bucket: Path) -> None:
    for name, value in VALUES.items():
        p.write(bucket / name / "B04.tif", np.full((256, 256), value, "uint16"))
    kind = p.collection(api, {"a": None, "b": "2025-06-02T00:00:00Z"})
    for order in ("mostRecent", "leastRecent"):
        request = small(kind, listed("TILE"), item=filtered(mosaickingOrder=order))
        assert p.pixels(api, request)[:, 0, 0].tolist() == [2, 21]
    never = filtered(timeRange=span("1999-01-01T00:00:00Z", "1999-02-01T00:00:00Z"))
    assert p.pixels(api, small(kind, listed("TILE"), item=never))[:, 0, 0].tolist() == [1, 1]
