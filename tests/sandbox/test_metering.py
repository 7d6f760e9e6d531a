"""What a feature costs: published examples, and the parts of the formula one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox.metering import DISCOUNT, Tariff, raise_to_minimum, responses, tariff
from shplan.script.facts import InputFacts, OutputFacts, ScriptFacts

NOW = 1_735_689_600_000
JUNE = {"from": "2025-06-01T00:00:00Z", "to": "2025-06-30T23:59:59Z"}


def facts(
    *bands: str, mosaicking: str = "SIMPLE", sample_type: str = "UINT8", more: tuple[str, ...] = ()
) -> ScriptFacts:
    inputs = [InputFacts(one, (), "", mosaicking, ()) for one in (bands, more) if one]
    return ScriptFacts(
        3, "v8", ("evaluatePixel", "setup"), mosaicking, tuple(inputs),
        (OutputFacts("default", 1, (), sample_type, None),),
    )  # fmt: skip


def request(*data: dict[str, Any], media_type: str = "image/tiff") -> Any:
    return {
        "input": {"data": list(data) or [{"type": "sentinel-2-l2a"}]},
        "output": {"responses": [{"identifier": "default", "format": {"type": media_type}}]},
    }


def factor(asked: Any, known: ScriptFacts) -> float:
    return tariff(asked, known, now_ms=NOW, acquisition_every_days=3).factor


def test_published_examples() -> None:
    """Source: the page on processing units and the calculator; without the discount of batch."""
    radar = {"type": "sentinel-1-grd", "processing": {"orthorectify": True}}
    known = facts("VV", "VH", "a", "b", sample_type="FLOAT32")
    change = factor(request(radar), known) * 2  # two samples
    assert change * 1024 * 1024 / 262_144 == pytest.approx(42.667, abs=1e-3)
    assert Tariff(factor(request(), facts("B04", "B08"))).feature_pu(
        width=20, height=20
    ) == pytest.approx(0.0067, abs=1e-4)
    full = Tariff(factor(request(), facts("B02", "B03", "B04")))
    assert full.feature_pu(width=631, height=1047) / DISCOUNT == pytest.approx(2.5202064514160156)
    assert full.feature_pu(width=1024, height=1024) / DISCOUNT == pytest.approx(4)


@pytest.mark.parametrize(
    ("bands", "expected"),
    [
        (("B04",), 1 / 3),
        (("B04", "dataMask"), 1 / 3),
        (("dataMask",), 1 / 3),
        (("B04", "B04", "B08"), 2 / 3),
        (tuple("abcdef"), 2),
    ],
)
def test_bands(bands: tuple[str, ...], expected: float) -> None:
    assert factor(request(), facts(*bands)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sample_type", "media_type", "expected"),
    [
        ("FLOAT32", "image/tiff", 2),
        ("UINT16", "image/tiff", 1),
        ("AUTO", "image/tiff", 1),
        ("FLOAT32", "zarr/array", 1),
    ],
)
def test_format(sample_type: str, media_type: str, expected: float) -> None:
    known = facts("a", "b", "c", sample_type=sample_type)
    assert factor(request(media_type=media_type), known) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("span", "mosaicking", "expected"),
    [
        (JUNE, "SIMPLE", 1),
        (JUNE, "ORBIT", 10),
        (JUNE, "TILE", 10),
        ({**JUNE, "to": "2025-06-01T00:00:00Z"}, "ORBIT", 1),
        ({"from": "2024-12-02T00:00:00Z", "to": ".."}, "ORBIT", 10),
        ({"from": "..", "to": "2015-01-04T00:00:00Z"}, "ORBIT", 1),
        (None, "ORBIT", 1),
    ],
)
def test_samples(span: Any, mosaicking: str, expected: float) -> None:
    source: dict[str, Any] = {"type": "sentinel-2-l2a"}
    if span is not None:
        source["dataFilter"] = {"timeRange": span}
    known = facts("a", "b", "c", mosaicking=mosaicking)
    assert factor(request(source), known) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("processing", "expected"),
    [
        ({}, 1),
        ({"orthorectify": True}, 2),
        ({"orthorectify": True, "backCoeff": "GAMMA0_TERRAIN"}, 2.5),
        ({"speckleFilter": {"type": "NONE"}}, 1),
        ({"speckleFilter": {"type": "LEE"}}, 2),
        ({"orthorectify": True, "speckleFilter": {"type": "LEE"}}, 4),
    ],
)
def test_radar(processing: dict[str, Any], expected: float) -> None:
    source = {"type": "sentinel-1-grd", "processing": processing}
    assert factor(request(source), facts("a", "b", "c")) == pytest.approx(expected)
    optical = {"type": "sentinel-2-l2a", "processing": processing}
    assert factor(request(optical), facts("a", "b", "c")) == pytest.approx(1)


def test_fusion_counts_its_collections() -> None:
    both = request({"type": "sentinel-2-l1c", "id": "a"}, {"type": "sentinel-2-l2a", "id": "b"})
    assert factor(both, facts("a", "b", "c", more=("d", "e", "f"))) == pytest.approx(4)


def test_small_images_have_no_discount() -> None:
    one = Tariff(1.0)
    assert one.feature_pu(width=100, height=100) == pytest.approx(10_000 / 262_144 / 3)
    assert one.feature_pu(width=99, height=101) == pytest.approx(9_999 / 262_144)
    assert one.feature_pu(width=1, height=1) == 0.01


@given(st.lists(st.floats(1e-3, 1e4), max_size=50))
def test_a_task_costs_the_minimum_or_its_features(pu: list[float]) -> None:
    total = sum(pu) * raise_to_minimum(pu)
    assert total == pytest.approx(max(100, sum(pu)) if pu else 0)


def test_responses_have_defaults() -> None:
    assert responses({"output": {}}) == [("default", "image/tiff")]
    assert responses({"output": {"responses": [{"format": {"type": "image/tiff"}}]}}) == [
        ("default", "image/tiff")
    ]
