"""What can be calculated is calculated: what the service takes is told nothing, what it refuses is an error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.job_input import ScriptOutput, ScriptShape
from shplan.core.request_faults import Fault
from shplan.core.request_statistics import MASK, bands_of, calculation_faults, mask_faults
from shplan.sandbox.errors import ApiError
from shplan.sandbox.statistics_requests import aggregation_of

ONE_MASK = ScriptOutput(MASK, 1, "AUTO", (), False)
NDVI = ScriptOutput("ndvi", 1, "FLOAT32")
NAMED = ScriptOutput("colours", 2, "FLOAT32", ("red", "blue"))
CLASSES = ScriptOutput("classes", 1, "UINT8")
BODY: Any = {
    "input": {"data": [{"type": "sentinel-2-l2a"}]},
    "aggregation": {
        "timeRange": {"from": "2025-06-01T00:00:00Z", "to": "2025-06-30T00:00:00Z"},
        "aggregationInterval": {"of": "P10D"},
    },
}


def shape(*outputs: ScriptOutput, changes: bool = False) -> ScriptShape:
    return ScriptShape((), outputs, changes=changes)


def told(calculations: Any, *outputs: ScriptOutput, changes: bool = False) -> list[tuple[str, str]]:
    script = shape(*(outputs or (NDVI, ONE_MASK)), changes=changes)
    found = calculation_faults(calculations, script, ("calculations",))
    return [("error" if one.sure else "warning", one.summary) for one in found]


def histogram(**asked: Any) -> Any:
    return {"default": {"histograms": {"default": asked}}}


def percentiles(*listed: float) -> Any:
    return {"default": {"statistics": {"default": {"percentiles": {"k": list(listed)}}}}}


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"nBins": 20}, []),
        ({"nBins": 20, "lowEdge": -1.0, "highEdge": 1.0}, []),
        ({"nBins": 20, "lowEdge": 0}, []),
        ({"binWidth": 0.05, "lowEdge": 0.0}, []),
        ({"bins": [-1.0, 0.2, 1.0]}, []),
        ({"bins": [-1.0, 0.2, 1.0], "lowEdge": -1.0}, []),
        ({"nBins": 0}, [("error", "No such histogram")]),
        ({"nBins": 2.5}, [("error", "No such histogram")]),
        ({"binWidth": 0.0}, [("error", "No such histogram")]),
        ({"binWidth": -1.5}, [("error", "No such histogram")]),
        ({"bins": [0.5]}, [("error", "No such histogram")]),
        ({"bins": [0.1, 0.5, 0.5]}, [("error", "No such histogram")]),
        ({"nBins": 5, "lowEdge": 1.0, "highEdge": -1.0}, [("error", "No such histogram")]),
        ({"nBins": 5, "binWidth": 0.5}, [("error", "Bins stated twice")]),
        ({"lowEdge": 0.5}, [("error", "Bins not stated")]),
        ({"bins": [0.1, 0.5], "highEdge": 1.0}, [("warning", "Edges stated twice")]),
        ({"bins": [0, 1, 2]}, [("warning", "Bins of another kind of numbers")]),
        ({"binWidth": 1}, [("warning", "Bins of another kind of numbers")]),
    ],
)
def test_a_histogram_has_bins(asked: dict[str, Any], wanted: list[tuple[str, str]]) -> None:
    assert told(histogram(**asked)) == wanted


def test_bins_are_of_the_kind_of_numbers_that_the_output_has() -> None:
    assert told(histogram(bins=[0, 1, 2]), CLASSES, ONE_MASK) == []
    assert told(histogram(bins=[0.5, 1.5]), CLASSES, ONE_MASK) == [
        ("warning", "Bins of another kind of numbers")
    ]
    untyped = ScriptOutput("any", 1, "AUTO", (), False)
    assert told(histogram(bins=[0.5, 1.5]), untyped, ONE_MASK) == []


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "nBins": st.sampled_from([-1, 0, 1, 20, 2.5]),
            "binWidth": st.sampled_from([-0.5, 0.0, 0.05, 2.0]),
            "bins": st.lists(st.sampled_from([-1.5, 0.1, 0.5, 2.5]), max_size=3),
            "lowEdge": st.sampled_from([-1.5, 0.5]),
            "highEdge": st.sampled_from([-1.5, 0.25, 3.5]),
        },
    )
)
def test_an_error_is_what_the_sandbox_refuses(asked: dict[str, Any]) -> None:
    calculations = histogram(**asked)
    try:
        aggregation_of({**BODY, "calculations": calculations}, evalscript="//VERSION=3")
    except ApiError:
        refused = True
    else:
        refused = False
    assert any(severity == "error" for severity, _ in told(calculations)) == refused


@pytest.mark.parametrize(
    ("listed", "wanted"),
    [
        ((5, 50, 95), []),
        ((0, 1), []),
        ((33.3,), []),
        ((0.05, 0.5, 0.95), ["Percentiles as fractions"]),
        ((), ["No percentiles"]),
    ],
)
def test_percentiles_count_to_a_hundred(listed: tuple[float, ...], wanted: list[str]) -> None:
    assert told(percentiles(*listed)) == [("warning", one) for one in wanted]


@pytest.mark.parametrize("kind", ["histograms", "statistics"])
def test_bands_are_called_as_the_script_names_them(kind: str) -> None:
    asked: Any = {"nBins": 5} if kind == "histograms" else {}
    both = (NDVI, NAMED, ONE_MASK)
    for output, band in (
        ("ndvi", "B0"),
        ("colours", "red"),
        ("default", "blue"),
        ("ndvi", "default"),
    ):
        assert told({output: {kind: {band: asked}}}, *both) == []
    for output, band in (("ndvi", "B1"), ("colours", "B0"), ("ndvi", "red"), ("default", "green")):
        assert told({output: {kind: {band: asked}}}, *both) == [("error", "No such band")]
    # Of the outputs that `default` stands for, those with an entry of their own are none.
    wanted = {"default": {kind: {"red": asked}}, "colours": {kind: {"red": asked}}}
    assert told(wanted, *both) == [("error", "No such band")]
    changing = told({"ndvi": {kind: {"B7": asked}}}, *both, changes=True)
    assert changing == [("warning", "No such band")]


@given(st.integers(1, 12), st.booleans(), st.data())
def test_every_band_that_there_is_can_be_asked_for(
    count: int, is_named: bool, data: st.DataObject
) -> None:
    names = tuple(f"n{index}" for index in range(count)) if is_named else ()
    output = ScriptOutput("many", count, "FLOAT32", names)
    band = data.draw(st.sampled_from(bands_of(output)))
    assert told({"many": {"statistics": {band: {}}}}, output, ONE_MASK) == []


def masked(*outputs: ScriptOutput) -> list[Fault]:
    return list(mask_faults(shape(*outputs), ("aggregation", "evalscript")))


def test_a_mask_is_of_one_band_or_names_the_outputs_that_it_is_for() -> None:
    two = ScriptOutput("index", 1, "FLOAT32"), ScriptOutput("bands", 3, "FLOAT32")
    for mask in (
        ONE_MASK,
        ScriptOutput(MASK, 1, "UINT8", ("anything",)),
        ScriptOutput(MASK, 2, "AUTO", ("index", "bands"), False),
    ):
        assert masked(*two, mask) == []
    for mask in (
        ScriptOutput(MASK, 2, "AUTO", (), False),
        ScriptOutput(MASK, 2, "AUTO", ("index", "colours"), False),
    ):
        (fault,) = masked(*two, mask)
        assert (fault.summary, fault.sure) == ("Mask of several bands", False)
        assert fault.hint == 'write `bands: 1`, or `bands: ["index", "bands"]`'


def test_a_mask_alone_measures_nothing_and_auto_is_no_type_of_numbers() -> None:
    assert [one.summary for one in masked(ONE_MASK)] == ["Nothing to measure"]
    stated = ScriptOutput("ndvi", 1, "AUTO")
    assert [one.summary for one in masked(stated, ONE_MASK)] == ["AUTO in statistics"]
    assert masked(stated._replace(is_typed=False), ONE_MASK) == []
