"""`shplan evalscript test`: tests that stand beside scripts."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin

NDVI = """//VERSION=3
function setup() {
  return {
    input: ["B04", "B08", "dataMask"],
    output: [{id: "ndvi", bands: 1}, {id: "dataMask", bands: 1}],
  };
}
function evaluatePixel(s) {
  if (s.dataMask === 0) {
    return {ndvi: [NaN], dataMask: [0]};
  }
  if (s.B04 < 0)
    throw new Error("negative reflectance");
  return {ndvi: [index(s.B08, s.B04)], dataMask: [s.dataMask]};
}
"""
MASKED = """
  - name: masked
    inputs: {B04: [0.1, 0.2], B08: [0.3, 0.2], dataMask: [1, 0]}
    expect: {ndvi: [0.5, null], dataMask: [1, 0]}
"""
GREEN = """tests:
  - name: vegetation
    inputs: {B04: 0.05, B08: 0.45}
    expect: {ndvi: 0.8, dataMask: 1}
"""
NEGATIVE = """
  - name: negative
    inputs: {B04: -1, B08: 0.3}
    fails: negative
"""
GREENEST = """//VERSION=3
function setup() {
  return {input: ["B04", "B08"], output: {bands: 2, sampleType: "FLOAT32"}, mosaicking: "ORBIT"};
}
function preProcessScenes(collections) {
  collections.scenes.orbits = collections.scenes.orbits.filter(o => o.dateFrom >= "2025-06");
  return collections;
}
function evaluatePixel(samples, scenes) {
  let best = -1, day = 0;
  for (let i = 0; i < samples.length; i++) {
    const value = index(samples[i].B08, samples[i].B04);
    if (value > best) { best = value; day = scenes.orbits[i].dateFrom.slice(8, 10) * 1; }
  }
  return [best, day];
}
"""
FUSED = """//VERSION=3
function setup() {
  return {
    input: [{datasource: "radar", bands: ["VV"]}, {datasource: "optical", bands: ["B04"]}],
    output: {bands: 1},
  };
}
function evaluatePixel(samples, s, i, c, outputMetadata) {
  return [samples.radar[0].VV + samples.optical[0].B04];
}
function updateOutputMetadata(scenes, input, output) { output.userData = {seen: 2}; }
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(place: Path, tests: str, *, script: str = NDVI, name: str = "ndvi") -> None:
    (place / f"{name}.js").write_text(script)
    (place / f"{name}.test.yaml").write_text(tests)


def test_tests_pass_and_all_lines_ran(run, place: Path) -> None:
    put(place, GREEN + MASKED + NEGATIVE)
    said = run("evalscript", "test")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "ndvi.test.yaml",
        "  ok    vegetation",
        "  ok    masked",
        "  ok    negative",
        "ndvi.js: 6 of 6 lines ran, 100 %",
        "3 passed.",
    ]


def test_lines_that_never_ran_are_named(run, place: Path) -> None:
    put(place, GREEN)
    said = run("evalscript", "test", "ndvi.js", "--cov-fail-under", "60")
    assert said.code == 0
    assert "ndvi.js: 4 of 6 lines ran, 67 %; never: 10, 13" in said.out
    said = run("evalscript", "test", "ndvi.test.yaml", "--cov-fail-under", "80")
    assert said.code == 1
    assert "66.7 % of the lines ran; at least 80 % are wanted." in said.err


def test_a_value_that_differs_is_shown_with_its_place(run, place: Path) -> None:
    put(place, GREEN.replace("ndvi: 0.8", "ndvi: 0.7") + MASKED)
    said = run("evalscript", "test")
    assert said.code == 1
    assert "  FAIL  vegetation" in said.out
    assert "ndvi.test.yaml:4:5: ndvi: expected 0.7, got 0.8 (off by 0.1)" in said.out
    assert said.out.endswith("1 failed, 1 passed.\n")


@pytest.mark.parametrize(("tolerance", "code"), [("0.05", 1), ("0.11", 0)])
def test_a_tolerance_counts_for_the_file_or_for_a_test(
    run, place: Path, tolerance: str, code: int
) -> None:
    wrong = GREEN.replace("ndvi: 0.8", "ndvi: 0.7")
    put(place, f"tolerance: {tolerance}\n{wrong}")
    assert run("evalscript", "test").code == code
    put(place, wrong.replace("  - name", f"  - tolerance: {tolerance}\n    name"))
    assert run("evalscript", "test").code == code


def test_images_and_many_differences(run, place: Path) -> None:
    put(
        place,
        "tests:\n  - inputs: {B04: [[0.1, 0.1, 0.1], [0.1, 0.1, 0.1]], B08: 0.3}\n"
        "    expect: {ndvi: [[0.5, 0.5, 0.4], [0.4, 0.4, 0.4]]}\n"
        "  - inputs: {B04: [[0.1, 0.1]], B08: 0.3}\n    expect: {ndvi: 0.5}\n"
        "  - inputs: {B04: [0.1, 0.1], B08: 0.3}\n    expect: {ndvi: [0.5, 0.5, 0.5]}\n",
    )
    said = run("evalscript", "test")
    assert "ndvi at row 1, column 3: expected 0.4, got 0.5 (off by 0.1)" in said.out
    assert "  ok    test 2" in said.out
    assert "ndvi: 3 values were expected, the script made 2 values" in said.out
    assert "2 failed, 1 passed." in said.out


def test_scenes_have_their_days_and_are_chosen(run, place: Path) -> None:
    tests = """tests:
  - inputs:
      - {date: 2025-05-30, B04: 0.01, B08: 0.9}
      - {date: 2025-06-01, B04: 0.1, B08: 0.3}
      - {date: "2025-06-11", B04: 0.1, B08: [0.2, 0.9]}
    expect: [[0.5, 1], [0.8, 11]]
  - name: nothing there
    inputs: []
    expect: [-1, 0]
"""
    put(place, tests, script=GREENEST)
    said = run("evalscript", "test")
    assert (said.code, "2 passed." in said.out) == (0, True), said.out


def test_sources_are_told_apart_and_what_is_left_is_compared(run, place: Path) -> None:
    tests = """tests:
  - sources: {optical: {B04: 0.25}, radar: {VV: 0.5}}
    expect: {default: 0.75, userData: {seen: 2}}
  - name: wrong
    sources: {optical: {B04: 0.25}, radar: {VV: 0.5}}
    expect: {userData: {seen: 3}}
"""
    put(place, tests, script=FUSED)
    said = run("evalscript", "test")
    assert 'userData: expected {"seen":3}, got {"seen":2}' in said.out
    assert "1 failed, 1 passed." in said.out


def raster(path: Path, *bands: np.ndarray) -> None:
    height, width = bands[0].shape
    profile = {"driver": "GTiff", "height": height, "width": width, "count": len(bands)}
    place = {"crs": "EPSG:32633", "transform": from_origin(500_000, 5_200_000, 10, 10)}
    with rasterio.open(path, "w", dtype=bands[0].dtype.name, **profile, **place) as file:
        for number, one in enumerate(bands, 1):
            file.write(one, number)


@pytest.mark.parametrize("golden", ["golden/ndvi.tif", "ndvi.png"])
def test_an_image_is_compared_with_its_golden(run, place: Path, golden: str) -> None:
    rng = np.random.default_rng(1)
    red, infrared = (rng.integers(1, 10_000, (8, 6)).astype("uint16") for _ in range(2))
    raster(place / "field.tif", red, infrared)
    script = NDVI.replace('[{id: "ndvi", bands: 1}, {id: "dataMask", bands: 1}]', "{bands: 1}")
    script = script.replace("ndvi:", "default:").replace(", dataMask: [s.dataMask]", "")
    tests = (
        "tests:\n  - image: {file: field.tif, bands: {B04: 1, B08: 2}, scale: 0.0001}\n"
        f"    golden: {golden}\n"
    )
    put(place, tests, script=script)
    said = run("evalscript", "test")
    assert said.code == 1
    assert f"ndvi.test.yaml:3:13: {golden} is not there; `--update` writes it" in said.out
    assert "1 updated." in run("evalscript", "test", "--update").out
    assert run("evalscript", "test").code == 0
    with (
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        rasterio.open(place / golden) as file,
    ):
        values = file.read(1)
    ndvi = (infrared.astype(float) - red) / (infrared.astype(float) + red)
    assert np.abs(values - np.clip(ndvi * 255, 0, 255)).max() <= 0.5 + 1e-6
    (place / "ndvi.js").write_text(script.replace("s.B08, s.B04", "s.B04, s.B08"))
    said = run("evalscript", "test")
    assert said.code == 1
    assert "of 48 values differ, by up to" in said.out


@pytest.mark.parametrize("golden", ["../out.png", "/tmp/out.png", "out.jpg", "out.txt"])
def test_goldens_lie_below_their_tests_and_lose_nothing(run, place: Path, golden: str) -> None:
    put(place, f"tests:\n  - inputs: {{B04: 0.1, B08: 0.2}}\n    golden: {golden}\n")
    said = run("evalscript", "test", "--update")
    assert said.code == 1
    assert "ERROR" in said.out
    assert {one.name for one in place.iterdir()} == {"ndvi.js", "ndvi.test.yaml"}


@pytest.mark.parametrize(
    ("tests", "words"),
    [
        ("tests:\n  - {inputs: {B4: 1, B08: 1}, expect: 1}\n", "the script reads B04"),
        (
            "tests:\n  - {inputs: {B04: 1, B08: 1, B09: 2}, expect: 1}\n",
            "ndvi.test.yaml:2:36: the script reads no band B09",
        ),
        (
            "tests:\n  - {inputs: {B04: [1, 2], B08: [1, 2, 3]}, expect: 1}\n",
            "ndvi.test.yaml:2:28: B08 has 3 values, others have 2 values",
        ),
        (
            "tests:\n  - {inputs: [{B04: 1, B08: 1}, {B04: 1, B08: 1}], expect: 1}\n",
            "the script reads one sample, and the test gives 2",
        ),
        (
            "tests:\n  - {inputs: {B04: 1, B08: 1}, expect: {nvdi: 1}}\n",
            "the script has no output nvdi; it has ndvi, dataMask",
        ),
        (
            "tests:\n  - {sources: {a: {B04: 1, B08: 1}}, expect: 1}\n",
            "the script reads the source 0, of which the test says nothing",
        ),
        (
            "tests:\n  - {image: {file: none.tif, bands: {B04: 1}}, expect: 1}\n",
            "none.tif is not there",
        ),
        (
            "tests:\n  - {inputs: {B04: -1, B08: 1}, expect: 1}\n",
            "ndvi.js:13:11: the script failed",
        ),
        (
            "tests:\n  - {inputs: {B04: -1, B08: 1}, fails: other}\n",
            "an error with `other` was expected, and there was: Error: negative reflectance",
        ),
        (
            "tests:\n  - {inputs: {B04: 1, B08: 1}, fails: other}\n",
            "an error with `other` was expected, and the script ended well",
        ),
    ],
)
def test_what_does_not_fit_the_script_is_said_in_its_place(
    run, place: Path, tests: str, words: str
) -> None:
    put(place, tests)
    said = run("evalscript", "test")
    assert said.code == 1
    assert words in said.out
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("tests", "line", "words"),
    [
        ("tests: []\n", 1, "at least one"),
        ("tests:\n  - nme: x\n    inputs: {B04: 1}\n    expect: 1\n", 2, "did you mean `name`?"),
        ("tests:\n  - inputs: {B04: x}\n    expect: 1\n", 2, "not a text"),
        ("tests:\n  - inputs: {B04: [[1, 2], [3]]}\n    expect: 1\n", 2, "equally long"),
        ("tests:\n  - inputs: {B04: 1}\n", 2, "this has none"),
        ("tests:\n  - expect: 1\n    fails: x\n    inputs: {}\n", 2, "expect and fails"),
        ("tolerance: -1\ntests:\n  - {inputs: {}, expect: 1}\n", 1, "from 0 on"),
        ("script: none.js\ntests:\n  - {inputs: {}, expect: 1}\n", 1, "cannot be read"),
        ("tests:\n  - image: {file: a.tif, bands: {B04: 0}}\n    expect: 1\n", 2, "from 1"),
        ("tests:\n  - {name: a, inputs: {}, expect: 1}\n  - {name: a, inputs: {}, expect: 1}\n",
         3, "called `a` already"),
        ("tests: [\n", 1, ""),
        ("a: 1\n---\nb: 2\n", 1, "one YAML document"),
    ],
)  # fmt: skip
def test_a_wrong_test_file_is_told_like_a_wrong_manifest(
    run, place: Path, tests: str, line: int, words: str
) -> None:
    put(place, tests)
    said = run("evalscript", "test")
    assert said.code == 1
    assert f"ndvi.test.yaml:{line}:" in said.err
    assert "^" in said.err
    assert words in said.err


def test_results_are_there_for_programs(run, place: Path) -> None:
    put(place, GREEN.replace("0.8", "0.7") + MASKED)
    said = run("evalscript", "test", "--format", "json", "--junit-xml", "out.xml")
    assert said.code == 1
    report = json.loads(said.out)
    assert (report["passed"], report["failed"], report["percentCovered"]) == (1, 1, 83.3)
    assert [one["ending"] for one in report["tests"]] == ["failed", "passed"]
    assert report["coverage"] == [
        {"script": "ndvi.js", "lines": 6, "missed": [13], "percent": 83.3}
    ]
    root = ET.fromstring((place / "out.xml").read_bytes())  # noqa: S314 - our own
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [one.get("name") for one in suite] == ["vegetation", "masked"]


def test_tests_of_a_project_are_no_manifests(run, tmp_path: Path, monkeypatch) -> None:
    assert run("init", str(tmp_path / "farm")).code == 0
    monkeypatch.chdir(tmp_path / "farm")
    put(tmp_path / "farm" / "manifests", GREEN)
    assert run("validate").code == 0
    assert "1 passed." in run("evalscript", "test").out


def test_the_tests_of_the_examples_pass_and_leave_no_line_out(run) -> None:
    examples = Path(__file__).parents[2] / "examples"
    said = run("evalscript", "test", str(examples), "--cov-fail-under", "100")
    assert said.code == 0, said.out + said.err


def test_no_tests_are_an_error(run, place: Path) -> None:
    said = run("evalscript", "test")
    assert (said.code, "there are no tests" in said.err) == (1, True)
    (place / "a.js").write_text(NDVI)
    said = run("evalscript", "test", "a.js")
    assert said.code == 1
    assert "write a.test.yaml" in said.err
    assert run("evalscript", "test", "b.test.yaml").code == 1


def test_a_script_without_functions_is_tested_as_well(run, place: Path) -> None:
    script = "return [2.5 * B04];\n"
    put(place, "tests:\n  - {inputs: {B04: 0.2}, expect: 0.5}\n", script=script)
    said = run("evalscript", "test")
    assert said.out.splitlines() == ["ndvi.test.yaml", "  ok    test 1", "1 passed."]


SEVERAL = """\
//VERSION=3
function setup() {
  return {
    input: ["B04", "dataMask"],
    output: [{id: "red", bands: 1, sampleType: "FLOAT32"}, {id: "rgb", bands: 3}]
  };
}
function evaluatePixel(s) {
  if (!s.dataMask) return {red: [-1], rgb: [1, 0, 0]};
  return {red: [s.B04], rgb: [s.B04, 0, 0]};
}
"""


def test_each_output_has_a_golden_of_its_own(run, place: Path) -> None:
    raster(place / "field.tif", np.arange(1, 13, dtype="uint16").reshape(3, 4) * 500)
    tests = (
        "tests:\n  - image: {file: field.tif, bands: {B04: 1}, scale: 0.0001}\n"
        "    golden: {red: red.tif, rgb: rgb.png}\n"
    )
    put(place, tests, script=SEVERAL)
    assert "1 updated." in run("evalscript", "test", "--update").out
    assert run("evalscript", "test").code == 0
    (place / "ndvi.js").write_text(SEVERAL.replace("rgb: [s.B04, 0", "rgb: [s.B04, 1"))
    said = run("evalscript", "test")
    assert said.code == 1
    assert "rgb: 12 of 36 values differ" in said.out
    assert "red:" not in said.out
    (place / "ndvi.test.yaml").write_text(tests.replace("rgb: rgb", "rbg: rgb"))
    assert "no output rbg; it has red, rgb" in run("evalscript", "test").out


def test_an_image_that_cannot_hold_an_output_is_not_to_be_updated(run, place: Path) -> None:
    tests = "tests:\n  - inputs: {B04: [[1, 2], [3, 4]]}\n    golden: {red: red.png}\n"
    put(place, tests, script=SEVERAL)
    said = run("evalscript", "test", "--update")
    assert "red.png cannot hold it: " in said.out
    assert "--update" not in said.out


def test_no_data_of_an_image_is_masked_as_the_service_masks_it(run, place: Path) -> None:
    band = np.array([[0, 500], [1000, 0]], "uint16")
    raster(place / "field.tif", band)
    with rasterio.open(place / "field.tif", "r+") as file:
        file.nodata = 0
    tests = (
        "tests:\n  - image: {file: field.tif, bands: {B04: 1}, scale: 0.0001}\n"
        "    expect: {red: [[-1, 0.05], [0.1, -1]]}\n"
    )
    put(place, tests, script=SEVERAL)
    said = run("evalscript", "test")
    assert said.code == 0, said.out


@pytest.mark.parametrize("rgb", ["[0.5, 0, 0]", "[[0.5, 0, 0]]", "[[[0.5, 0, 0]]]"])
def test_one_pixel_may_be_written_as_an_image_of_one(run, place: Path, rgb: str) -> None:
    put(place, f"tests:\n  - inputs: {{B04: 0.5}}\n    expect: {{rgb: {rgb}}}\n", script=SEVERAL)
    assert run("evalscript", "test").code == 0
