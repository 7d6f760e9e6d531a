"""What an answer is written as: sample types, formats, archives, user data; and what it costs."""

from __future__ import annotations

import json
import math
import zlib
from email import message_from_bytes
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox.samples import written

from . import processing as p
from .support import Driver

SAMPLE_TYPES = ("AUTO", "UINT8", "INT8", "UINT16", "INT16", "FLOAT32")
LIMITS = {
    "UINT8": (0, 255), "INT8": (-128, 127), "UINT16": (0, 65535), "INT16": (-32768, 32767),
}  # fmt: skip


def constant(values: str, sample_type: str, bands: int = 1, more: str = "") -> str:
    output = f'{{bands: {bands}, sampleType: "{sample_type}"{more}}}'
    return p.script(f"return [{values}];", bands='["B04"]', output=output)


@pytest.fixture
def one(api: Driver, bucket: Path) -> str:
    p.write(bucket / "a/B04.tif", p.numbers(4))
    p.write(bucket / "a/B08.tif", p.numbers(8))
    return p.collection(api, {"a": "2025-06-01T10:00:00Z"})


@pytest.mark.parametrize(
    ("sample_type", "value", "expected"),
    [
        ("AUTO", "0.5", 128),
        ("AUTO", "-1", 0),
        ("AUTO", "1.5", 255),
        ("UINT8", "40.6", 41),
        ("UINT8", "310", 255),
        ("UINT8", "2.5", 3),
        ("UINT8", "NaN", 0),
        ("INT8", "-130", -128),
        ("INT8", "-2.5", -2),
        ("UINT16", "1e9", 65535),
        ("INT16", "-40000", -32768),
        ("INT16", "Infinity", 32767),
        ("FLOAT32", "0.1", np.float32(0.1)),
        ("FLOAT32", "-Infinity", -math.inf),
    ],
)
def test_values_are_written_as_their_type(
    api: Driver, one: str, sample_type: str, value: str, expected: float
) -> None:
    found = p.pixels(api, p.body(one, constant(value, sample_type), size=(2, 2)))
    assert found.dtype == np.dtype("uint8" if sample_type == "AUTO" else sample_type.lower())
    assert set(found.ravel().tolist()) == {expected}


def test_no_number_stays_no_number_in_floating_point(api: Driver, one: str) -> None:
    assert np.isnan(p.pixels(api, p.body(one, constant("NaN", "FLOAT32"), size=(2, 2)))).all()


@given(st.sampled_from(sorted(LIMITS)), st.floats(width=64))
def test_integers_are_the_nearest_that_fit(sample_type: str, value: float) -> None:
    found = int(written(np.full((1, 1, 1), value), sample_type)[0, 0, 0])
    low, high = LIMITS[sample_type]
    if math.isnan(value):
        assert found == 0
    elif low <= value <= high:
        assert abs(found - value) <= 0.5
    else:
        assert found == (low if value < low else high)


@pytest.mark.parametrize("sample_type", SAMPLE_TYPES)
@pytest.mark.parametrize("bands", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", [p.TIFF, p.PNG, p.JPEG])
def test_formats_hold_what_they_can(
    api: Driver, one: str, kind: str, bands: int, sample_type: str
) -> None:
    """The table of the reference: bands and sample types of each format."""
    holds = {
        p.TIFF: True,
        p.PNG: bands <= 4 and sample_type in ("AUTO", "UINT8", "UINT16"),
        p.JPEG: bands in (1, 3) and sample_type in ("AUTO", "UINT8"),
    }[kind]
    text = constant("1, 0, 1, 1, 1".replace(" ", "")[: 2 * bands - 1], sample_type, bands)
    request = p.body(one, text, size=(8, 8), formats={"default": kind})
    if not holds:
        assert p.refused(api, request)["code"] == "COMMON_BAD_PAYLOAD"
        return
    answer = p.asked(api, request)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == kind
    assert p.image(answer.content).shape == (bands, 8, 8)


def test_a_png_has_the_very_pixels(api: Driver, one: str) -> None:
    text = p.script(
        "return [samples.B04, samples.B08, 7, 65535];", output='{bands: 4, sampleType: "UINT16"}'
    )
    found = p.pixels(api, p.body(one, text, formats={"default": p.PNG}))
    assert np.array_equal(found[0], p.numbers(4))
    assert np.array_equal(found[1], p.numbers(8))
    assert np.all(found[2] == 7)
    assert np.all(found[3] == 65535)


def test_a_better_jpeg_is_longer_and_closer(api: Driver, one: str) -> None:
    text = p.script("return [samples.B04 / 10000];", output="{bands: 1}")
    expected = np.floor(p.numbers(4) / 10000 * 255 + 0.5)
    sizes, errors = [], []
    for quality in (0, 50, 100):
        request = p.body(one, text)
        request["output"]["responses"][0]["format"] = {"type": p.JPEG, "quality": quality}
        content = p.processed(api, request)
        sizes.append(len(content))
        errors.append(np.abs(p.image(content)[0] - expected).mean())
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1
    default = p.processed(api, p.body(one, text, formats={"default": p.JPEG}))
    assert sizes[1] < len(default) < sizes[2]


def test_a_tiff_is_chunky_and_has_its_tag(api: Driver, one: str) -> None:
    content = p.processed(
        api, p.body(one, constant("1, 2, 3", "INT16", 3, ", nodataValue: -9"), size=(4, 4))
    )
    with rasterio.MemoryFile(content) as memory, memory.open() as raster:
        assert raster.nodata == -9
        assert raster.interleaving.value.lower() == "pixel"
    without = p.processed(api, p.body(one, constant("1", "UINT8", 1, ", nodataValue: -9")))
    with rasterio.MemoryFile(without) as memory, memory.open() as raster:
        assert raster.nodata is None


TWO = """//VERSION=3
function setup() { return {input: ["B04"], output: [
  {id: "default", bands: 1, sampleType: "UINT16"}, {id: "index", bands: 3}]}; }
function evaluatePixel(s, scenes, inputMetadata, customData, outputMetadata) {
  outputMetadata.userData = {factor: inputMetadata.normalizationFactor, text: "ä"};
  return {default: [s.B04], index: [0, 0.5, 1]}; }"""


def two(kind: str) -> dict[str, Any]:
    formats = {"index": p.PNG, "default": p.TIFF, "userdata": p.JSON}
    return p.body(kind, TWO, formats=formats)


@pytest.mark.parametrize(
    "accept", ["application/tar", "application/x-tar", "text/a, application/x-tar;q=0.5"]
)
def test_several_answers_come_as_an_archive(api: Driver, one: str, accept: str) -> None:
    answer = p.asked(api, two(one), accept=accept)
    assert answer.headers["content-type"] == "application/x-tar"
    found = p.members(answer.content)
    assert list(found) == ["index.png", "default.tif", "userdata.json"]
    assert np.array_equal(p.image(found["default.tif"])[0], p.numbers(4))
    assert p.image(found["index.png"])[:, 0, 0].tolist() == [0, 128, 255]
    assert json.loads(found["userdata.json"]) == {"factor": 1, "text": "ä"}
    assert p.processed(api, two(one), accept=accept) == answer.content


def test_several_answers_come_in_parts(api: Driver, one: str) -> None:
    answer = p.asked(api, two(one), accept="multipart/mixed")
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    parts = message_from_bytes(head + answer.content).get_payload()
    assert isinstance(parts, list)
    names = [part.get_filename() for part in parts]  # type: ignore[union-attr]
    assert names == ["index.png", "default.tif", "userdata.json"]
    assert json.loads(parts[2].get_payload(decode=True))["factor"] == 1  # type: ignore[union-attr, arg-type]


def test_several_answers_need_one_of_these(api: Driver, one: str) -> None:
    assert "Accept" in p.refused(api, two(one))["message"]
    assert "Accept" in p.refused(api, two(one), accept=p.TIFF)["message"]


@pytest.mark.parametrize("kind", [p.TIFF, p.PNG, p.JPEG])
def test_accept_comes_before_the_format(api: Driver, one: str, kind: str) -> None:
    request = p.body(one, constant("1", "AUTO"), formats={"default": p.PNG})
    assert p.asked(api, request, accept=kind).headers["content-type"] == kind
    del request["output"]["responses"]
    assert p.asked(api, request, accept=kind).headers["content-type"] == kind
    assert p.asked(api, request).headers["content-type"] == p.PNG


def test_what_is_not_made_is_refused(api: Driver, one: str) -> None:
    request = p.body(one, constant("1", "AUTO"))
    for accept in ("image/webp", "text/html", p.JSON):
        assert p.refused(api, request, accept=accept)["code"] == "COMMON_BAD_PAYLOAD"


def test_samples_alone_are_chunks_of_zarr(api: Driver, one: str) -> None:
    """Source: xcube-sh, whose chunks these bodies are: little endian, row by row, compressed by zlib."""
    raw = "application/octet-stream"
    text = p.script("return [samples.B04, samples.B08];", output='{bands: 2, sampleType: "UINT16"}')
    answer = p.asked(api, p.body(one, text), accept=raw)
    assert answer.headers["content-type"] == raw
    found = np.frombuffer(zlib.decompress(answer.content), "<u2").reshape(p.SIZE, p.SIZE, 2)
    assert np.array_equal(found[..., 0], p.numbers(4))
    assert np.array_equal(found[..., 1], p.numbers(8))
    floating = p.asked(api, p.body(one, constant("0.1", "FLOAT32"), size=(16, 16)), accept=raw)
    assert set(np.frombuffer(zlib.decompress(floating.content), "<f4")) == {np.float32(0.1)}
    assert spent(api, p.body(one, text), accept=raw) == pytest.approx(1.4 * 2 / 3)
    silent = p.body(one, constant("1", "AUTO"), formats={"userdata": p.JSON})
    assert p.refused(api, silent, accept=raw)["code"] == "COMMON_BAD_PAYLOAD"


def test_user_data_alone(api: Driver, one: str) -> None:
    text = p.script(
        "outputMetadata.userData = {seen: samples.B04 > 0, list: [1, 2.5]};", bands='["B04"]'
    )
    request = p.body(one, text, size=(1, 1), formats={"userdata": p.JSON})
    answer = p.asked(api, request)
    assert answer.headers["content-type"] == p.JSON
    assert answer.json() == {"seen": True, "list": [1, 2.5]}
    silent = p.body(one, constant("1", "AUTO"), size=(1, 1), formats={"userdata": p.JSON})
    assert p.asked(api, silent).json() == {}


def spent(api: Driver, request: dict[str, Any], accept: str = "*/*") -> float:
    """What an answer says it cost, which is what the meter counts."""
    before = api.get("/_sandbox/meter").json()["pu"]
    answer = p.asked(api, request, accept=accept)
    assert answer.status_code == 200, answer.text
    cost = float(answer.headers["x-processingunits-spent"])
    assert api.get("/_sandbox/meter").json()["pu"] - before == pytest.approx(cost)
    return cost


def test_processing_units_are_those_of_the_page(api: Driver, one: str) -> None:
    ndvi = p.script("return [samples.B08];", output='{bands: 1, sampleType: "UINT16"}')
    masked = p.script(
        "return [samples.B08];",
        bands='["B04", "B08", "dataMask"]',
        output='{bands: 1, sampleType: "UINT16"}',
    )
    floating = p.script("return [samples.B08];")
    assert spent(api, p.body(one, ndvi)) == pytest.approx(2 / 3)
    assert spent(api, p.body(one, masked)) == pytest.approx(2 / 3)
    assert spent(api, p.body(one, floating)) == pytest.approx(4 / 3)
    assert spent(api, p.body(one, ndvi, size=(20, 20))) == pytest.approx(0.02 / 3)
    assert spent(api, p.body(one, constant("1", "AUTO"), size=(1, 1))) == 0.005
    data = [{"id": "a", "type": one}, {"id": "b", "type": one}]
    fused = p.script("return [1];", output="{bands: 1}",
                     bands='[{datasource: "a", bands: ["B04"]}, {datasource: "b", bands: ["B08"]}]')  # fmt: skip
    assert spent(api, p.body(data, fused)) == pytest.approx(4 / 3)


def test_samples_are_paid_for_after_the_script_chose(api: Driver, bucket: Path) -> None:
    for name in "abc":
        p.write(bucket / name / "B04.tif", p.numbers(1))
    kind = p.collection(api, {n: f"2025-06-0{d}T10:00:00Z" for d, n in enumerate("abc", 1)})
    few = (
        "function preProcessScenes(c) { c.scenes.orbits = c.scenes.orbits.slice(0, 2); return c; }"
    )
    output = "{bands: 1}"
    for mosaicking, more, count in (("ORBIT", "", 3), ("ORBIT", few, 2), ("SIMPLE", "", 1)):
        text = p.script(
            "return [1];", bands='["B04"]', output=output, mosaicking=mosaicking, more=more
        )
        assert spent(api, p.body(kind, text)) == pytest.approx(count / 3)


def test_what_fails_costs_nothing(api: Driver, one: str) -> None:
    p.refused(api, p.body(one, p.script("return samples.B04.x.y;")))
    assert api.get("/_sandbox/meter").json()["pu"] == pytest.approx(2)  # collection and tile


def test_who_has_too_few_units_gets_nothing(api: Driver, one: str) -> None:
    request = p.body(one, constant("1", "AUTO"))
    api.configure(account_pu=2.2)
    answer = p.asked(api, request)
    assert (answer.status_code, answer.json()["error"]["code"]) == (
        403,
        "ACCESS_INSUFFICIENT_PROCESSING_UNITS",
    )
    api.configure(account_pu=None, pu_per_minute=0.4)
    assert p.asked(api, request).status_code == 200
    assert p.asked(api, request).status_code == 429
    assert api.get("/_sandbox/meter").json()["pu"] == pytest.approx(2 + 1 / 3)
