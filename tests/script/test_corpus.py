"""The runner of a folder of scripts counts how they end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.script.pixels import v3

ROOT = Path(__file__).parents[2]


def counted(folder: Path) -> str:
    command = [sys.executable, str(ROOT / "benchmarks" / "corpus.py"), str(folder), "--list"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_outcomes_are_counted_by_their_kind(tmp_path: Path) -> None:
    scripts = {
        "values.js": v3("return [samples.B04];"),
        "simple.js": "return [B04, B03];",
        "scenes.txt": v3("return [scenes.orbits[2].tiles.length];", mosaicking="ORBIT"),
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
        (tmp_path / name).write_text(text)
    lines = counted(tmp_path).splitlines()
    assert lines[2] == "6 scripts"
    assert sorted(one.split() for one in lines[3:]) == [
        ["1", "runtime"],
        ["1", "version"],
        ["4", "values"],
    ]
    assert [one.split(":")[0] for one in lines[:2]] == ["older.js", "throws.js"]


def test_without_a_folder_there_is_nothing_to_run(tmp_path: Path) -> None:
    assert "nothing to run" in counted(tmp_path / "none")
