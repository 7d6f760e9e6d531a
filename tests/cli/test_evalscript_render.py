"""`shplan evalscript render SCRIPT`: a script in a file, on the sandbox's imagery or on a file of one's own."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin

COLOUR = """//VERSION=3
function setup() {
  return {input: ["B04", "B03", "B02"], output: {bands: 3}};
}
function evaluatePixel(s) {
  return [2.5 * s.B04, 2.5 * s.B03, 2.5 * s.B02];
}
"""
RAW = """//VERSION=3
function setup() {
  return {
    input: ["red", "dataMask"],
    output: [{id: "default", bands: 1, sampleType: "FLOAT32"}, {id: "mask", bands: 1}],
  };
}
function evaluatePixel(s) { return {default: [s.red * 2], mask: [s.dataMask]}; }
"""
FIGURE = f"""apiVersion: shplan/v1
kind: Process
metadata: {{name: figure}}
spec:
  input:
    bounds: {{bbox: [14.5, 46.0, 14.6, 46.05]}}
    data:
      - type: sentinel-2-l2a
        dataFilter: {{timeRange: {{from: "2023-06-01T00:00:00Z", to: "2023-06-30T00:00:00Z"}}}}
  output: {{width: 64, height: 64}}
  evalscript: {json.dumps(COLOUR)}
run: {{output: out/figure.png}}
"""
PLACE = ("--bbox", "14.5,46.0,14.6,46.05", "--time", "2023-06-01/2023-06-30")
S2 = ("--collection", "sentinel-2-l2a")


@pytest.fixture
def place(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.js").write_text(COLOUR)
    return tmp_path


def pixels(path: Path) -> tuple[str, np.ndarray]:
    with (
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        rasterio.open(path) as raster,
    ):
        found: np.ndarray = raster.read()
        return raster.driver, found


def names(place: Path) -> set[str]:
    return {one.name for one in place.rglob("*")}


@pytest.mark.parametrize(
    ("out", "driver", "size", "shape"),
    [
        ("a.png", "PNG", ("--size", "100"), (3, 72, 100)),
        ("new/a.tif", "GTiff", ("--width", "50"), (3, 36, 50)),
        ("a.jpeg", "JPEG", ("--width", "50", "--height", "20"), (3, 20, 50)),
        ("a.tiff", "GTiff", ("--res", "0.001"), (3, 50, 100)),
    ],
)
def test_a_script_is_drawn_where_there_is_no_project(
    run, place: Path, out: str, driver: str, size: tuple[str, ...], shape: tuple[int, ...]
) -> None:
    said = run("evalscript", "render", "a.js", *S2, *PLACE, "-o", out, *size)
    assert said.code == 0, said
    assert said.out.startswith(f"a.js is drawn in {out}; 0.0")
    found = pixels(place / out)
    assert (found[0], found[1].shape) == (driver, shape)
    assert found[1].std() > 1
    # Nothing is left beside it.
    assert names(place) == {"a.js", *Path(out).parts}


INDEX = """//VERSION=3
function setup() {
  return {input: ["B04", "B08"], output: {bands: 1, sampleType: "FLOAT32"}};
}
function evaluatePixel(s) {
  return [(s.B08 - s.B04) / (s.B08 + s.B04)];
}
"""


def test_numbers_that_a_picture_cannot_hold_are_painted(run, place: Path) -> None:
    (place / "a.js").write_text(INDEX)
    drawn = {}
    for out, more in (("a.png", ()), ("b.png", ("--range", "-1", "0")), ("a.tif", ())):
        said = run("evalscript", "render", "a.js", *S2, *PLACE, "-o", out, "--size", "64", *more)
        assert said.code == 0, said
        drawn[out] = pixels(place / out)[1]
    numbers = drawn["a.tif"][0]
    assert numbers.dtype == np.float32
    assert drawn["a.png"].shape[0] == 4
    # Denser is darker in red; above the range all have the last colour.
    dense, bare = numbers > 0.8, (numbers > 0) & (numbers < 0.3)
    assert dense.any()
    assert bare.any()
    assert drawn["a.png"][0][dense].max() < drawn["a.png"][0][bare].min()
    assert len(np.unique(drawn["b.png"][0][numbers > 0])) == 1
    said = run("evalscript", "render", "a.js", *S2, *PLACE, "-o", "a.jpg")
    assert said.code != 0
    assert "FLOAT32" in said.err
    assert ".tif" in said.err


def test_what_is_thrown_in_what_is_painted_has_its_line(run, place: Path) -> None:
    (place / "a.js").write_text(
        INDEX.replace("  return [(s", "  if (s.B04 > 0) nowhere();\n  return [(s")
    )
    said = run("evalscript", "render", "a.js", *S2, *PLACE, "-o", "a.png")
    assert said.code == 1
    assert "a.js:6:" in said.err
    assert "nowhere" in said.err


def test_a_project_has_its_own_sandbox_and_the_meter_counts(
    run, tmp_path: Path, monkeypatch
) -> None:
    assert run("init", str(tmp_path / "farm")).code == 0
    monkeypatch.chdir(tmp_path / "farm")
    Path("simple.js").write_text("return [2.5 * B04, B03, B02];\n")
    said = run(
        "evalscript", "render", "simple.js", *S2, *PLACE, "-o", "a.png", "--width", "512",
        "--height", "512", "--format", "json",
    )  # fmt: skip
    assert said.code == 0, said
    assert json.loads(said.out) == {"file": "a.png", "script": "simple.js", "spentPu": 1.0}


def test_several_collections_are_fused(run, place: Path) -> None:
    script = COLOUR.replace('input: ["B04", "B03", "B02"]',
        'input: [{datasource: "x", bands: ["B04"]}, {datasource: "y", bands: ["VV"]}]')  # fmt: skip
    script = script.replace(
        "return [2.5 * s.B04, 2.5 * s.B03, 2.5 * s.B02]",
        "return [s.x.length ? s.x[0].B04 : 0, s.y.length ? s.y[0].VV : 0, 0.5]",
    )
    (place / "a.js").write_text(script)
    said = run(
        "evalscript", "render", "a.js", "--collection", "x=sentinel-2-l2a",
        "--collection", "y=sentinel-1-grd", *PLACE, "-o", "a.png", "--size", "32",
    )  # fmt: skip
    assert said.code == 0, said
    assert (pixels(place / "a.png")[1][2] == 128).all()


def cog(path: Path, *, described: bool = True) -> np.ndarray:
    values = np.arange(1, 49, dtype="uint16").reshape(6, 8)
    values[0, 0] = 0
    with rasterio.open(
        path, "w", driver="GTiff", height=6, width=8, count=1, dtype="uint16", nodata=0,
        crs="EPSG:32633", transform=from_origin(500_000, 5_200_000, 10, 10),
    ) as file:  # fmt: skip
        file.write(values, 1)
        if described:
            file.descriptions = ("red",)
    return values


def test_a_file_is_read_in_the_engine_here(run, place: Path) -> None:
    values = cog(place / "field.tif")
    (place / "a.js").write_text(RAW)
    said = run("evalscript", "render", "a.js", "--cog", "field.tif", "-o", "a.tif", "--res", "10")
    assert (said.code, said.out) == (0, "a.js is drawn in a.tif.\n"), said
    assert (pixels(place / "a.tif")[1] == values * 2).all()
    mask = run(
        "evalscript", "render", "a.js", "--cog", "field.tif", "-o", "mask.png", "--res", "10",
        "--output", "mask",
    )  # fmt: skip
    assert mask.code == 0, mask
    assert (pixels(place / "mask.png")[1][0] == np.where(values, 255, 0)).all()


def test_a_place_of_a_file_is_drawn_in_another_crs(run, place: Path) -> None:
    values = cog(place / "field.tif", described=False)
    (place / "a.js").write_text(RAW)
    said = run(
        "evalscript", "render", "a.js", "--cog", "field.tif", "--bands", "red=1", "-o", "a.tif",
        "--crs", "32633", "--bbox", "500020,5199960,500060,5199980", "--res", "10",
        "--scale", "0.5",
    )  # fmt: skip
    assert said.code == 0, said
    with rasterio.open(place / "a.tif") as file:
        assert file.bounds == (500020, 5199960, 500060, 5199980)
        assert (file.read(1) == values[2:4, 2:6]).all()
    said = run(
        "evalscript", "render", "a.js", "--cog", "field.tif", "--bands", "red=1", "-o", "b.tif",
        "--bbox", "15.0,46.95,15.001,46.9505",
    )  # fmt: skip
    assert said.code == 0, said
    with rasterio.open(place / "b.tif") as file:
        assert (file.crs.to_epsg(), file.width) == (4326, 512)


def test_what_a_script_throws_is_said_in_its_place(run, place: Path) -> None:
    (place / "a.js").write_text(COLOUR.replace("2.5 * s.B04", "s.B04.x.y"))
    said = run("evalscript", "render", "a.js", *S2, *PLACE, "-o", "a.png", "--size", "16")
    assert said.code == 1
    assert "a.js:6:3" in said.err
    assert "Cannot read properties of undefined" in said.err
    cog(place / "field.tif")
    (place / "a.js").write_text(RAW.replace("s.red * 2", "s.red.x.y"))
    said = run("evalscript", "render", "a.js", "--cog", "field.tif", "-o", "a.png")
    assert said.code == 1
    assert "a.js:8:" in said.err
    # A picture that is not whole is none.
    assert names(place) == {"a.js", "field.tif"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("//VERSION=3\nfunction setup() {\n", "a.js:2:1"),
        (COLOUR.replace("B04", "B4"), "B4"),
        (None, "a.js cannot be read"),
    ],
)
def test_a_wrong_script_is_refused_before_anything_is_sent(
    run, place: Path, text: str | None, words: str
) -> None:
    (place / "a.js").unlink() if text is None else (place / "a.js").write_text(text)
    said = run("evalscript", "render", "a.js", *S2, *PLACE, "-o", "a.png")
    assert said.code == 1
    assert words in said.err
    assert not (place / "a.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a.js", "-o", "a.png"), "--collection or --cog"),
        (("a.js", *S2, "--cog", "x.tif", "-o", "a.png"), "the one or the other"),
        (("a.js", *S2, "-o", "a.yaml"), "its name ends with .png, .jpg or .tif"),
        (("Batch/x", "-o", "a.tif"), "ends with .png"),
        (("a.js", *S2, "-o", "a.png"), "--bbox names the place"),
        (("a.js", *S2, "--bbox", "1,2,3", "-o", "a.png"), "--bbox names the place"),
        (("a.js", *S2, "--bbox", "1,2,x,4", "-o", "a.png"), "--bbox names the place"),
        (("a.js", *S2, "--bbox", "3,2,1,4", "-o", "a.png"), "WEST is less than EAST"),
        (("a.js", *S2, *PLACE, "--crs", "utm", "-o", "a.png"), "a code, as EPSG:32633"),
        (("a.js", *S2, *PLACE, "--res", "-1", "-o", "a.png"), "--res, greater than 0"),
        (("a.js", *S2, *PLACE, "--res", "1", "--width", "9", "-o", "a.png"), "or --width"),
        (("a.js", *S2, *PLACE[:3], "2025-02-30", "-o", "a.png"), "2025-02-30 is no day"),
        (("a.js", *S2, *PLACE[:3], "2025-06-01/June", "-o", "a.png"), "June is no day"),
        (("a.js", *S2, *PLACE[:3], "2025-06-02/2025-06-01", "-o", "a.png"), "is later than"),
        (("a.js", "--cog", "x.tif", "-o", "a.png"), "x.tif is not there"),
        (("a.js", "--cog", "a.js", "-o", "a.png"), "is no image"),
        (("a.js", "--cog", "field.tif", "-o", "a.png"), "the script reads B04; field.tif has red"),
        (("a.js", "--cog", "field.tif", "--bands", "B04", "-o", "a.png"), "and its number"),
        (("a.js", "--cog", "field.tif", "--bands", "B04=2", "-o", "a.png"), "no band 2"),
    ],
)
def test_what_cannot_be_drawn_is_wrong_usage(
    run, place: Path, arguments: tuple[str, ...], words: str
) -> None:
    cog(place / "field.tif")
    said = run("evalscript", "render", *arguments)
    assert said.code == 1
    assert words in said.err
    assert names(place) == {"a.js", "field.tif"}


def test_what_the_service_has_against_it_is_said_with_its_field(run, place: Path) -> None:
    said = run("evalscript", "render", "a.js", *S2, *PLACE, "--crs", "EPSG:31287", "-o", "a.png")
    assert said.code == 1
    assert "Invalid request.\n" in said.err
    assert "input->bounds->properties->crs: " in said.err
    assert names(place) == {"a.js"}


def test_a_picture_without_anything_in_it_is_called_that(run, place: Path) -> None:
    (place / "a.js").write_text(
        "//VERSION=3\nfunction setup() { return {input: ['B04', 'dataMask'], output: {bands: 2}}; }\n"
        "function evaluatePixel(s) { return [s.B04, s.dataMask]; }\n"
    )
    before = ("--time", "2010-06-01/2010-06-30", "-o", "a.png", "--size", "32")
    said = run("evalscript", "render", "a.js", *S2, *PLACE, *before)
    assert said.code == 0
    assert "all of it is transparent" in said.err


def test_a_misspelt_collection_is_told_before_anything_is_asked(run, place: Path) -> None:
    said = run("evalscript", "render", "a.js", "--collection", "sentinel-2", *PLACE, "-o", "a.png")
    assert said.code == 1
    assert "error[evalscript/collection]" in said.err
    assert "did you mean sentinel-2-l" in said.err
    assert names(place) == {"a.js"}


def test_a_job_that_is_a_process_request_is_drawn(run, place: Path) -> None:
    (place / "shplan.yaml").write_text(
        "{apiVersion: shplan/v1, kind: Project, metadata: {name: p}}\n"
    )
    (place / "manifests").mkdir()
    (place / "manifests" / "a.yaml").write_text(FIGURE)
    said = run("evalscript", "render", "Process/figure", "-o", "a.png", "--size", "40")
    assert said.code == 0, said
    assert pixels(place / "a.png")[1].shape[1:] == (29, 40)
    # Nothing was recorded: it has not run.
    assert "never ran" in run("why", "Process/figure").out
    assert run("evalscript", "render", "Process/figures", "-o", "b.png").code == 1
