"""Files of a batch request hold the outputs of its script, or that is told before anything is paid."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.job_input import ScriptOutput, ScriptShape
from shplan.core.request_arrays import array_faults
from shplan.sandbox import batch_zarr

TYPES = ("UINT8", "AUTO", "INT8", "UINT16", "INT16", "FLOAT32")
DTYPES = ("|u1", "|i1", "<u2", ">u2", "<i2", ">i2", "<f4", ">f4", "<f8", ">f8")


def told(output: Any, sample_type: str, form: str = "zarr/array") -> list[tuple[bool, Any]]:
    responses = [{"identifier": "index", "format": {"type": form}}]
    userdata = {"identifier": "userdata", "format": {"type": "application/json"}}
    spec = {
        "processRequest": {"output": {"responses": [*responses, userdata]}},
        "output": output,
    }
    script = ScriptShape((), (ScriptOutput("index", 1, sample_type),))
    return [(one.sure, one.path) for one in array_faults(spec, script)]


@given(st.sampled_from(TYPES), st.sampled_from(DTYPES), st.sampled_from(DTYPES), st.booleans())
def test_an_array_is_refused_where_the_sandbox_refuses_it(
    sample_type: str, dtype: str, other: str, is_overridden: bool
) -> None:
    output: Any = {"type": "zarr", "arrayParameters": {"dtype": dtype}}
    path = ("output", "arrayParameters", "dtype")
    if is_overridden:
        output["arrayParameters"]["dtype"] = other
        output["arrayOverrides"] = {"index": {"dtype": dtype}}
        path = ("output", "arrayOverrides", "index", "dtype")
    fits = batch_zarr.fits({"dtype": dtype}, sample_type)
    assert told(output, sample_type) == ([] if fits else [(True, path)])


def test_there_are_few_types_of_arrays() -> None:
    output = {"type": "zarr", "arrayParameters": {"dtype": "float32"}}
    assert told(output, "FLOAT32") == [(True, ("output", "arrayParameters", "dtype"))]


@pytest.mark.parametrize(
    ("sample_type", "form", "is_cog", "count"),
    [
        ("UINT8", "image/tiff", True, 0),
        ("FLOAT32", "image/tiff", True, 0),
        ("INT8", "image/tiff", False, 0),
        ("UINT8", "image/png", False, 0),
        ("INT8", "image/tiff", True, 1),
        ("UINT8", "image/png", True, 1),
        ("INT8", "image/jpeg", True, 2),
    ],
)
def test_a_cog_is_a_tiff_and_never_of_signed_bytes(
    sample_type: str, form: str, is_cog: bool, count: int
) -> None:
    place = ("processRequest", "output", "responses", 0)
    output = {"type": "raster", "cogOutput": is_cog}
    assert told(output, sample_type, form) == [(True, place)] * count


def test_what_is_not_known_is_no_fault() -> None:
    spec: Any = {"processRequest": {"output": {"responses": [{}]}}, "output": {"type": "zarr"}}
    assert list(array_faults(spec, None)) == []
