"""The runner of a folder of scripts counts how they end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.script.pixels import v3

ROOT = Path(__file__).parents[2]
TWO_DAYS = """\
function preProcessScenes(collections) {
  const wanted = ["2019-03-11", "2019-03-23"];
  collections.scenes.orbits = collections.scenes.orbits.filter(
    (orbit) => wanted.includes(orbit.dateFrom.split("T")[0]));
  return collections;
}
"""


def ran(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "corpus.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def counted(folder: Path) -> str:
    done = ran(folder, "--list")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_outcomes_are_counted_by_their_kind(tmp_path: Path) -> None:
    scripts = {
        "values.js": v3("return [samples.B04];"),
        "simple.js": "return [B04, B03];",
        "deep/in/scenes.txt": v3("return [scenes.orbits[2].tiles.length];", mosaicking="ORBIT"),
        "fusion.js": v3(
            "return [samples.a[0].B04 + samples.b[2].VV];",
            input='[{bands: ["B04"], datasource: "a"},'
            ' {bands: ["VV"], datasource: "b", mosaicking: "TILE"}]',
        ),
        "throws.js": v3("throw new Error('why');"),
        "older.js": "function setup(ds) { setInputComponents([ds.B04]); }",
        "README.md": "no script",
    }
    for name, text in scripts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    older, *lines = counted(tmp_path).splitlines()
    assert older.startswith("older.js: version: the script is written for version 1 or 2")
    assert lines == [
        "throws.js: runtime: Error: why (line 6)",
        "6 scripts",
        "     4 values (1 simple, 3 with setup())",
        "     1 version",
        "     1 runtime (1 with setup())",
    ]


@pytest.mark.parametrize(
    "text",
    [
        # What the language and its helpers bring along is no band.
        "// Author: N. N.\nreturn [Math.sqrt(B08), Infinity, ColorRampVisualizer ? 1 : 0];",
        "let NDVI = index(B08, B04);\nfunction S(a, b) { return a - b; }\nreturn [NDVI, S(B8A, B10)];",
        "return [VV, VH, dataMask, sunZenithAngles, CLOUD_FRACTION, SCL];",
        # Bands of data of which no table is.
        "var weight = (B2 + B0) / 2;\nreturn [PAN / weight, Red, NIR_Narrow];",
        "function f(s) { return eval(s); }\nreturn f('[B04, typeof B18]');",
    ],
)
def test_a_simple_script_has_the_bands_that_it_names(tmp_path: Path, text: str) -> None:
    (tmp_path / "one.js").write_text(text)
    assert counted(tmp_path).splitlines() == ["1 scripts", "     1 values (1 simple)"]


@pytest.mark.parametrize(
    "text",
    [
        v3("return [samples[1].B04 - samples[0].B04];", mosaicking="ORBIT", more=TWO_DAYS),
        v3(
            "return [samples.B04 + samples.SCL];",
            input='[{bands: ["B04"], units: "REFLECTANCE"}, {bands: ["SCL"], units: "DN"}]',
        ),
        v3(
            "return [samples[0].LST];",
            input='["LST"]',
            mosaicking="TILE",
            more="function preProcessScenes(c) { c.scenes.tiles = c.scenes.tiles.filter("
            '(tile) => tile.dataPath.includes("T0130")); return c; }',
        ),
        v3("return [scenes.tiles[0].tileOriginalId.slice(0, 3).length];", mosaicking="TILE"),
    ],
    ids=["days", "inputs", "times", "products"],
)
def test_a_script_has_the_scenes_and_bands_that_it_asks_for(tmp_path: Path, text: str) -> None:
    (tmp_path / "one.js").write_text(text)
    assert counted(tmp_path).splitlines() == ["1 scripts", "     1 values (1 with setup())"]


def test_what_is_no_text_stops_nobody(tmp_path: Path) -> None:
    """Other encodings are read, other files told; links are followed as far as they lead."""
    (tmp_path / "latin.js").write_bytes("// Autor: Šebela\nreturn [B04];".encode("cp1252"))
    (tmp_path / "utf16.js").write_bytes("return [B04];".encode("utf-16"))
    (tmp_path / "mark.JS").write_bytes(b"\xef\xbb\xbf" + v3("return [1];").encode())
    (tmp_path / "folder.js").mkdir()
    (tmp_path / "link.js").symlink_to(tmp_path / "latin.js")
    (tmp_path / "dangling.js").symlink_to(tmp_path / "nowhere.js")
    (tmp_path / "round").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "noise.js").write_bytes(bytes(range(256)))
    (tmp_path / "empty.js").write_bytes(b"")
    with (tmp_path / "huge.js").open("wb") as huge:
        huge.truncate(17 << 20)
    lines = counted(tmp_path).splitlines()
    assert [one.split(":")[:2] for one in lines[:3]] == [
        ["empty.js", " missing"],
        ["huge.js", " unreadable"],
        ["noise.js", " syntax"],
    ]
    assert lines[3:] == [
        "7 scripts",
        "     4 values (3 simple, 1 with setup())",
        "     1 missing",
        "     1 unreadable",
        "     1 syntax",
    ]


@pytest.mark.parametrize("folder", [(), ("none",)])
def test_without_a_folder_there_is_nothing_to_run(folder: tuple[str, ...]) -> None:
    done = ran(*folder)
    assert done.returncode == 0
    assert "nothing to run" in done.stdout
