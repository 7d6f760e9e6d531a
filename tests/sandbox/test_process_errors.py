"""What the Process API refuses, in which words, and that it serves on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from . import processing as p
from .support import Driver

SAME = p.script("return [samples.B04];", bands='["B04"]', output="{bands: 1}")


@pytest.fixture
def one(api: Driver, bucket: Path) -> str:
    p.write(bucket / "a/B04.tif", p.numbers(4))
    return p.collection(api, {"a": "2025-06-01T10:00:00Z"})


def changed(request: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The request with one member set, or taken away for None."""
    holder: Any = request
    *steps, last = path.split(".")
    for step in steps:
        holder = holder[int(step)] if step.isdigit() else holder.setdefault(step, {})
    if value is None:
        del holder[last]
    else:
        holder[last] = value
    return request


RING = [[500_000, 5_199_000], [501_000, 5_199_000], [501_000, 5_200_000]]


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("input.bounds", {}, "input->bounds"),
        ("input.bounds.bbox", [1, 2, 3], "bbox"),
        ("input.bounds.bbox", [501_000, 5_199_000, 500_000, 5_200_000], "input->bounds->bbox"),
        ("input.bounds.bbox", [500_000, 5_199_000, 500_000, 5_200_000], "input->bounds->bbox"),
        ("input.bounds.bbox", [1e300, 1e300, 1e305, 1e305], "input->bounds"),
        ("input.bounds.properties.crs", p.EPSG.format(4258), "input->bounds->properties->crs"),
        ("input.bounds.geometry", {"type": "Polygon", "coordinates": []}, "geometry"),
        ("input.bounds.geometry", {"type": "Polygon", "coordinates": [RING]}, "geometry"),
        ("input.bounds.geometry", {"type": "Point", "coordinates": [1, 2]}, "geometry"),
        ("input.data", [], "input->data"),
        ("input.data", None, "input->data"),
        ("input.data.0.type", "landsat-99", "type"),
        ("input.data.0.dataFilter", {"timeRange": {"from": "2025-06-01"}}, "timeRange"),
        (
            "input.data.0.dataFilter",
            {"timeRange": {"from": "2025-06-02T00:00:00Z", "to": "2025-06-01T00:00:00Z"}},
            "timeRange",
        ),
        ("input.data.0.dataFilter", {"mosaickingOrder": "leastCC"}, "mosaickingOrder"),
        ("input.data.0.processing", {"upsampling": "LANCZOS"}, "upsampling"),
        ("output.width", 0, "width"),
        ("output.height", 2501, "height"),
        ("output.resx", 10, "output"),
        ("output.responses.0.format.type", "image/gif", "type"),
        ("output.responses.0.identifier", "userdata", "responses"),
        ("output.responses.0.format.type", p.JSON, "responses"),
        ("evalscript", None, "evalscript"),
    ],
)
def test_a_wrong_request_is_a_bad_payload(
    api: Driver, one: str, path: str, value: Any, told: str
) -> None:
    error = p.refused(api, changed(p.body(one, SAME), path, value))
    assert error["code"] == "COMMON_BAD_PAYLOAD"
    assert any(told in name for name in error["errors"]), error


@pytest.mark.parametrize("resolution", [2.0, 1e-300, -10, 0])
def test_a_resolution_makes_at_most_2500_pixels(api: Driver, one: str, resolution: float) -> None:
    request = p.body(one, SAME, size=None, resx=resolution, resy=10)
    assert "output->resx" in p.refused(api, request)["errors"]
    assert p.asked(api, p.body(one, SAME, size=None, resx=2.05, resy=100)).status_code == 200


def test_two_responses_of_one_output_are_refused(api: Driver, one: str) -> None:
    request = p.body(one, SAME)
    request["output"]["responses"] *= 2
    assert p.refused(api, request, accept="application/tar")["code"] == "COMMON_BAD_PAYLOAD"


def test_an_output_that_the_script_lacks_is_named(api: Driver, one: str) -> None:
    request = p.body(one, SAME, formats={"index": p.PNG})
    assert "no output index" in p.refused(api, request)["message"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (p.script('return "no";'), "Script must return an array."),
        (p.script("return [samples.B04.b.c];", bands='["B04"]'), "line 4"),
        (p.script("return [;"), "line 4"),
        (p.script("return [1];", bands='["B05"]'), "'B05'"),
        (p.script("return [1];", bands='[{bands: ["B04"], units: "REFLECTANCE"}]'),
         "unsupported units 'REFLECTANCE'"),
        (p.script("return [1];").replace("{ return", "{ while (true) {} return"), "did not end"),
        (p.script("const all = []; while (true) all.push(new Float64Array(1e6).fill(1));"), ""),
        ("//VERSION=2\nfunction setup(ds) { setInputComponents([ds.B04]); }", "VERSION"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_script_that_fails_is_told_why(api: Driver, one: str, text: str, told: str) -> None:
    text = text.replace('["B04", "B08"]', '["B04"]')
    error = p.refused(api, p.body(one, text, size=(4, 4)))
    assert error["code"] == "RENDERER_EXCEPTION"
    assert told in error["message"]
    # The next one is served.
    assert p.asked(api, p.body(one, SAME, size=(4, 4))).status_code == 200


def test_a_datasource_that_is_no_data_set_is_named(api: Driver, one: str) -> None:
    text = p.script("return [1];", bands='[{datasource: "x", bands: ["B04"]}]')
    data = [{"id": "a", "type": one}, {"id": "b", "type": one}]
    assert "Datasource x" in p.refused(api, p.body(data, text))["message"]
    data = [{"id": "a", "type": one}, {"id": "a", "type": one}]
    assert "input->data" in p.refused(api, p.body(data, text))["errors"]


def test_a_collection_of_others_is_not_there(api: Driver, one: str) -> None:
    api.configure(
        clients={
            "other": {"secret": "other", "account": "other"},
            "sandbox": {"secret": "sandbox", "account": "sandbox"},
        }
    )
    api.login("other", "other")
    assert "not found" in p.refused(api, p.body(one, SAME))["message"]
    api.login()
    unknown = "byoc-00000000-0000-4000-8000-000000000000"
    assert "not found" in p.refused(api, p.body(unknown, SAME))["message"]
    assert p.asked(api, p.body(one, SAME)).status_code == 200


def test_pixels_may_not_be_too_coarse(api: Driver, one: str) -> None:
    """Source: five times the coarsest overview, but 500 metres are always allowed."""
    api.tick(120)
    far = [p.WEST, p.NORTH - 100_000, p.WEST + 100_000, p.NORTH]
    assert p.asked(api, p.body(one, SAME, bbox=far, size=(200, 200))).status_code == 200
    message = p.refused(api, p.body(one, SAME, bbox=far, size=(200, 199)))["message"]
    assert "502.51 meters per pixel" in message
    assert "500.00" in message
    # One degree of longitude is half as long at 60 degrees.
    north = [15.0, 60.0, 16.0, 60.1]
    assert (
        p.asked(api, p.body(one, SAME, bbox=north, epsg=4326, size=(112, 100))).status_code == 200
    )
    p.refused(api, p.body(one, SAME, bbox=north, epsg=4326, size=(110, 100)))


@pytest.mark.parametrize("damage", ["gone", "cut", "other"])
def test_a_file_that_cannot_be_read_is_the_services_fault(
    api: Driver, one: str, bucket: Path, damage: str
) -> None:
    """Source: files that vanish after ingestion are answered with 500 by the service as well."""
    path = bucket / "a/B04.tif"
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:20_000] if damage == "cut" else b"no image")
    answer = p.asked(api, p.body(one, SAME))
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "RENDERER_EXCEPTION"
    assert "B04.tif" in answer.json()["error"]["message"]


def test_the_older_path_and_bodies_in_parts_are_served(api: Driver, one: str) -> None:
    request = p.body(one, SAME)
    expected = p.processed(api, request)
    assert api.send("POST", "/api/v1/process", json=request).content == expected
    text = request.pop("evalscript")
    parts = {"request": (None, json.dumps(request), p.JSON), "evalscript": (None, text)}
    assert api.send("POST", p.PROCESS, files=parts).content == expected
