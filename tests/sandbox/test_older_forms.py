"""Requests as the documentation and Requests Builder write them are served like those of the description."""

from __future__ import annotations

from typing import Any

import pytest

from shplan.sandbox.contract import checked
from shplan.sandbox.errors import ApiError
from shplan.sandbox.settings import Settings


def body(**changes: Any) -> Any:
    data = {"type": "S1GRD", "processing": {"orthorectify": "true"}}
    return {
        "input": {"bounds": {"bbox": [14.5, 46.05, 14.513, 46.06]}, "data": [data]},
        "output": {"width": 512, "height": 343.697, **changes},
        "evalscript": "//VERSION=3",
    }


def test_texts_are_flags_and_sizes_are_whole() -> None:
    made: Any = checked("process", body(), Settings())
    assert made["input"]["data"] == [
        {"type": "sentinel-1-grd", "processing": {"orthorectify": True}}
    ]
    assert made["output"] == {"width": 512, "height": 344}


def test_a_size_that_is_none_is_refused() -> None:
    with pytest.raises(ApiError):
        checked("process", body(height=0.3), Settings())
