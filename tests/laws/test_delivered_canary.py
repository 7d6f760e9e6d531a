"""
The keys of a bucket in asynchronous and in batch statistical requests: in no artefact of any command.

As `test_job_canary` has it for batch tasks; here the marker is in the script, and files beside the results are read.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.laws.test_canary import environment
from tests.laws.test_job_canary import ACCESS, CANARIES, KEY, hidden
from tests.support import geopackages
from tests.support.canaries import planted
from tests.support.delivered import STATISTICS_SCRIPT
from tests.support.program import shplan
from tests.support.served import serving

PROJECT = """\
apiVersion: shplan/v1
kind: Project
metadata: {{name: canary}}
spec:
  environments:
    served: {{baseUrl: "{url}", tokenUrl: "{url}/oauth/token"}}
"""
KEYS = """accessKey: "{{ secret('env:ACCESS') }}", secretAccessKey: "{{ secret('env:KEY') }}\""""
MANIFEST = f"""\
apiVersion: shplan/v1
kind: Evalscript
metadata: {{name: red}}
spec: {{file: ../red.js}}
---
apiVersion: shplan/v1
kind: AsyncProcess
metadata: {{name: image}}
spec:
  input:
    bounds: {{bbox: [14.5, 46.05, 14.51, 46.06]}}
    data:
      - type: sentinel-2-l2a
        dataFilter: {{timeRange: {{from: "1985-06-01T00:00:00Z", to: "1985-06-02T00:00:00Z"}}}}
  output:
    width: 8
    height: 8
    responses: [{{identifier: red, format: {{type: image/tiff}}}}]
    delivery: {{s3: {{url: "s3://results/{{{{ run.key }}}}/<OUTPUT>", {KEYS}}}}}
  evalscript: "{{{{ ref('Evalscript/red') }}}}"
---
apiVersion: shplan/v1
kind: BatchStatistics
metadata: {{name: fields}}
spec:
  input:
    features: {{s3: {{url: "s3://areas/fields.gpkg", {KEYS}}}}}
    data: [{{type: sentinel-2-l2a}}]
  aggregation:
    timeRange: {{from: "1985-06-01T00:00:00Z", to: "1985-06-02T00:00:00Z"}}
    aggregationInterval: {{of: P1D}}
    resx: 60
    resy: 60
    evalscript: "{{{{ ref('Evalscript/red') }}}}"
  output: {{s3: {{url: "s3://results/statistics", {KEYS}}}}}
"""
COMMANDS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("validate", "-v"), 0),
    (("show", "AsyncProcess/image", "--request"), 0),
    (("plan", "--format", "json", "-o", "plan.json", "--log", "json", "-v"), 0),
    (("show", "plan.json"), 0),
    (("apply", "plan.json", "--log", "json", "-v"), 0),
    (("plan", "--detailed-exitcode", "-v"), 0),
    (("status",), 0),
    (("why", "BatchStatistics/fields"), 0),
    (("why", "AsyncProcess/image"), 0),
    (("ledger", "export"), 0),
)


@pytest.mark.slow
def test_no_key_of_a_bucket_is_in_any_artefact_of_any_command(tmp_path: Path) -> None:
    home, root, data = tmp_path / "home", tmp_path / "project", tmp_path / "data"
    (root / "manifests").mkdir(parents=True)
    home.mkdir()
    planted(data)
    box = {"box": (500_000, 5_100_000, 500_300, 5_100_300)}
    geopackages.write(data / "buckets" / "areas" / "fields.gpkg", [box])
    (root / "manifests" / "all.yaml").write_text(MANIFEST)
    (root / "red.js").write_text(STATISTICS_SCRIPT)
    with serving(data, echo_secrets=True, speed=200.0) as served:
        (root / "shplan.yaml").write_text(PROJECT.format(url=served.base))
        client = {"SH_CLIENT_ID": "sandbox", "SH_CLIENT_SECRET": "sandbox"}
        buckets = {
            "AWS_ENDPOINT_URL": served.s3,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_REGION": "eu-central-1",
        }
        for arguments, code in COMMANDS:
            told = subprocess.run(
                [*shplan(), *arguments],
                cwd=root,
                env=environment(home, **client, **buckets, ACCESS=ACCESS, KEY=KEY),
                capture_output=True,
                text=True,
                timeout=120,
            )
            for canary in CANARIES:
                assert canary not in told.stdout + told.stderr, (arguments, canary)
            assert told.returncode == code, (arguments, told.stdout, told.stderr)
    hidden(root)
    hidden(home)
