"""
All kinds of one project in this process: no secret is in what any command writes or says.

The canaries are the client's secret and its token, the keys of buckets that requests carry, and those with which
this side reads buckets. Beside the ledger and plans there are answers with their receipts, pins, reports of
tests of scripts and of files, and a pasted request that is rewritten. The service echoes what it is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shplan.cli.exit_door import through
from shplan.cli.main import program
from shplan.providers.registry import PROVIDERS
from tests.core.test_tiff_header import write
from tests.laws.test_canary import REFUSED, SECRET, proxied
from tests.laws.test_job_canary import ACCESS, KEY
from tests.support import geopackages, immediate
from tests.support.canaries import leaks, planted
from tests.support.cubes import write_cube
from tests.support.delivered import STATISTICS_SCRIPT
from tests.support.served import serving

AWS = "canary-of-whoever-reads-buckets"
PROJECT = """\
apiVersion: shplan/v1
kind: Project
metadata: {{name: canary}}
spec:
  receipts: receipts/
  environments:
    served:
      baseUrl: http://127.0.0.1:{port}
      tokenUrl: http://127.0.0.1:{port}/oauth/token
      acquisitions: assumed
  outputs:
    image: "{{{{ ref('AsyncProcess/image').id }}}}"
    cube: "{{{{ ref('ZarrCollection/cube').id }}}}"
    figure: "{{{{ ref('Process/figure').sha256 }}}}"
"""
KEYS = """accessKey: "{{ secret('env:ACCESS') }}", secretAccessKey: "{{ secret('env:KEY') }}\""""
DAY = '{from: "1985-06-01T00:00:00Z", to: "1985-06-02T00:00:00Z"}'
DATA = f"[{{type: sentinel-2-l2a, dataFilter: {{timeRange: {DAY}}}}}]"
INPUT = f"{{bounds: {{bbox: [14.5, 46.05, 14.51, 46.06]}}, data: {DATA}}}"
MEASURED = f"""
    timeRange: {DAY}
    aggregationInterval: {{of: P1D}}
    evalscript: "{{{{ ref('Evalscript/red') }}}}\""""
MANIFESTS: dict[str, str] = {
    "Evalscript": "spec: {file: ../red.js}",
    "ByocCollection": "spec: {name: Fields, s3Bucket: fields}",
    "ByocTiles": """\
spec:
  collection: "{{ ref('ByocCollection/fields').id }}"
  tiles: [{path: a, sensingTime: "2025-06-01T10:00:00Z"}]
""",
    "ZarrCollection": 'spec: {name: Cube, s3Bucket: cubes, path: a.zarr/, crs: "EPSG:32633"}',
    "BatchCollection": "spec: {name: Results, s3Bucket: results}",
    "CatalogSearch": """\
spec:
  collections: [sentinel-2-l2a]
  bbox: [14.0, 46.0, 14.1, 46.1]
  datetime: 2025-06-01T00:00:00Z/2025-06-03T00:00:00Z
  pin: true
""",
    "TilingGrid": "spec: {id: 2, bounds: {bbox: [14.0, 46.0, 14.1, 46.1]}}",
    "Process": f"""\
spec:
  input: {INPUT}
  output: {{width: 8, height: 8, responses: [{{identifier: red, format: {{type: image/tiff}}}}]}}
  evalscript: "{{{{ ref('Evalscript/red') }}}}"
run: {{output: out/figure.tif}}
""",
    "Statistics": f"""\
spec:
  input: {INPUT}
  aggregation:
    width: 4
    height: 4{MEASURED}
run: {{output: out/series.csv}}
""",
    "BatchProcess": f"""\
spec:
  processRequest:
    input: {INPUT}
    output: {{responses: [{{identifier: red, format: {{type: image/tiff}}}}]}}
    evalscript: "{{{{ ref('Evalscript/red') }}}}"
  input: {{type: tiling-grid, id: 0, resolution: 60}}
  output: {{type: raster, delivery: {{s3: {{url: "s3://results/batch", {KEYS}}}}}}}
""",
    "AsyncProcess": f"""\
spec:
  input: {INPUT}
  output:
    width: 8
    height: 8
    responses: [{{identifier: red, format: {{type: image/tiff}}}}]
    delivery: {{s3: {{url: "s3://results/{{{{ run.key }}}}/<OUTPUT>", {KEYS}}}}}
  evalscript: "{{{{ ref('Evalscript/red') }}}}"
""",
    "BatchStatistics": f"""\
spec:
  input:
    features: {{s3: {{url: "s3://areas/fields.gpkg", {KEYS}}}}}
    data: [{{type: sentinel-2-l2a}}]
  aggregation:
    resx: 60
    resy: 60{MEASURED}
  output: {{s3: {{url: "s3://results/statistics", {KEYS}}}}}
""",
}
NAMES = {
    "Evalscript": "red",
    "ZarrCollection": "cube",
    "BatchCollection": "results",
    "Process": "figure",
    "Statistics": "series",
    "AsyncProcess": "image",
}
TESTS = (
    "tests:\n  - {name: red, inputs: {B04: 0.1, dataMask: 1}, expect: {red: 0.1, dataMask: 1}}\n"
)
PASTED = f"""\
processRequest: {{input: {{bounds: {{bbox: [14.5, 46.0, 14.6, 46.1]}}, data: [{{type: sentinel-2-l2a}}]}}}}
tilingGrid: {{id: 0, resolution: 60}}
output: {{defaultTilePath: s3://results/old}}
secretAccessKey:
  {KEY}
accessKey: {ACCESS}
other: 1
"""
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("pull", "CatalogSearch/fields", "-v"),
    ("validate", "-v"),
    ("plan", "-v", "--log", "json", "--format", "json", "-o", "plan.json"),
    ("plan", "-v", "--format", "markdown"),
    ("show", "plan.json"),
    ("apply", "plan.json", "-v", "--log", "json"),
    ("plan", "--detailed-exitcode", "-v"),
    ("status", "-v"),
    ("status", "--format", "json"),
    ("output",),
    ("graph",),
    ("ledger", "show"),
    ("ledger", "export"),
    ("ledger", "export", "--format", "csv"),
    ("byoc", "check", "-v"),
    ("evalscript", "test", "--junit-xml", "report.xml", "-v"),
)


def address(kind: str) -> str:
    return f"{kind}/{NAMES.get(kind, 'fields')}"


def manifest(kind: str, text: str) -> str:
    name = NAMES.get(kind, "fields")
    return f"apiVersion: shplan/v1\nkind: {kind}\nmetadata: {{name: {name}}}\n{text}\n"


def write_project(root: Path, data: Path, port: int) -> None:
    (root / "manifests").mkdir(parents=True)
    (root / "shplan.yaml").write_text(PROJECT.format(port=port))
    (root / "red.js").write_text(STATISTICS_SCRIPT)
    (root / "red.test.yaml").write_text(TESTS)
    planted(root / "pasted.yaml", PASTED)
    text = "---\n".join(manifest(kind, text) for kind, text in MANIFESTS.items())
    (root / "manifests" / "all.yaml").write_text(text)
    buckets = data / "buckets"
    (buckets / "fields" / "a").mkdir(parents=True)
    write(buckets / "fields" / "a" / "B04.tiff")
    write_cube(buckets / "cubes" / "a.zarr")
    (buckets / "results").mkdir()
    box = {"box": (500_000, 5_100_000, 500_300, 5_100_300)}
    geopackages.write(buckets / "areas" / "fields.gpkg", [box])


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run a command here; fails where it says a canary."""
    for name in ("CI", "NO_COLOR", "SH_BASE_URL", "SH_TOKEN_URL", "SH_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    given = {"SH_CLIENT_ID": "canary", "SH_CLIENT_SECRET": SECRET, "ACCESS": ACCESS, "KEY": KEY}
    buckets = {"AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": AWS, "AWS_REGION": "eu-x-1"}
    for name, value in {**given, **buckets, "HOME": str(tmp_path / "home")}.items():
        monkeypatch.setenv(name, value)

    def running(*arguments: str) -> tuple[int, str]:
        code = through(program, arguments)
        said = capsys.readouterr()
        assert "canary-" not in said.out + said.err, arguments
        assert code != 70, said.err
        return code, said.out + said.err

    return running


def test_every_kind_takes_part() -> None:
    assert set(MANIFESTS) == set(PROVIDERS)


@pytest.mark.slow
def test_no_secret_is_in_any_artefact_of_any_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., tuple[int, str]]
) -> None:
    root, data = tmp_path / "project", planted(tmp_path / "data")
    (tmp_path / "home").mkdir()
    with serving(data, echo_secrets=True, speed=200.0) as served, proxied(served.base) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.s3)
        write_project(root, data, port)
        monkeypatch.chdir(root)
        for command in COMMANDS:
            code, said = run(*command)
            assert code == 0, f"{command}:\n{said}"
        for kind in ("Process", "AsyncProcess", "BatchStatistics", "ZarrCollection"):
            run("why", address(kind))
            run("show", address(kind), "--request")
        assert run("migrate", "batch-v1", "pasted.yaml")[0] == 3
        # What came of it is there, or nothing was searched.
        made = {"out/figure.tif", "out/series.csv", "shplan.lock", "report.xml", "plan.json"}
        assert all((root / name).stat().st_size for name in made)
        assert (root / "out" / "figure.tif.receipt.json").exists()
        jobs = {"Process", "Statistics", "BatchProcess", "AsyncProcess", "BatchStatistics"}
        assert {one.name for one in (root / "receipts" / "served").iterdir()} == jobs
        stored = b"".join(one.read_bytes() for one in data.rglob("*") if one.is_file())
        assert ACCESS.encode() in stored
        assert KEY.encode() in stored
        # Who refuses a request repeats it, with keys and token.
        (root / "red.js").write_text(f"{STATISTICS_SCRIPT}const WORDS = '{REFUSED.decode()}';\n")
        code, said = run("apply", "--auto-approve", "-v", "--log", "json")
        assert code == 3, said
        assert "(sensitive)" in said
        (root / "red.js").write_text(immediate.NUMBERS)
        run("evalscript", "test", "-v")
        run("destroy", "--auto-approve", "-v")
    assert leaks(tmp_path) == []
