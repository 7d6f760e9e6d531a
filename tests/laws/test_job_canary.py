"""
The keys of a bucket, which a job's delivery refers to, leave only in the request that needs them.

Also where the service echoes them: not into the ledger, a saved plan, a receipt, a log, a message.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.laws.test_canary import environment
from tests.support.canaries import planted
from tests.support.program import shplan
from tests.support.served import serving

ACCESS = "canary-5a90e2-access-key"
KEY = "canary-e17c44-secret-access-key"
CANARIES = (ACCESS, KEY)
PROJECT = """\
apiVersion: shplan/v1
kind: Project
metadata: {{name: canary}}
spec:
  environments:
    served: {{baseUrl: "{url}", tokenUrl: "{url}/oauth/token"}}
  outputs: {{task: "{{{{ ref('BatchProcess/ndvi').id }}}}"}}
"""
MANIFEST = """\
apiVersion: shplan/v1
kind: BatchProcess
metadata: {name: ndvi}
spec:
  description: "with {{ var.word }}"
  processRequest:
    input:
      bounds:
        geometry:
          type: Polygon
          coordinates: [[[14.5, 46.05], [14.513, 46.05], [14.513, 46.06], [14.5, 46.06], [14.5, 46.05]]]
      data:
        - type: sentinel-2-l2a
          dataFilter: {timeRange: {from: "2005-06-01T00:00:00Z", to: "2005-06-02T00:00:00Z"}}
    output: {responses: [{identifier: default, format: {type: image/tiff}}]}
    evalscript: |
      //VERSION=3
      function setup() { return {input: ["B04"], output: {bands: 1}}; }
      function evaluatePixel(sample) { return [sample.B04]; }
  input: {type: tiling-grid, id: 0, resolution: 60}
  output:
    type: raster
    delivery:
      s3:
        url: s3://results/ndvi
        accessKey: "{{ secret('env:ACCESS') }}"
        secretAccessKey: "{{ secret('env:KEY') }}"
run: {maxPu: 500}
"""
COMMANDS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("validate",), 0),
    (("show", "BatchProcess/ndvi", "--request"), 0),
    (("plan", "--format", "json", "-o", "plan.json", "--log", "json"), 0),
    (("plan", "--format", "markdown"), 0),
    (("show", "plan.json"), 0),
    (("why", "BatchProcess/ndvi"), 0),
    (("apply", "plan.json", "--log", "json", "-v"), 0),
    (("apply", "plan.json", "-v"), 0),
    (("plan", "--detailed-exitcode", "-v"), 0),
    (("status",), 0),
    (("output",), 0),
    (("why", "BatchProcess/ndvi"), 0),
    (("show", "BatchProcess/ndvi"), 0),
    (("ledger", "show"), 0),
    (("ledger", "verify"), 0),
    (("ledger", "export"), 0),
    (("ledger", "export", "--format", "csv"), 0),
)


def hidden(root: Path) -> None:
    for path in root.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for canary in CANARIES:
            assert canary.encode() not in content, (path.relative_to(root), canary)


@pytest.mark.parametrize("echoes", [pytest.param(False, marks=pytest.mark.slow), True])
def test_no_key_of_a_bucket_is_in_any_artefact_of_any_command(tmp_path: Path, echoes: bool) -> None:
    home, root, data = tmp_path / "home", tmp_path / "project", tmp_path / "data"
    (root / "manifests").mkdir(parents=True)
    home.mkdir()
    # The sandbox keeps the id of a key, as the service does; the key itself only if told to.
    planted(data)
    manifest = root / "manifests" / "ndvi.yaml"
    manifest.write_text(MANIFEST.replace("{{ var.word }}", "words"))
    with serving(data, echo_secrets=echoes, speed=200.0) as served:
        url = served.base
        (root / "shplan.yaml").write_text(PROJECT.format(url=url))

        def run(*arguments: str, **more: str) -> Any:
            client = {"SH_CLIENT_ID": "sandbox", "SH_CLIENT_SECRET": "sandbox"}
            secrets = {**client, "ACCESS": ACCESS, "KEY": KEY, **more}
            done = subprocess.run(
                [*shplan(), *arguments],
                cwd=root,
                env=environment(home, **secrets),
                capture_output=True,
                text=True,
                timeout=120,
            )
            for canary in CANARIES:
                assert canary not in done.stdout + done.stderr, (arguments, canary)
            assert "Traceback" not in done.stderr, (arguments, done.stderr)
            return done

        for arguments, code in COMMANDS:
            done = run(*arguments)
            assert done.returncode == code, (arguments, done.stdout, done.stderr)
        token = httpx.post(
            f"{url}/oauth/token",
            data={
                "grant_type": "client_credentials",
                "client_id": "sandbox",
                "client_secret": "sandbox",
            },
        ).json()["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        told = httpx.get(f"{url}/batch/v2/process", headers=bearer).text
        assert (KEY in told) is echoes
        # A rotated key runs nothing; a lost ledger finds the run, by its echo.
        rotated = run("plan", "--detailed-exitcode", KEY="canary-rotated")
        assert rotated.returncode == 0, rotated.stdout + rotated.stderr
        (ledger,) = [one for one in (root / ".shplan" / "ledger").iterdir() if one.is_dir()]
        ledger.rename(tmp_path / "lost")
        hidden(tmp_path / "lost")
        found = run("plan", "--format", "json", "-v", "--log", "json")
        assert '"action":"adopt"' in found.stdout.replace(" ", ""), found.stdout + found.stderr
        task = httpx.get(f"{url}/batch/v2/process", headers=bearer).json()["data"][0]["id"]
        assert run("import", "BatchProcess/ndvi", task).returncode == 0
        assert run("plan", "--detailed-exitcode").returncode in (0, 2)
        # A run that fails says why without them, and a key that is not set is missed by its name.
        fate = {"share": 1.0, "cause": "access denied"}
        httpx.post(f"{url}/_sandbox/batch", json=fate).raise_for_status()
        manifest.write_text(MANIFEST.replace("{{ var.word }}", "x").replace("B04", "B08"))
        failed = run("apply", "--auto-approve", "-v", "--log", "json")
        assert failed.returncode == 3, failed.stdout + failed.stderr
        manifest.write_text(MANIFEST.replace("{{ var.word }}", "x").replace("B04", "B03"))
        assert run("apply", "--auto-approve", "-v", KEY="").returncode != 0
        assert run("destroy", "--auto-approve", "-v").returncode == 0
        hidden(root)
        hidden(home)
        kept = b"".join(one.read_bytes() for one in data.rglob("*") if one.is_file())
        assert (KEY.encode() in kept) is echoes
