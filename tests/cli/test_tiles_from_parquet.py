"""Tiles from a Parquet file: declared, created, and planned again to nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import shapely


def table(project, paths: list[str], covers: list[bytes | None]) -> None:
    sensed = [datetime(2025, 6, day, 10, tzinfo=UTC) for day in range(1, len(paths) + 1)]
    columns = {"path": paths, "sensingTime": sensed, "coverGeometry": covers}
    pq.write_table(pa.table(columns), project.root / "tiles.parquet")
    text = project.manifest.read_text()
    if "  tiles:" in text:
        at = text.index("  tiles:")
        project.manifest.write_text(text[:at] + "  from: {parquet: ../tiles.parquet}\n")


def test_what_is_applied_is_planned_again_to_nothing(project) -> None:
    cover = shapely.to_wkb(shapely.box(14.5, 46.05, 14.51, 46.06))
    table(project, ["a", "b"], [cover, None])
    assert project.run("apply", "--auto-approve").code == 0
    assert project.run("plan", "--detailed-exitcode").code == 0
    table(project, ["a", "b"], [None, None])
    # A cover that is no longer stated is set back to the whole of the image.
    assert "1 tile to update" in project.run("plan").out
    table(project, ["a"], [cover])
    assert "1 to delete" in project.run("plan").out


def test_a_row_that_is_wrong_is_shown(project) -> None:
    table(project, ["a", "/b"], [None, None])
    said = project.run("validate")
    assert said.code == 1
    assert "tiles.parquet:2:" in said.err
    assert '"/b"' in said.err
    assert "PAR1" not in said.err
