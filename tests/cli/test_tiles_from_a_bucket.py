"""Tiles that are found in their bucket: listed while planning, by the names of their files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.core.test_tiff_header import write

FROM = r"""  from:
    bucket:
      prefix: 2025/
      pattern: '(?<tile>(?<date>[0-9-]{10}))/(?<band>B[0-9]+)\.tiff$'
"""


@pytest.fixture
def bucket(project) -> Path:
    text = project.manifest.read_text()
    project.manifest.write_text(text[: text.index("  tiles:")] + FROM)
    found: Path = project.root / ".shplan/sandbox/buckets/fields"
    for day in ("2025-06-01", "2025-06-02"):
        for band in ("B04", "B08"):
            (found / "2025" / day).mkdir(parents=True, exist_ok=True)
            write(found / "2025" / day / f"{band}.tiff")
    return found


def test_what_lies_in_the_bucket_is_ingested(project, bucket: Path) -> None:
    said = project.run("plan")
    assert said.code == 0, said
    assert "2025/2025-06-01/(BAND).tiff" in said.out
    assert project.run("apply", "--auto-approve").code == 0
    assert project.run("plan", "--detailed-exitcode").code == 0
    # Another acquisition, and the tiles of one that is taken away.
    for band in ("B04", "B08"):
        (bucket / "2025/2025-06-08").mkdir(exist_ok=True)
        write(bucket / "2025/2025-06-08" / f"{band}.tiff")
        (bucket / "2025/2025-06-01" / f"{band}.tiff").unlink()
    said = project.run("plan", "--detailed-exitcode", "--format", "json")
    assert said.code == 2
    (change,) = [one for one in json.loads(said.out)["changes"] if one["action"] != "noop"]
    assert change["address"] == "ByocTiles/fields"
    assert change["counts"] == {"create": 1, "declared": 2, "delete": 1}
    assert project.run("apply", "--auto-approve").code == 0
    assert project.run("plan", "--detailed-exitcode").code == 0


def test_the_sensing_time_is_that_of_the_name(project, bucket: Path) -> None:
    said = project.run("show", "ByocTiles/fields", "--request")
    tiles = json.loads(said.out)["tiles"]
    assert tiles[0] == {
        "path": "2025/2025-06-01/(BAND).tiff",
        "sensingTime": "2025-06-01T00:00:00Z",
    }


def test_validate_asks_no_bucket(project, bucket: Path) -> None:
    for path in bucket.rglob("*.tiff"):
        path.unlink()
    said = project.run("validate")
    assert (said.code, said.err) == (0, "")
    assert "and those in the bucket, which is listed while planning" in said.out


def test_an_empty_bucket_deletes_nothing(project, bucket: Path) -> None:
    """That nothing is found is an error, never a reason to delete what was there."""
    assert project.run("apply", "--auto-approve").code == 0
    for path in bucket.rglob("*.tiff"):
        path.unlink()
    said = project.run("plan")
    assert said.code == 1
    assert "error[manifest/bucket]: Nothing in the bucket" in said.err


def test_a_bucket_that_is_not_there(project, bucket: Path) -> None:
    project.replace("s3Bucket: fields", "s3Bucket: other")
    said = project.run("plan")
    assert said.code == 1
    assert "error[manifest/bucket]: Bucket cannot be listed" in said.err
    assert "manifests/fields.yaml:" in said.err


def test_files_that_do_not_match_are_counted(project, bucket: Path) -> None:
    (bucket / "2025/2025-06-01/B04.tiff.aux.xml").write_text("<x/>")
    said = project.run("plan")
    assert said.code == 0
    assert "1 of the 5 objects of s3://fields/2025/ do not match the pattern" in said.err
    assert "2025/2025-06-01/B04.tiff.aux.xml" in said.err


def test_a_tile_without_one_of_its_files(project, bucket: Path) -> None:
    (bucket / "2025/2025-06-02/B08.tiff").unlink()
    said = project.run("plan")
    assert said.code == 1
    assert "lacks `B08`" in said.err or "has `B08`" in said.err


def test_a_collection_by_its_id_needs_the_name_of_the_bucket(project, bucket: Path) -> None:
    project.replace("\"{{ ref('ByocCollection/fields').id }}\"", "abc")
    said = project.run("validate")
    assert said.code == 1
    assert "hint: add `s3Bucket: NAME` below `bucket`" in said.err
    project.replace("prefix: 2025/", "prefix: 2025/\n      s3Bucket: fields")
    assert project.run("validate").code == 0


def test_what_was_planned_is_what_is_applied(project, bucket: Path) -> None:
    assert project.run("plan", "-o", "plan.json").code == 0
    for band in ("B04", "B08"):
        (bucket / "2025/2025-06-08").mkdir(exist_ok=True)
        write(bucket / "2025/2025-06-08" / f"{band}.tiff")
    assert project.run("apply", "plan.json").code == 4


def test_destroy_asks_no_bucket(project, bucket: Path) -> None:
    """What is there is deleted, also when its files are gone by now."""
    assert project.run("apply", "--auto-approve").code == 0
    for path in bucket.rglob("*.tiff"):
        path.unlink()
    assert project.run("plan", "--destroy").code == 0
    assert project.run("destroy", "--auto-approve").code == 0
