"""Whatever the published description marks as on its way out is told where a manifest has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shplan.manifest.deprecated import deprecated_places
from shplan.manifest.load import load
from shplan.providers.registry import PROVIDERS
from shplan.schema.store import manifest_schema

PROJECT = "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: farm}\n"
V1 = """
apiVersion: shplan/v1
kind: BatchProcess
metadata: {name: ndvi}
spec:
  processRequest:
    input:
      bounds: {bbox: [14.5, 46.05, 14.6, 46.1]}
      data: [{type: sentinel-2-l2a}]
    output: {responses: [{identifier: default, format: {type: image/tiff}}]}
    evalscript: "//VERSION=3"
  tilingGridId: 0
  resolution: 10
  bucketName: results
run: {api: v1}
"""


def _marks(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(node, dict):
        if node.get("deprecated") is True:
            yield path
        for name, member in node.items():
            yield from _marks(member, (*path, name))


def _marked(kind: str) -> list[tuple[str, ...]]:
    return list(_marks(dict(manifest_schema(kind))))


def test_some_kind_has_a_mark() -> None:
    assert [kind for kind in sorted(PROVIDERS) if _marked(kind)] == ["BatchProcess"]


@pytest.mark.parametrize(
    "path", [path for kind in PROVIDERS for path in _marked(kind)], ids=lambda path: path[-1]
)
def test_every_mark_is_found_in_a_document(path: tuple[str, ...]) -> None:
    # Marked are members of a definition that the spec of a kind is, under the condition of its version.
    assert path[-2] == "properties"
    document = {"spec": {path[-1]: 1}, "run": {"api": "v1"}}
    assert list(deprecated_places("BatchProcess", document)) == [("spec", path[-1])]


def test_each_is_told_with_its_successor(tmp_path: Path) -> None:
    (tmp_path / "shplan.yaml").write_text(PROJECT)
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "all.yaml").write_text(V1)
    found = load(tmp_path, registry=PROVIDERS).diagnostics
    told = {
        one.span.line: one.hint for one in found if one.code == "request/deprecated" and one.span
    }
    assert told == {
        12: "write `tilingGrid: {id: ...}`",
        13: "write `tilingGrid: {resolution: ...}`",
        14: "write `output: {defaultTilePath: s3://BUCKET}`",
    }
