"""A sandbox that serves its buckets over S3: what the same commands learn from them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import shplan
from tests.cli.conftest import Project
from tests.support.cogs import write_tile
from tests.support.s3 import no_aws, with_keys
from tests.support.served import Served, serving

PROJECT = """\
apiVersion: shplan/v1
kind: Project
metadata: {{name: demo}}
spec:
  defaultEnvironment: near
  environments:
    near: {{baseUrl: "{base}", tokenUrl: "{base}/oauth/token", profile: sandbox}}
"""
# Two tiles of the 100 km grid in zone 33: 33N_4_51 and 33N_5_51.
JOB = """\
apiVersion: shplan/v1
kind: BatchProcess
metadata: {name: ndvi}
spec:
  processRequest:
    input:
      bounds: {bbox: [14.6, 46.5, 15.4, 46.9]}
      data:
        - type: sentinel-2-l2a
          dataFilter: {timeRange: {from: "2005-06-01T00:00:00Z", to: "2005-06-30T23:59:59Z"}}
    output: {responses: [{identifier: default, format: {type: image/tiff}}]}
    evalscript: |
      //VERSION=3
      function setup() { return {input: ["B04"], output: {bands: 1, sampleType: "UINT8"}}; }
      function evaluatePixel(sample) { return [sample.B04]; }
  input: {type: tiling-grid, id: 2, resolution: 240}
  output:
    type: raster
    delivery: {s3: {url: "s3://results/ndvi", iamRoleARN: "arn:aws:iam::123456789012:role/r"}}
"""
GRID = "input: {type: tiling-grid, id: 2, resolution: 240}"
ROLE = "arn:aws:iam::123456789012:role/r"
PLACE = f'{{url: "s3://inputs/fields.gpkg", iamRoleARN: "{ROLE}"}}'
PACKAGE = f"input: {{type: geopackage, features: {{s3: {PLACE}}}}}"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def server(data: Path) -> Iterator[Served]:
    with serving(data) as served:
        yield served


@pytest.fixture
def served(
    project: Project, server: Served, data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Project:
    """A project of its own on a sandbox that has forgotten the others, and no AWS variable."""
    no_aws(monkeypatch, tmp_path)
    httpx.post(f"{server.base}/_sandbox/reset").raise_for_status()
    # What earlier tests have delivered would be a witness that the job ran already.
    shutil.rmtree(data / "buckets" / "results", ignore_errors=True)
    httpx.post(f"{server.base}/_sandbox/settings", json={"speed": 100.0}).raise_for_status()
    for folder in ("a", "b"):
        write_tile(data / "buckets", "fields", folder)
    (data / "buckets" / "inputs").mkdir(exist_ok=True)
    (project.root / "shplan.yaml").write_text(PROJECT.format(base=server.base))
    config = tmp_path / "home" / "sentinelhub"
    config.mkdir(parents=True)
    # As the sandbox has printed it.
    (config / "config.toml").write_text(server.sandbox.address.as_toml())
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config.parent))
    return project


@pytest.fixture
def job(served: Project) -> Project:
    """A job of which one of two features is made to fail."""
    served.manifest.write_text(JOB)
    return served


def fail_one_feature(server: Served) -> None:
    fate = {"features": ["33N_4_51"], "cause": "clouds everywhere"}
    httpx.post(f"{server.base}/_sandbox/batch", json=fate).raise_for_status()


def receipt(project: Project) -> Any:
    entries = json.loads(project.run("ledger", "show", "--format", "json").out)
    (found,) = [one["settlement"]["receipt"] for one in entries if one["event"] == "receipt"]
    return found


def test_what_the_sandbox_prints_makes_failed_features_known(job: Project, server: Served) -> None:
    """Its lines, pasted into a shell and a file."""
    fail_one_feature(server)
    command = (
        f"{server.sandbox.address.as_env()}\nexec '{sys.executable}' -m shplan apply --auto-approve"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(shplan.__file__).parents[1])}
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, env=environment, timeout=100
    )
    assert done.returncode == 3, done.stderr
    assert "1 feature failed" in done.stderr
    assert "33N_4_51: clouds everywhere" in done.stderr
    found = receipt(job)
    assert (found["status"], found["failed"]) == ("PARTIAL", {"33N_4_51": "clouds everywhere"})


def test_without_access_it_is_said_and_the_receipt_holds_the_template(
    job: Project, server: Served
) -> None:
    fail_one_feature(server)
    said = job.run("apply", "--auto-approve")
    assert said.code == 0, said.err
    (line,) = [one for one in said.err.splitlines() if "cannot be read" in one]
    assert line.startswith("s3://results/ndvi/")
    assert "no AWS variable says with what: set AWS_PROFILE" in line
    found = receipt(job)
    assert (found["status"], found["outputs"]) == (
        "DONE",
        {"template": "s3://results/ndvi", "features": "not read"},
    )
    assert "nobody knows whether features failed" in job.run("why", "BatchProcess/ndvi").out


def test_what_programs_read_is_an_event(job: Project) -> None:
    said = job.run("apply", "--auto-approve", "--log", "json")
    events = [json.loads(line) for line in said.err.splitlines() if line.startswith("{")]
    (told,) = [one for one in events if one["event"] == "BucketUnreadable"]
    assert told["bucket"] == "results"
    assert "cannot be read" in told["message"]


def test_outputs_are_listed(
    job: Project, server: Served, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_keys(monkeypatch, server.s3)
    (data / "buckets" / "results" / "ndvi").mkdir(parents=True, exist_ok=True)
    (data / "buckets" / "results" / "ndvi" / "33N_4_51.tif").write_bytes(b"pixels")
    said = job.run("apply", "--auto-approve")
    assert said.code == 0, said.err
    assert "cannot be read" not in said.err
    outputs = receipt(job)["outputs"]
    # What somebody put there, and what the task delivered.
    there = list((data / "buckets" / "results" / "ndvi").rglob("*.tif"))
    assert len(there) >= 3
    assert (outputs["files"], outputs["bytes"]) == (
        len(there),
        sum(path.stat().st_size for path in there),
    )
    assert "ndvi/33N_4_51.tif" in {one["key"] for one in outputs["first"]}


def test_a_referenced_file_is_identified_by_reading_it(
    job: Project, server: Served, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the file says is part of the run; a plan need not understand it."""
    job.replace(GRID, PACKAGE)
    (data / "buckets" / "inputs" / "fields.gpkg").write_bytes(b"one")
    said = job.run("plan")
    assert said.code == 1
    assert "s3://inputs/fields.gpkg, which cannot be read from here" in said.err
    assert "set AWS_PROFILE" in said.err
    with_keys(monkeypatch, server.s3)
    keys = []
    for content in (b"one", b"two", b"one"):
        (data / "buckets" / "inputs" / "fields.gpkg").write_bytes(content)
        planned = job.run("plan", "--format", "json")
        assert planned.code == 0, planned.err
        (change,) = json.loads(planned.out)["changes"]
        keys.append(change)
    assert keys[0] == keys[2] != keys[1]


def test_changed_tile_files_are_noticed(
    served: Project, server: Served, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_keys(monkeypatch, server.s3)
    assert served.run("apply", "--auto-approve").code == 0
    assert served.run("plan", "--detailed-exitcode").code == 0
    write_tile(data / "buckets", "fields", "b", bands=("B08",))
    said = served.run("plan", "--detailed-exitcode")
    assert said.code == 2
    assert "reingest" in said.out
    # Who may not read the bucket sees no change, and is told that nobody has looked.
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    blind = served.run("plan", "--detailed-exitcode")
    assert blind.code == 0
    assert "s3://fields/ cannot be read" in blind.err


def test_a_plan_that_asks_no_bucket_does_not_load_what_reads_them(
    served: Project, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_keys(monkeypatch, server.s3)
    # The files of new tiles are looked at, and there are none.
    served.manifest.write_text(served.manifest.read_text().partition("---")[0])
    program = (
        "import sys\n"
        "from shplan.cli.main import run\n"
        "sys.argv = ['shplan', 'plan']\n"
        "try:\n"
        "    run()\n"
        "finally:\n"
        "    print('loaded', 'botocore' in sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(shplan.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded False"


def test_no_secret_of_the_buckets_is_in_any_file_or_message(
    job: Project, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_keys(monkeypatch, server.s3)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "canary-session")
    fail_one_feature(server)
    commands = ("plan -o plan.json -v", "apply plan.json --log json", "status", "ledger export")
    said = [job.run(*command.split()) for command in commands]
    assert [one.code for one in said[:2]] == [0, 3]
    written = [path.read_bytes() for path in job.root.rglob("*") if path.is_file()]
    spoken = "".join(one.out + one.err for one in said).encode()
    for content in (*written, spoken):
        assert b"canary-se" not in content


def test_the_embedded_sandbox_keeps_its_directory(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever AWS variables say: its buckets are here, and nothing is sent anywhere."""
    no_aws(monkeypatch, tmp_path)
    with_keys(monkeypatch, "http://127.0.0.1:9")
    project.run("apply", "--auto-approve")
    write_tile(project.root / ".shplan" / "sandbox" / "buckets", "fields", "b", bands=("B08",))
    said = project.run("plan", "--detailed-exitcode")
    assert said.code == 2
    assert "cannot be read" not in said.err
