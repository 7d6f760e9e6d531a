"""
Batch jobs by the thousand: requests and CPU time of a job, for three sizes of a project.

A plan is linear if its CPU time for one more job stays the same; an apply watches by lists if no
more requests are sent for one job when there are more of them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from measuring import (
    Measured,
    call,
    forget_requests,
    make_project,
    measure,
    median,
    requests,
    sandbox,
    shplan,
)

SCRIPT = """\
//VERSION=3
function setup() {
  return {input: ["B04", "B08"], output: {bands: 1, sampleType: "FLOAT32"}};
}
function evaluatePixel(sample) {
  return [(sample.B08 - sample.B04) / (sample.B08 + sample.B04)];
}
"""
JOBS = """\
apiVersion: shplan/v1
kind: Evalscript
metadata: {{name: ndvi}}
spec: {{file: ../ndvi.js}}
---
apiVersion: shplan/v1
kind: BatchProcess
metadata:
  name: ndvi
  forEach: {{day: [{days}]}}
spec:
  processRequest:
    input:
      bounds: {{geometry: "{{{{ geojson('../farm.geojson') }}}}"}}
      data:
        - type: sentinel-2-l2a
          dataFilter:
            timeRange: {{from: "{{{{ each.day }}}}T00:00:00Z", to: "{{{{ each.day }}}}T23:59:59Z"}}
    output:
      responses: [{{identifier: default, format: {{type: image/tiff}}}}]
    evalscript: "{{{{ ref('Evalscript/ndvi') }}}}"
  input: {{type: tiling-grid, id: 0, resolution: 10}}
  output:
    type: raster
    delivery:
      s3:
        url: "s3://results/ndvi/{{{{ each.day }}}}"
        iamRoleARN: arn:aws:iam::123456789012:role/results
run: {{maxPu: 500}}
"""
FARM = """\
{{"type": "Polygon", "coordinates": [[{points}]]}}
"""
# By method, and whether it is about one task.
_SORTS = {
    ("GET", False): "lists",
    ("GET", True): "reads of one",
    ("POST", False): "creates",
    ("POST", True): "actions",
}
# About 1 km by 1 km, its outline drawn finely.
WEST, SOUTH, SIDE, POINTS = 14.5, 46.05, 0.012, 50


@dataclass
class Round:
    """What one size has shown."""

    jobs: int
    applied: Measured
    of_apply: Counter[str]
    known: Measured
    of_known: Counter[str]
    lost: Measured
    of_lost: Counter[str]


def bench_jobs(rounds: int, most: int) -> None:
    print("batch jobs, one script and one area (CPU ms a job; peak MB; requests to /batch)")
    print("   jobs   plan, all have receipts  plan, ledger lost        apply")
    for jobs in (most // 4, most // 2, most):
        print(f"  {jobs:>5}{shown(one_size(jobs, rounds))}")
    print(
        "  wanted: no more time a job where there are more; no request where there are receipts;"
        " one page of the list for a hundred tasks where the ledger is lost"
    )


def one_size(jobs: int, rounds: int) -> Round:
    with tempfile.TemporaryDirectory() as scratch, sandbox(Path(scratch) / "sandbox") as base:
        call(base, "POST", "/_sandbox/settings", {"speed": 100.0})
        home = Path(scratch) / "project"
        write_project(home, base, jobs)
        forget_requests(base)
        applied = measure(shplan("apply", "--auto-approve"), cwd=home)
        assert applied.code == 0, "a job failed"
        of_apply = batch_requests(base)
        known, of_known = planned(home, base, rounds)
        shutil.rmtree(home / ".shplan")
        lost, of_lost = planned(home, base, rounds)
    return Round(jobs, applied, of_apply, known, of_known, lost, of_lost)


def write_project(home: Path, base: str, jobs: int) -> None:
    manifests = make_project(home, base)
    (home / "ndvi.js").write_text(SCRIPT)
    (home / "farm.geojson").write_text(FARM.format(points=", ".join(outline())))
    first = date(2022, 1, 1)
    days = ", ".join(f'"{first + timedelta(days=day)}"' for day in range(jobs))
    (manifests / "ndvi.yaml").write_text(JOBS.format(days=days))


def outline() -> list[str]:
    """Return the corners of a square, and points between them, as GeoJSON positions."""
    steps = [SIDE * step / POINTS for step in range(POINTS)]
    ring = [(WEST + step, SOUTH) for step in steps]
    ring += [(WEST + SIDE, SOUTH + step) for step in steps]
    ring += [(WEST + SIDE - step, SOUTH + SIDE) for step in steps]
    ring += [(WEST, SOUTH + SIDE - step) for step in steps]
    return [f"[{east:.6f}, {north:.6f}]" for east, north in (*ring, ring[0])]


def planned(home: Path, base: str, rounds: int) -> tuple[Measured, Counter[str]]:
    """Plan several times; medians, and what one plan has asked."""
    found = []
    asked: Counter[str] = Counter()
    for _ in range(rounds):
        forget_requests(base)
        found.append(measure(shplan("plan"), cwd=home))
        asked = batch_requests(base)
    assert all(one.code == 0 for one in found), "a plan failed"
    typical = Measured(
        median([one.cpu_s for one in found]),
        median([one.peak_mb for one in found]),
        median([one.wall_s for one in found]),
        0,
    )
    return typical, asked


def batch_requests(base: str) -> Counter[str]:
    """Count what was asked of the batch API: lists, single tasks, creates, actions."""
    counted: Counter[str] = Counter()
    for method, path in requests(base):
        _, found, below = path.partition("/batch/v2/process")
        if found:
            one = bool(below.partition("?")[0])
            counted[_SORTS[method, one]] += 1
    return counted


def shown(one: Round) -> str:
    def plan(measured: Measured, asked: Counter[str]) -> str:
        each = 1000 * measured.cpu_s / one.jobs
        return f"{each:>6.2f} ms {measured.peak_mb:>4.0f} MB {asked.total():>4}"

    asked = " ".join(f"{name} {count}" for name, count in sorted(one.of_apply.items()))
    return (
        f"{plan(one.known, one.of_known)}   {plan(one.lost, one.of_lost)}"
        f"   {plan(one.applied, one.of_apply)} ({asked}) {one.applied.wall_s:.1f} s"
    )
