"""The evalscript that paints another one's answer, run as the service would run it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.io import MemoryFile

from shplan.core.errors import PlanError
from shplan.core.pictures import PALETTE, Picture, is_empty, painted, picture_request
from shplan.script import Limits, Worker
from tests.script.pixel_cases import ORBIT
from tests.script.pixels import first, planes, render, stacked, v3

HERE = planes(1, 1, B04=0.25, B08=0.75)
NAN = float("nan")


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(limits=Limits(time_s=20, pixels_s=20)) as made:
        yield made


def colours(
    worker: Worker, script: str, picture: Picture | None = None, **more: Any
) -> list[float]:
    rendered = render(worker, painted(script, picture or Picture()), HERE, **more)
    (output,) = rendered.outputs
    assert (output.facts.id, output.facts.bands, output.facts.sample_type) == ("default", 4, "AUTO")
    return first(rendered)


def shade(place: float) -> list[float]:
    """The colour of a place on the palette, by numpy."""
    places = [one for one, _ in PALETTE]
    return [float(np.interp(place, places, [rgb[k] for _, rgb in PALETTE])) / 255 for k in range(3)]


@pytest.mark.parametrize("value", [0, 0.1, 0.2, 0.35, 0.5, 0.8, 0.99, 1])
def test_one_band_has_colours_of_the_palette(value: float, worker: Worker) -> None:
    found = colours(worker, v3(f"return [{value}];"))
    assert found == pytest.approx([*shade(value), 1])


@pytest.mark.parametrize(("value", "place"), [(-0.2, 0), (-7, 0), (0.3, 0.5), (0.8, 1), (90, 1)])
def test_the_range_says_which_values_have_the_outer_colours(
    value: float, place: float, worker: Worker
) -> None:
    found = colours(worker, v3(f"return [{value}];"), Picture(least=-0.2, greatest=0.8))
    assert found == pytest.approx([*shade(place), 1])


@pytest.mark.parametrize(
    ("evaluate", "output", "expected"),
    [
        ("return [0.1, 0.2, 0.3];", "{bands: 3}", [0.1, 0.2, 0.3, 1]),
        ("return [0.1, 0.2, 0.3, 0];", "{bands: 4}", [0.1, 0.2, 0.3, 0]),
        ("return [51, 102, 255];", '{bands: 3, sampleType: "UINT8"}', [0.2, 0.4, 1, 1]),
        ("return [65535, 0, 0];", '[{bands: 3, sampleType: "UINT16"}]', [1, 0, 0, 1]),
        ("return {other: [1], default: [0.1, 0.2, 0.3]};",
         '[{id: "other", bands: 1}, {id: "default", bands: 3}]', [0.1, 0.2, 0.3, 1]),
        ("return {index: [1]};", '{id: "index", bands: 1}', [*shade(1), 1]),
        ("return samples.B04 + samples.B08;", "{bands: 1}", [*shade(1), 1]),
        ("return [NaN];", "{bands: 1}", [0, 0, 0, 0]),
        ("return [0.5, NaN, 0.5];", "{bands: 3}", [0, 0, 0, 0]),
        ("return null;", "{bands: 1}", [0, 0, 0, 0]),
        ("", "{bands: 1}", [0, 0, 0, 0]),
    ],
)  # fmt: skip
def test_every_answer_is_painted(
    evaluate: str, output: str, expected: list[float], worker: Worker
) -> None:
    assert colours(worker, v3(evaluate, output=output)) == pytest.approx(expected)


def test_the_script_keeps_its_names_its_scenes_and_its_lines(worker: Worker) -> None:
    script = v3(
        "count = samples.length; return [count / 2, samples[0].B04, scenes.orbits.length / 4];",
        top="let count = 0, index = 1; // preProcessScenes below",
        mosaicking="ORBIT",
        output="{bands: 3}",
        more="function preProcessScenes(c) { c.scenes.orbits.shift(); return c; }",
    )
    given_ = stacked(1, 1, 2, B04=[0.2, 0.3], B08=[1, 1])
    rendered = render(worker, painted(script, Picture()), given_, ORBIT)
    assert first(rendered) == pytest.approx([1, 0.2, 0.5, 1])


def test_a_function_that_is_only_spoken_of_is_none(worker: Worker) -> None:
    script = v3(
        "return [samples.length / 4];",
        top="// without preProcessScenes()",
        mosaicking="ORBIT",
    )
    given_ = stacked(1, 1, 3, B04=[1, 1, 1], B08=[1, 1, 1])
    rendered = render(worker, painted(script, Picture()), given_, ORBIT)
    assert first(rendered) == pytest.approx([*shade(0.75), 1])


def request(bounds: Any, *, side: int = 512) -> Any:
    process = {"input": {"bounds": bounds, "data": [{"type": "x"}]}, "evalscript": v3("return 1;")}
    made = picture_request(process, Picture(side=side))
    assert (made.operation, made.method, made.path) == ("process", "POST", "/process/v1")
    return made.body


def test_a_place_in_metres_keeps_its_proportions() -> None:
    body = request({"bbox": [0, 0, 2000, 1000], "properties": {"crs": ".../EPSG/0/32633"}})
    assert (body["output"]["width"], body["output"]["height"]) == (512, 256)
    assert body["output"]["responses"] == [
        {"identifier": "default", "format": {"type": "image/png"}}
    ]
    assert body["input"]["data"] == [{"type": "x"}]


def test_a_place_in_degrees_is_as_wide_as_on_the_ground() -> None:
    ring = [[10, 59], [12, 59], [12, 61], [10, 61], [10, 59]]
    geometry = {"type": "MultiPolygon", "coordinates": [[ring]]}
    output = request({"geometry": geometry}, side=1000)["output"]
    assert (output["width"], output["height"]) == (500, 1000)


@given(st.floats(1, 1e6), st.floats(1, 1e6), st.integers(16, 2500))
def test_no_picture_is_larger_than_asked_for(across: float, down: float, side: int) -> None:
    bounds = {"bbox": [0, 0, across, down], "properties": {"crs": "EPSG/0/3857"}}
    output = request(bounds, side=side)["output"]
    assert max(output["width"], output["height"]) == side
    assert min(output["width"], output["height"]) >= 1


@pytest.mark.parametrize(
    ("process", "told"),
    [
        ({"input": {"bounds": {"bbox": [0, 0, 1, 1]}}}, "evalscript"),
        ({"evalscript": "return [B04];", "input": {}}, "setup()"),
        ({"evalscript": v3(""), "input": {"features": {}}}, "input.bounds"),
        ({"evalscript": v3(""), "input": {"bounds": {}}}, "neither"),
        ({"evalscript": v3(""), "input": {"bounds": {"bbox": [1, 1, 1, 1]}}}, "no extent"),
    ],
)
def test_what_cannot_be_drawn_is_said(process: Any, told: str) -> None:
    with pytest.raises(PlanError, match=told.replace("(", r"\(").replace(")", r"\)")):
        picture_request(process, Picture())


def png(pixels: Any) -> bytes:
    bands, height, width = pixels.shape
    form = {"driver": "PNG", "count": bands, "height": height, "width": width}
    with MemoryFile() as file:
        with file.open(dtype=pixels.dtype.name, **form) as raster:
            raster.write(pixels)
        return file.read()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("kind", ["uint8", "uint16"])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (700, 900)])
def test_an_image_with_nothing_in_it(kind: str, size: tuple[int, int]) -> None:
    pixels = np.zeros((4, *size), kind)
    assert is_empty(png(pixels))
    assert is_empty(png(pixels[:2]))
    # Black, and there.
    assert not is_empty(png(pixels[:3]))
    pixels[3, -1, -1] = 1
    assert not is_empty(png(pixels))


@given(st.binary(max_size=80))
def test_what_is_no_image_is_not_empty(content: bytes) -> None:
    assert not is_empty(content)
    is_empty(b"\x89PNG\r\n\x1a\n" + content)
