"""`make demo` does what the README promises, wherever it runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


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
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"^\$ (?:shplan )?(\S+)", done.stdout, re.MULTILINE) == [
        "init", "validate", "plan", "apply", "plan",
        "sed", "plan", "apply", "plan", "echo", "sed", "plan", "why", "apply", "status", "ledger",
    ]  # fmt: skip
    assert done.stdout.count("\nDone: 2 created, 2 run; 203 PU spent.") == 1
    assert done.stdout.count('name: "Field imagery" -> "Fields of Slovenia"') == 2
    assert done.stdout.count("\nDone: 1 updated") == 1
    assert done.stdout.count("\nNo changes.") == 2
    assert "\n  cost: 100 PU\n" in done.stdout
    assert done.stdout.count("\nDone: 1 run; 100 PU spent.") == 1
    assert "\n6 of 6 resources are as declared.\n" in done.stdout
    assert "\nIntact: " in done.stdout
    assert "\x1b" not in done.stdout
