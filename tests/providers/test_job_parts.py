"""Files alone tell that a task is done where they are all there, and are nobody else's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.value import Object
from shplan.providers.job_parts import whole_parts

TASK = "7fe64f48-0000-4000-8000-000000000001"
OTHER = "7fe64f48-0000-4000-8000-000000000002"
NAMES = st.lists(st.sampled_from(["33N_1_1", "33N_1_2", "33N_2_1", "34N_0_0"]), unique=True)


def request(*outputs: str, kind: str = "raster") -> Object:
    responses = [{"identifier": one, "format": {"type": "image/tiff"}} for one in outputs]
    return {
        "processRequest": {"output": {"responses": responses}},
        "output": {"type": kind},
    }


def whole(url: str, *files: str, outputs: tuple[str, ...] = ("default",), **more: str) -> int:
    return whole_parts(request(*outputs, **more), url, key="k1", task=TASK, files=files)


@given(NAMES, NAMES)
def test_a_tile_counts_when_each_of_its_outputs_lies_there(ndvi: list[str], rgb: list[str]) -> None:
    files = [
        *(f"a/{TASK}/{name}/ndvi.tif" for name in ndvi),
        *(f"a/{TASK}/{name}/rgb.tif" for name in rgb),
        *(f"a/{OTHER}/{name}/ndvi.tif" for name in rgb),
        *(f"a/{TASK}/{name}/other.tif" for name in rgb),
    ]
    found = whole("s3://results/a/", *files, outputs=("ndvi", "rgb"))
    assert found == len({*ndvi} & {*rgb})


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("s3://results/a", f"a/{TASK}/T/default.tif"),
        ("s3://results", f"{TASK}/T/default.tif"),
        ("s3://results/<requestId>/<tileName>.<format>", f"{TASK}/T.tif"),
        ("s3://results/<tileName>/<requestId>/<tileId>-<tileName>.tif", f"T/{TASK}/12-T.tif"),
        ("s3://results/{{ run.key }}/<tileId>.<format>", "k1/12.tif"),
    ],
)
def test_the_names_are_those_of_the_template(url: str, file: str) -> None:
    assert whole(url, file) == 1
    assert whole(url, f"{file}.part", f"x/{file}", file.replace("T", "U", 1) + "x") == 0


def test_a_name_that_stands_twice_is_one_tile() -> None:
    url = "s3://results/<requestId>/<tileName>/<tileName>.tif"
    assert whole(url, f"{TASK}/T/T.tif", f"{TASK}/T/U.tif") == 1


def test_where_others_deliver_as_well_nothing_is_told() -> None:
    assert whole("s3://results/<tileName>.<format>", "T.tif") == 0
    assert whole("s3://results/a", f"a/{TASK}/T/default.tif", kind="zarr") == 0
    assert whole("s3://results/a", f"a/{TASK}/T/default.tif", outputs=()) == 0
