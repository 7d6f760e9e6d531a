"""The published formula, factor by factor, and the price of a batch job that they make."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.cost import Cost
from shplan.core.job_cost import (
    BATCH,
    BATCH_MINIMUM_PU,
    MOST_TILES_PER_DAY,
    CostInput,
    Features,
    Output,
    Samples,
    Source,
    area_factor,
    band_factor,
    format_factor,
    fusion_factor,
    product,
    radar_factor,
    samples_factor,
)
from shplan.core.job_terms import batch_cost

PROCESS_MINIMUM_PU = 0.005
FOUR_BANDS = (("VV", "VH"), ("VV", "VH"))
RGB = (("B02", "B03", "B04"),)
TIFF = "image/tiff"


def process(*factors: float) -> float:
    return product(factors, minimum_pu=PROCESS_MINIMUM_PU)


def radar(*, orthorectified: bool = False, terrain: bool = False, speckle: bool = False) -> float:
    return radar_factor(
        orthorectified=orthorectified, terrain_corrected=terrain, speckle_filtered=speckle
    )


@pytest.mark.parametrize(
    ("computed", "published"),
    [
        (
            process(
                area_factor(1024, 1024),
                band_factor(FOUR_BANDS),
                format_factor("FLOAT32", TIFF),
                2,
                radar(orthorectified=True),
            ),
            42.667,
        ),
        (process(area_factor(20, 20), band_factor([("B04", "B08")])), 0.0067),
        (process(area_factor(631, 1047), band_factor(RGB)), 2.5202064514160156),
        (process(area_factor(1024, 1024), band_factor(RGB)), 4),
        (process(area_factor(512, 512), band_factor([("a", "b", "c", "d", "e", "f")])), 2),
        (process(area_factor(512, 512), band_factor(RGB), format_factor("FLOAT32", TIFF)), 2),
        (process(area_factor(512, 512), band_factor(RGB), 12), 12),
        (process(area_factor(1, 1), band_factor([("B04",)])), 0.005),
        (fusion_factor(2, 1), 4),
    ],
)
def test_published_examples(computed: float, published: float) -> None:
    """Source: API reference, checks for an estimator."""
    digits = len(str(published).partition(".")[2])
    assert round(computed, digits) == published


def test_the_measured_example_is_met_to_the_last_digit() -> None:
    assert process(area_factor(631, 1047), band_factor(RGB)) == 2.5202064514160156


@pytest.mark.parametrize(
    ("inputs", "thirds"),
    [
        ([("B04", "B08", "dataMask")], 2),
        ([("dataMask",)], 1),
        ([("B04",), ("dataMask",)], 1),
        ([("B04", "B04")], 1),
        ([("B04",), ("B04",)], 2),
        ([], 1),
    ],
)
def test_the_data_mask_is_free_unless_it_is_alone(
    inputs: list[tuple[str, ...]], thirds: int
) -> None:
    assert band_factor(inputs) == thirds / 3


@pytest.mark.parametrize(
    ("sample_type", "media_type", "factor"),
    [
        ("FLOAT32", TIFF, 2),
        ("float32", TIFF, 2),
        ("UINT16", TIFF, 1),
        ("AUTO", TIFF, 1),
        ("FLOAT32", "image/png", 1),
        ("UINT8", "application/octet-stream", 1.4),
        ("FLOAT32", "application/octet-stream", 1.4),
        ("", "application/json", 1),
    ],
)
def test_formats(sample_type: str, media_type: str, factor: float) -> None:
    assert format_factor(sample_type, media_type) == factor


def test_terrain_correction_replaces_orthorectification_and_the_speckle_filter_doubles() -> None:
    assert radar() == 1
    assert radar(orthorectified=True) == 2
    assert radar(orthorectified=True, terrain=True) == 2.5
    assert radar(speckle=True) == 2
    assert radar(orthorectified=True, terrain=True, speckle=True) == 5


def test_one_collection_is_no_fusion_wherever_it_lies() -> None:
    assert [fusion_factor(1), fusion_factor(0, 1), fusion_factor(0)] == [1, 1, 1]
    assert [fusion_factor(2), fusion_factor(1, 1), fusion_factor(0, 2)] == [2, 3, 4]


def test_the_discount_needs_ten_thousand_pixels() -> None:
    assert BATCH.discount_of(9_999) == 1
    assert BATCH.discount_of(10_000) == 1 / 3


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        ("2025-06-01T00:00:00Z", "2025-06-30T23:59:59Z", 30),
        ("2025-06-01T10:00:00Z", "2025-06-01T10:00:00Z", 1),
        # Two minutes, and two days.
        ("2025-06-01T23:59:00Z", "2025-06-02T00:01:00Z", 2),
        # The days are those of UTC.
        ("2025-06-01T00:30:00+02:00", "2025-06-01T23:00:00+02:00", 2),
    ],
)
def test_orbits_are_days_of_utc(since: str, until: str, days: int) -> None:
    found = samples_factor("ORBIT", at(since), at(until))
    assert found is not None
    assert (found.minimum, found.expected, found.maximum) == (0, max(days // 3, 1), days)
    tiles = samples_factor("TILE", at(since), at(until))
    assert tiles is not None
    assert (tiles.expected, tiles.maximum) == (found.expected, days * MOST_TILES_PER_DAY)


@pytest.mark.parametrize("until", ["2021-01-31T00:00:00Z", "2021-01-31T23:59:59Z"])
def test_the_published_number_of_samples_of_a_month(until: str) -> None:
    """Source: API reference of Batch V1, `valueEstimate`: 2021-01-01 to 2021-01-31 counts as 10."""
    found = samples_factor("ORBIT", at("2021-01-01T00:00:00Z"), at(until))
    assert found is not None
    assert found.expected == 10


def test_simple_mosaicking_gives_one_sample_over_any_time() -> None:
    assert samples_factor("SIMPLE", None, None) == Samples(1, 1, 1)
    assert (
        samples_factor("SIMPLE", at("1980-01-01T00:00:00Z"), at("2025-01-01T00:00:00Z"))
        == Samples()
    )


def test_samples_over_an_open_time_have_no_bound() -> None:
    june = at("2025-06-01T00:00:00Z")
    assert samples_factor("ORBIT", june, None) is None
    assert samples_factor("TILE", None, june) is None
    assert samples_factor("ORBIT", june, june - timedelta(days=1)) is None


NDVI = CostInput(
    (Features(12, 2004, 2004, noun="tiles"),),
    (Source(("B04", "B08", "dataMask")),),
    (Output("UINT16", TIFF),),
)


def test_a_batch_job_costs_its_factors_for_each_tile() -> None:
    cost = batch_cost(replace(NDVI, features=(Features(120, 2004, 2004, noun="tiles"),)))
    each = 2004 * 2004 / 262144 * 2 / 3 / 3
    assert cost.minimum_pu == cost.expected_pu == cost.maximum_pu
    assert cost.maximum_pu == pytest.approx(120 * each)
    (term,) = cost.terms
    assert (term.count, term.label) == (120, "process tiles of 2004 x 2004 px")
    assert [factor.shown for factor in term.factors] == ["15.32", "2/3", "1", "1", "1/3"]
    assert term.each_pu == pytest.approx(each)


def test_a_small_job_is_raised_to_a_hundred() -> None:
    cost = batch_cost(NDVI)
    assert (cost.minimum_pu, cost.expected_pu, cost.maximum_pu) == (100, 100, 100)
    assert cost.terms[-1].label == "reach the minimum of 100 PU"
    assert sum(term.total_pu for term in cost.terms) == pytest.approx(100)


def test_small_tiles_have_no_discount() -> None:
    large = replace(NDVI, features=(Features(100_000, 100, 100),))
    small = replace(NDVI, features=(Features(100_000, 99, 101),))
    assert batch_cost(large).maximum_pu == pytest.approx(100_000 * 10_000 / 262_144 * 2 / 9)
    assert batch_cost(small).maximum_pu == pytest.approx(100_000 * 9_999 / 262_144 * 2 / 3)


def test_the_number_of_samples_gives_the_bounds() -> None:
    month = Source(("B04", "B08"), Samples(0, 10, 30, "thirty days"))
    cost = batch_cost(replace(NDVI, sources=(month,)))
    single = 12 * 2004 * 2004 / 262144 * 2 / 3 / 3
    assert cost.minimum_pu == BATCH_MINIMUM_PU
    assert cost.expected_pu == pytest.approx(10 * single)
    assert cost.maximum_pu == pytest.approx(30 * single)
    assert cost.terms[0].factors[3].shown == "30"


def test_a_count_that_is_an_upper_bound_is_the_maximum() -> None:
    given = replace(NDVI, features=(Features(200, 2004, 2004, 120, "at most"),))
    cost = batch_cost(given)
    assert cost.minimum_pu == pytest.approx(cost.maximum_pu * 120 / 200)
    assert cost.expected_pu == cost.maximum_pu
    assert cost.terms[0].source == "at most"


def test_only_what_is_left_of_an_earlier_attempt_is_paid() -> None:
    given = replace(NDVI, features=(Features(200, 2004, 2004),))
    left = batch_cost(replace(given, already_done=50))
    assert left == batch_cost(replace(given, features=(Features(150, 2004, 2004),)))
    assert batch_cost(replace(given, already_done=10_000)).maximum_pu == BATCH_MINIMUM_PU


def test_which_sizes_are_done_is_not_known() -> None:
    """The most assumes that the cheapest are done, the least the dearest."""
    given = replace(
        NDVI, features=(Features(100, 3000, 3000), Features(100, 2000, 2000)), already_done=100
    )
    cost = batch_cost(given)
    dear = batch_cost(replace(NDVI, features=(Features(100, 3000, 3000),)))
    assert cost.maximum_pu == dear.maximum_pu
    assert cost.minimum_pu <= dear.maximum_pu * 4 / 9


def test_floats_in_zarr_cost_between_once_and_twice() -> None:
    large = replace(NDVI, features=(Features(200, 2004, 2004),))
    tiff = batch_cost(replace(large, outputs=(Output("FLOAT32", TIFF),)))
    zarr = batch_cost(replace(large, outputs=(Output("FLOAT32", "zarr/array"),)))
    assert zarr.expected_pu == zarr.maximum_pu == tiff.maximum_pu
    assert zarr.minimum_pu == tiff.maximum_pu / 2


def test_userdata_makes_floats_no_cheaper() -> None:
    outputs = (Output("FLOAT32", TIFF), Output("", "application/json"))
    large = replace(NDVI, features=(Features(200, 2004, 2004),), outputs=outputs)
    cost = batch_cost(large)
    assert (
        cost.minimum_pu
        == cost.maximum_pu
        == batch_cost(replace(large, outputs=outputs[:1])).maximum_pu
    )
    assert batch_cost(replace(large, outputs=outputs[1:])).maximum_pu == cost.maximum_pu / 2


def test_fusion_and_radar_are_factors_of_their_own() -> None:
    given = replace(
        NDVI,
        features=(Features(200, 2004, 2004),),
        sources=(Source(("VV",), radar=2.5), Source(("B04",))),
        collections=2,
        distinct=2,
    )
    cost = batch_cost(given)
    single = 200 * 2004 * 2004 / 262144 * 2 / 3 / 3
    assert cost.maximum_pu == pytest.approx(single * 2 * 2.5)
    # Whether radar counts for the optical collection is not published.
    assert cost.minimum_pu == pytest.approx(single * 2)
    labels = [factor.label for factor in cost.terms[0].factors]
    assert labels[4:6] == ["fusion of 2 collections", "Sentinel-1 processing"]


def test_one_collection_read_twice_may_be_no_fusion() -> None:
    given = replace(NDVI, features=(Features(200, 2004, 2004),), collections=2, distinct=1)
    cost = batch_cost(given)
    assert cost.minimum_pu == pytest.approx(cost.maximum_pu / 2)


def test_many_sizes_are_told_briefly() -> None:
    sizes = tuple(Features(3, width, 1000) for width in range(500, 1500))
    cost = batch_cost(replace(NDVI, features=sizes))
    assert len(cost.terms) == 21
    assert sum(term.count for term in cost.terms) == 3000
    assert sum(term.total_pu for term in cost.terms) == pytest.approx(cost.maximum_pu)
    shuffled = batch_cost(replace(NDVI, features=sizes[::-1]))
    assert shuffled == cost


COUNT = st.integers(0, 5000)
SIZE = st.integers(1, 10_000)
FEATURES = st.lists(
    st.builds(Features, COUNT, SIZE, SIZE, st.one_of(st.none(), COUNT)), max_size=4
).map(tuple)
SAMPLES = st.lists(st.integers(0, 400), min_size=3, max_size=3).map(
    lambda three: Samples(*sorted(three), "some")
)
SOURCES = st.lists(
    st.builds(
        Source,
        st.lists(st.sampled_from(["B02", "B03", "dataMask"]), max_size=4).map(tuple),
        SAMPLES,
        st.sampled_from([1.0, 2.0, 2.5, 4.0, 5.0]),
    ),
    max_size=3,
).map(tuple)
OUTPUTS = st.lists(
    st.builds(
        Output,
        st.sampled_from(["AUTO", "UINT16", "FLOAT32"]),
        st.sampled_from([TIFF, "zarr/array", "application/json", "application/octet-stream"]),
    ),
    max_size=3,
).map(tuple)
GIVEN = st.builds(
    CostInput,
    FEATURES,
    SOURCES,
    OUTPUTS,
    collections=st.integers(0, 3),
    distinct=st.integers(0, 3),
    remote=st.integers(0, 2),
    already_done=st.integers(0, 6000),
)


def bounds(cost: Cost) -> tuple[float, float, float]:
    return cost.minimum_pu, cost.expected_pu, cost.maximum_pu


@given(GIVEN)
def test_the_bounds_are_in_order_and_never_below_the_minimum(given: CostInput) -> None:
    least, expected, most = bounds(batch_cost(given))
    assert BATCH_MINIMUM_PU <= least <= expected <= most


@given(GIVEN)
def test_the_terms_add_up_to_the_most(given: CostInput) -> None:
    cost = batch_cost(given)
    assert math.isclose(sum(term.total_pu for term in cost.terms), cost.maximum_pu, rel_tol=1e-9)
    for term in cost.terms:
        if term.factors:
            shown = math.prod(factor.maximum for factor in term.factors)
            assert math.isclose(shown, term.each_pu)


@given(GIVEN, st.integers(2, 5))
def test_the_price_is_linear_in_features(given: CostInput, times: int) -> None:
    given = replace(given, already_done=0)
    once = batch_cost(given)
    more = batch_cost(replace(given, features=given.features * times))
    for one, many in zip(bounds(once), bounds(more), strict=True):
        assert many <= times * one * (1 + 1e-9)
        if one > BATCH_MINIMUM_PU:
            assert math.isclose(many, times * one, rel_tol=1e-9)


@given(GIVEN, st.integers(1, 100))
def test_what_is_done_makes_nothing_dearer(given: CostInput, more: int) -> None:
    before = bounds(batch_cost(given))
    after = bounds(batch_cost(replace(given, already_done=given.already_done + more)))
    assert all(later <= earlier * (1 + 1e-12) for later, earlier in zip(after, before, strict=True))
