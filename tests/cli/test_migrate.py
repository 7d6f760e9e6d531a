"""`shplan migrate batch-v1`: the manifest on stdout, the report on stderr, and the exit codes."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Project
from tests.manifest.test_migration import MANIFEST, body
from tests.support.canaries import planted


def test_a_file_is_rewritten_and_the_report_is_beside_it(project: Project, tmp_path: Path) -> None:
    old = tmp_path / "old.yaml"
    old.write_text(MANIFEST)
    said = project.run("migrate", "batch-v1", str(old))
    assert said.code == 0
    assert yaml.safe_load(said.out)["spec"]["input"]["type"] == "tiling-grid"
    assert "warning[migrate/another-run]: Meaning changed" in said.err
    assert f"{old.as_posix()}:22:22" in said.err
    project.manifest.write_text(said.out)
    (project.root / "shplan.yaml").write_text(
        "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: demo}\n"
    )
    assert project.run("validate").code == 0


def test_a_pasted_body_is_read_from_stdin(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    pasted = json.dumps(body(description="Greenest pixel, 2025!")).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pasted)))
    said = project.run("migrate", "batch-v1", "-", "--role", "arn:aws:iam::1:role/r")
    assert said.code == 0
    made = yaml.safe_load(said.out)
    assert made["metadata"] == {"name": "greenest-pixel-2025"}
    assert made["spec"]["output"]["delivery"]["s3"] == {
        "url": "s3://acme/x",
        "iamRoleARN": "arn:aws:iam::1:role/r",
    }


@pytest.mark.parametrize(
    ("told", "code", "words"),
    [
        (body(priority="high"), 3, "Left out: no counterpart"),
        (body(tilingGrid={"id": 4, "resolution": 1}), 1, "error[migrate/grid]"),
        ({"a": 1}, 1, "error[migrate/nothing]"),
    ],
)
def test_what_has_no_counterpart_has_an_exit_code(
    project: Project, tmp_path: Path, told: object, code: int, words: str
) -> None:
    old = tmp_path / "old.json"
    old.write_text(json.dumps(told))
    said = project.run("migrate", "batch-v1", str(old))
    assert said.code == code
    assert words in said.err
    assert bool(said.out) == (code != 1)


def test_the_report_is_json_where_that_is_asked_for(project: Project, tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_text(json.dumps(body()))
    said = project.run("migrate", "batch-v1", str(old), "--format", "json")
    told = json.loads(said.out)
    assert yaml.safe_load(told["manifests"])["kind"] == "BatchProcess"
    assert {one["code"] for one in told["report"]} >= {"migrate/estimate", "migrate/partial"}


def test_a_file_that_is_not_there_is_told(project: Project) -> None:
    said = project.run("migrate", "batch-v1", "nowhere.yaml")
    assert said.code == 1
    assert "nowhere.yaml cannot be read: No such file or directory." in said.err
    assert "ledger" not in said.err


PASTED = """processRequest: {input: {bounds: {bbox: [14.5, 46.0, 14.6, 46.1]}, data: [{type: sentinel-2-l2a}]}}
tilingGrid: {id: 0, resolution: 60}
output: {defaultTilePath: s3://results/old}
secretAccessKey:
  canary-on-its-own-line
bogus: 1
credentials: canary-of-another-store
other: 1
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_secret_that_was_pasted_along_is_neither_written_nor_shown(
    project: Project, tmp_path: Path, form: str
) -> None:
    old = planted(tmp_path / "old.yaml", PASTED)
    said = project.run("migrate", "batch-v1", str(old), "--format", form)
    assert "bogus" in said.out + said.err
    assert "migrate/unknown" in said.out + said.err
    assert "canary-" not in said.out + said.err
