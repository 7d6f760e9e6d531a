"""Spellings that the service takes beside those of its description are rewritten once, and told."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.diagnostic import Severity
from shplan.core.older_forms import renewed
from shplan.core.value import Unknown
from shplan.manifest.load import load
from shplan.providers.registry import PROVIDERS

NAMES = {"S2L2A": "sentinel-2-l2a", "S1GRD": "sentinel-1-grd"}


def body(item: dict[str, Any], **output: Any) -> Any:
    return {"input": {"bounds": {}, "data": [item]}, "output": output or {"width": 10}}


@pytest.mark.parametrize(
    ("older", "now"),
    [
        ({"type": "S2L2A"}, {"type": "sentinel-2-l2a"}),
        (
            {"type": "CUSTOM", "dataFilter": {"collectionId": "a-b", "maxCloudCoverage": 3}},
            {"type": "byoc-a-b", "dataFilter": {"maxCloudCoverage": 3}},
        ),
        (
            {"type": "sentinel-1-grd", "processing": {"orthorectify": "true", "backCoeff": "x"}},
            {"type": "sentinel-1-grd", "processing": {"orthorectify": True, "backCoeff": "x"}},
        ),
        (
            {"type": "sentinel-2-l1c", "dataFilter": {"previewMode": "DETAIL"}},
            {"type": "sentinel-2-l1c", "dataFilter": {}},
        ),
    ],
)
@pytest.mark.parametrize("root", [None, "processRequest"])
def test_older_spellings_become_those_of_today(
    older: dict[str, Any], now: dict[str, Any], root: str | None
) -> None:
    spec, wanted = body(older), body(now)
    if root is not None:
        spec, wanted = {root: spec, "description": "x"}, {root: wanted, "description": "x"}
    before = copy.deepcopy(spec)
    made, told = renewed(spec, NAMES)
    assert made == wanted
    assert spec == before
    assert [one.sure for one in told] == [False]
    assert renewed(made, NAMES) == (made, [])


def test_images_have_whole_pixels() -> None:
    made, told = renewed(body({}, width=512, height=343.697), NAMES)
    assert made["output"] == {"width": 512, "height": 344}
    assert [one.path for one in told] == [("output", "height")]
    assert renewed({"input": {}, "aggregation": {"width": 20.0}}, NAMES) == (
        {"input": {}, "aggregation": {"width": 20}},
        [],
    )
    # What is no size at all is refused where it always was.
    assert renewed(body({}, width=0.4, height=-2.5), NAMES)[0]["output"] == {
        "width": 0.4,
        "height": -2.5,
    }


def test_what_is_in_todays_form_is_the_same_object() -> None:
    spec = body({"type": "sentinel-2-l2a", "processing": {"harmonizeValues": False}})
    assert renewed(spec, NAMES)[0] is spec
    unknown = Unknown("{{ ref('A/b').id }}", "A/b", ())
    for spec in ({"input": unknown}, {"input": {"data": [unknown]}}, body({"type": unknown})):
        assert renewed(spec, NAMES) == (spec, [])


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.sampled_from(["true", "CUSTOM", "S2L2A"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["input", "data", "type", "processing", "dataFilter", "collectionId", "output"]
                + ["width", "processRequest", "previewMode"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(["input", "output", "processRequest"]), JSON))
def test_any_body_is_rewritten_at_once_and_no_further(spec: Any) -> None:
    made, _ = renewed(spec, NAMES)
    again, told = renewed(made, NAMES)
    assert again is made
    assert told == []


def test_a_pasted_request_is_a_warning_and_holds_nothing_up(tmp_path: Path) -> None:
    (tmp_path / "shplan.yaml").write_text(
        "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: p}\nspec: {}\n"
    )
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "pasted.yaml").write_text(
        "apiVersion: shplan/v1\n"
        "kind: Process\n"
        "metadata: {name: pasted}\n"
        "spec:\n"
        "  input:\n"
        "    bounds: {bbox: [14.5, 46.05, 14.513, 46.06]}\n"
        "    data:\n"
        "      - type: S1GRD\n"
        '        processing: {orthorectify: "true"}\n'
        "  output: {width: 512, height: 343.697}\n"
        "  evalscript: |\n"
        "    //VERSION=3\n"
        '    function setup() { return { input: ["VV"], output: { bands: 1 } } }\n'
        "    function evaluatePixel(s) { return [s.VV] }\n"
        "run: {output: out.png}\n"
    )
    loaded = load(tmp_path, registry=PROVIDERS)
    told = [(one.severity, one.code, one.span and one.span.line) for one in loaded.diagnostics]
    assert told == [
        (Severity.WARNING, "request/deprecated", 8),
        (Severity.WARNING, "request/deprecated", 9),
        (Severity.WARNING, "request/size", 10),
    ]
    (desired,) = loaded.resources
    assert desired.spec["output"] == {"width": 512, "height": 344}


HIGH: Any = {
    "type": "Polygon",
    "coordinates": [[[14, 46, 300], [15, 46, 301.5], [15, 47, 0], [14, 46, 300]]],
}
LEVEL: Any = {"type": "Polygon", "coordinates": [[[14, 46], [15, 46], [15, 47], [14, 46]]]}


@pytest.mark.parametrize(
    ("bounds", "wanted", "told"),
    [
        ({"geometry": HIGH}, {"geometry": LEVEL}, ["geometry"]),
        ({"bbox": [14, 46, 0, 15, 47, 900.5]}, {"bbox": [14, 46, 15, 47]}, ["bbox"]),
        (
            {
                "geometry": {
                    "type": "MultiPolygon",
                    "coordinates": [LEVEL["coordinates"], HIGH["coordinates"]],
                }
            },
            {
                "geometry": {
                    "type": "MultiPolygon",
                    "coordinates": [LEVEL["coordinates"], LEVEL["coordinates"]],
                }
            },
            ["geometry"],
        ),
    ],
)
def test_heights_are_left_out(bounds: Any, wanted: Any, told: list[str]) -> None:
    for root in ((), ("processRequest",)):
        spec = {"input": {"bounds": bounds}}
        made, faults = renewed({"processRequest": spec} if root else spec, NAMES)
        assert made == (
            {"processRequest": {"input": {"bounds": wanted}}}
            if root
            else {"input": {"bounds": wanted}}
        )
        assert [(one.path[-1], one.sure) for one in faults] == [(name, False) for name in told]


@pytest.mark.parametrize(
    "bounds",
    [
        {"geometry": LEVEL},
        {"bbox": [14, 46, 15, 47]},
        {"bbox": [14, 46, 0, 15, 47]},
        {"geometry": {"type": "Polygon", "coordinates": [[[14, 46, "high"]]]}},
        {"geometry": {"type": "Polygon", "coordinates": []}},
    ],
)
def test_what_has_no_heights_is_left_to_the_schema(bounds: Any) -> None:
    spec: Any = {"input": {"bounds": bounds}}
    assert renewed(spec, NAMES) == (spec, [])
