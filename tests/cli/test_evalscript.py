"""`shplan evalscript`: scripts are checked, and what a job would deliver is drawn before it is paid for."""

from __future__ import annotations

import io
import json
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from shplan.sandbox.farm import BANDS, cog

JOB = "BatchProcess/ndvi[2025-06-11]"


@pytest.fixture
def farm(run, tmp_path: Path, monkeypatch) -> Path:
    """A new project whose imagery is there, and whose jobs did not run."""
    assert run("init", str(tmp_path / "farm")).code == 0
    monkeypatch.chdir(tmp_path / "farm")
    return tmp_path / "farm"


def _spent(farm: Path) -> float:
    with closing(sqlite3.connect(farm / ".shplan/sandbox/sandbox.sqlite")) as store:
        (found,) = store.execute("select coalesce(sum(pu), 0) from meter").fetchone()
        return float(found)


def picture(path: Path) -> np.ndarray:
    with (
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        rasterio.open(path) as raster,
    ):
        assert raster.driver == "PNG"
        found: np.ndarray = raster.read()
        return found


def test_what_a_job_makes_of_its_imagery_is_drawn(run, farm: Path) -> None:
    assert run("apply", "--auto-approve", "--select", "+ByocTiles/fields").code == 0
    before = run("status")
    said = run(
        "evalscript", "render", JOB, "-o", "out/a.png", "--size", "200", "--range", "0", "0.9"
    )
    assert said.code == 0, said
    assert said.out.startswith(f"{JOB} is drawn in out/a.png; 0.")
    found = picture(farm / "out/a.png")
    # Rather higher than wide, as the farm is.
    assert found.shape == (4, 200, 185)
    assert (found[3] == 255).all()
    # The greener the vegetation of the whole, the greener the picture: more green than red in half of it.
    red, infrared = (
        rasterio.MemoryFile(cog("2025/06/11", band)).open().read(1).astype(float) for band in BANDS
    )
    ndvi = (infrared - red) / (infrared + red)
    # The farm is within these rows and columns; light brown and straw are below half of the range.
    share = (ndvi[125:455, 108:415] > 0.45).mean()
    assert abs((found[1] > found[0]).mean() - share) < 0.05
    # Nothing has happened.
    assert run("status").out == before.out


def test_an_edit_of_the_script_shows(run, farm: Path) -> None:
    assert run("apply", "--auto-approve", "--select", "+ByocTiles/fields").code == 0
    script = farm / "evalscripts/ndvi.js"
    script.write_text(script.read_text().replace("!sample.dataMask", "sample.B08 < 2 * sample.B04"))
    said = run("evalscript", "render", JOB, "-o", "b.png", "--size", "100", "--format", "json")
    assert said.code == 0, said
    told = json.loads(said.out)
    assert told == {"address": JOB, "file": "b.png", "spentPu": told["spentPu"]}
    assert told["spentPu"] > 0
    alpha = picture(farm / "b.png")[3]
    assert 0.1 < (alpha == 0).mean() < 0.9
    assert set(np.unique(alpha)) == {0, 255}


def test_before_there_is_imagery_the_way_is_said(run, farm: Path) -> None:
    said = run("evalscript", "render", JOB, "-o", "a.png")
    assert said.code == 1
    assert "shplan apply" in said.err
    assert not (farm / "a.png").exists()


def test_a_wrong_address_is_answered_with_the_nearest(run, farm: Path) -> None:
    said = run("evalscript", "render", "BatchProcess/ndvi[2025-06-12]", "-o", "a.png")
    assert said.code == 1
    assert "did you mean BatchProcess/ndvi[2025-06-1" in said.err
    assert run("evalscript", "render", "Evalscript/ndvi", "-o", "a.png").code == 1


@pytest.mark.parametrize(
    ("least", "greatest"), [("1", "0"), ("0", "inf"), ("nan", "1"), ("1", "1")]
)
def test_a_range_has_a_direction(run, farm: Path, least: str, greatest: str) -> None:
    said = run("evalscript", "render", JOB, "-o", "a.png", "--range", least, greatest)
    assert said.code == 1
    assert "--range needs two numbers, a LEAST that is below its GREATEST" in said.err


def test_what_is_no_picture_is_not_overwritten(run, farm: Path) -> None:
    before = (farm / "shplan.yaml").read_bytes()
    said = run("evalscript", "render", JOB, "-o", "shplan.yaml")
    assert said.code == 1
    assert "its name ends with .png" in said.err
    assert (farm / "shplan.yaml").read_bytes() == before


def test_a_refusal_leaves_the_picture_that_was_there(run, farm: Path) -> None:
    (farm / "a.png").write_bytes(b"of yesterday")
    assert run("evalscript", "render", JOB, "-o", "a.png").code == 1
    assert (farm / "a.png").read_bytes() == b"of yesterday"
    assert not list(farm.glob(".a.png*"))


def test_where_no_picture_can_lie_nothing_is_paid(run, farm: Path) -> None:
    assert run("apply", "--auto-approve", "--select", "+ByocTiles/fields").code == 0
    (farm / "file").write_bytes(b"")
    before = _spent(farm)
    assert run("evalscript", "render", JOB, "-o", "file/a.png").code != 0
    assert _spent(farm) == before


def test_a_refusal_of_the_service_leaves_no_file(run, farm: Path) -> None:
    assert run("apply", "--auto-approve", "--select", "+ByocTiles/fields").code == 0
    script = farm / "evalscripts/ndvi.js"
    script.write_text(script.read_text().replace("sample.dataMask", "sample.nothing.there"))
    said = run("evalscript", "render", JOB, "-o", "a.png")
    assert said.code == 1
    assert "evalscript/band-not-asked" in said.err
    assert not (farm / "a.png").exists()


NDVI = """\
//VERSION=3
function setup() {
  return {input: ["B04", "B08"], output: {bands: 1, sampleType: "FLOAT32"}};
}
function evaluatePixel(sample) {
  return [(sample.B08 - sample.B4) / (sample.B08 + sample.B04)];
}
"""


def test_a_script_is_checked_where_there_is_no_project(run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.js").write_text(NDVI)
    (tmp_path / "right.js").write_text(NDVI.replace("B4)", "B04)"))
    (tmp_path / "simple.js").write_text("return [2.5 * B04, B03, B02];\n")
    said = run("evalscript", "check", "right.js", "simple.js")
    assert (said.code, said.out) == (0, "Checked: 2 scripts.\n")
    said = run("evalscript", "check", "wrong.js", "right.js")
    assert said.code == 1
    assert "wrong.js:6:32" in said.err
    assert "did you mean `B04`?" in said.err


def test_the_scripts_of_a_directory_are_checked(run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scripts" / "deeper").mkdir(parents=True)
    said = run("evalscript", "check", "scripts")
    assert said.code == 1
    assert "scripts has no scripts (*.js) in it." in said.err
    (tmp_path / "scripts" / "a.js").write_text(NDVI.replace("B4)", "B04)"))
    (tmp_path / "scripts" / "deeper" / "b.js").write_text(NDVI)
    said = run("evalscript", "check", "scripts")
    assert said.code == 1
    assert "scripts/deeper/b.js:6:32" in said.err
    (tmp_path / "scripts" / "node_modules").mkdir()
    (tmp_path / "scripts" / "deeper" / "b.js").rename(tmp_path / "scripts/node_modules/b.js")
    assert run("evalscript", "check", "scripts").out == "Checked: 1 script.\n"


def test_a_script_that_is_piped_in_is_checked(run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(NDVI.encode())))
    said = run("evalscript", "check", "-")
    assert said.code == 1
    assert "stdin:6:32" in said.err


def test_bands_and_units_are_checked_where_the_collection_is_named(
    run, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.js").write_text(NDVI.replace("B4)", "B04)"))
    assert run("evalscript", "check", "a.js", "--collection", "sentinel-2-l2a").code == 0
    said = run("evalscript", "check", "a.js", "--collection", "sentinel-1-grd", "--format", "json")
    assert said.code == 1
    codes = [one["code"] for one in json.loads(said.out)["diagnostics"]]
    assert codes == ["evalscript/band-unknown", "evalscript/band-unknown"]
    said = run("evalscript", "check", "a.js", "--collection", "sentinel-2-l2")
    assert said.code == 1
    assert "did you mean sentinel-2-l2a?" in said.err


def test_units_of_a_collection_of_ones_own_are_checked_without_its_bands(
    run, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script = (
        "//VERSION=3\nfunction setup() { return {input: [{bands: ['a'], units: 'REFLECTANCE'}], output: {bands: 1}}; }\n"
        "function evaluatePixel(s) { return [s.a]; }\n"
    )
    own = "byoc-7453e962-0ee5-4f74-8227-89759fbe9ba9"
    (tmp_path / "a.js").write_text(script)
    said = run("evalscript", "check", "a.js", "--collection", own)
    assert said.code == 1
    assert "error[evalscript/units]" in said.err
    # What its bands hold nobody knows: shares as well as digital numbers.
    (tmp_path / "a.js").write_text(script.replace(", units: 'REFLECTANCE'", ""))
    said = run("evalscript", "check", "a.js", "--collection", own)
    assert (said.code, said.err) == (0, "")


def test_an_input_that_is_called_after_a_collection_is_warned_of(
    run, tmp_path: Path, monkeypatch
) -> None:
    """The name is only a name: a unit that the radar does not have is no error."""
    monkeypatch.chdir(tmp_path)
    Path("two.js").write_text(
        "//VERSION=3\n"
        "function setup() {\n"
        "  return {input: [\n"
        '    {datasource: "s1grd", bands: ["VV"], units: "REFLECTANCE"},\n'
        '    {datasource: "mine", bands: ["VV"], units: "REFLECTANCE"}],\n'
        "    output: {bands: 1}};\n"
        "}\n"
        "function evaluatePixel(s) { return [s.s1grd[0].VV - s.mine[0].VV]; }\n"
    )
    said = run("evalscript", "check", "two.js", "--format", "json")
    assert said.code == 0
    (one,) = json.loads(said.out)["diagnostics"]
    assert (one["code"], one["severity"]) == ("evalscript/units", "warning")


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"\xff\xfe\x00", "is not UTF-8"), (b"a" * (5 << 20), "larger than")],
)
def test_a_file_that_is_no_script_is_named(
    run, tmp_path: Path, monkeypatch, content: bytes | None, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "a.js").write_bytes(content)
    said = run("evalscript", "check", "a.js")
    assert said.code == 1
    assert words in said.err


def test_the_scripts_of_a_project_are_checked_with_what_its_requests_read(run, farm: Path) -> None:
    assert run("evalscript", "check").code == 0
    collection = farm / "manifests" / "fields.yaml"
    declared = "{B04: {source: B04, bitDepth: 16, sampleFormat: UINT}, B8A: {source: B08, bitDepth: 16, sampleFormat: UINT}}"
    stated = collection.read_text().replace(
        "  s3Bucket: fields\n",
        f"  s3Bucket: fields\n  additionalData: {{bands: {declared}}}\n",
    )
    collection.write_text(stated)
    said = run("evalscript", "check")
    assert said.code == 1
    assert "ByocCollection/fields has no band `B08`" in said.err
    assert "evalscripts/ndvi.js:5:30" in said.err
    # What is wrong with a script stops a plan as well.
    assert run("plan").code == 1
