"""Scripts against collections whose bands only the service knows: told before anything is paid."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Project
from tests.support.cubes import write_cube

CUBE = """\
apiVersion: shplan/v1
kind: ZarrCollection
metadata: {name: cube}
spec: {name: Cube, s3Bucket: cubes, path: fields.zarr/, crs: "EPSG:32633"}
"""
JOB = """\
---
apiVersion: shplan/v1
kind: Evalscript
metadata: {name: ndvi}
spec: {file: ../ndvi.js}
---
apiVersion: shplan/v1
kind: BatchProcess
metadata: {name: ndvi}
spec:
  processRequest:
    input:
      bounds:
        bbox: [500000, 5200260, 500040, 5200300]
        properties: {crs: "http://www.opengis.net/def/crs/EPSG/0/32633"}
      data:
        - type: "zarr-{{ ref('ZarrCollection/cube').id }}"
          dataFilter: {timeRange: {from: "1985-06-01T00:00:00Z", to: "1985-06-01T23:59:59Z"}}
    output: {responses: [{identifier: default, format: {type: image/tiff}}]}
    evalscript: "{{ ref('Evalscript/ndvi') }}"
  input: {type: tiling-grid, id: 0, resolution: 20}
  output:
    type: raster
    delivery: {s3: {url: "s3://results/ndvi", iamRoleARN: "arn:aws:iam::1:role/r"}}
"""
SCRIPT = """\
//VERSION=3
function setup() { return {input: ["B04", "BAND"], output: {bands: 1, sampleType: "FLOAT32"}}; }
function evaluatePixel(s) { return [s.BAND - s.B04]; }
"""


@pytest.fixture
def cube(project: Project) -> Project:
    """A project that imports a Zarr group with the arrays B04 and B08."""
    write_cube(project.root / ".shplan" / "sandbox" / "buckets" / "cubes" / "fields.zarr")
    project.manifest.write_text(CUBE)
    (project.root / "shplan.yaml").write_text(
        "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: demo}\n"
        "spec: {outputs: {arrays: \"{{ ref('ZarrCollection/cube').arrays }}\"}}\n"
    )
    return project


def with_job(cube: Project, band: str) -> None:
    (cube.root / "ndvi.js").write_text(SCRIPT.replace("BAND", band))
    cube.manifest.write_text(CUBE + JOB)


def test_a_band_that_an_import_did_not_find_stops_the_job_before_it_is_paid(cube: Project) -> None:
    with_job(cube, "B11")
    assert cube.run("validate").code == 0
    applied = cube.run("apply", "--auto-approve")
    assert applied.code == 3
    assert "ZarrCollection/cube has no band `B11`" in applied.err
    assert "error[evalscript/band-unknown]" in applied.out
    assert "ndvi.js:2:44" in applied.out
    assert "1 PU spent" in applied.out
    with_job(cube, "B08")
    applied = cube.run("apply", "--auto-approve")
    assert (applied.code, "1 run" in applied.out) == (0, True)


def test_once_it_is_imported_the_plan_says_so_with_both_places(cube: Project) -> None:
    assert cube.run("apply", "--auto-approve").code == 0
    assert cube.run("output", "arrays").out == '["B04","B08"]\n'
    with_job(cube, "B8A")
    planned = cube.run("plan")
    assert planned.code == 1
    assert "error[evalscript/band-unknown]" in planned.err
    assert "ndvi.js:2:44" in planned.err
    assert 'function setup() { return {input: ["B04", "B8A"]' in planned.err
    assert "It has B04, B08." in planned.err
    assert "did you mean `B08`?" in planned.err


def test_what_has_run_is_not_asked_whether_it_would_still_fit(cube: Project) -> None:
    with_job(cube, "B08")
    assert cube.run("apply", "--auto-approve").code == 0
    group = cube.root / ".shplan" / "sandbox" / "buckets" / "cubes" / "fields.zarr"
    write_cube(group.with_name("other.zarr"), bands=["B04"])
    cube.replace("fields.zarr/", "other.zarr/")
    # The job is on the new collection now, whose bands are not known before it is made.
    assert cube.run("plan").code == 0
    cube.replace("other.zarr/", "fields.zarr/")
    assert cube.run("plan", "--detailed-exitcode").code == 0


def test_the_bands_of_a_collection_that_is_only_referred_to_are_those_it_has(
    cube: Project,
) -> None:
    assert cube.run("apply", "--auto-approve").code == 0
    with_job(cube, "B8A")
    cube.replace("metadata: {name: cube}", "metadata: {name: same, lifecycle: {managed: false}}")
    cube.replace(
        'spec: {name: Cube, s3Bucket: cubes, path: fields.zarr/, crs: "EPSG:32633"}',
        "spec: {name: Cube}",
    )
    cube.replace("ZarrCollection/cube", "ZarrCollection/same")
    (cube.root / "shplan.yaml").write_text(
        "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: demo}\n"
        "spec: {forget: [ZarrCollection/cube]}\n"
    )
    planned = cube.run("plan")
    assert planned.code == 1
    assert "ZarrCollection/same has no band `B8A`" in planned.err
