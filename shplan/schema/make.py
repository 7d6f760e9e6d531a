"""
Makes `schemas/api`, `schemas/manifest` and `PROVENANCE.md` from `schemas/source`: the same input, the same bytes.

This module reads and writes files; what is in them is decided by `derive`, `compose` and `provenance`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from shplan.schema import store
from shplan.schema.compose import compose
from shplan.schema.derive import derive, files
from shplan.schema.provenance import provenance
from shplan.schema.tree import Schema, as_object, as_text, render

_MADE = ("api", "manifest")
_REMOVED = "batch-v1.json"


def make(source: Path) -> dict[str, bytes]:
    """
    Return every made file by its path below `schemas/`.

    Args:
        source: the directory `schemas/source`
    """
    extract = _read(source / Path(store.EXTRACT).name)
    api = derive(described(source))
    kinds = {path.stem: _read(path) for path in sorted((source / "kinds").glob("*.json"))}
    descriptions = {k: as_text(v) for k, v in _read(source / "descriptions.json").items()}
    made = {**files(api), **compose(kinds, _read(source / "envelope.json"), descriptions, api.pool)}
    return {
        **{name: render(content) for name, content in made.items()},
        "PROVENANCE.md": provenance(extract).encode(),
    }


def described(source: Path) -> Schema:
    """
    Return the extract together with the operations that the document no longer has.

    Args:
        source: the directory `schemas/source`
    """
    extract = _read(source / Path(store.EXTRACT).name)
    removed = _read(source / _REMOVED)
    return {
        **extract,
        "paths": {**as_object(extract["paths"]), **as_object(removed["paths"])},
        "schemas": {**as_object(extract["schemas"]), **as_object(removed["schemas"])},
    }


def write(target: Path, made: dict[str, bytes]) -> None:
    """Write the files below `target` and remove what an earlier run made and this one did not."""
    for directory in _MADE:
        for path in (target / directory).rglob("*.json"):
            if path.relative_to(target).as_posix() not in made:
                path.unlink()
    for name, content in made.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _read(path: Path) -> Schema:
    return cast(Schema, json.loads(path.read_bytes()))
