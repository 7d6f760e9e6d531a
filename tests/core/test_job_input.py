"""What a Batch V2 request says about its price: verbatim bodies in, plain values out."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, cast

import pytest

from shplan.core.grids import Tiles
from shplan.core.job_cost import CostInput, Features, Output, Samples
from shplan.core.job_input import ScriptInput, ScriptOutput, ScriptShape, cost_input, touched_tiles
from shplan.core.job_terms import batch_cost
from shplan.core.value import Unknown

ROOT = Path(__file__).parents[2]
TABLE = json.loads((ROOT / "schemas" / "tables" / "tiling-grids.json").read_text(encoding="utf-8"))
JUNE = {"from": "2025-06-01T00:00:00Z", "to": "2025-06-30T23:59:59Z"}
REQUEST: dict[str, Any] = {
    "processRequest": {
        "input": {
            "bounds": {
                "bbox": [501000, 5010000, 561120, 5030040],
                "properties": {"crs": "http://www.opengis.net/def/crs/EPSG/0/32633"},
            },
            "data": [{"type": "sentinel-2-l2a", "dataFilter": {"timeRange": JUNE}}],
        },
        "output": {"responses": [{"identifier": "default", "format": {"type": "image/tiff"}}]},
        "evalscript": "//VERSION=3",
    },
    "input": {"type": "tiling-grid", "id": 0, "resolution": 10},
    "output": {"type": "raster", "delivery": {"s3": {"url": "s3://acme-out/ndvi"}}},
}
NDVI = ScriptShape(
    (ScriptInput(None, ("B04", "B08", "dataMask"), "SIMPLE"),),
    (ScriptOutput("default", 1, "FLOAT32"),),
)


def edited(**members: Any) -> dict[str, Any]:
    """The request with members of `processRequest.input` replaced."""
    request = copy.deepcopy(REQUEST)
    request["processRequest"]["input"] |= members
    return request


def read(request: Any, script: ScriptShape = NDVI, **options: Any) -> CostInput:
    given = cost_input(request, script, TABLE, **options)
    assert given is not None
    return given


def reading(*inputs: ScriptInput, outputs: tuple[ScriptOutput, ...] = NDVI.outputs) -> ScriptShape:
    return ScriptShape(inputs, outputs)


def test_a_request_for_a_grid() -> None:
    given = read(REQUEST)
    counted = "tiles of the UTM 20km grid that share area with the area of interest"
    assert given.features == (Features(3, 2004, 2004, 3, counted, "tiles"),)
    assert given.outputs == (Output("FLOAT32", "image/tiff"),)
    assert given.sources[0].bands == ("B04", "B08", "dataMask")
    assert (given.collections, given.distinct, given.remote) == (1, 1, 0)
    assert touched_tiles(REQUEST, TABLE, most=1) == Tiles(
        3, ("33N_25_250",), partial=0, overlapping=0, crs=("EPSG:32633",)
    )


def test_its_price_is_the_formula_over_its_tiles() -> None:
    request = copy.deepcopy(REQUEST)
    request["input"] |= {"bufferX": 98, "bufferY": 48, "resolution": 20}
    sixty = reading(ScriptInput(None, ("B04", "B08"), "ORBIT"))
    cost = batch_cost(read(request, sixty))
    tile = (1002 + 196) * (1002 + 96) / 262144 * 2 / 3 * 2 / 3
    assert cost.expected_pu == pytest.approx(max(3 * tile * 10, 100))
    assert cost.maximum_pu == pytest.approx(3 * tile * 30)


def test_overlapping_tiles_are_an_upper_bound_and_the_term_says_so() -> None:
    request = edited(bounds={"bbox": [11.9, 46.0, 12.1, 46.1]})
    (features,) = read(request).features
    assert features.least is not None
    assert features.least < features.count
    assert "at most" in features.counted


def test_a_geometry_is_read_in_its_crs() -> None:
    ring = [[14.0, 46.0], [14.1, 46.0], [14.1, 46.1], [14.0, 46.0]]
    crs84 = edited(bounds={"geometry": {"type": "Polygon", "coordinates": [ring]}})
    tiles = touched_tiles(crs84, TABLE)
    assert tiles is not None
    assert tiles.crs == ("EPSG:32633",)


@pytest.mark.parametrize(
    "broken",
    [
        edited(bounds={}),
        edited(bounds={"bbox": [1, 2, 3]}),
        edited(bounds={"bbox": [1, 2, 3, 4], "properties": {"crs": "EPSG:999999"}}),
        edited(data=[]),
        edited(data="x"),
        {**REQUEST, "input": {"type": "tiling-grid", "id": 99, "resolution": 10}},
        {**REQUEST, "input": {"type": "tiling-grid", "id": "0", "resolution": 10}},
        {**REQUEST, "input": {"type": "tiling-grid", "id": 0}},
        {**REQUEST, "input": {"type": "tiling-grid", "id": 0, "resolution": -10}},
        {**REQUEST, "input": {"type": "geopackage", "features": {"s3": {"url": "s3://b/x.gpkg"}}}},
        {},
        edited(bounds={"geometry": Unknown("{{ ref('A/b').geometry }}", "A/c", ())}),
        edited(bounds=Unknown("{{ ref('A/b').bounds }}", "A/c", ())),
    ],
)
def test_what_is_missing_or_not_known_yet_makes_the_cost_unknown(broken: Any) -> None:
    assert cost_input(broken, NDVI, TABLE) is None


def test_the_features_of_a_geopackage_are_given() -> None:
    request = {**edited(bounds={}), "input": {"type": "geopackage"}}
    features = (Features(7, 300, 200),)
    given = read(request, features=features, already_done=2)
    assert (given.features, given.already_done) == (features, 2)


@pytest.mark.parametrize(
    ("within", "known"),
    [(JUNE, True), ({**JUNE, "to": ".."}, False), ({"from": JUNE["from"]}, False), (None, False)],
)
def test_orbits_need_a_time_range_with_both_ends(within: Any, known: bool) -> None:
    data = [{"type": "sentinel-2-l2a", "dataFilter": {"timeRange": within}}]
    orbits = reading(ScriptInput(None, ("B04",), "ORBIT"))
    assert (cost_input(edited(data=data), orbits, TABLE) is not None) is known
    assert cost_input(edited(data=data), NDVI, TABLE) is not None


def test_elevation_is_timeless() -> None:
    orbits = reading(ScriptInput(None, ("DEM",), "ORBIT"))
    assert read(edited(data=[{"type": "dem"}]), orbits).sources[0].samples == Samples()


FUSION = [
    {"type": "sentinel-2-l2a", "id": "s2", "dataFilter": {"timeRange": JUNE}},
    {
        "type": "sentinel-1-grd",
        "id": "s1",
        "dataFilter": {"timeRange": {**JUNE, "to": "2025-06-03T00:00:00Z"}},
        "processing": {"orthorectify": True, "speckleFilter": {"type": "LEE"}},
    },
]


@pytest.mark.parametrize("names", [("s2", "s1"), ("0", "1"), (None, None)])
def test_each_input_object_reads_its_collection(names: tuple[str | None, str | None]) -> None:
    """By id, by the number that stands for it, or one after the other."""
    script = reading(
        ScriptInput(names[0], ("B04",), "ORBIT"), ScriptInput(names[1], ("VV",), "ORBIT")
    )
    given = read(edited(data=FUSION), script)
    assert [source.samples.maximum for source in given.sources] == [30, 3]
    assert [source.radar for source in given.sources] == [1, 4]
    assert (given.collections, given.distinct) == (2, 2)


def test_an_input_object_that_names_none_may_read_any() -> None:
    (source,) = read(edited(data=FUSION), reading(ScriptInput("x", ("B04",), "ORBIT"))).sources
    assert (source.samples.maximum, source.radar) == (30, 4)


def test_one_collection_twice_is_not_two() -> None:
    given = read(edited(data=[FUSION[0], {**FUSION[0], "id": "again"}]))
    assert (given.collections, given.distinct) == (2, 1)


@pytest.mark.parametrize(
    ("processing", "factor"),
    [
        ({}, 1),
        ({"orthorectify": True}, 2),
        ({"orthorectify": True, "backCoeff": "GAMMA0_TERRAIN"}, 2.5),
        ({"speckleFilter": {"type": "NONE"}}, 1),
        ({"speckleFilter": {"type": "LEE", "windowSizeX": 3}}, 2),
    ],
)
def test_the_options_of_sentinel_1(processing: Any, factor: float) -> None:
    data = [{"type": "sentinel-1-grd", "processing": processing}]
    assert read(edited(data=data)).sources[0].radar == factor
    optical = [{"type": "sentinel-2-l2a", "processing": processing}]
    assert read(edited(data=optical)).sources[0].radar == 1


def responses(*formats: tuple[str | None, str]) -> dict[str, Any]:
    request = copy.deepcopy(REQUEST)
    request["processRequest"]["output"]["responses"] = [
        {"format": {"type": kind}} | ({} if name is None else {"identifier": name})
        for name, kind in formats
    ]
    return request


TWO = (ScriptOutput("default", 1, "UINT8"), ScriptOutput("index", 1, "FLOAT32"))


@pytest.mark.parametrize(
    ("formats", "outputs"),
    [
        ([(None, "image/tiff")], [("UINT8", "image/tiff")]),
        ([("index", "image/tiff")], [("FLOAT32", "image/tiff")]),
        # Only what is delivered counts.
        ([("default", "image/tiff")], [("UINT8", "image/tiff")]),
        ([("index", "zarr/array")], [("FLOAT32", "zarr/array")]),
        ([("userdata", "application/json")], [("", "application/json")]),
        ([("nowhere", "image/tiff")], [("FLOAT32", "image/tiff")]),
        ([], [("UINT8", "image/tiff"), ("FLOAT32", "image/tiff")]),
    ],
)
def test_responses_have_the_types_of_the_outputs_they_name(
    formats: list[tuple[str | None, str]], outputs: list[tuple[str, str]]
) -> None:
    given = read(responses(*formats), reading(*NDVI.inputs, outputs=TWO))
    assert given.outputs == tuple(Output(*one) for one in outputs)


def test_an_array_of_floats_is_one_whatever_the_script_says() -> None:
    script = reading(*NDVI.inputs, outputs=TWO)
    request = responses(("default", "zarr/array"))
    request["output"] = {"type": "zarr", "arrayParameters": {"dtype": "<f4"}}
    assert read(request, script).outputs == (Output("FLOAT32", "zarr/array"),)
    request["output"]["arrayOverrides"] = {"default": {"dtype": "|u1"}}
    assert read(request, script).outputs == (Output("UINT8", "zarr/array"),)


def test_a_collection_that_is_created_by_the_same_plan_has_a_price() -> None:
    created = Unknown("byoc-{{ ref('ByocCollection/fields').id }}", "BatchProcess/x", ())
    data = cast("list[Any]", [{"type": created, "dataFilter": {"timeRange": JUNE}}])
    assert batch_cost(read(edited(data=data))) == batch_cost(read(REQUEST))


def test_reading_changes_nothing() -> None:
    before = copy.deepcopy(REQUEST)
    assert read(REQUEST) == read(REQUEST)
    assert before == REQUEST
