"""`make demo` does what the README promises, wherever it runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from shplan.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
# The picture of the README.
SHOWN = ROOT / "docs" / "ndvi.png"


def picture(path: Path) -> np.ndarray:
    """Red, green, blue and alpha, (band, row, column)."""
    with (
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        rasterio.open(path) as raster,
    ):
        found: np.ndarray = raster.read()
        return found


def test_the_demonstration_is_a_script_of_every_shell() -> None:
    """It is read whole; what it does is for `make slow`."""
    script = ROOT / "scripts" / "demo.sh"
    assert subprocess.run(["sh", "-n", str(script)], capture_output=True).stderr == b""
    said = re.findall(r"^say shplan (\S+)", script.read_text(), re.MULTILINE)
    assert set(said) <= set(COMMANDS)
    assert "evalscript" in said


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_command_is_shown_and_ends_as_promised(tmp_path: Path) -> None:
    """Applied, nothing left, one line changed, the difference applied, nothing left, intact."""
    scripts = Path(sys.executable).parent
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("SH_", "SHPLAN_", "CI"))},
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        # A person's own choice must not lead the demonstration elsewhere.
        "SHPLAN_ENVIRONMENT": "prod",
    }
    done = subprocess.run(
        ["sh", str(ROOT / "scripts" / "demo.sh")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=390,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"^\$ (?:shplan )?(\S+)", done.stdout, re.MULTILINE) == [
        "init", "validate", "plan", "apply", "plan",
        "sed", "plan", "apply", "plan", "echo", "sed", "plan", "why", "apply", "status", "ledger",
        "python", "evalscript", "sed", "evalscript", "plan",
    ]  # fmt: skip
    assert done.stdout.count("\nDone: 2 created, 2 run; 204 PU spent.") == 1
    assert done.stdout.count('name: "Field imagery" -> "Fields of Slovenia"') == 2
    assert done.stdout.count("\nDone: 1 updated") == 1
    assert done.stdout.count("\nNo changes.") == 2
    assert "\n  cost: 100 PU\n" in done.stdout
    assert done.stdout.count("\nDone: 1 run; 100 PU spent.") == 1
    assert "\n6 of 6 resources are as declared.\n" in done.stdout
    assert "\nIntact: " in done.stdout
    assert "\x1b" not in done.stdout
    look_at_pictures(tmp_path / ".demo" / "farm" / "pictures", done.stdout)


def look_at_pictures(folder: Path, said: str) -> None:
    """What was delivered is what was drawn before, and the edit leaves out what is not green."""
    for name in ("delivered", "before", "after"):
        assert f".demo/farm/pictures/{name}.png" in said
    delivered, before, after = (
        picture(folder / f"{name}.png") for name in ("delivered", "before", "after")
    )
    # More green than red, somewhere and not everywhere.
    assert 0.2 < (before[1] > before[0]).mean() < 0.9
    assert (before[3] == 255).all()
    # The whole tile was delivered, of which the farm is some; its pixels are among them.
    assert delivered.shape[1:] == (512, 512)
    colours = {tuple(one) for one in delivered.reshape(4, -1).T.tolist()}
    drawn = [tuple(one) for one in before.reshape(4, -1).T.tolist()]
    assert np.mean([min_distance(one, colours) for one in drawn[::997]]) <= 2
    left_out = after[3] == 0
    assert 0.1 < left_out.mean() < 0.8
    np.testing.assert_array_equal(after[:, ~left_out], before[:, ~left_out])
    # The README shows it as it was drawn.
    if os.environ.get("SHPLAN_GOLDEN"):
        shutil.copyfile(folder / "before.png", SHOWN)
    shown = picture(SHOWN).astype(int)
    assert shown.shape == before.shape
    assert np.abs(shown - before).mean() < 1


def min_distance(colour: tuple[int, ...], colours: set[tuple[int, ...]]) -> int:
    """How far the nearest of the colours is, in the channel that differs most."""
    return min(max(abs(a - b) for a, b in zip(colour, one, strict=True)) for one in colours)
