"""The committed schema files are what the sources give."""

from __future__ import annotations

import json
from pathlib import Path

from shplan.schema import store
from shplan.schema.__main__ import main
from shplan.schema.make import make
from shplan.schema.tree import as_object


def _tree(root: Path) -> dict[str, bytes]:
    files = [*root.glob("api/*"), *root.glob("manifest/**/*.json"), root / "PROVENANCE.md"]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def test_the_committed_files_are_up_to_date(tmp_path: Path) -> None:
    assert main(["derive", "--output", str(tmp_path)]) == 0
    assert _tree(tmp_path) == _tree(store.root())


def test_making_twice_gives_the_same_bytes() -> None:
    source = store.root() / "source"
    assert make(source) == make(source)


def test_a_file_that_is_no_longer_made_is_removed(tmp_path: Path) -> None:
    stale = tmp_path / "manifest" / "Gone.json"
    stale.parent.mkdir()
    stale.write_text("{}")
    main(["--output", str(tmp_path)])
    assert not stale.exists()


def test_what_is_added_to_the_document_replaces_nothing_of_it() -> None:
    """Batch V1 stands beside what is published, however that changes."""
    extract = as_object(json.loads((store.root() / store.EXTRACT).read_bytes()))
    added = as_object(json.loads((store.root() / "source/batch-v1.json").read_bytes()))
    for part in ("paths", "schemas"):
        assert as_object(added[part])
        assert not as_object(added[part]).keys() & as_object(extract[part]).keys()


def test_batch_v1_has_the_older_paths_alone() -> None:
    older = [one for one in store.operations().values() if one.family == "batch-v1"]
    assert len(older) == 18
    assert all(one.path.startswith("/api/v1/batch/") and not one.aliases for one in older)
