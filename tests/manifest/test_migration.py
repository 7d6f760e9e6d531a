"""Batch V1 becomes Batch V2: what is written validates, and what changed its meaning is told."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from shplan.core.diagnostic import Severity, has_errors
from shplan.core.errors import ManifestError
from shplan.manifest.load import load
from shplan.manifest.migration import Migrated, migrate_batch_v1
from shplan.providers.registry import PROVIDERS
from shplan.schema.store import table

PROJECT = "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: test}\n"
SCRIPT = """\
//VERSION=3
function setup() { return {input: ["B04"], output: {bands: 1, sampleType: "UINT8"}}; }
function evaluatePixel(sample) { return [sample.B04]; }
"""
TIMES = {"from": "2025-06-01T00:00:00Z", "to": "2025-06-02T00:00:00Z"}
MANIFEST = """\
# The season.
apiVersion: shplan/v1
kind: BatchProcess
metadata: {name: ndvi} # as people call it
spec:
  processRequest:
    input:
      bounds: {bbox: [14.5, 46.0, 14.6, 46.1]}
      # June
      data: [{type: sentinel-2-l2a}]
    output: {responses: [{identifier: default, format: {type: image/tiff}}]}
    evalscript: |
      //VERSION=3
      function setup() { return {input: ["B04"], output: {bands: 1}}; }
      function evaluatePixel(sample) { return [sample.B04]; }
  # cut into
  tilingGrid:
    id: 0 # tiles of 20 km
    resolution: 10
  # delivered to
  output:
    defaultTilePath: "s3://acme/ndvi/<tileId>/<outputId>.<format>" # by number
    cogOutput: true
  description: NDVI # for people
run: {api: v1, maxPu: 500, onRemove: delete}
"""


def body(**more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "processRequest": {
            "input": {
                "bounds": {"bbox": [14.5, 46.0, 14.6, 46.1]},
                "data": [{"type": "sentinel-2-l2a", "dataFilter": {"timeRange": TIMES}}],
            },
            "output": {"responses": [{"identifier": "default", "format": {"type": "image/tiff"}}]},
            "evalscript": SCRIPT,
        },
        "tilingGrid": {"id": 0, "resolution": 10.0},
        "output": {"defaultTilePath": "s3://acme/x"},
        **more,
    }
    return {name: value for name, value in made.items() if value is not None}


def migrated(told: Any, **more: Any) -> Migrated:
    text = told if isinstance(told, str) else json.dumps(told)
    return migrate_batch_v1(text, file="old.yaml", table=table("tiling-grids"), **more)


def codes(done: Migrated, severity: Severity | None = None) -> set[str]:
    found = [one for one in done.report if severity in (None, one.severity)]
    return {one.code.removeprefix("migrate/") for one in found}


def spec_of(done: Migrated) -> Any:
    (document,) = yaml.safe_load_all(done.text)
    return document["spec"]


def faults(text: str) -> list[str]:
    """What `shplan validate` says of a project with these manifests."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "manifests").mkdir()
        (root / "shplan.yaml").write_text(PROJECT)
        (root / "manifests" / "a.yaml").write_text(text)
        found = load(root, registry=PROVIDERS)
        return [one.what for one in found.diagnostics if one.severity is Severity.ERROR]


GRIDS = st.sampled_from([(0, 10.0), (0, 60), (1, 20.0), (2, 240), (3, 0.0001), (6, 100.0), (7, 10)])
COG = st.fixed_dictionaries(
    {},
    optional={
        "overviewLevels": st.just([2, 4]),
        "blockxsize": st.sampled_from([256, 512]),
        "usePredictor": st.booleans(),
    },
)
OUTPUTS = st.fixed_dictionaries(
    {
        "defaultTilePath": st.sampled_from(
            [
                "s3://acme",
                "s3://acme/x",
                "s3://acme/<requestId>/<tileName>.<format>",
                "s3://acme/<tileId>/<outputId>.<format>",
            ]
        )
    },
    optional={
        "overwrite": st.booleans(),
        "skipExisting": st.booleans(),
        "cogOutput": st.just(True),  # noqa: FBT003 - a strategy's value
        "cogParameters": COG,
    },
)
ZARR = st.just(
    {
        "path": "s3://acme/zarr",
        "group": {"zarr_format": 2},
        "arrayParameters": {"dtype": "|u1", "order": "C", "chunks": [1, 100, 100], "fill_value": 0},
    }
)
TEXTS = st.sampled_from([None, "NDVI", "a: b # c", "{{ not.ours }}", "Grün", "'", "1", "x" * 200])


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    grid, resolution = draw(GRIDS)
    older = draw(st.booleans())
    target = draw(st.sampled_from(["output", "bucketName", "zarrOutput"]))
    told: dict[str, Any] = {
        "output": None,
        target: {"output": draw(OUTPUTS), "bucketName": "acme", "zarrOutput": draw(ZARR)}[target],
        "description": draw(TEXTS),
    }
    if older:
        told |= {"tilingGrid": None, "tilingGridId": grid, "resolution": resolution}
    else:
        told["tilingGrid"] = {"id": grid, "resolution": resolution, "bufferX": 5}
    made = body(**told)
    if target == "zarrOutput":
        responses = [{"identifier": "default", "format": {"type": "zarr/array"}}]
        made["processRequest"]["output"] = {"responses": responses}
        made.get("tilingGrid", {}).pop("bufferX", None)
    if draw(st.booleans()):
        made |= {"id": "0e1d", "status": "DONE", "userAction": "START", "valueEstimate": 12.5}
    order = draw(st.permutations(sorted(made)))
    return {name: made[name] for name in order}


def expected(told: dict[str, Any]) -> dict[str, Any]:
    """The same request in the words of version 2, without credentials; written once more for this."""
    grid = told.get("tilingGrid") or {
        "id": told["tilingGridId"],
        "resolution": told["resolution"],
    }
    source = told.get("output") or told.get("zarrOutput") or {}
    url = source.get("defaultTilePath") or source.get("path") or f"s3://{told.get('bucketName')}"
    rest = {k: v for k, v in source.items() if k not in ("defaultTilePath", "path")}
    if rest.get("cogOutput"):
        blocks = {"blockxsize": 1024, "blockysize": 1024}
        rest["cogParameters"] = {**blocks, **rest.get("cogParameters", {})}
    kind = "zarr" if "zarrOutput" in told else "raster"
    made = {
        "processRequest": told["processRequest"],
        "input": {"type": "tiling-grid", **grid},
        "output": {"type": kind, "url": url.replace("<tileId>", "<tileName>"), **rest},
    }
    if told.get("description"):
        made["description"] = told["description"].replace("{{", "{{ '{{' }}")
    return made


@settings(max_examples=60, deadline=None)
@given(bodies())
def test_a_body_means_the_same_but_for_what_is_told_and_validates(told: dict[str, Any]) -> None:
    done = migrated(told)
    assert codes(done, Severity.ERROR) == set()
    found = spec_of(done)
    place = found["output"].pop("delivery")["s3"]
    found["output"]["url"] = place.pop("url")
    assert set(place) == {"accessKey", "secretAccessKey"}
    assert found == expected(told)
    assert {"another-run", "estimate", "partial", "credentials"} <= codes(done)
    assert ("tile-id" in codes(done)) == ("<tileId>" in json.dumps(told))
    assert not done.left_out


@settings(max_examples=12, deadline=None)
@given(bodies())
def test_what_is_written_passes_validation(told: dict[str, Any]) -> None:
    assert faults(migrated(told, role="arn:aws:iam::1:role/r").text) == []


def test_comments_stay_with_what_they_are_about() -> None:
    done = migrated(MANIFEST)
    lines = [line.strip() for line in done.text.splitlines()]
    assert lines[0] == "# The season."
    for comment, after in (("# cut into", "input:"), ("# delivered to", "output:")):
        assert lines[lines.index(comment) + 1] == after
    for text in ("id: 0 # tiles of 20 km", "description: NDVI # for people"):
        assert text in lines
    assert any(line.startswith("url: ") and line.endswith("# by number") for line in lines)
    document = yaml.safe_load(done.text)
    assert document["run"] == {"maxPu": 500, "onRemove": "stop"}
    assert faults(done.text) == []
    assert {"removal", "tile-id", "blocks", "places"} <= codes(done)
    spans = {one.code: str(one.span) for one in done.report}
    assert spans["migrate/tile-id"] == "old.yaml:22:22"


def test_windows_line_ends_leave_nothing_in_a_comment() -> None:
    done = migrated(MANIFEST.replace("\n", "\r\n"))
    assert done.text == migrated(MANIFEST).text
    assert {one.code: str(one.span) for one in done.report}["migrate/tile-id"] == "old.yaml:22:22"


def test_what_is_not_of_version_1_stays_as_it_is() -> None:
    script = (
        "apiVersion: shplan/v1\nkind: Evalscript\nmetadata: {name: a} # b\nspec: {file: a.js}\n"
    )
    done = migrated(f"{script}---\n{MANIFEST}")
    first, second = done.text.split("---\n")
    assert first == script
    assert "type: tiling-grid" in second
    with pytest.raises(ManifestError) as error:
        migrated(done.text)
    assert error.value.diagnostics[0].code == "migrate/nothing"


def test_a_manifest_that_forgot_to_say_its_version_is_rewritten_too() -> None:
    for run in ("run: {maxPu: 500}\n", ""):
        text = MANIFEST[: MANIFEST.index("run: ")] + run
        made = yaml.safe_load(migrated(text).text)
        assert made["spec"]["input"]["type"] == "tiling-grid"
        assert made.get("run") == ({"maxPu": 500} if run else None)


def test_a_run_that_says_nothing_else_goes() -> None:
    done = migrated(MANIFEST.replace("{api: v1, maxPu: 500, onRemove: delete}", "{api: v1}"))
    assert "run" not in yaml.safe_load(done.text)


def test_the_answer_that_lists_requests_becomes_a_manifest_for_each() -> None:
    done = migrated({"data": [body(description="NDVI"), body(description="NDVI")], "links": {}})
    names = [one["metadata"]["name"] for one in yaml.safe_load_all(done.text)]
    assert names == ["ndvi", "ndvi-2"]


def test_the_marker_of_the_earlier_task_goes() -> None:
    marker = "[shplan project=p address=BatchProcess/a key=0123456789abcdef attempt=1]"
    assert spec_of(migrated(body(description=f"NDVI {marker}")))["description"] == "NDVI"
    done = migrated(body(description=marker))
    assert "description" not in spec_of(done)
    assert "marker" in codes(done)


def test_a_character_that_json_writes_in_two_halves_is_one() -> None:
    text = json.dumps(body(description="NDVI \U0001f331"))
    assert "\\ud83c\\udf31" in text
    assert spec_of(migrated(text))["description"] == "NDVI \U0001f331"


def test_dates_and_numbers_are_what_they_are_to_manifests() -> None:
    times = "{from: 2025-06-01T00:00:00Z, to: 2025-06-02}"
    data = f"[{{type: sentinel-2-l2a, dataFilter: {{timeRange: {times}}}}}]"
    text = MANIFEST.replace("[{type: sentinel-2-l2a}]", data)
    made = spec_of(migrated(text))
    (one,) = made["processRequest"]["input"]["data"]
    assert one["dataFilter"]["timeRange"] == {"from": "2025-06-01T00:00:00Z", "to": "2025-06-02"}
    assert "# cut into" in migrated(text).text


def test_an_anchor_that_stands_elsewhere_too_is_not_rewritten_there() -> None:
    text = MANIFEST.replace(
        "metadata: {name: ndvi}", "metadata: {name: ndvi, annotations: &it {id: 0, resolution: 10}}"
    )
    text = text.replace(
        "  tilingGrid:\n    id: 0 # tiles of 20 km\n    resolution: 10\n", "  tilingGrid: *it\n"
    )
    made = yaml.safe_load(migrated(text).text)
    assert made["metadata"]["annotations"] == {"id": 0, "resolution": 10}
    assert made["spec"]["input"] == {"type": "tiling-grid", "id": 0, "resolution": 10}


def test_braces_of_a_pasted_script_are_no_expression() -> None:
    script = SCRIPT.replace("{ return [sample.B04]; }", "{{ return [sample.B04]; }}")
    told = body()
    told["processRequest"]["evalscript"] = script
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "manifests").mkdir()
        (root / "shplan.yaml").write_text(PROJECT)
        (root / "manifests" / "a.yaml").write_text(migrated(told).text)
        found = load(root, registry=PROVIDERS)
        assert not has_errors(found.diagnostics)
        (job,) = found.resources
        assert job.spec["processRequest"]["evalscript"] == script  # type: ignore[index, call-overload]


def test_a_collection_that_is_filled_is_left_out_and_one_that_is_made_is_another_kind() -> None:
    filled = {"defaultTilePath": "s3://a/x", "cogOutput": True, "collectionId": "0e1d"}
    done = migrated(body(output=filled))
    assert (done.left_out, "collection" in codes(done)) == (True, True)
    assert "collectionId" not in spec_of(done)["output"]
    assert faults(done.text) == []
    made = {"defaultTilePath": "s3://a/x", "cogOutput": True, "createCollection": True}
    done = migrated(body(output=made))
    assert (done.left_out, "collection" in codes(done)) == (False, True)
    assert spec_of(done)["output"]["createCollection"] is True
    assert "cogParameters" not in spec_of(done)["output"]
    assert faults(done.text) == []


def test_an_output_that_version_1_takes_for_granted_is_written_out() -> None:
    told = body()
    del told["processRequest"]["output"]
    done = migrated(told)
    assert "responses" in codes(done)
    assert faults(done.text) == []


@pytest.mark.parametrize(
    ("told", "code", "place"),
    [
        (body(tilingGrid={"id": 5, "resolution": 10}), "grid", "old.yaml:3:"),
        (body(tilingGrid={"id": 0, "resolution": 15}), "resolution", "old.yaml:4:"),
        (body(tilingGrid="{{ var.grid }}"), "grid", "old.yaml:"),
        (body(tilingGrid=None, tilingGridId=0), "grid", "old.yaml:"),
        (body(bucketName="acme"), "output", "old.yaml:"),
        (body(output={"cogOutput": True, "collectionId": "0e1d"}), "output", "old.yaml:"),
    ],
)
def test_what_cannot_be_translated_is_told_at_its_place_and_nothing_is_written(
    told: dict[str, Any], code: str, place: str
) -> None:
    ordered = {"tilingGrid": told.get("tilingGrid"), **told}
    ordered = {name: value for name, value in ordered.items() if value is not None}
    done = migrated(json.dumps(ordered, indent=2))
    assert (done.text, codes(done, Severity.ERROR)) == ("", {code})
    (error,) = [one for one in done.report if one.severity is Severity.ERROR]
    assert str(error.span).startswith(place)


def test_an_unknown_field_is_left_out_and_told() -> None:
    done = migrated(body(priority="high"))
    assert (done.left_out, "unknown" in codes(done)) == (True, True)
    assert faults(done.text) == []


@pytest.mark.parametrize(
    "text", ["", "a: 1", "[]", "- 1", "{}", '{"kind": 1}', "processRequest: 1"]
)
def test_a_text_without_a_request_is_refused(text: str) -> None:
    with pytest.raises(ManifestError):
        migrated(text)


def test_a_text_that_is_no_yaml_is_told_where() -> None:
    with pytest.raises(ManifestError) as error:
        migrated("a: [1")
    assert error.value.diagnostics[0].span is not None


def test_collections_are_called_as_they_are_now() -> None:
    old = body()
    old["processRequest"]["input"]["data"][0]["type"] = "S2L2A"
    done = migrate_batch_v1(
        json.dumps(old), file="old.json", table=table("tiling-grids"), role="", name="x"
    )
    (made,) = yaml.safe_load_all(done.text)
    (one,) = made["spec"]["processRequest"]["input"]["data"]
    assert one == {"type": "sentinel-2-l2a", "dataFilter": {"timeRange": TIMES}}
    assert [one.what for one in done.report if one.code == "migrate/collection"] == [
        "BatchProcess/x: the collection `S2L2A` is called `sentinel-2-l2a` now."
    ]
    assert not done.left_out
