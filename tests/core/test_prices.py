"""The price of each API: published examples, measured answers, and what makes a price unknown."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.cost import Cost
from shplan.core.image_size import batch_sizing, extent_km, image_size, statistics_sizing
from shplan.core.job_cost import Features, tiles_a_day
from shplan.core.job_input import ScriptInput, ScriptOutput, ScriptShape
from shplan.core.prices import (
    PriceInput,
    async_cost,
    batch_statistics_cost,
    batch_v1_cost,
    batch_v2_cost,
    catalogue_cost,
    process_cost,
    searches,
    statistics_cost,
)
from shplan.core.statistic_intervals import cut
from shplan.core.value import Unknown
from shplan.schema.store import table

TABLES = {"tiling-grids": table("tiling-grids")}
CRS = {"crs": "http://www.opengis.net/def/crs/EPSG/0/32633"}
PLACE = {"bbox": [500_000, 5_000_000, 505_440, 5_006_000], "properties": CRS}
JUNE = {"from": "2025-06-01T00:00:00Z", "to": "2025-06-30T23:59:59Z"}
TIFF = "image/tiff"


def shape(*inputs: ScriptInput, sample_type: str = "UINT8") -> ScriptShape:
    return ScriptShape(inputs, (ScriptOutput("default", 1, sample_type),))


def bands(*names: str, mosaicking: str = "SIMPLE") -> ScriptInput:
    return ScriptInput(None, names, mosaicking)


RGB = shape(bands("B04", "B03", "B02"))
NDVI = shape(bands("B04", "B08", "dataMask"), sample_type="UINT16")


def image(
    width: int, height: int, *, kind: str = "image/png", data: Any = None, **output: Any
) -> dict[str, Any]:
    items = data or [{"type": "sentinel-2-l2a", "dataFilter": {"timeRange": JUNE}}]
    response = {"identifier": "default", "format": {"type": kind}}
    return {
        "input": {"bounds": PLACE, "data": items},
        "output": {"width": width, "height": height, "responses": [response], **output},
    }


def statistics(**aggregation: Any) -> dict[str, Any]:
    return {
        "input": {"bounds": PLACE, "data": [{"type": "sentinel-2-l2a"}]},
        "aggregation": {
            "timeRange": {"from": "2025-06-01T00:00:00Z", "to": "2025-07-01T00:00:00Z"},
            "aggregationInterval": {"of": "P1D"},
            "width": 512,
            "height": 512,
            **aggregation,
        },
    }


def levels(cost: Cost | None) -> tuple[float, float, float]:
    assert cost is not None
    return cost.minimum_pu, cost.expected_pu, cost.maximum_pu


def exact(cost: Cost | None) -> float:
    least, expected, most = levels(cost)
    assert least == expected == most
    return most


def process(request: Any, script: ScriptShape) -> Cost | None:
    return process_cost(PriceInput(request, script))


@pytest.mark.parametrize(
    ("request_", "script", "published"),
    [
        # Source: a header of an answer of the service.
        (image(631, 1047), RGB, 2.5202064514160156),
        # Source: the page on processing units, and the service's calculator.
        (image(20, 20, kind=TIFF), NDVI, 0.0067),
        (image(1024, 1024), RGB, 4),
        (image(512, 512), shape(bands(*"abcdef")), 2),
        (image(512, 512, kind=TIFF), shape(bands(*"abc"), sample_type="FLOAT32"), 2),
        (image(1, 1), shape(bands("B04")), 0.005),
    ],
)
def test_published_prices_of_images(request_: Any, script: ScriptShape, published: float) -> None:
    assert exact(process(request_, script)) == pytest.approx(published, abs=5e-5)


def test_the_measured_answer_is_met_to_the_last_digit() -> None:
    assert exact(process(image(631, 1047), RGB)) == 2.5202064514160156


def test_the_published_change_detection() -> None:
    """Two days of radar, orthorectified, in floats: 42.667 PU."""
    two_days = {"from": "2025-06-01T00:00:00Z", "to": "2025-06-02T23:59:59Z"}
    radar = {
        "type": "sentinel-1-grd",
        "dataFilter": {"timeRange": two_days},
        "processing": {"orthorectify": True},
    }
    script = shape(bands(*"abcd", mosaicking="ORBIT"), sample_type="FLOAT32")
    cost = process(image(1024, 1024, kind=TIFF, data=[radar]), script)
    assert levels(cost)[2] == pytest.approx(42.667, abs=5e-4)


def test_twelve_samples() -> None:
    """The calculator's 12 samples: twelve days at most, and perhaps none."""
    days = {"from": "2025-06-01T00:00:00Z", "to": "2025-06-12T23:59:59Z"}
    data = [{"type": "sentinel-2-l2a", "dataFilter": {"timeRange": days}}]
    script = shape(bands(*"abc", mosaicking="ORBIT"))
    assert levels(process(image(512, 512, data=data), script)) == (0.005, 4, 12)


def test_every_factor_is_told() -> None:
    radar = {"type": "sentinel-1-grd", "processing": {"backCoeff": "GAMMA0_TERRAIN"}}
    script = ScriptShape(
        (ScriptInput("a", ("VV",), "SIMPLE"), ScriptInput("b", ("B04",), "SIMPLE")),
        (ScriptOutput("default", 1, "FLOAT32"),),
    )
    data = [{**radar, "id": "a"}, {"type": "sentinel-2-l2a", "id": "b"}]
    cost = async_cost(PriceInput(image(1000, 1000, kind=TIFF, data=data), script))
    assert cost is not None
    assert [factor.label for factor in cost.terms[0].factors] == [
        "area: 1000 x 1000 px over 262,144",
        "bands: 2 input bands over 3",
        "format: 32-bit float",
        "samples: one with mosaicking SIMPLE",
        "fusion of 2 collections",
        "Sentinel-1 processing",
        "asynchronous discount",
    ]
    assert cost.terms[0].label == "process an image of 1000 x 1000 px"
    assert cost.terms[0].source == "width and height of the request"


def test_the_published_fusion_with_a_remote_collection() -> None:
    """Two collections of the main deployment and one of another: a factor of 4; 3 if all lie there."""
    kinds = ("sentinel-2-l1c", "sentinel-2-l2a", "landsat-ot-l1")
    data = [{"type": kind, "id": str(n)} for n, kind in enumerate(kinds)]
    script = ScriptShape(
        tuple(ScriptInput(str(n), ("B02",), "SIMPLE") for n in range(3)),
        (ScriptOutput("default", 1, "UINT8"),),
    )
    assert levels(process(image(512, 512, data=data), script)) == (3, 4, 4)
    assert exact(process(image(512, 512, data=data[:2]), script)) == 2
    assert exact(process(image(512, 512, data=data[2:]), RGB)) == 1


def test_an_asynchronous_image_has_its_discount_and_its_minimum() -> None:
    large = shape(bands(*"abc"), sample_type="UINT16")
    full = 5000 * 5000 / 262_144
    assert exact(async_cost(PriceInput(image(5000, 5000), large))) == pytest.approx(full * 2 / 3)
    assert exact(async_cost(PriceInput(image(512, 512), large))) == 10


DELIVERED = {"url": "s3://results/<REQUEST_ID>/<OUTPUT>"}


def abroad(deployment: str = "aws-eu-central-1", **place: Any) -> Cost | None:
    request = image(2000, 2000, kind=TIFF, delivery=place)
    return async_cost(PriceInput(request, NDVI, deployment=deployment))


def test_what_leaves_the_region_is_paid_by_the_megabyte() -> None:
    """Source: the page on processing units: 0.03 PU a megabyte; 16-bit pixels are 8 MB, at most."""
    here = levels(abroad(s3=DELIVERED))
    least, likely, most = levels(abroad(s3={**DELIVERED, "region": "us-east-1"}))
    assert least == here[0] == here[2]
    assert likely == most == pytest.approx(here[2] + 0.03 * 8, rel=0.02)
    assert levels(abroad(s3={**DELIVERED, "region": "eu-central-1"})) == here
    # Of Google Cloud nothing is said; where a deployment of no name lies, nobody knows.
    assert levels(abroad(gs={"url": "gs://results"}))[2] == most
    assert (
        levels(abroad("https://example.com", s3={**DELIVERED, "region": "eu-central-1"}))[2] == most
    )
    assert levels(abroad("sandbox", s3={**DELIVERED, "region": "eu-central-1"})) == here


def test_outputs_that_a_script_changes_have_no_price_abroad() -> None:
    request = image(2000, 2000, kind=TIFF, delivery={"s3": {**DELIVERED, "region": "us-east-1"}})
    script = replace(NDVI, changes=True)
    assert async_cost(PriceInput(request, script, deployment="aws-eu-central-1")) is None


def test_only_a_process_request_assumes_a_size() -> None:
    request = image(1, 1)
    del request["output"]["width"], request["output"]["height"]
    assert exact(process(request, RGB)) == pytest.approx(256 * 256 / 262_144)
    assert async_cost(PriceInput(request, RGB)) is None


def test_a_format_that_is_not_stated_may_be_the_dearest() -> None:
    request = image(512, 512)
    del request["output"]["responses"]
    floats = shape(bands(*"abc"), sample_type="FLOAT32")
    assert levels(process(request, floats)) == (1, 2, 2)


# --- statistics ----------------------------------------------------------------------------


def test_statistics_pay_each_interval_that_may_have_data() -> None:
    cost = statistics_cost(PriceInput(statistics(), RGB))
    assert levels(cost) == (0.01, 10, 30)


def test_statistics_of_orbits_pay_each_day_of_each_interval() -> None:
    request = statistics(aggregationInterval={"of": "P10D"})
    orbits = shape(bands(*"abc", mosaicking="ORBIT"))
    assert levels(statistics_cost(PriceInput(request, orbits))) == (0.01, 10, 30)
    tiles = shape(bands(*"abc", mosaicking="TILE"))
    assert levels(statistics_cost(PriceInput(request, tiles)))[2] == 180


def test_floats_make_statistics_no_dearer() -> None:
    request, floats = statistics(), shape(bands(*"abc"), sample_type="FLOAT32")
    assert statistics_cost(PriceInput(request, floats)) == statistics_cost(PriceInput(request, RGB))


def test_what_has_no_time_has_data_in_each_interval() -> None:
    request = statistics()
    request["input"]["data"] = [{"type": "dem"}]
    cost = statistics_cost(PriceInput(request, shape(bands("DEM"))))
    assert levels(cost)[1:] == (10, 10)


def test_batch_statistics_have_a_minimum_and_no_discount() -> None:
    request = statistics(resx=10, resy=10)
    features = (Features(1000, 512, 512),)
    cost = batch_statistics_cost(PriceInput(request, RGB, features=features))
    assert levels(cost) == (100, 10_000, 30_000)
    assert batch_statistics_cost(PriceInput(request, RGB)) is None


@pytest.mark.parametrize(
    ("span", "of", "last", "count", "days"),
    [
        (("2025-01-01T00:00:00", "2025-01-31T00:00:00"), "P1D", "SKIP", 30, 30),
        (("2025-01-01T00:00:00", "2025-01-31T00:00:00"), "P7D", "SKIP", 4, 28),
        (("2025-01-01T00:00:00", "2025-01-31T00:00:00"), "P7D", "SHORTEN", 5, 30),
        (("2025-01-01T00:00:00", "2025-01-31T00:00:00"), "P1W", "EXTEND", 5, 35),
        (("2025-01-31T00:00:00", "2025-04-30T00:00:00"), "P1M", "SKIP", 3, 89),
        # A range that is written to its last second.
        (("2025-06-01T00:00:00", "2025-06-30T23:59:59"), "P1D", "SKIP", 30, 30),
        # A day that two intervals share counts for both.
        (("2025-06-01T00:00:00", "2025-06-04T00:00:00"), "PT36H", "SKIP", 2, 4),
        (("2025-06-01T12:00:00", "2025-06-03T12:00:00"), "P1D", "SKIP", 2, 4),
        (("2025-06-01T00:00:00", "2025-06-01T00:00:00"), "P1D", "SKIP", 0, 0),
    ],
)
def test_intervals(span: tuple[str, str], of: str, last: str, count: int, days: int) -> None:
    since, until = (datetime.fromisoformat(f"{one}+00:00") for one in span)
    found = cut(since, until, of=of, last=last)
    assert found is not None
    assert (found.count, found.days) == (count, days)


@pytest.mark.parametrize("of", ["", "P", "1D", "PT1H", "P1DT1H", "P0D", "P-1D"])
def test_what_is_no_duration_of_a_day(of: str) -> None:
    june = datetime.fromisoformat("2025-06-01T00:00:00+00:00")
    assert cut(june, june, of=of, last="SKIP") is None


# --- batch ---------------------------------------------------------------------------------


def test_both_versions_of_batch_cost_the_same() -> None:
    newer = {
        "processRequest": image(1, 1, kind=TIFF),
        "input": {"type": "tiling-grid", "id": 0, "resolution": 10},
        "output": {},
    }
    older = {
        "processRequest": newer["processRequest"],
        "tilingGrid": {"id": 0, "resolution": 10},
        "output": {},
    }
    cost = batch_v1_cost(PriceInput(older, NDVI, TABLES))
    assert cost == batch_v2_cost(PriceInput(newer, NDVI, TABLES))
    assert exact(cost) == 100
    assert batch_v1_cost(PriceInput(older, NDVI)) is None


# --- what is not known ---------------------------------------------------------------------

UNKNOWN = Unknown("{{ ref('ByocCollection/fields').id }}", "", ())


@pytest.mark.parametrize("price", [process_cost, async_cost])
def test_an_id_that_is_not_known_yet_changes_no_price(
    price: Callable[[PriceInput], Cost | None],
) -> None:
    request = image(5000, 5000)
    known = price(PriceInput(request, RGB))
    request["input"]["data"][0]["type"] = UNKNOWN
    request["output"]["delivery"] = {"s3": {"url": UNKNOWN}}
    assert price(PriceInput(request, RGB)) == known


@pytest.mark.parametrize(
    "path", [("input", "bounds"), ("input", "data", 0, "processing"), ("output", "width")]
)
def test_what_decides_a_price_and_is_not_known_makes_it_unknown(path: tuple[Any, ...]) -> None:
    request: Any = copy.deepcopy(image(512, 512))
    at = request
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = UNKNOWN
    assert process(request, RGB) is None


@pytest.mark.parametrize("request_", [{}, {"input": []}, {"output": {"width": "many"}}])
@pytest.mark.parametrize(
    "price",
    [async_cost, statistics_cost, batch_statistics_cost, batch_v1_cost, batch_v2_cost],
)
def test_what_is_no_request_has_no_price(
    price: Callable[[PriceInput], Cost | None], request_: Any
) -> None:
    assert price(PriceInput(request_, RGB, TABLES)) is None


JUNK = [None, True, 0, -1, 10**400, -(10**400), 5e-324, "", "..", [], {}, [None], UNKNOWN, 2**63]
JUNK += ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "P999999Y", "PT999999999H"]
BATCH = {
    "processRequest": image(1, 1, kind=TIFF),
    "input": {"type": "tiling-grid", "id": 2, "resolution": 60, "bufferX": 3, "bufferY": 3},
    "output": {"type": "raster"},
}
PRICED: list[tuple[Callable[[PriceInput], Cost | None], dict[str, Any]]] = [
    (process_cost, image(512, 512)),
    (async_cost, image(512, 512, resx=10, resy=10)),
    (statistics_cost, statistics()),
    (batch_statistics_cost, statistics(resx=10)),
    (batch_v2_cost, BATCH),
    (batch_v1_cost, {**BATCH, "tilingGrid": BATCH["input"]}),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value)
    found = [(*path, step) for step, _ in members]
    for step, member in value.items() if isinstance(value, dict) else enumerate(value):
        found += places(member, (*path, step)) if isinstance(member, dict | list) else []
    return found


@given(st.data(), st.sampled_from(PRICED), st.sampled_from(["SIMPLE", "ORBIT", "TILE"]))
def test_whatever_a_request_says_it_has_a_price_or_none(
    data: st.DataObject, case: Any, mosaicking: str
) -> None:
    """Unknown is what no computer counts with; never a fault, and never a price below another."""
    price, request = case[0], copy.deepcopy(case[1])
    path = data.draw(st.sampled_from(places(request)))
    at = request
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = data.draw(st.sampled_from(JUNK))
    asked = PriceInput(
        request, shape(bands("B02", mosaicking=mosaicking)), TABLES, features=(Features(3, 9, 9),)
    )
    searches(asked)
    cost = price(asked)
    if cost is not None:
        least, likely, most = cost.levels
        assert 0 <= least <= likely <= most < math.inf


# --- sizes ---------------------------------------------------------------------------------


def test_pixels_are_counted_to_the_nearest() -> None:
    """Source: the Statistical API's example: 544 m x 600 m at 20 m are 27 x 30."""
    bounds = {"bbox": [0, 0, 544, 600], "properties": CRS}
    size = image_size(bounds, {"resx": 20, "resy": 20}, assumed_px=256)
    assert size is not None
    assert (size.width_px, size.height_px) == (27, 30)


def test_one_resolution_counts_for_both_sides() -> None:
    size = image_size({"bbox": [0, 0, 1, 2]}, {"resy": 0.01}, assumed_px=256)
    assert size is not None
    assert (size.width_px, size.height_px) == (100, 200)


def test_the_box_of_a_geometry_is_in_the_crs_of_the_request() -> None:
    ring = [[500_000, 0], [501_000, 200], [500_000, 300], [500_000, 0]]
    bounds = {"geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": CRS}
    size = image_size(bounds, {"resx": 10, "resy": 10}, assumed_px=None)
    assert size is not None
    assert (size.width_px, size.height_px) == (100, 30)


@pytest.mark.parametrize("resolution", [0, -1, UNKNOWN, "10"])
def test_a_resolution_that_is_none_gives_no_size(resolution: Any) -> None:
    assert image_size({"bbox": [0, 0, 1, 2]}, {"resx": resolution}, assumed_px=256) is None


def test_larger_areas_touch_more_tiles_of_a_day() -> None:
    assert tiles_a_day(None) == tiles_a_day((3, 3)) == 6
    assert tiles_a_day(extent_km({"bbox": [10, 45, 14, 49]})) > 6


def test_how_large_the_features_of_a_file_are() -> None:
    plain = statistics_sizing({"aggregation": {}})
    assert plain.stated == {"width": 256, "height": 256}
    assert statistics_sizing(statistics(resx=10)).stated["resx"] == 10
    batch = batch_sizing({"input": {"defaults": {"resolution": 10}}, "processRequest": image(1, 1)})
    assert (batch.stated, batch.filtered) == ({"resolution": 10}, True)


# --- the catalogue -------------------------------------------------------------------------

JULY = {"datetime": "2025-07-01T00:00:00Z/2025-07-31T23:59:59Z"}
# What lies across 180 degrees, as GeoJSON has it: cut there.
PARTS = {
    "type": "MultiPolygon",
    "coordinates": [
        [[[west, 40], [west + 5, 40], [west + 5, 50], [west, 50], [west, 40]]]
        for west in (175, -180)
    ],
}


@pytest.mark.parametrize(
    ("search", "pu"),
    [
        (
            {"bbox": [14, 46, 14.1, 46.1], "datetime": "2025-06-01T00:00:00Z/2025-06-30T23:59:59Z"},
            0.01,
        ),
        (
            {"bbox": [14, 46, 14.1, 46.1], "datetime": "2025-01-01T00:00:00Z/2025-12-31T23:59:59Z"},
            0.12,
        ),
        # 10 by 10 degrees at these latitudes are 874,000 square kilometres.
        ({"bbox": [0, 40, 10, 50], "datetime": "2025-12-01T00:00:00Z/2025-12-31T23:59:59Z"}, 0.874),
        # As large wherever it lies, and with heights.
        ({"bbox": [175, 40, -175, 50], "datetime": "2025-12-01T00:00:00Z"}, 0.874),
        ({"bbox": [0, 40, 0, 10, 50, 900], "datetime": "2025-12-01T00:00:00Z"}, 0.874),
        ({"intersects": {"type": "Point", "coordinates": [14, 46]}, **JULY}, 0.01),
        ({"intersects": PARTS, **JULY}, 0.874),
        ({"intersects": {"type": "Polygon", "coordinates": []}, **JULY}, 1),
        ({"bbox": [1, 2, 3], **JULY}, 1),
        ({"datetime": "2025-12-01T00:00:00Z/2025-12-31T23:59:59Z"}, 1),
        ({"ids": ["x"]}, 0.01),
        ({"bbox": [0, 40, 10, 50], "datetime": "2025-12-01T00:00:00Z/.."}, 1),
    ],
)
def test_a_search_costs_its_area_by_its_months(search: Any, pu: float) -> None:
    assert catalogue_cost(search).maximum_pu == pytest.approx(pu, rel=0.005)
