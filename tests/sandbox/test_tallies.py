"""Numbers about samples, against numpy's own and against sums by hand."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox import tallies
from shplan.sandbox.tallies import Histogram, HistogramError, Wanted

NOTHING_MORE = Wanted()


def tally(samples: Any, wanted: Wanted = NOTHING_MORE, has_data: Any = None) -> dict[str, Any]:
    array = np.asarray(samples, dtype=float)
    mask = np.ones(len(array), dtype=bool) if has_data is None else np.asarray(has_data, dtype=bool)
    return cast("dict[str, Any]", tallies.of_band(array, mask, wanted))


def histogram(samples: Any, **wanted: Any) -> dict[str, Any]:
    found = tally(samples, Wanted(histogram=Histogram(**wanted)))["histogram"]
    return cast("dict[str, Any]", found)


def edges(found: dict[str, Any]) -> list[float]:
    bins = found["bins"]
    return [bins[0]["lowEdge"], *(one["highEdge"] for one in bins)]


def counts(found: dict[str, Any]) -> list[int]:
    return [one["count"] for one in found["bins"]]


def test_the_deviation_is_that_of_a_population() -> None:
    """Source: the example of the pages: 810 samples of three classes."""
    stats = tally([8] * 99 + [9] + [10] * 710)["stats"]
    assert stats["stDev"] == pytest.approx(0.65556, abs=5e-6)
    assert (stats["min"], stats["max"], stats["sampleCount"]) == (8.0, 10.0, 810)
    assert isinstance(stats["min"], float)


def test_what_does_not_count_is_told() -> None:
    stats = tally([1, 2, 3, 100], has_data=[1, 1, 1, 0])["stats"]
    assert stats == {
        "min": 1.0,
        "max": 3.0,
        "mean": 2.0,
        "stDev": math.sqrt(2 / 3),
        "sampleCount": 4,
        "noDataCount": 1,
    }


def test_what_is_no_number_is_no_value() -> None:
    stats = tally([1, math.nan, math.inf, -math.inf, 3])["stats"]
    assert (stats["mean"], stats["noDataCount"]) == (2.0, 3)


def test_nothing_is_nan_as_text() -> None:
    found = tally([1, 2], Wanted((50,), Histogram(count=2, low=0.0, high=1.0)), [0, 0])
    assert found["stats"] == {
        "min": "NaN",
        "max": "NaN",
        "mean": "NaN",
        "stDev": "NaN",
        "sampleCount": 2,
        "noDataCount": 2,
        "percentiles": {"50.0": "NaN"},
    }
    assert counts(found["histogram"]) == [0, 0]
    assert tally([1], Wanted(histogram=Histogram(count=3)), [0])["histogram"]["bins"] == []


def test_percentiles_lie_between_samples() -> None:
    found = tally([1, 2, 3, 4], Wanted((0, 25, 50, 100)))["stats"]["percentiles"]
    assert found == {"0.0": 1.0, "25.0": 1.75, "50.0": 2.5, "100.0": 4.0}


def test_percentiles_may_be_shares() -> None:
    assert tally([1, 2, 3], Wanted((0.5, 1)))["stats"]["percentiles"] == {"0.5": 2.0, "1.0": 3.0}
    # Half a percent, because there is a whole one above it.
    found = tally(range(1001), Wanted((0.5, 50)))["stats"]["percentiles"]
    assert found == {"0.5": 5.0, "50.0": 500.0}


def test_bins_are_closed_below_and_the_last_above() -> None:
    found = histogram([0, 1, 1, 2, 3, 4, -1, 9], bins=(0, 1, 3), is_whole=True)
    assert found == {
        "bins": [
            {"lowEdge": 0, "highEdge": 1, "count": 1},
            {"lowEdge": 1, "highEdge": 3, "count": 4},
        ],
        "overflow": 2,
        "underflow": 1,
        "overflowCount": 2,
        "underflowCount": 1,
    }


def test_edges_are_plain_sums_of_floating_point_numbers() -> None:
    found = histogram([0.1], count=6, low=0.0, high=0.3)
    assert edges(found)[3] == 0.0 + 3 * (0.3 / 6)
    found = histogram([0.1], width=0.05, low=0.0, high=0.3)
    assert 0.15000000000000002 in edges(found)
    assert edges(found)[-1] == 0.3
    assert len(found["bins"]) == 6


def test_the_last_of_bins_by_width_reaches_beyond_the_greatest() -> None:
    found = histogram([0, 1, 2, 3], width=1, low=0, is_whole=True)
    assert edges(found) == [0, 1, 2, 3, 4]
    assert counts(found) == [1, 1, 1, 1]
    assert all(isinstance(edge, int) for edge in edges(found))


def test_bins_by_width_end_at_the_edge_that_was_given() -> None:
    found = histogram([0.5, 2.2, 2.5, 2.6], width=1.0, low=0.0, high=2.5)
    assert edges(found) == [0.0, 1.0, 2.0, 2.5]
    assert (counts(found), found["overflow"]) == ([1, 0, 2], 1)


def test_edges_that_are_not_given_are_those_of_the_samples() -> None:
    found = histogram([2.0, 3.0, 4.0], count=2)
    assert (edges(found), counts(found)) == ([2.0, 3.0, 4.0], [1, 2])


def test_classes_have_a_bin_each() -> None:
    found = histogram([8] * 99 + [9] + [10] * 710, count=3, is_whole=True)
    assert (edges(found), counts(found)) == ([8, 9, 10, 11], [99, 1, 710])


def test_whole_bins_that_do_not_divide_are_wider() -> None:
    found = histogram([1, 10, 11], count=3, low=0, high=10, is_whole=True)
    assert (edges(found), counts(found), found["overflow"]) == ([0, 4, 8, 12], [1, 0, 1], 1)


def test_bins_that_are_listed_are_all_there_are() -> None:
    found = histogram([0.5, 1.5], bins=(0.0, 1.0, 2.0), low=0.7, high=0.9)
    assert (counts(found), found["overflow"]) == ([1, 1], 0)


def test_equal_samples_are_in_one_bin() -> None:
    found = histogram([5.0, 5.0], count=4)
    assert sum(counts(found)) == 2
    assert (found["overflow"], found["underflow"]) == (0, 0)


@pytest.mark.parametrize("given_edge", [{"low": 7.0}, {"high": -7.0}])
def test_all_samples_may_lie_beyond_an_edge(given_edge: dict[str, float]) -> None:
    for form in ({"count": 3}, {"width": 0.5}):
        found = histogram([1.0, 2.0], **form, **given_edge)
        assert sum(counts(found)) == 0
        assert found["underflow" if "low" in given_edge else "overflow"] == 2


def test_endless_bins_are_refused() -> None:
    with pytest.raises(HistogramError):
        histogram([0.0, 1e30], width=1e-30)
    with pytest.raises(HistogramError):
        histogram([0.0], count=2, low=-1.7e308, high=1.7e308)


VALUES = st.lists(
    st.floats(-1e6, 1e6, width=32) | st.sampled_from([math.nan, math.inf, 0.0]), max_size=60
)
FORMS = st.one_of(
    st.builds(dict, count=st.integers(1, 40)),
    st.builds(dict, width=st.floats(1e3, 1e6)),
    st.builds(
        dict,
        bins=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12, unique=True).map(
            lambda found: tuple(sorted(found))
        ),
    ),
)
EDGES = st.tuples(st.none() | st.floats(-1e6, -1), st.none() | st.floats(1, 1e6))


@given(VALUES, FORMS, EDGES, st.booleans())
def test_every_sample_is_counted_once(
    values: list[float], form: dict[str, Any], outer: tuple[Any, Any], is_whole: bool
) -> None:
    low, high = outer
    if is_whole and "count" not in form:
        is_whole = False
    if is_whole:
        values = [float(round(value)) if math.isfinite(value) else value for value in values]
        low, high = (None if edge is None else math.floor(edge) for edge in outer)
        if high is not None and (low if low is not None else -1) >= high:
            high = None
    wanted = Wanted(histogram=Histogram(**form, low=low, high=high, is_whole=is_whole))
    told = tally(values, wanted)
    found, stats = told["histogram"], told["stats"]
    if not found["bins"]:
        assert stats["noDataCount"] == stats["sampleCount"]
        return
    inside = sum(counts(found)) + found["overflow"] + found["underflow"]
    assert inside + stats["noDataCount"] == stats["sampleCount"] == len(values)
    ascending = edges(found)
    assert ascending == sorted(ascending)
    top = math.inf if high is None or "bins" in form else high
    finite = [value for value in values if math.isfinite(value) and value <= top]
    for one in found["bins"][:-1]:
        assert one["count"] == sum(one["lowEdge"] <= value < one["highEdge"] for value in finite)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=80), st.integers(1, 30))
def test_numpy_counts_the_same(values: list[float], count: int) -> None:
    low, high = -1e5, 1e5
    found = histogram(values, count=count, low=low, high=high)
    expected, _ = np.histogram(values, bins=edges(found))
    # The last edge of plain sums may be a rounding below `highEdge`, which is the end that counts.
    last = edges(found)[-1]
    if not any(min(last, high) < value <= max(last, high) for value in values):
        assert counts(found) == expected.tolist()
    assert found["underflow"] == sum(value < low for value in values)
    assert found["overflow"] == sum(value > high for value in values)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=80))
def test_numpy_computes_the_same(values: list[float]) -> None:
    array = np.asarray(values, dtype="float32")
    stats = tally(array, Wanted((10, 50, 90)))["stats"]
    assert stats["min"] == array.min()
    assert stats["max"] == array.max()
    assert stats["mean"] == pytest.approx(math.fsum(array.tolist()) / len(array), abs=1e-6)
    assert stats["stDev"] == pytest.approx(np.std(array.astype(float)), abs=1e-6)
    expected = np.percentile(array.astype(float), [10, 50, 90])
    assert list(stats["percentiles"].values()) == expected.tolist()
