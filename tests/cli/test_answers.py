"""Answers on the command line: written where the manifest says, and worth as much as a ledger."""

from __future__ import annotations

import json
from pathlib import Path

PROJECT = """\
apiVersion: shplan/v1
kind: Project
metadata: {name: fields}
"""
MANIFEST = """\
apiVersion: shplan/v1
kind: Process
metadata:
  name: field
  forEach: "{{ features('../aoi/fields.geojson', key='id') }}"
spec:
  input:
    bounds: "{{ each.value.bounds }}"
    data:
      - type: sentinel-2-l2a
        dataFilter: {timeRange: {from: "2025-06-01T00:00:00Z", to: "2025-06-30T00:00:00Z"}}
  output: {width: 8, height: 8}
  evalscript: |
    //VERSION=3
    function setup() { return {input: ["B04"], output: {bands: 1, sampleType: "AUTO"}}; }
    function evaluatePixel(sample) { return [sample.B04]; }
run: {output: "out/{{ each.value.properties.crop }}/{{ each.key }}.png"}
"""


def with_fields(project, *ids: int) -> None:
    features = [
        {
            "type": "Feature",
            "properties": {"id": one, "crop": "maize"},
            "geometry": {
                "type": "Polygon",
                "coordinates": [
                    [[14.5, 46], [14.5 + one / 1000, 46], [14.5, 46 + one / 1000], [14.5, 46]]
                ],
            },
        }
        for one in ids
    ]
    root: Path = project.root
    (root / "aoi").mkdir(exist_ok=True)
    content = json.dumps({"type": "FeatureCollection", "features": features})
    (root / "aoi" / "fields.geojson").write_text(content)
    (root / "shplan.yaml").write_text(PROJECT)
    for path in (root / "manifests").iterdir():
        path.unlink()
    (root / "manifests" / "fields.yaml").write_text(MANIFEST)


def test_each_feature_has_its_file_and_one_that_is_added_is_asked_for_alone(project) -> None:
    with_fields(project, 1, 2)
    assert project.run("apply", "--auto-approve").code == 0
    out = project.root / "out" / "maize"
    assert sorted(path.name for path in out.glob("*.png")) == ["1.png", "2.png"]
    with_fields(project, 3, 2, 1)
    planned = project.run("plan")
    assert "Process/field[3]" in planned.out
    assert "1 to run; 1 of 3 resources change" in planned.out
    assert project.run("apply", "--auto-approve").code == 0
    assert project.run("plan", "--detailed-exitcode").code == 0
    shown = json.loads(project.run("show", "Process/field[3]", "--request").out)
    assert shown["output"] == {"width": 8, "height": 8}


def test_a_recovered_ledger_hears_of_answers_from_the_files_beside_them(project) -> None:
    with_fields(project, 1, 2)
    project.run("apply", "--auto-approve")
    segments = sorted((project.root / ".shplan" / "ledger" / "sandbox").glob("*.jsonl"))
    for segment in segments:
        lines = segment.read_bytes().splitlines(keepends=True)
        segment.write_bytes(b"".join(line[:-20] + b'"\n' for line in lines))
    recovered = project.run("ledger", "recover")
    assert recovered.code == 0
    assert "2 receipt files lie beside answers: nothing of them is paid again." in recovered.out
    planned = project.run("plan")
    assert "2 to adopt" in planned.out
    assert "to run" not in planned.out
    assert project.run("apply", "--auto-approve").code == 0
    assert project.run("plan", "--detailed-exitcode").code == 0
