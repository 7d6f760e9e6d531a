"""The page on provenance says what the code does."""

from __future__ import annotations

from shplan.schema import store
from shplan.schema.overlays import OVERLAYS
from shplan.schema.tree import as_object, as_text
from tests.schema.support import extract


def test_every_overlay_has_a_complete_row() -> None:
    rows = (store.root() / "PROVENANCE.md").read_text().splitlines()
    for overlay in OVERLAYS:
        row = next(row for row in rows if row.startswith(f"| `{overlay.id}` "))
        for text in (overlay.where, overlay.published, overlay.real, overlay.change):
            assert text
            assert text in row


def test_the_original_is_named_by_its_digest() -> None:
    page = (store.root() / "PROVENANCE.md").read_text()
    assert as_text(as_object(extract()["source"])["sha256"]) in page
