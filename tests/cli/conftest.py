"""A small project on the embedded sandbox, and a way to run commands in this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from shplan.cli.exit_door import through
from shplan.cli.main import program
from tests.support.cogs import write_tile

PROJECT = """\
apiVersion: shplan/v1
kind: Project
metadata: {name: demo}
spec:
  outputs: {collection: "{{ ref('ByocCollection/fields').id }}"}
"""
MANIFEST = """\
apiVersion: shplan/v1
kind: ByocCollection
metadata: {name: fields}
spec: {name: Field imagery, s3Bucket: fields}
---
apiVersion: shplan/v1
kind: ByocTiles
metadata: {name: fields}
spec:
  collection: "{{ ref('ByocCollection/fields').id }}"
  tiles:
    - {path: a, sensingTime: "2025-06-01T10:00:00Z"}
    - {path: b, sensingTime: "2025-06-02T10:00:00Z"}
"""


@dataclass
class Said:
    code: int
    out: str
    err: str


@dataclass
class Project:
    root: Path
    run: Callable[..., Said]

    @property
    def manifest(self) -> Path:
        return self.root / "manifests" / "fields.yaml"

    def replace(self, old: str, new: str) -> None:
        text = self.manifest.read_text()
        assert old in text
        self.manifest.write_text(text.replace(old, new))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    for name in list(os.environ):
        if name.startswith(("SH_", "SHPLAN_")) or name in ("CI", "NO_COLOR"):
            monkeypatch.delenv(name)

    def running(*arguments: str) -> Said:
        capsys.readouterr()
        code = through(program, arguments)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return running


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Said]) -> Project:
    root = tmp_path / "project"
    (root / "manifests").mkdir(parents=True)
    (root / "shplan.yaml").write_text(PROJECT)
    (root / "manifests" / "fields.yaml").write_text(MANIFEST)
    for folder in ("a", "b", "c"):
        write_tile(root / ".shplan" / "sandbox" / "buckets", "fields", folder)
    monkeypatch.chdir(root)
    return Project(root, run)
