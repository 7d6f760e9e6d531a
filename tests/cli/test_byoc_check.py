"""`shplan byoc check`: files are held against the rules of ingestion before a tile is created."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shplan.cli.byoc_check import SUMMARIES
from tests.core.test_tiff_header import write


@pytest.fixture
def bucket(project) -> Path:
    found: Path = project.root / ".shplan/sandbox/buckets/fields"
    for path in sorted(found.rglob("*.tif*")):
        path.unlink()
    for tile in "ab":
        (found / tile).mkdir(parents=True, exist_ok=True)
        for band in ("B04", "B08"):
            write(found / tile / f"{band}.tiff")
    return found


def test_good_files_are_good(project, bucket: Path) -> None:
    said = project.run("byoc", "check")
    assert (said.code, said.out, said.err) == (
        0,
        "Checked 4 files of 2 tiles: nothing is wrong with them.\n",
        "",
    )


def test_what_is_wrong_says_where_why_and_how_to_mend_it(project, bucket: Path) -> None:
    write(bucket / "b/B08.tiff", driver="GTiff", crs="EPSG:3912")
    said = project.run("byoc", "check", "ByocTiles/fields")
    assert said.code == 1
    assert "error[cog/tiling]: No internal tiles\n  manifests/fields.yaml:" in said.err
    assert "b/B08.tiff: its pixels are stored in strips, not in tiles." in said.err
    assert "hint: gdal_translate B08.tiff fixed.tif -of COG" in said.err
    assert "error[cog/crs]" in said.err
    assert "error[tile/crs]" in said.err
    assert said.out.startswith("Checked 4 files of 2 tiles: 3 errors, 1 warning")


def test_the_same_fault_of_many_files_is_said_once(project, bucket: Path) -> None:
    for path in bucket.rglob("*.tiff"):
        write(path, driver="GTiff")
    said = project.run("byoc", "check")
    assert said.err.count("error[cog/tiling]") == 1
    assert "The same in 3 more: a/B08.tiff, b/B04.tiff, b/B08.tiff" in said.err


def test_findings_for_programs_and_for_a_review(project, bucket: Path) -> None:
    (bucket / "b/B08.tiff").unlink()
    said = project.run("byoc", "check", "--format", "json")
    found = json.loads(said.out)
    assert (said.code, found["valid"], found["tiles"], found["files"]) == (1, False, 2, 3)
    (one,) = found["diagnostics"]
    assert one["code"] == "tile/file-names"
    assert one["place"]["file"] == "manifests/fields.yaml"
    said = project.run("byoc", "check", "--format", "markdown")
    assert said.code == 1
    assert "- **error** `tile/file-names` `b: it lacks B08, unlike a.`" in said.out


def test_declared_bands_are_compared(project, bucket: Path) -> None:
    bands = "{NIR: {source: B8A, bitDepth: 16, sampleFormat: UINT}}"
    project.replace("s3Bucket: fields}", f"s3Bucket: fields, additionalData: {{bands: {bands}}}}}")
    said = project.run("byoc", "check")
    assert said.code == 1
    assert "a: it has no file B8A for the declared band NIR." in said.err


def test_a_tile_that_breaks_a_rule_is_an_error_before_any_request(project, bucket: Path) -> None:
    kept = (bucket / "b/B08.tiff").read_bytes()
    assert project.run("plan", "-o", str(project.root / "plan.json")).code == 0
    write(bucket / "b/B08.tiff", driver="GTiff")
    for command in (("plan",), ("apply", "--auto-approve"), ("apply", "plan.json")):
        said = project.run(*command)
        assert (said.code, said.out) == (1, "")
        assert "error[cog/tiling]: No internal tiles\n  manifests/fields.yaml:" in said.err
        assert "hint: gdal_translate B08.tiff fixed.tif -of COG" in said.err
    assert project.run("ledger", "show").out == "The ledger is empty.\n"
    # Who only deletes, or looks, is not asked about files.
    assert project.run("status").code == 0
    assert project.run("plan", "--destroy").code == 0
    (bucket / "b/B08.tiff").write_bytes(kept)
    assert project.run("apply", "plan.json").code == 0
    # What is there already is the business of its ingestion.
    write(bucket / "b/B08.tiff", driver="GTiff")
    assert project.run("plan").code == 0


def test_what_is_not_sure_is_said_and_hinders_nobody(project, bucket: Path) -> None:
    for path in (bucket / "b").iterdir():
        path.unlink()
    said = project.run("plan")
    assert said.code == 0
    assert "warning[tile/no-files]: No files" in said.err
    assert project.run("apply", "--auto-approve").code == 3


def test_an_environment_may_leave_the_looking_to_the_service(project, bucket: Path) -> None:
    write(bucket / "b/B08.tiff", driver="GTiff")
    file = project.root / "shplan.yaml"
    environment = "{sandbox: {deployment: sandbox, tileFiles: unchecked}}"
    file.write_text(f"{file.read_text()}  environments: {environment}\n")
    assert project.run("plan").code == 0
    assert project.run("apply", "--auto-approve").code == 3


def test_observed_bands_count_where_none_are_declared(project, bucket: Path) -> None:
    """The first tile has configured the collection; the next ones have to fit."""
    assert project.run("apply", "--auto-approve").code == 0
    (bucket / "c").mkdir(exist_ok=True)
    write(bucket / "c/B04.tiff", dtype="uint8")
    text = project.manifest.read_text()
    project.manifest.write_text(f'{text}    - {{path: c, sensingTime: "2025-06-03T10:00:00Z"}}\n')
    said = project.run("plan")
    assert said.code == 1
    assert "c: the band B04 is declared with 16 bit UINT; B04 holds unsigned 8-bit" in said.err
    assert "c: it has no file B08 for the declared band B08." in said.err


def test_a_bucket_that_cannot_be_read_hinders_nobody(project, bucket: Path) -> None:
    project.replace("s3Bucket: fields", "s3Bucket: elsewhere")
    said = project.run("plan")
    assert said.code == 0
    assert "there is no bucket elsewhere" in said.err


def test_files_on_this_machine(project, tmp_path: Path) -> None:
    good = write(tmp_path / "good.tif")
    assert project.run("byoc", "check", str(good)).code == 0
    write(tmp_path / "bad.tif", dtype="float64")
    (tmp_path / "text.tif").write_text("no image at all, whatever its name says")
    said = project.run("byoc", "check", *(str(one) for one in sorted(tmp_path.glob("*.tif"))))
    assert said.code == 1
    assert "bad.tif: its samples are floating point 64-bit." in said.err
    assert "text.tif: it is no TIFF." in said.err
    said = project.run("byoc", "check", str(tmp_path / "absent.tif"))
    assert said.code == 1
    assert "absent.tif: it cannot be read: no such file" in said.err


def test_a_bucket_that_nobody_declares(project, bucket: Path) -> None:
    text = project.manifest.read_text()
    project.manifest.write_text(text.replace("\"{{ ref('ByocCollection/fields').id }}\"", "abc"))
    said = project.run("byoc", "check")
    assert said.code == 1
    assert "shplan byoc check --bucket NAME" in said.err
    assert project.run("byoc", "check", "--bucket", "fields").code == 0
    said = project.run("byoc", "check", "--bucket", "nowhere")
    assert said.code == 1
    assert "there is no bucket nowhere" in said.err


def test_an_address_that_nobody_has(project, bucket: Path) -> None:
    said = project.run("byoc", "check", "ByocTiles/field")
    assert said.code == 1
    assert "did you mean ByocTiles/fields?" in said.err


def test_every_finding_is_in_the_docs() -> None:
    page = Path("docs/imagery.md").read_text()
    assert [code for code in SUMMARIES if f"`{code}`" not in page] == []
